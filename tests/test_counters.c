/* test_counters.c - counters: trial, groups and passes with a fake source, energy from made-up files, figures derived
 * from them, and software events for real */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "harness/measure/measure.h"
#include "harness/measure/measure_private.h"
#include "reports/derived.h"

/* ---- a counter source that behaves as told ---- */

enum behaviour { GOOD, ZERO, STUCK, FLAT, SHY, NO_OPEN, NO_START, NO_READ };

static const struct fake_event {
    const char *name;
    enum behaviour what;
    const char *groups, *instead;
} fakes[] = {
    {"perf::TASK-CLOCK", GOOD, "software", NULL},
    {"perf::PAGE-FAULTS", GOOD, "software", NULL},
    {"PAPI_TOT_CYC", ZERO, "flops branch", NULL},
    {"perf::CYCLES", GOOD, "flops branch", "PAPI_TOT_CYC"},
    {"PAPI_TOT_INS", STUCK, "flops", NULL},
    {"PAPI_L1_DCM", FLAT, "cache", NULL},
    {"PAPI_BR_MSP", SHY, "branch", NULL},
    {"PAPI_SP_OPS", NO_OPEN, "flops", NULL},
    {"PAPI_DP_OPS", NO_START, "flops", NULL},
    {"PAPI_FP_OPS", NO_READ, "flops", NULL},
    {"PAPI_BR_INS", GOOD, "branch", NULL},
    {"perf::BRANCHES", GOOD, "branch", "PAPI_BR_INS"},
    {"PAPI_L2_TCM", GOOD, "", NULL},
    {"powercap:package-0", GOOD, "energy", NULL},
};
enum { N_FAKES = sizeof fakes / sizeof fakes[0] };

static int room, shy_opens, open_handles, starve; /* room: events a group may hold */

struct fake_handle {
    int n, reads, running;
    enum behaviour what[SQA_COUNTERS_MAX];
};

static int fake_list(struct sqa_counter_info *out, int max)
{
    int n = 0;
    for (; n < N_FAKES && n < max; n++) {
        memset(&out[n], 0, sizeof out[n]);
        strcpy(out[n].name, fakes[n].name);
        strcpy(out[n].groups, fakes[n].groups);
        strcpy(out[n].instead, fakes[n].instead ? fakes[n].instead : "");
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
    struct fake_handle *h = p;
    h->reads = 0;
    h->running = 1;
    return h->what[0] == NO_START ? -1 : 0;
}

/* One portion of work counts 100; the second reading comes after five. */
static int fake_read(void *p, long long *values)
{
    struct fake_handle *h = p;
    static const long long good[] = {100, 500}, flat[] = {100, 210};
    const int late = h->reads++ > 0;
    if (!h->running)
        return -1;
    for (int i = 0; i < h->n; i++) {
        if (h->what[i] == NO_READ)
            return -1;
        values[i] = h->what[i] == GOOD ? good[late] : h->what[i] == FLAT ? flat[late] : h->what[i] == STUCK ? 100 : 0;
        if (starve && i >= starve)
            values[i] = 0;
    }
    return 0;
}

static void fake_stop(void *p)
{
    ((struct fake_handle *)p)->running = 0;
}

static void fake_close(void *p)
{
    open_handles--;
    sqa_free(p);
}

static const struct sqa_counter_source fake = {"fake",    fake_list, fake_open, fake_start,
                                               fake_stop, fake_read, fake_close};

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
    assert_int_equal(sqa_counters_passes(c), 1);
    assert_int_equal(sqa_counters_read(c, values), 0);
    assert_int_equal(values[1], 100);
    assert_int_equal(sqa_counters_read(c, values), 0);
    assert_int_equal(values[1], 500);
    sqa_counters_close(c);

    /* An event stands in for one that failed the trial, and for no other. */
    c = sqa_counters_open(&fake, "branch", reason);
    assert_names(c, (const char *const[]){"perf::CYCLES", "PAPI_BR_MSP", "PAPI_BR_INS", NULL});
    assert_non_null(strstr(reason, "PAPI_TOT_CYC: counted 0 in a trial"));
    sqa_counters_close(c);

    c = sqa_counters_open(&fake, "hardware", reason);
    assert_names(c, (const char *const[]){"perf::CYCLES", "PAPI_BR_MSP", "PAPI_BR_INS", "PAPI_L2_TCM", NULL});
    sqa_counters_close(c);

    c = sqa_counters_open(&fake, " PAPI_BR_INS,software,,PAPI_BR_INS, NO_SUCH", reason);
    assert_names(c, (const char *const[]){"PAPI_BR_INS", "perf::TASK-CLOCK", "perf::PAGE-FAULTS", NULL});
    assert_non_null(strstr(reason, "NO_SUCH: the kernel offers no such event"));
    sqa_counters_close(c);
    assert_int_equal(open_handles, 0);
}

