/* test_kernels_slopes.c - gradients of the plain f64 table, which all others are held against, by finite differences */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/random.h"
#include "kernels/kernels.h"

static const struct sqa_kernels *reference;

static const char *const unary_names[SQA_UNARY_N] = {
#define X(NAME, name) [SQA_UNARY_##NAME] = #name,
    SQA_UNARY_LIST(X)
#undef X
};

/* Central difference of f at x[i], where f is sum(weight * kernel(x)). */
static double difference(double (*f)(const double *x, size_t n), double *x, size_t i, size_t n)
{
    const double keep = x[i], h = 1e-5;
    x[i] = keep + h;
    const double up = f(x, n);
    x[i] = keep - h;
    const double down = f(x, n);
    x[i] = keep;
    return (up - down) / (2 * h);
}

enum { N = 9, ROWS = 3 };
static double weight[N * ROWS], gain[N], bias[N], scratch[N * ROWS], mean[ROWS], rstd[ROWS];
static const int32_t labels[ROWS] = {0, 5, 8};
static enum sqa_unary function;
static int rms_flag;

static double weighted(const double *y, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += weight[i] * y[i];
    return sum;
}

static double loss_unary(const double *x, size_t n)
{
    reference->unary(function, x, scratch, n);
    return weighted(scratch, n);
}

static double loss_softmax(const double *x, size_t n)
{
    reference->softmax(x, scratch, ROWS, n / ROWS);
    return weighted(scratch, n);
}

static double loss_cross_entropy(const double *x, size_t n)
{
    reference->cross_entropy(x, labels, scratch, ROWS, n / ROWS);
    return weighted(scratch, ROWS);
}

static double loss_layernorm(const double *x, size_t n)
{
    reference->layernorm(x, gain, bias, scratch, mean, rstd, ROWS, n / ROWS, 1e-3, rms_flag);
    return weighted(scratch, n);
}

static double fixed_x[N * ROWS];
static double loss_gain(const double *g, size_t n)
{
    reference->layernorm(fixed_x, g, bias, scratch, mean, rstd, ROWS, n, 1e-3, rms_flag);
    return weighted(scratch, n * ROWS);
}

static void expect_gradient(const char *what, double (*f)(const double *, size_t), double *x, const double *dx,
                            size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const double want = difference(f, x, i, n);
        if (!(fabs(dx[i] - want) <= 1e-7 * (1 + fabs(want))))
            fail_msg("%s: gradient %zu at %g is %.12g, difference quotient %.12g", what, i, x[i], dx[i], want);
    }
}

static void test_finite_differences(void **state)
{
    (void)state;
    double x[N * ROWS], dx[N * ROWS], dgain[N], dbias[N];
    for (size_t i = 0; i < N * ROWS; i++) {
        weight[i] = sqa_random_normal(1, i);
        fixed_x[i] = x[i] = sqa_random_normal(2, i) + 0.2;
    }
    for (size_t i = 0; i < N; i++) {
        gain[i] = 1 + 0.3 * sqa_random_normal(3, i);
        bias[i] = sqa_random_normal(4, i);
    }
    for (int f = 0; f < SQA_UNARY_N; f++) {
        double at[N * ROWS];
        const int positive =
            f == SQA_UNARY_LOG || f == SQA_UNARY_SQRT || f == SQA_UNARY_RSQRT || f == SQA_UNARY_RECIP;
        for (size_t i = 0; i < N * ROWS; i++)
            at[i] = positive ? 0.5 + fabs(x[i]) : 2 * x[i];
        function = (enum sqa_unary)f;
        reference->unary_grad(function, at, weight, dx, N * ROWS);
        expect_gradient(unary_names[f], loss_unary, at, dx, N * ROWS);
    }
    double y[N * ROWS];
    reference->softmax(x, y, ROWS, N);
    reference->softmax_grad(y, weight, dx, ROWS, N);
    expect_gradient("softmax", loss_softmax, x, dx, N * ROWS);
    reference->cross_entropy_grad(x, labels, weight, dx, ROWS, N);
    expect_gradient("cross_entropy", loss_cross_entropy, x, dx, N * ROWS);
    for (rms_flag = 0; rms_flag < 2; rms_flag++) {
        reference->layernorm(x, gain, bias, y, mean, rstd, ROWS, N, 1e-3, rms_flag);
        reference->layernorm_grad(x, gain, mean, rstd, weight, NULL, dx, dgain, dbias, ROWS, N, rms_flag, 0);
        expect_gradient("layernorm dx", loss_layernorm, x, dx, N * ROWS);
        expect_gradient("layernorm dgain", loss_gain, gain, dgain, N);
        for (size_t j = 0; j < N; j++)
            assert_true(fabs(dbias[j] - weight[j] - weight[N + j] - weight[2 * N + j]) < 1e-12);
    }
}

static int setup(void **state)
{
    (void)state;
    sqa_kernels_init();
    reference = sqa_kernels_plain(1);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_finite_differences)};
    return cmocka_run_group_tests(tests, setup, NULL);
}
