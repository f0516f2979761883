/*
 * hyena.c - gates and long convolutions whose filters are written by a small network of the position
 *
 * Computes  (x_1, ..., x_N, v) = conv(Win x + b_in) + b, depthwise, causal, N = order; for o = N down to 2:
 *           v = x_o v, v = k_o * v + b_o v, each channel by FFT; out = Wout (x_1 v) + b_out.
 *           k_o(t) = (W sin(f M3 ... )(t)) (exp(-|delta| t) + shift): an MLP of (t, cos w_j t, sin w_j t), its layers
 *           1, 2, 3 with sine f (.), f a frequency for each unit; t from 0 to 1 over the longest sequence of the
 *           task, so a shorter one has the first part of the same filters.
 *           Not causal: a second filter for the future, 1, 2, ... steps away; bidirectional=0: not
 * Shapes    x (B, L, D) -> (B, L, D); filters (order - 1) D, or twice that; z (longest, emb) features of positions
 * Cost      B L (2 (N + 1) D^2 + 2 D^2) for the projections, (N + 1) (2 conv + 2) + N + 1 for each of B L D numbers,
 *           and for each of N - 1 long convolutions two transforms and a spectral product a channel and sequence; a
 *           batch: L (2 emb w + 4 w^2 + 9 w) and for each of M = filters 2 w + 5 for the filters, and their
 *           transforms
 * Step      none: the filters have no finite state
 * Source    Poli et al. 2023, arXiv:2302.10866, section 3; initial values, window, features: HazyResearch/safari:
 *           src/models/sequence/hyena.py
 * Departs   features of positions are fixed, there trainable at 1e-5; the paper has no form that sees the future.
 *           Long Range Arena has no setting of it: emb=5, width=64, frequency=10 are what its later code uses
 *           elsewhere
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "models/probe_known.h"

#define PI 3.14159265358979323846

struct self {
    int64_t order, width, emb, conv, bidirectional;
    double frequency, shift;
};

static const struct sqa_param params[] = {
    {"order", "gates: one more than long convolutions", SQA_PARAM_INT, "2", 2, 8,
     .offset = offsetof(struct self, order)},
    {"width", "of the network that writes the filters", SQA_PARAM_INT, "64", 1, 4096,
     .offset = offsetof(struct self, width)},
    {"emb", "features of a position, an odd number", SQA_PARAM_INT, "5", 3, 255,
     .offset = offsetof(struct self, emb)},
    {"conv", "taps of the short convolution", SQA_PARAM_INT, "3", 1, 64, .offset = offsetof(struct self, conv)},
    {"frequency", "initial frequency of the sines in that network", SQA_PARAM_REAL, "10", 1e-3, 1e4,
     .offset = offsetof(struct self, frequency)},
    {"shift", "added to the window of the filters", SQA_PARAM_REAL, "0", 0, 10,
     .offset = offsetof(struct self, shift)},
    {"bidirectional", "when not causal, add filters of the future", SQA_PARAM_INT, "1", 0, 1,
     .offset = offsetof(struct self, bidirectional)},
    {.name = NULL},
};

static enum sqa_status check(const void *self, const struct sqa_frame *frame, const struct sqa_signature *task,
                             struct sqa_err *err)
{
    const struct self *s = self;

    (void)frame, (void)task;
    if (s->emb % 2 == 0)
        return sqa_fail(err, SQA_USAGE, "hyena: emb=%lld; a position and pairs of cosine and sine make an odd number",
                        (long long)s->emb);
    return SQA_OK;
}

static int sides(const struct self *s, const struct sqa_context *c)
{
    return c->frame.causal || !s->bidirectional ? 1 : 2;
}

/* Filters of one side */
static int64_t filters(const struct self *s, const struct sqa_context *c)
{
    return (s->order - 1) * c->frame.dim;
}

