/*
 * paper_parse.c - the text of a table file (see paper.h)
 *
 * As with recipes, inih reads the lines, but section headers are read here, with line numbers for messages: inih
 * would cut them and knows no lines. Each key is a line of a table of setters.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ini.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "reports/paper_private.h"

enum { LABEL_MAX = 60, SECTION_TABLE = 0, SECTION_COLUMN, SECTION_ROW, SECTIONS };
static const char *const kinds[SQA_PAPER_KINDS] = {"accuracy", "gap",  "speed",    "bubbles",
                                                   "audit",    "fair", "forecast", "facts"};

struct parser {
    const char *name, *at;
    int line, section; /* section -1: before the first */
    bool table;        /* [table] was there */
    struct sqa_paper *p;
    struct sqa_err *err;
    enum sqa_status status;
};

const char *sqa_paper_kind_name(int kind)
{
    return kinds[kind];
}

static enum sqa_status bad(struct parser *p, const char *fmt, ...) SQA_PRINTF(2, 3);
static enum sqa_status bad(struct parser *p, const char *fmt, ...)
{
    char text[700];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return p->status = sqa_fail(p->err, SQA_INPUT, "%.200s, line %d: %s", p->name, p->line, text);
}

static enum sqa_status no_memory(struct parser *p)
{
    return p->status =
               sqa_fail(p->err, SQA_NOMEM, "%s: no memory for the table; free some memory and run again", p->name);
}

/* One text, given once. */
static enum sqa_status put_text(struct parser *p, const char **to, const char *name, const char *value)
{
    if (*to)
        return bad(p, "%.60s is given twice; give it once", name);
    *to = sqa_arena_strdup(&p->p->arena, value);
    return *to ? SQA_OK : no_memory(p);
}

/* The next of several. */
static enum sqa_status put_next(struct parser *p, const char **list, size_t *n, size_t most, const char *name,
                                const char *value)
{
    if (*n == most)
        return bad(p, "%.60s is given more than %zu times; leave some out", name, most);
    return put_text(p, &list[(*n)++], name, value);
}

static enum sqa_status put_number(struct parser *p, double *to, double low, double high, const char *name,
                                  const char *value)
{
    if (!sqa_parse_real(value, to) || *to < low || *to > high)
        return bad(p, "%.60s = %.60s; give a number from %g to %g", name, value, low, high);
    return SQA_OK;
}

/* "3.0 points" or "3 %". */
static enum sqa_status put_tolerance(struct parser *p, struct sqa_paper_tolerance *to, const char *name,
                                     const char *value)
{
    char number[32], unit[16], more[2];
    if (to->column || !isnan(to->by))
        return bad(p, "%.60s is given twice; give it once", name);
    if (sscanf(value, "%31s %15s %1s", number, unit, more) != 2 || !sqa_parse_real(number, &to->by) ||
        !(to->by > 0) || to->by > 100 || (strcmp(unit, "points") != 0 && strcmp(unit, "%") != 0))
        return bad(p, "%.60s = %.60s; give points or per cent of the published figure, such as 3.0 points or 3 %%",
                   name, value);
    to->relative = unit[0] == '%';
    return SQA_OK;
}

/* tolerance.COLUMN of a row; the columns stand before it. */
static enum sqa_status put_cell_tolerance(struct parser *p, struct sqa_paper_row *r, const char *name,
                                          const char *value)
{
    const char *label = name + strlen("tolerance.");
    struct sqa_paper_tolerance t = {.by = (double)NAN};
    for (size_t i = 1; i <= r->n_tolerances; i++)
        if (strcmp(r->tolerance[i].column, label) == 0)
            return bad(p, "%.60s is given twice; give it once", name);
    if (r->n_tolerances == SQA_PAPER_TOLERANCES)
        return bad(p, "more than %d of tolerance.COLUMN; leave some out", SQA_PAPER_TOLERANCES);
    if (put_tolerance(p, &t, name, value) != SQA_OK || put_text(p, &t.column, name, label) != SQA_OK)
        return p->status;
    r->tolerance[++r->n_tolerances] = t;
    return SQA_OK;
}

