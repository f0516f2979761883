/*
 * scalenorm.c - rows of one length, times a learned number
 *
 * Computes  y = g x / sqrt(mean(x^2) + eps) over the last axis, g one number
 * Shapes    x (B, L, D) -> y (B, L, D); g (1), 1 at the start
 * Cost      8 B L D flops
 * Source    Nguyen and Salazar 2019, arXiv:1910.05895, equation 5, whose g is sqrt(D) times this one; as in Mega
 *           (facebookresearch/mega)
 * Departs   nothing
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
    struct sqa_tensor *gain = sqa_param_tensor(c, "gain", SQA_GROUP_NO_DECAY, one, SQA_DIMS(1));
    return sqa_mul(c->g, sqa_layernorm(c->g, x, NULL, NULL, s->eps, true), gain);
}

static double flops(const void *self, const struct sqa_context *c)
{
    (void)self;
    return 8 * (double)c->batch * (double)c->length * (double)c->frame.dim;
}

const struct sqa_variant sqa_variant_scalenorm = {
    .id = "scalenorm",
    .slot = SQA_SLOT_NORM,
    .title = "ScaleNorm",
    .source = "Nguyen and Salazar 2019, arXiv:1910.05895, equation 5",
    .complexity = "O(L D) time",
    .params = params,
    .self_size = sizeof(struct self),
    .build = build,
    .flops = flops,
};
