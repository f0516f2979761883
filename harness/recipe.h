/*
 * recipe.h - which settings a protocol trains which model on which task with
 *
 * recipes/NAME.ini: sections are rows, read from top to bottom, the last match of a key wins:
 *
 *     [*]                          ; default of the file
 *     source = where these settings come from
 *     [model=^dlinear$ task=^etth1(:|$)]       ; PCRE2 searches in the short forms; either may be absent
 *     rate = 5e-3
 *     source = LTSF-Linear scripts/EXP-LongForecasting/Linear/etth1.sh
 *     [model=... task=...]
 *     frame.dim = 64               ; defaults for what the model text leaves open: parameters of the frame,
 *     mixer.window = 64            ; the mixer's own (a mixer that has none of that name is refused)
 *     slot.pool = cls              ; and items of slots
 *     search.rate = 3e-4 1e-3 3e-3 ; the training setting `rate` is the one of these that validates best:
 *     search.share = 0.25          ; each is tried once with this share of the steps,
 *     search.seed = 1000           ; and this seed (harness/search.h)
 */
#ifndef SQA_HARNESS_RECIPE_H
#define SQA_HARNESS_RECIPE_H

#include "base/param.h"
#include "engine/optim.h"

struct sqa_recipe {
    int64_t batch, steps, epochs; /* steps > 0 wins; else epochs of the training split */
    double rate, ssm_rate, decay, clip, beta1, beta2, eps, momentum;
    const char *optimizer; /* adamw|adam|sgd */
    const char *schedule;  /* constant|cosine|linear|step|lra|one_cycle|lra_cosine|inverse_sqrt */
    int64_t warmup;        /* steps */
    int64_t hold, every;   /* of schedule step, epochs */
    double step_decay;
    int64_t cycle_momentum;
    int64_t cycle;      /* of schedule lra_cosine, steps */
    int64_t first_step; /* what the schedule counts the first step as */
    int64_t decay_all;
    int64_t eval_every;    /* steps; 0: every epoch */
    int64_t eval_examples; /* of validation at most; 0: all */
    int64_t patience;      /* evaluations without a better validation loss; 0: no early stop */
    const char *select;    /* best_valid (accuracy, or loss in forecasting) | last */
    int64_t bucket;        /* batches are padded to a multiple of this */
    int64_t micro;         /* rows of a micro-batch; 0: the whole batch at once */
    const char *pad;       /* longest, sorted or full; see sqa_trainer_padding and docs/protocols.md */
    int64_t drop_last;     /* drop the last partial training batch (1: as the published loaders) */
    const char *source;    /* of the last row that matched */
    const char *file;      /* "lite": the recipe file; "generic" when no row matched */
    int64_t matched;
    const char *search;        /* setting to be searched, NULL: none; not among sqa_recipe_params, as the two below */
    const char *search_values; /* separated by blanks */
    double search_share;
    int64_t search_seed;
};
extern const struct sqa_param sqa_recipe_params[]; /* every field up to drop_last: --train, help, rows */

/* Reads recipes/SCALE.ini (looked for in $SEQARENA_RECIPES, beside the program, ./recipes) and resolves it for the
 * pair of short forms; then applies overrides ("rate=1e-3,batch=32,steps=500"; lr is an alias of rate). Texts live in
 * arena. frame_defaults receives "layers=2,dim=64,window=64+pool=cls" of the frame.*, mixer.* and slot.* keys that
 * matched ("" when none); sqa_recipe_model fills it into a model's text. */
enum sqa_status sqa_recipe_resolve(const char *scale, const char *model, const char *task, const char *overrides,
                                   struct sqa_arena *arena, struct sqa_recipe *r, const char **frame_defaults,
                                   struct sqa_err *err) SQA_MUST_CHECK;
/* Parses one file's bytes (fuzz target and `list recipes`): checks every section, pattern, key and value. */
enum sqa_status sqa_recipe_check(const char *name, const char *text, struct sqa_err *err) SQA_MUST_CHECK;
/* Path of recipes/SCALE.ini, or a USAGE error that lists what is there. */
enum sqa_status sqa_recipe_path(const char *scale, char path[4096], struct sqa_err *err) SQA_MUST_CHECK;
/* Appends the name of every recipe file, one a line, sorted. */
void sqa_recipe_list(struct sqa_text *out);
/* The text of a model with "name=value,...+slot=item" of defaults added where it leaves them open; NULL: no memory.
 */
const char *sqa_recipe_model(struct sqa_arena *arena, const char *spec, const char *defaults);
/* "batch=32;rate=0.001;..." of every setting, for the row and the key. */
void sqa_recipe_text(const struct sqa_recipe *r, struct sqa_text *out);
/* The n-th value of a search, counted from 0; NULL when there are no more. */
const char *sqa_recipe_value(const struct sqa_recipe *r, size_t n, char value[64]);
void sqa_recipe_optim(const struct sqa_recipe *r, struct sqa_optim *o);
void sqa_recipe_schedule(const struct sqa_recipe *r, int64_t steps_per_epoch, int64_t total, struct sqa_schedule *c);

#endif
