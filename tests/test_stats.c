/* test_stats.c - reports/stats.c against published values and simulation */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/random.h"
#include "reports/stats.h"

static void near(double got, double expected, double tolerance)
{
    if (!(fabs(got - expected) <= tolerance))
        fail_msg("%.12g is not %.12g", got, expected);
}

static void test_quantiles(void **state)
{
    (void)state;
    double x[] = {7, 1, 3, 10};
    sqa_sort_reals(x, 4);
    near(x[0], 1, 0);
    near(sqa_quantile(x, 4, 0.5), 5, 0);
    near(sqa_quantile(x, 4, 0.25), 2.5, 1e-15); /* R: quantile(c(7,1,3,10), 0.25) */
    near(sqa_quantile(x, 4, 0), 1, 0);
    near(sqa_quantile(x, 4, 1), 10, 0);
    assert_true(isnan(sqa_quantile(x, 0, 0.5)));
    near(sqa_stats_mean(x, 4), 5.25, 0);
    near(sqa_deviation(x, 4), 4.031128874149275, 1e-14);
    assert_true(isnan(sqa_deviation(x, 1)));
}

static void test_distributions(void **state)
{
    (void)state;
    near(sqa_normal_quantile(0.975), 1.959963984540054, 1e-12);
    near(sqa_normal_quantile(0.5), 0, 1e-12);
    near(sqa_normal_cdf(1), 0.841344746068543, 1e-14);
    /* Tables of Student's t. */
    near(sqa_t_quantile(0.975, 1), 12.706204736432095, 1e-8);
    near(sqa_t_quantile(0.975, 2), 4.302652729749464, 1e-10);
    near(sqa_t_quantile(0.975, 4), 2.776445105197793, 1e-10);
    near(sqa_t_quantile(0.975, 9), 2.262157162740992, 1e-10);
    near(sqa_t_quantile(0.95, 30), 1.697260886593957, 1e-10);
    near(sqa_t_quantile(0.975, 1e6), 1.959966, 1e-5);
    near(sqa_t_quantile(0.025, 4), -2.776445105197793, 1e-10);
    near(sqa_t_cdf(1, 1), 0.75, 1e-14);
    near(sqa_t_cdf(0, 5), 0.5, 1e-14);
    near(sqa_t_cdf(-2, 2), 0.091751709536137, 1e-13);
}

static void test_intervals(void **state)
{
    (void)state;
    /* Newcombe 1998, table I, method 3: 81/263, 15/148, 0/20, 1/29. */
    struct sqa_interval i = sqa_wilson(81, 263, 0.95);
    near(i.low, 0.2553, 5e-5);
    near(i.high, 0.3662, 5e-5);
    i = sqa_wilson(15, 148, 0.95);
    near(i.low, 0.0624, 5e-5);
    near(i.high, 0.1605, 5e-5);
    i = sqa_interval_within(sqa_t_interval((const double[]){0.9, 1, 1}, 3, 0.95), 0, 1);
    assert_true(i.low > 0.8 && i.low < 0.9 && i.high == 1);
    assert_true(isnan(sqa_interval_within(sqa_t_interval((const double[]){1}, 1, 0.95), 0, 1).low));
    i = sqa_wilson(0, 20, 0.95);
    near(i.low, 0, 0);
    near(i.high, 0.1611, 5e-5);
    i = sqa_wilson(1, 29, 0.95);
    near(i.low, 0.0061, 5e-5);
    near(i.high, 0.1718, 5e-5);
    i = sqa_wilson(20, 20, 0.95);
    near(i.high, 1, 1e-15);
    assert_true(isnan(sqa_wilson(0, 0, 0.95).low));

    const double x[] = {1, 2, 3, 4, 5};
    i = sqa_t_interval(x, 5, 0.95); /* 3 +- 2.776445 * sqrt(2.5 / 5) */
    near(i.low, 1.036756838522439, 1e-10);
    near(i.high, 4.963243161477561, 1e-10);
    assert_true(isnan(sqa_t_interval(x, 1, 0.95).low));
}

static void test_median(void **state)
{
    (void)state;
    double x[100];
    for (int i = 0; i < 100; i++)
        x[i] = i + 1;
    static const struct {
        size_t n;
        double low, high;
    } known[] = {
        /* Ranks of the 95 % interval: tables of the sign test. */
        {6, 1, 6},   {8, 1, 8},   {9, 2, 8},    {10, 2, 9},    {15, 4, 12},
        {20, 6, 15}, {25, 8, 18}, {50, 18, 33}, {100, 40, 61},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        const struct sqa_interval got = sqa_median_interval(x, known[i].n, 0.95);
        near(got.low, known[i].low, 0);
        near(got.high, known[i].high, 0);
    }
    for (size_t n = 0; n < 6; n++)
        assert_true(isnan(sqa_median_interval(x, n, 0.95).low));
}

static struct sqa_interval boot(const double *d, size_t seeds, size_t examples, size_t block, uint64_t key)
{
    struct sqa_draws kept = {0};
    struct sqa_interval out, again;
    struct sqa_err err;
    assert_int_equal(sqa_bootstrap_crossed(d, seeds, examples, block, 2000, key, 0.95, NULL, &out, &err), SQA_OK);
    for (int i = 0; i < 2; i++) { /* drawn, then kept */
        assert_int_equal(sqa_bootstrap_crossed(d, seeds, examples, block, 2000, key, 0.95, &kept, &again, &err),
                         SQA_OK);
        assert_memory_equal(&out, &again, sizeof out);
    }
    sqa_draws_clear(&kept);
    return out;
}

