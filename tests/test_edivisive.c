/* test_edivisive.c - change points of generated series whose steps are known */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/random.h"
#include "reports/edivisive.h"
#include "tests/support.h"

enum { N = 400, SERIES = 200 };

/* Level 100, noise of 1 %, and a step of `size` from each of the places on. */
static void make(double *x, size_t n, uint64_t key, const size_t *at, size_t steps, double size)
{
    for (size_t i = 0; i < n; i++) {
        double level = 100;
        for (size_t k = 0; k < steps; k++)
            level *= i >= at[k] ? 1 + (k % 2 ? -size / (1 + size) : size) : 1;
        x[i] = level * (1 + 0.01 * sqa_random_normal(key, i));
    }
}

/* Changes found, at[] and their number. */
static size_t find(const double *x, size_t n, const struct sqa_edivisive *o, struct sqa_change *out, size_t room)
{
    struct sqa_change *found;
    size_t n_found;
    OK(sqa_edivisive(x, n, o, &found, &n_found, &failure));
    for (size_t i = 0; i < n_found; i++) {
        assert_true(found[i].n_before >= o->least && found[i].n_after >= o->least);
        assert_true(sqa_change_magnitude(found[i].before, found[i].after) >= o->magnitude);
        assert_true(found[i].p <= o->p);
        assert_true(i == 0 || found[i].at == found[i - 1].at + found[i - 1].n_after);
        if (i < room)
            out[i] = found[i];
    }
    sqa_free(found);
    return n_found;
}

static void test_magnitude(void **state)
{
    (void)state;
    assert_near(sqa_change_magnitude(100, 110), 0.1, 1e-12, "up");
    assert_near(sqa_change_magnitude(110, 100), 0.1, 1e-12, "down");
    assert_near(sqa_change_magnitude(-2, -1), 1, 1e-12, "below 0");
    assert_near(sqa_change_magnitude(0, 0), 0, 0, "none");
    assert_true(isinf(sqa_change_magnitude(0, 1)));
    assert_true(isinf(sqa_change_magnitude(-1, 1)));
}

/* The definition, term by term. */
static double energy(const double *x, size_t a, size_t b)
{
    double between = 0, first = 0, second = 0;
    for (size_t i = 0; i < a + b; i++)
        for (size_t k = i + 1; k < a + b; k++)
            *(k < a ? &first : i < a ? &between : &second) += fabs(x[i] - x[k]);
    const double m = (double)a, n = (double)b;
    return m * n / (m + n) * (2 / (m * n) * between - first / (m * (m - 1) / 2) - second / (n * (n - 1) / 2));
}

static void test_split(void **state)
{
    (void)state;
    double x[30], work[93];
    for (uint64_t s = 0; s < 40; s++) {
        const size_t n = 4 + s % 27, least = 2 + s % 3;
        double best = -HUGE_VAL;
        size_t place = 0, at = 0;
        make(x, n, s, (const size_t[]){n / 2}, s % 2, 0.05);
        for (size_t k = 2 * least; k <= n; k++)
            for (size_t t = least; t + least <= k; t++)
                if (energy(x, t, k - t) > best + 1e-9) {
                    best = energy(x, t, k - t);
                    place = t;
                }
        const double q = sqa_energy_split(x, n, least, work, &at);
        if (n < 2 * least) {
            assert_true(q == -HUGE_VAL);
            continue;
        }
        assert_near(q, best, 1e-9, "statistic");
        assert_int_equal(at, place);
    }
}

static void test_none(void **state)
{
    (void)state;
    double x[N];
    struct sqa_change c;
    size_t alarms = 0;
    for (uint64_t s = 0; s < SERIES; s++) {
        make(x, N, 1000 + s, NULL, 0, 0);
        alarms += find(x, N, &sqa_edivisive_defaults, &c, 1);
    }
    assert_int_equal(alarms, 0); /* 1 % of noise seldom makes pieces that differ by 3 % */
    struct sqa_edivisive any = sqa_edivisive_defaults;
    any.magnitude = 0;
    for (uint64_t s = 0; s < SERIES; s++) {
        make(x, N, 1000 + s, NULL, 0, 0);
        alarms += find(x, N, &any, &c, 1);
    }
    assert_true(alarms < SERIES); /* p is that of the best split: without a magnitude, noise is split now and then */
    for (size_t i = 0; i < N; i++)
        x[i] = 0.1;
    assert_int_equal(find(x, N, &any, &c, 1), 0);
    assert_int_equal(find(x, 0, &any, &c, 1), 0);
    assert_int_equal(find(x, 5, &any, &c, 1), 0);
}

static void test_steps(void **state)
{
    (void)state;
    static const size_t one[] = {150}, two[] = {97, 260}, near[] = {200, 212};
    static const struct {
        const size_t *at;
        size_t n;
        double size;
    } rows[] = {{one, 1, 0.05}, {two, 2, 0.05}, {near, 2, 0.05}, {one, 1, 0.2}};
    double x[N];
    for (size_t r = 0; r < COUNT(rows); r++) {
        size_t exact = 0, within = 0, extra = 0;
        for (uint64_t s = 0; s < SERIES; s++) {
            struct sqa_change c[8];
            make(x, N, 2000 + s, rows[r].at, rows[r].n, rows[r].size);
            const size_t n = find(x, N, &sqa_edivisive_defaults, c, COUNT(c));
            extra += n != rows[r].n;
            for (size_t i = 0; i < n && n == rows[r].n; i++) {
                exact += c[i].at == rows[r].at[i];
                within += labs((long)c[i].at - (long)rows[r].at[i]) <= 2;
                const double size = sqa_change_magnitude(c[i].before, c[i].after);
                assert_near(size, rows[r].size, 0.02, "size");
            }
        }
        if (extra > SERIES / 50 || within < SERIES * rows[r].n * 49 / 50 || exact < SERIES * rows[r].n * 9 / 10)
            fail_msg("row %zu: of %d series %zu have another number of steps; %zu steps are exact, %zu within 2", r,
                     SERIES, extra, exact, within);
    }
}

