/* test_base.c - random numbers, texts, parameters, files, memory, status */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/param.h"
#include "base/random.h"
#include "base/text.h"

static void assert_near(double a, double b, double bound, const char *what)
{
    if (!(fabs(a - b) <= bound))
        fail_msg("%s: %.17g, want %.17g within %g", what, a, b, bound);
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("'%s' is not in '%s'", part, text);
}

/* Random numbers */

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

/* Text */

static void parses_whole_numbers(void **state)
{
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {
        {"0", 0},
        {"-0", 0},
        {"+7", 7},
        {"-12", -12},
        {"007", 7},
        {"1K", 1024},
        {"4k", 4096},
        {"2M", 2 << 20},
        {"-3K", -3 * 1024},
        {"9223372036854775807", INT64_MAX},
        {"-9223372036854775808", INT64_MIN},
        {"9007199254740991K", 9007199254740991 * 1024},
    };
    static const char *const bad[] = {"",
                                      " 1",
                                      "1 ",
                                      "\t1",
                                      "\n1",
                                      "\v1",
                                      "1\n",
                                      "x",
                                      "1x",
                                      "1.5",
                                      "1e3",
                                      "0x10",
                                      "K",
                                      "-",
                                      "+",
                                      "--1",
                                      "1KK",
                                      "1G",
                                      "1m",
                                      "9223372036854775808",
                                      "-9223372036854775809",
                                      "9007199254740992K",
                                      "8796093022208M",
                                      "99999999999999999999999"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        int64_t v = 99;
        if (!sqa_parse_int(good[i].text, &v) || v != good[i].value)
            fail_msg("'%s' gives %lld", good[i].text, (long long)v);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t v = 99;
        if (sqa_parse_int(bad[i], &v) || v != 99)
            fail_msg("'%s' is taken as %lld", bad[i], (long long)v);
    }
}

typedef bool parser(const char *s, double *out);
struct parsed {
    const char *text;
    double value;
};

static void check_parser(parser *parse, const struct parsed *good, size_t n, const char *const *bad, size_t nbad)
{
    for (size_t i = 0; i < n; i++) {
        double v = -99;
        if (!parse(good[i].text, &v))
            fail_msg("'%s' is refused", good[i].text);
        assert_near(v, good[i].value, 1e-15 * fabs(good[i].value), good[i].text);
    }
    for (size_t i = 0; i < nbad; i++) {
        double v = 0;
        if (parse(bad[i], &v))
            fail_msg("'%s' is taken as %g", bad[i], v);
    }
}

#define COUNT(x) (sizeof(x) / sizeof *(x))

static void parses_reals(void **state)
{
    static const struct parsed good[] = {{"0", 0},         {"1.5", 1.5},  {"-2e-3", -2e-3},
                                         {"+4", 4},        {".5", 0.5},   {"5.", 5},
                                         {"1e308", 1e308}, {"1E3", 1000}, {"1e-320", 1e-320}};
    static const char *const bad[] = {"",     " 1",   "1 ",  "\n1", "x",      "1x",       "0x10",  "0X1p3",  "inf",
                                      "-inf", "+INF", "nan", "NaN", "nan(1)", "infinity", "1e999", "-1e999", "1,5",
                                      "e5",   ".",    "-",   "1e",  "1e+",    "--1",      "1.2.3"};
    (void)state;
    check_parser(sqa_parse_real, good, COUNT(good), bad, COUNT(bad));
}

