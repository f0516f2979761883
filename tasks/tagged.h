/*
 * tagged.h - generated tasks with labels at positions: what they share
 *
 * An example is a pure function of (data seed, split, index): nothing is stored, the splits are different random
 * streams. A task has a struct sqa_tagged_options named `tagged` in its parameters, and a function that writes one
 * example.
 */
#ifndef SQA_TASKS_TAGGED_H
#define SQA_TASKS_TAGGED_H

#include "tasks/task_util.h"

struct sqa_tagged_options {
    int64_t train, valid, test, data_seed;
};

/* Rows of a parameter table. */
/* clang-format off */
#define SQA_TAGGED_PARAMS(self)                                                                                       \
    {"train", "training examples", SQA_PARAM_INT, "100000", 1, 1 << 30, offsetof(self, tagged.train), NULL},           \
    {"valid", "validation examples", SQA_PARAM_INT, "2000", 1, 1 << 30, offsetof(self, tagged.valid), NULL},           \
    {"test", "test examples", SQA_PARAM_INT, "2000", 1, 1 << 30, offsetof(self, tagged.test), NULL},                   \
    {"data_seed", "seed of the examples", SQA_PARAM_INT, "0", 0, 0x1p53, offsetof(self, tagged.data_seed), NULL}
/* clang-format on */

/* Writes one example of the stream `key`: tokens and labels of n positions, labels -1 where there is none; returns n,
 * from 1 to ds->length. data is what was given to sqa_tagged_open. */
typedef int64_t sqa_tagged_make(const struct sqa_dataset *ds, const void *data, uint64_t key, int32_t *tokens,
                                int32_t *labels);

/* Sets counts, hashes (over the first examples of each split) and state; ds->vocab, classes and length are set. */
enum sqa_status sqa_tagged_open(struct sqa_dataset *ds, const struct sqa_tagged_options *options,
                                sqa_tagged_make *make, const void *data, struct sqa_err *err) SQA_MUST_CHECK;
/* The random stream of an example. */
uint64_t sqa_tagged_key(const struct sqa_dataset *ds, enum sqa_split split, uint32_t index);

/* Hooks of struct sqa_task. */
enum sqa_status sqa_tagged_fetch(const struct sqa_dataset *ds, enum sqa_split split, const uint32_t *index, int64_t n,
                                 struct sqa_batch *b, struct sqa_err *err);
enum sqa_status sqa_tagged_show(const struct sqa_dataset *ds, enum sqa_split split, uint32_t index,
                                struct sqa_text *out, struct sqa_err *err);
extern const char *const sqa_tagged_floors[];

#endif
