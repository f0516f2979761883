/*
 * series_cases.h - labelled series of the UEA and UCR archives in .ts files
 *
 * Lines that begin with # are comments, those with @ say things (@classLabel true NAME NAME ..., @timeStamps false);
 * behind @data a line is a case: dimensions separated by ':', numbers within one by ',', the label last. Dimensions
 * of a case are of one length; cases may differ. Missing numbers are '?' or NaN.
 */
#ifndef SQA_TASKS_SERIES_CASES_H
#define SQA_TASKS_SERIES_CASES_H

#include "tasks/task.h"

/* All zero is empty; clear frees. */
struct sqa_cases {
    double *value; /* all cases, row by row: (length, dims) each */
    size_t used, capacity;
    size_t *start;   /* (count): where a case begins in value */
    int32_t *length; /* (count) */
    int32_t *label;  /* (count) */
    size_t count, room;
    int64_t dims, longest;
    const char **classes; /* names, in the order of @classLabel */
    int64_t n_classes;
    int64_t missing; /* numbers that were filled in */
    struct sqa_arena arena;
};
void sqa_cases_clear(struct sqa_cases *set);

/* fill: a missing number becomes the one before it in its dimension, at the start the first; else it is refused. */
enum sqa_status sqa_cases_read(const char *path, bool fill, const struct sqa_task_env *env, struct sqa_cases *set,
                               struct sqa_err *err) SQA_MUST_CHECK;
/* The same from memory, which ends with a 0 byte behind size; it is written to. (Fuzz target.) */
enum sqa_status sqa_cases_read_bytes(const char *name, char *data, size_t size, bool fill,
                                     const struct sqa_task_env *env, struct sqa_cases *set,
                                     struct sqa_err *err) SQA_MUST_CHECK;

#endif
