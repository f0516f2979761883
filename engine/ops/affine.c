/* affine.c - y = a x + b for two fixed numbers */
#include "engine/ops/support.h"

struct attr {
    double a, b;
};

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    char have[96];

    if (!sqa_is_real(n->in[0]))
        return sqa_shape_fail(n, err, "x is %s %s; give real numbers", sqa_dtype_name(n->in[0]->dtype),
                              sqa_shape_text(n->in[0], have));
    sqa_set_output(n, 0, n->in[0]->dtype, n->in[0]->rank, n->in[0]->dim);
    return SQA_OK;
}

static void piece(const void *ctx, const struct sqa_kernels *k, const void *const *in, unsigned constant, void *out,
                  size_t n)
{
    const struct attr *a = ctx;

    (void)constant;
    k->affine(a->a, in[0], a->b, out, n);
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    sqa_map(n, r, 0, piece, n->attr);
}

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    const struct attr *a = n->attr;

    dx[0] = a->a == 1 ? dy[0] : sqa_affine(g, a->a, dy[0], 0);
}

static double flops(const struct sqa_node *n)
{
    return 2 * (double)sqa_numel(n->out[0]);
}

const struct sqa_op sqa_op_affine = {
    .name = "affine",
    .help = "y = a x + b",
    .shape = shape,
    .run = run,
    .grad = grad,
    .flops = flops,
    .in_place = 1,
    .strided = 1,
};

struct sqa_tensor *sqa_affine(struct sqa_graph *g, double a, struct sqa_tensor *x, double b)
{
    const struct attr attr = {a, b};

    if (!sqa_ready(g, "affine", 1, &x))
        return NULL;
    return sqa_apply(g, &sqa_op_affine, &attr, sizeof attr, 1, &x);
}
