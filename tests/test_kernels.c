/*
 * test_kernels.c - every table of kernels against the plain f64 table
 *
 * Candidates are the plain f32 table and each SIMD table of this machine. Inputs are random, extreme (infinities, not
 * a number, denormals, logits of 1e4) and of odd sizes; every buffer has a guard behind it. SEQARENA_BENCH=1 also
 * prints speeds, which are never asserted. Attention, FFT and packed products have tests of their own, test_kernels_attention.c, _fft.c and
 * _gemm.c; that the plain f64 table's gradients are its functions': test_kernels_slopes.c.
 */
#include <math.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "kernels/kernels.h"
#include "kernels/philox.h"
#include "kernels/plain/plain.h"

enum { MAX = 4096, GUARD = 16, BUFFERS = 8 };

/* The same numbers as float and as double. */
static struct {
    float f[MAX + GUARD];
    double d[MAX + GUARD];
} buffer[BUFFERS];
#define F(b) buffer[b].f
#define D(b) buffer[b].d

static const struct sqa_kernels *candidate[10];
static size_t candidates;
static const struct sqa_kernels *reference;
static const size_t sizes[] = {0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 257};
enum { SIZES = sizeof sizes / sizeof *sizes };

static const float special[] = {0,        -0.0f,     1,        -1,    0.625f, -0.625f, 1e-40f, -1e-40f, 1e-30f,
                                -1e-30f,  1e4f,      -1e4f,    87.3f, -87.3f, 88.7f,   -88.7f, -103.9f, 1.18e-38f,
                                INFINITY, -INFINITY, NAN,      20,    -20,    0.5f,    5.5f,   -5.5f,   13,
                                -13,      3.4e38f,   -3.4e38f, -0.2f, 0.7f,   1.414f,  1.415f, 0.707f,  0.7072f};
enum { SPECIALS = sizeof special / sizeof *special };

static void set(int b, size_t i, float x)
{
    F(b)[i] = x;
    D(b)[i] = (double)x;
}

static void fill(int b, uint64_t key, size_t n, double scale)
{
    const uint64_t stream = sqa_random_mix(key, (uint64_t)b);
    for (size_t i = 0; i < n; i++)
        set(b, i, (float)(scale * sqa_random_normal(stream, i)));
    for (size_t i = n; i < n + GUARD; i++)
        set(b, i, 12345);
}

/* |got - want| <= bound (|want| + scale); results beyond float are infinite, near the end of its normal range
 * anything small.
 */
static int close_to(float got, double want, double bound, double scale)
{
    if (isnan(want) || isnan(got))
        return isnan(want) && isnan(got);
    if (isinf(got))
        return got == (float)want || fabs(want) > 3.4028e38 * (1 - bound);
    return fabs((double)got - want) <= bound * (fabs(want) + scale) + 1e-36;
}

static void expect(const char *kernel, const struct sqa_kernels *k, int b, size_t n, double bound, double scale)
{
    for (size_t i = 0; i < n; i++)
        if (!close_to(F(b)[i], D(b)[i], bound, scale))
            fail_msg("%s %s: n %zu, element %zu of buffer %d: got %.9g, want %.9g (bound %g, scale %g)", k->isa,
                     kernel, n, i, b, (double)F(b)[i], D(b)[i], bound, scale);
    for (size_t i = n; i < n + GUARD; i++)
        if (F(b)[i] != 12345)
            fail_msg("%s %s: n %zu: wrote %zu past the end of buffer %d", k->isa, kernel, n, i - n, b);
}

static double largest(int b, size_t n)
{
    double m = 0;
    for (size_t i = 0; i < n; i++)
        m = fabs(D(b)[i]) > m ? fabs(D(b)[i]) : m;
    return m;
}

static const char *const unary_names[SQA_UNARY_N] = {
#define X(NAME, name) [SQA_UNARY_##NAME] = #name,
    SQA_UNARY_LIST(X)
#undef X
};

