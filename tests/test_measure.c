/* test_measure.c - clocks, memory, environment, binding, doctor */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* gethostname, setenv, MADV_NOHUGEPAGE */
#endif
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/random.h"
#include "harness/measure/measure.h"
#include "harness/measure/measure_private.h"
#include "reports/stats.h"

/* ---- clocks, memory, switches ---- */

static void test_clocks(void **state)
{
    (void)state;
    int64_t (*const clocks[])(void) = {sqa_clock_wall, sqa_clock_thread, sqa_clock_process};
    for (size_t c = 0; c < 3; c++) {
        const int64_t first = clocks[c]();
        int64_t last = first;
        for (int i = 0; i < 100000; i++) {
            const int64_t t = clocks[c]();
            assert_true(t >= last);
            last = t;
        }
        assert_true(last > first);
    }
    const double resolution = sqa_clock_resolution_ns();
    assert_true(resolution > 0 && resolution < 1e8);
}

static void test_sleep_is_not_work(void **state)
{
    (void)state;
    const struct timespec t = {0, 20000000};
    const int64_t wall = sqa_clock_wall(), cpu = sqa_clock_thread();
    nanosleep(&t, NULL);
    assert_true(sqa_clock_wall() - wall >= 20000000);
    assert_true(sqa_clock_thread() - cpu < 20000000);
}

static void test_rss_grows(void **state)
{
    (void)state;
    enum { BYTES = 48 << 20 };
    const double before = sqa_rss_now();
    if (isnan(before)) {
        print_message("no /proc/self/status to read resident memory from\n");
        skip();
    }
    char *p = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(p != MAP_FAILED);
    memset(p, 1, BYTES);
    const double during = sqa_rss_now(), peak = sqa_rss_peak();
    assert_true(during > before + 0.9 * BYTES);
    assert_true(isnan(peak) || peak > before + 0.9 * BYTES);
    munmap(p, BYTES);
    if (!isnan(peak) && sqa_rss_peak_reset())
        assert_true(sqa_rss_peak() < peak - 0.5 * BYTES);
}

static void test_memory_available(void **state)
{
    (void)state;
    const double v = sqa_memory_available();
    assert_true(isnan(v) || v > 0);
    assert_true(isnan(sqa_proc_number("/proc/meminfo", "NoSuchThing:")));
    assert_true(isnan(sqa_proc_number("/no/such/file", "x")));
}

static void test_switches(void **state)
{
    (void)state;
    const struct timespec t = {0, 100000};
    const struct sqa_switches before = sqa_switches_now();
    for (int i = 0; i < 10; i++)
        nanosleep(&t, NULL);
    const struct sqa_switches after = sqa_switches_now();
    assert_true(after.voluntary >= before.voluntary && after.involuntary >= before.involuntary);
}

static void test_others_running(void **state)
{
    (void)state;
    const int others = sqa_others_running();
    assert_in_range(others, 0, 1 << 20);
}

/* ---- environment ---- */

static int add_to_text(const char *buffer, size_t size, void *text)
{
    sqa_text_add_bytes(text, buffer, size);
    return 0;
}

