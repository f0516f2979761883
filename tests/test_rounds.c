/* test_rounds.c - orders, the end of warming up and outliers, on samples with known answers */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "harness/measure/rounds.h"

/* In every n rounds each goes once at each place, and every round has each once. */
static void test_latin_square(void **state)
{
    (void)state;
    for (int n = 1; n <= 24; n++)
        for (int square = 0; square < 3; square++) {
            int at[24][24] = {{0}}, order[24];
            for (int r = 0; r < n; r++) {
                int seen[24] = {0};
                sqa_round_order(7, square * n + r, n, order);
                for (int i = 0; i < n; i++) {
                    assert_in_range(order[i], 0, n - 1);
                    seen[order[i]]++;
                    at[order[i]][i]++;
                }
                for (int i = 0; i < n; i++)
                    assert_int_equal(seen[i], 1);
            }
            for (int a = 0; a < n; a++)
                for (int i = 0; i < n; i++)
                    assert_int_equal(at[a][i], 1);
        }
}

static void test_abba(void **state)
{
    (void)state;
    int kinds[2] = {0};
    for (int64_t block = 0; block < 100; block++) {
        int first[2], second[2];
        sqa_round_order(3, 2 * block, 2, first);
        sqa_round_order(3, 2 * block + 1, 2, second);
        assert_int_equal(first[0], second[1]);
        assert_int_equal(first[1], second[0]);
        kinds[first[0]]++;
    }
    assert_true(kinds[0] > 20 && kinds[1] > 20); /* drawn, not always ABBA */
}

static void test_order_is_the_seed_s(void **state)
{
    (void)state;
    int a[6], b[6], same = 0;
    for (int64_t r = 0; r < 60; r++) {
        sqa_round_order(1, r, 6, a);
        sqa_round_order(1, r, 6, b);
        assert_memory_equal(a, b, sizeof a);
        sqa_round_order(2, r, 6, b);
        same += memcmp(a, b, sizeof a) == 0;
    }
    assert_true(same < 10);
}

static int samples_until_settled(double (*at)(int i))
{
    struct sqa_warmup w = {.n = 0};
    for (int i = 0; i < 1000; i++)
        if (sqa_warmup_add(&w, at(i)))
            return i + 1;
    return 1000;
}

static double steady(int i)
{
    return i % 5 == 2 ? 900 : 100 + i % 3 * 0.5; /* one sample in five far off: the median does not see it */
}
static double falling(int i) /* by 1 % a sample, steady from the 40th on */
{
    double x = 100;
    for (int k = i < 40 ? 40 - i : 0; k > 0; k--)
        x *= 1.01;
    return x;
}
static double never(int i)
{
    return i / 5 % 2 ? 100 : 110;
}

static void test_warmup(void **state)
{
    (void)state;
    assert_int_equal(samples_until_settled(steady), 10);
    assert_int_equal(samples_until_settled(falling), 50);
    assert_int_equal(samples_until_settled(never), 1000);
}

static void test_outliers(void **state)
{
    (void)state;
    double x[100], work[100];
    int outlier[100];
    for (int i = 0; i < 100; i++)
        x[i] = 100 + (double)(i % 10);
    x[17] = 400;
    x[60] = 1;
    assert_int_equal(sqa_mark_outliers(x, 100, outlier, work), 2);
    for (int i = 0; i < 100; i++)
        assert_int_equal(outlier[i], i == 17 || i == 60);
    assert_int_equal(sqa_mark_outliers(x, 7, outlier, work), 0);
}

static void test_flush(void **state)
{
    (void)state;
    assert_true(sqa_cache_flush() == 1);
    assert_true(sqa_cache_flush_bytes() >= (size_t)64 << 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_latin_square),
        cmocka_unit_test(test_abba),
        cmocka_unit_test(test_order_is_the_seed_s),
        cmocka_unit_test(test_warmup),
        cmocka_unit_test(test_outliers),
        cmocka_unit_test(test_flush),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
