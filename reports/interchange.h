/*
 * interchange.h - measured rows in the formats of other people's trackers
 *
 *     google-benchmark   JSON of Google Benchmark 1.7 (its compare.py, and whatever reads that): an entry a timing
 *                        sample, and median, mean, stddev and cv of each benchmark; nanoseconds
 *     benchstat          text of Go benchmarks (golang.org/design/14313): a line a timing sample in ns/op and cpu-ns/op,
 *                        and a line a seed for memory, flops, errors and accuracy
 *     github-smaller     JSON of github-action-benchmark, tool customSmallerIsBetter: what should not grow
 *     github-bigger      the same, customBiggerIsBetter: accuracy, tokens a second
 *     otava              CSV of Apache Otava, and of `seqarena history`: time, commit, a column a value; a row a run
 *
 * Names are those of sqa_track_name. Rows that are not ok, and timings that their row calls unfit, are left out: these
 * formats know no failure that readers agree on. Strict JSON: no NaN. Failures of memory end in out->failed.
 */
#ifndef SQA_REPORTS_INTERCHANGE_H
#define SQA_REPORTS_INTERCHANGE_H

#include "base/text.h"
#include "reports/pool.h"
#include "reports/tracks.h"

void sqa_google_benchmark(struct sqa_text *out, const struct sqa_pool *pool);
void sqa_benchstat(struct sqa_text *out, const struct sqa_pool *pool);
/* direction: 1 bigger is better, -1 smaller is. The pool is summarised. */
void sqa_github_json(struct sqa_text *out, const struct sqa_pool *pool, int direction);
/* Columns are the values that every run has, since Otava takes no empty field. SQA_INPUT when the runs are of several
 * machines or share no value. */
enum sqa_status sqa_otava_csv(struct sqa_text *out, const struct sqa_track_set *set,
                              struct sqa_err *err) SQA_MUST_CHECK;

/* A timing sample; cpu_ns NaN when it was not measured. */
struct sqa_timing {
    double ns, cpu_ns;
};
/* The timing samples of an entry in a phase, its cells one after the other; where samples.csv is absent, the median of
 * each cell. Allocated in the arena; NULL and n 0 when there are none, or no memory (*failed). */
struct sqa_timing *sqa_timings(const struct sqa_pool *pool, const struct sqa_pool_entry *e, int phase,
                               struct sqa_arena *arena, size_t *n, bool *failed);

#endif
