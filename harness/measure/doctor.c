/*
 * doctor.c - what this machine can measure, how noisily, and what would help
 *
 * The facts are gathered once as JSON (the environment plus the measurements of rates.c and noise.c); the text for
 * people is written from that JSON, so the two cannot differ.
 */
#include "harness/measure/measure.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "harness/measure/measure_private.h"
#include "kernels/kernels.h"

static json_t *number(double v, const char *reason)
{
    return isfinite(v) ? json_real(v) : sqa_absent(reason);
}

const json_t *sqa_doctor_at(const json_t *o, const char *path)
{
    char step[64];
    while (o && *path) {
        const size_t n = strcspn(path, ".");
        snprintf(step, sizeof step, "%.*s", (int)n, path);
        o = json_object_get(o, step);
        path += n + (path[n] == '.');
    }
    return o;
}

double sqa_doctor_real(const json_t *o, const char *path)
{
    const json_t *v = sqa_doctor_at(o, path);
    return json_is_number(v) ? json_number_value(v) : (double)NAN;
}

static json_t *noise_json(const struct sqa_noise *n)
{
    static const char few[] = "too few pairs";
    json_t *changes = json_array();
    double pairs;
    const double change = sqa_noise_change(n, 1), minute = sqa_noise_minute(n, &pairs);
    for (int i = 0; i < SQA_NOISE_SIZES; i++)
        json_array_append_new(changes, json_pack("{s:i, s:o, s:o}", "pairs", sqa_noise_sizes[i], "half_width_95",
                                                 number(n->half_width[i], few), "change",
                                                 number(sqa_noise_change(n, i), few)));
    return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:{s:o, s:o, s:f, s:o}, s:s}", "pairs",
                     (json_int_t)n->pairs, "seconds", number(n->seconds, few), "sample_ns", number(n->sample_ns, few),
                     "median_abs_log_ratio", number(n->median_log, few), "median_abs_log_ratio_cpu",
                     number(n->median_log_cpu, few), "p99_over_median", number(n->p99_over_median, few),
                     "smallest_change", changes, "one_minute", "pairs", number(pairs, few), "change",
                     number(minute, few), "power", 0.95, "scaled", json_boolean(n->seconds < 60), "fitness",
                     change < 0.02   ? "good"
                     : change < 0.05 ? "fair"
                                     : "poor");
}

static json_t *copy_json(int threads)
{
    double buffer = 0;
    const double rate = sqa_rate_copy(threads, &buffer);
    return json_pack("{s:i, s:o, s:f}", "threads", threads, "bytes_per_s", number(rate, "no memory for it"),
                     "buffer_bytes", buffer);
}

static json_t *gains_json(void)
{
    struct sqa_gain gain[SQA_GAINS];
    json_t *a = json_array();
    const int n = sqa_thread_gains(gain, SQA_GAINS);
    for (int i = 0; i < n; i++)
        json_array_append_new(a, json_pack("{s:i, s:f}", "threads", gain[i].threads, "gain", gain[i].gain));
    if (n > 0)
        return a;
    json_decref(a);
    return sqa_absent(sqa_processors() < 2 ? "one processor" : "two threads cannot be started and bound");
}

/* A reading of all software events, or of as many hardware events as fit where there are some. */
static json_t *counter_reading(void)
{
    enum { BATCH = 100 };
    char reason[160];
    long long values[SQA_COUNTERS_MAX];
    double least = (double)INFINITY;
    struct sqa_counters *c = sqa_counters_open(&sqa_counter_machine, "flops,software", reason);
    if (!c)
        return json_pack("{s:o, s:o}", "events", sqa_absent(reason), "ns", sqa_absent(reason));
    for (int i = 0; i < 50; i++) {
        const int64_t start = sqa_clock_wall();
        for (int k = 0; k < BATCH; k++)
            sqa_counters_read(c, values);
        least = fmin(least, (double)(sqa_clock_wall() - start) / BATCH);
    }
    int events = 0;
    for (int i = 0; i < sqa_counters_n(c); i++)
        events += sqa_counters_pass(c, i) == 0;
    sqa_counters_close(c);
    return json_pack("{s:i, s:o}", "events", events, "ns", number(least, "the clock stood still"));
}

static json_t *measure(double seconds)
{
    static const char *const names[SQA_PRODUCT_TYPES] = {"f32", "f64", "bf16"};
    struct sqa_noise n;
    json_t *copies = json_array(), *products = json_object();
    if (sqa_noise_test(seconds, &n) != 0) {
        json_decref(copies);
        json_decref(products);
        return NULL;
    }
    json_array_append_new(copies, copy_json(1));
    if (sqa_processors() > 1)
        json_array_append_new(copies,
                              copy_json(sqa_processors() < SQA_GAIN_THREADS ? sqa_processors() : SQA_GAIN_THREADS));
    for (int i = 0; i < SQA_PRODUCT_TYPES; i++) {
        char why[160] = "no memory for it";
        if (i == SQA_PRODUCT_BF16 && sqa_bf16_missing())
            snprintf(why, sizeof why, "it needs AMX or AVX512-BF16, and %.100s", sqa_bf16_missing());
        json_object_set_new(products, names[i], number(sqa_rate_product((enum sqa_product_type)i), why));
    }
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "clock_reading_ns", json_real(sqa_clock_cost_ns()),
                     "counter_reading", counter_reading(), "memory_copy", copies, "product_flops_per_s", products,
                     "thread_gain", gains_json(), "steal_share", number(n.steal_share, "/proc/stat cannot be read"),
                     "other_load_processors", number(n.other_load, "/proc/stat cannot be read"), "noise",
                     noise_json(&n));
}

enum sqa_status sqa_doctor(double seconds, struct sqa_text *text, json_t **json, struct sqa_err *err)
{
    if (!(seconds > 0 && seconds <= 3600))
        return sqa_fail(err, SQA_USAGE, "doctor: %g seconds for the noise test; choose more than 0 and at most 3600",
                        seconds);
    sqa_kernels_init();
    sqa_kernels_flush_denormals();
    json_t *env = sqa_environment(1);
    if (env)
        json_object_set_new(env, "isa_used", json_string(sqa_kernels_f32.isa));
    json_t *m = env ? measure(seconds) : NULL, *a = m ? sqa_doctor_advice(env, m) : NULL;
    json_t *facts = a ? json_pack("{s:s, s:O, s:O, s:O}", "schema", "seqarena.doctor/1", "environment", env,
                                  "measured", m, "advice", a)
                      : NULL;
    json_decref(env);
    json_decref(m);
    json_decref(a);
    if (!facts)
        return sqa_fail(err, SQA_NOMEM, "doctor: no memory for the measurements; free some memory and run again");
    if (json) {
        *json = facts;
        return SQA_OK;
    }
    sqa_doctor_text(text, facts);
    json_decref(facts);
    if (text->failed)
        return sqa_fail(err, SQA_NOMEM, "doctor: no memory for the report; free some memory and run again");
    return SQA_OK;
}
