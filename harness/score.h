/*
 * score.h - predictions of models that ran elsewhere, as a run directory like any other
 *
 * Every pair of predictions and statement becomes a cell of origin `external`; the floors of the task are run beside
 * them. Nothing is written before all predictions have been read and found good.
 */
#ifndef SQA_HARNESS_SCORE_H
#define SQA_HARNESS_SCORE_H

#include "harness/drive.h"

struct sqa_score_options {
    const char *task, *data_dir;
    const char *split;             /* "test" or "valid" */
    const char *scale;             /* the table that the rows stand in */
    struct sqa_texts preds, metas; /* as many of one as of the other */
};
enum sqa_status sqa_score(const struct sqa_score_options *o, const struct sqa_drive_options *drive,
                          struct sqa_err *err) SQA_MUST_CHECK;

#endif
