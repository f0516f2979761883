/*
 * s4.c - structured state space with a diagonal plus rank 1 matrix, as a long convolution
 *
 * Computes  per channel x' = A x + B u, y = 2 Re(C x) + D u with A = Lambda - P P* of N / 2 stored complex modes,
 *           steps of size dt by the bilinear rule: y = K * u + D u with K of s4_kernel.h, by FFT; then
 *           GLU(Wout gelu(y) + b). Not causal: a second C gives the kernel of the future, 1, 2, ... steps away
 * Shapes    x (B, L, D) -> (B, L, D); log_dt (D); log_a_re, a_im (S, N / 2), b, p (S, N / 2, 2) of S copies, of
 *           which channel h has copy h mod S; c (1 or 2, D, N / 2, 2), d (D)
 * Cost      a batch: kernels of n = a power of two >= the longest length, 12 to 16 n N D flops, and their
 *           transforms; a sequence: two transforms and a spectral product a channel, 4 L D^2 for Wout, 5 L D
 * Step      D N / 2 complex numbers (s4_step.h)
 * Source    Gu et al. 2021, arXiv:2111.00396; initial values (HiPPO-LegS), parameters, copies = 1 and the two-sided
 *           form: state-spaces/s4: models/s4/s4.py and configs/model/layer/s4.yaml
 * Departs   log_dt is the logarithm of the step, softplus's inverse in that file's latest form; modes have positive
 *           imaginary parts, their conjugates there; n is rounded up; dropout before Wout is not tied over time;
 *           input at padding is 0
 */
#include <complex.h>
#include <math.h>
#include <string.h>

#include "base/random.h"
#include "models/hippo.h"
#include "models/probe_known.h"
#include "models/s4_step.h"

struct self {
    int64_t state, copies;
    double dt_min, dt_max;
};

static const struct sqa_param params[] = {
    {"state", "real state size of a channel: twice its complex modes", SQA_PARAM_INT, "64", 2, 1024,
     .offset = offsetof(struct self, state)},
    {"copies", "independent A, B and P, which channels share in turn; 0: one a channel", SQA_PARAM_INT, "1", 0, 65536,
     .offset = offsetof(struct self, copies)},
    {"dt_min", "smallest initial step", SQA_PARAM_REAL, "0.001", 1e-9, 10, .offset = offsetof(struct self, dt_min)},
    {"dt_max", "largest initial step", SQA_PARAM_REAL, "0.1", 1e-9, 10, .offset = offsetof(struct self, dt_max)},
    {.name = NULL},
};

static enum sqa_status check(const void *self, const struct sqa_frame *frame, const struct sqa_signature *task,
                             struct sqa_err *err)
{
    const struct self *s = self;

    (void)task;
    if (s->state % 2 != 0)
        return sqa_fail(err, SQA_USAGE, "s4: state=%lld; modes come in pairs, use an even number",
                        (long long)s->state);
    if (s->copies > 0 && frame->dim % s->copies != 0)
        return sqa_fail(err, SQA_USAGE, "s4: copies=%lld of dim=%lld; give a divisor of dim, or 0",
                        (long long)s->copies, (long long)frame->dim);
    if (s->dt_min > s->dt_max)
        return sqa_fail(err, SQA_USAGE, "s4: dt_min=%g is above dt_max=%g; exchange them", s->dt_min, s->dt_max);
    return SQA_OK;
}

/* Initial values */

static void fill_a_im(double *values, int rank, const int64_t *dim, uint64_t key, const void *arg)
{
    const int64_t M = dim[1];

    (void)rank, (void)key, (void)arg;
    for (int64_t i = 0; i < dim[0] * M; i++)
        values[i] = i < M ? sqa_legs_frequency(2 * M, i) : values[i - M];
}

/* V* B of which the eigenvectors are made real */
static double input_of(int64_t N, int64_t k, double *re, double *im)
{
    return sqa_legs_vector(N, sqa_legs_frequency(N, k), re, im);
}

