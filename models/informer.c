/*
 * informer.c - ProbSparse attention, distilling between encoder layers, and the horizon in one pass
 *
 * Computes  models/seq2seq.h with models/prob_attention.h: in the encoder as the mixer probsparse (another with
 *           +mixer=), in the decoder masked, with heads and time exchanged before they are merged when mix=1;
 *           attention to the encoder is full
 * Shapes    x (B, L, C) and times of L + H rows -> y (B, H, outputs)
 * Cost      in closed form (sqa_seq2seq_flops); O(L ln L D) for attention of the first encoder layer
 * Source    Zhou et al. 2021, arXiv:2012.07436; zhouhaoyi/Informer2020, models/. Its embeddings have biases
 *           (embed_bias=1); those of LTSF-Linear and Time-Series-Library, which print 14.39M parameters, have not.
 *           Their distilling pads by 2 (padding=2; 96 rows become 49), Informer2020's by 1 (48)
 * Departs   linear weights begin Xavier-uniform and biases 0; evaluation draws the same keys every time
 */
#include <math.h>

#include "models/prob_attention.h"
#include "models/forecast_probe.h"
#include "models/seq2seq.h"

struct self {
    struct sqa_seq2seq s; /* first */
    int64_t factor, mix;
};

static const struct sqa_param params[] = {
    SQA_SEQ2SEQ_PARAMS(struct self, s.label, s.decoder_layers),
    {"factor", "c of c ceil(ln L) in the decoder; the encoder's is +mixer=probsparse:factor=", SQA_PARAM_INT, "5", 1,
     1 << 20, offsetof(struct self, factor), NULL},
    {"distil", "1: the encoder halves its length between layers", SQA_PARAM_BOOL, "1", 0, 0,
     offsetof(struct self, s.distil), NULL},
    {"padding", "rows that distilling's convolution pads by", SQA_PARAM_INT, "1", 1, 2,
     offsetof(struct self, s.padding), NULL},
    {"mix", "1: the decoder exchanges heads and time before it merges heads, as published", SQA_PARAM_BOOL, "1", 0, 0,
     offsetof(struct self, mix), NULL},
    SQA_SEQ2SEQ_LATER(struct self, s.embed_bias, s.instance),
    {.name = NULL}};

static struct sqa_prob_attention_spec masked(const struct self *s, const struct sqa_context *c)
{
    return (struct sqa_prob_attention_spec){.factor = s->factor,
                                            .scale = 1 / sqrt((double)sqa_head_dim(&c->frame)),
                                            .dropout = c->frame.attention_dropout,
                                            .causal = true};
}

static struct sqa_tensor *attend(const void *self, struct sqa_context *c, struct sqa_heads h)
{
    const struct self *s = self;
    struct sqa_tensor *o = sqa_prob_attention(c->g, h.q, h.k, h.v, NULL, masked(s, c));
    if (!s->mix || !o)
        return o;
    const int64_t b = o->dim[0], l = o->dim[1], heads = o->dim[2], d = o->dim[3];
    return sqa_reshape(c->g, sqa_dense(c->g, sqa_transpose(c->g, o, 1, 2)), SQA_DIMS(b, l, heads, d));
}

static double attend_flops(const void *self, const struct sqa_context *c)
{
    const struct sqa_prob_attention_spec spec = masked(self, c);
    return sqa_prob_attention_flops(&spec, c->batch, c->frame.heads, c->length, sqa_head_dim(&c->frame));
}

static enum sqa_status check(const void *self, const struct sqa_frame *frame, const struct sqa_signature *task,
                             struct sqa_err *err)
{
    return sqa_seq2seq_check("informer", self, frame, task, err);
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

/* With factor 9 every query attends, so that nothing depends on what is drawn. */
static enum sqa_status all_queries(struct sqa_err *err)
{
    double x[ROWS], marks[TIMES], y[OUT], z[OUT];
    sqa_probe_normal(1, x, ROWS);
    sqa_probe_normal(2, marks, TIMES);
    enum sqa_status status = sqa_forecast_run(
        "informer:dim=8,heads=2,ffn=6,layers=2,label=4,factor=9,distil=0,mix=0+mixer=probsparse:factor=9", x, marks,
        NULL, y, err);
    if (status == SQA_OK)
        status = sqa_forecast_run("transformer_ed:dim=8,heads=2,ffn=6,layers=2,label=4", x, marks, NULL, z, err);
    return status != SQA_OK ? status
                            : sqa_probe_expect("u = L, no distilling, no mix, against transformer_ed",
                                               sqa_probe_difference(y, z, OUT), 1e-12, err);
}

static enum sqa_status sparse_gradient(struct sqa_err *err)
{
    static const char *const specs[] = {
        "informer:dim=8,heads=2,ffn=6,layers=3,label=7,factor=2+mixer=probsparse:factor=2",
        "informer:dim=8,heads=2,ffn=6,layers=2,label=7,factor=2,padding=2,embed_bias=1,mix=0,norm=affine"};
    enum sqa_status status = SQA_OK;
    for (int i = 0; i < 2 && status == SQA_OK; i++) {
        double worst = 0;
        const struct sqa_probe_whole p = {
            .model = specs[i],
            .task = {.kind = SQA_FORECAST, .length = 19, .channels = C, .outputs = 2, .horizon = 14, .marks = F},
            .batch = SQA_FORECAST_B,
            .seed = 5};
        status = sqa_probe_whole_gradient(&p, &worst, err);
        if (status == SQA_OK)
            status = sqa_probe_expect(specs[i], worst, 1e-6, err);
    }
    return status;
}

static enum sqa_status parameter_count(struct sqa_err *err)
{
    return sqa_forecast_parameters("informer:dim=512,ffn=2048,heads=8,layers=2", 96, 862, 720, 14393182, err);
}

static const struct sqa_identity identities[] = {
    {"u = L, no distilling, no mix: transformer_ed", all_queries},
    {"gradients where few queries attend and three lengths follow one another", sparse_gradient},
    {"14393182 parameters at the published sizes of LTSF-Linear's table, printed as 14.39M", parameter_count},
    {NULL, NULL}};

const struct sqa_variant sqa_variant_informer = {
    .id = "informer",
    .slot = SQA_SLOT_MODEL,
    .title = "Informer",
    .source = "Zhou et al. 2021, arXiv:2012.07436",
    .complexity = "O((L + S + H) ln(L + S + H) D + (S + H) L D) time, S = label",
    .help =
        "Which queries attend follows from sampled keys: training draws anew each step, evaluation always the same. "
        "The decoder's masked form still sees later positions through that choice.",
    .traits = SQA_TRAIT_FRAME,
    .params = params,
    .self_size = sizeof(struct self),
    .slots = {[SQA_SLOT_MIXER] = "probsparse",
              [SQA_SLOT_CHANNEL] = "mlp",
              [SQA_SLOT_NORM] = "layernorm",
              [SQA_SLOT_RESIDUAL] = "postnorm"},
    .tokens = sqa_seq2seq_tokens,
    .small = "label=4,factor=1",
    .check = check,
    .build = build,
    .flops = flops,
    .identities = identities,
};
