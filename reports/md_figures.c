/* md_figures.c - the tables of a Markdown report: accuracy, differences, cost */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "reports/grid.h"
#include "reports/markdown.h"

static const char *mark(const struct sqa_pool_entry *e)
{
    static const char *const marks[] = {" (floor)", " (control)", ""};
    return e->external ? SQA_EXTERNAL_MARK : marks[e->class];
}

static void heading(struct sqa_text *out, const struct sqa_pool *pool, const struct sqa_pool_group *group,
                    const char *what)
{
    const char *title = sqa_pool_title(pool, "tasks", group->task);
    sqa_text_add(out, "### ");
    sqa_markdown_code(out, group->task, false);
    if (*group->scale)
        sqa_text_printf(out, ", scale %s", group->scale);
    sqa_text_add(out, what);
    sqa_text_add(out, "\n\n");
    if (title && !*what) {
        sqa_markdown_text(out, title);
        sqa_text_add(out, ".\n\n");
    }
}

/* Where the settings of the group's rows come from, each source once. */
static void write_sources(struct sqa_text *out, const struct sqa_pool *pool, const struct sqa_pool_group *group)
{
    struct sqa_text seen = {0};
    for (size_t i = 0; i < group->n; i++) {
        const char *s = sqa_pool_text(pool, group->entries[i]->cells, SQA_PHASE_ANY, SQA_CELLS_recipe_source);
        if (!*s || (seen.text && strstr(seen.text, s)))
            continue;
        sqa_text_add(out, seen.length ? "; " : "Settings from: ");
        sqa_markdown_text(out, s);
        sqa_text_printf(&seen, "%s\n", s);
    }
    sqa_text_add(out, seen.length ? ".\n\n" : "");
    sqa_text_clear(&seen);
}

/* How rows were padded, and the range over models of the share of tokens in training batches. */
static void write_padding(struct sqa_text *out, const struct sqa_pool *pool, const struct sqa_pool_group *group)
{
    static const char *const modes[][2] = {{"longest", "to the longest of their batch"},
                                           {"sorted", "to the longest of their micro-batch"},
                                           {"full", "to the task's length"}};
    int begun = 0;
    for (size_t m = 0; m < sizeof modes / sizeof modes[0]; m++) {
        double low = HUGE_VAL, high = -HUGE_VAL;
        for (size_t i = 0; i < group->n; i++) {
            const struct sqa_pool_cell *c = group->entries[i]->cells;
            const double share = sqa_pool_number(pool, c, SQA_PHASE_ANY, SQA_CELLS_real_share);
            if (strcmp(sqa_pool_text(pool, c, SQA_PHASE_ANY, SQA_CELLS_padding), modes[m][0]) == 0 &&
                isfinite(share)) {
                low = fmin(low, share);
                high = fmax(high, share);
            }
        }
        if (high < 0)
            continue;
        sqa_text_printf(out, "%s %s (tokens in %.0f %%", begun++ ? " Others are padded" : "Rows are padded",
                        modes[m][1], 100 * low);
        if (high - low >= 0.005)
            sqa_text_printf(out, " to %.0f %%", 100 * high);
        sqa_text_add(out, " of the positions of training batches).");
    }
    sqa_text_add(out, begun > 1 ? " Compare costs of rows with one padding only.\n\n" : begun ? "\n\n" : "");
}

static void count_cell(struct sqa_grid *grid, const struct sqa_estimate *x)
{
    char buf[SQA_FIGURE_SIZE];
    sqa_grid_cell(grid, sqa_figure_unit(buf, x, sqa_format_count));
}

static void number_cell(struct sqa_grid *grid, size_t n)
{
    if (n)
        sqa_grid_printf(grid, "%zu", n);
    else
        sqa_grid_cell(grid, "");
}

