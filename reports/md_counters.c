/* md_counters.c - what counters say of each row, where a run had some */
#include <math.h>
#include <stdio.h>

#include "reports/derived.h"
#include "reports/grid.h"
#include "reports/markdown.h"
#include "results/schema.h"

/* Bytes of a line of the last cache, as the run's machine told; else those of nearly all. */
static double cache_line(const struct sqa_pool_run *run)
{
    const json_t *caches = sqa_pool_json(run, "environment", "cpu", "caches", NULL);
    const size_t n = json_array_size(caches);
    const json_t *line = n ? json_object_get(json_array_get(caches, n - 1), "line") : NULL;
    return json_integer_value(line) > 0 ? (double)json_integer_value(line) : 64;
}

/* False when the row has no counters. */
static bool counted(const struct sqa_pool *pool, const struct sqa_pool_cell *cell, int phase, struct sqa_derived *c)
{
    static const int flops[] = {SQA_CELLS_flops, SQA_CELLS_flops_recompute, SQA_CELLS_flops_optimizer};
    if (!cell->row[phase] || !cell->ok[phase])
        return false;
    const double threads = sqa_pool_number(pool, cell, phase, SQA_CELLS_threads);
    *c = (struct sqa_derived){.counters = sqa_pool_text(pool, cell, phase, SQA_CELLS_counters),
                              .ns = sqa_pool_number(pool, cell, phase, SQA_CELLS_latency_ns_median),
                              .line = cache_line(&pool->runs[cell->run[phase]]),
                              .threads = threads > 1 ? (int)threads : 1};
    c->tokens = sqa_pool_number(pool, cell, phase, SQA_CELLS_throughput_tokens_per_s) * c->ns * 1e-9;
    for (size_t i = 0; i < sizeof flops / sizeof flops[0]; i++) {
        const double v = sqa_pool_number(pool, cell, phase, flops[i]);
        c->flops += isnan(v) ? 0 : v;
    }
    return *c->counters != '\0';
}

/* Figures that some row has; returns how many rows have counters. */
static size_t find_columns(const struct sqa_pool *pool, bool wanted[SQA_DERIVED_N])
{
    size_t rows = 0;
    struct sqa_derived c;
    for (size_t i = 0; i < pool->n_cells; i++)
        for (int phase = 0; phase < SQA_PHASE_N; phase++) {
            if (!counted(pool, &pool->cells[i], phase, &c))
                continue;
            rows++;
            for (int k = 0; k < SQA_DERIVED_N; k++)
                wanted[k] = wanted[k] || !isnan(sqa_derived_figure(&c, (enum sqa_derived_figure)k));
        }
    return rows;
}

static void row(struct sqa_grid *grid, const struct sqa_pool *pool, const struct sqa_pool_cell *cell, int phase,
                const struct sqa_derived *c, const bool wanted[SQA_DERIVED_N])
{
    static const int columns[] = {SQA_CELLS_length, SQA_CELLS_batch, SQA_CELLS_threads, SQA_CELLS_counter_passes};
    sqa_grid_code(grid, cell->model, "");
    sqa_grid_code(grid, cell->task, "");
    sqa_grid_cell(grid, sqa_phase_names[phase]);
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
        sqa_grid_cell(grid, sqa_pool_text(pool, cell, phase, columns[i]));
    for (int k = 0; k < SQA_DERIVED_N; k++) {
        const double v = sqa_derived_figure(c, (enum sqa_derived_figure)k);
        if (wanted[k] && isnan(v))
            sqa_grid_cell(grid, "");
        else if (wanted[k])
            sqa_grid_printf(grid, "%.*f", sqa_derived_titles[k].digits, v);
    }
}

void sqa_markdown_counters(struct sqa_text *out, const struct sqa_pool *pool)
{
    static const char *const names[] = {"model", "task", "phase", "length", "batch", "threads", "passes"};
    enum { NAMES = sizeof names / sizeof names[0] };
    bool wanted[SQA_DERIVED_N] = {false};
    char align[NAMES + SQA_DERIVED_N + 1];
    struct sqa_derived c;
    struct sqa_grid grid;
    size_t columns = NAMES;
    if (find_columns(pool, wanted) == 0)
        return;
    for (int k = 0; k < SQA_DERIVED_N; k++)
        columns += wanted[k];
    for (size_t i = 0; i < columns; i++)
        align[i] = i < 3 ? 'l' : 'r';
    align[columns] = '\0';
    sqa_text_add(out,
                 "## Counters\n\nMedians over samples, of the thread that does the timing: figures that need all "
                 "threads stand only where there is one. *Passes*: events that do not fit together were counted "
                 "over samples of their own, never part of the time. Bytes from memory are last level misses "
                 "times the cache line, what prefetchers fetch left out on many processors. Energy is the whole "
                 "machine's.\n\n");
    sqa_grid_begin(&grid, align);
    for (size_t i = 0; i < NAMES; i++)
        sqa_grid_cell(&grid, names[i]);
    for (int k = 0; k < SQA_DERIVED_N; k++)
        if (wanted[k])
            sqa_grid_cell(&grid, sqa_derived_titles[k].title);
    for (size_t i = 0; i < pool->n_cells; i++)
        for (int phase = 0; phase < SQA_PHASE_N; phase++)
            if (counted(pool, &pool->cells[i], phase, &c))
                row(&grid, pool, &pool->cells[i], phase, &c, wanted);
    sqa_grid_end(&grid, out);
}
