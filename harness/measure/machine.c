/*
 * machine.c - the counters of this machine: PAPI's events and energy, joined
 *
 * A group holds events of one of the two only. A test sets SEQARENA_FAKE_COUNTERS to the number of events that fit
 * together: then neither is asked, and the made-up events of fake.c are counted. run.json has the variable.
 */
#include "harness/measure/measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "harness/measure/measure_private.h"

struct handle {
    const struct sqa_counter_source *source;
    void *handle;
};

static int faked(void)
{
    return getenv("SEQARENA_FAKE_COUNTERS") != NULL;
}

static int list(struct sqa_counter_info *out, int max)
{
    if (faked())
        return sqa_counter_fake.list(out, max);
    const int n = sqa_counter_papi.list(out, max);
    return n + sqa_counter_energy.list(out + n, max - n);
}

static void *open_group(const char *const *names, int n, char reason[160])
{
    int energy = 0;
    for (int i = 0; i < n; i++)
        energy += strncmp(names[i], SQA_ENERGY_PREFIX, strlen(SQA_ENERGY_PREFIX)) == 0;
    if (energy > 0 && energy < n) {
        snprintf(reason, 160, "energy is counted in a pass of its own");
        return NULL;
    }
    struct handle *h = sqa_alloc(sizeof *h);
    if (!h) {
        snprintf(reason, 160, "no memory");
        return NULL;
    }
    h->source = faked() ? &sqa_counter_fake : energy ? &sqa_counter_energy : &sqa_counter_papi;
    h->handle = h->source->open(names, n, reason);
    if (h->handle)
        return h;
    sqa_free(h);
    return NULL;
}

static int start(void *p)
{
    struct handle *h = p;
    return h->source->start(h->handle);
}

static void stop(void *p)
{
    struct handle *h = p;
    h->source->stop(h->handle);
}

static int read_group(void *p, long long *values)
{
    struct handle *h = p;
    return h->source->read(h->handle, values);
}

static void close_group(void *p)
{
    struct handle *h = p;
    h->source->close(h->handle);
    sqa_free(h);
}

const struct sqa_counter_source sqa_counter_machine = {
    .name = "this machine",
    .list = list,
    .open = open_group,
    .start = start,
    .stop = stop,
    .read = read_group,
    .close = close_group,
};
