/* paper_md.c - a filled table as Markdown (see paper.h) */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "reports/grid.h"
#include "reports/markdown.h"
#include "reports/paper_private.h"

enum { HOWS_MAX = 256 };

struct hows { /* what differs, in the order of first use: a, b, c, ... */
    const char *text[HOWS_MAX];
    size_t n;
};

static void letter(struct sqa_text *out, size_t i)
{
    if (i < 26)
        sqa_text_printf(out, "%c", (int)('a' + i));
    else
        sqa_text_printf(out, "%c%c", (int)('a' + i / 26 - 1), (int)('a' + i % 26));
}

static size_t how_index(struct hows *h, const char *text)
{
    size_t i = 0;
    while (i < h->n && strcmp(h->text[i], text) != 0)
        i++;
    if (i == h->n && h->n < HOWS_MAX)
        h->text[h->n++] = text;
    return i;
}

void sqa_paper_number(struct sqa_text *out, enum sqa_paper_unit unit, double v)
{
    char buf[32];
    if (unit == SQA_UNIT_BYTES)
        sqa_text_add(out, sqa_format_bytes(buf, v));
    else if (unit == SQA_UNIT_RATE)
        sqa_text_printf(out, "%.3g", v);
    else if (unit == SQA_UNIT_ERROR)
        sqa_text_printf(out, "%.4f", v);
    else
        sqa_text_printf(out, "%.2f", v);
}

void sqa_paper_interval(struct sqa_text *out, enum sqa_paper_unit unit, const struct sqa_estimate *x)
{
    if (isnan(x->low) || strcmp(x->method, "counted") == 0)
        return;
    sqa_text_add(out, " [");
    sqa_paper_number(out, unit, x->low);
    sqa_text_add(out, ", ");
    sqa_paper_number(out, unit, x->high);
    sqa_text_add(out, "]");
}

/* "(3 x 10000, a)": seeds x test examples, or timing samples, and what differs. */
static void remarks(struct sqa_text *out, const struct sqa_paper_panel *p, const struct sqa_paper_cell *cell,
                    struct hows *hows)
{
    const char *separator = " (";
    if (cell->entry && (p->unit == SQA_UNIT_PERCENT || p->unit == SQA_UNIT_ERROR) && cell->x.n_seeds) {
        sqa_text_printf(out, "%s%zu", separator, cell->x.n_seeds);
        if (cell->x.n_examples)
            sqa_text_printf(out, " x %zu", cell->x.n_examples);
        separator = ", ";
    } else if (cell->entry && cell->x.n_examples) {
        sqa_text_printf(out, "%sn %zu", separator, cell->x.n_examples);
        separator = ", ";
    }
    if (cell->rank_low && p->unit == SQA_UNIT_PERCENT) {
        sqa_text_printf(out, "%srank %zu", separator, cell->rank_low);
        if (cell->rank_high > cell->rank_low)
            sqa_text_printf(out, "-%zu", cell->rank_high);
        separator = ", ";
    }
    if (*cell->how) {
        sqa_text_add(out, separator);
        letter(out, how_index(hows, cell->how));
        separator = ", ";
    }
    sqa_text_add(out, separator[0] == ',' ? ")" : "");
}

/* Around a figure: bold for the best, in a forecast italics for the second. */
static const char *emphasis(const struct sqa_paper_panel *p, const struct sqa_paper_cell *cell)
{
    const bool places = p->unit == SQA_UNIT_ERROR || p->unit == SQA_UNIT_RANK;
    return cell->best ? "**" : places && cell->rank_low == 2 ? "_" : "";
}