/* Bounds relative to |value| + scale. gelu keeps 1e-5 in the far tail, where exp(-x^2/2) magnifies a rounding. */
static const struct {
    double value, value_scale, grad, grad_scale;
} unary_bounds[SQA_UNARY_N] = {
    [SQA_UNARY_NEG] = {0, 0, 1e-7, 0},      [SQA_UNARY_EXP] = {2e-7, 0, 3e-7, 0},
    [SQA_UNARY_LOG] = {2e-7, 0, 2e-7, 0},   [SQA_UNARY_SQRT] = {1e-7, 0, 3e-7, 0},
    [SQA_UNARY_RSQRT] = {2e-7, 0, 4e-7, 0}, [SQA_UNARY_SQUARE] = {1e-7, 0, 2e-7, 0},
    [SQA_UNARY_RECIP] = {1e-7, 0, 3e-7, 0}, [SQA_UNARY_ABS] = {0, 0, 1e-7, 0},
    [SQA_UNARY_RELU] = {0, 0, 1e-7, 0},     [SQA_UNARY_GELU] = {1e-5, 0, 1e-5, 0.05},
    [SQA_UNARY_TANH] = {5e-7, 0, 1e-6, 0},  [SQA_UNARY_SIGMOID] = {4e-7, 0, 1e-6, 0},
    [SQA_UNARY_SILU] = {5e-7, 0, 1e-6, 1},  [SQA_UNARY_SOFTPLUS] = {6e-7, 0, 6e-7, 0},
    [SQA_UNARY_ELU1] = {3e-7, 0, 3e-7, 0},  [SQA_UNARY_SIN] = {2e-7, 0, 3e-7, 0},
    [SQA_UNARY_COS] = {2e-7, 0, 3e-7, 0},
};

static void check_unary(const struct sqa_kernels *k, enum sqa_unary f, size_t n)
{
    reference->unary(f, D(0), D(1), n);
    k->unary(f, F(0), F(1), n);
    expect(unary_names[f], k, 1, n, unary_bounds[f].value, unary_bounds[f].value_scale);
    reference->unary_grad(f, D(0), D(2), D(3), n);
    k->unary_grad(f, F(0), F(2), F(3), n);
    expect(unary_names[f], k, 3, n, unary_bounds[f].grad, unary_bounds[f].grad_scale);
    memcpy(D(4), D(0), sizeof D(0)); /* in place */
    memcpy(F(4), F(0), sizeof F(0));
    k->unary(f, F(4), F(4), n);
    assert_memory_equal(F(4), F(1), n * sizeof(float));
}

static void test_unary(void **state)
{
    (void)state;
    for (size_t c = 0; c < candidates; c++)
        for (int f = 0; f < SQA_UNARY_N; f++) {
            for (size_t s = 0; s < SIZES; s++)
                for (int scale = 1; scale <= 25; scale += 12) {
                    for (int b = 0; b < 5; b++)
                        fill(b, sizes[s] + 1000 * (size_t)scale, sizes[s], b == 2 ? 1 : scale);
                    check_unary(candidate[c], (enum sqa_unary)f, sizes[s]);
                }
            for (int b = 0; b < 5; b++)
                fill(b, 1, SPECIALS, 1);
            for (size_t i = 0; i < SPECIALS; i++)
                set(0, i, special[i]);
            check_unary(candidate[c], (enum sqa_unary)f, SPECIALS);
        }
}

/* The functions in long double; Phi(x) = erfc(-x / sqrt 2) / 2. */
static long double exact(enum sqa_unary f, long double x)
{
    switch ((int)f) {
    case SQA_UNARY_EXP:
        return expl(x);
    case SQA_UNARY_LOG:
        return logl(x);
    case SQA_UNARY_TANH:
        return tanhl(x);
    case SQA_UNARY_SIGMOID:
        return 1 / (1 + expl(-x));
    case SQA_UNARY_SILU:
        return x / (1 + expl(-x));
    case SQA_UNARY_SOFTPLUS:
        return (x > 0 ? x : 0) + log1pl(expl(-fabsl(x)));
    case SQA_UNARY_ELU1:
        return x > 0 ? x + 1 : expl(x);
    case SQA_UNARY_GELU:
        return x * erfcl(-x * sqrtl(0.5L)) / 2;
    case SQA_UNARY_SIN:
        return sinl(x);
    case SQA_UNARY_COS:
        return cosl(x);
    default:
        return (long double)NAN;
    }
}

