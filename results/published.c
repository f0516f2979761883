/* published.c - see published.h */
#include "results/published.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"
#include "base/file.h"
#include "base/text.h"

enum { FILE_MAX = 64 << 20 };
enum { SCHEMA, ID, SOURCE, ARXIV, TABLE, MODEL, TASK, METRIC, VALUE, UNIT, NOTES, COLUMNS };

static const char *const names[COLUMNS] = {"schema", "table_id", "source", "arxiv", "table", "model",
                                           "task",   "metric",   "value",  "unit",  "notes"};

struct reader {
    const char *name;
    struct sqa_published *out;
    size_t first; /* rows before this file */
    size_t at[COLUMNS], n;
    bool header;
};

static enum sqa_status no_memory(const struct reader *r, struct sqa_err *err)
{
    return sqa_fail(err, SQA_NOMEM, "%s: no memory for the published numbers; free some memory and run again",
                    r->name);
}

static enum sqa_status read_header(struct reader *r, size_t n, const char *const *fields, struct sqa_err *err)
{
    r->header = true;
    r->n = n;
    for (int c = 0; c < COLUMNS; c++) {
        r->at[c] = 0;
        while (r->at[c] < n && strcmp(fields[r->at[c]], names[c]) != 0)
            r->at[c]++;
        if (r->at[c] == n)
            return sqa_fail(err, SQA_INPUT, "%s: line 1: no column \"%s\"; these are no published numbers", r->name,
                            names[c]);
    }
    return SQA_OK;
}

static enum sqa_status make_room(const struct reader *r, struct sqa_err *err)
{
    struct sqa_published *p = r->out;
    if (p->n < p->capacity)
        return SQA_OK;
    const size_t capacity = p->capacity ? 2 * p->capacity : 512;
    void *rows = sqa_realloc(p->rows, capacity * sizeof *p->rows);
    if (!rows)
        return no_memory(r, err);
    p->rows = rows;
    p->capacity = capacity;
    return SQA_OK;
}

static enum sqa_status read_row(void *user, size_t line, size_t n, const char *const *fields, struct sqa_err *err)
{
    struct reader *r = user;
    const char *text[COLUMNS];
    if (!r->header)
        return read_header(r, n, fields, err);
    if (n != r->n)
        return sqa_fail(err, SQA_INPUT, "%s: line %zu: %zu fields where the header has %zu; correct the row", r->name,
                        line, n, r->n);
    for (int c = 0; c < COLUMNS; c++)
        text[c] = fields[r->at[c]];
    if (strcmp(text[SCHEMA], SQA_PUBLISHED_SCHEMA) != 0)
        return sqa_fail(err, SQA_INPUT, "%s: line %zu: schema \"%.40s\" where this build reads \"%s\"", r->name, line,
                        text[SCHEMA], SQA_PUBLISHED_SCHEMA);
    static const int needed[] = {ID, SOURCE, TABLE, MODEL, TASK, METRIC};
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
        if (!*text[needed[i]])
            return sqa_fail(err, SQA_INPUT, "%s: line %zu: no %s; every number names its paper and table", r->name,
                            line, names[needed[i]]);
    struct sqa_published_row row = {.failed = strcmp(text[VALUE], "FAIL") == 0, .value = (double)NAN, .line = line};
    if (!row.failed && !sqa_parse_real(text[VALUE], &row.value))
        return sqa_fail(err, SQA_INPUT, "%s: line %zu: value \"%.40s\"; give a number or FAIL", r->name, line,
                        text[VALUE]);
    const char **const to[COLUMNS] = {NULL,      &row.id,     &row.source, &row.arxiv, &row.table, &row.model,
                                      &row.task, &row.metric, &row.text,   &row.unit,  &row.notes};
    for (int c = ID; c < COLUMNS; c++)
        if (!(*to[c] = sqa_arena_strdup(&r->out->arena, text[c])))
            return no_memory(r, err);
    const enum sqa_status status = make_room(r, err);
    if (status == SQA_OK)
        r->out->rows[r->out->n++] = row;
    return status;
}

static int by_name(const void *a, const void *b)
{
    const struct sqa_published_row *x = *(const struct sqa_published_row *const *)a,
                                   *y = *(const struct sqa_published_row *const *)b;
    int order = strcmp(x->id, y->id);
    order = order ? order : strcmp(x->model, y->model);
    order = order ? order : strcmp(x->task, y->task);
    return order ? order : strcmp(x->metric, y->metric);
}

/* A number stands once. */
static enum sqa_status check_twice(const struct reader *r, struct sqa_err *err)
{
    const size_t n = r->out->n - r->first;
    const struct sqa_published_row **rows = sqa_alloc_array(n + 1, sizeof *rows);
    enum sqa_status status = rows ? SQA_OK : no_memory(r, err);
    for (size_t i = 0; rows && i < n; i++)
        rows[i] = &r->out->rows[r->first + i];
    if (rows && n)
        qsort(rows, n, sizeof(struct sqa_published_row *), by_name);
    for (size_t i = 1; rows && i < n && status == SQA_OK; i++)
        if (by_name(&rows[i - 1], &rows[i]) == 0)
            status = sqa_fail(err, SQA_INPUT, "%s: line %zu: %.60s, %.60s, %.60s, %.60s stands twice; keep one row",
                              r->name, rows[i - 1]->line > rows[i]->line ? rows[i - 1]->line : rows[i]->line,
                              rows[i]->id, rows[i]->model, rows[i]->task, rows[i]->metric);
    sqa_free(rows);
    return status;
}

enum sqa_status sqa_published_read_bytes(const char *name, const void *data, size_t size, struct sqa_published *out,
                                         struct sqa_err *err)
{
    struct reader r = {.name = name, .out = out, .first = out->n};
    enum sqa_status status = sqa_csv_read_bytes(name, data, size, ',', 1, read_row, &r, err);
    if (status == SQA_OK && !r.header)
        status = sqa_fail(err, SQA_INPUT, "%s: empty; these are no published numbers", name);
    if (status == SQA_OK)
        status = check_twice(&r, err);
    if (status != SQA_OK)
        sqa_published_clear(out);
    return status;
}

enum sqa_status sqa_published_read(const char *path, struct sqa_published *out, struct sqa_err *err)
{
    char *data;
    size_t size;
    enum sqa_status status = sqa_file_read(path, FILE_MAX, &data, &size, err);
    if (status != SQA_OK) {
        sqa_published_clear(out);
        return status;
    }
    status = sqa_published_read_bytes(path, data, size, out, err);
    sqa_free(data);
    return status;
}

void sqa_published_clear(struct sqa_published *p)
{
    sqa_arena_clear(&p->arena);
    sqa_free(p->rows);
    *p = (struct sqa_published){0};
}

static bool is(const char *wanted, const char *text)
{
    return !wanted || strcmp(wanted, text) == 0;
}

const struct sqa_published_row *sqa_published_find(const struct sqa_published *p, const char *id, const char *model,
                                                   const char *task, const char *metric)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct sqa_published_row *r = &p->rows[i];
        if (is(id, r->id) && is(model, r->model) && is(task, r->task) && is(metric, r->metric))
            return r;
    }
    return NULL;
}
