/* dft.c - see dft.h */
#include "models/dft.h"

#include <math.h>

#include "engine/ops/support.h"

/* Columns of a unit of work; most of a joined factor; rows of a table made at a time */
enum { COLUMNS = 8, WANTED = 32, BLOCK = 32, MAX_STEPS = 64 };

struct steps {
    int n;
    int64_t factor[MAX_STEPS];
};

/* Fours, a two, then the other prime factors, joined while they stay within WANTED, largest first. */
static struct steps steps_of(int64_t length)
{
    struct steps s = {0};
    int64_t prime[64];
    int primes = 0, joined;

    for (; length % 4 == 0; length /= 4)
        s.factor[s.n++] = 4;
    for (; length % 2 == 0; length /= 2)
        s.factor[s.n++] = 2;
    joined = s.n;
    for (int64_t p = 3; length > 1; p = p * p > length ? length : p + 2)
        while (length % p == 0) {
            prime[primes++] = p;
            length /= p;
        }
    for (int i = primes - 1; i >= 0; i--) {
        int best = -1;

        for (int k = joined; k < s.n; k++)
            if (s.factor[k] * prime[i] <= WANTED && (best < 0 || s.factor[k] < s.factor[best]))
                best = k;
        if (best >= 0)
            s.factor[best] *= prime[i];
        else
            s.factor[s.n++] = prime[i];
    }
    return s;
}

static bool is_product(int64_t factor)
{
    return factor != 2 && factor != 4;
}

static int64_t columns_of(int64_t dim)
{
    return dim / 2 + 1;
}

/* Of a point of a step: sums and turns of 2 or 4, or a product with a table */
double sqa_real_dft_flops(int64_t batch, int64_t length, int64_t dim)
{
    const struct steps s = steps_of(length);
    const double points = (double)(batch * length * columns_of(dim));
    double sum = 0;

    for (int i = 0; i < s.n; i++) {
        const double f = (double)s.factor[i], each = is_product(s.factor[i]) ? 8 * f : f == 4 ? 8.5 : 5;

        sum += i == s.n - 1 ? each / 2 : each;
    }
    return points * (4 * (double)dim + sum);
}

static double flops(const struct sqa_node *n)
{
    const struct sqa_tensor *x = n->in[0];

    return sqa_real_dft_flops(x->dim[0], x->dim[1], x->dim[2]);
}

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *x = n->in[0];
    char have[96];

    if (!sqa_is_real(x) || x->rank != 3)
        return sqa_shape_fail(n, err, "x is %s; give real (B, L, D)", sqa_shape_text(x, have));
    sqa_set_output(n, 0, x->dtype, 3, x->dim);
    return SQA_OK;
}

struct job {
    const struct sqa_kernels *k;
    struct steps steps;
    int64_t batch, length, dim, columns;
    int64_t unit, units,
        largest; /* columns of a unit, units of a row of the batch; largest factor that is a product */
    const unsigned char *x;
    unsigned char *y;
    unsigned char *waves;  /* (D, 2 C): cosines, then minus sines */
    unsigned char *turns;  /* (L) cosines of 2 pi j / L, then (L) sines */
    unsigned char *rows;   /* (B, L, 2 C): of each position C real parts, then C imaginary ones */
    unsigned char *planes; /* of each thread: 2 x (real, imaginary) of (L, unit) */
    unsigned char *table;  /* of each thread: BLOCK rows of the largest factor, real, imaginary */
};

static size_t lay_out(struct job *j, const struct sqa_node *n, void *base, int threads)
{
    const struct sqa_tensor *x = n->in[0];
    size_t bytes = 0;

    *j = (struct job){.k = sqa_kernels_of(x->dtype),
                      .steps = steps_of(x->dim[1]),
                      .batch = x->dim[0],
                      .length = x->dim[1],
                      .dim = x->dim[2],
                      .columns = columns_of(x->dim[2])};
    for (int i = 0; i < j->steps.n; i++)
        if (is_product(j->steps.factor[i]))
            j->largest = sqa_max64(j->largest, j->steps.factor[i]);
    /* a large table is made once for all columns */
    j->unit = j->largest > WANTED ? j->columns : sqa_min64(COLUMNS, j->columns);
    j->units = (j->columns + j->unit - 1) / j->unit;
    j->waves = sqa_take(base, &bytes, (size_t)(j->dim * 2 * j->columns) * j->k->size);
    j->turns = sqa_take(base, &bytes, (size_t)(2 * j->length) * j->k->size);
    j->rows = sqa_take(base, &bytes, (size_t)(j->batch * j->length * 2 * j->columns) * j->k->size);
    j->planes = sqa_take(base, &bytes, (size_t)(threads * 4 * j->length * j->unit) * j->k->size);
    j->table = sqa_take(base, &bytes, (size_t)(threads * 2 * BLOCK * j->largest) * j->k->size);
    return bytes;
}