/* The largest error of f in units of the last place of the exact value (sin, cos: of 1), over a sweep of [low, high]. */
static double worst_ulp(const struct sqa_kernels *k, enum sqa_unary f, double low, double high)
{
    double worst = 0;
    for (int chunk = 0; chunk < 20; chunk++) {
        for (size_t i = 0; i < MAX; i++)
            F(0)[i] = (float)(low + (high - low) * sqa_random_uniform((uint64_t)f, (uint64_t)chunk * MAX + i));
        k->unary(f, F(0), F(1), MAX);
        for (size_t i = 0; i < MAX; i++) {
            int e;
            const long double want = exact(f, (long double)F(0)[i]);
            (void)frexpl(want, &e);
            e = f == SQA_UNARY_SIN || f == SQA_UNARY_COS ? 1 : e;
            const double error = (double)(fabsl((long double)F(1)[i] - want) / ldexpl(1, e - 24));
            worst = !(error <= worst) ? error : worst;
        }
    }
    return worst;
}

/* Ranges join to where a result leaves the normal floats; the bounds are those that kernels/simd/vec.h promises. In
 * the tail of gelu the rounding of x^2 / 2, the exponent, grows with it. */
static void test_ulp(void **state)
{
    (void)state;
    static const struct {
        enum sqa_unary f;
        double low, high, bound;
    } rows[] = {
        {SQA_UNARY_EXP, -87.3, 88.7, 1.5}, {SQA_UNARY_EXP, -1, 1, 1.5},      {SQA_UNARY_LOG, 1e-37, 3e38, 1.5},
        {SQA_UNARY_LOG, 1e-3, 10, 1.5},    {SQA_UNARY_LOG, 0.9, 1.1, 1.5},   {SQA_UNARY_TANH, -10, 10, 3},
        {SQA_UNARY_TANH, -0.5, 0.5, 3},    {SQA_UNARY_TANH, -1e-3, 1e-3, 3}, {SQA_UNARY_TANH, -1e30, 1e30, 1},
        {SQA_UNARY_SIGMOID, -86, 100, 4},  {SQA_UNARY_SIGMOID, -2, 2, 4},    {SQA_UNARY_SILU, -86, 100, 4},
        {SQA_UNARY_SOFTPLUS, -86, 100, 4}, {SQA_UNARY_SOFTPLUS, -2, 2, 4},   {SQA_UNARY_ELU1, -87.3, 100, 1.5},
        {SQA_UNARY_GELU, 0, 100, 5},       {SQA_UNARY_GELU, -0.5, 0.5, 8},   {SQA_UNARY_GELU, -3, 0, 16},
        {SQA_UNARY_GELU, -6, -3, 64},      {SQA_UNARY_GELU, -13.1, -6, 256}, {SQA_UNARY_SIN, -8192, 8192, 1},
        {SQA_UNARY_SIN, -20, 20, 1},       {SQA_UNARY_COS, -8192, 8192, 1},  {SQA_UNARY_COS, -1e30, 1e30, 1},
    };
    for (size_t c = 0; c < candidates; c++)
        for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
            const double ulp = worst_ulp(candidate[c], rows[r].f, rows[r].low, rows[r].high);
            if (getenv("SEQARENA_BENCH"))
                printf("%s %s [%g, %g]: %.3f ulp\n", candidate[c]->isa, unary_names[rows[r].f], rows[r].low,
                       rows[r].high, ulp);
            if (!(ulp <= rows[r].bound) && strcmp(candidate[c]->isa, "plain") != 0)
                fail_msg("%s %s: %g ulp on [%g, %g], bound %g", candidate[c]->isa, unary_names[rows[r].f], ulp,
                         rows[r].low, rows[r].high, rows[r].bound);
        }
}

