/*
 * two_part.c - the two sequences of a pair side by side
 *
 * Computes  y[i] = [a, b], a and b the pooled rows 2 i and 2 i + 1
 * Shapes    x (2 B, D) -> y (B, 2 D)
 * Cost      nothing, a view
 * Source    the published code of Long Range Arena, whose interaction argument is never set
 * Departs   nothing
 */
#include "models/model.h"

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    (void)self;
    return x ? sqa_reshape(c->g, x, SQA_DIMS(x->dim[0] / 2, 2 * x->dim[1])) : NULL;
}

static double flops(const void *self, const struct sqa_context *c)
{
    (void)self;
    (void)c;
    return 0;
}

const struct sqa_variant sqa_variant_two_part = {
    .id = "two_part",
    .slot = SQA_SLOT_PAIR,
    .title = "Both sequences",
    .source = "the code of Tay et al. 2020, arXiv:2011.04006",
    .complexity = "no time",
    .help = "What LRA's code does; its paper says four_part. Its head has two hidden layers, mlp_head one.",
    .build = build,
    .flops = flops,
};
