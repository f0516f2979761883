/* s4_kernel.c - see s4_kernel.h */
#include "models/s4_kernel.h"

#include <complex.h>
#include <math.h>

#include "engine/ops/support.h"

#define PI 3.14159265358979323846

enum { LOG_DT, LOG_A_RE, A_IM, B, P, CT, SKIP, DK, DK2 };

struct lengths {
    int64_t taps, points;
};

struct sizes {
    int64_t kernels, width, modes, taps, points, nodes; /* R, D, M, L, n; nodes: n / 2, filled up */
    int64_t sums;                                       /* 2 R + 2: Ct B and Ct P of each kernel, P* B, P* P */
};

static struct sizes sizes_of(const struct sqa_node *n)
{
    const struct lengths *l = n->attr;
    const struct sqa_tensor *c = n->in[CT];
    const int64_t half = l->points / 2;

    return (struct sizes){.kernels = c->dim[0],
                          .width = c->dim[1],
                          .modes = c->dim[2],
                          .taps = l->taps,
                          .points = l->points,
                          .nodes = (half + SQA_CAUCHY_LANES - 1) / SQA_CAUCHY_LANES * SQA_CAUCHY_LANES,
                          .sums = 2 * c->dim[0] + 2};
}

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *c = n->in[CT];
    const int64_t modes = c->rank == 4 ? c->dim[1] * c->dim[2] : 0;
    char text[96];

    if (c->rank != 4 || c->dim[3] != 2 || c->dim[0] < 1 || c->dim[0] > 2 || sqa_numel(n->in[LOG_DT]) != c->dim[1] ||
        sqa_numel(n->in[LOG_A_RE]) != modes || sqa_numel(n->in[A_IM]) != modes || sqa_numel(n->in[B]) != 2 * modes ||
        sqa_numel(n->in[P]) != 2 * modes || sqa_numel(n->in[SKIP]) != c->dim[1])
        return sqa_shape_fail(
            n, err,
            "ct is %s; give log_dt (D), log_a_re and a_im (D, M), b and p (D, M, 2), ct (1 or 2, D, M, 2), d (D)",
            sqa_shape_text(c, text));
    if (n->nin > DK) { /* backward: gradients of the inputs but d */
        for (int i = 0; i <= CT; i++)
            sqa_set_output(n, i, c->dtype, n->in[i]->rank, n->in[i]->dim);
        return SQA_OK;
    }
    for (int i = 0; i < (int)c->dim[0]; i++)
        sqa_set_output(n, i, c->dtype, SQA_DIMS(c->dim[1], sizes_of(n).taps));
    return SQA_OK;
}

/* Of all threads: nodes y and twiddles. Of a thread: poles and sums in the tensors' type, gradients and the transform
 * in double. */
struct work {
    void *y, *y_low;
    double *turn; /* (2, n): cos and sin of pi k / h at h + k, for h = 1, 2, 4, .. n / 2 and k < h */
    void *a, *b, *b_low, *v, *sums;
    double *dv, *da, *db, *re, *im; /* re, im (n) */
};

static size_t lay_out(const struct sqa_node *n, unsigned char *base, int thread, struct work *w)
{
    const struct sizes s = sizes_of(n);
    const size_t size = sqa_dtype_size(n->in[CT]->dtype), modes = (size_t)s.modes, nodes = (size_t)s.nodes;
    const size_t sums = (size_t)s.sums, points = (size_t)s.points;
    size_t at = 0;

    w->y = sqa_take(base, &at, nodes * size);
    w->y_low = sqa_take(base, &at, nodes * size);
    w->turn = (void *)sqa_take(base, &at, 2 * points * sizeof(double));
    for (int i = 0; i <= thread; i++) {
        w->a = sqa_take(base, &at, modes * size);
        w->b = sqa_take(base, &at, modes * size);
        w->b_low = sqa_take(base, &at, modes * size);
        w->v = sqa_take(base, &at, modes * 2 * sums * size);
        w->sums = sqa_take(base, &at, 2 * sums * nodes * size);
        w->dv = (void *)sqa_take(base, &at, modes * 2 * sums * sizeof(double));
        w->da = (void *)sqa_take(base, &at, modes * sizeof(double));
        w->db = (void *)sqa_take(base, &at, modes * sizeof(double));
        w->re = (void *)sqa_take(base, &at, points * sizeof(double));
        w->im = (void *)sqa_take(base, &at, points * sizeof(double));
    }
    return at;
}

