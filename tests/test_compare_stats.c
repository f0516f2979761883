/* test_compare_stats.c - reports/compare_stats.c: generated samples with known answers */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/random.h"
#include "reports/compare_stats.h"

enum { BLOCKS_MOST = 400, CELLS = 20 };

static void near(double got, double expected, double tolerance)
{
    if (!(fabs(got - expected) <= tolerance))
        fail_msg("%.12g is not %.12g", got, expected);
}

/* A draw with median 0: normal, skewed (exponential), or with heavy tails (Cauchy). */
static double draw(int kind, uint64_t key, uint64_t i)
{
    const double u = sqa_random_uniform(key, i);
    switch (kind) {
    case 0:
        return sqa_random_normal(key, i);
    case 1:
        return -log(1 - u) - log(2.0);
    default:
        return tan(3.14159265358979 * (u - 0.5));
    }
}

/* Times of n blocks: drift common to all arms, own noise of each, the new arm slower by `effect` (a log ratio). */
static void blocks(int kind, uint64_t key, size_t n, double effect, double noise, double *base, double *new,
                   double *control)
{
    double drift = 0;
    for (size_t i = 0; i < n; i++) {
        drift += 0.05 * sqa_random_normal(key, 4 * i);
        base[i] = 1e6 * exp(drift + noise * draw(kind, key + 1, i));
        new[i] = 1e6 * exp(drift + effect + noise * draw(kind, key + 2, i));
        control[i] = 1e6 * exp(drift + noise * draw(kind, key + 3, i));
    }
}

static struct sqa_timing measured(int kind, uint64_t key, size_t n, double effect, double noise)
{
    double base[BLOCKS_MOST], new[BLOCKS_MOST], control[BLOCKS_MOST], work[BLOCKS_MOST];
    struct sqa_timing t;
    blocks(kind, 16 * key, n, effect, noise, base, new, control);
    sqa_timing_measure(&t, base, new, control, n, (double)NAN, work);
    return t;
}

static void judge(struct sqa_timing *t, size_t n)
{
    struct sqa_timing *list[CELLS];
    struct sqa_err err;
    for (size_t i = 0; i < n; i++)
        list[i] = &t[i];
    assert_int_equal(sqa_timing_judge(list, n, &err), SQA_OK);
}

static struct sqa_timing judged(int kind, uint64_t key, size_t n, double effect, double noise)
{
    struct sqa_timing t = measured(kind, key, n, effect, noise);
    judge(&t, 1);
    return t;
}

static void test_sign(void **state)
{
    (void)state;
    near(sqa_sign_cdf(0, 6), 1.0 / 64, 1e-15);
    near(sqa_sign_cdf(1, 8), 9.0 / 256, 1e-15);
    near(sqa_sign_cdf(5, 20), 0.020694732666015625, 1e-15); /* tables of the binomial distribution */
    near(sqa_sign_cdf(20, 20), 1, 1e-15);
    near(sqa_sign_cdf(2000, 4000), 0.5 + 0.5 * 0.012614, 1e-5); /* beyond underflow of 2^-n */
    const double d[] = {1, 2, 3, 4, 5, -1};
    near(sqa_sign_above(d, 6, 0), 7.0 / 64, 1e-15);
    near(sqa_sign_above(d, 6, 1), 22.0 / 64, 1e-15); /* a tie with the bound counts against */
    near(sqa_sign_above(d, 6, 9), 1, 1e-15);
    assert_true(isnan(sqa_sign_above(d, 0, 0)));
}

/* The interval lies above a bound exactly when the sign test says so. */
static void test_interval_is_test(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 60; n++)
        for (uint64_t key = 0; key < 20; key++) {
            double d[60];
            for (size_t i = 0; i < n; i++)
                d[i] = 0.4 + sqa_random_normal(100 * key + n, i);
            const double p = sqa_sign_above(d, n, 0);
            sqa_sort_reals(d, n);
            const struct sqa_interval i = sqa_median_interval(d, n, 0.95);
            assert_int_equal(p <= 0.025, i.low > 0);
        }
}

