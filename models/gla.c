/*
 * gla.c - gated linear attention: a state that fades by a factor of each position and key channel
 *
 * Computes  q = Wq x / sqrt(d), k = Wk x of expand_k D channels; v = Wv x of D; in each head
 *           S_t = diag(a_t) S_(t-1) + k_t v_t^T, o_t = S_t^T q_t, a = sigmoid(Wa2 Wa1 x + b)^(1 / temperature);
 *           out = Wo (RMSnorm(o) gain, times silu(Wg x)), the norm over each head.
 *           Not causal: the same from the end is added, the position itself counted once; bidirectional=0: not
 * Shapes    x (B, L, D) -> (B, L, D); q, k, a (B, L, H, expand_k D / H), v (B, L, H, D / H); gain (D / H)
 * Cost      with K = expand_k D: B L (4 D K + 6 D^2 + 2 rank (D + K)) for the projections, 5 K / H + 9 for each of B
 *           L D numbers of o, 8 B L K for q and a; not causal: decayed_attention.h
 * Step      S of every head, expand_k D^2 / H numbers
 * Source    Yang et al. 2024, arXiv:2312.06635, equations (3) and (4), section 4.4; gain, eps 1e-5:
 *           fla-org/flash-linear-attention: fla/layers/gla.py
 * Departs   the paper has no form that sees the future. Not in chunks of products: decayed_attention.h says why
 */
#include <math.h>

#include "models/decayed_attention.h"
#include "models/probe_known.h"
#include "models/step.h"

#define EPS 1e-5

struct self {
    double expand_k, temperature;
    int64_t rank, chunk, bidirectional;
};

static const struct sqa_param params[] = {
    {"expand_k", "width of queries and keys, in multiples of dim", SQA_PARAM_REAL, "0.5", 1e-3, 16,
     .offset = offsetof(struct self, expand_k)},
    {"rank", "of the projection to the gates", SQA_PARAM_INT, "16", 1, 1 << 16,
     .offset = offsetof(struct self, rank)},
    {"temperature", "gates are sigmoids to the power of one over it", SQA_PARAM_REAL, "16", 1e-3, 1e6,
     .offset = offsetof(struct self, temperature)},
    {"chunk", "positions done at a time; changes cost, not results", SQA_PARAM_INT, "64", 1, 1 << 16,
     .offset = offsetof(struct self, chunk)},
    {"bidirectional", "when not causal, positions see the future too", SQA_PARAM_INT, "1", 0, 1,
     .offset = offsetof(struct self, bidirectional)},
    {.name = NULL},
};

/* Width of a head's keys; 0: it would be none. */
static int64_t key_width(const struct self *s, const struct sqa_frame *f)
{
    return (int64_t)floor(s->expand_k * (double)f->dim / (double)f->heads + 1e-9);
}

static enum sqa_status check(const void *self, const struct sqa_frame *frame, const struct sqa_signature *task,
                             struct sqa_err *err)
{
    const struct self *s = self;

    (void)task;
    if (key_width(s, frame) < 1)
        return sqa_fail(err, SQA_USAGE, "gla: expand_k=%g leaves no channel for keys of %lld heads; raise it",
                        s->expand_k, (long long)frame->heads);
    return SQA_OK;
}

static bool sees_future(const struct self *s, const struct sqa_context *c)
{
    return !c->frame.causal && s->bidirectional;
}

static struct sqa_tensor *heads_of(struct sqa_context *c, struct sqa_tensor *x, int64_t width)
{
    return sqa_reshape(c->g, x, SQA_DIMS(c->batch, c->length, c->frame.heads, width));
}

/* log a = -softplus(-z) / temperature */
static struct sqa_tensor *log_gates(const struct self *s, struct sqa_context *c, struct sqa_tensor *x, int64_t width)
{
    struct sqa_tensor *z = sqa_dense_layer(c, "wa2", sqa_dense_layer(c, "wa1", x, s->rank, false), width, true);

    z = sqa_unary(c->g, SQA_UNARY_SOFTPLUS, sqa_unary(c->g, SQA_UNARY_NEG, z));
    return sqa_affine(c->g, -1 / s->temperature, z, 0);
}

static struct sqa_tensor *attend(const struct self *s, struct sqa_context *c, struct sqa_tensor *q,
                                 struct sqa_tensor *k, struct sqa_tensor *v, struct sqa_tensor *log)
{
    const struct sqa_decay_spec spec = {.causal = !sees_future(s, c), .chunk = s->chunk};

