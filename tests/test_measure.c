/* test_measure.c - clocks, memory, the trial of counters with a fake source, environment, doctor */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* gethostname, setenv, MADV_NOHUGEPAGE */
#endif
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "harness/measure/measure.h"
#include "harness/measure/measure_private.h"

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

/* ---- a counter source that behaves as told ---- */

enum behaviour { GOOD, ZERO, STUCK, FLAT, SHY, NO_OPEN, NO_START, NO_READ };

static const struct fake_event {
    const char *name;
    enum behaviour what;
} fakes[] = {
    {"perf::TASK-CLOCK", GOOD}, {"perf::PAGE-FAULTS", GOOD}, {"PAPI_TOT_CYC", ZERO},   {"PAPI_TOT_INS", STUCK},
    {"PAPI_L1_DCM", FLAT},      {"PAPI_BR_MSP", SHY},        {"PAPI_SP_OPS", NO_OPEN}, {"PAPI_DP_OPS", NO_START},
    {"PAPI_FP_OPS", NO_READ},   {"PAPI_BR_INS", GOOD},       {"PAPI_L2_TCM", GOOD},
};
enum { N_FAKES = sizeof fakes / sizeof fakes[0] };

static int room, shy_opens, open_handles, starve; /* room: events a group may hold */

struct fake_handle {
    int n, reads;
    enum behaviour what[SQA_COUNTERS_MAX];
};

static int fake_list(struct sqa_counter_info *out, int max)
{
    int n = 0;
    for (; n < N_FAKES && n < max; n++) {
        memset(&out[n], 0, sizeof out[n]);
        strcpy(out[n].name, fakes[n].name);
    }
    return n;
}

static void *fake_open(const char *const *names, int n, char reason[160])
{
    struct fake_handle *h = sqa_alloc(sizeof *h);
    if (!h || n > room) {
        strcpy(reason, h ? "no room" : "no memory");
        sqa_free(h);
        return NULL;
    }
    for (int i = 0; i < n; i++) {
        int k = 0;
        while (k < N_FAKES && strcmp(fakes[k].name, names[i]) != 0)
            k++;
        if (k == N_FAKES || fakes[k].what == NO_OPEN) {
            strcpy(reason, "the kernel offers no such event: Event does not exist");
            sqa_free(h);
            return NULL;
        }
        h->what[h->n++] = fakes[k].what == SHY ? (shy_opens++ < 1 ? STUCK : GOOD) : fakes[k].what;
    }
    open_handles++;
    return h;
}

static int fake_start(void *p)
{
    return ((struct fake_handle *)p)->what[0] == NO_START ? -1 : 0;
}

/* One portion of work counts 100; the second reading comes after five. */
static int fake_read(void *p, long long *values)
{
    struct fake_handle *h = p;
    static const long long good[] = {100, 500}, flat[] = {100, 210};
    const int late = h->reads++ > 0;
    for (int i = 0; i < h->n; i++) {
        if (h->what[i] == NO_READ)
            return -1;
        values[i] = h->what[i] == GOOD ? good[late] : h->what[i] == FLAT ? flat[late] : h->what[i] == STUCK ? 100 : 0;
        if (starve && i >= starve)
            values[i] = 0;
    }
    return 0;
}

static void fake_close(void *p)
{
    open_handles--;
    sqa_free(p);
}

static const struct sqa_counter_source fake = {"fake", fake_list, fake_open, fake_start, fake_read, fake_close};

static int fake_reset(void **state)
{
    (void)state;
    room = SQA_COUNTERS_MAX;
    shy_opens = starve = open_handles = 0;
    return 0;
}

static void test_trial(void **state)
{
    (void)state;
    static const char *const why[] = {
        [ZERO] = "counted 0 in a trial",
        [STUCK] = "does not grow with the work: 100 in a trial, 0 over",
        [FLAT] = "does not grow with the work: 100 in a trial, 110 over",
        [NO_OPEN] = "the kernel offers no such event: ",
        [NO_START] = "cannot be started and read",
        [NO_READ] = "cannot be started and read",
    };
    struct sqa_counter_info info[N_FAKES];
    assert_int_equal(sqa_counters_try(&fake, info, N_FAKES), N_FAKES);
    assert_int_equal(open_handles, 0);
    for (int i = 0; i < N_FAKES; i++) {
        const int good = fakes[i].what == GOOD || fakes[i].what == SHY;
        assert_int_equal(info[i].available, good);
        if (good)
            assert_string_equal(info[i].reason, "");
        else
            assert_non_null(strstr(info[i].reason, why[fakes[i].what]));
    }
    assert_int_equal(sqa_counters_try(&fake, info, 2), 2);
}

