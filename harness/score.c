/* score.c - see score.h */
#include "harness/score.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "harness/cell.h"
#include "harness/export_data.h"
#include "harness/external.h"
#include "harness/predictions.h"
#include "harness/rundir.h"
#include "models/model.h"
#include "results/schema.h"

enum { PLAN_KIND = 3 };
static const char external[] = "external";

struct scored { /* one pair */
    struct sqa_external stated;
    struct sqa_scores scores;
    struct sqa_example_rows examples;
    const char *key;
};

struct scoring {
    const struct sqa_score_options *o;
    enum sqa_split split;
    struct sqa_dataset *ds;
    struct sqa_run_plan plan;
    struct scored *scored;
};

static enum sqa_status no_memory(struct sqa_err *err)
{
    return sqa_fail(err, SQA_NOMEM, "score: no memory; free some memory and run again");
}

/* What the statement says of the data must be what they are scored against. */
static enum sqa_status check_statement(const struct scoring *s, const char *path, const struct sqa_external *x,
                                       struct sqa_err *err)
{
    const char *hash = s->ds->split_hash[s->split], *split = sqa_split_keys[s->split];
    if (x->task && strcmp(x->task, s->ds->spec) != 0 && strcmp(x->task, s->ds->full_spec) != 0)
        return sqa_fail(err, SQA_INPUT, "%s: says task %.300s, scored is %.300s; give the task of the predictions",
                        path, x->task, s->ds->spec);
    if (x->split_hash && strcmp(x->split_hash, hash) != 0)
        return sqa_fail(
            err, SQA_INPUT,
            "%s: says split_hash %.40s, %s of %.300s is %s: other examples; export them again and predict "
            "those",
            path, x->split_hash, split, s->ds->spec, hash);
    return SQA_OK;
}

/* A seed that is not stated is the place among the pairs of that name. */
static enum sqa_status set_seed(struct scoring *s, int at, struct sqa_err *err)
{
    struct sqa_external *x = &s->scored[at].stated;
    int64_t place = 1;
    for (int i = 0; i < at; i++)
        place += strcmp(s->scored[i].stated.name, x->name) == 0;
    x->seed = x->seed < 0 ? place : x->seed;
    for (int i = 0; i < at; i++)
        if (strcmp(s->scored[i].stated.name, x->name) == 0 && s->scored[i].stated.seed == x->seed)
            return sqa_fail(err, SQA_INPUT, "%s: seed %lld of '%s' is given twice; give each training its own seed",
                            s->o->metas.at[at], (long long)x->seed, x->name);
    return SQA_OK;
}

/* A key that changes with the predictions and with what is stated of them. */
static enum sqa_status set_key(struct scoring *s, int at, struct sqa_err *err)
{
    char pred[65], meta[65];
    struct scored *x = &s->scored[at];
    struct sqa_text t = {0};
    enum sqa_status status = sqa_file_sha256(s->o->preds.at[at], pred, err);
    if (status == SQA_OK)
        status = sqa_file_sha256(s->o->metas.at[at], meta, err);
    if (status != SQA_OK)
        return status;
    sqa_text_printf(&t, "%s|%s|%s|%s|%lld|%d|%s|%s", external, x->stated.name, s->ds->full_spec, s->o->scale,
                    (long long)x->stated.seed, (int)s->split, pred, meta);
    if (!t.failed)
        x->key = sqa_arena_printf(&s->plan.arena, "%016llx",
                                  (unsigned long long)sqa_hash(sqa_text_get(&t), t.length, PLAN_KIND));
    sqa_text_clear(&t);
    x->examples.key = x->key;
    return x->key ? SQA_OK : no_memory(err);
}

static enum sqa_status score_pair(struct scoring *s, int at, struct sqa_err *err)
{
    struct scored *x = &s->scored[at];
    const char *meta = s->o->metas.at[at];
    enum sqa_status status = sqa_external_read(meta, &s->plan.arena, &x->stated, err);
    if (status == SQA_OK)
        status = check_statement(s, meta, &x->stated, err);
    if (status == SQA_OK)
        status = set_seed(s, at, err);
    if (status == SQA_OK)
        status = set_key(s, at, err);
    if (status == SQA_OK)
        status = sqa_predictions_score(s->ds, s->split, s->o->preds.at[at], sqa_cell_add_example, &x->examples,
                                       &x->scores, err);
    return status == SQA_OK && x->examples.text.failed ? no_memory(err) : status;
}

/* The plan */

