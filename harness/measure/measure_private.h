/*
 * measure_private.h - what the files of harness/measure share and nobody else uses
 */
#ifndef SQA_HARNESS_MEASURE_PRIVATE_H
#define SQA_HARNESS_MEASURE_PRIVATE_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

/* system.c */

/* First size - 1 bytes of a small file of /proc or /sys, 0-terminated, trailing white space cut; 0, or -1 and "". */
int sqa_small_file(const char *path, char *buf, size_t size);
/* The number behind "key" at the start of a line, as in "MemTotal:   123 kB"; NaN when there is none. */
double sqa_proc_number(const char *path, const char *key);
/* Libraries that write to stderr when they start are called between these two. The first returns what the second
 * takes. Other threads' messages are lost meanwhile. */
int sqa_stderr_off(void);
void sqa_stderr_on(int saved);
/* Processor time of the whole machine since boot, in seconds; NaN where /proc/stat does not say. */
struct sqa_machine_time {
    double busy, idle, steal;
};
struct sqa_machine_time sqa_machine_time(void);

/* counters.c, trial.c, papi.c, energy.c */

enum { SQA_COUNTERS_MAX = 32 }; /* events in one set */
#define SQA_ENERGY_PREFIX "powercap:"
extern const char *sqa_powercap; /* folder of the kernel's powercap files; tests bring their own */
struct sqa_counter_source;
int sqa_counter_passes(const struct sqa_counter_source *source, const char *name, char reason[160]); /* the trial */
void sqa_counter_work(int portions); /* something of everything to be counted */
int sqa_counter_may_be_zero(const char *name);
json_t *sqa_papi_components(void); /* [{"name", "usable", and why not as "reason"}] */

/* topology.c */

/* {"logical", "physical", "sockets", "numa", "caches": [{"level", "kind", "bytes", "line", "shared_by", "count"}]};
 * NULL when hwloc cannot say or on no memory. */
json_t *sqa_topology_json(void);
double sqa_last_cache_bytes(void); /* 0 when unknown */
/* "0-3,8": processors the process was given. */
void sqa_affinity_text(char *buf, size_t size);

/* environment.c */

json_t *sqa_absent(const char *reason); /* {"value": null, "reason": reason} */

/* rates.c: short measurements of doctor. NaN when there was no memory or no processor for them. */

double sqa_rate_copy(double *buffer_bytes); /* bytes read + written a second, one thread, best of several */
double sqa_rate_sgemm(void);                /* float operations a second, 512 x 512 x 512, best of several */
double sqa_second_thread_gain(void);        /* work done by two threads over work done by one, in the same time */

enum { SQA_NOISE_SIZES = 4 };
extern const int sqa_noise_sizes[SQA_NOISE_SIZES]; /* pairs of a session; 300 at most */

struct sqa_noise {
    int64_t pairs;
    double sample_ns; /* median */
    double p99_over_median;
    double median_log;                  /* median |ln(B / A)|, wall clock */
    double median_log_cpu;              /* the same on the thread's CPU clock */
    double half_width[SQA_NOISE_SIZES]; /* of the 95 % sign interval of the median of ln(B / A), by session size */
    double steal_share;                 /* of the machine's time; NaN when unknown */
    double other_load;                  /* processors kept busy by others; NaN when unknown */
};
/* Times one fixed kernel in A/A pairs for `seconds`. 0 on success, -1 on no memory. */
int sqa_noise_test(double seconds, struct sqa_noise *out);
/* Smallest relative change that a session of sqa_noise_sizes[size] pairs tells from none: twice the half-width. */
double sqa_noise_change(const struct sqa_noise *noise, int size);

#endif
