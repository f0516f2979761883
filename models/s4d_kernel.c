/* s4d_kernel.c - see s4d_kernel.h */
#include "models/s4d_kernel.h"

#include <complex.h>
#include <math.h>

#include "engine/ops/support.h"

enum { LOG_DT, LOG_A_RE, A_IM, C, SKIP, DK, DK2 };

struct kernel_shape {
    int64_t kernels, width, modes, length, step, rows; /* R, D, M, L; L is cut into rows of step */
};

static struct kernel_shape with_rows(struct kernel_shape s)
{
    s.step = 1;
    while (s.step * s.step < s.length)
        s.step++;
    s.rows = (s.length + s.step - 1) / s.step;
    return s;
}

static struct kernel_shape kernel_shape_of(const struct sqa_node *n)
{
    const int64_t *length = n->attr;

    return with_rows((struct kernel_shape){
        .kernels = n->in[C]->dim[0], .width = n->in[C]->dim[1], .modes = n->in[C]->dim[2], .length = *length});
}

static enum sqa_status kernel_check(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *c = n->in[C];
    const struct kernel_shape s = kernel_shape_of(n);
    char text[96];

    if (c->rank != 4 || c->dim[3] != 2 || s.kernels < 1 || s.kernels > 2 || sqa_numel(n->in[LOG_DT]) != s.width ||
        sqa_numel(n->in[LOG_A_RE]) != s.width * s.modes || sqa_numel(n->in[A_IM]) != s.width * s.modes ||
        sqa_numel(n->in[SKIP]) != s.width)
        return sqa_shape_fail(n, err,
                              "c is %s; give log_dt (D), log_a_re and a_im (D, M), c (1 or 2, D, M, 2), d (D)",
                              sqa_shape_text(c, text));
    if (n->nin > DK) { /* backward: gradients of the inputs but d */
        for (int i = 0; i <= C; i++)
            sqa_set_output(n, i, c->dtype, n->in[i]->rank, n->in[i]->dim);
        return SQA_OK;
    }
    for (int i = 0; i < s.kernels; i++)
        sqa_set_output(n, i, c->dtype, SQA_DIMS(s.width, s.length));
    return SQA_OK;
}

/* A thread's tables. Powers (step, 2 M): row j is Re z^j, then Im z^j; backward (step, 4 M): then j Re z^j, j Im z^j.
 * Rows (rows, 2 M or 4 M). In double, M real parts and M imaginary ones each: a; z and z^step; b = (z - 1) / a; and
 * four for what changes. */
struct tables {
    unsigned char *powers, *rows;
    double *a, *z, *big, *b, *work[4];
};

enum { DOUBLES = 8 };

static size_t table_bytes(const struct sqa_node *n)
{
    const struct kernel_shape s = kernel_shape_of(n);
    const size_t size = sqa_dtype_size(n->in[C]->dtype), columns = (n->nin > DK ? 4 : 2) * (size_t)s.modes;

    return sqa_align64(columns * (size_t)s.step * size) + sqa_align64(columns * (size_t)s.rows * size) +
           DOUBLES * sqa_align64(2 * (size_t)s.modes * sizeof(double));
}

static size_t kernel_workspace(const struct sqa_node *n, int threads)
{
    return (size_t)threads * table_bytes(n);
}

static struct tables tables_of(const struct sqa_node *n, void *workspace, int thread)
{
    const struct kernel_shape s = kernel_shape_of(n);
    const size_t size = sqa_dtype_size(n->in[C]->dtype), columns = (n->nin > DK ? 4 : 2) * (size_t)s.modes;
    struct tables t = {.powers = (unsigned char *)workspace + (size_t)thread * table_bytes(n)};
    double **const doubles[DOUBLES] = {&t.a, &t.z, &t.big, &t.b, &t.work[0], &t.work[1], &t.work[2], &t.work[3]};
    unsigned char *p;