static void test_coverage(void **state)
{
    (void)state;
    enum { TRIALS = 4000 };
    /* Numbers of blocks whose exact level is nearest above 95 %, then some between: theirs is higher. */
    static const size_t numbers[] = {6, 9, 12, 17, 20, 25, 30, 50, 100, 300, 7, 10, 14};
    for (int kind = 0; kind < 3; kind++)
        for (size_t k = 0; k < sizeof numbers / sizeof numbers[0]; k++) {
            const size_t n = numbers[k];
            const int trials = n > 50 ? TRIALS / 4 : TRIALS;
            int hit = 0;
            for (int trial = 0; trial < trials; trial++) {
                double d[300];
                for (size_t i = 0; i < n; i++)
                    d[i] = draw(kind, (uint64_t)(trial * 100 + (int)k * 3 + kind), i);
                sqa_sort_reals(d, n);
                const struct sqa_interval i = sqa_median_interval(d, n, 0.95);
                hit += i.low <= 0 && i.high >= 0;
            }
            const double share = (double)hit / trials;
            if (!(share >= 0.93 && share <= (k < 10 ? 0.98 : 1)))
                fail_msg("kind %d, %zu blocks: the interval holds the median in %.3f", kind, n, share);
            if (k < 9 && trials == TRIALS && n != 6 && !(share <= 0.97 + 0.004))
                fail_msg("kind %d, %zu blocks: too wide, %.3f", kind, n, share);
        }
}

static void test_holm(void **state)
{
    (void)state;
    struct sqa_err err;
    const double p[] = {0.01, 0.04, (double)NAN, 0.03, 0.005}; /* Holm 1979; R: p.adjust(c(.01,.04,.03,.005)) */
    double q[5];
    assert_int_equal(sqa_holm(p, 5, q, &err), SQA_OK);
    near(q[0], 0.03, 1e-15);
    near(q[1], 0.06, 1e-15);
    assert_true(isnan(q[2]));
    near(q[3], 0.06, 1e-15);
    near(q[4], 0.02, 1e-15);
    const double equal[] = {0.5, 0.5, 0.9};
    assert_int_equal(sqa_holm(equal, 3, q, &err), SQA_OK);
    near(q[0], 1, 0);
    near(q[2], 1, 0);
    assert_int_equal(sqa_holm(p, 0, q, &err), SQA_OK);
    sqa_alloc_fail_at(1);
    assert_int_equal(sqa_holm(p, 5, q, &err), SQA_NOMEM);
    sqa_alloc_fail_at(0);
}

static void test_mann_whitney(void **state)
{
    (void)state;
    const double a[] = {1, 2, 3}, b[] = {4, 5, 6};
    struct sqa_rank_test r = sqa_mann_whitney(a, 3, b, 3);
    near(r.p, 0.1, 1e-15); /* 2 of 20 orders */
    near(r.a12, 1, 0);
    r = sqa_mann_whitney(b, 3, a, 3);
    near(r.p, 0.1, 1e-15);
    near(r.a12, 0, 0);
    r = sqa_mann_whitney(a, 3, a, 3);
    near(r.p, 1, 0);
    near(r.a12, 0.5, 0);
    /* Hollander and Wolfe, 69f, permeability: R's help of wilcox.test gives W = 35, one-sided p = 0.1272. */
    const double x[] = {0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46};
    const double y[] = {1.15, 0.88, 0.90, 0.74, 1.21};
    r = sqa_mann_whitney(y, 5, x, 10);
    near(r.a12, 35.0 / 50, 1e-15);
    near(r.p, 2 * 0.1272, 1e-4);
    /* Equal values: normal, with corrections. U = 5.5 of 5 x 5, variance 25 / 12 (11 - 36 / 90). */
    const double s[] = {1, 1, 2, 3, 4}, t[] = {2, 3, 3, 5, 6};
    r = sqa_mann_whitney(s, 5, t, 5);
    near(r.a12, 19.5 / 25, 1e-15);
    near(r.p, 2 * sqa_normal_cdf((5.5 - 12.5 + 0.5) / sqrt(25.0 / 12 * (11 - 36.0 / 90))), 1e-12);
    const double same[] = {7, 7};
    near(sqa_mann_whitney(same, 2, same, 2).p, 1, 0);
    assert_true(isnan(sqa_mann_whitney(a, 0, b, 3).p));
    /* Exact and normal agree where both may be used, and the exact one counts 28 x 28 without rounding. */
    double u[29], v[29];
    for (size_t i = 0; i < 29; i++) {
        u[i] = sqa_random_normal(1, i);
        v[i] = 0.5 + sqa_random_normal(2, i);
    }
    r = sqa_mann_whitney(u, 28, v, 28);
    near(r.p, 2 * sqa_normal_cdf((784 * fmin(r.a12, 1 - r.a12) - 392 + 0.5) / sqrt(784.0 * 57 / 12)), 0.005);
    r = sqa_mann_whitney(u, 29, v, 29);
    near(r.p, 2 * sqa_normal_cdf((841 * fmin(r.a12, 1 - r.a12) - 420.5 + 0.5) / sqrt(841.0 * 59 / 12)), 1e-12);
    int low = 0;
    for (uint64_t trial = 0; trial < 2000; trial++) {
        for (size_t i = 0; i < 20; i++) {
            u[i] = sqa_random_normal(3 + 2 * trial, i);
            v[i] = sqa_random_normal(4 + 2 * trial, i);
        }
        low += sqa_mann_whitney(u, 20, v, 20).p <= 0.05;
    }
    assert_in_range(low, 60, 140); /* 5 % of 2000 */
}

