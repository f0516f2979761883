/* plan.c - see plan.h */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "harness/plan.h"

#include <stdio.h>
#include <string.h>

#include <pcre2.h>

#include "base/file.h"
#include "harness/search.h"
#include "harness/train.h"
#include "models/model.h"
#include "models/spec.h"
#include "tasks/task.h"

enum { CELLS_MAX = 100000 };
static const char f32[] = "f32";

enum sqa_status sqa_compute_parse(const char *where, const char *name, enum sqa_compute *c, struct sqa_err *err)
{
    *c = SQA_COMPUTE_F32;
    for (int i = 0; name && i <= SQA_COMPUTES; i++) {
        if (i == SQA_COMPUTES)
            return sqa_fail(err, SQA_USAGE, "%s: --dtype %.50s; give f32, bf16 or bf16-emulated", where, name);
        *c = (enum sqa_compute)i;
        if (strcmp(name, sqa_compute_name(*c)) == 0)
            break;
    }
    sqa_kernels_init();
    if (*c == SQA_COMPUTE_BF16 && sqa_bf16_missing())
        return sqa_fail(
            err, SQA_MACHINE,
            "%s: --dtype bf16 needs AMX or AVX512-BF16, and %s; use f32, or bf16-emulated, which gives the "
            "same numerics slowly",
            where, sqa_bf16_missing());
    return SQA_OK;
}

enum sqa_status sqa_pattern_compile(const char *what, const char *pattern, void **code, struct sqa_err *err)
{
    int number;
    PCRE2_SIZE at;
    *code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, 0, &number, &at, NULL);
    if (*code)
        return SQA_OK;
    PCRE2_UCHAR message[256];
    pcre2_get_error_message(number, message, sizeof message);
    return sqa_fail(err, SQA_USAGE, "%s '%.200s': %s at character %zu; correct the pattern (PCRE2 syntax)", what,
                    pattern, (const char *)message, (size_t)at + 1);
}

bool sqa_pattern_matches(void *code, const char *subject)
{
    pcre2_match_data *m = pcre2_match_data_create_from_pattern(code, NULL);
    const int n = m ? pcre2_match(code, (PCRE2_SPTR)subject, strlen(subject), 0, 0, m, NULL) : -1;
    pcre2_match_data_free(m);
    return n >= 0;
}

void sqa_pattern_free(void *code)
{
    pcre2_code_free(code);
}

struct names { /* texts of the models or tasks of a plan; by_pattern: not typed one by one */
    int n;
    const char *text[1024];
    int by_pattern[1024];
};

static void add_name(struct names *list, const char *text, int by_pattern)
{
    for (int i = 0; i < list->n; i++)
        if (strcmp(list->text[i], text) == 0)
            return;
    if (list->n < 1024) {
        list->by_pattern[list->n] = by_pattern;
        list->text[list->n++] = text;
    }
}

static bool is_preset(const struct sqa_variant *v)
{
    return v->slot == SQA_SLOT_MIXER || v->slot == SQA_SLOT_MODEL || v->slot == SQA_SLOT_FLOOR;
}

static enum sqa_status match_models(const char *pattern, struct names *out, struct sqa_err *err)
{
    void *code;
    const int before = out->n;
    const enum sqa_status status = sqa_pattern_compile("--models", pattern, &code, err);
    if (status != SQA_OK)
        return status;
    for (int i = 0; sqa_variants[i]; i++)
        if (is_preset(sqa_variants[i]) && sqa_pattern_matches(code, sqa_variants[i]->id))
            add_name(out, sqa_variants[i]->id, 1);
    sqa_pattern_free(code);
    if (out->n == before)
        return sqa_fail(err, SQA_USAGE, "--models '%.200s': matches no model; see seqarena list models", pattern);
    return SQA_OK;
}

static enum sqa_status match_tasks(const char *pattern, struct names *out, struct sqa_err *err)
{
    void *code;
    const int before = out->n;
    const enum sqa_status status = sqa_pattern_compile("--tasks", pattern, &code, err);
    if (status != SQA_OK)
        return status;
    for (int i = 0; sqa_tasks[i]; i++)
        if (sqa_pattern_matches(code, sqa_tasks[i]->id))
            add_name(out, sqa_tasks[i]->id, 1);
    sqa_pattern_free(code);
    if (out->n == before)
        return sqa_fail(err, SQA_USAGE, "--tasks '%.200s': matches no task; see seqarena list tasks", pattern);
    return SQA_OK;
}

static enum sqa_status no_memory(struct sqa_err *err)
{
    return sqa_fail(err, SQA_NOMEM, "plan: no memory; free some memory and run again");
}

