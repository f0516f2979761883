/*
 * identity_norm.c - no normalisation
 *
 * Computes  y = x
 * Shapes    x (B, L, D) -> y (B, L, D)
 * Cost      nothing
 * Source    a control: what the norm contributes
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

const struct sqa_variant sqa_variant_identity_norm = {
    .id = "identity_norm",
    .slot = SQA_SLOT_NORM,
    .title = "No norm",
    .source = "a control",
    .complexity = "nothing",
    .traits = SQA_TRAIT_CONTROL,
    .build = build,
    .flops = flops,
};
