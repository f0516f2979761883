/*
 * s5.c - one state space with many inputs and outputs, by a scan
 *
 * Computes  x' = A x + B u with A diagonal, `state` real or P = state / 2 complex modes, held over steps of each
 *           mode's own size (zero-order hold, or bilinear): x_t = a x_(t-1) + f B u_t, a = exp(dt A),
 *           f = (a - 1) / A, y_t = 2 Re(C x_t) + D u_t. Not causal: a second scan from the end with a second C. Then
 *           an activation: half_glu1 g sigmoid(Wg + b), g = gelu(y); half_glu2 y sigmoid(Wg + b); full_glu
 *           GLU(Wg + b); gelu; none
 * Shapes    x (B, L, D) -> (B, L, D); lambda (2, P), log_step (P), b (D, 2, P), c (1 or 2, 2, P, D), d (D)
 * Cost      a position: 4 P D + 8 P + 4 P D (the last two twice when not causal), 2 D^2 or 4 D^2 for W
 * Step      P complex numbers
 * Source    Smith et al. 2022, arXiv:2208.04933; defaults, initial values (`blocks` HiPPO-LegS blocks, half of each
 *           one's eigenvalues) and groups: lindermanlab/S5: s5/ssm.py, ssm_init.py, layers.py, run_train.py
 * Departs   the modes kept have positive imaginary parts, their conjugates there; c holds -Im C; D does not decay;
 *           dropout before W is not tied over time; W begins Xavier-uniform. Of the optimiser's groups BandCdecay
 *           (B at the slow rate, but decaying) cannot be said here
 */
#include <complex.h>
#include <math.h>
#include <string.h>

#include "base/random.h"
#include "engine/ops/support.h"
#include "models/diagonal_ssm.h"
#include "models/hippo.h"
#include "models/probe_known.h"

enum { LARGEST_BLOCK = 1024 };

struct self {
    int64_t state, blocks;
    double dt_min, dt_max;
    const char *disc, *c_init, *act, *opt;
    int64_t clip;
};

static const struct sqa_param params[] = {
    {"state", "real state size: twice the complex modes", SQA_PARAM_INT, "256", 2, 65536,
     .offset = offsetof(struct self, state)},
    {"blocks", "HiPPO-LegS blocks that the modes begin as", SQA_PARAM_INT, "8", 1, 32768,
     .offset = offsetof(struct self, blocks)},
    {"dt_min", "smallest initial step", SQA_PARAM_REAL, "0.001", 1e-9, 10, .offset = offsetof(struct self, dt_min)},
    {"dt_max", "largest initial step", SQA_PARAM_REAL, "0.1", 1e-9, 10, .offset = offsetof(struct self, dt_max)},
    {"disc", "from continuous time: zero-order hold or bilinear", SQA_PARAM_CHOICE, "zoh",
     .offset = offsetof(struct self, disc), .choices = "zoh|bilinear"},
    {"c_init", "C: truncated normal of variance 1 / state, or 1 / (state D), times V; complex normal",
     SQA_PARAM_CHOICE, "trunc", .offset = offsetof(struct self, c_init), .choices = "trunc|lecun|complex"},
    {"act", "what follows the states", SQA_PARAM_CHOICE, "half_glu1", .offset = offsetof(struct self, act),
     .choices = "half_glu1|half_glu2|full_glu|gelu|none"},
    {"opt", "slow and not decaying: B (standard), B and C (nobc), neither (bfast)", SQA_PARAM_CHOICE, "standard",
     .offset = offsetof(struct self, opt), .choices = "standard|bfast|nobc"},
    {"clip", "real parts of A stay below -1e-4", SQA_PARAM_INT, "0", 0, 1, .offset = offsetof(struct self, clip)},
    {.name = NULL},
};

static enum sqa_status check(const void *self, const struct sqa_frame *frame, const struct sqa_signature *task,
                             struct sqa_err *err)
{
    const struct self *s = self;

    (void)frame, (void)task;
    if (s->state % (2 * s->blocks) != 0 || s->state / s->blocks > LARGEST_BLOCK)
        return sqa_fail(err, SQA_USAGE,
                        "s5: state=%lld in blocks=%lld; each block takes an even number of states, at most %d",
                        (long long)s->state, (long long)s->blocks, LARGEST_BLOCK);
    if (s->dt_min > s->dt_max)
        return sqa_fail(err, SQA_USAGE, "s5: dt_min=%g is above dt_max=%g; exchange them", s->dt_min, s->dt_max);
    return SQA_OK;
}

