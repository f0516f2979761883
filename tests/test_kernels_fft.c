/*
 * test_kernels_fft.c - long convolution by FFT against the direct sums: one- and two-sided, gradients, 1 to 17
 * channels
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "kernels/plain/plain.h"

enum { MAX = 1536, STRIDE = 19 }; /* rows of 16 lanes at most, and a gap */

static struct sqa_kernels pair;
static const struct sqa_kernels *table[10];
static size_t tables;

struct direct {
    double u[MAX], k[MAX], k2[MAX], dy[MAX];   /* inputs */
    double y[MAX], du[MAX], dk[MAX], dk2[MAX]; /* direct sums */
};

static void make_direct(struct direct *c, size_t n, uint64_t key, int two_sided)
{
    for (size_t i = 0; i < n; i++) {
        c->u[i] = (double)(float)sqa_random_normal(key, i);
        c->k[i] = (double)(float)sqa_random_normal(key + 1, i);
        c->k2[i] = two_sided ? (double)(float)sqa_random_normal(key + 2, i) : 0;
        c->dy[i] = (double)(float)sqa_random_normal(key + 3, i);
        c->y[i] = c->du[i] = c->dk[i] = c->dk2[i] = 0;
    }
    for (size_t t = 0; t < n; t++)
        for (size_t s = 0; s < n; s++) {
            const double w = s <= t ? c->k[t - s] : c->k2[s - t - 1];
            c->y[t] += w * c->u[s];
            c->du[s] += w * c->dy[t];
            *(s <= t ? &c->dk[t - s] : &c->dk2[s - t - 1]) += c->u[s] * c->dy[t];
        }
}

/* Heap rows of exact size, so that the address sanitizer sees an access past the end. */
static void *room(const struct sqa_kernels *k, size_t n)
{
    void *x = malloc(n * k->size);
    assert_non_null(x);
    memset(x, 0, n * k->size);
    return x;
}

static size_t rows(size_t n, size_t lanes)
{
    return (n - 1) * STRIDE + lanes;
}

static void put(const struct sqa_kernels *k, void *x, size_t lane, const double *from, size_t n)
{
    for (size_t t = 0; t < n; t++)
        k->from_f64(from + t, (char *)x + (t * STRIDE + lane) * k->size, 1);
}

static void expect(const char *what, const struct sqa_kernels *k, const void *x, size_t lane, const double *want,
                   size_t n, double times)
{
    const double bound = (k->size == sizeof(double) ? 1e-14 : 1e-6) * (1 + sqrt((double)n)) * 3;
    for (size_t t = 0; t < n; t++) {
        double got;
        k->to_f64((const char *)x + (t * STRIDE + lane) * k->size, &got, 1);
        if (!(fabs(got - times * want[t]) <= times * bound))
            fail_msg("%s fft %s: n %zu, channel %zu: element %zu is %.9g, not %.9g (bound %g)", k->isa, what, n, lane,
                     t, got, times * want[t], bound);
    }
}

enum { U, K, K2, DY, Y, DU, DK, DK2, ARRAYS };

/* `different` channels of different numbers, in turns */
static void check(const struct sqa_kernels *k, size_t n, size_t lanes, size_t different, int two_sided)
{
    static struct direct c[3];
    const size_t points = k->fft_spectrum((int64_t)n);
    void *x[ARRAYS], *spectrum = room(k, points), *sum = room(k, points), *work = room(k, 2 * points);
    void *const t = room(k, k->fft_table((int64_t)n) + 1);
    const struct sqa_fft f = {(int64_t)n, (int64_t)lanes, t};
    for (int i = 0; i < ARRAYS; i++)
        x[i] = room(k, rows(n, lanes));
    for (size_t i = 0; i < different; i++)
        make_direct(&c[i], n, n + 10 * i, two_sided);
    for (size_t l = 0; l < lanes; l++) {
        const struct direct *d = &c[l % different];
        put(k, x[U], l, d->u, n);
        put(k, x[K], l, d->k, n);
        put(k, x[K2], l, d->k2, n);
        put(k, x[DY], l, d->dy, n);
    }
    k->fft_prepare((int64_t)n, t);
    k->fft_kernel(&f, x[K], two_sided ? x[K2] : NULL, STRIDE, spectrum);
    k->fft_convolve(&f, x[U], STRIDE, spectrum, x[Y], STRIDE, work);
    for (int i = 0; i < 2; i++) /* sums add */
        k->fft_gradient(&f, x[U], STRIDE, x[DY], STRIDE, spectrum, sum, x[DU], STRIDE, work);
    k->fft_kernel_grad(&f, sum, x[DK], two_sided ? x[DK2] : NULL, STRIDE);
    for (size_t l = 0; l < lanes; l++) {
        const struct direct *d = &c[l % different];
        expect("convolution", k, x[Y], l, d->y, n, 1);
        expect("gradient", k, x[DU], l, d->du, n, 1);
        expect("kernel gradient", k, x[DK], l, d->dk, n, 2);
        if (two_sided)
            expect("kernel gradient of k2", k, x[DK2], l, d->dk2, n, 2);
    }
    for (int i = 0; i < ARRAYS; i++)
        free(x[i]);
    free(t);
    free(work);
    free(sum);
    free(spectrum);
}