/* What C (I - Abar^n) needs: sizes, steps, and room for V (N / 2 rows of 2 N), two N x N matrices and a vector. */
struct start {
    const struct sqa_store *store;
    const struct sqa_entry *log_dt;
    int64_t N, points;
    double *dt, *v, *power, *square, *c;
};

enum { VECTOR = 1024 };

static void fill_b(double *values, int rank, const int64_t *dim, uint64_t key, const void *arg)
{
    const int64_t M = dim[1];
    const double *scale = arg;
    double re[VECTOR], im[VECTOR];

    (void)rank, (void)key;
    for (int64_t i = 0; i < dim[0] * M; i++) {
        values[2 * i] = i < M ? *scale * input_of(2 * M, i, re, im) : values[2 * (i - M)];
        values[2 * i + 1] = 0;
    }
}

/* Lower triangles of A: LegS */
static double legs(int64_t n, int64_t k)
{
    return n == k ? -(double)(n + 1) : n > k ? -sqrt((double)((2 * n + 1) * (2 * k + 1))) : 0;
}

/* power = Abar^n, n a power of two; false: it is 0 */
static bool raise(const struct start *s, double dt)
{
    const int64_t N = s->N;
    double *x = s->power;

    memset(x, 0, (size_t)(N * N) * sizeof *x);
    for (int64_t n = 0; n < N; n++) { /* (I - dt/2 A) x = I + dt/2 A */
        for (int64_t k = 0; k <= n; k++)
            x[n * N + k] = dt / 2 * legs(n, k) + (n == k);
        for (int64_t j = 0; j < n; j++) {
            const double a = dt / 2 * legs(n, j);

            for (int64_t k = 0; k <= j; k++)
                x[n * N + k] += a * x[j * N + k];
        }
        for (int64_t k = 0; k <= n; k++)
            x[n * N + k] /= 1 - dt / 2 * legs(n, n);
    }
    for (int64_t power = 1; power < s->points; power *= 2) {
        double *y = s->square, largest = 0;

        memset(y, 0, (size_t)(N * N) * sizeof *y);
        for (int64_t n = 0; n < N; n++)
            for (int64_t j = 0; j <= n; j++)
                for (int64_t k = 0; k <= j; k++)
                    y[n * N + k] += x[n * N + j] * x[j * N + k];
        memcpy(x, y, (size_t)(N * N) * sizeof *x);
        for (int64_t i = 0; i < N * N; i++)
            largest = fmax(largest, fabs(x[i]));
        if (largest < 1e-100)
            return false;
    }
    return true;
}

/* C complex normal, times I - Abar^n: to the real basis c = 2 Re sum C_m V_m*, and back C_m = c V_m */
static void fill_c(double *values, int rank, const int64_t *dim, uint64_t key, const void *arg)
{
    const struct start *s = arg;
    const int64_t D = dim[1], M = dim[2], N = s->N;

    (void)rank;
    for (int64_t i = 0; i < dim[0] * D * M * 2; i++)
        values[i] = sqrt(0.5) * sqa_random_normal(key, (uint64_t)i);
    sqa_entry_get(s->store, s->log_dt, s->dt);
    for (int64_t m = 0; m < M; m++)
        input_of(N, m, s->v + m * 2 * N, s->v + m * 2 * N + N);
    for (int64_t h = 0; h < D; h++) {
        const bool rest = raise(s, exp(s->dt[h]));

        for (int64_t r = 0; rest && r < dim[0]; r++) {
            double *C = values + (r * D + h) * M * 2;

            for (int64_t k = 0; k < N; k++) {
                s->c[k] = 0;
                for (int64_t m = 0; m < M; m++)
                    s->c[k] += 2 * (C[2 * m] * s->v[m * 2 * N + k] + C[2 * m + 1] * s->v[m * 2 * N + N + k]);
            }
            for (int64_t k = 0; k < N; k++) {
                double less = 0;

                for (int64_t j = k; j < N; j++)
                    less += s->c[j] * s->power[j * N + k];
                for (int64_t m = 0; m < M; m++) {
                    C[2 * m] -= less * s->v[m * 2 * N + k];
                    C[2 * m + 1] -= less * s->v[m * 2 * N + N + k];
                }
            }
        }
    }
}

