/*
 * mean_mixer.c - control: every position receives the mean of all
 *
 * Computes  y_t = Wo mean_s(Wv x_s) over valid s; causal: over s <= t
 * Shapes    x (B, L, D) -> (B, L, D)
 * Cost      projection B L Q (2 D + bias), Q its width: D, or qkv; mean B L Q, and Wo on one row a sequence:
 *           B D (2 Q + bias); causal: Wo on every row, running sums B L Q, counts L, division B L Q
 * Source    a control of this program: attention with uniform weights
 */
#include "models/probe.h"
#include "models/step.h"

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    const int64_t B = c->batch, L = c->length, D = c->frame.dim;
    struct sqa_tensor *v = sqa_dense_layer(c, "wv", x, sqa_qkv_width(&c->frame), c->frame.bias != 0);
    struct sqa_tensor *mean, *count;

    (void)self;
    if (c->frame.causal) {
        count = sqa_cumsum(c->g, sqa_fill(c->g, 1.0, SQA_DIMS(L, 1)), 0);
        mean = sqa_div(c->g, sqa_cumsum(c->g, v, 1), count);
        return sqa_dense_layer(c, "wo", mean, D, c->frame.bias != 0);
    }
    mean = sqa_dense_layer(c, "wo", sqa_mean_rows(c->g, v, c->lengths), D, c->frame.bias != 0);
    mean = sqa_reshape(c->g, mean, SQA_DIMS(B, 1, D));
    return sqa_dense(c->g, sqa_broadcast(c->g, mean, SQA_DIMS(B, L, D)));
}

static struct sqa_tensor *step(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    const bool bias = c->frame.bias != 0;
    struct sqa_tensor *v = sqa_dense_layer(c, "wv", x, sqa_qkv_width(&c->frame), bias);

    (void)self;
    return sqa_dense_layer(c, "wo", sqa_mean_step(c, "sum", v), c->frame.dim, bias);
}

static double flops(const void *self, const struct sqa_context *c)
{
    const double B = (double)c->batch, L = (double)c->length, D = (double)c->frame.dim;
    const double Q = (double)sqa_qkv_width(&c->frame), bias = c->frame.bias ? 1 : 0;
    const double in = Q * (2 * D + bias), out = D * (2 * Q + bias);

    (void)self;
    if (c->frame.causal)
        return B * L * (in + out) + L + 2 * B * L * Q;
    /* without lengths the mean is a sum and a scaling */
    return B * L * in + B * L * Q + (c->lengths == NULL ? 2 * B * Q : 0) + B * out;
}

/* Identities */

enum { B = 2, L = 9, D = 8 };

static const int32_t ragged[B] = {L, 5};

static void zero_queries(struct sqa_store *s, void *user)
{
    (void)user;
    sqa_probe_set_constant(s, "mixer.wq.w", 0.0);
}

static enum sqa_status uniform_attention(struct sqa_err *err)
{
    double x[B * L * D], y[B * L * D], expect[B * L * D];
    enum sqa_status status = SQA_OK;

    sqa_probe_normal(1, x, B * L * D);
    for (int causal = 0; causal < 2 && status == SQA_OK; causal++) {
        struct sqa_probe p = {.item = "mean_mixer",
                              .batch = B,
                              .length = L,
                              .dim = D,
                              .heads = 2,
                              .causal = causal != 0,
                              .lengths = ragged,
                              .real = SQA_F64,
                              .seed = 4};

        status = sqa_probe_run(&p, x, y, err);
        p.item = "transformer";
        p.edit = zero_queries;
        if (status == SQA_OK)
            status = sqa_probe_run(&p, x, expect, err);
        for (int b = 0; b < B && status == SQA_OK; b++)
            status = sqa_probe_expect(
                "mean_mixer against attention with queries 0",
                sqa_probe_difference(y + b * L * D, expect + b * L * D, (size_t)(ragged[b] * D)), 1e-13, err);
    }
    return status;
}

static enum sqa_status same_everywhere(struct sqa_err *err)
{
    double x[L * D], y[L * D];
    const struct sqa_probe p = {.item = "mean_mixer", .batch = 1, .length = L, .dim = D, .heads = 2, .real = SQA_F64};
    enum sqa_status status;

    sqa_probe_normal(2, x, L * D);
    status = sqa_probe_run(&p, x, y, err);
    return status == SQA_OK
               ? sqa_probe_expect("position 1 against position 0", sqa_probe_difference(y + D, y, D), 0, err)
               : status;
}

static const struct sqa_identity identities[] = {
    {"equals softmax attention with queries 0, causal and padded", uniform_attention},
    {"the same output at every position", same_everywhere},
    {.name = NULL},
};

const struct sqa_variant sqa_variant_mean_mixer = {
    .id = "mean_mixer",
    .slot = SQA_SLOT_MIXER,
    .title = "Mean of all positions (control)",
    .source = "control of this program",
    .complexity = "O(L D^2) time, O(L D) memory",
    .help =
        "Attention with uniform weights: every position receives the mean of all valid values. Wo is applied to the "
        "one mean of a sequence.",
    .traits = SQA_TRAIT_CAUSAL | SQA_TRAIT_PADDING | SQA_TRAIT_EQUIVARIANT | SQA_TRAIT_SUM_TO_ONE |
              SQA_TRAIT_CONTROL | SQA_TRAIT_LINEAR_MEMORY | SQA_TRAIT_QKV,
    .build = build,
    .step = step,
    .flops = flops,
    .identities = identities,
};
