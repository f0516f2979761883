/*
 * compare.h - two arms of result rows, cell by cell: time, counts, scores, and what became worse
 *
 * A cell is what the columns of identity name (model, task, phase, length, ...; not the seed). Rows of the base, of the
 * new arm and of the control (the base once more) are taken in; then sqa_compare_judge fills the verdicts.
 *
 *   time    nanoseconds a block (compare_stats.h). A 'slower' is confirmed when a second look, other processes, says
 *           so too; without a second look it stays unconfirmed.
 *   counts  of the plan (flops, bytes, memory): any change is a change; instructions: beyond 0.5 %
 *   score   accuracy in points, or mse (mae, loss) in per cent of the base: mean over seeds that both have, Student's
 *           95 % interval of the paired differences, against a margin (non-inferiority)
 *
 * Layers: reads rows through results/, knows nothing of processes. All memory is freed by sqa_compare_clear.
 */
#ifndef SQA_REPORTS_COMPARE_H
#define SQA_REPORTS_COMPARE_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/memory.h"
#include "base/text.h"
#include "reports/compare_stats.h"
#include "results/table.h"

enum sqa_arm { SQA_ARM_BASE, SQA_ARM_NEW, SQA_ARM_CONTROL, SQA_ARMS };
enum sqa_compare_clock { SQA_COMPARE_WALL, SQA_COMPARE_CPU, SQA_COMPARE_CLOCKS };
enum { SQA_LOOKS = 2 };
extern const char *const sqa_arm_names[SQA_ARMS];                     /* "base", "new", "control" */
extern const char *const sqa_compare_clock_names[SQA_COMPARE_CLOCKS]; /* "wall", "cpu" */

/* X(column of cells.csv): what tells cells apart. */
#define SQA_COMPARE_IDENTITY(X) \
    X(model) X(task) X(phase) X(scale) X(length) X(horizon) X(batch) X(dtype) X(threads) X(trial) X(origin)
enum sqa_compare_id {
#define X(name) SQA_ID_##name,
    SQA_COMPARE_IDENTITY(X)
#undef X
        SQA_ID_N
};

/* X(column, largest relative change that is none): less is better. */
#define SQA_COMPARE_COUNTS(X) \
    X(flops, 0)               \
    X(flops_recompute, 0)     \
    X(flops_optimizer, 0)     \
    X(bytes, 0)               \
    X(mem_planned_bytes, 0)   \
    X(mem_params_bytes, 0)    \
    X(instructions, 0.005)
enum sqa_compare_count {
#define X(name, tolerance) SQA_COUNT_##name,
    SQA_COMPARE_COUNTS(X)
#undef X
        SQA_COUNT_N
};
extern const char *const sqa_compare_count_names[SQA_COUNT_N];

enum sqa_compare_verdict {
    SQA_COMPARE_ABSENT, /* not on both sides */
    SQA_COMPARE_SAME,
    SQA_COMPARE_BETTER,
    SQA_COMPARE_WORSE,
    SQA_COMPARE_NOT_WORSE, /* the interval lies above minus the margin */
    SQA_COMPARE_CANNOT_TELL
};
extern const char *const sqa_compare_verdict_names[];

struct sqa_blocks {
    double *ns; /* a value a block, NaN where it is absent */
    size_t n, capacity;
};
struct sqa_seed_score {
    int64_t seed;
    double x[2]; /* of base and new; NaN when absent */
};

struct sqa_compare_cell {
    const char *id[SQA_ID_N];
    const char *name; /* "local on listops, train, length 1024, batch 8": what is neither empty nor usual */
    bool present[2], ok[2];
    const char *message[2];               /* why not ok */
    const char *disturbed;                /* why timings were left out (the column unfit), or NULL */
    const char *full[2], *recipe[2];      /* what was built and how it was trained: columns model_full and recipe */
    const char *key[SQA_LOOKS][SQA_ARMS]; /* of the row whose samples are the blocks */
    struct sqa_blocks blocks[SQA_LOOKS][SQA_COMPARE_CLOCKS][SQA_ARMS];
    double count[SQA_COUNT_N][2];
    const char *score_name; /* "accuracy", "mse", ...; NULL when nothing was tested */
    struct sqa_seed_score *seeds;
    size_t n_seeds;

