/* search.c - see search.h */
#include "harness/search.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/csv.h"
#include "base/file.h"
#include "results/schema.h"

enum { KEY_SIZE = 17 }; /* 16 digits and a blank, or the end */

static enum sqa_status no_memory(struct sqa_err *err)
{
    return sqa_fail(err, SQA_NOMEM, "search: no memory; free some memory and run again");
}

static const char *recipe_text(struct sqa_arena *arena, const struct sqa_recipe *r)
{
    struct sqa_text t = {0};
    sqa_recipe_text(r, &t);
    const char *copy = t.failed ? NULL : sqa_arena_strdup(arena, sqa_text_get(&t));
    sqa_text_clear(&t);
    return copy;
}

static int64_t part_of(int64_t n, double share)
{
    return (int64_t)ceil((double)n * share);
}

enum sqa_status sqa_search_plan(struct sqa_run_plan *p, struct sqa_cell *c, const struct sqa_recipe *r,
                                struct sqa_err *err)
{
    char value[64];
    struct sqa_text keys = {0};
    enum sqa_status status = SQA_OK;
    for (size_t i = 0; status == SQA_OK && sqa_recipe_value(r, i, value); i++) {
        struct sqa_recipe tried = *r;
        struct sqa_cell trial = *c;
        tried.steps = part_of(r->steps, r->search_share);
        tried.epochs = part_of(r->epochs, r->search_share);
        tried.warmup = part_of(r->warmup, r->search_share);
        tried.cycle = part_of(r->cycle, r->search_share);
        status = sqa_params_set("search", sqa_recipe_params, &tried, r->search, value, &p->arena, err);
        trial.seed = r->search_seed;
        trial.train = trial.infer = 0;
        trial.trial = sqa_arena_printf(&p->arena, "%s=%s", r->search, value);
        trial.recipe = recipe_text(&p->arena, &tried);
        trial.key = trial.trial && trial.recipe ? sqa_cell_key(&p->arena, &trial) : NULL;
        if (status == SQA_OK)
            status = trial.key ? sqa_plan_add(p, &trial, err) : no_memory(err);
        sqa_text_printf(&keys, "%s%s", i ? " " : "", trial.key ? trial.key : "");
    }
    c->trials = keys.failed ? NULL : sqa_arena_strdup(&p->arena, sqa_text_get(&keys));
    sqa_text_clear(&keys);
    return status == SQA_OK && !c->trials ? no_memory(err) : status;
}

size_t sqa_search_trials(const struct sqa_cell *c)
{
    return sqa_cell_is_searched(c) ? (strlen(c->trials) + 1) / KEY_SIZE : 0;
}

/* How a trial ended. */
struct ended {
    char status[32], message[600];
    double accuracy, loss, mse;
};

static const char *field(const struct sqa_sheet *s, int column)
{
    const int at = sqa_sheet_column(s, sqa_schemas[SQA_FILE_CELLS].columns[column].name);
    return at < 0 || s->nrow == 0 ? "" : s->row[0][at];
}

static double number(const struct sqa_sheet *s, int column)
{
    double v;
    return sqa_parse_real(field(s, column), &v) ? v : (double)NAN;
}

static enum sqa_status read_trial(const char *dir, const char *key, struct ended *e, struct sqa_err *err)
{
    char path[4096];
    struct sqa_sheet s;
    snprintf(path, sizeof path, "%s/parts/%s/cells.csv", dir, key);
    if (!sqa_file_exists(path))
        return sqa_fail(err, SQA_MACHINE, "search: the trial %s has not ended; run the same command to go on", key);
    const enum sqa_status status = sqa_sheet_read(path, &s, err);
    if (status != SQA_OK)
        return status;
    snprintf(e->status, sizeof e->status, "%s", field(&s, SQA_CELLS_status));
    snprintf(e->message, sizeof e->message, "%s", field(&s, SQA_CELLS_message));
    e->accuracy = number(&s, SQA_CELLS_valid_accuracy);
    e->loss = number(&s, SQA_CELLS_valid_loss);
    e->mse = number(&s, SQA_CELLS_valid_mse);
    sqa_sheet_clear(&s);
    return SQA_OK;
}

static bool better(const struct ended *a, const struct ended *b)
{
    if (a->accuracy > b->accuracy || a->accuracy < b->accuracy)
        return a->accuracy > b->accuracy;
    return isnan(a->mse) ? a->loss < b->loss : a->mse < b->mse;
}

static enum sqa_status choose(const char *dir, const struct sqa_run_plan *p, const struct sqa_cell *c,
                              const char **chosen, char row_status[32], struct sqa_err *err)
{
    struct ended best = {.status = ""};
    *chosen = NULL;
    for (size_t i = 0; i < sqa_search_trials(c); i++) {
        char key[KEY_SIZE];
        struct ended e;
        snprintf(key, sizeof key, "%.16s", c->trials + i * KEY_SIZE);
        const struct sqa_cell *trial = sqa_plan_find(p, key);
        if (!trial)
            return sqa_fail(err, SQA_INPUT, "run.json: no trial %s; choose another directory", key);
        const enum sqa_status status = read_trial(dir, key, &e, err);
        if (status != SQA_OK)
            return status;
        const bool ok = strcmp(e.status, "ok") == 0;
        if (!ok && strcmp(e.status, "diverged") != 0) {
            snprintf(row_status, 32, "%s", e.status);
            return sqa_fail(err, SQA_MACHINE, "trial %s: %s", trial->trial, e.message);
        }
        if (ok && (!*chosen || better(&e, &best))) {
            best = e;
            *chosen = trial->trial;
        }
    }
    if (*chosen)
        return SQA_OK;
    snprintf(row_status, 32, "diverged");
    return sqa_fail(err, SQA_NO, "all %zu trials diverged; give the setting with --train", sqa_search_trials(c));
}

enum sqa_status sqa_search_settle(const char *dir, struct sqa_run_plan *p, struct sqa_cell *c, char row_status[32],
                                  struct sqa_err *err)
{
    struct sqa_recipe r;
    const char *chosen;
    char name[64];
    snprintf(row_status, 32, "failed");
    if (!sqa_cell_is_searched(c))
        return SQA_OK;
    enum sqa_status status = choose(dir, p, c, &chosen, row_status, err);
    if (status == SQA_OK)
        status = sqa_cell_recipe(c, &p->arena, &r, err);
    if (status != SQA_OK)
        return status;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(chosen, "="), chosen);
    status = sqa_params_set("search", sqa_recipe_params, &r, name, strchr(chosen, '=') + 1, &p->arena, err);
    if (status != SQA_OK)
        return status;
    const char *text = recipe_text(&p->arena, &r);
    c->recipe = text ? text : c->recipe;
    return text ? SQA_OK : no_memory(err);
}