static enum sqa_status add_floor(struct scoring *s, const char *id, struct sqa_err *err)
{
    struct sqa_model *m;
    enum sqa_status status = sqa_model_parse(id, &m, err);
    if (status != SQA_OK)
        return status;
    struct sqa_arena *arena = &s->plan.arena;
    struct sqa_cell c = {.model = sqa_arena_strdup(arena, m->short_form),
                         .model_full = sqa_arena_strdup(arena, m->full_form),
                         .model_text = id,
                         .task = s->ds->spec,
                         .task_full = s->ds->full_spec,
                         .scale = s->o->scale,
                         .recipe = "",
                         .recipe_source = "",
                         .dtype = "f32",
                         .seed = 1,
                         .threads = 1,
                         .floor = 1,
                         .train_accuracy = 1};
    sqa_model_free(m);
    c.key = c.model && c.model_full ? sqa_cell_key(arena, &c) : NULL;
    return c.key ? sqa_plan_add(&s->plan, &c, err) : no_memory(err);
}

static enum sqa_status make_plan(struct scoring *s, struct sqa_err *err)
{
    enum sqa_status status = SQA_OK;
    for (const char *const *f = s->ds->task->floors; f && *f && status == SQA_OK; f++)
        status = add_floor(s, *f, err);
    for (int i = 0; i < s->o->preds.n && status == SQA_OK; i++) {
        const struct sqa_external *x = &s->scored[i].stated;
        const struct sqa_cell c = {.key = s->scored[i].key,
                                   .model = x->name,
                                   .model_full = x->name,
                                   .model_text = x->name,
                                   .task = s->ds->spec,
                                   .task_full = s->ds->full_spec,
                                   .scale = s->o->scale,
                                   .recipe = x->recipe ? x->recipe : "",
                                   .recipe_source = x->source ? x->source : "",
                                   .dtype = "",
                                   .seed = x->seed,
                                   .train_accuracy = 1};
        status = sqa_plan_add(&s->plan, &c, err);
    }
    return status == SQA_OK ? sqa_plan_set_hash(&s->plan, PLAN_KIND, err) : status;
}

/* Rows */

static void put_note(json_t *o, const struct scoring *s, const struct sqa_external *x)
{
    struct sqa_text t = {0};
    if (s->ds->note && *s->ds->note)
        sqa_text_printf(&t, "%s; ", s->ds->note);
    sqa_text_printf(&t, "scored from predictions, cost as its user states it%s",
                    x->split_hash ? "" : "; no split_hash was given to check the examples by");
    const char *const more[][2] = {{"framework", x->framework}, {"hardware", x->hardware}, {"notes", x->notes}};
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++)
        if (more[i][1])
            sqa_text_printf(&t, "; %s: %s", more[i][0], more[i][1]);
    sqa_cell_set_text(o, SQA_CELLS_note, sqa_text_get(&t));
    sqa_text_clear(&t);
}

static void put_common(json_t *o, const struct scoring *s, const struct sqa_external *x)
{
    sqa_cell_set_text(o, SQA_CELLS_origin, external);
    sqa_cell_set_number(o, SQA_CELLS_params, x->params);
    sqa_cell_set_number(o, SQA_CELLS_length, (double)s->ds->length);
    sqa_cell_set_text(o, SQA_CELLS_test_hash, s->ds->split_hash[SQA_TEST]);
    if (s->ds->horizon > 0)
        sqa_cell_set_number(o, SQA_CELLS_horizon, (double)s->ds->horizon);
    put_note(o, s, x);
}

/* The stated cost of inference is a row of its own, as that of a measured model is. */
static enum sqa_status write_cost(const struct scoring *s, const struct sqa_child *c, const struct sqa_external *x,
                                  struct sqa_err *err)
{
    if (isnan(x->flops) && isnan(x->latency_ns) && isnan(x->memory_bytes))
        return SQA_OK;
    json_t *o = json_object();
    put_common(o, s, x);
    sqa_cell_set_number(o, SQA_CELLS_batch, x->batch);
    sqa_cell_set_number(o, SQA_CELLS_flops, x->flops);
    sqa_cell_set_number(o, SQA_CELLS_latency_ns_median, x->latency_ns);
    sqa_cell_set_number(o, SQA_CELLS_mem_peak_rss_bytes, x->memory_bytes);
    const enum sqa_status status = sqa_cell_save(c, "measure-infer.json", o, NULL, NULL, NULL, err);
    json_decref(o);
    return status;
}

