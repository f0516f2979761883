/* claims.c - see claims.h */
#include "harness/claims.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "harness/recipe_private.h"
#include "harness/share.h"
#include "harness/verbs.h"
#include "models/model.h"
#include "tasks/task.h"

static const struct sqa_share_kind kind = {"results", "SEQARENA_RESULTS", "claims", "claim"};

size_t sqa_claim_names(struct sqa_arena *arena, const char *names[SQA_CLAIM_NAMES])
{
    return sqa_share_names(kind.folder, kind.variable, kind.sub, arena, names, SQA_CLAIM_NAMES);
}

enum sqa_status sqa_claim_load(const char *name, struct sqa_claim *out, struct sqa_err *err)
{
    char path[4096], *text;
    *out = (struct sqa_claim){0};
    enum sqa_status status = sqa_share_read(&kind, name, path, &text, err);
    if (status != SQA_OK)
        return status;
    status = sqa_claim_parse(path, text, out, err);
    sqa_free(text);
    if (status != SQA_OK)
        return status;
    out->name = sqa_arena_strdup(&out->arena, name);
    if (out->name)
        return SQA_OK;
    sqa_claim_clear(out);
    return sqa_fail(err, SQA_NOMEM, "claim %.100s: no memory; free some memory and run again", name);
}

/* Whether a model can be built; else *why says so. */
static bool has_model(const char *text, struct sqa_err *why)
{
    struct sqa_model *m;
    if (sqa_model_parse(text, &m, why) != SQA_OK)
        return false;
    sqa_model_free(m);
    return true;
}

/* Whether a task is known and one of the files it may read is there. */
static bool has_task(const char *text, const char *data, struct sqa_err *why)
{
    const struct sqa_task *task;
    const char *brief, *full;
    struct sqa_arena arena = {0};
    const struct sqa_task_env env = {.data_dir = data};
    char path[4096];
    bool found = sqa_task_canonical(text, &arena, &task, &brief, &full, why) == SQA_OK;
    sqa_arena_clear(&arena);
    if (!found || !task->files || strchr(task->files[0], '='))
        return found;
    found = false;
    for (const char *const *f = task->files; *f && !found; f++)
        found = sqa_data_find(&env, *f, "", NULL, path, NULL) == SQA_OK;
    if (!found)
        sqa_fail(why, SQA_INPUT, "the data of task %s are not here: %s (seqarena describe %s says where they are)",
                 task->id, task->files[0], task->id);
    return found;
}

const char *sqa_claim_why_not(const struct sqa_claim_test *t, const char *data, struct sqa_arena *arena)
{
    struct sqa_err why = {.text = ""};
    const char *const models[] = {t->of, t->over};
    const char *tasks[] = {t->task, t->over_task};
    struct sqa_text out = {0};
    if (!t->task && t->cells->n_tasks)
        tasks[0] = t->cells->tasks[0];
    for (size_t i = 0; i < 2 && !why.text[0]; i++)
        if (models[i] && !has_model(models[i], &why))
            sqa_text_printf(&out, "this build has no %s (%.*s)", models[i], (int)strcspn(why.text, ";"), why.text);
    for (size_t i = 0; i < 2 && !why.text[0]; i++)
        if (tasks[i] && !has_task(tasks[i], data, &why))
            sqa_text_add(&out, why.text);
    const char *text = out.length ? sqa_arena_strdup(arena, sqa_text_get(&out)) : NULL;
    sqa_text_clear(&out);
    return text;
}

static void add(struct sqa_claim_command *c, struct sqa_arena *arena, const char *prefix, const char *word,
                bool *failed)
{
    char text[1024];
    snprintf(text, sizeof text, "%s%s", prefix, word);
    *failed = *failed || c->argc == SQA_CLAIM_WORDS || !(c->argv[c->argc++] = sqa_arena_strdup(arena, text));
}

