/* markdown.c - the first page of a report, and how figures are written */
#include "reports/markdown.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "reports/grid.h"

const char *sqa_metric_title(int metric)
{
    switch (metric) {
    case SQA_VALUE_test_accuracy:
        return "test accuracy %";
    case SQA_VALUE_test_mse:
        return "test MSE";
    case SQA_VALUE_test_mae:
        return "test MAE";
    case SQA_VALUE_test_rmse:
        return "RMSE";
    case SQA_VALUE_test_mape:
        return "MAPE %";
    case SQA_VALUE_test_smape:
        return "sMAPE %";
    case SQA_VALUE_test_mase:
        return "MASE";
    case SQA_VALUE_valid_accuracy:
        return "valid accuracy %";
    case SQA_VALUE_valid_mse:
        return "valid MSE";
    case SQA_VALUE_valid_loss:
        return "valid loss";
    default:
        return "test loss";
    }
}

static char *figure(char buf[32], double x, bool percent, bool with_sign)
{
    if (percent)
        snprintf(buf, 32, with_sign ? "%+.2f" : "%.2f", 100 * x);
    else if (fabs(x) < 1e5)
        snprintf(buf, 32, with_sign ? "%+.4f" : "%.4f", x);
    else
        snprintf(buf, 32, with_sign ? "%+.4g" : "%.4g", x);
    return buf;
}

char *sqa_figure_metric(char buf[SQA_FIGURE_SIZE], const struct sqa_estimate *e, int metric, bool with_sign)
{
    const bool percent = metric == SQA_VALUE_test_accuracy || metric == SQA_VALUE_valid_accuracy;
    char mean[32], low[32], high[32];
    buf[0] = '\0';
    if (isnan(e->mean))
        return buf;
    figure(mean, e->mean, percent, with_sign);
    if (isnan(e->low))
        snprintf(buf, SQA_FIGURE_SIZE, "%s", mean);
    else
        snprintf(buf, SQA_FIGURE_SIZE, "%s [%s, %s]", mean, figure(low, e->low, percent, with_sign),
                 figure(high, e->high, percent, with_sign));
    return buf;
}

static const char *unit_of(const char *s)
{
    const char *space = strchr(s, ' ');
    return space ? space : "";
}

char *sqa_figure_unit(char buf[SQA_FIGURE_SIZE], const struct sqa_estimate *e, char *(*format)(char[32], double))
{
    char mean[32], low[32], high[32];
    buf[0] = '\0';
    if (isnan(e->mean))
        return buf;
    format(mean, e->mean);
    if (isnan(e->low) || (e->low >= e->mean && e->high <= e->mean)) {
        snprintf(buf, SQA_FIGURE_SIZE, "%s", mean);
        return buf;
    }
    format(low, e->low);
    format(high, e->high);
    if (strcmp(unit_of(mean), unit_of(low)) == 0 && strcmp(unit_of(mean), unit_of(high)) == 0)
        snprintf(buf, SQA_FIGURE_SIZE, "%.*s [%.*s, %.*s]%s", (int)strcspn(mean, " "), mean, (int)strcspn(low, " "),
                 low, (int)strcspn(high, " "), high, unit_of(mean));
    else
        snprintf(buf, SQA_FIGURE_SIZE, "%s [%s, %s]", mean, low, high);
    return buf;
}

static const char *plural(size_t n)
{
    return n == 1 ? "" : "s";
}

/* "1 failed, 2 timeout" of the rows that are not ok: the first bad row of each cell counts. */
static void list_statuses(struct sqa_text *out, const struct sqa_pool *pool)
{
    static const char *const names[] = {"failed", "diverged", "timeout", "nomem", "unsupported", "mistrusted"};
    const size_t known = sizeof names / sizeof names[0];
    size_t count[sizeof names / sizeof names[0] + 1] = {0};
    for (size_t i = 0; i < pool->n_cells; i++) {
        const struct sqa_pool_cell *cell = &pool->cells[i];
        if (sqa_pool_cell_ok(cell))
            continue;
        int p = 0;
        while (p < SQA_PHASE_N - 1 && (!cell->row[p] || cell->ok[p]))
            p++;
        size_t s = 0;
        while (s < known && strcmp(names[s], sqa_pool_text(pool, cell, p, SQA_CELLS_status)) != 0)
            s++;
        count[s]++;
    }
    const char *separator = "";
    for (size_t s = 0; s <= known; s++) {
        if (count[s] == 0)
            continue;
        sqa_text_printf(out, "%s%zu %s", separator, count[s], s < known ? names[s] : "other");
        separator = ", ";
    }
}

