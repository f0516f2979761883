/* paper_complete.c - defaults of a parsed table file, and what must be there (see paper.h) */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "reports/paper_private.h"

struct check {
    struct sqa_paper *t;
    char *why;
    size_t size;
};

static bool bad(const struct check *c, const char *fmt, ...) SQA_PRINTF(2, 3);
static bool bad(const struct check *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(c->why, c->size, fmt, ap);
    va_end(ap);
    return false;
}

static bool has_variant(const struct sqa_paper *t, const char *name)
{
    for (size_t c = 0; c < t->n_columns; c++)
        for (size_t i = 0; i < t->columns[c].n_variants; i++)
            if (strcmp(t->columns[c].variants[i], name) == 0)
                return true;
    return false;
}

/* What only a forecast has, and what it has not. */
static bool forecast(const struct check *k)
{
    const struct sqa_paper *t = k->t;
    const bool forecast = t->kind == SQA_PAPER_FORECAST;
    if (forecast && t->n_rows > SQA_PAPER_COLUMNS)
        return bad(k, "a table of kind forecast with %zu rows; it prints %d side by side at most", t->n_rows,
                   SQA_PAPER_COLUMNS);
    for (size_t c = 0; c < t->n_columns; c++) {
        const struct sqa_paper_column *column = &t->columns[c];
        if (!forecast && (column->mean || column->n_variants))
            return bad(k, "column %s has a mean or a task.NAME, which a table of kind forecast has; remove it",
                       column->label);
        if (forecast && (column->accept || (column->mean && (column->task || column->n_variants))))
            return bad(k, "column %s has accept, or a task and a mean; a forecast has one of task and mean alone",
                       column->label);
    }
    for (size_t r = 0; r < t->n_rows; r++) {
        const struct sqa_paper_row *row = &t->rows[r];
        if (!forecast && (row->scale || row->variant))
            return bad(k, "row %s has a scale or a task, which a table of kind forecast has; remove it", row->label);
        if (row->variant && !has_variant(t, row->variant))
            return bad(k, "row %s: no column has task.%.60s; add it or correct the name", row->label, row->variant);
    }
    return true;
}

static const struct sqa_paper_column *find(const struct sqa_paper *t, const char *label)
{
    for (size_t c = 0; label && c < t->n_columns; c++)
        if (strcmp(t->columns[c].label, label) == 0)
            return &t->columns[c];
    return NULL;
}

/* What only facts have, and must have. */
static bool facts(const struct check *k)
{
    const struct sqa_paper *t = k->t;
    const bool facts = t->kind == SQA_PAPER_FACTS;
    for (size_t c = 0; c < t->n_columns; c++) {
        const char *metric = t->columns[c].metric;
        if (metric && (!facts || (strcmp(metric, "accuracy") != 0 && strcmp(metric, "mse") != 0)))
            return bad(k, "column %s: metric = %.40s; a table of kind facts has accuracy or mse, others none",
                       t->columns[c].label, metric);
    }
    for (size_t r = 0; r < t->n_rows; r++) {
        struct sqa_paper_row *row = &t->rows[r];
        if (!facts && (row->on_label || row->against_label || row->reads))
            return bad(k, "row %s has on, against or reads, which a table of kind facts has; remove it", row->label);
        if (facts && (!row->model || !row->on_label || !row->reads || (row->code && row->against_label)))
            return bad(k, "row %s: a fact has model, on and reads, and one of against and code at most", row->label);
        row->on = find(t, row->on_label);
        row->against = find(t, row->against_label);
        const char *missing = facts && !row->on                     ? row->on_label
                              : row->against_label && !row->against ? row->against_label
                                                                    : NULL;
        if (missing)
            return bad(k, "row %s: no column %.60s; add it or correct the name", row->label, missing);
    }
    return true;
}