static void cell_text(struct sqa_text *out, const struct sqa_paper_panel *p, const struct sqa_paper_cell *cell,
                      struct hows *hows)
{
    if (cell->text) {
        sqa_text_add(out, cell->text);
        return;
    }
    if (isnan(cell->x.mean))
        return;
    sqa_text_add(out, emphasis(p, cell));
    if (cell->printed && p->unit != SQA_UNIT_BYTES && strcmp(cell->printed->unit, "ms") != 0 &&
        !(p->against && strcmp(p->metric, "peak_memory_ratio") == 0))
        sqa_text_add(out, cell->printed->text); /* to the printed digit */
    else
        sqa_paper_number(out, p->unit, cell->x.mean);
    sqa_text_add(out, emphasis(p, cell));
    sqa_text_add(out, cell->impossible ? " §" : "");
    sqa_text_add(out, cell->second_hand ? " °" : "");
    sqa_text_add(out, cell->large ? " †" : "");
    sqa_text_add(out, p->unit == SQA_UNIT_PERCENT && cell->on_floor ? " ‡" : "");
    sqa_text_add(out, sqa_paper_verdict_mark(cell->verdict));
    sqa_paper_interval(out, p->unit, &cell->x);
    remarks(out, p, cell, hows);
}

static const char *class_of(enum sqa_paper_line_kind kind)
{
    return kind == SQA_LINE_FLOOR      ? " (floor)"
           : kind == SQA_LINE_CONTROL  ? " (control)"
           : kind == SQA_LINE_EXTERNAL ? " (external)"
                                       : "";
}

/* Where a line's figures come from. */
static void figures_cell(struct sqa_grid *grid, const struct sqa_paper_filled *t, const struct sqa_paper_line *l)
{
    if (!l->id)
        sqa_grid_cell(grid, "measured");
    else if (t->paper->n_published == 1)
        sqa_grid_cell(grid, "published");
    else
        sqa_grid_printf(grid, "published, %s", l->id);
}

static void write_panel(struct sqa_text *out, const struct sqa_paper_filled *t, const struct sqa_paper_panel *p,
                        struct hows *hows)
{
    const bool facts = t->paper->kind == SQA_PAPER_FACTS,
               bare = facts || t->paper->kind == SQA_PAPER_AUDIT ||
                      t->paper->kind == SQA_PAPER_FAIR; /* measured lines only */
    char align[SQA_PAPER_COLUMNS + 8] = "ll";
    struct sqa_grid grid;
    memset(align + (bare ? 1 : 2), 'r', p->n_columns);
    align[(bare ? 1 : 2) + p->n_columns] = '\0';
    sqa_text_add(out, "## ");
    sqa_markdown_text(out, p->title);
    sqa_text_add(out, "\n\n");
    sqa_grid_begin(&grid, align);
    if (facts)
        memset(align, 'l', 3);
    sqa_grid_cell(&grid, t->paper->kind == SQA_PAPER_FORECAST ? "data, horizon" : facts ? "where" : "model");
    if (!bare)
        sqa_grid_cell(&grid, "figures");
    for (size_t c = 0; c < p->n_columns; c++)
        sqa_grid_printf(&grid, "%s%s", p->columns[c], sqa_paper_footnote_mark(t->paper, p->columns[c]));
    for (size_t i = 0; i < p->n_lines; i++) {
        const struct sqa_paper_line *l = &p->lines[i];
        const char *mark = sqa_paper_footnote_mark(t->paper, l->label);
        if (l->model)
            sqa_grid_code(&grid, l->model, *mark ? mark : class_of(l->kind));
        else
            sqa_grid_printf(&grid, "%s%s", l->label, mark);
        if (!bare)
            figures_cell(&grid, t, l);
        for (size_t c = 0; c < p->n_columns; c++) {
            struct sqa_text text = {0};
            cell_text(&text, p, &l->cells[c], hows);
            sqa_grid_code(&grid, "", text.length ? sqa_text_get(&text) : "-");
            grid.failed = grid.failed || text.failed;
            sqa_text_clear(&text);
        }
    }
    sqa_grid_end(&grid, out);
}

enum mark { MARK_MEASURED, MARK_LARGE, MARK_FLOOR, MARK_IMPOSSIBLE, MARK_SECOND_HAND };

