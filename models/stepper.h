/*
 * stepper.h - running the step form of a whole model: states, plan and memory of its own
 *
 * The parameters' store is the caller's, sealed or still to be declared (then sealed here, not trainable). Inputs are
 * written into s->plan (engine/plan.h: "tokens" or "x") before each run; the outputs stay until the next.
 */
#ifndef SQA_MODELS_STEPPER_H
#define SQA_MODELS_STEPPER_H

#include "engine/plan.h"
#include "models/model.h"

struct sqa_stepper {
    struct sqa_store states; /* state_count numbers, all rows together */
    struct sqa_memory memory;
    struct sqa_plan *plan;
};

/* task->length positions at most. Zero *s before. */
enum sqa_status sqa_stepper_open(struct sqa_stepper *s, const struct sqa_model *m, const struct sqa_signature *task,
                                 struct sqa_store *store, int64_t batch, int threads, enum sqa_compute compute,
                                 struct sqa_err *err) SQA_MUST_CHECK;
/* The part of it that is not the graph: takes over g. */
enum sqa_status sqa_stepper_plan(struct sqa_stepper *s, struct sqa_graph *g, struct sqa_store *store, int threads,
                                 struct sqa_err *err) SQA_MUST_CHECK;
void sqa_stepper_close(struct sqa_stepper *s);
/* States as before position 0. */
void sqa_stepper_reset(struct sqa_stepper *s);
/* Every number of the states uniform in 0 .. 1: for timing, in place of a long prefix. */
void sqa_stepper_fill(struct sqa_stepper *s, uint64_t seed);
/* One position. ns: as of sqa_plan_run. */
enum sqa_status sqa_stepper_run(struct sqa_stepper *s, int64_t position, double *ns,
                                struct sqa_err *err) SQA_MUST_CHECK;

#endif
