/*
 * transformer.c - multi-head softmax attention
 *
 * Computes  o = softmax(q k^T / sqrt(d)) v over valid keys (j <= i when causal), heads merged by Wo
 * Shapes    x (B, L, D) -> (B, L, D); q, k, v (B, L, H, d), d = D / H, or qkv / H
 * Cost      projections, and for each of the P allowed (query, key) pairs of a head 4 d + 5 flops (two products,
 *           softmax); P = L^2, causal L (L + 1) / 2. Tiled (Dao et al., arXiv:2205.14135): no L x L matrix in memory.
 *           kernel=dense: scores, softmax and the sum over values one after the other, each a (B, H, L, L) matrix in
 *           memory; both products are whole also when causal
 * Step      a cache of keys and values, 2 B N Q numbers for N positions
 * Source    Vaswani et al. 2017, arXiv:1706.03762, section 3.2
 *           The LRA code's is the same (google-research/long-range-arena: lra_benchmarks/models/transformer, flax's
 *           SelfAttention), so there is no form=lra here. Where padding stands anywhere (form=lra of images): holes.h
 * Departs   dropout on the weights after normalisation, which is common in code and not in the paper's text
 */
#include <math.h>
#include <string.h>

#include "models/holes.h"
#include "models/probe_known.h"
#include "models/step.h"

struct self {
    const char *kernel;
};

static const struct sqa_param params[] = {
    {"kernel", "tiled, or dense: L x L matrices in memory, as code without a fused kernel does", SQA_PARAM_CHOICE,
     "tiled", .offset = offsetof(struct self, kernel), .choices = "tiled|dense"},
    {.name = NULL},
};

static bool is_dense(const struct self *s)
{
    return strcmp(s->kernel, "dense") == 0;
}

static bool holes(const void *self)
{
    return !is_dense(self);
}

/* q k^T, softmax, dropout, times v: ops of their own. */
static struct sqa_tensor *dense_attention(struct sqa_context *c, struct sqa_heads h, struct sqa_attention_spec spec)
{
    static const int heads_first[4] = {0, 2, 1, 3};
    struct sqa_tensor *q = sqa_permute(c->g, h.q, heads_first), *k = sqa_permute(c->g, h.k, heads_first);
    struct sqa_tensor *v = sqa_permute(c->g, h.v, heads_first);
    struct sqa_tensor *p = sqa_matmul(c->g, q, k, false, true);

    p = sqa_dropout(c->g, sqa_masked_softmax(c->g, p, c->lengths, spec.scale, spec.causal), spec.dropout);
    return sqa_dense(c->g, sqa_permute(c->g, sqa_matmul(c->g, p, v, false, false), heads_first));
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    const struct sqa_heads h = sqa_mark_holes(c->g, sqa_project_heads(c, x), c->valid);
    const struct sqa_attention_spec spec = {.scale = 1 / sqrt((double)sqa_head_dim(&c->frame)),
                                            .causal = c->frame.causal != 0,
                                            .dropout = c->frame.attention_dropout};
    struct sqa_tensor *lengths = c->valid != NULL ? NULL : c->lengths; /* holes say it all */

    return sqa_merge_heads(c, is_dense(self) ? dense_attention(c, h, spec)
                                             : sqa_attention(c->g, h.q, h.k, h.v, lengths, spec));
}

static struct sqa_tensor *step(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    const struct sqa_heads h = sqa_project_heads(c, x);

    (void)self;
    return sqa_merge_heads(c, sqa_cache_step(c, h.q, h.k, h.v, 1 / sqrt((double)sqa_head_dim(&c->frame))));
}

static double flops(const void *self, const struct sqa_context *c)
{
    const double L = (double)c->length, pairs = c->frame.causal ? L * (L + 1) / 2 : L * L;
    const double products = is_dense(self) ? L * L : pairs, Q = (double)sqa_qkv_width(&c->frame);
    const double marks = c->valid != NULL ? sqa_mark_holes_flops((double)c->batch * L, Q) : 0;

    return sqa_heads_flops(c) + marks +
           (double)c->batch * (products * 4 * Q + pairs * (c->valid != NULL ? 7 : 5) * (double)c->frame.heads);
}

/* Identities */

enum { B = 2, L = 9, D = 8, H = 2, W = D / H };

static const int32_t ragged[B] = {L, 6};

struct weights {
    double wq[D * D], wk[D * D], wv[D * D], wo[D * D];
};