static void quality_table(struct sqa_text *out, const struct sqa_pool_group *group)
{
    const int metric = group->metric, forecast = metric == SQA_VALUE_test_mse;
    const int valid = forecast                            ? SQA_VALUE_valid_mse
                      : metric == SQA_VALUE_test_accuracy ? SQA_VALUE_valid_accuracy
                                                          : SQA_VALUE_valid_loss;
    char buf[SQA_FIGURE_SIZE];
    struct sqa_grid grid;
    sqa_grid_begin(&grid, forecast ? "lrrrlrrrr" : "lrrrlrrr");
    sqa_grid_cell(&grid, "model");
    sqa_grid_cell(&grid, "seeds");
    sqa_grid_cell(&grid, forecast ? "windows" : "examples");
    sqa_grid_cell(&grid, sqa_metric_title(metric));
    sqa_grid_cell(&grid, "interval by");
    if (forecast)
        sqa_grid_cell(&grid, sqa_metric_title(SQA_VALUE_test_mae));
    sqa_grid_cell(&grid, sqa_metric_title(valid));
    sqa_grid_cell(&grid, "steps");
    sqa_grid_cell(&grid, "params");
    for (size_t i = 0; i < group->n; i++) {
        const struct sqa_pool_entry *e = group->entries[i];
        const struct sqa_estimate *x = &e->value[metric];
        sqa_grid_code(&grid, e->label, mark(e));
        if (x->n_seeds == e->n)
            sqa_grid_printf(&grid, "%zu", e->n);
        else
            sqa_grid_printf(&grid, "%zu of %zu", x->n_seeds, e->n);
        number_cell(&grid, x->n_examples);
        sqa_grid_cell(&grid, sqa_figure_metric(buf, x, metric, false));
        sqa_grid_cell(&grid, x->method);
        if (forecast)
            sqa_grid_cell(&grid, sqa_figure_metric(buf, &e->value[SQA_VALUE_test_mae], SQA_VALUE_test_mae, false));
        sqa_grid_cell(&grid, sqa_figure_metric(buf, &e->value[valid], valid, false));
        count_cell(&grid, &e->value[SQA_VALUE_steps]);
        count_cell(&grid, &e->value[SQA_VALUE_params]);
    }
    sqa_grid_end(&grid, out);
}

/* Errors of forecasts in the units of the data. */
static void units_table(struct sqa_text *out, const struct sqa_pool_group *group)
{
    static const int values[] = {SQA_VALUE_test_rmse, SQA_VALUE_test_mape, SQA_VALUE_test_smape, SQA_VALUE_test_mase};
    enum { N = sizeof values / sizeof values[0] };
    char buf[SQA_FIGURE_SIZE];
    struct sqa_grid grid;
    bool any = false;
    for (size_t i = 0; i < group->n; i++)
        any = any || !isnan(group->entries[i]->value[SQA_VALUE_test_rmse].mean);
    if (!any)
        return;
    sqa_text_add(out,
                 "In the units of the data, over all windows, steps and outputs (where these have several units, "
                 "the largest rule RMSE); MASE 1 is the seasonal naive forecast within the training rows.\n\n");
    sqa_grid_begin(&grid, "lrrrr");
    sqa_grid_cell(&grid, "model");
    for (int k = 0; k < N; k++)
        sqa_grid_cell(&grid, sqa_metric_title(values[k]));
    for (size_t i = 0; i < group->n; i++) {
        const struct sqa_pool_entry *e = group->entries[i];
        sqa_grid_code(&grid, e->label, mark(e));
        for (int k = 0; k < N; k++)
            sqa_grid_cell(&grid, sqa_figure_metric(buf, &e->value[values[k]], values[k], false));
    }
    sqa_grid_end(&grid, out);
}

/* usual: the n that stands above the table and is not repeated. */
static void difference_cell(struct sqa_grid *grid, const struct sqa_estimate *d, int metric,
                            const struct sqa_estimate *usual)
{
    char buf[SQA_FIGURE_SIZE];
    sqa_figure_metric(buf, d, metric, true);
    if (isnan(d->mean) || (d->n_seeds == usual->n_seeds && d->n_examples == usual->n_examples))
        sqa_grid_cell(grid, buf);
    else if (d->n_examples)
        sqa_grid_printf(grid, "%s n %zu x %zu", buf, d->n_seeds, d->n_examples);
    else
        sqa_grid_printf(grid, "%s n %zu, by t", buf, d->n_seeds);
}

static void external_footnote(struct sqa_text *out, const struct sqa_pool_group *group)
{
    bool any = false;
    for (size_t i = 0; i < group->n; i++)
        any = any || group->entries[i]->external;
    if (any)
        sqa_text_add(out, "(external): scored from predictions; cost columns are what the user stated.\n\n");
}

