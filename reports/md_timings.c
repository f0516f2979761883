/* md_timings.c - tails of timings, where a run asked for them, and counted instructions */
#include <math.h>
#include <string.h>

#include "reports/grid.h"
#include "reports/markdown.h"
#include "results/schema.h"

struct table { /* a row of cells.csv a row, those that have `needs` */
    const char *title, *text;
    int needs;
    struct {
        const char *title;
        int column;
        char *(*format)(char[32], double); /* NULL: as it stands */
    } columns[9];
    size_t n;
    const char *align; /* three columns before these */
};

static const struct table instructions = {"Instructions",
                                          "Of one step, counted by valgrind; the note of the rows says with which "
                                          "kernels. They tell whether the work changed, "
                                          "not how fast it is.",
                                          SQA_CELLS_instructions,
                                          {{"length", SQA_CELLS_length, NULL},
                                           {"batch", SQA_CELLS_batch, NULL},
                                           {"instructions", SQA_CELLS_instructions, NULL},
                                           {"loads", SQA_CELLS_data_reads, NULL},
                                           {"stores", SQA_CELLS_data_writes, NULL}},
                                          5,
                                          "lllrrrrr"};

static const struct table latency = {
    "Latency",
    "Percentiles of the samples; a 99th wants some hundred of them. A sample is the mean of *steps*, which --latency "
    "sets to 1. *First token*: the step at position 0.",
    SQA_CELLS_latency_ns_p99,
    {{"length", SQA_CELLS_length, NULL},
     {"batch", SQA_CELLS_batch, NULL},
     {"cache", SQA_CELLS_cache, NULL},
     {"samples", SQA_CELLS_latency_samples, NULL},
     {"steps", SQA_CELLS_sample_steps, NULL},
     {"p50", SQA_CELLS_latency_ns_median, sqa_format_ns},
     {"p90", SQA_CELLS_latency_ns_p90, sqa_format_ns},
     {"p99", SQA_CELLS_latency_ns_p99, sqa_format_ns},
     {"first token", SQA_CELLS_first_ns_median, sqa_format_ns}},
    9,
    "lllrrlrrrrrr"};

static const char *text_of(const struct sqa_pool *pool, const struct sqa_pool_cell *cell, int phase, int column)
{
    return cell->row[phase] && cell->ok[phase] ? sqa_pool_text(pool, cell, phase, column) : "";
}

static void write_row(struct sqa_grid *grid, const struct table *t, const struct sqa_pool *pool,
                      const struct sqa_pool_cell *cell, int phase)
{
    sqa_grid_code(grid, cell->model, "");
    sqa_grid_code(grid, cell->task, "");
    sqa_grid_cell(grid, sqa_phase_names[phase]);
    for (size_t k = 0; k < t->n; k++) {
        const double v = sqa_pool_number(pool, cell, phase, t->columns[k].column);
        char buf[32];
        if (t->columns[k].format)
            sqa_grid_cell(grid, isnan(v) ? "" : t->columns[k].format(buf, v));
        else
            sqa_grid_cell(grid, text_of(pool, cell, phase, t->columns[k].column));
    }
}

static void write_table(struct sqa_text *out, const struct table *t, const struct sqa_pool *pool)
{
    struct sqa_grid grid;
    sqa_text_printf(out, "## %s\n\n%s\n\n", t->title, t->text);
    sqa_grid_begin(&grid, t->align);
    sqa_grid_cell(&grid, "model");
    sqa_grid_cell(&grid, "task");
    sqa_grid_cell(&grid, "phase");
    for (size_t k = 0; k < t->n; k++)
        sqa_grid_cell(&grid, t->columns[k].title);
    for (size_t i = 0; i < pool->n_cells; i++)
        for (int p = 0; p < SQA_PHASE_N; p++)
            if (*text_of(pool, &pool->cells[i], p, t->needs))
                write_row(&grid, t, pool, &pool->cells[i], p);
    sqa_grid_end(&grid, out);
}

/* Tails belong to serving: short steps alone, a token at a time, several batches of a model and task, cold caches. */
static bool wants_latency(const struct sqa_pool *pool, const struct sqa_pool_cell *c)
{
    for (int p = 0; p < SQA_PHASE_N; p++)
        if (strcmp(text_of(pool, c, p, SQA_CELLS_sample_steps), "1") == 0 &&
            sqa_pool_number(pool, c, p, SQA_CELLS_latency_ns_median) < 1e6)
            return true;
    if (*text_of(pool, c, SQA_PHASE_STEP, SQA_CELLS_latency_ns_p99) ||
        *sqa_pool_text(pool, c, SQA_PHASE_ANY, SQA_CELLS_cache))
        return true;
    for (size_t i = 0; i < pool->n_cells; i++) {
        const struct sqa_pool_cell *o = &pool->cells[i];
        if (*text_of(pool, o, SQA_PHASE_INFER, SQA_CELLS_latency_ns_p99) &&
            *text_of(pool, c, SQA_PHASE_INFER, SQA_CELLS_latency_ns_p99) && strcmp(o->model, c->model) == 0 &&
            strcmp(o->task, c->task) == 0 &&
            strcmp(sqa_pool_text(pool, o, SQA_PHASE_INFER, SQA_CELLS_batch),
                   sqa_pool_text(pool, c, SQA_PHASE_INFER, SQA_CELLS_batch)) != 0)
            return true;
    }
    return false;
}

void sqa_markdown_timings(struct sqa_text *out, const struct sqa_pool *pool)
{
    bool tails = false, counts = false;
    for (size_t i = 0; i < pool->n_cells; i++) {
        tails = tails || wants_latency(pool, &pool->cells[i]);
        for (int p = 0; p < SQA_PHASE_N; p++)
            counts = counts || *text_of(pool, &pool->cells[i], p, SQA_CELLS_instructions);
    }
    if (tails)
        write_table(out, &latency, pool);
    if (counts)
        write_table(out, &instructions, pool);
}
