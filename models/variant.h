/*
 * variant.h - the registry of model parts, and what a part's file provides
 *
 * A variant is one file models/ID.c with one `const struct sqa_variant sqa_variant_ID = {`; the registry is generated
 * from the files, and list, help, docs, tests and reports come from it. A model is slots filled with variants:
 *
 *     embed + position -> layers x residual { norm, mixer, channel } -> norm -> pool -> head
 *
 * (for tags, labels at positions, there is no pool: the head makes (B, L, classes) of (B, L, D); for pairs both
 * sequences are rows of one batch of 2 B up to the pool, so the towers share every weight, and pair stands before the
 * head)
 *
 * or one variant of slot `model` that builds everything (dlinear), or a floor (a baseline without training).
 * Model code reaches arithmetic through engine ops only.
 */
#ifndef SQA_MODELS_VARIANT_H
#define SQA_MODELS_VARIANT_H

#include "base/batch.h"
#include "base/param.h"
#include "base/text.h"
#include "engine/ops.h"
#include "engine/store.h"

#define SQA_SLOT_LIST(X)                                                             \
    X(MIXER, mixer, "mixes positions: x (B, L, D) -> (B, L, D)")                     \
    X(CHANNEL, channel, "works on each position alone: (B, L, D) -> (B, L, D)")      \
    X(NORM, norm, "(B, L, D) -> (B, L, D)")                                          \
    X(RESIDUAL, residual, "where norms and residual sums stand in a block")          \
    X(POSITION, position, "adds positions: (B, L, D) -> (B, L, D)")                  \
    X(POOL, pool, "(B, L, D) -> (B, D)")                                             \
    X(PAIR, pair, "joins the two towers of a pair: (2 B, D) -> (B, W)")              \
    X(HEAD, head, "(B, D) -> logits (B, classes) or forecast (B, horizon, outputs)") \
    X(MODEL, model, "a whole model")                                                 \
    X(FLOOR, floor, "a baseline without training")
enum sqa_slot {
#define X(NAME, name, help) SQA_SLOT_##NAME,
    SQA_SLOT_LIST(X)
#undef X
        SQA_SLOTS
};

/* What a model must know of a task. */
struct sqa_signature {
    enum sqa_task_kind kind;
    int64_t vocab, classes;             /* tokens; vocab 0: real inputs */
    int64_t length;                     /* largest number of positions */
    int64_t channels, outputs, horizon; /* real inputs and forecasts */
    int64_t season;
    /* Tokens up to this one count as padding wherever they stand (form=lra of images); 0: padding stands behind. */
    int64_t blank;
    int64_t marks; /* features of a row's time (models/forecast.h); 0: rows have no times */
};

/* Parameters that belong to every model of the frame (and the ones a `model` variant may use). */
struct sqa_frame {
    int64_t layers, dim, heads, ffn;
    double dropout, attention_dropout;
    int64_t causal;
    int64_t bias; /* sqa_project_heads and sqa_merge_heads add biases (the lite protocol: yes; the LRA paper: no) */
    int64_t qkv;  /* width of q, k and v, all heads together; 0: dim */
    double embed_deviation; /* of the normal numbers token embeddings begin as */
    const char *instance;   /* how each window to forecast from is normalised, SQA_INSTANCE_CHOICES of forecast.h */
};
/* Parameters that came when rows had been recorded: full forms leave them out where they have their default, so that
 * the keys of those rows stay. */
extern const struct sqa_param sqa_frame_later[];
extern const struct sqa_param
    sqa_frame_params[]; /* defaults are the lite protocol's: 2, 64, 2, 128, 0.1, 0.1, 0, 1, 0, 0.02 */

/* Width of q, k and v, and of one head. */
static inline int64_t sqa_qkv_width(const struct sqa_frame *f)
{
    return f->qkv > 0 ? f->qkv : f->dim;
}
static inline int64_t sqa_head_dim(const struct sqa_frame *f)
{
    return sqa_qkv_width(f) / f->heads;
}

struct sqa_model; /* model.h */

/* A tensor that passes from part to part and block to block beside x: see sqa_stream_put. */
struct sqa_stream {
    const char *name;
    struct sqa_tensor *tensor;
};
enum { SQA_STREAMS = 4 };

