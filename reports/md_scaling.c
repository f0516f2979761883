/*
 * md_scaling.c - how time and memory grow with the length: exponents fitted to measured lengths
 *
 * A series is one model with one setting, measured at three or more lengths. An exponent is the slope of
 * log y = a + b log L by least squares, with Student's 95 % interval of the slope: what the points say of a straight
 * line, not of longer sequences. The last column is the slope between the two longest alone.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "reports/crossover.h"
#include "reports/grid.h"
#include "reports/markdown.h"
#include "reports/stats.h"
#include "results/schema.h"

enum { MAX_POINTS = 64, MEASURES = 4 };

static const int columns[MEASURES] = {SQA_CELLS_latency_ns_median, SQA_CELLS_mem_own_bytes,
                                      SQA_CELLS_mem_planned_bytes, SQA_CELLS_flops};

struct point {
    double length, y[MEASURES];
    const struct sqa_pool_cell *cell;
};

struct series {
    const struct sqa_pool_cell *first;
    struct point at[MAX_POINTS];
    size_t n;
};

/* Texts that differ at most in the value of "length=". */
static bool same_but_length(const char *a, const char *b)
{
    while (*a && *a == *b) {
        if (strncmp(a, "length=", 7) == 0 && strncmp(b, "length=", 7) == 0) {
            a += 7 + strcspn(a + 7, ",;");
            b += 7 + strcspn(b + 7, ",;");
        } else
            a++, b++;
    }
    return *a == *b;
}

static bool same_settings(const struct sqa_pool *pool, const struct sqa_pool_cell *a, const struct sqa_pool_cell *b,
                          int phase)
{
    static const int same[] = {SQA_CELLS_batch, SQA_CELLS_dtype, SQA_CELLS_threads, SQA_CELLS_scale};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
        if (strcmp(sqa_pool_text(pool, a, phase, same[i]), sqa_pool_text(pool, b, phase, same[i])) != 0)
            return false;
    return same_but_length(sqa_pool_text(pool, a, phase, SQA_CELLS_task_full),
                           sqa_pool_text(pool, b, phase, SQA_CELLS_task_full));
}

static bool same_series(const struct sqa_pool *pool, const struct sqa_pool_cell *a, const struct sqa_pool_cell *b,
                        int phase)
{
    return strcmp(sqa_pool_text(pool, a, phase, SQA_CELLS_model_full),
                  sqa_pool_text(pool, b, phase, SQA_CELLS_model_full)) == 0 &&
           same_settings(pool, a, b, phase);
}

static int by_length(const void *a, const void *b)
{
    const double x = ((const struct point *)a)->length, y = ((const struct point *)b)->length;
    return (x > y) - (x < y);
}

/* Cells of the series that begins with cell `first`, one a length (the first seed). */
static void gather(const struct sqa_pool *pool, size_t first, int phase, bool *done, struct series *s)
{
    s->first = &pool->cells[first];
    s->n = 0;
    for (size_t i = first; i < pool->n_cells; i++) {
        const struct sqa_pool_cell *c = &pool->cells[i];
        struct point p = {.length = sqa_pool_number(pool, c, phase, SQA_CELLS_length), .cell = c};
        bool known = done[i] || isnan(p.length) || !same_series(pool, s->first, c, phase);
        if (known)
            continue;
        done[i] = true;
        for (size_t k = 0; k < s->n; k++)
            known = known || s->at[k].length == p.length;
        for (int m = 0; m < MEASURES; m++)
            p.y[m] = sqa_pool_number(pool, c, phase, columns[m]);
        if (!known && s->n < MAX_POINTS && p.y[0] > 0)
            s->at[s->n++] = p;
    }
    qsort(s->at, s->n, sizeof s->at[0], by_length);
}

static struct sqa_estimate slope(const struct point *at, size_t n, int measure)
{
    const double nan = (double)NAN;
    struct sqa_estimate e = {nan, nan, nan, 0, 0, ""};
    double mx = 0, my = 0, xx = 0, xy = 0, rest = 0;
    for (size_t i = 0; i < n; i++) {
        if (!(at[i].y[measure] > 0))
            return e;
        mx += log(at[i].length) / (double)n;
        my += log(at[i].y[measure]) / (double)n;
    }
    for (size_t i = 0; i < n; i++) {
        const double x = log(at[i].length) - mx;
        xx += x * x;
        xy += x * (log(at[i].y[measure]) - my);
    }
    e.mean = xy / xx;
    if (n < 3)
        return e;
    for (size_t i = 0; i < n; i++) {
        const double r = log(at[i].y[measure]) - my - e.mean * (log(at[i].length) - mx);
        rest += r * r;
    }
    const double half = sqa_t_quantile(0.975, (double)(n - 2)) * sqrt(rest / (double)(n - 2) / xx);
    e.low = e.mean - half;
    e.high = e.mean + half;
    return e;
}

static void exponent_cell(struct sqa_grid *grid, struct sqa_estimate e, bool counted)
{
    if (isnan(e.mean))
        sqa_grid_cell(grid, "");
    else if (counted || isnan(e.low))
        sqa_grid_printf(grid, "%.2f", e.mean);
    else
        sqa_grid_printf(grid, "%.2f [%.2f, %.2f]", e.mean, e.low, e.high);
}

