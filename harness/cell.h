/*
 * cell.h - what a child process does for one cell, and how its results become rows
 *
 * Work directory of a cell: DIR/parts/KEY.part/. Files appear there whole (written aside and renamed):
 *   trained.json                scores and training facts: {column: text}
 *   curves.csv, examples.csv, horizon.csv   rows of the training child
 *   measure-PHASE.json, samples-PHASE.csv, ops-PHASE.csv   of a measuring child
 *   checkpoint                  while training
 * sqa_cell_finish joins them into rows and renames KEY.part to KEY, the mark of a finished cell.
 *
 * Child protocol, lines on pipes. Child to parent: "progress STEP STEPS LOSS METRIC", "ready", "done N",
 * "saved", "paused" and "resumed" around a wait for somebody's timing, "error STATUS sentence". Parent to child:
 * "turn ROUND SLOT", "proof VERDICT", "unfit REASON", "end". A child of "check" says "proof VERDICT" and "saved".
 */
#ifndef SQA_HARNESS_CELL_H
#define SQA_HARNESS_CELL_H

#include <stdio.h>

#include "harness/plan.h"
#include "harness/scoring.h"

struct sqa_child {
    const char *dir;
    const struct sqa_run_plan *plan;
    const struct sqa_cell *cell;
    int slot; /* of the cells that train at the same time, from 0 */
    FILE *in, *out;
};
enum sqa_status sqa_cell_train(const struct sqa_child *c, struct sqa_err *err) SQA_MUST_CHECK;
enum sqa_status sqa_cell_measure(const struct sqa_child *c, const char *phase, struct sqa_err *err) SQA_MUST_CHECK;

#define SQA_COUNT_FILE "callgrind-%s" /* in the work directory, of a phase: what valgrind writes */

/* Rows of examples.csv under construction; sqa_cell_add_example is a sqa_example_fn whose user they are. */
struct sqa_example_rows {
    struct sqa_text text;
    const char *key;
};
void sqa_cell_add_example(void *rows, const struct sqa_example_score *x);
/* Members of a row of cells.csv, by column: a number that is not finite and an empty text are left out. */
void sqa_cell_set_number(json_t *o, int column, double v);
void sqa_cell_set_text(json_t *o, int column, const char *v);
/* Writes o, with the scores put in (NULL: none), as NAME and the rows as examples.csv (NULL: none) into the work
 * directory, which exists. */
enum sqa_status sqa_cell_save(const struct sqa_child *c, const char *name, json_t *o, const struct sqa_scores *valid,
                              const struct sqa_scores *test, const struct sqa_example_rows *examples,
                              struct sqa_err *err) SQA_MUST_CHECK;

/* The parent: status is "ok" or another of cells.csv's; message says why. */
enum sqa_status sqa_cell_finish(const char *dir, const struct sqa_run_plan *plan, const struct sqa_cell *cell,
                                const char *status, const char *message, struct sqa_err *err) SQA_MUST_CHECK;

#endif