static void test_log_ratios(void **state)
{
    (void)state;
    const double none = (double)NAN, a[] = {1, none, 2, 0, 4, 5, INFINITY}, b[] = {2, 1, none, 1, 4, -1, 1};
    double d[7];
    assert_int_equal(sqa_log_ratios(a, b, 7, d), 2);
    near(d[0], log(2), 0);
    near(d[1], 0, 0);
}

static void test_few_blocks(void **state)
{
    (void)state;
    for (size_t n = 0; n < 6; n++) {
        const struct sqa_timing t = judged(0, 1, n, 1, 0.001); /* however large the effect */
        assert_int_equal(t.verdict, SQA_TIMING_CANNOT_TELL);
        assert_int_equal(t.more, (long)(6 - n));
        assert_true(isnan(t.wide.low) && isnan(t.floor) && isnan(t.p_slower));
    }
    assert_int_equal(judged(0, 1, 6, 0.1, 0.001).verdict, SQA_TIMING_SLOWER);
    assert_int_equal(judged(0, 1, 6, -0.1, 0.001).verdict, SQA_TIMING_FASTER);
    assert_int_equal(judged(0, 1, 6, 0, 0.001).verdict, SQA_TIMING_SAME);
}

static void test_verdicts(void **state)
{
    (void)state;
    static const struct {
        double effect, noise;
        enum sqa_timing_verdict verdict;
    } known[] = {
        {0, 0.002, SQA_TIMING_SAME},       {0.005, 0.002, SQA_TIMING_SAME},   {0.015, 0.002, SQA_TIMING_CANNOT_TELL},
        {0.05, 0.002, SQA_TIMING_SLOWER},  {-0.05, 0.002, SQA_TIMING_FASTER}, {0.05, 0.1, SQA_TIMING_UNFIT},
        {0, 0.03, SQA_TIMING_CANNOT_TELL},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        const struct sqa_timing t = judged(0, 7, 30, known[i].effect, known[i].noise);
        if (t.verdict != known[i].verdict)
            fail_msg("effect %g noise %g: %s", known[i].effect, known[i].noise, sqa_timing_names[t.verdict]);
        assert_int_equal(*t.why != '\0', t.verdict == SQA_TIMING_CANNOT_TELL || t.verdict == SQA_TIMING_UNFIT);
    }
    /* Between 1 % and the threshold no number of blocks helps; scatter about 0 needs a finite one. */
    assert_int_equal(judged(0, 7, 30, 0.015, 0.001).more, -1);
    const long more = judged(0, 7, 30, 0, 0.03).more;
    assert_in_range(more, 30, 3000);

    /* No control: nothing is told, unless a floor is stated. A control that drifts away: unfit. Gaps are left out. */
    double base[20], new[20], control[20], work[20];
    blocks(0, 3, 20, 0.1, 0.001, base, new, control);
    struct sqa_timing t;
    sqa_timing_measure(&t, base, new, NULL, 20, (double)NAN, work);
    judge(&t, 1);
    assert_int_equal(t.verdict, SQA_TIMING_CANNOT_TELL);
    assert_int_equal(t.more, -1);
    sqa_timing_measure(&t, base, new, NULL, 20, 0.02, work);
    judge(&t, 1);
    assert_int_equal(t.verdict, SQA_TIMING_SLOWER);
    near(t.delta, 0.04, 1e-15);
    sqa_timing_measure(&t, base, new, new, 20, (double)NAN, work);
    judge(&t, 1);
    assert_int_equal(t.verdict, SQA_TIMING_UNFIT);
    assert_int_equal(t.more, -1);
    assert_true(isnan(t.p_slower));
    base[3] = (double)NAN, new[5] = 0, control[9] = (double)NAN;
    sqa_timing_measure(&t, base, new, control, 20, (double)NAN, work);
    judge(&t, 1);
    assert_int_equal(t.n, 18);
    assert_int_equal(t.n_control, 18);
    assert_int_equal(t.verdict, SQA_TIMING_SLOWER);

    /* Ties: the same number in every block. */
    for (size_t i = 0; i < 20; i++)
        base[i] = control[i] = new[i] = 5;
    sqa_timing_measure(&t, base, new, control, 20, (double)NAN, work);
    judge(&t, 1);
    assert_int_equal(t.verdict, SQA_TIMING_SAME);
    near(t.floor, 0, 0);
    near(t.delta, log(1.02), 1e-15);
}

