/*
 * settings.h - a trainer from what a person types: model, task, recipe file, overrides
 */
#ifndef SQA_HARNESS_SETTINGS_H
#define SQA_HARNESS_SETTINGS_H

#include "harness/train.h"

struct sqa_cell_settings {
    const char *model, *task, *scale, *train; /* task NULL: random:length=L */
    const char *data_dir;
    enum sqa_compute compute;
    int64_t seed, length, batch; /* length, batch 0: the task's, the recipe's */
    enum sqa_recompute_mode recompute;
    int threads, trainable;
    int step; /* one token by step forms: causal=1 is filled in, batch 0 is 1 */
    const volatile sig_atomic_t *interrupted;
};
enum sqa_status sqa_open_settings(const struct sqa_cell_settings *s, struct sqa_arena *arena, struct sqa_trainer **t,
                                  struct sqa_err *err) SQA_MUST_CHECK;

#endif
