/*
 * test_kernels_fft.c - long convolution by FFT against the direct sums: one- and two-sided, adjoint, kernel gradients
 */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "kernels/kernels.h"

enum { MAX = 1024 };

static const struct sqa_kernels *table[10];
static size_t tables;

struct direct {
    double u[MAX], k[MAX], k2[MAX], dy[MAX];   /* inputs */
    double y[MAX], du[MAX], dk[MAX], dk2[MAX]; /* direct sums */
};

static void make_direct(struct direct *c, size_t n, int two_sided)
{
    for (size_t i = 0; i < n; i++) {
        c->u[i] = (double)(float)sqa_random_normal(n, i);
        c->k[i] = (double)(float)sqa_random_normal(n + 1, i);
        c->k2[i] = two_sided ? (double)(float)sqa_random_normal(n + 2, i) : 0;
        c->dy[i] = (double)(float)sqa_random_normal(n + 3, i);
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

static void expect(const char *what, const struct sqa_kernels *k, size_t n, const void *got, const double *want)
{
    double x[MAX];
    k->to_f64(got, x, n);
    const double bound = (k->size == sizeof(double) ? 1e-13 : 1e-6) * (1 + sqrt((double)n)) * 3;
    for (size_t i = 0; i < n; i++)
        if (!(fabs(x[i] - want[i]) <= bound))
            fail_msg("%s fft %s: n %zu: element %zu is %.9g, not %.9g (bound %g)", k->isa, what, n, i, x[i], want[i],
                     bound);
}

/* Heap copies of exact size, so that the address sanitizer sees an access past the end. */
static void *copy(const struct sqa_kernels *k, const double *x, size_t n)
{
    void *y = malloc(n * k->size);
    assert_non_null(y);
    if (x)
        k->from_f64(x, y, n);
    return y;
}

static void check(const struct sqa_kernels *k, size_t n, int two_sided)
{
    static struct direct c;
    make_direct(&c, n, two_sided);
    const int64_t len = (int64_t)n;
    const size_t points = k->fft_spectrum(len);
    void *u = copy(k, c.u, n), *kk = copy(k, c.k, n), *k2 = copy(k, c.k2, n), *dy = copy(k, c.dy, n);
    void *us = copy(k, NULL, points), *ks = copy(k, NULL, points), *ds = copy(k, NULL, points);
    void *acc = copy(k, NULL, points), *y = copy(k, NULL, n), *y2 = copy(k, NULL, n);
    void *workspace = malloc(k->fft_workspace(len));
    assert_non_null(workspace);
    k->fft_forward(u, NULL, len, us, workspace);
    k->fft_forward(kk, two_sided ? k2 : NULL, len, ks, workspace);
    k->fft_forward(dy, NULL, len, ds, workspace);
    k->fft_apply(us, ks, 0, len, y, workspace);
    expect("convolution", k, n, y, c.y);
    k->fft_apply(ds, ks, 1, len, y, workspace);
    expect("adjoint", k, n, y, c.du);
    memset(acc, 0, points * k->size);
    k->fft_accumulate(us, ds, acc, len);
    k->fft_kernel_grad(acc, len, y, two_sided ? y2 : NULL, workspace);
    expect("kernel gradient", k, n, y, c.dk);
    if (two_sided)
        expect("kernel gradient of k2", k, n, y2, c.dk2);
    k->fft_accumulate(us, ds, acc, len); /* adds */
    k->fft_kernel_grad(acc, len, y, NULL, workspace);
    for (size_t i = 0; i < n; i++)
        c.dk[i] *= 2;
    expect("accumulated kernel gradient", k, n, y, c.dk);
    void *const all[] = {u, kk, k2, dy, us, ks, ds, acc, y, y2, workspace};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

static void test_convolution(void **state)
{
    (void)state;
    for (size_t t = 0; t < tables; t++)
        for (int two_sided = 0; two_sided < 2; two_sided++) {
            for (size_t n = 1; n <= 100; n++)
                check(table[t], n, two_sided);
            check(table[t], 257, two_sided);
            check(table[t], 512, two_sided);
            check(table[t], 1000, two_sided);
        }
}

enum { LONG = 5000 };

static void *transform(void *spectrum)
{
    double *u = malloc(LONG * sizeof *u), *workspace = malloc(sqa_kernels_f64.fft_workspace(LONG));
    if (u && workspace) {
        for (size_t i = 0; i < LONG; i++)
            u[i] = sqa_random_normal(5, i);
        sqa_kernels_f64.fft_forward(u, NULL, LONG, spectrum, workspace);
    }
    free(workspace);
    free(u);
    return NULL;
}

/* Tables of a size nobody has used yet, made while two threads ask for them. */
static void test_threads(void **state)
{
    (void)state;
    const size_t bytes = sqa_kernels_f64.fft_spectrum(LONG) * sizeof(double);
    void *a = malloc(bytes), *b = malloc(bytes);
    assert_true(a && b);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, transform, a), 0);
    transform(b);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_memory_equal(a, b, bytes);
    free(a);
    free(b);
}

static int setup(void **state)
{
    (void)state;
    sqa_kernels_init();
    table[0] = sqa_kernels_plain(1);
    table[1] = sqa_kernels_plain(0);
    tables = 2 + sqa_kernels_simd(table + 2);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_convolution), cmocka_unit_test(test_threads)};
    return cmocka_run_group_tests(tests, setup, NULL);
}