static void set_weights(struct sqa_store *s, void *user)
{
    const struct weights *w = user;

    sqa_probe_set(s, "mixer.wq.w", w->wq);
    sqa_probe_set(s, "mixer.wk.w", w->wk);
    sqa_probe_set(s, "mixer.wv.w", w->wv);
    sqa_probe_set(s, "mixer.wo.w", w->wo);
}

/* One sequence, by the definition. */
static void dense(const struct weights *w, const double *x, int valid, bool causal, double *y)
{
    double q[L * D], k[L * D], v[L * D], o[L * D] = {0};

    sqa_probe_times(x, w->wq, L, D, D, q);
    sqa_probe_times(x, w->wk, L, D, D, k);
    sqa_probe_times(x, w->wv, L, D, D, v);
    for (int h = 0; h < H; h++)
        for (int i = 0; i < L; i++) {
            const int keys = causal && i + 1 < valid ? i + 1 : valid;
            double p[L], sum = 0;

            for (int j = 0; j < keys; j++) {
                double score = 0;

                for (int e = h * W; e < (h + 1) * W; e++)
                    score += q[i * D + e] * k[j * D + e];
                p[j] = exp(score / sqrt(W));
                sum += p[j];
            }
            for (int j = 0; j < keys; j++)
                for (int e = h * W; e < (h + 1) * W; e++)
                    o[i * D + e] += p[j] / sum * v[j * D + e];
        }
    sqa_probe_times(o, w->wo, L, D, D, y);
}

static enum sqa_status equals_definition(const char *item, struct sqa_err *err)
{
    double x[B * L * D], y[B * L * D], expect[B * L * D];
    struct weights w;

    sqa_probe_normal(1, x, B * L * D);
    sqa_probe_normal(2, w.wq, D * D);
    sqa_probe_normal(3, w.wk, D * D);
    sqa_probe_normal(4, w.wv, D * D);
    sqa_probe_normal(5, w.wo, D * D);
    for (int mode = 0; mode < 4; mode++) {
        const bool causal = mode & 1;
        const int32_t *lengths = mode & 2 ? ragged : NULL;
        const struct sqa_probe p = {.item = item,
                                    .batch = B,
                                    .length = L,
                                    .dim = D,
                                    .heads = H,
                                    .causal = causal,
                                    .lengths = lengths,
                                    .real = SQA_F64,
                                    .edit = set_weights,
                                    .user = &w};
        enum sqa_status status = sqa_probe_run(&p, x, y, err);

        for (int b = 0; b < B && status == SQA_OK; b++) {
            const int valid = lengths ? lengths[b] : L;

            dense(&w, x + b * L * D, valid, causal, expect + b * L * D);
            status = sqa_probe_expect(
                item, sqa_probe_difference(y + b * L * D, expect + b * L * D, (size_t)(valid * D)), 1e-12, err);
        }
        if (status != SQA_OK)
            return status;
    }
    return SQA_OK;
}

static enum sqa_status equals_dense(struct sqa_err *err)
{
    return equals_definition("transformer", err);
}

static enum sqa_status dense_kernel(struct sqa_err *err)
{
    return equals_definition("transformer:kernel=dense", err);
}

/* Keys at holes get no weight, and queries there attend to all keys alike; no key is left in the second sequence. */
static int holed_pair(const void *user, int b, int h, int i, int j)
{
    const double *valid = user;

    (void)h;
    return valid[b * L + i] < 0.5 ? SQA_PROBE_EVEN : valid[b * L + j] > 0.5;
}

static enum sqa_status holed(struct sqa_err *err)
{
    double valid[B * L] = {0};
    const struct sqa_probe p = {
        .item = "transformer", .batch = B, .length = L, .dim = D, .heads = H, .valid = valid, .real = SQA_F64};

    for (int i = 0; i < L; i++)
        valid[i] = i % 3 == 1 || i == 6;
    return sqa_probe_dense(&p, &(struct sqa_probe_pairs){.set = holed_pair, .user = valid}, err);
}

/* Values are the inputs themselves, read back unchanged. */
static void open_values(struct sqa_store *s, void *user)
{
    sqa_probe_set_identity(s, "mixer.wv.w");
    sqa_probe_set_identity(s, "mixer.wo.w");
    if (user != NULL)
        sqa_probe_set_constant(s, user, 0.0);
}

static enum sqa_status zero_queries(struct sqa_err *err)
{
    char name[] = "mixer.wq.w";
    double x[B * L * D], y[B * L * D], mean[D] = {0};
    const struct sqa_probe p = {.item = "transformer",
                                .batch = B,
                                .length = L,
                                .dim = D,
                                .heads = H,
                                .lengths = ragged,
                                .real = SQA_F64,
                                .edit = open_values,
                                .user = name};
    enum sqa_status status;

