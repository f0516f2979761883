/* permute.c - axes in another order; a view */
#include "engine/ops/support.h"

struct attr {
    int order[SQA_MAX_RANK];
};

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct attr *a = n->attr;
    const struct sqa_tensor *x = n->in[0];
    int64_t dim[SQA_MAX_RANK];
    unsigned seen = 0;
    char have[96];

    for (int i = 0; i < x->rank; i++) {
        if (!sqa_axis_ok(x, a->order[i]) || (seen >> a->order[i] & 1))
            return sqa_shape_fail(n, err, "axis %d at place %d of the order of %s; name every axis once", a->order[i],
                                  i, sqa_shape_text(x, have));
        seen |= 1u << a->order[i];
        dim[i] = x->dim[a->order[i]];
    }
    sqa_set_output(n, 0, x->dtype, x->rank, dim);
    for (int i = 0; i < x->rank; i++)
        n->out[0]->stride[i] = x->stride[a->order[i]];
    n->out[0]->offset = x->offset;
    return SQA_OK;
}

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    const struct attr *a = n->attr;
    int inverse[SQA_MAX_RANK] = {0};

    for (int i = 0; i < n->in[0]->rank; i++)
        inverse[a->order[i]] = i;
    dx[0] = sqa_permute(g, dy[0], inverse);
}

const struct sqa_op sqa_op_permute = {
    .name = "permute",
    .help = "axes in another order",
    .shape = shape,
    .grad = grad,
    .strided = 1,
    .flags = SQA_OP_VIEW,
};

struct sqa_tensor *sqa_permute(struct sqa_graph *g, struct sqa_tensor *x, const int *order)
{
    struct attr a = {{0}};

    if (!sqa_ready(g, "permute", 1, &x))
        return NULL;
    for (int i = 0; i < x->rank; i++)
        a.order[i] = order[i];
    return sqa_apply(g, &sqa_op_permute, &a, sizeof a, 1, &x);
}

struct sqa_tensor *sqa_transpose(struct sqa_graph *g, struct sqa_tensor *x, int a, int b)
{
    int order[SQA_MAX_RANK] = {0, 1, 2, 3, 4, 5};
    char have[96];

    if (!sqa_ready(g, "transpose", 1, &x))
        return NULL;
    if (!sqa_axis_ok(x, a) || !sqa_axis_ok(x, b))
        return sqa_graph_fail(g, SQA_SHAPE, "transpose: axes %d and %d of %s; use 0 to rank - 1", a, b,
                              sqa_shape_text(x, have));
    order[a] = b;
    order[b] = a;
    return sqa_permute(g, x, order);
}
