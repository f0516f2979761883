/* s4_step.c - see s4_step.h */
#include "models/s4_step.h"

#include <complex.h>
#include <math.h>

#include "engine/ops/support.h"
#include "models/step.h"
#include "models/vandermonde.h"

/* s4_step_tables: parameters -> five tables (2, D, M), real parts before imaginary ones: 2 S, h, P* S for all modes
 * as factors of real and imaginary parts, 2 S P dt/2 / (1 + dt/2 P* S P), C likewise */

enum { LOG_DT, LOG_A_RE, A_IM, B, P, CT, INPUTS };
enum { TWICE_S, INPUT, CROSS, BACK, OUTPUT, TABLES };

static enum sqa_status tables_shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *c = n->in[CT];
    char text[96];

    if (c->rank != 4 || c->dim[0] != 1 || c->dim[3] != 2)
        return sqa_shape_fail(n, err, "ct is %s; give (1, D, M, 2)", sqa_shape_text(c, text));
    for (int i = 0; i < TABLES; i++)
        sqa_set_output(n, i, c->dtype, SQA_DIMS(2, c->dim[1], c->dim[2]));
    return SQA_OK;
}

/* Rows and columns of Abar are real parts, then imaginary ones. */
struct matrices {
    double *step, *power, *square, *c; /* N x N, and N; square has three rows more */
};

static size_t lay_out(const struct sqa_node *n, unsigned char *base, struct matrices *m)
{
    const size_t N = 2 * (size_t)n->in[CT]->dim[2];
    size_t at = 0;

    m->step = (void *)sqa_take(base, &at, N * N * sizeof(double));
    m->power = (void *)sqa_take(base, &at, N * N * sizeof(double));
    m->square = (void *)sqa_take(base, &at, (N + 3) * N * sizeof(double));
    m->c = (void *)sqa_take(base, &at, N * sizeof(double));
    return at;
}

static size_t tables_workspace(const struct sqa_node *n, int threads)
{
    struct matrices m;

    (void)threads;
    return lay_out(n, NULL, &m);
}

static double complex pair(const struct sqa_tensor *t, int64_t i)
{
    return sqa_complex(sqa_number(t, 2 * i), sqa_number(t, 2 * i + 1));
}

/* Mode i of a channel: row i of every table but the last */
static void set(const struct sqa_node *n, int table, int64_t channel, int64_t i, double complex v)
{
    const int64_t D = n->in[CT]->dim[1], M = n->in[CT]->dim[2];

    sqa_put_number(n->out[table], channel * M + i, creal(v));
    sqa_put_number(n->out[table], (D + channel) * M + i, cimag(v));
}

/* The tables but C, and Abar */
static void set_channel(const struct sqa_node *n, const struct matrices *m, int64_t channel)
{
    const int64_t M = n->in[CT]->dim[2], N = 2 * M;
    const double dt = exp(sqa_number(n->in[LOG_DT], channel));
    double sum = 1;

    for (int64_t i = 0; i < M; i++) {
        const int64_t mode = channel * M + i;
        const double complex a = sqa_complex(-exp(sqa_number(n->in[LOG_A_RE], mode)), sqa_number(n->in[A_IM], mode));
        const double complex s = sqa_over(1, 1 - dt / 2 * a), p = pair(n->in[P], mode);

        sum += dt * (creal(p) * creal(p) + cimag(p) * cimag(p)) * creal(s);
    }
    for (int64_t i = 0; i < M; i++) {
        const int64_t mode = channel * M + i;
        const double complex a = sqa_complex(-exp(sqa_number(n->in[LOG_A_RE], mode)), sqa_number(n->in[A_IM], mode));
        const double complex s = sqa_over(1, 1 - dt / 2 * a), p = pair(n->in[P], mode);
        const double complex cross = 2 * sqa_times(conj(p), s), back = dt / sum * sqa_times(s, p);

        set(n, TWICE_S, channel, i, 2 * s);
        set(n, INPUT, channel, i, dt / 2 * pair(n->in[B], mode));
        set(n, CROSS, channel, i, conj(cross));
        set(n, BACK, channel, i, back);
        m->square[i] = creal(cross);
        m->square[M + i] = -cimag(cross);
        m->square[N + i] = creal(back);
        m->square[N + M + i] = cimag(back);
        m->square[2 * N + i] = 2 * creal(s);
        m->square[2 * N + M + i] = 2 * cimag(s);
    }
    for (int64_t i = 0; i < N; i++)
        for (int64_t j = 0; j < N; j++) {
            const double re = m->square[2 * N + i % M], im = m->square[2 * N + M + i % M];
            const double s = i % M != j % M ? 0 : i == j ? re - 1 : i < M ? -im : im;

            m->step[i * N + j] = s - m->square[N + i] * m->square[j];
        }
}

