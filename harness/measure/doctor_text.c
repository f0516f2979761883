/* doctor_text.c - the facts of doctor for people: aligned rows, one a fact */
#include "harness/measure/measure.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "harness/measure/measure_private.h"

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
    const json_t *v = sqa_doctor_at(o, path);
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

static void topology_text(struct sqa_text *t, const json_t *env)
{
    static const struct {
        const char *path, *one, *more;
    } parts[] = {{"cpu.sockets", "package", "packages"},
                 {"cpu.physical", "core", "cores"},
                 {"cpu.logical", "processor", "processors"},
                 {"numa", "NUMA node", "NUMA nodes"}};
    struct sqa_text line = {0};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        const double n = sqa_doctor_real(env, parts[i].path);
        if (n > 0)
            sqa_text_printf(&line, "%s%.0f %s", line.length ? ", " : "", n, n > 1 ? parts[i].more : parts[i].one);
    }
    row(t, "topology", line.length ? sqa_text_get(&line) : "not known: hwloc cannot say");
    t->failed |= line.failed;
    sqa_text_clear(&line);
}

static void machine_text(struct sqa_text *t, const json_t *env)
{
    char line[160], bytes[32];
    size_t i;
    json_t *v;
    sqa_text_add(t, "machine\n");
    member(t, "processor", env, "cpu.model", "");
    topology_text(t, env);
    member(t, "may use processors", env, "affinity", "");
    json_array_foreach(sqa_doctor_at(env, "cpu.caches"), i, v)
    {
        char label[32];
        const int shared = (int)sqa_doctor_real(v, "shared_by");
        snprintf(label, sizeof label, "cache L%d %s", (int)sqa_doctor_real(v, "level"),
                 json_string_value(json_object_get(v, "kind")));
        snprintf(line, sizeof line, "%d x %s, line %d bytes%s", (int)sqa_doctor_real(v, "count"),
                 binary(bytes, sqa_doctor_real(v, "bytes")), (int)sqa_doctor_real(v, "line"),
                 shared > 1 ? ", shared by " : "");
        if (shared > 1)
            snprintf(line + strlen(line), sizeof line - strlen(line), "%d processors", shared);
        row(t, label, line);
    }
    json_array_foreach(sqa_doctor_at(env, "numa_nodes"), i, v)
    {
        char label[32];
        snprintf(label, sizeof label, "NUMA node %.0f", sqa_doctor_real(v, "node"));
        snprintf(line, sizeof line, "processors %s, %s", json_string_value(json_object_get(v, "processors")),
                 sqa_format_bytes(bytes, sqa_doctor_real(v, "memory_bytes")));
        if (json_array_size(sqa_doctor_at(env, "numa_nodes")) > 1)
            row(t, label, line);
    }
    member(t, "memory", env, "memory_bytes", "bytes");
    member(t, "memory available", env, "memory_available_bytes", "bytes");
    wrap(t, "instruction sets", json_string_value(sqa_doctor_at(env, "cpu.isa")));
    member(t, "kernels used", env, "isa_used", "");
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
    member(t, "clock frequency", env, "mhz_now", " MHz");
    member(t, "SMT", env, "smt", "");
    member(t, "processor quota", env, "cpu_quota", "");
    member(t, "clock", env, "clock_source", "");
}

enum { NAMED = 8 };

