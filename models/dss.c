/*
 * dss.c - diagonal state spaces with the softmax kernel
 *
 * Computes  K_l = Re sum_n W_n / Lambda_n softmax_l(lambda_n l) over l = 0 .. m - 1 with N complex modes and
 *           lambda = dt_re Re Lambda + i dt_im Im Lambda; or, version=exp, K_l = Re sum_n W_n (exp(lambda_n) - 1) /
 *           Lambda_n exp(lambda_n l) with Re Lambda < 0; y = K * u + D u by FFT, then Wout gelu(y) + b. Not causal:
 *           a second W gives the kernel of the future, 1, 2, ... steps away
 * Shapes    x (B, L, D) -> (B, L, D); log_dt (D, 2), lambda (N, 2), w (1 or 2, D, N, 2), d (D)
 * Cost      a batch: kernels, 4 L N D flops each and small tables, and their transforms; a sequence: two transforms
 *           and a spectral product a channel, 2 L D^2 for Wout, 2 L D
 * Step      D N complex numbers, s <- exp(lambda) s + u, y = Re(w s) + D u
 * Source    Gupta et al. 2022, arXiv:2203.14343; initial values, 1 / x ~ conj(x) / (|x|^2 + eps) and groups:
 *           ag1988/dss: src/models/sequence/ss/standalone/dss.py
 * Departs   the softmax runs over the m positions that the model is made for, not over those of a batch, so that
 *           outputs do not depend on padding. Where Re Lambda > 0 that file subtracts a maximum from exponents only
 *           of which it keeps no gradient; here gradients are those of the formula. m Re lambda above 700 overflows.
 *           Wout begins Xavier-uniform; dropout before it is not tied over time; input at padding is 0
 */
#include <complex.h>
#include <math.h>
#include <string.h>

#include "base/random.h"
#include "engine/ops/support.h"
#include "models/hippo.h"
#include "models/probe_known.h"
#include "models/vandermonde.h"

struct self {
    int64_t state;
    const char *version;
    double dt_min, dt_max, eps;
};

static const struct sqa_param params[] = {
    {"state", "complex modes of a channel", SQA_PARAM_INT, "64", 1, 4096, .offset = offsetof(struct self, state)},
    {"version", "softmax over the kernel's positions, or plain powers with Re Lambda < 0", SQA_PARAM_CHOICE,
     "softmax", .offset = offsetof(struct self, version), .choices = "softmax|exp"},
    {"dt_min", "smallest initial step", SQA_PARAM_REAL, "0.001", 1e-9, 10, .offset = offsetof(struct self, dt_min)},
    {"dt_max", "largest initial step", SQA_PARAM_REAL, "0.1", 1e-9, 10, .offset = offsetof(struct self, dt_max)},
    {"eps", "in 1 / x ~ conj(x) / (|x|^2 + eps) of the softmax's denominators", SQA_PARAM_REAL, "1e-7", 0, 1,
     .offset = offsetof(struct self, eps)},
    {.name = NULL},
};

static enum sqa_status check(const void *self, const struct sqa_frame *frame, const struct sqa_signature *task,
                             struct sqa_err *err)
{
    const struct self *s = self;

    (void)frame, (void)task;
    if (s->dt_min > s->dt_max)
        return sqa_fail(err, SQA_USAGE, "dss: dt_min=%g is above dt_max=%g; exchange them", s->dt_min, s->dt_max);
    return SQA_OK;
}

/* dss_kernel */

enum { LOG_DT, LAMBDA, W, SKIP, DK, DK2 };
enum { MODE_FLOPS = 60, MODE_BWD_FLOPS = 120 };

struct attr {
    int64_t length, positions; /* taps; m */
    bool softmax;
    double eps;
};

/* A mode: lambda = dt . Lambda and gain = num / den / Lambda end, of which the parts are kept; the softmax of one
 * with Re Lambda > 0 is taken of -lambda, from the end of the kernel. */
struct mode {
    double dt[2], re, im; /* re, im: of Lambda */
    double complex lambda, num, den,
        end;                      /* with s = -1 for Re Lambda > 0, else 1: exp(s lambda) - 1, exp(s lambda m) - 1 */
    double complex x, reciprocal; /* den Lambda, or Lambda */
    double sign;
};