static const struct start *start_of(const struct self *s, struct sqa_context *c, const struct sqa_tensor *log_dt)
{
    struct start *t = sqa_arena_alloc(&c->store->arena, sizeof *t);
    const size_t N = (size_t)s->state, D = (size_t)c->frame.dim;
    double *room = sqa_arena_alloc(&c->store->arena, (3 * N * N + N + D) * sizeof *room);

    if (t == NULL || room == NULL || log_dt == NULL) {
        sqa_graph_fail(c->g, SQA_NOMEM, "s4: no memory for initial values; free some memory and run again");
        return NULL;
    }
    *t = (struct start){.store = c->store,
                        .log_dt = log_dt->buffer->entry,
                        .N = s->state,
                        .points = sqa_s4_points(c->max_length),
                        .dt = room,
                        .v = room + D,
                        .power = room + D + N * N,
                        .square = room + D + 2 * N * N,
                        .c = room + D + 3 * N * N};
    return t;
}

/* The mixer */

static int64_t kernels_of(const struct sqa_context *c)
{
    return c->frame.causal ? 1 : 2;
}

/* (S, M, ...) -> (D, M, ...): channel h has row h mod S */
static struct sqa_tensor *shared(struct sqa_context *c, struct sqa_tensor *x, int64_t pairs)
{
    const int64_t D = c->frame.dim;

    if (x == NULL || x->dim[0] == D)
        return x;

    const int64_t S = x->dim[0], M = x->dim[1] * pairs;

    x = sqa_reshape(c->g, x, SQA_DIMS(1, S, M));
    x = sqa_reshape(c->g, sqa_broadcast(c->g, x, SQA_DIMS(D / S, S, M)), SQA_DIMS(D, M));
    return pairs == 1 ? x : sqa_reshape(c->g, x, SQA_DIMS(D, M / pairs, pairs));
}

/* y = K * u + D u, D as a part of K_0 */
static struct sqa_tensor *state_space(const struct self *s, struct sqa_context *c, struct sqa_tensor *u)
{
    static const double whole = 1, half = 0.70710678118654752440;
    const int64_t D = c->frame.dim, M = s->state / 2, S = s->copies > 0 ? s->copies : D;
    const struct sqa_init step = {.kind = SQA_INIT_LOG_UNIFORM, .a = s->dt_min, .b = s->dt_max};
    const struct sqa_init real = {.kind = SQA_INIT_CONSTANT, .a = log(0.5)};
    const struct sqa_init imaginary = {.kind = SQA_INIT_CUSTOM, .fill = fill_a_im};
    const struct sqa_init b = {.kind = SQA_INIT_CUSTOM, .fill = fill_b, .arg = &whole};
    const struct sqa_init p = {.kind = SQA_INIT_CUSTOM, .fill = fill_b, .arg = &half};
    const struct sqa_init normal = {.kind = SQA_INIT_NORMAL, .a = 0, .b = 1};
    struct sqa_s4_parameters all = {.log_dt = sqa_param_tensor(c, "log_dt", SQA_GROUP_SSM, step, SQA_DIMS(D))};
    const struct sqa_init output = {
        .kind = SQA_INIT_CUSTOM, .fill = fill_c, .arg = c->store->sealed ? NULL : start_of(s, c, all.log_dt)};
    struct sqa_tensor *past, *future;