/* What is missing, one row a reason, so that one cause that strikes all takes one row; many are counted only. */
static void missing_text(struct sqa_text *t, const json_t *missing, const char *label)
{
    size_t i;
    json_t *v;
    json_array_foreach(missing, i, v)
    {
        const char *reason = json_string_value(json_object_get(v, "reason"));
        int first = 1, count = 0;
        struct sqa_text group = {0};
        for (size_t j = 0; j < json_array_size(missing); j++) {
            const json_t *w = json_array_get(missing, j);
            const char *other = json_string_value(json_object_get(w, "reason"));
            if (!reason || !other || strcmp(reason, other) != 0)
                continue;
            first &= j >= i;
            count++;
            sqa_text_printf(&group, "%s ", json_string_value(json_object_get(w, "name")));
        }
        if (count > NAMED) {
            group.length = 0;
            sqa_text_printf(&group, "%d events (seqarena list counters) ", count);
        }
        sqa_text_printf(&group, "- %s", reason ? reason : "");
        t->failed |= group.failed;
        if (first && reason && group.text)
            wrap(t, label, group.text);
        sqa_text_clear(&group);
    }
}

static void counters_text(struct sqa_text *t, const json_t *env)
{
    size_t i;
    json_t *v;
    const char *name;
    struct sqa_text names = {0}, groups = {0}, components = {0};
    sqa_text_add(t, "\ncounters (believed after a trial)\n");
    json_array_foreach(sqa_doctor_at(env, "counters.available"), i, v)
        sqa_text_printf(&names, "%s ", json_string_value(v));
    json_object_foreach((json_t *)(uintptr_t)sqa_doctor_at(env, "counters.groups"), name, v)
        sqa_text_printf(&groups, "%s %" JSON_INTEGER_FORMAT "  ", name, json_integer_value(v));
    json_array_foreach(sqa_doctor_at(env, "counters.components"), i,
                       v) if (json_is_true(json_object_get(v, "usable")))
        sqa_text_printf(&components, "%s ", json_string_value(json_object_get(v, "name")));
    wrap(t, "usable", names.length ? names.text : "none");
    wrap(t, "by group", sqa_text_get(&groups));
    missing_text(t, sqa_doctor_at(env, "counters.missing"), "missing");
    wrap(t, "PAPI components", components.length ? components.text : "none");
    missing_text(t, sqa_doctor_at(env, "counters.components"), "not usable");
    t->failed |= names.failed || groups.failed || components.failed;
    sqa_text_clear(&names);
    sqa_text_clear(&groups);
    sqa_text_clear(&components);
}

/* A share as per cent; above 100 % the figure says no more than that. */
static void percent(struct sqa_text *t, const char *label, double v, const char *rest)
{
    if (isnan(v))
        sqa_text_printf(t, "  %-*s not known%s\n", LABEL, label, rest);
    else if (v > 1)
        sqa_text_printf(t, "  %-*s > 100 %%%s\n", LABEL, label, rest);
    else
        sqa_text_printf(t, "  %-*s %.2f %%%s\n", LABEL, label, 100 * v, rest);
}

static void rates_text(struct sqa_text *t, const json_t *m)
{
    static const char *const types[] = {"f32", "f64", "bf16"};
    char line[160], text[32];
    size_t i;
    json_t *v;
    struct sqa_text gains = {0};
    sqa_text_add(t, "\nrates\n");
    json_array_foreach(sqa_doctor_at(m, "memory_copy"), i, v)
    {
        const double threads = sqa_doctor_real(v, "threads");
        if (isnan(sqa_doctor_real(v, "bytes_per_s"))) {
            member(t, "memory copy", v, "bytes_per_s", "");
            continue;
        }
        snprintf(line, sizeof line, "%.2f GB/s read + written, %.0f thread%s, buffers of %s",
                 sqa_doctor_real(v, "bytes_per_s") * 1e-9, threads, threads > 1 ? "s" : "",
                 binary(text, sqa_doctor_real(v, "buffer_bytes")));
        row(t, i ? "" : "memory copy", line);
    }
    for (i = 0; i < sizeof types / sizeof types[0]; i++) {
        char path[64], label[32];
        snprintf(path, sizeof path, "product_flops_per_s.%s", types[i]);
        snprintf(label, sizeof label, "product %s", types[i]);
        snprintf(line, sizeof line, "%.1f GFLOP/s, one thread, 512 x 512 x 512", sqa_doctor_real(m, path) * 1e-9);
        if (isnan(sqa_doctor_real(m, path)))
            member(t, label, m, path, "");
        else
            row(t, label, line);
    }
    json_array_foreach(sqa_doctor_at(m, "thread_gain"), i, v)
        sqa_text_printf(&gains, "%.0f threads: %.2f x%s", sqa_doctor_real(v, "threads"), sqa_doctor_real(v, "gain"),
                        i + 1 < json_array_size(sqa_doctor_at(m, "thread_gain")) ? ", " : "");
    if (gains.length)
        wrap(t, "gain of threads", sqa_text_get(&gains));
    else
        member(t, "gain of threads", m, "thread_gain", "");
    t->failed |= gains.failed;
    sqa_text_clear(&gains);
}

