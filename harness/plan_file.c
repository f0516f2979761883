/* plan_file.c - a plan as a part of run.json, and back; recipes of its cells (see plan.h) */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "harness/plan.h"

/* One table of members for writing and reading. */
struct member {
    const char *name;
    char type; /* t text, o text that may be missing, i int64, y the same, may be missing, n int, z, may be missing, r
                  double */
    size_t offset;
};
static const struct member cell_members[] = {
    {"key", 't', offsetof(struct sqa_cell, key)},
    {"model", 't', offsetof(struct sqa_cell, model)},
    {"model_text", 't', offsetof(struct sqa_cell, model_text)},
    {"model_full", 't', offsetof(struct sqa_cell, model_full)},
    {"task", 't', offsetof(struct sqa_cell, task)},
    {"task_full", 't', offsetof(struct sqa_cell, task_full)},
    {"scale", 't', offsetof(struct sqa_cell, scale)},
    {"recipe", 't', offsetof(struct sqa_cell, recipe)},
    {"recipe_source", 't', offsetof(struct sqa_cell, recipe_source)},
    {"seed", 'i', offsetof(struct sqa_cell, seed)},
    {"dtype", 't', offsetof(struct sqa_cell, dtype)},
    {"threads", 'i', offsetof(struct sqa_cell, threads)},
    {"length", 'i', offsetof(struct sqa_cell, length)},
    {"floor", 'n', offsetof(struct sqa_cell, floor)},
    {"train", 'n', offsetof(struct sqa_cell, train)},
    {"infer", 'n', offsetof(struct sqa_cell, infer)},
    {"step", 'z', offsetof(struct sqa_cell, step)},
    {"train_accuracy", 'n', offsetof(struct sqa_cell, train_accuracy)},
    {"trial", 'o', offsetof(struct sqa_cell, trial)},
    {"trials", 'o', offsetof(struct sqa_cell, trials)},
};
static const struct member plan_members[] = {
    {"verb", 't', offsetof(struct sqa_run_plan, verb)},
    {"hash", 't', offsetof(struct sqa_run_plan, hash)},
    {"rounds", 'i', offsetof(struct sqa_run_plan, rounds)},
    {"turn_ms", 'r', offsetof(struct sqa_run_plan, turn_ms)},
    {"budget_seconds", 'r', offsetof(struct sqa_run_plan, budget)},
    {"memory_bytes", 'r', offsetof(struct sqa_run_plan, memory)},
    {"checkpoint_seconds", 'r', offsetof(struct sqa_run_plan, checkpoint)},
    {"jobs", 'i', offsetof(struct sqa_run_plan, jobs)},
    {"examples", 'n', offsetof(struct sqa_run_plan, examples)},
    {"profile", 'n', offsetof(struct sqa_run_plan, profile)},
    {"keep_weights", 'n', offsetof(struct sqa_run_plan, keep_weights)},
    {"counters", 't', offsetof(struct sqa_run_plan, counters)},
    {"recompute", 'o', offsetof(struct sqa_run_plan, recompute)},
    {"bind", 'o', offsetof(struct sqa_run_plan, bind)},
    {"count", 'o', offsetof(struct sqa_run_plan, count)},
    {"single_steps", 'z', offsetof(struct sqa_run_plan, single_steps)},
    {"cache", 'o', offsetof(struct sqa_run_plan, cache)},
    {"order_seed", 'y', offsetof(struct sqa_run_plan, order_seed)},
};
enum {
    CELL_MEMBERS = sizeof cell_members / sizeof cell_members[0],
    PLAN_MEMBERS = sizeof plan_members / sizeof plan_members[0]
};

static json_t *to_json(const struct member *m, int n, const void *from)
{
    json_t *o = json_object();
    for (int i = 0; i < n; i++) {
        const unsigned char *f = (const unsigned char *)from + m[i].offset;
        const char *text;
        int64_t wide;
        int narrow;
        double real;
        json_t *v = NULL;
        if (m[i].type == 't' || m[i].type == 'o')
            v = (memcpy(&text, f, sizeof text), json_string(text ? text : ""));
        else if (m[i].type == 'i' || m[i].type == 'y')
            v = (memcpy(&wide, f, sizeof wide), json_integer(wide));
        else if (m[i].type == 'n' || m[i].type == 'z')
            v = (memcpy(&narrow, f, sizeof narrow), json_integer(narrow));
        else
            v = (memcpy(&real, f, sizeof real), json_real(real));
        json_object_set_new(o, m[i].name, v);
    }
    return o;
}

