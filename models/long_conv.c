/*
 * long_conv.c - long convolutions whose taps are the parameters
 *
 * Computes  y = K * u + D u per channel, K = sign(k) max(|k| - shrink, 0), by FFT; then
 *           GLU(Wout gelu(y) + b). Not causal: a second k gives the taps of the future, 1, 2, ... steps away. taps > 0:
 *           K is 0 from there on. In training taps of K are dropped out (not values of u)
 * Shapes    x (B, L, D) -> (B, L, D); k (1 or 2, D, T), T = taps or max_length, cut or filled up to L; d (D)
 * Cost      a batch: 7 D T a side for K, D L, their transforms; a sequence: two transforms and a spectral product
 *           a channel, 4 L D^2 for Wout, 5 L D
 * Step      none: the filters have no finite state
 * Source    Fu et al. 2023, arXiv:2302.06646; HazyResearch/safari: src/models/sequence/long_conv.py (skip, two sides,
 *           output). k ~ N(0, deviation^2), a rate of its own without decay
 * Departs   of its two initial values the normal one; its smoothing of k is left out; input at
 *           padding is 0
 */
#include <math.h>

#include "models/probe_known.h"

struct self {
    int64_t taps;
    double deviation, shrink, kernel_dropout;
};

static const struct sqa_param params[] = {
    {"taps", "taps of a side; 0: the whole length", SQA_PARAM_INT, "0", 0, 1 << 24,
     .offset = offsetof(struct self, taps)},
    {"deviation", "deviation of the initial taps", SQA_PARAM_REAL, "0.002", 0, 10,
     .offset = offsetof(struct self, deviation)},
    {"shrink", "lambda: what is taken off the size of a tap", SQA_PARAM_REAL, "0.001", 0, 10,
     .offset = offsetof(struct self, shrink)},
    {"kernel_dropout", "share of taps dropped in training", SQA_PARAM_REAL, "0.2", 0, 0.99,
     .offset = offsetof(struct self, kernel_dropout)},
    {.name = NULL},
};

static int64_t sides(const struct sqa_context *c)
{
    return c->frame.causal ? 1 : 2;
}

static int64_t taps_of(const struct self *s, const struct sqa_context *c)
{
    return s->taps > 0 ? s->taps : c->max_length;
}

static struct sqa_tensor *shrunken(const struct self *s, struct sqa_graph *g, struct sqa_tensor *k)
{
    if (s->shrink == 0)
        return k;
    return sqa_sub(g, sqa_unary(g, SQA_UNARY_RELU, sqa_affine(g, 1, k, -s->shrink)),
                   sqa_unary(g, SQA_UNARY_RELU, sqa_affine(g, -1, k, -s->shrink)));
}

/* (D, T) of one side, cut or filled up with zeros to (D, L) */
static struct sqa_tensor *side(struct sqa_context *c, struct sqa_tensor *k, int64_t which, int64_t taps)
{
    const int64_t D = c->frame.dim, L = c->length;

    k = sqa_reshape(c->g, sqa_slice(c->g, k, 0, which, 1), SQA_DIMS(D, taps));
    return taps > L ? sqa_dense(c->g, sqa_slice(c->g, k, 1, 0, L)) : taps < L ? sqa_pad(c->g, k, 1, 0, L - taps) : k;
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    const struct self *s = self;
    const int64_t D = c->frame.dim, T = taps_of(s, c);
    const struct sqa_init normal = {.kind = SQA_INIT_NORMAL, .a = 0, .b = s->deviation},
                          one = {.kind = SQA_INIT_NORMAL, .a = 0, .b = 1};
    struct sqa_tensor *k = sqa_param_tensor(c, "k", SQA_GROUP_SSM, normal, SQA_DIMS(sides(c), D, T));
    struct sqa_tensor *d = sqa_param_tensor(c, "d", SQA_GROUP_NO_DECAY, one, SQA_DIMS(D, 1));

    k = sqa_dropout(c->g, shrunken(s, c->g, k), s->kernel_dropout);

    struct sqa_tensor *past = side(c, k, 0, T), *future = sides(c) > 1 ? side(c, k, 1, T) : NULL;

    past = sqa_add(c->g, past, c->length > 1 ? sqa_pad(c->g, d, 1, 0, c->length - 1) : d);
    x = sqa_fftconv(c->g, sqa_mask_rows(c->g, x, c->lengths), past, future);
    x = sqa_dropout(c->g, sqa_unary(c->g, SQA_UNARY_GELU, x), c->frame.dropout);
    return sqa_glu(c->g, sqa_dense_layer(c, "out", x, 2 * D, true));
}

static double flops(const void *self, const struct sqa_context *c)
{
    const struct self *s = self;
    const double B = (double)c->batch, L = (double)c->length, D = (double)c->frame.dim;
    const double transform = 2.5 * 2 * L * log2(2 * L), taps = (double)(sides(c) * taps_of(s, c)) * D;

    /* d 1; gelu 1, bias 2, GLU 2 */
    return (s->shrink > 0 ? 7 * taps : 0) + D * L + D * (B * (2 * transform + 6 * L) + transform) +
           B * L * D * (4 * D + 5);
}

/* Identities */