static void test_environment(void **state)
{
    (void)state;
    static const char *const members[] = {
        "cpu",         "memory_bytes", "numa",       "os",           "kernel", "hypervisor",          "governor",
        "compiler",    "flags",        "libraries",  "load_average", "steal",  "clock_resolution_ns", "affinity",
        "environment", "counters",     "fingerprint"};
    static const char *const cpu[] = {"model", "logical", "physical", "isa", "caches"};
    static const char *const libraries[] = {"openblas", "hwloc", "papi", "pcre2", "jansson"};
    char host[256] = "";
    struct sqa_text text = {0};
    setenv("OMP_TEST_ONLY", "keep:/secret/dir/file,/secret2/x", 1);
    setenv("NOT_ON_THE_LIST", "unlisted", 1);
    json_t *env = sqa_environment(0);
    unsetenv("OMP_TEST_ONLY");
    unsetenv("NOT_ON_THE_LIST");
    assert_non_null(env);
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        assert_non_null(json_object_get(env, members[i]));
    for (size_t i = 0; i < sizeof cpu / sizeof cpu[0]; i++)
        assert_non_null(json_object_get(json_object_get(env, "cpu"), cpu[i]));
    for (size_t i = 0; i < sizeof libraries / sizeof libraries[0]; i++)
        assert_non_null(json_object_get(json_object_get(env, "libraries"), libraries[i]));
    assert_string_equal(json_string_value(json_object_get(json_object_get(env, "environment"), "OMP_TEST_ONLY")),
                        "keep:file,x");
    assert_string_equal(json_string_value(json_object_get(json_object_get(env, "counters"), "reason")), "not tried");
    assert_int_equal(strlen(json_string_value(json_object_get(env, "fingerprint"))), 16);

    assert_int_equal(json_dump_callback(env, add_to_text, &text, JSON_COMPACT), 0);
    assert_false(text.failed);
    gethostname(host, sizeof host - 1);
    if (strlen(host) >= 5)
        assert_null(strstr(text.text, host));
    assert_null(strstr(text.text, "secret"));
    assert_null(strstr(text.text, "unlisted"));
    assert_null(strstr(text.text, "\"/"));
    sqa_text_clear(&text);

    json_t *again = sqa_environment(1);
    assert_string_equal(json_string_value(json_object_get(env, "fingerprint")),
                        json_string_value(json_object_get(again, "fingerprint")));
    const json_t *counters = json_object_get(again, "counters");
    assert_true(json_is_array(json_object_get(counters, "available")));
    assert_true(json_is_array(json_object_get(counters, "missing")));
    json_decref(again);
    json_decref(env);
}

static void test_environment_without_memory(void **state)
{
    (void)state;
    setenv("OMP_TEST_ONLY", "1", 1);
    int made = 0;
    for (long n = 1; n < 50 && !made; n++) {
        sqa_alloc_fail_at(n);
        json_t *env = sqa_environment(0);
        sqa_alloc_fail_at(0);
        made = env != NULL;
        json_decref(env);
    }
    unsetenv("OMP_TEST_ONLY");
    assert_true(made);
}

static void *bind_in_thread(void *arg)
{
    const int n = sqa_processors();
    int bad = 0;
    for (int i = 0; i < n; i++)
        bad |= !sqa_bind_thread(i);
    bad |= sqa_bind_thread(-1) || sqa_bind_thread(n);
    bad |= sqa_processors() != n; /* what was given, not what is bound */
    *(int *)arg = bad;
    return NULL;
}

static void test_binding(void **state)
{
    (void)state;
    pthread_t id;
    int bad = 1;
    assert_true(sqa_processors() >= 1);
    json_t *topology = sqa_topology_json();
    if (!topology) {
        print_message("hwloc has no topology of this machine\n");
        skip();
    }
    json_decref(topology);
    assert_int_equal(pthread_create(&id, NULL, bind_in_thread, &bad), 0);
    assert_int_equal(pthread_join(id, NULL), 0);
    assert_int_equal(bad, 0);
}

/* ---- doctor ---- */

/* The interval of the median of 200 normal numbers holds 0 in 95 of 100 cases, and excludes 0 in 95 of 100 when they are
 * shifted by what sqa_noise_powered says of an interval of 100. */
