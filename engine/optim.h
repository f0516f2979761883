/*
 * optim.h - optimisers over a store, and learning-rate schedules
 *
 * The optimiser is not part of the graph: it walks the store's blocks after a training run. Elements are split into
 * chunks of fixed size and sums are taken in fixed order, so results do not depend on threads.
 */
#ifndef SQA_ENGINE_OPTIM_H
#define SQA_ENGINE_OPTIM_H

#include "engine/store.h"

enum sqa_optim_kind { SQA_OPTIM_ADAMW, SQA_OPTIM_ADAM, SQA_OPTIM_SGD };

struct sqa_optim {
    enum sqa_optim_kind kind;
    double beta1, beta2, eps, momentum;
    double decay; /* ADAMW: decoupled, times the rate; ADAM, SGD: added to the gradient. Not for NO_DECAY and SSM */
    double clip;  /* largest global norm of the gradient; 0: none */
    double ssm_rate; /* largest rate of the SSM group at the schedule's peak; 0: as the others */
    double rate;     /* peak rate of the schedule */
    bool decay_all;  /* decay for NO_DECAY and SSM too */
};

/* One step with the gradients in s; t counts from 1; factor is the schedule's value, beta1 may be cycled (0:
 * o->beta1). Returns the gradient's norm before clipping; NaN or infinity means that nothing was changed. */
double sqa_optim_step(const struct sqa_optim *o, struct sqa_store *s, int64_t t, double factor, double beta1,
                      int threads);
/* Counted cost: AdamW and Adam 16 a parameter, SGD 4, clipping 2 more. */
double sqa_optim_flops(const struct sqa_optim *o, const struct sqa_store *s);

enum sqa_schedule_kind {
    SQA_SCHEDULE_CONSTANT,   /* min(1, s / warmup) */
    SQA_SCHEDULE_COSINE,     /* warm-up, then 0.5 (1 + cos(pi (s - w) / (total - w))) */
    SQA_SCHEDULE_LINEAR,     /* warm-up, then linear to 0 at total */
    SQA_SCHEDULE_STEP,       /* decay ^ floor(max(0, epoch - hold) / every); LTSF type1: decay 0.5, every 1, hold 1 */
    SQA_SCHEDULE_LRA,        /* min(1, s / w) / sqrt(max(s, w)); the base rate is multiplied by this */
    SQA_SCHEDULE_LRA_COSINE, /* min(1, s / w) 0.5 (1 + cos(pi u)), u the fractional part of max(0, s - w) / cycle */
    SQA_SCHEDULE_INVERSE_SQRT, /* s / w up to 1, then sqrt(w / s) (fairseq, with 0 as the rate before warm-up) */
    SQA_SCHEDULE_ONE_CYCLE,    /* PyTorch's OneCycleLR, linear: 1/25 up to 1 over warm-up, down to 1/250000 at total;
                                  momentum cycles 0.95 .. 0.85 .. 0.95 when cycle_momentum */
};
struct sqa_schedule {
    enum sqa_schedule_kind kind;
    int64_t warmup, total;   /* steps */
    int64_t steps_per_epoch; /* STEP */
    double decay;
    int64_t every, hold;
    int cycle_momentum;
    int64_t cycle; /* LRA_COSINE: steps from peak to 0; 0: total */
    int from_zero; /* the first step counts as 0 instead of 1 */
};
/* Factor on the peak rate for step s = 1, 2, ... The first step already moves; with from_zero (the LRA
 * code) s - 1 stands for s in the formulas, so that warm-up begins with a step of rate 0. */
double sqa_schedule_factor(const struct sqa_schedule *c, int64_t s);
/* beta1 of the step when momentum cycles, else 0. */
double sqa_schedule_beta1(const struct sqa_schedule *c, int64_t s);

#endif
