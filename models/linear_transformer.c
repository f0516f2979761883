/*
 * linear_transformer.c - attention with the kernel phi(q) . phi(k), phi(x) = elu(x) + 1
 *
 * Computes  y_t = sum_s (phi(q_t) . phi(k_s)) v_s / (sum_s phi(q_t) . phi(k_s) + 1e-6), over valid s; causal: s <= t
 * Shapes    x (B, L, D) -> (B, L, D); q, k, v (B, L, H, d)
 * Cost      projections; features 2 B L D; sums and division B L (4 D d + 3 D + D + H);
 *           causal: see kernel_attention.c
 * Step      a state of H d (d + 1) numbers
 * Source    Katharopoulos et al. 2020, arXiv:2006.16236, equations (5) to (7) and section 3.3
 * Departs   phi(k) is 0 at padding (the LRA code lets padding in)
 */
#include <math.h>
#include <string.h>

#include "models/kernel_attention.h"
#include "models/probe.h"

#define EPS 1e-6

struct self {
    int64_t chunk;
};

static const struct sqa_param params[] = {
    {"chunk", "positions of a chunk of the causal form; changes cost, not results", SQA_PARAM_INT, "64", 1, 1 << 16,
     .offset = offsetof(struct self, chunk)},
    {.name = NULL},
};

static struct sqa_kernel_attention_spec spec_of(const struct self *s, const struct sqa_context *c)
{
    return (struct sqa_kernel_attention_spec){
        .map = SQA_MAP_ELU1, .causal = c->frame.causal != 0, .chunk = s->chunk, .scale = 1, .den_eps = EPS};
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    const struct sqa_heads h = sqa_project_heads(c, x);

    return sqa_merge_heads(c, sqa_kernel_attention(c->g, h.q, h.k, h.v, c->lengths, NULL, spec_of(self, c)));
}

static struct sqa_tensor *step(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    return sqa_merge_heads(c, sqa_kernel_attention_step(c, sqa_project_heads(c, x), NULL, spec_of(self, c)));
}

static double flops(const void *self, const struct sqa_context *c)
{
    const int64_t d = sqa_head_dim(&c->frame);
    const struct sqa_kernel_attention_shape shape = {c->batch, c->length, c->frame.heads, d, d, d, false};

    return sqa_heads_flops(c) + sqa_kernel_attention_flops(shape, spec_of(self, c));
}

/* Identities */

enum { B = 2, L = 11, D = 8, H = 2, W = D / H };

static const int32_t ragged[B] = {L, 7};

static void identity_weights(struct sqa_store *s, void *user)
{
    static const char *const names[] = {"mixer.wq.w", "mixer.wk.w", "mixer.wv.w", "mixer.wo.w"};

    (void)user;
    for (int i = 0; i < 4; i++)
        sqa_probe_set_identity(s, names[i]);
}

static double phi(double x)
{
    return x > 0 ? x + 1 : exp(x);
}

/* One sequence with q = k = v = x, as an L x L matrix of weights. */
static void quadratic(const double *x, int valid, bool causal, double *y)
{
    for (int h = 0; h < H; h++)
        for (int t = 0; t < L; t++) {
            const int keys = causal && t + 1 < valid ? t + 1 : valid;
            double sum = 0, o[W] = {0};

            for (int s = 0; s < keys; s++) {
                double weight = 0;

                for (int e = h * W; e < (h + 1) * W; e++)
                    weight += phi(x[t * D + e]) * phi(x[s * D + e]);
                sum += weight;
                for (int e = 0; e < W; e++)
                    o[e] += weight * x[s * D + h * W + e];
            }
            for (int e = 0; e < W; e++)
                y[t * D + h * W + e] = o[e] / (sum + EPS);
        }
}

/* One causal sequence with q = k = v = x, step by step with a state. */
static void recurrent(const double *x, double *y)
{
    for (int h = 0; h < H; h++) {
        double state[W][W] = {{0}}, sums[W] = {0};

        for (int t = 0; t < L; t++) {
            const double *row = x + t * D + h * W;
            double den = EPS, o[W] = {0};

            for (int i = 0; i < W; i++) {
                sums[i] += phi(row[i]);
                den += phi(row[i]) * sums[i];
                for (int e = 0; e < W; e++) {
                    state[i][e] += phi(row[i]) * row[e];
                    o[e] += phi(row[i]) * state[i][e];
                }
            }
            for (int e = 0; e < W; e++)
                y[t * D + h * W + e] = o[e] / den;
        }
    }
}

static enum sqa_status equals_quadratic(struct sqa_err *err)
{
    double x[B * L * D], y[B * L * D], expect[L * D];
    enum sqa_status status = SQA_OK;