enum sqa_status sqa_plan_add(struct sqa_run_plan *p, const struct sqa_cell *c, struct sqa_err *err)
{
    for (int i = 0; i < p->n; i++)
        if (strcmp(p->cells[i].key, c->key) == 0)
            return SQA_OK; /* the same cell asked for twice */
    if (p->n >= CELLS_MAX)
        return sqa_fail(err, SQA_USAGE, "plan: more than %d cells; select fewer models, tasks or seeds", CELLS_MAX);
    if (p->n == p->capacity) {
        const int capacity = p->capacity ? 2 * p->capacity : 64;
        struct sqa_cell *cells = sqa_arena_alloc(&p->arena, (size_t)capacity * sizeof *cells);
        if (!cells)
            return no_memory(err);
        if (p->n)
            memcpy(cells, p->cells, (size_t)p->n * sizeof *cells);
        p->cells = cells;
        p->capacity = capacity;
    }
    p->cells[p->n++] = *c;
    return SQA_OK;
}

bool sqa_plan_counts(const struct sqa_run_plan *p)
{
    return p->count && *p->count;
}

bool sqa_cell_is_trial(const struct sqa_cell *c)
{
    return c->trial && *c->trial;
}

bool sqa_cell_is_searched(const struct sqa_cell *c)
{
    return c->trials && *c->trials;
}

const char *sqa_cell_key(struct sqa_arena *arena, const struct sqa_cell *c)
{
    struct sqa_text t = {0};
    sqa_text_printf(&t, "%s|%s|%s|%lld|%lld|%s|%d", c->model_full, c->task_full, c->floor ? "" : c->recipe,
                    (long long)c->seed, (long long)c->length, c->scale, c->train_accuracy);
    if (strcmp(c->dtype, f32) != 0)
        sqa_text_printf(&t, "|%s", c->dtype);
    if (c->how && *c->how)
        sqa_text_printf(&t, "|%s", c->how);
    if (sqa_cell_is_trial(c))
        sqa_text_add(&t, "|trial");
    if (sqa_cell_is_searched(c))
        sqa_text_printf(&t, "|%s", c->trials);
    const char *key =
        t.failed ? NULL
                 : sqa_arena_printf(arena, "%016llx", (unsigned long long)sqa_hash(sqa_text_get(&t), t.length, 1));
    sqa_text_clear(&t);
    return key;
}

/* Fills the texts of a cell, adds its trials, and fills its key. by_pattern, or NULL: the task's sizes, as far as they
 * are known before it is opened: a model chosen by a pattern that does not take them is left out, *fits is false; a
 * typed one is tried and answers for itself. */
static enum sqa_status complete(struct sqa_run_plan *p, struct sqa_cell *c, const char *overrides,
                                const struct sqa_signature *by_pattern, bool *fits, struct sqa_err *err)
{
    struct sqa_model *m = NULL, *built = NULL;
    struct sqa_recipe r;
    const char *defaults;
    enum sqa_status status = sqa_model_parse(c->model, &m, err);
    if (status != SQA_OK)
        return status;
    const char *raw = c->model;
    const bool framed = sqa_spec_takes_frame(m->preset.variant);
    c->floor = sqa_model_is_floor(m);
    c->model = sqa_arena_strdup(&p->arena, m->short_form);
    sqa_model_free(m);
    if (!c->model)
        return no_memory(err);
    status = sqa_recipe_resolve(c->scale, c->model, c->task, overrides, &p->arena, &r, &defaults, err);
    if (status != SQA_OK)
        return status;
    if (c->step && framed) {
        const size_t n = strcspn(defaults, "+");
        defaults = sqa_arena_printf(&p->arena, "%.*s%scausal=1%s", (int)n, defaults, n ? "," : "", defaults + n);
    }
    c->model_text = defaults ? sqa_recipe_model(&p->arena, raw, framed ? defaults : "") : NULL;
    if (!c->model_text)
        return no_memory(err);
    status = sqa_model_parse(c->model_text, &built, err);
    if (status != SQA_OK)
        return status;
    *fits = !by_pattern || sqa_model_check(built, by_pattern, NULL) == SQA_OK;
    c->model_full = sqa_arena_strdup(&p->arena, built->full_form);
    sqa_model_free(built);
    if (!*fits)
        return SQA_OK;
    struct sqa_text t = {0};
    sqa_recipe_text(&r, &t);
    c->recipe = sqa_arena_strdup(&p->arena, sqa_text_get(&t));
    c->recipe_source = r.source ? r.source : "";
    const bool failed = t.failed || !c->model_full || !c->recipe;
    sqa_text_clear(&t);
    if (!failed && r.search && c->train_accuracy && !c->floor) {
        status = sqa_search_plan(p, c, &r, err);
        if (status != SQA_OK)
            return status;
    }
    c->key = failed ? NULL : sqa_cell_key(&p->arena, c);
    return c->key ? SQA_OK : no_memory(err);
}

