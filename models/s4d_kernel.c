/* s4d_kernel.c - see s4d_kernel.h */
#include "models/s4d_kernel.h"

#include <math.h>

#include "engine/ops/support.h"

struct complex {
    double re, im;
};

/* One mode: a, z = exp(dt a), b = (z - 1) / a. */
struct mode {
    double dt;
    struct complex a, z, b;
};

static struct complex mul(struct complex a, struct complex b)
{
    return (struct complex){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

static struct complex scaled(double s, struct complex a)
{
    return (struct complex){s * a.re, s * a.im};
}

static struct complex sum(struct complex a, struct complex b)
{
    return (struct complex){a.re + b.re, a.im + b.im};
}

static struct complex quotient(struct complex a, struct complex b)
{
    const double square = b.re * b.re + b.im * b.im;

    return (struct complex){(a.re * b.re + a.im * b.im) / square, (a.im * b.re - a.re * b.im) / square};
}

static struct mode mode_of(double dt, double log_a_re, double a_im)
{
    struct mode m = {.dt = dt, .a = {-exp(log_a_re), a_im}};
    const double re = dt * m.a.re, im = dt * m.a.im, half = sin(im / 2), size = exp(re);

    m.z = (struct complex){size * cos(im), size * sin(im)};
    m.b = quotient((struct complex){expm1(re) * cos(im) - 2 * half * half, m.z.im}, m.a);
    return m;
}

enum { LOG_DT, LOG_A_RE, A_IM, C, DK, DK2 };

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
        sqa_numel(n->in[LOG_A_RE]) != s.width * s.modes || sqa_numel(n->in[A_IM]) != s.width * s.modes)
        return sqa_shape_fail(n, err, "c is %s; give log_dt (D), log_a_re and a_im (D, M), c (1 or 2, D, M, 2)",
                              sqa_shape_text(c, text));
    if (n->nin > DK) { /* backward: gradients of the inputs */
        for (int i = 0; i <= C; i++)
            sqa_set_output(n, i, c->dtype, n->in[i]->rank, n->in[i]->dim);
        return SQA_OK;
    }
    for (int i = 0; i < s.kernels; i++)
        sqa_set_output(n, i, c->dtype, SQA_DIMS(s.width, s.length));
    return SQA_OK;
}

/* A thread's tables: powers z^j (2 M, step) and j z^j; rows (rows, 2 M) and again; and a row in double. */
struct tables {
    unsigned char *powers, *moments, *left, *right;
    double *row;
};

static size_t table_bytes(const struct sqa_node *n)
{
    const struct kernel_shape s = kernel_shape_of(n);
    const size_t size = sqa_dtype_size(n->in[C]->dtype), modes = 2 * (size_t)s.modes;

    return 2 * sqa_align64(modes * (size_t)s.step * size) + 2 * sqa_align64(modes * (size_t)s.rows * size) +
           sqa_align64(2 * (size_t)s.step * sizeof(double));
}

static size_t kernel_workspace(const struct sqa_node *n, int threads)
{
    return (size_t)threads * table_bytes(n);
}

static struct tables tables_of(const struct sqa_node *n, void *workspace, int thread)
{
    const struct kernel_shape s = kernel_shape_of(n);
    const size_t size = sqa_dtype_size(n->in[C]->dtype), modes = 2 * (size_t)s.modes;
    struct tables t;

    t.powers = (unsigned char *)workspace + (size_t)thread * table_bytes(n);
    t.moments = t.powers + sqa_align64(modes * (size_t)s.step * size);
    t.left = t.moments + sqa_align64(modes * (size_t)s.step * size);
    t.right = t.left + sqa_align64(modes * (size_t)s.rows * size);
    t.row = (double *)(void *)(t.right + sqa_align64(modes * (size_t)s.rows * size));
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

static struct mode mode_at(const struct sqa_node *n, const struct kernel_shape *s, int64_t channel, int64_t i)
{
    return mode_of(exp(at(n->in[LOG_DT], channel)), at(n->in[LOG_A_RE], channel * s->modes + i),
                   at(n->in[A_IM], channel * s->modes + i));
}

static int64_t c_place(const struct kernel_shape *s, int64_t kernel, int64_t channel, int64_t i)
{
    return ((kernel * s->width + channel) * s->modes + i) * 2;
}

static struct complex c_at(const struct sqa_node *n, const struct kernel_shape *s, int64_t kernel, int64_t channel,
                           int64_t i)
{
    const int64_t place = c_place(s, kernel, channel, i);

    return (struct complex){at(n->in[C], place), at(n->in[C], place + 1)};
}

/* Row i and M + i of powers (and of moments when moments): z^j. Returns z^step. */
static struct complex fill_powers(const struct sqa_kernels *k, const struct kernel_shape *s, const struct tables *t,
                                  struct complex z, int64_t i, bool moments)
{
    struct complex power = {1, 0};
    double *im = t->row + s->step;

