/*
 * deltanet.c - linear attention that writes by the delta rule
 *
 * Computes  q, k, v = silu(conv(Wq x)), silu(conv(Wk x)), silu(conv(Wv x)), depthwise, causal, without bias; in each
 *           head q and k over their lengths, q / sqrt(d), beta = sigmoid(Wb x) (times 2 with negative=1);
 *           e_t = v_t - S_(t-1)^T k_t, S_t = S_(t-1) + beta_t k_t e_t^T, o_t = S_t^T q_t;
 *           out = Wo (RMSnorm of each head of o, gain).
 *           Not causal: the same from the end, of the same q, k, v and beta, is added; bidirectional=0: not
 * Shapes    x (B, L, D) -> (B, L, D); q, k, v (B, L, H, D / H), beta (B, L, H); conv.w (conv, D) each; gain (D / H)
 * Cost      B L (8 D^2 + 2 D H) for the projections, 3 B L D (2 conv + 1), 14 B L D for lengths of q and k, 6 d + 2
 *           for each of B L D numbers of o in each direction, 7 B L D for the norm
 * Step      S of every head, D^2 / H numbers, and 3 (conv - 1) D of the convolutions
 * Source    Schlag et al. 2021, arXiv:2102.11174; Yang et al. 2024, arXiv:2406.06484, section 3; conv, norms, eps:
 *           fla-org/flash-linear-attention: fla/layers/delta_net.py
 * Departs   the papers have no form that sees the future. Not in the WY form of chunks: delta_rule.h says why; that
 *           the two agree is an identity here
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "models/delta_rule.h"
#include "models/probe_known.h"
#include "models/short_conv.h"
#include "models/step.h"

#define LENGTH_EPS 1e-6 /* added to squared lengths */
#define EPS 1e-5

struct self {
    int64_t conv, negative, chunk, bidirectional;
};

static const struct sqa_param params[] = {
    {"conv", "taps of the convolutions; 0: none, and no silu", SQA_PARAM_INT, "4", 0, 64,
     .offset = offsetof(struct self, conv)},
    {"negative", "beta from 0 to 2: what is read for a key may change its sign", SQA_PARAM_INT, "0", 0, 1,
     .offset = offsetof(struct self, negative)},
    {"chunk", "positions done at a time; changes cost, not results", SQA_PARAM_INT, "64", 1, 1 << 16,
     .offset = offsetof(struct self, chunk)},
    {"bidirectional", "when not causal, add a second direction", SQA_PARAM_INT, "1", 0, 1,
     .offset = offsetof(struct self, bidirectional)},
    {.name = NULL},
};

static int directions(const struct self *s, const struct sqa_context *c)
{
    return c->frame.causal || !s->bidirectional ? 1 : 2;
}

/* silu(conv(y)) as heads (B, L, H, d) */
static struct sqa_tensor *shortly(const struct self *s, struct sqa_context *c, const char *name, struct sqa_tensor *y)
{
    char full[32];
    const int64_t D = c->frame.dim, H = c->frame.heads;
    const double bound = 1 / sqrt((double)(s->conv > 0 ? s->conv : 1));
    const struct sqa_init taps = {.kind = SQA_INIT_UNIFORM, .a = -bound, .b = bound};

    if (s->conv > 0) {
        struct sqa_tensor *w;

        snprintf(full, sizeof full, "%s.w", name);
        w = sqa_param_tensor(c, full, SQA_GROUP_REGULAR, taps, SQA_DIMS(s->conv, D));
        y = sqa_unary(c->g, SQA_UNARY_SILU, sqa_short_conv(c, name, y, w, NULL));
    }
    return sqa_reshape(c->g, y, SQA_DIMS(c->batch, c->length, H, D / H));
}

