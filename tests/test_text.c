/* test_text.c - numbers, figures and names as text; tables of parameters */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/param.h"
#include "base/random.h"
#include "base/text.h"
#include "tests/support.h"

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("'%s' is not in '%s'", part, text);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_whole_numbers),
        cmocka_unit_test(parses_reals),
        cmocka_unit_test(parses_seconds_and_bytes),
        cmocka_unit_test(reals_read_back),
        cmocka_unit_test(formats_for_people),
        cmocka_unit_test(finds_the_nearest_name),
        cmocka_unit_test(texts_grow_and_fail_softly),
        cmocka_unit_test(parameters_have_defaults_and_canonical_texts),
        cmocka_unit_test(bad_parameters_are_refused_with_advice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
