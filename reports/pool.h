/*
 * pool.h - the rows of one or several run directories as cells, entries and groups
 *
 *     cell    one training or timing: a key; rows of its phases, timing samples, test examples
 *     entry   one model with one setting on one task: its cells differ in the seed only
 *     group   one (task, scale): the entries that stand in one table, floors first, then controls, then models
 *
 * The same (key, phase) twice in one file: the later row is taken, and they are counted.
 *
 * Rows of trials (the column trial) chose a setting and are no results: they are left out.
 *
 * A (key, phase) found in several directories is taken from the newest (run.json "started"; else the one named last).
 * Everything lives until sqa_pool_clear. Numbers that are absent, or of rows that are not ok, are NaN.
 */
#ifndef SQA_REPORTS_POOL_H
#define SQA_REPORTS_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/memory.h"
#include "base/status.h"
#include "reports/stats.h"
#include "results/table.h"

enum sqa_entry_class { SQA_CLASS_FLOOR, SQA_CLASS_CONTROL, SQA_CLASS_MODEL };

/* What is summarised of an entry: X(name, column of cells.csv, phase, how the interval is made). */
#define SQA_VALUES(X)                                                               \
    X(test_accuracy, test_accuracy, SQA_PHASE_ANY, SQA_BY_LABELS)                   \
    X(test_mse, test_mse, SQA_PHASE_ANY, SQA_BY_WINDOWS)                            \
    X(test_mae, test_mae, SQA_PHASE_ANY, SQA_BY_SEEDS)                              \
    X(test_rmse, test_rmse, SQA_PHASE_ANY, SQA_BY_SEEDS)                            \
    X(test_mape, test_mape, SQA_PHASE_ANY, SQA_BY_SEEDS)                            \
    X(test_smape, test_smape, SQA_PHASE_ANY, SQA_BY_SEEDS)                          \
    X(test_mase, test_mase, SQA_PHASE_ANY, SQA_BY_SEEDS)                            \
    X(test_loss, test_loss, SQA_PHASE_ANY, SQA_BY_SEEDS)                            \
    X(train_accuracy, train_accuracy, SQA_PHASE_ANY, SQA_BY_SEEDS)                  \
    X(valid_accuracy, valid_accuracy, SQA_PHASE_ANY, SQA_BY_SEEDS)                  \
    X(valid_mse, valid_mse, SQA_PHASE_ANY, SQA_BY_SEEDS)                            \
    X(valid_mae, valid_mae, SQA_PHASE_ANY, SQA_BY_SEEDS)                            \
    X(valid_loss, valid_loss, SQA_PHASE_ANY, SQA_BY_SEEDS)                          \
    X(params, params, SQA_PHASE_ANY, SQA_COUNTED)                                   \
    X(steps, steps, SQA_PHASE_ANY, SQA_COUNTED)                                     \
    X(train_flops, flops, SQA_PHASE_TRAIN, SQA_COUNTED)                             \
    X(train_bytes, bytes, SQA_PHASE_TRAIN, SQA_COUNTED)                             \
    X(train_mem_planned_bytes, mem_planned_bytes, SQA_PHASE_TRAIN, SQA_COUNTED)     \
    X(train_mem_own_bytes, mem_own_bytes, SQA_PHASE_TRAIN, SQA_BY_SEEDS)            \
    X(train_latency_ns, latency_ns_median, SQA_PHASE_TRAIN, SQA_BY_SAMPLES)         \
    X(train_tokens_per_s, throughput_tokens_per_s, SQA_PHASE_TRAIN, SQA_BY_LATENCY) \
    X(infer_flops, flops, SQA_PHASE_INFER, SQA_COUNTED)                             \
    X(infer_bytes, bytes, SQA_PHASE_INFER, SQA_COUNTED)                             \
    X(infer_mem_planned_bytes, mem_planned_bytes, SQA_PHASE_INFER, SQA_COUNTED)     \
    X(infer_mem_own_bytes, mem_own_bytes, SQA_PHASE_INFER, SQA_BY_SEEDS)            \
    X(infer_latency_ns, latency_ns_median, SQA_PHASE_INFER, SQA_BY_SAMPLES)         \
    X(infer_tokens_per_s, throughput_tokens_per_s, SQA_PHASE_INFER, SQA_BY_LATENCY) \
    X(step_flops, flops, SQA_PHASE_STEP, SQA_COUNTED)                               \
    X(step_bytes, bytes, SQA_PHASE_STEP, SQA_COUNTED)                               \
    X(step_mem_planned_bytes, mem_planned_bytes, SQA_PHASE_STEP, SQA_COUNTED)       \
    X(step_mem_own_bytes, mem_own_bytes, SQA_PHASE_STEP, SQA_BY_SEEDS)              \
    X(step_latency_ns, latency_ns_median, SQA_PHASE_STEP, SQA_BY_SAMPLES)           \
    X(step_tokens_per_s, throughput_tokens_per_s, SQA_PHASE_STEP, SQA_BY_LATENCY)   \
    X(step_state_floats, state_floats, SQA_PHASE_STEP, SQA_COUNTED)