/* Row p of rows: t = p / (rows - 1), then cos and sin of 2 pi p / rows times frequencies from 1e-4 to bands - 1 */
static void fill_positions(double *values, int rank, const int64_t *dim, uint64_t key, const void *arg)
{
    const int64_t bands = (dim[1] - 1) / 2;

    (void)rank, (void)key, (void)arg;
    for (int64_t p = 0; p < dim[0]; p++) {
        double *row = values + p * dim[1];

        row[0] = dim[0] > 1 ? (double)p / (double)(dim[0] - 1) : 0;
        for (int64_t j = 0; j < bands; j++) {
            const double step = bands > 1 ? ((double)(bands - 1) - 1e-4) / (double)(bands - 1) : 0;
            const double angle = (1e-4 + step * (double)j) * 2 * PI * (double)p / (double)dim[0];

            row[1 + j] = cos(angle);
            row[1 + bands + j] = -sin(angle);
        }
    }
}

/* -|delta|: at t = 1 windows are 0.01^(1 / 1.5) to 0.01^(1 / 0.3) */
static void fill_windows(double *values, int rank, const int64_t *dim, uint64_t key, const void *arg)
{
    const double slow = log(1e-2) / 1.5, fast = log(1e-2) / 0.3;

    (void)rank, (void)key, (void)arg;
    for (int64_t i = 0; i < dim[0]; i++)
        values[i] = slow + (fast - slow) * (dim[0] > 1 ? (double)i / (double)(dim[0] - 1) : 0);
}

static struct sqa_init uniform(int64_t inputs)
{
    const double bound = 1 / sqrt((double)inputs);

    return (struct sqa_init){.kind = SQA_INIT_UNIFORM, .a = -bound, .b = bound};
}

/* sin(f (x w + b)) */
static struct sqa_tensor *sine_layer(struct sqa_context *c, int i, struct sqa_tensor *x, int64_t in, int64_t out,
                                     struct sqa_tensor *f)
{
    char name[32];
    struct sqa_tensor *w, *b;

    snprintf(name, sizeof name, "filter%d.w", i);
    w = sqa_param_tensor(c, name, SQA_GROUP_SSM, uniform(in), SQA_DIMS(in, out));
    snprintf(name, sizeof name, "filter%d.b", i);
    b = sqa_param_tensor(c, name, SQA_GROUP_SSM, uniform(in), SQA_DIMS(out));
    return sqa_unary(c->g, SQA_UNARY_SIN, sqa_mul(c->g, sqa_linear(c->g, x, w, b), f));
}

/* The filters of one side, (filters, L), of the network's last layer and their windows (L, filters) */
static struct sqa_tensor *windowed(struct sqa_context *c, const char *name, struct sqa_tensor *x, int64_t width,
                                   struct sqa_tensor *window)
{
    struct sqa_tensor *w =
        sqa_param_tensor(c, name, SQA_GROUP_SSM, uniform(width), SQA_DIMS(width, window ? window->dim[1] : 1));

    return sqa_dense(c->g, sqa_transpose(c->g, sqa_mul(c->g, sqa_linear(c->g, x, w, NULL), window), 0, 1));
}

