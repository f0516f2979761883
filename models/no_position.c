/*
 * no_position.c - no positions: order reaches the model through the mixer alone
 *
 * Computes  y = x
 * Shapes    x (B, L, D) -> y (B, L, D)
 * Cost      nothing
 * Source    a control, and the usual choice with recurrent mixers
 * Departs   nothing
 */
#include "models/model.h"

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    (void)self;
    (void)c;
    return x;
}

static double flops(const void *self, const struct sqa_context *c)
{
    (void)self;
    (void)c;
    return 0;
}

const struct sqa_variant sqa_variant_no_position = {
    .id = "no_position",
    .slot = SQA_SLOT_POSITION,
    .title = "No positions",
    .source = "a control; usual with recurrent mixers",
    .complexity = "nothing",
    .build = build,
    .flops = flops,
};
