/* slice.c - a range of one axis; a view */
#include "engine/ops/support.h"

struct attr {
    int axis;
    int64_t start, count;
};

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct attr *a = n->attr;
    const struct sqa_tensor *x = n->in[0];
    int64_t dim[SQA_MAX_RANK];
    char have[96];

    if (!sqa_axis_ok(x, a->axis) || a->start < 0 || a->count < 0 || a->start > x->dim[a->axis] - a->count)
        return sqa_shape_fail(n, err, "%lld elements from %lld along axis %d of %s; stay within the axis",
                              (long long)a->count, (long long)a->start, a->axis, sqa_shape_text(x, have));
    for (int i = 0; i < x->rank; i++)
        dim[i] = i == a->axis ? a->count : x->dim[i];
    sqa_set_output(n, 0, x->dtype, x->rank, dim);
    for (int i = 0; i < x->rank; i++)
        n->out[0]->stride[i] = x->stride[i];
    n->out[0]->offset = x->offset + a->start * x->stride[a->axis];
    return SQA_OK;
}

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    const struct attr *a = n->attr;

    dx[0] = sqa_pad(g, dy[0], a->axis, a->start, n->in[0]->dim[a->axis] - a->start - a->count);
}

const struct sqa_op sqa_op_slice = {
    .name = "slice",
    .help = "elements start to start + count - 1 of an axis",
    .shape = shape,
    .grad = grad,
    .strided = 1,
    .flags = SQA_OP_VIEW,
};

struct sqa_tensor *sqa_slice(struct sqa_graph *g, struct sqa_tensor *x, int axis, int64_t start, int64_t count)
{
    const struct attr a = {axis, start, count};

    if (!sqa_ready(g, "slice", 1, &x))
        return NULL;
    return sqa_apply(g, &sqa_op_slice, &a, sizeof a, 1, &x);
}
