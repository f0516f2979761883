/*
 * cell_private.h - what the files of the child share and nobody else uses
 */
#ifndef SQA_HARNESS_CELL_PRIVATE_H
#define SQA_HARNESS_CELL_PRIVATE_H

#include "harness/cell.h"
#include "harness/measure/count.h"
#include "harness/measure/measure.h"
#include "harness/train.h"
#include "models/stepper.h"

/* cell.c */

/* Signals, memory and places of threads; bound: gets where they run, nothing when they run anywhere. */
enum sqa_status sqa_cell_set_up(const struct sqa_child *c, bool training, struct sqa_text *bound,
                                struct sqa_err *err);
enum sqa_status sqa_cell_write_json(const struct sqa_child *c, const char *name, json_t *o, struct sqa_err *err);
enum sqa_status sqa_cell_write_rows(const struct sqa_child *c, const char *name, int file,
                                    const struct sqa_text *rows, struct sqa_err *err);
enum sqa_status sqa_cell_open_trainer(const struct sqa_child *c, int trainable, struct sqa_arena *arena,
                                      struct sqa_trainer **t, struct sqa_err *err);
void sqa_cell_put_padding(json_t *o, const char *padding, double share);
void sqa_cell_put_model(json_t *o, const struct sqa_trainer *t);

#define SQA_LONG_STEP_NS 1e9 /* a step that long needs no more than one pass to warm up, and one to profile */

struct sqa_sample {
    int round, index, slot, pass; /* pass: of the counters, -1 when none could be read */
    double ns, cpu_ns;
    double steal; /* seconds, NaN when unknown */
    struct sqa_switches switches;
    long long counters[32]; /* those of the pass */
};

struct sqa_meter {
    struct sqa_trainer *t;
    struct sqa_plan *plan;
    enum sqa_mode mode;
    bool by_steps; /* one token by step forms */
    struct sqa_stepper stepper;
    int64_t steps; /* in one sample, so that a sample takes 1 ms or more */
    struct sqa_sample *samples;
    int n, room;
    struct sqa_counters *counters;
    char reason[160];
    struct sqa_text bound;
    int64_t position; /* by_steps: of the token */
    double *first;    /* by_steps: times of the token at position 0, room for all rounds */
    int n_first;
    bool cold; /* the caches are emptied before every sample, which is then one step */
    double warmup_ns;
    int settled;     /* as the column, -1: empty */
    char proof[256]; /* verdict of the checks */
    char unfit[400]; /* why this timing is not to be used, or "" */
    bool counts;     /* instructions, not time */
    struct sqa_counted counted;
};

/* cell_measure.c */

/* A pass of the plan, or a token; ns_by_op: times of its ops, or NULL. */
enum sqa_status sqa_meter_run_pass(struct sqa_meter *m, double *ns_by_op, struct sqa_err *err);
/* How often the plan runs in a step: once, or for every micro-batch, a partial one counted as a part. */
double sqa_meter_passes(const struct sqa_meter *m);

/* cell_rows.c */

/* Writes what was measured: rows of cells, samples and ops, and tells the parent. */
enum sqa_status sqa_meter_save(struct sqa_meter *m, const struct sqa_child *c, const char *phase,
                               struct sqa_err *err);

#endif