static void test_binary(void **state)
{
    (void)state;
    for (size_t c = 0; c < candidates; c++)
        for (size_t s = 0; s < SIZES; s++)
            for (int f = 0; f < SQA_BINARY_N; f++) {
                const struct sqa_kernels *k = candidate[c];
                const size_t n = sizes[s];
                for (int b = 0; b < 6; b++)
                    fill(b, n, n, 1);
                for (size_t i = 0; i < n && i < SPECIALS && s % 2; i++)
                    set(0, i, special[i]);
                const double scale = n && s % 2 == 0 ? 4 : 0;
                reference->binary((enum sqa_binary)f, D(0), D(1), D(2), n);
                k->binary((enum sqa_binary)f, F(0), F(1), F(2), n);
                expect("binary", k, 2, n, 2e-7, scale);
                reference->binary_scalar((enum sqa_binary)f, D(0), -1.75, D(3), n);
                k->binary_scalar((enum sqa_binary)f, F(0), -1.75, F(3), n);
                expect("binary_scalar", k, 3, n, 2e-7, scale);
                reference->affine(0.3, D(1), 2.5, D(4), n);
                k->affine(0.3, F(1), 2.5, F(4), n);
                expect("affine", k, 4, n, 2e-7, 4);
                reference->axpy(0.3, D(1), D(5), n);
                k->axpy(0.3, F(1), F(5), n);
                expect("axpy", k, 5, n, 2e-7, 4);
            }
}

static void test_reduce(void **state)
{
    (void)state;
    for (size_t c = 0; c < candidates; c++)
        for (size_t s = 0; s < SIZES; s++) {
            const struct sqa_kernels *k = candidate[c];
            const size_t n = sizes[s];
            fill(0, n, n, 100);
            const double bound = 1e-13 * 1e4 * (double)(n + 1);
            assert_true(fabs(k->sum(F(0), n) - reference->sum(D(0), n)) <= bound);
            assert_true(fabs(k->sum_squares(F(0), n) - reference->sum_squares(D(0), n)) <= bound);
            assert_true(k->max(F(0), n) == reference->max(D(0), n));
            for (size_t rows = 0; rows < 12; rows++)
                for (int accumulate = 0; accumulate < 2; accumulate++) {
                    fill(0, n, rows * (n + 3), 1);
                    fill(1, n, n, 1);
                    reference->sum_rows(D(0), rows, n, n + 3, D(1), accumulate);
                    k->sum_rows(F(0), rows, n, n + 3, F(1), accumulate);
                    expect("sum_rows", k, 1, n, 5e-7, 1);
                }
        }
    for (size_t c = 0; c < candidates; c++)
        assert_true(isinf(candidate[c]->max(F(0), 0)) && candidate[c]->max(F(0), 0) < 0);
}

/* Rows: 0 random, 1 of size 1e4, 2 partly -inf, 3 all -inf, 4 denormals, 5 equal. */
static void fill_logits(int b, size_t n)
{
    fill(b, n, 6 * n, 3);
    for (size_t i = 0; i < n; i++) {
        set(b, n + i, 1e4f * F(b)[n + i]);
        if (i % 3 != 1 && n > 1)
            set(b, 2 * n + i, -INFINITY);
        set(b, 3 * n + i, -INFINITY);
        set(b, 4 * n + i, 1e-40f * F(b)[4 * n + i]);
        set(b, 5 * n + i, -7);
    }
}