    all.log_a_re = shared(c, sqa_param_tensor(c, "log_a_re", SQA_GROUP_SSM, real, SQA_DIMS(S, M)), 1);
    all.a_im = shared(c, sqa_param_tensor(c, "a_im", SQA_GROUP_SSM, imaginary, SQA_DIMS(S, M)), 1);
    all.b = shared(c, sqa_param_tensor(c, "b", SQA_GROUP_SSM, b, SQA_DIMS(S, M, 2)), 2);
    all.p = shared(c, sqa_param_tensor(c, "p", SQA_GROUP_SSM, p, SQA_DIMS(S, M, 2)), 2);
    all.ct = sqa_param_tensor(c, "c", SQA_GROUP_REGULAR, output, SQA_DIMS(kernels_of(c), D, M, 2));
    all.d = sqa_param_tensor(c, "d", SQA_GROUP_NO_DECAY, normal, SQA_DIMS(D));
    if (c->position != NULL)
        return sqa_s4_step(c, all, sqa_s4_points(c->max_length), u);
    past = sqa_s4_kernel(c->g, all, c->length, sqa_s4_points(c->max_length), &future);
    return sqa_fftconv(c->g, sqa_mask_rows(c->g, u, c->lengths), past, future);
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    struct sqa_tensor *y = sqa_unary(c->g, SQA_UNARY_GELU, state_space(self, c, x));

    y = sqa_dense_layer(c, "out", sqa_dropout(c->g, y, c->frame.dropout), 2 * c->frame.dim, true);
    return sqa_glu(c->g, y);
}

static double flops(const void *self, const struct sqa_context *c)
{
    const struct self *s = self;
    const double B = (double)c->batch, L = (double)c->length, D = (double)c->frame.dim;
    const double kernels =
        sqa_s4_kernel_flops(kernels_of(c), c->frame.dim, s->state / 2, sqa_s4_points(c->max_length));
    const double transform = 2.5 * 2 * L * log2(2 * L);

    /* gelu 1, bias 2, GLU 2 */
    return kernels + D * (B * (2 * transform + 6 * L) + transform) + B * L * D * (4 * D + 5);
}

/* Identities, on dense complex matrices of the modes and their conjugates */

enum { LENGTH = 37, WIDTH = 3, MODES = 3, N = 2 * MODES, POINTS = 64 };

/* What a probe's store holds. */
struct held {
    double log_dt[WIDTH], log_a_re[WIDTH * MODES], a_im[WIDTH * MODES], b[WIDTH * MODES * 2], p[WIDTH * MODES * 2];
    double c[2 * WIDTH * MODES * 2], d[WIDTH], w[WIDTH * 2 * WIDTH];
    double initial_c[2 * WIDTH * MODES * 2]; /* before it became C (I - Abar^n) */
    double rank;                             /* P is set to normal numbers times this; negative: left */
    int64_t copies;                          /* of log_a_re, a_im, b, p */
};

static void hold(struct sqa_store *s, void *user)
{
    struct held *h = user;
    const uint64_t key = sqa_random_key(s->seed, 0, "mixer.c");

    if (h->rank >= 0) {
        sqa_probe_normal(11, h->p, WIDTH * MODES * 2);
        for (int i = 0; i < WIDTH * MODES * 2; i++)
            h->p[i] *= h->rank;
        sqa_probe_set(s, "mixer.p", h->p);
        sqa_probe_normal(12, h->b, WIDTH * MODES * 2);
        sqa_probe_set(s, "mixer.b", h->b);
    }
    sqa_probe_get(s, "mixer",
                  (const struct sqa_probe_entry[]){{"log_dt", h->log_dt},
                                                   {"log_a_re", h->log_a_re},
                                                   {"a_im", h->a_im},
                                                   {"b", h->b},
                                                   {"p", h->p},
                                                   {"c", h->c},
                                                   {"d", h->d},
                                                   {"out.w", h->w},
                                                   {NULL, NULL}});
    for (int i = 0; i < 2 * WIDTH * MODES * 2; i++)
        h->initial_c[i] = sqrt(0.5) * sqa_random_normal(key, (uint64_t)i);
    h->copies = sqa_store_find(s, "mixer.a_im")->dim[0];
}

