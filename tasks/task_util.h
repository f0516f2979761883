/*
 * task_util.h - small helpers that tasks share
 */
#ifndef SQA_TASKS_TASK_UTIL_H
#define SQA_TASKS_TASK_UTIL_H

#include "tasks/task.h"

enum { SQA_QUOTE = 64 };

/* At most 40 bytes of s for a message of one line: control characters become '?', a cut is shown by "...".
 * Returns buf. */
const char *sqa_quote(char buf[SQA_QUOTE], const char *s);

static inline int sqa_task_interrupted(const struct sqa_task_env *env)
{
    return env && env->interrupted && *env->interrupted;
}
enum sqa_status sqa_task_stop(const struct sqa_task *task, struct sqa_err *err);  /* SQA_INTERRUPTED */
enum sqa_status sqa_task_nomem(const struct sqa_task *task, struct sqa_err *err); /* SQA_NOMEM */

/* Start of every fetch: refuses an index outside the split (SQA_INPUT) and a batch shorter than an example
 * (SQA_SHAPE), then sets n, channels, horizon, outputs and index of the batch. */
enum sqa_status sqa_task_begin_fetch(const struct sqa_dataset *ds, enum sqa_split split, const uint32_t *index,
                                     int64_t n, struct sqa_batch *b, struct sqa_err *err) SQA_MUST_CHECK;

/* 64 bits as 16 hex digits into ds->split_hash. */
void sqa_task_set_hash(struct sqa_dataset *ds, enum sqa_split split, uint64_t hash);

/* Tokens of n bytes into a row of `length`: byte b is b + 1, 0 pads (as Long Range Arena). n <= length. Returns n. */
int32_t sqa_task_put_bytes(const unsigned char *bytes, size_t n, int32_t *row, int64_t length);
/* The bytes as one line, control characters as '?'. */
void sqa_task_show_bytes(const unsigned char *bytes, size_t n, struct sqa_text *out);

const char *sqa_split_name(enum sqa_split split); /* "train", "validation", "test" */

#endif