static bool has_step(const char *model)
{
    struct sqa_model *m;
    if (sqa_model_parse(model, &m, NULL) != SQA_OK)
        return true; /* a registered id fails only for lack of memory, which making the cell will tell */
    const bool has = m->preset.variant->step != NULL;
    sqa_model_free(m);
    return has;
}

/* Whether the model is a floor that the task does not name */
static bool foreign_floor(const char *model, const struct sqa_task *task)
{
    struct sqa_model *m;
    if (sqa_model_parse(model, &m, NULL) != SQA_OK)
        return false; /* as in has_step */
    bool foreign = sqa_model_is_floor(m);
    for (const char *const *f = task->floors; foreign && f && *f; f++)
        foreign = strcmp(*f, m->preset.variant->id) != 0;
    sqa_model_free(m);
    return foreign;
}

/* Sizes that a task does not know before it is opened are supposed. */
static enum sqa_status supposed(const char *task, struct sqa_arena *arena, struct sqa_signature *s,
                                struct sqa_err *err)
{
    struct sqa_dataset ds = {.vocab = 32,
                             .classes = 10,
                             .length = 512,
                             .channels = 7,
                             .outputs = 7,
                             .horizon = 24,
                             .season = 24,
                             .marks = 4};
    const enum sqa_status status = sqa_task_sizes(task, arena, &ds, err);
    if (status != SQA_OK)
        return status;
    if (ds.task->kind == SQA_FORECAST)
        ds.vocab = 0;
    sqa_signature_of(&ds, s);
    return SQA_OK;
}

static enum sqa_status cells_of_pair(struct sqa_run_plan *p, const struct sqa_selection *s, int bench,
                                     const struct sqa_signature *by_pattern, struct sqa_cell c, const char *overrides,
                                     struct sqa_err *err)
{
    struct sqa_model *m;
    enum sqa_status status = sqa_model_parse(c.model, &m, err);
    if (status != SQA_OK)
        return status;
    const bool floor = sqa_model_is_floor(m);
    sqa_model_free(m);
    if (floor && bench)
        return SQA_OK;
    const int64_t seeds = floor || bench ? 1 : s->seeds > 0 ? s->seeds : 1;
    for (int64_t i = 0; i < seeds && status == SQA_OK; i++) {
        struct sqa_cell cell = c;
        bool fits = true;
        cell.seed = s->seed + i;
        cell.dtype = floor || !s->dtype ? f32 : s->dtype;
        status = complete(p, &cell, overrides, by_pattern, &fits, err);
        if (status == SQA_OK && fits)
            status = sqa_plan_add(p, &cell, err);
        else if (status == SQA_OK)
            p->left_out++;
    }
    return status;
}

/* Floors of the task and, when a mixer is compared, the control mixers, so that no table stands without them. */
static void add_baselines(struct names *models, const struct sqa_task *task)
{
    bool mixer = false;
    for (int i = 0; i < models->n; i++) {
        struct sqa_model *m;
        if (sqa_model_parse(models->text[i], &m, NULL) == SQA_OK) {
            mixer = mixer || m->preset.variant->slot == SQA_SLOT_MIXER;
            sqa_model_free(m);
        }
    }
    for (const char *const *f = task->floors; f && *f; f++)
        add_name(models, *f, 1);
    for (int i = 0; mixer && task->kind != SQA_FORECAST && task->floors && task->floors[0] && sqa_variants[i]; i++)
        if (sqa_variants[i]->slot == SQA_SLOT_MIXER && sqa_variants[i]->traits & SQA_TRAIT_CONTROL)
            add_name(models, sqa_variants[i]->id, 1);
}

/* "4K", or "1K..64K": each the double of the one before, all at most `most`. False when it is neither. */
static int add_sizes(const char *item, int64_t most, int64_t *sizes, int *n)
{
    const char *dots = strstr(item, "..");
    char first[32];
    int64_t from, to;
    snprintf(first, sizeof first, "%.*s", dots ? (int)(dots - item) : 31, item);
    if (!sqa_parse_int(first, &from) || (dots && !sqa_parse_int(dots + 2, &to)))
        return 0;
    to = dots ? to : from;
    if (from < 1 || to < from || to > most)
        return 0;
    for (int64_t at = from; at <= to; at *= 2) {
        if (*n == SQA_SIZES_MAX)
            return 0;
        sizes[(*n)++] = at;
    }
    return 1;
}