/* k[0] (filters, L), with the b of every channel as a part of its first number, and k[1] or NULL */
static void write_filters(const struct self *s, struct sqa_context *c, struct sqa_tensor *k[2])
{
    const struct sqa_init features = {.kind = SQA_INIT_CUSTOM, .fill = fill_positions},
                          windows = {.kind = SQA_INIT_CUSTOM, .fill = fill_windows},
                          frequency = {.kind = SQA_INIT_CONSTANT, .a = s->frequency},
                          normal = {.kind = SQA_INIT_NORMAL, .a = 0, .b = 1};
    const int64_t M = filters(s, c), w = s->width;
    struct sqa_entry *z = sqa_state_entry(c, "z", features, SQA_DIMS(c->max_length, s->emb));
    struct sqa_entry *delta = sqa_state_entry(c, "delta", windows, SQA_DIMS(M));
    struct sqa_tensor *f = sqa_param_tensor(c, "frequency", SQA_GROUP_SSM, frequency, SQA_DIMS(w)), *x, *window;
    struct sqa_tensor *b = sqa_param_tensor(c, "bias", SQA_GROUP_NO_DECAY, normal, SQA_DIMS(M, 1));

    k[0] = k[1] = NULL;
    if (z == NULL || delta == NULL)
        return;
    x = sqa_slice(c->g, sqa_value(c->g, z), 0, 0, c->length);
    window = sqa_mul(c->g, sqa_slice(c->g, x, 1, 0, 1), sqa_value(c->g, delta));
    window = sqa_affine(c->g, 1, sqa_unary(c->g, SQA_UNARY_EXP, window), s->shift);
    x = sine_layer(c, 1, x, s->emb, w, f);
    x = sine_layer(c, 2, x, w, w, f);
    x = sine_layer(c, 3, x, w, w, f);
    k[0] = sqa_add(c->g, windowed(c, "filter.w", x, w, window), sqa_pad(c->g, b, 1, 0, c->length - 1));
    if (sides(s, c) == 2)
        k[1] = windowed(c, "future.w", x, w, window);
}

static struct sqa_tensor *part(struct sqa_context *c, struct sqa_tensor *x, int64_t i)
{
    return sqa_slice(c->g, x, 2, i * c->frame.dim, c->frame.dim);
}

static struct sqa_tensor *some(struct sqa_context *c, struct sqa_tensor *k, int64_t i)
{
    return k == NULL ? NULL : sqa_slice(c->g, k, 0, i * c->frame.dim, c->frame.dim);
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    const struct self *s = self;
    const int64_t D = c->frame.dim, streams = (s->order + 1) * D;
    struct sqa_tensor *w =
        sqa_param_tensor(c, "conv.w", SQA_GROUP_REGULAR, uniform(s->conv), SQA_DIMS(s->conv, streams));
    struct sqa_tensor *b = sqa_param_tensor(c, "conv.b", SQA_GROUP_NO_DECAY, uniform(s->conv), SQA_DIMS(streams));
    struct sqa_tensor *k[2], *v;

    write_filters(s, c, k);
    x = sqa_conv1d(c->g, sqa_dense_layer(c, "win", x, streams, true), w, b, NULL, s->conv - 1);
    v = part(c, x, s->order);
    for (int64_t o = s->order; o >= 2; o--) {
        v = sqa_mul(c->g, part(c, x, o - 1), v);
        if (sides(s, c) == 2)
            v = sqa_mask_rows(c->g, v, c->lengths);
        v = sqa_fftconv(c->g, v, some(c, k[0], o - 2), some(c, k[1], o - 2));
    }
    return sqa_dense_layer(c, "wout", sqa_mul(c->g, part(c, x, 0), v), D, true);
}

static double flops(const void *self, const struct sqa_context *c)
{
    const struct self *s = self;
    const double B = (double)c->batch, L = (double)c->length, D = (double)c->frame.dim, N = (double)s->order;
    const double M = (double)filters(s, c), w = (double)s->width, n = sides(s, c);
    const double transform = 2.5 * 2 * L * log2(2 * L);
    const double network = L * (2 * (double)s->emb * w + 4 * w * w + 9 * w);

    /* of a filter's number: delta t 1, exp 1, shift 2, and for each side 2 w + 1; b 1 */
    return network + M * L * (5 + n * (2 * w + 1)) + M * (B * (2 * transform + 6 * L) + transform) +
           B * L * D * ((N + 1) * (2 * D + 1 + 2 * (double)s->conv + 1) + N + 2 * D + 1);
}

/* Identities */

enum {
    B = 2,
    L = 23,
    LONGEST = 30,
    D = 3,
    WIDTH = 4,
    EMB = 5,
    TAPS = 3,
    ORDER = 3,
    STREAMS = (ORDER + 1) * D,
    FILTERS = (ORDER - 1) * D
};

static const int32_t ragged[B] = {L, 14};