/* scale x / |x| over each head: an RMS norm has sqrt(d) for the length */
static struct sqa_tensor *unit(struct sqa_context *c, struct sqa_tensor *x, double scale)
{
    const int64_t d = c->frame.dim / c->frame.heads;
    struct sqa_tensor *gain = sqa_fill(c->g, scale / sqrt((double)d), SQA_DIMS(d));

    return sqa_layernorm(c->g, x, gain, NULL, LENGTH_EPS / (double)d, true);
}

/* S += beta k (v - S^T k)^T, S^T q */
static struct sqa_tensor *rule_step(struct sqa_context *c, struct sqa_delta_inputs in)
{
    const int64_t H = c->frame.heads, d = c->frame.dim / H;
    struct sqa_tensor *S = sqa_step_state(c, "s", SQA_DIMS(H, d, d), NULL);
    struct sqa_tensor *k = sqa_reshape(c->g, in.k, SQA_DIMS(c->batch, H, 1, d)), *read, *e;

    read = sqa_reshape(c->g, sqa_matmul(c->g, k, S, false, false), SQA_DIMS(c->batch, 1, H, d));
    e = sqa_mul(c->g, sqa_sub(c->g, in.v, read), sqa_reshape(c->g, in.beta, SQA_DIMS(c->batch, 1, H, 1)));
    return sqa_matrix_step(c, "s", in.q, in.k, e, NULL);
}

static struct sqa_tensor *rule(const struct self *s, struct sqa_context *c, struct sqa_delta_inputs in)
{
    struct sqa_tensor *o;

    if (c->position != NULL)
        return rule_step(c, in);
    o = sqa_delta_rule(c->g, in, s->chunk, false);
    return directions(s, c) == 2 ? sqa_add(c->g, o, sqa_delta_rule(c->g, in, s->chunk, true)) : o;
}

/* With c->position the step form. */
static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    const struct self *s = self;
    const int64_t D = c->frame.dim, H = c->frame.heads;
    const struct sqa_init one = {.kind = SQA_INIT_CONSTANT, .a = 1};
    struct sqa_delta_inputs in = {.lengths = c->lengths};
    struct sqa_tensor *y[3], *o;

    sqa_dense_layers(c, 3,
                     (struct sqa_dense_spec[]){
                         {"wq", D, false, SQA_UNARY_N}, {"wk", D, false, SQA_UNARY_N}, {"wv", D, false, SQA_UNARY_N}},
                     x, y);
    in.q = unit(c, shortly(s, c, "convq", y[0]), 1 / sqrt((double)(D / H)));
    in.k = unit(c, shortly(s, c, "convk", y[1]), 1);
    in.v = shortly(s, c, "convv", y[2]);
    in.beta = sqa_dense_layer_act(c, "wb", x, H, false, SQA_UNARY_SIGMOID);
    if (s->negative)
        in.beta = sqa_affine(c->g, 2, in.beta, 0);
    o = sqa_layernorm(c->g, rule(s, c, in), sqa_param_tensor(c, "gain", SQA_GROUP_NO_DECAY, one, SQA_DIMS(D / H)),
                      NULL, EPS, true);
    return sqa_dense_layer(c, "wo", sqa_reshape(c->g, o, SQA_DIMS(c->batch, c->length, D)), D, false);
}

static double flops(const void *self, const struct sqa_context *c)
{
    const struct self *s = self;
    const int64_t heads = c->frame.heads, d = c->frame.dim / heads;
    const double rows = (double)(c->batch * c->length), D = (double)c->frame.dim, H = (double)heads;
    const double n = directions(s, c), conv = s->conv > 0 ? 2 * (double)s->conv + 1 : 0;

    return rows * (8 * D * D + 2 * D * H + (s->negative ? 3 : 1) * H + 3 * D * conv + 21 * D + (n - 1) * D) +
           n * sqa_delta_rule_flops(c->batch, c->length, heads, d, d);
}

/* Identities */

enum { B = 2, L = 41, D = 8, H = 2, W = D / H };