static void test_convolution(void **state)
{
    static const size_t large[] = {127, 128, 129, 161, 255, 257, 321, 512, 641, 768, 1000, 1024, 1025, 1281, 1531};
    (void)state;
    for (size_t i = 0; i < tables; i++)
        for (int two_sided = 0; two_sided < 2; two_sided++) {
            const size_t lanes = table[i]->fft_lanes();
            for (size_t n = 1; n <= 100; n++)
                check(table[i], n, 1 + n % lanes, 3, two_sided);
            for (size_t j = 0; j < sizeof large / sizeof *large; j++)
                check(table[i], large[j], lanes, 1, two_sided);
        }
}

/* A kernel of one number far back only delays: exact to rounding at every length, also where a direct sum would take
 * too long. */
static void test_long_delay(void **state)
{
    enum { N = 300007, BACK = 290001 };
    (void)state;
    for (size_t i = 0; i < tables; i++) {
        const struct sqa_kernels *k = table[i];
        const size_t points = k->fft_spectrum(N);
        void *u = room(k, N), *kernel = room(k, N), *t = room(k, k->fft_table(N) + 1), *spectrum = room(k, points);
        void *work = room(k, points), *y = room(k, N);
        const struct sqa_fft f = {N, 1, t};
        double worst = 0;
        for (size_t j = 0; j < N; j++) {
            const double v = sqa_random_normal(1, j), one = j == BACK;
            k->from_f64(&v, (char *)u + j * k->size, 1);
            k->from_f64(&one, (char *)kernel + j * k->size, 1);
        }
        k->fft_prepare(N, t);
        k->fft_kernel(&f, kernel, NULL, 1, spectrum);
        k->fft_convolve(&f, u, 1, spectrum, y, 1, work);
        for (size_t j = 0; j < N; j++) {
            double got, want = 0;
            k->to_f64((char *)y + j * k->size, &got, 1);
            if (j >= BACK)
                k->to_f64((char *)u + (j - BACK) * k->size, &want, 1);
            worst = fmax(worst, fabs(got - want));
        }
        if (!(worst <= (k->size == sizeof(double) ? 1e-14 : 6e-6)))
            fail_msg("%s: a delay of %d is off by %g", k->isa, BACK, worst);
        free(u);
        free(kernel);
        free(t);
        free(spectrum);
        free(work);
        free(y);
    }
}

/* What verify checks, in the 16-wide forms */
static void test_pair(void **state)
{
    static const char *const names[] = {"fft", "dft_step", "glu", "powers", "scan", "conv1d", "cauchy"};
    (void)state;
    for (const struct sqa_kernel_check *c = sqa_kernel_checks; pair.isa && c->kernel; c++)
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            for (size_t n = 1; n < 200 && strcmp(c->kernel, names[i]) == 0; n += 1 + n / 16) {
                const double error = c->run(&pair, n, n);
                if (!(error <= c->bound))
                    fail_msg("%s: n %zu: error %g, bound %g", c->kernel, n, error, c->bound);
            }
}

static int setup(void **state)
{
    (void)state;
    sqa_kernels_init();
    table[0] = sqa_kernels_plain(1);
    table[1] = sqa_kernels_plain(0);
    tables = 2 + sqa_kernels_simd(table + 2);
    if (tables > 2) {
        pair = *table[2];
        pair.isa = "pair";
#define X(name, isa) pair.name = sqa_k_##name##_f32_##isa;
        SQA_SIMD_LIST(X, pair)
#undef X
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_convolution), cmocka_unit_test(test_long_delay),
                                       cmocka_unit_test(test_pair)};
    return cmocka_run_group_tests(tests, setup, NULL);
}
