/*
 * energy.c - energy of the processor's packages and memory from the kernel's powercap files, as a counter source
 *
 * Events are named powercap:ZONE, as in powercap:package-0 and powercap:package-0:dram, and count microjoules of the
 * whole machine, not of this program. A file that ran over its range is carried on.
 */
#include "harness/measure/measure.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "harness/measure/measure_private.h"

enum { ZONES = 8, PARTS = 4, PATH = 512 };

const char *sqa_powercap = "/sys/class/powercap";

/* Folder of zone z (part < 0) or of its part, and its name; 0 when there is one. */
static int zone_name(int z, int part, char folder[PATH], char name[64])
{
    char path[PATH + 8];
    if (part < 0)
        snprintf(folder, PATH, "%.400s/intel-rapl:%d", sqa_powercap, z);
    else
        snprintf(folder, PATH, "%.400s/intel-rapl:%d:%d", sqa_powercap, z, part);
    snprintf(path, sizeof path, "%s/name", folder);
    return sqa_small_file(path, name, 64) == 0 && name[0] ? 0 : -1;
}

/* Calls f with every package and the memory of each, until it answers other than 0. */
static void each_zone(int (*f)(void *user, const char *folder, const char *name), void *user)
{
    char folder[PATH], name[64], event[160];
    for (int z = 0; z < ZONES; z++) {
        if (zone_name(z, -1, folder, name) != 0)
            continue;
        char package[64];
        snprintf(package, sizeof package, "%s", name);
        snprintf(event, sizeof event, SQA_ENERGY_PREFIX "%s", name);
        if (strncmp(package, "package", 7) == 0 && f(user, folder, event))
            return;
        for (int part = 0; part < PARTS; part++) {
            if (zone_name(z, part, folder, name) != 0 || strcmp(name, "dram") != 0)
                continue;
            snprintf(event, sizeof event, SQA_ENERGY_PREFIX "%s:%s", package, name);
            if (f(user, folder, event))
                return;
        }
    }
}

struct listing {
    struct sqa_counter_info *out;
    int n, max;
};

static int add_zone(void *user, const char *folder, const char *name)
{
    struct listing *l = user;
    (void)folder;
    if (l->n == l->max)
        return 1;
    struct sqa_counter_info *o = &l->out[l->n++];
    memset(o, 0, sizeof *o);
    snprintf(o->name, sizeof o->name, "%.63s", name);
    snprintf(o->help, sizeof o->help, "energy of the whole machine's %s, microjoules",
             name + strlen(SQA_ENERGY_PREFIX));
    snprintf(o->groups, sizeof o->groups, "energy");
    return 0;
}

/* One name stands for all packages where the kernel has no such files: it says why. */
static int list(struct sqa_counter_info *out, int max)
{
    struct listing l = {out, 0, max};
    each_zone(add_zone, &l);
    if (l.n == 0)
        add_zone(&l, "", SQA_ENERGY_PREFIX "package-0");
    return l.n;
}

struct meter {
    char folder[PATH];
    double range, last, total; /* microjoules */
};
struct handle {
    int n;
    struct meter at[SQA_COUNTERS_MAX];
};

struct search {
    const char *name;
    struct meter *m;
};

static int find_zone(void *user, const char *folder, const char *name)
{
    struct search *s = user;
    if (strcmp(name, s->name) != 0)
        return 0;
    snprintf(s->m->folder, sizeof s->m->folder, "%s", folder);
    return 1;
}

static double number_in(const char *folder, const char *file)
{
    char path[PATH + 32], buf[64], *end;
    snprintf(path, sizeof path, "%s/%s", folder, file);
    if (sqa_small_file(path, buf, sizeof buf) != 0)
        return (double)NAN;
    const double v = strtod(buf, &end);
    return end == buf ? (double)NAN : v;
}

static void *open_group(const char *const *names, int n, char reason[160])
{
    struct handle *h = sqa_alloc(sizeof *h);
    if (!h) {
        snprintf(reason, 160, "no memory");
        return NULL;
    }
    for (h->n = 0; h->n < n; h->n++) {
        struct meter *m = &h->at[h->n];
        struct search s = {names[h->n], m};
        each_zone(find_zone, &s);
        m->range = number_in(m->folder, "max_energy_range_uj");
        if (!m->folder[0])
            snprintf(reason, 160, "the kernel has no powercap files of that name");
        else if (isnan(number_in(m->folder, "energy_uj")))
            snprintf(reason, 160, "energy_uj cannot be read: the administrator must allow it (chmod a+r)");
        else
            continue;
        sqa_free(h);
        return NULL;
    }
    return h;
}

static int start(void *p)
{
    struct handle *h = p;
    int bad = 0;
    for (int i = 0; i < h->n; i++) {
        h->at[i].total = 0;
        h->at[i].last = number_in(h->at[i].folder, "energy_uj");
        bad |= isnan(h->at[i].last);
    }
    return bad ? -1 : 0;
}

static void stop(void *p)
{
    (void)p;
}

static int read_group(void *p, long long *values)
{
    struct handle *h = p;
    for (int i = 0; i < h->n; i++) {
        struct meter *m = &h->at[i];
        const double now = number_in(m->folder, "energy_uj");
        if (isnan(now) || (now < m->last && isnan(m->range)))
            return -1;
        m->total += now - m->last + (now < m->last ? m->range : 0);
        m->last = now;
        values[i] = (long long)m->total;
    }
    return 0;
}

const struct sqa_counter_source sqa_counter_energy = {
    .name = "powercap",
    .list = list,
    .open = open_group,
    .start = start,
    .stop = stop,
    .read = read_group,
    .close = sqa_free,
};
