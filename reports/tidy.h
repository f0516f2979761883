/*
 * tidy.h - the summarised values as data: one CSV row or JSON object a value
 *
 * Columns: task, scale, model, metric, n_seeds, n_examples (test examples, or timing samples), mean, low, high (95
 * %), method (of the interval), reference (what a *_difference is against). Units are those of cells.csv.
 */
#ifndef SQA_REPORTS_TIDY_H
#define SQA_REPORTS_TIDY_H

#include "base/text.h"
#include "reports/pool.h"

/* Allocation failures end in out->failed. */
void sqa_tidy_csv(struct sqa_text *out, const struct sqa_pool *pool);
void sqa_tidy_json(struct sqa_text *out, const struct sqa_pool *pool);

#endif
