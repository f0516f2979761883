/*
 * s4d.c - diagonal state space model as a long convolution
 *
 * Computes  per channel x' = A x + u, y = 2 Re(C x) + D u with N / 2 complex modes, held over steps of size dt
 *           (zero-order hold): y = K * u + D u with K of s4d_kernel.h, by FFT; then GLU(Wout gelu(y) + b).
 *           Not causal: a second C gives the kernel of the future, 1, 2, ... steps away
 * Shapes    x (B, L, D) -> (B, L, D); log_dt (D), log_a_re and a_im (D, N / 2), c (1 or 2, D, N / 2, 2), d (D)
 * Cost      a batch: kernels, 2 L N D flops each and small tables, and their transforms; a sequence: two transforms
 *           and a spectral product a channel, 4 L D^2 for Wout, 5 L D
 * Step      D N / 2 complex numbers, x <- exp(dt A) x + u, y = 2 Re(w x) + D u, w = C (exp(dt A) - 1) / A
 * Source    Gu et al. 2022, arXiv:2206.11893 (initial values lin, inv). Parameters, C ~ complex N(0, 1), D ~ N(0, 1)
 *           and the output: state-spaces/s4: models/s4/s4d.py; the two-sided form: models/s4/s4.py there
 * Departs   dropout before Wout is not tied over time; input at padding is 0
 */
#include <complex.h>
#include <math.h>
#include <string.h>

#include "models/probe_known.h"
#include "models/s4d_kernel.h"
#include "models/vandermonde.h"

#define PI 3.14159265358979323846

struct self {
    int64_t state;
    const char *init;
    double dt_min, dt_max;
};

static const struct sqa_param params[] = {
    {"state", "real state size of a channel: twice its complex modes", SQA_PARAM_INT, "64", 2, 4096,
     .offset = offsetof(struct self, state)},
    {"init", "imaginary parts: lin is pi n, inv is N / pi (N / (2 n + 1) - 1)", SQA_PARAM_CHOICE, "lin",
     .offset = offsetof(struct self, init), .choices = "lin|inv"},
    {"dt_min", "smallest initial step", SQA_PARAM_REAL, "0.001", 1e-9, 10, .offset = offsetof(struct self, dt_min)},
    {"dt_max", "largest initial step", SQA_PARAM_REAL, "0.1", 1e-9, 10, .offset = offsetof(struct self, dt_max)},
    {.name = NULL},
};

static enum sqa_status check(const void *self, const struct sqa_frame *frame, const struct sqa_signature *task,
                             struct sqa_err *err)
{
    const struct self *s = self;

    (void)frame, (void)task;
    if (s->state % 2 != 0)
        return sqa_fail(err, SQA_USAGE, "s4d: state=%lld; modes come in pairs, use an even number",
                        (long long)s->state);
    if (s->dt_min > s->dt_max)
        return sqa_fail(err, SQA_USAGE, "s4d: dt_min=%g is above dt_max=%g; exchange them", s->dt_min, s->dt_max);
    return SQA_OK;
}

/* The mixer */

static void fill_lin(double *values, int rank, const int64_t *dim, uint64_t key, const void *arg)
{
    (void)rank, (void)key, (void)arg;
    for (int64_t i = 0; i < dim[0] * dim[1]; i++)
        values[i] = PI * (double)(i % dim[1]);
}

static void fill_inv(double *values, int rank, const int64_t *dim, uint64_t key, const void *arg)
{
    const double N = 2 * (double)dim[1];

    (void)rank, (void)key, (void)arg;
    for (int64_t i = 0; i < dim[0] * dim[1]; i++)
        values[i] = N / PI * (N / (2 * (double)(i % dim[1]) + 1) - 1);
}

static int64_t kernels_of(const struct sqa_context *c)
{
    return c->frame.causal ? 1 : 2;
}

static struct sqa_s4d_parameters parameters_of(const struct self *s, struct sqa_context *c)
{
    const int64_t D = c->frame.dim, M = s->state / 2;
    const struct sqa_init imaginary = {.kind = SQA_INIT_CUSTOM,
                                       .fill = strcmp(s->init, "inv") == 0 ? fill_inv : fill_lin};
    const struct sqa_init step = {.kind = SQA_INIT_LOG_UNIFORM, .a = s->dt_min, .b = s->dt_max};
    const struct sqa_init half = {.kind = SQA_INIT_CONSTANT, .a = log(0.5)};
    const struct sqa_init normal = {.kind = SQA_INIT_NORMAL, .a = 0, .b = 1},
                          part = {.kind = SQA_INIT_NORMAL, .a = 0, .b = sqrt(0.5)};