static void test_softmax(void **state)
{
    (void)state;
    for (size_t c = 0; c < candidates; c++)
        for (size_t s = 0; s < SIZES; s++) {
            const struct sqa_kernels *k = candidate[c];
            const size_t n = sizes[s], rows = 6;
            for (int b = 1; b < 5; b++)
                fill(b, n, b == 3 ? rows : rows * n, 1);
            fill_logits(0, n);
            reference->softmax(D(0), D(1), rows, n);
            k->softmax(F(0), F(1), rows, n);
            expect("softmax", k, 1, rows * n, 1e-6, 1e-9);
            for (size_t i = 3 * n; i < 4 * n; i++)
                assert_true(F(1)[i] == 0);
            reference->softmax_grad(D(1), D(2), D(4), rows, n);
            k->softmax_grad(F(1), F(2), F(4), rows, n);
            expect("softmax_grad", k, 4, rows * n, 2e-6, 1);
            reference->log_sum_exp(D(0), D(3), rows, n);
            k->log_sum_exp(F(0), F(3), rows, n);
            expect("log_sum_exp", k, 3, rows, 2e-7, 1);
            k->softmax(F(0), F(0), rows, n);
            assert_memory_equal(F(0), F(1), rows * n * sizeof(float));
        }
}

static void test_cross_entropy(void **state)
{
    (void)state;
    for (size_t c = 0; c < candidates; c++)
        for (size_t s = 1; s < SIZES; s++) {
            const struct sqa_kernels *k = candidate[c];
            const size_t n = sizes[s], rows = 6;
            const int32_t label[6] = {0, (int32_t)n - 1, (int32_t)n / 2, -1, (int32_t)n, 0};
            fill_logits(0, n);
            fill(1, n, rows, 1);
            fill(2, n, rows, 1);
            fill(3, n, rows * n, 1);
            reference->cross_entropy(D(0), label, D(2), rows, n);
            k->cross_entropy(F(0), label, F(2), rows, n);
            expect("cross_entropy", k, 2, rows, 3e-7, 1);
            assert_true(F(2)[3] == 0 && F(2)[4] == 0);
            reference->cross_entropy_grad(D(0), label, D(1), D(3), rows, n);
            k->cross_entropy_grad(F(0), label, F(1), F(3), rows, n);
            expect("cross_entropy_grad", k, 3, rows * n, 1e-6, 1);
            reference->cross_entropy_grad(D(0), label, NULL, D(3), rows, n);
            k->cross_entropy_grad(F(0), label, NULL, F(3), rows, n);
            expect("cross_entropy_grad", k, 3, rows * n, 1e-6, 1);
        }
}

static void check_layernorm(const struct sqa_kernels *k, size_t n, int rms, int affine)
{
    const size_t rows = 5;
    for (int b = 0; b < 8; b++)
        fill(b, n, b == 0 || b == 3 || b == 6 ? rows * n : b == 4 || b == 5 ? rows : n, 1);
    for (size_t i = 0; i < n && n > 4; i++)
        set(0, n + i, 1e4f + 100 * F(0)[n + i]);
    const void *gain_d = affine ? D(1) : NULL, *bias_d = affine ? D(2) : NULL;
    const void *gain_f = affine ? F(1) : NULL, *bias_f = affine ? F(2) : NULL;
    reference->layernorm(D(0), gain_d, bias_d, D(3), D(4), D(5), rows, n, 1e-2, rms);
    k->layernorm(F(0), gain_f, bias_f, F(3), F(4), F(5), rows, n, 1e-2, rms);
    expect("layernorm mean", k, 4, rows, 1e-6, 1);
    expect("layernorm rstd", k, 5, rows, 1e-5, 0);
    expect("layernorm", k, 3, rows * n, 2e-5, 1);
    for (int accumulate = 0; accumulate < 2; accumulate++) {
        fill(6, n + 1, rows * n, 1); /* dy, then dx is written over y */
        for (int b = 1; b < 8; b++)
            if (b == 2 || b == 7)
                fill(b, n, n, 1);
        reference->layernorm_grad(D(0), gain_d, D(4), D(5), D(6), NULL, D(3), D(2), D(7), rows, n, rms, accumulate);
        k->layernorm_grad(F(0), gain_f, F(4), F(5), F(6), NULL, F(3), F(2), F(7), rows, n, rms, accumulate);
        expect("layernorm_grad dx", k, 3, rows * n, 1e-4, largest(5, rows));
        expect("layernorm_grad dgain", k, 2, n, 5e-5, 4);
        expect("layernorm_grad dbias", k, 7, n, 2e-6, 4);
        k->layernorm_grad(F(0), gain_f, F(4), F(5), F(6), NULL, F(3), NULL, NULL, rows, n, rms, accumulate);
        expect("layernorm_grad dx", k, 3, rows * n, 1e-4, largest(5, rows));
    }
}

