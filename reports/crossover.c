/* crossover.c - see crossover.h */
#include "reports/crossover.h"

#include <math.h>

#include "base/memory.h"
#include "base/random.h"

enum { RESAMPLES = 400 };

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

static double resampled(const struct sqa_crossover_side *side, struct sqa_random *random, double *work)
{
    if (side->n == 0)
        return side->y;
    for (size_t i = 0; i < side->n; i++)
        work[i] = side->samples[sqa_random_next_below(random, side->n)];
    sqa_sort_reals(work, side->n);
    return sqa_quantile(work, side->n, 0.5);
}

enum sqa_status sqa_crossover(const struct sqa_crossover_point *p, size_t n, uint64_t key, double *at,
                              struct sqa_interval *interval, struct sqa_err *err)
{
    struct sqa_random random = {.key = key};
    size_t most = 0;
    for (size_t i = 0; i < n; i++) {
        most = p[i].model.n > most ? p[i].model.n : most;
        most = p[i].reference.n > most ? p[i].reference.n : most;
    }
    double *difference = sqa_alloc_array(n + most + RESAMPLES, sizeof *difference);
    if (!difference)
        return sqa_fail(err, SQA_NOMEM, "report: no memory for crossover lengths; report fewer runs");
    double *work = difference + n, *found = work + most;
    for (size_t i = 0; i < n; i++)
        difference[i] = log(p[i].model.y) - log(p[i].reference.y);
    *at = crossing(p, difference, n);
    *interval = (struct sqa_interval){(double)NAN, (double)NAN};
    for (int r = 0; r < RESAMPLES && most > 0; r++) {
        for (size_t i = 0; i < n; i++)
            difference[i] =
                log(resampled(&p[i].model, &random, work)) - log(resampled(&p[i].reference, &random, work));
        found[r] = crossing(p, difference, n);
    }
    if (most > 0) {
        sqa_sort_reals(found, RESAMPLES);
        *interval = (struct sqa_interval){found[RESAMPLES / 40], found[RESAMPLES - 1 - RESAMPLES / 40]};
    }
    sqa_free(difference);
    return SQA_OK;
}