static double complex pair(const double *x, int i)
{
    const double complex unit = (double complex)I;

    return i < MODES ? x[2 * i] + x[2 * i + 1] * unit : x[2 * (i - MODES)] - x[2 * (i - MODES) + 1] * unit;
}

/* x <- a^-1 x for `columns` columns, by elimination with pivots; a is lost */
static void solve(double complex a[N][N], double complex x[N][N], int columns)
{
    for (int i = 0; i < N; i++) {
        int pivot = i;

        for (int j = i; j < N; j++)
            pivot = cabs(a[j][i]) > cabs(a[pivot][i]) ? j : pivot;
        for (int k = 0; k < N; k++) {
            const double complex swap = a[i][k], other = x[i][k];

            a[i][k] = a[pivot][k];
            a[pivot][k] = swap;
            x[i][k] = x[pivot][k];
            x[pivot][k] = other;
        }
        for (int j = 0; j < N; j++) {
            const double complex f = j == i ? 0 : a[j][i] / a[i][i];

            for (int k = 0; k < N; k++)
                a[j][k] -= f * a[i][k];
            for (int k = 0; k < columns; k++)
                x[j][k] -= f * x[i][k];
        }
    }
    for (int i = 0; i < N; i++)
        for (int k = 0; k < columns; k++)
            x[i][k] /= a[i][i];
}

/* A channel's Abar, Bbar and C */
struct dense {
    double complex a[N][N], b[N], c[2][N];
};

static void dense_of(const struct held *h, int kernels, int channel, struct dense *s)
{
    const double dt = exp(h->log_dt[channel]);
    const int64_t copy = channel % h->copies * MODES;
    double complex left[N][N], x[N][N], b[N][N], power[N][N];

    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            const double complex p = pair(h->p + 2 * copy, i) * conj(pair(h->p + 2 * copy, j));
            const double im = h->a_im[copy + i % MODES] * (i < MODES ? 1 : -1);
            const double complex lambda = -exp(h->log_a_re[copy + i % MODES]) + im * (double complex)I;
            const double complex a = dt / 2 * ((i == j ? lambda : 0) - p);

            left[i][j] = (i == j) - a;
            x[i][j] = (i == j) + a;
            b[i][j] = j == 0 ? dt * pair(h->b + 2 * copy, i) : 0;
        }
    memcpy(power, left, sizeof power);
    solve(left, x, N);
    memcpy(s->a, x, sizeof x);
    solve(power, b, 1);
    for (int i = 0; i < N; i++)
        s->b[i] = b[i][0];
    for (int n = 1; n < POINTS; n *= 2) { /* x = Abar^n */
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++) {
                power[i][j] = 0;
                for (int k = 0; k < N; k++)
                    power[i][j] += x[i][k] * x[k][j];
            }
        memcpy(x, power, sizeof x);
    }
    for (int r = 0; r < kernels; r++) { /* (I - Abar^n)^T c = ct */
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++) {
                left[i][j] = (i == j) - x[j][i];
                b[i][j] = pair(h->c + (r * WIDTH + channel) * MODES * 2, i);
            }
        solve(left, b, 1);
        for (int i = 0; i < N; i++)
            s->c[r][i] = b[i][0];
    }
}

/* y += the recurrence of kernel r over u, step by step; kernel 1 goes from the end, and its outputs see only inputs
 * after them. */
static void recurrence(const struct dense *s, int r, int channel, const double *u, double *y)
{
    double complex x[N] = {0}, next[N];

    for (int t = 0; t < LENGTH; t++) {
        const int place = (r == 0 ? t : LENGTH - 1 - t) * WIDTH + channel;

        for (int i = 0; r == 1 && i < N; i++)
            y[place] += creal(s->c[1][i] * x[i]);
        for (int i = 0; i < N; i++) {
            next[i] = s->b[i] * u[place];
            for (int j = 0; j < N; j++)
                next[i] += s->a[i][j] * x[j];
        }
        memcpy(x, next, sizeof x);
        for (int i = 0; r == 0 && i < N; i++)
            y[place] += creal(s->c[0][i] * x[i]);
    }
}

