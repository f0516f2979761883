/* benchstat.c - the text of Go benchmarks, which benchstat reads (interchange.h) */
#include <math.h>
#include <string.h>

#include "reports/interchange.h"

/* Values that stand on a line of their own, a line a seed. */
static const struct {
    int value;
    const char *unit;
    bool higher;
} seed_units[] = {
    {SQA_VALUE_test_accuracy, "accuracy", true},
    {SQA_VALUE_test_mse, "mse", false},
    {SQA_VALUE_test_mae, "mae", false},
    {SQA_VALUE_params, "params", false},
};
static const struct {
    int column;
    const char *unit;
} phase_units[] = {
    {SQA_CELLS_mem_own_bytes, "own-bytes"},
    {SQA_CELLS_mem_planned_bytes, "planned-bytes"},
    {SQA_CELLS_flops, "flops/op"},
};
enum {
    SEED_UNITS = sizeof seed_units / sizeof seed_units[0],
    PHASE_UNITS = sizeof phase_units / sizeof phase_units[0]
};

/* "cpu: AMD EPYC": a setting that holds until it is set again. */
static void configure(struct sqa_text *out, const struct sqa_pool_run *run)
{
    static const struct {
        const char *name, *path[3];
    } settings[] = {
        {"commit", {"commit"}},
        {"cpu", {"environment", "cpu", "model"}},
        {"machine", {"environment", "fingerprint"}},
        {"kernel", {"environment", "kernel"}},
        {"compiler", {"environment", "compiler"}},
    };
    sqa_text_add(out, "pkg: seqarena\n");
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        const char *const *p = settings[i].path;
        const char *s = json_string_value(sqa_pool_json(run, p[0], p[1], p[1] ? p[2] : NULL, NULL));
        if (!s)
            continue;
        sqa_text_printf(out, "%s: ", settings[i].name);
        for (; *s; s++)
            sqa_text_add_bytes(out, (unsigned char)*s < 0x20 ? " " : s, 1);
        sqa_text_add(out, "\n");
    }
}

static void name_line(struct sqa_text *out, const struct sqa_pool *pool, const struct sqa_pool_entry *e, int phase)
{
    sqa_text_add(out, "BenchmarkSeqarena/");
    sqa_track_name(out, pool, e, phase);
    sqa_text_add(out, " 1");
}

static void add_value(struct sqa_text *out, double x, const char *unit)
{
    char number[32];
    if (isfinite(x))
        sqa_text_printf(out, " %s %s", sqa_format_real(number, x), unit);
}

static void add_timings(struct sqa_text *out, const struct sqa_pool *pool, const struct sqa_pool_entry *e, int phase)
{
    struct sqa_arena arena = {0};
    size_t n;
    const struct sqa_timing *t = sqa_timings(pool, e, phase, &arena, &n, &out->failed);
    for (size_t i = 0; i < n; i++) {
        name_line(out, pool, e, phase);
        add_value(out, t[i].ns, "ns/op");
        add_value(out, t[i].cpu_ns, "cpu-ns/op");
        sqa_text_add(out, "\n");
    }
    sqa_arena_clear(&arena);
}

static void add_phase_units(struct sqa_text *out, const struct sqa_pool *pool, const struct sqa_pool_entry *e,
                            int phase)
{
    for (const struct sqa_pool_cell *cell = e->cells; cell; cell = cell->next) {
        struct sqa_text line = {0};
        for (int u = 0; u < PHASE_UNITS; u++)
            add_value(&line, sqa_pool_number(pool, cell, phase, phase_units[u].column), phase_units[u].unit);
        if (line.length) {
            name_line(out, pool, e, phase);
            sqa_text_printf(out, "%s\n", sqa_text_get(&line));
        }
        out->failed = out->failed || line.failed;
        sqa_text_clear(&line);
    }
}

static void add_seed_units(struct sqa_text *out, const struct sqa_pool *pool, const struct sqa_pool_entry *e)
{
    for (const struct sqa_pool_cell *cell = e->cells; cell; cell = cell->next) {
        struct sqa_text line = {0};
        for (int u = 0; u < SEED_UNITS; u++)
            add_value(&line, sqa_value_of(pool, cell, seed_units[u].value), seed_units[u].unit);
        if (line.length) {
            name_line(out, pool, e, SQA_PHASE_ANY);
            sqa_text_printf(out, "%s\n", sqa_text_get(&line));
        }
        out->failed = out->failed || line.failed;
        sqa_text_clear(&line);
    }
}

/* Of one run, since a run has its own machine and commit. */
static bool of_run(const struct sqa_pool_entry *e, size_t run)
{
    return e->cells->run[sqa_pool_first_phase(e->cells)] == run;
}

void sqa_benchstat(struct sqa_text *out, const struct sqa_pool *pool)
{
    for (int u = 0; u < SEED_UNITS; u++)
        sqa_text_printf(out, "Unit %s better=%s\n", seed_units[u].unit, seed_units[u].higher ? "higher" : "lower");
    for (size_t r = 0; r < pool->n_runs; r++) {
        configure(out, &pool->runs[r]);
        for (size_t i = 0; i < pool->n_entries; i++) {
            const struct sqa_pool_entry *e = &pool->entries[i];
            if (!of_run(e, r))
                continue;
            add_seed_units(out, pool, e);
            for (int phase = 0; phase < SQA_PHASE_N; phase++) {
                add_timings(out, pool, e, phase);
                add_phase_units(out, pool, e, phase);
            }
        }
    }
}
