/* reshape.c - the same numbers in order under another shape; a view of a dense tensor */
#include "engine/ops/support.h"

struct attr {
    int rank;
    int64_t dim[SQA_MAX_RANK];
};

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct attr *a = n->attr;
    const int64_t count = sqa_numel(n->in[0]);
    struct sqa_tensor wanted = {.rank = a->rank};
    int64_t known = 1;
    int open = -1;
    char have[96], want[96];

    for (int i = 0; i < a->rank; i++) {
        wanted.dim[i] = a->dim[i];
        if (a->dim[i] == -1 && open < 0)
            open = i;
        else
            known *= a->dim[i];
    }
    if (open >= 0 && known > 0)
        wanted.dim[open] = count / known;
    if (known < 0 || sqa_numel(&wanted) != count || (open >= 0 && known == 0)) {
        if (open >= 0)
            wanted.dim[open] = -1;
        return sqa_shape_fail(n, err, "%s does not become %s; the numbers of elements must agree",
                              sqa_shape_text(n->in[0], have), sqa_shape_text(&wanted, want));
    }
    sqa_set_output(n, 0, n->in[0]->dtype, a->rank, wanted.dim);
    n->out[0]->offset = n->in[0]->offset;
    return SQA_OK;
}

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    dx[0] = sqa_reshape(g, dy[0], n->in[0]->rank, n->in[0]->dim);
}

const struct sqa_op sqa_op_reshape = {
    .name = "reshape",
    .help = "the same numbers in order under another shape",
    .shape = shape,
    .grad = grad,
    .flags = SQA_OP_VIEW,
};

struct sqa_tensor *sqa_reshape(struct sqa_graph *g, struct sqa_tensor *x, int rank, const int64_t *dim)
{
    struct attr a = {.rank = rank};

    if (!sqa_ready(g, "reshape", 1, &x))
        return NULL;
    if (rank < 0 || rank > SQA_MAX_RANK)
        return sqa_graph_fail(g, SQA_SHAPE, "reshape: rank %d; use 0 to %d", rank, SQA_MAX_RANK);
    for (int i = 0; i < rank; i++)
        a.dim[i] = dim[i];
    x = sqa_dense(g, x);
    return sqa_apply(g, &sqa_op_reshape, &a, sizeof a, 1, &x);
}
