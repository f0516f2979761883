/*
 * four_part.c - the two sequences of a pair, their product and their difference
 *
 * Computes  y[i] = [a, b, a b, a - b], a and b the pooled rows 2 i and 2 i + 1
 * Shapes    x (2 B, D) -> y (B, 4 D)
 * Cost      2 B D flops
 * Source    Tay et al. 2020, arXiv:2011.04006, section 2.2.3; the lite protocol (mlpen/Nystromformer, LRA/code)
 * Departs   nothing
 */
#include "models/model.h"

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    (void)self;
    if (!x)
        return NULL;
    const int64_t pairs = x->dim[0] / 2, width = x->dim[1];
    struct sqa_tensor *both = sqa_reshape(c->g, x, SQA_DIMS(pairs, 2 * width));
    struct sqa_tensor *a = sqa_slice(c->g, both, 1, 0, width), *b = sqa_slice(c->g, both, 1, width, width);
    struct sqa_tensor *part[] = {both, sqa_mul(c->g, a, b), sqa_sub(c->g, a, b)};
    return sqa_concat(c->g, 1, 3, part);
}

static double flops(const void *self, const struct sqa_context *c)
{
    (void)self;
    return 2 * (double)c->batch * (double)c->frame.dim;
}

const struct sqa_variant sqa_variant_four_part = {
    .id = "four_part",
    .slot = SQA_SLOT_PAIR,
    .title = "Both sequences, product and difference",
    .source = "Tay et al. 2020, arXiv:2011.04006, section 2.2.3",
    .complexity = "O(D) time",
    .build = build,
    .flops = flops,
};
