/*
 * nystromformer.c - softmax attention through landmarks
 *
 * Computes  F Z (B v) + conv(v): F = softmax(q Kl^T / sqrt(d)), B = softmax(Ql k^T / sqrt(d)) over valid keys, Z the
 *           pseudo-inverse of A = softmax(Ql Kl^T / sqrt(d)) by iterations (iterative_inverse.h); Ql, Kl: means of
 *           the `landmarks` segments of q and k; conv: depthwise over positions, centred, one kernel a head, no bias
 * Shapes    x (B, L, D) -> (B, L, D); q, k, v (B, L, H, d); landmarks (B, m, H, d); A and Z (B, H, m, m)
 * Cost      projections; F and B 2 B L m (4 Q + 5 H) and 2 B L Q for the means, Q = H d; A and Z (B v) 4 B m^2 Q;
 *           B H iterations 8 m^3; conv B L Q (2 kernel + 1). F and B are never whole in memory
 * Source    Xiong et al. 2021, arXiv:2102.03902, equations (13) to (17); defaults are those of its code for LRA
 *           (mlpen/Nystromformer, LRA/code/attention_nystrom.py): 64 landmarks, kernel 35 (the text says 33), 6
 *           iterations, kernel weights of PyTorch's Conv2d
 * Departs   a row of n valid positions is cut into min(n, m) segments of nearly equal size, and each landmark is the
 *           mean of valid positions (that code needs m to divide L, cuts the padded length, and divides the sum of
 *           what is valid by the whole size, so a segment of padding is a landmark of zeros). Z starts from each A by
 *           itself (there one number for all rows and heads of the batch, so that a row's answer depends on the
 *           others). form=lra has both as the code has them, with segments of max_length / m positions, rounded up.
 *           Where m >= max_length attention is exact, as there. No dropout of weights, as there
 */
#include <math.h>
#include <string.h>

#include "models/iterative_inverse.h"
#include "models/probe.h"
#include "models/segment_means.h"

struct self {
    int64_t landmarks, conv, iterations;
    const char *form;
};

static const struct sqa_param params[] = {
    {"landmarks", "segments that are averaged", SQA_PARAM_INT, "64", 1, 1 << 16,
     .offset = offsetof(struct self, landmarks)},
    {"conv", "kernel of the convolution that is added; 0: none", SQA_PARAM_INT, "35", 0, 1 << 10,
     .offset = offsetof(struct self, conv)},
    {"iterations", "of the pseudo-inverse", SQA_PARAM_INT, "6", 1, 1000, .offset = offsetof(struct self, iterations)},
    {"form", "paper, or lra: padding and the start of the inverse as released code has them", SQA_PARAM_CHOICE,
     "paper", .offset = offsetof(struct self, form), .choices = "paper|lra"},
    {.name = NULL},
};

static bool is_lra(const struct self *s)
{
    return strcmp(s->form, "lra") == 0;
}

static bool padded(const void *self)
{
    return is_lra(self);
}

static bool is_exact(const struct self *s, const struct sqa_context *c)
{
    return s->landmarks >= c->max_length;
}

static enum sqa_status check(const void *self, const struct sqa_frame *frame, const struct sqa_signature *task,
                             struct sqa_err *err)
{
    (void)self, (void)task;
    if (frame->causal)
        return sqa_fail(err, SQA_UNSUPPORTED,
                        "nystromformer: landmarks hold later positions, so there is no causal form; use causal=0, or "
                        "linear_transformer or performer");
    return SQA_OK;
}

/* (B, L, H, d) -> (B, m, H, d) */
static struct sqa_tensor *landmarks(const struct self *s, struct sqa_context *c, struct sqa_tensor *x)
{
    const int64_t B = c->batch, Q = sqa_qkv_width(&c->frame), H = c->frame.heads, m = s->landmarks;

    x = sqa_segment_means(c->g, sqa_reshape(c->g, x, SQA_DIMS(B, c->length, Q)), c->lengths, m,
                          is_lra(s) ? (c->max_length + m - 1) / m : 0);
    return sqa_reshape(c->g, x, SQA_DIMS(B, m, H, Q / H));
}