/* power = Abar^n, n a power of two; false: it is 0 */
static bool raise(const struct matrices *m, int64_t N, int64_t points)
{
    memcpy(m->power, m->step, (size_t)(N * N) * sizeof(double));
    for (int64_t power = 1; power < points; power *= 2) {
        double largest = 0;

        memset(m->square, 0, (size_t)(N * N) * sizeof(double));
        for (int64_t i = 0; i < N; i++)
            for (int64_t k = 0; k < N; k++)
                for (int64_t j = 0; j < N; j++)
                    m->square[i * N + j] += m->power[i * N + k] * m->power[k * N + j];
        memcpy(m->power, m->square, (size_t)(N * N) * sizeof(double));
        for (int64_t i = 0; i < N * N; i++)
            largest = fmax(largest, fabs(m->power[i]));
        if (largest < 1e-100)
            return false;
    }
    return true;
}

/* c (I - power) = c by elimination of its columns, with pivots */
static void solve(const struct matrices *m, int64_t N)
{
    double *a = m->square;

    for (int64_t i = 0; i < N; i++)
        for (int64_t j = 0; j < N; j++)
            a[i * N + j] = (i == j) - m->power[j * N + i];
    for (int64_t i = 0; i < N; i++) {
        int64_t pivot = i;
        double swap = m->c[i];

        for (int64_t j = i; j < N; j++)
            pivot = fabs(a[j * N + i]) > fabs(a[pivot * N + i]) ? j : pivot;
        m->c[i] = m->c[pivot];
        m->c[pivot] = swap;
        for (int64_t j = 0; j < N; j++) {
            swap = a[i * N + j];
            a[i * N + j] = a[pivot * N + j];
            a[pivot * N + j] = swap;
        }
        for (int64_t j = i + 1; j < N; j++) {
            const double f = a[j * N + i] / a[i * N + i];

            for (int64_t k = i; k < N; k++)
                a[j * N + k] -= f * a[i * N + k];
            m->c[j] -= f * m->c[i];
        }
    }
    for (int64_t i = N - 1; i >= 0; i--) {
        for (int64_t j = i + 1; j < N; j++)
            m->c[i] -= a[i * N + j] * m->c[j];
        m->c[i] /= a[i * N + i];
    }
}

static void tables_run(const struct sqa_node *n, const struct sqa_run *r)
{
    const int64_t *points = n->attr, D = n->in[CT]->dim[1], M = n->in[CT]->dim[2];
    struct matrices m;

    lay_out(n, r->workspace, &m);
    for (int64_t channel = 0; channel < D; channel++) {
        set_channel(n, &m, channel);
        for (int64_t i = 0; i < M; i++) {
            const double complex c = pair(n->in[CT], channel * M + i);

            m.c[i] = 2 * creal(c);
            m.c[M + i] = -2 * cimag(c);
        }
        if (raise(&m, 2 * M, *points))
            solve(&m, 2 * M);
        for (int64_t i = 0; i < M; i++)
            set(n, OUTPUT, channel, i, sqa_complex(m.c[i], m.c[M + i]));
    }
}

static const struct sqa_op op_tables = {
    .name = "s4_step_tables",
    .help = "what a step of s4 needs of its parameters",
    .shape = tables_shape,
    .run = tables_run,
    .workspace = tables_workspace,
};

/* s4_step: x (B, 2, D, M), u (B, 1, D) and the tables -> the next x, and C x (B, 1, D) */

enum { X, U, FIRST_TABLE, STEP_INPUTS = FIRST_TABLE + TABLES };

static enum sqa_status step_shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *x = n->in[X], *u = n->in[U];
    char text[96];

    if (x->rank != 4 || u->rank != 3 || u->dim[0] != x->dim[0] || u->dim[1] != 1 || u->dim[2] != x->dim[2])
        return sqa_shape_fail(n, err, "x is %s; give (B, 2, D, M), u (B, 1, D)", sqa_shape_text(x, text));
    sqa_set_output(n, 0, x->dtype, 4, x->dim);
    sqa_set_output(n, 1, x->dtype, 3, u->dim);
    return SQA_OK;
}

