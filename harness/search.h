/*
 * search.h - a training setting chosen by trials (recipe.h: search.SETTING)
 *
 * A trial is a cell of its own: one value, search.share of the steps (warm-up and cycle shrink with them), seed
 * search.seed, no test. The cells of all seeds wait for the trials of their model, task and recipe; the trial with the
 * best validation of its tested weights gives the value (accuracy, of equal ones the smaller loss; in forecasting the
 * squared error; else the first in the recipe). A trial that diverged is not chosen. What is chosen follows from the
 * finished trials alone, so parent, children and a resumed run come to the same.
 */
#ifndef SQA_HARNESS_SEARCH_H
#define SQA_HARNESS_SEARCH_H

#include "harness/plan.h"

/* Adds the trials of cell c, whose texts but the key are filled in, to the plan and sets c->trials to their keys. */
enum sqa_status sqa_search_plan(struct sqa_run_plan *p, struct sqa_cell *c, const struct sqa_recipe *r,
                                struct sqa_err *err) SQA_MUST_CHECK;
/* Sets the recipe of a searched cell (others: nothing) by the trials in DIR/parts/. When one of them ended otherwise
 * than ok or diverged, so does the cell: *row_status is its status, else "failed", of what goes wrong here. */
enum sqa_status sqa_search_settle(const char *dir, struct sqa_run_plan *p, struct sqa_cell *c, char row_status[32],
                                  struct sqa_err *err) SQA_MUST_CHECK;
/* Number of its trials. */
size_t sqa_search_trials(const struct sqa_cell *c);

#endif
