/*
 * crossover.h - from which length on one model costs less than another
 *
 * Between measured lengths log cost is taken as linear in log length; nothing is said beyond them. The crossover is
 * where the difference of the logarithms last falls below 0: from there to the longest length the model costs less.
 */
#ifndef SQA_REPORTS_CROSSOVER_H
#define SQA_REPORTS_CROSSOVER_H

#include <stddef.h>
#include <stdint.h>

#include "reports/stats.h"

struct sqa_crossover_side {
    double y;              /* > 0 */
    const double *samples; /* that y is the median of; NULL: y is counted */
    size_t n;
};
struct sqa_crossover_point {
    double length;
    struct sqa_crossover_side model, reference;
};
/* at: the length; 0: less at every length; INFINITY: not less at the longest one. interval: 95 % by resampling the
 * samples of each point, in the same terms; NaN where nothing was sampled. points ascend in length. SQA_NOMEM. */
enum sqa_status sqa_crossover(const struct sqa_crossover_point *points, size_t n, uint64_t key, double *at,
                              struct sqa_interval *interval, struct sqa_err *err) SQA_MUST_CHECK;

#endif