static bool has_mark(const struct sqa_paper_cell *cell, enum mark mark)
{
    return mark == MARK_LARGE         ? cell->large
           : mark == MARK_FLOOR       ? cell->on_floor
           : mark == MARK_IMPOSSIBLE  ? cell->impossible
           : mark == MARK_SECOND_HAND ? cell->second_hand
                                      : cell->entry != NULL;
}

static bool any(const struct sqa_paper_filled *t, enum mark mark)
{
    for (size_t k = 0; k < t->n_panels; k++)
        for (size_t i = 0; i < t->panels[k].n_lines; i++)
            for (size_t c = 0; c < t->panels[k].n_columns; c++)
                if (has_mark(&t->panels[k].lines[i].cells[c], mark))
                    return true;
    return false;
}

static void write_forecast_legend(struct sqa_text *out, const struct sqa_paper_filled *t)
{
    sqa_text_add(out,
                 "- Bold: the lowest figure of its line, italics: the second; by the figures alone, in a published "
                 "line as printed. Average rank: over the lines that have all models of their source.\n");
    if (any(t, MARK_MEASURED))
        sqa_text_add(out,
                     "- Measured: mean over seeds, 95 % interval, seeds x test windows, and a letter for look-back, "
                     "scale and what else must be known. A cell has a place in its line when it ran at the "
                     "table's scale and dropped what the table's loader drops.\n");
    if (any(t, MARK_IMPOSSIBLE))
        sqa_text_add(out, "- §: as printed, MSE is below the square of MAE, which no forecast has: a misprint, and "
                          "it takes no place.\n");
    if (any(t, MARK_SECOND_HAND))
        sqa_text_add(out, "- °: second-hand: the authors of that table copied the figure from another paper.\n");
}

static const char *mode_text(const char *mode)
{
    static const char *const modes[][2] = {{"full", "padded to the task's length"},
                                           {"longest", "padded to the longest of their batch"},
                                           {"sorted", "padded to the longest of their micro-batch"},
                                           {"mixed", "in one mode of padding a task (rows, under Budget)"}};
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (strcmp(mode, modes[i][0]) == 0)
            return modes[i][1];
    return mode;
}

/* One line for all columns, or one for each column that says its mode. */
static void add_padding(struct sqa_text *out, const struct sqa_paper_filled *t)
{
    const char *mode = NULL;
    bool one = true;
    for (size_t c = 0; c < t->paper->n_columns; c++)
        if (*t->padding[c]) {
            one = one && (!mode || strcmp(mode, t->padding[c]) == 0);
            mode = t->padding[c];
        }
    for (size_t c = 0; mode && c < (one ? 1 : t->paper->n_columns); c++) {
        if (!one && !*t->padding[c])
            continue;
        sqa_text_add(out, "- Rows of all models ran ");
        sqa_markdown_text(out, mode_text(one ? mode : t->padding[c]));
        if (!one) {
            sqa_text_add(out, " in ");
            sqa_markdown_text(out, t->paper->columns[c].label);
        }
        sqa_text_add(out, ".\n");
    }
}

