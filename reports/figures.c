/* figures.c - see figures.h */
#include "reports/figures.h"

#include <stdio.h>
#include <string.h>

#include "reports/grid.h"
#include "reports/plots.h"

enum { KINDS = 3, MOST = 6 }; /* pictures of one kind */

static const char *const kinds[][KINDS] = {
    [SQA_FIGURES_QUALITY] = {"ranks", "critical-difference", "pareto"},
    [SQA_FIGURES_COST] = {"bubbles", "roofline"},
    [SQA_FIGURES_SCALING] = {"scaling-time", "scaling-memory"},
    [SQA_FIGURES_CURVES] = {"curves", "horizon"},
};

/* Once a document: without the program there are sentences only. */
static void say_missing(struct sqa_parts *parts)
{
    static const char words[] = "Figures are left out: gnuplot is not installed (Debian: gnuplot-nox).\n\n";
    for (size_t i = 0; i < parts->n; i++)
        if (!parts->at[i].figure && strstr(sqa_text_get(&parts->at[i].text), words))
            return;
    sqa_text_add(sqa_parts_markdown(parts), words);
}

static enum sqa_status add(struct sqa_parts *parts, const struct sqa_plots *plots, size_t which, struct sqa_err *err)
{
    struct sqa_text svg = {0};
    char id[32];
    snprintf(id, sizeof id, "f%zu", parts->n);
    enum sqa_status status = sqa_plots_draw(plots, which, 1, SQA_PLOT_INLINE, id, &svg, err);
    if (status == SQA_OK) {
        struct sqa_part *part = sqa_parts_figure(parts);
        if (part) {
            part->text = svg;
            sqa_markdown_text(&part->caption, sqa_text_get(&plots->at[which]->caption));
            return SQA_OK;
        }
        status = sqa_fail(err, SQA_NOMEM, "report: no memory for a figure; free some memory or report fewer runs");
    }
    sqa_text_clear(&svg);
    return status;
}

static enum sqa_status add_kind(struct sqa_parts *parts, const struct sqa_pool *pool,
                                const struct sqa_plots_kind *kind, struct sqa_err *err)
{
    const struct sqa_plots_from from = {.pool = pool};
    struct sqa_plots plots = {0};
    enum sqa_status status = kind->draw(&plots, &from, err);
    if (status == SQA_OK && sqa_plots_failed(&plots))
        status = sqa_fail(err, SQA_NOMEM, "report: no memory for figures; free some memory or report fewer runs");
    for (size_t i = 0; i < plots.n && i < MOST && status == SQA_OK; i++)
        status = add(parts, &plots, i, err);
    if (status == SQA_OK && plots.n > MOST)
        sqa_text_printf(sqa_parts_markdown(parts), "%zu more of these: `seqarena plot %s RUN...`\n\n", plots.n - MOST,
                        kind->name);
    sqa_plots_clear(&plots);
    return status;
}

enum sqa_status sqa_figures(struct sqa_parts *parts, const struct sqa_pool *pool, enum sqa_figure_place place,
                            struct sqa_err *err)
{
    for (int i = 0; i < KINDS && kinds[place][i]; i++)
        for (const struct sqa_plots_kind *k = sqa_plots_kinds; k->name; k++) {
            if (strcmp(k->name, kinds[place][i]) != 0)
                continue;
            struct sqa_err here = {0};
            const enum sqa_status status = add_kind(parts, pool, k, &here);
            if (status == SQA_MACHINE && strcmp(here.text, sqa_plot_missing) == 0) {
                say_missing(parts);
                return SQA_OK;
            }
            if (status != SQA_OK)
                return sqa_fail(err, status, "%s", here.text);
        }
    return SQA_OK;
}
