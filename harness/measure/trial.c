/*
 * trial.c - an event is believed only after a trial
 *
 * The trial of an event counts it over one portion of work and then over four. It passes when it counted more than 0
 * over the first and at least twice as much over the second as over the first. A portion holds a known number of
 * multiply-adds, unpredictable branches, fresh pages, lines that are in no cache, sleeps, and moves between two
 * processors, so that every event has cause to count. An event that grew too little is given two more trials, because
 * a neighbour may have disturbed the first. Energy is told a thousand times a second, so its portions are longer.
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

#include "harness/measure/measure_private.h"

enum { ENERGY_PORTIONS = 20 };

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

void sqa_counter_work(int portions)
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

int sqa_counter_may_be_zero(const char *name)
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
    const int portions = strncmp(name, SQA_ENERGY_PREFIX, strlen(SQA_ENERGY_PREFIX)) == 0 ? ENERGY_PORTIONS : 1;
    int failed = source->start(h) != 0;
    if (!failed) {
        sqa_counter_work(portions);
        failed = source->read(h, &first) != 0;
    }
    if (!failed) {
        sqa_counter_work(4 * portions);
        failed = source->read(h, &total) != 0;
    }
    source->close(h);
    if (failed) {
        snprintf(reason, 160, "opens but cannot be started and read");
        return 1;
    }
    if (sqa_counter_may_be_zero(name) && first >= 0 && total >= first)
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

int sqa_counter_passes(const struct sqa_counter_source *source, const char *name, char reason[160])
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
        out[i].available = sqa_counter_passes(source, out[i].name, out[i].reason);
        if (out[i].available)
            out[i].reason[0] = '\0';
    }
    return n;
}