static void test_power(void **state)
{
    (void)state;
    enum { N = 200, TRIALS = 4000, BASE = 100 };
    double x[N], width = 0;
    int holds = 0, found = 0;
    const size_t l = sqa_sign_rank(N), base_l = sqa_sign_rank(BASE);
    for (int t = 0; t < TRIALS; t++) {
        for (int i = 0; i < BASE; i++)
            x[i] = 0.01 * sqa_random_normal(sqa_random_key(1, (uint64_t)t, "base"), (uint64_t)i);
        sqa_sort_reals(x, BASE);
        width += (x[BASE - 1 - base_l] - x[base_l]) / 2 / TRIALS;
    }
    const double change = log1p(sqa_noise_powered(width, BASE, N));
    for (int t = 0; t < TRIALS; t++) {
        for (int i = 0; i < N; i++)
            x[i] = 0.01 * sqa_random_normal(sqa_random_key(1, (uint64_t)t, "power"), (uint64_t)i);
        sqa_sort_reals(x, N);
        holds += x[l] <= 0 && x[N - 1 - l] >= 0;
        found += x[l] + change > 0;
    }
    assert_in_range(holds, TRIALS * 94 / 100, TRIALS * 97 / 100);
    assert_in_range(found, TRIALS * 93 / 100, TRIALS * 97 / 100);
}

static void test_doctor_json(void **state)
{
    (void)state;
    static const char *const measured[] = {"memory_copy",     "product_flops_per_s",   "thread_gain",
                                           "steal_share",     "other_load_processors", "noise",
                                           "counter_reading", "clock_reading_ns"};
    struct sqa_err err;
    json_t *j = NULL;
    assert_int_equal(sqa_doctor(0.1, NULL, &j, &err), SQA_OK);
    const json_t *m = json_object_get(j, "measured");
    for (size_t i = 0; i < sizeof measured / sizeof measured[0]; i++)
        assert_non_null(json_object_get(m, measured[i]));
    assert_true(sqa_doctor_real(m, "product_flops_per_s.f32") > 1e6);
    assert_true(sqa_doctor_real(m, "product_flops_per_s.f64") > 1e6);
    assert_true(sqa_doctor_real(json_array_get(json_object_get(m, "memory_copy"), 0), "bytes_per_s") > 1e6);
    assert_true(sqa_doctor_real(m, "noise.one_minute.pairs") > 10);
    assert_true(sqa_doctor_real(m, "noise.one_minute.change") > 0);
    const json_t *noise = json_object_get(m, "noise"), *changes = json_object_get(noise, "smallest_change");
    assert_true(json_integer_value(json_object_get(noise, "pairs")) >= 10);
    assert_int_equal(json_array_size(changes), SQA_NOISE_SIZES);
    assert_true(json_array_size(json_object_get(j, "advice")) >= 1);
    assert_non_null(json_object_get(j, "environment"));
    json_decref(j);
}

static void test_doctor_text(void **state)
{
    (void)state;
    static const char *const parts[] = {"machine\n", "steadiness\n", "counters ", "rates\n", "noise ",
                                        "advice\n",  "GFLOP/s",      "GB/s",      "pairs"};
    struct sqa_text text = {0};
    struct sqa_err err;
    assert_int_equal(sqa_doctor(0.1, &text, NULL, &err), SQA_OK);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        assert_non_null(strstr(text.text, parts[i]));
    for (const char *line = text.text; *line; line += strcspn(line, "\n") + 1)
        assert_true(strcspn(line, "\n") <= 118);
    sqa_text_clear(&text);
}

static int advises(const json_t *advice, const char *words)
{
    for (size_t i = 0; i < json_array_size(advice); i++)
        if (strstr(json_string_value(json_array_get(advice, i)), words))
            return 1;
    return 0;
}