    t.rows = t.powers + sqa_align64(columns * (size_t)s.step * size);
    p = t.rows + sqa_align64(columns * (size_t)s.rows * size);
    for (int i = 0; i < DOUBLES; i++, p += sqa_align64(2 * (size_t)s.modes * sizeof(double)))
        *doubles[i] = (double *)(void *)p;
    return t;
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

static double complex get(const double *x, int64_t i, int64_t modes)
{
    return complex_of(x[i], x[modes + i]);
}

static void set(double *x, int64_t i, int64_t modes, double complex v)
{
    x[i] = creal(v);
    x[modes + i] = cimag(v);
}

/* Products without the care for infinities that C asks of its operator */
static double complex mul(double complex a, double complex b)
{
    return complex_of(creal(a) * creal(b) - cimag(a) * cimag(b), creal(a) * cimag(b) + cimag(a) * creal(b));
}

static double complex quotient(double complex a, double complex b)
{
    return mul(a, conj(b)) / (creal(b) * creal(b) + cimag(b) * cimag(b));
}

/* a, z = exp(dt a), b = (z - 1) / a of a channel's modes */
static void set_modes(const struct sqa_node *n, const struct kernel_shape *s, const struct tables *t, int64_t channel,
                      double dt)
{
    for (int64_t i = 0; i < s->modes; i++) {
        const double complex a =
            complex_of(-exp(at(n->in[LOG_A_RE], channel * s->modes + i)), at(n->in[A_IM], channel * s->modes + i));
        const double re = dt * creal(a), im = dt * cimag(a), less = expm1(re), half = sin(im / 2);
        const double c = 1 - 2 * half * half, z_im = (1 + less) * sin(im);

        set(t->a, i, s->modes, a);
        set(t->z, i, s->modes, complex_of((1 + less) * c, z_im));
        set(t->b, i, s->modes, quotient(complex_of(less * c - 2 * half * half, z_im), a));
    }
}

static int64_t c_place(const struct kernel_shape *s, int64_t kernel, int64_t channel, int64_t i)
{
    return ((kernel * s->width + channel) * s->modes + i) * 2;
}

static double complex c_at(const struct sqa_node *n, const struct kernel_shape *s, int64_t kernel, int64_t channel,
                           int64_t i)
{
    const int64_t place = c_place(s, kernel, channel, i);

    return complex_of(at(n->in[C], place), at(n->in[C], place + 1));
}

/* Powers z^j of the table, rows of `stride` numbers; big = z^step. */
static void fill_powers(const struct sqa_kernels *k, const struct kernel_shape *s, const struct tables *t,
                        int64_t stride)
{
    for (int64_t i = 0; i < s->modes; i++)
        set(t->big, i, s->modes, 1);
    k->powers(t->z, t->big, (size_t)s->modes, (size_t)s->step, 1, 1, t->powers, (size_t)stride);
}

/* K, seen as (rows, step), = rows of w big^i times powers^T */
static void forward_channel(const struct sqa_node *n, const struct tables *t, int64_t channel)
{
    const struct kernel_shape s = kernel_shape_of(n);
    const struct sqa_kernels *k = sqa_kernels_of(n->in[C]->dtype);
    const int64_t full = s.length / s.step, rest = s.length % s.step, columns = 2 * s.modes;

    set_modes(n, &s, t, channel, exp(at(n->in[LOG_DT], channel)));
    fill_powers(k, &s, t, columns);
    for (int64_t r = 0; r < s.kernels; r++) {
        unsigned char *y = sqa_at(sqa_data(n->out[r]), channel * s.length, k->size);

        for (int64_t i = 0; i < s.modes; i++)
            set(t->work[0], i, s.modes, mul(c_at(n, &s, r, channel, i), get(t->b, i, s.modes)));
        k->powers(t->big, t->work[0], (size_t)s.modes, (size_t)s.rows, 2, -2, t->rows, (size_t)columns);
        k->gemm(0, 1, full, s.step, columns, 1.0, t->rows, columns, t->powers, columns, 0.0, y, s.step);
        if (rest != 0)
            k->gemm(0, 1, 1, rest, columns, 1.0, sqa_at_const(t->rows, full * columns, k->size), columns, t->powers,
                    columns, 0.0, sqa_at(y, full * s.step, k->size), rest);
    }
    if (s.length != 0)
        put(n->out[0], channel * s.length, at(n->out[0], channel * s.length) + at(n->in[SKIP], channel));
}

/* T0 and T1 of kernel r's gradient, in work[0] and work[1]: dK, seen as (rows, step), times the powers and the powers
 * j z^j gives rows u and v; T0 = sum over i of big^i u_i, T1 = sum of big^i (step i u_i + v_i). */
static void moments(const struct sqa_node *n, const struct kernel_shape *s, const struct tables *t, int64_t r,
                    int64_t channel)
{
    const struct sqa_kernels *k = sqa_kernels_of(n->in[C]->dtype);
    const void *dk = sqa_at_const(sqa_data(n->in[DK + r]), channel * s->length, k->size);
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

static void backward_channel(const struct sqa_node *n, const struct tables *t, int64_t channel)
{
    const struct kernel_shape s = kernel_shape_of(n);
    const struct sqa_kernels *k = sqa_kernels_of(n->in[C]->dtype);
    const double dt = exp(at(n->in[LOG_DT], channel));
    double d_log_dt = 0;

    set_modes(n, &s, t, channel, dt);
    fill_powers(k, &s, t, 4 * s.modes);
    for (int64_t j = 0; j < s.step; j++) {
        unsigned char *row = sqa_at(t->powers, j * 4 * s.modes, k->size);

        k->affine((double)j, row, 0, sqa_at(row, 2 * s.modes, k->size), 2 * (size_t)s.modes);
    }
    for (int64_t r = 0; r < s.kernels; r++) {
        moments(n, &s, t, r, channel);
        for (int64_t i = 0; i < s.modes; i++) {
            const double complex a = get(t->a, i, s.modes), z = get(t->z, i, s.modes), b = get(t->b, i, s.modes);
            const double complex c = c_at(n, &s, r, channel, i), t0 = get(t->work[0], i, s.modes);
            const double complex dw = 2 * mul(t0, b), dl = 2 * mul(mul(c, b), get(t->work[1], i, s.modes));
            const int64_t place = c_place(&s, r, channel, i), mode = channel * s.modes + i;
            /* db/da = (dt z - b) / a, db/ddt = z */
            const double complex da = dt * dl + 2 * mul(mul(t0, c), quotient(dt * z - b, a));
            const double complex ddt = mul(dl, a) + 2 * mul(mul(t0, c), z);

            put(n->out[C], place, creal(dw));
            put(n->out[C], place + 1, -cimag(dw));
            d_log_dt += dt * creal(ddt);
            put(n->out[LOG_A_RE], mode, (r == 0 ? 0 : at(n->out[LOG_A_RE], mode)) + creal(a) * creal(da));
            put(n->out[A_IM], mode, (r == 0 ? 0 : at(n->out[A_IM], mode)) - cimag(da));
        }
    }
    put(n->out[LOG_DT], channel, d_log_dt);
}

struct kernel_job {
    const struct sqa_node *n;
    void *workspace;
};

static void kernel_channels(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct kernel_job *j = ctx;
    const struct tables t = tables_of(j->n, j->workspace, thread);

    for (int64_t i = first; i < first + count; i++) {
        if (j->n->nin > DK)
            backward_channel(j->n, &t, i);
        else
            forward_channel(j->n, &t, i);
    }
}

/* A mode: exp(dt A) and (exp(dt A) - 1) / A 24, powers 8 step. A kernel's mode: w 6, powers 8 rows, product 4 L. */
static double kernel_count(const struct kernel_shape *s)
{
    const double modes = (double)(s->width * s->modes), rows = (double)s->rows;

    return modes * (24 + 8 * (double)s->step + (double)s->kernels * (6 + 8 * rows + 4 * (double)s->length));
}

static double kernel_flops(const struct sqa_node *n)
{
    const struct kernel_shape s = kernel_shape_of(n);

    return kernel_count(&s);
}

/* As above, with two products a kernel, 32 flops a row for T0 and T1, and 70 a mode for the parameters. */
static double kernel_bwd_flops(const struct sqa_node *n)
{
    const struct kernel_shape s = kernel_shape_of(n);
    const double modes = (double)(s.width * s.modes), rows = (double)s.rows;

    return modes * (24 + 10 * (double)s.step + (double)s.kernels * (70 + 32 * rows + 8 * (double)s.length));
}

static void kernel_run(const struct sqa_node *n, const struct sqa_run *r)
{
    struct kernel_job j = {n, r->workspace};

    sqa_chunks(r, n->in[C]->dim[1], 4, kernel_flops(n), kernel_channels, &j);
}

static const struct sqa_op op_kernel_bwd = {
    .name = "s4d_kernel_bwd",
    .help = "gradients of s4d_kernel",
    .shape = kernel_check,
    .run = kernel_run,
    .flops = kernel_bwd_flops,
    .workspace = kernel_workspace,
    .tolerance = 1e-4,
};

static void kernel_grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    struct sqa_tensor *in[DK2 + 1] = {n->in[LOG_DT], n->in[LOG_A_RE], n->in[A_IM], n->in[C], n->in[SKIP]}, *t;

    for (int i = 0; i < n->nout; i++)
        in[DK + i] = dy[i] != NULL ? dy[i] : sqa_fill(g, 0.0, 2, n->out[i]->dim);
    t = sqa_apply(g, &op_kernel_bwd, n->attr, sizeof(int64_t), DK + n->nout, in);
    for (int i = 0; t != NULL && i <= C; i++)
        dx[i] = t->node->out[i];
    dx[SKIP] = sqa_reshape(g, sqa_slice(g, in[DK], 1, 0, 1), 1, n->in[SKIP]->dim);
}

static const struct sqa_op op_kernel = {
    .name = "s4d_kernel",
    .help = "K_l = 2 Re sum_n C_n (exp(dt A_n) - 1) / A_n exp(l dt A_n), d added to the first K_0",
    .shape = kernel_check,
    .run = kernel_run,
    .grad = kernel_grad,
    .flops = kernel_flops,
    .workspace = kernel_workspace,
    .tolerance = 1e-5,
};

struct sqa_tensor *sqa_s4d_kernel(struct sqa_graph *g, struct sqa_s4d_parameters p, int64_t length,
                                  struct sqa_tensor **second)
{
    struct sqa_tensor *const in[] = {p.log_dt, p.log_a_re, p.a_im, p.c, p.d};
    struct sqa_tensor *kernel;