static size_t workspace(const struct sqa_node *n, int threads)
{
    struct job j;

    return lay_out(&j, n, NULL, threads);
}

static double turn(int64_t i, int64_t n, bool sine)
{
    const double angle = 6.28318530717958647692 * (double)(i % n) / (double)n;

    return sine ? sin(angle) : cos(angle);
}

static void set(const struct job *j, unsigned char *base, int64_t i, double v)
{
    if (j->k->size == sizeof v)
        memcpy(base + (size_t)i * sizeof v, &v, sizeof v);
    else
        memcpy(base + (size_t)i * sizeof(float), &(float){(float)v}, sizeof(float));
}

static void make_waves(const struct job *j)
{
    for (int64_t i = 0; i < j->dim; i++)
        for (int64_t e = 0; e < j->columns; e++) {
            set(j, j->waves, i * 2 * j->columns + e, turn(i * e, j->dim, false));
            set(j, j->waves, i * 2 * j->columns + j->columns + e, -turn(i * e, j->dim, true));
        }
}

static void make_turns(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;

    (void)thread;
    for (int64_t i = first; i < first + count; i++) {
        set(j, j->turns, i, turn(i, j->length, false));
        set(j, j->turns, j->length + i, turn(i, j->length, true));
    }
}

static void over_channels(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    const int64_t wide = 2 * j->columns;

    (void)thread;
    j->k->gemm(0, 0, count, wide, j->dim, 1, sqa_at_const(j->x, first * j->dim, j->k->size), j->dim, j->waves, wide,
               0, sqa_at(j->rows, first * wide, j->k->size), wide);
}

/* to[i] = x[((start + k i) mod n) step], i < count; start and k below n */
static void pick(size_t size, const unsigned char *x, int64_t start, int64_t k, int64_t n, int64_t step,
                 int64_t count, void *to)
{
    for (int64_t i = 0, at = start; i < count; i++, at = at + k < n ? at + k : at + k - n) {
        if (size == sizeof(float))
            ((float *)to)[i] = ((const float *)(const void *)x)[at * step];
        else
            ((double *)to)[i] = ((const double *)(const void *)x)[at * step];
    }
}

/* Rows from .. from + rows - 1 of the table of place p: exp(-2 pi i k (i places + p) / (f places)), row k, column i. */
static void make_table(const struct job *j, const struct sqa_dft_step *s, int64_t p, int64_t from, int64_t rows,
                       unsigned char *re, unsigned char *im)
{
    const int64_t n = s->factor * s->places, f = s->factor;
    const size_t size = j->k->size;

    for (int64_t k = from; k < from + rows; k++) {
        const int64_t start = k * p % n, next = k * s->places % n;

        pick(size, j->turns, start, next, n, s->step, f, sqa_at(re, (k - from) * f, size));
        pick(size, sqa_at(j->turns, j->length, size), start, next, n, s->step, f, sqa_at(im, (k - from) * f, size));
    }
}

/* What dft_step does, for any factor */
static void by_products(const struct job *j, const struct sqa_dft_step *s, int thread)
{
    const int64_t f = s->factor;
    const size_t size = j->k->size;
    unsigned char *re = sqa_at(j->table, thread * 2 * BLOCK * j->largest, size);
    unsigned char *im = sqa_at(re, BLOCK * j->largest, size);
    /* (re - i im) (x_re + i x_im) */
    const struct {
        const unsigned char *table;
        const void *in;
        void *out;
        double sign, keep;
    } products[] = {{re, s->x_re, s->y_re, 1, 0},
                    {im, s->x_im, s->y_re, 1, 1},
                    {re, s->x_im, s->y_im, 1, 0},
                    {im, s->x_re, s->y_im, -1, 1}};

    for (int64_t p = 0; p < s->places; p++)
        for (int64_t k = 0; k < f; k += BLOCK) {
            const int64_t rows = sqa_min64(BLOCK, f - k);

            make_table(j, s, p, k, rows, re, im);
            for (int i = 0; i < (s->y_im ? 4 : 2); i++)
                j->k->gemm(0, 0, rows, s->m, f, products[i].sign, products[i].table, f,
                           sqa_at_const(products[i].in, p * s->x_stride, size), s->places * s->x_stride,
                           products[i].keep, sqa_at(products[i].out, (p * f + k) * s->m, size), s->m);
        }
}

