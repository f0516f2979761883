/* crossover.c - see crossover.h */
#include "reports/crossover.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"

enum { RESAMPLES = 400, LARGE = 200 };

static double crossing(const struct sqa_crossover_point *p, const double *difference, size_t n)
{
    size_t i = n;
    while (i > 0 && difference[i - 1] < 0)
        i--;
    if (i == 0 || i == n)
        return i == 0 ? 0 : (double)INFINITY;
    const double part = difference[i - 1] / (difference[i - 1] - difference[i]);
    return exp(log(p[i - 1].length) + part * (log(p[i].length) - log(p[i - 1].length)));
}

/* The median of a resample of n sorted samples. Which of them that is has a binomial distribution, which is as good as normal when
 * there are many: with a million samples drawing each of them again would take a minute. */
static double resampled(const double *samples, size_t n, struct sqa_random *random, double *work)
{
    if (n > LARGE) {
        const double place = 0.5 + 0.5 * sqa_random_next_normal(random) / sqrt((double)n + 2);
        return sqa_quantile(samples, n, fmin(fmax(place, 0), 1));
    }
    for (size_t i = 0; i < n; i++)
        work[i] = samples[sqa_random_next_below(random, n)];
    sqa_sort_reals(work, n);
    return sqa_quantile(work, n, 0.5);
}

/* Copies the samples of a side to `to`, sorted; returns the place behind them. */
static double *take(struct sqa_crossover_side *side, double *to)
{
    if (side->n == 0)
        return to;
    memcpy(to, side->samples, side->n * sizeof *to);
    sqa_sort_reals(to, side->n);
    side->samples = to;
    return to + side->n;
}

static double side_log(const struct sqa_crossover_side *side, struct sqa_random *random, double *work)
{
    return log(side->n ? resampled(side->samples, side->n, random, work) : side->y);
}

enum sqa_status sqa_crossover(const struct sqa_crossover_point *points, size_t n, uint64_t key, double *at,
                              struct sqa_interval *interval, struct sqa_err *err)
{
    struct sqa_random random = {.key = key};
    size_t samples = 0;
    for (size_t i = 0; i < n; i++)
        samples += points[i].model.n + points[i].reference.n;
    struct sqa_crossover_point *p = sqa_alloc_array(n, sizeof *p);
    double *difference = sqa_alloc_array(n + LARGE + RESAMPLES + samples, sizeof *difference);
    if (!p || !difference) {
        sqa_free(p);
        sqa_free(difference);
        return sqa_fail(err, SQA_NOMEM, "report: no memory for crossover lengths; report fewer runs");
    }
    double *work = difference + n, *found = work + LARGE, *to = found + RESAMPLES;
    for (size_t i = 0; i < n; i++) {
        p[i] = points[i];
        to = take(&p[i].reference, take(&p[i].model, to));
        difference[i] = log(p[i].model.y) - log(p[i].reference.y);
    }
    *at = crossing(p, difference, n);
    *interval = (struct sqa_interval){(double)NAN, (double)NAN};
    for (int r = 0; r < RESAMPLES && samples > 0; r++) {
        for (size_t i = 0; i < n; i++) {
            difference[i] = side_log(&p[i].model, &random, work);
            difference[i] -= side_log(&p[i].reference, &random, work);
        }
        found[r] = crossing(p, difference, n);
    }
    if (samples > 0) {
        sqa_sort_reals(found, RESAMPLES);
        *interval = (struct sqa_interval){found[RESAMPLES / 40], found[RESAMPLES - 1 - RESAMPLES / 40]};
    }
    sqa_free(p);
    sqa_free(difference);
    return SQA_OK;
}