static void summary_cells(struct sqa_text *out, const struct sqa_pool *pool)
{
    size_t ok = 0, waiting = 0, replaced = 0, class[3] = {0};
    for (size_t i = 0; i < pool->n_cells; i++)
        ok += sqa_pool_cell_ok(&pool->cells[i]);
    for (size_t r = 0; r < pool->n_runs; r++) {
        waiting += pool->runs[r].waiting;
        replaced += pool->runs[r].replaced;
    }
    for (size_t i = 0; i < pool->n_entries; i++) { /* a model counts once, whatever its tasks and settings */
        size_t first = 0;
        while (strcmp(pool->entries[first].model, pool->entries[i].model) != 0)
            first++;
        class[pool->entries[i].class] += first == i;
    }
    sqa_text_printf(out, "- **Cells:** %zu ok, %zu not", ok, pool->n_cells - ok);
    if (ok < pool->n_cells) {
        sqa_text_add(out, " (");
        list_statuses(out, pool);
        sqa_text_add(out, "; see Failed cells)");
    }
    if (waiting)
        sqa_text_printf(out, "; %zu planned cell%s without a row: the run was stopped or still goes on", waiting,
                        plural(waiting));
    sqa_text_add(out, ".\n");
    sqa_text_printf(out, "- **Compared:** %zu model%s, %zu control%s, %zu floor%s on", class[SQA_CLASS_MODEL],
                    plural(class[SQA_CLASS_MODEL]), class[SQA_CLASS_CONTROL], plural(class[SQA_CLASS_CONTROL]),
                    class[SQA_CLASS_FLOOR], plural(class[SQA_CLASS_FLOOR]));
    for (size_t g = 0; g < pool->n_groups; g++) {
        sqa_text_add(out, g ? ", " : " ");
        sqa_markdown_code(out, pool->groups[g].task, false);
        if (*pool->groups[g].scale)
            sqa_text_printf(out, " (%s)", pool->groups[g].scale);
    }
    sqa_text_add(out, pool->n_groups ? ".\n" : " nothing yet.\n");
    if (replaced)
        sqa_text_printf(out, "- **Replaced:** %zu row%s stood in several of the directories; the newest was taken.\n",
                        replaced, plural(replaced));
}

static void json_line(struct sqa_text *out, const char *before, const json_t *value, const char *after)
{
    if (json_is_string(value) && *json_string_value(value)) {
        sqa_text_add(out, before);
        sqa_markdown_text(out, json_string_value(value));
        sqa_text_add(out, after);
    } else if (json_is_integer(value)) {
        sqa_text_printf(out, "%s%" JSON_INTEGER_FORMAT "%s", before, json_integer_value(value), after);
    }
}

/* "- **Machine:** AMD EPYC, 2 logical CPUs, ...", or nothing. */
static void machine_line(struct sqa_text *out, const struct sqa_pool_run *run)
{
    char buf[32];
    const json_t *environment = sqa_pool_json(run, "environment", NULL);
    const json_t *memory = json_object_get(environment, "memory_bytes");
    struct sqa_text machine = {0};
    json_line(&machine, "", sqa_pool_json(run, "environment", "cpu", "model", NULL), "");
    json_line(&machine, ", ", sqa_pool_json(run, "environment", "cpu", "logical", NULL), " logical CPUs");
    json_line(&machine, ", ", sqa_pool_json(run, "environment", "cpu", "isa", NULL), "");
    if (json_is_number(memory))
        sqa_text_printf(&machine, ", %s memory", sqa_format_bytes(buf, json_number_value(memory)));
    json_line(&machine, ", ", json_object_get(environment, "os"), "");
    json_line(&machine, " ", json_object_get(environment, "kernel"), "");
    json_line(&machine, ", ", json_object_get(environment, "compiler"), "");
    json_line(&machine, ", under ", json_object_get(environment, "hypervisor"), "");
    const char *line = sqa_text_get(&machine);
    if (*line)
        sqa_text_printf(out, "- **Machine:** %s.\n", strncmp(line, ", ", 2) == 0 ? line + 2 : line);
    out->failed = out->failed || machine.failed;
    sqa_text_clear(&machine);
}