    *second = NULL;
    if (!sqa_ready(g, "s4d_kernel", 5, in))
        return NULL;
    kernel = sqa_apply(g, &op_kernel, &length, sizeof length, 5, in);
    if (kernel != NULL && kernel->node->nout > 1)
        *second = kernel->node->out[1];
    return kernel;
}

double sqa_s4d_kernel_flops(int64_t kernels, int64_t width, int64_t modes, int64_t length)
{
    const struct kernel_shape s =
        with_rows((struct kernel_shape){.kernels = kernels, .width = width, .modes = modes, .length = length});

    return kernel_count(&s);
}

/* s4d_step: z and w for the recurrence. Outputs (2, D, M): real parts, then imaginary ones; of w minus those, so that
 * Re(w x) is a sum of products. */

static enum sqa_status step_shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *c = n->in[C];
    char text[96];

    if (c->rank != 4 || c->dim[0] != 1 || c->dim[3] != 2 || sqa_numel(n->in[LOG_DT]) != c->dim[1] ||
        sqa_numel(n->in[LOG_A_RE]) != c->dim[1] * c->dim[2] || sqa_numel(n->in[A_IM]) != c->dim[1] * c->dim[2])
        return sqa_shape_fail(n, err, "c is %s; give log_dt (D), log_a_re and a_im (D, M), c (1, D, M, 2)",
                              sqa_shape_text(c, text));
    for (int i = 0; i < 2; i++)
        sqa_set_output(n, i, c->dtype, SQA_DIMS(2, c->dim[1], c->dim[2]));
    return SQA_OK;
}