enum sqa_value {
#define X(name, column, phase, by) SQA_VALUE_##name,
    SQA_VALUES(X)
#undef X
        SQA_VALUE_N
};

struct sqa_estimate {
    double mean, low, high; /* 95 %; low and high are NaN when they cannot be had */
    size_t n_seeds;
    size_t n_examples;  /* test examples, or timing samples; 0 when it does not apply */
    const char *method; /* of the interval: "Wilson", "bootstrap", "t", "order", "counted"; "" when there is none */
};

struct sqa_example {
    int64_t index;
    double score;  /* 1 right, 0 wrong; in forecasting the squared error; tags: a number whose mean is the accuracy
                      over all labels (pool.c, weigh_tags) */
    double labels; /* tags: labelled positions, else 0 */
};

struct sqa_pool_run {
    struct sqa_run_files files;
    json_t *json; /* NULL when absent */
    int column[SQA_FILES][SQA_CELLS_N];
    size_t replaced, waiting; /* cells that a newer run replaced; planned cells without a row */
    size_t twice[SQA_FILES];  /* rows of cells and of examples that another one of the same file replaced */
};

struct sqa_pool_cell {
    const char *key, *model, *task, *scale;
    const char
        *settings; /* "length=64;batch=8;...": everything but the seed that a row of this model can differ in */
    int64_t seed;
    size_t run[SQA_PHASE_N];
    const char *const *row[SQA_PHASE_N]; /* NULL when absent */
    bool ok[SQA_PHASE_N];
    struct sqa_example *examples; /* ascending in index */
    size_t n_examples;
    bool external;           /* scored from predictions; its cost is what a user stated */
    bool labels;             /* examples are labels: their score is right or wrong */
    bool tags;               /* examples have labels at positions */
    double *ns[SQA_PHASE_N]; /* timing samples */
    size_t n_ns[SQA_PHASE_N];
    struct sqa_pool_cell *next; /* of the same entry */
};

/* Against what an entry is compared, pairwise. */
enum { SQA_AGAINST_FLOOR, SQA_AGAINST_NO_MIXER, SQA_AGAINST_MEAN_MIXER, SQA_AGAINST_N };
enum sqa_verdict { SQA_VERDICT_NONE, SQA_VERDICT_BETTER, SQA_VERDICT_UNCLEAR, SQA_VERDICT_NOT_BETTER };

struct sqa_pool_entry {
    const char *model, *label; /* label: model and, where one model stands twice in a group, what differs */
    const char *settings;
    enum sqa_entry_class class;
    bool external;   /* see struct sqa_pool_cell; never in one entry with cells of the same name measured here */
    size_t group, n; /* n: cells */
    size_t first;    /* place of its first cell in the pool: the order of tables */
    struct sqa_pool_cell *cells;
    /* Filled by sqa_summarise: */
    struct sqa_estimate value[SQA_VALUE_N];
    const struct sqa_pool_entry *against[SQA_AGAINST_N];
    struct sqa_estimate difference[SQA_AGAINST_N]; /* this minus that, in the group's metric */
    enum sqa_verdict over_floor;
    bool like_best; /* cannot be told from the best of the group */
};

struct sqa_pool_group {
    const char *task, *scale;
    struct sqa_pool_entry **entries;
    size_t n;
    /* Filled by sqa_summarise: */
    int metric; /* SQA_VALUE_test_accuracy, _test_mse or _test_loss; -1 when nothing was tested */
    const struct sqa_pool_entry *floor, *best; /* NULL when there is none; best is no floor */
};

enum { SQA_POOL_DRAWS = 2 };
struct sqa_pool {
    struct sqa_arena arena;
    struct sqa_pool_run *runs;
    struct sqa_pool_cell *cells;
    struct sqa_pool_entry *entries;
    struct sqa_pool_group *groups;
    size_t n_runs, n_cells, n_entries, n_groups;
    struct sqa_draws *draws;          /* of the last two shapes (SQA_POOL_DRAWS), from sqa_summarise on; else NULL */
    bool (*knows)(const char *model); /* whether this build has the model that a text names; NULL: not asked */
};

