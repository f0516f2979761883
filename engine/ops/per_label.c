/* per_label.c - 1 / number of labels, the weight of each in a mean over labelled positions */
#include "engine/ops/support.h"

struct attr {
    enum sqa_dtype dtype;
};

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct attr *a = n->attr;
    const struct sqa_tensor *label = n->in[0];
    char have[96];

    if (label->dtype != SQA_I32)
        return sqa_shape_fail(n, err, "labels are %s %s; give i32", sqa_dtype_name(label->dtype),
                              sqa_shape_text(label, have));
    sqa_set_output(n, 0, a->dtype, 0, NULL);
    return SQA_OK;
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    const int32_t *label = sqa_data(n->in[0]);
    const int64_t count = sqa_numel(n->in[0]);
    int64_t labels = 0;

    (void)r;
    for (int64_t i = 0; i < count; i++)
        labels += label[i] >= 0;
    sqa_real_set(n->out[0]->dtype, sqa_data(n->out[0]), 1 / (double)sqa_max64(1, labels));
}

const struct sqa_op sqa_op_per_label = {
    .name = "per_label",
    .help = "y = 1 / number of labels that are not negative; 1 when there is none",
    .shape = shape,
    .run = run,
};

struct sqa_tensor *sqa_per_label(struct sqa_graph *g, struct sqa_tensor *labels)
{
    const struct attr a = {g->real};

    if (!sqa_ready(g, "per_label", 1, &labels))
        return NULL;
    return sqa_apply(g, &sqa_op_per_label, &a, sizeof a, 1, &labels);
}
