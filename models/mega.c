/*
 * mega.c - gated single-head attention over a moving average
 *
 * Computes  m = SiLU(ema(x)), the ema a convolution with k_l = sum_n gamma_n p_n beta_n q_n^l / sqrt(N), and, not
 *           causal, a second such kernel from the other side, both with lag 0, plus omega x (mega_kernel.h);
 *           u = sigmoid(m Wu), [z, r] = SiLU(m Wzr), q = z g_1 + b_1, k = z g_2 + b_2, v = SiLU(x Wv);
 *           o = A v with A softmax, laplace or relu2 of scores and a learned bias by distance, in chunks
 *           (mega_attention.h); y = u (SiLU(m Wh + (o r) Wc) - x_0), x_0 the stream that the block adds y to: with
 *           the sum of the block x_0 + u (h - x_0)
 * Shapes    x (B, L, D) -> (B, L, D); q, k (B, L, z), v, o, r (B, L, e), e = 2 D unless v= says; ema parameters (1 or
 *           2, D, N), bias (2 n - 1) for n the longest chunk
 * Cost      2 D e + 2 D (2 D + z + e) + 2 e D a position, c (2 z + 2 e + 7) for chunks of c; two transforms and a
 *           spectral product a channel and sequence, 2 N L a channel and kernel
 * Step      D N numbers of the moving average; keys and values of the chunk so far, or of all
 * Source    Ma et al. 2022, arXiv:2209.10655; facebookresearch/mega: fairseq/modules/
 *           moving_average_gated_attention.py and exponential_moving_average.py. 16 states and z = 64 are what it
 *           takes for Long Range Arena; the chunk of its fast form is 128
 * Departs   dropout of the gated branch is the block's (there of the SiLU in y); none of v. Chunks need not divide
 *           the length. LRA's code cuts the ema's kernel at 1024 lags: taps=1024. No rotary bias
 */
#include <math.h>
#include <string.h>

#include "models/mega_attention.h"
#include "models/mega_kernel.h"
#include "models/probe.h"
#include "models/step.h"

struct self {
    int64_t ema, z, v, chunk, taps;
    const char *attention;
};

static const struct sqa_param params[] = {
    {"ema", "states of a channel's moving average", SQA_PARAM_INT, "16", 1, 1024,
     .offset = offsetof(struct self, ema)},
    {"z", "width of queries and keys", SQA_PARAM_INT, "64", 1, 1 << 16, .offset = offsetof(struct self, z)},
    {"v", "width of values; 0: twice dim", SQA_PARAM_INT, "0", 0, 1 << 16, .offset = offsetof(struct self, v)},
    {"attention", "what makes weights of scores", SQA_PARAM_CHOICE, "softmax",
     .offset = offsetof(struct self, attention), .choices = "softmax|laplace|relu2"},
    {"chunk", "positions that attend to each other; 0: all", SQA_PARAM_INT, "0", 0, 1 << 24,
     .offset = offsetof(struct self, chunk)},
    {"taps", "lags of the moving average; 0: all", SQA_PARAM_INT, "0", 0, 1 << 24,
     .offset = offsetof(struct self, taps)},
    {.name = NULL},
};

static const struct sqa_init narrow = {.kind = SQA_INIT_NORMAL, .a = 0, .b = 0.02}, zero = {.kind = SQA_INIT_ZERO};

/* +1, -1, +1, ... by state, and a little noise */
static void fill_signs(double *values, int rank, const int64_t *dim, uint64_t key, const void *arg)
{
    const int64_t count = dim[0] * dim[1] * dim[2];

    (void)rank, (void)arg;
    sqa_probe_normal(key, values, (size_t)count);
    for (int64_t i = 0; i < count; i++)
        values[i] = 0.02 * values[i] + (i % dim[2] % 2 == 0 ? 1 : -1);
}

static int64_t kernels_of(const struct sqa_context *c)
{
    return c->frame.causal ? 1 : 2;
}

