/*
 * counters.c - event counters that are believed only after a trial
 *
 * The trial of an event counts it over one portion of work and then over four. It passes when it counted more than 0
 * over the first and at least twice as much over the second as over the first. A portion holds a known number of
 * multiply-adds, unpredictable branches, fresh pages, lines that are in no cache, sleeps, and moves between two
 * processors, so that every event has cause to count. An event that grew too little is given two more trials, because
 * a neighbour may have disturbed the first.
 *
 * One exception: a process that was given one processor cannot migrate, so there perf::CPU-MIGRATIONS may count 0.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* sched_getaffinity */
#endif
#include "harness/measure/measure.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "base/memory.h"
#include "harness/measure/measure_private.h"

static const char *const software[] = {"perf::CPU-CLOCK", "perf::TASK-CLOCK", "perf::PAGE-FAULTS",
                                       "perf::CONTEXT-SWITCHES", "perf::CPU-MIGRATIONS"};
enum { CANDIDATES = 160, NAME = sizeof((struct sqa_counter_info *)0)->name };

struct sqa_counters {
    const struct sqa_counter_source *source;
    void *handle;
    int n;
    char names[SQA_COUNTERS_MAX][NAME];
};

static volatile double sink;

static void compute(void)
{
    enum { N = 256, ROUNDS = 256 };
    float a[N];
    double d = 0;
    uint32_t bits = 12345;
    int taken = 0;
    for (int i = 0; i < N; i++)
        a[i] = (float)i;
    for (int r = 0; r < ROUNDS; r++)
        for (int i = 0; i < N; i++)
            a[i] = a[i] * 0.999f + 0.5f;
    for (int i = 0; i < 20000; i++) {
        bits = bits * 1664525u + 1013904223u;
        if (bits & 0x10000000u) {
            taken++;
            d = d * 0.5 + sink;
        }
    }
    for (int i = 0; i < N; i++)
        d += (double)a[i];
    sink = d + taken;
}

/* Page faults on fresh pages, then one read of every line after it was thrown out of the caches. */
static void walk(void)
{
    enum { BYTES = 512 * 1024, PAGE = 4096, LINE = 64 };
    char *p = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return;
    madvise(p, BYTES, MADV_NOHUGEPAGE);
    for (int i = 0; i < BYTES; i += PAGE)
        ((volatile char *)p)[i] = 1;
#if defined(__x86_64__)
    for (int i = 0; i < BYTES; i += LINE)
        _mm_clflush(p + i);
    _mm_mfence();
#endif
    for (int i = 0; i < BYTES; i += LINE)
        sink = sink + ((volatile char *)p)[i];
    munmap(p, BYTES);
}

/* Two moves: to the last processor the thread may use and to the first, then the mask is as it was. */
static void migrate(void)
{
    cpu_set_t all, one;
    size_t first = CPU_SETSIZE, last = CPU_SETSIZE;
    if (sched_getaffinity(0, sizeof all, &all) != 0)
        return;
    for (size_t i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &all)) {
            first = first < CPU_SETSIZE ? first : i;
            last = i;
        }
    if (first == last)
        return;
    for (int k = 0; k < 4; k++) {
        CPU_ZERO(&one);
        CPU_SET(k % 2 ? first : last, &one);
        sched_setaffinity(0, sizeof one, &one);
    }
    sched_setaffinity(0, sizeof all, &all);
}

static void work(int portions)
{
    for (int i = 0; i < portions; i++) {
        const struct timespec moment = {0, 1000};
        compute();
        walk();
        migrate();
        nanosleep(&moment, NULL);
        nanosleep(&moment, NULL);
    }
}

/* Whether the calling thread may run on one processor only; sets larger than cpu_set_t count as more. */
static int one_processor(void)
{
    cpu_set_t all;
    return sched_getaffinity(0, sizeof all, &all) == 0 && CPU_COUNT(&all) == 1;
}

static int may_be_zero(const char *name)
{
    return strcmp(name, "perf::CPU-MIGRATIONS") == 0 && one_processor();
}

/* One trial: 0 passed, 1 failed for good, 2 worth another try. */
static int try_once(const struct sqa_counter_source *source, const char *name, char reason[160])
{
    long long first = 0, total = 0;
    reason[0] = '\0';
    void *h = source->open(&name, 1, reason);
    if (!h) {
        if (!reason[0])
            snprintf(reason, 160, "%s refuses to open it", source->name);
        return 1;
    }
    int failed = source->start(h) != 0;
    if (!failed) {
        work(1);
        failed = source->read(h, &first) != 0;
    }
    if (!failed) {
        work(4);
        failed = source->read(h, &total) != 0;
    }
    source->close(h);
    if (failed) {
        snprintf(reason, 160, "opens but cannot be started and read");
        return 1;
    }
    if (may_be_zero(name) && first >= 0 && total >= first)
        return 0;
    if (first <= 0) {
        snprintf(reason, 160, "counted %lld in a trial", first);
        return 1;
    }
    const long long second = total - first;
    if (second / 2 >= first)
        return 0;
    snprintf(reason, 160, "does not grow with the work: %lld in a trial, %lld over four times the work", first,
             second);
    return 2;
}

static int passes(const struct sqa_counter_source *source, const char *name, char reason[160])
{
    int result = 2;
    for (int i = 0; i < 3 && result == 2; i++)
        result = try_once(source, name, reason);
    return result == 0;
}

