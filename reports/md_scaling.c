/*
 * md_scaling.c - how time and memory grow with the length: exponents fitted to three or more measured lengths (scaling.h)
 *
 * The last column is the slope between the two longest alone.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "reports/grid.h"
#include "reports/markdown.h"
#include "reports/scaling.h"

static void exponent_cell(struct sqa_grid *grid, struct sqa_estimate e, bool counted)
{
    if (isnan(e.mean))
        sqa_grid_cell(grid, "");
    else if (counted || isnan(e.low))
        sqa_grid_printf(grid, "%.2f", e.mean);
    else
        sqa_grid_printf(grid, "%.2f [%.2f, %.2f]", e.mean, e.low, e.high);
}

static void series_row(struct sqa_grid *grid, const struct sqa_scaling *s)
{
    sqa_grid_code(grid, s->first->model, "");
    sqa_grid_printf(grid, "%.0f to %.0f", s->at[0].length, s->at[s->n - 1].length);
    sqa_grid_printf(grid, "%zu", s->n);
    for (int m = 0; m < SQA_SCALING_MEASURES; m++)
        exponent_cell(grid, sqa_scaling_exponent(s->at, s->n, m), m >= 2);
    exponent_cell(grid, sqa_scaling_exponent(s->at + s->n - 2, 2, 0), false);
}

static void phase_table(struct sqa_text *out, const struct sqa_pool *pool, int phase, bool *done,
                        struct sqa_scaling *s, bool *begun)
{
    static const char *const names[] = {"model",      "lengths",        "points", "time",
                                        "own memory", "memory planned", "FLOPs",  "time, last two"};
    struct sqa_grid grid;
    size_t rows = 0;
    memset(done, 0, pool->n_cells * sizeof *done);
    for (size_t i = 0; i < pool->n_cells; i++) {
        if (done[i] || pool->cells[i].external || !pool->cells[i].ok[phase])
            continue;
        sqa_scaling_gather(pool, i, phase, done, s);
        if (s->n < 3)
            continue;
        if (rows++ == 0) {
            sqa_text_add(
                out, *begun ? "" : "## Scaling\n\nFitted exponents of the length: y grows as L to that power.\n\n");
            static const char *const titles[SQA_PHASE_N] = {"A training step", "Inference",
                                                            "A token by the recurrent form"};
            sqa_text_printf(out, "### %s\n\n", titles[phase]);
            *begun = true;
            sqa_grid_begin(&grid, "lrrrrrrr");
            for (size_t k = 0; k < sizeof names / sizeof names[0]; k++)
                sqa_grid_cell(&grid, names[k]);
        }
        series_row(&grid, s);
    }
    if (rows > 0)
        sqa_grid_end(&grid, out);
}

/* Crossover */

static void length_text(char text[32], double at, double shortest, double longest, bool words)
{
    if (isinf(at))
        snprintf(text, 32, "%s%.0f", words ? "not up to " : "> ", longest);
    else if (at > 0)
        snprintf(text, 32, "%.0f", at);
    else
        snprintf(text, 32, "%s%.0f", words ? "below " : "< ", shortest);
}

static enum sqa_status crossover_cell(struct sqa_grid *grid, const struct sqa_scaling *s,
                                      const struct sqa_scaling *reference, enum sqa_scaling_measure measure,
                                      int phase, struct sqa_err *err)
{
    struct sqa_interval interval;
    char text[3][32];
    double found, shortest, longest;
    const enum sqa_status status =
        sqa_scaling_crossover(s, reference, measure, phase, &found, &interval, &shortest, &longest, err);
    if (status != SQA_OK)
        return status;
    if (isnan(found)) {
        sqa_grid_cell(grid, "");
        return SQA_OK;
    }
    const double ends[3] = {found, interval.low, interval.high};
    for (int i = 0; i < 3; i++)
        length_text(text[i], ends[i], shortest, longest, i == 0);
    if (isnan(interval.low))
        sqa_grid_cell(grid, text[0]);
    else
        sqa_grid_printf(grid, "%s [%s, %s]", text[0], text[1], text[2]);
    return SQA_OK;
}

static enum sqa_status crossover_table(struct sqa_text *out, const struct sqa_pool *pool, int phase, bool *done,
                                       struct sqa_scaling *s, struct sqa_err *err)
{
    static const char *const names[] = {"model", "claimed", "less time from", "less planned memory from"};
    struct sqa_scaling *reference = s + 1;
    struct sqa_grid grid;
    enum sqa_status status = SQA_OK;
    size_t rows = 0;
    memset(done, 0, pool->n_cells * sizeof *done);
    for (size_t i = 0; i < pool->n_cells && status == SQA_OK; i++) {
        const struct sqa_pool_cell *c = &pool->cells[i];
        if (done[i] || c->external || !c->ok[phase])
            continue;
        sqa_scaling_gather(pool, i, phase, done, s);
        if (s->n < 3 || sqa_scaling_is_reference(c) ||
            !sqa_scaling_reference(pool, c, phase, done + pool->n_cells, reference))
            continue;
        if (rows++ == 0) {
            sqa_text_add(out, "Length from which on, to the longest measured, a model takes less than ");
            sqa_markdown_code(out, reference->first->model, false);
            sqa_text_add(out, "; between measured lengths on a straight line in logarithms. In brackets 95 % by "
                              "resampling the timing samples.\n\n");
            sqa_grid_begin(&grid, "llrr");
            for (size_t k = 0; k < sizeof names / sizeof names[0]; k++)
                sqa_grid_cell(&grid, names[k]);
        }
        const char *claimed = sqa_pool_title(pool, "complexity", c->model);
        sqa_grid_code(&grid, c->model, "");
        sqa_grid_cell(&grid, claimed ? claimed : "");
        status = crossover_cell(&grid, s, reference, SQA_SCALING_TIME, phase, err);
        if (status == SQA_OK)
            status = crossover_cell(&grid, s, reference, SQA_SCALING_PLANNED, phase, err);
    }
    if (rows > 0)
        sqa_grid_end(&grid, out);
    return status;
}

enum sqa_status sqa_markdown_scaling(struct sqa_text *out, const struct sqa_pool *pool, struct sqa_err *err)
{
    bool *done = sqa_alloc_array(2 * pool->n_cells + 1, sizeof *done), begun = false;
    struct sqa_scaling *s = sqa_alloc_array(2, sizeof *s); /* a model's, and the one it is compared with */
    enum sqa_status status = SQA_OK;
    if (!done || !s)
        status = sqa_fail(err, SQA_NOMEM, "report: no memory for the scaling tables; report fewer runs");
    for (int phase = 0; phase < SQA_PHASE_N && status == SQA_OK; phase++) {
        phase_table(out, pool, phase, done, s, &begun);
        status = crossover_table(out, pool, phase, done, s, err);
    }
    sqa_free(done);
    sqa_free(s);
    return status;
}
