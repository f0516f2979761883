/*
 * bind.c - binds the threads of a cell and says where its memory goes
 *
 * A page lies on the node of the thread that first touches it. Arenas are touched by thread 0, so that all would lie
 * on its node; when the threads are on several nodes, pages are dealt over these instead.
 */
#include "harness/measure/measure.h"

#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "harness/measure/measure_private.h"
#include "harness/measure/place.h"

static enum sqa_status places(const char *where, const char *how, int n, unsigned **processor, struct sqa_err *err)
{
    hwloc_topology_t t;
    hwloc_const_bitmap_t given;
    if (!sqa_topology(&t, &given))
        return sqa_fail(err, SQA_MACHINE, "%s: --bind: hwloc sees no topology here; leave --bind out", where);
    *processor = sqa_alloc_array((size_t)n, sizeof **processor);
    if (!*processor)
        return sqa_fail(err, SQA_NOMEM, "%s: no memory to bind threads; free some memory", where);
    return sqa_place_threads(t, given, where, how, n, *processor, err);
}

enum sqa_status sqa_bind_check(const char *where, const char *how, int processors, struct sqa_err *err)
{
    unsigned *processor = NULL;
    const enum sqa_status status = places(where, how, processors, &processor, err);
    sqa_free(processor);
    return status;
}

/* What was done with memory, behind the processors; nothing where there is one node. */
static void bind_memory(hwloc_topology_t t, const unsigned *processor, int n, struct sqa_text *done)
{
    char text[64];
    hwloc_bitmap_t nodes = hwloc_bitmap_alloc();
    if (!nodes)
        return;
    const int all = sqa_place_nodes(t, processor, n, nodes);
    hwloc_bitmap_list_snprintf(text, sizeof text, nodes);
    if (hwloc_bitmap_weight(nodes) > 1)
        sqa_text_printf(
            done,
            hwloc_set_membind(t, nodes, HWLOC_MEMBIND_INTERLEAVE, HWLOC_MEMBIND_THREAD | HWLOC_MEMBIND_BYNODESET) == 0
                ? "; memory interleaved over nodes %s"
                : "; memory on the node that touches it first, of %s",
            text);
    else if (all > 1)
        sqa_text_printf(done, "; memory of node %s by first touch", text);
    hwloc_bitmap_free(nodes);
}

enum sqa_status sqa_bind_team(const char *how, int processors, int first, int threads, struct sqa_text *done,
                              struct sqa_err *err)
{
    hwloc_topology_t t;
    hwloc_const_bitmap_t given;
    unsigned *processor = NULL;
    int bound = 0;
    enum sqa_status status = places("cell", how, processors, &processor, err);
    if (status == SQA_OK && sqa_topology(&t, &given)) {
        const unsigned *mine = processor + first;
        for (int i = 0; i < threads; i++)
            sqa_text_printf(done, "%s%u", i ? " " : "", mine[i]);
        bind_memory(t, mine, threads, done);
#pragma omp parallel num_threads(threads) reduction(+ : bound)
        {
            const hwloc_obj_t pu = hwloc_get_pu_obj_by_os_index(t, mine[omp_get_thread_num()]);
            bound += pu && hwloc_set_cpubind(t, pu->cpuset, HWLOC_CPUBIND_THREAD) == 0;
        }
        if (bound != threads)
            status =
                sqa_fail(err, SQA_MACHINE, "cell: --bind %.60s: %d of %d threads could be bound; leave --bind out",
                         how, bound, threads);
    }
    sqa_free(processor);
    return status;
}
