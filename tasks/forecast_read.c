/* forecast_read.c - from a CSV with dates to a series, see forecast.h */
#include <stdio.h>
#include <string.h>

#include "base/csv.h"
#include "tasks/forecast.h"
#include "tasks/task_util.h"

struct reader {
    const char *name;
    const struct sqa_forecast_options *options;
    int target_last;
    const struct sqa_task_env *env;
    struct sqa_arena *arena;
    struct sqa_series *series;
    size_t columns;   /* fields of the header; 0 before it */
    size_t date;      /* column of the date */
    size_t *column;   /* (channels): column of each channel */
    size_t last_line; /* of the row before */
    char last_date[SQA_QUOTE];
    int64_t capacity; /* rows */
};

static int is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Copies s without blanks at its ends; false when it does not fit. */
static int trim(char *buf, size_t size, const char *s)
{
    while (is_blank(*s))
        s++;
    size_t n = strlen(s);
    while (n > 0 && is_blank(s[n - 1]))
        n--;
    if (n >= size)
        return 0;
    memcpy(buf, s, n);
    buf[n] = '\0';
    return 1;
}

static int same_ignoring_case(const char *a, const char *b)
{
    for (; *a && *b; a++, b++)
        if ((*a >= 'A' && *a <= 'Z' ? *a + 32 : *a) != *b)
            return 0;
    return *a == *b;
}

/* Whether a column is the one a parameter names: exactly, or with the characters a parameter cannot hold as '_'. */
static int is_named(const char *column, const char *wanted)
{
    for (; *column && *wanted; column++, wanted++)
        if (*column != *wanted && !(*wanted == '_' && strchr(",:+() \t", *column)))
            return 0;
    return *column == *wanted;
}

static const char *plural(size_t n)
{
    return n == 1 ? "" : "s";
}

static enum sqa_status refuse_columns(const struct reader *r, size_t n, const char *const *fields, const char *what,
                                      const char *advice, struct sqa_err *err)
{
    char shown[SQA_QUOTE];
    struct sqa_text list = {0};
    for (size_t i = 0; i < n && list.length < 400; i++)
        sqa_text_printf(&list, "%s%s", i ? ", " : "", sqa_quote(shown, fields[i]));
    sqa_fail(err, SQA_INPUT, "%s: %s; %s (its %zu column%s: %s%s)", r->name, what, advice, n, plural(n),
             sqa_text_get(&list), list.length < 400 ? "" : ", ...");
    sqa_text_clear(&list);
    return SQA_INPUT;
}

static enum sqa_status no_memory(const struct reader *r, struct sqa_err *err)
{
    return sqa_fail(err, SQA_NOMEM, "%s: no memory for its rows; free some memory or cut the file", r->name);
}

/* The column of the target, or n. *twice when two columns have its name. */
static size_t find_target(const struct reader *r, size_t n, const char *const *fields, int *twice)
{
    const char *wanted = *r->options->target ? r->options->target : "OT";
    size_t found = n;
    *twice = 0;
    for (int exact = 1; exact >= 0 && found == n; exact--) {
        for (size_t i = 0; i < n; i++) {
            if (i == r->date || !(exact ? strcmp(fields[i], wanted) == 0 : is_named(fields[i], wanted)))
                continue;
            *twice = found != n;
            found = found == n ? i : found;
        }
    }
    if (found == n && !*r->options->target)
        found = r->date == n - 1 ? n - 2 : n - 1;
    return found;
}

