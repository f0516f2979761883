/*
 * prenorm.c - residual block with the norms inside the branches
 *
 * Computes  h = x + dropout(mixer(norm1(x))), y = h + channel(norm2(h)); the last block returns final_norm(y)
 * Shapes    x (B, L, D) -> y (B, L, D)
 * Cost      2 B L D flops for the sums, and its parts
 * Source    Xiong et al. 2020, arXiv:2002.04745, figure 1b; final norm as in the lite protocol (mlpen/Nystromformer)
 * Departs   nothing; without a channel part y = h (the channel has its own last dropout)
 */
#include "models/model.h"

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    (void)self;
    sqa_stream_put(c, "residual", x);
    struct sqa_tensor *mixed = sqa_build_mixer(c, sqa_build_norm(c, "norm1", x));
    struct sqa_tensor *h = sqa_add(c->g, x, sqa_dropout(c->g, mixed, c->frame.dropout));
    struct sqa_tensor *y = h;
    if (sqa_has_channel(c))
        y = sqa_add(c->g, h, sqa_build_channel(c, sqa_build_norm(c, "norm2", h)));
    return c->layer + 1 == c->frame.layers ? sqa_build_norm(c, "final_norm", y) : y;
}

const struct sqa_variant sqa_variant_prenorm = {
    .id = "prenorm",
    .slot = SQA_SLOT_RESIDUAL,
    .title = "Pre-norm residual block",
    .source = "Xiong et al. 2020, arXiv:2002.04745, figure 1b",
    .complexity = "O(L D) time beside its parts",
    .build = build,
};
