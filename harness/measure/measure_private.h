/*
 * measure_private.h - what the files of harness/measure share and nobody else uses
 */
#ifndef SQA_HARNESS_MEASURE_PRIVATE_H
#define SQA_HARNESS_MEASURE_PRIVATE_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/text.h"

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

/* counters.c, trial.c, papi.c, energy.c, fake.c */

enum { SQA_COUNTERS_MAX = 32 }; /* events in one set */
#define SQA_ENERGY_PREFIX "powercap:"
extern const char *sqa_powercap; /* folder of the kernel's powercap files; tests bring their own */
struct sqa_counter_source;
extern const struct sqa_counter_source sqa_counter_fake;
int sqa_counter_passes(const struct sqa_counter_source *source, const char *name, char reason[160]); /* the trial */
void sqa_counter_work(int portions); /* something of everything to be counted */
int sqa_counter_may_be_zero(const char *name);
json_t *sqa_papi_components(void); /* [{"name", "usable", and why not as "reason"}] */

/* topology.c */

json_t *sqa_numa_json(void); /* [{"node", "processors": "0-3", "memory_bytes"}]; NULL when hwloc cannot say */

/* {"logical", "physical", "sockets", "numa", "caches": [{"level", "kind", "bytes", "line", "shared_by", "count"}]};
 * NULL when hwloc cannot say or on no memory. */
json_t *sqa_topology_json(void);
double sqa_last_cache_bytes(void); /* 0 when unknown */
/* "0-3,8": processors the process was given. */
void sqa_affinity_text(char *buf, size_t size);

/* environment.c */

json_t *sqa_absent(const char *reason); /* {"value": null, "reason": reason} */

/* rates.c: short measurements of doctor. NaN when there was no memory or no processor for them. */

struct sqa_kernels;
/* n x n matrices of one product, in one block of the caller's sqa_free. */
struct sqa_product {
    const struct sqa_kernels *kernels;
    void *block, *a, *b, *c;
    int64_t n;
};
int sqa_product_open(struct sqa_product *p, int64_t n, const struct sqa_kernels *kernels, size_t real); /* 0, -1 */
void sqa_product_run(struct sqa_product *p, int times);
int sqa_product_times(struct sqa_product *p, double ns); /* times such that it takes about ns */

/* Bytes read + written a second by that many bound threads, best of several. */
double sqa_rate_copy(int threads, double *buffer_bytes);
enum sqa_product_type { SQA_PRODUCT_F32, SQA_PRODUCT_F64, SQA_PRODUCT_BF16, SQA_PRODUCT_TYPES };
double sqa_rate_product(enum sqa_product_type type); /* operations a second, 512 x 512 x 512, one thread, best */

enum { SQA_GAIN_THREADS = 64, SQA_GAINS = 16 };
struct sqa_gain {
    int threads;
    double gain; /* work of that many bound threads over work of one, in the same time */
};
/* For 2, 3, 4, 6 ... processors, to all or 64; returns how many were measured. */
int sqa_thread_gains(struct sqa_gain *out, int max);

/* noise.c */

enum { SQA_NOISE_SIZES = 4 };
extern const int sqa_noise_sizes[SQA_NOISE_SIZES]; /* pairs of a session; 300 at most */

struct sqa_noise {
    int64_t pairs;
    double seconds;   /* that they took */
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
/* Smallest relative change of which that many pairs more surely than 95 in 100 say that it is one, scaled from the
 * half-width of a session of `pairs`; and the same for the pairs of one minute. */
double sqa_noise_powered(double half_width, double pairs, double more_pairs);
double sqa_noise_minute(const struct sqa_noise *noise, double *pairs);
/* The 95 % interval of the median of n sorted values is x[l] to x[n - 1 - l], l from the binomial (n, 1/2); below 6
 * values there is no such interval and the whole range stands for it. */
size_t sqa_sign_rank(size_t n);

/* doctor.c, doctor_advice.c, doctor_text.c */

const json_t *sqa_doctor_at(const json_t *o,
                            const char *path);             /* "a.b.c" of an object; NULL when a step is missing */
double sqa_doctor_real(const json_t *o, const char *path); /* NaN when it is no number */
json_t *sqa_doctor_advice(const json_t *env, const json_t *measured); /* an array of sentences, never empty */
void sqa_doctor_text(struct sqa_text *text, const json_t *facts);

#endif