/* exp(z) - 1 without cancellation */
static double complex less_one(double complex z)
{
    const double less = expm1(creal(z)), half = sin(cimag(z) / 2), c = 1 - 2 * half * half;

    return sqa_complex(less * c - 2 * half * half, (1 + less) * sin(cimag(z)));
}

static double complex exponential(double complex z)
{
    return exp(creal(z)) * sqa_complex(cos(cimag(z)), sin(cimag(z)));
}

static struct mode mode_of(const struct sqa_node *n, int64_t channel, int64_t i, int64_t modes)
{
    const struct attr *p = n->attr;
    const double value = sqa_number(n->in[LAMBDA], (channel * modes + i) * 2);
    struct mode m = {
        .dt = {exp(sqa_number(n->in[LOG_DT], channel * 2)), exp(sqa_number(n->in[LOG_DT], channel * 2 + 1))},
        .re = p->softmax ? value : -exp(value),
        .im = sqa_number(n->in[LAMBDA], (channel * modes + i) * 2 + 1),
        .end = 1,
        .sign = 1};
    const double complex Lambda = sqa_complex(m.re, m.im);

    m.lambda = sqa_complex(m.dt[0] * m.re, m.dt[1] * m.im);
    if (!p->softmax) {
        m.num = less_one(m.lambda);
        m.den = 1;
        m.x = Lambda;
        m.reciprocal = conj(Lambda) / fmax(m.re * m.re + m.im * m.im, p->eps);
        return m;
    }
    if (m.re > 0) {
        m.sign = -1;
        m.end = exponential(-(double)(p->positions - 1) * m.lambda);
    }
    m.num = less_one(m.sign * m.lambda);
    m.den = less_one(m.sign * (double)p->positions * m.lambda);
    m.x = sqa_times(m.den, Lambda);
    m.reciprocal = conj(m.x) / (creal(m.x) * creal(m.x) + cimag(m.x) * cimag(m.x) + p->eps);
    return m;
}

static void set_modes(const struct sqa_node *n, int64_t channel, const struct sqa_modes *modes)
{
    for (int64_t i = 0; i < modes->count; i++) {
        const struct mode m = mode_of(n, channel, i, modes->count);

        sqa_set_mode(modes->z, i, modes->count, exponential(m.lambda));
        sqa_set_mode(modes->gain, i, modes->count, sqa_times(sqa_times(m.num, m.reciprocal), m.end));
    }
}

static void gradient(const struct sqa_node *n, int64_t channel, int64_t r, const struct sqa_modes *modes,
                     const double *t0, const double *t1, double *sum);

static const struct sqa_vandermonde law = {.c = W, .scale = 1, .set = set_modes, .gradient = gradient};

