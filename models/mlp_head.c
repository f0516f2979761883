/*
 * mlp_head.c - two-layer head
 *
 * Computes  y = relu(x W1 + b1) W2 + b2; with second > 0 one layer of that width between them, with relu
 * Shapes    x (B, D) -> logits (B, classes), or forecast (B, horizon, outputs); tags: x (B, L, D) -> (B, L, classes);
 *           W1 (D, F), F = hidden, or ffn of the frame
 * Cost      B (2 D F + 2 F + 2 F n + n) flops for n outputs; with a second layer of G: 2 F G + 2 G more, and 2 G n
 *           for 2 F n; tags: B L rows
 * Source    the lite protocol (mlpen/Nystromformer, LRA/code)
 * Departs   nothing
 */
#include "models/model.h"

struct self {
    int64_t hidden, second;
};

static const struct sqa_param params[] = {
    {"hidden", "hidden width; 0: ffn of the frame", SQA_PARAM_INT, "0", 0, 1 << 20,
     .offset = offsetof(struct self, hidden)},
    {"second", "width of a second hidden layer; 0: none (LRA's code for pairs: half the first)", SQA_PARAM_INT, "0",
     0, 1 << 20, .offset = offsetof(struct self, second)},
    {.name = NULL},
};

static int64_t hidden(const struct self *s, const struct sqa_context *c)
{
    return s->hidden > 0 ? s->hidden : c->frame.ffn;
}

static int64_t outputs(const struct sqa_signature *task)
{
    return task->kind == SQA_FORECAST ? task->horizon * task->outputs : task->classes;
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    const struct self *s = self;
    const struct sqa_signature *task = c->task;
    struct sqa_tensor *h = sqa_dense_layer_act(c, "in", x, hidden(s, c), true, SQA_UNARY_RELU);
    if (s->second > 0)
        h = sqa_dense_layer_act(c, "second", h, s->second, true, SQA_UNARY_RELU);
    struct sqa_tensor *y = sqa_dense_layer(c, "out", h, outputs(task), true);
    return task->kind == SQA_FORECAST ? sqa_reshape(c->g, y, SQA_DIMS(c->batch, task->horizon, task->outputs)) : y;
}

static double flops(const void *self, const struct sqa_context *c)
{
    const struct self *s = self;
    const double d = (double)sqa_head_width(c), f = (double)hidden(s, c), n = (double)outputs(c->task);
    const double g = (double)s->second, last = s->second > 0 ? g : f;
    return (double)sqa_head_rows(c) * (2 * d * f + 2 * f + 2 * f * g + 2 * g + 2 * last * n + n);
}

const struct sqa_variant sqa_variant_mlp_head = {
    .id = "mlp_head",
    .slot = SQA_SLOT_HEAD,
    .title = "Two-layer head",
    .source = "the lite protocol (mlpen/Nystromformer); google-research/long-range-arena, classifier_head",
    .complexity = "O(D F) time",
    .params = params,
    .self_size = sizeof(struct self),
    .build = build,
    .flops = flops,
};
