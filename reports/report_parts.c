/* report_parts.c - the sections of a report, in their order */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reports/figures.h"
#include "reports/grid.h"
#include "reports/markdown.h"
#include "reports/tidy.h"

enum { EMBEDDED_MAX = 2 << 20 }; /* bytes of summarised values that a page carries */

static const char method[] =
    "## How to read this\n\n"
    "- Brackets hold a 95 % interval. No brackets: none can be had from what was recorded. `-`: no value.\n"
    "- *Wilson*: one seed (or seeds that agree); score interval of a proportion over the test examples.\n"
    "  It says nothing of other seeds.\n"
    "- *bootstrap*: 2000 resamples of seeds and of test examples, crossed; forecast windows overlap, so they are\n"
    "  drawn in runs of one horizon. With fewer than about five seeds the spread between seeds is understated.\n"
    "- *t*: Student's interval over seeds, on the same examples; used for validation figures, MAE and own peak too.\n"
    "  Two seeds give a very wide one.\n"
    "- *Differences* pair the same seed and the same test example (a floor is not trained: any of its seeds does).\n"
    "  An interval without 0 shows a difference; with many comparisons one in twenty does so by chance.\n"
    "- *Latency* is the median of one step of a full batch, its interval the order statistics of all samples;\n"
    "  ratios of two medians combine two intervals of 97.5 %.\n"
    "- Models are ranked by test figures; the weights tested were chosen by validation.\n"
    "- *(external)*: a model that ran elsewhere; its predictions were scored here, on the same examples as all "
    "others.\n"
    "- FLOPs and bytes are counted from the graph, not measured; a multiply-add is 2, bytes the least traffic.\n";

/* Figures of a place that has no section of its own in Markdown: the heading stands only above a figure. */
static enum sqa_status figures_below(struct sqa_parts *parts, const struct sqa_pool *pool,
                                     enum sqa_figure_place place, const char *heading, struct sqa_err *err)
{
    struct sqa_text *text = sqa_parts_markdown(parts);
    const size_t n = parts->n, length = text->length;
    sqa_text_printf(text, "## %s\n\n", heading);
    const enum sqa_status status = sqa_figures(parts, pool, place, err);
    if (parts->n == n && text->length)
        text->text[text->length = length] = '\0';
    return status;
}

/* Appends the path that leads from the directory `from` to `to`, both real paths, as a link's address. */
static void relative_path(struct sqa_text *out, const char *from, const char *to)
{
    size_t same = 0;
    for (size_t i = 0;; i++) {
        const bool from_ends = from[i] == '\0' || from[i] == '/', to_ends = to[i] == '\0' || to[i] == '/';
        if (from_ends && to_ends)
            same = i;
        if (from[i] != to[i] || from[i] == '\0')
            break;
    }
    const char *up = from + same, *down = to + same;
    bool empty = true;
    for (; *up; up++)
        if (*up == '/' && up[1]) {
            sqa_text_add(out, empty ? ".." : "/..");
            empty = false;
        }
    down += *down == '/';
    if (*down && !empty)
        sqa_text_add(out, "/");
    for (; *down; down++) {
        if (strchr("-_.~/,=+", *down) || (*down >= '0' && *down <= '9') || (*down >= 'A' && *down <= 'Z') ||
            (*down >= 'a' && *down <= 'z'))
            sqa_text_add_bytes(out, down, 1);
        else
            sqa_text_printf(out, "%%%02X", (unsigned char)*down);
        empty = false;
    }
    sqa_text_add(out, empty ? "." : "");
}

/* The real path of the directory that file is in, or will be; false when there is none. */
static bool directory_of(const char *file, char real[PATH_MAX])
{
    char dir[PATH_MAX];
    const char *slash = strrchr(file, '/');
    const int n = slash == file ? 1 : slash ? (int)(slash - file) : 0;
    snprintf(dir, sizeof dir, "%.*s", n, file);
    return realpath(n ? dir : ".", real) != NULL;
}