static const int32_t ragged[B] = {L, 23};

struct held {
    double wq[D * D], wk[D * D], wv[D * D], wo[D * D], wb[D * H], cq[4 * D], ck[4 * D], cv[4 * D], gain[W];
};

static void hold(struct sqa_store *s, void *user)
{
    struct held *h = user;

    sqa_probe_get(s, "mixer",
                  (const struct sqa_probe_entry[]){{"wq.w", h->wq},
                                                   {"wk.w", h->wk},
                                                   {"wv.w", h->wv},
                                                   {"wo.w", h->wo},
                                                   {"wb.w", h->wb},
                                                   {"convq.w", h->cq},
                                                   {"convk.w", h->ck},
                                                   {"convv.w", h->cv},
                                                   {"gain", h->gain},
                                                   {NULL, NULL}});
}

/* silu(conv(W x)), over its length in each head and times scale when scale is not 0 */
static void feature(const double *x, const double *w, const double *taps, double scale, double *y)
{
    double z[L * D];

    sqa_probe_times(x, w, L, D, D, z);
    for (int t = 0; t < L; t++)
        for (int e = 0; e < D; e++) {
            double sum = 0;

            for (int j = 0; j < 4 && j <= t; j++)
                sum += taps[(3 - j) * D + e] * z[(t - j) * D + e];
            y[t * D + e] = sum / (1 + exp(-sum));
        }
    for (int i = 0; i < L * D && scale > 0; i += W) {
        double square = LENGTH_EPS;

        for (int e = 0; e < W; e++)
            square += y[i + e] * y[i + e];
        for (int e = 0; e < W; e++)
            y[i + e] *= scale / sqrt(square);
    }
}

/* One head of n positions in the WY form, chunks of `chunk`: (I + tril(diag(beta) K K^T, -1)) (Wm, U) =
 * diag(beta) (K, V) by forward substitution, Vn = U - Wm S, o = Q S + tril(Q K^T) Vn, S += K^T Vn. Rows at stride D.
 */
static void wy_form(const double *q, const double *k, const double *v, const double *beta, int n, int chunk,
                    double *o)
{
    double S[W][W] = {{0}};

    for (int first = 0; first < n; first += chunk) {
        const int rows = n - first < chunk ? n - first : chunk;
        double wm[L][W], u[L][W];

        for (int t = 0; t < rows; t++) {
            const double *kt = k + (first + t) * D, *qt = q + (first + t) * D, b = beta[first + t];

            for (int e = 0; e < W; e++) {
                wm[t][e] = b * kt[e];
                u[t][e] = b * v[(first + t) * D + e];
            }
            for (int s = 0; s < t; s++) {
                double kk = 0;

                for (int e = 0; e < W; e++)
                    kk += kt[e] * k[(first + s) * D + e];
                for (int e = 0; e < W; e++) {
                    wm[t][e] -= b * kk * wm[s][e];
                    u[t][e] -= b * kk * u[s][e];
                }
            }
            for (int e = 0; e < W; e++) {
                o[(first + t) * D + e] = 0;
                for (int i = 0; i < W; i++)
                    o[(first + t) * D + e] += qt[i] * S[i][e];
            }
        }
        for (int t = 0; t < rows; t++) /* u becomes Vn */
            for (int e = 0; e < W; e++)
                for (int i = 0; i < W; i++)
                    u[t][e] -= wm[t][i] * S[i][e];
        for (int t = 0; t < rows; t++)
            for (int s = 0; s <= t; s++) {
                double qk = 0;

                for (int e = 0; e < W; e++)
                    qk += q[(first + t) * D + e] * k[(first + s) * D + e];
                for (int e = 0; e < W; e++)
                    o[(first + t) * D + e] += qk * u[s][e];
            }
        for (int t = 0; t < rows; t++)
            for (int i = 0; i < W; i++)
                for (int e = 0; e < W; e++)
                    S[i][e] += k[(first + t) * D + i] * u[t][e];
    }
}