    if (c->position == NULL)
        return sqa_decayed_attention(c->g, q, k, v, NULL, log, c->lengths, spec);
    return sqa_matrix_step(c, "s", q, k, v, sqa_unary(c->g, SQA_UNARY_EXP, log));
}

/* With c->position the step form. */
static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    const struct self *s = self;
    const int64_t D = c->frame.dim, H = c->frame.heads, d = key_width(s, &c->frame);
    const struct sqa_init one = {.kind = SQA_INIT_CONSTANT, .a = 1};
    struct sqa_tensor *gate = sqa_dense_layer_act(c, "wg", x, D, false, SQA_UNARY_SILU), *y[3], *o;

    sqa_dense_layers(c, 3,
                     (struct sqa_dense_spec[]){{"wq", H * d, false, SQA_UNARY_N},
                                               {"wk", H * d, false, SQA_UNARY_N},
                                               {"wv", D, false, SQA_UNARY_N}},
                     x, y);
    y[0] = sqa_affine(c->g, 1 / sqrt((double)d), y[0], 0);
    o = attend(s, c, heads_of(c, y[0], d), heads_of(c, y[1], d), heads_of(c, y[2], D / H),
               heads_of(c, log_gates(s, c, x, H * d), d));
    o = sqa_layernorm(c->g, o, sqa_param_tensor(c, "gain", SQA_GROUP_NO_DECAY, one, SQA_DIMS(D / H)), NULL, EPS,
                      true);
    o = sqa_mul(c->g, sqa_reshape(c->g, o, SQA_DIMS(c->batch, c->length, D)), gate);
    return sqa_dense_layer(c, "wo", o, D, false);
}

static double flops(const void *self, const struct sqa_context *c)
{
    const struct self *s = self;
    const int64_t d = key_width(s, &c->frame), H = c->frame.heads;
    const double rows = (double)(c->batch * c->length), D = (double)c->frame.dim, K = (double)(d * H);
    const double rank = (double)s->rank;
    const struct sqa_decayed_shape shape = {c->batch, c->length, H, d, c->frame.dim / H, true};

    /* silu 1, norm 7, gate 1; of q 2, of log a 1 (bias), 1, 1 and 2 */
    return rows * (4 * D * K + 6 * D * D + 2 * rank * (D + K) + 9 * D + 7 * K) +
           sqa_decayed_attention_flops(shape, !sees_future(s, c));
}

/* Identities */

enum { B = 2, L = 41, D = 8, H = 2, V = D / H, W = V / 2, K = H * W, RANK = 16 };

static const int32_t ragged[B] = {L, 23};

struct held {
    double wq[D * K], wk[D * K], wv[D * D], wg[D * D], wo[D * D], wa1[D * RANK], wa2[RANK * K], b[K], gain[V];
    double shift; /* of b, before the run */
};

static void hold(struct sqa_store *s, void *user)
{
    struct held *h = user;

    sqa_probe_set_constant(s, "mixer.wa2.b", h->shift);
    sqa_probe_get(s, "mixer",
                  (const struct sqa_probe_entry[]){{"wq.w", h->wq},
                                                   {"wk.w", h->wk},
                                                   {"wv.w", h->wv},
                                                   {"wg.w", h->wg},
                                                   {"wo.w", h->wo},
                                                   {"wa1.w", h->wa1},
                                                   {"wa2.w", h->wa2},
                                                   {"wa2.b", h->b},
                                                   {"gain", h->gain},
                                                   {NULL, NULL}});
}

/* One sequence in the parallel form: weights of pairs are sums over channels of q k times the product of the a
 * between them. */
static void parallel(const struct held *h, const double *x, double temperature, int valid, bool both, double *out)
{
    double q[L * K], k[L * K], v[L * D], g[L * D], low[L * RANK], a[L * K], y[L * D] = {0};

    sqa_probe_times(x, h->wq, L, D, K, q);
    sqa_probe_times(x, h->wk, L, D, K, k);
    sqa_probe_times(x, h->wv, L, D, D, v);
    sqa_probe_times(x, h->wg, L, D, D, g);
    sqa_probe_times(x, h->wa1, L, D, RANK, low);
    sqa_probe_times(low, h->wa2, L, RANK, K, a);
    for (int i = 0; i < L * K; i++)
        a[i] = pow(1 / (1 + exp(-a[i] - h->b[i % K])), 1 / temperature);
    for (int head = 0; head < H; head++)
        for (int t = 0; t < valid; t++) {
            double *o = y + t * D + head * V, square = 0;

            for (int s = 0; s < (both ? valid : t + 1); s++) {
                double weight = 0;

                for (int e = head * W; e < (head + 1) * W; e++) {
                    double fade = 1;

                    for (int u = s + 1; u <= t; u++)
                        fade *= a[u * K + e];
                    for (int u = t; u < s; u++)
                        fade *= a[u * K + e];
                    weight += q[t * K + e] * k[s * K + e] * fade / sqrt(W);
                }
                for (int e = 0; e < V; e++)
                    o[e] += weight * v[s * D + head * V + e];
            }
            for (int e = 0; e < V; e++)
                square += o[e] * o[e];
            for (int e = 0; e < V; e++) {
                const double z = g[t * D + head * V + e];

                o[e] *= h->gain[e] * z / (1 + exp(-z)) / sqrt(square / V + EPS);
            }
        }
    sqa_probe_times(y, h->wo, L, D, D, out);
}