/* Derivatives that are conjugates of gradients: dw = T0, so that d(gain) = T0 W; d(log z) = W gain T1. */
static void gradient(const struct sqa_node *n, int64_t channel, int64_t r, const struct sqa_modes *modes,
                     const double *t0, const double *t1, double *sum)
{
    const struct attr *p = n->attr;
    const int64_t M = modes->count;

    for (int64_t i = 0; i < M; i++) {
        const struct mode m = mode_of(n, channel, i, M);
        const double complex w = sqa_vandermonde_c(&law, n, r, channel, i), gain = sqa_mode(modes->gain, i, M);
        const double complex d = sqa_times(sqa_mode(t0, i, M), w), rec = m.reciprocal;
        const double complex d_rec = sqa_times(d, sqa_times(m.num, m.end)), Lambda = sqa_complex(m.re, m.im);
        const double square = creal(m.x) * creal(m.x) + cimag(m.x) * cimag(m.x), size = square + p->eps;
        double complex d_lambda = sqa_times(sqa_times(w, gain), sqa_mode(t1, i, M)), d_x, d_Lambda;
        const int64_t place = (channel * M + i) * 2;
        double d_re, d_im;

        d_lambda += m.sign * sqa_times(sqa_times(d, sqa_times(rec, m.end)), m.num + 1);
        if (p->softmax) {
            /* conj(x) / size: eps / size^2 by conj(x), -(conj(x) / size)^2 by x */
            d_x = conj(d_rec) * (p->eps / (size * size)) - sqa_times(d_rec, sqa_times(rec, rec));
            d_lambda += m.sign * (double)p->positions * sqa_times(sqa_times(d_x, Lambda), m.den + 1);
            if (m.sign < 0)
                d_lambda -= (double)(p->positions - 1) * sqa_times(d, gain);
            d_Lambda = sqa_times(d_x, m.den);
        } else {
            d_Lambda = square > p->eps ? -sqa_times(d_rec, sqa_times(rec, rec)) : conj(d_rec) / p->eps;
        }
        d_re = creal(d_Lambda) + m.dt[0] * creal(d_lambda);
        d_im = -cimag(d_Lambda) - m.dt[1] * cimag(d_lambda);
        if (!p->softmax)
            d_re *= m.re;
        sum[0] += m.dt[0] * m.re * creal(d_lambda);
        sum[1] -= m.dt[1] * m.im * cimag(d_lambda);
        sqa_put_number(n->out[LAMBDA], place, d_re + (r == 0 ? 0 : sqa_number(n->out[LAMBDA], place)));
        sqa_put_number(n->out[LAMBDA], place + 1, d_im + (r == 0 ? 0 : sqa_number(n->out[LAMBDA], place + 1)));
    }
    sqa_put_number(n->out[LOG_DT], channel * 2, sum[0]);
    sqa_put_number(n->out[LOG_DT], channel * 2 + 1, sum[1]);
}

static enum sqa_status kernel_shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *w = n->in[W];
    char text[96];

    if (sqa_vandermonde_shape(&law, n) != SQA_OK || sqa_numel(n->in[LOG_DT]) != 2 * w->dim[1] ||
        sqa_numel(n->in[LAMBDA]) != 2 * w->dim[1] * w->dim[2])
        return sqa_shape_fail(n, err, "w is %s; give log_dt (D, 2), lambda (D, N, 2), w (1 or 2, D, N, 2), d (D)",
                              sqa_shape_text(w, text));
    return SQA_OK;
}

static size_t kernel_workspace(const struct sqa_node *n, int threads)
{
    return sqa_vandermonde_workspace(&law, n, threads);
}

static double kernel_flops(const struct sqa_node *n)
{
    const struct attr *p = n->attr;
    const int64_t *dim = n->in[W]->dim;

    return sqa_vandermonde_flops(MODE_FLOPS, dim[0], dim[1], dim[2], p->length);
}

static double kernel_bwd_flops(const struct sqa_node *n)
{
    const struct attr *p = n->attr;
    const int64_t *dim = n->in[W]->dim;

    return sqa_vandermonde_bwd_flops(MODE_FLOPS, MODE_BWD_FLOPS, dim[0], dim[1], dim[2], p->length);
}

static void kernel_run(const struct sqa_node *n, const struct sqa_run *r)
{
    sqa_vandermonde_run(&law, n, r);
}

static const struct sqa_op op_kernel_bwd = {
    .name = "dss_kernel_bwd",
    .help = "gradients of dss_kernel",
    .shape = kernel_shape,
    .run = kernel_run,
    .flops = kernel_bwd_flops,
    .workspace = kernel_workspace,
    .tolerance = 1e-4,
};

static void kernel_grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    struct sqa_tensor *in[DK2 + 1] = {n->in[LOG_DT], n->in[LAMBDA], n->in[W], n->in[SKIP]}, *t;

    for (int i = 0; i < n->nout; i++)
        in[DK + i] = dy[i] != NULL ? dy[i] : sqa_fill(g, 0.0, 2, n->out[i]->dim);
    t = sqa_apply(g, &op_kernel_bwd, n->attr, sizeof(struct attr), DK + n->nout, in);
    for (int i = 0; t != NULL && i <= W; i++)
        dx[i] = t->node->out[i];
    dx[SKIP] = sqa_reshape(g, sqa_slice(g, in[DK], 1, 0, 1), 1, n->in[SKIP]->dim);
}