    return (struct sqa_s4d_parameters){
        .log_dt = sqa_param_tensor(c, "log_dt", SQA_GROUP_SSM, step, SQA_DIMS(D)),
        .log_a_re = sqa_param_tensor(c, "log_a_re", SQA_GROUP_SSM, half, SQA_DIMS(D, M)),
        .a_im = sqa_param_tensor(c, "a_im", SQA_GROUP_SSM, imaginary, SQA_DIMS(D, M)),
        .c = sqa_param_tensor(c, "c", SQA_GROUP_REGULAR, part, SQA_DIMS(kernels_of(c), D, M, 2)),
        .d = sqa_param_tensor(c, "d", SQA_GROUP_NO_DECAY, normal, SQA_DIMS(D)),
    };
}

/* y = K * u + D u, D as a part of K_0 */
static struct sqa_tensor *state_space(const struct self *s, struct sqa_context *c, struct sqa_tensor *u)
{
    struct sqa_tensor *future, *past = sqa_s4d_kernel(c->g, parameters_of(s, c), c->length, &future);

    return sqa_fftconv(c->g, sqa_mask_rows(c->g, u, c->lengths), past, future);
}

/* The same for one position. */
static struct sqa_tensor *state_space_step(const struct self *s, struct sqa_context *c, struct sqa_tensor *u)
{
    const struct sqa_s4d_parameters p = parameters_of(s, c);
    struct sqa_tensor *w, *z = sqa_s4d_step_tables(c->g, p, &w);

    return sqa_vandermonde_step(c, u, z, w, p.d);
}

static struct sqa_tensor *output(struct sqa_context *c, struct sqa_tensor *y)
{
    y = sqa_dropout(c->g, sqa_unary(c->g, SQA_UNARY_GELU, y), c->frame.dropout);
    return sqa_glu(c->g, sqa_dense_layer(c, "out", y, 2 * c->frame.dim, true));
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    return output(c, state_space(self, c, x));
}

static struct sqa_tensor *step(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    return output(c, state_space_step(self, c, x));
}

static double flops(const void *self, const struct sqa_context *c)
{
    const struct self *s = self;
    const double B = (double)c->batch, L = (double)c->length, D = (double)c->frame.dim;
    const double kernels = sqa_s4d_kernel_flops(kernels_of(c), c->frame.dim, s->state / 2, c->length);
    const double transform = 2.5 * 2 * L * log2(2 * L);

    /* gelu 1, bias 2, GLU 2 */
    return kernels + D * (B * (2 * transform + 6 * L) + transform) + B * L * D * (4 * D + 5);
}

/* Identities */

enum { LENGTH = 37, WIDTH = 3, MODES = 4 };

/* What a probe's store holds. */
struct held {
    double log_dt[WIDTH], log_a_re[WIDTH * MODES], a_im[WIDTH * MODES], c[2 * WIDTH * MODES * 2], d[WIDTH];
    double w[WIDTH * 2 * WIDTH];
};

static void hold(struct sqa_store *s, void *user)
{
    struct held *h = user;

    sqa_probe_get(s, "mixer",
                  (const struct sqa_probe_entry[]){{"log_dt", h->log_dt},
                                                   {"log_a_re", h->log_a_re},
                                                   {"a_im", h->a_im},
                                                   {"c", h->c},
                                                   {"d", h->d},
                                                   {"out.w", h->w},
                                                   {NULL, NULL}});
}

/* y += the recurrence of kernel r over u, step by step: x <- z x + b u, y = 2 Re(C x) with
 * z = exp(dt a) and b = (z - 1) / a. Kernel 1 goes from the end, and its outputs see only inputs after them. */
