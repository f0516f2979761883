/* paper_md_verdicts.c - footnotes and verdicts of a table as Markdown (see paper.h) */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "reports/grid.h"
#include "reports/paper_private.h"

static const char *const superscripts[] = {"¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
enum { MARKS = sizeof superscripts / sizeof superscripts[0] };

/* The n-th footnote of the file, of columns before rows, and its label; NULL when there are no more. */
static const char *footnote(const struct sqa_paper *paper, size_t n, const char **label)
{
    for (size_t i = 0; i < paper->n_columns + paper->n_rows; i++) {
        const struct sqa_paper_row *row = i < paper->n_columns ? NULL : &paper->rows[i - paper->n_columns];
        const char *text = row ? row->footnote : paper->columns[i].footnote;
        if (!text || n-- > 0)
            continue;
        *label = row ? row->label : paper->columns[i].label;
        return text;
    }
    return NULL;
}

const char *sqa_paper_footnote_mark(const struct sqa_paper *paper, const char *label)
{
    const char *of;
    for (size_t n = 0; n < MARKS && footnote(paper, n, &of); n++)
        if (strcmp(of, label) == 0)
            return superscripts[n];
    return "";
}

const char *sqa_paper_verdict_mark(enum sqa_paper_verdict v)
{
    return v == SQA_PAPER_REPRODUCED ? " ✓" : v == SQA_PAPER_NOT ? " ✗" : v == SQA_PAPER_CANNOT_TELL ? " ?" : "";
}

static size_t count(const struct sqa_paper_filled *t, enum sqa_paper_verdict v)
{
    size_t n = 0;
    for (size_t k = 0; k < t->n_panels; k++)
        for (size_t i = 0; i < t->panels[k].n_lines; i++)
            for (size_t c = 0; c < t->panels[k].n_columns; c++)
                n += t->panels[k].lines[i].cells[c].verdict == v;
    return n;
}

void sqa_paper_markdown_marks(struct sqa_text *out, const struct sqa_paper_filled *t)
{
    static const char *const says[SQA_PAPER_VERDICTS] = {
        [SQA_PAPER_REPRODUCED] =
            "reproduced: the whole 95 % interval lies within the tolerance of the published figure",
        [SQA_PAPER_NOT] = "not reproduced: the whole 95 % interval lies outside the tolerance",
        [SQA_PAPER_CANNOT_TELL] = "cannot tell: the interval reaches out of the tolerance, or one seed gives none"};
    for (int v = SQA_PAPER_REPRODUCED; v <= SQA_PAPER_CANNOT_TELL; v++)
        if (count(t, (enum sqa_paper_verdict)v))
            sqa_text_printf(out, "- %s: %s.\n", sqa_paper_verdict_mark((enum sqa_paper_verdict)v) + 1, says[v]);
    for (size_t n = 0; n < MARKS; n++) {
        const char *label, *text = footnote(t->paper, n, &label);
        if (!text)
            break;
        sqa_text_printf(out, "- %s: ", superscripts[n]);
        sqa_markdown_text(out, text);
        sqa_text_add(out, "\n");
    }
}

static void verdict_row(struct sqa_grid *grid, const struct sqa_paper_filled *t, const struct sqa_paper_panel *p,
                        const struct sqa_paper_line *l, size_t c)
{
    const struct sqa_paper_cell *cell = &l->cells[c];
    const bool forecast = t->paper->kind == SQA_PAPER_FORECAST;
    const struct sqa_pool_entry *floor = t->pool->groups[cell->entry->group].floor;
    struct sqa_text measured = {0}, difference = {0}, tolerance = {0};
    sqa_paper_number(&measured, p->unit, cell->x.mean);
    sqa_paper_interval(&measured, p->unit, &cell->x);
    if (p->unit == SQA_UNIT_ERROR)
        sqa_text_printf(&difference, "%+.1f %%", 100 * (cell->x.mean / cell->target->value - 1));
    else
        sqa_text_printf(&difference, "%+.2f", cell->x.mean - cell->target->value);
    sqa_paper_number(&tolerance, p->unit, cell->tolerance);
    sqa_grid_code(grid, cell->entry->model, "");
    if (forecast)
        sqa_grid_printf(grid, "%s, %s", l->label, strcmp(p->metric, "mse") == 0 ? "MSE" : "MAE");
    else
        sqa_grid_cell(grid, p->columns[c]);
    sqa_grid_printf(grid, "%s, %s", cell->target->text, cell->target->id);
    sqa_grid_cell(grid, sqa_text_get(&measured));
    sqa_grid_cell(grid, sqa_text_get(&difference));
    sqa_grid_cell(grid, sqa_text_get(&tolerance));
    sqa_grid_printf(grid, "%s%s%s", sqa_paper_verdict_name(cell->verdict),
                    cell->on_floor && floor ? "; no more than " : "", cell->on_floor && floor ? floor->model : "");
    grid->failed = grid->failed || measured.failed || difference.failed || tolerance.failed;
    sqa_text_clear(&measured);
    sqa_text_clear(&difference);
    sqa_text_clear(&tolerance);
}

void sqa_paper_markdown_verdicts(struct sqa_text *out, const struct sqa_paper_filled *t)
{
    static const char *const header[] = {"model",      "cell",      "published", "measured",
                                         "difference", "tolerance", "verdict"};
    struct sqa_grid grid;
    size_t judged = 0;
    for (int v = SQA_PAPER_REPRODUCED; v < SQA_PAPER_VERDICTS; v++)
        judged += count(t, (enum sqa_paper_verdict)v);
    if (!judged)
        return;
    sqa_text_add(out, "## Verdicts\n\n");
    sqa_text_printf(out,
                    "Of %zu measured cells with a published figure: %zu reproduced, %zu not, %zu cannot be told, %zu "
                    "of another scale, task or setting (scale `%s` is the published one), which is neither. The "
                    "published figures are single numbers: their own scatter is not known.\n\n",
                    judged, count(t, SQA_PAPER_REPRODUCED), count(t, SQA_PAPER_NOT), count(t, SQA_PAPER_CANNOT_TELL),
                    count(t, SQA_PAPER_OTHER_SCALE), t->paper->published_scale);
    sqa_grid_begin(&grid, "llrrrrl");
    for (size_t i = 0; i < sizeof header / sizeof header[0]; i++)
        sqa_grid_cell(&grid, header[i]);
    for (size_t k = 0; k < t->n_panels; k++)
        for (size_t i = 0; i < t->panels[k].n_lines; i++)
            for (size_t c = 0; c < t->panels[k].n_columns; c++)
                if (t->panels[k].lines[i].cells[c].verdict != SQA_PAPER_NO_VERDICT)
                    verdict_row(&grid, t, &t->panels[k], &t->panels[k].lines[i], c);
    sqa_grid_end(&grid, out);
}