static void back_to_front(const double *x, int rows, int width, double *y)
{
    for (int t = 0; t < rows; t++)
        memcpy(y + t * width, x + (rows - 1 - t) * width, (size_t)width * sizeof *x);
}

/* o (L, D) of both directions of one sequence */
static void attend(const double *q, const double *k, const double *v, const double *beta, int valid, int chunk,
                   bool back, double *o)
{
    double in[3][L * D] = {{0}}, b[L * H] = {0}, bh[L], y[L * D] = {0}, turned[L * D];

    if (back) {
        back_to_front(q, valid, D, in[0]);
        back_to_front(k, valid, D, in[1]);
        back_to_front(v, valid, D, in[2]);
        back_to_front(beta, valid, H, b);
        attend(in[0], in[1], in[2], b, valid, chunk, false, y);
        back_to_front(y, valid, D, turned);
        for (int i = 0; i < valid * D; i++)
            o[i] += turned[i];
        return;
    }
    for (int head = 0; head < H; head++) {
        for (int t = 0; t < valid; t++)
            bh[t] = beta[t * H + head];
        wy_form(q + head * W, k + head * W, v + head * W, bh, valid, chunk, o + head * W);
    }
}

static void by_chunks(const struct held *h, const double *x, int valid, int chunk, bool both, double *out)
{
    double q[L * D], k[L * D], v[L * D], beta[L * H], o[L * D] = {0};

    feature(x, h->wq, h->cq, 1 / sqrt(W), q);
    feature(x, h->wk, h->ck, 1, k);
    feature(x, h->wv, h->cv, 0, v);
    sqa_probe_times(x, h->wb, L, D, H, beta);
    for (int i = 0; i < L * H; i++)
        beta[i] = 1 / (1 + exp(-beta[i]));
    attend(q, k, v, beta, valid, chunk, false, o);
    if (both)
        attend(q, k, v, beta, valid, chunk, true, o);
    for (int i = 0; i < valid * D; i += W) {
        double square = 0;

        for (int e = 0; e < W; e++)
            square += o[i + e] * o[i + e];
        for (int e = 0; e < W; e++)
            o[i + e] *= h->gain[e] / sqrt(square / W + EPS);
    }
    sqa_probe_times(o, h->wo, L, D, D, out);
}

/* Chunks of the op and of the WY form, the latter from 1 (the step recurrence) to the whole sequence */
static enum sqa_status equals_wy_form(struct sqa_err *err)
{
    static const char *const items[] = {"deltanet:chunk=1", "deltanet:chunk=16", "deltanet:chunk=64",
                                        "deltanet:chunk=41", "deltanet:bidirectional=0"};
    static const int chunks[] = {1, 3, 16, L, 5};
    double x[B * L * D], y[B * L * D], expect[L * D];
    enum sqa_status status = SQA_OK;

    sqa_probe_normal(1, x, B * L * D);
    for (int i = 0; i < 10 && status == SQA_OK; i++) {
        struct held h;
        const struct sqa_probe p = {.item = items[i / 2],
                                    .batch = B,
                                    .length = L,
                                    .dim = D,
                                    .heads = H,
                                    .causal = i % 2,
                                    .lengths = ragged,
                                    .real = SQA_F64,
                                    .edit = hold,
                                    .user = &h};

        status = sqa_probe_run(&p, x, y, err);
        for (int b = 0; b < B && status == SQA_OK; b++) {
            by_chunks(&h, x + b * L * D, ragged[b], chunks[i / 2], i % 2 == 0 && i / 2 < 4, expect);
            status = sqa_probe_expect(
                items[i / 2], sqa_probe_difference(y + b * L * D, expect, (size_t)(ragged[b] * D)), 1e-12, err);
        }
    }
    return status;
}