static enum sqa_status write_pair(const struct scoring *s, const char *dir, int at, struct sqa_err *err)
{
    const struct sqa_scores none = sqa_no_scores;
    const struct scored *x = &s->scored[at];
    const struct sqa_child c = {.dir = dir, .plan = &s->plan, .cell = sqa_plan_find(&s->plan, x->key)};
    char path[4096];
    snprintf(path, sizeof path, "%.3900s/parts/%s/cells.csv", dir, x->key);
    if (sqa_file_exists(path))
        return SQA_OK;
    snprintf(path, sizeof path, "%.3900s/parts/%s.part", dir, x->key);
    enum sqa_status status = sqa_make_dirs(path, err);
    if (status != SQA_OK)
        return status;
    const bool test = s->split == SQA_TEST;
    const long failures = sqa_alloc_failures();
    json_t *o = json_object();
    put_common(o, s, &x->stated);
    sqa_cell_set_number(o, SQA_CELLS_train_seconds, x->stated.train_seconds);
    sqa_cell_set_number(o, SQA_CELLS_steps, x->stated.steps);
    status = write_cost(s, &c, &x->stated, err);
    if (status == SQA_OK)
        status = sqa_cell_save(&c, "trained.json", o, test ? &none : &x->scores, test ? &x->scores : &none,
                               test ? &x->examples : NULL, err);
    json_decref(o);
    if (status == SQA_OK && sqa_alloc_failures() > failures)
        status = no_memory(err);
    return status == SQA_OK ? sqa_cell_finish(dir, &s->plan, c.cell, "ok", "", err) : status;
}

static void say(const struct scoring *s)
{
    for (int i = 0; i < s->o->preds.n; i++) {
        const struct scored *x = &s->scored[i];
        printf("%s, seed %lld, %lld %s examples:", x->stated.name, (long long)x->stated.seed, (long long)x->scores.n,
               sqa_split_keys[s->split]);
        if (s->ds->task->kind == SQA_FORECAST)
            printf(" MSE %.4f, MAE %.4f\n", x->scores.mse, x->scores.mae);
        else if (isnan(x->scores.loss))
            printf(" accuracy %.2f %%\n", 100 * x->scores.accuracy);
        else
            printf(" accuracy %.2f %%, loss %.4f\n", 100 * x->scores.accuracy, x->scores.loss);
    }
}

/* Writes run.json and the parts of the pairs, then lets the driver run the floors in the same directory. */
static enum sqa_status write_run(struct scoring *s, const struct sqa_drive_options *drive, struct sqa_err *err)
{
    struct sqa_rundir d;
    struct sqa_drive_options rest = *drive;
    enum sqa_status status = sqa_rundir_open(&d, &s->plan, drive, err);
    for (int i = 0; i < s->o->preds.n && status == SQA_OK; i++)
        status = write_pair(s, d.path, i, err);
    sqa_rundir_close(&d);
    if (status != SQA_OK)
        return status;
    if (!drive->quiet)
        say(s);
    fflush(stdout); /* before the driver forks */
    rest.dir = d.path;
    return sqa_drive(&s->plan, &rest, err);
}

enum sqa_status sqa_score(const struct sqa_score_options *o, const struct sqa_drive_options *drive,
                          struct sqa_err *err)
{
    const struct sqa_task_env env = {.data_dir = o->data_dir};
    struct scoring s = {
        .o = o,
        .split = strcmp(o->split, "valid") == 0 ? SQA_VALID : SQA_TEST,
        .plan = {
            .verb = "score", .checkpoint = 20, .jobs = 1, .examples = 1, .counters = "", .data_dir = o->data_dir}};
    enum sqa_status status = sqa_dataset_open(o->task, &env, &s.ds, err);
    if (status != SQA_OK)
        return status;
    s.scored = sqa_alloc_array((size_t)o->preds.n + 1, sizeof *s.scored);
    if (!s.scored)
        status = no_memory(err);
    for (int i = 0; i < o->preds.n && status == SQA_OK; i++)
        status = score_pair(&s, i, err);
    if (status == SQA_OK)
        status = make_plan(&s, err);
    if (status == SQA_OK)
        status = write_run(&s, drive, err);
    for (int i = 0; i < o->preds.n && s.scored; i++)
        sqa_text_clear(&s.scored[i].examples.text);
    sqa_free(s.scored);
    sqa_run_plan_clear(&s.plan);
    sqa_dataset_close(s.ds);
    return status;
}