static struct sqa_tensor *heads_first(struct sqa_context *c, struct sqa_tensor *x)
{
    return sqa_transpose(c->g, x, 1, 2);
}

/* A, where there are `alive` landmarks, 0 elsewhere: (B, H, m, m). Its largest column sum is at least 1. */
static struct sqa_tensor *core(const struct self *s, struct sqa_context *c, struct sqa_tensor *q,
                               struct sqa_tensor *k, struct sqa_tensor *alive, double scale)
{
    struct sqa_tensor *a = sqa_matmul(c->g, heads_first(c, q), heads_first(c, k), false, true), *rows;

    a = sqa_masked_softmax(c->g, a, alive, scale, false);
    if (alive == NULL)
        return a;
    rows = sqa_mask_rows(c->g, sqa_fill(c->g, 1, SQA_DIMS(c->batch, s->landmarks)), alive);
    return sqa_mul(c->g, a, sqa_reshape(c->g, rows, SQA_DIMS(c->batch, 1, s->landmarks, 1)));
}

static struct sqa_tensor *through_landmarks(const struct self *s, struct sqa_context *c, struct sqa_heads h,
                                            struct sqa_attention_spec spec)
{
    struct sqa_tensor *q = landmarks(s, c, h.q), *k = landmarks(s, c, h.k), *alive = is_lra(s) ? NULL : c->lengths;
    struct sqa_tensor *a = core(s, c, q, k, alive, spec.scale);
    struct sqa_tensor *z = sqa_iterative_inverse(c->g, a, sqa_inverse_start(c->g, a, 1, is_lra(s)), s->iterations);
    struct sqa_tensor *values = sqa_attention(c->g, q, h.k, h.v, c->lengths, spec);

    values = heads_first(c, sqa_matmul(c->g, z, heads_first(c, values), false, false));
    return sqa_attention(c->g, h.q, k, values, alive, spec);
}

/* The kernel of each head for its d channels */
static struct sqa_tensor *convolution(const struct self *s, struct sqa_context *c, struct sqa_tensor *v)
{
    const int64_t B = c->batch, L = c->length, Q = sqa_qkv_width(&c->frame), H = c->frame.heads;
    const double limit = 1 / sqrt((double)s->conv);
    const struct sqa_init init = {.kind = SQA_INIT_UNIFORM, .a = -limit, .b = limit};
    struct sqa_tensor *w = sqa_param_tensor(c, "conv", SQA_GROUP_REGULAR, init, SQA_DIMS(s->conv, H));

    w = sqa_reshape(c->g,
                    sqa_broadcast(c->g, sqa_reshape(c->g, w, SQA_DIMS(s->conv, H, 1)), SQA_DIMS(s->conv, H, Q / H)),
                    SQA_DIMS(s->conv, Q));
    v = sqa_conv1d(c->g, sqa_reshape(c->g, v, SQA_DIMS(B, L, Q)), w, NULL, c->lengths, s->conv / 2);
    return sqa_reshape(c->g, v, SQA_DIMS(B, L, H, Q / H));
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    const struct self *s = self;
    const struct sqa_heads h = sqa_project_heads(c, x);
    const struct sqa_attention_spec spec = {.scale = 1 / sqrt((double)sqa_head_dim(&c->frame))};
    struct sqa_tensor *o =
        is_exact(s, c) ? sqa_attention(c->g, h.q, h.k, h.v, c->lengths, spec) : through_landmarks(s, c, h, spec);

    if (s->conv > 0)
        o = sqa_add(c->g, o, convolution(s, c, h.v));
    return sqa_merge_heads(c, o);
}

