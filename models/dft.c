/* dft.c - see dft.h */
#include "models/dft.h"

#include <math.h>

#include "engine/ops/support.h"

enum { WANTED = 32, BLOCK = 32, MAX_STEPS = 32 }; /* size of a factor; rows of a table made at a time */

struct steps {
    int n;
    int64_t factor[MAX_STEPS];
};

/* Prime factors, joined while they stay within WANTED, largest first. */
static struct steps steps_of(int64_t length)
{
    struct steps s = {0};
    int64_t prime[64];
    int primes = 0;

    for (int64_t p = 2; length > 1; p = p * p > length ? length : p + 1)
        while (length % p == 0) {
            prime[primes++] = p;
            length /= p;
        }
    for (int i = primes - 1; i >= 0; i--) {
        int best = -1;

        for (int k = 0; k < s.n; k++)
            if (s.factor[k] * prime[i] <= WANTED && (best < 0 || s.factor[k] < s.factor[best]))
                best = k;
        if (best >= 0)
            s.factor[best] *= prime[i];
        else
            s.factor[s.n++] = prime[i];
    }
    if (s.n == 0)
        s.factor[s.n++] = 1;
    return s;
}

static int64_t columns_of(int64_t dim)
{
    return dim / 2 + 1;
}

double sqa_real_dft_flops(int64_t batch, int64_t length, int64_t dim)
{
    const struct steps s = steps_of(length);
    const double points = (double)(batch * length * columns_of(dim));
    double sum = 0;

    for (int i = 0; i < s.n; i++)
        sum += 8 * (double)s.factor[i];
    return points * (4 * (double)dim + sum - 4 * (double)s.factor[s.n - 1]);
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

/* Numbers lie as two planes, real and imaginary, of (B, L, C) each. */
struct job {
    const struct sqa_kernels *k;
    int64_t batch, length, dim, columns;
    const unsigned char *x;
    unsigned char *y;
    unsigned char *waves;    /* (D, 2 C): cosines, then minus sines */
    unsigned char *turns;    /* (L) cosines of 2 pi j / L, then (L) sines */
    unsigned char *plane[4]; /* real and imaginary parts of what is read, and of what is written */
    unsigned char *table;    /* of each thread: BLOCK rows of up to the largest factor, real, imaginary */
    int64_t largest;
    int64_t factor, rest, done; /* of a step: L = factor rest done */
    bool last;
};

static size_t lay_out(struct job *j, const struct sqa_node *n, void *base, int threads)
{
    const struct sqa_tensor *x = n->in[0];
    const struct steps s = steps_of(x->dim[1]);
    size_t bytes = 0;

    *j = (struct job){.k = sqa_kernels_of(x->dtype),
                      .batch = x->dim[0],
                      .length = x->dim[1],
                      .dim = x->dim[2],
                      .columns = columns_of(x->dim[2])};
    for (int i = 0; i < s.n; i++)
        j->largest = sqa_max64(j->largest, s.factor[i]);
    const size_t plane = (size_t)(j->batch * j->length * j->columns) * j->k->size;

    j->waves = sqa_take(base, &bytes, (size_t)(j->dim * 2 * j->columns) * j->k->size);
    j->turns = sqa_take(base, &bytes, (size_t)(2 * j->length) * j->k->size);
    for (int i = 0; i < 4; i++)
        j->plane[i] = sqa_take(base, &bytes, plane);
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

/* Rows of x over channels, into the planes that are read. */
static void over_channels(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;

    (void)thread;
    for (int i = 0; i < 2; i++)
        j->k->gemm(0, 0, count, j->columns, j->dim, 1, sqa_at_const(j->x, first * j->dim, j->k->size), j->dim,
                   sqa_at(j->waves, i * j->columns, j->k->size), 2 * j->columns, 0,
                   sqa_at(j->plane[i], first * j->columns, j->k->size), j->columns);
}

/* Rows from .. from + rows - 1 of the table of place p: exp(-2 pi i (i k / f + p k / (f rest))), row k, column i. */
static void make_table(const struct job *j, int64_t p, int64_t from, int64_t rows, unsigned char *re,
                       unsigned char *im)
{
    const int64_t n = j->factor * j->rest;
    const size_t size = j->k->size;

    for (int64_t k = from; k < from + rows; k++)
        for (int64_t i = 0; i < j->factor; i++) {
            const int64_t at = k * (i * j->rest + p) % n * j->done, to = (k - from) * j->factor + i;

            memcpy(re + (size_t)to * size, j->turns + (size_t)at * size, size);
            memcpy(im + (size_t)to * size, j->turns + (size_t)(j->length + at) * size, size);
        }
}

/* Place p of a row of the batch: factors x[i rest + p] of done C numbers each -> y[p factor + k]. */
static void places(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    const int64_t f = j->factor, wide = j->done * j->columns, all = j->length * j->columns;
    const size_t size = j->k->size;
    unsigned char *re = sqa_at(j->table, thread * 2 * BLOCK * j->largest, size);
    unsigned char *im = sqa_at(re, BLOCK * j->largest, size);

    for (int64_t u = first; u < first + count; u++) {
        const int64_t p = u % j->rest, from = u / j->rest * all + p * wide, to = u / j->rest * all + p * f * wide;

        for (int64_t k = 0; k < f; k += BLOCK) {
            const int64_t rows = sqa_min64(BLOCK, f - k);
            /* (re - i im) (x_re + i x_im) */
            const struct {
                const unsigned char *table;
                int in, out;
                double sign, keep;
            } products[] = {{re, 0, 2, 1, 0}, {im, 1, 2, 1, 1}, {re, 1, 3, 1, 0}, {im, 0, 3, -1, 1}};

            make_table(j, p, k, rows, re, im);
            for (int i = 0; i < (j->last ? 2 : 4); i++)
                j->k->gemm(0, 0, rows, wide, f, products[i].sign, products[i].table, f,
                           sqa_at(j->plane[products[i].in], from, size), j->rest * wide, products[i].keep,
                           sqa_at(j->plane[products[i].out], to + k * wide, size), wide);
        }
    }
}

/* y from the real plane: channel D - e of row k is channel e of row -k. */
static void unfold(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    const size_t size = j->k->size;

    (void)thread;
    for (int64_t i = first; i < first + count; i++) {
        const int64_t b = i / j->length, k = i % j->length, back = b * j->length + (j->length - k) % j->length;
        unsigned char *to = sqa_at(j->y, i * j->dim, size);

        memcpy(to, sqa_at(j->plane[0], i * j->columns, size), (size_t)j->columns * size);
        for (int64_t e = j->columns; e < j->dim; e++)
            memcpy(to + (size_t)e * size, sqa_at(j->plane[0], back * j->columns + j->dim - e, size), size);
    }
}

static void exchange(struct job *j)
{
    for (int i = 0; i < 2; i++) {
        unsigned char *p = j->plane[i];

        j->plane[i] = j->plane[i + 2];
        j->plane[i + 2] = p;
    }
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    const double work = flops(n);
    struct job j;

    if (sqa_numel(n->in[0]) == 0)
        return;
    lay_out(&j, n, r->workspace, r->threads);
    const struct steps s = steps_of(j.length);
    const int64_t rows = j.batch * j.length;

    j.x = sqa_data(n->in[0]);
    j.y = sqa_data(n->out[0]);
    make_waves(&j);
    sqa_chunks(r, j.length, 1024, work, make_turns, &j);
    sqa_chunks(r, rows, 256, work, over_channels, &j);
    j.done = 1;
    j.rest = j.length;
    for (int i = 0; i < s.n; i++) {
        j.factor = s.factor[i];
        j.rest /= j.factor;
        j.last = i == s.n - 1;
        sqa_chunks(r, j.batch * j.rest, 1, work, places, &j);
        exchange(&j);
        j.done *= j.factor;
    }
    sqa_chunks(r, rows, 256, work, unfold, &j);
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