static struct sqa_mega_parameters parameters_of(const struct self *s, struct sqa_context *c)
{
    const int64_t D = c->frame.dim, R = kernels_of(c);
    const struct sqa_init fifth = {.kind = SQA_INIT_NORMAL, .a = 0, .b = 0.2},
                          normal = {.kind = SQA_INIT_NORMAL, .a = 0, .b = 1},
                          signs = {.kind = SQA_INIT_CUSTOM, .fill = fill_signs};

    return (struct sqa_mega_parameters){
        .delta = sqa_param_tensor(c, "delta", SQA_GROUP_REGULAR, fifth, SQA_DIMS(R, D, s->ema)),
        .alpha = sqa_param_tensor(c, "alpha", SQA_GROUP_REGULAR, fifth, SQA_DIMS(R, D, s->ema)),
        .beta = sqa_param_tensor(c, "beta", SQA_GROUP_REGULAR, signs, SQA_DIMS(R, D, s->ema)),
        .gamma = sqa_param_tensor(c, "gamma", SQA_GROUP_REGULAR, normal, SQA_DIMS(R, D, s->ema)),
        .omega = sqa_param_tensor(c, "omega", SQA_GROUP_REGULAR, normal, SQA_DIMS(D)),
    };
}

/* One position: h <- q h + p beta x, y = sum gamma h / sqrt(N) + omega x */
static struct sqa_tensor *average_step(const struct self *s, struct sqa_context *c, struct sqa_tensor *x)
{
    const int64_t B = c->batch, D = c->frame.dim, N = s->ema;
    const struct sqa_mega_parameters m = parameters_of(s, c);
    struct sqa_tensor *p = sqa_unary(c->g, SQA_UNARY_SIGMOID, m.delta), *q, *in, *h;

    if (s->taps > 0 && s->taps < c->max_length)
        return sqa_graph_fail(c->g, SQA_UNSUPPORTED,
                              "mega: taps=%lld ends its moving average, which a state cannot; use taps=0 for steps",
                              (long long)s->taps);
    q = sqa_affine(c->g, -1, sqa_mul(c->g, p, sqa_unary(c->g, SQA_UNARY_SIGMOID, m.alpha)), 1);
    in = sqa_mul(c->g, sqa_reshape(c->g, x, SQA_DIMS(B, D, 1)), sqa_mul(c->g, p, m.beta));
    h = sqa_diagonal_step(c, "average", sqa_reshape(c->g, q, SQA_DIMS(1, 1, D * N)),
                          sqa_reshape(c->g, in, SQA_DIMS(B, 1, D * N)), false);
    h = sqa_mul(c->g, sqa_reshape(c->g, h, SQA_DIMS(B, D, N)), sqa_affine(c->g, 1 / sqrt((double)N), m.gamma, 0));
    h = sqa_reshape(c->g, sqa_sum(c->g, h, 4u, false), SQA_DIMS(B, 1, D));
    return sqa_add(c->g, h, sqa_mul(c->g, x, m.omega));
}

static struct sqa_tensor *moving_average(const struct self *s, struct sqa_context *c, struct sqa_tensor *x)
{
    struct sqa_tensor *future, *past;

    if (c->position != NULL) {
        x = average_step(s, c, x);
    } else {
        past = sqa_mega_kernel(c->g, parameters_of(s, c), c->length, s->taps, &future);
        x = sqa_fftconv(c->g, sqa_mask_rows(c->g, x, c->lengths), past, future);
    }
    return sqa_dropout(c->g, sqa_unary(c->g, SQA_UNARY_SILU, x), c->frame.dropout);
}

struct layer {
    const char *w, *b;
    int64_t out;
    int act;
};