/* What a building function gets. */
struct sqa_context {
    struct sqa_graph *g;
    struct sqa_store *store;
    const struct sqa_model *model;
    const struct sqa_signature *task;
    struct sqa_frame frame;
    /* Rows and positions of this graph, with the positions that the pool puts in front; of pairs 2 B rows up to the
     * pool, then B. */
    int64_t batch, length;
    int64_t head_width;         /* of the head's input, when it is not dim: of pairs what the pair's item made */
    int64_t max_length;         /* length-tied parameters are made for this many positions and sliced */
    int layer;                  /* 0 .. layers - 1 */
    struct sqa_tensor *lengths; /* i32 (B): valid positions, or NULL when all are */
    /* real (B, L): 0 at padding that may stand anywhere (holes.h), else 1; NULL: it stands behind. */
    struct sqa_tensor *valid;
    bool front; /* position 0 is what the pool put in front */
    struct sqa_stream stream[SQA_STREAMS];
    /* Where positions go through one at a time (`step`), else NULL: i32 (1), the position, and where states lie.
     * length is 1, max_length the number of positions that may come. */
    struct sqa_tensor *position;
    struct sqa_store *states;
    struct sqa_tensor *marks, *calendar; /* made by sqa_marks and sqa_calendar (forecast.h) */
};

/* Makes t what later parts and blocks get under that name (of any shape; it replaces what was there). get: NULL where
 * there is none. Residual blocks put "residual", what they add the mixer's output to. */
void sqa_stream_put(struct sqa_context *c, const char *name, struct sqa_tensor *t);
struct sqa_tensor *sqa_stream_get(const struct sqa_context *c, const char *name);

/* Rows that the head sees: one a sequence, or, for tags, one a position. */
static inline int64_t sqa_head_rows(const struct sqa_context *c)
{
    return c->task->kind == SQA_TAG ? c->batch * c->length : c->batch;
}

static inline int64_t sqa_head_width(const struct sqa_context *c)
{
    return c->head_width ? c->head_width : c->frame.dim;
}

/* Parameters and state of the current scope: entry "SCOPE.name", made on the first build. NULL after a failure. */
struct sqa_tensor *sqa_param_tensor(struct sqa_context *c, const char *name, enum sqa_group group,
                                    struct sqa_init init, int rank, const int64_t *dim);
struct sqa_entry *sqa_state_entry(struct sqa_context *c, const char *name, struct sqa_init init, int rank,
                                  const int64_t *dim);
/* x w + b with "name.w" (in, out), Xavier-uniform, and, when bias, "name.b" (out), zero. */
struct sqa_tensor *sqa_dense_layer(struct sqa_context *c, const char *name, struct sqa_tensor *x, int64_t out,
                                   bool bias);
/* act(x w + b): bias and activation (enum sqa_unary) in one pass with the product. */
struct sqa_tensor *sqa_dense_layer_act(struct sqa_context *c, const char *name, struct sqa_tensor *x, int64_t out,
                                       bool bias, int act);
/* Up to 3 layers of one x, which is read once: y[i], NULL after a failure. */
struct sqa_dense_spec {
    const char *name;
    int64_t out;
    bool bias;
    int act; /* enum sqa_unary; SQA_UNARY_N: none */
};
void sqa_dense_layers(struct sqa_context *c, int n, const struct sqa_dense_spec *layer, struct sqa_tensor *x,
                      struct sqa_tensor **y);
/* q, k, v projections of x as (B, L, H, d): "wq.w", "wk.w", "wv.w" (and "wq.b", ... when frame.bias); heads from the
 * frame, d = sqa_head_dim. With sqa_merge_heads B L (8 D Q + bias (3 Q + D)) flops, Q = H d; sqa_heads_flops says
 * so for closed forms. */
struct sqa_heads {
    struct sqa_tensor *q, *k, *v;
};
struct sqa_heads sqa_project_heads(struct sqa_context *c, struct sqa_tensor *x);
/* o (B, L, H, d) -> x (B, L, D) by "wo.w". */
struct sqa_tensor *sqa_merge_heads(struct sqa_context *c, struct sqa_tensor *o);
double sqa_heads_flops(const struct sqa_context *c);

struct sqa_identity {
    const char *name; /* "rank = length and identity projections: softmax attention" */
    /* SQA_OK when it holds; SQA_NO with the numbers in err when it does not. */
    enum sqa_status (*run)(struct sqa_err *err);
};