static void assert_names(const struct sqa_counters *c, const char *const *names)
{
    int n = 0;
    for (; names[n]; n++)
        assert_string_equal(sqa_counters_name(c, n), names[n]);
    assert_int_equal(sqa_counters_n(c), n);
    assert_null(sqa_counters_name(c, n));
    assert_null(sqa_counters_name(c, -1));
}

static void test_open_groups(void **state)
{
    (void)state;
    char reason[160];
    long long values[SQA_COUNTERS_MAX];
    struct sqa_counters *c = sqa_counters_open(&fake, "software", reason);
    assert_non_null(c);
    assert_string_equal(reason, "");
    assert_names(c, (const char *const[]){"perf::TASK-CLOCK", "perf::PAGE-FAULTS", NULL});
    assert_int_equal(sqa_counters_read(c, values), 0);
    assert_int_equal(values[1], 500);
    sqa_counters_close(c);

    c = sqa_counters_open(&fake, "hardware", reason);
    assert_names(c, (const char *const[]){"PAPI_BR_MSP", "PAPI_BR_INS", "PAPI_L2_TCM", NULL});
    assert_non_null(strstr(reason, "PAPI_TOT_CYC: counted 0 in a trial"));
    sqa_counters_close(c);

    c = sqa_counters_open(&fake, " PAPI_BR_INS,software,,PAPI_BR_INS, NO_SUCH", reason);
    assert_names(c, (const char *const[]){"PAPI_BR_INS", "perf::TASK-CLOCK", "perf::PAGE-FAULTS", NULL});
    assert_non_null(strstr(reason, "NO_SUCH: the kernel offers no such event"));
    sqa_counters_close(c);
    assert_int_equal(open_handles, 0);
}

static void test_open_less_than_asked(void **state)
{
    (void)state;
    char reason[160];
    const char *const first[] = {"PAPI_BR_INS", "PAPI_L2_TCM", NULL};
    room = 2;
    struct sqa_counters *c = sqa_counters_open(&fake, "PAPI_BR_INS,PAPI_L2_TCM,perf::TASK-CLOCK", reason);
    assert_names(c, first);
    assert_string_equal(reason, "perf::TASK-CLOCK: no room");
    sqa_counters_close(c);

    room = SQA_COUNTERS_MAX;
    starve = 2; /* opens, but the third event of a group stands still */
    c = sqa_counters_open(&fake, "PAPI_BR_INS,PAPI_L2_TCM,perf::TASK-CLOCK", reason);
    assert_names(c, first);
    assert_non_null(strstr(reason, "perf::TASK-CLOCK: does not count beside"));
    sqa_counters_close(c);
    assert_int_equal(open_handles, 0);
}

static void test_open_nothing(void **state)
{
    (void)state;
    char reason[160], name[200];
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = '\0';
    const char *const bad[] = {"", ",, ,", "PAPI_TOT_CYC", "nonsense", "PAPI_TOT_CYC,PAPI_L1_DCM,PAPI_SP_OPS", name};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_null(sqa_counters_open(&fake, bad[i], reason));
        assert_true(strlen(reason) > 0 && strlen(reason) < 160);
    }
    assert_int_equal(open_handles, 0);
    sqa_counters_close(NULL);
    assert_int_equal(sqa_counters_n(NULL), 0);
}

static void test_open_without_memory(void **state)
{
    (void)state;
    char reason[160];
    int opened = 0;
    for (long n = 1; n < 12 && !opened; n++) {
        sqa_alloc_fail_at(n);
        struct sqa_counters *c = sqa_counters_open(&fake, "PAPI_BR_INS", reason);
        sqa_alloc_fail_at(0);
        opened = c != NULL;
        if (!c)
            assert_non_null(strstr(reason, "no memory"));
        sqa_counters_close(c);
        assert_int_equal(open_handles, 0);
    }
    assert_true(opened);
}

/* ---- the real source ---- */

static long long faults_of(struct sqa_counters *c, size_t pages)
{
    const size_t size = pages * 4096;
    long long before = 0, after = 0;
    assert_int_equal(sqa_counters_read(c, &before), 0);
    char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(p != MAP_FAILED);
    madvise(p, size, MADV_NOHUGEPAGE);
    for (size_t i = 0; i < size; i += 4096)
        ((volatile char *)p)[i] = 1;
    munmap(p, size);
    assert_int_equal(sqa_counters_read(c, &after), 0);
    return after - before;
}