enum sqa_status sqa_sizes_parse(const char *option, const char *what, const char *example, int64_t most,
                                const struct sqa_texts *list, int64_t sizes[SQA_SIZES_MAX], int *n,
                                struct sqa_err *err)
{
    *n = 0;
    for (int i = 0; i < list->n; i++) {
        for (const char *s = list->at[i]; *s;) {
            char item[32];
            const size_t k = strcspn(s, ",");
            snprintf(item, sizeof item, "%.*s", (int)(k < 31 ? k : 31), s);
            if (!add_sizes(item, most, sizes, n))
                return sqa_fail(err, SQA_USAGE, "%s %.100s: '%s' is no %s; give a list such as %s", option,
                                list->at[i], item, what, example);
            s += k + (s[k] == ',');
        }
    }
    return SQA_OK;
}

/* What makes another cell of one that is otherwise the same; NULL without memory. */
static const char *how_of(struct sqa_run_plan *p)
{
    const char *how = sqa_plan_counts(p) ? "count" : p->cache && strcmp(p->cache, "cold") == 0 ? "cold" : "";
    return p->bind && *p->bind ? sqa_arena_printf(&p->arena, "%s|bind=%s", how, p->bind) : how;
}

static enum sqa_status cells_of_task(struct sqa_run_plan *p, const struct sqa_selection *s, int bench,
                                     const struct names *chosen, const char *task_text, int64_t length,
                                     const char *overrides, struct sqa_err *err)
{
    struct names models = *chosen;
    const struct sqa_task *task;
    struct sqa_cell c = {.scale = s->scale,
                         .threads = s->threads,
                         .length = length,
                         .train = 1,
                         .infer = 1,
                         .step = s->step,
                         .train_accuracy = !bench,
                         .how = how_of(p),
                         .seed = s->seed};
    struct sqa_signature sizes;
    enum sqa_status status = c.how ? SQA_OK : no_memory(err);
    if (status == SQA_OK)
        status = sqa_task_canonical(task_text, &p->arena, &task, &c.task, &c.task_full, err);
    if (status == SQA_OK)
        status = supposed(task_text, &p->arena, &sizes, err);
    if (status != SQA_OK)
        return status;
    if (!bench)
        add_baselines(&models, task);
    for (int i = 0; i < models.n && status == SQA_OK; i++) {
        const int by_pattern = models.by_pattern[i];
        if (by_pattern && (foreign_floor(models.text[i], task) || (s->step && !has_step(models.text[i]))))
            continue;
        c.model = models.text[i];
        status = cells_of_pair(p, s, bench, by_pattern ? &sizes : NULL, c, overrides, err);
    }
    return status;
}

/* What `run` takes on forecasts when no model is named; the naive floors come with every task. */
static const char *const forecasters[] = {"linear",       "nlinear", "dlinear", "patchtst",
                                          "itransformer", "tsmixer", "tide",    "lstm"};

/* Adds them when every task is a forecast. */
static enum sqa_status add_forecasters(struct sqa_run_plan *p, const struct names *tasks, struct names *models,
                                       struct sqa_err *err)
{
    for (int i = 0; i < tasks->n; i++) {
        const struct sqa_task *task;
        const char *brief, *full;
        const enum sqa_status status = sqa_task_canonical(tasks->text[i], &p->arena, &task, &brief, &full, err);
        if (status != SQA_OK || task->kind != SQA_FORECAST)
            return status;
    }
    for (size_t i = 0; tasks->n && i < sizeof forecasters / sizeof forecasters[0]; i++)
        add_name(models, forecasters[i], 1);
    return SQA_OK;
}

/* Without lengths: the task's own, or 1024 random tokens. */
static enum sqa_status cells_of_lengths(struct sqa_run_plan *p, const struct sqa_selection *s, int bench,
                                        const struct names *models, const struct names *tasks, const int64_t *lengths,
                                        int nlengths, const char *overrides, struct sqa_err *err)
{
    enum sqa_status status = SQA_OK;
    for (int i = 0; i < (nlengths ? nlengths : 1) && tasks->n == 0 && status == SQA_OK; i++) {
        const char *task =
            sqa_arena_printf(&p->arena, "random:length=%lld", (long long)(nlengths ? lengths[i] : 1024));
        status = task ? cells_of_task(p, s, bench, models, task, 0, overrides, err) : no_memory(err);
    }
    for (int k = 0; k < tasks->n; k++)
        for (int i = 0; i < (nlengths ? nlengths : 1) && status == SQA_OK; i++)
            status = cells_of_task(p, s, bench, models, tasks->text[k], lengths[i], overrides, err);
    return status;
}