static void test_layernorm(void **state)
{
    (void)state;
    for (size_t c = 0; c < candidates; c++)
        for (size_t s = 0; s < SIZES; s++)
            for (int flags = 0; flags < 4; flags++)
                check_layernorm(candidate[c], sizes[s], flags & 1, flags >> 1);
}

static void test_optimisers(void **state)
{
    (void)state;
    const struct sqa_adamw step = {1e-3, 0.9, 0.999, 1e-8, 0.1, 1 - 0.9 * 0.9, 1 - 0.999 * 0.999, 0.25};
    for (size_t c = 0; c < candidates; c++)
        for (size_t s = 0; s < SIZES; s++) {
            const struct sqa_kernels *k = candidate[c];
            const size_t n = sizes[s];
            for (int b = 0; b < 6; b++)
                fill(b, n, n, 1);
            for (size_t i = 0; i < n; i++)
                set(3, i, fabsf(F(3)[i]) * 1e-3f);
            reference->adamw(&step, D(0), D(1), D(2), D(3), n);
            k->adamw(&step, F(0), F(1), F(2), F(3), n);
            for (int b = 0; b < 4; b++)
                expect("adamw", k, b, n, 1e-6, 1e-2);
            reference->sgd(0.1, 0.9, 0.01, 0.5, D(4), D(1), D(5), n);
            k->sgd(0.1, 0.9, 0.01, 0.5, F(4), F(1), F(5), n);
            expect("sgd", k, 4, n, 1e-6, 1);
            expect("sgd", k, 5, n, 1e-6, 1);
            reference->sgd(0.1, 0, 0.01, 0.5, D(4), D(1), NULL, n);
            k->sgd(0.1, 0, 0.01, 0.5, F(4), F(1), NULL, n);
            expect("sgd", k, 4, n, 1e-6, 1);
        }
    /* One step by hand: first step of AdamW moves by the rate against the sign of g, after the decay. */
    const struct sqa_adamw first = {0.1, 0.9, 0.999, 0, 0.5, 0.1, 0.001, 1};
    double w = 2, m = 0, v = 0;
    const double g = -3;
    reference->adamw(&first, &w, &g, &m, &v, 1);
    assert_true(fabs(w - (2 - 0.1 * 0.5 * 2 + 0.1)) < 1e-12 && fabs(m + 0.3) < 1e-12 && fabs(v - 0.009) < 1e-12);
}

static void test_dropout(void **state)
{
    (void)state;
    static const uint64_t firsts[] = {0, 1, 5, 8, 1000, 0x7fffffffffull};
    uint32_t mine[4], base[4];
    for (uint64_t ctr = 0; ctr < 100; ctr++) {
        sqa_philox(ctr * 0x9E3779B97F4A7C15ull, ctr << 31, mine);
        sqa_random_block(ctr * 0x9E3779B97F4A7C15ull, ctr << 31, base);
        assert_memory_equal(mine, base, sizeof mine);
    }
    for (size_t c = 0; c < candidates; c++)
        for (size_t s = 0; s < SIZES; s++)
            for (size_t f = 0; f < sizeof firsts / sizeof *firsts; f++)
                for (int keep = 0; keep <= 10; keep += 5) {
                    const struct sqa_kernels *k = candidate[c];
                    const size_t n = sizes[s];
                    fill(0, n, n, 1);
                    fill(1, n, n, 1);
                    k->dropout(77, firsts[f], keep / 10.0, F(0), F(1), n);
                    for (size_t i = 0; i < n; i++) {
                        const uint64_t e = firsts[f] + i;
                        sqa_random_block(77, e / 8, base);
                        const uint32_t draw = base[e % 8 / 2] >> 16 * (e % 2) & 0xffff;
                        D(1)[i] = draw < (uint32_t)(keep * 6553.6 + 0.5) ? D(0)[i] * 10 / keep : 0;
                    }
                    expect("dropout", k, 1, n, 1e-4, 0); /* keep is rounded to 16 bits */
                }
}

