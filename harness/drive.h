/*
 * drive.h - the parent of a run: children, turns, resume, progress, joined files
 */
#ifndef SQA_HARNESS_DRIVE_H
#define SQA_HARNESS_DRIVE_H

#include "harness/plan.h"

struct sqa_drive_options {
    const char *dir; /* -o, or NULL: results/runs/TIME-HASH */
    int mixed, retry, quiet;
    int no_wait; /* INPUT when another program times, instead of waiting for it */
    int argc;
    char *const *argv; /* for run.json */
};
/* Runs what is not finished yet. PARTIAL when some cells did not; the code of the first failure when none did. */
enum sqa_status sqa_drive(struct sqa_run_plan *p, const struct sqa_drive_options *o,
                          struct sqa_err *err) SQA_MUST_CHECK;

#endif