static void write_legend(struct sqa_text *out, const struct sqa_paper_filled *t, const struct hows *hows)
{
    const bool speed = t->paper->kind == SQA_PAPER_SPEED, fair = t->paper->kind == SQA_PAPER_FAIR;
    if (!any(t, MARK_MEASURED))
        sqa_text_add(out, "- Nothing of this table is in the runs: every measured cell is \"-\".\n");
    else if (speed)
        sqa_text_add(out,
                     "- Measured: median, 95 % interval, n timing samples; ratios are within one run's task, batch, "
                     "threads and type. Bold: the best of those.\n");
    else if (t->paper->kind == SQA_PAPER_FORECAST)
        ;
    else if (t->paper->kind == SQA_PAPER_FACTS)
        sqa_text_add(out, "- Measured: mean over seeds, 95 % interval, seeds x test examples; a floor needs no seed. "
                          "A difference is what this gives less what there is without it; of two models it is paired "
                          "by seed (and test example, where examples are kept), and bold when its interval excludes "
                          "0; of two sets of windows it is exact.\n");
    else if (t->paper->kind == SQA_PAPER_AUDIT)
        sqa_text_add(out, "- Measured: mean over seeds, 95 % interval, seeds x test examples; differences are paired "
                          "by seed and example. Bold: a difference whose interval excludes 0. none: that code ran "
                          "the paper's form.\n");
    else if (fair)
        sqa_text_add(out,
                     "- Mean over seeds, 95 % interval, seeds x test examples. Ranks are among the matched models of "
                     "a column and leave open what a 95 % interval of the difference paired by seed (and test "
                     "example) does not exclude, pair by pair; bold: rank 1 is not excluded. At equal flops and "
                     "time: the best validation accuracy so far, linear between validations; -: it had spent "
                     "less, or was not validated yet. A model that is cut there is in the middle of its "
                     "schedule.\n");
    else
        sqa_text_add(out, "- Measured: mean over seeds, 95 % interval, seeds x test examples. Bold: the best of one "
                          "task and scale, and what cannot be told from it.\n");
    if (t->paper->kind == SQA_PAPER_FORECAST)
        write_forecast_legend(out, t);
    if (!speed && any(t, MARK_FLOOR))
        sqa_text_add(out, "- ‡: no more than the best floor of its task and scale, which needs no training; on "
                          "ListOps: no more than the first token.\n");
    if (fair && any(t, MARK_LARGE))
        sqa_text_printf(out, "- †: parameters differ by more than %g %% from those of `%s`.\n", t->paper->size_rule,
                        t->paper->baseline[0]);
    else if (any(t, MARK_LARGE))
        sqa_text_printf(out,
                        "- †: more than %g %% more parameters than `%s`, which the published rules do not allow.\n",
                        t->paper->size_rule, t->paper->baseline[0]);
    sqa_paper_markdown_marks(out, t);
    for (size_t i = 0; i < hows->n; i++) {
        sqa_text_add(out, "- ");
        letter(out, i);
        sqa_text_add(out, ": ");
        sqa_markdown_text(out, hows->text[i]);
        sqa_text_add(out, ".\n");
    }
    for (size_t i = 0; i < t->n_notes; i++) {
        sqa_text_add(out, "- ");
        sqa_markdown_text(out, t->notes[i]);
        sqa_text_add(out, "\n");
    }
    add_padding(out, t);
    for (size_t i = 0; i < t->paper->n_published; i++) {
        const struct sqa_published_row *row =
            sqa_published_find(t->published, t->paper->published[i], NULL, NULL, NULL);
        sqa_text_printf(out, "- Published, %s: ", t->paper->published[i]);
        sqa_markdown_text(out, row->source);
        sqa_text_add(out, row->arxiv[0] ? ", arXiv " : "");
        sqa_markdown_text(out, row->arxiv);
        sqa_text_add(out, ", ");
        sqa_markdown_text(out, row->table);
        sqa_text_add(out, ".\n");
    }
    sqa_text_add(out, "\n");
}

static void figure(struct sqa_grid *grid, double v, char *(*format)(char[32], double))
{
    char buf[32];
    sqa_grid_cell(grid, isnan(v) ? "" : format(buf, v));
}

static void real_share(struct sqa_grid *grid, const struct sqa_paper_filled *t, const struct sqa_pool_entry *e)
{
    const double share = sqa_pool_number(t->pool, e->cells, SQA_PHASE_ANY, SQA_CELLS_real_share);
    if (isnan(share))
        sqa_grid_cell(grid, "");
    else
        sqa_grid_printf(grid, "%.0f %%", 100 * share);
}