/* batch 0: the recipe's, or 1 where only steps are timed */
static const char *join_overrides(struct sqa_run_plan *p, const struct sqa_selection *s, int64_t batch)
{
    batch = batch > 0 ? batch : s->step_alone;
    if (batch <= 0)
        return s->train ? s->train : "";
    return sqa_arena_printf(&p->arena, "%s%sbatch=%lld", s->train ? s->train : "", s->train && *s->train ? "," : "",
                            (long long)batch);
}

enum sqa_status sqa_plan_set_hash(struct sqa_run_plan *p, uint64_t kind, struct sqa_err *err)
{
    uint64_t hash = kind;
    for (int i = 0; i < p->n; i++)
        hash = sqa_hash(p->cells[i].key, strlen(p->cells[i].key), hash);
    if (p->recompute && *p->recompute)
        hash = sqa_hash(p->recompute, strlen(p->recompute), hash);
    p->hash = sqa_arena_printf(&p->arena, "%016llx", (unsigned long long)hash);
    return p->hash ? SQA_OK : no_memory(err);
}

enum sqa_status sqa_plan_cells(struct sqa_run_plan *p, const struct sqa_selection *s, int bench, struct sqa_err *err)
{
    struct names *models = sqa_arena_alloc(&p->arena, sizeof *models),
                 *tasks = sqa_arena_alloc(&p->arena, sizeof *tasks);
    int64_t lengths[SQA_SIZES_MAX] = {0}, batches[SQA_SIZES_MAX] = {s->batch};
    int nlengths = 0, nbatches = 0;
    enum sqa_compute compute;
    enum sqa_status status = sqa_compute_parse(bench ? "bench" : "run", s->dtype, &compute, err);
    if (status != SQA_OK)
        return status;
    if (!models || !tasks)
        return no_memory(err);
    for (int i = 0; i < s->models.n; i++)
        add_name(models, s->models.at[i], 0);
    for (int i = 0; i < s->tasks.n; i++)
        add_name(tasks, s->tasks.at[i], 0);
    if (s->models_pattern)
        status = match_models(s->models_pattern, models, err);
    if (status == SQA_OK && s->tasks_pattern)
        status = match_tasks(s->tasks_pattern, tasks, err);
    if (status == SQA_OK)
        status = sqa_sizes_parse("--lengths", "length", "1K,2K,4K, or 1K..64K", SQA_LENGTH_MOST, &s->lengths, lengths,
                                 &nlengths, err);
    if (status == SQA_OK)
        status =
            sqa_sizes_parse("--batches", "batch", "1,2,4, or 1..64", 65536, &s->batches, batches, &nbatches, err);
    if (status == SQA_OK && models->n == 0 && !bench)
        status = add_forecasters(p, tasks, models, err);
    if (status != SQA_OK)
        return status;
    if (models->n == 0)
        return sqa_fail(err, SQA_USAGE,
                        "%s: no model selected; give --model NAME or --models PATTERN (seqarena list models)",
                        bench ? "bench" : "run");
    if (tasks->n == 0 && !bench)
        return sqa_fail(err, SQA_USAGE,
                        "run: no task selected; give --task NAME or --tasks PATTERN (seqarena list tasks)");
    for (int b = 0; b < (nbatches ? nbatches : 1) && status == SQA_OK; b++) {
        const char *overrides = join_overrides(p, s, batches[b]);
        status = overrides ? cells_of_lengths(p, s, bench, models, tasks, lengths, nlengths, overrides, err)
                           : no_memory(err);
    }
    if (status != SQA_OK)
        return status;
    if (p->n == 0)
        return sqa_fail(err, SQA_USAGE, "%s: no model of the selection suits the task; see seqarena describe TASK",
                        bench ? "bench" : "run");
    return sqa_plan_set_hash(p, bench ? 2 : 1, err);
}

void sqa_run_plan_clear(struct sqa_run_plan *p)
{
    sqa_arena_clear(&p->arena);
    *p = (struct sqa_run_plan){0};
}

struct sqa_cell *sqa_plan_find(const struct sqa_run_plan *p, const char *key)
{
    for (int i = 0; i < p->n; i++)
        if (strcmp(p->cells[i].key, key) == 0)
            return &p->cells[i];
    return NULL;
}
