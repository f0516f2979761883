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
int64_t sqa_clock_wall(void);           /* CLOCK_MONOTONIC */
double sqa_seconds_since(int64_t wall); /* from a reading of the wall clock until now */
int64_t sqa_clock_thread(void);         /* CPU time of the calling thread */
int64_t sqa_clock_process(void);        /* CPU time of all threads of the process */
double sqa_clock_resolution_ns(void);   /* smallest step seen between two readings of the wall clock */

double sqa_clock_cost_ns(void); /* of one reading of the wall clock, least of several batches */

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
 * work) are counted. Events that do not fit together are counted in passes, each over a repetition of the work: never
 * multiplexed. The source is this machine, or a fake one in tests. */
struct sqa_counter_info {
    char name[64];
    char help[128];
    char groups[48];  /* groups that count it, separated by spaces; "": only "hardware" does */
    char instead[64]; /* a group counts it only when it does not count this one; "": always */
    int available;
    char reason[160]; /* why not, "" when available */
};
extern const char *const sqa_counter_groups[]; /* "software", "flops", ...; ends with NULL */
int sqa_counter_in_group(const struct sqa_counter_info *info, const char *group);
struct sqa_counter_source { /* what PAPI is reduced to; tests bring their own */
    const char *name;
    /* Fills up to max entries with candidates; returns how many. available and reason are not set yet. */
    int (*list)(struct sqa_counter_info *out, int max);
    /* Opens one group of n events; returns a handle or NULL with reason. */
    void *(*open)(const char *const *names, int n, char reason[160]);
    int (*start)(void *handle); /* again after stop; values begin anew */
    void (*stop)(void *handle);
    int (*read)(void *handle, long long *values); /* totals since start; 0 on success */
    void (*close)(void *handle);
};
extern const struct sqa_counter_source sqa_counter_papi, sqa_counter_energy; /* energy: powercap files */
extern const struct sqa_counter_source sqa_counter_machine;                  /* both */
/* Trial of every candidate: available and reason are set. Returns the count. */
int sqa_counters_try(const struct sqa_counter_source *source, struct sqa_counter_info *out, int max);
/* USAGE when a word of `names` (comma separated) can be neither a group nor an event. */
enum sqa_status sqa_counters_check(const char *where, const char *names, struct sqa_err *err) SQA_MUST_CHECK;
/* The events of `names` (comma separated; see sqa_counter_groups) that pass the trial, the first pass counting. NULL
 * and reason when none does; else reason names what was left out, as far as it fits. */
struct sqa_counters;
struct sqa_counters *sqa_counters_open(const struct sqa_counter_source *source, const char *names, char reason[160]);
int sqa_counters_n(const struct sqa_counters *c);
const char *sqa_counters_name(const struct sqa_counters *c, int i); /* in the order of the passes */
int sqa_counters_passes(const struct sqa_counters *c);
int sqa_counters_pass(const struct sqa_counters *c, int i); /* the pass that counts event i */
int sqa_counters_select(struct sqa_counters *c, int pass);  /* 0 when that pass counts now, and no other */
int sqa_counters_read(struct sqa_counters *c,
                      long long *values); /* running totals; of other passes' events nothing */
void sqa_counters_close(struct sqa_counters *c);
/* {"asked", "passes": [[events]], "missing": [{"name", "reason"}]}, opened for the purpose; NULL on no memory. */
json_t *sqa_counters_json(const struct sqa_counter_source *source, const char *names);

/* Environment of a run as a JSON object (new reference): cpu {model, logical, physical, isa, caches}, memory_bytes,
 * numa, os, kernel, hypervisor, governor, compiler, flags, libraries {openblas {version, core}, hwloc, papi, pcre2,
 * jansson...}, load_average, steal, clock_resolution_ns, affinity, environment variables of an allow-list,
 * counters {available: [...], missing: [{name, reason}]}, fingerprint (hash over the stable part). No host or user
 * names, no paths. NULL on no memory. */
json_t *sqa_environment(int with_counters);
/* Threads of other programs that want a processor at this moment, the calling one left out: median of some samples
 * within 20 ms; 0 when the kernel does not say. */
int sqa_others_running(void);
/* Waits until no other thread of this process takes time: OpenMP threads spin for some milliseconds when their work is
 * done. 50 ms at most. */
void sqa_wait_for_helpers(void);
/* Number of processors this process may use (hwloc), and binding of the calling thread to the i-th of them. */
int sqa_processors(void);
int sqa_bind_thread(int i); /* 1 when bound */

/* Binding of the threads of a cell. how: "compact", "spread" or processors such as "0-3,8" (measure/place.h); of the
 * places for `processors` threads a cell takes those from `first` on. check refuses (USAGE) what cannot be had, before
 * anything runs; team binds the calling thread and its OpenMP threads, and appends what it did to `done`, such as
 * "0 2" with what becomes of memory where there are NUMA nodes. */
enum sqa_status sqa_bind_check(const char *where, const char *how, int processors,
                               struct sqa_err *err) SQA_MUST_CHECK;
enum sqa_status sqa_bind_team(const char *how, int processors, int first, int threads, struct sqa_text *done,
                              struct sqa_err *err) SQA_MUST_CHECK;

/* The report of `doctor`: human text, or a JSON object when json is not NULL. seconds bounds the noise test. */
enum sqa_status sqa_doctor(double seconds, struct sqa_text *text, json_t **json, struct sqa_err *err);

#endif
