/* topology.c - processors, caches and binding, from hwloc; loaded once, when first asked for */
#include "harness/measure/measure.h"

#include <hwloc.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "harness/measure/measure_private.h"
#include "harness/measure/place.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static hwloc_topology_t topology; /* NULL when hwloc cannot load one */
static hwloc_bitmap_t given;      /* processors of this process before anything was bound */

static void load(void)
{
    const int saved = sqa_stderr_off();
    if (hwloc_topology_init(&topology) != 0)
        topology = NULL;
    if (topology && (hwloc_topology_set_icache_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_ALL) != 0 ||
                     hwloc_topology_load(topology) != 0)) {
        hwloc_topology_destroy(topology);
        topology = NULL;
    }
    sqa_stderr_on(saved);
    if (!topology)
        return;
    given = hwloc_bitmap_alloc();
    if (!given) {
        hwloc_topology_destroy(topology);
        topology = NULL;
        return;
    }
    if (hwloc_get_cpubind(topology, given, HWLOC_CPUBIND_PROCESS) != 0 || hwloc_bitmap_iszero(given))
        hwloc_bitmap_copy(given, hwloc_topology_get_allowed_cpuset(topology));
    hwloc_bitmap_and(given, given, hwloc_topology_get_topology_cpuset(topology));
}

static int loaded(void)
{
    pthread_once(&once, load);
    return topology != NULL;
}

int sqa_topology(hwloc_topology_t *t, hwloc_const_bitmap_t *of_process)
{
    const int there = loaded();
    *t = topology;
    *of_process = given;
    return there;
}

int sqa_processors(void)
{
    const int n = loaded() ? hwloc_bitmap_weight(given) : (int)sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? n : 1;
}

/* The i-th processor given: first one of every core, then the second ones, so that two threads share no core when
 * they need not. NULL when there is no such processor. */
static hwloc_obj_t processor(int i)
{
    const int all = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_PU);
    const int cores = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_CORE);
    if (cores <= 0) {
        hwloc_obj_t pu = NULL;
        while ((pu = hwloc_get_next_obj_inside_cpuset_by_type(topology, given, HWLOC_OBJ_PU, pu)) != NULL)
            if (i-- == 0)
                return pu;
        return NULL;
    }
    for (unsigned pass = 0; pass < (unsigned)all; pass++)
        for (unsigned c = 0; c < (unsigned)cores; c++) {
            hwloc_obj_t core = hwloc_get_obj_by_type(topology, HWLOC_OBJ_CORE, c);
            hwloc_obj_t pu = hwloc_get_obj_inside_cpuset_by_type(topology, core->cpuset, HWLOC_OBJ_PU, pass);
            if (pu && hwloc_bitmap_isset(given, pu->os_index) && i-- == 0)
                return pu;
        }
    return NULL;
}

int sqa_bind_thread(int i)
{
    if (i < 0 || i >= sqa_processors() || !loaded())
        return 0;
    hwloc_obj_t pu = processor(i);
    return pu && hwloc_set_cpubind(topology, pu->cpuset, HWLOC_CPUBIND_THREAD) == 0;
}

void sqa_affinity_text(char *buf, size_t size)
{
    buf[0] = '\0';
    if (loaded())
        hwloc_bitmap_list_snprintf(buf, size, given);
}

static const struct cache_type {
    hwloc_obj_type_t type;
    int level;
    const char *kind;
} cache_types[] = {
    {HWLOC_OBJ_L1CACHE, 1, "data"},         {HWLOC_OBJ_L1ICACHE, 1, "instruction"}, {HWLOC_OBJ_L2CACHE, 2, "unified"},
    {HWLOC_OBJ_L2ICACHE, 2, "instruction"}, {HWLOC_OBJ_L3CACHE, 3, "unified"},      {HWLOC_OBJ_L4CACHE, 4, "unified"},
};

json_t *sqa_topology_json(void)
{
    if (!loaded())
        return NULL;
    json_t *caches = json_array();
    for (size_t i = 0; i < sizeof cache_types / sizeof cache_types[0]; i++) {
        const struct cache_type *t = &cache_types[i];
        hwloc_obj_t first = hwloc_get_obj_by_type(topology, t->type, 0);
        if (!first)
            continue;
        const char *kind = first->attr->cache.type == HWLOC_OBJ_CACHE_DATA ? "data" : t->kind;
        json_t *cache =
            json_pack("{s:i, s:s, s:I, s:i, s:i, s:i}", "level", t->level, "kind", kind, "bytes",
                      (json_int_t)first->attr->cache.size, "line", (int)first->attr->cache.linesize, "shared_by",
                      hwloc_bitmap_weight(first->cpuset), "count", hwloc_get_nbobjs_by_type(topology, t->type));
        if (json_array_append_new(caches, cache) != 0) {
            json_decref(caches);
            return NULL;
        }
    }
    const int numa = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_NUMANODE);
    const int sockets = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_PACKAGE);
    const int cores = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_CORE);
    return json_pack("{s:i, s:o, s:o, s:i, s:o}", "logical", hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_PU),
                     "physical", cores > 0 ? json_integer(cores) : sqa_absent("hwloc sees no cores"), "sockets",
                     sockets > 0 ? json_integer(sockets) : sqa_absent("hwloc sees no sockets"), "numa", numa,
                     "caches", caches);
}

double sqa_last_cache_bytes(void)
{
    double bytes = 0;
    if (!loaded())
        return 0;
    for (size_t i = 0; i < sizeof cache_types / sizeof cache_types[0]; i++) {
        hwloc_obj_t first = hwloc_get_obj_by_type(topology, cache_types[i].type, 0);
        if (first && (double)first->attr->cache.size > bytes)
            bytes = (double)first->attr->cache.size;
    }
    return bytes;
}

json_t *sqa_numa_json(void)
{
    if (!loaded())
        return NULL;
    json_t *nodes = json_array();
    for (int i = 0; i < hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_NUMANODE); i++) {
        hwloc_obj_t o = hwloc_get_obj_by_type(topology, HWLOC_OBJ_NUMANODE, (unsigned)i);
        char processors[256] = "";
        hwloc_bitmap_list_snprintf(processors, sizeof processors, o->cpuset);
        json_array_append_new(nodes, json_pack("{s:i, s:s, s:I}", "node", (int)o->os_index, "processors", processors,
                                               "memory_bytes", (json_int_t)o->attr->numanode.local_memory));
    }
    return nodes;
}