static void recurrence(const struct held *h, int r, int channel, const double *u, double *y)
{
    for (int i = 0; i < MODES; i++) {
        const double dt = exp(h->log_dt[channel]);
        const double complex unit = (double complex)I;
        const double complex a = -exp(h->log_a_re[channel * MODES + i]) + h->a_im[channel * MODES + i] * unit;
        const double complex z = cexp(dt * a), b = (z - 1) / a;
        const double *pair = h->c + ((r * WIDTH + channel) * MODES + i) * 2;
        const double complex c = pair[0] + pair[1] * unit;
        double complex x = 0;

        for (int t = 0; t < LENGTH; t++) {
            const int place = (r == 0 ? t : LENGTH - 1 - t) * WIDTH + channel;

            if (r == 1)
                y[place] += 2 * creal(c * x);
            x = z * x + b * u[place];
            if (r == 0)
                y[place] += 2 * creal(c * x);
        }
    }
}

static void by_recurrence(const struct held *h, const double *u, int kernels, double *out)
{
    double y[LENGTH * WIDTH];

    for (int i = 0; i < LENGTH * WIDTH; i++)
        y[i] = u[i] * h->d[i % WIDTH];
    for (int r = 0; r < kernels; r++)
        for (int e = 0; e < WIDTH; e++)
            recurrence(h, r, e, u, y);
    for (int i = 0; i < LENGTH * WIDTH; i++)
        y[i] = y[i] / 2 * (1 + erf(y[i] / sqrt(2)));
    for (int t = 0; t < LENGTH; t++)
        for (int e = 0; e < WIDTH; e++) {
            double a = 0, b = 0;

            for (int i = 0; i < WIDTH; i++) {
                a += y[t * WIDTH + i] * h->w[i * 2 * WIDTH + e];
                b += y[t * WIDTH + i] * h->w[i * 2 * WIDTH + WIDTH + e];
            }
            out[t * WIDTH + e] = a / (1 + exp(-b));
        }
}

static enum sqa_status equals_recurrence(struct sqa_err *err)
{
    static const char *const items[] = {"s4d:state=8,init=lin", "s4d:state=8,init=inv"};
    double x[LENGTH * WIDTH], y[LENGTH * WIDTH], expect[LENGTH * WIDTH];
    struct held h;
    enum sqa_status status = SQA_OK;

    sqa_probe_normal(1, x, LENGTH * WIDTH);
    for (int mode = 0; mode < 4 && status == SQA_OK; mode++) {
        const struct sqa_probe p = {.item = items[mode % 2],
                                    .batch = 1,
                                    .length = LENGTH,
                                    .dim = WIDTH,
                                    .heads = 1,
                                    .causal = mode / 2 != 0,
                                    .real = SQA_F64,
                                    .edit = hold,
                                    .user = &h};

        status = sqa_probe_run(&p, x, y, err);
        by_recurrence(&h, x, p.causal ? 1 : 2, expect);
        if (status == SQA_OK)
            status = sqa_probe_expect("convolution against the recurrence",
                                      sqa_probe_difference(y, expect, LENGTH * WIDTH), 1e-11, err);
    }
    return status;
}

struct initial {
    double log_a_re[32], a_im[32];
};

static void hold_initial(struct sqa_store *s, void *user)
{
    struct initial *h = user;
    const struct sqa_entry *re = sqa_store_find(s, "mixer.log_a_re"), *im = sqa_store_find(s, "mixer.a_im");

    if (re != NULL && im != NULL) {
        sqa_entry_get(s, re, h->log_a_re);
        sqa_entry_get(s, im, h->a_im);
    }
}

/* First and last mode at N = 64: lin 0 and 31 pi; inv 64 * 63 / pi and 64 / (63 pi). */
static enum sqa_status initial_values(struct sqa_err *err)
{
    static const struct {
        const char *item;
        double first, last;
    } rows[] = {{"s4d:init=lin", 0, 97.389372261283583}, {"s4d:init=inv", 1283.425461093044, 0.3233624240597227}};
    enum sqa_status status = SQA_OK;

    for (int i = 0; i < 2 && status == SQA_OK; i++) {
        struct initial h = {{0}, {0}};
        double x = 1, y;
        const struct sqa_probe p = {.item = rows[i].item,
                                    .batch = 1,
                                    .length = 1,
                                    .dim = 1,
                                    .heads = 1,
                                    .real = SQA_F64,
                                    .edit = hold_initial,
                                    .user = &h};
        const double expect[3] = {rows[i].first, rows[i].last, 0.5};

        status = sqa_probe_run(&p, &x, &y, err);
        if (status == SQA_OK)
            status = sqa_probe_expect(
                rows[i].item, sqa_probe_difference((double[]){h.a_im[0], h.a_im[31], exp(h.log_a_re[5])}, expect, 3),
                1e-10, err);
    }
    return status;
}