static bool from_json(const struct member *m, int n, const json_t *o, void *to, struct sqa_arena *arena)
{
    for (int i = 0; i < n; i++) {
        unsigned char *f = (unsigned char *)to + m[i].offset;
        const json_t *v = json_object_get(o, m[i].name);
        if (m[i].type == 't' || (m[i].type == 'o' && v)) {
            const char *given = json_string_value(v);  /* NULL when it is no text */
            if (!v && strcmp(m[i].name, "dtype") == 0) /* written before there was a choice */
                given = "f32";
            const char *text = given ? sqa_arena_strdup(arena, given) : NULL;
            if (!text)
                return false;
            memcpy(f, &text, sizeof text);
        } else if (m[i].type == 'o') {
            memcpy(f, &(const char *){""}, sizeof(const char *));
        } else if (m[i].type == 'y') {
            memcpy(f, &(int64_t){v ? json_integer_value(v) : 0}, sizeof(int64_t));
        } else if (m[i].type == 'z') { /* written before there was such a thing: 0 */
            memcpy(f, &(int){v ? (int)json_integer_value(v) : 0}, sizeof(int));
        } else if (!json_is_number(v)) {
            return false;
        } else if (m[i].type == 'i') {
            memcpy(f, &(int64_t){json_integer_value(v)}, sizeof(int64_t));
        } else if (m[i].type == 'n') {
            memcpy(f, &(int){(int)json_integer_value(v)}, sizeof(int));
        } else {
            memcpy(f, &(double){json_number_value(v)}, sizeof(double));
        }
    }
    return true;
}

json_t *sqa_plan_json(const struct sqa_run_plan *p)
{
    json_t *o = to_json(plan_members, PLAN_MEMBERS, p), *cells = json_array();
    for (int i = 0; i < p->n; i++)
        json_array_append_new(cells, to_json(cell_members, CELL_MEMBERS, &p->cells[i]));
    json_object_set_new(o, "cells", cells);
    return o;
}

enum sqa_status sqa_plan_read(const char *dir, struct sqa_run_plan *p, json_t **document, struct sqa_err *err)
{
    char path[4096], *text;
    size_t size;
    json_error_t e;
    snprintf(path, sizeof path, "%s/run.json", dir);
    enum sqa_status status = sqa_file_read(path, (size_t)1 << 30, &text, &size, err);
    if (status != SQA_OK)
        return status;
    const long failures = sqa_alloc_failures();
    json_t *doc = json_loadb(text, size, JSON_REJECT_DUPLICATES, &e);
    sqa_free(text);
    if (!doc && sqa_alloc_failures() > failures)
        return sqa_fail(err, SQA_NOMEM, "%s: no memory to read it; free some memory and run again", path);
    if (!doc)
        return sqa_fail(err, SQA_INPUT, "%s:%d: %s; not the file of a run, choose another directory", path, e.line,
                        e.text);
    const json_t *plan = json_object_get(doc, "plan"), *cells = json_object_get(plan, "cells");
    bool ok = from_json(plan_members, PLAN_MEMBERS, plan, p, &p->arena) && json_is_array(cells);
    for (size_t i = 0; ok && i < json_array_size(cells); i++) {
        struct sqa_cell c = {0};
        ok = from_json(cell_members, CELL_MEMBERS, json_array_get(cells, i), &c, &p->arena);
        ok = ok && sqa_plan_add(p, &c, err) == SQA_OK;
    }
    if (!ok) {
        json_decref(doc);
        if (sqa_alloc_failures() > failures)
            return sqa_fail(err, SQA_NOMEM, "%s: no memory to read it; free some memory and run again", path);
        return sqa_fail(err, SQA_INPUT, "%s: its plan is incomplete; choose another directory", path);
    }
    *document = doc;
    return SQA_OK;
}

enum sqa_status sqa_cell_recipe(const struct sqa_cell *c, struct sqa_arena *arena, struct sqa_recipe *r,
                                struct sqa_err *err)
{
    *r = (struct sqa_recipe){.source = c->recipe_source, .file = c->scale};
    enum sqa_status status = sqa_params_defaults("recipe", sqa_recipe_params, r, arena, err);
    for (const char *s = c->recipe; *s && status == SQA_OK;) {
        char name[64], value[256];
        const size_t n = strcspn(s, ";"), k = strcspn(s, "=");
        if (k >= n || k >= sizeof name || n - k > sizeof value)
            return sqa_fail(err, SQA_INPUT, "run.json: '%.100s' is no recipe; choose another directory", s);
        snprintf(name, sizeof name, "%.*s", (int)k, s);
        snprintf(value, sizeof value, "%.*s", (int)(n - k - 1), s + k + 1);
        status = sqa_params_set("recipe", sqa_recipe_params, r, name, value, arena, err);
        s += n + (s[n] == ';');
    }
    return status;
}
