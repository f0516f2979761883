/*
 * papi.c - PAPI reduced to a struct sqa_counter_source
 *
 * PAPI is started when a process first needs it; a forked child goes on with what it inherits (to start it afresh
 * would switch off the parent's events). A child forked while a set was open cannot count, and is told so. Events
 * count the calling thread; open, start, read and close belong to one thread. Nothing is ever multiplexed: a group
 * that does not fit is refused. Hardware events count user code only. Software events count the kernel side too,
 * where page faults and context switches happen; when the kernel forbids that, those that can count user code.
 */
#include <papi.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "harness/measure/measure.h"
#include "harness/measure/measure_private.h"

#define EVERY "flops cache branch tlb stalls" /* what the other events of a group are set in relation to */

static const struct event {
    const char *name, *groups, *instead, *help;
    int kernel; /* 1: a software event; 2: one that happens in the kernel only */
} events[] = {
    {"perf::CPU-CLOCK", "software", "", "time of the processor given to the thread, ns (high resolution timer)", 1},
    {"perf::TASK-CLOCK", "software", "", "time of the processor given to the thread, ns (scheduler)", 1},
    {"perf::PAGE-FAULTS", "software", "", "page faults", 1},
    {"perf::CONTEXT-SWITCHES", "software", "", "context switches", 2},
    {"perf::CPU-MIGRATIONS", "software", "", "moves of the thread to another processor", 2},
    {"PAPI_TOT_CYC", EVERY, "", "cycles", 0},
    {"PAPI_TOT_INS", EVERY, "", "instructions completed", 0},
    {"perf::CYCLES", EVERY, "PAPI_TOT_CYC", "cycles, the kernel's generic event", 0},
    {"perf::INSTRUCTIONS", EVERY, "PAPI_TOT_INS", "instructions, the kernel's generic event", 0},
    {"PAPI_SP_OPS", "flops", "", "single precision operations", 0},
    {"PAPI_DP_OPS", "flops", "", "double precision operations", 0},
    {"PAPI_FP_OPS", "flops", "PAPI_SP_OPS", "floating point operations", 0},
    {"RETIRED_SSE_AVX_FLOPS:ANY", "flops", "PAPI_FP_OPS", "floating point operations, native event of AMD Zen", 0},
    {"PAPI_L1_DCA", "cache", "", "level 1 data cache accesses", 0},
    {"PAPI_L1_DCM", "cache", "", "level 1 data cache misses", 0},
    {"perf::L1-DCACHE-LOADS", "cache", "PAPI_L1_DCA", "level 1 data cache loads, the kernel's generic event", 0},
    {"perf::L1-DCACHE-LOAD-MISSES", "cache", "PAPI_L1_DCM", "level 1 load misses, the kernel's generic event", 0},
    {"PAPI_L2_TCA", "cache", "", "level 2 cache accesses", 0},
    {"PAPI_L2_TCM", "cache", "", "level 2 cache misses", 0},
    {"PAPI_L2_DCM", "cache", "PAPI_L2_TCM", "level 2 data cache misses", 0},
    {"PAPI_L3_TCA", "cache", "", "level 3 cache accesses", 0},
    {"PAPI_L3_TCM", "cache", "", "level 3 cache misses", 0},
    {"perf::CACHE-REFERENCES", "cache", "PAPI_L3_TCA", "last level cache accesses, the kernel's generic event", 0},
    {"perf::CACHE-MISSES", "cache", "PAPI_L3_TCM", "last level cache misses, the kernel's generic event", 0},
    {"PAPI_BR_INS", "branch", "", "branches", 0},
    {"PAPI_BR_MSP", "branch", "", "branches mispredicted", 0},
    {"perf::BRANCHES", "branch", "PAPI_BR_INS", "branches, the kernel's generic event", 0},
    {"perf::BRANCH-MISSES", "branch", "PAPI_BR_MSP", "branches mispredicted, the kernel's generic event", 0},
    {"PAPI_TLB_DM", "tlb", "", "data translation lookaside buffer misses", 0},
    {"PAPI_TLB_IM", "tlb", "", "instruction translation lookaside buffer misses", 0},
    {"perf::DTLB-LOAD-MISSES", "tlb", "PAPI_TLB_DM", "data TLB load misses, the kernel's generic event", 0},
    {"perf::ITLB-LOAD-MISSES", "tlb", "PAPI_TLB_IM", "instruction TLB misses, the kernel's generic event", 0},
    {"PAPI_RES_STL", "stalls", "", "cycles stalled on any resource", 0},
    {"PAPI_STL_ICY", "stalls", "", "cycles in which no instruction is issued", 0},
    {"PAPI_STL_CCY", "stalls", "", "cycles in which no instruction completes", 0},
    {"perf::STALLED-CYCLES-FRONTEND", "stalls", "", "cycles without instructions to issue, generic event", 0},
    {"perf::STALLED-CYCLES-BACKEND", "stalls", "PAPI_RES_STL", "cycles stalled on any resource, generic event", 0},
};
enum { N_EVENTS = sizeof events / sizeof events[0] };