static void parses_seconds_and_bytes(void **state)
{
    static const struct parsed seconds[] = {{"90", 90},     {"90s", 90},    {"5m", 300},
                                            {"1.5h", 5400}, {"2d", 172800}, {"0", 0}};
    static const char *const no_seconds[] = {"",      "m",   "-1",  "-1s",   "5 m",    "5min", "5M",
                                             "1h30m", "inf", "nan", "1e999", "1e308h", "5ms",  "0x5s"};
    static const struct parsed bytes[] = {{"512M", 512 * 0x1p20}, {"2G", 0x1p31}, {"1.5GiB", 1.5 * 0x1p30},
                                          {"100", 100},           {"7B", 7},      {"4K", 4096},
                                          {"4KiB", 4096},         {"1kB", 1000},  {"3MB", 3e6},
                                          {"3MiB", 3 * 0x1p20},   {"1GB", 1e9}};
    static const char *const no_bytes[] = {"", "G", "-1", "2T", "2 G", "2g", "2Gb", "nan", "1e308G", "1e999"};
    (void)state;
    check_parser(sqa_parse_seconds, seconds, COUNT(seconds), no_seconds, COUNT(no_seconds));
    check_parser(sqa_parse_bytes, bytes, COUNT(bytes), no_bytes, COUNT(no_bytes));
}

static void reals_read_back(void **state)
{
    static const struct {
        double value;
        const char *text;
    } known[] = {{1000, "1000"},           {0.1, "0.1"},    {-3, "-3"},
                 {1e-5, "1e-05"},          {0, "0"},        {-0.0, "0"},
                 {123456789, "123456789"}, {1e20, "1e+20"}, {999999999999999, "999999999999999"}};
    char buf[32];
    (void)state;
    for (size_t i = 0; i < COUNT(known); i++)
        assert_string_equal(sqa_format_real(buf, known[i].value), known[i].text);
    assert_string_equal(sqa_format_real(buf, (double)NAN), "");
    for (uint64_t i = 0; i < 20000; i++) {
        const uint64_t bits = sqa_random_u64(3, i);
        double v, back = 0;
        memcpy(&v, &bits, sizeof v);
        if (i % 2)
            v = sqa_random_normal(4, i);
        if (!isfinite(v))
            continue;
        sqa_format_real(buf, v);
        if (strlen(buf) > 25 || !sqa_parse_real(buf, &back) || memcmp(&v, &back, sizeof v) != 0)
            fail_msg("%a prints as %s, which reads as %a", v, buf, back);
    }
}

static void formats_for_people(void **state)
{
    static const struct {
        char *(*format)(char buf[32], double v);
        double value;
        const char *text;
    } rows[] = {
        {sqa_format_bytes, 0, "0 B"},          {sqa_format_bytes, 999, "999 B"},
        {sqa_format_bytes, 1000, "1.00 kB"},   {sqa_format_bytes, 1234567, "1.23 MB"},
        {sqa_format_bytes, 5e13, "50.0 TB"},   {sqa_format_bytes, 5e16, "50000 TB"},
        {sqa_format_bytes, 999600, "1.00 MB"}, {sqa_format_ns, 1230000, "1.23 ms"},
        {sqa_format_ns, 12, "12 ns"},          {sqa_format_ns, 0.5, "0.50 ns"},
        {sqa_format_ns, 45e9, "45.0 s"},       {sqa_format_ns, 5e12, "5000 s"},
        {sqa_format_count, 1.2e9, "1.20 G"},   {sqa_format_count, 12, "12"},
        {sqa_format_count, 209802, "210 K"},   {sqa_format_count, -1500, "-1.50 K"},
    };
    char buf[32];
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        if (strcmp(rows[i].format(buf, rows[i].value), rows[i].text) != 0)
            fail_msg("row %zu: %g prints as '%s', want '%s'", i, rows[i].value, buf, rows[i].text);
}

static void finds_the_nearest_name(void **state)
{
    static const char *const names[] = {"transformer", "performer", "local", "s4d"};
    char big[5000];
    (void)state;
    assert_string_equal(sqa_nearest("transfomer", names, 4), "transformer");
    assert_string_equal(sqa_nearest("preformer", names, 4), "performer");
    assert_string_equal(sqa_nearest("local", names, 4), "local");
    assert_null(sqa_nearest("quite unlike", names, 4));
    assert_null(sqa_nearest("local", names, 0));
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    assert_null(sqa_nearest(big, names, 4));
    const char *const long_name[] = {big};
    assert_null(sqa_nearest("local", long_name, 1));
}