/* Dense layers of one x with biases, weights narrow at first */
static void layers(struct sqa_context *c, int n, const struct layer *l, struct sqa_tensor *x, struct sqa_tensor **y)
{
    struct sqa_tensor *w[3], *b[3];
    int act[3];

    for (int i = 0; i < n; i++)
        y[i] = NULL;
    if (x == NULL)
        return;
    for (int i = 0; i < n; i++) {
        w[i] = sqa_param_tensor(c, l[i].w, SQA_GROUP_REGULAR, narrow, SQA_DIMS(x->dim[2], l[i].out));
        b[i] = sqa_param_tensor(c, l[i].b, SQA_GROUP_NO_DECAY, zero, SQA_DIMS(l[i].out));
        act[i] = l[i].act;
    }
    sqa_linear_n(c->g, x, n, w, b, act, y);
}

static int64_t value_width(const struct self *s, const struct sqa_context *c)
{
    return s->v > 0 ? s->v : 2 * c->frame.dim;
}

static struct sqa_mega_attention_spec spec_of(const struct self *s, const struct sqa_context *c)
{
    static const char *const names[] = {"softmax", "laplace", "relu2"};
    struct sqa_mega_attention_spec spec = {
        .chunk = s->chunk, .causal = c->frame.causal != 0, .dropout = c->frame.attention_dropout};

    for (int i = 0; i < 3; i++)
        if (strcmp(s->attention, names[i]) == 0)
            spec.function = (enum sqa_mega_function)i;
    return spec;
}

/* The middle 2 n - 1 numbers of the table, n positions of a chunk here; in steps the whole table */
static struct sqa_tensor *distances(const struct self *s, struct sqa_context *c)
{
    const int64_t longest = s->chunk > 0 && s->chunk < c->max_length ? s->chunk : c->max_length;
    const int64_t n = longest < c->length ? longest : c->length;
    struct sqa_tensor *table = sqa_param_tensor(c, "bias", SQA_GROUP_NO_DECAY, narrow, SQA_DIMS(2 * longest - 1));

    return n == longest || c->position != NULL ? table : sqa_slice(c->g, table, 0, longest - n, 2 * n - 1);
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    const struct self *s = self;
    const int64_t D = c->frame.dim, e = value_width(s, c);
    const struct layer value = {"wv.w", "wv.b", e, SQA_UNARY_SILU}, back = {"wc.w", "wc.b", D, SQA_UNARY_N};
    const struct layer gates[] = {{"wu.w", "wu.b", D, SQA_UNARY_N},
                                  {"wzr.w", "wzr.b", s->z + e, SQA_UNARY_SILU},
                                  {"wh.w", "wh.b", D, SQA_UNARY_N}};
    struct sqa_tensor *gain = sqa_param_tensor(c, "gain", SQA_GROUP_REGULAR, narrow, SQA_DIMS(2, s->z));
    struct sqa_tensor *shift = sqa_param_tensor(c, "shift", SQA_GROUP_NO_DECAY, zero, SQA_DIMS(2, s->z));
    struct sqa_tensor *stream = sqa_stream_get(c, "residual"), *v, *y[3], *z, *qk[2], *h;

    layers(c, 1, &value, x, &v);
    layers(c, 3, gates, moving_average(s, c, x), y);
    z = sqa_slice(c->g, y[1], 2, 0, s->z);
    for (int i = 0; i < 2; i++)
        qk[i] = sqa_add(c->g, sqa_mul(c->g, z, sqa_slice(c->g, gain, 0, i, 1)), sqa_slice(c->g, shift, 0, i, 1));
    h = c->position != NULL ? sqa_mega_attention_step(c, qk[0], qk[1], v, distances(s, c), spec_of(s, c))
                            : sqa_mega_attention(c->g, qk[0], qk[1], v, distances(s, c), c->lengths, spec_of(s, c));
    layers(c, 1, &back, sqa_mul(c->g, h, sqa_slice(c->g, y[1], 2, s->z, e)), &h);
    h = sqa_unary(c->g, SQA_UNARY_SILU, sqa_add(c->g, h, y[2]));
    return sqa_mul(c->g, sqa_unary(c->g, SQA_UNARY_SIGMOID, y[0]), sqa_sub(c->g, h, stream != NULL ? stream : x));
}

