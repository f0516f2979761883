/* mega_kernel.c - see mega_kernel.h */
#include "models/mega_kernel.h"

#include <math.h>

#include "engine/ops/support.h"

enum { DELTA, ALPHA, BETA, GAMMA, OMEGA, DK, DK2 };

struct attr {
    int64_t length, taps;
};

struct sizes {
    int64_t kernels, width, states, length;
    int64_t lags[2];    /* of each kernel that are not 0 */
    int64_t step, rows; /* lags are cut into rows of step */
};

static struct sizes with_rows(struct sizes s, int64_t taps)
{
    s.lags[0] = taps > 0 ? sqa_min64(taps, s.length) : s.length;
    s.lags[1] = taps > 0 ? sqa_min64(taps - 1, s.length) : s.length;
    s.step = 1;
    while (s.step * s.step < s.length)
        s.step++;
    s.rows = (s.length + s.step - 1) / s.step;
    return s;
}

static struct sizes sizes_of(const struct sqa_node *n)
{
    const struct attr *a = n->attr;
    const int64_t *dim = n->in[GAMMA]->dim;

    return with_rows((struct sizes){.kernels = dim[0], .width = dim[1], .states = dim[2], .length = a->length},
                     a->taps);
}

static enum sqa_status check(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *gamma = n->in[GAMMA];
    char text[96];

    if (gamma->rank != 3 || gamma->dim[0] < 1 || gamma->dim[0] > 2 || !sqa_same_shape(gamma, n->in[DELTA]) ||
        !sqa_same_shape(gamma, n->in[ALPHA]) || !sqa_same_shape(gamma, n->in[BETA]) ||
        sqa_numel(n->in[OMEGA]) != gamma->dim[1])
        return sqa_shape_fail(n, err, "gamma is %s; give delta, alpha, beta, gamma (1 or 2, D, N) and omega (D)",
                              sqa_shape_text(gamma, text));
    if (n->nin > DK) { /* backward: gradients of the inputs but omega */
        for (int i = 0; i <= GAMMA; i++)
            sqa_set_output(n, i, gamma->dtype, 3, gamma->dim);
        return SQA_OK;
    }
    const struct sizes s = sizes_of(n);
    for (int i = 0; i < s.kernels; i++)
        sqa_set_output(n, i, gamma->dtype, 2, (const int64_t[]){s.width, s.length});
    return SQA_OK;
}

/* A thread's tables. Powers (step, N) of q^j, backward (step, 2 N): then j q^(j-1). Rows (rows, N or 2 N). In double,
 * by state: p, a, q, w, q^step, its derivative by q, and T0, T1. */
struct tables {
    unsigned char *powers, *rows;
    double *p, *a, *q, *w, *big, *slope, *t0, *t1;
};

enum { DOUBLES = 8 };

static int64_t columns_of(const struct sqa_node *n)
{
    return n->in[GAMMA]->dim[2] * (n->nin > DK ? 2 : 1);
}

static struct tables tables_of(const struct sqa_node *n, unsigned char *base, size_t *bytes)
{
    const struct sizes s = sizes_of(n);
    const size_t row = (size_t)columns_of(n) * sqa_dtype_size(n->in[GAMMA]->dtype);
    struct tables t;
    double **const doubles[DOUBLES] = {&t.p, &t.a, &t.q, &t.w, &t.big, &t.slope, &t.t0, &t.t1};
    size_t at = 0;

    t.powers = sqa_take(base, &at, row * (size_t)s.step);
    t.rows = sqa_take(base, &at, row * (size_t)s.rows);
    for (int i = 0; i < DOUBLES; i++)
        *doubles[i] = (double *)(void *)sqa_take(base, &at, (size_t)s.states * sizeof(double));
    *bytes = at;
    return t;
}

static size_t workspace(const struct sqa_node *n, int threads)
{
    size_t bytes;

    (void)tables_of(n, NULL, &bytes);
    return (size_t)threads * bytes;
}

static double at(const struct sqa_tensor *t, int64_t i)
{
    return sqa_real_get(t->dtype, sqa_at_const(sqa_data(t), i, sqa_dtype_size(t->dtype)));
}