/* s5_discretise: a (2 P) and 2 f B (D, 2 P), the 2 of the conjugates */

enum { LAMBDA, LOG_STEP, B, DA, DW };

struct attr {
    int bilinear, clip;
};

static double at(const struct sqa_tensor *t, int64_t i)
{
    return sqa_real_get(t->dtype, sqa_at_const(sqa_data(t), i, sqa_dtype_size(t->dtype)));
}

static void put(const struct sqa_tensor *t, int64_t i, double v)
{
    sqa_real_set(t->dtype, sqa_at(sqa_data(t), i, sqa_dtype_size(t->dtype)), v);
}

static double complex complex_of(double re, double im)
{
    const double parts[2] = {re, im};
    double complex z;

    memcpy(&z, parts, sizeof z);
    return z;
}

/* A mode: its step and A; a and f, and their derivatives by A and by the step */
struct mode {
    double dt;
    double complex A, a, f, a_A, f_A, a_dt, f_dt;
    bool clipped;
};

static struct mode mode_of(const struct sqa_node *n, int64_t i)
{
    const struct attr *p = n->attr;
    const int64_t P = sqa_numel(n->in[LOG_STEP]);
    const double re = at(n->in[LAMBDA], i), im = at(n->in[LAMBDA], P + i);
    struct mode m = {.dt = exp(at(n->in[LOG_STEP], i)), .clipped = p->clip && re > -1e-4};

    m.A = complex_of(m.clipped ? -1e-4 : re, im);
    if (p->bilinear) {
        const double complex half = m.dt / 2 * m.A, q = 1 / (1 - half);

        m.a = (1 + half) * q;
        m.f = m.dt * q;
        m.a_A = m.dt * q * q;
        m.f_A = m.dt * m.dt / 2 * q * q;
        m.a_dt = m.A * q * q;
        m.f_dt = q * q;
    } else {
        const double x = m.dt * creal(m.A), y = m.dt * im, less = expm1(x), half = sin(y / 2);
        const double c = 1 - 2 * half * half, a_im = (1 + less) * sin(y);

        m.a = complex_of((1 + less) * c, a_im);
        m.f = complex_of(less * c - 2 * half * half, a_im) / m.A;
        m.a_A = m.dt * m.a;
        m.f_A = (m.dt * m.a - m.f) / m.A;
        m.a_dt = m.A * m.a;
        m.f_dt = m.a;
    }
    return m;
}

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const int64_t P = sqa_numel(n->in[LOG_STEP]);
    const struct sqa_tensor *b = n->in[B];
    char text[96];

    if (b->rank != 3 || b->dim[1] != 2 || b->dim[2] != P || sqa_numel(n->in[LAMBDA]) != 2 * P)
        return sqa_shape_fail(n, err, "b is %s; give lambda (2, P), log_step (P), b (D, 2, P)",
                              sqa_shape_text(b, text));
    if (n->nin > DA) {
        for (int i = 0; i <= B; i++)
            sqa_set_output(n, i, b->dtype, n->in[i]->rank, n->in[i]->dim);
        return SQA_OK;
    }
    sqa_set_output(n, 0, b->dtype, SQA_DIMS(2 * P));
    sqa_set_output(n, 1, b->dtype, SQA_DIMS(b->dim[0], 2 * P));
    return SQA_OK;
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    const int64_t P = sqa_numel(n->in[LOG_STEP]), D = n->in[B]->dim[0];

    (void)r;
    for (int64_t i = 0; i < P; i++) {
        const struct mode m = mode_of(n, i);
        const double re = 2 * creal(m.f), im = 2 * cimag(m.f);

        put(n->out[0], i, creal(m.a));
        put(n->out[0], P + i, cimag(m.a));
        for (int64_t e = i; e < D * 2 * P; e += 2 * P) {
            const double br = at(n->in[B], e), bi = at(n->in[B], e + P);

            put(n->out[1], e, re * br - im * bi);
            put(n->out[1], e + P, re * bi + im * br);
        }
    }
}

