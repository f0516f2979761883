/* vandermonde.c - see vandermonde.h */
#include "models/vandermonde.h"

#include <math.h>

#include "engine/ops/support.h"
#include "models/step.h"

struct sizes {
    int64_t kernels, width, modes, length, step, rows; /* R, D, M, L; L is cut into rows of step */
};

static struct sizes with_rows(struct sizes s)
{
    s.step = 1;
    while (s.step * s.step < s.length)
        s.step++;
    s.rows = (s.length + s.step - 1) / s.step;
    return s;
}

static struct sizes sizes_of(const struct sqa_vandermonde *v, const struct sqa_node *n)
{
    const struct sqa_tensor *c = n->in[v->c];
    const int64_t *length = n->attr;

    return with_rows((struct sizes){.kernels = c->dim[0], .width = c->dim[1], .modes = c->dim[2], .length = *length});
}

static int skip(const struct sqa_vandermonde *v)
{
    return v->c + 1;
}

static int first_dk(const struct sqa_vandermonde *v)
{
    return v->c + 2;
}

static bool backward(const struct sqa_vandermonde *v, const struct sqa_node *n)
{
    return n->nin > first_dk(v);
}

enum sqa_status sqa_vandermonde_shape(const struct sqa_vandermonde *v, struct sqa_node *n)
{
    const struct sqa_tensor *c = n->in[v->c];
    const int64_t *length = n->attr;

    if (c->rank != 4 || c->dim[3] != 2 || c->dim[0] < 1 || c->dim[0] > 2 || sqa_numel(n->in[skip(v)]) != c->dim[1])
        return SQA_SHAPE;
    if (backward(v, n)) {
        for (int i = 0; i <= v->c; i++)
            sqa_set_output(n, i, c->dtype, n->in[i]->rank, n->in[i]->dim);
        return SQA_OK;
    }
    for (int i = 0; i < (int)c->dim[0]; i++)
        sqa_set_output(n, i, c->dtype, SQA_DIMS(c->dim[1], *length));
    return SQA_OK;
}

/* A thread's tables. Powers (step, 2 M): row j is Re z^j, then Im z^j; backward (step, 4 M): then j Re z^j, j Im z^j.
 * Rows (rows, 2 M or 4 M). In double, M real parts and M imaginary ones each: the modes, z^step, and four for what
 * changes. */
struct tables {
    unsigned char *powers, *rows;
    struct sqa_modes m;
    double *big, *work[4];
};

enum { DOUBLES = 8 };

static size_t table_bytes(const struct sqa_vandermonde *v, const struct sqa_node *n)
{
    const struct sizes s = sizes_of(v, n);
    const size_t size = sqa_dtype_size(n->in[v->c]->dtype), columns = (backward(v, n) ? 4 : 2) * (size_t)s.modes;

    return sqa_align64(columns * (size_t)s.step * size) + sqa_align64(columns * (size_t)s.rows * size) +
           DOUBLES * sqa_align64(2 * (size_t)s.modes * sizeof(double));
}

size_t sqa_vandermonde_workspace(const struct sqa_vandermonde *v, const struct sqa_node *n, int threads)
{
    return (size_t)threads * table_bytes(v, n);
}

static struct tables tables_of(const struct sqa_vandermonde *v, const struct sqa_node *n, void *workspace, int thread)
{
    const struct sizes s = sizes_of(v, n);
    const size_t size = sqa_dtype_size(n->in[v->c]->dtype), columns = (backward(v, n) ? 4 : 2) * (size_t)s.modes;
    struct tables t = {.powers = (unsigned char *)workspace + (size_t)thread * table_bytes(v, n)};
    double **const doubles[DOUBLES] = {&t.m.a,     &t.m.z,     &t.big,     &t.m.gain,
                                       &t.work[0], &t.work[1], &t.work[2], &t.work[3]};
    unsigned char *p;

