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

/* What is drawn together ran as one: one task and scale of a column, one batch and processor of the times. */
struct join {
    const struct sqa_paper_panel *score, *speed, *memory;
    size_t at;
    const char *how[SQA_PAPER_COLUMNS], *how_timed; /* of the cells that are drawn; NULL: there are none */
};

static const struct sqa_paper_cell *cell_of(const struct sqa_paper_panel *p, const struct sqa_paper_line *l,
                                            size_t at)
{
    const struct sqa_paper_line *o = line_of(p, l);
    return o && o->cells[at].x.mean > 0 ? &o->cells[at] : NULL;
}

/* The cell of a measured line with both a speed and a memory, so that it can be drawn; NULL when there is none. */
static const struct sqa_paper_cell *timed(const struct join *j, const struct sqa_paper_line *l)
{
    return !l->id && cell_of(j->memory, l, j->at) ? cell_of(j->speed, l, j->at) : NULL;
}

static const char *how_of(const struct join *j, const struct sqa_paper_line *l, size_t column, bool times)
{
    const struct sqa_paper_cell *t = timed(j, l);
    return times ? (t ? t->how : NULL) : t && l->cells[column].entry ? l->cells[column].how : NULL;
}

/* The most frequent one of the lines that can be drawn; of equals the first. */
static const char *usual(const struct join *j, size_t column, bool times)
{
    const char *best = NULL;
    size_t most = 0;
    for (size_t i = 0; i < j->score->n_lines; i++) {
        const char *how = how_of(j, &j->score->lines[i], column, times);
        size_t n = 0;
        for (size_t k = 0; k < j->score->n_lines && how; k++) {
            const char *other = how_of(j, &j->score->lines[k], column, times);
            n += other && strcmp(how, other) == 0;
        }
        if (n > most) {
            most = n;
            best = how;
        }
    }
    return best;
}

static bool has(const struct join *j, const struct sqa_paper_line *l, size_t column)
{
    const char *how = how_of(j, l, column, false), *times = how_of(j, l, column, true);
    return how && strcmp(how, j->how[column]) == 0 && strcmp(times, j->how_timed) == 0;
}

static bool has_any(const struct join *j, const struct sqa_paper_line *l)
{
    bool any = false;
    for (size_t c = 0; c < j->score->n_tasks; c++)
        any = any || has(j, l, c);
    return any;
}

/* Tasks that every measured line that is drawn has; left_out: lines that could be drawn, but ran in another way. */
static size_t shared_tasks(struct join *j, bool shared[SQA_PAPER_COLUMNS], size_t *left_out)
{
    size_t lines = 0, n = 0;
    for (size_t c = 0; c < j->score->n_tasks; c++) {
        shared[c] = true;
        j->how[c] = usual(j, c, false);
    }
    j->how_timed = usual(j, 0, true);
    *left_out = 0;
    for (size_t i = 0; i < j->score->n_lines; i++) {
        const struct sqa_paper_line *l = &j->score->lines[i];
        bool scored = false;
        for (size_t c = 0; c < j->score->n_tasks; c++)
            scored = scored || how_of(j, l, c, false);
        *left_out += scored && !has_any(j, l);
        lines += has_any(j, l);
        for (size_t c = 0; c < j->score->n_tasks && has_any(j, l); c++)
            shared[c] = shared[c] && has(j, l, c);
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
    struct join j = {
        .score = &score->panels[0], panel_of(speed, "steps_per_second"), panel_of(speed, "peak_memory"), 0};
    bool shared[SQA_PAPER_COLUMNS];
    struct sqa_text tasks = {0}, hows = {0};
    *out = (struct sqa_bubbles){.paper = paper, .tasks = "", .how = ""};
    if (score->paper->kind != SQA_PAPER_ACCURACY || !j.speed || !j.memory)
        return sqa_fail(err, SQA_INPUT, "table %s: score is no accuracy table or speed no speed table; correct them",
                        paper->name);
    while (j.at < j.speed->n_columns && strcmp(j.speed->columns[j.at], paper->at) != 0)
        j.at++;
    if (j.at == j.speed->n_columns)
        return sqa_fail(err, SQA_INPUT, "table %s: table %s has no column '%s'; correct `at`", paper->name,
                        paper->speed, paper->at);
    out->at = sqa_arena_alloc(&out->arena, (j.score->n_lines + 1) * sizeof *out->at);
    const size_t n = shared_tasks(&j, shared, &out->left_out);
    for (size_t c = 0; n && c < j.score->n_tasks; c++)
        if (shared[c]) {
            sqa_text_printf(&tasks, "%s%s", tasks.length ? ", " : "", j.score->columns[c]);
            if (*j.how[c])
                sqa_text_printf(&hows, "%s%s", hows.length ? "; " : "", j.how[c]);
        }
    out->tasks = sqa_arena_strdup(&out->arena, sqa_text_get(&tasks));
    out->how = sqa_arena_strdup(&out->arena, sqa_text_get(&hows));
    const bool failed = tasks.failed || hows.failed || !out->at || !out->tasks || !out->how;
    sqa_text_clear(&tasks);
    sqa_text_clear(&hows);
    if (failed) {
        sqa_bubbles_clear(out);
        return sqa_fail(err, SQA_NOMEM, "table %s: no memory; free some memory or name fewer runs", paper->name);
    }
    for (size_t i = 0; i < j.score->n_lines; i++) {
        const struct sqa_paper_line *l = &j.score->lines[i];
        const struct sqa_paper_cell *steps = cell_of(j.speed, l, j.at), *memory = cell_of(j.memory, l, j.at);
        const bool published = l->id != NULL;
        const double x = published             ? l->cells[j.score->n_tasks].x.mean
                         : n && has_any(&j, l) ? mean_of(l, shared, j.score->n_tasks)
                                               : (double)NAN;
        if (!isnan(x) && steps && memory)
            out->at[out->n++] = (struct sqa_bubble){.label = l->model ? l->model : l->label,
                                                    .published = published,
                                                    .external = l->kind == SQA_LINE_EXTERNAL,
                                                    .score = x,
                                                    .speed = steps->x.mean,
                                                    .memory = memory->x.mean};
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
        sqa_text_printf(out, "- Measured scores are means over what all measured models have: %s%s%s%s.\n", b->tasks,
                        *b->how ? " (" : "", b->how, *b->how ? ")" : "");
    else
        sqa_text_add(out, "- No model of the runs has both a score and a time, so nothing measured is drawn.\n");
    if (b->left_out)
        sqa_text_printf(
            out,
            "- Left out: %zu measured model%s whose score or time is of another task, scale or setting than "
            "that of most.\n",
            b->left_out, b->left_out == 1 ? "" : "s");
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
