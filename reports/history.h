/*
 * history.h - change points of series, and how they are told
 *
 * Every form says the same changes, the newest first: where (machine, series, value), the commits between which it
 * came, means before and after, size, p and numbers of points. Counted values (flops, planned memory) need no test:
 * each difference is a change, its p is absent.
 */
#ifndef SQA_REPORTS_HISTORY_H
#define SQA_REPORTS_HISTORY_H

#include "reports/edivisive.h"
#include "reports/tracks.h"

/* Finds the changes of every series. Series of fewer than 2 least points have none. */
enum sqa_status sqa_history_find(struct sqa_track_set *set, const struct sqa_edivisive *options,
                                 struct sqa_err *err) SQA_MUST_CHECK;

/* The changes of a set, the newest first, of equals the larger; *n of them, caller frees with sqa_free. */
struct sqa_history_row {
    const struct sqa_track *track;
    const struct sqa_change *change;
    const struct sqa_track_run *last, *first; /* the last run before the change, the first with it */
};
enum sqa_status sqa_history_rows(const struct sqa_track_set *set, struct sqa_history_row **rows, size_t *n,
                                 struct sqa_err *err) SQA_MUST_CHECK;
/* "worse", "better"; "up" or "down" where no direction is known. */
const char *sqa_history_verdict(const struct sqa_history_row *row);
/* "+3.4 %", "from 0". */
char *sqa_history_size(char buf[32], const struct sqa_change *change);
bool sqa_history_too_short(const struct sqa_track *series, const struct sqa_edivisive *options);

/* Append to out; failures of memory end in out->failed. */
void sqa_history_markdown(struct sqa_text *out, const struct sqa_track_set *set, const struct sqa_history_row *rows,
                          size_t n, const struct sqa_edivisive *options);
void sqa_history_csv(struct sqa_text *out, const struct sqa_history_row *rows, size_t n); /* a row a change */
void sqa_history_json(struct sqa_text *out, const struct sqa_track_set *set, const struct sqa_edivisive *options);
/* A panel a series with changes, at most 12, the newest change first; without any, the first series. */
void sqa_history_svg(struct sqa_text *out, const struct sqa_track_set *set, const struct sqa_history_row *rows,
                     size_t n);

#endif