static void run_bwd(const struct sqa_node *n, const struct sqa_run *r)
{
    const int64_t P = sqa_numel(n->in[LOG_STEP]), D = n->in[B]->dim[0];

    (void)r;
    for (int64_t i = 0; i < P; i++) {
        const struct mode m = mode_of(n, i);
        const double re = 2 * creal(m.f), im = 2 * cimag(m.f);
        const double complex da = complex_of(at(n->in[DA], i), at(n->in[DA], P + i));
        double complex dA, ddt, df;
        double df_re = 0, df_im = 0;

        for (int64_t e = i; e < D * 2 * P; e += 2 * P) {
            const double br = at(n->in[B], e), bi = at(n->in[B], e + P);
            const double wr = at(n->in[DW], e), wi = at(n->in[DW], e + P);

            put(n->out[B], e, re * wr + im * wi);
            put(n->out[B], e + P, re * wi - im * wr);
            df_re += br * wr + bi * wi;
            df_im += br * wi - bi * wr;
        }
        df = complex_of(2 * df_re, 2 * df_im);
        dA = da * conj(m.a_A) + df * conj(m.f_A);
        ddt = da * conj(m.a_dt) + df * conj(m.f_dt);
        put(n->out[LAMBDA], i, m.clipped ? 0 : creal(dA));
        put(n->out[LAMBDA], P + i, cimag(dA));
        put(n->out[LOG_STEP], i, m.dt * creal(ddt));
    }
}

/* A mode: 40; an element of f B 8 */
static double count(double P, double D)
{
    return P * (40 + 8 * D);
}

static double op_flops(const struct sqa_node *n)
{
    return count((double)sqa_numel(n->in[LOG_STEP]), (double)n->in[B]->dim[0]);
}

static double bwd_flops(const struct sqa_node *n)
{
    return 2 * op_flops(n);
}

static const struct sqa_op op_bwd = {
    .name = "s5_discretise_bwd",
    .help = "gradients of s5_discretise",
    .shape = shape,
    .run = run_bwd,
    .flops = bwd_flops,
};

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    struct sqa_tensor *in[DW + 1] = {n->in[LAMBDA], n->in[LOG_STEP], n->in[B]}, *d;

    for (int i = 0; i < 2; i++)
        in[DA + i] = dy[i] != NULL ? sqa_dense(g, dy[i]) : sqa_fill(g, 0.0, n->out[i]->rank, n->out[i]->dim);
    d = sqa_apply(g, &op_bwd, n->attr, sizeof(struct attr), DW + 1, in);
    for (int i = 0; d != NULL && i <= B; i++)
        dx[i] = d->node->out[i];
}

static const struct sqa_op op = {
    .name = "s5_discretise",
    .help = "a = exp(dt A) and 2 (a - 1) / A B, or their bilinear forms",
    .shape = shape,
    .run = run,
    .grad = grad,
    .flops = op_flops,
};

/* Initial values */

/* V of a block, (n, k) of N x N / 2 at v[k N + n] and, imaginary, N N / 2 further on; made with the parameters. */
struct basis {
    const struct self *self;
    int64_t N;
    double *v;
};

static const struct basis *basis_of(const struct self *s, struct sqa_context *c)
{
    const int64_t N = s->state / s->blocks;
    const size_t half = (size_t)(N * N / 2);
    struct basis *b = sqa_arena_alloc(&c->store->arena, sizeof *b);
    double *v = sqa_arena_alloc(&c->store->arena, 2 * half * sizeof *v);

    if (b == NULL || v == NULL) {
        sqa_graph_fail(c->g, SQA_NOMEM, "s5: no memory for initial values; free some memory and run again");
        return NULL;
    }
    *b = (struct basis){s, N, v};
    for (int64_t k = 0; k < N / 2; k++)
        sqa_legs_vector(N, sqa_legs_frequency(N, k), v + k * N, v + (int64_t)half + k * N);
    return b;
}

/* Normal, cut at two deviations, with deviation 1 after that */
static double truncated(uint64_t key, uint64_t i)
{
    double x = sqa_random_normal(key, i);

    for (uint64_t again = 1; fabs(x) > 2; again++)
        x = sqa_random_normal(sqa_random_mix(key, again), i);
    return x / 0.87962566103423978;
}

static void fill_lambda(double *values, int rank, const int64_t *dim, uint64_t key, const void *arg)
{
    const struct self *s = arg;
    const int64_t N = s->state / s->blocks;

    (void)rank, (void)key;
    for (int64_t i = 0; i < dim[1]; i++) {
        values[i] = -0.5;
        values[dim[1] + i] = i < N / 2 ? sqa_legs_frequency(N, i) : values[dim[1] + i % (N / 2)];
    }
}