static const struct sqa_op op_kernel = {
    .name = "dss_kernel",
    .help = "K_l = Re sum_n W_n / Lambda_n softmax_l(lambda_n l), or without the softmax; d added to the first K_0",
    .shape = kernel_shape,
    .run = kernel_run,
    .grad = kernel_grad,
    .flops = kernel_flops,
    .workspace = kernel_workspace,
    .tolerance = 1e-5,
};

static enum sqa_status step_shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *w = n->in[W];
    char text[96];

    if (sqa_vandermonde_step_shape(&law, n) != SQA_OK || sqa_numel(n->in[LOG_DT]) != 2 * w->dim[1] ||
        sqa_numel(n->in[LAMBDA]) != 2 * w->dim[1] * w->dim[2])
        return sqa_shape_fail(n, err, "w is %s; give log_dt (D, 2), lambda (D, N, 2), w (1, D, N, 2)",
                              sqa_shape_text(w, text));
    return SQA_OK;
}

static void step_run(const struct sqa_node *n, const struct sqa_run *r)
{
    sqa_vandermonde_step_run(&law, n, r);
}

static const struct sqa_op op_step = {
    .name = "dss_step_tables",
    .help = "exp(lambda) and the factors of its powers",
    .shape = step_shape,
    .run = step_run,
    .workspace = kernel_workspace,
};

/* The mixer */

static bool is_softmax(const struct self *s)
{
    return strcmp(s->version, "softmax") == 0;
}

/* Eigenvalues of HiPPO's skew part of 2 N, the largest first, and -1/2 (or its stored form) */
static void fill_lambda(double *values, int rank, const int64_t *dim, uint64_t key, const void *arg)
{
    const int64_t N = dim[0];

    (void)rank, (void)key;
    for (int64_t i = 0; i < N; i++) {
        values[2 * i] = is_softmax(arg) ? -0.5 : log(0.5);
        values[2 * i + 1] = sqa_legs_frequency(2 * N, N - 1 - i);
    }
}

/* The same step for the real and the imaginary part of a channel */
static void fill_log_dt(double *values, int rank, const int64_t *dim, uint64_t key, const void *arg)
{
    const struct self *s = arg;

    (void)rank;
    for (int64_t i = 0; i < 2 * dim[0]; i++)
        values[i] = log(s->dt_min) + (log(s->dt_max) - log(s->dt_min)) * sqa_random_uniform(key, (uint64_t)(i / 2));
}

static int64_t kernels_of(const struct sqa_context *c)
{
    return c->frame.causal ? 1 : 2;
}

/* y = K * u + D u, D as a part of K_0 */
static struct sqa_tensor *state_space(const struct self *s, struct sqa_context *c, struct sqa_tensor *u)
{
    const int64_t D = c->frame.dim, N = s->state;
    const struct attr p = {c->length, c->max_length, is_softmax(s), s->eps};
    const struct sqa_init step = {.kind = SQA_INIT_CUSTOM, .fill = fill_log_dt, .arg = s};
    const struct sqa_init lambda = {.kind = SQA_INIT_CUSTOM, .fill = fill_lambda, .arg = s};
    const struct sqa_init normal = {.kind = SQA_INIT_NORMAL, .a = 0, .b = 1};
    struct sqa_tensor *values = sqa_param_tensor(c, "lambda", SQA_GROUP_SSM, lambda, SQA_DIMS(N, 2));
    struct sqa_tensor *const in[] = {
        sqa_param_tensor(c, "log_dt", SQA_GROUP_SSM, step, SQA_DIMS(D, 2)),
        sqa_broadcast(c->g, values, SQA_DIMS(D, N, 2)),
        sqa_param_tensor(c, "w", SQA_GROUP_SSM, normal, SQA_DIMS(kernels_of(c), D, N, 2)),
        sqa_param_tensor(c, "d", SQA_GROUP_NO_DECAY, normal, SQA_DIMS(D)),
    };
    struct sqa_tensor *k;

