/*
 * curve.h - validation over training, read from curves.csv
 */
#ifndef SQA_REPORTS_CURVE_H
#define SQA_REPORTS_CURVE_H

#include "reports/pool.h"

struct sqa_curve_point {
    double step, best; /* best: greatest validation accuracy up to this step, 0 to 1 */
};
/* The points of a cell's validations, ascending in step; returns how many there are and writes `room` of them. */
size_t sqa_curve_read(const struct sqa_pool *pool, const struct sqa_pool_cell *cell, struct sqa_curve_point *points,
                      size_t room);
/* Linear between two points; NaN before the first and after the last, and of NaN. */
double sqa_curve_at(const struct sqa_curve_point *points, size_t n, double step);

#endif