static size_t workspace(const struct sqa_node *n, int threads)
{
    struct work w;

    return lay_out(n, NULL, threads - 1, &w);
}

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

/* Products without the care for infinities that C asks of its operator */
static double complex mul(double complex a, double complex b)
{
    return complex_of(creal(a) * creal(b) - cimag(a) * cimag(b), creal(a) * cimag(b) + cimag(a) * creal(b));
}

static double complex quotient(double complex a, double complex b)
{
    const double square = creal(b) * creal(b) + cimag(b) * cimag(b);

    return mul(a, complex_of(creal(b) / square, -cimag(b) / square));
}

static double complex number(const struct sqa_tensor *t, int64_t i)
{
    return complex_of(at(t, 2 * i), at(t, 2 * i + 1));
}

static void put_number(const struct sqa_tensor *t, int64_t i, double complex v)
{
    put(t, 2 * i, creal(v));
    put(t, 2 * i + 1, cimag(v));
}

/* Transforms: n a power of two, in place; sign -1: sum x_t exp(-2 pi i t m / n) */
static void transform(int64_t n, const double *turn, double sign, double *re, double *im)
{
    for (int64_t i = 1, j = 0; i < n; i++) {
        int64_t bit = n / 2;

        for (; j & bit; bit /= 2)
            j ^= bit;
        j ^= bit;
        if (i < j) {
            const double r = re[i], m = im[i];

            re[i] = re[j];
            im[i] = im[j];
            re[j] = r;
            im[j] = m;
        }
    }
    for (int64_t half = 1; half < n; half *= 2) {
        const double *c = turn + half, *sine = turn + n + half;

        for (int64_t from = 0; from < n; from += 2 * half) {
            double *r0 = re + from, *i0 = im + from, *r1 = r0 + half, *i1 = i0 + half;

#pragma omp simd
            for (int64_t k = 0; k < half; k++) {
                const double t = sign * sine[k], r = c[k] * r1[k] - t * i1[k], m = c[k] * i1[k] + t * r1[k];

                r1[k] = r0[k] - r;
                i1[k] = i0[k] - m;
                r0[k] += r;
                i0[k] += m;
            }
        }
    }
}

static void prepare(const struct sqa_node *n, const struct work *w)
{
    const struct sizes s = sizes_of(n);
    const enum sqa_dtype t = n->in[CT]->dtype;
    const size_t size = sqa_dtype_size(t);

    for (int64_t i = s.points - 1; i > 0; i--) { /* h + k has the angle of 2 h + 2 k */
        const int64_t half = s.points / 2;
        w->turn[i] = i < half ? w->turn[2 * i] : cos(PI * (double)(i - half) / (double)half);
        w->turn[s.points + i] = i < half ? w->turn[s.points + 2 * i] : sin(PI * (double)(i - half) / (double)half);
    }
    for (int64_t k = 0; k < s.nodes; k++) {
        const double y = k < s.points / 2 ? 2 * tan(PI * (double)k / (double)s.points) : 0;

        sqa_real_set(t, sqa_at(w->y, k, size), y);
        sqa_real_set(t, sqa_at(w->y_low, k, size), y - sqa_real_get(t, sqa_at(w->y, k, size)));
    }
}

/* A channel's pairs v = dt x y in the order of sums; where they stand */
struct mode {
    double dt;
    int64_t i; /* of the channel's modes */
    double complex b, p, c[2];
};

static struct mode mode_of(const struct sqa_node *n, const struct sizes *s, int64_t channel, int64_t j)
{
    struct mode m = {.dt = exp(at(n->in[LOG_DT], channel)), .i = channel * s->modes + j};

    m.b = number(n->in[B], m.i);
    m.p = number(n->in[P], m.i);
    for (int64_t r = 0; r < s->kernels; r++)
        m.c[r] = number(n->in[CT], r * s->width * s->modes + m.i);
    return m;
}

static double complex product_of(const struct sizes *s, const struct mode *m, int64_t sum)
{
    const int64_t R = s->kernels;

    return m->dt * (sum < R        ? mul(m->c[sum], m->b)
                    : sum < 2 * R  ? mul(m->c[sum - R], m->p)
                    : sum == 2 * R ? mul(conj(m->p), m->b)
                                   : mul(conj(m->p), m->p));
}