static double flops(const void *self, const struct sqa_context *c)
{
    const struct self *s = self;
    const double B = (double)c->batch, L = (double)c->length, Q = (double)sqa_qkv_width(&c->frame);
    const double H = (double)c->frame.heads, m = (double)s->landmarks, pair = 4 * Q + 5 * H;
    const double conv = s->conv > 0 ? B * L * Q * (2 * (double)s->conv + 1) : 0;
    const bool masked = c->lengths != NULL && !is_lra(s);

    if (is_exact(s, c))
        return sqa_heads_flops(c) + conv + B * L * L * pair;
    return sqa_heads_flops(c) + conv + B * (2 * L * (m * pair + Q) + m * m * (4 * Q + (masked ? 6 : 5) * H)) +
           sqa_inverse_start_flops(B * H, s->landmarks, is_lra(s)) +
           sqa_iterative_inverse_flops(B * H, s->landmarks, s->iterations);
}

/* Identities */

enum { B = 2, L = 12, D = 8, H = 2, W = D / H, MOST = 4 };

static const int32_t ragged[B] = {L, 7};

static struct sqa_probe probe_of(const char *item, const int32_t *lengths)
{
    return (struct sqa_probe){
        .item = item, .batch = B, .length = L, .dim = D, .heads = H, .lengths = lengths, .seed = 3, .real = SQA_F64};
}

static enum sqa_status against_softmax(const char *item, const double *x, double bound, struct sqa_err *err)
{
    double y[B * L * D], expect[B * L * D];
    struct sqa_probe p = probe_of(item, ragged);
    enum sqa_status status = sqa_probe_run(&p, x, y, err);

    p.item = "transformer";
    if (status == SQA_OK)
        status = sqa_probe_run(&p, x, expect, err);
    for (int b = 0; b < B && status == SQA_OK; b++)
        status = sqa_probe_expect(
            item, sqa_probe_difference(y + b * L * D, expect + b * L * D, (size_t)(ragged[b] * D)), bound, err);
    return status;
}

static enum sqa_status enough_landmarks(struct sqa_err *err)
{
    double x[B * L * D];

    sqa_probe_normal(1, x, B * L * D);
    return against_softmax("nystromformer:landmarks=12,conv=0", x, 1e-13, err);
}

/* Positions of a segment are alike: 12 positions in 4 segments, and 7 in 4 (of 1, 2, 2, 2). */
static enum sqa_status constant_segments(struct sqa_err *err)
{
    double x[B * L * D], each[B * MOST * D];

    sqa_probe_normal(2, each, B * MOST * D);
    memset(x, 0, sizeof x);
    for (int b = 0; b < B; b++)
        for (int i = 0; i < MOST; i++)
            for (int t = i * ragged[b] / MOST; t < (i + 1) * ragged[b] / MOST; t++)
                memcpy(x + (b * L + t) * D, each + (b * MOST + i) * D, D * sizeof *x);
    return against_softmax("nystromformer:landmarks=4,conv=0,iterations=40", x, 1e-9, err);
}

static void identity_weights(struct sqa_store *s, void *user)
{
    static const char *const names[] = {"mixer.wq.w", "mixer.wk.w", "mixer.wv.w", "mixer.wo.w"};

    (void)user;
    for (int i = 0; i < 4; i++)
        sqa_probe_set_identity(s, names[i]);
}

/* w (rows, n) becomes softmax of q k^T / sqrt(W); rows of q and k are D apart. */
static void weights(const double *q, int rows, const double *k, int n, double *w)
{
    for (int i = 0; i < rows; i++) {
        double sum = 0;

        for (int j = 0; j < n; j++) {
            double dot = 0;

            for (int e = 0; e < W; e++)
                dot += q[i * D + e] * k[j * D + e];
            w[i * n + j] = exp(dot / sqrt(W));
            sum += w[i * n + j];
        }
        for (int j = 0; j < n; j++)
            w[i * n + j] /= sum;
    }
}

/* c (rows, columns) = a (rows, n) b; rows of b and c lie apart by their strides. */
static void times(const double *a, int rows, int n, const double *b, int b_stride, int columns, double *c,
                  int c_stride)
{
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++) {
            double sum = 0;

            for (int k = 0; k < n; k++)
                sum += a[i * n + k] * b[k * b_stride + j];
            c[i * c_stride + j] = sum;
        }
}