static void difference_table(struct sqa_text *out, const struct sqa_pool_group *group)
{
    static const char *const names[SQA_AGAINST_N] = {NULL, "minus no_mixer", "minus mean_mixer"};
    const int metric = group->metric;
    bool have[SQA_AGAINST_N] = {false};
    const struct sqa_estimate *usual = NULL;
    size_t columns = 0;
    for (size_t i = 0; i < group->n; i++)
        for (int k = 0; k < SQA_AGAINST_N; k++) {
            const bool here = !isnan(group->entries[i]->difference[k].mean);
            usual = here && !usual ? &group->entries[i]->difference[k] : usual;
            columns += here && !have[k];
            have[k] = have[k] || here;
        }
    if (columns == 0)
        return;
    const bool accuracy = metric == SQA_VALUE_test_accuracy;
    sqa_text_printf(out, "Paired differences in %s, %s is better; n is %zu seed%s",
                    accuracy ? "points of accuracy" : sqa_metric_title(metric), accuracy ? "above 0" : "below 0",
                    usual->n_seeds, usual->n_seeds == 1 ? "" : "s");
    if (usual->n_examples)
        sqa_text_printf(out, " x %zu test examples, interval by bootstrap", usual->n_examples);
    else
        sqa_text_add(out, ", interval by t");
    sqa_text_add(out, ", where nothing else is said.\n\n");
    struct sqa_grid grid;
    sqa_grid_begin(&grid, "lrrr");
    grid.columns = columns + 1;
    sqa_grid_cell(&grid, "model");
    for (int k = 0; k < SQA_AGAINST_N; k++)
        if (have[k] && k == SQA_AGAINST_FLOOR)
            sqa_grid_printf(&grid, "minus %s (best floor)", group->floor->label);
        else if (have[k])
            sqa_grid_cell(&grid, names[k]);
    for (size_t i = 0; i < group->n; i++) {
        const struct sqa_pool_entry *e = group->entries[i];
        if (e->class == SQA_CLASS_FLOOR)
            continue;
        sqa_grid_code(&grid, e->label, mark(e));
        for (int k = 0; k < SQA_AGAINST_N; k++)
            if (have[k])
                difference_cell(&grid, &e->difference[k], metric, usual);
    }
    sqa_grid_end(&grid, out);
}

void sqa_markdown_quality(struct sqa_text *out, const struct sqa_pool *pool)
{
    bool begun = false;
    for (size_t g = 0; g < pool->n_groups; g++) {
        const struct sqa_pool_group *group = &pool->groups[g];
        if (group->metric < 0)
            continue;
        sqa_text_add(out, begun ? "" : "## Results\n\n");
        begun = true;
        heading(out, pool, group, "");
        write_sources(out, pool, group);
        if (group->metric != SQA_VALUE_test_mse) /* windows of series all have one length */
            write_padding(out, pool, group);
        quality_table(out, group);
        units_table(out, group);
        external_footnote(out, group);
        difference_table(out, group);
    }
}

/* The values of a phase, in the order of the columns. */
enum { FLOPS, BYTES, PLANNED, OWN, LATENCY, TOKENS, COSTS };
static const int costs[SQA_PHASE_N][COSTS] = {
    {SQA_VALUE_train_flops, SQA_VALUE_train_bytes, SQA_VALUE_train_mem_planned_bytes, SQA_VALUE_train_mem_own_bytes,
     SQA_VALUE_train_latency_ns, SQA_VALUE_train_tokens_per_s},
    {SQA_VALUE_infer_flops, SQA_VALUE_infer_bytes, SQA_VALUE_infer_mem_planned_bytes, SQA_VALUE_infer_mem_own_bytes,
     SQA_VALUE_infer_latency_ns, SQA_VALUE_infer_tokens_per_s},
    {SQA_VALUE_step_flops, SQA_VALUE_step_bytes, SQA_VALUE_step_mem_planned_bytes, SQA_VALUE_step_mem_own_bytes,
     SQA_VALUE_step_latency_ns, SQA_VALUE_step_tokens_per_s},
};

/* Measured cost: what is stated of a model from outside has a table of its own. */
static bool has_cost(const struct sqa_pool_entry *e, int phase)
{
    if (e->external)
        return false;
    for (int c = 0; c < COSTS; c++)
        if (!isnan(e->value[costs[phase][c]].mean))
            return true;
    return false;
}

static bool same_setting(const struct sqa_pool *pool, const struct sqa_pool_entry *a, const struct sqa_pool_entry *b,
                         int phase)
{
    static const int columns[] = {SQA_CELLS_length, SQA_CELLS_batch, SQA_CELLS_dtype, SQA_CELLS_threads};
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
        if (strcmp(sqa_pool_text(pool, a->cells, phase, columns[i]),
                   sqa_pool_text(pool, b->cells, phase, columns[i])) != 0)
            return false;
    return true;
}

