/*
 * matmul.c - products of matrices with leading dims that broadcast
 *
 * A product is cut into row blocks of sizes that depend on the shapes only. Where every row of a meets the same b,
 * all rows are one matrix. Where every b meets the same a in a sum over many terms, a piece of a serves several b
 * while it is in the cache.
 */
#include "engine/ops/product.h"

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    struct sqa_product p = {0};
    const enum sqa_status status = sqa_product_sizes(n, &p, err);
    char one[96], two[96];

    if (status != SQA_OK)
        return status;
    if (p.rank + 2 > SQA_MAX_RANK)
        return sqa_shape_fail(n, err, "%s times %s has more than %d dims; join some", sqa_shape_text(n->in[0], one),
                              sqa_shape_text(n->in[1], two), SQA_MAX_RANK);
    p.dim[p.rank] = p.m;
    p.dim[p.rank + 1] = p.n;
    sqa_set_output(n, 0, n->in[0]->dtype, p.rank + 2, p.dim);
    return SQA_OK;
}

/* Rows of a block: long enough that packing b again for each block costs little. */
static int64_t block_rows(int64_t m)
{
    return m <= 256 ? sqa_max64(1, m) : m <= 4096 ? 256 : 512;
}

struct job {
    struct sqa_product p;
    unsigned char *c;
    int64_t block, blocks; /* rows of a block, blocks of a matrix */
    unsigned char *space;  /* a packed b for each thread */
    size_t scratch;
};

static void product_units(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    const struct sqa_product *p = &j->p;

    for (int64_t unit = first; unit < first + count; unit++) {
        const int64_t index = unit / j->blocks, row = unit % j->blocks * j->block;
        const int64_t rows = sqa_min64(j->block, p->m - row);
        void *c = sqa_at(j->c, (index * p->m + row) * p->n, p->k->size);

        if (j->scratch != 0)
            sqa_product_packed(p, index, row, rows, j->space + (size_t)thread * j->scratch, c);
        else
            sqa_product_multiply(p, index, row, rows, 0, p->kk, 0, c);
    }
}

/* Is the operand the same matrix for every batch index? */
static bool fixed(const struct sqa_product *p, const struct sqa_operand *o)
{
    for (int i = 0; i < p->rank; i++)
        if (p->dim[i] != 1 && o->stride[i] != 0)
            return false;
    return true;
}

enum { PIECE = 256, LONG = 4 * PIECE, TOGETHER = 4 };

/* Is a piece of a small and of use to other batch indices? */
static bool shares(const struct job *j)
{
    return j->scratch == 0 && j->p.batch > 1 && j->p.kk >= LONG && j->p.n <= PIECE && j->block <= PIECE &&
           fixed(&j->p, &j->p.a);
}

/* Units are batch indices of a row block, row block after row block. */
static void shared_units(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    const struct sqa_product *p = &j->p;

    (void)thread;
    for (int64_t unit = first, each; unit < first + count; unit += each) {
        const int64_t row = unit / p->batch * j->block, index = unit % p->batch;
        const int64_t rows = sqa_min64(j->block, p->m - row);

        each = sqa_min64(first + count - unit, p->batch - index);
        for (int64_t term = 0; term < p->kk; term += PIECE)
            for (int64_t i = index; i < index + each; i++)
                sqa_product_multiply(p, i, row, rows, term, sqa_min64(PIECE, p->kk - term), term > 0 ? 1 : 0,
                                     sqa_at(j->c, (i * p->m + row) * p->n, p->k->size));
    }
}

/* Makes one matrix of all rows of a when every one of them meets the same b. */
static void join_rows(struct sqa_product *p)
{
    struct sqa_product q = *p;
    int trans;
    int64_t ld;

    if (p->batch <= 1 || !fixed(p, &p->b) || !sqa_product_joins(p, &p->a, p->m, p->a.row_stride))
        return;
    q.a.row_stride = sqa_joined_stride(p, &p->a, p->m, p->a.row_stride);
    q.m = q.a.rows = p->m * p->batch;
    q.batch = 1;
    q.rank = 0;
    if (sqa_gemm_form(q.a.rows, q.a.columns, q.a.row_stride, q.a.column_stride, &trans, &ld))
        *p = q;
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    struct job j = {.p = sqa_product_of(n), .c = sqa_data(n->out[0])};
    struct sqa_product *p = &j.p;
    const double work = 2 * (double)sqa_numel(n->out[0]) * (double)p->kk;
    int64_t chunk;

    if (sqa_numel(n->out[0]) == 0)
        return;
    if (p->kk == 0) {
        memset(j.c, 0, (size_t)sqa_numel(n->out[0]) * p->k->size);
        return;
    }
    p->a.data = sqa_data(n->in[0]);
    p->b.data = sqa_data(n->in[1]);
    join_rows(p);
    j.scratch = sqa_product_scratch(p);
    j.space = r->workspace;
    j.block = block_rows(p->m);
    j.blocks = (p->m + j.block - 1) / j.block;
    if (shares(&j)) {
        chunk = sqa_max64(1, sqa_min64(TOGETHER, p->batch * j.blocks / 2)); /* so that two threads have work */
        sqa_chunks(r, p->batch * j.blocks, chunk, work, shared_units, &j);
        return;
    }
    chunk = (int64_t)(1e6 / (2 * (double)sqa_min64(j.block, p->m) * (double)p->n * (double)p->kk));
    sqa_chunks(r, p->batch * j.blocks, sqa_max64(1, chunk), work, product_units, &j);
}

/* Joining rows changes neither n nor kk. */
static size_t workspace(const struct sqa_node *n, int threads)
{
    const struct sqa_product p = sqa_product_of(n);

    return (size_t)threads * sqa_product_scratch(&p);
}

/* Are all leading dims 1? Then every term of the other operand meets the same matrix. */
static bool shared(const struct sqa_tensor *x)
{
    for (int i = 0; i < x->rank - 2; i++)
        if (x->dim[i] != 1)
            return false;
    return true;
}

static struct sqa_tensor *operand_grad(struct sqa_graph *g, const struct sqa_tensor *to, struct sqa_tensor *a,
                                       struct sqa_tensor *b, bool ta, bool tb)
{
    if (shared(to))
        return sqa_reshape(g, sqa_matmul_sum(g, a, b, ta, tb), to->rank, to->dim);
    return sqa_sum_to(g, sqa_matmul(g, a, b, ta, tb), to->rank, to->dim);
}

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dys, struct sqa_tensor **dx)
{
    const struct sqa_product_attr *f = n->attr;
    struct sqa_tensor *a = n->in[0], *b = n->in[1], *dy = dys[0];

    if (a->needs_grad)
        dx[0] = f->ta ? operand_grad(g, a, b, dy, f->tb, true) : operand_grad(g, a, dy, b, false, !f->tb);
    if (b->needs_grad)
        dx[1] = f->tb ? operand_grad(g, b, dy, a, true, f->ta) : operand_grad(g, b, a, dy, !f->ta, false);
}

const struct sqa_op sqa_op_matmul = {
    .name = "matmul",
    .help = "op(a) op(b), leading dims broadcast",
    .shape = shape,
    .run = run,
    .grad = grad,
    .flops = sqa_product_flops,
    .workspace = workspace,
    .strided = 3,
};

struct sqa_tensor *sqa_matmul(struct sqa_graph *g, struct sqa_tensor *a, struct sqa_tensor *b, bool ta, bool tb)
{
    return sqa_product_build(g, &sqa_op_matmul, a, b, ta, tb);
}
