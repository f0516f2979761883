/*
 * command.h - other programs: run one to its end, its output in a file
 */
#ifndef SQA_HARNESS_COMMAND_H
#define SQA_HARNESS_COMMAND_H

#include <stddef.h>

#include "base/status.h"

struct sqa_command {
    const char *const *argv; /* ends with NULL; argv[0] is looked for in PATH when it has no slash */
    const char *dir;         /* to run in, or NULL */
    const char *log;         /* file of what it prints, on both streams */
    size_t padding;          /* bytes that the variable SEQARENA_PADDING adds to its environment; 0: not set */
};
/* Waits for it. *code is its exit status, 128 + N when signal N ended it. INTERRUPTED when SIGINT or SIGTERM came:
 * the program is told to end and waited for. MACHINE when it cannot be started. */
enum sqa_status sqa_command_run(const struct sqa_command *c, int *code, struct sqa_err *err) SQA_MUST_CHECK;
/* From now on SIGINT and SIGTERM end commands instead of this process, so that it can clean up. */
void sqa_command_catch_signals(void);
/* The last line of a log that is not empty, "" when there is none; buffer is returned. */
char *sqa_command_last_line(const char *log, char *buffer, size_t size);

/* A folder of our own in $TMPDIR or /tmp; removal takes all that is in it. */
enum sqa_status sqa_scratch_make(char path[512], struct sqa_err *err) SQA_MUST_CHECK;
void sqa_scratch_remove(const char *path);

/* Checks revision rev of the repository around the working directory out into FOLDER/SHA and builds it there with
 * `make` (a shell command); program becomes what it built. A revision built already is not built again. USAGE when
 * there is no such revision, MACHINE when it does not build. */
enum sqa_status sqa_build_revision(const char *rev, const char *make, const char *folder, char program[4096],
                                   struct sqa_err *err) SQA_MUST_CHECK;
void sqa_build_remove(const char *folder); /* the folder and its worktrees */

#endif