static void test_papi(void **state)
{
    (void)state;
    char reason[160];
    struct sqa_counters *c = sqa_counters_open(&sqa_counter_papi, "perf::PAGE-FAULTS", reason);
    if (!c) {
        print_message("page faults are not counted here: %s\n", reason);
        assert_true(strlen(reason) > 0);
        skip();
    }
    const long long few = faults_of(c, 100), many = faults_of(c, 400);
    sqa_counters_close(c);
    if (sysconf(_SC_PAGESIZE) == 4096) {
        assert_true(few >= 100);
        assert_true(many >= 400);
    }
    assert_null(sqa_counters_open(&sqa_counter_papi, "NO_SUCH_EVENT", reason));
    assert_non_null(strstr(reason, "NO_SUCH_EVENT: "));
}

/* The child's answer: 0 when it counted page faults, 1 when it was refused with a reason, 2 otherwise. */
static int child_counts(struct sqa_counters *inherited)
{
    const pid_t pid = fork();
    if (pid == 0) {
        char reason[160];
        long long v;
        int bad = inherited && sqa_counters_read(inherited, &v) == 0;
        sqa_counters_close(inherited);
        struct sqa_counters *c = sqa_counters_open(&sqa_counter_papi, "perf::PAGE-FAULTS", reason);
        bad = bad ? 2 : c ? 0 : strstr(reason, "was counting") ? 1 : 2;
        if (c && faults_of(c, 100) < 100)
            bad = 2;
        sqa_counters_close(c);
        _exit(bad);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_papi_in_child(void **state)
{
    (void)state;
    char reason[160];
    struct sqa_counters *c = sqa_counters_open(&sqa_counter_papi, "perf::PAGE-FAULTS", reason);
    if (!c) {
        print_message("page faults are not counted here: %s\n", reason);
        skip();
    }
    assert_int_equal(child_counts(c), 1);
    assert_true(faults_of(c, 100) >= 100); /* the child did not disturb the set */
    sqa_counters_close(c);
    assert_int_equal(child_counts(NULL), 0);
}

static void test_papi_says_why(void **state)
{
    (void)state;
    enum { MAX = 160 };
    struct sqa_counter_info *info = sqa_alloc_array(MAX, sizeof *info);
    assert_non_null(info);
    const int n = sqa_counters_try(&sqa_counter_papi, info, MAX);
    assert_true(n >= 10);
    for (int i = 0; i < n; i++) {
        assert_true(strlen(info[i].name) > 0 && strlen(info[i].help) > 0);
        assert_true(info[i].available == (info[i].reason[0] == '\0'));
    }
    sqa_free(info);
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

static void test_doctor_json(void **state)
{
    (void)state;
    static const char *const measured[] = {"copy_bytes_per_s", "sgemm_flops_per_s",     "second_thread_gain",
                                           "steal_share",      "other_load_processors", "noise"};
    struct sqa_err err;
    json_t *j = NULL;
    assert_int_equal(sqa_doctor(0.1, NULL, &j, &err), SQA_OK);
    const json_t *m = json_object_get(j, "measured");
    for (size_t i = 0; i < sizeof measured / sizeof measured[0]; i++)
        assert_non_null(json_object_get(m, measured[i]));
    assert_true(json_number_value(json_object_get(m, "sgemm_flops_per_s")) > 1e6);
    assert_true(json_number_value(json_object_get(m, "copy_bytes_per_s")) > 1e6);
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
    double bytes;
    for (long n = 1; n <= 2; n++) {
        sqa_alloc_fail_at(n);
        assert_int_equal(sqa_noise_test(0.01, &noise), -1);
        sqa_alloc_fail_at(n);
        assert_true(isnan(sqa_rate_copy(&bytes)));
        sqa_alloc_fail_at(n);
        assert_true(isnan(sqa_second_thread_gain()));
    }
    sqa_alloc_fail_at(1);
    assert_true(isnan(sqa_rate_sgemm()));
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
        cmocka_unit_test_setup(test_trial, fake_reset),
        cmocka_unit_test_setup(test_open_groups, fake_reset),
        cmocka_unit_test_setup(test_open_less_than_asked, fake_reset),
        cmocka_unit_test_setup(test_open_nothing, fake_reset),
        cmocka_unit_test_setup(test_open_without_memory, fake_reset),
        cmocka_unit_test(test_papi),
        cmocka_unit_test(test_papi_in_child),
        cmocka_unit_test(test_papi_says_why),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_environment_without_memory),
        cmocka_unit_test(test_binding),
        cmocka_unit_test(test_doctor_refuses),
        cmocka_unit_test(test_doctor_json),
        cmocka_unit_test(test_doctor_text),
        cmocka_unit_test(test_rates_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
