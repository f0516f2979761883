/* timings.c - timing samples of an entry with both clocks (interchange.h) */
#include <math.h>
#include <string.h>

#include "reports/interchange.h"

static double real_at(const struct sqa_pool_run *run, size_t row, int column)
{
    const int at = run->column[SQA_FILE_SAMPLES][column];
    double x;
    return at >= 0 && sqa_parse_real(run->files.sheet[SQA_FILE_SAMPLES].row[row][at], &x) ? x : (double)NAN;
}

static const char *text_at(const struct sqa_pool_run *run, size_t row, int column)
{
    const int at = run->column[SQA_FILE_SAMPLES][column];
    return at >= 0 ? run->files.sheet[SQA_FILE_SAMPLES].row[row][at] : "";
}

/* Counts, and with `out` also fills. */
static size_t take(const struct sqa_pool *pool, const struct sqa_pool_cell *cell, int phase, struct sqa_timing *out)
{
    const struct sqa_pool_run *run = &pool->runs[cell->run[phase]];
    struct sqa_timing t;
    size_t n = 0;
    if (!cell->row[phase] || !cell->ok[phase] || *sqa_pool_named(pool, cell, phase, "unfit"))
        return 0;
    for (size_t r = 0; r < run->files.sheet[SQA_FILE_SAMPLES].nrow; r++) {
        t = (struct sqa_timing){real_at(run, r, SQA_SAMPLES_ns), real_at(run, r, SQA_SAMPLES_cpu_ns)};
        if (isnan(t.ns) || strcmp(text_at(run, r, SQA_SAMPLES_key), cell->key) != 0 ||
            strcmp(text_at(run, r, SQA_SAMPLES_phase), sqa_phase_names[phase]) != 0)
            continue;
        if (out)
            out[n] = t;
        n++;
    }
    t = (struct sqa_timing){sqa_pool_number(pool, cell, phase, SQA_CELLS_latency_ns_median),
                            sqa_pool_number(pool, cell, phase, SQA_CELLS_cpu_ns_median)};
    if (n == 0 && !isnan(t.ns)) {
        if (out)
            out[n] = t;
        n++;
    }
    return n;
}

struct sqa_timing *sqa_timings(const struct sqa_pool *pool, const struct sqa_pool_entry *e, int phase,
                               struct sqa_arena *arena, size_t *n, bool *failed)
{
    size_t all = 0;
    *n = 0;
    for (const struct sqa_pool_cell *cell = e->cells; cell; cell = cell->next)
        all += take(pool, cell, phase, NULL);
    struct sqa_timing *t = all ? sqa_arena_alloc(arena, all * sizeof *t) : NULL;
    *failed = *failed || (all && !t);
    for (const struct sqa_pool_cell *cell = e->cells; cell && t; cell = cell->next)
        *n += take(pool, cell, phase, t + *n);
    return t;
}
