/*
 * first.c - the first position
 *
 * Computes  y[b] = x[b, 0]
 * Shapes    x (B, L, D) -> y (B, D)
 * Cost      nothing
 * Source    google-research/long-range-arena: classifier_head_dual with pooling CLS, where no vector was put in front
 *           (see cls)
 * Departs   nothing
 */
#include "models/model.h"

static enum sqa_status check(const void *self, const struct sqa_frame *frame, const struct sqa_signature *task,
                             struct sqa_err *err)
{
    (void)self;
    (void)task;
    if (!frame->causal)
        return SQA_OK;
    return sqa_fail(err, SQA_UNSUPPORTED,
                    "first: with causal=1 the first position sees no other; use +pool=last or +pool=mean");
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    (void)self;
    return sqa_reshape(c->g, sqa_slice(c->g, x, 1, 0, 1), SQA_DIMS(c->batch, c->frame.dim));
}

static double flops(const void *self, const struct sqa_context *c)
{
    (void)self;
    (void)c;
    return 0;
}

const struct sqa_variant sqa_variant_first = {
    .id = "first",
    .slot = SQA_SLOT_POOL,
    .title = "The first position",
    .source = "google-research/long-range-arena, classifier_head_dual",
    .complexity = "nothing",
    .check = check,
    .build = build,
    .flops = flops,
};
