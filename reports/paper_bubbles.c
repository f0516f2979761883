/* paper_bubbles.c - score, speed and memory of two tables joined, as rows (see paper.h) */
#include <math.h>
#include <string.h>

#include "base/csv.h"
#include "reports/grid.h"
#include "reports/paper.h"

static const struct sqa_paper_panel *panel_of(const struct sqa_paper_filled *t, const char *metric)
{
    for (size_t i = 0; i < t->n_panels; i++)
        if (strcmp(t->panels[i].metric, metric) == 0 && !t->panels[i].against)
            return &t->panels[i];
    return NULL;
}

/* The line of the same model in the same kind of figure, or of the same printed row. */
static const struct sqa_paper_line *line_of(const struct sqa_paper_panel *p, const struct sqa_paper_line *l)
{
    for (size_t i = 0; i < p->n_lines; i++) {
        const struct sqa_paper_line *o = &p->lines[i];
        if (o->kind == l->kind && (l->model ? strcmp(o->model, l->model) == 0 : strcmp(o->label, l->label) == 0))
            return o;
    }
    return NULL;
}

struct join {
    const struct sqa_paper_panel *score, *speed, *memory;
    size_t at;
};

static double cell_of(const struct sqa_paper_panel *p, const struct sqa_paper_line *l, size_t at)
{
    const struct sqa_paper_line *o = line_of(p, l);
    return o ? o->cells[at].x.mean : (double)NAN;
}

/* Whether a measured line has a speed and a memory, so that it can be drawn. */
static bool timed(const struct join *j, const struct sqa_paper_line *l)
{
    return cell_of(j->speed, l, j->at) > 0 && cell_of(j->memory, l, j->at) > 0;
}

/* Tasks that every timed measured line with any score has. */
static size_t shared_tasks(const struct join *j, bool shared[SQA_PAPER_COLUMNS])
{
    size_t lines = 0, n = 0;
    for (size_t c = 0; c < j->score->n_tasks; c++)
        shared[c] = true;
    for (size_t i = 0; i < j->score->n_lines; i++) {
        const struct sqa_paper_line *l = &j->score->lines[i];
        bool any = false;
        for (size_t c = 0; c < j->score->n_tasks; c++)
            any = any || l->cells[c].entry;
        if (l->id || !any || !timed(j, l))
            continue;
        lines++;
        for (size_t c = 0; c < j->score->n_tasks; c++)
            shared[c] = shared[c] && l->cells[c].entry;
    }
    for (size_t c = 0; c < j->score->n_tasks; c++)
        n += lines && shared[c];
    return n;
}

static double mean_of(const struct sqa_paper_line *l, const bool *shared, size_t n)
{
    double sum = 0;
    size_t count = 0;
    for (size_t c = 0; c < n; c++)
        if (shared[c]) {
            sum += l->cells[c].x.mean;
            count++;
        }
    return count ? sum / (double)count : (double)NAN;
}

enum sqa_status sqa_bubbles_make(const struct sqa_paper *paper, const struct sqa_paper_filled *score,
                                 const struct sqa_paper_filled *speed, struct sqa_bubbles *out, struct sqa_err *err)
{
    struct join j = {&score->panels[0], panel_of(speed, "steps_per_second"), panel_of(speed, "peak_memory"), 0};
    bool shared[SQA_PAPER_COLUMNS];
    struct sqa_text tasks = {0};
    *out = (struct sqa_bubbles){.paper = paper, .tasks = ""};
    if (score->paper->kind != SQA_PAPER_ACCURACY || !j.speed || !j.memory)
        return sqa_fail(err, SQA_INPUT, "table %s: score is no accuracy table or speed no speed table; correct them",
                        paper->name);
    while (j.at < j.speed->n_columns && strcmp(j.speed->columns[j.at], paper->at) != 0)
        j.at++;
    if (j.at == j.speed->n_columns)
        return sqa_fail(err, SQA_INPUT, "table %s: table %s has no column '%s'; correct `at`", paper->name,
                        paper->speed, paper->at);
    out->at = sqa_arena_alloc(&out->arena, (j.score->n_lines + 1) * sizeof *out->at);
    const size_t n = shared_tasks(&j, shared);
    for (size_t c = 0; n && c < j.score->n_tasks; c++)
        if (shared[c])
            sqa_text_printf(&tasks, "%s%s", tasks.length ? ", " : "", j.score->columns[c]);
    out->tasks = sqa_arena_strdup(&out->arena, sqa_text_get(&tasks));
    const bool failed = tasks.failed || !out->at || !out->tasks;
    sqa_text_clear(&tasks);
    if (failed) {
        sqa_bubbles_clear(out);
        return sqa_fail(err, SQA_NOMEM, "table %s: no memory; free some memory or name fewer runs", paper->name);
    }
    for (size_t i = 0; i < j.score->n_lines; i++) {
        const struct sqa_paper_line *l = &j.score->lines[i];
        struct sqa_bubble b = {.label = l->model ? l->model : l->label,
                               .published = l->id != NULL,
                               .external = l->kind == SQA_LINE_EXTERNAL,
                               .speed = cell_of(j.speed, l, j.at),
                               .memory = cell_of(j.memory, l, j.at)};
        b.score = b.published ? l->cells[j.score->n_tasks].x.mean
                  : n         ? mean_of(l, shared, j.score->n_tasks)
                              : (double)NAN;
        if (!isnan(b.score) && b.speed > 0 && b.memory > 0)
            out->at[out->n++] = b;
    }
    return SQA_OK;
}