static void cost_table(struct sqa_text *out, const struct sqa_pool_entry *const *entries, size_t n, int phase)
{
    char buf[SQA_FIGURE_SIZE];
    static const char *const names[] = {"model",    "params", "FLOPs a step", "bytes a step", "memory planned",
                                        "own peak", "runs",   "samples",      "latency",      "tokens/s"};
    struct sqa_grid grid;
    const bool by_steps = phase == SQA_PHASE_STEP;
    sqa_grid_begin(&grid, by_steps ? "lrrrrrrrrrr" : "lrrrrrrrrr");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        sqa_grid_cell(&grid, names[i]);
    if (by_steps)
        sqa_grid_cell(&grid, "state of a sequence");
    for (size_t i = 0; i < n; i++) {
        const struct sqa_estimate *v = entries[i]->value;
        const int *c = costs[phase];
        sqa_grid_code(&grid, entries[i]->label, mark(entries[i]));
        count_cell(&grid, &v[SQA_VALUE_params]);
        count_cell(&grid, &v[c[FLOPS]]);
        sqa_grid_cell(&grid, sqa_figure_unit(buf, &v[c[BYTES]], sqa_format_bytes));
        sqa_grid_cell(&grid, sqa_figure_unit(buf, &v[c[PLANNED]], sqa_format_bytes));
        sqa_grid_cell(&grid, sqa_figure_unit(buf, &v[c[OWN]], sqa_format_bytes));
        number_cell(&grid, v[c[LATENCY]].n_seeds ? v[c[LATENCY]].n_seeds : v[c[OWN]].n_seeds);
        number_cell(&grid, v[c[LATENCY]].n_examples);
        sqa_grid_cell(&grid, sqa_figure_unit(buf, &v[c[LATENCY]], sqa_format_ns));
        count_cell(&grid, &v[c[TOKENS]]);
        if (by_steps)
            count_cell(&grid, &v[SQA_VALUE_step_state_floats]);
    }
    sqa_grid_end(&grid, out);
}

static void ratio_cell(struct sqa_grid *grid, const struct sqa_estimate *x, const struct sqa_estimate *reference)
{
    if (isnan(x->mean) || !(reference->mean > 0))
        sqa_grid_cell(grid, "");
    else
        sqa_grid_printf(grid, "%.2f", x->mean / reference->mean);
}

static enum sqa_status ratio_table(struct sqa_text *out, const struct sqa_pool_entry *const *entries, size_t n,
                                   int phase, struct sqa_err *err)
{
    static const char *const names[] = {"model", "params", "FLOPs", "bytes", "memory planned", "own peak", "latency"};
    const struct sqa_pool_entry *reference = NULL;
    enum sqa_status status = SQA_OK;
    size_t trained = 0;
    for (size_t i = 0; i < n; i++) {
        trained += entries[i]->class != SQA_CLASS_FLOOR;
        if (entries[i]->class == SQA_CLASS_MODEL && !reference)
            reference = entries[i];
    }
    if (!reference || trained < 2)
        return SQA_OK;
    sqa_text_add(out, "As a multiple of ");
    sqa_markdown_code(out, reference->label, false);
    sqa_text_add(out, " (below 1 is less):\n\n");
    struct sqa_grid grid;
    sqa_grid_begin(&grid, "lrrrrrr");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        sqa_grid_cell(&grid, names[i]);
    for (size_t i = 0; i < n && status == SQA_OK; i++) {
        if (entries[i]->class == SQA_CLASS_FLOOR)
            continue;
        struct sqa_estimate ratio;
        sqa_grid_code(&grid, entries[i]->label, mark(entries[i]));
        ratio_cell(&grid, &entries[i]->value[SQA_VALUE_params], &reference->value[SQA_VALUE_params]);
        for (int c = FLOPS; c <= OWN; c++)
            ratio_cell(&grid, &entries[i]->value[costs[phase][c]], &reference->value[costs[phase][c]]);
        status = sqa_latency_ratio(entries[i], reference, phase, &ratio, err);
        if (isnan(ratio.mean))
            sqa_grid_cell(&grid, "");
        else if (isnan(ratio.low) || entries[i] == reference)
            sqa_grid_printf(&grid, "%.2f", ratio.mean);
        else
            sqa_grid_printf(&grid, "%.2f [%.2f, %.2f]", ratio.mean, ratio.low, ratio.high);
    }
    sqa_grid_end(&grid, out);
    return status;
}

static void cost_heading(struct sqa_text *out, const struct sqa_pool *pool, const struct sqa_pool_group *group,
                         const struct sqa_pool_entry *e, int phase)
{
    static const char *const names[SQA_PHASE_N] = {": a training step", ": inference",
                                                   ": a token by the recurrent form"};
    char what[200], setting[160];
    snprintf(what, sizeof what, "%s%s", names[phase], sqa_pool_setting(setting, pool, e->cells, phase, true));
    heading(out, pool, group, what);
}

