/*
 * doctor.c - what this machine can measure, how noisily, and what would help
 *
 * The facts are gathered once as JSON (the environment plus the measurements of rates.c); the text for people is
 * written from that JSON, so the two cannot differ.
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

/* "a.b.c" of an object; NULL when a step is missing. */
static const json_t *at(const json_t *o, const char *path)
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

static double real_at(const json_t *o, const char *path)
{
    const json_t *v = at(o, path);
    return json_is_number(v) ? json_number_value(v) : (double)NAN;
}

static int text_is(const json_t *o, const char *path, const char *s)
{
    const char *v = json_string_value(at(o, path));
    return v && strcmp(v, s) == 0;
}

/* ---- facts ---- */

static json_t *noise_json(const struct sqa_noise *n)
{
    json_t *changes = json_array();
    for (int i = 0; i < SQA_NOISE_SIZES; i++)
        if (json_array_append_new(changes, json_pack("{s:i, s:f, s:f}", "pairs", sqa_noise_sizes[i], "half_width_95",
                                                     n->half_width[i], "change", sqa_noise_change(n, i))) != 0) {
            json_decref(changes);
            return NULL;
        }
    const double change = sqa_noise_change(n, 1);
    return json_pack("{s:I, s:f, s:f, s:f, s:f, s:o, s:s}", "pairs", (json_int_t)n->pairs, "sample_ns", n->sample_ns,
                     "median_abs_log_ratio", n->median_log, "median_abs_log_ratio_cpu", n->median_log_cpu,
                     "p99_over_median", n->p99_over_median, "smallest_change", changes, "fitness",
                     change < 0.02   ? "good"
                     : change < 0.05 ? "fair"
                                     : "poor");
}

static json_t *measure(double seconds)
{
    struct sqa_noise n;
    double buffer = 0;
    if (sqa_noise_test(seconds, &n) != 0)
        return NULL;
    const double copy = sqa_rate_copy(&buffer), gemm = sqa_rate_sgemm(), gain = sqa_second_thread_gain();
    return json_pack("{s:o, s:f, s:o, s:o, s:o, s:o, s:o}", "copy_bytes_per_s", number(copy, "no memory for it"),
                     "copy_buffer_bytes", buffer, "sgemm_flops_per_s", number(gemm, "no memory for it"),
                     "second_thread_gain",
                     number(gain, sqa_processors() < 2 ? "one processor" : "two threads cannot be started and bound"),
                     "steal_share", number(n.steal_share, "/proc/stat cannot be read"), "other_load_processors",
                     number(n.other_load, "/proc/stat cannot be read"), "noise", noise_json(&n));
}

/* Pairs that a change of 2 % needs: the session of 30 pairs, scaled. */
static double pairs_for_two_percent(const json_t *m)
{
    const json_t *session = json_array_get(at(m, "noise.smallest_change"), 1);
    return ceil(30 * pow(2 * real_at(session, "half_width_95") / log(1.02), 2));
}

static json_t *advice(const json_t *env, const json_t *m)
{
    char rounds[160];
    const char *governor = json_string_value(at(env, "governor"));
    const char *core = json_string_value(at(env, "libraries.openblas.core"));
    const double needed = pairs_for_two_percent(m);
    snprintf(rounds, sizeof rounds, "a change of 2 %% needs about %.0f pairs here: ask for that many rounds", needed);
    const struct {
        int when; /* comparisons with a number that is not known are false */
        const char *sentence;
    } rules[] = {
        {needed > 30 && needed <= 100000, rounds},
        {needed > 100000, "too noisy to see 2 % at all: stop other programs, or measure elsewhere"},
        {real_at(m, "steal_share") > 0.01,
         "the host takes processor time away (steal): compare CPU time, measure at a quieter hour"},
        {real_at(m, "noise.median_abs_log_ratio") > 2 * real_at(m, "noise.median_abs_log_ratio_cpu"),
         "wall clock is much noisier than CPU time: compare CPU time where one thread does the work"},
        {real_at(m, "other_load_processors") > 0.1, "other programs are running: stop them while measuring"},
        {real_at(m, "second_thread_gain") < 1.7,
         "a second thread adds little: time with one thread, do not run two cells at once"},
        {governor && strcmp(governor, "performance") != 0,
         "the clock follows the load: choose the performance governor (cpupower frequency-set -g performance)"},
        {text_is(env, "turbo", "on"), "turbo is on: switch it off for steady clocks, or warm up for longer"},
        {text_is(env, "smt", "on"), "two threads share a core (SMT): bind one thread to a core"},
        {json_is_number(at(env, "cpu_quota")), "a cgroup limits processor time: raise the quota"},
        {real_at(env, "clock_resolution_ns") > 1000, "the clock is coarse: time at least 1 ms a sample"},
        {real_at(env, "counters.groups.hardware") == 0,
         "no hardware counter works here: count instructions with valgrind, or use a machine that has counters"},
        {core && (strcmp(core, "Generic") == 0 || strcmp(core, "Prescott") == 0),
         "OpenBLAS does not know this processor: set OPENBLAS_CORETYPE to a near relative"},
    };
    json_t *a = json_array();
    int bad = 0;
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        if (rules[i].when)
            bad |= json_array_append_new(a, json_string(rules[i].sentence));
    if (json_array_size(a) == 0)
        bad |= json_array_append_new(a, json_string("nothing to change"));
    if (!bad)
        return a;
    json_decref(a);
    return NULL;
}