static void texts_grow_and_fail_softly(void **state)
{
    struct sqa_text t = {0};
    (void)state;
    assert_string_equal(sqa_text_get(&t), "");
    for (int i = 0; i < 1000; i++)
        sqa_text_printf(&t, "%d,", i);
    sqa_text_add(&t, "end");
    sqa_text_add_bytes(&t, "\0z", 2);
    assert_int_equal(t.length, 10 * 2 + 90 * 3 + 900 * 4 + 5);
    assert_int_equal(strlen(t.text), t.length - 2);
    assert_memory_equal(t.text, "0,1,2,3,", 8);
    sqa_text_clear(&t);
    assert_null(t.text);
    sqa_alloc_fail_at(1);
    sqa_text_add(&t, "lost");
    sqa_alloc_fail_at(0);
    sqa_text_add(&t, "ignored");
    assert_true(t.failed);
    assert_string_equal(sqa_text_get(&t), "");
    sqa_text_clear(&t);
}

/* Parameters */

struct self {
    int64_t window, flag;
    double rate;
    const char *layout, *name;
};
static const struct sqa_param params[] = {
    {"window", "tokens of a block", SQA_PARAM_INT, "64", 1, 1 << 20, offsetof(struct self, window), NULL},
    {"flag", "on or off", SQA_PARAM_BOOL, "0", 0, 0, offsetof(struct self, flag), NULL},
    {"rate", "how fast", SQA_PARAM_REAL, "1e-3", 0, 10, offsetof(struct self, rate), NULL},
    {"layout", "how tokens are cut", SQA_PARAM_CHOICE, "contiguous", 0, 0, offsetof(struct self, layout),
     "contiguous|strided"},
    {"name", "any text", SQA_PARAM_TEXT, "", 0, 0, offsetof(struct self, name), NULL},
    {.name = NULL}};

static const char *printed(const struct self *s, int all, struct sqa_text *t)
{
    int n = 0;
    sqa_text_clear(t);
    sqa_params_print(params, s, all, t, &n);
    return sqa_text_get(t);
}

static void parameters_have_defaults_and_canonical_texts(void **state)
{
    static const char *const sets[][2] = {{"window", "1K"}, {"flag", "1"},         {"rate", "1e+0"},
                                          {"rate", "0.50"}, {"layout", "strided"}, {"name", "a-b"}};
    struct self s = {0};
    struct sqa_arena arena = {0};
    struct sqa_err err = {0};
    struct sqa_text t = {0};
    (void)state;
    assert_int_equal(sqa_params_defaults("own", params, &s, &arena, &err), SQA_OK);
    assert_int_equal(s.window, 64);
    assert_int_equal(s.flag, 0);
    assert_near(s.rate, 1e-3, 0, "rate");
    assert_string_equal(s.layout, "contiguous");
    assert_string_equal(s.name, "");
    assert_string_equal(printed(&s, 0, &t), "");
    assert_string_equal(printed(&s, 1, &t), ":window=64,flag=0,rate=0.001,layout=contiguous,name=");
    assert_int_equal(sqa_params_set("own", params, &s, "rate", "1E-3", &arena, &err), SQA_OK);
    assert_string_equal(printed(&s, 0, &t), "");
    for (size_t i = 0; i < COUNT(sets); i++)
        assert_int_equal(sqa_params_set("own", params, &s, sets[i][0], sets[i][1], &arena, &err), SQA_OK);
    assert_string_equal(printed(&s, 0, &t), ":window=1024,flag=1,rate=0.5,layout=strided,name=a-b");
    int n = 3; /* joins a list that has begun */
    sqa_text_clear(&t);
    sqa_params_print(params, &s, 0, &t, &n);
    assert_int_equal(n, 8);
    assert_string_equal(sqa_text_get(&t), ",window=1024,flag=1,rate=0.5,layout=strided,name=a-b");
    assert_ptr_equal(sqa_params_find(params, "rate"), &params[2]);
    assert_null(sqa_params_find(params, "Rate"));
    sqa_text_clear(&t);
    sqa_arena_clear(&arena);
}

