/*
 * model.h - models as text, and their graphs
 *
 *     model = preset [ ":" param { "," param } ] { "+" slot "=" item [ ":" param { "," param } ] }
 *     a preset is a mixer, a model or a floor; its params may be the frame's (layers, dim, ...) or its own
 *     item is a variant id; for slot mixer also a stack "(" id [":" params] ["*" n] { " " ... } ")" with one item a
 *     layer: a stack shorter than `layers` repeats, a longer one sets `layers` when that is not given
 *
 *     transformer   performer:features=128,dim=128,layers=4   transformer+mixer=(mamba*2 local:window=128)
 */
#ifndef SQA_MODELS_MODEL_H
#define SQA_MODELS_MODEL_H

#include "models/variant.h"

enum { SQA_MAX_LAYERS = 256 };

struct sqa_item {
    const struct sqa_variant *variant;
    void *self;
};

struct sqa_model {
    struct sqa_arena arena;
    struct sqa_item preset;
    struct sqa_frame frame;
    struct sqa_item
        slot[SQA_SLOTS]; /* channel, norm, residual, position, pool, pair, head; of models those of variant->slots */
    int mixers;          /* 1, or the length of the stack */
    struct sqa_item mixer[SQA_MAX_LAYERS];
    const char *short_form, *full_form;
};

/* USAGE errors say the place in the text, what was found and what is possible (nearest id). Frees on failure. */
enum sqa_status sqa_model_parse(const char *spec, struct sqa_model **model, struct sqa_err *err) SQA_MUST_CHECK;
void sqa_model_free(struct sqa_model *m);
bool sqa_model_is_floor(const struct sqa_model *m);
/* The id of a part that makes the model's answers depend on the amount of padding; NULL: they do not. */
const char *sqa_model_padded_part(const struct sqa_model *m);

/* Refuses what cannot be built for the task, before anything is allocated (UNSUPPORTED, with what can). */
enum sqa_status sqa_model_check(const struct sqa_model *m, const struct sqa_signature *task,
                                struct sqa_err *err) SQA_MUST_CHECK;

enum sqa_mode {
    SQA_MODE_TRAIN, /* forward, loss, backward: gradients in the store; output "loss" (rank 0) */
    SQA_MODE_EVAL,  /* forward with loss: outputs "logits" (B, classes) or "forecast" (B, H, C), "losses" (B);
                       tags: "logits" (B, L, classes), "losses" (B, L) */
    SQA_MODE_INFER, /* forward alone: "logits" or "forecast" */
    SQA_MODES
};
/* Name of what a model gives: "logits", or "forecast". */
static inline const char *sqa_output_name(enum sqa_task_kind kind)
{
    return kind == SQA_FORECAST ? "forecast" : "logits";
}
/* Appends the graph of one batch. Inputs: "tokens" i32 (B, L), or "x" (B, L, C) where the task has no vocabulary;
 * "lengths" i32 (B) unless it forecasts; both of 2 B rows for pairs; "marks", "calendar" where the model reads times;
 * TRAIN and EVAL also "labels" i32 (B), for tags (B, L), or "y" (B, H, C). The loss is the mean over the batch of
 * cross-entropy, for tags over all labelled positions of the batch, or of squared error over horizon and outputs. The
 * first call fills the store's declarations. */
enum sqa_status sqa_model_graph(const struct sqa_model *m, const struct sqa_signature *task, struct sqa_store *store,
                                enum sqa_mode mode, int64_t batch, int64_t length, struct sqa_graph *g,
                                struct sqa_err *err) SQA_MUST_CHECK;

/* One position of every row by step forms: inputs "tokens" i32 (B, 1), or "x" (B, 1, C), and "position" i32 (1);
 * outputs as of INFER for the positions so far, of tags (B, 1, classes) for this one. Runs go from position 0 to at
 * most task->length - 1; states, declared in a store of their own, are 0 before the first. What depends on parameters
 * alone is made once (sqa_graph.fixed). UNSUPPORTED when a part has no step form, or the model is not causal. See
 * stepper.h. */
enum sqa_status sqa_model_step_graph(const struct sqa_model *m, const struct sqa_signature *task,
                                     struct sqa_store *store, struct sqa_store *states, int64_t batch,
                                     struct sqa_graph *g, struct sqa_err *err) SQA_MUST_CHECK;

/* Used by residual variants: the parts of the block of c->layer. */
struct sqa_tensor *sqa_build_mixer(struct sqa_context *c, struct sqa_tensor *x);   /* scope "mixer" */
struct sqa_tensor *sqa_build_channel(struct sqa_context *c, struct sqa_tensor *x); /* scope "channel" */
bool sqa_has_channel(const struct sqa_context *c); /* false: the block ends with its mixer */
struct sqa_tensor *sqa_build_norm(struct sqa_context *c, const char *name, struct sqa_tensor *x);
/* For models with blocks of their own: the block of c->layer, scope "blocks.LAYER", and all frame.layers of them;
 * x (c->batch, c->length, frame.dim). */
struct sqa_tensor *sqa_build_block(struct sqa_context *c, struct sqa_tensor *x);
struct sqa_tensor *sqa_build_blocks(struct sqa_context *c, struct sqa_tensor *x);
/* Forward flops of the mixer of c->layer, of channel and norm, and of the block of c->layer when its residual is
 * postnorm; NaN where a part states none. */
double sqa_item_flops(const struct sqa_item *item, const struct sqa_context *c);
double sqa_block_flops(const struct sqa_context *c);
double sqa_blocks_flops(const struct sqa_context *c);

#endif
