/*
 * scoring.h - from answers to scores: the same sums for trained models, floors and predictions of other programs
 */
#ifndef SQA_HARNESS_SCORING_H
#define SQA_HARNESS_SCORING_H

#include <math.h>

#include "base/batch.h"

#define SQA_NAN ((double)NAN) /* a missing value */

struct sqa_scores {
    int64_t n;
    double loss, accuracy, mse, mae; /* NaN where the task has none */
    /* Of forecasts, in the units of the data: flat means over windows, horizon and outputs. MAPE leaves out values
     * that are 0, sMAPE is 0 where value and forecast are; both in per cent. MASE: the absolute error by that of the
     * seasonal naive forecast within the rows to train on (Hyndman and Koehler 2006). */
    double rmse, mape, smape, mase;
};
extern const struct sqa_scores sqa_no_scores; /* NaN, of no examples */

/* What came of one example. */
struct sqa_example_score {
    uint32_t index;
    double loss;            /* a forecast's is its squared error, of tags the mean over the labels; NaN: none */
    int32_t target, output; /* the label and the answer; -1 when there is not one of them */
    int64_t labels, right;  /* tags: labelled positions, and how many of them are right; else labels is 0 */
};
typedef void sqa_example_fn(void *user, const struct sqa_example_score *e);

struct sqa_scoring { /* sums so far; all zero but each and user to begin */
    double loss, mse, mae;
    double square, percent, symmetric, scaled; /* of forecasts, in the units of the data */
    int64_t cells, percents, scaleds;          /* numbers that those are over: of square and symmetric, the others */
    double *by_step;                           /* (horizon, 2): sums of squares and of absolute errors, standardised;
                                                  NULL: not wanted */
    int64_t hits, labels, n;                   /* labels: what loss and hits are over; the rows when each has one */
    sqa_example_fn *each;                      /* called once an example; may be NULL */
    void *user;
};

/* Row i of a batch with its labels or y. loss is NaN when there is none. */
void sqa_score_label(struct sqa_scoring *s, const struct sqa_batch *b, int64_t i, double loss, int32_t output);
/* losses (NULL: none) and outputs: one a position of row i. */
void sqa_score_tags(struct sqa_scoring *s, const struct sqa_batch *b, int64_t i, const double *losses,
                    const int32_t *outputs);
/* forecast: (horizon, outputs) of row i. */
void sqa_score_forecast(struct sqa_scoring *s, const struct sqa_batch *b, int64_t i, const double *forecast);
void sqa_scoring_finish(const struct sqa_scoring *s, enum sqa_task_kind kind, struct sqa_scores *out);

#endif