static void test_embedding_and_copy(void **state)
{
    (void)state;
    const int32_t id[5] = {2, -1, 0, 3, 2};
    for (size_t c = 0; c < candidates; c++) {
        const struct sqa_kernels *k = candidate[c];
        fill(0, 1, 3 * 7, 1);
        fill(1, 1, 5 * 7, 1);
        k->embedding(F(0), id, F(1), 5, 7, 3);
        for (size_t i = 0; i < 35; i++) {
            const int32_t row = id[i / 7];
            assert_true(F(1)[i] == (row < 0 || row >= 3 ? 0 : F(0)[(size_t)row * 7 + i % 7]));
        }
        fill(1, 2, 5 * 7, 1);
        fill(2, 2, 3 * 7, 0);
        k->embedding_grad(id, F(1), F(2), 5, 7, 3);
        for (size_t i = 0; i < 7; i++) {
            assert_true(F(2)[i] == F(1)[14 + i]);
            assert_true(F(2)[7 + i] == 0);
            assert_true(F(2)[14 + i] == F(1)[i] + F(1)[28 + i]);
        }
        const int64_t dim[4] = {2, 3, 1, 4}, stride[4] = {1, 8, 5, 2};
        fill(0, 3, 100, 1);
        k->copy_strided(F(0), 4, dim, stride, F(1));
        for (size_t a = 0; a < 2; a++)
            for (size_t b = 0; b < 3; b++)
                for (size_t d = 0; d < 4; d++)
                    assert_true(F(1)[(a * 3 + b) * 4 + d] == F(0)[a + 8 * b + 2 * d]);
        const int64_t rows[3] = {3, 2, 5}, back[3] = {10, -5, 1};
        k->copy_strided(F(0) + 5, 3, rows, back, F(1));
        for (size_t i = 0; i < 30; i++)
            assert_true(F(1)[i] == F(0)[i / 10 * 10 + 5 - i / 5 % 2 * 5 + i % 5]);
        k->copy_strided(F(0), 0, NULL, NULL, F(1));
        assert_true(F(1)[0] == F(0)[0]);
        k->to_f64(F(0), D(1), 50);
        k->from_f64(D(1), F(1), 50);
        assert_memory_equal(F(0), F(1), 50 * sizeof(float));
    }
}

static void check_gemm(int ta, int tb, size_t m, size_t n, size_t k, double alpha, double beta)
{
    const size_t lda = (ta ? m : k) + 2, ldb = (tb ? k : n) + 1, ldc = n + 3;
    fill(0, m + k, (ta ? k : m) * lda, 1);
    fill(1, n + k, (tb ? n : k) * ldb, 1);
    fill(2, m + n, m * ldc, 1);
    fill(3, m + n, m * ldc, 1);
    for (size_t i = 0; i < m * ldc && beta == 0; i++)
        F(2)[i] = NAN;
    memcpy(D(3), D(2), sizeof D(2));
    sqa_kernels_f32.gemm(ta, tb, (int64_t)m, (int64_t)n, (int64_t)k, alpha, F(0), (int64_t)lda, F(1), (int64_t)ldb,
                         beta, F(2), (int64_t)ldc);
    reference->gemm(ta, tb, (int64_t)m, (int64_t)n, (int64_t)k, alpha, D(0), (int64_t)lda, D(1), (int64_t)ldb, beta,
                    D(2), (int64_t)ldc);
    sqa_kernels_f64.gemm(ta, tb, (int64_t)m, (int64_t)n, (int64_t)k, alpha, D(0), (int64_t)lda, D(1), (int64_t)ldb,
                         beta, D(3), (int64_t)ldc);
    for (size_t i = 0; i < m * ldc; i++)
        if (i % ldc < n && (!close_to(F(2)[i], D(2)[i], 1e-6, 1 + (double)k) || fabs(D(2)[i] - D(3)[i]) > 1e-11))
            fail_msg("gemm %d %d, %zu x %zu x %zu: element %zu is %g, not %g", ta, tb, m, n, k, i, (double)F(2)[i],
                     D(2)[i]);
}