    t.m.count = s.modes;
    t.rows = t.powers + sqa_align64(columns * (size_t)s.step * size);
    p = t.rows + sqa_align64(columns * (size_t)s.rows * size);
    for (int i = 0; i < DOUBLES; i++, p += sqa_align64(2 * (size_t)s.modes * sizeof(double)))
        *doubles[i] = (double *)(void *)p;
    return t;
}

double sqa_number(const struct sqa_tensor *t, int64_t i)
{
    return sqa_real_get(t->dtype, sqa_at_const(sqa_data(t), i, sqa_dtype_size(t->dtype)));
}

void sqa_put_number(const struct sqa_tensor *t, int64_t i, double v)
{
    sqa_real_set(t->dtype, sqa_at(sqa_data(t), i, sqa_dtype_size(t->dtype)), v);
}

double complex sqa_complex(double re, double im)
{
    const double parts[2] = {re, im};
    double complex z;

    memcpy(&z, parts, sizeof z);
    return z;
}

double complex sqa_mode(const double *x, int64_t i, int64_t modes)
{
    return sqa_complex(x[i], x[modes + i]);
}

void sqa_set_mode(double *x, int64_t i, int64_t modes, double complex v)
{
    x[i] = creal(v);
    x[modes + i] = cimag(v);
}

double complex sqa_times(double complex a, double complex b)
{
    return sqa_complex(creal(a) * creal(b) - cimag(a) * cimag(b), creal(a) * cimag(b) + cimag(a) * creal(b));
}

double complex sqa_over(double complex a, double complex b)
{
    return sqa_times(a, conj(b)) / (creal(b) * creal(b) + cimag(b) * cimag(b));
}

static int64_t c_place(const struct sqa_tensor *c, int64_t r, int64_t channel, int64_t i)
{
    return ((r * c->dim[1] + channel) * c->dim[2] + i) * 2;
}

double complex sqa_vandermonde_c(const struct sqa_vandermonde *v, const struct sqa_node *n, int64_t r,
                                 int64_t channel, int64_t i)
{
    const int64_t place = c_place(n->in[v->c], r, channel, i);

    return sqa_complex(sqa_number(n->in[v->c], place), sqa_number(n->in[v->c], place + 1));
}

/* Powers z^j of the table, rows of `stride` numbers; big = z^step. */
static void fill_powers(const struct sqa_kernels *k, const struct sizes *s, const struct tables *t, int64_t stride)
{
    for (int64_t i = 0; i < s->modes; i++)
        sqa_set_mode(t->big, i, s->modes, 1);
    k->powers(t->m.z, t->big, (size_t)s->modes, (size_t)s->step, 1, 1, t->powers, (size_t)stride);
}

/* K, seen as (rows, step), = rows of w big^i times powers^T */
static void forward_channel(const struct sqa_vandermonde *v, const struct sqa_node *n, const struct tables *t,
                            int64_t channel)
{
    const struct sizes s = sizes_of(v, n);
    const struct sqa_kernels *k = sqa_kernels_of(n->in[v->c]->dtype);
    const int64_t full = s.length / s.step, rest = s.length % s.step, columns = 2 * s.modes;

    v->set(n, channel, &t->m);
    fill_powers(k, &s, t, columns);
    for (int64_t r = 0; r < s.kernels; r++) {
        unsigned char *y = sqa_at(sqa_data(n->out[r]), channel * s.length, k->size);

        for (int64_t i = 0; i < s.modes; i++)
            sqa_set_mode(t->work[0], i, s.modes,
                         sqa_times(sqa_vandermonde_c(v, n, r, channel, i), sqa_mode(t->m.gain, i, s.modes)));
        k->powers(t->big, t->work[0], (size_t)s.modes, (size_t)s.rows, v->scale, -v->scale, t->rows, (size_t)columns);
        k->gemm(0, 1, full, s.step, columns, 1.0, t->rows, columns, t->powers, columns, 0.0, y, s.step);
        if (rest != 0)
            k->gemm(0, 1, 1, rest, columns, 1.0, sqa_at_const(t->rows, full * columns, k->size), columns, t->powers,
                    columns, 0.0, sqa_at(y, full * s.step, k->size), rest);
    }
    if (s.length != 0)
        sqa_put_number(n->out[0], channel * s.length,
                       sqa_number(n->out[0], channel * s.length) + sqa_number(n->in[skip(v)], channel));
}

