/*
 * layernorm.c - layer and RMS normalisation of rows, and their fused gradient
 *
 * y = (x - mean) rstd gain + bias; outputs y, mean, rstd. rms: mean is 0 and rstd = (mean square + eps)^(-1/2).
 */
#include "engine/ops/norm.h"

struct job {
    const struct sqa_node *node;
    const struct sqa_kernels *k;
    int64_t n;              /* numbers of a row */
    unsigned char *partial; /* gradients of gain and bias of each chunk, 2 n numbers */
};

enum sqa_status sqa_norm_check(const struct sqa_node *n, int gain, int bias, struct sqa_err *err)
{
    const struct sqa_tensor *x = n->in[0];
    char have[96], other[96];

    if (!sqa_is_real(x) || x->rank < 1)
        return sqa_shape_fail(n, err, "x is %s %s; give real rows", sqa_dtype_name(x->dtype),
                              sqa_shape_text(x, have));
    for (int i = gain; i <= bias; i++) {
        const struct sqa_tensor *w = n->in[i];

        if (w != NULL && (w->rank != 1 || w->dim[0] != x->dim[x->rank - 1] || w->dtype != x->dtype))
            return sqa_shape_fail(n, err, "%s is %s, rows are of %s; give one number for each column",
                                  i == gain ? "gain" : "bias", sqa_shape_text(w, other), sqa_shape_text(x, have));
    }
    return SQA_OK;
}

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *x = n->in[0];
    int64_t dim[SQA_MAX_RANK];
    const enum sqa_status status = sqa_norm_check(n, 1, 2, err);

    if (status != SQA_OK)
        return status;
    memcpy(dim, x->dim, sizeof dim);
    sqa_set_output(n, 0, x->dtype, x->rank, dim);
    dim[x->rank - 1] = 1;
    sqa_set_output(n, 1, x->dtype, x->rank, dim);
    sqa_set_output(n, 2, x->dtype, x->rank, dim);
    return SQA_OK;
}

static void rows_of(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    const struct sqa_norm_attr *a = j->node->attr;
    struct sqa_tensor *const *in = j->node->in, *const *out = j->node->out;
    const size_t size = j->k->size;

    (void)thread;
    j->k->layernorm(sqa_at_const(sqa_data(in[0]), first * j->n, size), sqa_data_or_null(in[1]),
                    sqa_data_or_null(in[2]), sqa_at(sqa_data(out[0]), first * j->n, size),
                    sqa_at(sqa_data(out[1]), first, size), sqa_at(sqa_data(out[2]), first, size), (size_t)count,
                    (size_t)j->n, a->eps, a->rms);
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    const int64_t count = sqa_numel(n->in[0]);
    struct job j = {.node = n, .k = sqa_kernels_of(n->in[0]->dtype), .n = n->in[0]->dim[n->in[0]->rank - 1]};

    if (count != 0)
        sqa_chunks(r, count / j.n, SQA_NORM_ROWS, 7 * (double)count, rows_of, &j);
}

static double flops(const struct sqa_node *n)
{
    return 7 * (double)sqa_numel(n->out[0]);
}

/* layernorm_grad: inputs x, gain, mean, rstd, dy, and ds or none, which is added to dx; outputs dx, then dgain and
 * dbias, each only when wanted */

struct grad_attr {
    bool rms, gain, bias;
};

static enum sqa_status grad_shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct grad_attr *a = n->attr;
    const struct sqa_tensor *x = n->in[0];

    (void)err;
    sqa_set_output(n, 0, x->dtype, x->rank, x->dim);
    for (int i = 1; i <= a->gain + a->bias; i++)
        sqa_set_output(n, i, x->dtype, 1, &x->dim[x->rank - 1]);
    return SQA_OK;
}

static void grad_rows(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    const struct grad_attr *a = j->node->attr;
    struct sqa_tensor *const *in = j->node->in;
    const size_t size = j->k->size;
    unsigned char *partial = sqa_at(j->partial, first / SQA_NORM_ROWS * 2 * j->n, size);
    const void *x = sqa_at_const(sqa_data(in[0]), first * j->n, size), *gain = sqa_data_or_null(in[1]);
    const void *mean = sqa_at_const(sqa_data(in[2]), first, size), *rstd = sqa_at_const(sqa_data(in[3]), first, size);
    const void *dy = sqa_at_const(sqa_data(in[4]), first * j->n, size);
    const void *ds = in[5] != NULL ? sqa_at_const(sqa_data(in[5]), first * j->n, size) : NULL;
    void *dx = sqa_at(sqa_data(j->node->out[0]), first * j->n, size), *dgain = a->gain ? partial : NULL;
    void *dbias = a->bias ? sqa_at(partial, j->n, size) : NULL;

    (void)thread;
    j->k->layernorm_grad(x, gain, mean, rstd, dy, ds, dx, dgain, dbias, (size_t)count, (size_t)j->n, a->rms, 0);
}