static void bad_parameters_are_refused_with_advice(void **state)
{
    static const char *const rows[][3] = {
        {"windw", "3", "did you mean 'window'"},
        {"something", "3", "window, flag, rate, layout, name"},
        {"window", "0", "from 1 to 1048576"},
        {"window", "2M", "from 1 to 1048576"},
        {"window", "1.5", "whole number"},
        {"window", "", "whole number"},
        {"flag", "2", "give 0 or 1"},
        {"flag", "true", "give 0 or 1"},
        {"flag", "01", "give 0 or 1"},
        {"rate", "-1", "from 0 to 10"},
        {"rate", "10.1", "from 0 to 10"},
        {"rate", "nan", "from 0 to 10"},
        {"rate", "0x1p-3", "from 0 to 10"},
        {"layout", "stride", "contiguous|strided"},
        {"layout", "", "contiguous|strided"},
        {"layout", "contiguous|strided", "contiguous|strided"},
    };
    struct self s = {0}, before;
    struct sqa_arena arena = {0};
    struct sqa_err err = {0};
    (void)state;
    assert_int_equal(sqa_params_defaults("own", params, &s, &arena, &err), SQA_OK);
    before = s;
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(sqa_params_set("own", params, &s, rows[i][0], rows[i][1], &arena, &err), SQA_USAGE);
        assert_has(err.text, rows[i][2]);
        assert_has(err.text, "own: ");
        assert_memory_equal(&s, &before, sizeof s);
    }
    sqa_alloc_fail_at(1);
    assert_int_equal(sqa_params_set("own", params, &s, "something", "3", &arena, &err), SQA_USAGE);
    sqa_alloc_fail_at(0);
    assert_has(err.text, "something");
    sqa_arena_clear(&arena);
}

/* Files */

static char folder[] = "/tmp/test_base_XXXXXX";

static const char *in_folder(const char *name)
{
    static char path[4][4096];
    static int at;
    at = (at + 1) % 4;
    snprintf(path[at], sizeof path[at], "%s/%s", folder, name);
    return path[at];
}

static void assert_content(const char *path, const char *want)
{
    struct sqa_err err = {0};
    char *data = NULL;
    size_t size = 0;
    if (sqa_file_read(path, 1 << 20, &data, &size, &err) != SQA_OK)
        fail_msg("%s", err.text);
    assert_int_equal(size, strlen(want));
    assert_string_equal(data, want);
    sqa_free(data);
}

static void writing_is_all_or_nothing(void **state)
{
    const char *path = in_folder("data");
    struct sqa_err err = {0};
    struct rlimit old, small;
    static char big[1 << 16];
    (void)state;
    assert_int_equal(sqa_file_write(path, "old", 3, &err), SQA_OK);
    assert_content(path, "old");
    memset(big, 'b', sizeof big);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = (struct rlimit){.rlim_cur = 1000, .rlim_max = old.rlim_max};
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    const enum sqa_status status = sqa_file_write(path, big, sizeof big, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, handler);
    assert_int_equal(status, SQA_MACHINE);
    assert_has(err.text, path);
    assert_has(err.text, "; raise the file size limit");
    assert_content(path, "old");
    assert_false(sqa_file_exists(in_folder("data.tmp")));
    assert_int_equal(sqa_file_write(path, "new", 3, &err), SQA_OK);
    assert_content(path, "new");
    assert_int_equal(sqa_file_write(path, NULL, 0, &err), SQA_OK);
    assert_content(path, "");
}

