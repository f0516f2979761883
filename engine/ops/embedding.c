/* embedding.c - rows of a table by number; a number outside the table gives zeros */
#include "engine/ops/support.h"

struct attr {
    int64_t vocab; /* of the gradient's table */
};

struct job {
    const struct sqa_kernels *k;
    const unsigned char *table;
    const int32_t *id;
    unsigned char *y;
    int64_t n, vocab;
};

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *table = n->in[0], *id = n->in[1];
    int64_t dim[SQA_MAX_RANK];
    char one[96], two[96];

    if (!sqa_is_real(table) || table->rank != 2 || id->dtype != SQA_I32 || id->rank >= SQA_MAX_RANK)
        return sqa_shape_fail(n, err, "table %s %s, ids %s %s; give a real (V, D) and i32 of at most 5 dims",
                              sqa_dtype_name(table->dtype), sqa_shape_text(table, one), sqa_dtype_name(id->dtype),
                              sqa_shape_text(id, two));
    memcpy(dim, id->dim, sizeof dim);
    dim[id->rank] = table->dim[1];
    sqa_set_output(n, 0, table->dtype, id->rank + 1, dim);
    return SQA_OK;
}

static void rows_of(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;

    (void)thread;
    j->k->embedding(j->table, j->id + first, sqa_at(j->y, first * j->n, j->k->size), (size_t)count, (size_t)j->n,
                    (size_t)j->vocab);
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct sqa_tensor *table = n->in[0];
    struct job j = {sqa_kernels_of(table->dtype), sqa_data(table), sqa_data(n->in[1]),
                    sqa_data(n->out[0]),          table->dim[1],   table->dim[0]};

    if (j.n > 0)
        sqa_chunks(r, sqa_numel(n->in[1]), sqa_max64(1, SQA_CHUNK / j.n), (double)sqa_numel(n->out[0]), rows_of, &j);
}

/* ids, gathered rows, and the output */
static double bytes(const struct sqa_node *n)
{
    return 4 * (double)sqa_numel(n->in[1]) +
           2 * (double)sqa_numel(n->out[0]) * (double)sqa_dtype_size(n->out[0]->dtype);
}

/* embedding_grad: inputs id, dy; output dtable (V, D). A table that is small beside dy is summed in parts, each of
 * its own rows in order, and the parts are added in order; else one thread adds all rows. */

enum { PARTS = 8 };

static int64_t parts_of(const struct sqa_node *n)
{
    return sqa_numel(n->in[1]) >= 4 * PARTS * sqa_numel(n->out[0]) ? PARTS : 1;
}

static size_t grad_workspace(const struct sqa_node *n, int threads)
{
    const int64_t parts = parts_of(n);

    (void)threads;
    return parts == 1 ? 0 : (size_t)(parts * sqa_numel(n->out[0])) * sqa_dtype_size(n->out[0]->dtype);
}

static enum sqa_status grad_shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct attr *a = n->attr;
    const struct sqa_tensor *dy = n->in[1];

    (void)err;
    sqa_set_output(n, 0, dy->dtype, 2, (const int64_t[]){a->vocab, dy->dim[dy->rank - 1]});
    return SQA_OK;
}

struct grad_job {
    const struct sqa_node *node;
    const struct sqa_kernels *k;
    void *tables;
    int64_t rows; /* of a part */
};

static void grad_part(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct grad_job *j = ctx;
    const struct sqa_tensor *y = j->node->out[0];
    const int64_t cells = sqa_numel(y);
    void *table = sqa_at(j->tables, first / j->rows * cells, j->k->size);

    (void)thread;
    memset(table, 0, (size_t)cells * j->k->size);
    j->k->embedding_grad((const int32_t *)sqa_data(j->node->in[0]) + first,
                         sqa_at_const(sqa_data(j->node->in[1]), first * y->dim[1], j->k->size), table, (size_t)count,
                         (size_t)y->dim[1], (size_t)y->dim[0]);
}

static void grad_run(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct sqa_tensor *y = n->out[0];
    const int64_t rows = sqa_numel(n->in[0]), cells = sqa_numel(y), parts = parts_of(n);
    struct grad_job j = {n, sqa_kernels_of(y->dtype), parts == 1 ? sqa_data(y) : r->workspace,
                         sqa_max64(1, (rows + parts - 1) / parts)};

    if (rows == 0 || cells == 0) {
        memset(sqa_data(y), 0, (size_t)cells * j.k->size);
        return;
    }
    sqa_chunks(r, rows, j.rows, (double)sqa_numel(n->in[1]), grad_part, &j);
    if (parts > 1)
        j.k->sum_rows(j.tables, (size_t)((rows + j.rows - 1) / j.rows), (size_t)cells, (size_t)cells, sqa_data(y), 0);
}

static double grad_flops(const struct sqa_node *n)
{
    return (double)sqa_numel(n->in[1]);
}

static void grad_grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    dx[1] = sqa_embedding(g, dy[0], n->in[0]);
}

const struct sqa_op sqa_op_embedding_grad = {
    .name = "embedding_grad",
    .help = "dtable[id] = sum of the dy of that id",
    .shape = grad_shape,
    .run = grad_run,
    .grad = grad_grad,
    .flops = grad_flops,
    .workspace = grad_workspace,
};

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    const struct attr a = {n->in[0]->dim[0]};
    struct sqa_tensor *const in[] = {n->in[1], dy[0]};

    dx[0] = sqa_apply(g, &sqa_op_embedding_grad, &a, sizeof a, 2, in);
}

const struct sqa_op sqa_op_embedding = {
    .name = "embedding",
    .help = "y = table[id]; zeros for ids outside the table",
    .shape = shape,
    .run = run,
    .grad = grad,
    .bytes = bytes,
};

struct sqa_tensor *sqa_embedding(struct sqa_graph *g, struct sqa_tensor *table, struct sqa_tensor *id)
{
    struct sqa_tensor *const in[] = {table, id};

    if (!sqa_ready(g, "embedding", 2, in))
        return NULL;
    return sqa_apply(g, &sqa_op_embedding, NULL, 0, 2, in);
}
