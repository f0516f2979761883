/*
 * sinusoid.c - sines and cosines of the position
 *
 * Computes  y[b,t] = x[b,t] + p[t], p[t][2i] = sin(t / 10000^(2i/D)), p[t][2i+1] = cos(t / 10000^(2i/D))
 * Shapes    x (B, L, D) -> y (B, L, D)
 * Cost      B L D flops; the table is state, filled once
 * Source    Vaswani et al. 2017, arXiv:1706.03762, section 3.5
 * Departs   token embeddings are not multiplied by sqrt(D) before the sum
 */
#include <math.h>

#include "models/step.h"

static void fill(double *values, int rank, const int64_t *dim, uint64_t key, const void *arg)
{
    (void)rank;
    (void)key;
    (void)arg;
    for (int64_t t = 0; t < dim[0]; t++) {
        for (int64_t j = 0; j < dim[1]; j++) {
            const double angle = (double)t / pow(10000.0, (double)(j - j % 2) / (double)dim[1]);
            values[t * dim[1] + j] = j % 2 ? cos(angle) : sin(angle);
        }
    }
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    (void)self;
    const struct sqa_init init = {.kind = SQA_INIT_CUSTOM, .fill = fill};
    struct sqa_entry *table = sqa_state_entry(c, "table", init, SQA_DIMS(c->max_length, c->frame.dim));
    return table ? sqa_add(c->g, x, sqa_position_rows(c, sqa_value(c->g, table))) : NULL;
}

static double flops(const void *self, const struct sqa_context *c)
{
    (void)self;
    return (double)c->batch * (double)c->length * (double)c->frame.dim;
}

const struct sqa_variant sqa_variant_sinusoid = {
    .id = "sinusoid",
    .slot = SQA_SLOT_POSITION,
    .title = "Sinusoidal positions",
    .source = "Vaswani et al. 2017, arXiv:1706.03762, section 3.5",
    .complexity = "O(L D) time, no parameters",
    .build = build,
    .flops = flops,
};
