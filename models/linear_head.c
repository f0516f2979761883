/*
 * linear_head.c - one linear layer as head
 *
 * Computes  y = x W + b
 * Shapes    x (B, D) -> logits (B, classes), or forecast (B, horizon, outputs); tags: x (B, L, D) -> (B, L, classes)
 * Cost      B (2 D n + n) flops for n outputs; tags: B L rows
 * Source    usual
 * Departs   nothing
 */
#include "models/model.h"

static int64_t outputs(const struct sqa_signature *task)
{
    return task->kind == SQA_FORECAST ? task->horizon * task->outputs : task->classes;
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    (void)self;
    const struct sqa_signature *task = c->task;
    struct sqa_tensor *y = sqa_dense_layer(c, "out", x, outputs(task), true);
    return task->kind == SQA_FORECAST ? sqa_reshape(c->g, y, SQA_DIMS(c->batch, task->horizon, task->outputs)) : y;
}

static double flops(const void *self, const struct sqa_context *c)
{
    (void)self;
    return (double)sqa_head_rows(c) * (double)outputs(c->task) * (2 * (double)sqa_head_width(c) + 1);
}

const struct sqa_variant sqa_variant_linear_head = {
    .id = "linear_head",
    .slot = SQA_SLOT_HEAD,
    .title = "Linear head",
    .source = "usual",
    .complexity = "O(D) time",
    .build = build,
    .flops = flops,
};
