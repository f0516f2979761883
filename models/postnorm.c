/*
 * postnorm.c - residual block with the norms after the sums
 *
 * Computes  h = norm1(x + dropout(mixer(x))), y = norm2(h + channel(h))
 * Shapes    x (B, L, D) -> y (B, L, D)
 * Cost      2 B L D flops for the sums, and its parts
 * Source    Vaswani et al. 2017, arXiv:1706.03762, section 3.1
 * Departs   nothing; without a channel part y = h
 */
#include "models/model.h"

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    (void)self;
    sqa_stream_put(c, "residual", x);
    struct sqa_tensor *mixed = sqa_dropout(c->g, sqa_build_mixer(c, x), c->frame.dropout);
    struct sqa_tensor *h = sqa_build_norm(c, "norm1", sqa_add(c->g, x, mixed));
    return !sqa_has_channel(c) ? h : sqa_build_norm(c, "norm2", sqa_add(c->g, h, sqa_build_channel(c, h)));
}

const struct sqa_variant sqa_variant_postnorm = {
    .id = "postnorm",
    .slot = SQA_SLOT_RESIDUAL,
    .title = "Post-norm residual block",
    .source = "Vaswani et al. 2017, arXiv:1706.03762, section 3.1",
    .complexity = "O(L D) time beside its parts",
    .build = build,
};
