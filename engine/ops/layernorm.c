/*
 * layernorm.c - layer and RMS normalisation of rows, and their fused gradient
 *
 * y = (x - mean) rstd gain + bias; outputs y, mean, rstd. rms: mean is 0 and rstd = (mean square + eps)^(-1/2).
 */
#include "engine/ops/support.h"

struct attr {
    double eps;
    bool rms;
};

enum { ROWS = 256 }; /* of a chunk */

struct job {
    const struct sqa_node *node;
    const struct sqa_kernels *k;
    int64_t n;              /* numbers of a row */
    unsigned char *partial; /* gradients of gain and bias of each chunk, 2 n numbers */
};

static const void *data_or_null(const struct sqa_tensor *t)
{
    return t != NULL ? sqa_data(t) : NULL;
}

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *x = n->in[0];
    int64_t dim[SQA_MAX_RANK];
    char have[96], other[96];

    if (!sqa_is_real(x) || x->rank < 1)
        return sqa_shape_fail(n, err, "x is %s %s; give real rows", sqa_dtype_name(x->dtype),
                              sqa_shape_text(x, have));
    for (int i = 1; i <= 2; i++) {
        const struct sqa_tensor *w = n->in[i];

        if (w != NULL && (w->rank != 1 || w->dim[0] != x->dim[x->rank - 1] || w->dtype != x->dtype))
            return sqa_shape_fail(n, err, "%s is %s, rows are of %s; give one number for each column",
                                  i == 1 ? "gain" : "bias", sqa_shape_text(w, other), sqa_shape_text(x, have));
    }
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
    const struct attr *a = j->node->attr;
    struct sqa_tensor *const *in = j->node->in, *const *out = j->node->out;
    const size_t size = j->k->size;

    (void)thread;
    j->k->layernorm(sqa_at_const(sqa_data(in[0]), first * j->n, size), data_or_null(in[1]), data_or_null(in[2]),
                    sqa_at(sqa_data(out[0]), first * j->n, size), sqa_at(sqa_data(out[1]), first, size),
                    sqa_at(sqa_data(out[2]), first, size), (size_t)count, (size_t)j->n, a->eps, a->rms);
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    const int64_t count = sqa_numel(n->in[0]);
    struct job j = {.node = n, .k = sqa_kernels_of(n->in[0]->dtype), .n = n->in[0]->dim[n->in[0]->rank - 1]};

    if (count != 0)
        sqa_chunks(r, count / j.n, ROWS, 7 * (double)count, rows_of, &j);
}

static double flops(const struct sqa_node *n)
{
    return 7 * (double)sqa_numel(n->out[0]);
}

/* layernorm_grad: inputs x, gain, mean, rstd, dy; outputs dx, then dgain and dbias, each only when wanted */

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
    unsigned char *partial = sqa_at(j->partial, first / ROWS * 2 * j->n, size);

    (void)thread;
    j->k->layernorm_grad(sqa_at_const(sqa_data(in[0]), first * j->n, size), data_or_null(in[1]),
                         sqa_at_const(sqa_data(in[2]), first, size), sqa_at_const(sqa_data(in[3]), first, size),
                         sqa_at_const(sqa_data(in[4]), first * j->n, size),
                         sqa_at(sqa_data(j->node->out[0]), first * j->n, size), a->gain ? partial : NULL,
                         a->bias ? sqa_at(partial, j->n, size) : NULL, (size_t)count, (size_t)j->n, a->rms, 0);
}

static void grad_run(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct grad_attr *a = n->attr;
    const int64_t count = sqa_numel(n->in[0]);
    struct job j = {n, sqa_kernels_of(n->in[0]->dtype), n->in[0]->dim[n->in[0]->rank - 1], r->workspace};
    const int64_t rows = j.n == 0 ? 0 : count / j.n;

    sqa_chunks(r, rows, ROWS, 13 * (double)count, grad_rows, &j);
    for (int i = 0; i < a->gain + a->bias; i++)
        j.k->sum_rows(sqa_at_const(j.partial, i == 1 || !a->gain ? j.n : 0, j.k->size),
                      (size_t)((rows + ROWS - 1) / ROWS), (size_t)j.n, (size_t)(2 * j.n), sqa_data(n->out[i + 1]), 0);
}

/* z = (x - mean) rstd: 2; g = dy gain: 1; their sums: 1 + 2; dx = rstd (g - mean(g) - z mean(g z)): 4; dgain 2, dbias
 * 1 */
static double grad_flops(const struct sqa_node *n)
{
    return 13 * (double)sqa_numel(n->in[0]);
}

static size_t grad_workspace(const struct sqa_node *n, int threads)
{
    const int64_t width = n->in[0]->dim[n->in[0]->rank - 1];
    const int64_t rows = width == 0 ? 0 : sqa_numel(n->in[0]) / width;

    (void)threads;
    return (size_t)((rows + ROWS - 1) / ROWS * 2 * width) * sqa_dtype_size(n->in[0]->dtype);
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

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    const struct attr *a = n->attr;
    const struct grad_attr ga = {a->rms, n->in[1] != NULL && n->in[1]->needs_grad,
                                 n->in[2] != NULL && n->in[2]->needs_grad};
    struct sqa_tensor *const in[] = {n->in[0], n->in[1], n->out[1], n->out[2], dy[0]};
    struct sqa_tensor *d;

    if (dy[1] != NULL || dy[2] != NULL) {
        (void)sqa_graph_fail(g, SQA_UNSUPPORTED, "layernorm at %s: mean and rstd have no derivative; use y only",
                             n->path);
        return;
    }
    d = sqa_apply(g, &sqa_op_layernorm_grad, &ga, sizeof ga, 5, in);
    if (d == NULL)
        return;
    dx[0] = d;
    dx[1] = ga.gain ? d->node->out[1] : NULL;
    dx[2] = ga.bias ? d->node->out[1 + ga.gain] : NULL;
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
    const struct attr a = {eps, rms};
    struct sqa_tensor *const in[] = {x, gain, bias};

    if (!sqa_ready(g, "layernorm", 1, in))
        return NULL;
    return sqa_apply(g, &sqa_op_layernorm, &a, sizeof a, 3, in);
}
