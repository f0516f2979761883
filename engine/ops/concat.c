/* concat.c - tensors one after the other along an axis */
#include "engine/ops/support.h"

struct attr {
    int axis;
};

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct attr *a = n->attr;
    const struct sqa_tensor *x = n->in[0];
    int64_t dim[SQA_MAX_RANK], total = 0;
    char one[96], two[96];

    if (!sqa_axis_ok(x, a->axis))
        return sqa_shape_fail(n, err, "axis %d of %s; use 0 to rank - 1", a->axis, sqa_shape_text(x, one));
    for (int i = 0; i < n->nin; i++) {
        const struct sqa_tensor *z = n->in[i];
        bool fits = z->rank == x->rank && z->dtype == x->dtype;

        for (int d = 0; d < x->rank && fits; d++)
            fits = d == a->axis || z->dim[d] == x->dim[d];
        if (!fits)
            return sqa_shape_fail(n, err, "%s %s and %s %s; only axis %d may differ", sqa_dtype_name(x->dtype),
                                  sqa_shape_text(x, one), sqa_dtype_name(z->dtype), sqa_shape_text(z, two), a->axis);
        total += z->dim[a->axis];
    }
    for (int d = 0; d < x->rank; d++)
        dim[d] = d == a->axis ? total : x->dim[d];
    sqa_set_output(n, 0, x->dtype, x->rank, dim);
    return SQA_OK;
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct attr *a = n->attr;
    const struct sqa_tensor *y = n->out[0];
    const size_t size = sqa_dtype_size(y->dtype);
    int64_t at = 0;

    (void)r;
    for (int i = 0; i < n->nin; i++) {
        const struct sqa_tensor *x = n->in[i];

        if (sqa_numel(x) != 0)
            sqa_copy_block(size, x->rank, x->dim, sqa_data(x), x->stride,
                           sqa_at(sqa_data(y), at * y->stride[a->axis], size), y->stride);
        at += x->dim[a->axis];
    }
}

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    const struct attr *a = n->attr;
    int64_t at = 0;

    for (int i = 0; i < n->nin; i++) {
        if (n->in[i]->needs_grad)
            dx[i] = sqa_slice(g, dy[0], a->axis, at, n->in[i]->dim[a->axis]);
        at += n->in[i]->dim[a->axis];
    }
}

const struct sqa_op sqa_op_concat = {
    .name = "concat",
    .help = "tensors one after the other along an axis",
    .shape = shape,
    .run = run,
    .grad = grad,
    .strided = ~0u,
};

struct sqa_tensor *sqa_concat(struct sqa_graph *g, int axis, int n, struct sqa_tensor *const *x)
{
    const struct attr a = {axis};

    if (n < 1 || n > SQA_MAX_INPUTS)
        return sqa_graph_fail(g, SQA_SHAPE, "concat: %d tensors; give 1 to %d", n, SQA_MAX_INPUTS);
    if (!sqa_ready(g, "concat", n, x))
        return NULL;
    return sqa_apply(g, &sqa_op_concat, &a, sizeof a, n, x);
}
