/* google_benchmark.c - JSON as Google Benchmark 1.7 writes it (interchange.h) */
#include <math.h>
#include <string.h>

#include "reports/interchange.h"
#include "reports/json.h"
#include "reports/stats.h"

static const struct sqa_pool_run *newest(const struct sqa_pool *pool)
{
    size_t best = 0;
    for (size_t r = 1; r < pool->n_runs; r++) {
        const char *a = json_string_value(sqa_pool_json(&pool->runs[r], "started", NULL)),
                   *b = json_string_value(sqa_pool_json(&pool->runs[best], "started", NULL));
        if (strcmp(a ? a : "", b ? b : "") >= 0)
            best = r;
    }
    return &pool->runs[best];
}

static const char *text(const struct sqa_pool_run *run, const char *a, const char *b)
{
    const char *s = json_string_value(b ? sqa_pool_json(run, a, b, NULL) : sqa_pool_json(run, a, NULL));
    return s ? s : "";
}

static const char *cache_type(const json_t *cache)
{
    const char *kind = json_string_value(json_object_get(cache, "kind"));
    return !kind                              ? "Unified"
           : strcmp(kind, "data") == 0        ? "Data"
           : strcmp(kind, "instruction") == 0 ? "Instruction"
                                              : "Unified";
}

static json_t *caches(const struct sqa_pool_run *run, bool *failed)
{
    struct sqa_json_list list = {json_array(), false};
    const json_t *all = sqa_pool_json(run, "environment", "cpu", "caches", NULL);
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *c = json_array_get(all, i);
        sqa_json_append(&list, json_pack("{s:s, s:I, s:I, s:I}", "type", cache_type(c), "level",
                                         json_integer_value(json_object_get(c, "level")), "size",
                                         json_integer_value(json_object_get(c, "bytes")), "num_sharing",
                                         json_integer_value(json_object_get(c, "shared_by"))));
    }
    *failed = *failed || list.failed;
    return list.array;
}

/* No host name is kept: the fingerprint of the machine stands there. 0 MHz: not known. */
static json_t *context(const struct sqa_pool *pool, bool *failed)
{
    const struct sqa_pool_run *run = newest(pool);
    const char *governor = text(run, "environment", "governor");
    json_t *load = sqa_pool_json(run, "environment", "load_average", NULL);
    return json_pack("{s:o, s:o, s:s, s:I, s:i, s:b, s:b, s:o, s:o, s:s, s:i, s:o, s:o}", "date",
                     sqa_json_text(text(run, "started", NULL)), "host_name",
                     sqa_json_text(text(run, "environment", "fingerprint")), "executable", "seqarena", "num_cpus",
                     json_integer_value(sqa_pool_json(run, "environment", "cpu", "logical", NULL)), "mhz_per_cpu", 0,
                     "cpu_scaling_enabled", *governor && strcmp(governor, "performance") != 0, "aslr_enabled",
                     strcmp(text(run, "environment", "randomize_va_space"), "0") != 0, "caches", caches(run, failed),
                     "load_avg", json_is_array(load) ? json_deep_copy(load) : json_array(), "library_build_type",
                     strstr(text(run, "environment", "flags"), "-O0") ? "debug" : "release", "json_schema_version", 1,
                     "commit", sqa_json_text(text(run, "commit", NULL)), "cpu",
                     sqa_json_text(json_string_value(sqa_pool_json(run, "environment", "cpu", "model", NULL))
                                       ? json_string_value(sqa_pool_json(run, "environment", "cpu", "model", NULL))
                                       : ""));
}

struct family {
    const char *name;
    int index, threads;
    size_t n;
};

static json_t *common(const struct family *f, const char *name, const char *type)
{
    return json_pack("{s:o, s:i, s:i, s:o, s:s, s:I, s:i}", "name", sqa_json_text(name), "family_index", f->index,
                     "per_family_instance_index", 0, "run_name", sqa_json_text(f->name), "run_type", type,
                     "repetitions", (json_int_t)f->n, "threads", f->threads);
}