/* One channel; imag: elements from real to imaginary parts; table[i]: its row. Returns C x. */
#define STEP(T)                                                                                 \
    static T step_##T(int64_t M, int64_t imag, const T *x, T u, const void *const *table, T *y) \
    {                                                                                           \
        const T *s = table[TWICE_S], *h = table[INPUT], *p = table[CROSS], *g = table[BACK];    \
        const T *c = table[OUTPUT];                                                             \
        T q = 0, sum = 0;                                                                       \
        for (int64_t i = 0; i < M; i++) {                                                       \
            const T re = x[i] + h[i] * u, im = x[imag + i] + h[imag + i] * u;                   \
            q += p[i] * re + p[imag + i] * im;                                                  \
            y[i] = s[i] * re - s[imag + i] * im - x[i];                                         \
            y[imag + i] = s[i] * im + s[imag + i] * re - x[imag + i];                           \
        }                                                                                       \
        for (int64_t i = 0; i < M; i++) {                                                       \
            y[i] -= g[i] * q;                                                                   \
            y[imag + i] -= g[imag + i] * q;                                                     \
            sum += c[i] * y[i] + c[imag + i] * y[imag + i];                                     \
        }                                                                                       \
        return sum;                                                                             \
    }
STEP(float)
STEP(double)

static void step_run(const struct sqa_node *n, const struct sqa_run *r)
{
    const int64_t *dim = n->in[X]->dim, D = dim[2], M = dim[3];
    const bool wide = n->in[X]->dtype == SQA_F64;
    const size_t size = sqa_dtype_size(n->in[X]->dtype);

    (void)r;
    for (int64_t i = 0; i < dim[0] * D; i++) {
        const int64_t row = (i / D * 2 * D + i % D) * M;
        const void *x = sqa_at_const(sqa_data(n->in[X]), row, size), *table[TABLES];
        void *y = sqa_at(sqa_data(n->out[0]), row, size), *out = sqa_at(sqa_data(n->out[1]), i, size);
        const double u = sqa_number(n->in[U], i);

        for (int t = 0; t < TABLES; t++)
            table[t] = sqa_at_const(sqa_data(n->in[FIRST_TABLE + t]), i % D * M, size);
        if (wide)
            *(double *)out = step_double(M, D * M, x, u, table, y);
        else
            *(float *)out = step_float(M, D * M, x, (float)u, table, y);
    }
}

static double step_flops(const struct sqa_node *n)
{
    return 11 * (double)sqa_numel(n->in[X]);
}

static const struct sqa_op op_step = {
    .name = "s4_step",
    .help = "x <- Abar x + Bbar u, y = C x",
    .shape = step_shape,
    .run = step_run,
    .flops = step_flops,
};

struct sqa_tensor *sqa_s4_step(struct sqa_context *c, struct sqa_s4_parameters p, int64_t points,
                               struct sqa_tensor *u)
{
    struct sqa_tensor *const parameters[INPUTS] = {p.log_dt, p.log_a_re, p.a_im, p.b, p.p, p.ct};
    struct sqa_tensor *in[STEP_INPUTS], *tables, *y;
    struct sqa_entry *entry;

    if (!sqa_ready(c->g, "s4_step_tables", INPUTS, parameters))
        return NULL;
    in[X] = sqa_step_state(c, "x", SQA_DIMS(2, c->frame.dim, p.ct->dim[2]), &entry);
    in[U] = sqa_dense(c->g, u);
    tables = sqa_apply(c->g, &op_tables, &points, sizeof points, INPUTS, parameters);
    for (int i = 0; tables != NULL && i < TABLES; i++)
        in[FIRST_TABLE + i] = tables->node->out[i];
    if (tables == NULL || !sqa_ready(c->g, "s4_step", STEP_INPUTS, in))
        return NULL;
    y = sqa_apply(c->g, &op_step, NULL, 0, STEP_INPUTS, in);
    if (y == NULL)
        return NULL;
    sqa_assign(c->g, entry, y);
    return sqa_add(c->g, y->node->out[1], sqa_mul(c->g, u, p.d));
}