/* A table for each setting of the phase; list and done have room for the group's entries. */
static enum sqa_status phase_tables(struct sqa_text *out, const struct sqa_pool *pool,
                                    const struct sqa_pool_group *group, int phase, bool *begun,
                                    const struct sqa_pool_entry **list, bool *done, struct sqa_err *err)
{
    enum sqa_status status = SQA_OK;
    memset(done, 0, group->n * sizeof *done);
    for (size_t first = 0; first < group->n && status == SQA_OK; first++) {
        const struct sqa_pool_entry *e = group->entries[first];
        size_t n = 0;
        if (done[first] || !has_cost(e, phase))
            continue;
        for (size_t i = first; i < group->n; i++)
            if (has_cost(group->entries[i], phase) && same_setting(pool, e, group->entries[i], phase)) {
                list[n++] = group->entries[i];
                done[i] = true;
            }
        sqa_text_add(out, *begun ? "" : "## Cost\n\n");
        *begun = true;
        cost_heading(out, pool, group, e, phase);
        cost_table(out, list, n, phase);
        status = ratio_table(out, list, n, phase, err);
    }
    return status;
}

/* A stated figure of the first training that has it; a mean over seeds would be a figure that nobody stated. */
static void stated_cell(struct sqa_grid *grid, const struct sqa_pool *pool, const struct sqa_pool_entry *e,
                        int column, char *(*format)(char[32], double))
{
    double x = (double)NAN;
    char buf[32];
    for (const struct sqa_pool_cell *cell = e->cells; cell && isnan(x); cell = cell->next)
        x = sqa_pool_number(pool, cell, SQA_PHASE_ANY, column);
    sqa_grid_cell(grid, isnan(x) ? "" : format(buf, x));
}

static char *format_seconds(char buf[32], double seconds)
{
    snprintf(buf, 32, "%.4g s", seconds);
    return buf;
}

/* What users state of their models, apart from what was measured here. */
static void stated_table(struct sqa_text *out, const struct sqa_pool *pool, bool *begun)
{
    static const struct {
        const char *name;
        int column;
        char *(*format)(char[32], double);
    } stated[] = {{"params", SQA_CELLS_params, sqa_format_count},
                  {"batch", SQA_CELLS_batch, sqa_format_count},
                  {"FLOPs forward", SQA_CELLS_flops, sqa_format_count},
                  {"latency", SQA_CELLS_latency_ns_median, sqa_format_ns},
                  {"peak memory", SQA_CELLS_mem_peak_rss_bytes, sqa_format_bytes},
                  {"training", SQA_CELLS_train_seconds, format_seconds}};
    enum { STATED = sizeof stated / sizeof stated[0] };
    struct sqa_grid grid;
    size_t rows = 0;
    for (size_t i = 0; i < pool->n_entries; i++) {
        const struct sqa_pool_entry *e = &pool->entries[i];
        if (!e->external)
            continue;
        if (rows++ == 0) {
            sqa_text_add(out, *begun ? "" : "## Cost\n\n");
            sqa_text_add(out,
                         "### Stated by users of models from outside\n\nNot measured here, on machines of their own "
                         "(see the notes of rows): they compare with nothing above.\n\n");
            *begun = true;
            sqa_grid_begin(&grid, "llrrrrrr");
            sqa_grid_cell(&grid, "model");
            sqa_grid_cell(&grid, "task");
            for (int k = 0; k < STATED; k++)
                sqa_grid_cell(&grid, stated[k].name);
        }
        sqa_grid_code(&grid, e->label, mark(e));
        sqa_grid_code(&grid, pool->groups[e->group].task, "");
        for (int k = 0; k < STATED; k++)
            stated_cell(&grid, pool, e, stated[k].column, stated[k].format);
    }
    if (rows)
        sqa_grid_end(&grid, out);
}

enum sqa_status sqa_markdown_cost(struct sqa_text *out, const struct sqa_pool *pool, struct sqa_err *err)
{
    bool begun = false;
    enum sqa_status status = SQA_OK;
    const struct sqa_pool_entry **list = sqa_alloc_array(pool->n_entries, sizeof *list);
    bool *done = sqa_alloc_array(pool->n_entries, sizeof *done);
    if (!list || !done)
        status = sqa_fail(err, SQA_NOMEM, "report: no memory for the cost tables; report fewer runs");
    for (size_t g = 0; g < pool->n_groups && status == SQA_OK; g++)
        for (int phase = 0; phase < SQA_PHASE_N && status == SQA_OK; phase++)
            status = phase_tables(out, pool, &pool->groups[g], phase, &begun, list, done, err);
    if (status == SQA_OK)
        stated_table(out, pool, &begun);
    sqa_free((void *)list);
    sqa_free(done);
    return status;
}
