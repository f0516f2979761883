/*
 * probsparse.c - Informer's ProbSparse attention as a mixer
 *
 * Computes  models/prob_attention.h: the u queries whose sampled scores are least even attend to all valid keys, the
 *           others get the mean of the valid values; heads merged by Wo
 * Shapes    x (B, L, D) -> (B, L, D); u = U = min(factor ceil(ln L), L)
 * Cost      projections + B H (L U (2 d + 2) + u L (4 d + 5) + (L + 2) d) flops
 * Source    Zhou et al. 2021, arXiv:2012.07436; zhouhaoyi/Informer2020, models/attn.py
 * Departs   keys are drawn among the valid ones; evaluation draws the same keys every time (there: anew). U and u are
 *           of the padded length, so padding changes answers. No causal form: which queries attend depends on later
 *           positions also where a mask hides them
 */
#include <math.h>

#include "models/prob_attention.h"
#include "models/probe.h"

struct self {
    int64_t factor;
};

static const struct sqa_param params[] = {
    {"factor", "c of c ceil(ln L), the sampled keys of a query and the queries that attend", SQA_PARAM_INT, "5", 1,
     1 << 20, offsetof(struct self, factor), NULL},
    {.name = NULL}};

static struct sqa_prob_attention_spec spec_of(const struct self *s, const struct sqa_context *c)
{
    return (struct sqa_prob_attention_spec){.factor = s->factor,
                                            .scale = 1 / sqrt((double)sqa_head_dim(&c->frame)),
                                            .dropout = c->frame.attention_dropout};
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    const struct sqa_heads h = sqa_project_heads(c, x);
    return sqa_merge_heads(c, sqa_prob_attention(c->g, h.q, h.k, h.v, c->lengths, spec_of(self, c)));
}

static double flops(const void *self, const struct sqa_context *c)
{
    const struct sqa_prob_attention_spec spec = spec_of(self, c);
    return sqa_heads_flops(c) +
           sqa_prob_attention_flops(&spec, c->batch, c->frame.heads, c->length, sqa_head_dim(&c->frame));
}

/* Identities */

enum { B = 2, L = 40, D = 8, H = 2, X = B * L * D };

static enum sqa_status every_query(struct sqa_err *err)
{
    static const int32_t ragged[B] = {L, 31};
    static double x[X], y[X], z[X];
    sqa_probe_normal(1, x, X);
    struct sqa_probe p = {.item = "probsparse:factor=10", /* 10 ceil(ln 40) = 40 */
                          .batch = B,
                          .length = L,
                          .dim = D,
                          .heads = H,
                          .lengths = ragged,
                          .seed = 3,
                          .real = SQA_F64};
    enum sqa_status status = sqa_probe_run(&p, x, y, err);
    p.item = "transformer";
    if (status == SQA_OK)
        status = sqa_probe_run(&p, x, z, err);
    for (int i = 31 * D; i < L * D; i++) /* padding */
        y[L * D + i] = z[L * D + i] = 0;
    return status != SQA_OK
               ? status
               : sqa_probe_expect("u = L against softmax attention", sqa_probe_difference(y, z, X), 1e-12, err);
}

static void open_values(struct sqa_store *s, void *user)
{
    sqa_probe_set_identity(s, "mixer.wv.w");
    sqa_probe_set_identity(s, "mixer.wo.w");
    if (user)
        sqa_probe_set_constant(s, user, 0);
}

static enum sqa_status values_of(const char *zero, const double *x, double *y, struct sqa_err *err)
{
    const struct sqa_probe p = {.item = "probsparse:factor=2",
                                .batch = B,
                                .length = L,
                                .dim = D,
                                .heads = H,
                                .seed = 3,
                                .real = SQA_F64,
                                .edit = open_values,
                                .user = (void *)(uintptr_t)zero};
    return sqa_probe_run(&p, x, y, err);
}

static void means(const double *x, double mean[B * D])
{
    for (int i = 0; i < B * D; i++)
        mean[i] = 0;
    for (int i = 0; i < X; i++)
        mean[i / (L * D) * D + i % D] += x[i] / L;
}

/* Keys 0: the queries that attend weigh all values alike, and the others get the mean as it is. */
static enum sqa_status equal_keys(struct sqa_err *err)
{
    static double x[X], y[X], want[X], mean[B * D];
    sqa_probe_normal(1, x, X);
    means(x, mean);
    const enum sqa_status status = values_of("mixer.wk.w", x, y, err);
    for (int i = 0; i < X; i++)
        want[i] = mean[i / (L * D) * D + i % D];
    return status != SQA_OK
               ? status
               : sqa_probe_expect("equal keys against the mean", sqa_probe_difference(y, want, X), 1e-13, err);
}

/* 2 ceil(ln 40) = 8 queries of each head, and no fewer. */
static enum sqa_status chosen(struct sqa_err *err)
{
    enum { WIDTH = D / H };
    static double x[X], y[X], mean[B * D];
    sqa_probe_normal(1, x, X);
    means(x, mean);
    const enum sqa_status status = values_of(NULL, x, y, err);
    double worst = 0;
    for (int b = 0; b < B && status == SQA_OK; b++) {
        for (int h = 0; h < H; h++) {
            int n = 0;
            for (int t = 0; t < L; t++) {
                const int at = (b * L + t) * D + h * WIDTH;
                n += sqa_probe_difference(y + at, mean + b * D + h * WIDTH, WIDTH) > 1e-12;
            }
            worst = fmax(worst, fabs((double)n - 8));
        }
    }
    return status != SQA_OK ? status : sqa_probe_expect("rows that are not the mean against 8", worst, 0, err);
}

static const struct sqa_identity identities[] = {{"u = L: softmax attention, whatever is drawn", every_query},
                                                 {"equal keys: the mean of the values", equal_keys},
                                                 {"u rows of a head differ from the mean", chosen},
                                                 {NULL, NULL}};

const struct sqa_variant sqa_variant_probsparse = {
    .id = "probsparse",
    .slot = SQA_SLOT_MIXER,
    .title = "ProbSparse attention (Informer)",
    .source = "Zhou et al. 2021, arXiv:2012.07436",
    .complexity = "O(L log L D) time, O(L D) memory",
    .help =
        "Each query is measured on a few drawn keys; the few queries whose scores stand out attend to all keys, the "
        "rest get the mean of the values.",
    .traits = SQA_TRAIT_SUM_TO_ONE | SQA_TRAIT_LINEAR_MEMORY | SQA_TRAIT_QKV,
    .params = params,
    .self_size = sizeof(struct self),
    .build = build,
    .flops = flops,
    .identities = identities,
};