/* C is complex normal: mean |C|^2 is 1. */
enum { MANY = 16 };

static void mean_square(struct sqa_store *s, void *user)
{
    double c[2 * MANY * 32 * 2], *mean = user;
    const struct sqa_entry *e = sqa_store_find(s, "mixer.c");

    if (e == NULL)
        return;
    sqa_entry_get(s, e, c);
    for (int i = 0; i < 2 * MANY * 32 * 2; i++)
        *mean += c[i] * c[i] / (2 * MANY * 32);
}

static enum sqa_status initial_c(struct sqa_err *err)
{
    double x[MANY], y[MANY], mean = 0;
    const struct sqa_probe p = {.item = "s4d",
                                .batch = 1,
                                .length = 1,
                                .dim = MANY,
                                .heads = 1,
                                .real = SQA_F64,
                                .edit = mean_square,
                                .user = &mean};
    enum sqa_status status;

    sqa_probe_normal(3, x, MANY);
    status = sqa_probe_run(&p, x, y, err);
    return status == SQA_OK ? sqa_probe_expect("mean of |C|^2, less 1", fabs(mean - 1), 0.15, err) : status;
}

/* dt = 1e-9 and C = 1e9 (1 + i e): K_0 = 2 dt sum Re(C) -> 2 M, whatever A. Then y = K_0 x, through gelu and GLU with
 * weights 1 and 0: gelu(y) / 2. */
static void small_steps(struct sqa_store *s, void *user)
{
    double c[2 * MODES * 2], zero[MODES * 2] = {0}, one[2] = {1, 0};

    (void)user;
    for (int i = 0; i < 2 * MODES; i++) {
        c[2 * i] = 1e9;
        c[2 * i + 1] = 1e9 * i;
    }
    sqa_probe_set_constant(s, "mixer.log_dt", log(1e-9));
    sqa_probe_set(s, "mixer.c", c);
    sqa_probe_set(s, "mixer.d", zero);
    sqa_probe_set(s, "mixer.out.w", one);
}

static enum sqa_status small_step_limit(struct sqa_err *err)
{
    double x = 0.1, y;
    const double k = 2 * MODES * x, expect = k / 4 * (1 + erf(k / sqrt(2)));
    const struct sqa_probe p = {
        .item = "s4d:state=8", .batch = 1, .length = 1, .dim = 1, .heads = 1, .real = SQA_F64, .edit = small_steps};
    const enum sqa_status status = sqa_probe_run(&p, &x, &y, err);

    return status == SQA_OK ? sqa_probe_expect("K_0 for dt -> 0", sqa_probe_difference(&y, &expect, 1), 1e-6, err)
                            : status;
}

static enum sqa_status long_in_f32(struct sqa_err *err)
{
    return sqa_probe_float("s4d:dt_min=0.0001", err);
}

static const struct sqa_identity identities[] = {
    {"the convolution equals the zero-order-hold recurrence, both directions", equals_recurrence},
    {"initial values at N = 64", initial_values},
    {"C begins as complex normal numbers", initial_c},
    {"dt -> 0: K_0 is 2 dt Re sum C", small_step_limit},
    {"f32 is accurate at 4096 positions", long_in_f32},
    {.name = NULL},
};

const struct sqa_variant sqa_variant_s4d = {
    .id = "s4d",
    .slot = SQA_SLOT_MIXER,
    .title = "S4D",
    .source = "Gu et al. 2022, arXiv:2206.11893",
    .complexity = "O(L (N + log L) D) time, O(L D) memory",
    .help = "A linear state space of `state` numbers for each channel with a diagonal matrix, run as one long "
            "convolution; "
            "two kernels, of the past and of the future, unless causal.",
    .traits = SQA_TRAIT_CAUSAL | SQA_TRAIT_PADDING | SQA_TRAIT_LINEAR_MEMORY | SQA_TRAIT_QKV,
    .params = params,
    .self_size = sizeof(struct self),
    .check = check,
    .build = build,
    .step = step,
    .flops = flops,
    .identities = identities,
};