/* Reads every pass once and sees that only its events are written. */
static void assert_passes_count(struct sqa_counters *c)
{
    for (int p = sqa_counters_passes(c) - 1; p >= 0; p--) {
        long long values[SQA_COUNTERS_MAX];
        for (int i = 0; i < sqa_counters_n(c); i++)
            values[i] = -7;
        assert_int_equal(sqa_counters_select(c, p), 0);
        assert_int_equal(sqa_counters_read(c, values), 0);
        for (int i = 0; i < sqa_counters_n(c); i++)
            assert_int_equal(values[i], sqa_counters_pass(c, i) == p ? 100 : -7);
    }
    assert_int_equal(sqa_counters_select(c, sqa_counters_passes(c)), -1);
    assert_int_equal(sqa_counters_select(c, -1), -1);
}

static void test_passes(void **state)
{
    (void)state;
    char reason[160];
    static const char five[] = "software,PAPI_BR_INS,PAPI_L2_TCM,perf::CYCLES";
    const char *const names[] = {"perf::TASK-CLOCK", "perf::PAGE-FAULTS", "PAPI_BR_INS",
                                 "PAPI_L2_TCM",      "perf::CYCLES",      NULL};
    for (room = 1; room <= 6; room++) {
        struct sqa_counters *c = sqa_counters_open(&fake, five, reason);
        assert_string_equal(reason, ""); /* nothing is left out for want of room */
        assert_int_equal(sqa_counters_passes(c), room == 1 ? 5 : room == 2 ? 3 : room < 5 ? 2 : 1);
        assert_names(c, names);
        for (int i = 0; i < 5; i++)
            assert_int_equal(sqa_counters_pass(c, i), i / room);
        assert_int_equal(sqa_counters_pass(c, 5), -1);
        assert_passes_count(c);
        sqa_counters_close(c);
    }
    room = SQA_COUNTERS_MAX;
    starve = 2; /* opens, but the third event of a group stands still */
    struct sqa_counters *c = sqa_counters_open(&fake, five, reason);
    assert_int_equal(sqa_counters_passes(c), 3);
    assert_passes_count(c);
    sqa_counters_close(c);
    assert_int_equal(open_handles, 0);
}

/* What run.json says: events by pass, and every missing one with its reason. */
static void test_json(void **state)
{
    (void)state;
    room = 2;
    json_t *o = sqa_counters_json(&fake, "software,branch,PAPI_L1_DCM,NO_SUCH");
    char *text = json_dumps(o, JSON_COMPACT);
    assert_string_equal(text,
                        "{\"asked\":\"software,branch,PAPI_L1_DCM,NO_SUCH\","
                        "\"passes\":[[\"perf::TASK-CLOCK\",\"perf::PAGE-FAULTS\"],[\"perf::CYCLES\","
                        "\"PAPI_BR_MSP\"],[\"PAPI_BR_INS\"]],"
                        "\"missing\":[{\"name\":\"PAPI_TOT_CYC\",\"reason\":\"counted 0 in a trial\"},"
                        "{\"name\":\"PAPI_L1_DCM\",\"reason\":\"does not grow with the work: 100 in a trial, 110 "
                        "over four times the work\"},"
                        "{\"name\":\"NO_SUCH\",\"reason\":\"the kernel offers no such event: Event does not "
                        "exist\"}]}");
    free(text);
    json_decref(o);
    o = sqa_counters_json(&fake, "PAPI_TOT_CYC");
    assert_int_equal(json_array_size(json_object_get(o, "passes")), 0);
    assert_string_equal(json_string_value(json_object_get(o, "reason")), "PAPI_TOT_CYC: counted 0 in a trial");
    json_decref(o);
    assert_int_equal(open_handles, 0);
}