    if (!sqa_ready(c->g, "dss_kernel", 4, in))
        return NULL;
    if (c->position != NULL) {
        k = sqa_apply(c->g, &op_step, &p, sizeof p, 3, in);
        return k == NULL ? NULL : sqa_vandermonde_step(c, u, k, k->node->out[1], in[SKIP]);
    }
    k = sqa_apply(c->g, &op_kernel, &p, sizeof p, 4, in);
    if (k == NULL)
        return NULL;
    return sqa_fftconv(c->g, sqa_mask_rows(c->g, u, c->lengths), k, k->node->nout > 1 ? k->node->out[1] : NULL);
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    struct sqa_tensor *y = sqa_unary(c->g, SQA_UNARY_GELU, state_space(self, c, x));

    return sqa_dense_layer(c, "out", sqa_dropout(c->g, y, c->frame.dropout), c->frame.dim, true);
}

static double flops(const void *self, const struct sqa_context *c)
{
    const struct self *s = self;
    const double B = (double)c->batch, L = (double)c->length, D = (double)c->frame.dim;
    const double kernels = sqa_vandermonde_flops(MODE_FLOPS, kernels_of(c), c->frame.dim, s->state, c->length);
    const double transform = 2.5 * 2 * L * log2(2 * L);

    /* gelu 1, bias 1 */
    return kernels + D * (B * (2 * transform + 6 * L) + transform) + B * L * D * (2 * D + 2);
}

/* Identities */

enum { LENGTH = 37, WIDTH = 3, MODES = 4 };

/* What a probe's store holds. */
struct held {
    double log_dt[WIDTH * 2], lambda[MODES * 2], w[2 * WIDTH * MODES * 2], d[WIDTH], out[WIDTH * WIDTH];
    bool positive; /* Re Lambda is set to numbers of both signs, steps to some that differ */
};

static void hold(struct sqa_store *s, void *user)
{
    struct held *h = user;

    if (h->positive) {
        const double lambda[MODES * 2] = {-0.5, 3, 0.7, -2, 1.5, 0.4, -2, 0.1};
        const double log_dt[WIDTH * 2] = {-1, -2, -3, -1, -2, -4};

        sqa_probe_set(s, "mixer.lambda", lambda);
        sqa_probe_set(s, "mixer.log_dt", log_dt);
    }
    sqa_probe_get(
        s, "mixer",
        (const struct sqa_probe_entry[]){
            {"log_dt", h->log_dt}, {"lambda", h->lambda}, {"w", h->w}, {"d", h->d}, {"out.w", h->out}, {NULL, NULL}});
}

/* Kernel r of a channel from its definition, eps = 0 */
static void direct_kernel(const struct held *h, bool softmax, int r, int channel, double *k)
{
    const double complex unit = (double complex)I;

    memset(k, 0, LENGTH * sizeof *k);
    for (int i = 0; i < MODES; i++) {
        const double re = softmax ? h->lambda[2 * i] : -exp(h->lambda[2 * i]), im = h->lambda[2 * i + 1];
        const double complex l = exp(h->log_dt[2 * channel]) * re + exp(h->log_dt[2 * channel + 1]) * im * unit;
        const double *pair = h->w + ((r * WIDTH + channel) * MODES + i) * 2;
        double complex sum = 0;

        for (int t = 0; t < LENGTH; t++)
            sum += cexp(l * t);
        for (int t = 0; t < LENGTH; t++)
            k[t] += creal((pair[0] + pair[1] * unit) / (re + im * unit) * cexp(l * t) *
                          (softmax ? 1 / sum : cexp(l) - 1));
    }
}

static void by_kernel(const struct held *h, bool softmax, int kernels, const double *u, double *out)
{
    double y[LENGTH * WIDTH], k[LENGTH];

    for (int i = 0; i < LENGTH * WIDTH; i++)
        y[i] = u[i] * h->d[i % WIDTH];
    for (int e = 0; e < WIDTH * kernels; e++) {
        const int c = e % WIDTH;

        direct_kernel(h, softmax, e / WIDTH, c, k);
        for (int t = 0; t < LENGTH; t++)
            for (int s = 0; s < LENGTH; s++)
                if (e / WIDTH == 0 ? s <= t : s > t)
                    y[t * WIDTH + c] += k[e / WIDTH == 0 ? t - s : s - t - 1] * u[s * WIDTH + c];
    }
    for (int t = 0; t < LENGTH; t++)
        for (int e = 0; e < WIDTH; e++) {
            out[t * WIDTH + e] = 0;
            for (int i = 0; i < WIDTH; i++) {
                const double v = y[t * WIDTH + i];

                out[t * WIDTH + e] += v / 2 * (1 + erf(v / sqrt(2))) * h->out[i * WIDTH + e];
            }
        }
}

