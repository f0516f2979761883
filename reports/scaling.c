/* scaling.c - see scaling.h */
#include "reports/scaling.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "reports/stats.h"
#include "results/schema.h"

static const int columns[SQA_SCALING_MEASURES] = {SQA_CELLS_latency_ns_median, SQA_CELLS_mem_own_bytes,
                                                  SQA_CELLS_mem_planned_bytes, SQA_CELLS_flops};

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
    const double x = ((const struct sqa_scaling_point *)a)->length, y = ((const struct sqa_scaling_point *)b)->length;
    return (x > y) - (x < y);
}

void sqa_scaling_gather(const struct sqa_pool *pool, size_t first, int phase, bool *done, struct sqa_scaling *s)
{
    s->first = &pool->cells[first];
    s->n = 0;
    for (size_t i = first; i < pool->n_cells; i++) {
        const struct sqa_pool_cell *c = &pool->cells[i];
        struct sqa_scaling_point p = {.length = sqa_pool_number(pool, c, phase, SQA_CELLS_length), .cell = c};
        bool known = done[i] || isnan(p.length) || !same_series(pool, s->first, c, phase);
        if (known)
            continue;
        done[i] = true;
        for (size_t k = 0; k < s->n; k++)
            known = known || s->at[k].length == p.length;
        for (int m = 0; m < SQA_SCALING_MEASURES; m++)
            p.y[m] = sqa_pool_number(pool, c, phase, columns[m]);
        if (!known && s->n < SQA_SCALING_POINTS && p.y[0] > 0)
            s->at[s->n++] = p;
    }
    qsort(s->at, s->n, sizeof s->at[0], by_length);
}

struct sqa_estimate sqa_scaling_exponent(const struct sqa_scaling_point *at, size_t n,
                                         enum sqa_scaling_measure measure)
{
    const double nan = (double)NAN;
    struct sqa_estimate e = {nan, nan, nan, 0, 0, ""};
    struct sqa_interval interval;
    double x[SQA_SCALING_POINTS], y[SQA_SCALING_POINTS];
    for (size_t i = 0; i < n; i++) {
        if (!(at[i].y[measure] > 0))
            return e;
        x[i] = at[i].length;
        y[i] = at[i].y[measure];
    }
    e.mean = sqa_log_slope(x, y, n, 0.95, &interval);
    e.low = interval.low;
    e.high = interval.high;
    return e;
}

bool sqa_scaling_is_reference(const struct sqa_pool_cell *c)
{
    static const char id[] = "transformer";
    return sqa_pool_id_length(c->model) == sizeof id - 1 && strncmp(c->model, id, sizeof id - 1) == 0;
}

bool sqa_scaling_reference(const struct sqa_pool *pool, const struct sqa_pool_cell *c, int phase, bool *done,
                           struct sqa_scaling *to)
{
    memset(done, 0, pool->n_cells * sizeof *done);
    for (size_t i = 0; i < pool->n_cells; i++) {
        const struct sqa_pool_cell *other = &pool->cells[i];
        if (!other->external && other->ok[phase] && sqa_scaling_is_reference(other) &&
            same_settings(pool, other, c, phase)) {
            sqa_scaling_gather(pool, i, phase, done, to);
            return true;
        }
    }
    return false;
}

static struct sqa_crossover_side side_of(const struct sqa_scaling_point *p, int measure, int phase)
{
    const struct sqa_pool_cell *c = p->cell;
    const bool sampled = measure == 0 && c->n_ns[phase] > 0;
    return (struct sqa_crossover_side){p->y[measure], sampled ? c->ns[phase] : NULL, sampled ? c->n_ns[phase] : 0};
}

enum sqa_status sqa_scaling_crossover(const struct sqa_scaling *s, const struct sqa_scaling *reference,
                                      enum sqa_scaling_measure measure, int phase, double *at,
                                      struct sqa_interval *interval, double *shortest, double *longest,
                                      struct sqa_err *err)
{
    struct sqa_crossover_point p[SQA_SCALING_POINTS];
    size_t n = 0;
    *at = *shortest = *longest = (double)NAN;
    *interval = (struct sqa_interval){(double)NAN, (double)NAN};
    for (size_t i = 0; i < s->n; i++)
        for (size_t k = 0; k < reference->n; k++)
            if (s->at[i].length == reference->at[k].length && s->at[i].y[measure] > 0 &&
                reference->at[k].y[measure] > 0)
                p[n++] = (struct sqa_crossover_point){s->at[i].length, side_of(&s->at[i], measure, phase),
                                                      side_of(&reference->at[k], measure, phase)};
    if (n < 2)
        return SQA_OK;
    *shortest = p[0].length;
    *longest = p[n - 1].length;
    return sqa_crossover(p, n, sqa_random_key(1, (uint64_t)phase, "report/crossover"), at, interval, err);
}