static void put(const struct sqa_tensor *t, int64_t i, double v)
{
    sqa_real_set(t->dtype, sqa_at(sqa_data(t), i, sqa_dtype_size(t->dtype)), v);
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static void set_real(unsigned char *table, int64_t i, size_t size, double v)
{
    sqa_real_set(size == sizeof(double) ? SQA_F64 : SQA_F32, sqa_at(table, i, size), v);
}

static double get_real(const unsigned char *table, int64_t i, size_t size)
{
    return sqa_real_get(size == sizeof(double) ? SQA_F64 : SQA_F32, sqa_at_const(table, i, size));
}

/* p, a, q, w of the states at `first` of the parameters, and powers of q; slopes: also j q^(j-1) */
static void set_states(const struct sqa_node *n, const struct sizes *s, const struct tables *t, int64_t first,
                       bool slopes)
{
    const size_t size = sqa_dtype_size(n->in[GAMMA]->dtype);
    const int64_t N = s->states, columns = slopes ? 2 * N : N;

    for (int64_t i = 0; i < N; i++) {
        double power = 1, slope = 0;

        t->p[i] = sigmoid(at(n->in[DELTA], first + i));
        t->a[i] = sigmoid(at(n->in[ALPHA], first + i));
        t->q[i] = 1 - t->p[i] * t->a[i];
        t->w[i] = at(n->in[GAMMA], first + i) * t->p[i] * at(n->in[BETA], first + i) / sqrt((double)N);
        for (int64_t j = 0; j < s->step; j++) {
            set_real(t->powers, j * columns + i, size, power);
            if (slopes)
                set_real(t->powers, j * columns + N + i, size, slope);
            slope = slope * t->q[i] + power;
            power *= t->q[i];
        }
        t->big[i] = power;
        t->slope[i] = slope;
    }
}

/* k, seen as rows of step, = rows of w big^i times powers^T, for the first lags; the others 0. Kernel 1 begins with
 * lag 1. */
static void forward_kernel(const struct sqa_node *n, const struct sizes *s, const struct tables *t, int r,
                           int64_t channel)
{
    const struct sqa_kernels *k = sqa_kernels_of(n->in[GAMMA]->dtype);
    const int64_t N = s->states, lags = s->lags[r], full = lags / s->step, rest = lags % s->step;
    unsigned char *y = sqa_at(sqa_data(n->out[r]), channel * s->length, k->size);

    for (int64_t i = 0; i < N; i++) {
        double w = r == 1 ? t->w[i] * t->q[i] : t->w[i];

        for (int64_t row = 0; row < s->rows; row++, w *= t->big[i])
            set_real(t->rows, row * N + i, k->size, w);
    }
    k->gemm(0, 1, full, s->step, N, 1.0, t->rows, N, t->powers, N, 0.0, y, s->step);
    if (rest != 0)
        k->gemm(0, 1, 1, rest, N, 1.0, sqa_at_const(t->rows, full * N, k->size), N, t->powers, N, 0.0,
                sqa_at(y, full * s->step, k->size), rest);
    memset(sqa_at(y, lags, k->size), 0, (size_t)(s->length - lags) * k->size);
}

static void forward_channel(const struct sqa_node *n, const struct tables *t, int64_t channel)
{
    const struct sizes s = sizes_of(n);
    double first = at(n->in[OMEGA], channel);

    for (int r = 0; r < s.kernels; r++) {
        set_states(n, &s, t, (r * s.width + channel) * s.states, false);
        forward_kernel(n, &s, t, r, channel);
        for (int64_t i = 0; r == 1 && i < s.states; i++)
            first += t->w[i];
    }
    if (s.length > 0)
        put(n->out[0], channel * s.length, at(n->out[0], channel * s.length) + first);
}

/* T0 and T1 of a kernel's gradient: dk, seen as rows, times powers and slopes gives rows u, v; then over the rows
 * T0 = sum big^i u_i, T1 = sum (d big^i / dq u_i + big^i v_i). */
static void moments(const struct sqa_node *n, const struct sizes *s, const struct tables *t, int r, int64_t channel)
{
    const struct sqa_kernels *k = sqa_kernels_of(n->in[GAMMA]->dtype);
    const void *dk = sqa_at_const(sqa_data(n->in[DK + r]), channel * s->length, k->size);
    const int64_t N = s->states, lags = s->lags[r], full = lags / s->step, rest = lags % s->step;

    k->gemm(0, 0, full, 2 * N, s->step, 1.0, dk, s->step, t->powers, 2 * N, 0.0, t->rows, 2 * N);
    if (rest != 0)
        k->gemm(0, 0, 1, 2 * N, rest, 1.0, sqa_at_const(dk, full * s->step, k->size), rest, t->powers, 2 * N, 0.0,
                sqa_at(t->rows, full * 2 * N, k->size), 2 * N);
    for (int64_t i = 0; i < N; i++) {
        double power = 1, slope = 0;

        t->t0[i] = t->t1[i] = 0;
        for (int64_t row = 0; row < full + (rest != 0); row++) {
            const double u = get_real(t->rows, row * 2 * N + i, k->size);

            t->t0[i] += power * u;
            t->t1[i] += slope * u + power * get_real(t->rows, row * 2 * N + N + i, k->size);
            slope = slope * t->big[i] + power * t->slope[i];
            power *= t->big[i];
        }
    }
}

static void backward_channel(const struct sqa_node *n, const struct tables *t, int64_t channel)
{
    const struct sizes s = sizes_of(n);

    for (int r = 0; r < s.kernels; r++) {
        const int64_t first = (r * s.width + channel) * s.states;

        set_states(n, &s, t, first, true);
        moments(n, &s, t, r, channel);
        for (int64_t i = 0; i < s.states; i++) {
            const double p = t->p[i], a = t->a[i], q = t->q[i], w = t->w[i], scale = 1 / sqrt((double)s.states);
            const double beta = at(n->in[BETA], first + i), gamma = at(n->in[GAMMA], first + i);
            double dw = t->t0[i], dq = w * t->t1[i];

            if (r == 1) { /* w q in place of w, and w in K_0 */
                dq = w * t->t0[i] + w * q * t->t1[i];
                dw = q * t->t0[i] + (s.length > 0 ? at(n->in[DK], channel * s.length) : 0);
            }
            put(n->out[GAMMA], first + i, scale * p * beta * dw);
            put(n->out[BETA], first + i, scale * p * gamma * dw);
            put(n->out[DELTA], first + i, (scale * gamma * beta * dw - a * dq) * p * (1 - p));
            put(n->out[ALPHA], first + i, -p * dq * a * (1 - a));
        }
    }
}

struct job {
    const struct sqa_node *n;
    unsigned char *workspace;
};

static void channels(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    size_t bytes;

    (void)tables_of(j->n, NULL, &bytes);
    const struct tables t = tables_of(j->n, j->workspace + (size_t)thread * bytes, &bytes);
    for (int64_t i = first; i < first + count; i++) {
        if (j->n->nin > DK)
            backward_channel(j->n, &t, i);
        else
            forward_channel(j->n, &t, i);
    }
}

/* A state: p, a, q, w 24, powers and rows one each; and the product */
static double count_of(const struct sizes *s)
{
    const double each = 24 + (double)(s->step + s->rows);
    double sum = 0;

    for (int r = 0; r < s->kernels; r++)
        sum += each + 2 * (double)s->lags[r];
    return sum * (double)(s->width * s->states);
}

static double flops(const struct sqa_node *n)
{
    const struct sizes s = sizes_of(n);

    return count_of(&s);
}

/* Two products a kernel, slopes, eight a row for T0 and T1 */
static double bwd_flops(const struct sqa_node *n)
{
    const struct sizes s = sizes_of(n);
    const double each = 48 + 4 * (double)s.step + 8 * (double)s.rows;
    double sum = 0;

    for (int r = 0; r < s.kernels; r++)
        sum += each + 4 * (double)s.lags[r];
    return sum * (double)(s.width * s.states);
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    struct job j = {n, r->workspace};

    sqa_chunks(r, n->in[GAMMA]->dim[1], 4, flops(n), channels, &j);
}

static const struct sqa_op op_bwd = {
    .name = "mega_kernel_bwd",
    .help = "gradients of mega_kernel",
    .shape = check,
    .run = run,
    .flops = bwd_flops,
    .workspace = workspace,
    .tolerance = 1e-4,
};

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    struct sqa_tensor *in[DK2 + 1], *t;

    memcpy(in, n->in, DK * sizeof *in);
    for (int i = 0; i < n->nout; i++)
        in[DK + i] = dy[i] != NULL ? dy[i] : sqa_fill(g, 0.0, 2, n->out[i]->dim);
    t = sqa_apply(g, &op_bwd, n->attr, sizeof(struct attr), DK + n->nout, in);
    for (int i = 0; t != NULL && i <= GAMMA; i++)
        dx[i] = t->node->out[i];
    dx[OMEGA] = sqa_reshape(g, sqa_slice(g, in[DK], 1, 0, 1), 1, n->in[OMEGA]->dim);
}

static const struct sqa_op op_kernel = {
    .name = "mega_kernel",
    .help = "K_l = sum_n w_n q_n^l, omega added to K_0",
    .shape = check,
    .run = run,
    .grad = grad,
    .flops = flops,
    .workspace = workspace,
};

struct sqa_tensor *sqa_mega_kernel(struct sqa_graph *g, struct sqa_mega_parameters p, int64_t length, int64_t taps,
                                   struct sqa_tensor **second)
{
    struct sqa_tensor *const in[] = {p.delta, p.alpha, p.beta, p.gamma, p.omega};
    const struct attr a = {length, taps};
    struct sqa_tensor *kernel;

    *second = NULL;
    if (!sqa_ready(g, "mega_kernel", 5, in))
        return NULL;
    kernel = sqa_apply(g, &op_kernel, &a, sizeof a, 5, in);
    if (kernel != NULL && kernel->node->nout > 1)
        *second = kernel->node->out[1];
    return kernel;
}

double sqa_mega_kernel_flops(int64_t kernels, int64_t width, int64_t states, int64_t length, int64_t taps)
{
    const struct sizes s =
        with_rows((struct sizes){.kernels = kernels, .width = width, .states = states, .length = length}, taps);

    return count_of(&s);
}