static void step_run(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct kernel_shape s = kernel_shape_of(n);
    const struct tables t = tables_of(n, r->workspace, 0);
    const int64_t imag = s.width * s.modes;

    for (int64_t channel = 0; channel < s.width; channel++) {
        set_modes(n, &s, &t, channel, exp(at(n->in[LOG_DT], channel)));
        for (int64_t i = 0; i < s.modes; i++) {
            const int64_t place = channel * s.modes + i;
            const double complex z = get(t.z, i, s.modes);
            const double complex w = 2 * mul(c_at(n, &s, 0, channel, i), get(t.b, i, s.modes));

            put(n->out[0], place, creal(z));
            put(n->out[0], imag + place, cimag(z));
            put(n->out[1], place, creal(w));
            put(n->out[1], imag + place, -cimag(w));
        }
    }
}

static const struct sqa_op op_step = {
    .name = "s4d_step_tables",
    .help = "exp(dt A) and 2 C (exp(dt A) - 1) / A",
    .shape = step_shape,
    .run = step_run,
    .workspace = kernel_workspace,
};

struct sqa_tensor *sqa_s4d_step_tables(struct sqa_graph *g, struct sqa_s4d_parameters p, struct sqa_tensor **w)
{
    struct sqa_tensor *const in[] = {p.log_dt, p.log_a_re, p.a_im, p.c};
    const int64_t length = 1;

    *w = NULL;
    if (!sqa_ready(g, "s4d_step_tables", 4, in))
        return NULL;
    struct sqa_tensor *z = sqa_apply(g, &op_step, &length, sizeof length, 4, in);

    if (z != NULL)
        *w = z->node->out[1];
    return z;
}