static enum sqa_status on_header(struct reader *r, size_t n, const char *const *fields, struct sqa_err *err)
{
    char what[256], shown[SQA_QUOTE];
    int twice = 0;
    r->date = n;
    for (size_t i = 0; i < n; i++) {
        char name[8];
        if (!trim(name, sizeof name, fields[i]) || !same_ignoring_case(name, "date"))
            continue;
        if (r->date < n)
            return refuse_columns(r, n, fields, "two columns named date", "rename one", err);
        r->date = i;
    }
    if (r->date == n)
        return refuse_columns(r, n, fields, "no column named date", "name the column of the times date", err);
    if (n < 2)
        return refuse_columns(r, n, fields, "no column but the date", "add a column of numbers", err);
    const size_t target = find_target(r, n, fields, &twice);
    if (target == n || twice) {
        snprintf(what, sizeof what, "%s column named '%s'", twice ? "more than one" : "no",
                 sqa_quote(shown, *r->options->target ? r->options->target : "OT"));
        return refuse_columns(r, n, fields, what, twice ? "rename one" : "give target=NAME", err);
    }
    const int alone = strcmp(r->options->mode, "S") == 0;
    const int last = r->target_last || strcmp(r->options->mode, "MS") == 0;
    const size_t channels = alone ? 1 : n - 1;
    r->column = sqa_arena_alloc(r->arena, channels * sizeof *r->column);
    const char **names = sqa_arena_alloc(r->arena, channels * sizeof *names);
    if (!r->column || !names)
        return no_memory(r, err);
    size_t k = 0;
    for (size_t i = 0; i < n && !alone; i++)
        if (i != r->date && !(last && i == target))
            r->column[k++] = i;
    if (k < channels)
        r->column[k] = target;
    for (size_t c = 0; c < channels; c++) {
        names[c] = sqa_arena_strdup(r->arena, fields[r->column[c]]);
        if (!names[c])
            return no_memory(r, err);
    }
    r->series->names = names;
    r->series->channels = (int64_t)channels;
    r->columns = n;
    return SQA_OK;
}

static enum sqa_status grow(struct reader *r, struct sqa_err *err)
{
    struct sqa_series *s = r->series;
    if (s->rows < r->capacity)
        return SQA_OK;
    const int64_t capacity = r->capacity ? 2 * r->capacity : 1024;
    const size_t row = (size_t)s->channels * sizeof *s->values;
    if ((size_t)capacity > SIZE_MAX / 2 / row)
        return no_memory(r, err);
    double *values = sqa_realloc(s->values, (size_t)capacity * row);
    if (!values)
        return no_memory(r, err);
    s->values = values;
    int64_t *times = sqa_realloc(s->times, (size_t)capacity * sizeof *times);
    if (!times)
        return no_memory(r, err);
    s->times = times;
    r->capacity = capacity;
    return SQA_OK;
}

static enum sqa_status read_time(struct reader *r, size_t line, const char *field, struct sqa_err *err)
{
    char text[64], shown[SQA_QUOTE];
    const char *const advice = r->options->times ? ", or give times=any" : "";
    struct sqa_series *s = r->series;
    int64_t t;
    sqa_quote(shown, field);
    if (!trim(text, sizeof text, field) || !sqa_parse_time(text, &t))
        return sqa_fail(err, SQA_INPUT,
                        "%s: line %zu: '%s' is not a date; write YYYY-MM-DD, YYYY-MM-DD HH:MM:SS or YYYY/M/D H:MM",
                        r->name, line, shown);
    if (s->rows > 0) {
        const int64_t step = t - s->times[s->rows - 1];
        const int any = r->options->times && strcmp(r->options->times, "any") == 0;
        if (step == 0 && !any)
            return sqa_fail(err, SQA_INPUT,
                            "%s: line %zu: the time %s stands on line %zu too; keep one of the rows%s", r->name, line,
                            shown, r->last_line, advice);
        if (step < 0 && !any)
            return sqa_fail(err, SQA_INPUT,
                            "%s: line %zu: the time %s is before %s on line %zu; sort the rows by date%s", r->name,
                            line, shown, r->last_date, r->last_line, advice);
        if (step > 0 && (s->step == 0 || step < s->step))
            s->step = step;
    }
    s->times[s->rows] = t;
    r->last_line = line;
    memcpy(r->last_date, shown, sizeof shown);
    return SQA_OK;
}

