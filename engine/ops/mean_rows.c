/* mean_rows.c - mean over the valid positions, and its adjoint spread_rows; each is the other's gradient */
#include "engine/ops/support.h"

struct attr {
    int64_t length; /* of spread_rows */
};

struct job {
    const struct sqa_node *node;
    const struct sqa_kernels *k;
    int64_t length, width;
};

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *x = n->in[0];
    char have[96];

    if (!sqa_is_real(x) || x->rank != 3)
        return sqa_shape_fail(n, err, "x is %s %s; give real (B, L, D)", sqa_dtype_name(x->dtype),
                              sqa_shape_text(x, have));
    sqa_set_output(n, 0, x->dtype, 2, (const int64_t[]){x->dim[0], x->dim[2]});
    return sqa_check_lengths(n, 1, x->dim[0], err);
}

static void mean(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    const size_t size = j->k->size, width = (size_t)j->width;

    (void)thread;
    for (int64_t b = first; b < first + count; b++) {
        const int64_t valid = sqa_length_at(j->node->in[1], b, j->length);
        void *y = sqa_at(sqa_data(j->node->out[0]), b * j->width, size);

        j->k->sum_rows(sqa_at_const(sqa_data(j->node->in[0]), b * j->length * j->width, size), (size_t)valid, width,
                       width, y, 0);
        if (valid > 1)
            j->k->affine(1 / (double)valid, y, 0, y, width);
    }
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct sqa_tensor *x = n->in[0];
    struct job j = {n, sqa_kernels_of(x->dtype), x->dim[1], x->dim[2]};

    sqa_chunks(r, x->dim[0], sqa_max64(1, SQA_CHUNK / sqa_max64(1, j.length * j.width)), (double)sqa_numel(x), mean,
               &j);
}

static double flops(const struct sqa_node *n)
{
    return (double)sqa_numel(n->in[0]);
}

/* spread_rows: x (B, D) -> y (B, L, D) */

static enum sqa_status spread_shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct attr *a = n->attr;
    const struct sqa_tensor *x = n->in[0];

    (void)err;
    sqa_set_output(n, 0, x->dtype, 3, (const int64_t[]){x->dim[0], a->length, x->dim[1]});
    return SQA_OK;
}

static void spread(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    const size_t size = j->k->size, row = (size_t)j->width * size;

    (void)thread;
    for (int64_t b = first; b < first + count; b++) {
        const int64_t valid = sqa_length_at(j->node->in[1], b, j->length);
        unsigned char *y = sqa_at(sqa_data(j->node->out[0]), b * j->length * j->width, size);

        if (valid > 0)
            j->k->affine(1 / (double)valid, sqa_at_const(sqa_data(j->node->in[0]), b * j->width, size), 0, y,
                         (size_t)j->width);
        for (int64_t t = 1; t < valid; t++)
            memcpy(y + (size_t)t * row, y, row);
        memset(y + (size_t)valid * row, 0, (size_t)(j->length - valid) * row);
    }
}

static void spread_run(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct sqa_tensor *x = n->in[0], *y = n->out[0];
    struct job j = {n, sqa_kernels_of(x->dtype), y->dim[1], y->dim[2]};

    if (sqa_numel(y) != 0)
        sqa_chunks(r, x->dim[0], sqa_max64(1, SQA_CHUNK / (j.length * j.width)), (double)sqa_numel(y), spread, &j);
}

static void spread_grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    dx[0] = sqa_mean_rows(g, dy[0], n->in[1]);
}

const struct sqa_op sqa_op_spread_rows = {
    .name = "spread_rows",
    .help = "y[b, t] = x[b] / lengths[b] for t < lengths[b], else 0",
    .shape = spread_shape,
    .run = spread_run,
    .grad = spread_grad,
    .flops = sqa_flops_out1,
};

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    const struct attr a = {n->in[0]->dim[1]};
    struct sqa_tensor *const in[] = {dy[0], n->in[1]};

    dx[0] = sqa_apply(g, &sqa_op_spread_rows, &a, sizeof a, 2, in);
}

const struct sqa_op sqa_op_mean_rows = {
    .name = "mean_rows",
    .help = "y[b] = mean of x[b, t] over t < lengths[b]; 0 for length 0",
    .shape = shape,
    .run = run,
    .grad = grad,
    .flops = flops,
};

struct sqa_tensor *sqa_mean_rows(struct sqa_graph *g, struct sqa_tensor *x, struct sqa_tensor *lengths)
{
    struct sqa_tensor *const in[] = {x, lengths};
    char have[96];

    if (!sqa_ready(g, "mean_rows", 1, in))
        return NULL;
    if (lengths != NULL)
        return sqa_apply(g, &sqa_op_mean_rows, NULL, 0, 2, in);
    if (x->rank != 3)
        return sqa_graph_fail(g, SQA_SHAPE, "mean_rows: x is %s; give (B, L, D)", sqa_shape_text(x, have));
    return sqa_mean(g, x, 1u << 1, false);
}
