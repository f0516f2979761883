/* tables_plan.c - table NAME --plan: missing cells, commands, costs (see tables.h) */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "harness/recipe.h"
#include "harness/tables.h"
#include "models/model.h"
#include "tasks/task.h"

/* Why a pair cannot run with this build; "" when it can. */
static const char *why_not(const struct sqa_paper_want *w, struct sqa_arena *arena)
{
    const struct sqa_task *task;
    struct sqa_model *m;
    const char *brief, *full;
    struct sqa_err err;
    if (sqa_task_canonical(w->task, arena, &task, &brief, &full, &err) != SQA_OK)
        return "task";
    if (sqa_model_parse(w->model, &m, &err) != SQA_OK)
        return "model";
    sqa_model_free(m);
    return "";
}

static void duration(struct sqa_text *out, double s)
{
    if (isnan(s))
        sqa_text_add(out, "unknown");
    else if (s < 90)
        sqa_text_printf(out, "%.2g s", s);
    else if (s < 5400)
        sqa_text_printf(out, "%.0f min", s / 60);
    else if (s < 129600)
        sqa_text_printf(out, "%.1f h", s / 3600);
    else
        sqa_text_printf(out, "%.1f days", s / 86400);
}

/* Examples that a recipe trains on, with so many seeds and its trials: NaN when it counts in epochs, or is not there.
 */
static double examples_of(const struct sqa_paper_want *w, double seeds, size_t *trials)
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
    if (status == SQA_OK && r.matched && r.steps > 0)
        n = (double)r.steps * (double)r.batch * (seeds + (double)*trials * r.search_share);
    sqa_arena_clear(&arena);
    return n;
}

struct costs {
    double known;
    size_t n, unknown, cannot;
};

/* The folder of a command: letters, digits, points and dashes. */
static void write_folder(struct sqa_text *out, const struct sqa_paper *paper, const struct sqa_paper_want *w)
{
    const struct sqa_paper_column *c = w->column;
    struct sqa_text name = {0};
    sqa_text_add(&name, c->label);
    const char *variant = "";
    for (size_t i = 0; i < c->n_variants; i++)
        if (w->task == c->variant_tasks[i])
            variant = c->variants[i];
    sqa_text_printf(&name, "%s%s", *variant ? "-" : "", variant);
    if (paper->kind == SQA_PAPER_FORECAST && strcmp(w->scale, paper->scale) != 0 && strcmp(w->scale, variant) != 0)
        sqa_text_printf(&name, "-%s", w->scale);
    sqa_text_printf(out, "results/runs/%s-", paper->name);
    for (const char *s = sqa_text_get(&name); *s; s++)
        sqa_text_printf(out, "%c", isalnum((unsigned char)*s) || strchr("._-", *s) ? *s : '-');
    sqa_text_add(out, "\n");
    out->failed = out->failed || name.failed;
    sqa_text_clear(&name);
}

static bool go_together(const struct sqa_paper_want *a, const struct sqa_paper_want *b)
{
    return a->column == b->column && strcmp(a->task, b->task) == 0 && strcmp(a->scale, b->scale) == 0;
}

/* What runs by one command: the wants that go together with the first. */
static void write_command(const struct sqa_paper *paper, const struct sqa_paper_plan *plan,
                          const struct sqa_paper_want *first, struct sqa_text *out, struct costs *costs)
{
    const bool bench = paper->kind == SQA_PAPER_SPEED;
    struct sqa_arena arena = {0};
    struct sqa_text models = {0}, lines = {0}, cannot = {0};
    const char *reason = "";
    for (size_t i = 0; i < plan->n; i++) {
        const struct sqa_paper_want *w = &plan->at[i];
        if (!go_together(w, first))
            continue;
        const char *why = why_not(w, &arena);
        if (*why) {
            reason = why;
            costs->cannot++;
            sqa_text_printf(&cannot, "%s%s", cannot.length ? ", " : "", w->model);
            continue;
        }
        size_t trials;
        const double examples = examples_of(w, (double)paper->seeds, &trials),
                     s = bench ? (double)NAN : w->seconds_per_example * examples;
        costs->n++;
        costs->unknown += isnan(s) ? 1 : 0;
        costs->known += isnan(s) ? 0 : s;
        sqa_text_printf(&models, " --model %s", w->model);
        sqa_text_printf(&lines, "    %-28s ", w->model);
        duration(&lines, s);
        if (trials && !bench)
            sqa_text_printf(&lines, ", %zu trials first", trials);
        sqa_text_add(&lines, "\n");
    }
    sqa_text_printf(out, "\n%s: %s\n", first->column->label, first->task);
    if (models.length && bench)
        sqa_text_printf(out, "  seqarena bench%s --task %s --scale %s --phase train -o ", sqa_text_get(&models),
                        first->task, first->scale);
    else if (models.length)
        sqa_text_printf(out, "  seqarena run%s --task %s --scale %s --seeds %lld -o ", sqa_text_get(&models),
                        first->task, first->scale, (long long)paper->seeds);
    if (models.length)
        write_folder(out, paper, first);
    sqa_text_add(out, sqa_text_get(&lines));
    if (cannot.length && strcmp(reason, "task") == 0)
        sqa_text_add(out, "  the task is not in this build\n");
    else if (cannot.length)
        sqa_text_printf(out, "  not in this build: %s\n", sqa_text_get(&cannot));
    out->failed = out->failed || models.failed || lines.failed || cannot.failed;
    sqa_text_clear(&models);
    sqa_text_clear(&lines);
    sqa_text_clear(&cannot);
    sqa_arena_clear(&arena);
}

static bool is_first(const struct sqa_paper_plan *plan, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (go_together(&plan->at[k], &plan->at[i]))
            return false;
    return true;
}

enum sqa_status sqa_table_plan(const struct sqa_paper *paper, const struct sqa_pool *pool, const char *scale,
                               struct sqa_text *out, struct sqa_err *err)
{
    struct sqa_paper_plan plan;
    struct costs costs = {0};
    char path[4096];
    enum sqa_status status = sqa_paper_missing(paper, pool, scale, &plan, err);
    if (status != SQA_OK)
        return status;
    scale = scale ? scale : paper->scale;
    sqa_text_printf(out, "%s at scale %s: %zu of %zu cells are missing\n", paper->name, scale, plan.n, plan.n_cells);
    if (sqa_recipe_path(scale, path, NULL) != SQA_OK)
        sqa_text_printf(out, "There is no recipe %s in this build; --scale names another one.\n", scale);
    for (size_t i = 0; i < plan.n; i++)
        if (is_first(&plan, i))
            write_command(paper, &plan, &plan.at[i], out, &costs);
    if (plan.n) {
        sqa_text_printf(out, "\n%zu cells can run here", costs.n);
        if (costs.n > costs.unknown) {
            sqa_text_add(out, ", training alone about ");
            duration(out, costs.known);
        }
        if (costs.unknown)
            sqa_text_printf(out, "%s of %zu the cost is unknown (no row of the same model and task says a rate)",
                            costs.n > costs.unknown ? ";" : ";", costs.unknown);
        sqa_text_printf(out, "; %zu cannot.\nThen: seqarena table %s results/runs/%s-*\n", costs.cannot, paper->name,
                        paper->name);
    }
    sqa_paper_plan_clear(&plan);
    return status;
}
