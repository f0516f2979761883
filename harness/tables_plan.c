/* tables_plan.c - what is missing of a table, as commands with their costs (see tables.h) */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "harness/measure/measure.h"
#include "harness/plan.h"
#include "harness/recipe.h"
#include "harness/tables.h"
#include "models/model.h"
#include "tasks/task.h"

enum { ARGUMENTS = 16 };

/* Why a pair cannot run with this build; "" when it can. A floor is not trained. */
static const char *why_not(const struct sqa_paper_want *w, struct sqa_arena *arena, bool *floor)
{
    const struct sqa_task *task;
    struct sqa_model *m;
    const char *brief, *full;
    struct sqa_err err;
    if (sqa_task_canonical(w->task, arena, &task, &brief, &full, &err) != SQA_OK)
        return "task";
    if (sqa_model_parse(w->model, &m, &err) != SQA_OK)
        return "model";
    *floor = sqa_model_is_floor(m);
    sqa_model_free(m);
    return "";
}

/* Training examples of a task that is not opened; NaN when it does not say. */
static double training_examples(const char *task, struct sqa_arena *arena)
{
    struct sqa_dataset ds = {0};
    struct sqa_err err;
    const bool known = sqa_task_sizes(task, arena, &ds, &err) == SQA_OK && ds.count[SQA_TRAIN] > 0;
    return known ? (double)ds.count[SQA_TRAIN] : (double)NAN;
}

/* Seconds of training by the recipe with so many seeds and its trials, or of bench's rounds: as the rates say, NaN when
 * they do not, or the recipe counts in epochs of a task that does not say its size. */
static double cost(const struct sqa_paper_want *w, bool bench, double seeds, size_t *trials)
{
    char value[64];
    struct sqa_arena arena = {0};
    struct sqa_recipe r;
    const char *frame;
    const enum sqa_status status = sqa_recipe_resolve(w->scale, w->model, w->task, "", &arena, &r, &frame, NULL);
    double n = (double)NAN;
    *trials = 0;
    while (status == SQA_OK && r.search && sqa_recipe_value(&r, *trials, value))
        ++*trials;
    if (status == SQA_OK && r.matched && bench)
        n = SQA_BENCH_ROUNDS * fmax((double)r.batch, SQA_BENCH_TURN_MS / (1e3 * w->seconds_per_example));
    else if (status == SQA_OK && r.matched)
        n = (r.steps > 0 ? (double)r.steps * (double)r.batch
                         : (double)r.epochs * training_examples(w->task, &arena)) *
            (seeds + (double)*trials * r.search_share);
    sqa_arena_clear(&arena);
    return n * w->seconds_per_example;
}

/* The folder of a command: letters, digits, points and dashes. */
static const char *folder(struct sqa_arena *arena, const struct sqa_paper *paper, const struct sqa_paper_want *w,
                          const char *dir)
{
    const struct sqa_paper_column *c = w->column;
    const char *variant = "";
    for (size_t i = 0; i < c->n_variants; i++)
        if (w->task == c->variant_tasks[i])
            variant = c->variants[i];
    const bool other =
        paper->kind == SQA_PAPER_FORECAST && strcmp(w->scale, paper->scale) != 0 && strcmp(w->scale, variant) != 0;
    char *name = sqa_arena_printf(arena, "%s/%s-%s%s%s%s%s", dir, paper->name, c->label, *variant ? "-" : "", variant,
                                  other ? "-" : "", other ? w->scale : "");
    for (char *s = name ? name + strlen(dir) + 1 : NULL; s && *s; s++)
        if (!isalnum((unsigned char)*s) && !strchr("._-", *s))
            *s = '-';
    return name;
}

static bool go_together(const struct sqa_paper_want *a, const struct sqa_paper_want *b)
{
    return a->column == b->column && strcmp(a->task, b->task) == 0 && strcmp(a->scale, b->scale) == 0;
}

