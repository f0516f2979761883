/* fill.c - y = v everywhere */
#include "engine/ops/support.h"

struct attr {
    double v;
    enum sqa_dtype dtype;
    int rank;
    int64_t dim[SQA_MAX_RANK];
};

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct attr *a = n->attr;

    (void)err;
    sqa_set_output(n, 0, a->dtype, a->rank, a->dim);
    return SQA_OK;
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct attr *a = n->attr;
    const int64_t count = sqa_numel(n->out[0]);
    float *f = sqa_data(n->out[0]);
    double *d = sqa_data(n->out[0]);

    (void)r;
    for (int64_t i = 0; i < count && a->dtype == SQA_F32; i++)
        f[i] = (float)a->v;
    for (int64_t i = 0; i < count && a->dtype == SQA_F64; i++)
        d[i] = a->v;
}

const struct sqa_op sqa_op_fill = {
    .name = "fill",
    .help = "y = v, a constant",
    .shape = shape,
    .run = run,
};

struct sqa_tensor *sqa_fill(struct sqa_graph *g, double v, int rank, const int64_t *dim)
{
    struct attr a = {.v = v, .dtype = g->real, .rank = rank};

    if (rank < 0 || rank > SQA_MAX_RANK)
        return sqa_graph_fail(g, SQA_SHAPE, "fill: rank %d; use 0 to %d", rank, SQA_MAX_RANK);
    for (int i = 0; i < rank; i++)
        a.dim[i] = dim[i];
    return sqa_apply(g, &sqa_op_fill, &a, sizeof a, 0, NULL);
}