    sqa_probe_normal(1, x, B * L * D);
    for (int causal = 0; causal < 2 && status == SQA_OK; causal++) {
        const struct sqa_probe p = {.item = "linear_transformer:chunk=4",
                                    .batch = B,
                                    .length = L,
                                    .dim = D,
                                    .heads = H,
                                    .causal = causal != 0,
                                    .lengths = ragged,
                                    .real = SQA_F64,
                                    .edit = identity_weights};

        status = sqa_probe_run(&p, x, y, err);
        for (int b = 0; b < B && status == SQA_OK; b++) {
            quadratic(x + b * L * D, ragged[b], causal != 0, expect);
            status =
                sqa_probe_expect("linear_transformer against its quadratic form",
                                 sqa_probe_difference(y + b * L * D, expect, (size_t)(ragged[b] * D)), 1e-13, err);
        }
    }
    return status;
}

static enum sqa_status chunks_agree(struct sqa_err *err)
{
    static const char *const items[] = {"linear_transformer:chunk=1",  "linear_transformer:chunk=2",
                                        "linear_transformer:chunk=3",  "linear_transformer:chunk=10",
                                        "linear_transformer:chunk=11", "linear_transformer:chunk=64"};
    double x[L * D], y[L * D], expect[L * D];
    enum sqa_status status = SQA_OK;

    sqa_probe_normal(2, x, L * D);
    recurrent(x, expect);
    for (size_t i = 0; i < sizeof items / sizeof items[0] && status == SQA_OK; i++) {
        const struct sqa_probe p = {.item = items[i],
                                    .batch = 1,
                                    .length = L,
                                    .dim = D,
                                    .heads = H,
                                    .causal = true,
                                    .real = SQA_F64,
                                    .edit = identity_weights};

        status = sqa_probe_run(&p, x, y, err);
        if (status == SQA_OK)
            status = sqa_probe_expect(items[i], sqa_probe_difference(y, expect, L * D), 1e-13, err);
    }
    return status;
}

static enum sqa_status inside_hull(struct sqa_err *err)
{
    double x[L * D], y[L * D], outside = 0;
    const struct sqa_probe p = {.item = "linear_transformer",
                                .batch = 1,
                                .length = L,
                                .dim = D,
                                .heads = H,
                                .real = SQA_F64,
                                .edit = identity_weights};
    enum sqa_status status;

    sqa_probe_normal(3, x, L * D);
    status = sqa_probe_run(&p, x, y, err);
    if (status != SQA_OK)
        return status;
    for (int e = 0; e < D; e++) {
        double low = HUGE_VAL, high = -HUGE_VAL;

        for (int t = 0; t < L; t++) {
            low = fmin(low, x[t * D + e]);
            high = fmax(high, x[t * D + e]);
        }
        for (int t = 0; t < L; t++)
            outside = fmax(outside, fmax(low - y[t * D + e], y[t * D + e] - high));
    }
    return sqa_probe_expect("outputs outside the hull of the values", outside, 1e-6, err);
}

/* Weights sum to 1 but for the 1e-6 in the denominator, so the trait of an exact sum is not claimed. */
static enum sqa_status constants_stay(struct sqa_err *err)
{
    double x[L * D], y[L * D];
    enum sqa_status status = SQA_OK;

    sqa_probe_normal(4, x, D);
    for (int t = 1; t < L; t++)
        memcpy(x + t * D, x, D * sizeof *x);
    for (int causal = 0; causal < 2 && status == SQA_OK; causal++) {
        const struct sqa_probe p = {.item = "linear_transformer",
                                    .batch = 1,
                                    .length = L,
                                    .dim = D,
                                    .heads = H,
                                    .causal = causal != 0,
                                    .real = SQA_F64,
                                    .edit = identity_weights};

        status = sqa_probe_run(&p, x, y, err);
        if (status == SQA_OK)
            status = sqa_probe_expect("a constant sequence", sqa_probe_difference(y, x, L * D), 1e-5, err);
    }
    return status;
}

static const struct sqa_identity identities[] = {
    {"equals the quadratic form, causal and padded", equals_quadratic},
    {"all chunk sizes agree and equal the recurrence", chunks_agree},
    {"weights of a row sum to 1, up to the 1e-6 of the denominator", constants_stay},
    {"outputs lie in the hull of the values", inside_hull},
    {.name = NULL},
};

const struct sqa_variant sqa_variant_linear_transformer = {
    .id = "linear_transformer",
    .slot = SQA_SLOT_MIXER,
    .title = "Linear Transformer",
    .source = "Katharopoulos et al. 2020, arXiv:2006.16236, equations (5) to (7)",
    .complexity = "O(L d D) time, O(L D) memory",
    .help =
        "Weights are products of positive features elu(q) + 1 and elu(k) + 1, so sums over keys are taken once. The "
        "causal form runs in chunks with a state of d x d a head. Features and sums stay f32 with --dtype bf16.",
    .traits = SQA_TRAIT_CAUSAL | SQA_TRAIT_PADDING | SQA_TRAIT_EQUIVARIANT | SQA_TRAIT_LINEAR_MEMORY | SQA_TRAIT_QKV,
    .params = params,
    .self_size = sizeof(struct self),
    .build = build,
    .step = step,
    .flops = flops,
    .identities = identities,
};
