/* train_private.h - shared by train.c, train_batches.c and train_evaluate.c */
#ifndef SQA_HARNESS_TRAIN_PRIVATE_H
#define SQA_HARNESS_TRAIN_PRIVATE_H

#include "harness/train.h"

/* n examples into t->batch, padded as the recipe says. */
enum sqa_status sqa_train_fetch(struct sqa_trainer *t, enum sqa_split split, const uint32_t *index, int64_t n,
                                struct sqa_err *err);
/* Rows first .. first + n - 1 of a batch. */
struct sqa_batch sqa_train_rows(const struct sqa_batch *b, enum sqa_task_kind kind, int64_t first, int64_t n);
/* The plan for n rows of t->batch, fed with those from `first` on. */
enum sqa_status sqa_train_feed(struct sqa_trainer *t, enum sqa_mode mode, int64_t first, int64_t n,
                               struct sqa_plan **plan, struct sqa_err *err);

#endif