/* Deterministic counts: the noise is 0, and one value in a hundred thousand is a step if it is asked for. */
static void test_exact(void **state)
{
    (void)state;
    double x[60];
    struct sqa_change c[4];
    struct sqa_edivisive o = sqa_edivisive_defaults;
    o.magnitude = 1e-6;
    for (size_t i = 0; i < COUNT(x); i++)
        x[i] = i < 17 ? 123456789 : i < 40 ? 123458023 : 123456789;
    assert_int_equal(find(x, COUNT(x), &o, c, COUNT(c)), 2);
    assert_int_equal(c[0].at, 17);
    assert_int_equal(c[1].at, 40);
    assert_near(c[0].p, 0, 0, "p");
    assert_near(c[0].after, 123458023, 0, "mean");
    assert_int_equal(c[0].n_before, 17);
    assert_int_equal(c[1].n_after, 20);
    assert_int_equal(find(x, COUNT(x), &sqa_edivisive_defaults, c, COUNT(c)), 0);
}

static void test_outliers(void **state)
{
    (void)state;
    double x[N];
    struct sqa_change c[4];
    size_t wrong = 0;
    for (uint64_t s = 0; s < SERIES; s++) {
        make(x, N, 3000 + s, (const size_t[]){200}, 1, 0.06);
        for (uint64_t k = 0; k < 8; k++) /* 2 % of the values, half as much again */
            x[sqa_random_below(s, k, N)] *= 1.5;
        const size_t n = find(x, N, &sqa_edivisive_defaults, c, COUNT(c));
        size_t near = 0;
        for (size_t i = 0; i < n; i++)
            near += labs((long)c[i].at - 200) <= 5;
        wrong += n != 1 || near != 1;
    }
    if (wrong > SERIES / 40)
        fail_msg("%zu of %d series with outliers are read wrong", wrong, SERIES);
}

static void test_calm(void **state)
{
    (void)state;
    const double x[] = {10, 11, 30, 10, 11, 12, 21, 20, 22, 21, 20, 60, 61, 62};
    double out[COUNT(x)], work[14];
    assert_int_equal(sqa_calm(x, COUNT(x), 3, 5, work, out), 1);
    assert_near(out[2], 11, 0, "spike");
    assert_near(out[6], 21, 0, "step");
    assert_near(out[11], 60, 0, "what the last three values begin");
    assert_int_equal(sqa_calm(x, COUNT(x), 3, 0, work, out), 0);
    assert_memory_equal(x, out, sizeof x);
}

static void test_drift(void **state)
{
    (void)state;
    double x[N];
    struct sqa_change c[64];
    for (size_t i = 0; i < N; i++)
        x[i] = 100 * exp(0.2 * (double)i / N) * (1 + 0.01 * sqa_random_normal(7, i));
    const size_t n = find(x, N, &sqa_edivisive_defaults, c, COUNT(c));
    assert_true(n >= 2 && n <= 10); /* 20 % in all, in steps of at least 3 % */
    for (size_t i = 0; i < n; i++)
        assert_true(c[i].after > c[i].before);
}

static void test_permutation(void **state)
{
    (void)state;
    double x[100];
    struct sqa_change c[4], again[4];
    struct sqa_edivisive o = sqa_edivisive_defaults;
    o.permutations = 199;
    o.p = 0.01;
    o.seed = 5;
    size_t right = 0, alarms = 0;
    for (uint64_t s = 0; s < 20; s++) {
        make(x, COUNT(x), 4000 + s, (const size_t[]){30, 60}, 2, 0.05);
        const size_t n = find(x, COUNT(x), &o, c, COUNT(c));
        right += n == 2 && c[0].at == 30 && c[1].at == 60;
        assert_int_equal(find(x, COUNT(x), &o, again, COUNT(again)), n);
        for (size_t i = 0; i < n; i++)
            assert_true(c[i].at == again[i].at && c[i].p == again[i].p);
        make(x, COUNT(x), 5000 + s, NULL, 0, 0);
        alarms += find(x, COUNT(x), &o, c, COUNT(c));
    }
    assert_true(right >= 16);
    assert_true(alarms <= 1);
}

static void test_no_memory(void **state)
{
    (void)state;
    double x[20] = {0};
    struct sqa_change *found;
    struct sqa_err err = {0};
    size_t n;
    for (long at = 1; at <= 6; at++) {
        sqa_alloc_fail_at(at);
        assert_int_equal(sqa_edivisive(x, COUNT(x), &sqa_edivisive_defaults, &found, &n, &err), SQA_NOMEM);
        sqa_alloc_fail_at(0);
        assert_null(found);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_magnitude), cmocka_unit_test(test_split), cmocka_unit_test(test_none),
        cmocka_unit_test(test_steps),     cmocka_unit_test(test_exact), cmocka_unit_test(test_outliers),
        cmocka_unit_test(test_calm),      cmocka_unit_test(test_drift), cmocka_unit_test(test_permutation),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