static double flops(const void *self, const struct sqa_context *c)
{
    const struct self *s = self;
    const double B = (double)c->batch, L = (double)c->length, D = (double)c->frame.dim, z = (double)s->z;
    const double e = (double)value_width(s, c), transform = 2.5 * 2 * L * log2(2 * L);
    const double average = sqa_mega_kernel_flops(kernels_of(c), c->frame.dim, s->ema, c->length, s->taps) +
                           D * (B * (2 * transform + 7 * L) + transform);
    const double row =
        e * (2 * D + 2) + 2 * D * (2 * D + 1) + (z + e) * (2 * D + 2) + 4 * z + e + D * (2 * e + 1) + 5 * D;

    return average + B * L * row +
           sqa_mega_attention_flops(c->batch, c->length, s->z, value_width(s, c), spec_of(s, c));
}

/* Identities */

enum { BATCH = 2, LENGTH = 11, WIDTH = 3, STATES = 2, Z = 4, E = 5 };

static const int32_t ragged[BATCH] = {LENGTH, 7};

/* What a probe's store holds; in the order of the names. */
struct held {
    double delta[2 * WIDTH * STATES], alpha[2 * WIDTH * STATES], beta[2 * WIDTH * STATES], gamma[2 * WIDTH * STATES];
    double omega[WIDTH], wv[WIDTH * E], bv[E], wu[WIDTH * WIDTH], bu[WIDTH], wzr[WIDTH * (Z + E)], bzr[Z + E];
    double wh[WIDTH * WIDTH], bh[WIDTH], wc[E * WIDTH], bc[WIDTH], gain[2 * Z], shift[2 * Z], bias[2 * LENGTH - 1];
};

static void put_all(struct sqa_store *s, void *user)
{
    struct held *h = user;
    const struct {
        const char *name;
        double *from;
    } entries[] = {{"mixer.delta", h->delta}, {"mixer.alpha", h->alpha}, {"mixer.beta", h->beta},
                   {"mixer.gamma", h->gamma}, {"mixer.omega", h->omega}, {"mixer.wv.w", h->wv},
                   {"mixer.wv.b", h->bv},     {"mixer.wu.w", h->wu},     {"mixer.wu.b", h->bu},
                   {"mixer.wzr.w", h->wzr},   {"mixer.wzr.b", h->bzr},   {"mixer.wh.w", h->wh},
                   {"mixer.wh.b", h->bh},     {"mixer.wc.w", h->wc},     {"mixer.wc.b", h->bc},
                   {"mixer.gain", h->gain},   {"mixer.shift", h->shift}, {"mixer.bias", h->bias}};

    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++)
        sqa_probe_set(s, entries[i].name, entries[i].from);
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double silu(double x)
{
    return x * sigmoid(x);
}

/* y = x w + b of one row */
static void dense(const double *x, int in, const double *w, const double *b, int out, double *y)
{
    for (int j = 0; j < out; j++) {
        y[j] = b[j];
        for (int i = 0; i < in; i++)
            y[j] += x[i] * w[i * out + j];
    }
}

/* SiLU of the moving averages step by step: h <- q h + p beta x, y = sum gamma h / sqrt(N), from both ends. */
static void average(const struct held *h, const double *x, int valid, bool causal, double *y)
{
    for (int t = 0; t < LENGTH; t++)
        for (int d = 0; d < WIDTH; d++)
            y[t * WIDTH + d] = h->omega[d] * x[t * WIDTH + d];
    for (int r = 0; r < (causal ? 1 : 2); r++)
        for (int i = 0; i < WIDTH * STATES; i++) {
            const int at = r * WIDTH * STATES + i, d = i / STATES;
            const double p = sigmoid(h->delta[at]), q = 1 - p * sigmoid(h->alpha[at]);
            double state = 0;

            for (int step = 0; step < LENGTH; step++) {
                const int t = r == 0 ? step : LENGTH - 1 - step;

                state = q * state + p * h->beta[at] * (t < valid ? x[t * WIDTH + d] : 0);
                y[t * WIDTH + d] += h->gamma[at] * state / sqrt(STATES);
            }
        }
    for (int i = 0; i < LENGTH * WIDTH; i++)
        y[i] = silu(y[i]);
}