static enum sqa_status equals_direct(struct sqa_err *err)
{
    static const struct {
        const char *item;
        bool softmax, positive;
    } rows[] = {{"dss:state=4,eps=0", true, false},
                {"dss:state=4,eps=0", true, true},
                {"dss:state=4,version=exp,eps=0", false, false}};
    double x[LENGTH * WIDTH], y[LENGTH * WIDTH], expect[LENGTH * WIDTH];
    enum sqa_status status = SQA_OK;

    sqa_probe_normal(1, x, LENGTH * WIDTH);
    for (int mode = 0; mode < 6 && status == SQA_OK; mode++) {
        struct held h = {.positive = rows[mode / 2].positive};
        const struct sqa_probe p = {.item = rows[mode / 2].item,
                                    .batch = 1,
                                    .length = LENGTH,
                                    .dim = WIDTH,
                                    .heads = 1,
                                    .causal = mode % 2 != 0,
                                    .real = SQA_F64,
                                    .edit = hold,
                                    .user = &h};

        status = sqa_probe_run(&p, x, y, err);
        by_kernel(&h, rows[mode / 2].softmax, p.causal ? 1 : 2, x, expect);
        if (status == SQA_OK)
            status = sqa_probe_expect("kernel against its definition",
                                      sqa_probe_difference(y, expect, LENGTH * WIDTH), 1e-11, err);
    }
    return status;
}

/* Gradients where Re Lambda has both signs, and of the regularised reciprocal */
static void both_signs(struct sqa_store *s, void *user)
{
    const struct sqa_entry *e = sqa_store_find(s, "mixer.lambda");
    double lambda[MODES * 2] = {-0.5, 3, 0.7, -2, 1.5, 0.4, -2, 0.1};

    (void)user;
    if (e != NULL && e->count == MODES * 2)
        sqa_probe_set(s, "mixer.lambda", lambda);
}

static enum sqa_status gradients(struct sqa_err *err)
{
    static const char *const items[] = {"dss:state=4,dt_min=0.01", "dss:state=4,dt_min=0.01,eps=0.1",
                                        "dss:state=4,version=exp,dt_min=0.01"};
    enum sqa_status status = SQA_OK;

    for (int i = 0; i < 3 && status == SQA_OK; i++) {
        const struct sqa_probe p = {.item = items[i],
                                    .batch = 2,
                                    .length = 9,
                                    .max_length = 12,
                                    .dim = WIDTH,
                                    .heads = 1,
                                    .real = SQA_F64,
                                    .edit = i < 2 ? both_signs : NULL};
        double worst = 1;

        status = sqa_probe_gradient(&p, &worst, err);
        if (status == SQA_OK)
            status = sqa_probe_expect(items[i], worst, 1e-6, err);
    }
    return status;
}

/* One position: the softmax is 1 and K_0 = Re sum W / Lambda; output gelu(K_0 x) */
static void one_position(struct sqa_store *s, void *user)
{
    struct held *h = user;

    sqa_probe_set_constant(s, "mixer.d", 0);
    sqa_probe_set_constant(s, "mixer.out.w", 1);
    sqa_entry_get(s, sqa_store_find(s, "mixer.lambda"), h->lambda);
    sqa_entry_get(s, sqa_store_find(s, "mixer.w"), h->w);
}

static enum sqa_status single_tap(struct sqa_err *err)
{
    struct held h = {.positive = false};
    double x = 0.7, y, k = 0, expect;
    const struct sqa_probe p = {.item = "dss:state=4,eps=0",
                                .batch = 1,
                                .length = 1,
                                .dim = 1,
                                .heads = 1,
                                .causal = true,
                                .real = SQA_F64,
                                .edit = one_position,
                                .user = &h};
    const enum sqa_status status = sqa_probe_run(&p, &x, &y, err);