static void budget_row(struct sqa_grid *grid, const struct sqa_paper_filled *t, const struct sqa_paper_line *l,
                       const char *column, const struct sqa_paper_cell *cell)
{
    const struct sqa_pool_entry *e = cell->entry;
    const double params = e->value[SQA_VALUE_params].mean,
                 base = cell->base ? cell->base->value[SQA_VALUE_params].mean : (double)NAN,
                 batch = sqa_pool_number(t->pool, e->cells, SQA_PHASE_ANY, SQA_CELLS_batch);
    sqa_grid_code(grid, e->model, class_of(l->kind));
    sqa_grid_cell(grid, column);
    sqa_grid_cell(grid, t->pool->groups[e->group].scale);
    figure(grid, e->value[SQA_VALUE_steps].mean, sqa_format_count);
    figure(grid, batch, sqa_format_count);
    figure(grid, params, sqa_format_count);
    if (isnan(params / base))
        sqa_grid_cell(grid, "");
    else
        sqa_grid_printf(grid, "%.3f%s", params / base, cell->large ? " †" : "");
    figure(grid, e->value[SQA_VALUE_infer_flops].mean / batch, sqa_format_count);
    figure(grid, e->value[SQA_VALUE_train_flops].mean / batch, sqa_format_count);
    figure(grid, sqa_pool_number(t->pool, e->cells, SQA_PHASE_ANY, SQA_CELLS_state_floats), sqa_format_count);
    figure(grid, e->value[SQA_VALUE_train_mem_planned_bytes].mean, sqa_format_bytes);
    sqa_grid_cell(grid, sqa_paper_field(t->pool, e, "padding"));
    real_share(grid, t, e);
}

/* The value of "name=value" in "a=1;name=value;...". */
static void recipe_value(struct sqa_grid *grid, const char *recipe, const char *name)
{
    const size_t n = strlen(name);
    for (const char *s = recipe; *s;) {
        const size_t length = strcspn(s, ";");
        if (length > n && strncmp(s, name, n) == 0 && s[n] == '=') {
            sqa_grid_printf(grid, "%.*s", (int)(length - n - 1), s + n + 1);
            return;
        }
        s += length + (s[length] == ';');
    }
    sqa_grid_cell(grid, "");
}

static void fair_row(struct sqa_grid *grid, const struct sqa_paper_filled *t, const struct sqa_paper_line *l,
                     const char *column, const struct sqa_paper_cell *cell)
{
    const struct sqa_pool_entry *e = cell->entry;
    sqa_grid_code(grid, l->model, class_of(l->kind));
    sqa_grid_cell(grid, column);
    figure(grid, e->value[SQA_VALUE_params].mean, sqa_format_count);
    if (cell->base)
        sqa_grid_printf(grid, "%.3f%s", e->value[SQA_VALUE_params].mean / cell->base->value[SQA_VALUE_params].mean,
                        cell->large ? " †" : "");
    else
        sqa_grid_cell(grid, "");
    figure(grid, e->value[SQA_VALUE_steps].mean, sqa_format_count);
    figure(grid, sqa_pool_number(t->pool, e->cells, SQA_PHASE_ANY, SQA_CELLS_batch), sqa_format_count);
    figure(grid, e->value[SQA_VALUE_train_flops].mean, sqa_format_count);
    figure(grid, e->value[SQA_VALUE_train_latency_ns].mean, sqa_format_ns);
    figure(grid, e->value[SQA_VALUE_train_mem_planned_bytes].mean, sqa_format_bytes);
    recipe_value(grid, sqa_paper_field(t->pool, e, "recipe"), "rate");
    sqa_grid_cell(grid, sqa_paper_field(t->pool, e, "trials"));
    real_share(grid, t, e);
}

