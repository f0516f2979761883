/*
 * rmsnorm.c - root-mean-square normalisation
 *
 * Computes  y = x / sqrt(mean(x^2) + eps) * gain over the last axis
 * Shapes    x (B, L, D) -> y (B, L, D); gain (D)
 * Cost      O(B L D) flops, counted by the op
 * Source    Zhang and Sennrich 2019, arXiv:1910.07467, equation 4
 * Departs   eps within the root, as every implementation has it
 */
#include "models/model.h"

struct self {
    double eps;
};

static const struct sqa_param params[] = {
    {"eps", "added to the mean square", SQA_PARAM_REAL, "1e-6", 0, 1, offsetof(struct self, eps), NULL},
    {.name = NULL}};

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    const struct self *s = self;
    const struct sqa_init one = {.kind = SQA_INIT_CONSTANT, .a = 1};
    struct sqa_tensor *gain = sqa_param_tensor(c, "gain", SQA_GROUP_NO_DECAY, one, SQA_DIMS(x->dim[x->rank - 1]));
    return sqa_layernorm(c->g, x, gain, NULL, s->eps, true);
}

const struct sqa_variant sqa_variant_rmsnorm = {
    .id = "rmsnorm",
    .slot = SQA_SLOT_NORM,
    .title = "RMSNorm",
    .source = "Zhang and Sennrich 2019, arXiv:1910.07467, equation 4",
    .complexity = "O(L D) time",
    .params = params,
    .self_size = sizeof(struct self),
    .build = build,
};