/* Tolerances are for figures that one setting of one task gives on any machine. */
static bool tolerances(const struct check *k)
{
    const struct sqa_paper *t = k->t;
    const bool may = t->kind == SQA_PAPER_ACCURACY || t->kind == SQA_PAPER_GAP || t->kind == SQA_PAPER_FORECAST;
    bool any = !isnan(t->tolerance.by);
    for (size_t c = 0; c < t->n_columns; c++)
        any = any || !isnan(t->columns[c].tolerance.by);
    for (size_t r = 0; r < t->n_rows; r++) {
        const struct sqa_paper_row *row = &t->rows[r];
        any = any || !isnan(row->tolerance[0].by) || row->n_tolerances;
        for (size_t i = 1; i <= row->n_tolerances; i++)
            if (!find(t, row->tolerance[i].column))
                return bad(k, "row %s: tolerance.%.60s: no such column; add it or correct the name", row->label,
                           row->tolerance[i].column);
    }
    if (any && !may)
        return bad(k, "a tolerance; tables of kind accuracy, gap and forecast have verdicts");
    for (size_t i = 0; i < t->n_verdicts; i++) {
        bool known = false;
        for (size_t p = 0; p < t->n_published; p++)
            known = known || strcmp(t->published[p], t->verdict[i]) == 0;
        if (!known)
            return bad(k, "verdict = %.60s; [table] names no such published table, add it there or correct it",
                       t->verdict[i]);
    }
    return true;
}

static bool whole(const struct check *k)
{
    const struct sqa_paper *t = k->t;
    const bool bubbles = t->kind == SQA_PAPER_BUBBLES;
    if (!t->title || !t->source)
        return bad(k, "no [table] with title and source; give them");
    if (bubbles && (!t->score || !t->speed || !t->at))
        return bad(k, "a table of kind bubbles without score, speed or at; name two tables and a column");
    if (!bubbles && (!t->n_columns || !t->n_rows || !t->scale))
        return bad(k, "no column, no row or no scale; give at least one of each");
    if (t->kind == SQA_PAPER_GAP && t->n_columns != 1)
        return bad(k, "a table of kind gap with %zu columns; it has one task", t->n_columns);
    if (t->kind == SQA_PAPER_AUDIT && (t->n_columns > SQA_PAPER_AUDITED || t->n_published != 1))
        return bad(k, "a table of kind audit with %zu columns and %zu published tables; it has 1 to %d and one",
                   t->n_columns, t->n_published, SQA_PAPER_AUDITED);
    if ((t->kind == SQA_PAPER_SPEED || t->kind == SQA_PAPER_FAIR) && !t->n_baselines)
        return bad(k, "a table of kind %s without a baseline; name the model that is 1",
                   sqa_paper_kind_name((int)t->kind));
    return true;
}

bool sqa_paper_complete(struct sqa_paper *t, char *why, size_t size)
{
    const struct check k = {t, why, size};
    const bool apart = t->kind == SQA_PAPER_FORECAST || t->kind == SQA_PAPER_FACTS;
    if (!whole(&k))
        return false;
    t->published_scale = t->published_scale ? t->published_scale : t->scale;
    if (t->n_published && !t->n_verdicts)
        t->verdict[t->n_verdicts++] = t->published[0];
    for (size_t c = 0; c < t->n_columns; c++) {
        struct sqa_paper_column *column = &t->columns[c];
        if (!column->task && t->kind == SQA_PAPER_FACTS)
            return bad(&k, "column %s has no task; give one", column->label);
        if (!apart && (!column->task || !column->accept))
            return bad(&k, "column %s has no task or no accept; give both", column->label);
        column->published = column->published ? column->published : column->label;
    }
    for (size_t r = 0; r < t->n_rows; r++)
        for (size_t i = 0; i < t->n_published; i++) {
            const char **name = &t->rows[r].published[i];
            const char *usual = t->kind == SQA_PAPER_FACTS ? NULL : t->rows[r].label;
            *name = !*name ? usual : **name ? *name : NULL;
        }
    return forecast(&k) && facts(&k) && tolerances(&k);
}
