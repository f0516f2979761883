/* glu.c - gated linear unit: y = a sigmoid(b) for rows (a, b); and its gradient */
#include "engine/ops/support.h"

enum { ROWS = 64, X = 0, DY = 1 };

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *x = n->in[X];
    int64_t dim[SQA_MAX_RANK];
    char have[96];

    if (!sqa_is_real(x) || x->rank < 1 || x->dim[x->rank - 1] % 2 != 0)
        return sqa_shape_fail(n, err, "x is %s %s; give real rows of an even width", sqa_dtype_name(x->dtype),
                              sqa_shape_text(x, have));
    memcpy(dim, x->dim, sizeof dim);
    if (n->nin == 1)
        dim[x->rank - 1] /= 2;
    sqa_set_output(n, 0, x->dtype, x->rank, dim);
    return SQA_OK;
}

static void piece(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct sqa_node *n = ctx;
    const struct sqa_tensor *x = n->in[X];
    const struct sqa_kernels *k = sqa_kernels_of(x->dtype);
    const int64_t width = x->dim[x->rank - 1] / 2;
    const void *row = sqa_at_const(sqa_data(x), first * 2 * width, k->size);

    (void)thread;
    if (n->nin == 1)
        k->glu(row, sqa_at(sqa_data(n->out[0]), first * width, k->size), (size_t)count, (size_t)width);
    else
        k->glu_grad(row, sqa_at_const(sqa_data(n->in[DY]), first * width, k->size),
                    sqa_at(sqa_data(n->out[0]), first * 2 * width, k->size), (size_t)count, (size_t)width);
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct sqa_tensor *x = n->in[X];
    const int64_t all = sqa_numel(x);

    if (all != 0)
        sqa_chunks(r, all / x->dim[x->rank - 1], ROWS, (double)all, piece, (void *)(uintptr_t)n);
}

static double bwd_flops(const struct sqa_node *n)
{
    return 2.5 * (double)sqa_numel(n->out[0]);
}

static double flops(const struct sqa_node *n)
{
    return 2 * (double)sqa_numel(n->out[0]);
}

const struct sqa_op sqa_op_glu_bwd = {
    .name = "glu_bwd",
    .help = "gradient of glu",
    .shape = shape,
    .run = run,
    .flops = bwd_flops,
    .in_place = 1 << X,
};

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    struct sqa_tensor *const in[] = {n->in[X], dy[0]};

    dx[0] = sqa_apply(g, &sqa_op_glu_bwd, NULL, 0, 2, in);
}

const struct sqa_op sqa_op_glu = {
    .name = "glu",
    .help = "y = a sigmoid(b) for rows (a, b)",
    .shape = shape,
    .run = run,
    .grad = grad,
    .flops = flops,
};

struct sqa_tensor *sqa_glu(struct sqa_graph *g, struct sqa_tensor *x)
{
    if (!sqa_ready(g, "glu", 1, &x))
        return NULL;
    return sqa_apply(g, &sqa_op_glu, NULL, 0, 1, &x);
}
