/*
 * layernorm.c - layer normalisation
 *
 * Computes  y = (x - mean) / sqrt(variance + eps) * gain + bias over the last axis, population variance
 * Shapes    x (B, L, D) -> y (B, L, D); gain, bias (D)
 * Cost      7 B L D flops
 * Source    Ba et al. 2016, arXiv:1607.06450
 * Departs   nothing
 */
#include "models/model.h"

struct self {
    double eps;
};

static const struct sqa_param params[] = {
    {"eps", "added to the variance", SQA_PARAM_REAL, "1e-5", 0, 1, offsetof(struct self, eps), NULL}, {.name = NULL}};

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    const struct self *s = self;
    const int64_t d = x->dim[x->rank - 1];
    const struct sqa_init one = {.kind = SQA_INIT_CONSTANT, .a = 1}, zero = {.kind = SQA_INIT_ZERO};
    struct sqa_tensor *gain = sqa_param_tensor(c, "gain", SQA_GROUP_NO_DECAY, one, SQA_DIMS(d));
    struct sqa_tensor *bias = sqa_param_tensor(c, "bias", SQA_GROUP_NO_DECAY, zero, SQA_DIMS(d));
    return sqa_layernorm(c->g, x, gain, bias, s->eps, false);
}

static double flops(const void *self, const struct sqa_context *c)
{
    (void)self;
    return 7 * (double)c->batch * (double)c->length * (double)c->frame.dim;
}

const struct sqa_variant sqa_variant_layernorm = {
    .id = "layernorm",
    .slot = SQA_SLOT_NORM,
    .title = "LayerNorm",
    .source = "Ba et al. 2016, arXiv:1607.06450",
    .complexity = "O(L D) time",
    .params = params,
    .self_size = sizeof(struct self),
    .build = build,
    .flops = flops,
};