struct form {
    enum sqa_mega_function function;
    int chunk, valid;
    bool causal;
};

static double weight_of(struct form f, double dot, double bias, int n)
{
    const double x = f.function == SQA_MEGA_SOFTMAX ? dot / sqrt(Z) + bias : dot / n + bias;

    if (f.function == SQA_MEGA_SOFTMAX)
        return exp(x);
    if (f.function == SQA_MEGA_RELU2)
        return x > 0 ? x * x : 0;
    return 0.5 * (1 + erf((x - sqrt(0.5)) / (sqrt(0.25 / 3.14159265358979323846) * sqrt(2))));
}

/* o of position i */
static void attend(const struct held *h, const double *zr, const double *v, struct form f, int i, double *o)
{
    const int first = i / f.chunk * f.chunk, end = first + f.chunk < f.valid ? first + f.chunk : f.valid;
    const int n = f.causal ? i - first + 1 : end - first;
    double sum = 0;

    memset(o, 0, E * sizeof *o);
    for (int j = first; j < (f.causal ? i + 1 : end); j++) {
        double dot = 0, w;

        for (int c = 0; c < Z; c++)
            dot += (zr[i * (Z + E) + c] * h->gain[c] + h->shift[c]) *
                   (zr[j * (Z + E) + c] * h->gain[Z + c] + h->shift[Z + c]);
        w = weight_of(f, dot, h->bias[(f.chunk < LENGTH ? f.chunk : LENGTH) - 1 + j - i], n);
        sum += w;
        for (int c = 0; c < E; c++)
            o[c] += w * v[j * E + c];
    }
    for (int c = 0; c < E && f.function == SQA_MEGA_SOFTMAX; c++)
        o[c] /= sum;
}

static void reference(const struct held *h, const double *x, struct form f, double *y)
{
    double m[LENGTH * WIDTH], v[LENGTH * E], zr[LENGTH * (Z + E)];

    average(h, x, f.valid, f.causal, m);
    for (int t = 0; t < LENGTH; t++) {
        dense(x + t * WIDTH, WIDTH, h->wv, h->bv, E, v + t * E);
        dense(m + t * WIDTH, WIDTH, h->wzr, h->bzr, Z + E, zr + t * (Z + E));
    }
    for (int i = 0; i < LENGTH * E; i++)
        v[i] = silu(v[i]);
    for (int i = 0; i < LENGTH * (Z + E); i++)
        zr[i] = silu(zr[i]);
    for (int t = 0; t < f.valid; t++) {
        double o[E], gate[WIDTH], inner[WIDTH], back[WIDTH];

        attend(h, zr, v, f, t, o);
        for (int c = 0; c < E; c++)
            o[c] *= zr[t * (Z + E) + Z + c];
        dense(m + t * WIDTH, WIDTH, h->wu, h->bu, WIDTH, gate);
        dense(m + t * WIDTH, WIDTH, h->wh, h->bh, WIDTH, inner);
        dense(o, E, h->wc, h->bc, WIDTH, back);
        for (int c = 0; c < WIDTH; c++)
            y[t * WIDTH + c] = sigmoid(gate[c]) * (silu(inner[c] + back[c]) - x[t * WIDTH + c]);
    }
}