    for (int i = 0; i < MODES; i++) {
        const double re = h.lambda[2 * i], im = h.lambda[2 * i + 1];

        k += (h.w[2 * i] * re + h.w[2 * i + 1] * im) / (re * re + im * im);
    }
    expect = k * x / 2 * (1 + erf(k * x / sqrt(2)));
    return status == SQA_OK
               ? sqa_probe_expect("K_0 of one position", sqa_probe_difference(&y, &expect, 1), 1e-12, err)
               : status;
}

/* version=exp with W = 2 C of s4d's, of the same Lambda and steps, is s4d's kernel: compared with D and Wout of both
 * making gelu(y) / 2 and gelu(y). */
struct same {
    bool s4d;
};

static void same_parameters(struct sqa_store *s, void *user)
{
    const struct same *of = user;
    double re[MODES], im[MODES], lambda[2 * MODES], c[2 * MODES];

    sqa_probe_normal(8, c, 2 * MODES);
    for (int i = 0; i < MODES; i++) {
        lambda[2 * i] = re[i] = log(0.5 + i);
        lambda[2 * i + 1] = im[i] = 1 + 3 * i;
    }
    for (int i = 0; i < 2 * MODES && !of->s4d; i++)
        c[i] *= 2;
    sqa_probe_set_constant(s, "mixer.log_dt", log(0.05));
    sqa_probe_set_constant(s, "mixer.d", 0.3);
    sqa_probe_set(s, "mixer.c", c);
    sqa_probe_set(s, "mixer.w", c);
    sqa_probe_set(s, "mixer.log_a_re", re);
    sqa_probe_set(s, "mixer.a_im", im);
    sqa_probe_set(s, "mixer.lambda", lambda);
    sqa_probe_set(s, "mixer.out.w", of->s4d ? (double[]){1, 0} : (double[]){0.5});
}

static enum sqa_status equals_s4d(struct sqa_err *err)
{
    double x[LENGTH], y[2][LENGTH];
    enum sqa_status status = SQA_OK;

    sqa_probe_normal(1, x, LENGTH);
    for (int i = 0; i < 2 && status == SQA_OK; i++) {
        struct same of = {i == 0};
        const struct sqa_probe p = {.item = i == 0 ? "s4d:state=8" : "dss:state=4,version=exp",
                                    .batch = 1,
                                    .length = LENGTH,
                                    .dim = 1,
                                    .heads = 1,
                                    .causal = true,
                                    .real = SQA_F64,
                                    .edit = same_parameters,
                                    .user = &of};

        status = sqa_probe_run(&p, x, y[i], err);
    }
    return status == SQA_OK
               ? sqa_probe_expect("version=exp against s4d", sqa_probe_difference(y[1], y[0], LENGTH), 1e-12, err)
               : status;
}

static enum sqa_status long_in_f32(struct sqa_err *err)
{
    return sqa_probe_float("dss:dt_min=0.0001", err);
}

static const struct sqa_identity identities[] = {
    {"the kernel is what its definition sums, both versions, both signs of Re Lambda, both directions",
     equals_direct},
    {"gradients for both signs of Re Lambda and a large eps", gradients},
    {"one position: K_0 is Re sum W / Lambda", single_tap},
    {"version=exp with W = 2 C: s4d", equals_s4d},
    {"f32 is accurate at 4096 positions", long_in_f32},
    {.name = NULL},
};

const struct sqa_variant sqa_variant_dss = {
    .id = "dss",
    .slot = SQA_SLOT_MIXER,
    .title = "DSS",
    .source = "Gupta et al. 2022, arXiv:2203.14343",
    .complexity = "O(L (N + log L) D) time, O(L D) memory",
    .help =
        "A linear state space of `state` complex numbers for each channel with a diagonal matrix, whose powers are "
        "normalised over the sequence by a softmax, run as one long convolution; two kernels, of the past and of the "
        "future, unless causal.",
    .traits = SQA_TRAIT_CAUSAL | SQA_TRAIT_PADDING | SQA_TRAIT_LINEAR_MEMORY | SQA_TRAIT_QKV,
    .params = params,
    .self_size = sizeof(struct self),
    .check = check,
    .build = build,
    .step = build,
    .flops = flops,
    .identities = identities,
};
