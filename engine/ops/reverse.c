/* reverse.c - an axis back to front */
#include "engine/ops/support.h"

struct attr {
    int axis;
};

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct attr *a = n->attr;
    char have[96];

    if (!sqa_axis_ok(n->in[0], a->axis))
        return sqa_shape_fail(n, err, "axis %d of %s; use 0 to rank - 1", a->axis, sqa_shape_text(n->in[0], have));
    sqa_set_output(n, 0, n->in[0]->dtype, n->in[0]->rank, n->in[0]->dim);
    return SQA_OK;
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct attr *a = n->attr;
    const struct sqa_tensor *x = n->in[0], *y = n->out[0];
    const size_t size = sqa_dtype_size(y->dtype);
    int64_t stride[SQA_MAX_RANK];

    (void)r;
    if (sqa_numel(x) == 0)
        return;
    memcpy(stride, x->stride, sizeof stride);
    stride[a->axis] = -stride[a->axis];
    sqa_copy_block(size, x->rank, x->dim, sqa_at_const(sqa_data(x), (x->dim[a->axis] - 1) * x->stride[a->axis], size),
                   stride, sqa_data(y), y->stride);
}

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    const struct attr *a = n->attr;

    dx[0] = sqa_reverse(g, dy[0], a->axis);
}

const struct sqa_op sqa_op_reverse = {
    .name = "reverse",
    .help = "an axis back to front",
    .shape = shape,
    .run = run,
    .grad = grad,
    .strided = 1,
};

struct sqa_tensor *sqa_reverse(struct sqa_graph *g, struct sqa_tensor *x, int axis)
{
    const struct attr a = {axis};

    if (!sqa_ready(g, "reverse", 1, &x))
        return NULL;
    return sqa_apply(g, &sqa_op_reverse, &a, sizeof a, 1, &x);
}