/* The steps over positions for columns e .. e + wide - 1 of row b of the batch; the real part of the result */
static const void *over_positions(const struct job *j, int64_t b, int64_t e, int64_t wide, int thread)
{
    const int64_t plane = j->length * j->unit, stride = 2 * j->columns;
    const size_t size = j->k->size;
    const void *re = sqa_at(j->rows, b * j->length * stride + e, size), *im = sqa_at_const(re, j->columns, size);
    struct sqa_dft_step s = {.x_re = re,
                             .x_im = im,
                             .x_stride = stride,
                             .m = wide,
                             .places = j->length,
                             .n = j->length,
                             .step = 1,
                             .turns = j->turns};

    for (int i = 0; i < j->steps.n; i++) {
        s.factor = (int)j->steps.factor[i];
        s.places /= s.factor;
        s.y_re = sqa_at(j->planes, (thread * 4 + i % 2 * 2) * plane, size);
        s.y_im = i == j->steps.n - 1 ? NULL : sqa_at(s.y_re, plane, size);
        if (is_product(s.factor))
            by_products(j, &s, thread);
        else
            j->k->dft_step(&s);
        s.step *= s.factor;
        s.m *= s.factor;
        s.x_stride = s.m;
        s.x_re = s.y_re;
        s.x_im = s.y_im;
    }
    return s.x_re;
}

/* y: column e of row k, and as column D - e of row -k where D - e has no column of its own. */
#define UNFOLD(T)                                                                                       \
    static void unfold_##T(const struct job *j, const void *from, int64_t stride, int64_t b, int64_t e, \
                           int64_t wide)                                                                \
    {                                                                                                   \
        const int64_t L = j->length, D = j->dim, least = sqa_max64(e, 1),                               \
                      most = sqa_min64(e + wide - 1, D - j->columns);                                   \
        T *y = (T *)(void *)j->y + b * L * D;                                                           \
                                                                                                        \
        for (int64_t k = 0; k < L; k++) {                                                               \
            const T *row = (const T *)from + k * stride - e;                                            \
            T *ahead = y + k * D, *back = y + (k == 0 ? 0 : L - k) * D + D;                             \
                                                                                                        \
            for (int64_t i = e; i < e + wide; i++)                                                      \
                ahead[i] = row[i];                                                                      \
            for (int64_t i = least; i <= most; i++)                                                     \
                back[-i] = row[i];                                                                      \
        }                                                                                               \
    }
UNFOLD(float)
UNFOLD(double)

static void units(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;

    for (int64_t u = first; u < first + count; u++) {
        const int64_t b = u / j->units, e = u % j->units * j->unit, wide = sqa_min64(j->unit, j->columns - e);
        const void *real = over_positions(j, b, e, wide, thread);

        (j->k->size == sizeof(float) ? unfold_float : unfold_double)(j, real, j->steps.n ? wide : 2 * j->columns, b,
                                                                     e, wide);
    }
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    const double work = flops(n);
    struct job j;

    if (sqa_numel(n->in[0]) == 0)
        return;
    lay_out(&j, n, r->workspace, r->threads);
    j.x = sqa_data(n->in[0]);
    j.y = sqa_data(n->out[0]);
    make_waves(&j);
    sqa_chunks(r, j.length, 1024, work, make_turns, &j);
    sqa_chunks(r, j.batch * j.length, 256, work, over_channels, &j);
    sqa_chunks(r, j.batch * j.units, 1, work, units, &j);
}

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    (void)n;
    dx[0] = sqa_real_dft(g, dy[0]);
}

static const struct sqa_op op_dft = {
    .name = "real_dft",
    .help = "the real part of a Fourier transform over positions and channels",
    .shape = shape,
    .run = run,
    .grad = grad,
    .flops = flops,
    .workspace = workspace,
};

struct sqa_tensor *sqa_real_dft(struct sqa_graph *g, struct sqa_tensor *x)
{
    return x ? sqa_apply(g, &op_dft, NULL, 0, 1, &x) : NULL;
}
