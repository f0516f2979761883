/*
 * swiglu.c - gated linear unit with SiLU
 *
 * Computes  y = dropout((silu(x W) * (x V)) W2), no biases
 * Shapes    x (B, L, D) -> y (B, L, D); W, V (D, F), W2 (F, D)
 * Cost      B L (6 D F + 2 F) flops
 * Source    Shazeer 2020, arXiv:2002.05202, equation 6
 * Departs   F = 2/3 ffn (so that the parameters are those of mlp) is rounded up to a multiple of 8
 */
#include "models/model.h"

struct self {
    int64_t hidden;
};

static const struct sqa_param params[] = {{"hidden",
                                           "hidden width; 0: two thirds of ffn, rounded up to a multiple of 8",
                                           SQA_PARAM_INT, "0", 0, 1 << 20, offsetof(struct self, hidden), NULL},
                                          {.name = NULL}};

static int64_t hidden(const struct self *s, const struct sqa_context *c)
{
    return s->hidden ? s->hidden : (2 * c->frame.ffn + 23) / 24 * 8;
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    const int64_t f = hidden(self, c);
    const struct sqa_dense_spec layer[2] = {{"gate", f, false, SQA_UNARY_SILU}, {"in", f, false, SQA_UNARY_N}};
    struct sqa_tensor *h[2];
    sqa_dense_layers(c, 2, layer, x, h);
    h[0] = sqa_mul(c->g, h[0], h[1]);
    return sqa_dropout(c->g, sqa_dense_layer(c, "out", h[0], c->frame.dim, false), c->frame.dropout);
}

static double flops(const void *self, const struct sqa_context *c)
{
    const double d = (double)c->frame.dim, f = (double)hidden(self, c);
    return (double)c->batch * (double)c->length * (6 * d * f + 2 * f);
}

const struct sqa_variant sqa_variant_swiglu = {
    .id = "swiglu",
    .slot = SQA_SLOT_CHANNEL,
    .title = "SwiGLU",
    .source = "Shazeer 2020, arXiv:2002.05202, equation 6",
    .complexity = "O(L D F) time",
    .params = params,
    .self_size = sizeof(struct self),
    .build = build,
    .flops = flops,
};