static enum sqa_status put_kind(struct parser *p, const char *value)
{
    for (int k = 0; k < SQA_PAPER_KINDS; k++)
        if (strcmp(kinds[k], value) == 0) {
            p->p->kind = (enum sqa_paper_kind)k;
            return SQA_OK;
        }
    return bad(p, "kind = %.60s; give accuracy, gap, speed, bubbles, audit, fair, forecast or facts", value);
}

static enum sqa_status set_table(struct parser *p, const char *name, const char *value)
{
    struct sqa_paper *t = p->p;
    double seeds;
    const struct {
        const char *name, **to;
    } texts[] = {
        {"title", &t->title}, {"source", &t->source}, {"scale", &t->scale}, {"published_scale", &t->published_scale},
        {"score", &t->score}, {"speed", &t->speed},   {"at", &t->at},       {"metric", &t->metric}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (strcmp(texts[i].name, name) == 0)
            return put_text(p, texts[i].to, name, value);
    if (strcmp(name, "kind") == 0)
        return put_kind(p, value);
    if (strcmp(name, "published") == 0)
        return put_next(p, t->published, &t->n_published, SQA_PAPER_PUBLISHED, name, value);
    if (strcmp(name, "baseline") == 0)
        return put_next(p, t->baseline, &t->n_baselines, SQA_PAPER_BASELINES, name, value);
    if (strcmp(name, "note") == 0)
        return put_next(p, t->note, &t->n_notes, SQA_PAPER_NOTES, name, value);
    if (strcmp(name, "verdict") == 0)
        return put_next(p, t->verdict, &t->n_verdicts, SQA_PAPER_PUBLISHED, name, value);
    if (strcmp(name, "tolerance") == 0)
        return put_tolerance(p, &t->tolerance, name, value);
    if (strcmp(name, "size_rule") == 0)
        return put_number(p, &t->size_rule, 0, 1000, name, value);
    if (strcmp(name, "seeds") == 0) {
        if (put_number(p, &seeds, 1, 10000, name, value) == SQA_OK)
            t->seeds = (int64_t)seeds;
        return p->status;
    }
    return bad(p, "'%.60s' is no key of [table]; see reports/paper.h", name);
}

static enum sqa_status put_pattern(struct parser *p, void **to, const char *name, const char *value)
{
    int number;
    size_t offset;
    char text[160];
    if (*to)
        return bad(p, "%s is given twice; give it once", name);
    *to = pcre2_compile((PCRE2_SPTR)value, PCRE2_ZERO_TERMINATED,
                        PCRE2_NEVER_UTF | PCRE2_NEVER_UCP | PCRE2_NEVER_BACKSLASH_C, &number, &offset, NULL);
    if (*to)
        return SQA_OK;
    pcre2_get_error_message(number, (PCRE2_UCHAR *)text, sizeof text);
    return bad(p, "%s, character %zu: %s; correct the pattern (PCRE2)", name, offset + 1, text);
}

/* task.NAME of a column. */
static enum sqa_status put_variant(struct parser *p, struct sqa_paper_column *c, const char *key, const char *value)
{
    const char *name = key + strlen("task.");
    size_t i = 0;
    while (i < c->n_variants && strcmp(c->variants[i], name) != 0)
        i++;
    if (i == SQA_PAPER_TASKS)
        return bad(p, "more than %d of task.NAME; leave some out", SQA_PAPER_TASKS);
    if (i == c->n_variants && put_text(p, &c->variants[c->n_variants++], name, name) != SQA_OK)
        return p->status;
    return put_text(p, &c->variant_tasks[i], key, value);
}

static enum sqa_status set_column(struct parser *p, const char *name, const char *value)
{
    struct sqa_paper_column *c = &p->p->columns[p->p->n_columns - 1];
    if (strcmp(name, "task") == 0)
        return put_text(p, &c->task, name, value);
    if (strcmp(name, "published") == 0)
        return put_text(p, &c->published, name, value);
    if (strcmp(name, "metric") == 0)
        return put_text(p, &c->metric, name, value);
    if (strcmp(name, "footnote") == 0)
        return put_text(p, &c->footnote, name, value);
    if (strcmp(name, "tolerance") == 0)
        return put_tolerance(p, &c->tolerance, name, value);
    if (strcmp(name, "accept") == 0)
        return put_pattern(p, &c->accept, name, value);
    if (strcmp(name, "mean") == 0)
        return put_pattern(p, &c->mean, name, value);
    if (strncmp(name, "task.", 5) == 0)
        return put_variant(p, c, name, value);
    if (strcmp(name, "unsolved") == 0)
        return put_number(p, &c->unsolved, 0, 100, name, value);
    if (strcmp(name, "lengths") == 0) {
        char low[32], high[32];
        if (sscanf(value, "%31s %31s", low, high) != 2 || !sqa_parse_real(low, &c->low) ||
            !sqa_parse_real(high, &c->high) || c->low < 1 || c->high < c->low)
            return bad(p, "lengths = %.60s; give the smallest and the greatest, such as 1000 1024", value);
        return SQA_OK;
    }
    return bad(p,
               "'%.60s' is no key of a column; give task, task.NAME, mean, accept, lengths, published, unsolved, "
               "metric, tolerance or footnote",
               name);
}

static enum sqa_status set_row(struct parser *p, const char *name, const char *value)
{
    struct sqa_paper *t = p->p;
    struct sqa_paper_row *r = &t->rows[t->n_rows - 1];
    const struct {
        const char *name, **to;
    } texts[] = {
        {"model", &r->model}, {"code", &r->code},         {"scale", &r->scale}, {"task", &r->variant},
        {"reads", &r->reads}, {"footnote", &r->footnote}, {"on", &r->on_label}, {"against", &r->against_label}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (strcmp(texts[i].name, name) == 0)
            return put_text(p, texts[i].to, name, value);
    if (strcmp(name, "tolerance") == 0)
        return put_tolerance(p, &r->tolerance[0], name, value);
    if (strncmp(name, "tolerance.", 10) == 0)
        return put_cell_tolerance(p, r, name, value);
    if (strncmp(name, "published.", 10) != 0)
        return bad(p,
                   "'%.60s' is no key of a row; give model, code, scale, task, published.ID, on, against, reads, "
                   "tolerance, tolerance.COLUMN or footnote",
                   name);
    for (size_t i = 0; i < t->n_published; i++)
        if (strcmp(t->published[i], name + 10) == 0)
            return put_text(p, &r->published[i], name, value);
    return bad(p, "%.60s: [table] names no such published table; add it there or correct it", name);
}

static int handle(void *user, const char *section, const char *name, const char *value)
{
    struct parser *p = user;
    static enum sqa_status (*const set[SECTIONS])(struct parser *, const char *,
                                                  const char *) = {set_table, set_column, set_row};
    (void)section;
    if (p->status != SQA_OK)
        return 0;
    if (p->section < 0)
        bad(p, "a key before the first section; put it under [table]");
    else if ((!value || !*value) && strncmp(name, "published.", 10) != 0)
        bad(p, "%.60s has no value; give one or remove the line", name);
    else
        p->status = set[p->section](p, name, value ? value : "");
    return p->status == SQA_OK;
}

static enum sqa_status add_column(struct parser *p, const char *label)
{
    struct sqa_paper *t = p->p;
    for (size_t i = 0; i < t->n_columns; i++)
        if (strcmp(t->columns[i].label, label) == 0)
            return bad(p, "a second column %s; give each its own name", label);
    if (t->n_columns == SQA_PAPER_COLUMNS)
        return bad(p, "more than %d columns; make two tables", SQA_PAPER_COLUMNS);
    t->columns[t->n_columns++] =
        (struct sqa_paper_column){.label = label, .unsolved = (double)NAN, .tolerance = {.by = (double)NAN}};
    return SQA_OK;
}

static enum sqa_status add_row(struct parser *p, const char *label)
{
    struct sqa_paper *t = p->p;
    for (size_t i = 0; i < t->n_rows; i++)
        if (strcmp(t->rows[i].label, label) == 0)
            return bad(p, "a second row %s; give each its own name", label);
    if (t->n_rows == SQA_PAPER_ROWS)
        return bad(p, "more than %d rows; make two tables", SQA_PAPER_ROWS);
    t->rows[t->n_rows++] = (struct sqa_paper_row){.label = label, .tolerance = {{.by = (double)NAN}}};
    return SQA_OK;
}

/* line: "[table]", "[column LABEL]" or "[row LABEL]", perhaps with a comment. */
static enum sqa_status start_section(struct parser *p, char *line)
{
    static const char *const names[SECTIONS] = {"table", "column ", "row "};
    char *end = strchr(line, ']');
    if (!end || (end[1 + strspn(end + 1, " \t\r")] != '\0' && end[1 + strspn(end + 1, " \t\r")] != ';'))
        return bad(p, "a section without ] at its end; close it");
    *end = '\0';
    for (int s = 0; s < SECTIONS; s++) {
        const size_t n = strlen(names[s]);
        if (strncmp(line + 1, names[s], n) != 0 || (s == SECTION_TABLE && line[1 + n]))
            continue;
        const char *label = sqa_arena_strdup(&p->p->arena, line + 1 + n);
        if (!label)
            return no_memory(p);
        if (s == SECTION_TABLE && p->table)
            return bad(p, "a second [table]; join them");
        if (s != SECTION_TABLE && (!*label || strlen(label) > LABEL_MAX))
            return bad(p, "a label of %zu characters; give 1 to %d", strlen(label), LABEL_MAX);
        p->section = s;
        p->table = p->table || s == SECTION_TABLE;
        return s == SECTION_COLUMN ? add_column(p, label) : s == SECTION_ROW ? add_row(p, label) : SQA_OK;
    }
    return bad(p, "[%.60s]; write [table], [column LABEL] or [row LABEL]", line + 1);
}

/* The next line without leading blanks, as fgets would give it; a section becomes "[s]". */
static char *next_line(char *buffer, int size, void *user)
{
    struct parser *p = user;
    char why[80] = "";
    char *line = p->status == SQA_OK ? sqa_next_ini_line(&p->at, &p->line, buffer, size, why) : NULL;
    if (*why)
        bad(p, "%s", why);
    if (line && *line == '[' && start_section(p, line) == SQA_OK)
        snprintf(line, (size_t)size, "[s]");
    return line && p->status == SQA_OK ? strcat(line, "\n") : NULL;
}

/* Where a key was left out: its default; what must be there. */
static enum sqa_status finish(struct parser *p)
{
    char why[600];
    return !p->table                                   ? bad(p, "no [table] with title and source; give them")
           : sqa_paper_complete(p->p, why, sizeof why) ? SQA_OK
                                                       : bad(p, "%s", why);
}

enum sqa_status sqa_paper_parse(const char *name, const char *text, struct sqa_paper *out, struct sqa_err *err)
{
    *out = (struct sqa_paper){.seeds = 1, .tolerance = {.by = (double)NAN}};
    struct parser p = {.name = name, .at = text, .section = -1, .p = out, .err = err};
    out->name = sqa_arena_strdup(&out->arena, name);
    out->rows = sqa_alloc_array(SQA_PAPER_ROWS, sizeof *out->rows);
    if (!out->name || !out->rows)
        no_memory(&p);
    const int line = p.status == SQA_OK ? ini_parse_stream(next_line, &p, handle, &p) : 0;
    if (p.status == SQA_OK && line < 0)
        no_memory(&p);
    if (p.status == SQA_OK && line > 0) {
        p.line = line;
        bad(&p, "neither [SECTION] nor NAME = VALUE; correct it or put ; before it");
    }
    if (p.status == SQA_OK)
        p.status = finish(&p);
    if (p.status != SQA_OK)
        sqa_paper_clear(out);
    return p.status;
}

void sqa_paper_clear(struct sqa_paper *paper)
{
    for (size_t c = 0; c < paper->n_columns; c++) {
        pcre2_code_free(paper->columns[c].accept);
        pcre2_code_free(paper->columns[c].mean);
    }
    sqa_free(paper->rows);
    sqa_arena_clear(&paper->arena);
    *paper = (struct sqa_paper){0};
}
