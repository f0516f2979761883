/*
 * transformer_ed.c - the Transformer with encoder and decoder, forecasting the whole horizon in one pass
 *
 * Computes  models/seq2seq.h with softmax attention: any mixer of the registry in the encoder (+mixer=), causal softmax
 *           attention, then attention to the encoder in the decoder
 * Shapes    x (B, L, C) and times of L + H rows -> y (B, H, outputs)
 * Cost      in closed form (sqa_seq2seq_flops); O(L^2 D + (S + H) (S + H + L) D) for attention, S = label
 * Source    Vaswani et al. 2017, arXiv:1706.03762; forecasting as thuml/Time-Series-Library, models/Transformer.py and
 *           cure-lab/LTSF-Linear have it
 * Departs   linear weights begin Xavier-uniform and biases 0
 */
#include <math.h>

#include "models/forecast_probe.h"
#include "models/seq2seq.h"

static const struct sqa_param params[] = {SQA_SEQ2SEQ_PARAMS(struct sqa_seq2seq, label, decoder_layers),
                                          SQA_SEQ2SEQ_LATER(struct sqa_seq2seq, embed_bias, instance),
                                          {.name = NULL}};

static struct sqa_tensor *attend(const void *self, struct sqa_context *c, struct sqa_heads h)
{
    (void)self;
    const struct sqa_attention_spec spec = {
        .scale = 1 / sqrt((double)sqa_head_dim(&c->frame)), .causal = true, .dropout = c->frame.attention_dropout};
    return sqa_attention(c->g, h.q, h.k, h.v, NULL, spec);
}

static double attend_flops(const void *self, const struct sqa_context *c)
{
    (void)self;
    const double l = (double)c->length, pairs = l * (l + 1) / 2;
    return (double)c->batch * pairs * (4 * (double)sqa_qkv_width(&c->frame) + 5 * (double)c->frame.heads);
}

static enum sqa_status check(const void *self, const struct sqa_frame *frame, const struct sqa_signature *task,
                             struct sqa_err *err)
{
    return sqa_seq2seq_check("transformer_ed", self, frame, task, err);
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    return sqa_seq2seq_build(self, attend, c, x);
}

static double flops(const void *self, const struct sqa_context *c)
{
    return sqa_seq2seq_flops(self, attend_flops, c);
}

/* Identities */

enum { L = SQA_FORECAST_L, H = SQA_FORECAST_H, C = SQA_FORECAST_C, ROWS = SQA_FORECAST_ROWS, OUT = SQA_FORECAST_OUT };
enum { F = SQA_FORECAST_F, TIMES = SQA_FORECAST_TIMES };

#define SIZES "transformer_ed:dim=8,heads=2,ffn=6,layers=2"

/* The convolution of the values reads a ring, in which the first and the last row of the decoder meet. */
static void without_values(struct sqa_store *s, void *user)
{
    (void)user;
    sqa_probe_set_constant(s, "decoder_embed.value.w", 0);
}

static enum sqa_status causal(struct sqa_err *err)
{
    double x[ROWS], marks[TIMES], y[OUT], z[OUT];
    sqa_probe_normal(1, x, ROWS);
    sqa_probe_normal(2, marks, TIMES);
    enum sqa_status status = sqa_forecast_run(SIZES ",label=4", x, marks, without_values, y, err);
    for (int i = 0; i < TIMES; i++)
        marks[i] *= i / F % (L + H) >= L + 3 ? -2 : 1; /* times of steps 3 and 4 */
    if (status == SQA_OK)
        status = sqa_forecast_run(SIZES ",label=4", x, marks, without_values, z, err);
    double later = 0;
    for (int i = 0; i < OUT; i++) {
        later = fmax(later, i / C % H == 3 ? fabs(y[i] - z[i]) : 0);
        z[i] = i / C % H >= 3 ? y[i] : z[i];
    }
    if (status == SQA_OK)
        status = sqa_probe_expect("steps before a changed time", sqa_probe_difference(y, z, OUT), 1e-13, err);
    return status != SQA_OK || later > 1e-6 ? status : sqa_fail(err, SQA_NO, "the time of a step changes nothing");
}

static enum sqa_status constant_series(struct sqa_err *err)
{
    double x[ROWS], y[OUT], z[OUT], marks[TIMES];
    sqa_probe_normal(2, marks, TIMES);
    for (int i = 0; i < ROWS; i++)
        x[i] = 1 + i % C;
    enum sqa_status status = sqa_forecast_run(SIZES ",label=4,norm=norm", x, marks, NULL, y, err);
    for (int i = 0; i < ROWS; i++)
        x[i] += 5;
    if (status == SQA_OK)
        status = sqa_forecast_run(SIZES ",label=4,norm=norm", x, marks, NULL, z, err);
    for (int i = 0; i < OUT; i++)
        z[i] -= 5;
    return status != SQA_OK ? status
                            : sqa_probe_expect("a shifted series", sqa_probe_difference(y, z, OUT), 1e-12, err);
}

static enum sqa_status parameter_count(struct sqa_err *err)
{
    return sqa_forecast_parameters("transformer_ed:dim=512,ffn=2048,heads=8,layers=2", 96, 862, 720, 13605214, err);
}

static const struct sqa_identity identities[] = {
    {"a step does not see the times of later steps", causal},
    {"norm=norm: a shifted series gives a shifted forecast", constant_series},
    {"13605214 parameters at the published sizes of LTSF-Linear's table, printed as 13.61M", parameter_count},
    {NULL, NULL}};

const struct sqa_variant sqa_variant_transformer_ed = {
    .id = "transformer_ed",
    .slot = SQA_SLOT_MODEL,
    .title = "Transformer, encoder and decoder",
    .source = "Vaswani et al. 2017, arXiv:1706.03762; thuml/Time-Series-Library, models/Transformer.py",
    .complexity = "O((L^2 + (S + H) (S + H + L)) D) time, S = label",
    .help =
        "The decoder sees the last `label` rows and zeros for the horizon: nothing of what is to be forecast is in "
        "it, and the horizon comes out in one pass.",
    .traits = SQA_TRAIT_FRAME,
    .params = params,
    .self_size = sizeof(struct sqa_seq2seq),
    .slots = {[SQA_SLOT_MIXER] = "transformer",
              [SQA_SLOT_CHANNEL] = "mlp",
              [SQA_SLOT_NORM] = "layernorm",
              [SQA_SLOT_RESIDUAL] = "postnorm"},
    .tokens = sqa_seq2seq_tokens,
    .small = "label=4",
    .check = check,
    .build = build,
    .flops = flops,
    .identities = identities,
};