struct held {
    double win[D * STREAMS], bin[STREAMS], conv[TAPS * STREAMS], cb[STREAMS], wout[D * D], z[LONGEST * EMB],
        delta[FILTERS], f[WIDTH], bias[FILTERS], w1[EMB * WIDTH], b1[WIDTH], w2[WIDTH * WIDTH], b2[WIDTH],
        w3[WIDTH * WIDTH], b3[WIDTH], last[2][WIDTH * FILTERS];
};

static void hold(struct sqa_store *s, void *user)
{
    struct held *h = user;

    sqa_probe_get(s, "mixer",
                  (const struct sqa_probe_entry[]){{"win.w", h->win},
                                                   {"win.b", h->bin},
                                                   {"conv.w", h->conv},
                                                   {"conv.b", h->cb},
                                                   {"wout.w", h->wout},
                                                   {"z", h->z},
                                                   {"delta", h->delta},
                                                   {"frequency", h->f},
                                                   {"bias", h->bias},
                                                   {"filter1.w", h->w1},
                                                   {"filter1.b", h->b1},
                                                   {"filter2.w", h->w2},
                                                   {"filter2.b", h->b2},
                                                   {"filter3.w", h->w3},
                                                   {"filter3.b", h->b3},
                                                   {"filter.w", h->last[0]},
                                                   {"future.w", h->last[1]},
                                                   {NULL, NULL}});
}

/* y = sin(f (x w + b)), of rows of n */
static void sine(const double *x, const double *w, const double *b, const double *f, int n, double *y)
{
    for (int k = 0; k < WIDTH; k++) {
        double sum = b[k];

        for (int j = 0; j < n; j++)
            sum += x[j] * w[j * WIDTH + k];
        y[k] = sin(f[k] * sum);
    }
}

/* k (FILTERS, L) of one side */
static void filters_of(const struct held *h, int side, double *k)
{
    for (int t = 0; t < L; t++) {
        double a[WIDTH], b[WIDTH], c[WIDTH];

        sine(h->z + t * EMB, h->w1, h->b1, h->f, EMB, a);
        sine(a, h->w2, h->b2, h->f, WIDTH, b);
        sine(b, h->w3, h->b3, h->f, WIDTH, c);
        for (int e = 0; e < FILTERS; e++) {
            k[e * L + t] = 0;
            for (int j = 0; j < WIDTH; j++)
                k[e * L + t] += c[j] * h->last[side][j * FILTERS + e];
            k[e * L + t] *= exp(h->delta[e] * t / (LONGEST - 1));
        }
    }
}

/* One sequence, convolutions written out */
static void direct(const struct held *h, const double *x, int valid, bool both, double *out)
{
    double s[L * STREAMS], k[2][FILTERS * L], v[L * D], y[L * D];

    filters_of(h, 0, k[0]);
    filters_of(h, 1, k[1]);
    for (int t = 0; t < valid; t++)
        for (int e = 0; e < STREAMS; e++) {
            s[t * STREAMS + e] = h->cb[e];
            for (int j = 0; j < TAPS && j <= t; j++) {
                double in = h->bin[e];

                for (int i = 0; i < D; i++)
                    in += x[(t - j) * D + i] * h->win[i * STREAMS + e];
                s[t * STREAMS + e] += h->conv[(TAPS - 1 - j) * STREAMS + e] * in;
            }
        }
    for (int i = 0; i < valid * D; i++)
        v[i] = s[i / D * STREAMS + ORDER * D + i % D];
    for (int o = ORDER; o >= 2; o--) {
        for (int i = 0; i < valid * D; i++)
            v[i] *= s[i / D * STREAMS + (o - 1) * D + i % D];
        for (int i = 0; i < valid * D; i++) {
            const int t = i / D, e = i % D, filter = (o - 2) * D + e;

            y[i] = h->bias[filter] * v[i];
            for (int from = 0; from < (both ? valid : t + 1); from++)
                y[i] += v[from * D + e] * (from <= t ? k[0][filter * L + t - from] : k[1][filter * L + from - t - 1]);
        }
        memcpy(v, y, sizeof v);
    }
    for (int i = 0; i < valid * D; i++) {
        out[i] = 0;
        for (int e = 0; e < D; e++)
            out[i] += s[i / D * STREAMS + e] * v[i / D * D + e] * h->wout[e * D + i % D];
    }
}

