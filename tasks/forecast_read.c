/* forecast_read.c - from a table of numbers, mostly a CSV with dates, to a series, see forecast.h */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/csv.h"
#include "base/file.h"
#include "base/gzip.h"
#include "tasks/forecast.h"
#include "tasks/task_util.h"

enum { DATE_PARTS = 6, HEAD = 1 << 16 };
static const size_t file_limit = (size_t)1 << 32;

struct reader {
    const char *name;
    const struct sqa_forecast_options *options;
    struct sqa_series_format format; /* nothing NULL */
    enum sqa_date_order order;
    int target_last;
    const struct sqa_task_env *env;
    struct sqa_arena *arena;
    struct sqa_series *series;
    size_t columns;          /* fields of the first row; 0 before it */
    size_t date[DATE_PARTS]; /* columns of the date */
    int dates;               /* how many; 0: there are no dates */
    size_t *column;          /* (channels): column of each channel */
    size_t *lines;           /* (rows) */
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
        if (*column != *wanted && !(*wanted == '_' && strchr(",:+()/ \t", *column)))
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

/* Whether a name is among those of a list joined by '/'. */
static int is_listed(const char *column, const char *list)
{
    char one[SQA_QUOTE];
    for (const char *p = list; *p;) {
        const size_t n = strcspn(p, "/");
        snprintf(one, sizeof one, "%.*s", (int)(n < sizeof one ? n : 0), p);
        if (n > 0 && is_named(column, one))
            return 1;
        p += n + (p[n] == '/');
    }
    return 0;
}

static int is_date(const struct reader *r, size_t column)
{
    for (int i = 0; i < r->dates; i++)
        if (r->date[i] == column)
            return 1;
    return 0;
}

static int is_value(const struct reader *r, size_t column, const char *const *fields)
{
    return !is_date(r, column) && !is_listed(fields[column], r->format.leave_out);
}

/* The column of the target, or n. *twice when two columns have its name. */
static size_t find_target(const struct reader *r, size_t n, const char *const *fields, int *twice)
{
    const char *wanted = *r->options->target ? r->options->target : "OT";
    size_t found = n, last = n;
    *twice = 0;
    for (int exact = 1; exact >= 0 && found == n; exact--) {
        for (size_t i = 0; i < n; i++) {
            if (!is_value(r, i, fields))
                continue;
            last = i;
            if (!(exact ? strcmp(fields[i], wanted) == 0 : is_named(fields[i], wanted)))
                continue;
            *twice = found != n;
            found = found == n ? i : found;
        }
    }
    return found == n && !*r->options->target ? last : found;
}

/* The columns that the parameter date names, in its order. */
static enum sqa_status find_dates(struct reader *r, size_t n, const char *const *fields, struct sqa_err *err)
{
    char what[256], one[SQA_QUOTE], name[SQA_QUOTE];
    for (const char *p = r->format.date; *p;) {
        const size_t length = strcspn(p, "/");
        snprintf(one, sizeof one, "%.*s", (int)(length < sizeof one ? length : 0), p);
        p += length + (p[length] == '/');
        size_t found = n;
        for (size_t i = 0; i < n && found == n; i++)
            if (trim(name, sizeof name, fields[i]) && is_named(name, one))
                found = i;
        snprintf(what, sizeof what, "no column named '%s' for the date", one);
        if (found == n)
            return refuse_columns(r, n, fields, what, "give date=NAME, or dates=none", err);
        if (r->dates == DATE_PARTS)
            return refuse_columns(r, n, fields, "a date of more than six columns", "give year/month/day/hour", err);
        r->date[r->dates++] = found;
    }
    return SQA_OK;
}

static enum sqa_status find_date(struct reader *r, size_t n, const char *const *fields, struct sqa_err *err)
{
    if (r->order == SQA_DATES_NONE)
        return SQA_OK;
    if (*r->format.date)
        return find_dates(r, n, fields, err);
    for (size_t i = 0; i < n; i++) {
        char name[8];
        if (!trim(name, sizeof name, fields[i]) || !same_ignoring_case(name, "date"))
            continue;
        if (r->dates)
            return refuse_columns(r, n, fields, "two columns named date", "rename one, or give date=NAME", err);
        r->date[r->dates++] = i;
    }
    return r->dates ? SQA_OK
                    : refuse_columns(r, n, fields, "no column named date",
                                     "name the column of the times, date=NAME, or give dates=none", err);
}

static enum sqa_status on_header(struct reader *r, size_t n, const char *const *fields, struct sqa_err *err)
{
    char what[256], shown[SQA_QUOTE];
    int twice = 0;
    size_t values = 0, k = 0;
    for (size_t i = 0; i < n; i++)
        values += is_value(r, i, fields) != 0;
    if (values == 0)
        return refuse_columns(r, n, fields, "no column but the date", "add a column of numbers", err);
    const size_t target = find_target(r, n, fields, &twice);
    if (target == n || twice) {
        snprintf(what, sizeof what, "%s column named '%s'", twice ? "more than one" : "no",
                 sqa_quote(shown, *r->options->target ? r->options->target : "OT"));
        return refuse_columns(r, n, fields, what, twice ? "rename one" : "give target=NAME", err);
    }
    const int alone = strcmp(r->options->mode, "S") == 0;
    const int last = r->target_last || strcmp(r->options->mode, "MS") == 0;
    const size_t channels = alone ? 1 : values;
    r->column = sqa_arena_alloc(r->arena, channels * sizeof *r->column);
    const char **names = sqa_arena_alloc(r->arena, channels * sizeof *names);
    if (!r->column || !names)
        return no_memory(r, err);
    for (size_t i = 0; i < n && !alone; i++)
        if (is_value(r, i, fields) && !(last && i == target))
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

/* A number as the file writes it. */
static int parse_number(const struct reader *r, char *text, double *v)
{
    char *comma = strcmp(r->format.decimal, "comma") == 0 ? strchr(text, ',') : NULL;
    if (comma)
        *comma = '.';
    const int ok = sqa_parse_real(text, v);
    if (comma)
        *comma = ',';
    return ok;
}

static int is_number(const struct reader *r, const char *field)
{
    char text[64];
    double v;
    return trim(text, sizeof text, field) && (*text == '\0' || parse_number(r, text, &v));
}

/* Whether the first row is numbers, the first of which may be a date. *dated: it is one. */
static int is_data(const struct reader *r, size_t n, const char *const *fields, int *dated)
{
    char text[64];
    int64_t t;
    for (size_t i = 1; i < n; i++)
        if (!is_number(r, fields[i]))
            return 0;
    *dated = trim(text, sizeof text, fields[0]) && r->order != SQA_DATES_NONE &&
             (r->order == SQA_DATES_SECONDS || !is_number(r, fields[0])) && sqa_parse_date(text, r->order, &t) != 0;
    return *dated || is_number(r, fields[0]);
}

/* Columns without names are called by their number, counted from 1. */
static enum sqa_status number_columns(struct reader *r, size_t n, int dated, struct sqa_err *err)
{
    const char **names = sqa_arena_alloc(r->arena, n * sizeof *names);
    if (!names)
        return no_memory(r, err);
    if (dated)
        r->date[r->dates++] = 0;
    for (size_t i = 0; i < n; i++) {
        names[i] = sqa_arena_printf(r->arena, "%zu", i + 1);
        if (!names[i])
            return no_memory(r, err);
    }
    return on_header(r, n, names, err);
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
    size_t *lines = sqa_realloc(r->lines, (size_t)capacity * sizeof *lines);
    if (!lines)
        return no_memory(r, err);
    r->lines = lines;
    if (r->dates) {
        int64_t *times = sqa_realloc(s->times, (size_t)capacity * sizeof *times);
        if (!times)
            return no_memory(r, err);
        s->times = times;
    }
    r->capacity = capacity;
    return SQA_OK;
}

/* The date of a row as one text, and what it says: as sqa_parse_date. */
static int parse_row_date(const struct reader *r, const char *const *fields, char shown[SQA_QUOTE], int64_t *t)
{
    char text[64];
    int64_t part[DATE_PARTS] = {0, 1, 1, 0, 0, 0};
    if (r->dates == 1) {
        sqa_quote(shown, fields[r->date[0]]);
        if (!trim(text, sizeof text, fields[r->date[0]]))
            return 0;
        return r->order <= SQA_DATES_YMD && sqa_parse_time(text, t) ? 1 : sqa_parse_date(text, r->order, t);
    }
    for (int i = 0; i < r->dates; i++) {
        sqa_quote(shown, fields[r->date[i]]);
        if (!trim(text, sizeof text, fields[r->date[i]]) || !sqa_parse_int(text, &part[i]) || part[i] < 0 ||
            part[i] > 9999)
            return 0;
    }
    snprintf(shown, SQA_QUOTE, "%04d-%02d-%02d %02d:%02d:%02d", (int)part[0], (int)part[1], (int)part[2],
             (int)part[3], (int)part[4], (int)part[5]);
    return sqa_parse_time(shown, t);
}

static enum sqa_status read_time(struct reader *r, size_t line, const char *const *fields, struct sqa_err *err)
{
    char shown[SQA_QUOTE];
    const char *const advice = r->options->times ? ", or give times=any" : "";
    struct sqa_series *s = r->series;
    int64_t t = 0;
    const int found = parse_row_date(r, fields, shown, &t);
    if (found < 0)
        return sqa_fail(err, SQA_INPUT,
                        "%s: line %zu: in '%s' the day or the month may stand first; give dates=dmy or dates=mdy",
                        r->name, line, shown);
    if (found == 0)
        return sqa_fail(err, SQA_INPUT,
                        "%s: line %zu: '%s' is not a date; write YYYY-MM-DD, YYYY-MM-DD HH:MM:SS or YYYY/M/D H:MM, "
                        "or give dates=dmy, mdy or seconds",
                        r->name, line, shown);
    if (s->rows > 0) {
        const int64_t step = t - s->times[s->rows - 1];
        const size_t before = r->lines[s->rows - 1];
        const int any = r->options->times && strcmp(r->options->times, "any") == 0;
        if (step == 0 && !any)
            return sqa_fail(err, SQA_INPUT,
                            "%s: line %zu: the time %s stands on line %zu too; keep one of the rows%s", r->name, line,
                            shown, before, advice);
        if (step < 0 && !any)
            return sqa_fail(err, SQA_INPUT,
                            "%s: line %zu: the time %s is before %s on line %zu; sort the rows by date%s", r->name,
                            line, shown, r->last_date, before, advice);
    }
    s->times[s->rows] = t;
    memcpy(r->last_date, shown, sizeof shown);
    return SQA_OK;
}

static enum sqa_status read_number(const struct reader *r, size_t line, size_t channel, const char *field,
                                   struct sqa_err *err)
{
    static const char *const missing[] = {"",  "na", "nan", "n/a",  "null", "none",
                                          "?", "-",  "inf", "-inf", "+inf", "infinity"};
    enum { GAPS = 8 }; /* of those, the ones that stand for no number */
    char text[64], column[SQA_QUOTE], shown[SQA_QUOTE];
    struct sqa_series *s = r->series;
    double *to = &s->values[s->rows * s->channels + (int64_t)channel];
    const int fits = trim(text, sizeof text, field);
    if (fits && parse_number(r, text, to))
        return SQA_OK;
    for (size_t i = 0; fits && i < GAPS && strcmp(r->format.missing, "fill") == 0; i++)
        if (same_ignoring_case(text, missing[i])) {
            *to = (double)NAN;
            return SQA_OK;
        }
    sqa_quote(column, s->names[channel]);
    if (fits && *text == '\0')
        return sqa_fail(
            err, SQA_INPUT,
            "%s: line %zu: column '%s' is empty; fill in a number or remove the row, or give missing=fill", r->name,
            line, column);
    for (size_t i = 0; fits && i < sizeof missing / sizeof missing[0]; i++)
        if (same_ignoring_case(text, missing[i]))
            return sqa_fail(err, SQA_INPUT,
                            "%s: line %zu: column '%s' is %s; fill in a finite number or remove the row%s", r->name,
                            line, column, text, i < GAPS ? ", or give missing=fill" : "");
    return sqa_fail(err, SQA_INPUT,
                    "%s: line %zu: column '%s': '%s' is not a finite number; correct it or remove the "
                    "column%s",
                    r->name, line, column, sqa_quote(shown, field),
                    fits && strchr(text, ',') ? " (decimal=comma: 1,5 is one and a half)"
                    : *r->format.leave_out    ? ""
                                              : " (leave_out=NAME does)");
}

static enum sqa_status on_first(struct reader *r, size_t n, const char *const *fields, int *data, struct sqa_err *err)
{
    int dated = 0;
    *data = strcmp(r->format.header, "yes") != 0 && is_data(r, n, fields, &dated);
    if (!*data && strcmp(r->format.header, "no") == 0)
        return refuse_columns(r, n, fields, "header=no, and its first line is not numbers", "give header=yes", err);
    if (*data)
        return number_columns(r, n, dated, err);
    const enum sqa_status status = find_date(r, n, fields, err);
    return status == SQA_OK ? on_header(r, n, fields, err) : status;
}

static enum sqa_status on_row(void *user, size_t line, size_t n, const char *const *fields, struct sqa_err *err)
{
    struct reader *r = user;
    enum sqa_status status = SQA_OK;
    if (r->columns == 0) {
        int data;
        status = on_first(r, n, fields, &data, err);
        if (status != SQA_OK || !data)
            return status;
    }
    if (n != r->columns)
        return sqa_fail(err, SQA_INPUT, "%s: line %zu: %zu field%s where the header has %zu; correct the row",
                        r->name, line, n, plural(n), r->columns);
    if (sqa_task_interrupted(r->env))
        return sqa_fail(err, SQA_INTERRUPTED, "%s: interrupted while it was read; run again", r->name);
    status = grow(r, err);
    if (status == SQA_OK && r->dates)
        status = read_time(r, line, fields, err);
    for (size_t c = 0; status == SQA_OK && c < (size_t)r->series->channels; c++)
        status = read_number(r, line, c, fields[r->column[c]], err);
    if (status == SQA_OK)
        r->lines[r->series->rows++] = line;
    return status;
}

static struct reader begin(const char *name, const struct sqa_forecast_options *options,
                           const struct sqa_series_format *format, int target_last, struct sqa_arena *arena,
                           struct sqa_series *series)
{
    static const struct sqa_series_format usual = {"auto", "point", "auto", "", "auto", "refuse", "refuse", ""};
    struct reader r = {.name = name,
                       .options = options,
                       .format = format ? *format : usual,
                       .target_last = target_last,
                       .arena = arena,
                       .series = series};
    const char **const members[] = {&r.format.delimiter, &r.format.decimal, &r.format.header,  &r.format.date,
                                    &r.format.dates,     &r.format.gaps,    &r.format.missing, &r.format.leave_out};
    const char *const fallback[] = {usual.delimiter, usual.decimal, usual.header,  usual.date,
                                    usual.dates,     usual.gaps,    usual.missing, usual.leave_out};
    for (size_t i = 0; i < sizeof fallback / sizeof fallback[0]; i++)
        *members[i] = *members[i] ? *members[i] : fallback[i];
    r.order = sqa_date_order_find(r.format.dates);
    *series = (struct sqa_series){0};
    return r;
}

/* The separator that the first line has most of; commas are none where they stand in numbers. */
static char delimiter_of(const struct sqa_series_format *f, const char *head, size_t size)
{
    static const char *const names[] = {"tab", "semicolon", "bar", "comma", "blank"};
    static const char marks[] = "\t;|, ";
    size_t count[4] = {0}, best = 3;
    for (int i = 0; i < 5; i++)
        if (strcmp(f->delimiter, names[i]) == 0)
            return marks[i];
    int quoted = 0;
    for (size_t i = 0; i < size && (quoted || (head[i] != '\n' && head[i] != '\r')); i++) {
        quoted ^= head[i] == '"';
        const char *m = quoted || !head[i] ? NULL : strchr(marks, head[i]);
        if (m && *m != ' ')
            count[m - marks]++;
    }
    if (strcmp(f->decimal, "comma") == 0)
        count[best] = 0;
    for (size_t i = 4; i-- > 0;)
        if (count[i] > 0 && count[i] >= count[best])
            best = i;
    return marks[best];
}

static enum sqa_status finish(struct reader *r, enum sqa_status status, struct sqa_err *err)
{
    if (status == SQA_OK && r->columns == 0)
        status = sqa_fail(err, SQA_INPUT, "%s: empty; give a CSV with a header, a column date and numbers", r->name);
    if (status == SQA_OK && r->series->rows == 0)
        status = sqa_fail(err, SQA_INPUT, "%s: a header but no rows; add rows", r->name);
    if (status == SQA_OK)
        status = sqa_series_mend(r->name, &r->format, r->lines, r->series, err);
    sqa_free(r->lines);
    if (status != SQA_OK)
        sqa_series_clear(r->series);
    return status;
}

enum sqa_status sqa_series_read_bytes(const char *name, const void *data, size_t size,
                                      const struct sqa_forecast_options *options,
                                      const struct sqa_series_format *format, int target_last,
                                      struct sqa_arena *arena, struct sqa_series *series, struct sqa_err *err)
{
    struct reader r = begin(name, options, format, target_last, arena, series);
    const char delimiter = delimiter_of(&r.format, data, size < HEAD ? size : HEAD);
    return finish(&r, sqa_csv_read_bytes(name, data, size, delimiter, 1, on_row, &r, err), err);
}

static enum sqa_status read_packed(const char *path, struct reader *r, struct sqa_err *err)
{
    char *packed, *data = NULL;
    size_t size, unpacked = 0;
    enum sqa_status status = sqa_file_read(path, file_limit, &packed, &size, err);
    if (status != SQA_OK)
        return status;
    status = sqa_gunzip(path, packed, size, file_limit, &data, &unpacked, err);
    sqa_free(packed);
    if (status == SQA_OK)
        status =
            sqa_csv_read_bytes(path, data, unpacked,
                               delimiter_of(&r->format, data, unpacked < HEAD ? unpacked : HEAD), 1, on_row, r, err);
    sqa_free(data);
    return status;
}

enum sqa_status sqa_series_read(const char *path, const struct sqa_forecast_options *options,
                                const struct sqa_series_format *format, int target_last,
                                const struct sqa_task_env *env, struct sqa_arena *arena, struct sqa_series *series,
                                struct sqa_err *err)
{
    struct reader r = begin(path, options, format, target_last, arena, series);
    char head[4096];
    int fd;
    uint64_t size;
    r.env = env;
    enum sqa_status status = sqa_file_open(path, &fd, &size, err);
    if (status != SQA_OK)
        return status;
    const size_t n = size < sizeof head ? (size_t)size : sizeof head;
    status = sqa_file_get(path, fd, 0, head, n, err);
    sqa_file_close(fd);
    if (status == SQA_OK && sqa_is_gzip(head, n))
        status = read_packed(path, &r, err);
    else if (status == SQA_OK)
        status = sqa_csv_read(path, delimiter_of(&r.format, head, n), 1, on_row, &r, err);
    return finish(&r, status, err);
}

void sqa_series_clear(struct sqa_series *series)
{
    sqa_free(series->values);
    sqa_free(series->times);
    *series = (struct sqa_series){0};
}
