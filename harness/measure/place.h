/*
 * place.h - which processor each thread is to run on
 *
 * how    compact    neighbours: threads fill a core, then the next core, cache and package
 *        spread     apart: threads are dealt evenly over all cores; second processors of cores only when all have one
 *        "0-3,8"    these processors, thread 0 on the first that is named; more may be named than there are threads
 */
#ifndef SQA_HARNESS_MEASURE_PLACE_H
#define SQA_HARNESS_MEASURE_PLACE_H

#include <hwloc.h>

#include "base/status.h"

/* Fills processor[n] with the numbers that the operating system gives to processors; only those of `given`. USAGE when
 * how is none of the above or has fewer than n; where begins the sentence. */
enum sqa_status sqa_place_threads(hwloc_topology_t t, hwloc_const_bitmap_t given, const char *where, const char *how,
                                  int n, unsigned *processor, struct sqa_err *err) SQA_MUST_CHECK;
/* Sets `nodes` to the NUMA nodes of those processors; returns how many of the topology's nodes there are at all. */
int sqa_place_nodes(hwloc_topology_t t, const unsigned *processor, int n, hwloc_bitmap_t nodes);

/* topology.c: this machine, loaded once, and the processors the process was given; 0 when hwloc cannot load it. */
int sqa_topology(hwloc_topology_t *t, hwloc_const_bitmap_t *of_process);

#endif