    sqa_probe_normal(6, x, B * L * D);
    status = sqa_probe_run(&p, x, y, err);
    for (int b = 0; b < B && status == SQA_OK; b++) {
        for (int e = 0; e < D; e++) {
            mean[e] = 0;
            for (int t = 0; t < ragged[b]; t++)
                mean[e] += x[(b * L + t) * D + e] / ragged[b];
        }
        for (int t = 0; t < ragged[b] && status == SQA_OK; t++)
            status = sqa_probe_expect("mean of the valid values", sqa_probe_difference(y + (b * L + t) * D, mean, D),
                                      1e-13, err);
    }
    return status;
}

/* Input 0 is 1 everywhere and every value is input 0. */
static void constant_values(struct sqa_store *s, void *user)
{
    double w[D * D] = {0};

    (void)user;
    for (int e = 0; e < D; e++)
        w[e] = 1;
    sqa_probe_set(s, "mixer.wv.w", w);
    sqa_probe_set_identity(s, "mixer.wo.w");
}

static enum sqa_status weights_sum_to_one(struct sqa_err *err)
{
    double x[B * L * D], y[B * L * D], ones[B * L * D];
    enum sqa_status status = SQA_OK;

    sqa_probe_normal(7, x, B * L * D);
    for (int t = 0; t < B * L; t++)
        x[t * D] = 1;
    for (int i = 0; i < B * L * D; i++)
        ones[i] = 1;
    for (int causal = 0; causal < 2 && status == SQA_OK; causal++) {
        const struct sqa_probe p = {.item = "transformer",
                                    .batch = B,
                                    .length = L,
                                    .dim = D,
                                    .heads = H,
                                    .causal = causal != 0,
                                    .real = SQA_F64,
                                    .edit = constant_values};

        status = sqa_probe_run(&p, x, y, err);
        if (status == SQA_OK)
            status = sqa_probe_expect("values 1 give 1", sqa_probe_difference(y, ones, B * L * D), 1e-13, err);
    }
    return status;
}

static enum sqa_status inside_hull(struct sqa_err *err)
{
    double x[B * L * D], y[B * L * D], outside = 0;
    const struct sqa_probe p = {
        .item = "transformer", .batch = B, .length = L, .dim = D, .heads = H, .real = SQA_F64, .edit = open_values};
    enum sqa_status status;

    sqa_probe_normal(8, x, B * L * D);
    status = sqa_probe_run(&p, x, y, err);
    if (status != SQA_OK)
        return status;
    for (int b = 0; b < B; b++)
        for (int e = 0; e < D; e++) {
            double low = HUGE_VAL, high = -HUGE_VAL;

            for (int t = 0; t < L; t++) {
                low = fmin(low, x[(b * L + t) * D + e]);
                high = fmax(high, x[(b * L + t) * D + e]);
            }
            for (int t = 0; t < L; t++)
                outside = fmax(outside, fmax(low - y[(b * L + t) * D + e], y[(b * L + t) * D + e] - high));
        }
    return sqa_probe_expect("outputs outside the hull of the values", outside, 1e-13, err);
}

static const struct sqa_identity identities[] = {
    {"equals dense attention by its definition, causal and padded", equals_dense},
    {"kernel=dense equals it too", dense_kernel},
    {"padding that stands anywhere: its definition", holed},
    {"queries 0: the mean of the valid values", zero_queries},
    {"weights of a row sum to 1", weights_sum_to_one},
    {"outputs lie in the hull of the values", inside_hull},
    {.name = NULL},
};

const struct sqa_variant sqa_variant_transformer = {
    .id = "transformer",
    .slot = SQA_SLOT_MIXER,
    .title = "Softmax attention",
    .source = "Vaswani et al. 2017, arXiv:1706.03762, section 3.2",
    .complexity = "O(L^2 D) time, O(L D) memory",
    .help =
        "Every position attends to every valid one. Computed in tiles with the online softmax, exactly; kernel=dense "
        "holds the L x L matrices, which is what published timings without a fused kernel did: memory then grows "
        "with the square of the length.",
    .traits = SQA_TRAIT_CAUSAL | SQA_TRAIT_PADDING | SQA_TRAIT_EQUIVARIANT | SQA_TRAIT_SUM_TO_ONE |
              SQA_TRAIT_LINEAR_MEMORY | SQA_TRAIT_QKV,
    .params = params,
    .self_size = sizeof(struct self),
    .holes = holes,
    .build = build,
    .step = step,
    .flops = flops,
    .identities = identities,
};
