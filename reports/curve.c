/* curve.c - see curve.h */
#include "reports/curve.h"

#include <math.h>
#include <string.h>

size_t sqa_curve_read(const struct sqa_pool *pool, const struct sqa_pool_cell *cell, struct sqa_curve_point *points,
                      size_t room)
{
    const int phase = cell->row[SQA_PHASE_TRAIN] ? SQA_PHASE_TRAIN : SQA_PHASE_INFER;
    const struct sqa_pool_run *run = &pool->runs[cell->run[phase]];
    const struct sqa_sheet *sheet = &run->files.sheet[SQA_FILE_CURVES];
    const int *column = run->column[SQA_FILE_CURVES], key = column[SQA_CURVES_key], split = column[SQA_CURVES_split],
              step = column[SQA_CURVES_step], metric = column[SQA_CURVES_metric];
    struct sqa_curve_point p = {0, 0};
    size_t n = 0;
    for (size_t i = 0; i < sheet->nrow && metric >= 0; i++) {
        const char *const *row = sheet->row[i];
        double x;
        if (strcmp(row[key], cell->key) != 0 || strcmp(row[split], "valid") != 0 ||
            !sqa_parse_real(row[step], &p.step) || !sqa_parse_real(row[metric], &x))
            continue;
        p.best = fmax(p.best, x);
        if (n < room)
            points[n] = p;
        n++;
    }
    return n;
}

double sqa_curve_at(const struct sqa_curve_point *points, size_t n, double step)
{
    const double slack = 1e-9 * step; /* budgets are products and quotients of steps */
    if (n == 0 || !(step >= points[0].step - slack && step <= points[n - 1].step + slack))
        return (double)NAN;
    size_t i = 0;
    while (i + 1 < n && points[i + 1].step < step)
        i++;
    if (i + 1 == n)
        return points[i].best;
    const double part = (step - points[i].step) / (points[i + 1].step - points[i].step);
    return points[i].best + fmin(fmax(part, 0), 1) * (points[i + 1].best - points[i].best);
}