int sqa_counters_try(const struct sqa_counter_source *source, struct sqa_counter_info *out, int max)
{
    const int n = source->list(out, max);
    for (int i = 0; i < n; i++) {
        out[i].reason[0] = '\0';
        out[i].available = passes(source, out[i].name, out[i].reason);
        if (out[i].available)
            out[i].reason[0] = '\0';
    }
    return n;
}

/* Adds "NAME: why; " to reason as far as it fits. */
static void left_out(char reason[160], const char *name, const char *why)
{
    const size_t used = strlen(reason);
    snprintf(reason + used, 160 - used, "%s%s: %s", used ? "; " : "", name, why);
}

static int has(const struct sqa_counters *c, const char *name)
{
    for (int i = 0; i < c->n; i++)
        if (strcmp(c->names[i], name) == 0)
            return 1;
    return 0;
}

/* Puts an event that passes the trial on c's list. */
static void want(struct sqa_counters *c, const char *name, char reason[160])
{
    char why[160];
    if (has(c, name))
        return;
    if (c->n == SQA_COUNTERS_MAX)
        left_out(reason, name, "too many events");
    else if (!passes(c->source, name, why))
        left_out(reason, name, why);
    else
        snprintf(c->names[c->n++], NAME, "%s", name);
}

int sqa_counter_is_software(const char *name)
{
    for (size_t i = 0; i < sizeof software / sizeof software[0]; i++)
        if (strcmp(software[i], name) == 0)
            return 1;
    return 0;
}

/* A group stands for the source's candidates of its kind; any other name for itself. */
static int want_names(struct sqa_counters *c, const char *names, char reason[160])
{
    struct sqa_counter_info *all = sqa_alloc_array(CANDIDATES, sizeof *all);
    if (!all) {
        snprintf(reason, 160, "no memory");
        return -1;
    }
    const int n = c->source->list(all, CANDIDATES);
    for (const char *p = names; *p;) {
        char name[NAME];
        const size_t length = strcspn(p, ",");
        const size_t lead = strspn(p, " ");
        if (length >= sizeof name)
            left_out(reason, "a name", "longer than a counter's name can be");
        else if (length > lead) {
            snprintf(name, sizeof name, "%.*s", (int)(length - lead), p + lead);
            const int soft = strcmp(name, "software") == 0, hard = strcmp(name, "hardware") == 0;
            for (int i = 0; i < n && (soft || hard); i++)
                if (sqa_counter_is_software(all[i].name) == soft)
                    want(c, all[i].name, reason);
            if (!soft && !hard)
                want(c, name, reason);
        }
        p += length + (p[length] == ',');
    }
    sqa_free(all);
    return 0;
}

/* Opens and starts the first n names as one group and sees that none of them stands still: an event that counts alone
 * may starve in a group. NULL with reason when it cannot. */
static void *open_started(const struct sqa_counters *c, int n, char reason[160])
{
    const char *names[SQA_COUNTERS_MAX];
    long long values[SQA_COUNTERS_MAX] = {0};
    for (int i = 0; i < n; i++)
        names[i] = c->names[i];
    snprintf(reason, 160, "the group is refused");
    void *h = c->source->open(names, n, reason);
    if (!h)
        return NULL;
    int good = c->source->start(h) == 0;
    if (good) {
        work(1);
        good = c->source->read(h, values) == 0;
    }
    for (int i = 0; i < n && good; i++)
        good = values[i] > 0 || may_be_zero(names[i]);
    if (good)
        return h;
    c->source->close(h);
    snprintf(reason, 160, "does not count beside the other events");
    return NULL;
}

struct sqa_counters *sqa_counters_open(const struct sqa_counter_source *source, const char *names, char reason[160])
{
    char why[160];
    struct sqa_counters *c = sqa_alloc(sizeof *c);
    reason[0] = '\0';
    if (!c) {
        snprintf(reason, 160, "no memory");
        return NULL;
    }
    c->source = source;
    if (want_names(c, names, reason) != 0 || c->n == 0) {
        if (!reason[0])
            snprintf(reason, 160, "no event is named");
        sqa_free(c);
        return NULL;
    }
    c->handle = open_started(c, c->n, why);
    /* The group does not work as a whole: keep, in order, every event that works beside those kept so far. */
    const int wanted = c->handle ? 0 : c->n;
    if (wanted)
        c->n = 0;
    for (int i = 0; i < wanted; i++) {
        memmove(c->names[c->n], c->names[i], NAME);
        void *h = open_started(c, c->n + 1, why);
        if (h) {
            c->n++;
            source->close(h);
        } else {
            left_out(reason, c->names[c->n], why);
        }
    }
    if (wanted && c->n)
        c->handle = open_started(c, c->n, why);
    if (!c->handle) {
        if (!reason[0])
            snprintf(reason, 160, "%s", why);
        sqa_free(c);
        return NULL;
    }
    return c;
}

int sqa_counters_n(const struct sqa_counters *c)
{
    return c ? c->n : 0;
}

const char *sqa_counters_name(const struct sqa_counters *c, int i)
{
    return c && i >= 0 && i < c->n ? c->names[i] : NULL;
}

int sqa_counters_read(struct sqa_counters *c, long long *values)
{
    return c ? c->source->read(c->handle, values) : -1;
}

void sqa_counters_close(struct sqa_counters *c)
{
    if (!c)
        return;
    c->source->close(c->handle);
    sqa_free(c);
}