/* Sums over n of x[n] V[n, k], x of N real and N imaginary numbers; conjugate: V*. */
static double complex along(const struct basis *b, int64_t k, const double *x, bool conjugate)
{
    const double *re = b->v + k * b->N, *im = re + b->N * b->N / 2;
    double sum_re = 0, sum_im = 0;

    for (int64_t n = 0; n < b->N; n++) {
        const double v = conjugate ? -im[n] : im[n];

        sum_re += x[n] * re[n] - x[b->N + n] * v;
        sum_im += x[n] * v + x[b->N + n] * re[n];
    }
    return complex_of(sum_re, sum_im);
}

/* V* B, B real of deviation 1 / sqrt(state), block by block */
static void fill_b(double *values, int rank, const int64_t *dim, uint64_t key, const void *arg)
{
    const struct basis *b = arg;
    const int64_t D = dim[0], P = dim[2], half = b->N / 2;
    double x[2 * LARGEST_BLOCK] = {0};

    (void)rank;
    for (int64_t e = 0; e < D; e++)
        for (int64_t j = 0; j < P / half; j++) {
            for (int64_t n = 0; n < b->N; n++)
                x[n] = truncated(key, (uint64_t)(e * 2 * P + j * b->N + n)) / sqrt(2 * (double)P);
            for (int64_t k = 0; k < half; k++) {
                const double complex v = along(b, k, x, true);

                values[e * 2 * P + j * half + k] = creal(v);
                values[e * 2 * P + P + j * half + k] = cimag(v);
            }
        }
}

/* C V, C complex, or complex normal numbers; the imaginary part negated */
static void fill_c(double *values, int rank, const int64_t *dim, uint64_t key, const void *arg)
{
    const struct basis *b = arg;
    const int64_t P = dim[2], D = dim[3], half = b->N / 2;
    const bool direct = strcmp(b->self->c_init, "complex") == 0;
    const double fan = 2 * (double)P * (strcmp(b->self->c_init, "lecun") == 0 ? (double)D : 1);
    double x[2 * LARGEST_BLOCK];

    (void)rank;
    for (int64_t i = 0; direct && i < dim[0] * 2 * P * D; i++)
        values[i] = sqrt(0.5) * sqa_random_normal(key, (uint64_t)i);
    for (int64_t i = 0; !direct && i < dim[0] * D * (P / half); i++) {
        const int64_t r = i / (D * (P / half)), e = i % D, j = i / D % (P / half);

        for (int64_t n = 0; n < 2 * b->N; n++)
            x[n] = truncated(key, (uint64_t)(i * 2 * b->N + n)) / sqrt(fan);
        for (int64_t k = 0; k < half; k++) {
            const double complex v = along(b, k, x, false);
            const int64_t place = (r * 2 * P + j * half + k) * D + e;

            values[place] = creal(v);
            values[place + P * D] = -cimag(v);
        }
    }
}

/* The mixer */

static struct sqa_tensor *states(const struct self *s, struct sqa_context *c, struct sqa_tensor *x)
{
    const int64_t D = c->frame.dim, P = s->state / 2;
    const bool slow = strcmp(s->opt, "bfast") != 0, no_decay = strcmp(s->opt, "nobc") == 0;
    const struct attr p = {strcmp(s->disc, "bilinear") == 0, s->clip != 0};
    const struct basis *basis = c->store->sealed ? NULL : basis_of(s, c);
    const struct sqa_init lambda = {.kind = SQA_INIT_CUSTOM, .fill = fill_lambda, .arg = s};
    const struct sqa_init step = {.kind = SQA_INIT_LOG_UNIFORM, .a = s->dt_min, .b = s->dt_max};
    const struct sqa_init in = {.kind = SQA_INIT_CUSTOM, .fill = fill_b, .arg = basis};
    struct sqa_tensor *const parameters[] = {
        sqa_param_tensor(c, "lambda", SQA_GROUP_SSM, lambda, SQA_DIMS(2, P)),
        sqa_param_tensor(c, "log_step", SQA_GROUP_SSM, step, SQA_DIMS(P)),
        sqa_param_tensor(c, "b", slow ? SQA_GROUP_SSM : SQA_GROUP_REGULAR, in, SQA_DIMS(D, 2, P))};
    struct sqa_tensor *a;