static enum sqa_status equals_direct(struct sqa_err *err)
{
    static const char *const items[] = {"hyena:order=3,width=4", "hyena:order=3,width=4,bidirectional=0"};
    double x[B * L * D], y[B * L * D], expect[L * D];
    enum sqa_status status = SQA_OK;

    sqa_probe_normal(1, x, B * L * D);
    for (int i = 0; i < 4 && status == SQA_OK; i++) {
        struct held h = {.win = {0}};
        const struct sqa_probe p = {.item = items[i / 2],
                                    .batch = B,
                                    .length = L,
                                    .dim = D,
                                    .heads = 1,
                                    .max_length = LONGEST,
                                    .causal = i % 2,
                                    .lengths = ragged,
                                    .real = SQA_F64,
                                    .edit = hold,
                                    .user = &h};

        status = sqa_probe_run(&p, x, y, err);
        for (int b = 0; b < B && status == SQA_OK; b++) {
            direct(&h, x + b * L * D, ragged[b], i == 0, expect);
            status = sqa_probe_expect(
                items[i / 2], sqa_probe_difference(y + b * L * D, expect, (size_t)(ragged[b] * D)), 1e-11, err);
        }
    }
    return status;
}

/* Windows of no length leave the first number of the filters: outputs depend on their own position only. */
static void close_windows(struct sqa_store *s, void *user)
{
    (void)user;
    sqa_probe_set_constant(s, "mixer.delta", -1e6);
    sqa_probe_set_constant(s, "mixer.future.w", 0);
}

static enum sqa_status pointwise(struct sqa_err *err)
{
    double x[L * D], y[L * D], z[L * D];
    const struct sqa_probe p = {.item = "hyena:conv=1",
                                .batch = 1,
                                .length = L,
                                .dim = D,
                                .heads = 1,
                                .real = SQA_F64,
                                .edit = close_windows};
    enum sqa_status status;

    sqa_probe_normal(2, x, L * D);
    status = sqa_probe_run(&p, x, y, err);
    x[9 * D] += 1;
    if (status == SQA_OK)
        status = sqa_probe_run(&p, x, z, err);
    if (status == SQA_OK && sqa_probe_difference(y + 9 * D, z + 9 * D, D) < 1e-6)
        return sqa_fail(err, SQA_NO, "hyena: position 9 did not change with its input; it must");
    memcpy(z + 9 * D, y + 9 * D, D * sizeof *z);
    return status == SQA_OK
               ? sqa_probe_expect("positions beside a changed one", sqa_probe_difference(y, z, L * D), 1e-13, err)
               : status;
}

static const struct sqa_identity identities[] = {
    {"equals gates and convolutions written out, both directions, padded", equals_direct},
    {"windows of no length: no mixing", pointwise},
    {.name = NULL},
};

const struct sqa_variant sqa_variant_hyena = {
    .id = "hyena",
    .slot = SQA_SLOT_MIXER,
    .title = "Hyena",
    .source = "Poli et al. 2023, arXiv:2302.10866",
    .complexity = "O(L (log L + D) D) time, O(L D) memory",
    .help = "Products with gates and long convolutions in turn; a small network of the position writes the filters, "
            "which fade at a rate of each channel. Not causal: filters of the future too, unless bidirectional=0.",
    .traits = SQA_TRAIT_CAUSAL | SQA_TRAIT_PADDING | SQA_TRAIT_LINEAR_MEMORY | SQA_TRAIT_QKV,
    .params = params,
    .self_size = sizeof(struct self),
    .check = check,
    .build = build,
    .flops = flops,
    .identities = identities,
};