    /* Filled by sqa_compare_judge: */
    struct sqa_timing timing[SQA_LOOKS][SQA_COMPARE_CLOCKS];
    double ns[2]; /* medians over blocks of the deciding clock, first look */
    struct sqa_rank_test ranks;
    enum sqa_timing_verdict time;
    bool timed, confirmed;
    const char *why; /* of `time` */
    enum sqa_compare_verdict count_verdict[SQA_COUNT_N], score_verdict;
    size_t n_paired; /* seeds */
    double score[2], difference;
    struct sqa_interval score_interval;
    bool broken;     /* ok in the base, never in the new arm */
    bool regression; /* settled: slower and confirmed, a count up, a score surely worse, or broken */
};

struct sqa_compare_arm {
    const char *name;                 /* as the user gave it */
    const char *commit, *fingerprint; /* "" when unknown */
};

struct sqa_comparison {
    struct sqa_arena arena;
    struct sqa_compare_cell *cells;
    size_t n, capacity;
    struct sqa_compare_arm arm[SQA_ARMS];
    enum sqa_compare_clock clock; /* that decides */
    bool minimum;                 /* a block is the fastest of its samples, not their median */
    double margin;                /* points */
    double floor;                 /* stated, a log ratio; NaN: none */
    bool second_look;             /* rows of it were taken in */
    json_t *session;              /* how it was measured, or NULL; owned */
    /* Filled by sqa_compare_judge: */
    size_t matched, timed, verdicts[5], regressions, unsettled; /* verdicts by sqa_timing_verdict */
    double
        geomean; /* ratio of times over the timed cells, median over blocks; NaN unless all cells have all blocks */
    struct sqa_interval geomean_interval;
};

/* Takes in the rows of a run as one arm of a look. Times are those of samples.csv where the run has that file, else the
 * medians in cells.csv. block >= 0: the run is that block, and a second value of a block joins the first by their
 * geometric mean. block < 0: the run holds all blocks: rounds of its samples, else every further row of a cell. SQA_NOMEM.
 */
enum sqa_status sqa_compare_take(struct sqa_comparison *c, const struct sqa_run_files *run, int look,
                                 enum sqa_arm arm, long block, struct sqa_err *err) SQA_MUST_CHECK;
/* Remembers name, commit and fingerprint of an arm from run.json. INPUT when run.json is damaged. */
enum sqa_status sqa_compare_name(struct sqa_comparison *c, const struct sqa_run_files *run, enum sqa_arm arm,
                                 const char *name, struct sqa_err *err) SQA_MUST_CHECK;
enum sqa_status sqa_compare_judge(struct sqa_comparison *c, struct sqa_err *err) SQA_MUST_CHECK;
void sqa_compare_clear(struct sqa_comparison *c);

/* What sets cells apart although their identity is the same, to be said beside them. */
bool sqa_compare_other_model(const struct sqa_compare_cell *cell);  /* the full forms differ */
bool sqa_compare_other_recipe(const struct sqa_compare_cell *cell); /* of a cell with scores; the seed left out */

/* compare_out.c. A finding is one sentence about a cell: "time 1.052x [1.047, 1.058], slower (threshold 2.0 %)". */
typedef void sqa_finding_fn(void *user, const char *kind, const char *verdict, bool regression, const char *text);
void sqa_compare_findings(const struct sqa_comparison *c, const struct sqa_compare_cell *cell, sqa_finding_fn *each,
                          void *user);
json_t *sqa_compare_json(const struct sqa_comparison *c); /* schema seqarena.compare/1; NULL without memory */
void sqa_compare_csv(const struct sqa_comparison *c, struct sqa_text *out);

#endif
