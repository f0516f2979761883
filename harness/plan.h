/*
 * plan.h - a run as data: models x tasks x seeds, each element a cell with a stable key
 *
 * The plan stands in run.json, which is written first; children and a later resume read it from there, so what a cell
 * is does not depend on recipe files or options that changed since.
 */
#ifndef SQA_HARNESS_PLAN_H
#define SQA_HARNESS_PLAN_H

#include <jansson.h>

#include "harness/options.h"
#include "harness/recipe.h"

struct sqa_cell {
    const char *key;        /* 16 hex digits */
    const char *model;      /* short form: names the cell */
    const char *model_text; /* what is built: the recipe's frame defaults filled in */
    const char *model_full, *task, *task_full;
    const char *scale, *recipe, *recipe_source, *frame_source;
    const char *dtype;             /* compute type: f32, bf16 or bf16-emulated; floors have f32 */
    int64_t seed, threads, length; /* length 0: the task's */
    int floor;
    int train, infer, step; /* phases to be measured; train: also trained when steps > 0 */
    int train_accuracy;     /* run: train and test; bench: only time */
    const char
        *how; /* "cold", "count", "|bind=...", which make another cell of it; else "" or NULL; only in the key */
    const char *trial, *trials; /* see search.h: "rate=0.001" of a trial; its trials' keys; else "" or NULL */
};

struct sqa_run_plan {
    struct sqa_arena arena;
    const char *verb;      /* run or bench */
    const char *hash;      /* over the keys and settings */
    int64_t rounds;        /* of measurement; 0: none */
    double turn_ms;        /* time of one turn */
    double budget, memory; /* seconds and bytes a cell; 0: none */
    double checkpoint;     /* seconds between checkpoints */
    int64_t jobs;          /* cells trained at the same time */
    int examples, profile, keep_weights;
    int single_steps; /* a sample is one step, however short */
    const char *counters, *data_dir;
    const char *bind;      /* where threads run (measure/place.h); "" or NULL: anywhere */
    int64_t order_seed;    /* of the order in which rounds time the cells; drawn anew for every command */
    const char *cache;     /* "" or "warm"; "cold": the caches are emptied before every sample */
    const char *count;     /* "": time; else "valgrind-3.19.0": instructions of a step are counted instead */
    const char *recompute; /* cheap, off or blocks (engine/graph.h); "" is cheap */
    int left_out;          /* cells of models chosen by a pattern that do not take the task; not in run.json */
    int n, capacity;
    struct sqa_cell *cells;
};

/* What bench takes when nothing else is said. */
enum { SQA_BENCH_ROUNDS = 10, SQA_BENCH_TURN_MS = 100, SQA_SIZES_MAX = 64, SQA_LENGTH_MOST = 1 << 24 };

/* A list of sizes such as "1K,2K,4K" or "1K..64K", which doubles; what ("length") and example stand in messages of option
 * ("--lengths"). USAGE for what is none, above most, or more than SQA_SIZES_MAX. */
enum sqa_status sqa_sizes_parse(const char *option, const char *what, const char *example, int64_t most,
                                const struct sqa_texts *list, int64_t sizes[SQA_SIZES_MAX], int *n,
                                struct sqa_err *err) SQA_MUST_CHECK;

struct sqa_selection { /* options shared by run and bench */
    struct sqa_texts models, tasks;
    const char *models_pattern, *tasks_pattern;
    const char *scale, *train, *dtype; /* dtype NULL: f32 */
    struct sqa_texts lengths, batches; /* batches: instead of batch */
    int64_t seeds, seed, batch, threads;
    int step,
        step_alone; /* step forms are measured (causal=1 is filled in), and nothing else (batch 1 is the default) */
};

/* Fills p->cells. `run` on forecasts alone takes a set of its own when no model is named. USAGE when nothing is selected or a pattern, model, task or scale is unknown. */
enum sqa_status sqa_plan_cells(struct sqa_run_plan *p, const struct sqa_selection *s, int bench,
                               struct sqa_err *err) SQA_MUST_CHECK;
/* For plans made otherwise (score): the key of a cell whose texts are filled in (NULL: no memory); adds a cell unless
 * its key is there; sets p->hash, kind keeps plans of different verbs apart. */
const char *sqa_cell_key(struct sqa_arena *arena, const struct sqa_cell *c);
bool sqa_plan_counts(const struct sqa_run_plan *p); /* instructions, not time */
bool sqa_cell_is_trial(const struct sqa_cell *c);
bool sqa_cell_is_searched(const struct sqa_cell *c); /* its recipe waits for trials, sqa_search_settle */
enum sqa_status sqa_plan_add(struct sqa_run_plan *p, const struct sqa_cell *c, struct sqa_err *err) SQA_MUST_CHECK;
enum sqa_status sqa_plan_set_hash(struct sqa_run_plan *p, uint64_t kind, struct sqa_err *err) SQA_MUST_CHECK;
/* The plan as the member "plan" of run.json, and back. */
json_t *sqa_plan_json(const struct sqa_run_plan *p);
enum sqa_status sqa_plan_read(const char *dir, struct sqa_run_plan *p, json_t **document,
                              struct sqa_err *err) SQA_MUST_CHECK;
void sqa_run_plan_clear(struct sqa_run_plan *p);
struct sqa_cell *sqa_plan_find(const struct sqa_run_plan *p, const char *key);
/* Compute type of that name; NULL is f32. USAGE when there is none of that name, MACHINE when this processor cannot.
 */
enum sqa_status sqa_compute_parse(const char *where, const char *name, enum sqa_compute *c,
                                  struct sqa_err *err) SQA_MUST_CHECK;
/* Recipe of a cell from its recorded text. */
enum sqa_status sqa_cell_recipe(const struct sqa_cell *c, struct sqa_arena *arena, struct sqa_recipe *r,
                                struct sqa_err *err) SQA_MUST_CHECK;

/* PCRE2 search; USAGE with PCRE2's message and the place when the pattern does not compile. */
enum sqa_status sqa_pattern_compile(const char *what, const char *pattern, void **code,
                                    struct sqa_err *err) SQA_MUST_CHECK;
bool sqa_pattern_matches(void *code, const char *subject);
void sqa_pattern_free(void *code);

#endif