/* ---- text ---- */

enum { LABEL = 22, WIDTH = 100 };

/* Powers of two, as caches are sold: "512 KiB", "32 MiB". */
static const char *binary(char buf[32], double bytes)
{
    const int large = bytes >= 0x1p20;
    snprintf(buf, 32, "%.4g %s", bytes / (large ? 0x1p20 : 0x1p10), large ? "MiB" : "KiB");
    return buf;
}

static void row(struct sqa_text *t, const char *label, const char *value)
{
    sqa_text_printf(t, "  %-*s %s\n", LABEL, label, value);
}

/* A member of an object as the text of a row: its value and unit, or why there is none. */
static void member(struct sqa_text *t, const char *label, const json_t *o, const char *path, const char *unit)
{
    char value[256], formatted[32];
    const json_t *v = at(o, path);
    if (json_is_string(v))
        snprintf(value, sizeof value, "%s%s", json_string_value(v), unit);
    else if (json_is_number(v) && strcmp(unit, "bytes") == 0)
        snprintf(value, sizeof value, "%s", sqa_format_bytes(formatted, json_number_value(v)));
    else if (json_is_number(v))
        snprintf(value, sizeof value, "%.4g%s", json_number_value(v), unit);
    else
        snprintf(value, sizeof value, "not known: %s",
                 json_is_object(v) ? json_string_value(json_object_get(v, "reason")) : "not measured");
    row(t, label, value);
}

/* Words from `words` (count of them through `word`) in lines of WIDTH, the first after label. */
static void wrap(struct sqa_text *t, const char *label, const char *words)
{
    size_t column = 0;
    sqa_text_printf(t, "  %-*s", LABEL, label);
    for (const char *p = words; *p;) {
        const size_t n = strcspn(p, " ");
        if (column > 0 && column + n + 1 > WIDTH - LABEL - 2) {
            sqa_text_printf(t, "\n  %-*s", LABEL, "");
            column = 0;
        }
        sqa_text_printf(t, " %.*s", (int)n, p);
        column += n + 1;
        p += n;
        p += strspn(p, " ");
    }
    sqa_text_add(t, "\n");
}

static void machine_text(struct sqa_text *t, const json_t *env)
{
    char line[160], bytes[32];
    size_t i;
    json_t *cache;
    sqa_text_add(t, "machine\n");
    member(t, "processor", env, "cpu.model", "");
    member(t, "sockets", env, "cpu.sockets", "");
    member(t, "cores", env, "cpu.physical", "");
    member(t, "logical processors", env, "cpu.logical", "");
    member(t, "this process may use", env, "affinity", "");
    member(t, "NUMA nodes", env, "numa", "");
    json_array_foreach(at(env, "cpu.caches"), i, cache)
    {
        char label[32];
        snprintf(label, sizeof label, "cache L%d %s", (int)real_at(cache, "level"),
                 json_string_value(json_object_get(cache, "kind")));
        snprintf(line, sizeof line, "%s, shared by %d, %d of them, line %d bytes",
                 binary(bytes, real_at(cache, "bytes")), (int)real_at(cache, "shared_by"),
                 (int)real_at(cache, "count"), (int)real_at(cache, "line"));
        row(t, label, line);
    }
    member(t, "memory", env, "memory_bytes", "bytes");
    member(t, "memory available", env, "memory_available_bytes", "bytes");
    wrap(t, "instruction sets", json_string_value(at(env, "cpu.isa")));
    member(t, "hypervisor", env, "hypervisor", "");
    member(t, "system", env, "os", "");
    member(t, "kernel", env, "kernel", "");
    member(t, "compiler", env, "compiler", "");
    member(t, "OpenBLAS", env, "libraries.openblas.version", "");
    member(t, "OpenBLAS core", env, "libraries.openblas.core", "");
    member(t, "fingerprint", env, "fingerprint", "");
    sqa_text_add(t, "\nsteadiness\n");
    member(t, "governor", env, "governor", "");
    member(t, "turbo", env, "turbo", "");
    member(t, "SMT", env, "smt", "");
    member(t, "processor quota", env, "cpu_quota", "");
    member(t, "clock", env, "clock_source", "");
    member(t, "clock resolution", env, "clock_resolution_ns", " ns");
}