/* T0 and T1 of kernel r's gradient, in work[0] and work[1]: dK, seen as (rows, step), times the powers and the powers
 * j z^j gives rows u and v; T0 = sum over i of big^i u_i, T1 = sum of big^i (step i u_i + v_i). */
static void moments(const struct sqa_vandermonde *v, const struct sqa_node *n, const struct sizes *s,
                    const struct tables *t, int64_t r, int64_t channel)
{
    const struct sqa_kernels *k = sqa_kernels_of(n->in[v->c]->dtype);
    const void *dk = sqa_at_const(sqa_data(n->in[first_dk(v) + r]), channel * s->length, k->size);
    const int64_t full = s->length / s->step, rest = s->length % s->step, columns = 4 * s->modes;
    const size_t modes = (size_t)s->modes, rows = (size_t)s->rows, stride = (size_t)columns;

    k->gemm(0, 0, full, columns, s->step, 1.0, dk, s->step, t->powers, columns, 0.0, t->rows, columns);
    if (rest != 0)
        k->gemm(0, 0, 1, columns, rest, 1.0, sqa_at_const(dk, full * s->step, k->size), rest, t->powers, columns, 0.0,
                sqa_at(t->rows, full * columns, k->size), columns);
    k->polynomials(t->big, modes, rows, t->rows, stride, t->work[0], t->work[1]);
    k->polynomials(t->big, modes, rows, sqa_at_const(t->rows, 2 * s->modes, k->size), stride, t->work[2], t->work[3]);
    for (size_t i = 0; i < 2 * modes; i++)
        t->work[1][i] = (double)s->step * t->work[1][i] + t->work[2][i];
}

static void backward_channel(const struct sqa_vandermonde *v, const struct sqa_node *n, const struct tables *t,
                             int64_t channel)
{
    const struct sizes s = sizes_of(v, n);
    const struct sqa_kernels *k = sqa_kernels_of(n->in[v->c]->dtype);
    double sum[2] = {0, 0};

    v->set(n, channel, &t->m);
    fill_powers(k, &s, t, 4 * s.modes);
    for (int64_t j = 0; j < s.step; j++) {
        unsigned char *row = sqa_at(t->powers, j * 4 * s.modes, k->size);

        k->affine((double)j, row, 0, sqa_at(row, 2 * s.modes, k->size), 2 * (size_t)s.modes);
    }
    for (int64_t r = 0; r < s.kernels; r++) {
        moments(v, n, &s, t, r, channel);
        for (int64_t i = 0; i < s.modes; i++) {
            const int64_t place = c_place(n->in[v->c], r, channel, i);
            const double complex dc =
                v->scale * sqa_times(sqa_mode(t->work[0], i, s.modes), sqa_mode(t->m.gain, i, s.modes));

            sqa_put_number(n->out[v->c], place, creal(dc));
            sqa_put_number(n->out[v->c], place + 1, -cimag(dc));
        }
        v->gradient(n, channel, r, &t->m, t->work[0], t->work[1], sum);
    }
}

struct job {
    const struct sqa_vandermonde *v;
    const struct sqa_node *n;
    void *workspace;
};

static void channels(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    const struct tables t = tables_of(j->v, j->n, j->workspace, thread);

    for (int64_t i = first; i < first + count; i++)
        (backward(j->v, j->n) ? backward_channel : forward_channel)(j->v, j->n, &t, i);
}