static struct sqa_cauchy poles_of(const struct sqa_node *n, const struct work *w, int64_t channel)
{
    const struct sizes s = sizes_of(n);
    const enum sqa_dtype t = n->in[CT]->dtype;
    const size_t size = sqa_dtype_size(t);

    for (int64_t j = 0; j < s.modes; j++) {
        const struct mode m = mode_of(n, &s, channel, j);
        const double b = m.dt * at(n->in[A_IM], m.i);

        sqa_real_set(t, sqa_at(w->a, j, size), m.dt * exp(at(n->in[LOG_A_RE], m.i)));
        sqa_real_set(t, sqa_at(w->b, j, size), b);
        sqa_real_set(t, sqa_at(w->b_low, j, size), b - sqa_real_get(t, sqa_at(w->b, j, size)));
        for (int64_t i = 0; i < s.sums; i++) {
            const double complex v = product_of(&s, &m, i);

            sqa_real_set(t, sqa_at(w->v, 2 * (j * s.sums + i), size), creal(v));
            sqa_real_set(t, sqa_at(w->v, 2 * (j * s.sums + i) + 1, size), cimag(v));
        }
    }
    return (struct sqa_cauchy){.nodes = (size_t)s.nodes,
                               .poles = (size_t)s.modes,
                               .sums = (size_t)s.sums,
                               .y = w->y,
                               .y_low = w->y_low,
                               .a = w->a,
                               .b = w->b,
                               .b_low = w->b_low,
                               .v = w->v};
}

/* Sum i at node k */
static double complex sum_at(const struct sizes *s, const struct work *w, enum sqa_dtype t, int64_t i, int64_t k)
{
    const size_t size = sqa_dtype_size(t);

    return complex_of(sqa_real_get(t, sqa_at(w->sums, 2 * i * s->nodes + k, size)),
                      sqa_real_get(t, sqa_at(w->sums, (2 * i + 1) * s->nodes + k, size)));
}

/* 2 / (1 + exp(-i x)) = 1 + i tan(x / 2) = 1 + i y / 2 */
static double complex factor(const struct work *w, enum sqa_dtype t, int64_t k)
{
    const size_t size = sqa_dtype_size(t);

    return complex_of(1, (sqa_real_get(t, sqa_at(w->y, k, size)) + sqa_real_get(t, sqa_at(w->y_low, k, size))) / 2);
}

/* dt sum Re(Ct B): the middle of the spectrum of kernel r */
static double middle(const struct sqa_node *n, const struct sizes *s, int64_t channel, int64_t r)
{
    double sum = 0;

    for (int64_t j = 0; j < s->modes; j++) {
        const struct mode m = mode_of(n, s, channel, j);

        sum += creal(product_of(s, &m, r));
    }
    return sum;
}

/* Spectra X0 + i X1 of two real kernels, of which X(n - m) = conj X(m), or X0 alone */
static void forward_channel(const struct sqa_node *n, const struct work *w, int64_t channel)
{
    const struct sizes s = sizes_of(n);
    const enum sqa_dtype t = n->in[CT]->dtype;
    const struct sqa_cauchy c = poles_of(n, w, channel);
    const int64_t N = s.points, R = s.kernels;

    sqa_kernels_of(t)->cauchy(&c, w->sums);
    for (int64_t k = 0; k < N / 2; k++) {
        const double complex e = factor(w, t, k);
        const double complex q = quotient(sum_at(&s, w, t, 2 * R, k), 1 + sum_at(&s, w, t, 2 * R + 1, k));
        double complex x[2] = {0, 0};

        for (int64_t r = 0; r < R; r++)
            x[r] = mul(e, sum_at(&s, w, t, r, k) - mul(sum_at(&s, w, t, R + r, k), q));
        if (k == 0) {
            w->re[0] = creal(x[0]);
            w->im[0] = creal(x[1]);
            continue;
        }
        w->re[k] = creal(x[0]) - cimag(x[1]);
        w->im[k] = cimag(x[0]) + creal(x[1]);
        w->re[N - k] = creal(x[0]) + cimag(x[1]);
        w->im[N - k] = creal(x[1]) - cimag(x[0]);
    }
    w->re[N / 2] = middle(n, &s, channel, 0);
    w->im[N / 2] = R > 1 ? middle(n, &s, channel, 1) : 0;
    transform(N, w->turn, 1, w->re, w->im);
    for (int64_t r = 0; r < R; r++)
        for (int64_t l = 0; l < s.taps; l++)
            put(n->out[r], channel * s.taps + l,
                (r == 0 ? w->re : w->im)[l] / (double)N + (r + l == 0 ? at(n->in[SKIP], channel) : 0));
}

