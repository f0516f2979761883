/*
 * predictions.h - answers that were computed elsewhere, as an array in a .npy file, against the labels of a split
 *
 * Labels: integers (n), of tags (n, L); logits: floats (n, classes), of tags (n, L, classes); forecasts: floats
 * (n, horizon, outputs), standardised. Rows are the examples of the split in order. Only a few rows are in memory.
 */
#ifndef SQA_HARNESS_PREDICTIONS_H
#define SQA_HARNESS_PREDICTIONS_H

#include "harness/scoring.h"
#include "tasks/task.h"

/* Scores a split; loss is NaN where labels came without logits. INPUT with what was found and what is wanted: another
 * shape or type, a number that is not finite, a label outside the classes (places without a label are not looked at).
 */
enum sqa_status sqa_predictions_score(const struct sqa_dataset *ds, enum sqa_split split, const char *path,
                                      sqa_example_fn *each, void *user, struct sqa_scores *out,
                                      struct sqa_err *err) SQA_MUST_CHECK;

#endif