static void test_gemm(void **state)
{
    (void)state;
    static const size_t shapes[][3] = {{0, 3, 4},   {3, 0, 4},   {3, 4, 0},   {1, 1, 1}, {5, 7, 3},
                                       {33, 17, 9}, {8, 40, 31}, {1, 40, 31}, {33, 1, 9}};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int t = 0; t < 4; t++)
            for (int beta = 0; beta < 3; beta++)
                check_gemm(t & 1, t >> 1, shapes[s][0], shapes[s][1], shapes[s][2], 1.5, beta / 2.0);
}

static void test_checks(void **state)
{
    (void)state;
    for (size_t c = 1; c < candidates; c++)
        for (const struct sqa_kernel_check *r = sqa_kernel_checks; r->kernel; r++) {
            double worst = 0;
            for (size_t s = 0; s < SIZES; s++)
                for (uint64_t key = 0; key < 5; key++) {
                    const double error = r->run(candidate[c], key * 977 + s, sizes[s]);
                    if (!(error <= r->bound))
                        fail_msg("%s: n %zu, key %d: error %g, bound %g", r->kernel, sizes[s], (int)(key * 977 + s),
                                 error, r->bound);
                    worst = error > worst ? error : worst;
                }
            if (getenv("SEQARENA_BENCH"))
                printf("%s %s: worst %.2g, bound %.2g\n", candidate[c]->isa, r->kernel, worst, r->bound);
        }
}

static void test_choice(void **state)
{
    (void)state;
    assert_string_equal(sqa_kernels_plain(0)->isa, "plain");
    assert_true(sqa_kernels_plain(1)->size == sizeof(double) && sqa_kernels_plain(0)->size == sizeof(float));
    assert_true(strlen(sqa_kernels_cpu_flags()) > 0);
    setenv("SEQARENA_ISA", "plain", 1);
    sqa_kernels_init();
    assert_string_equal(sqa_kernels_f32.isa, "plain");
    const char *names;
    assert_true(sqa_kernels_isa_known(NULL, &names) && sqa_kernels_isa_known("avx2", &names));
    assert_true(!sqa_kernels_isa_known("sse9", &names) && strstr(names, "avx512"));
    unsetenv("SEQARENA_ISA");
    sqa_kernels_init();
    assert_string_equal(sqa_kernels_f32.isa, candidates > 1 ? candidate[candidates - 2]->isa : "plain");
}

/* The 16-wide forms as two AVX2 vectors: what is in kernels/simd/; the rest is taken from the table of this machine.
 */
#if defined(__x86_64__)
static struct sqa_kernels pair;
static void add_pair(void)
{
    if (candidates < 2) /* no AVX2 here */
        return;
    pair = *candidate[1];
    pair.isa = "pair";
#define X(name, isa) pair.name = sqa_k_##name##_f32_##isa;
    SQA_SIMD_LIST(X, pair)
    X(gemm_panels, pair)
#undef X
    candidate[candidates++] = &pair;
}
#else
static void add_pair(void) {}
#endif

static int setup(void **state)
{
    (void)state;
    sqa_kernels_init();
    reference = sqa_kernels_plain(1);
    candidate[0] = sqa_kernels_plain(0);
    candidates = 1 + sqa_kernels_simd(candidate + 1);
    add_pair();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_unary),
        cmocka_unit_test(test_ulp),
        cmocka_unit_test(test_binary),
        cmocka_unit_test(test_reduce),
        cmocka_unit_test(test_softmax),
        cmocka_unit_test(test_cross_entropy),
        cmocka_unit_test(test_layernorm),
        cmocka_unit_test(test_optimisers),
        cmocka_unit_test(test_dropout),
        cmocka_unit_test(test_embedding_and_copy),
        cmocka_unit_test(test_gemm),
        cmocka_unit_test(test_checks),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