static struct sqa_probe probe_of(const char *item, bool causal, bool padded, struct held *h)
{
    return (struct sqa_probe){.item = item,
                              .batch = BATCH,
                              .length = LENGTH,
                              .dim = WIDTH,
                              .heads = 1,
                              .causal = causal,
                              .lengths = padded ? ragged : NULL,
                              .real = SQA_F64,
                              .edit = put_all,
                              .user = h};
}

static enum sqa_status equals_reference(struct sqa_err *err)
{
    static const struct {
        const char *item;
        struct form form;
    } rows[] = {
        {"mega:ema=2,z=4,v=5", {SQA_MEGA_SOFTMAX, LENGTH, LENGTH, false}},
        {"mega:ema=2,z=4,v=5,attention=laplace", {SQA_MEGA_LAPLACE, LENGTH, LENGTH, false}},
        {"mega:ema=2,z=4,v=5,attention=relu2", {SQA_MEGA_RELU2, LENGTH, LENGTH, false}},
        {"mega:ema=2,z=4,v=5,chunk=4", {SQA_MEGA_SOFTMAX, 4, LENGTH, false}},
        {"mega:ema=2,z=4,v=5,chunk=3,attention=laplace", {SQA_MEGA_LAPLACE, 3, LENGTH, false}},
        {"mega:ema=2,z=4,v=5,chunk=5,attention=relu2", {SQA_MEGA_RELU2, 5, LENGTH, false}},
    };
    double x[BATCH * LENGTH * WIDTH], y[BATCH * LENGTH * WIDTH], expect[LENGTH * WIDTH];
    struct held h;
    enum sqa_status status = SQA_OK;

    sqa_probe_normal(1, x, BATCH * LENGTH * WIDTH);
    sqa_probe_normal(2, (double *)&h, sizeof h / sizeof(double));
    for (int i = 0; i < 24 && status == SQA_OK; i++) {
        const struct sqa_probe p = probe_of(rows[i / 4].item, i & 1, i & 2, &h);

        status = sqa_probe_run(&p, x, y, err);
        for (int b = 0; b < BATCH && status == SQA_OK; b++) {
            struct form f = rows[i / 4].form;

            f.causal = p.causal;
            f.valid = i & 2 ? ragged[b] : LENGTH;
            reference(&h, x + b * LENGTH * WIDTH, f, expect);
            status = sqa_probe_expect(
                p.item, sqa_probe_difference(y + b * LENGTH * WIDTH, expect, (size_t)(f.valid * WIDTH)), 1e-12, err);
        }
    }
    return status;
}

static enum sqa_status one_chunk(struct sqa_err *err)
{
    double x[BATCH * LENGTH * WIDTH], y[BATCH * LENGTH * WIDTH], expect[BATCH * LENGTH * WIDTH];
    struct held h;
    enum sqa_status status = SQA_OK;

    sqa_probe_normal(3, x, BATCH * LENGTH * WIDTH);
    sqa_probe_normal(4, (double *)&h, sizeof h / sizeof(double));
    for (int i = 0; i < 4 && status == SQA_OK; i++) {
        const struct sqa_probe p = probe_of("mega:ema=2,z=4,v=5", i & 1, i & 2, &h);
        const struct sqa_probe q = probe_of("mega:ema=2,z=4,v=5,chunk=11", i & 1, i & 2, &h);

        status = sqa_probe_run(&p, x, expect, err);
        if (status == SQA_OK)
            status = sqa_probe_run(&q, x, y, err);
        if (status == SQA_OK)
            status = sqa_probe_expect("a chunk as long as the sequence",
                                      sqa_probe_difference(y, expect, BATCH * LENGTH * WIDTH), 0, err);
    }
    return status;
}

/* Gates that are shut (u = 0): the block adds nothing. */
static enum sqa_status shut_gates(struct sqa_err *err)
{
    double x[BATCH * LENGTH * WIDTH], y[BATCH * LENGTH * WIDTH], none[BATCH * LENGTH * WIDTH] = {0};
    struct held h;
    const struct sqa_probe p = probe_of("mega:ema=2,z=4,v=5", false, false, &h);
    enum sqa_status status;

