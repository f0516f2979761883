/*
 * status.h - how functions say that they failed
 *
 * A function that can fail returns enum sqa_status and, on failure, leaves one whole sentence in *err in the form
 * "WHERE: WHAT; WHAT TO DO". On success err is untouched. Only the CLI prints and exits.
 */
#ifndef SQA_BASE_STATUS_H
#define SQA_BASE_STATUS_H

#include <stdarg.h>

/* One list gives the enum, the names and the exit status of the program. */
#define SQA_STATUS_LIST(X)                                                        \
    X(OK, 0, "done")                                                              \
    X(NO, 1, "the answer is no")                                                  \
    X(USAGE, 2, "usage: unknown verb, option, model, task, parameter or pattern") \
    X(INPUT, 3, "bad input or missing data")                                      \
    X(SHAPE, 3, "shapes do not agree")                                            \
    X(UNSUPPORTED, 3, "not possible for this model, task or build")               \
    X(MACHINE, 4, "the machine or a library failed")                              \
    X(NOMEM, 4, "out of memory")                                                  \
    X(PARTIAL, 5, "finished, but some cells did not")                             \
    X(INTERRUPTED, 130, "interrupted, state saved")

enum sqa_status {
#define X(name, code, text) SQA_##name,
    SQA_STATUS_LIST(X)
#undef X
};

struct sqa_err {
    enum sqa_status code;
    char text[1024];
};

#define SQA_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#define SQA_MUST_CHECK __attribute__((warn_unused_result))

/* Writes the sentence and returns code, so that "return sqa_fail(...)" is the whole error path. err may be NULL. */
enum sqa_status sqa_fail(struct sqa_err *err, enum sqa_status code, const char *fmt, ...) SQA_PRINTF(3, 4);

const char *sqa_status_name(enum sqa_status code); /* "USAGE" */
int sqa_status_exit(enum sqa_status code);         /* exit status of the program */

#endif