/* Both clocks; wall time stands in where CPU time is not known, and the label says so. */
static json_t *timed(json_t *o, double ns, double cpu_ns)
{
    const bool known = isfinite(cpu_ns);
    const bool bad =
        !o || json_object_set_new(o, "real_time", json_real(ns)) != 0 ||
        json_object_set_new(o, "cpu_time", json_real(known ? cpu_ns : ns)) != 0 ||
        json_object_set_new(o, "time_unit", json_string("ns")) != 0 ||
        (!known && json_object_set_new(o, "label", json_string("no CPU time: wall time in its place")) != 0);
    if (!bad)
        return o;
    json_decref(o);
    return NULL;
}

static json_t *sample(const struct family *f, size_t i, const struct sqa_timing *t)
{
    json_t *o = common(f, f->name, "iteration");
    if (o && (json_object_set_new(o, "repetition_index", json_integer((json_int_t)i)) != 0 ||
              json_object_set_new(o, "iterations", json_integer(1)) != 0)) {
        json_decref(o);
        return NULL;
    }
    return timed(o, t->ns, t->cpu_ns);
}

enum { MEAN, MEDIAN, STDDEV, CV, AGGREGATES };
static const char *const aggregate_names[AGGREGATES] = {"mean", "median", "stddev", "cv"};

/* Sorts x. */
static double aggregate_of(int which, double *x, size_t n)
{
    sqa_sort_reals(x, n);
    return which == MEAN     ? sqa_stats_mean(x, n)
           : which == MEDIAN ? sqa_quantile(x, n, 0.5)
           : which == STDDEV ? sqa_deviation(x, n)
                             : sqa_deviation(x, n) / sqa_stats_mean(x, n);
}

static json_t *aggregate(const struct family *f, int which, double *ns, double *cpu_ns, struct sqa_arena *arena)
{
    const char *name = sqa_arena_printf(arena, "%s_%s", f->name, aggregate_names[which]);
    json_t *o = name ? common(f, name, "aggregate") : NULL;
    if (o && (json_object_set_new(o, "aggregate_name", json_string(aggregate_names[which])) != 0 ||
              json_object_set_new(o, "aggregate_unit", json_string(which == CV ? "percentage" : "time")) != 0 ||
              json_object_set_new(o, "iterations", json_integer((json_int_t)f->n)) != 0)) {
        json_decref(o);
        return NULL;
    }
    return timed(o, aggregate_of(which, ns, f->n), aggregate_of(which, cpu_ns, f->n));
}

static void add_family(struct sqa_json_list *list, const struct family *f, const struct sqa_timing *t,
                       struct sqa_arena *arena)
{
    double *ns = sqa_arena_alloc(arena, 2 * f->n * sizeof *ns), *cpu_ns = ns ? ns + f->n : NULL;
    list->failed = list->failed || !ns;
    for (size_t i = 0; i < f->n && ns; i++) {
        sqa_json_append(list, sample(f, i, &t[i]));
        ns[i] = t[i].ns;
        cpu_ns[i] = isfinite(t[i].cpu_ns) ? t[i].cpu_ns : t[i].ns;
    }
    for (int a = 0; a < AGGREGATES && f->n > 1 && ns; a++)
        sqa_json_append(list, aggregate(f, a, ns, cpu_ns, arena));
}

void sqa_google_benchmark(struct sqa_text *out, const struct sqa_pool *pool)
{
    struct sqa_json_list list = {json_array(), false};
    bool failed = false;
    int families = 0;
    for (size_t i = 0; i < pool->n_entries; i++) {
        for (int phase = 0; phase < SQA_PHASE_N; phase++) {
            struct sqa_arena arena = {0};
            struct sqa_text name = {0};
            struct family f = {.index = families};
            const struct sqa_timing *t = sqa_timings(pool, &pool->entries[i], phase, &arena, &f.n, &failed);
            if (t) {
                int64_t threads;
                sqa_track_name(&name, pool, &pool->entries[i], phase);
                failed = failed || name.failed;
                f.name = sqa_text_get(&name);
                f.threads =
                    sqa_parse_int(sqa_pool_text(pool, pool->entries[i].cells, phase, SQA_CELLS_threads), &threads)
                        ? (int)threads
                        : 1;
                add_family(&list, &f, t, &arena);
                families++;
            }
            sqa_text_clear(&name);
            sqa_arena_clear(&arena);
        }
    }
    json_t *root = json_pack("{s:o, s:o}", "context", context(pool, &failed), "benchmarks", list.array);
    out->failed = out->failed || failed || list.failed;
    sqa_json_dump(out, root);
}