static enum sqa_status against_parallel(const char *item, double temperature, double shift, bool causal, bool both,
                                        struct sqa_err *err)
{
    double x[B * L * D], y[B * L * D], expect[L * D];
    struct held h = {.shift = shift};
    const struct sqa_probe p = {.item = item,
                                .batch = B,
                                .length = L,
                                .dim = D,
                                .heads = H,
                                .causal = causal,
                                .lengths = ragged,
                                .real = SQA_F64,
                                .edit = hold,
                                .user = &h};
    enum sqa_status status;

    sqa_probe_normal(1, x, B * L * D);
    status = sqa_probe_run(&p, x, y, err);
    for (int b = 0; b < B && status == SQA_OK; b++) {
        parallel(&h, x + b * L * D, temperature, ragged[b], both, expect);
        status =
            sqa_probe_expect(item, sqa_probe_difference(y + b * L * D, expect, (size_t)(ragged[b] * D)), 1e-12, err);
    }
    return status;
}

/* So all chunks agree with each other and with the recurrence, chunk=1. */
static enum sqa_status equals_parallel(struct sqa_err *err)
{
    static const char *const items[] = {"gla:chunk=1,temperature=2", "gla:chunk=16,temperature=2",
                                        "gla:chunk=64,temperature=2", "gla:chunk=41,temperature=2",
                                        "gla:bidirectional=0,temperature=2"};
    enum sqa_status status = SQA_OK;

    for (int i = 0; i < 10 && status == SQA_OK; i++)
        status = against_parallel(items[i / 2], 2, 0, i % 2, i % 2 == 0 && i / 2 < 4, err);
    return status;
}

/* b = 60: a = 1, linear attention without a denominator. b = -3e4, a = 0 to every digit: o_t = (q_t . k_t) v_t, and
 * a decay that underflows harms nothing, gradients neither. */
static enum sqa_status open_and_shut(struct sqa_err *err)
{
    static const double shifts[] = {60, -3e4};
    enum sqa_status status = SQA_OK;

    for (int i = 0; i < 4 && status == SQA_OK; i++) {
        struct held h = {.shift = shifts[i / 2]};
        const struct sqa_probe p = {.item = "gla",
                                    .batch = 1,
                                    .length = L,
                                    .dim = D,
                                    .heads = H,
                                    .causal = i % 2,
                                    .real = SQA_F64,
                                    .edit = hold,
                                    .user = &h};
        double worst = 0;

        status = against_parallel("gla", 16, shifts[i / 2], i % 2, i % 2 == 0, err);
        if (status == SQA_OK)
            status = sqa_probe_gradient(&p, &worst, err);
        if (status == SQA_OK)
            status = sqa_probe_expect("gradients with constant gates", worst, 1e-6, err);
    }
    return status;
}

static const struct sqa_identity identities[] = {
    {"every chunk equals the parallel form, both directions, padded", equals_parallel},
    {"gates of 1 are linear attention, gates of 0 see their own position", open_and_shut},
    {.name = NULL},
};

const struct sqa_variant sqa_variant_gla = {
    .id = "gla",
    .slot = SQA_SLOT_MIXER,
    .title = "GLA",
    .source = "Yang et al. 2024, arXiv:2312.06635",
    .complexity = "O(L d D) time, O(L D) memory",
    .help = "Linear attention whose state fades, in each channel of the keys, by a factor that the position decides; "
            "heads are normalised and gated. Not causal: distances in both directions, unless bidirectional=0. "
            "Attention stays f32 with --dtype bf16.",
    .traits = SQA_TRAIT_CAUSAL | SQA_TRAIT_PADDING | SQA_TRAIT_LINEAR_MEMORY,
    .params = params,
    .self_size = sizeof(struct self),
    .check = check,
    .build = build,
    .step = build,
    .flops = flops,
    .identities = identities,
};