/* Whether want i begins a command: the first of those that go together, and not all of them are done. */
static bool begins(const struct sqa_paper_plan *plan, size_t i)
{
    bool missing = false;
    for (size_t k = 0; k < plan->n; k++) {
        if (!go_together(&plan->at[k], &plan->at[i]))
            continue;
        if (k < i)
            return false;
        missing = missing || !plan->at[k].done;
    }
    return missing;
}

static void add_cell(struct sqa_table_commands *out, struct sqa_table_command *c, const struct sqa_paper *paper,
                     const struct sqa_paper_want *w)
{
    struct sqa_table_cell *cell = &c->cells[c->n++];
    bool floor = false;
    *cell = (struct sqa_table_cell){.model = w->model, .done = w->done, .why = why_not(w, &out->arena, &floor)};
    cell->seconds = floor ? 0 : cost(w, paper->kind == SQA_PAPER_SPEED, (double)paper->seeds, &cell->trials);
    if (*cell->why || w->done)
        return;
    out->n_can++;
    out->n_unknown += isnan(cell->seconds) ? 1 : 0;
    out->seconds += isnan(cell->seconds) ? 0 : cell->seconds;
    if (!isnan(cell->seconds) && !floor && !w->here) {
        const char *name = w->from ? sqa_pool_processor(w->from) : NULL;
        out->n_elsewhere++;
        out->machine = sqa_arena_strdup(&out->arena, name ? name : "unknown");
    }
}

static bool add_command(struct sqa_table_commands *out, const struct sqa_paper *paper,
                        const struct sqa_paper_plan *plan, const struct sqa_paper_want *first)
{
    const bool bench = paper->kind == SQA_PAPER_SPEED;
    struct sqa_table_command *c = &out->at[out->n++];
    const char **argv = sqa_arena_alloc(&out->arena, (2 * plan->n + ARGUMENTS) * sizeof *argv);
    size_t n = 0;
    *c = (struct sqa_table_command){.label = first->column->label, .task = first->task};
    c->cells = sqa_arena_alloc(&out->arena, plan->n * sizeof *c->cells);
    c->folder = folder(&out->arena, paper, first, out->dir);
    const char *seeds = sqa_arena_printf(&out->arena, "%lld", (long long)paper->seeds);
    if (!argv || !c->cells || !c->folder || !seeds)
        return false;
    argv[n++] = "seqarena";
    argv[n++] = bench ? "bench" : "run";
    for (size_t i = 0; i < plan->n; i++) {
        if (!go_together(&plan->at[i], first))
            continue;
        add_cell(out, c, paper, &plan->at[i]);
        if (*c->cells[c->n - 1].why)
            continue;
        argv[n++] = "--model";
        argv[n++] = plan->at[i].model;
    }
    const bool any = n > 2;
    const char *const rest[] = {
        "--task", first->task, "--scale", first->scale, bench ? "--phase" : "--seeds", bench ? "train" : seeds,
        "-o",     c->folder};
    for (size_t i = 0; i < sizeof rest / sizeof rest[0]; i++)
        argv[n++] = rest[i];
    argv[n] = NULL;
    c->argv = any ? argv : NULL;
    return true;
}

enum sqa_status sqa_table_commands(const struct sqa_paper *paper, const struct sqa_pool *pool,
                                   const struct sqa_table_plan_options *o, struct sqa_table_commands *out,
                                   struct sqa_err *err)
{
    struct sqa_paper_plan plan;
    *out = (struct sqa_table_commands){
        .table = paper->name, .scale = o->scale ? o->scale : paper->scale, .dir = o->dir ? o->dir : "results/runs"};
    if (paper->kind == SQA_PAPER_BUBBLES)
        return sqa_fail(err, SQA_USAGE, "table %s --plan: it is drawn from tables %s and %s; plan those", paper->name,
                        paper->score, paper->speed);
    json_t *env = sqa_environment(0);
    const struct sqa_paper_plan_options options = {o->scale, json_string_value(json_object_get(env, "fingerprint")),
                                                   o->all};
    const enum sqa_status status = sqa_paper_missing(paper, pool, &options, &plan, err);
    if (status != SQA_OK) {
        json_decref(env);
        return status;
    }
    out->n_cells = plan.n_cells;
    out->n_missing = plan.n - plan.n_done;
    out->at = sqa_alloc_array(plan.n + 1, sizeof *out->at);
    bool ok = out->at != NULL;
    for (size_t i = 0; i < plan.n && ok; i++)
        if (begins(&plan, i))
            ok = add_command(out, paper, &plan, &plan.at[i]);
    sqa_paper_plan_clear(&plan);
    json_decref(env);
    if (ok)
        return SQA_OK;
    sqa_table_commands_clear(out);
    return sqa_fail(err, SQA_NOMEM, "table %s: no memory; free some memory or name fewer runs", paper->name);
}