/* A machine with everything wrong, one with nothing wrong, and one of which nothing is known. */
static void test_advice(void **state)
{
    (void)state;
    static const char bad_env[] =
        "{'governor':'powersave','turbo':'on','smt':'on','cpu_quota':1.5,'clock_resolution_ns':1e6,'mhz_now':1000,"
        "'mhz_max':3000,'numa':2,'memory_available_bytes':1e9,'cpu':{'logical':4096},'libraries':{'openblas':{'core':"
        "'Prescott'}},'environment':{'SEQARENA_ISA':'plain'},'counters':{'groups':{'hardware':0},'missing':[{'name':"
        "'x','reason':'forbidden; lower'},{'name':'y','reason':'energy_uj cannot be read'}]}}";
    static const char bad_measured[] =
        "{'other_load_processors':1.5,'steal_share':0.1,'thread_gain':[{'threads':2,'gain':1.2}],'noise':{"
        "'median_abs_log_ratio':0.1,'median_abs_log_ratio_cpu':0.01,'one_minute':{'change':0.06}}}";
    static const char good_env[] = "{'governor':'performance','turbo':'off','smt':'off','cpu_quota':'none','numa':1,"
                                   "'clock_resolution_ns':20,'memory_available_bytes':1e10,'cpu':{'logical':1},"
                                   "'counters':{'groups':{'hardware':9},'missing':[]}}";
    static const char *const sentences[] = {"about 9 minutes",
                                            "keep 1.5 processors busy",
                                            "OMP_WAIT_POLICY",
                                            "(steal)",
                                            "compare CPU time where",
                                            "second thread",
                                            "of 4096 processors",
                                            "quota",
                                            "is powersave",
                                            "turbo is on",
                                            "1000 of 3000 MHz",
                                            "--bind spread",
                                            "--bind compact",
                                            "less than 2 GiB",
                                            "clock is coarse",
                                            "perf_event_paranoid",
                                            "chmod a+r",
                                            "OPENBLAS_CORETYPE",
                                            "SEQARENA_ISA is set"};
    static const char *const pairs[][2] = {{bad_env, bad_measured}, {good_env, "{}"}, {"{}", "{}"}};
    for (size_t k = 0; k < 3; k++) {
        json_t *o[2];
        for (int i = 0; i < 2; i++) {
            char text[1024];
            snprintf(text, sizeof text, "%s", pairs[k][i]);
            for (char *p = text; *p; p++)
                *p = *p == '\'' ? '"' : *p;
            o[i] = json_loads(text, 0, NULL);
            assert_non_null(o[i]);
        }
        json_t *advice = sqa_doctor_advice(o[0], o[1]);
        for (size_t i = 0; i < sizeof sentences / sizeof sentences[0] && k == 0; i++)
            if (!advises(advice, sentences[i]))
                fail_msg("no advice has '%s'", sentences[i]);
        for (size_t i = 0; i < json_array_size(advice); i++)
            assert_true(strlen(json_string_value(json_array_get(advice, i))) <= 114);
        if (k > 0)
            assert_true(json_array_size(advice) == 1 && advises(advice, "nothing to change"));
        json_decref(advice);
        json_decref(o[0]);
        json_decref(o[1]);
    }
}

static void test_doctor_refuses(void **state)
{
    (void)state;
    const double bad[] = {0, -1, 1e9, (double)NAN};
    struct sqa_err err;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(sqa_doctor(bad[i], NULL, NULL, &err), SQA_USAGE);
}

static void test_rates_without_memory(void **state)
{
    (void)state;
    struct sqa_noise noise;
    struct sqa_gain gain[SQA_GAINS];
    double bytes;
    for (long n = 1; n <= 2; n++) {
        sqa_alloc_fail_at(n);
        assert_int_equal(sqa_noise_test(0.01, &noise), -1);
        sqa_alloc_fail_at(n);
        assert_true(isnan(sqa_rate_copy(1, &bytes)));
        sqa_alloc_fail_at(n);
        assert_int_equal(sqa_thread_gains(gain, SQA_GAINS), 0);
    }
    sqa_alloc_fail_at(1);
    assert_true(isnan(sqa_rate_product(SQA_PRODUCT_F32)));
    sqa_alloc_fail_at(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clocks),
        cmocka_unit_test(test_sleep_is_not_work),
        cmocka_unit_test(test_rss_grows),
        cmocka_unit_test(test_memory_available),
        cmocka_unit_test(test_switches),
        cmocka_unit_test(test_others_running),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_environment_without_memory),
        cmocka_unit_test(test_binding),
        cmocka_unit_test(test_power),
        cmocka_unit_test(test_advice),
        cmocka_unit_test(test_doctor_refuses),
        cmocka_unit_test(test_doctor_json),
        cmocka_unit_test(test_doctor_text),
        cmocka_unit_test(test_rates_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
