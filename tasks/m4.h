/*
 * m4.h - the files of the M4 competition: a series a row, its id first, rows filled with empty fields
 */
#ifndef SQA_TASKS_M4_H
#define SQA_TASKS_M4_H

#include "tasks/task.h"

/* All zero is empty; clear frees. */
struct sqa_panel {
    double *value; /* all series; each is its training values, then its test values */
    size_t used, capacity;
    size_t *start, *length; /* (count) */
    const char **name;      /* (count), in the arena */
    size_t count, room;
    struct sqa_arena arena;
};
void sqa_panel_clear(struct sqa_panel *p);

/* Reads both files; every series has `horizon` test values. Errors name file, line and column. */
enum sqa_status sqa_panel_read(const char *train, const char *test, int64_t horizon, const struct sqa_task_env *env,
                               struct sqa_panel *p, struct sqa_err *err) SQA_MUST_CHECK;
/* The same from memory. (Fuzz target.) */
enum sqa_status sqa_panel_read_bytes(const void *train, size_t train_size, const void *test, size_t test_size,
                                     int64_t horizon, struct sqa_panel *p, struct sqa_err *err) SQA_MUST_CHECK;

#endif