static void raw_run(struct sqa_text *out, const struct sqa_pool_run *run, const char *from)
{
    char real[PATH_MAX];
    const bool linked = from && realpath(run->files.dir, real);
    const char *separator = ": ";
    sqa_text_add(out, "- ");
    sqa_markdown_code(out, run->files.dir, false);
    for (int f = -1; f < SQA_FILES; f++) {
        const char *name = f < 0 ? "run.json" : sqa_schemas[f].file;
        if (f < 0 ? !run->files.json : !run->files.sheet[f].names)
            continue;
        sqa_text_add(out, separator);
        separator = ", ";
        if (linked) {
            sqa_text_printf(out, "[%s](", name);
            relative_path(out, from, real);
            sqa_text_printf(out, "/%s)", name);
        } else {
            sqa_markdown_code(out, name, false);
        }
        if (f >= 0)
            sqa_text_printf(out, " (%zu rows)", run->files.sheet[f].nrow);
    }
    sqa_text_add(out, "\n");
}

static void raw_rows(struct sqa_parts *parts, const struct sqa_pool *pool, const char *file)
{
    char from[PATH_MAX];
    const bool linked = file && directory_of(file, from);
    struct sqa_text *out = sqa_parts_markdown(parts);
    sqa_text_add(out, "## Raw rows\n\n");
    for (size_t r = 0; r < pool->n_runs; r++)
        raw_run(out, &pool->runs[r], linked ? from : NULL);
    sqa_text_add(out, "\n");
    struct sqa_part *values = sqa_parts_file(parts, "seqarena-report.csv");
    if (!values)
        return;
    sqa_tidy_csv(&values->text, pool);
    if (values->text.length <= EMBEDDED_MAX)
        return;
    sqa_text_clear(&values->text);
    values->file = NULL;
    sqa_text_add(&values->text,
                 "The summarised values are too many to be carried here; `report --format csv` writes them.\n\n");
}

static enum sqa_status results(struct sqa_parts *parts, const struct sqa_pool *pool, bool page, struct sqa_err *err)
{
    sqa_markdown_summary(sqa_parts_markdown(parts), pool);
    sqa_markdown_quality(sqa_parts_markdown(parts), pool);
    enum sqa_status status = page ? sqa_figures(parts, pool, SQA_FIGURES_QUALITY, err) : SQA_OK;
    if (status == SQA_OK)
        status = sqa_markdown_ranking(sqa_parts_markdown(parts), pool, err);
    if (status == SQA_OK)
        status = sqa_markdown_cost(sqa_parts_markdown(parts), pool, err);
    if (status == SQA_OK && page)
        status = sqa_figures(parts, pool, SQA_FIGURES_COST, err);
    if (status == SQA_OK)
        status = sqa_markdown_scaling(sqa_parts_markdown(parts), pool, err);
    if (status == SQA_OK && page)
        status = sqa_figures(parts, pool, SQA_FIGURES_SCALING, err);
    return status;
}

enum sqa_status sqa_report_parts(struct sqa_parts *parts, const struct sqa_pool *pool, bool page, const char *file,
                                 struct sqa_err *err)
{
    enum sqa_status status = results(parts, pool, page, err);
    if (status != SQA_OK)
        return status;
    sqa_markdown_timings(sqa_parts_markdown(parts), pool);
    sqa_markdown_counters(sqa_parts_markdown(parts), pool);
    if (page)
        sqa_markdown_ops(sqa_parts_markdown(parts), pool);
    if (status == SQA_OK && page)
        status = figures_below(parts, pool, SQA_FIGURES_CURVES, "Learning curves", err);
    sqa_markdown_runs(sqa_parts_markdown(parts), pool);
    if (page)
        raw_rows(parts, pool, file);
    sqa_text_add(sqa_parts_markdown(parts), method);
    return status;
}
