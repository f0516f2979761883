/* test_random.c - counter-based random numbers: known answers, moments, ranges, permutations */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "tests/support.h"

/* Philox 4x32-10 as published, with all four counter words. */
static void philox(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4])
{
    uint32_t k[2] = {key[0], key[1]}, c[4] = {counter[0], counter[1], counter[2], counter[3]};
    for (int round = 0; round < 10; round++) {
        const uint64_t a = (uint64_t)c[0] * 0xD2511F53u, b = (uint64_t)c[2] * 0xCD9E8D57u;
        const uint32_t next[4] = {(uint32_t)(b >> 32) ^ c[1] ^ k[0], (uint32_t)b, (uint32_t)(a >> 32) ^ c[3] ^ k[1],
                                  (uint32_t)a};
        memcpy(c, next, sizeof c);
        k[0] += 0x9E3779B9u;
        k[1] += 0xBB67AE85u;
    }
    memcpy(out, c, sizeof c);
}

static void assert_words(const uint32_t got[4], const uint32_t want[4], const char *what)
{
    for (int i = 0; i < 4; i++)
        if (got[i] != want[i])
            fail_msg("%s: word %d is %08x, want %08x", what, i, got[i], want[i]);
}

/* The known answers of Random123 1.14 (kat_vectors, philox4x32 10); the first fits our two counter words. */
static void philox_gives_the_known_answers(void **state)
{
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } known[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    uint32_t got[4], want[4];
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        philox(known[i].key, known[i].counter, got);
        assert_words(got, known[i].out, "published form");
    }
    sqa_random_block(0, 0, got);
    assert_words(got, known[0].out, "key 0, block 0");
    for (uint64_t i = 0; i < 1000; i++) {
        const uint64_t key = sqa_random_mix(1, i), at = sqa_random_mix(2, i);
        const uint32_t k[2] = {(uint32_t)key, (uint32_t)(key >> 32)};
        const uint32_t c[4] = {(uint32_t)at, (uint32_t)(at >> 32), 0, 0};
        philox(k, c, want);
        sqa_random_block(key, at, got);
        assert_words(got, want, "random key and block");
    }
}

static void numbers_are_words_of_blocks(void **state)
{
    uint32_t w[4];
    struct sqa_random r = {.key = 77};
    (void)state;
    for (uint64_t i = 0; i < 100; i++) {
        sqa_random_block(77, i / 2, w);
        const uint64_t want = i % 2 ? (uint64_t)w[3] << 32 | w[2] : (uint64_t)w[1] << 32 | w[0];
        assert_true(sqa_random_u64(77, i) == want);
        assert_true(sqa_random_next(&r) == want);
    }
    assert_true(sqa_random_key(1, 2, "a") == sqa_random_key(1, 2, "a"));
    assert_true(sqa_random_key(1, 2, "a") != sqa_random_key(1, 2, "b"));
    assert_true(sqa_random_key(1, 2, "a") != sqa_random_key(2, 1, "a"));
    assert_true(sqa_random_key(1, 2, "a") != sqa_random_key(1, 3, "a"));
}

static void uniform_and_normal_have_their_moments(void **state)
{
    enum { N = 200000, BINS = 20 };
    double sum = 0, square = 0, low = 1, high = 0, m[5] = {0};
    int bins[BINS] = {0};
    (void)state;
    for (uint64_t i = 0; i < N; i++) {
        const double u = sqa_random_uniform(5, i);
        sum += u;
        square += u * u;
        low = fmin(low, u);
        high = fmax(high, u);
        bins[(int)(u * BINS)]++;
        double z = sqa_random_normal(6, i), p = 1;
        assert_true(isfinite(z));
        for (int k = 1; k < 5; k++)
            m[k] += (p *= z) / N;
    }
    assert_true(low >= 0 && high < 1);
    assert_near(sum / N, 0.5, 5 * sqrt(1.0 / 12 / N), "mean of uniform");
    assert_near(square / N, 1.0 / 3, 5 * sqrt(4.0 / 45 / N), "mean square of uniform");
    double chi = 0;
    for (int i = 0; i < BINS; i++)
        chi += (bins[i] - N / BINS) * (double)(bins[i] - N / BINS) / (N / BINS);
    if (chi > 60) /* 19 degrees of freedom */
        fail_msg("chi square of uniform %g", chi);
    assert_near(m[1], 0, 5 / sqrt(N), "mean of normal");
    assert_near(m[2], 1, 5 * sqrt(2.0 / N), "variance of normal");
    assert_near(m[3], 0, 5 * sqrt(15.0 / N), "third moment of normal");
    assert_near(m[4], 3, 5 * sqrt(96.0 / N), "fourth moment of normal");
}

__extension__ typedef unsigned __int128 wide;

static void below_stays_below(void **state)
{
    static const uint64_t limits[] = {1, 2, 3, 10, 1000, (uint64_t)1 << 32, ((uint64_t)1 << 32) + 1, UINT64_MAX};
    int count[7] = {0};
    (void)state;
    for (size_t k = 0; k < sizeof limits / sizeof *limits; k++)
        for (uint64_t i = 0; i < 2000; i++) {
            const uint64_t x = sqa_random_below(9, i, limits[k]);
            const wide product = (wide)sqa_random_u64(9, i) * limits[k];
            if (x >= limits[k] || x != (uint64_t)(product >> 64))
                fail_msg("draw %llu below %llu is %llu", (unsigned long long)i, (unsigned long long)limits[k],
                         (unsigned long long)x);
        }
    for (uint64_t i = 0; i < 70000; i++)
        count[sqa_random_below(10, i, 7)]++;
    for (int i = 0; i < 7; i++)
        assert_near(count[i], 10000, 500, "count of one of seven");
}

static void permutations_are_ones(void **state)
{
    enum { N = 1000 };
    uint32_t a[N], b[N], one[1] = {9};
    int first[5] = {0};
    (void)state;
    sqa_random_permutation(1, a, N);
    bool seen[N] = {false};
    for (int i = 0; i < N; i++) {
        assert_true(a[i] < N && !seen[a[i]]);
        seen[a[i]] = true;
    }
    sqa_random_permutation(1, b, N);
    assert_memory_equal(a, b, sizeof a);
    sqa_random_permutation(2, b, N);
    int same = 0;
    for (int i = 0; i < N; i++)
        same += a[i] == b[i];
    if (same > 20)
        fail_msg("%d of %d places agree under another key", same, N);
    sqa_random_permutation(3, one, 1);
    assert_int_equal(one[0], 0);
    sqa_random_permutation(3, NULL, 0);
    for (uint64_t key = 0; key < 5000; key++) {
        sqa_random_permutation(sqa_random_mix(4, key), a, 5);
        first[a[0]]++;
    }
    for (int i = 0; i < 5; i++)
        assert_near(first[i], 1000, 150, "first place of five");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_gives_the_known_answers),
        cmocka_unit_test(numbers_are_words_of_blocks),
        cmocka_unit_test(uniform_and_normal_have_their_moments),
        cmocka_unit_test(below_stays_below),
        cmocka_unit_test(permutations_are_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
