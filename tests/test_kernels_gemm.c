/*
 * test_kernels_gemm.c - products with a packed operand, every form against the plain f64 one: ragged sizes, strides
 *
 * Forms: plain, OpenBLAS, each SIMD table of this machine, and the 16-wide form on pairs of AVX2 vectors.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "kernels/kernels.h"
#include "kernels/plain/plain.h"

enum { MAX = 1 << 18, PANELS = 1 << 18 };
enum { A, B, C, BIAS, BUFFERS };

static struct {
    float f[MAX];
    double d[MAX];
} buffer[BUFFERS];
static float panels_f[PANELS];
static double panels_d[PANELS];

static struct sqa_kernels form[8];
static size_t forms;

static void fill(int b, uint64_t key, size_t n)
{
    assert_true(n <= MAX);
    for (size_t i = 0; i < n; i++) {
        buffer[b].f[i] = (float)sqa_random_normal(sqa_random_mix(key, (uint64_t)b), i);
        buffer[b].d[i] = (double)buffer[b].f[i];
    }
}

struct problem {
    int64_t m, n, k;
    int ta, tb, bias, accumulate;
};

static void run(const struct sqa_kernels *k, const struct problem *p, int f64)
{
    const int64_t lda = (p->ta ? p->m : p->k) + 3, ldb = (p->tb ? p->k : p->n) + 2, ldc = p->n + 5;
    void *panels = f64 ? (void *)panels_d : (void *)panels_f;
    struct sqa_gemm_panels g = {.m = p->m,
                                .n = p->n,
                                .k = p->k,
                                .a_row = p->ta ? 1 : lda,
                                .a_column = p->ta ? lda : 1,
                                .panels = panels,
                                .ldc = ldc,
                                .accumulate = p->accumulate};
#define SIDE(b) (f64 ? (void *)buffer[b].d : (void *)buffer[b].f)
    g.a = SIDE(A);
    g.c = SIDE(C);
    g.bias = p->bias ? SIDE(BIAS) : NULL;
    g.soon[1].p = g.a;
    g.soon[1].bytes = 1000;
    assert_true(k->panels(p->k, p->n) < PANELS);
    if (!f64)
        panels_f[k->panels(p->k, p->n)] = 12345;
    k->pack(p->k, p->n, SIDE(B), p->tb ? 1 : ldb, p->tb ? ldb : 1, panels);
    if (!f64)
        assert_true(panels_f[k->panels(p->k, p->n)] == 12345);
    k->gemm_panels(&g);
}

static void check(const struct sqa_kernels *k, const struct problem *p)
{
    const int64_t ldc = p->n + 5, all = p->m * ldc + 16;
    const double bound = 1e-6 * (4 + sqrt((double)p->k) * 4);

    fill(A, 1, (size_t)((p->m + 3) * (p->k + 3)));
    fill(B, 2, (size_t)((p->n + 3) * (p->k + 3)));
    fill(C, 3, (size_t)all);
    fill(BIAS, 4, (size_t)p->n);
    run(k, p, 0);
    run(sqa_kernels_plain(1), p, 1);
    for (int64_t i = 0; i < all; i++) {
        const double got = (double)buffer[C].f[i], want = buffer[C].d[i];
        const int inside = i / ldc < p->m && i % ldc < p->n;

        if (inside ? !(fabs(got - want) <= bound) : got != want)
            fail_msg("%s: m %d n %d k %d ta %d tb %d bias %d accumulate %d: C[%d] is %.9g, want %.9g", k->isa,
                     (int)p->m, (int)p->n, (int)p->k, p->ta, p->tb, p->bias, p->accumulate, (int)i, got, want);
    }
}

static void test_shapes(void **state)
{
    static const int64_t sizes[][3] = {{1, 1, 1},     {0, 5, 5},     {5, 0, 5},     {5, 5, 0},    {2, 3, 7},
                                       {3, 7, 2},     {4, 8, 5},     {5, 9, 16},    {6, 15, 6},   {7, 16, 31},
                                       {8, 17, 64},   {9, 24, 33},   {12, 25, 12},  {13, 31, 10}, {14, 32, 14},
                                       {15, 33, 15},  {16, 40, 3},   {22, 47, 20},  {27, 48, 1},  {28, 49, 2},
                                       {64, 64, 64},  {83, 65, 9},   {84, 70, 8},   {85, 10, 11}, {99, 6, 100},
                                       {170, 100, 7}, {20, 30, 255}, {19, 20, 257}, {7, 33, 520}, {90, 50, 700}};

    (void)state;
    for (size_t f = 0; f < forms; f++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
            for (int flags = 0; flags < 16; flags++) {
                const struct problem p = {.m = sizes[s][0],
                                          .n = sizes[s][1],
                                          .k = sizes[s][2],
                                          .ta = flags & 1,
                                          .tb = flags >> 1 & 1,
                                          .bias = flags >> 2 & 1,
                                          .accumulate = flags >> 3 & 1};
                check(&form[f], &p);
            }
}

/* Packed f64: OpenBLAS's against the plain form. */
static void test_double(void **state)
{
    const struct problem p = {.m = 37, .n = 21, .k = 30, .ta = 1, .bias = 1, .accumulate = 1};
    static double want[MAX];

    (void)state;
    for (int b = 0; b < BUFFERS; b++)
        fill(b, 9, 4000);
    run(sqa_kernels_plain(1), &p, 1);
    memcpy(want, buffer[C].d, sizeof want);
    for (int b = 0; b < BUFFERS; b++)
        fill(b, 9, 4000);
    run(&sqa_kernels_f64, &p, 1);
    for (int i = 0; i < 4000; i++)
        assert_true(fabs(want[i] - buffer[C].d[i]) < 1e-12);
}

/* Rows are computed alike whatever rows a call has: blocks of any size give the same bits. */
static void test_rows_alone(void **state)
{
    static float whole[MAX];
    const struct problem p = {.m = 97, .n = 40, .k = 300, .bias = 1};

    (void)state;
    for (size_t f = 0; f < forms; f++) {
        if (strcmp(form[f].isa, "OpenBLAS") == 0)
            continue;
        for (int b = 0; b < BUFFERS; b++)
            fill(b, 5, MAX);
        run(&form[f], &p, 0);
        memcpy(whole, buffer[C].f, sizeof whole);
        for (int64_t m = 1; m < 97; m += 5) {
            const struct problem part = {.m = m, .n = 40, .k = 300, .bias = 1};

            fill(C, 5, MAX);
            run(&form[f], &part, 0);
            assert_memory_equal(whole, buffer[C].f, (size_t)m * 45 * sizeof(float));
        }
    }
}

static int setup(void **state)
{
    const struct sqa_kernels *simd[8];
    size_t n;

    (void)state;
    form[forms++] = *sqa_kernels_plain(0);
    setenv("SEQARENA_ISA", "plain", 1);
    sqa_kernels_init();
    form[forms] = sqa_kernels_f32;
    form[forms++].isa = "OpenBLAS";
    unsetenv("SEQARENA_ISA");
    sqa_kernels_init();
    n = sqa_kernels_simd(simd);
    for (size_t i = 0; i < n; i++)
        form[forms++] = *simd[i];
#if defined(__x86_64__)
    if (n > 0) {
        form[forms] = *simd[0];
        form[forms].isa = "pair";
        form[forms].panels = sqa_k_panels_f32_pair;
        form[forms].pack = sqa_k_pack_f32_pair;
        form[forms++].gemm_panels = sqa_k_gemm_panels_f32_pair;
    }
#endif
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_double),
        cmocka_unit_test(test_rows_alone),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
