/*
 * tracks_private.h - what tracks.c and tracks_csv.c share
 */
#ifndef SQA_REPORTS_TRACKS_PRIVATE_H
#define SQA_REPORTS_TRACKS_PRIVATE_H

#include "reports/tracks.h"

enum sqa_status sqa_track_no_memory(struct sqa_err *err);
/* Appends a point; texts that the set does not have yet are copied. `like` says what a new series is. */
enum sqa_status sqa_track_add(struct sqa_track_set *set, const struct sqa_track *like, size_t run, double value,
                              struct sqa_err *err) SQA_MUST_CHECK;
/* Appends a run; the texts are copied. */
enum sqa_status sqa_track_add_run(struct sqa_track_set *set, const struct sqa_track_run *run,
                                  struct sqa_err *err) SQA_MUST_CHECK;

#endif