/* A machine is said once for the runs that stand together. */
static void summary_run(struct sqa_text *out, const struct sqa_pool_run *run, const struct sqa_pool_run *next)
{
    struct sqa_text here = {0}, there = {0};
    machine_line(&here, run);
    if (next)
        machine_line(&there, next);
    sqa_text_add(out, "- **Run** ");
    sqa_markdown_code(out, run->files.dir, false);
    json_line(out, ", started ", sqa_pool_json(run, "started", NULL), "");
    json_line(out, ", seqarena ", sqa_pool_json(run, "version", NULL), "");
    json_line(out, ", build ", sqa_pool_json(run, "build", NULL), "");
    sqa_text_add(out, ".\n");
    if (strcmp(sqa_text_get(&here), sqa_text_get(&there)) != 0)
        sqa_text_add(out, sqa_text_get(&here));
    out->failed = out->failed || here.failed || there.failed;
    sqa_text_clear(&here);
    sqa_text_clear(&there);
}

/* A warning when rows of different machines or builds stand side by side. */
static void summary_mixed(struct sqa_text *out, const struct sqa_pool *pool)
{
    bool cpus = false, builds = false;
    for (size_t r = 1; r < pool->n_runs; r++) {
        const struct sqa_pool_run *a = &pool->runs[0], *b = &pool->runs[r];
        cpus = cpus || !json_equal(sqa_pool_json(a, "environment", "cpu", NULL),
                                   sqa_pool_json(b, "environment", "cpu", NULL));
        builds = builds || !json_equal(sqa_pool_json(a, "build", NULL), sqa_pool_json(b, "build", NULL));
    }
    if (cpus)
        sqa_text_add(out, "- **Mind:** the runs come from different machines; their times do not compare.\n");
    if (builds)
        sqa_text_add(out, "- **Mind:** the runs were made by different builds.\n");
}

/* "`a`, `b`" of the models for which want holds; the number of them. */
static size_t list_models(struct sqa_text *out, const struct sqa_pool_group *group, const char *before,
                          bool (*want)(const struct sqa_pool_entry *))
{
    size_t n = 0;
    for (size_t i = 0; i < group->n; i++) {
        if (!want(group->entries[i]))
            continue;
        sqa_text_add(out, n++ ? ", " : before);
        sqa_markdown_code(out, group->entries[i]->label, false);
        sqa_text_add(out, group->entries[i]->external ? SQA_EXTERNAL_MARK : "");
    }
    if (n)
        sqa_text_add(out, ".\n");
    return n;
}

static bool not_better(const struct sqa_pool_entry *e)
{
    return e->over_floor == SQA_VERDICT_NOT_BETTER;
}

static bool unclear(const struct sqa_pool_entry *e)
{
    return e->over_floor == SQA_VERDICT_UNCLEAR;
}

static bool like_best(const struct sqa_pool_entry *e)
{
    return e->like_best;
}

static void summary_group(struct sqa_text *out, const struct sqa_pool_group *group)
{
    char buf[SQA_FIGURE_SIZE];
    const int metric = group->metric;
    if (metric < 0)
        return;
    sqa_text_add(out, "- ");
    sqa_markdown_code(out, group->task, false);
    if (*group->scale)
        sqa_text_printf(out, " (%s)", group->scale);
    if (!group->best) {
        sqa_text_add(out, ": no model has a test figure.\n");
        return;
    }
    const struct sqa_estimate *x = &group->best->value[metric];
    sqa_text_add(out, ": best is ");
    sqa_markdown_code(out, group->best->label, false);
    const bool accuracy = metric == SQA_VALUE_test_accuracy;
    sqa_text_printf(out, "%s, %s %s%s (%zu seed%s",
                    group->best->external                     ? SQA_EXTERNAL_MARK
                    : group->best->class == SQA_CLASS_CONTROL ? " (a control)"
                                                              : "",
                    accuracy ? "test accuracy" : sqa_metric_title(metric), sqa_figure_metric(buf, x, metric, false),
                    accuracy ? " %" : "", x->n_seeds, plural(x->n_seeds));
    if (x->n_examples)
        sqa_text_printf(out, ", %zu test example%s", x->n_examples, plural(x->n_examples));
    sqa_text_add(out, ")");
    if (group->floor) {
        const struct sqa_estimate *d = &group->best->difference[SQA_AGAINST_FLOOR];
        sqa_text_add(out, "; best floor is ");
        sqa_markdown_code(out, group->floor->label, false);
        sqa_text_printf(out, ", %s%s", sqa_figure_metric(buf, &group->floor->value[metric], metric, false),
                        accuracy ? " %" : "");
        if (!isnan(d->mean))
            sqa_text_printf(out, "; difference %s%s", sqa_figure_metric(buf, d, metric, true),
                            accuracy ? " points" : "");
    }
    sqa_text_add(out, ".\n");
    list_models(out, group, "  - Not to be told from the best: ", like_best);
    if (!group->floor)
        sqa_text_add(out, "  - No floor was run, so nothing says how much of this is learned.\n");
    list_models(out, group, "  - **Not better than the best floor:** ", not_better);
    list_models(out, group, "  - Ahead of the best floor, but the interval does not show it: ", unclear);
}