static void add_option(struct sqa_claim_command *c, struct sqa_arena *arena, const char *name, const char *value,
                       bool *failed)
{
    add(c, arena, "--", name, failed);
    add(c, arena, "", value, failed);
}

/* What a limit makes of an option: NULL leaves it as it is. Lengths are limited only where there are some. */
static const char *limited(const struct sqa_claim_limits *l, const char *option)
{
    return strcmp(option, "lengths") == 0  ? l->lengths
           : strcmp(option, "rounds") == 0 ? l->rounds
           : strcmp(option, "seeds") == 0  ? l->seeds
                                           : NULL;
}

static bool has_option(const struct sqa_claim_cells *cells, const char *name)
{
    for (size_t i = 0; i < cells->n_options; i++)
        if (strcmp(cells->options[i].name, name) == 0)
            return true;
    return false;
}

enum sqa_status sqa_claim_command(const struct sqa_claim_cells *cells, const struct sqa_claim_limits *limits,
                                  const char *dir, struct sqa_arena *arena, struct sqa_claim_command *out,
                                  struct sqa_err *err)
{
    struct sqa_err why;
    size_t models = 0, tasks = 0;
    bool failed = false;
    char path[4096];
    *out = (struct sqa_claim_command){0};
    snprintf(path, sizeof path, "%.3000s/%s", dir, cells->label);
    out->dir = sqa_arena_strdup(arena, path);
    add(out, arena, "", sqa_argc ? sqa_argv[0] : "seqarena", &failed);
    add(out, arena, "", cells->bench ? "bench" : "run", &failed);
    for (size_t i = 0; i < cells->n_models; i++)
        if (has_model(cells->models[i], &why) && ++models)
            add_option(out, arena, "model", cells->models[i], &failed);
    for (size_t i = 0; i < cells->n_tasks; i++)
        if (has_task(cells->tasks[i], limits->data, &why) && ++tasks)
            add_option(out, arena, "task", cells->tasks[i], &failed);
    add_option(out, arena, "scale", cells->scale, &failed);
    for (size_t i = 0; i < cells->n_options; i++) {
        const char *limit = limited(limits, cells->options[i].name);
        add_option(out, arena, cells->options[i].name, limit ? limit : cells->options[i].value, &failed);
    }
    if (limits->rounds && !has_option(cells, "rounds"))
        add_option(out, arena, "rounds", limits->rounds, &failed);
    if (limits->seeds && !cells->bench && !has_option(cells, "seeds"))
        add_option(out, arena, "seeds", limits->seeds, &failed);
    if (limits->data)
        add_option(out, arena, "data", limits->data, &failed);
    if (limits->quiet)
        add(out, arena, "", "-q", &failed);
    add(out, arena, "", "-o", &failed);
    add(out, arena, "", path, &failed);
    if (models == 0 || (cells->n_tasks && tasks == 0))
        out->argc = 0;
    return failed || !out->dir ? sqa_fail(err, SQA_NOMEM,
                                          "claim: no memory for a command, or one too long; free some memory, or "
                                          "name fewer models and tasks")
                               : SQA_OK;
}

/* A word that a shell takes as it is. */
static bool plain(const char *word)
{
    for (const char *s = word; *s; s++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./,:=+%@", *s))
            return false;
    return *word != '\0';
}

const char *sqa_claim_command_text(const struct sqa_claim_command *c, struct sqa_arena *arena)
{
    struct sqa_text t = {0};
    sqa_text_add(&t, "seqarena");
    for (int i = 1; i < c->argc; i++) {
        const bool bare = plain(c->argv[i]);
        sqa_text_add(&t, bare ? " " : " '");
        for (const char *s = c->argv[i]; *s; s++)
            sqa_text_printf(&t, *s == '\'' ? "'\\''" : "%c", *s);
        sqa_text_add(&t, bare ? "" : "'");
    }
    const char *text = t.failed ? NULL : sqa_arena_strdup(arena, sqa_text_get(&t));
    sqa_text_clear(&t);
    return text;
}