static void test_names(void **state)
{
    (void)state;
    static const char *const good[] = {"",         "software,flops",     " cache , tlb",         "PAPI_TOT_CYC",
                                       "hardware", "powercap:package-0", "skl::INST_RETIRED:ANY"};
    static const char *const bad[] = {"flop", "software,cach", "branch misses"};
    struct sqa_err err;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_int_equal(sqa_counters_check("bench", good[i], &err), SQA_OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(sqa_counters_check("bench", bad[i], &err), SQA_USAGE);
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

/* ---- energy ---- */

static void put(const char *top, const char *zone, const char *file, const char *value)
{
    char path[256];
    struct sqa_err err;
    snprintf(path, sizeof path, "%s/%s", top, zone);
    assert_int_equal(sqa_make_dirs(path, &err), SQA_OK);
    snprintf(path, sizeof path, "%s/%s/%s", top, zone, file);
    assert_int_equal(sqa_file_write(path, value, strlen(value), &err), SQA_OK);
}

static void test_energy(void **state)
{
    (void)state;
    static const char *const files[] = {"name", "energy_uj", "max_energy_range_uj"};
    static const char *const zones[] = {"intel-rapl:0", "intel-rapl:0:0", "intel-rapl:0:1", "intel-rapl:1"};
    const char *const names[] = {"powercap:package-0", "powercap:package-0:dram"};
    const char *const usual = sqa_powercap;
    char top[] = "/tmp/seqarena-energy-XXXXXX", reason[160], path[256];
    struct sqa_counter_info info[8];
    long long v[2];
    assert_non_null(mkdtemp(top));
    sqa_powercap = top;
    assert_int_equal(sqa_counter_energy.list(info, 8), 1); /* none: one that says why */
    assert_null(sqa_counter_energy.open(names, 1, reason));
    assert_non_null(strstr(reason, "no powercap files"));
    put(top, zones[0], "name", "package-0\n");
    put(top, zones[0], "energy_uj", "900\n");
    put(top, zones[0], "max_energy_range_uj", "1000\n");
    put(top, zones[1], "name", "core\n");
    put(top, zones[2], "name", "dram\n");
    put(top, zones[2], "energy_uj", "7\n");
    put(top, zones[3], "name", "psys\n");
    assert_int_equal(sqa_counter_energy.list(info, 8), 2);
    for (int i = 0; i < 2; i++)
        assert_string_equal(info[i].name, names[i]);
    assert_true(sqa_counter_in_group(&info[0], "energy") && !sqa_counter_in_group(&info[0], "hardware"));
    void *h = sqa_counter_energy.open(names, 2, reason);
    assert_non_null(h);
    assert_int_equal(sqa_counter_energy.start(h), 0);
    put(top, zones[0], "energy_uj", "50\n"); /* over its range */
    put(top, zones[2], "energy_uj", "27\n");
    assert_int_equal(sqa_counter_energy.read(h, v), 0);
    assert_int_equal(v[0], 150);
    assert_int_equal(v[1], 20);
    put(top, zones[2], "energy_uj", "8\n"); /* backwards, and no range is known */
    assert_int_equal(sqa_counter_energy.read(h, v), -1);
    sqa_counter_energy.stop(h);
    sqa_counter_energy.close(h);
    const char *const mixed[] = {"perf::PAGE-FAULTS", "powercap:package-0"};
    assert_null(sqa_counter_machine.open(mixed, 2, reason));
    assert_non_null(strstr(reason, "pass of its own"));
    sqa_powercap = usual;
    for (size_t z = 0; z < sizeof zones / sizeof zones[0]; z++) {
        for (size_t f = 0; f < sizeof files / sizeof files[0]; f++) {
            snprintf(path, sizeof path, "%s/%s/%s", top, zones[z], files[f]);
            unlink(path);
        }
        snprintf(path, sizeof path, "%s/%s", top, zones[z]);
        rmdir(path);
    }
    rmdir(top);
}

/* ---- figures ---- */

static void test_figures(void **state)
{
    (void)state;
    static const struct {
        const char *counters;
        enum sqa_derived_figure which;
        int threads;
        double value;
    } cases[] = {
        {"PAPI_TOT_CYC=200;PAPI_TOT_INS=500", SQA_DERIVED_ipc, 1, 2.5},
        {"perf::CYCLES=200;perf::INSTRUCTIONS=500", SQA_DERIVED_ipc, 4, 2.5},
        {"PAPI_TOT_CYC=200;perf::CYCLES=1;PAPI_TOT_INS=500", SQA_DERIVED_ipc, 1, 2.5},
        {"PAPI_TOT_CYC=200", SQA_DERIVED_ipc, 1, (double)NAN},
        {"PAPI_TOT_CYC=0;PAPI_TOT_INS=500", SQA_DERIVED_ipc, 1, (double)NAN},
        {"XPAPI_TOT_CYC=1;PAPI_TOT_CYCLE=9;PAPI_TOT_INS=500", SQA_DERIVED_ipc, 1, (double)NAN},
        {"PAPI_L1_DCM=0;PAPI_TOT_INS=500", SQA_DERIVED_l1_mpki, 1, 0},
        {"PAPI_L1_DCM=5;PAPI_L1_DCA=50", SQA_DERIVED_l1_rate, 1, 10},
        {"PAPI_BR_MSP=1;PAPI_BR_INS=200", SQA_DERIVED_branch_rate, 1, 0.5},
        {"PAPI_RES_STL=30;PAPI_TOT_CYC=120", SQA_DERIVED_stalled, 1, 25},
        {"PAPI_TLB_DM=2;PAPI_TOT_INS=4000", SQA_DERIVED_tlb_mpki, 1, 0.5},
        {"PAPI_L3_TCM=10", SQA_DERIVED_memory_bytes, 1, 640},
        {"PAPI_L3_TCM=10", SQA_DERIVED_memory_bytes, 2, (double)NAN},
        {"perf::CACHE-MISSES=10", SQA_DERIVED_intensity, 1, 2}, /* analytic FLOPs */
        {"PAPI_SP_OPS=640;PAPI_DP_OPS=640;PAPI_L3_TCM=10", SQA_DERIVED_intensity, 1, 2},
        {"PAPI_SP_OPS=640", SQA_DERIVED_flop_share, 1, 0.5},
        {"PAPI_SP_OPS=640;PAPI_DP_OPS=60", SQA_DERIVED_flops, 1, 700},
        {"PAPI_SP_OPS=640", SQA_DERIVED_flops, 2, (double)NAN},
        {"PAPI_FP_OPS=1280", SQA_DERIVED_flop_share, 1, 1},
        {"RETIRED_SSE_AVX_FLOPS:ANY=1280", SQA_DERIVED_flop_share, 1, 1},
        {"powercap:package-0=5000;powercap:package-0:dram=1000;powercap:package-1=2000",
         SQA_DERIVED_millijoules_a_token, 2, 0.08},
        {"perf::TASK-CLOCK=900", SQA_DERIVED_on_processor, 1, 90},
        {"perf::PAGE-FAULTS=3", SQA_DERIVED_faults, 1, 3},
        {"", SQA_DERIVED_faults, 1, (double)NAN},
        {"perf::PAGE-FAULTS", SQA_DERIVED_faults, 1, (double)NAN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct sqa_derived c = {.counters = cases[i].counters,
                                      .flops = 1280,
                                      .tokens = 100,
                                      .ns = 1000,
                                      .line = 64,
                                      .threads = cases[i].threads};
        const double v = sqa_derived_figure(&c, cases[i].which);
        if (isnan(cases[i].value) ? !isnan(v) : !(fabs(v - cases[i].value) < 1e-12))
            fail_msg("%s: %s is %g, not %g", cases[i].counters, sqa_derived_titles[cases[i].which].title, v,
                     cases[i].value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_trial, fake_reset),
        cmocka_unit_test_setup(test_open_groups, fake_reset),
        cmocka_unit_test_setup(test_passes, fake_reset),
        cmocka_unit_test_setup(test_json, fake_reset),
        cmocka_unit_test(test_names),
        cmocka_unit_test_setup(test_open_nothing, fake_reset),
        cmocka_unit_test_setup(test_open_without_memory, fake_reset),
        cmocka_unit_test(test_papi),
        cmocka_unit_test(test_papi_in_child),
        cmocka_unit_test(test_papi_says_why),
        cmocka_unit_test(test_energy),
        cmocka_unit_test(test_figures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