/* The gradients of the sums, in their place, from those of the kernels' taps; mid[r]: of the middle of a spectrum */
static void sum_gradients(const struct sqa_node *n, const struct work *w, int64_t channel, double mid[2])
{
    const struct sizes s = sizes_of(n);
    const enum sqa_dtype t = n->in[CT]->dtype;
    const size_t size = sqa_dtype_size(t);
    const int64_t N = s.points, R = s.kernels;

    for (int64_t l = 0; l < N; l++) {
        w->re[l] = l < s.taps ? at(n->in[DK], channel * s.taps + l) : 0;
        w->im[l] = l < s.taps && R > 1 ? at(n->in[DK2], channel * s.taps + l) : 0;
    }
    transform(N, w->turn, -1, w->re, w->im);
    mid[0] = w->re[N / 2] / (double)N;
    mid[1] = w->im[N / 2] / (double)N;
    for (int64_t k = 0; k < s.nodes; k++) {
        const int64_t back = k == 0 ? 0 : N - k;
        const bool real = k < N / 2;
        const double complex e = factor(w, t, k), cross = sum_at(&s, w, t, 2 * R, k);
        const double complex q = 1 + sum_at(&s, w, t, 2 * R + 1, k), ratio = quotient(cross, q);
        double complex d_ratio = 0, d[SQA_CAUCHY_SUMS];

        for (int64_t r = 0; r < R; r++) {
            /* of the spectrum: 2 / n times the transform of dK; at 0 half of it, which is real */
            double complex g = 0;

            if (real && r == 0)
                g = complex_of(w->re[k] + w->re[back], k == 0 ? 0 : w->im[k] - w->im[back]) / (double)N;
            else if (real)
                g = complex_of(w->im[k] + w->im[back], k == 0 ? 0 : w->re[back] - w->re[k]) / (double)N;
            if (k == 0)
                g /= 2;
            g = mul(g, conj(e));
            d[r] = g;
            d[R + r] = -mul(g, conj(ratio));
            d_ratio -= mul(g, conj(sum_at(&s, w, t, R + r, k)));
        }
        d[2 * R] = quotient(d_ratio, conj(q));
        d[2 * R + 1] = -mul(d[2 * R], conj(ratio));
        for (int64_t i = 0; i < s.sums; i++) {
            sqa_real_set(t, sqa_at(w->sums, 2 * i * s.nodes + k, size), creal(d[i]));
            sqa_real_set(t, sqa_at(w->sums, (2 * i + 1) * s.nodes + k, size), cimag(d[i]));
        }
    }
}

static void backward_channel(const struct sqa_node *n, const struct work *w, int64_t channel)
{
    const struct sizes s = sizes_of(n);
    const struct sqa_kernels *k = sqa_kernels_of(n->in[CT]->dtype);
    const struct sqa_cauchy c = poles_of(n, w, channel);
    const int64_t R = s.kernels;
    double mid[2], d_log_dt = 0;

    k->cauchy(&c, w->sums);
    sum_gradients(n, w, channel, mid);
    k->cauchy_grad(&c, w->sums, w->dv, w->da, w->db);
    for (int64_t j = 0; j < s.modes; j++) {
        const struct mode m = mode_of(n, &s, channel, j);
        const double a = m.dt * exp(at(n->in[LOG_A_RE], m.i)), b = m.dt * at(n->in[A_IM], m.i);
        double complex g[SQA_CAUCHY_SUMS], db, dp;

        d_log_dt += a * w->da[j] + b * w->db[j];
        for (int64_t i = 0; i < s.sums; i++) {
            const double complex v = product_of(&s, &m, i);

            g[i] = complex_of(w->dv[2 * (j * s.sums + i)], w->dv[2 * (j * s.sums + i) + 1]) + (i < R ? mid[i] : 0);
            d_log_dt += creal(g[i]) * creal(v) + cimag(g[i]) * cimag(v);
            g[i] *= m.dt;
        }
        db = mul(m.p, g[2 * R]);
        dp = mul(m.b, conj(g[2 * R])) + 2 * creal(g[2 * R + 1]) * m.p;
        for (int64_t r = 0; r < R; r++) {
            put_number(n->out[CT], r * s.width * s.modes + m.i, mul(conj(m.b), g[r]) + mul(conj(m.p), g[R + r]));
            db += mul(conj(m.c[r]), g[r]);
            dp += mul(conj(m.c[r]), g[R + r]);
        }
        put_number(n->out[B], m.i, db);
        put_number(n->out[P], m.i, dp);
        put(n->out[LOG_A_RE], m.i, a * w->da[j]);
        put(n->out[A_IM], m.i, m.dt * w->db[j]);
    }
    put(n->out[LOG_DT], channel, d_log_dt);
}