void sqa_bubbles_clear(struct sqa_bubbles *b)
{
    sqa_arena_clear(&b->arena);
    *b = (struct sqa_bubbles){0};
}

void sqa_bubbles_markdown(struct sqa_text *out, const struct sqa_bubbles *b, const char *runs)
{
    struct sqa_grid grid;
    sqa_text_add(out, "# ");
    sqa_markdown_text(out, b->paper->title);
    sqa_text_add(out, "\n\nAfter ");
    sqa_markdown_text(out, b->paper->source);
    sqa_text_printf(out, ". Drawn by `--format svg`. Speed and memory at %s tokens.\n\n", b->paper->at);
    if (runs)
        sqa_text_printf(out, "%s\n\n", runs);
    sqa_grid_begin(&grid, "llrrr");
    sqa_grid_cell(&grid, "model");
    sqa_grid_cell(&grid, "figures");
    sqa_grid_cell(&grid, "score, %");
    sqa_grid_cell(&grid, "training steps a second");
    sqa_grid_cell(&grid, "peak memory");
    for (size_t i = 0; i < b->n; i++) {
        const struct sqa_bubble *x = &b->at[i];
        char buf[32];
        if (x->published)
            sqa_grid_cell(&grid, x->label);
        else
            sqa_grid_code(&grid, x->label, x->external ? " (external)" : "");
        sqa_grid_cell(&grid, x->published ? "published" : "measured");
        sqa_grid_printf(&grid, "%.2f", x->score);
        sqa_grid_printf(&grid, "%.3g", x->speed);
        sqa_grid_cell(&grid, sqa_format_bytes(buf, x->memory));
    }
    sqa_grid_end(&grid, out);
    sqa_text_add(out, "- Published scores are means of five tasks.\n");
    if (*b->tasks)
        sqa_text_printf(out, "- Measured scores are means over what all measured models have: %s.\n", b->tasks);
    else
        sqa_text_add(out, "- No model of the runs has both a score and a time, so nothing measured is drawn.\n");
    for (size_t i = 0; i < b->paper->n_notes; i++) {
        sqa_text_add(out, "- ");
        sqa_markdown_text(out, b->paper->note[i]);
        sqa_text_add(out, "\n");
    }
}

void sqa_bubbles_csv(struct sqa_text *out, const struct sqa_bubbles *b)
{
    static const char *const names[] = {"schema",           "table",       "kind", "row", "score", "tasks", "at",
                                        "steps_per_second", "memory_bytes"};
    sqa_csv_add_row(out, sizeof names / sizeof names[0], names);
    for (size_t i = 0; i < b->n; i++) {
        const struct sqa_bubble *x = &b->at[i];
        char score[32], speed[32], memory[32];
        const char *const row[] = {"1",
                                   b->paper->name,
                                   x->published  ? "published"
                                   : x->external ? "external"
                                                 : "measured",
                                   x->label,
                                   sqa_format_real(score, x->score),
                                   x->published ? "mean of five" : b->tasks,
                                   b->paper->at,
                                   sqa_format_real(speed, x->speed),
                                   sqa_format_real(memory, x->memory)};
        sqa_csv_add_row(out, sizeof row / sizeof row[0], row);
    }
}
