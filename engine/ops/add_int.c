/* add_int.c - whole numbers and a constant: true lengths of rows that grew */
#include "engine/ops/support.h"

struct attr {
    int32_t more;
};

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *x = n->in[0];
    char have[96];

    if (x->dtype != SQA_I32)
        return sqa_shape_fail(n, err, "x is %s %s; give i32", sqa_dtype_name(x->dtype), sqa_shape_text(x, have));
    sqa_set_output(n, 0, SQA_I32, x->rank, x->dim);
    return SQA_OK;
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct attr *a = n->attr;
    const int32_t *x = sqa_data(n->in[0]);
    int32_t *y = sqa_data(n->out[0]);
    const int64_t count = sqa_numel(n->in[0]);

    (void)r;
    for (int64_t i = 0; i < count; i++)
        y[i] = x[i] + a->more;
}

const struct sqa_op sqa_op_add_int = {
    .name = "add_int",
    .help = "y = x + n for whole numbers",
    .shape = shape,
    .run = run,
    .in_place = 1,
};

struct sqa_tensor *sqa_add_int(struct sqa_graph *g, struct sqa_tensor *x, int32_t more)
{
    const struct attr a = {more};

    if (!sqa_ready(g, "add_int", 1, &x))
        return NULL;
    return sqa_apply(g, &sqa_op_add_int, &a, sizeof a, 1, &x);
}