    for (int64_t j = 0; j < s->step; j++) {
        t->row[j] = power.re;
        im[j] = power.im;
        power = mul(power, z);
    }
    k->from_f64(t->row, sqa_at(t->powers, i * s->step, k->size), (size_t)s->step);
    k->from_f64(im, sqa_at(t->powers, (s->modes + i) * s->step, k->size), (size_t)s->step);
    for (int64_t j = 0; j < s->step && moments; j++) {
        t->row[j] *= (double)j;
        im[j] *= (double)j;
    }
    if (moments) {
        k->from_f64(t->row, sqa_at(t->moments, i * s->step, k->size), (size_t)s->step);
        k->from_f64(im, sqa_at(t->moments, (s->modes + i) * s->step, k->size), (size_t)s->step);
    }
    return power;
}

/* Columns i and M + i of a table (rows, 2 M): 2 Re and -2 Im of w (z^step)^row. */
static void fill_left(const struct kernel_shape *s, enum sqa_dtype real, void *table, struct complex w,
                      struct complex big, int64_t i)
{
    const size_t size = sqa_dtype_size(real);

    for (int64_t row = 0; row < s->rows; row++) {
        sqa_real_set(real, sqa_at(table, row * 2 * s->modes + i, size), 2 * w.re);
        sqa_real_set(real, sqa_at(table, row * 2 * s->modes + s->modes + i, size), -2 * w.im);
        w = mul(w, big);
    }
}

static void forward_channel(const struct sqa_node *n, const struct tables *t, int64_t channel)
{
    const struct kernel_shape s = kernel_shape_of(n);
    const struct sqa_kernels *k = sqa_kernels_of(n->in[C]->dtype);
    const int64_t full = s.length / s.step, rest = s.length % s.step, columns = 2 * s.modes;

    for (int64_t i = 0; i < s.modes; i++) {
        const struct mode m = mode_at(n, &s, channel, i);
        const struct complex big = fill_powers(k, &s, t, m.z, i, false);

        for (int64_t r = 0; r < s.kernels; r++)
            fill_left(&s, n->in[C]->dtype, r == 0 ? t->left : t->right, mul(c_at(n, &s, r, channel, i), m.b), big, i);
    }
    for (int64_t r = 0; r < s.kernels; r++) {
        const unsigned char *left = r == 0 ? t->left : t->right;
        unsigned char *y = sqa_at(sqa_data(n->out[r]), channel * s.length, k->size);

        k->gemm(0, 0, full, s.step, columns, 1.0, left, columns, t->powers, s.step, 0.0, y, s.step);
        if (rest != 0)
            k->gemm(0, 0, 1, rest, columns, 1.0, sqa_at_const(left, full * columns, k->size), columns, t->powers,
                    s.step, 0.0, sqa_at(y, full * s.step, k->size), rest);
    }
}

/* table (rows, 2 M) = dK, seen as (rows, step), times powers^T. */
static void weigh(const struct sqa_kernels *k, const struct kernel_shape *s, const void *dk, const void *powers,
                  void *table)
{
    const int64_t full = s->length / s->step, rest = s->length % s->step, columns = 2 * s->modes;

    k->gemm(0, 1, full, columns, s->step, 1.0, dk, s->step, powers, s->step, 0.0, table, columns);
    if (rest != 0)
        k->gemm(0, 1, 1, columns, rest, 1.0, sqa_at_const(dk, full * s->step, k->size), rest, powers, s->step, 0.0,
                sqa_at(table, full * columns, k->size), columns);
}

/* T0 and T1 of mode i from the two tables of weigh. */
static void moments_of(const struct kernel_shape *s, enum sqa_dtype real, const struct tables *t, struct complex big,
                       int64_t i, struct complex *t0, struct complex *t1)
{
    const size_t size = sqa_dtype_size(real);
    struct complex power = {1, 0};

    *t0 = *t1 = (struct complex){0, 0};
    for (int64_t row = 0; row < s->rows; row++) {
        const int64_t re = row * 2 * s->modes + i, im = re + s->modes;
        const struct complex u = {sqa_real_get(real, sqa_at_const(t->left, re, size)),
                                  sqa_real_get(real, sqa_at_const(t->left, im, size))};
        const struct complex v = {sqa_real_get(real, sqa_at_const(t->right, re, size)),
                                  sqa_real_get(real, sqa_at_const(t->right, im, size))};

        *t0 = sum(*t0, mul(power, u));
        *t1 = sum(*t1, mul(power, sum(scaled((double)(row * s->step), u), v)));
        power = mul(power, big);
    }
}

static void backward_channel(const struct sqa_node *n, const struct tables *t, int64_t channel)
{
    const struct kernel_shape s = kernel_shape_of(n);
    const enum sqa_dtype real = n->in[C]->dtype;
    const struct sqa_kernels *k = sqa_kernels_of(real);
    double d_log_dt = 0;

    for (int64_t i = 0; i < s.modes; i++)
        (void)fill_powers(k, &s, t, mode_at(n, &s, channel, i).z, i, true);
    for (int64_t r = 0; r < s.kernels; r++) {
        const void *dk = sqa_at_const(sqa_data(n->in[DK + r]), channel * s.length, k->size);

        weigh(k, &s, dk, t->powers, t->left);
        weigh(k, &s, dk, t->moments, t->right);
        for (int64_t i = 0; i < s.modes; i++) {
            const struct mode m = mode_at(n, &s, channel, i);
            const struct complex c = c_at(n, &s, r, channel, i), w = mul(c, m.b);
            const int64_t place = c_place(&s, r, channel, i), mode = channel * s.modes + i;
            struct complex big = {1, 0}, t0, t1, dw, dl, da, ddt;

            for (int64_t j = 0; j < s.step; j++)
                big = mul(big, m.z);
            moments_of(&s, real, t, big, i, &t0, &t1);
            dw = scaled(2, mul(t0, m.b)); /* by c */
            put(n->out[C], place, dw.re);
            put(n->out[C], place + 1, -dw.im);
            dl = scaled(2, mul(w, t1));
            /* db/da = (dt z - b) / a, db/ddt = z */
            da = sum(scaled(m.dt, dl),
                     mul(scaled(2, mul(t0, c)), quotient(sum(scaled(m.dt, m.z), scaled(-1, m.b)), m.a)));
            ddt = sum(mul(dl, m.a), scaled(2, mul(mul(t0, c), m.z)));
            d_log_dt += m.dt * ddt.re;
            put(n->out[LOG_A_RE], mode, (r == 0 ? 0 : at(n->out[LOG_A_RE], mode)) + m.a.re * da.re);
            put(n->out[A_IM], mode, (r == 0 ? 0 : at(n->out[A_IM], mode)) - da.im);
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

/* A mode: exp(dt A) and (exp(dt A) - 1) / A 24, powers 6 step. A kernel's mode: w 6, powers 6 rows, doubling 2 rows,
 * product 4 L. */
static double kernel_count(const struct kernel_shape *s)
{
    const double modes = (double)(s->width * s->modes), rows = (double)s->rows;

    return modes * (24 + 6 * (double)s->step + (double)s->kernels * (6 + 8 * rows + 4 * (double)s->length));
}

static double kernel_flops(const struct sqa_node *n)
{
    const struct kernel_shape s = kernel_shape_of(n);

    return kernel_count(&s);
}

/* As above, with two products a kernel, 22 flops a row for T0 and T1, and 70 a mode for the parameters. */
static double kernel_bwd_flops(const struct sqa_node *n)
{
    const struct kernel_shape s = kernel_shape_of(n);
    const double modes = (double)(s.width * s.modes), rows = (double)s.rows;

    return modes * (24 + 8 * (double)s.step + (double)s.kernels * (70 + 28 * rows + 8 * (double)s.length));
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
    struct sqa_tensor *in[6] = {n->in[LOG_DT], n->in[LOG_A_RE], n->in[A_IM], n->in[C]}, *t;

    for (int i = 0; i < n->nout; i++)
        in[DK + i] = dy[i] != NULL ? dy[i] : sqa_fill(g, 0.0, 2, n->out[i]->dim);
    t = sqa_apply(g, &op_kernel_bwd, n->attr, sizeof(int64_t), DK + n->nout, in);
    for (int i = 0; t != NULL && i <= C; i++)
        dx[i] = t->node->out[i];
}

static const struct sqa_op op_kernel = {
    .name = "s4d_kernel",
    .help = "K_l = 2 Re sum_n C_n (exp(dt A_n) - 1) / A_n exp(l dt A_n)",
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
    struct sqa_tensor *const in[] = {p.log_dt, p.log_a_re, p.a_im, p.c};
    struct sqa_tensor *kernel;

    *second = NULL;
    if (!sqa_ready(g, "s4d_kernel", 4, in))
        return NULL;
    kernel = sqa_apply(g, &op_kernel, &length, sizeof length, 4, in);
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