/* P = 0: mode by mode x <- z x + q dt B u with q = 1 / (1 - dt/2 a), z = (1 + dt/2 a) q, C = Ct / (1 - z^n) */
static void diagonal(const struct held *h, int kernels, int channel, struct dense *s)
{
    const double dt = exp(h->log_dt[channel]);

    *s = (struct dense){.a = {{0}}};
    for (int i = 0; i < N; i++) {
        const double im = h->a_im[channel * MODES + i % MODES] * (i < MODES ? 1 : -1);
        const double complex a = -exp(h->log_a_re[channel * MODES + i % MODES]) + im * (double complex)I;
        const double complex q = 1 / (1 - dt / 2 * a), z = (1 + dt / 2 * a) * q;

        s->a[i][i] = z;
        s->b[i] = q * dt * pair(h->b + 2 * channel * MODES, i);
        for (int r = 0; r < kernels; r++)
            s->c[r][i] = pair(h->c + (r * WIDTH + channel) * MODES * 2, i) / (1 - cpow(z, POINTS));
    }
}

typedef void system_fn(const struct held *h, int kernels, int channel, struct dense *s);

static void by_recurrence(const struct held *h, const double *u, int kernels, system_fn *system, double *out)
{
    double y[LENGTH * WIDTH];
    struct dense s;

    for (int i = 0; i < LENGTH * WIDTH; i++)
        y[i] = u[i] * h->d[i % WIDTH];
    for (int e = 0; e < WIDTH; e++) {
        system(h, kernels, e, &s);
        for (int r = 0; r < kernels; r++)
            recurrence(&s, r, e, u, y);
    }
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

static struct sqa_probe probe_of(const char *item, bool causal, struct held *h)
{
    return (struct sqa_probe){.item = item,
                              .batch = 1,
                              .length = LENGTH,
                              .dim = WIDTH,
                              .heads = 1,
                              .causal = causal,
                              .real = SQA_F64,
                              .edit = hold,
                              .user = h};
}

static enum sqa_status compare(const char *item, double rank, system_fn *system, struct sqa_err *err)
{
    double x[LENGTH * WIDTH], y[LENGTH * WIDTH], expect[LENGTH * WIDTH];
    enum sqa_status status = SQA_OK;

    sqa_probe_normal(1, x, LENGTH * WIDTH);
    for (int causal = 0; causal < 2 && status == SQA_OK; causal++) {
        struct held h = {.rank = rank};
        const struct sqa_probe p = probe_of(item, causal, &h);

        status = sqa_probe_run(&p, x, y, err);
        if (status != SQA_OK)
            return status;
        by_recurrence(&h, x, causal ? 1 : 2, system, expect);
        status = sqa_probe_expect("convolution against the recurrence",
                                  sqa_probe_difference(y, expect, LENGTH * WIDTH), 1e-10, err);
    }
    return status;
}

static enum sqa_status equals_recurrence(struct sqa_err *err)
{
    enum sqa_status status = compare("s4:state=6", -1, dense_of, err);

    if (status == SQA_OK)
        status = compare("s4:state=6,copies=3", 0.7, dense_of, err);
    return status == SQA_OK ? compare("s4:state=6,copies=0,dt_min=0.1,dt_max=1", 0.5, dense_of, err) : status;
}

static enum sqa_status equals_diagonal(struct sqa_err *err)
{
    return compare("s4:state=6,copies=0,dt_max=0.5", 0, diagonal, err);
}

/* Ct of the first graph gives C; that is what was drawn. */
static enum sqa_status initial_c(struct sqa_err *err)
{
    double x[LENGTH * WIDTH], y[LENGTH * WIDTH], worst = 0;
    struct held h = {.rank = -1};
    const struct sqa_probe p = probe_of("s4:state=6", false, &h);
    enum sqa_status status = sqa_legs_check(err);
    struct dense s;

    sqa_probe_normal(1, x, LENGTH * WIDTH);
    if (status == SQA_OK)
        status = sqa_probe_run(&p, x, y, err);
    if (status != SQA_OK)
        return status;
    for (int e = 0; e < WIDTH; e++) {
        dense_of(&h, 2, e, &s);
        for (int i = 0; i < 2 * N; i++) {
            const double complex drawn = pair(h.initial_c + (i / N * WIDTH + e) * MODES * 2, i % N);

            worst = fmax(worst, cabs(s.c[i / N][i % N] - drawn));
        }
    }
    return sqa_probe_expect("C against its normal numbers", worst, 1e-9, err);
}

/* Ct (I + Abar^n) is that of 2 n taps: a longer model that goes on where this one ends */
static void twice(struct sqa_store *s, void *user)
{
    struct held *h = user;
    struct dense d;

    if (h->rank < 0) {
        hold(s, h);
        h->rank = 0;
        return;
    }
    for (int e = 0; e < WIDTH; e++) {
        double complex ct[N], row[N];
        double *c = h->c + e * MODES * 2;

        dense_of(h, 1, e, &d);
        for (int i = 0; i < N; i++)
            ct[i] = row[i] = pair(c, i);
        for (int n = 0; n < POINTS; n++) {
            double complex next[N] = {0};

            for (int i = 0; i < N; i++)
                for (int j = 0; j < N; j++)
                    next[j] += row[i] * d.a[i][j];
            memcpy(row, next, sizeof row);
        }
        for (int i = 0; i < MODES; i++) {
            c[2 * i] = creal(ct[i] + row[i]);
            c[2 * i + 1] = cimag(ct[i] + row[i]);
        }
    }
    sqa_probe_set(s, "mixer.c", h->c);
}

static enum sqa_status doubles_length(struct sqa_err *err)
{
    double x[LENGTH * WIDTH], y[LENGTH * WIDTH], expect[LENGTH * WIDTH];
    struct held h = {.rank = -1};
    struct sqa_probe p = probe_of("s4:state=6", true, &h);
    enum sqa_status status;

    sqa_probe_normal(1, x, LENGTH * WIDTH);
    p.edit = twice;
    status = sqa_probe_run(&p, x, expect, err);
    p.max_length = 2 * POINTS;
    if (status == SQA_OK)
        status = sqa_probe_run(&p, x, y, err);
    return status == SQA_OK ? sqa_probe_expect("made for 128 positions against 64",
                                               sqa_probe_difference(y, expect, LENGTH * WIDTH), 1e-11, err)
                            : status;
}

static enum sqa_status long_in_f32(struct sqa_err *err)
{
    return sqa_probe_float("s4:dt_min=0.0001", err);
}

static const struct sqa_identity identities[] = {
    {"the convolution equals the bilinear recurrence of the dense matrix, both directions", equals_recurrence},
    {"P = 0: the recurrence of a diagonal state space, mode by mode", equals_diagonal},
    {"initial values: eigenvectors of LegS, C normal", initial_c},
    {"Ct (I + Abar^n): the same kernel, twice as long", doubles_length},
    {"f32 is accurate at 4096 positions", long_in_f32},
    {.name = NULL},
};

const struct sqa_variant sqa_variant_s4 = {
    .id = "s4",
    .slot = SQA_SLOT_MIXER,
    .title = "S4",
    .source = "Gu et al. 2021, arXiv:2111.00396",
    .complexity = "O(L (N + log L) D) time, O(L D) memory",
    .help =
        "A linear state space of `state` numbers for each channel with HiPPO's matrix, diagonal plus rank 1, run as "
        "one long convolution; two kernels, of the past and of the future, unless causal.",
    .traits = SQA_TRAIT_CAUSAL | SQA_TRAIT_PADDING | SQA_TRAIT_LINEAR_MEMORY | SQA_TRAIT_QKV,
    .params = params,
    .self_size = sizeof(struct self),
    .check = check,
    .build = build,
    .step = build,
    .flops = flops,
    .identities = identities,
};
