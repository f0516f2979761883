/*
 * tracks.h - one value of one cell from run to run: what a history is made of
 *
 * From run directories: a series is a machine (fingerprint of run.json), an identity (task, model, scale, length,
 * horizon, batch, dtype, threads, phase) and a value; a point is a run, its seeds averaged; runs stand in the order in
 * which they were started. Rows that are not ok have no value, nor have timings that their row calls unfit, and a run
 * without the value has no point. Beside SQA_VALUES there are PHASE_instructions, where the rows have a count.
 *
 * From a CSV: columns named time and commit (or what stands in tracks.c) say when and what; machine or fingerprint name
 * the machine; columns of numbers are values, columns of text the identity; rows stand in the order of the file.
 */
#ifndef SQA_REPORTS_TRACKS_H
#define SQA_REPORTS_TRACKS_H

#include <stdbool.h>

#include "base/memory.h"
#include "base/text.h"
#include "reports/edivisive.h"
#include "reports/pool.h"

/* Appends "task=listops:max=64/model=local/scale=lite/length=64/batch=8/dtype=f32/threads=1/phase=infer", what an entry
 * is called outside of one report. phase SQA_PHASE_ANY names none. Blanks and "/" inside become "_". An entry whose
 * settings, and nothing of the identity, part it from another of the same pool carries them behind its model. */
void sqa_track_name(struct sqa_text *out, const struct sqa_pool *pool, const struct sqa_pool_entry *e, int phase);

struct sqa_track_run {                   /* a run directory, or a row of a CSV */
    const char *time, *commit, *machine; /* "" when not known */
    const char *place;                   /* directory, or file and line */
};
struct sqa_track_point {
    size_t run;
    double value;
};
struct sqa_track {
    const char *machine, *name, *value; /* value: a name of SQA_VALUES, or of a column */
    int direction;                      /* 1: more is better, -1: less is, 0: not known */
    double magnitude;                   /* smallest change that counts; 0: that of the options */
    bool counted;                       /* the same work always gives the same number */
    size_t n, capacity;
    struct sqa_track_point *points;
    struct sqa_change *changes; /* filled by sqa_history_find */
    size_t n_changes;
};
struct sqa_track_set {
    struct sqa_arena arena;
    struct sqa_track_run *runs;
    struct sqa_track *tracks;
    size_t n_runs, run_capacity, n, capacity;
    size_t last; /* the series that the last point went to */
};

/* Which values and series are wanted; NULL takes what is usual: SQA_VALUES that sqa_value_usual has, every column. */
typedef bool sqa_track_filter(void *user, const char *value);

/* Appends every run directory that is or lies below one of the paths (no deeper than 8), by name. */
enum sqa_status sqa_track_runs(const char *const *paths, size_t n, sqa_track_filter *wanted, void *user,
                               struct sqa_track_set *set, struct sqa_err *err) SQA_MUST_CHECK;
/* keys: names of the columns that make the identity, ended by NULL; without any, those that hold text. */
enum sqa_status sqa_track_csv(const char *path, const char *const *keys, sqa_track_filter *wanted, void *user,
                              struct sqa_track_set *set, struct sqa_err *err) SQA_MUST_CHECK;
void sqa_track_clear(struct sqa_track_set *set);

#endif