enum sqa_status sqa_pool_read(const char *const *dirs, size_t n, struct sqa_pool *pool,
                              struct sqa_err *err) SQA_MUST_CHECK;
/* The same for a report that shows what there is: see sqa_run_files_read_some. Damage of run.json stands in mind too. */
enum sqa_status sqa_pool_read_some(const char *const *dirs, size_t n, struct sqa_pool *pool,
                                   struct sqa_err *err) SQA_MUST_CHECK;
void sqa_pool_clear(struct sqa_pool *pool);

/* A field of a cell; phase SQA_PHASE_ANY takes the first phase that has it. "" when absent. */
const char *sqa_pool_text(const struct sqa_pool *pool, const struct sqa_pool_cell *cell, int phase, int column);
/* The same as a number, of rows that are ok. */
double sqa_pool_number(const struct sqa_pool *pool, const struct sqa_pool_cell *cell, int phase, int column);
/* A member of run.json by names, ended by NULL; NULL when any is absent. */
json_t *sqa_pool_json(const struct sqa_pool_run *run, ...) __attribute__((sentinel));
const char *sqa_pool_processor(const struct sqa_pool_run *run); /* its name; NULL when run.json has none */
/* Title of the id that model or task text starts with, kind "models" or "tasks"; NULL when unknown. */
const char *sqa_pool_title(const struct sqa_pool *pool, const char *kind, const char *text);
/* Length of the id that a model or task text starts with. */
size_t sqa_pool_id_length(const char *text);
bool sqa_pool_cell_ok(const struct sqa_pool_cell *cell);
/* ", length 64, batch 8, f32, 1 thread": settings of a row; "" where it has none. Returns buf. */
char *sqa_pool_setting(char buf[160], const struct sqa_pool *pool, const struct sqa_pool_cell *cell, int phase,
                       bool with_length);
/* The first phase that the cell has a row of. */
int sqa_pool_first_phase(const struct sqa_pool_cell *cell);

/* Computes every estimate, difference and verdict of the pool (summary.c). */
enum sqa_status sqa_summarise(struct sqa_pool *pool, struct sqa_err *err) SQA_MUST_CHECK;
/* Ratio of the median latencies of two entries in a phase, with an interval of at least 95 %. */
enum sqa_status sqa_latency_ratio(const struct sqa_pool_entry *e, const struct sqa_pool_entry *reference, int phase,
                                  struct sqa_estimate *ratio, struct sqa_err *err) SQA_MUST_CHECK;
/* Difference of the test accuracies of two entries, a - b, paired by seed and example where both have them. */
enum sqa_status sqa_accuracy_difference(const struct sqa_pool *pool, const struct sqa_pool_entry *a,
                                        const struct sqa_pool_entry *b, struct sqa_estimate *out,
                                        struct sqa_err *err) SQA_MUST_CHECK;
/* The same of another value that is tested: SQA_VALUE_test_mse, or _test_loss (by seeds alone). */
enum sqa_status sqa_value_difference(const struct sqa_pool *pool, const struct sqa_pool_entry *a,
                                     const struct sqa_pool_entry *b, int value, struct sqa_estimate *out,
                                     struct sqa_err *err) SQA_MUST_CHECK;
/* Name of a value ("test_accuracy"). */
const char *sqa_value_name(int value);

/* What is known of a value without looking at one (values.c). */
int sqa_value_phase(int value);     /* SQA_PHASE_ANY: of no single phase */
int sqa_value_direction(int value); /* 1: more is better, -1: less is better, 0: neither */
bool sqa_value_counted(int value);  /* one build gives the same number each time */
bool sqa_value_usual(int value);    /* looked at from run to run when nobody asks for others: no two say the same */
bool sqa_value_timed(int value);
/* NaN when absent, and of timings that their row calls unfit. */
double sqa_value_of(const struct sqa_pool *pool, const struct sqa_pool_cell *cell, int value);
/* A field by the name of its column, "" when the file does not have it: for columns that older files lack. */
const char *sqa_pool_named(const struct sqa_pool *pool, const struct sqa_pool_cell *cell, int phase,
                           const char *column);
/* Mean over the seeds of an entry; NaN when no cell has it. */
double sqa_value_mean(const struct sqa_pool *pool, const struct sqa_pool_entry *e, int value);

#endif
