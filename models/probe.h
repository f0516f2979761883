/*
 * probe.h - small float64 runs of one mixer or one model, for identities and generic checks
 *
 * Dropout is off. Every function builds, runs and frees a graph of its own. x NULL: standard normal numbers of the
 * seed.
 */
#ifndef SQA_MODELS_PROBE_H
#define SQA_MODELS_PROBE_H

#include "models/model.h"

struct sqa_probe {
    const char *item; /* "linformer:rank=8": a mixer, or (gradient and cost) an item of another slot but residual */
    int64_t batch, length, dim, heads;
    int64_t width;      /* of a head's input; 0: dim */
    int64_t qkv;        /* of the frame; 0: dim */
    int64_t max_length; /* 0: length */
    bool causal;
    const int32_t *lengths; /* (batch), or NULL: all valid */
    const double *valid;    /* (batch, length) of 0 and 1: padding that stands anywhere; or NULL */
    bool front;             /* position 0 is a vector of the pool */
    uint64_t seed;
    enum sqa_dtype real; /* SQA_F32 (0) or SQA_F64 */
    int threads;         /* 0: 1 */
    /* Called after the parameters are made, before the run; may be NULL. Names: "mixer.wq.w", ... */
    void (*edit)(struct sqa_store *store, void *user);
    void *user;
};
/* y = mixer(x); x and y (batch, length, dim) doubles. */
enum sqa_status sqa_probe_run(const struct sqa_probe *p, const double *x, double *y,
                              struct sqa_err *err) SQA_MUST_CHECK;
/* y = the mixer's step form, fed with the positions of x one by one; as sqa_probe_run with causal. state (or NULL):
 * numbers of state a row. UNSUPPORTED when it has none. */
enum sqa_status sqa_probe_steps(const struct sqa_probe *p, const double *x, double *y, double *state,
                                struct sqa_err *err) SQA_MUST_CHECK;
/* Planned arena bytes and flops of the item alone; train: forward and backward, with the probe's own loss (3 B L D).
 * closed_form is the variant's, of the forward pass; NaN when it states none. */
enum sqa_status sqa_probe_cost(const struct sqa_probe *p, bool train, double *flops, double *closed_form,
                               double *memory, struct sqa_err *err) SQA_MUST_CHECK;
/* Worst error of analytic against central-difference gradients of sum(w * y), for x and every parameter along random
 * directions, float64; relative to the derivative, or to 1/1000 of the whole gradient's norm where that is larger. */
enum sqa_status sqa_probe_gradient(const struct sqa_probe *p, double *worst, struct sqa_err *err) SQA_MUST_CHECK;

/* The mixer against softmax attention written out, in double, on random inputs and weights: o_i = sum over allowed j
 * of softmax(q_i . k_j / sqrt(d)) v_j, rows without an allowed j 0, projected by "mixer.wo.w". At most 4 sequences,
 * length + zeros <= 64, dim <= 16. The probe's edit is not called. */
struct sqa_probe_pairs {
    /* 0: query i of head h does not see key j; 1: it does, by "mixer.wq.w", "mixer.wk.w", "mixer.wv.w"; 2: by
     * "mixer.wqg.w", ...; SQA_PROBE_EVEN: it does, by a score of 0. Lengths are left to it. */
    int (*set)(const void *user, int b, int h, int i, int j);
    const void *user;
    int zeros;   /* keys of zeros behind the sequence, j = length .. length + zeros - 1 */
    bool padded; /* rows at padding are compared too */
};
enum { SQA_PROBE_EVEN = 3 };
enum sqa_status sqa_probe_dense(const struct sqa_probe *p, const struct sqa_probe_pairs *pairs,
                                struct sqa_err *err) SQA_MUST_CHECK;

/* One whole model: forward on x (batch, length, channels) or tokens (batch, length), with lengths (batch), to
 * y (batch, classes) or (batch, horizon, outputs). */
struct sqa_probe_whole {
    const char *model; /* "dlinear:kernel=1" */
    struct sqa_signature task;
    int64_t batch, length; /* length 0: task.length */
    uint64_t seed;
    enum sqa_dtype real;
    int threads;             /* 0: 1 */
    const double *x, *marks; /* marks: (batch, length + horizon, task.marks); NULL: normal numbers */
    const int32_t *tokens, *lengths;
    void (*edit)(struct sqa_store *store, void *user);
    void *user;
};
/* parameters: their number, may be NULL; y NULL: nothing is run. */
enum sqa_status sqa_probe_whole(const struct sqa_probe_whole *p, double *y, int64_t *parameters,
                                struct sqa_err *err) SQA_MUST_CHECK;
/* A whole model by its step form: y (batch, length, classes) of tags, or what it says of the positions up to each one
 * (batch, length, classes), forecasts left out. x or tokens must be given. */
enum sqa_status sqa_probe_whole_steps(const struct sqa_probe_whole *p, double *y, struct sqa_err *err) SQA_MUST_CHECK;
/* Forward flops of the graph, and the closed form of a `model` variant (else NaN). */
enum sqa_status sqa_probe_whole_cost(const struct sqa_probe_whole *p, double *flops, double *closed_form,
                                     struct sqa_err *err) SQA_MUST_CHECK;
/* As sqa_probe_gradient, for the training graph's loss; labels and targets are made from the seed. */
enum sqa_status sqa_probe_whole_gradient(const struct sqa_probe_whole *p, double *worst,
                                         struct sqa_err *err) SQA_MUST_CHECK;

/* n standard normal numbers of stream key. */
void sqa_probe_normal(uint64_t key, double *x, size_t n);
/* max |a - b| / (1 + max |b|) */
double sqa_probe_difference(const double *a, const double *b, size_t n);
/* SQA_OK when difference <= bound, else SQA_NO with "WHAT: differs by D, bound B". */
enum sqa_status sqa_probe_expect(const char *what, double difference, double bound, struct sqa_err *err);
/* Sets an entry: identity matrix, constant, or given values. Ignored when the entry is absent (returns false). */
bool sqa_probe_set_identity(struct sqa_store *s, const char *name);
bool sqa_probe_set_constant(struct sqa_store *s, const char *name, double v);
bool sqa_probe_set(struct sqa_store *s, const char *name, const double *values);

/* verify: everything that is promised about the variants whose id matches (NULL: all): generic checks by trait,
 * identities, gradients, closed-form costs, kernels against plain C. report() is called for each check. */
struct sqa_check_result {
    const char *subject, *check;
    enum sqa_status status; /* OK, NO, UNSUPPORTED (skipped) */
    const char *text;       /* numbers, or why not */
};
typedef void sqa_check_report_fn(void *user, const struct sqa_check_result *r);
/* What a timing rests on, in a fraction of a second: gradients on a few rows, and of mixers f32 by this machine's
 * kernels against f64, causal forms too. NO when one fails; UNSUPPORTED for floors, which have none. */
enum sqa_status sqa_verify_quick(const struct sqa_variant *variant, sqa_check_report_fn *report, void *user);
/* matches(user, id) selects; NULL: all. SQA_NO when any check failed. */
enum sqa_status sqa_verify(bool (*matches)(void *user, const char *id), sqa_check_report_fn *report, void *user,
                           struct sqa_err *err);

#endif