struct job {
    const struct sqa_node *n;
    void *workspace;
};

static void channels(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    struct work w;

    lay_out(j->n, j->workspace, thread, &w);
    for (int64_t i = first; i < first + count; i++)
        (j->n->nin > DK ? backward_channel : forward_channel)(j->n, &w, i);
}

/* A node and mode: 14 and 8 a sum; a node and kernel: 40; the transform */
static double count(const struct sizes *s)
{
    const double half = (double)s->points / 2, sums = 2 * (double)s->kernels + 2;

    return (double)s->width *
           (half * (double)s->modes * (14 + 8 * sums) + 40 * half * (double)s->kernels + 10 * half * log2(2 * half));
}

static double flops(const struct sqa_node *n)
{
    const struct sizes s = sizes_of(n);

    return count(&s);
}

/* The sums again, 16 a sum and 34 for their gradients, and 80 for those of what follows them */
static double bwd_flops(const struct sqa_node *n)
{
    const struct sizes s = sizes_of(n);
    const double half = (double)s.points / 2;

    return count(&s) +
           (double)s.width * half * ((double)s.modes * (34 + 16 * (double)s.sums) + 40 * (double)s.kernels);
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    struct job j = {n, r->workspace};
    struct work w;

    lay_out(n, r->workspace, 0, &w);
    prepare(n, &w);
    sqa_chunks(r, n->in[CT]->dim[1], 2, flops(n), channels, &j);
}

static const struct sqa_op op_bwd = {
    .name = "s4_kernel_bwd",
    .help = "gradients of s4_kernel",
    .shape = shape,
    .run = run,
    .flops = bwd_flops,
    .workspace = workspace,
    .tolerance = 1e-3,
};

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    struct sqa_tensor *in[DK2 + 1] = {NULL}, *t;

    for (int i = 0; i <= SKIP; i++)
        in[i] = n->in[i];
    for (int i = 0; i < n->nout; i++)
        in[DK + i] = dy[i] != NULL ? sqa_dense(g, dy[i]) : sqa_fill(g, 0.0, 2, n->out[i]->dim);
    t = sqa_apply(g, &op_bwd, n->attr, sizeof(struct lengths), DK + n->nout, in);
    for (int i = 0; t != NULL && i <= CT; i++)
        dx[i] = t->node->out[i];
    dx[SKIP] = sqa_reshape(g, sqa_slice(g, in[DK], 1, 0, 1), 1, n->in[SKIP]->dim);
}

static const struct sqa_op op = {
    .name = "s4_kernel",
    .help = "K_l = C Abar^l Bbar of A = Lambda - P P*, d added to the first K_0",
    .shape = shape,
    .run = run,
    .grad = grad,
    .flops = flops,
    .workspace = workspace,
    .tolerance = 1e-4,
};

struct sqa_tensor *sqa_s4_kernel(struct sqa_graph *g, struct sqa_s4_parameters p, int64_t length, int64_t points,
                                 struct sqa_tensor **second)
{
    struct sqa_tensor *const in[] = {p.log_dt, p.log_a_re, p.a_im, p.b, p.p, p.ct, p.d};
    const struct lengths l = {length, points};
    struct sqa_tensor *kernel;

    *second = NULL;
    if (!sqa_ready(g, "s4_kernel", 7, in))
        return NULL;
    kernel = sqa_apply(g, &op, &l, sizeof l, 7, in);
    if (kernel != NULL && kernel->node->nout > 1)
        *second = kernel->node->out[1];
    return kernel;
}

int64_t sqa_s4_points(int64_t length)
{
    int64_t points = 2;

    while (points < length)
        points *= 2;
    return points;
}

double sqa_s4_kernel_flops(int64_t kernels, int64_t width, int64_t modes, int64_t points)
{
    return count(&(struct sizes){.kernels = kernels, .width = width, .modes = modes, .points = points});
}