enum { LENGTH = 29, LONGEST = 32, WIDTH = 3, FEW = 5 };

/* What a probe's store holds; taps: of a side */
struct held {
    int taps;
    double k[2 * WIDTH * LONGEST], d[WIDTH], w[WIDTH * 2 * WIDTH];
};

/* Parameters of a size that f64 tests can see: k, which begins small, is set. */
static void hold(struct sqa_store *s, void *user)
{
    struct held *h = user;

    sqa_probe_normal(2, h->k, sizeof h->k / sizeof *h->k);
    sqa_probe_set(s, "mixer.k", h->k);
    sqa_probe_get(s, "mixer", (const struct sqa_probe_entry[]){{"d", h->d}, {"out.w", h->w}, {NULL, NULL}});
}

static double shrunk(double k, double lambda)
{
    return k > lambda ? k - lambda : k < -lambda ? k + lambda : 0;
}

/* One sequence of `valid` positions, sum by sum */
static void direct(const struct held *h, const double *u, int valid, int both, double lambda, double *out)
{
    double y[LENGTH * WIDTH], z[LENGTH * 2 * WIDTH];

    for (int i = 0; i < valid * WIDTH; i++) {
        const int t = i / WIDTH, e = i % WIDTH;
        const double *past = h->k + e * h->taps, *future = h->k + (WIDTH + e) * h->taps;

        y[i] = h->d[e] * u[i];
        for (int s = 0; s < valid; s++)
            if (s <= t ? t - s < h->taps : both && s - t - 1 < h->taps)
                y[i] += u[s * WIDTH + e] * shrunk(s <= t ? past[t - s] : future[s - t - 1], lambda);
    }
    for (int i = 0; i < valid * WIDTH; i++)
        y[i] *= (1 + erf(y[i] / sqrt(2))) / 2;
    sqa_probe_times(y, h->w, valid, WIDTH, 2 * WIDTH, z);
    for (int i = 0; i < valid * WIDTH; i++)
        out[i] = z[i / WIDTH * 2 * WIDTH + i % WIDTH] / (1 + exp(-z[i / WIDTH * 2 * WIDTH + WIDTH + i % WIDTH]));
}

static enum sqa_status same_as_direct(const char *item, int taps, double lambda, struct sqa_err *err)
{
    enum { B = 2 };
    static const int32_t ragged[B] = {LENGTH, 17};
    double x[B * LENGTH * WIDTH], y[B * LENGTH * WIDTH], expect[LENGTH * WIDTH];
    enum sqa_status status = SQA_OK;

    sqa_probe_normal(1, x, B * LENGTH * WIDTH);
    for (int causal = 0; causal < 2 && status == SQA_OK; causal++) {
        struct held h = {.taps = taps};
        const struct sqa_probe p = {.item = item,
                                    .batch = B,
                                    .length = LENGTH,
                                    .dim = WIDTH,
                                    .heads = 1,
                                    .max_length = LONGEST,
                                    .causal = causal,
                                    .lengths = ragged,
                                    .real = SQA_F64,
                                    .edit = hold,
                                    .user = &h};

        status = sqa_probe_run(&p, x, y, err);
        for (int b = 0; b < B && status == SQA_OK; b++) {
            direct(&h, x + b * LENGTH * WIDTH, ragged[b], !causal, lambda, expect);
            status = sqa_probe_expect(
                item, sqa_probe_difference(y + b * LENGTH * WIDTH, expect, (size_t)(ragged[b] * WIDTH)), 1e-11, err);
        }
    }
    return status;
}

static enum sqa_status equals_direct(struct sqa_err *err)
{
    const enum sqa_status status = same_as_direct("long_conv:shrink=0", LONGEST, 0, err);

    return status == SQA_OK ? same_as_direct("long_conv:shrink=0.5", LONGEST, 0.5, err) : status;
}

static enum sqa_status few_taps(struct sqa_err *err)
{
    return same_as_direct("long_conv:taps=5,shrink=0.1", FEW, 0.1, err);
}

/* No tap is as large as 10: y = D u. */
static enum sqa_status all_shrunk(struct sqa_err *err)
{
    return same_as_direct("long_conv:shrink=10", LONGEST, 10, err);
}

static const struct sqa_identity identities[] = {
    {"equals the sums over positions, both directions, shrunk taps", equals_direct},
    {"taps=5: no position further away is seen", few_taps},
    {"shrink above every tap leaves D u", all_shrunk},
    {.name = NULL},
};

const struct sqa_variant sqa_variant_long_conv = {
    .id = "long_conv",
    .slot = SQA_SLOT_MIXER,
    .title = "Long convolution",
    .source = "Fu et al. 2023, arXiv:2302.06646",
    .complexity = "O(L (log L + D) D) time, O(L D) memory",
    .help = "A convolution a channel whose taps are parameters, of the past and of the future unless causal; small "
            "taps are "
            "set to 0.",
    .traits = SQA_TRAIT_CAUSAL | SQA_TRAIT_PADDING | SQA_TRAIT_LINEAR_MEMORY | SQA_TRAIT_QKV,
    .params = params,
    .self_size = sizeof(struct self),
    .build = build,
    .flops = flops,
    .identities = identities,
};