static void test_bootstrap(void **state)
{
    (void)state;
    enum { SEEDS = 4, N = 500 };
    static double d[SEEDS * N], seed_only[SEEDS];
    for (size_t i = 0; i < N; i++)
        d[i] = sqa_random_normal(1, i);
    const double half = 1.96 * sqa_deviation(d, N) / sqrt((double)N), mean = sqa_stats_mean(d, N);
    struct sqa_interval i = boot(d, 1, N, 1, 7); /* one seed: the plain bootstrap of a mean */
    near(i.low, mean - half, 0.1 * half);
    near(i.high, mean + half, 0.1 * half);
    const struct sqa_interval again = boot(d, 1, N, 1, 7);
    assert_memory_equal(&i, &again, sizeof i);
    for (size_t s = 1; s < SEEDS; s++) /* equal seeds add nothing */
        memcpy(d + s * N, d, N * sizeof *d);
    i = boot(d, SEEDS, N, 1, 7);
    near(i.high - i.low, 2 * half, 0.2 * half);
    for (size_t s = 0; s < SEEDS; s++) { /* seeds that differ by a constant: the spread of seeds alone */
        seed_only[s] = (double)s;
        for (size_t e = 0; e < N; e++)
            d[s * N + e] = (double)s;
    }
    i = boot(d, SEEDS, N, 1, 7);
    const struct sqa_interval seeds = boot(seed_only, SEEDS, 1, 1, 9);
    near(i.low, seeds.low, 0.26);
    near(i.high, seeds.high, 0.26);
    near(0.5 * (i.low + i.high), 1.5, 0.3);

    for (size_t e = 0; e < N; e++) /* runs of 25 equal values: blocks see the true spread, single draws do not */
        d[e] = sqa_random_normal(3, e / 25);
    const struct sqa_interval single = boot(d, 1, N, 1, 7), blocks = boot(d, 1, N, 25, 7);
    assert_true(blocks.high - blocks.low > 3 * (single.high - single.low));

    assert_true(isnan(boot(d, 1, 1, 1, 7).low));
    assert_true(isnan(boot(d, 0, 5, 1, 7).low));
    struct sqa_err err;
    for (long n = 1; n <= 3; n++) {
        sqa_alloc_fail_at(n);
        assert_int_equal(sqa_bootstrap_crossed(d, 1, N, 1, 10, 7, 0.95, NULL, &i, &err), SQA_NOMEM);
        sqa_alloc_fail_at(0);
    }
}

/* How often the interval of the mean holds the truth when seeds and examples both vary. */
static void test_coverage(void **state)
{
    (void)state;
    enum { SEEDS = 10, N = 60, TRIALS = 200 };
    static double d[SEEDS * N];
    int hit = 0;
    for (uint64_t trial = 0; trial < TRIALS; trial++) {
        for (size_t s = 0; s < SEEDS; s++)
            for (size_t e = 0; e < N; e++)
                d[s * N + e] = sqa_random_normal(trial, s) + sqa_random_normal(trial + 1000, e) +
                               sqa_random_normal(trial + 2000, s * N + e);
        struct sqa_interval i;
        struct sqa_err err;
        assert_int_equal(sqa_bootstrap_crossed(d, SEEDS, N, 1, 400, trial, 0.95, NULL, &i, &err), SQA_OK);
        hit += i.low <= 0 && i.high >= 0;
    }
    assert_in_range(hit, TRIALS * 87 / 100, TRIALS * 99 / 100);
}

/* By hand: log y = 1, 2, 2, 3 at log x = 0, 1, 2, 3 has slope 0.6, residual sum 0.2, standard error sqrt(0.1 / 5); and
 * t(0.975, 2) = 4.302653. */
static void test_log_slope(void **state)
{
    (void)state;
    double x[5], y[5];
    struct sqa_interval i;
    static const double logs[4] = {1, 2, 2, 3};
    for (int k = 0; k < 4; k++) {
        x[k] = exp(k);
        y[k] = exp(logs[k]);
    }
    near(sqa_log_slope(x, y, 4, 0.95, &i), 0.6, 1e-12);
    near(i.high, 0.6 + 4.302653 * sqrt(0.02), 1e-5);
    near(i.low, 0.6 - 4.302653 * sqrt(0.02), 1e-5);
    for (int k = 0; k < 5; k++) {
        x[k] = 1024 << k;
        y[k] = 7 * x[k] * x[k];
    }
    near(sqa_log_slope(x, y, 5, 0.95, &i), 2, 1e-12);
    near(i.high - i.low, 0, 1e-6);
    near(sqa_log_slope(x, y, 2, 0.95, &i), 2, 1e-12);
    assert_true(isnan(i.low));
    assert_true(isnan(sqa_log_slope(x, y, 1, 0.95, &i)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quantiles), cmocka_unit_test(test_distributions), cmocka_unit_test(test_intervals),
        cmocka_unit_test(test_median),    cmocka_unit_test(test_bootstrap),     cmocka_unit_test(test_coverage),
        cmocka_unit_test(test_log_slope),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
