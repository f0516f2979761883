/*
 * mlp.c - the two-layer perceptron of the Transformer block
 *
 * Computes  y = dropout(dropout(gelu(x W1 + b1)) W2 + b2)
 * Shapes    x (B, L, D) -> y (B, L, D); W1 (D, F), W2 (F, D), F = ffn of the frame
 * Cost      B L (4 D F + 2 F + D) flops
 * Source    Vaswani et al. 2017, arXiv:1706.03762, section 3.3; GELU as in the lite protocol (mlpen/Nystromformer)
 * Departs   GELU (exact) in place of ReLU; Xavier-uniform weights and zero biases
 */
#include "models/model.h"

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    (void)self;
    struct sqa_tensor *h = sqa_dense_layer_act(c, "in", x, c->frame.ffn, true, SQA_UNARY_GELU);
    h = sqa_dropout(c->g, h, c->frame.dropout);
    return sqa_dropout(c->g, sqa_dense_layer(c, "out", h, c->frame.dim, true), c->frame.dropout);
}

static double flops(const void *self, const struct sqa_context *c)
{
    (void)self;
    const double d = (double)c->frame.dim, f = (double)c->frame.ffn;
    return (double)c->batch * (double)c->length * (4 * d * f + 2 * f + d);
}

const struct sqa_variant sqa_variant_mlp = {
    .id = "mlp",
    .slot = SQA_SLOT_CHANNEL,
    .title = "MLP with GELU",
    .source = "Vaswani et al. 2017, arXiv:1706.03762, section 3.3",
    .complexity = "O(L D F) time",
    .build = build,
    .flops = flops,
};