/* Rows of x are a key, a query and a value of N channels each, one head. */
enum { N = 4, T = 9, ALL = 3 * N };

static void three_parts(struct sqa_store *s, void *user)
{
    const double *logit = user;
    double w[3][ALL * ALL] = {{0}}, wb[ALL] = {0};
    static const char *const names[] = {"mixer.wk.w", "mixer.wq.w", "mixer.wv.w"};

    for (int i = 0; i < N; i++) {
        wb[i] = *logit;
        for (int part = 0; part < 3; part++)
            w[part][(part * N + i) * ALL + i] = 1;
    }
    for (int part = 0; part < 3; part++)
        sqa_probe_set(s, names[part], w[part]);
    sqa_probe_set(s, "mixer.wb.w", wb);
    sqa_probe_set_identity(s, "mixer.wo.w");
}

/* Keys e_0 .. e_3 with their values, e_1 again with another; then each key is asked for. beta is 1, or 0. */
static enum sqa_status recalls(struct sqa_err *err)
{
    double x[T * ALL] = {0}, y[T * ALL], expect[T * ALL] = {0}, values[5 * N];
    enum sqa_status status = SQA_OK;

    sqa_probe_normal(5, values, 5 * N);
    for (int t = 0; t < 5; t++) {
        x[t * ALL + t % 4 + (t == 4)] = 1;
        memcpy(x + t * ALL + 2 * N, values + t * N, N * sizeof *x);
    }
    for (int key = 0; key < N; key++) {
        const double *value = values + (key == 1 ? 4 : key) * N;
        double square = 0;

        x[(5 + key) * ALL + N + key] = 1;
        for (int e = 0; e < N; e++)
            square += value[e] * value[e] / ALL;
        for (int e = 0; e < N; e++)
            expect[(5 + key) * ALL + e] = value[e] / sqrt(ALL) / sqrt(square / ALL + EPS);
    }
    for (int i = 0; i < 2 && status == SQA_OK; i++) {
        double logit = i == 0 ? 40 : -40;
        const struct sqa_probe p = {.item = "deltanet:conv=0",
                                    .batch = 1,
                                    .length = T,
                                    .dim = ALL,
                                    .heads = 1,
                                    .causal = true,
                                    .real = SQA_F64,
                                    .edit = three_parts,
                                    .user = &logit};

        status = sqa_probe_run(&p, x, y, err);
        for (int k = 5 * ALL; k < T * ALL && i == 1; k++)
            expect[k] = 0;
        if (status == SQA_OK)
            status = sqa_probe_expect(i == 0 ? "values of keys that were written" : "beta = 0",
                                      sqa_probe_difference(y + 5 * ALL, expect + 5 * ALL, N * ALL), 1e-5, err);
    }
    return status;
}

static const struct sqa_identity identities[] = {
    {"every chunk equals the WY form of every chunk, both directions, padded", equals_wy_form},
    {"beta = 1 and keys at right angles: exact recall, a key written again keeps the new value", recalls},
    {.name = NULL},
};

const struct sqa_variant sqa_variant_deltanet = {
    .id = "deltanet",
    .slot = SQA_SLOT_MIXER,
    .title = "DeltaNet",
    .source = "Yang et al. 2024, arXiv:2406.06484; Schlag et al. 2021, arXiv:2102.11174",
    .complexity = "O(L d D) time, O(L D) memory",
    .help =
        "Linear attention whose state is corrected, at each position, by a share beta of what it would read for the "
        "position's key instead of its value. Not causal: a second pass from the end, unless bidirectional=0. The "
        "rule stays f32 with --dtype bf16.",
    .traits = SQA_TRAIT_CAUSAL | SQA_TRAIT_PADDING | SQA_TRAIT_LINEAR_MEMORY,
    .params = params,
    .self_size = sizeof(struct self),
    .build = build,
    .step = build,
    .flops = flops,
    .identities = identities,
};