/* A mode: powers 8 step. A kernel's mode: w 6, powers 8 rows, product 4 L. */
double sqa_vandermonde_flops(double each, int64_t kernels, int64_t width, int64_t modes, int64_t length)
{
    const struct sizes s = with_rows((struct sizes){.length = length});

    return (double)(width * modes) *
           (each + 8 * (double)s.step + (double)kernels * (6 + 8 * (double)s.rows + 4 * (double)length));
}

/* As above, with two products a kernel and 32 flops a row for T0 and T1. */
double sqa_vandermonde_bwd_flops(double each, double back, int64_t kernels, int64_t width, int64_t modes,
                                 int64_t length)
{
    const struct sizes s = with_rows((struct sizes){.length = length});

    return (double)(width * modes) *
           (each + 10 * (double)s.step + (double)kernels * (back + 32 * (double)s.rows + 8 * (double)length));
}

void sqa_vandermonde_run(const struct sqa_vandermonde *v, const struct sqa_node *n, const struct sqa_run *r)
{
    struct job j = {v, n, r->workspace};

    sqa_chunks(r, n->in[v->c]->dim[1], 4, n->op->flops(n), channels, &j);
}

enum sqa_status sqa_vandermonde_step_shape(const struct sqa_vandermonde *v, struct sqa_node *n)
{
    const struct sqa_tensor *c = n->in[v->c];

    if (c->rank != 4 || c->dim[0] != 1 || c->dim[3] != 2)
        return SQA_SHAPE;
    for (int i = 0; i < 2; i++)
        sqa_set_output(n, i, c->dtype, SQA_DIMS(2, c->dim[1], c->dim[2]));
    return SQA_OK;
}

void sqa_vandermonde_step_run(const struct sqa_vandermonde *v, const struct sqa_node *n, const struct sqa_run *r)
{
    const struct sizes s = sizes_of(v, n);
    const struct tables t = tables_of(v, n, r->workspace, 0);
    const int64_t imag = s.width * s.modes;

    for (int64_t channel = 0; channel < s.width; channel++) {
        v->set(n, channel, &t.m);
        for (int64_t i = 0; i < s.modes; i++) {
            const int64_t place = channel * s.modes + i;
            const double complex z = sqa_mode(t.m.z, i, s.modes), gain = sqa_mode(t.m.gain, i, s.modes);
            const double complex w = v->scale * sqa_times(sqa_vandermonde_c(v, n, 0, channel, i), gain);

            sqa_put_number(n->out[0], place, creal(z));
            sqa_put_number(n->out[0], imag + place, cimag(z));
            sqa_put_number(n->out[1], place, creal(w));
            sqa_put_number(n->out[1], imag + place, -cimag(w));
        }
    }
}

/* A state of ones and zeros of u goes through C and the input's factor together. */
struct sqa_tensor *sqa_vandermonde_step(struct sqa_context *c, struct sqa_tensor *u, struct sqa_tensor *z,
                                        struct sqa_tensor *w, struct sqa_tensor *d)
{
    const int64_t B = c->batch, D = c->frame.dim, M = z != NULL ? z->dim[2] : 1;
    struct sqa_tensor *in = sqa_broadcast(c->g, sqa_reshape(c->g, u, SQA_DIMS(B, 1, D, 1)), SQA_DIMS(B, 1, D, M));
    struct sqa_tensor *x, *y;

    in = sqa_reshape(c->g, sqa_pad(c->g, in, 1, 0, 1), SQA_DIMS(B, 1, 2 * D * M));
    x = sqa_diagonal_step(c, "x", sqa_reshape(c->g, z, SQA_DIMS(1, 1, 2 * D * M)), in, true);
    x = sqa_mul(c->g, sqa_reshape(c->g, x, SQA_DIMS(B, 2, D, M)), w);
    y = sqa_reshape(c->g, sqa_sum(c->g, x, 10u, false), SQA_DIMS(B, 1, D));
    return sqa_add(c->g, y, sqa_mul(c->g, u, d));
}
