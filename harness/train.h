/*
 * train.h - one model on one task: training, evaluation, single steps for timing
 *
 * Everything that decides numbers is keyed by (seed, step): the order of examples in an epoch, initial weights,
 * dropout. A trainer restored from a checkpoint goes on to the same bits.
 */
#ifndef SQA_HARNESS_TRAIN_H
#define SQA_HARNESS_TRAIN_H

#include <math.h>
#include <signal.h>

#include "engine/optim.h"
#include "engine/plan.h"
#include "harness/recipe.h"
#include "harness/scoring.h"
#include "models/model.h"
#include "tasks/task.h"

struct sqa_trainer {
    struct sqa_model *model;
    struct sqa_dataset *data;
    struct sqa_signature task;
    struct sqa_recipe recipe;
    struct sqa_store store;
    struct sqa_plans plans;
    struct sqa_optim optim;
    struct sqa_schedule schedule;
    struct sqa_batch *batch;
    uint64_t seed;
    int threads;
    int64_t length; /* positions of the longest batch */

    int64_t step, steps, steps_per_epoch, eval_every;
    uint32_t *order; /* permutation of the training examples of epoch order_epoch */
    int64_t order_epoch;
    void *best;               /* snapshot of the store with the best validation score; made by sqa_trainer_run */
    int64_t best_step, worse; /* evaluations since the last better one */
    struct sqa_scores best_valid;
    double *by_step; /* the caller's: sums of errors of each step of the horizon (scoring.h) over what is evaluated */
    double train_loss_sum;
    int64_t train_loss_n;
    double last_train_loss; /* mean over the last interval */
    int64_t examples;
    int64_t positions, real_positions;        /* of the training batches: computed, and those that hold tokens */
    void *micro_sum, *micro_state;            /* of micro-batches: gradients so far; state before the step */
    double data_seconds, op_seconds, seconds; /* seconds: all training, evaluation left out */
    double rss_start;                         /* resident set after the data were opened, before the model was made */
    struct sqa_text curves;                   /* rows of curves.csv so far, without header */
    const char *key;
    const volatile sig_atomic_t *interrupted;
    void (*progress)(void *user, const struct sqa_trainer *t);
    void *user;
};

struct sqa_trainer_options {
    const char *model; /* text, recipe's frame defaults already in */
    const char *task;
    const char *data_dir;
    const struct sqa_recipe *recipe;
    uint64_t seed;
    int threads;
    int trainable; /* 0: parameters only */
    enum sqa_dtype real;
    enum sqa_recompute_mode recompute;
    enum sqa_compute compute; /* of matrix products and attention */
    int64_t length;           /* > 0: graphs of this length instead of the task's */
    const volatile sig_atomic_t *interrupted;
};
enum sqa_status sqa_trainer_open(const struct sqa_trainer_options *o, struct sqa_trainer **t,
                                 struct sqa_err *err) SQA_MUST_CHECK;
void sqa_trainer_close(struct sqa_trainer *t);

/* Trains to the end, evaluating on the way; checkpoints to `checkpoint` (NULL: none) at most every `every` seconds
 * and resumes from it when it is there. SQA_INTERRUPTED after saving; SQA_NO when the loss is not finite any more.
 * The best (or last) parameters are in the store at the end. */
enum sqa_status sqa_trainer_run(struct sqa_trainer *t, const char *checkpoint, double every,
                                struct sqa_err *err) SQA_MUST_CHECK;

/* Scores on a split; limit > 0: the first `limit` examples. Loss and accuracy of tags are over all labelled
 * positions, whatever their rows. each(): called once an example; may be NULL. */
enum sqa_status sqa_trainer_evaluate(struct sqa_trainer *t, enum sqa_split split, int64_t limit, sqa_example_fn *each,
                                     void *user, struct sqa_scores *out, struct sqa_err *err) SQA_MUST_CHECK;

/* The parameters as a safetensors file that `seqarena predict` takes. */
enum sqa_status sqa_trainer_write_weights(const struct sqa_trainer *t, const char *path,
                                          struct sqa_err *err) SQA_MUST_CHECK;

/* Rows that go through the model at a time in training. */
int64_t sqa_trainer_rows(const struct sqa_trainer *t);
/* How training pads: longest, sorted or full; where nothing can be sorted (no micro-batches, tags) sorted is longest. */
const char *sqa_trainer_padding(const struct sqa_trainer *t);

/* For timing: a full batch at t->length is put in once, then single steps run. In training with micro-batches the
 * plan is that of one whole micro-batch, and a step runs all of them, each with its rows; a pass is one of them. */
enum sqa_status sqa_trainer_prepare(struct sqa_trainer *t, enum sqa_mode mode, struct sqa_plan **plan,
                                    struct sqa_err *err) SQA_MUST_CHECK;
enum sqa_status sqa_trainer_time_pass(struct sqa_trainer *t, struct sqa_plan *plan, enum sqa_mode mode,
                                      double *ns_by_op, struct sqa_err *err) SQA_MUST_CHECK;
enum sqa_status sqa_trainer_time_step(struct sqa_trainer *t, struct sqa_plan *plan, enum sqa_mode mode,
                                      double *ns_by_op, struct sqa_err *err) SQA_MUST_CHECK;

/* Number i of a tensor of reals. */
double sqa_real_of(const void *data, const struct sqa_tensor *t, int64_t i);

/* Copies a batch into a plan's inputs. */
void sqa_feed(struct sqa_plan *plan, const struct sqa_batch *b);
void sqa_signature_of(const struct sqa_dataset *ds, struct sqa_signature *s);

#endif
