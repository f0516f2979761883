/* broadcast.c - numpy's rule: dims aligned at the right, 1 becomes any; a view with strides of 0 */
#include "engine/ops/support.h"

struct attr {
    int rank;
    int64_t dim[SQA_MAX_RANK];
};

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct attr *a = n->attr;
    const struct sqa_tensor *x = n->in[0];
    struct sqa_tensor wanted = {.rank = a->rank};
    const int lead = a->rank - x->rank;
    bool fits = lead >= 0;
    char have[96], want[96];

    memcpy(wanted.dim, a->dim, sizeof wanted.dim);
    for (int i = 0; i < x->rank && fits; i++)
        fits = x->dim[i] == 1 || x->dim[i] == a->dim[lead + i];
    if (!fits)
        return sqa_shape_fail(n, err, "%s does not broadcast to %s; align dims at the right, only 1 may grow",
                              sqa_shape_text(x, have), sqa_shape_text(&wanted, want));
    sqa_set_output(n, 0, x->dtype, a->rank, a->dim);
    for (int i = 0; i < a->rank; i++)
        n->out[0]->stride[i] = i < lead || x->dim[i - lead] == 1 ? 0 : x->stride[i - lead];
    n->out[0]->offset = x->offset;
    return SQA_OK;
}

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    dx[0] = sqa_sum_to(g, dy[0], n->in[0]->rank, n->in[0]->dim);
}

const struct sqa_op sqa_op_broadcast = {
    .name = "broadcast",
    .help = "repeats along dims of 1, numpy's rule",
    .shape = shape,
    .grad = grad,
    .strided = 1,
    .flags = SQA_OP_VIEW,
};

struct sqa_tensor *sqa_broadcast(struct sqa_graph *g, struct sqa_tensor *x, int rank, const int64_t *dim)
{
    struct attr a = {.rank = rank};

    if (!sqa_ready(g, "broadcast", 1, &x))
        return NULL;
    if (rank < 0 || rank > SQA_MAX_RANK)
        return sqa_graph_fail(g, SQA_SHAPE, "broadcast: rank %d; use 0 to %d", rank, SQA_MAX_RANK);
    for (int i = 0; i < rank; i++)
        a.dim[i] = dim[i];
    return sqa_apply(g, &sqa_op_broadcast, &a, sizeof a, 1, &x);
}
