/* place.c - see place.h */
#include "harness/measure/place.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

struct places {
    const char *where, *how;
    int n, room;
    unsigned *processor; /* [room], n are known */
};

/* The p-th given processor of a core; -1 when it has none. */
static int of_core(hwloc_topology_t t, hwloc_const_bitmap_t given, hwloc_obj_t core, int p)
{
    hwloc_obj_t pu = NULL;
    while ((pu = hwloc_get_next_obj_inside_cpuset_by_type(t, core->cpuset, HWLOC_OBJ_PU, pu)) != NULL)
        if (hwloc_bitmap_isset(given, pu->os_index) && p-- == 0)
            return (int)pu->os_index;
    return -1;
}

/* Where hwloc sees no cores, processors stand for them. */
static hwloc_obj_type_t core_type(hwloc_topology_t t)
{
    return hwloc_get_nbobjs_by_type(t, HWLOC_OBJ_CORE) > 0 ? HWLOC_OBJ_CORE : HWLOC_OBJ_PU;
}

static void compact(hwloc_topology_t t, hwloc_const_bitmap_t given, struct places *s)
{
    hwloc_obj_t core = NULL;
    while ((core = hwloc_get_next_obj_by_type(t, core_type(t), core)) != NULL)
        for (int p = 0, at; s->n < s->room && (at = of_core(t, given, core, p)) >= 0; p++)
            s->processor[s->n++] = (unsigned)at;
}

/* Round p takes the p-th processor of each core: of all that have one when so many are wanted, else evenly. */
static void spread(hwloc_topology_t t, hwloc_const_bitmap_t given, struct places *s)
{
    const int all = hwloc_bitmap_weight(given);
    for (int p = 0; p < all && s->n < s->room; p++) {
        int cores = 0, seen = 0, taken = 0;
        hwloc_obj_t core = NULL;
        while ((core = hwloc_get_next_obj_by_type(t, core_type(t), core)) != NULL)
            cores += of_core(t, given, core, p) >= 0;
        const int take = s->room - s->n < cores ? s->room - s->n : cores;
        while (taken < take && (core = hwloc_get_next_obj_by_type(t, core_type(t), core)) != NULL) {
            const int at = of_core(t, given, core, p);
            if (at >= 0 && seen++ == (int)((int64_t)taken * cores / take)) {
                s->processor[s->n++] = (unsigned)at;
                taken++;
            }
        }
    }
}

static enum sqa_status outside(const struct places *s, hwloc_const_bitmap_t given, unsigned long processor,
                               struct sqa_err *err)
{
    char text[128];
    hwloc_bitmap_list_snprintf(text, sizeof text, given);
    return sqa_fail(err, SQA_USAGE, "%s: --bind %.60s: this process may not use processor %lu; choose among %s",
                    s->where, s->how, processor, text);
}

static enum sqa_status no_set(const struct places *s, struct sqa_err *err)
{
    return sqa_fail(err, SQA_USAGE, "%s: --bind %.60s; give compact, spread, none or processors, such as 0-3,8",
                    s->where, s->how);
}

/* "0-3,8", each once. */
static enum sqa_status listed(hwloc_const_bitmap_t given, struct places *s, struct sqa_err *err)
{
    hwloc_bitmap_t seen = hwloc_bitmap_alloc();
    enum sqa_status status = SQA_OK;
    int n = 0;
    if (!seen)
        return sqa_fail(err, SQA_NOMEM, "%s: no memory to bind threads; free some memory", s->where);
    for (const char *p = s->how; status == SQA_OK; p++) {
        char *end;
        if (!isdigit((unsigned char)*p)) {
            status = no_set(s, err);
            break;
        }
        const unsigned long low = strtoul(p, &end, 10);
        unsigned long high = low;
        if (*end == '-' && isdigit((unsigned char)end[1]))
            high = strtoul(end + 1, &end, 10);
        if (high < low || (*end && *end != ','))
            status = no_set(s, err);
        for (unsigned long i = low; i <= high && status == SQA_OK; i++) {
            if (i > 1 << 20 || !hwloc_bitmap_isset(given, (unsigned)i))
                status = outside(s, given, i, err);
            else if (hwloc_bitmap_isset(seen, (unsigned)i))
                status = sqa_fail(err, SQA_USAGE, "%s: --bind %.60s: processor %lu is named twice; name each once",
                                  s->where, s->how, i);
            else if (hwloc_bitmap_set(seen, (unsigned)i) == 0 && n++ < s->room)
                s->processor[s->n++] = (unsigned)i;
        }
        p = end;
        if (!*p)
            break;
    }
    hwloc_bitmap_free(seen);
    return status;
}

enum sqa_status sqa_place_threads(hwloc_topology_t t, hwloc_const_bitmap_t given, const char *where, const char *how,
                                  int n, unsigned *processor, struct sqa_err *err)
{
    struct places s = {where, how, 0, n, processor};
    enum sqa_status status = SQA_OK;
    if (strcmp(how, "compact") == 0)
        compact(t, given, &s);
    else if (strcmp(how, "spread") == 0)
        spread(t, given, &s);
    else
        status = listed(given, &s, err);
    if (status == SQA_OK && s.n < n)
        status =
            sqa_fail(err, SQA_USAGE, "%s: --bind %.60s: %d processor%s for %d threads; lower --threads or --jobs%s",
                     where, how, s.n, s.n == 1 ? "" : "s", n, isdigit((unsigned char)*how) ? ", or name more" : "");
    return status;
}

int sqa_place_nodes(hwloc_topology_t t, const unsigned *processor, int n, hwloc_bitmap_t nodes)
{
    hwloc_bitmap_zero(nodes);
    for (int i = 0; i < n; i++) {
        const hwloc_obj_t pu = hwloc_get_pu_obj_by_os_index(t, processor[i]);
        if (pu)
            hwloc_bitmap_or(nodes, nodes, pu->nodeset);
    }
    return hwloc_get_nbobjs_by_type(t, HWLOC_OBJ_NUMANODE);
}