static enum sqa_status read_number(const struct reader *r, size_t line, size_t channel, const char *field,
                                   struct sqa_err *err)
{
    static const char *const missing[] = {"", "na", "nan", "n/a", "null", "none", "inf", "-inf", "+inf", "infinity"};
    char text[64], column[SQA_QUOTE], shown[SQA_QUOTE];
    struct sqa_series *s = r->series;
    const int fits = trim(text, sizeof text, field);
    if (fits && sqa_parse_real(text, &s->values[s->rows * s->channels + (int64_t)channel]))
        return SQA_OK;
    sqa_quote(column, s->names[channel]);
    if (fits && *text == '\0')
        return sqa_fail(err, SQA_INPUT, "%s: line %zu: column '%s' is empty; fill in a number or remove the row",
                        r->name, line, column);
    for (size_t i = 0; fits && i < sizeof missing / sizeof missing[0]; i++)
        if (same_ignoring_case(text, missing[i]))
            return sqa_fail(err, SQA_INPUT,
                            "%s: line %zu: column '%s' is %s; fill in a finite number or remove the row", r->name,
                            line, column, text);
    return sqa_fail(err, SQA_INPUT,
                    "%s: line %zu: column '%s': '%s' is not a finite number; correct it or remove the "
                    "column",
                    r->name, line, column, sqa_quote(shown, field));
}

static enum sqa_status on_row(void *user, size_t line, size_t n, const char *const *fields, struct sqa_err *err)
{
    struct reader *r = user;
    if (r->columns == 0)
        return on_header(r, n, fields, err);
    if (n != r->columns)
        return sqa_fail(err, SQA_INPUT, "%s: line %zu: %zu field%s where the header has %zu; correct the row",
                        r->name, line, n, plural(n), r->columns);
    if (sqa_task_interrupted(r->env))
        return sqa_fail(err, SQA_INTERRUPTED, "%s: interrupted while it was read; run again", r->name);
    enum sqa_status status = grow(r, err);
    if (status == SQA_OK)
        status = read_time(r, line, fields[r->date], err);
    for (size_t c = 0; status == SQA_OK && c < (size_t)r->series->channels; c++)
        status = read_number(r, line, c, fields[r->column[c]], err);
    if (status == SQA_OK)
        r->series->rows++;
    return status;
}

static enum sqa_status finish(const struct reader *r, enum sqa_status status, struct sqa_err *err)
{
    if (status == SQA_OK && r->columns == 0)
        status = sqa_fail(err, SQA_INPUT, "%s: empty; give a CSV with a header, a column date and numbers", r->name);
    if (status == SQA_OK && r->series->rows == 0)
        status = sqa_fail(err, SQA_INPUT, "%s: a header but no rows; add rows", r->name);
    if (status != SQA_OK)
        sqa_series_clear(r->series);
    return status;
}

enum sqa_status sqa_series_read(const char *path, const struct sqa_forecast_options *options, int target_last,
                                const struct sqa_task_env *env, struct sqa_arena *arena, struct sqa_series *series,
                                struct sqa_err *err)
{
    struct reader r = {
        .name = path, .options = options, .target_last = target_last, .env = env, .arena = arena, .series = series};
    *series = (struct sqa_series){0};
    return finish(&r, sqa_csv_read(path, ',', 1, on_row, &r, err), err);
}

enum sqa_status sqa_series_read_bytes(const char *name, const void *data, size_t size,
                                      const struct sqa_forecast_options *options, int target_last,
                                      struct sqa_arena *arena, struct sqa_series *series, struct sqa_err *err)
{
    struct reader r = {
        .name = name, .options = options, .target_last = target_last, .arena = arena, .series = series};
    *series = (struct sqa_series){0};
    return finish(&r, sqa_csv_read_bytes(name, data, size, ',', 1, on_row, &r, err), err);
}

void sqa_series_clear(struct sqa_series *series)
{
    sqa_free(series->values);
    sqa_free(series->times);
    *series = (struct sqa_series){0};
}