static void noise_text(struct sqa_text *t, const json_t *env, const json_t *m)
{
    char line[160], text[32];
    size_t i;
    json_t *v;
    const double seconds = sqa_doctor_real(m, "noise.seconds"), pairs = sqa_doctor_real(m, "noise.one_minute.pairs");
    sqa_text_add(t, "\ncost of measuring\n");
    member(t, "clock, smallest step", env, "clock_resolution_ns", " ns");
    member(t, "clock, a reading", m, "clock_reading_ns", " ns");
    snprintf(line, sizeof line, " ns for %.0f events (goal: under 2000)",
             sqa_doctor_real(m, "counter_reading.events"));
    member(t, "counters, a reading", m, "counter_reading.ns", line);

    sqa_text_add(t, "\nnoise (one fixed kernel against itself, in pairs)\n");
    snprintf(line, sizeof line, "%.0f in %.1f s, of samples of %s", sqa_doctor_real(m, "noise.pairs"), seconds,
             sqa_format_ns(text, sqa_doctor_real(m, "noise.sample_ns")));
    row(t, "pairs", line);
    percent(t, "median |B / A - 1|", expm1(sqa_doctor_real(m, "noise.median_abs_log_ratio")), " wall clock");
    percent(t, "", expm1(sqa_doctor_real(m, "noise.median_abs_log_ratio_cpu")), " CPU time");
    member(t, "slowest of 100", m, "noise.p99_over_median", " x the median");
    json_array_foreach(sqa_doctor_at(m, "noise.smallest_change"), i, v)
    {
        snprintf(line, sizeof line, " with %.0f pairs", sqa_doctor_real(v, "pairs"));
        percent(t, i ? "" : "smallest change seen", sqa_doctor_real(v, "change"), line);
    }
    if (json_is_true(sqa_doctor_at(m, "noise.one_minute.scaled")))
        snprintf(line, sizeof line, " in a minute, 95 times of 100 (%.0f pairs; scaled from %.1f s)", pairs, seconds);
    else
        snprintf(line, sizeof line, " in a minute, 95 times of 100 (%.0f pairs)", pairs);
    percent(t, "", sqa_doctor_real(m, "noise.one_minute.change"), line);
    if (!isnan(sqa_doctor_real(m, "steal_share")))
        percent(t, "steal", sqa_doctor_real(m, "steal_share"), " of the machine's time, taken by the host");
    else
        member(t, "steal", m, "steal_share", "");
    member(t, "other load", m, "other_load_processors", " processors busy with other programs");
    member(t, "fitness to compare", m, "noise.fitness", "");
}

void sqa_doctor_text(struct sqa_text *t, const json_t *facts)
{
    size_t i;
    json_t *v;
    const json_t *env = json_object_get(facts, "environment"), *m = json_object_get(facts, "measured");
    machine_text(t, env);
    counters_text(t, env);
    rates_text(t, m);
    noise_text(t, env, m);
    sqa_text_add(t, "\nadvice\n");
    json_array_foreach(json_object_get(facts, "advice"), i, v) sqa_text_printf(t, "  - %s\n", json_string_value(v));
}