/* Missing counters, one row a reason, so that one cause that strikes all takes one row. */
static void counters_text(struct sqa_text *t, const json_t *env)
{
    size_t i, j;
    json_t *v;
    const json_t *available = at(env, "counters.available"), *missing = at(env, "counters.missing");
    struct sqa_text names = {0};
    sqa_text_add(t, "\ncounters (believed after a trial)\n");
    json_array_foreach(available, i, v) sqa_text_printf(&names, "%s ", json_string_value(v));
    wrap(t, "available", names.length ? names.text : "none");
    t->failed |= names.failed;
    sqa_text_clear(&names);
    json_array_foreach(missing, i, v)
    {
        const char *reason = json_string_value(json_object_get(v, "reason"));
        int first = 1;
        struct sqa_text group = {0};
        for (j = 0; j < json_array_size(missing); j++) {
            const json_t *w = json_array_get(missing, j);
            if (strcmp(reason, json_string_value(json_object_get(w, "reason"))) != 0)
                continue;
            first &= j >= i;
            sqa_text_printf(&group, "%s ", json_string_value(json_object_get(w, "name")));
        }
        sqa_text_printf(&group, "- %s", reason);
        t->failed |= group.failed;
        if (first && group.text)
            wrap(t, "missing", group.text);
        sqa_text_clear(&group);
    }
}

/* A share as per cent; above 100 % the figure says no more than that. */
static void percent(struct sqa_text *t, const char *label, double v, const char *rest)
{
    if (v > 1)
        sqa_text_printf(t, "  %-*s > 100 %%%s\n", LABEL, label, rest);
    else
        sqa_text_printf(t, "  %-*s %.2f %%%s\n", LABEL, label, 100 * v, rest);
}

static void measured_text(struct sqa_text *t, const json_t *m)
{
    char line[160], text[32];
    size_t i;
    json_t *v;
    sqa_text_add(t, "\nrates\n");
    if (isnan(real_at(m, "copy_bytes_per_s"))) {
        member(t, "memory copy", m, "copy_bytes_per_s", "");
    } else {
        snprintf(line, sizeof line, "%.2f GB/s read + written, one thread, buffers of %s",
                 real_at(m, "copy_bytes_per_s") * 1e-9, binary(text, real_at(m, "copy_buffer_bytes")));
        row(t, "memory copy", line);
    }
    if (isnan(real_at(m, "sgemm_flops_per_s"))) {
        member(t, "sgemm", m, "sgemm_flops_per_s", "");
    } else {
        snprintf(line, sizeof line, "%.1f GFLOP/s, one thread, 512 x 512 x 512",
                 real_at(m, "sgemm_flops_per_s") * 1e-9);
        row(t, "sgemm", line);
    }
    member(t, "gain of second thread", m, "second_thread_gain", " x");

    sqa_text_add(t, "\nnoise (one fixed kernel against itself, in pairs)\n");
    snprintf(line, sizeof line, "%.0f of samples of %s", real_at(m, "noise.pairs"),
             sqa_format_ns(text, real_at(m, "noise.sample_ns")));
    row(t, "pairs", line);
    percent(t, "median |B / A - 1|", expm1(real_at(m, "noise.median_abs_log_ratio")), " wall clock");
    percent(t, "", expm1(real_at(m, "noise.median_abs_log_ratio_cpu")), " CPU time");
    member(t, "slowest of 100", m, "noise.p99_over_median", " x the median");
    json_array_foreach(at(m, "noise.smallest_change"), i, v)
    {
        snprintf(line, sizeof line, " with %.0f pairs", real_at(v, "pairs"));
        percent(t, i ? "" : "smallest change seen", real_at(v, "change"), line);
    }
    if (!isnan(real_at(m, "steal_share")))
        percent(t, "steal", real_at(m, "steal_share"), " of the machine's time, taken by the host");
    else
        member(t, "steal", m, "steal_share", "");
    member(t, "other load", m, "other_load_processors", " processors busy with other programs");
    member(t, "fitness to compare", m, "noise.fitness", "");
}

static void doctor_text(struct sqa_text *t, const json_t *facts)
{
    size_t i;
    json_t *v;
    const json_t *env = json_object_get(facts, "environment");
    machine_text(t, env);
    counters_text(t, env);
    measured_text(t, json_object_get(facts, "measured"));
    sqa_text_add(t, "\nadvice\n");
    json_array_foreach(json_object_get(facts, "advice"), i, v) sqa_text_printf(t, "  - %s\n", json_string_value(v));
}

enum sqa_status sqa_doctor(double seconds, struct sqa_text *text, json_t **json, struct sqa_err *err)
{
    if (!(seconds > 0 && seconds <= 3600))
        return sqa_fail(err, SQA_USAGE, "doctor: %g seconds for the noise test; choose more than 0 and at most 3600",
                        seconds);
    if (!sqa_kernels_f32.gemm)
        sqa_kernels_init();
    sqa_kernels_flush_denormals();
    json_t *env = sqa_environment(1), *m = env ? measure(seconds) : NULL, *a = m ? advice(env, m) : NULL;
    json_t *facts = a ? json_pack("{s:O, s:O, s:O}", "environment", env, "measured", m, "advice", a) : NULL;
    json_decref(env);
    json_decref(m);
    json_decref(a);
    if (!facts)
        return sqa_fail(err, SQA_NOMEM, "doctor: no memory for the measurements; free some memory and run again");
    if (json) {
        *json = facts;
        return SQA_OK;
    }
    doctor_text(text, facts);
    json_decref(facts);
    if (text->failed)
        return sqa_fail(err, SQA_NOMEM, "doctor: no memory for the report; free some memory and run again");
    return SQA_OK;
}
