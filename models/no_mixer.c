/*
 * no_mixer.c - control: every position by itself
 *
 * Computes  y_t = Wo (Wv x_t)
 * Shapes    x (B, L, D) -> (B, L, D)
 * Cost      two projections, B L (4 D Q + bias (D + Q)) flops, Q the width of Wv x_t: D, or qkv
 * Source    a control of this program: what a model reaches by embeddings, channel parts and pooling alone
 */
#include "models/probe.h"

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    const bool bias = c->frame.bias != 0;

    (void)self;
    return sqa_dense_layer(c, "wo", sqa_dense_layer(c, "wv", x, sqa_qkv_width(&c->frame), bias), c->frame.dim, bias);
}

static double flops(const void *self, const struct sqa_context *c)
{
    const double d = (double)c->frame.dim, q = (double)sqa_qkv_width(&c->frame);

    (void)self;
    return (double)(c->batch * c->length) * (4 * d * q + (d + q) * (double)(c->frame.bias != 0));
}

/* Identities */

enum { L = 7, D = 6 };

static void identity_half(struct sqa_store *s, void *user)
{
    double w[D * D] = {0};

    (void)user;
    for (int e = 0; e < D; e++)
        w[e * D + e] = 0.5;
    sqa_probe_set(s, "mixer.wv.w", w);
    sqa_probe_set_identity(s, "mixer.wo.w");
}

static enum sqa_status linear(struct sqa_err *err)
{
    double x[L * D], y[L * D];
    const struct sqa_probe p = {
        .item = "no_mixer", .batch = 1, .length = L, .dim = D, .heads = 2, .real = SQA_F64, .edit = identity_half};
    enum sqa_status status;

    sqa_probe_normal(1, x, L * D);
    status = sqa_probe_run(&p, x, y, err);
    for (int i = 0; i < L * D; i++)
        x[i] *= 0.5;
    return status == SQA_OK
               ? sqa_probe_expect("Wv = I / 2, Wo = I: x / 2", sqa_probe_difference(y, x, L * D), 1e-14, err)
               : status;
}

static enum sqa_status alone(struct sqa_err *err)
{
    double x[L * D], y[L * D], z[L * D];
    const struct sqa_probe p = {.item = "no_mixer", .batch = 1, .length = L, .dim = D, .heads = 2, .real = SQA_F64};
    enum sqa_status status;

    sqa_probe_normal(2, x, L * D);
    status = sqa_probe_run(&p, x, y, err);
    sqa_probe_normal(3, x, (L - 1) * D);
    if (status == SQA_OK)
        status = sqa_probe_run(&p, x, z, err);
    return status == SQA_OK ? sqa_probe_expect("last position when all others changed",
                                               sqa_probe_difference(y + (L - 1) * D, z + (L - 1) * D, D), 0, err)
                            : status;
}

static const struct sqa_identity identities[] = {
    {"Wv = I / 2, Wo = I: half the input", linear},
    {"no position sees another", alone},
    {.name = NULL},
};

const struct sqa_variant sqa_variant_no_mixer = {
    .id = "no_mixer",
    .slot = SQA_SLOT_MIXER,
    .title = "No mixing (control)",
    .source = "control of this program",
    .complexity = "O(L D^2) time, O(L D) memory",
    .help =
        "Values pass through the projections of an attention layer without being mixed: what the rest of the model "
        "reaches without seeing order or neighbours.",
    .traits = SQA_TRAIT_CAUSAL | SQA_TRAIT_PADDING | SQA_TRAIT_EQUIVARIANT | SQA_TRAIT_SUM_TO_ONE |
              SQA_TRAIT_CONTROL | SQA_TRAIT_LINEAR_MEMORY | SQA_TRAIT_QKV,
    .build = build,
    .step = build,
    .flops = flops,
    .identities = identities,
};