/* What is damaged or missing, before anything else. */
static void mind_run(struct sqa_text *out, const struct sqa_pool_run *run)
{
    static const int counted[] = {SQA_FILE_CELLS, SQA_FILE_EXAMPLES};
    for (const char *line = sqa_text_get(&run->files.mind); *line;) {
        char text[1280];
        const size_t n = strcspn(line, "\n");
        snprintf(text, sizeof text, "%.*s", (int)n, line);
        sqa_text_add(out, "- **Mind:** ");
        sqa_markdown_text(out, text);
        sqa_text_add(out, ".\n");
        line += n + (line[n] == '\n');
    }
    for (size_t i = 0; i < sizeof counted / sizeof counted[0]; i++)
        if (run->twice[counted[i]]) {
            sqa_text_printf(out, "- **Mind:** %zu row%s of ", run->twice[counted[i]], plural(run->twice[counted[i]]));
            sqa_markdown_code(out, run->files.dir, false);
            sqa_text_printf(out, " stand%s twice in %s; one of each is shown.\n",
                            run->twice[counted[i]] == 1 ? "s" : "", sqa_schemas[counted[i]].file);
        }
    const char *missing = !run->files.json                          ? "run.json, so what made its rows is not known"
                          : !run->files.sheet[SQA_FILE_CELLS].names ? "cells.csv that can be read, so no row is shown"
                                                                    : NULL;
    if (missing) {
        sqa_text_add(out, "- **Mind:** ");
        sqa_markdown_code(out, run->files.dir, false);
        sqa_text_printf(out, " has no %s.\n", missing);
    }
}

static void mind_models(struct sqa_text *out, const struct sqa_pool *pool)
{
    const char *separator = "- **Mind:** models that this build does not have: ";
    for (size_t i = 0; pool->knows && i < pool->n_entries; i++) {
        const char *model = pool->entries[i].model;
        size_t first = 0;
        while (strcmp(pool->entries[first].model, model) != 0)
            first++;
        if (first < i || pool->entries[i].external || pool->knows(model))
            continue;
        sqa_text_add(out, separator);
        sqa_markdown_code(out, model, false);
        separator = ", ";
    }
    if (separator[0] == ',')
        sqa_text_add(out, "; their rows are shown as recorded.\n");
}

static void summary_mind(struct sqa_text *out, const struct sqa_pool *pool)
{
    size_t ok = 0;
    for (size_t r = 0; r < pool->n_runs; r++)
        mind_run(out, &pool->runs[r]);
    for (size_t i = 0; i < pool->n_cells; i++)
        ok += sqa_pool_cell_ok(&pool->cells[i]);
    if (ok == 0)
        sqa_text_add(out, "- **Mind:** not one cell has finished, so there is nothing to compare.\n");
    mind_models(out, pool);
}

void sqa_markdown_summary(struct sqa_text *out, const struct sqa_pool *pool)
{
    bool tested = false;
    sqa_text_add(out, "# seqarena report\n\n## Summary\n\n");
    summary_mind(out, pool);
    summary_cells(out, pool);
    for (size_t r = 0; r < pool->n_runs; r++)
        summary_run(out, &pool->runs[r], r + 1 < pool->n_runs ? &pool->runs[r + 1] : NULL);
    summary_mixed(out, pool);
    for (size_t g = 0; g < pool->n_groups; g++)
        tested = tested || pool->groups[g].metric >= 0;
    sqa_text_add(out, tested ? "\nWhat stands out:\n\n" : "");
    for (size_t g = 0; g < pool->n_groups; g++)
        summary_group(out, &pool->groups[g]);
    sqa_text_add(out, "\n");
}