    if (!sqa_ready(c->g, "s5_discretise", 3, parameters))
        return NULL;
    a = sqa_apply(c->g, &op, &p, sizeof p, 3, parameters);
    if (a == NULL)
        return NULL;
    return sqa_diagonal_ssm(c, x,
                            (struct sqa_diagonal_ssm){.a = a,
                                                      .w = a->node->out[1],
                                                      .init = {.kind = SQA_INIT_CUSTOM, .fill = fill_c, .arg = basis},
                                                      .group = no_decay ? SQA_GROUP_SSM : SQA_GROUP_REGULAR,
                                                      .skip = no_decay ? SQA_GROUP_SSM : SQA_GROUP_NO_DECAY});
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    const struct self *s = self;
    const int64_t D = c->frame.dim;
    struct sqa_tensor *y = states(s, c, x), *g, *gate;

    if (strcmp(s->act, "none") == 0)
        return y;
    g = sqa_unary(c->g, SQA_UNARY_GELU, y);
    if (strcmp(s->act, "gelu") == 0)
        return g;
    g = sqa_dropout(c->g, g, c->frame.dropout);
    if (strcmp(s->act, "full_glu") == 0)
        return sqa_glu(c->g, sqa_dense_layer(c, "out", g, 2 * D, true));
    gate = sqa_dense_layer_act(c, "out", g, D, true, SQA_UNARY_SIGMOID);
    return sqa_mul(c->g, strcmp(s->act, "half_glu2") == 0 ? y : g, gate);
}

static double flops(const void *self, const struct sqa_context *c)
{
    const struct self *s = self;
    const double D = (double)c->frame.dim, rows = (double)c->batch * (double)c->length;
    /* gelu 1; bias and sigmoid 2 and product 1, or bias 2 and GLU 2 */
    const double after = strcmp(s->act, "none") == 0       ? 0
                         : strcmp(s->act, "gelu") == 0     ? 1
                         : strcmp(s->act, "full_glu") == 0 ? 4 * D + 5
                                                           : 2 * D + 4;

    return count((double)s->state / 2, D) + sqa_diagonal_ssm_flops(c, s->state / 2) + rows * D * after;
}

/* Identities */

enum { LENGTH = 37, WIDTH = 3, MODES = 4 };

/* What a probe's store holds. */
struct held {
    double lambda[2 * MODES], log_step[MODES], b[WIDTH * 2 * MODES], c[2 * 2 * MODES * WIDTH], d[WIDTH];
    bool set; /* put c back instead; of two directions the second gets 0 */
};

static void hold(struct sqa_store *s, void *user)
{
    struct held *h = user;
    const struct sqa_entry *c = sqa_store_find(s, "mixer.c");

    if (h->set) {
        if (c->dim[0] == 2)
            memset(h->c + 2 * MODES * WIDTH, 0, sizeof h->c / 2);
        sqa_probe_set(s, "mixer.c", h->c);
        return;
    }
    sqa_probe_get(
        s, "mixer",
        (const struct sqa_probe_entry[]){
            {"lambda", h->lambda}, {"log_step", h->log_step}, {"b", h->b}, {"c", h->c}, {"d", h->d}, {NULL, NULL}});
}

static void by_loop(const struct held *h, bool bilinear, int directions, const double *x, double *y)
{
    double a[2 * MODES], w[WIDTH * 2 * MODES];

    for (int i = 0; i < MODES; i++) {
        const double dt = exp(h->log_step[i]);
        const double complex A = complex_of(h->lambda[i], h->lambda[MODES + i]);
        const double complex z = bilinear ? (1 + dt / 2 * A) / (1 - dt / 2 * A) : cexp(dt * A);
        const double complex f = bilinear ? dt / (1 - dt / 2 * A) : (z - 1) / A;

        a[i] = creal(z);
        a[MODES + i] = cimag(z);
        for (int e = 0; e < WIDTH; e++) {
            const double *b = h->b + e * 2 * MODES + i;
            const double complex v = 2 * f * complex_of(b[0], b[MODES]);

            w[e * 2 * MODES + i] = creal(v);
            w[e * 2 * MODES + MODES + i] = cimag(v);
        }
    }
    sqa_diagonal_loop(&(struct sqa_diagonal_loop){LENGTH, WIDTH, MODES, directions, a, w, h->c, h->d}, x, y);
}