/* Traits: promises that generic checks test for every mixer (models/verify.c). */
enum {
    SQA_TRAIT_CAUSAL = 1,         /* has a causal form (frame parameter causal = 1) */
    SQA_TRAIT_PADDING = 2,        /* appended padding of any content leaves valid outputs unchanged */
    SQA_TRAIT_EQUIVARIANT = 4,    /* permuting positions permutes outputs */
    SQA_TRAIT_SUM_TO_ONE = 8,     /* mixing weights of a row sum to 1 */
    SQA_TRAIT_CONTROL = 16,       /* a control, shown beside the floors */
    SQA_TRAIT_LINEAR_MEMORY = 32, /* planned memory grows linearly in L */
    SQA_TRAIT_QKV = 128,  /* mixer: q, k and v may be narrower or wider than the stream (frame parameter qkv), or it
                             has  none of them */
    SQA_TRAIT_FRAME = 64, /* slot model: reads the frame's parameters (without it they are refused) */
    SQA_TRAIT_LRA_BATCH = 256, /* mixer: with form=lra rows of a batch depend on each other, as in that code */
};

struct sqa_variant {
    const char *id; /* lower case, equals the file name */
    enum sqa_slot slot;
    const char *title;
    const char *source;     /* paper, arXiv id, equation */
    const char *complexity; /* "O(L^2 d) time, O(L d) memory" */
    const char *help;       /* a paragraph for `describe`, NULL: none */
    unsigned traits;
    const struct sqa_param *params; /* ends with { .name = NULL }; NULL: none */
    size_t self_size;
    /* Refuses what cannot be built, with a sentence that says what can. NULL: everything goes. */
    enum sqa_status (*check)(const void *self, const struct sqa_frame *frame, const struct sqa_signature *task,
                             struct sqa_err *err);
    /* NULL: slot channel, nothing to build (no_channel).
     * x: what the slot's line says; slot model: the real input (B, L, C) or token ids i32 (B, L). NULL after failure.
     */
    struct sqa_tensor *(*build)(const void *self, struct sqa_context *c, struct sqa_tensor *x);
    /* mixer, pool; NULL: none. One position of what build makes with frame.causal: x (B, 1, D) of position
     * c->position -> (B, 1, D); a pool (B, D), of the positions so far. Parameters have build's names and shapes; what is kept
     * from position to position is state (step.h). Other slots work on each position alone: build does for them. */
    struct sqa_tensor *(*step)(const void *self, struct sqa_context *c, struct sqa_tensor *x);
    /* Slot model with blocks of its own (sqa_build_blocks): the items of mixer, channel, norm and residual, in their
     * short form, that stand when the text names none. Without a mixer here it takes no +slot=. `tokens` is how many
     * positions the blocks see (mixers are checked for it). */
    const char *slots[SQA_SLOTS];
    int64_t (*tokens)(const void *self, const struct sqa_signature *task);
    const char *small; /* slots model, mixer: parameters for checks on a dozen rows: "patch=4,stride=2"; NULL: none */
    /* True: with these parameters the model's answers depend on how many positions of padding a row has; NULL: never,
     * but for mixers and models without SQA_TRAIT_PADDING. */
    bool (*padded)(const void *self);
    /* mixer: true when with these parameters it works where padding stands anywhere: it heeds c->valid, or that code
     * which the form is of pays no attention to padding. NULL: never; such a task is refused. */
    bool (*holes)(const void *self);
    /* Defaults that differ with form=lra ("rank=16"), ends with { NULL }; NULL: none. */
    const struct sqa_default {
        const char *name, *value;
    } * lra;
    /* pool only, may be NULL: x (B, L, D) of the embedding -> (B, L + 1, D) with a vector in front. The frame then
     * counts it in c->length, c->max_length and c->lengths, and adds positions. */
    struct sqa_tensor *(*front)(const void *self, struct sqa_context *c, struct sqa_tensor *x);
    /* residual slot only: one block; the mixer, channel and norms are reached through model.h. */
    /* Closed form of the forward flops that build adds, for c->batch, c->length (dropout off). NULL: not stated. */
    double (*flops)(const void *self, const struct sqa_context *c);
    const struct sqa_identity *identities; /* ends with { NULL } */

    /* Slot floor: state is self (self_size, zeroed before params are set; may hold counts in fixed arrays or memory
     * from arena). see() is called with every training batch in turn (NULL: nothing to learn); predict writes labels
     * (n), tags (n, length) or a forecast (n, horizon, outputs). */
    enum sqa_status (*begin)(void *self, const struct sqa_signature *task, struct sqa_arena *arena,
                             struct sqa_err *err);
    enum sqa_status (*see)(void *self, const struct sqa_batch *b, struct sqa_err *err);
    enum sqa_status (*predict)(void *self, const struct sqa_batch *b, int32_t *labels, double *forecast,
                               struct sqa_err *err);
};

extern const struct sqa_variant *const sqa_variants[]; /* ends with NULL; order of file names */
const struct sqa_variant *sqa_variant_find(const char *id);
const char *sqa_slot_name(enum sqa_slot s);

#endif
