/*
 * export_data.h - a data set as .npy files that any framework reads
 *
 *     DIR/SPLIT_tokens.npy  (n, L) ids, 0 is padding      DIR/SPLIT_x.npy  (n, L, channels) float32, padding NaN
 *     DIR/SPLIT_lengths.npy (n) valid positions           DIR/SPLIT_y.npy  (n, horizon, outputs) float32
 *     DIR/SPLIT_labels.npy  (n), or (n, L) with -1 where a position has none
 *                           (pairs: tokens (n, 2, L), lengths (n, 2))
 *     DIR/meta.json         what they are; written last, so an interrupted export has none
 *
 * Integers take the smallest of uint8, int8, int16, int32 that holds all values of the task. Splits stream: memory is
 * a few megabytes whatever their size.
 */
#ifndef SQA_HARNESS_EXPORT_DATA_H
#define SQA_HARNESS_EXPORT_DATA_H

#include "tasks/task.h"

/* only: one of SQA_TRAIN ..., or -1 for all; meta.json names the splits written now. INTERRUPTED soon after
 * *interrupted (may be NULL) becomes non-zero. */
enum sqa_status sqa_data_export(const struct sqa_dataset *ds, const char *dir, int only,
                                const volatile int *interrupted, struct sqa_err *err) SQA_MUST_CHECK;
/* Compares the files of an export with the SHA-256 of its meta.json; a line a file goes to out. NO when one differs.
 */
enum sqa_status sqa_data_export_check(const char *dir, struct sqa_text *out, struct sqa_err *err) SQA_MUST_CHECK;

extern const char *const sqa_split_keys[SQA_SPLITS]; /* "train", "valid", "test" */

#endif
