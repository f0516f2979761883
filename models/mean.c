/*
 * mean.c - mean over the valid positions
 *
 * Computes  y[b] = 1 / n_b sum_{t < n_b} x[b,t], n_b the true length of row b
 * Shapes    x (B, L, D) -> y (B, D)
 * Cost      O(B L D) flops, counted by the op
 * Source    the lite protocol (mlpen/Nystromformer, LRA/code)
 * Departs   from the lite protocol, which divides by the padded length: there a prediction depends on the padding of
 *           its batch, here it does not
 */
#include "models/model.h"

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    (void)self;
    return sqa_mean_rows(c->g, x, c->lengths);
}

const struct sqa_variant sqa_variant_mean = {
    .id = "mean",
    .slot = SQA_SLOT_POOL,
    .title = "Mean over positions",
    .source = "the lite protocol (mlpen/Nystromformer)",
    .complexity = "O(L D) time",
    .build = build,
};
