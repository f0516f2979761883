/*
 * learned.c - a learned vector for each position
 *
 * Computes  y[b,t] = x[b,t] + table[t]
 * Shapes    x (B, L, D) -> y (B, L, D); table (longest length of the task, D), normal with deviation 0.02
 * Cost      B L D flops
 * Source    the lite protocol (mlpen/Nystromformer, LRA/code); Gehring et al. 2017, arXiv:1705.03122
 * Departs   nothing
 */
#include "models/step.h"

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    (void)self;
    const struct sqa_init init = {.kind = SQA_INIT_NORMAL, .a = 0, .b = 0.02};
    struct sqa_tensor *table =
        sqa_param_tensor(c, "table", SQA_GROUP_REGULAR, init, SQA_DIMS(c->max_length, c->frame.dim));
    return sqa_add(c->g, x, sqa_position_rows(c, table));
}

static double flops(const void *self, const struct sqa_context *c)
{
    (void)self;
    return (double)c->batch * (double)c->length * (double)c->frame.dim;
}

const struct sqa_variant sqa_variant_learned = {
    .id = "learned",
    .slot = SQA_SLOT_POSITION,
    .title = "Learned positions",
    .source = "Gehring et al. 2017, arXiv:1705.03122, section 3.1",
    .complexity = "O(L D) time and parameters",
    .build = build,
    .flops = flops,
};