/* What one step of each trained model costs, and what was chosen for it. */
static void write_fair_budget(struct sqa_text *out, const struct sqa_paper_filled *t)
{
    static const char *const header[] = {"model",          "column", "params",       "times baseline",
                                         "steps",          "batch",  "FLOPs a step", "time a step",
                                         "planned memory", "rate",   "trials",       "real tokens"};
    struct sqa_grid grid;
    if (!any(t, MARK_MEASURED))
        return;
    sqa_grid_begin(&grid, "llrrrrrrrrrr");
    for (size_t i = 0; i < sizeof header / sizeof header[0]; i++)
        sqa_grid_cell(&grid, header[i]);
    for (size_t k = 0; k < t->n_panels; k++) {
        const struct sqa_paper_panel *p = &t->panels[k];
        for (size_t i = 0; i < p->n_lines && strcmp(p->metric, "accuracy") == 0; i++)
            for (size_t c = 0; c < p->n_columns; c++)
                if (p->lines[i].kind != SQA_LINE_FLOOR && p->lines[i].cells[c].entry)
                    fair_row(&grid, t, &p->lines[i], p->columns[c], &p->lines[i].cells[c]);
    }
    sqa_text_add(out, "## Budget\n\n");
    sqa_grid_end(&grid, out);
}

/* What each measured cell could spend. Floors have nothing to spend. */
static void write_budget(struct sqa_text *out, const struct sqa_paper_filled *t)
{
    static const char *const header[] = {"model",
                                         "column",
                                         "scale",
                                         "steps",
                                         "batch",
                                         "params",
                                         NULL,
                                         "FLOPs an example, forward",
                                         "and backward",
                                         "untrained state",
                                         "planned memory",
                                         "rows",
                                         "real tokens"};
    const struct sqa_paper_panel *p = &t->panels[0];
    const bool forecast = t->paper->kind == SQA_PAPER_FORECAST;
    struct sqa_grid grid;
    if (!any(t, MARK_MEASURED))
        return;
    sqa_grid_begin(&grid, "lllrrrrrrrrlr");
    for (size_t i = 0; i < sizeof header / sizeof header[0]; i++)
        if (header[i])
            sqa_grid_cell(&grid, header[i]);
        else
            sqa_grid_printf(&grid, "times %s", t->paper->n_baselines ? t->paper->baseline[0] : "");
    for (size_t i = 0; i < p->n_lines; i++)
        for (size_t c = 0; c < p->n_columns; c++)
            if (p->lines[i].kind != SQA_LINE_FLOOR && p->lines[i].cells[c].entry &&
                p->lines[i].cells[c].entry->class != SQA_CLASS_FLOOR && (t->paper->kind != SQA_PAPER_GAP || c == 1) &&
                !sqa_paper_is_difference(t->paper, c))
                budget_row(&grid, t, &p->lines[i], forecast ? p->lines[i].label : p->columns[c],
                           &p->lines[i].cells[c]);
    if (sqa_grid_rows(&grid) > 1)
        sqa_text_add(out, "## Budget\n\n");
    else
        grid.n = 0;
    sqa_grid_end(&grid, out);
}

void sqa_paper_markdown(struct sqa_text *out, const struct sqa_paper_filled *t, const char *runs)
{
    static const struct hows none = {.n = 0};
    struct hows hows = none;
    sqa_text_add(out, "# ");
    sqa_markdown_text(out, t->paper->title);
    sqa_text_add(out, "\n\nAfter ");
    sqa_markdown_text(out, t->paper->source);
    if (t->paper->n_published)
        sqa_text_printf(out, ". Published and measured figures stand %s of their own and are never averaged together",
                        t->paper->kind == SQA_PAPER_AUDIT || t->paper->kind == SQA_PAPER_FACTS ? "in columns"
                                                                                               : "on lines");
    sqa_text_add(out, ".\n\n");
    if (runs)
        sqa_text_printf(out, "%s\n\n", runs);
    for (size_t i = 0; i < t->n_panels; i++)
        write_panel(out, t, &t->panels[i], &hows);
    write_legend(out, t, &hows);
    sqa_paper_markdown_verdicts(out, t);
    if (t->paper->kind != SQA_PAPER_FACTS)
        (t->paper->kind == SQA_PAPER_FAIR ? write_fair_budget : write_budget)(out, t);
}
