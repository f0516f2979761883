/*
 * add_layernorm.c - a sum and its layer or RMS normalisation in one pass
 *
 * s = a + b, y = norm(s) as layernorm.c has it; inputs a, b, gain, bias, outputs y, mean, rstd, s. engine/fuse.c puts
 * it in the place of an add that a norm follows.
 */
#include "engine/ops/norm.h"

struct job {
    const struct sqa_node *node;
    const struct sqa_kernels *k;
    int64_t n; /* numbers of a row */
};

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *a = n->in[0], *b = n->in[1];
    int64_t dim[SQA_MAX_RANK];
    char one[96], two[96];
    const enum sqa_status status = sqa_norm_check(n, 2, 3, err);

    if (status != SQA_OK)
        return status;
    if (a->dtype != b->dtype || !sqa_same_shape(a, b))
        return sqa_shape_fail(n, err, "a is %s, b %s; give two tensors of one type and shape", sqa_shape_text(a, one),
                              sqa_shape_text(b, two));
    memcpy(dim, a->dim, sizeof dim);
    sqa_set_output(n, 0, a->dtype, a->rank, dim);
    sqa_set_output(n, 3, a->dtype, a->rank, dim);
    dim[a->rank - 1] = 1;
    sqa_set_output(n, 1, a->dtype, a->rank, dim);
    sqa_set_output(n, 2, a->dtype, a->rank, dim);
    return SQA_OK;
}

static void rows_of(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    const struct sqa_norm_attr *a = j->node->attr;
    struct sqa_tensor *const *in = j->node->in, *const *out = j->node->out;
    const size_t size = j->k->size;
    const int64_t at = first * j->n;

    (void)thread;
    j->k->add_layernorm(sqa_at_const(sqa_data(in[0]), at, size), sqa_at_const(sqa_data(in[1]), at, size),
                        sqa_data_or_null(in[2]), sqa_data_or_null(in[3]), sqa_at(sqa_data(out[3]), at, size),
                        sqa_at(sqa_data(out[0]), at, size), sqa_at(sqa_data(out[1]), first, size),
                        sqa_at(sqa_data(out[2]), first, size), (size_t)count, (size_t)j->n, a->eps, a->rms);
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    const int64_t count = sqa_numel(n->in[0]);
    struct job j = {n, sqa_kernels_of(n->in[0]->dtype), n->in[0]->dim[n->in[0]->rank - 1]};

    if (count != 0)
        sqa_chunks(r, count / j.n, SQA_NORM_ROWS, 8 * (double)count, rows_of, &j);
}

static double flops(const struct sqa_node *n)
{
    return 8 * (double)sqa_numel(n->out[0]);
}

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    const struct sqa_norm_attr *a = n->attr;
    struct sqa_tensor *d[3] = {dy[3], NULL, NULL};

    if (dy[1] != NULL || dy[2] != NULL) {
        (void)sqa_graph_fail(g, SQA_UNSUPPORTED, "add_layernorm at %s: mean and rstd have no derivative; use y only",
                             n->path);
        return;
    }
    if (dy[0] != NULL)
        sqa_norm_grad(g, a->rms, n->out[3], n->in[2], n->in[3], n->out[1], n->out[2], dy[0], dy[3], d);
    dx[0] = dx[1] = d[0];
    dx[2] = d[1];
    dx[3] = d[2];
}

const struct sqa_op sqa_op_add_layernorm = {
    .name = "add_layernorm",
    .help = "s = a + b; y = (s - mean) / deviation * gain + bias of each row; rms: without the mean",
    .shape = shape,
    .run = run,
    .grad = grad,
    .flops = flops,
    .in_place = 3,
};

struct sqa_tensor *sqa_add_layernorm(struct sqa_graph *g, struct sqa_tensor *a, struct sqa_tensor *b,
                                     struct sqa_tensor *gain, struct sqa_tensor *bias, double eps, bool rms,
                                     struct sqa_tensor **sum)
{
    const struct sqa_norm_attr attr = {eps, rms};
    struct sqa_tensor *const in[] = {a, b, gain, bias};
    struct sqa_tensor *y;

    *sum = NULL;
    if (!sqa_ready(g, "add_layernorm", 2, in))
        return NULL;
    y = sqa_apply(g, &sqa_op_add_layernorm, &attr, sizeof attr, 4, in);
    if (y != NULL)
        *sum = y->node->out[3];
    return y;
}