/* z = the start or, from it, one more iteration, written with the identity matrix as in the paper */
static void inverse(const double *a, int m, int iterations, double *z)
{
    double top = 0, az[MOST * MOST], t[MOST * MOST], u[MOST * MOST];

    for (int j = 0; j < m; j++) {
        double sum = 0;

        for (int i = 0; i < m; i++)
            sum += a[i * m + j];
        top = fmax(top, sum);
    }
    for (int i = 0; i < m; i++)
        for (int j = 0; j < m; j++)
            z[i * m + j] = a[j * m + i] / top;
    for (int s = 0; s < iterations; s++) {
        static const double diagonal[3] = {7, 15, 13};

        times(a, m, m, z, m, m, az, m);
        memcpy(t, az, sizeof t);
        for (int k = 0; k < 3; k++) {
            for (int i = 0; i < m * m; i++)
                t[i] = (i % (m + 1) == 0 ? diagonal[k] : 0) - t[i];
            times(k < 2 ? az : z, m, m, t, m, m, u, m);
            memcpy(t, u, sizeof t);
        }
        for (int i = 0; i < m * m; i++)
            z[i] = t[i] / 4;
    }
}

/* One sequence with q = k = v = x and m <= n landmarks, every matrix written out */
static void dense(const double *x, int n, int m, int iterations, const double *conv, int kernel, double *y)
{
    double means[MOST * D] = {0}, f[L * MOST], back[MOST * L], a[MOST * MOST], z[MOST * MOST], bv[MOST * W];
    double zbv[MOST * W];

    for (int i = 0; i < m; i++)
        for (int t = i * n / m, from = t, to = (i + 1) * n / m; t < to; t++)
            for (int e = 0; e < D; e++)
                means[i * D + e] += x[t * D + e] / (to - from);
    for (int h = 0; h < H; h++) {
        weights(x + h * W, n, means + h * W, m, f);
        weights(means + h * W, m, means + h * W, m, a);
        weights(means + h * W, m, x + h * W, n, back);
        inverse(a, m, iterations, z);
        times(back, m, n, x + h * W, D, W, bv, W);
        times(z, m, m, bv, W, W, zbv, W);
        times(f, n, m, zbv, W, W, y + h * W, D);
        for (int t = 0; t < n; t++)
            for (int j = 0; j < kernel; j++)
                for (int e = 0, s = t + j - kernel / 2; e < W && s >= 0 && s < n; e++)
                    y[t * D + h * W + e] += conv[j * H + h] * x[s * D + h * W + e];
    }
}

enum { KERNEL = 3 };

static void read_conv(struct sqa_store *s, void *user)
{
    const struct sqa_entry *e = sqa_store_find(s, "mixer.conv");

    identity_weights(s, NULL);
    if (e != NULL)
        sqa_entry_get(s, e, user);
}

static enum sqa_status equals_matrices(struct sqa_err *err)
{
    static const int32_t valid[B] = {11, 2}; /* the second has two landmarks of a position each */
    double x[B * L * D], y[B * L * D], expect[L * D], conv[KERNEL * H];
    struct sqa_probe p = probe_of("nystromformer:landmarks=3,conv=3", valid);
    enum sqa_status status;

    sqa_probe_normal(3, x, B * L * D);
    p.edit = read_conv;
    p.user = conv;
    status = sqa_probe_run(&p, x, y, err);
    for (int b = 0; b < B && status == SQA_OK; b++) {
        dense(x + b * L * D, valid[b], valid[b] < 3 ? valid[b] : 3, 6, conv, KERNEL, expect);
        status = sqa_probe_expect("nystromformer against its matrices",
                                  sqa_probe_difference(y + b * L * D, expect, (size_t)(valid[b] * D)), 1e-12, err);
    }
    return status;
}