static void bad_places_are_refused(void **state)
{
    struct sqa_err err = {0};
    char *data = NULL, long_name[5000];
    size_t size = 0;
    (void)state;
    assert_int_equal(sqa_make_dirs(in_folder("sub"), &err), SQA_OK);
    assert_int_equal(sqa_file_write(in_folder("ten"), "0123456789", 10, &err), SQA_OK);
    assert_int_equal(sqa_file_read(in_folder("ten"), 10, &data, &size, &err), SQA_OK);
    assert_int_equal(data[10], 0);
    sqa_free(data);
    data = NULL;
    assert_int_equal(sqa_file_read(in_folder("ten"), 9, &data, &size, &err), SQA_INPUT);
    assert_has(err.text, "10 bytes, more than the 9");
    assert_int_equal(sqa_file_read(in_folder("sub"), 9, &data, &size, &err), SQA_INPUT);
    assert_has(err.text, "directory; name a file");
    assert_int_equal(sqa_file_read(in_folder("none"), 9, &data, &size, &err), SQA_INPUT);
    assert_has(err.text, "; check the path");
    assert_int_equal(mkfifo(in_folder("pipe"), 0600), 0);
    assert_int_equal(sqa_file_read(in_folder("pipe"), 9, &data, &size, &err), SQA_INPUT);
    assert_has(err.text, "not a regular file");
    assert_null(data);
    assert_int_equal(sqa_file_write(in_folder("sub"), "x", 1, &err), SQA_INPUT);
    assert_has(err.text, "directory");
    assert_false(sqa_file_exists(in_folder("sub.tmp")));
    assert_int_equal(sqa_file_write(in_folder("none/file"), "x", 1, &err), SQA_INPUT);
    memset(long_name, 'n', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    assert_int_equal(sqa_file_write(long_name, "x", 1, &err), SQA_INPUT);
    assert_has(err.text, "too long");
    assert_int_equal(sqa_make_dirs(long_name, &err), SQA_INPUT);
    sqa_alloc_fail_at(1);
    assert_int_equal(sqa_file_read(in_folder("ten"), 10, &data, &size, &err), SQA_NOMEM);
    sqa_alloc_fail_at(0);
}

static void makes_directories(void **state)
{
    struct sqa_err err = {0};
    struct stat st;
    char hex[65];
    (void)state;
    assert_int_equal(sqa_make_dirs(in_folder("a/b//c/"), &err), SQA_OK);
    assert_int_equal(stat(in_folder("a/b/c"), &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    assert_int_equal(sqa_make_dirs(in_folder("a/b"), &err), SQA_OK);
    assert_int_equal(sqa_make_dirs("/", &err), SQA_OK);
    assert_int_equal(sqa_make_dirs("", &err), SQA_INPUT);
    assert_int_equal(sqa_file_write(in_folder("a/file"), "abc", 3, &err), SQA_OK);
    assert_int_equal(sqa_make_dirs(in_folder("a/file"), &err), SQA_INPUT);
    assert_int_equal(sqa_make_dirs(in_folder("a/file/d"), &err), SQA_INPUT);
    assert_int_equal(sqa_file_sha256(in_folder("a/file"), hex, &err), SQA_OK);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(sqa_file_sha256(in_folder("a"), hex, &err), SQA_INPUT);
    assert_true(sqa_hash("", 0, 0) == 0xef46db3751d8e999u); /* XXH64 of nothing */
}

/* Memory and status */

static void allocations_are_zero_and_can_fail(void **state)
{
    struct sqa_arena arena = {0};
    (void)state;
    unsigned char *p = sqa_alloc_aligned(100);
    assert_int_equal((uintptr_t)p % 64, 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(p[i], 0);
    sqa_free(p);
    assert_null(sqa_alloc_array(SIZE_MAX / 2, 3));
    assert_null(sqa_alloc_aligned(SIZE_MAX - 3));
    assert_null(sqa_arena_alloc(&arena, SIZE_MAX));
    assert_null(sqa_arena_alloc(&arena, SIZE_MAX - 40));
    p = sqa_arena_alloc(&arena, 3);
    assert_int_equal((uintptr_t)p % 16, 0);
    assert_non_null(sqa_arena_alloc(&arena, 1 << 20));
    assert_string_equal(sqa_arena_printf(&arena, "%d-%s", 5, "x"), "5-x");
    sqa_arena_clear(&arena);
    sqa_arena_clear(&arena);
    const long before = sqa_alloc_count();
    sqa_alloc_fail_at(2);
    p = sqa_alloc(1);
    assert_non_null(p);
    assert_null(sqa_alloc(1));
    assert_null(sqa_realloc(p, 100));
    assert_null(sqa_strdup("x"));
    sqa_alloc_fail_at(0);
    assert_int_equal(sqa_alloc_count() - before, 4);
    p = sqa_realloc(p, 100);
    assert_non_null(p);
    sqa_free(p);
    sqa_free(NULL);
}

static void a_limit_counts_all_bytes(void **state)
{
    (void)state;
    void *held = sqa_alloc(1 << 20);
    sqa_alloc_limit(3 << 20);
    void *a = sqa_alloc(1 << 20);
    assert_non_null(a);
    assert_null(sqa_alloc(2 << 20));
    assert_null(sqa_alloc_aligned(2 << 20));
    assert_null(sqa_realloc(a, 3 << 20));
    sqa_free(a);
    a = sqa_alloc_array(15, 1 << 17);
    assert_non_null(a);
    sqa_alloc_limit(0);
    void *b = sqa_alloc(8 << 20);
    assert_non_null(b);
    sqa_free(a);
    sqa_free(b);
    sqa_free(held);
}

static void statuses_have_names_and_exit_codes(void **state)
{
    static const struct {
        enum sqa_status status;
        const char *name;
        int code;
    } rows[] = {{SQA_OK, "OK", 0},           {SQA_NO, "NO", 1},
                {SQA_USAGE, "USAGE", 2},     {SQA_INPUT, "INPUT", 3},
                {SQA_SHAPE, "SHAPE", 3},     {SQA_UNSUPPORTED, "UNSUPPORTED", 3},
                {SQA_MACHINE, "MACHINE", 4}, {SQA_NOMEM, "NOMEM", 4},
                {SQA_PARTIAL, "PARTIAL", 5}, {SQA_INTERRUPTED, "INTERRUPTED", 130}};
    struct sqa_err err = {0};
    char big[3000];
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_string_equal(sqa_status_name(rows[i].status), rows[i].name);
        assert_int_equal(sqa_status_exit(rows[i].status), rows[i].code);
    }
    assert_int_equal(sqa_fail(&err, SQA_INPUT, "%s: %d", "place", 3), SQA_INPUT);
    assert_int_equal(err.code, SQA_INPUT);
    assert_string_equal(err.text, "place: 3");
    assert_int_equal(sqa_fail(NULL, SQA_NO, "nobody reads this"), SQA_NO);
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    sqa_fail(&err, SQA_NO, "%s", big);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    static const char *const names[] = {"data", "ten", "pipe", "sub", "a/file", "a/b/c", "a/b", "a"};
    (void)state;
    for (size_t i = 0; i < COUNT(names); i++)
        remove(in_folder(names[i]));
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_gives_the_known_answers),
        cmocka_unit_test(numbers_are_words_of_blocks),
        cmocka_unit_test(uniform_and_normal_have_their_moments),
        cmocka_unit_test(below_stays_below),
        cmocka_unit_test(permutations_are_ones),
        cmocka_unit_test(parses_whole_numbers),
        cmocka_unit_test(parses_reals),
        cmocka_unit_test(parses_seconds_and_bytes),
        cmocka_unit_test(reals_read_back),
        cmocka_unit_test(formats_for_people),
        cmocka_unit_test(finds_the_nearest_name),
        cmocka_unit_test(texts_grow_and_fail_softly),
        cmocka_unit_test(parameters_have_defaults_and_canonical_texts),
        cmocka_unit_test(bad_parameters_are_refused_with_advice),
        cmocka_unit_test(writing_is_all_or_nothing),
        cmocka_unit_test(bad_places_are_refused),
        cmocka_unit_test(makes_directories),
        cmocka_unit_test(allocations_are_zero_and_can_fail),
        cmocka_unit_test(a_limit_counts_all_bytes),
        cmocka_unit_test(statuses_have_names_and_exit_codes),
    };
    return cmocka_run_group_tests_name("base", tests, make_folder, remove_folder);
}