static void series_row(struct sqa_grid *grid, const struct series *s)
{
    sqa_grid_code(grid, s->first->model, "");
    sqa_grid_printf(grid, "%.0f to %.0f", s->at[0].length, s->at[s->n - 1].length);
    sqa_grid_printf(grid, "%zu", s->n);
    for (int m = 0; m < MEASURES; m++)
        exponent_cell(grid, slope(s->at, s->n, m), m >= 2);
    exponent_cell(grid, slope(s->at + s->n - 2, 2, 0), false);
}

static void phase_table(struct sqa_text *out, const struct sqa_pool *pool, int phase, bool *done, struct series *s,
                        bool *begun)
{
    static const char *const names[] = {"model",      "lengths",        "points", "time",
                                        "own memory", "memory planned", "FLOPs",  "time, last two"};
    struct sqa_grid grid;
    size_t rows = 0;
    memset(done, 0, pool->n_cells * sizeof *done);
    for (size_t i = 0; i < pool->n_cells; i++) {
        if (done[i] || pool->cells[i].external || !pool->cells[i].ok[phase])
            continue;
        gather(pool, i, phase, done, s);
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

static bool is_reference(const struct sqa_pool_cell *c)
{
    static const char id[] = "transformer";
    return sqa_pool_id_length(c->model) == sizeof id - 1 && strncmp(c->model, id, sizeof id - 1) == 0;
}

/* The first transformer with the settings of cell c; false: there is none. */
static bool gather_reference(const struct sqa_pool *pool, const struct sqa_pool_cell *c, int phase, bool *done,
                             struct series *to)
{
    memset(done, 0, pool->n_cells * sizeof *done);
    for (size_t i = 0; i < pool->n_cells; i++) {
        const struct sqa_pool_cell *other = &pool->cells[i];
        if (!other->external && other->ok[phase] && is_reference(other) && same_settings(pool, other, c, phase)) {
            gather(pool, i, phase, done, to);
            return true;
        }
    }
    return false;
}

static struct sqa_crossover_side side_of(const struct point *p, int measure, int phase)
{
    const struct sqa_pool_cell *c = p->cell;
    const bool sampled = measure == 0 && c->n_ns[phase] > 0;
    return (struct sqa_crossover_side){p->y[measure], sampled ? c->ns[phase] : NULL, sampled ? c->n_ns[phase] : 0};
}

static void length_text(char text[32], double at, double shortest, double longest, bool words)
{
    if (isinf(at))
        snprintf(text, 32, "%s%.0f", words ? "not up to " : "> ", longest);
    else if (at > 0)
        snprintf(text, 32, "%.0f", at);
    else
        snprintf(text, 32, "%s%.0f", words ? "below " : "< ", shortest);
}

static enum sqa_status crossover_cell(struct sqa_grid *grid, const struct series *s, const struct series *reference,
                                      int measure, int phase, struct sqa_err *err)
{
    struct sqa_crossover_point at[MAX_POINTS];
    struct sqa_interval interval;
    char text[3][32];
    double found;
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        for (size_t k = 0; k < reference->n; k++)
            if (s->at[i].length == reference->at[k].length && s->at[i].y[measure] > 0 &&
                reference->at[k].y[measure] > 0)
                at[n++] = (struct sqa_crossover_point){s->at[i].length, side_of(&s->at[i], measure, phase),
                                                       side_of(&reference->at[k], measure, phase)};
    if (n < 2) {
        sqa_grid_cell(grid, "");
        return SQA_OK;
    }
    const enum sqa_status status =
        sqa_crossover(at, n, sqa_random_key(1, (uint64_t)phase, "report/crossover"), &found, &interval, err);
    if (status != SQA_OK)
        return status;
    const double ends[3] = {found, interval.low, interval.high};
    for (int i = 0; i < 3; i++)
        length_text(text[i], ends[i], at[0].length, at[n - 1].length, i == 0);
    if (isnan(interval.low))
        sqa_grid_cell(grid, text[0]);
    else
        sqa_grid_printf(grid, "%s [%s, %s]", text[0], text[1], text[2]);
    return SQA_OK;
}

static enum sqa_status crossover_table(struct sqa_text *out, const struct sqa_pool *pool, int phase, bool *done,
                                       struct series *s, struct sqa_err *err)
{
    static const char *const names[] = {"model", "claimed", "less time from", "less planned memory from"};
    struct series *reference = s + 1;
    struct sqa_grid grid;
    enum sqa_status status = SQA_OK;
    size_t rows = 0;
    memset(done, 0, pool->n_cells * sizeof *done);
    for (size_t i = 0; i < pool->n_cells && status == SQA_OK; i++) {
        const struct sqa_pool_cell *c = &pool->cells[i];
        if (done[i] || c->external || !c->ok[phase])
            continue;
        gather(pool, i, phase, done, s);
        if (s->n < 3 || is_reference(c) || !gather_reference(pool, c, phase, done + pool->n_cells, reference))
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
        status = crossover_cell(&grid, s, reference, 0, phase, err);
        if (status == SQA_OK)
            status = crossover_cell(&grid, s, reference, 2, phase, err);
    }
    if (rows > 0)
        sqa_grid_end(&grid, out);
    return status;
}

enum sqa_status sqa_markdown_scaling(struct sqa_text *out, const struct sqa_pool *pool, struct sqa_err *err)
{
    bool *done = sqa_alloc_array(2 * pool->n_cells + 1, sizeof *done), begun = false;
    struct series *s = sqa_alloc_array(2, sizeof *s); /* a model's, and the one it is compared with */
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