static struct sqa_probe probe_of(const char *item, bool causal, void (*edit)(struct sqa_store *, void *), void *user)
{
    return (struct sqa_probe){.item = item,
                              .batch = 1,
                              .length = LENGTH,
                              .dim = WIDTH,
                              .heads = 1,
                              .causal = causal,
                              .real = SQA_F64,
                              .edit = edit,
                              .user = user};
}

static enum sqa_status equals_loop(struct sqa_err *err)
{
    static const char *const items[] = {"s5:state=8,blocks=2,act=none", "s5:state=8,blocks=1,act=none,disc=bilinear",
                                        "s5:state=8,blocks=4,act=none,c_init=complex,clip=1"};
    double x[LENGTH * WIDTH], y[LENGTH * WIDTH], expect[LENGTH * WIDTH];
    enum sqa_status status = SQA_OK;

    sqa_probe_normal(1, x, LENGTH * WIDTH);
    for (int mode = 0; mode < 6 && status == SQA_OK; mode++) {
        struct held h = {.set = false};
        const struct sqa_probe p = probe_of(items[mode / 2], mode % 2 != 0, hold, &h);

        status = sqa_probe_run(&p, x, y, err);
        by_loop(&h, mode / 2 == 1, p.causal ? 1 : 2, x, expect);
        if (status == SQA_OK)
            status = sqa_probe_expect("scan against the loop", sqa_probe_difference(y, expect, LENGTH * WIDTH), 1e-12,
                                      err);
    }
    return status;
}

static enum sqa_status one_direction(struct sqa_err *err)
{
    double x[LENGTH * WIDTH], y[LENGTH * WIDTH], expect[LENGTH * WIDTH];
    struct held h = {.set = false};
    struct sqa_probe p = probe_of("s5:state=8,blocks=2", true, hold, &h);
    enum sqa_status status;

    sqa_probe_normal(1, x, LENGTH * WIDTH);
    status = sqa_probe_run(&p, x, expect, err);
    p.causal = false;
    h.set = true;
    if (status == SQA_OK)
        status = sqa_probe_run(&p, x, y, err);
    return status == SQA_OK ? sqa_probe_expect("second C = 0 against causal",
                                               sqa_probe_difference(y, expect, LENGTH * WIDTH), 1e-13, err)
                            : status;
}

/* A real and negative, B and 2 C the identity: channel by channel y_t = a y_(t-1) + (a - 1) / A u_t */
static const double decays[WIDTH] = {-0.3, -1, -4};

static void separate(struct sqa_store *s, void *user)
{
    double lambda[2 * WIDTH] = {0}, b[WIDTH * 2 * WIDTH] = {0}, c[2 * WIDTH * WIDTH] = {0};

    (void)user;
    for (int i = 0; i < WIDTH; i++) {
        lambda[i] = decays[i];
        b[i * 2 * WIDTH + i] = 1;
        c[i * WIDTH + i] = 0.5;
    }
    sqa_probe_set(s, "mixer.lambda", lambda);
    sqa_probe_set_constant(s, "mixer.log_step", log(0.2));
    sqa_probe_set(s, "mixer.b", b);
    sqa_probe_set(s, "mixer.c", c);
    sqa_probe_set_constant(s, "mixer.d", 0);
}

static enum sqa_status moving_averages(struct sqa_err *err)
{
    double x[LENGTH * WIDTH], y[LENGTH * WIDTH], expect[LENGTH * WIDTH];
    const struct sqa_probe p = probe_of("s5:state=6,blocks=1,act=none", true, separate, NULL);
    const enum sqa_status status = (sqa_probe_normal(1, x, LENGTH * WIDTH), sqa_probe_run(&p, x, y, err));

    for (int i = 0; i < LENGTH * WIDTH; i++) {
        const double A = decays[i % WIDTH], a = exp(0.2 * A);

        expect[i] = (i < WIDTH ? 0 : a * expect[i - WIDTH]) + (a - 1) / A * x[i];
    }
    return status == SQA_OK ? sqa_probe_expect("diagonal B and C against moving averages",
                                               sqa_probe_difference(y, expect, LENGTH * WIDTH), 1e-13, err)
                            : status;
}