void sqa_table_commands_clear(struct sqa_table_commands *c)
{
    sqa_free(c->at);
    sqa_arena_clear(&c->arena);
    *c = (struct sqa_table_commands){0};
}

static void print_command(const struct sqa_table_command *c, struct sqa_text *out)
{
    char buf[32];
    sqa_text_printf(out, "\n%s: %s\n", c->label, c->task);
    for (const char *const *a = c->argv; a && *a; a++)
        sqa_text_printf(out, "%s%s", a == c->argv ? "  " : " ", *a);
    sqa_text_add(out, c->argv ? "\n" : "");
    size_t cannot = 0;
    for (size_t i = 0; i < c->n; i++) {
        const struct sqa_table_cell *cell = &c->cells[i];
        cannot += *cell->why != '\0';
        if (*cell->why)
            continue;
        sqa_text_printf(out, "    %-28s ", cell->model);
        if (cell->done)
            sqa_text_add(out, "done");
        else
            sqa_text_add(out, sqa_format_duration(buf, cell->seconds));
        if (cell->trials && !cell->done)
            sqa_text_printf(out, ", %zu trials first", cell->trials);
        sqa_text_add(out, "\n");
    }
    if (cannot && strcmp(c->cells[0].why, "task") == 0) {
        sqa_text_add(out, "  the task is not in this build\n");
        return;
    }
    for (size_t i = 0, said = 0; i < c->n && cannot; i++) {
        if (!*c->cells[i].why)
            continue;
        sqa_text_printf(out, "%s%s", said ? ", " : "  not in this build: ", c->cells[i].model);
        said++;
    }
    sqa_text_add(out, cannot ? "\n" : "");
}

void sqa_table_plan(const struct sqa_table_commands *c, struct sqa_text *out)
{
    char buf[32];
    char path[4096];
    sqa_text_printf(out, "%s at scale %s: %zu of %zu cells are missing\n", c->table, c->scale, c->n_missing,
                    c->n_cells);
    if (sqa_recipe_path(c->scale, path, NULL) != SQA_OK)
        sqa_text_printf(out, "There is no recipe %s in this build; --scale names another one.\n", c->scale);
    for (size_t i = 0; i < c->n; i++)
        print_command(&c->at[i], out);
    if (!c->n_missing)
        return;
    sqa_text_printf(out, "\n%zu cells can run here", c->n_can);
    if (c->n_can > c->n_unknown) {
        sqa_text_add(out, ", training alone about ");
        sqa_text_add(out, sqa_format_duration(buf, c->seconds));
    }
    if (c->n_unknown)
        sqa_text_printf(out,
                        "; of %zu the cost is unknown (no row of the same model and task says a rate, or the "
                        "task does not say how many examples an epoch has)",
                        c->n_unknown);
    sqa_text_printf(out, "; %zu cannot.\n", c->n_missing - c->n_can);
    if (c->n_elsewhere)
        sqa_text_printf(out,
                        "%zu of these costs are by rates of another machine (%s): no row of this one says one.\n",
                        c->n_elsewhere, c->machine ? c->machine : "unknown");
    sqa_text_printf(out, "To run them: seqarena table %s --run\nThen: seqarena table %s %s/%s-*\n", c->table,
                    c->table, c->dir, c->table);
}
