/*
 * measure.h - clocks, memory, counters, topology, environment: what a machine can say about a run
 *
 * Nothing here knows models or tasks. A value that cannot be had is absent (NaN, NULL, {"value": null, "reason":
 * ...}), never 0.
 */
#ifndef SQA_HARNESS_MEASURE_H
#define SQA_HARNESS_MEASURE_H

#include <stdint.h>

#include <jansson.h>

#include "base/status.h"
#include "base/text.h"

/* Clocks, nanoseconds. */
int64_t sqa_clock_wall(void);         /* CLOCK_MONOTONIC */
int64_t sqa_clock_thread(void);       /* CPU time of the calling thread */
int64_t sqa_clock_process(void);      /* CPU time of all threads of the process */
double sqa_clock_resolution_ns(void); /* smallest step seen between two readings of the wall clock */

/* Memory of the calling process, bytes; NaN where the kernel does not say. */
double sqa_rss_now(void);
double sqa_rss_peak(void);    /* VmHWM since start or the last reset */
int sqa_rss_peak_reset(void); /* 1 when the kernel allowed it */
double sqa_memory_available(void);

struct sqa_switches { /* context switches of the calling process so far */
    int64_t voluntary, involuntary;
};
struct sqa_switches sqa_switches_now(void);
double sqa_machine_steal(void); /* seconds that the host took from this machine since boot; NaN when unknown */

/* Counters. A set is opened from names; only events that a trial proved (they count, and they count more for more
 * work) are counted. The source is PAPI, or a fake one in tests. */
struct sqa_counter_info {
    char name[64];
    char help[128];
    int available;
    char reason[160]; /* why not, "" when available */
};
struct sqa_counter_source { /* what PAPI is reduced to; tests bring their own */
    const char *name;
    /* Fills up to max entries with candidates; returns how many. available and reason are not set yet. */
    int (*list)(struct sqa_counter_info *out, int max);
    /* Opens one group of n events; returns a handle or NULL with reason. */
    void *(*open)(const char *const *names, int n, char reason[160]);
    int (*start)(void *handle);
    int (*read)(void *handle, long long *values); /* totals since start; 0 on success */
    void (*close)(void *handle);
};
extern const struct sqa_counter_source sqa_counter_papi;
/* Trial of every candidate: available and reason are set. Returns the count. */
int sqa_counters_try(const struct sqa_counter_source *source, struct sqa_counter_info *out, int max);
/* The events of `names` (comma separated; groups "software" and "hardware" are known) that pass the trial. NULL and
 * reason when none does. */
struct sqa_counters;
struct sqa_counters *sqa_counters_open(const struct sqa_counter_source *source, const char *names, char reason[160]);
int sqa_counters_n(const struct sqa_counters *c);
const char *sqa_counters_name(const struct sqa_counters *c, int i);
int sqa_counters_read(struct sqa_counters *c, long long *values); /* running totals */
void sqa_counters_close(struct sqa_counters *c);

/* Environment of a run as a JSON object (new reference): cpu {model, logical, physical, isa, caches}, memory_bytes,
 * numa, os, kernel, hypervisor, governor, compiler, flags, libraries {openblas {version, core}, hwloc, papi, pcre2,
 * jansson...}, load_average, steal, clock_resolution_ns, affinity, environment variables of an allow-list,
 * counters {available: [...], missing: [{name, reason}]}, fingerprint (hash over the stable part). No host or user
 * names, no paths. NULL on no memory. */
json_t *sqa_environment(int with_counters);
/* Number of processors this process may use (hwloc), and binding of the calling thread to the i-th of them. */
int sqa_processors(void);
int sqa_bind_thread(int i); /* 1 when bound */

/* The report of `doctor`: human text, or a JSON object when json is not NULL. seconds bounds the noise test. */
enum sqa_status sqa_doctor(double seconds, struct sqa_text *text, json_t **json, struct sqa_err *err);

#endif