    sqa_probe_normal(5, x, BATCH * LENGTH * WIDTH);
    sqa_probe_normal(6, (double *)&h, sizeof h / sizeof(double));
    for (int i = 0; i < WIDTH; i++)
        h.bu[i] = -1e4;
    status = sqa_probe_run(&p, x, y, err);
    return status == SQA_OK ? sqa_probe_expect("u = 0", sqa_probe_difference(y, none, BATCH * LENGTH * WIDTH), 0, err)
                            : status;
}

/* p = 1 and sigmoid(alpha) = 1: q = 0, no memory; with chunks of one position, no other input has an influence. */
static enum sqa_status no_memory(struct sqa_err *err)
{
    double x[BATCH * LENGTH * WIDTH], y[BATCH * LENGTH * WIDTH], z[BATCH * LENGTH * WIDTH];
    struct held h;
    const struct sqa_probe p = probe_of("mega:ema=2,z=4,v=5,chunk=1", false, false, &h);
    enum sqa_status status;

    sqa_probe_normal(7, x, BATCH * LENGTH * WIDTH);
    sqa_probe_normal(8, (double *)&h, sizeof h / sizeof(double));
    for (int i = 0; i < 2 * WIDTH * STATES; i++)
        h.delta[i] = h.alpha[i] = 100;
    status = sqa_probe_run(&p, x, y, err);
    sqa_probe_normal(9, x, LENGTH / 2 * WIDTH);
    if (status == SQA_OK)
        status = sqa_probe_run(&p, x, z, err);
    return status == SQA_OK ? sqa_probe_expect("q = 0: later positions when earlier ones changed",
                                               sqa_probe_difference(y + LENGTH / 2 * WIDTH, z + LENGTH / 2 * WIDTH,
                                                                    (LENGTH - LENGTH / 2) * WIDTH),
                                               1e-14, err)
                            : status;
}

/* Only the first taps lags: 7 of 11 positions back, an input has no influence through the moving average. */
static enum sqa_status few_taps(struct sqa_err *err)
{
    double x[BATCH * LENGTH * WIDTH], y[BATCH * LENGTH * WIDTH], z[BATCH * LENGTH * WIDTH];
    struct held h;
    const struct sqa_probe p = probe_of("mega:ema=2,z=4,v=5,chunk=1,taps=3", false, false, &h);
    enum sqa_status status;

    sqa_probe_normal(10, x, BATCH * LENGTH * WIDTH);
    sqa_probe_normal(11, (double *)&h, sizeof h / sizeof(double));
    status = sqa_probe_run(&p, x, y, err);
    sqa_probe_normal(12, x + 5 * WIDTH, WIDTH);
    if (status == SQA_OK)
        status = sqa_probe_run(&p, x, z, err);
    if (status == SQA_OK)
        status = sqa_probe_expect("positions 0 .. 2", sqa_probe_difference(y, z, 3 * WIDTH), 1e-13, err);
    if (status == SQA_OK)
        status = sqa_probe_expect("positions 8 .. 10", sqa_probe_difference(y + 8 * WIDTH, z + 8 * WIDTH, 3 * WIDTH),
                                  1e-13, err);
    if (status == SQA_OK && (sqa_probe_difference(y + 3 * WIDTH, z + 3 * WIDTH, WIDTH) < 1e-6 ||
                             sqa_probe_difference(y + 7 * WIDTH, z + 7 * WIDTH, WIDTH) < 1e-6))
        status = sqa_fail(err, SQA_NO, "mega: positions two away do not change; taps=3 has lags 0, 1 and 2");
    return status;
}