/* Zero-order hold is exact for inputs that stay: half of the step, each input twice */
static void halve(struct sqa_store *s, void *user)
{
    double log_step[MODES];

    (void)user;
    sqa_entry_get(s, sqa_store_find(s, "mixer.log_step"), log_step);
    for (int i = 0; i < MODES; i++)
        log_step[i] -= log(2);
    sqa_probe_set(s, "mixer.log_step", log_step);
}

static enum sqa_status half_steps(struct sqa_err *err)
{
    double x[2 * LENGTH * WIDTH], y[2 * LENGTH * WIDTH], expect[LENGTH * WIDTH];
    struct sqa_probe p = probe_of("s5:state=8,blocks=2", true, NULL, NULL);
    enum sqa_status status;

    sqa_probe_normal(1, x, LENGTH * WIDTH);
    status = sqa_probe_run(&p, x, expect, err);
    for (int t = 2 * LENGTH - 1; t >= 0; t--)
        memmove(x + t * WIDTH, x + t / 2 * WIDTH, WIDTH * sizeof *x);
    p.edit = halve;
    p.length = 2 * LENGTH;
    if (status == SQA_OK)
        status = sqa_probe_run(&p, x, y, err);
    for (int t = 0; t < LENGTH; t++)
        memmove(y + t * WIDTH, y + (2 * t + 1) * WIDTH, WIDTH * sizeof *y);
    return status == SQA_OK ? sqa_probe_expect("every input twice at half of the step",
                                               sqa_probe_difference(y, expect, LENGTH * WIDTH), 1e-12, err)
                            : status;
}

/* W = V* B: B of deviation 1 / sqrt(state), V unitary with its conjugate: mean |W|^2 is 1 / state. So is that of C,
 * times 2, its imaginary part. */
enum { MANY = 32 };

static void mean_squares(struct sqa_store *s, void *user)
{
    static double b[MANY * 256], c[2 * MANY * 256];
    double *mean = user;

    sqa_entry_get(s, sqa_store_find(s, "mixer.b"), b);
    sqa_entry_get(s, sqa_store_find(s, "mixer.c"), c);
    for (int i = 0; i < MANY * 256; i++)
        mean[0] += b[i] * b[i] / (MANY * 128) * 256;
    for (int i = 0; i < 2 * MANY * 256; i++)
        mean[1] += c[i] * c[i] / (2 * MANY * 128) * 128;
}

static enum sqa_status initial_values(struct sqa_err *err)
{
    double x[MANY], y[MANY], mean[2] = {0, 0};
    const struct sqa_probe p = {.item = "s5",
                                .batch = 1,
                                .length = 1,
                                .dim = MANY,
                                .heads = 1,
                                .real = SQA_F64,
                                .edit = mean_squares,
                                .user = mean};
    enum sqa_status status = sqa_legs_check(err);

    sqa_probe_normal(3, x, MANY);
    if (status == SQA_OK)
        status = sqa_probe_run(&p, x, y, err);
    if (status == SQA_OK)
        status = sqa_probe_expect("mean |B|^2 times state, less 1", fabs(mean[0] - 1), 0.06, err);
    return status == SQA_OK ? sqa_probe_expect("mean |C|^2 times state / 2, less 1", fabs(mean[1] - 1), 0.06, err)
                            : status;
}

static const struct sqa_identity identities[] = {
    {"the scan equals the loop, both directions, both discretisations", equals_loop},
    {"the second C 0: the causal form", one_direction},
    {"real A, diagonal B and C: exponential moving averages", moving_averages},
    {"each input twice at half of the step: the same states", half_steps},
    {"initial values: eigenvectors of LegS, B and C of their variances", initial_values},
    {.name = NULL},
};

const struct sqa_variant sqa_variant_s5 = {
    .id = "s5",
    .slot = SQA_SLOT_MIXER,
    .title = "S5",
    .source = "Smith et al. 2022, arXiv:2208.04933",
    .complexity = "O(L P D) time, O(L (P + D)) memory",
    .help =
        "One linear state space of `state` numbers, from all channels to all channels, with a diagonal matrix that "
        "begins as HiPPO blocks, run as a scan; from both ends unless causal.",
    .traits = SQA_TRAIT_CAUSAL | SQA_TRAIT_PADDING | SQA_TRAIT_LINEAR_MEMORY | SQA_TRAIT_QKV,
    .params = params,
    .self_size = sizeof(struct self),
    .check = check,
    .build = build,
    .step = build,
    .flops = flops,
    .identities = identities,
};