static int count_verdicts(int kind, size_t n, double effect, double noise, int trials, int got[5])
{
    memset(got, 0, 5 * sizeof *got);
    for (int trial = 0; trial < trials; trial++)
        got[judged(kind, (uint64_t)trial + 1000, n, effect, noise).verdict]++;
    return trials;
}

static void test_false_verdicts(void **state)
{
    (void)state;
    enum { TRIALS = 1500 };
    int got[5];
    for (int kind = 0; kind < 3; kind++)
        for (int k = 0; k < 3; k++) {
            const double noise = (const double[]){0.003, 0.01, 0.03}[k];
            count_verdicts(kind, 20, 0, noise, TRIALS, got); /* no change */
            assert_in_range(got[SQA_TIMING_SLOWER], 0, TRIALS / 200);
            assert_in_range(got[SQA_TIMING_FASTER], 0, TRIALS / 200);
            count_verdicts(kind, 20, SQA_TIMING_SMALLEST, noise, TRIALS, got); /* at the threshold */
            assert_in_range(got[SQA_TIMING_SLOWER], 0, TRIALS * 35 / 1000);
            assert_in_range(got[SQA_TIMING_SAME], 0, TRIALS * 5 / 100);
            count_verdicts(kind, 20, -SQA_TIMING_SAME_BOUND, noise, TRIALS, got); /* at the bound of same */
            assert_in_range(got[SQA_TIMING_SAME], 0, TRIALS * 65 / 1000);
        }
    count_verdicts(0, 20, log(1.05), 0.01, TRIALS, got); /* power */
    assert_in_range(got[SQA_TIMING_SLOWER], TRIALS * 95 / 100, TRIALS);
    count_verdicts(0, 30, 0, 0.005, TRIALS, got);
    assert_in_range(got[SQA_TIMING_SAME], TRIALS * 95 / 100, TRIALS);
}

/* Many cells whose true change is the threshold itself: Holm keeps any false 'slower' rare. */
static void test_family(void **state)
{
    (void)state;
    enum { TRIALS = 400 };
    int any = 0, alone = 0, found = 0;
    for (uint64_t trial = 0; trial < TRIALS; trial++) {
        struct sqa_timing t[CELLS], single;
        bool here = false, here_alone = false;
        for (size_t i = 0; i < CELLS; i++) {
            const bool changed = i == 0; /* one true regression among them */
            t[i] = measured(0, 5000 + trial * CELLS + i, 30, changed ? 0.06 : SQA_TIMING_SMALLEST, 0.003);
            single = t[i];
            judge(&single, 1);
            here_alone = here_alone || (!changed && single.verdict == SQA_TIMING_SLOWER);
        }
        judge(t, CELLS);
        for (size_t i = 1; i < CELLS; i++)
            here = here || t[i].verdict == SQA_TIMING_SLOWER;
        any += here;
        alone += here_alone;
        found += t[0].verdict == SQA_TIMING_SLOWER;
    }
    assert_in_range(any, 0, TRIALS * 4 / 100);
    assert_true(alone > TRIALS / 10); /* what the correction is for */
    assert_in_range(found, TRIALS * 99 / 100, TRIALS);
}

/* Looking after every block until it is settled, from 6 to 60 blocks, as --until-settled does. */
static void test_repeated_looks(void **state)
{
    (void)state;
    enum { TRIALS = 300 };
    static const struct {
        double effect;
        int slower, same; /* at most, per cent */
    } known[] = {{0, 2, 100}, {SQA_TIMING_SMALLEST, 100, 5}};
    for (size_t k = 0; k < 2; k++) {
        int slower = 0, same = 0;
        for (uint64_t trial = 0; trial < TRIALS; trial++)
            for (size_t n = 6; n <= 60; n++) {
                const enum sqa_timing_verdict v = judged(0, 90000 + trial, n, known[k].effect, 0.01)
                                                      .verdict; /* draws of n are the first of n + 1 */
                slower += v == SQA_TIMING_SLOWER;
                same += v == SQA_TIMING_SAME;
                if (v != SQA_TIMING_CANNOT_TELL && v != SQA_TIMING_UNFIT)
                    break;
            }
        assert_in_range(slower, 0, TRIALS * known[k].slower / 100);
        assert_in_range(same, 0, TRIALS * known[k].same / 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sign),           cmocka_unit_test(test_interval_is_test),
        cmocka_unit_test(test_coverage),       cmocka_unit_test(test_holm),
        cmocka_unit_test(test_mann_whitney),   cmocka_unit_test(test_log_ratios),
        cmocka_unit_test(test_few_blocks),     cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_false_verdicts), cmocka_unit_test(test_family),
        cmocka_unit_test(test_repeated_looks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