static void grad_run(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct grad_attr *a = n->attr;
    const int64_t count = sqa_numel(n->in[0]);
    struct job j = {n, sqa_kernels_of(n->in[0]->dtype), n->in[0]->dim[n->in[0]->rank - 1], r->workspace};
    const int64_t rows = j.n == 0 ? 0 : count / j.n;

    sqa_chunks(r, rows, SQA_NORM_ROWS, 13 * (double)count, grad_rows, &j);
    for (int i = 0; i < a->gain + a->bias; i++)
        j.k->sum_rows(sqa_at_const(j.partial, i == 1 || !a->gain ? j.n : 0, j.k->size),
                      (size_t)((rows + SQA_NORM_ROWS - 1) / SQA_NORM_ROWS), (size_t)j.n, (size_t)(2 * j.n),
                      sqa_data(n->out[i + 1]), 0);
}

/* z = (x - mean) rstd: 2; g = dy gain: 1; their sums: 1 + 2; dx = rstd (g - mean(g) - z mean(g z)): 4; dgain 2, dbias
 * 1; ds 1 */
static double grad_flops(const struct sqa_node *n)
{
    return (n->in[5] == NULL ? 13 : 14) * (double)sqa_numel(n->in[0]);
}

static size_t grad_workspace(const struct sqa_node *n, int threads)
{
    const int64_t width = n->in[0]->dim[n->in[0]->rank - 1];
    const int64_t rows = width == 0 ? 0 : sqa_numel(n->in[0]) / width;

    (void)threads;
    return (size_t)((rows + SQA_NORM_ROWS - 1) / SQA_NORM_ROWS * 2 * width) * sqa_dtype_size(n->in[0]->dtype);
}

const struct sqa_op sqa_op_layernorm_grad = {
    .name = "layernorm_grad",
    .help = "gradients of x, gain and bias of layernorm",
    .shape = grad_shape,
    .run = grad_run,
    .flops = grad_flops,
    .workspace = grad_workspace,
    .tolerance = 1e-4,
};

void sqa_norm_grad(struct sqa_graph *g, bool rms, struct sqa_tensor *x, struct sqa_tensor *gain,
                   struct sqa_tensor *bias, struct sqa_tensor *mean, struct sqa_tensor *rstd, struct sqa_tensor *dy,
                   struct sqa_tensor *ds, struct sqa_tensor *dx[3])
{
    const struct grad_attr a = {rms, gain != NULL && gain->needs_grad, bias != NULL && bias->needs_grad};
    struct sqa_tensor *const in[] = {x, gain, mean, rstd, dy, ds};

    dx[0] = sqa_apply(g, &sqa_op_layernorm_grad, &a, sizeof a, 6, in);
    if (dx[0] == NULL)
        return;
    dx[1] = a.gain ? dx[0]->node->out[1] : NULL;
    dx[2] = a.bias ? dx[0]->node->out[1 + a.gain] : NULL;
}

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    const struct sqa_norm_attr *a = n->attr;

    if (dy[1] != NULL || dy[2] != NULL)
        (void)sqa_graph_fail(g, SQA_UNSUPPORTED, "layernorm at %s: mean and rstd have no derivative; use y only",
                             n->path);
    else
        sqa_norm_grad(g, a->rms, n->in[0], n->in[1], n->in[2], n->out[1], n->out[2], dy[0], NULL, dx);
}

const struct sqa_op sqa_op_layernorm = {
    .name = "layernorm",
    .help = "y = (x - mean) / deviation * gain + bias of each row; rms: without the mean",
    .shape = shape,
    .run = run,
    .grad = grad,
    .flops = flops,
};

struct sqa_tensor *sqa_layernorm(struct sqa_graph *g, struct sqa_tensor *x, struct sqa_tensor *gain,
                                 struct sqa_tensor *bias, double eps, bool rms)
{
    const struct sqa_norm_attr a = {eps, rms};
    struct sqa_tensor *const in[] = {x, gain, bias};

    if (!sqa_ready(g, "layernorm", 1, in))
        return NULL;
    return sqa_apply(g, &sqa_op_layernorm, &a, sizeof a, 3, in);
}
