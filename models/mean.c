/*
 * mean.c - mean over the valid positions
 *
 * Computes  y[b] = 1 / n_b sum_{t < n_b} x[b,t], n_b the true length of row b; over=padded: 1 / L in place of 1 / n_b
 * Shapes    x (B, L, D) -> y (B, D)
 * Cost      O(B L D) flops, counted by the op
 * Source    the lite protocol (mlpen/Nystromformer, LRA/code)
 * Departs   nothing with over=padded, as the lite protocol has it: there a prediction depends on the padding of its
 *           batch. With over=valid, the default, it does not
 */
#include <string.h>

#include "models/step.h"

struct self {
    const char *over;
};

static const struct sqa_param params[] = {
    {"over", "divide by the true length, or by the padded one as the lite protocol", SQA_PARAM_CHOICE, "valid",
     .offset = offsetof(struct self, over), .choices = "valid|padded"},
    {.name = NULL},
};

static bool is_padded(const struct self *s)
{
    return strcmp(s->over, "padded") == 0;
}

static bool padded(const void *self)
{
    return is_padded(self);
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    return is_padded(self) ? sqa_mean_rows(c->g, sqa_mask_rows(c->g, x, c->lengths), NULL)
                           : sqa_mean_rows(c->g, x, c->lengths);
}

static struct sqa_tensor *step(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    (void)self;
    return sqa_reshape(c->g, sqa_mean_step(c, "sum", x), SQA_DIMS(c->batch, c->frame.dim));
}

const struct sqa_variant sqa_variant_mean = {
    .id = "mean",
    .slot = SQA_SLOT_POOL,
    .title = "Mean over positions",
    .source = "the lite protocol (mlpen/Nystromformer)",
    .complexity = "O(L D) time",
    .params = params,
    .self_size = sizeof(struct self),
    .padded = padded,
    .build = build,
    .step = step,
};
