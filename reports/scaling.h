/*
 * scaling.h - how cost grows with the length: series, exponents, crossover
 *
 * A series is one model with one setting, measured at several lengths. An exponent is the slope of log y = a + b log L by
 * least squares, with Student's 95 % interval of the slope: what the points say of a straight line, not of longer
 * sequences.
 */
#ifndef SQA_REPORTS_SCALING_H
#define SQA_REPORTS_SCALING_H

#include "reports/crossover.h"
#include "reports/pool.h"

enum sqa_scaling_measure {
    SQA_SCALING_TIME, /* ns of a step */
    SQA_SCALING_OWN,  /* bytes: peak of the child less its start */
    SQA_SCALING_PLANNED,
    SQA_SCALING_FLOPS,
    SQA_SCALING_MEASURES
};
enum { SQA_SCALING_POINTS = 64 };

struct sqa_scaling_point {
    double length, y[SQA_SCALING_MEASURES]; /* NaN: absent */
    const struct sqa_pool_cell *cell;
};
struct sqa_scaling {
    const struct sqa_pool_cell *first;
    struct sqa_scaling_point at[SQA_SCALING_POINTS]; /* ascending in length */
    size_t n;
};

/* The series of cell number `first`, one cell a length (the first seed); marks its cells in done, which has room for every
 * cell of the pool. Marked cells are passed over. */
void sqa_scaling_gather(const struct sqa_pool *pool, size_t first, int phase, bool *done, struct sqa_scaling *s);
/* Of n points; NaN where one has no such value, without an interval of two points. */
struct sqa_estimate sqa_scaling_exponent(const struct sqa_scaling_point *at, size_t n,
                                         enum sqa_scaling_measure measure);
bool sqa_scaling_is_reference(const struct sqa_pool_cell *cell); /* a transformer */
/* The first transformer with the settings of cell; false: there is none. done is overwritten. */
bool sqa_scaling_reference(const struct sqa_pool *pool, const struct sqa_pool_cell *cell, int phase, bool *done,
                           struct sqa_scaling *to);
/* From which length on s takes less than the reference (see crossover.h) among the lengths of both, the first and the last
 * of which are *shortest and *longest. *at is NaN when they share fewer than two. */
enum sqa_status sqa_scaling_crossover(const struct sqa_scaling *s, const struct sqa_scaling *reference,
                                      enum sqa_scaling_measure measure, int phase, double *at,
                                      struct sqa_interval *interval, double *shortest, double *longest,
                                      struct sqa_err *err) SQA_MUST_CHECK;

#endif
