/*
 * fake.c - made-up counters: what a processor with hardware counters would answer, for tests of the whole path
 *
 * Events grow with the thread's processor time, each at its rate; among them are one that counts 0, one that stands
 * still after it began and one that cannot be opened. SEQARENA_FAKE_COUNTERS says how many fit together.
 */
#include "harness/measure/measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "harness/measure/measure_private.h"

#define EVERY "flops cache branch tlb stalls"
enum { STUCK = -1, CLOSED = -2 };

static const struct event {
    const char *name, *groups;
    double rate; /* counts a microsecond; 0 counts nothing; STUCK, CLOSED */
} events[] = {
    {"PAPI_TOT_CYC", EVERY, 3000},        {"PAPI_TOT_INS", EVERY, 6000}, {"PAPI_SP_OPS", "flops", 20000},
    {"PAPI_L1_DCM", "cache", 60},         {"PAPI_L3_TCM", "cache", 6},   {"PAPI_BR_INS", "branch", 600},
    {"PAPI_BR_MSP", "branch", 0},         {"PAPI_TLB_DM", "tlb", STUCK}, {"PAPI_RES_STL", "stalls", CLOSED},
    {"powercap:package-0", "energy", 20},
};
enum { N_EVENTS = sizeof events / sizeof events[0] };

struct handle {
    int n;
    const struct event *event[SQA_COUNTERS_MAX];
    int64_t start;
};

static int list(struct sqa_counter_info *out, int max)
{
    int n = 0;
    for (; n < N_EVENTS && n < max; n++) {
        memset(&out[n], 0, sizeof out[n]);
        snprintf(out[n].name, sizeof out[n].name, "%s", events[n].name);
        snprintf(out[n].groups, sizeof out[n].groups, "%s", events[n].groups);
        snprintf(out[n].help, sizeof out[n].help, "made up for a test");
    }
    return n;
}

static const struct event *find(const char *name)
{
    for (int i = 0; i < N_EVENTS; i++)
        if (strcmp(events[i].name, name) == 0)
            return &events[i];
    return NULL;
}

static void *open_group(const char *const *names, int n, char reason[160])
{
    const char *room = getenv("SEQARENA_FAKE_COUNTERS");
    struct handle *h = sqa_alloc(sizeof *h);
    for (int i = 0; h && i < n; i++) {
        const struct event *e = find(names[i]);
        if (e && e->rate > CLOSED && n <= (room ? atoi(room) : SQA_COUNTERS_MAX)) {
            h->event[h->n++] = e;
            continue;
        }
        snprintf(reason, 160, e && e->rate > CLOSED ? "no room for so many events" : "the fake has no such event");
        sqa_free(h);
        return NULL;
    }
    return h;
}

static int start(void *p)
{
    ((struct handle *)p)->start = sqa_clock_thread();
    return 0;
}

static void stop(void *p)
{
    (void)p;
}

static int read_group(void *p, long long *values)
{
    const struct handle *h = p;
    const double us = (double)(sqa_clock_thread() - h->start) * 1e-3;
    for (int i = 0; i < h->n; i++)
        values[i] = (int)h->event[i]->rate == STUCK ? 100 : (long long)(us * h->event[i]->rate);
    return 0;
}

const struct sqa_counter_source sqa_counter_fake = {
    .name = "fake",
    .list = list,
    .open = open_group,
    .start = start,
    .stop = stop,
    .read = read_group,
    .close = sqa_free,
};
