/*
 * rundir.h - the directory of a run: where it is, who may write there, what it says of itself
 */
#ifndef SQA_HARNESS_RUNDIR_H
#define SQA_HARNESS_RUNDIR_H

#include "harness/drive.h"

struct sqa_rundir {
    char path[3500];
    int lock; /* -1: not held */
    const struct sqa_run_plan *plan;
    const struct sqa_drive_options *options;
};
/* Chooses, makes and locks the directory; writes run.json first of all, or refuses one of another plan or build. */
enum sqa_status sqa_rundir_open(struct sqa_rundir *d, const struct sqa_run_plan *p, const struct sqa_drive_options *o,
                                struct sqa_err *err) SQA_MUST_CHECK;
void sqa_rundir_close(struct sqa_rundir *d);
void sqa_rundir_remove_part(const char *dir, const char *key);

#endif