struct handle {
    int set;
    pid_t pid; /* the process that opened it: a child must not touch the parent's */
    int running;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int started; /* PAPI_library_init's answer */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int open_sets;
static pid_t sets_of; /* the process that opened them */

static void init(void)
{
    const int saved = sqa_stderr_off();
    started = PAPI_library_init(PAPI_VER_CURRENT);
    if (started == PAPI_VER_CURRENT && PAPI_thread_init(pthread_self) != PAPI_OK)
        started = PAPI_ESYS;
    sqa_stderr_on(saved);
}

static int start_papi(void)
{
    pthread_once(&once, init);
    return started == PAPI_VER_CURRENT;
}

/* Counts sets that are open; -1 in a child whose parent had some at the fork. */
static int change_sets(int by)
{
    int answer = 0;
    pthread_mutex_lock(&mutex);
    if (sets_of != getpid() && open_sets > 0) {
        answer = -1;
    } else {
        sets_of = getpid();
        open_sets += by;
    }
    pthread_mutex_unlock(&mutex);
    return answer;
}

static void add_candidate(struct sqa_counter_info *out, const char *name, const char *help, const char *groups,
                          const char *instead)
{
    memset(out, 0, sizeof *out);
    snprintf(out->groups, sizeof out->groups, "%s", groups);
    snprintf(out->instead, sizeof out->instead, "%s", instead);
    snprintf(out->name, sizeof out->name, "%.63s", name);
    snprintf(out->help, sizeof out->help, "%.127s", help);
}

/* The table above, then every other preset that PAPI says this processor has. */
static int list(struct sqa_counter_info *out, int max)
{
    int n = 0, code = PAPI_PRESET_MASK;
    for (; n < N_EVENTS && n < max; n++)
        add_candidate(&out[n], events[n].name, events[n].help, events[n].groups, events[n].instead);
    if (!start_papi() || PAPI_enum_event(&code, PAPI_ENUM_FIRST) != PAPI_OK)
        return n;
    do {
        PAPI_event_info_t info;
        int known = 0;
        if (PAPI_get_event_info(code, &info) != PAPI_OK || info.count == 0)
            continue;
        for (int i = 0; i < N_EVENTS && !known; i++)
            known = strcmp(events[i].name, info.symbol) == 0;
        if (!known && n < max)
            add_candidate(&out[n++], info.symbol, info.long_descr, "", "");
    } while (PAPI_enum_event(&code, PAPI_PRESET_ENUM_AVAIL) == PAPI_OK);
    return n;
}

static void explain(const char *name, int code, char reason[160])
{
    const PAPI_component_info_t *perf = PAPI_get_component_info(0);
    if (perf && perf->disabled)
        snprintf(reason, 160, "perf_event is switched off: %.120s", perf->disabled_reason);
    else if (code == PAPI_EPERM)
        snprintf(reason, 160,
                 "forbidden; lower kernel.perf_event_paranoid, or allow perf_event_open in the container");
    else if (code == PAPI_ECNFLCT)
        snprintf(reason, 160, "%.60s does not fit beside the other events", name);
    else
        snprintf(reason, 160, "the kernel offers no such event: %.110s", PAPI_strerror(code));
}

/* Adds one event; software events with the kernel side when that is allowed. */
static int add(int set, const char *name)
{
    int kernel = 0;
    for (int i = 0; i < N_EVENTS; i++)
        if (strcmp(events[i].name, name) == 0)
            kernel = events[i].kernel;
    if (kernel) {
        char both[80];
        snprintf(both, sizeof both, "%s:u=1:k=1", name);
        const int code = PAPI_add_named_event(set, both);
        if (code == PAPI_OK || kernel == 2)
            return code;
    }
    return PAPI_add_named_event(set, name);
}

static void stop(void *p)
{
    struct handle *h = p;
    long long last[SQA_COUNTERS_MAX];
    if (h->pid == getpid() && h->running)
        PAPI_stop(h->set, last);
    h->running = 0;
}

static void close_group(void *p)
{
    struct handle *h = p;
    if (!h)
        return;
    if (h->pid == getpid()) {
        stop(h);
        PAPI_cleanup_eventset(h->set);
        PAPI_destroy_eventset(&h->set);
        change_sets(-1);
    }
    sqa_free(h);
}

static void *open_group(const char *const *names, int n, char reason[160])
{
    if (!start_papi()) {
        snprintf(reason, 160, "PAPI does not start: %.110s",
                 started > 0 ? "its library is of another version" : PAPI_strerror(started));
        return NULL;
    }
    if (n > SQA_COUNTERS_MAX) {
        snprintf(reason, 160, "more than %d events at once", SQA_COUNTERS_MAX);
        return NULL;
    }
    struct handle *h = sqa_alloc(sizeof *h);
    if (!h) {
        snprintf(reason, 160, "no memory");
        return NULL;
    }
    if (change_sets(1) != 0) {
        snprintf(reason, 160, "the process that started this one was counting at that moment");
        sqa_free(h);
        return NULL;
    }
    h->set = PAPI_NULL;
    h->pid = getpid();
    int code = PAPI_create_eventset(&h->set);
    for (int i = 0; i < n && code == PAPI_OK; i++) {
        code = add(h->set, names[i]);
        if (code != PAPI_OK)
            explain(names[i], code, reason);
    }
    if (code == PAPI_OK)
        return h;
    if (h->set == PAPI_NULL)
        snprintf(reason, 160, "PAPI makes no event set: %.110s", PAPI_strerror(code));
    close_group(h);
    return NULL;
}

static int start(void *p)
{
    struct handle *h = p;
    h->running = PAPI_start(h->set) == PAPI_OK;
    return h->running ? 0 : -1;
}

static int read_group(void *p, long long *values)
{
    struct handle *h = p;
    return h->pid == getpid() && PAPI_read(h->set, values) == PAPI_OK ? 0 : -1;
}

json_t *sqa_papi_components(void)
{
    json_t *all = json_array();
    for (int i = 0; start_papi() && i < PAPI_num_components(); i++) {
        const PAPI_component_info_t *c = PAPI_get_component_info(i);
        const char *why = !c ? "" : c->disabled_reason[0] ? c->disabled_reason : "PAPI does not say";
        if (c)
            json_array_append_new(all, c->disabled
                                           ? json_pack("{s:s, s:b, s:s}", "name", c->name, "usable", 0, "reason", why)
                                           : json_pack("{s:s, s:b}", "name", c->name, "usable", 1));
    }
    return all;
}

const struct sqa_counter_source sqa_counter_papi = {
    .name = "papi",
    .list = list,
    .open = open_group,
    .start = start,
    .stop = stop,
    .read = read_group,
    .close = close_group,
};