static void constant_values(struct sqa_store *s, void *user)
{
    (void)user;
    sqa_probe_set_constant(s, "mixer.wv.w", 0);
    sqa_probe_set_constant(s, "mixer.wv.b", 1);
    sqa_probe_set_identity(s, "mixer.wo.w");
}

static enum sqa_status sums_to_one(struct sqa_err *err)
{
    double x[B * L * D], y[B * L * D], worst = 0;
    struct sqa_probe p = probe_of("nystromformer:landmarks=4,conv=0,iterations=40", NULL);
    enum sqa_status status;

    sqa_probe_normal(4, x, B * L * D);
    p.edit = constant_values;
    status = sqa_probe_run(&p, x, y, err);
    for (int i = 0; i < B * L * D && status == SQA_OK; i++)
        worst = fmax(worst, fabs(y[i] - 1));
    return status == SQA_OK ? sqa_probe_expect("sums of weights, less 1", worst, 1e-9, err) : status;
}

/* Sequences that change slowly, with the default iterations */
static enum sqa_status error_falls(struct sqa_err *err)
{
    enum { LONG = 64, ITEMS = 4, SEEDS = 8 };
    static const char *const items[ITEMS] = {"nystromformer:landmarks=2,conv=0", "nystromformer:landmarks=4,conv=0",
                                             "nystromformer:landmarks=8,conv=0", "nystromformer:landmarks=16,conv=0"};
    static double x[LONG * D], y[LONG * D], expect[LONG * D];
    double error[ITEMS] = {0};
    enum sqa_status status = SQA_OK;

    for (int seed = 0; seed < SEEDS && status == SQA_OK; seed++) {
        struct sqa_probe p = {.item = "transformer",
                              .batch = 1,
                              .length = LONG,
                              .dim = D,
                              .heads = H,
                              .seed = (uint64_t)seed,
                              .real = SQA_F64};

        sqa_probe_normal(50 + (uint64_t)seed, x, LONG * D);
        for (int i = D; i < LONG * D; i++)
            x[i] = x[i - D] + 0.25 * x[i];
        status = sqa_probe_run(&p, x, expect, err);
        for (int k = 0; k < ITEMS && status == SQA_OK; k++) {
            p.item = items[k];
            status = sqa_probe_run(&p, x, y, err);
            for (int i = 0; i < LONG * D; i++)
                error[k] += (y[i] - expect[i]) * (y[i] - expect[i]);
        }
    }
    for (int k = 1; k < ITEMS && status == SQA_OK; k++)
        status = sqa_probe_expect("square error of twice as many landmarks, over the error before",
                                  error[k] / error[k - 1], 0.8, err);
    return status;
}

static const struct sqa_identity identities[] = {
    {"landmarks >= length: softmax attention", enough_landmarks},
    {"segments of equal positions: softmax attention, padded too", constant_segments},
    {"equals F Z B v + conv(v) written out, with as many landmarks as positions where there are few",
     equals_matrices},
    {"with the inverse converged weights of a row sum to 1", sums_to_one},
    {"the error against softmax attention falls as landmarks grow", error_falls},
    {.name = NULL},
};

const struct sqa_variant sqa_variant_nystromformer = {
    .id = "nystromformer",
    .slot = SQA_SLOT_MIXER,
    .title = "Nystromformer",
    .source = "Xiong et al. 2021, arXiv:2102.03902, equations (13) to (17)",
    .complexity = "O(L m D + H m^3) time, O(L D + H m^2) memory",
    .help =
        "Softmax attention from all positions to `landmarks` means, between means, and from means to all positions; "
        "the middle one is inverted by iterations of products, which six do not bring to their end. A convolution "
        "of the values is added. The inverse stays f32 with --dtype bf16.",
    .traits = SQA_TRAIT_PADDING | SQA_TRAIT_LINEAR_MEMORY | SQA_TRAIT_QKV | SQA_TRAIT_LRA_BATCH,
    .params = params,
    .self_size = sizeof(struct self),
    .check = check,
    .padded = padded,
    .build = build,
    .flops = flops,
    .identities = identities,
};