static enum sqa_status steps_of_chunks(struct sqa_err *err)
{
    static const char *const items[] = {"mega:ema=2,z=4,v=5,attention=laplace", "mega:ema=2,z=4,v=5,attention=relu2",
                                        "mega:ema=2,z=4,v=5,chunk=4", "mega:ema=2,z=4,v=5,chunk=3,attention=laplace"};
    double x[BATCH * LENGTH * WIDTH], y[BATCH * LENGTH * WIDTH], expect[BATCH * LENGTH * WIDTH];
    struct held h;
    enum sqa_status status = SQA_OK;

    sqa_probe_normal(13, x, BATCH * LENGTH * WIDTH);
    sqa_probe_normal(14, (double *)&h, sizeof h / sizeof(double));
    for (int i = 0; i < 4 && status == SQA_OK; i++) {
        const struct sqa_probe p = probe_of(items[i], true, false, &h);

        status = sqa_probe_run(&p, x, expect, err);
        if (status == SQA_OK)
            status = sqa_probe_steps(&p, x, y, NULL, err);
        if (status == SQA_OK)
            status = sqa_probe_expect(items[i], sqa_probe_difference(y, expect, BATCH * LENGTH * WIDTH), 1e-12, err);
    }
    return status;
}

/* In a block with the norm inside (prenorm), open gates and h = 0 take the stream itself away. */
static void forget(struct sqa_store *s, void *user)
{
    (void)user;
    sqa_probe_set_constant(s, "blocks.0.mixer.wu.b", 1e4);
    sqa_probe_set_constant(s, "blocks.0.mixer.wh.w", 0);
    sqa_probe_set_constant(s, "blocks.0.mixer.wc.w", 0);
}

static enum sqa_status whole_stream(struct sqa_err *err)
{
    static const int32_t one[] = {1, 2, 3, 4}, other[] = {5, 5, 1, 0};
    double y[3], z[3];
    struct sqa_probe_whole p = {
        .model = "mega:layers=1,dim=8,heads=2+channel=no_channel",
        .task = {.kind = SQA_CLASSIFY, .vocab = 7, .classes = 3, .length = 4},
        .batch = 1,
        .real = SQA_F64,
        .tokens = one,
        .edit = forget,
    };
    enum sqa_status status = sqa_probe_whole(&p, y, NULL, err);

    p.tokens = other;
    if (status == SQA_OK)
        status = sqa_probe_whole(&p, z, NULL, err);
    return status == SQA_OK ? sqa_probe_expect("x + (0 - x) of two inputs", sqa_probe_difference(y, z, 3), 1e-12, err)
                            : status;
}

static const struct sqa_identity identities[] = {
    {"equals its recurrence and definition, every function, chunked, causal and padded", equals_reference},
    {"a chunk as long as the sequence: no chunks", one_chunk},
    {"gates shut: nothing is added", shut_gates},
    {"q = 0: the moving average is pointwise", no_memory},
    {"taps: no lag beyond them", few_taps},
    {"step by step, other functions and chunks", steps_of_chunks},
    {"gates open: the stream is replaced, not its norm", whole_stream},
    {.name = NULL},
};

const struct sqa_variant sqa_variant_mega = {
    .id = "mega",
    .slot = SQA_SLOT_MIXER,
    .title = "Mega",
    .source = "Ma et al. 2022, arXiv:2209.10655",
    .complexity = "O(L^2 D) time, chunked O(L (c + log L) D); O(L D) memory",
    .help = "A learned moving average of each channel, run as one long convolution, from which the queries, keys and "
            "gates of a single attention head are made; `chunk` positions attend to each other. It has a gate in "
            "place of the residual sum's input, and takes that from the block.",
    .traits = SQA_TRAIT_CAUSAL | SQA_TRAIT_PADDING | SQA_TRAIT_LINEAR_MEMORY | SQA_TRAIT_QKV,
    .params = params,
    .self_size = sizeof(struct self),
    .build = build,
    .step = build,
    .flops = flops,
    .identities = identities,
};
