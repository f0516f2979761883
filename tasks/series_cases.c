/* series_cases.c - see series_cases.h */
#include "tasks/series_cases.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "tasks/task_util.h"

enum { CLASSES_MAX = 4096, DIMS_MAX = 65536 };
static const size_t file_limit = (size_t)1 << 32;

struct reader {
    const char *name;
    size_t line;
    bool fill, labels, data;
    struct sqa_cases *set;
    struct sqa_err *err;
};

static enum sqa_status no_memory(const struct reader *r)
{
    return sqa_fail(r->err, SQA_NOMEM, "%s: no memory for its cases; free some memory or cut the file", r->name);
}

static enum sqa_status bad(const struct reader *r, const char *what, const char *advice)
{
    return sqa_fail(r->err, SQA_INPUT, "%s: line %zu: %s; %s", r->name, r->line, what, advice);
}

/* The next word of a line, ended by a 0; *at moves behind it. NULL: there is none. */
static char *next_word(char **at)
{
    char *p = *at + strspn(*at, " \t");
    const size_t n = strcspn(p, " \t");
    if (n == 0)
        return NULL;
    *at = p + n + (p[n] != '\0');
    p[n] = '\0';
    return p;
}

static int same_word(const char *a, const char *b)
{
    for (; *a && *b; a++, b++)
        if ((*a >= 'A' && *a <= 'Z' ? *a + 32 : *a) != *b)
            return 0;
    return *a == *b;
}

static enum sqa_status read_classes(struct reader *r, char *at)
{
    struct sqa_cases *s = r->set;
    const char *word = next_word(&at);
    if (!word || !same_word(word, "true"))
        return bad(r, "cases without labels", "take a set of classification, with @classLabel true");
    s->classes = sqa_arena_alloc(&s->arena, CLASSES_MAX * sizeof *s->classes);
    if (!s->classes)
        return no_memory(r);
    s->n_classes = 0;
    for (word = next_word(&at); word; word = next_word(&at)) {
        if (s->n_classes == CLASSES_MAX)
            return bad(r, "more than 4096 classes", "take another set");
        s->classes[s->n_classes] = sqa_arena_strdup(&s->arena, word);
        if (!s->classes[s->n_classes])
            return no_memory(r);
        s->n_classes++;
    }
    r->labels = s->n_classes > 0;
    return r->labels ? SQA_OK : bad(r, "@classLabel names no class", "name them behind true");
}

static enum sqa_status read_header(struct reader *r, char *at)
{
    const char *key = next_word(&at), *word;
    if (!key)
        return SQA_OK;
    if (same_word(key, "@data")) {
        r->data = true;
        return r->labels ? SQA_OK : bad(r, "@data without @classLabel before it", "take a set of classification");
    }
    if (same_word(key, "@classlabel"))
        return r->labels ? bad(r, "a second @classLabel", "keep one") : read_classes(r, at);
    word = same_word(key, "@timestamps") ? next_word(&at) : NULL;
    if (word && same_word(word, "true"))
        return bad(r, "series with time stamps", "write plain numbers, @timeStamps false");
    return *key == '@' ? SQA_OK : bad(r, "data before the line @data", "add that line");
}

static enum sqa_status make_room(struct reader *r, size_t numbers)
{
    struct sqa_cases *s = r->set;
    if (s->count == s->room) {
        const size_t room = s->room ? 2 * s->room : 256;
        size_t *start = sqa_realloc(s->start, room * sizeof *start);
        s->start = start ? start : s->start;
        int32_t *length = sqa_realloc(s->length, room * sizeof *length);
        s->length = length ? length : s->length;
        int32_t *label = sqa_realloc(s->label, room * sizeof *label);
        s->label = label ? label : s->label;
        if (!start || !length || !label)
            return no_memory(r);
        s->room = room;
    }
    if (s->capacity - s->used < numbers) {
        size_t capacity = s->capacity ? s->capacity : 4096;
        while (capacity - s->used < numbers)
            capacity *= 2;
        double *value = sqa_realloc(s->value, capacity * sizeof *value);
        if (!value)
            return no_memory(r);
        s->value = value;
        s->capacity = capacity;
    }
    return SQA_OK;
}

static size_t count_of(const char *s, char c)
{
    size_t n = 0;
    for (; *s; s++)
        n += *s == c;
    return n;
}

static enum sqa_status read_number(struct reader *r, int64_t dim, size_t at, char *field, double *out)
{
    char what[160], shown[SQA_QUOTE];
    field += strspn(field, " \t");
    for (size_t n = strlen(field); n > 0 && strchr(" \t", field[n - 1]); n--)
        field[n - 1] = '\0';
    if (sqa_parse_real(field, out))
        return SQA_OK;
    const bool missing = strcmp(field, "?") == 0 || same_word(field, "nan");
    if (missing && r->fill) {
        *out = (double)NAN;
        r->set->missing++;
        return SQA_OK;
    }
    snprintf(what, sizeof what, "dimension %lld, place %zu: '%s' is %s", (long long)dim + 1, at + 1,
             sqa_quote(shown, field), missing ? "missing" : "not a finite number");
    return bad(r, what, missing ? "give missing=fill, or put in a number" : "correct it");
}

/* NaN becomes the number before it in its dimension; the first of a dimension the first that is there, else 0. */
static void fill_case(double *v, int64_t length, int64_t dims)
{
    for (int64_t d = 0; d < dims; d++) {
        double last = 0;
        for (int64_t t = length - 1; t >= 0; t--)
            last = isnan(v[t * dims + d]) ? last : v[t * dims + d];
        for (int64_t t = 0; t < length; t++) {
            v[t * dims + d] = isnan(v[t * dims + d]) ? last : v[t * dims + d];
            last = v[t * dims + d];
        }
    }
}

static enum sqa_status read_label(struct reader *r, char *text)
{
    struct sqa_cases *s = r->set;
    char what[160], shown[SQA_QUOTE];
    const char *word = next_word(&text);
    for (int64_t k = 0; word && k < s->n_classes; k++)
        if (strcmp(word, s->classes[k]) == 0) {
            s->label[s->count] = (int32_t)k;
            return SQA_OK;
        }
    snprintf(what, sizeof what, "the label '%s' is none of the %lld of @classLabel",
             sqa_quote(shown, word ? word : ""), (long long)s->n_classes);
    return bad(r, what, "correct it");
}

static enum sqa_status read_case(struct reader *r, char *line)
{
    struct sqa_cases *s = r->set;
    char what[160];
    const size_t dims = count_of(line, ':');
    if (dims < 1 || dims > DIMS_MAX)
        return bad(r, "no ':' between numbers and label, or more than 65536", "write dimension:...:label");
    if (s->count > 0 && (int64_t)dims != s->dims) {
        snprintf(what, sizeof what, "%zu dimensions where the cases before have %lld", dims, (long long)s->dims);
        return bad(r, what, "correct it");
    }
    s->dims = (int64_t)dims;
    size_t length = 0;
    enum sqa_status status = SQA_OK;
    for (size_t d = 0; d < dims; d++) {
        char *end = strchr(line, ':'), *field = line;
        *end = '\0';
        const size_t n = count_of(line, ',') + 1;
        if (d == 0) {
            length = n;
            status = n > INT32_MAX ? bad(r, "too many numbers", "cut the series") : make_room(r, n * dims);
        } else if (n != length) {
            snprintf(what, sizeof what, "dimension %zu has %zu numbers, the first %zu", d + 1, n, length);
            status = bad(r, what, "make them as long");
        }
        for (size_t t = 0; t < n && status == SQA_OK; t++) {
            char *comma = strchr(field, ',');
            if (comma)
                *comma = '\0';
            status = read_number(r, (int64_t)d, t, field, s->value + s->used + t * dims + d);
            field = comma ? comma + 1 : field;
        }
        if (status != SQA_OK)
            return status;
        line = end + 1;
    }
    status = read_label(r, line);
    if (status != SQA_OK)
        return status;
    if (r->fill)
        fill_case(s->value + s->used, (int64_t)length, (int64_t)dims);
    s->start[s->count] = s->used;
    s->length[s->count++] = (int32_t)length;
    s->used += length * dims;
    s->longest = (int64_t)length > s->longest ? (int64_t)length : s->longest;
    return SQA_OK;
}

enum sqa_status sqa_cases_read_bytes(const char *name, char *data, size_t size, bool fill,
                                     const struct sqa_task_env *env, struct sqa_cases *set, struct sqa_err *err)
{
    struct reader r = {.name = name, .fill = fill, .set = set, .err = err};
    enum sqa_status status = SQA_OK;
    *set = (struct sqa_cases){0};
    for (size_t at = 0; at < size && status == SQA_OK;) {
        char *line = data + at, *end = memchr(line, '\n', size - at);
        size_t n = end ? (size_t)(end - line) : size - at;
        at += n + 1;
        r.line++;
        n -= n > 0 && line[n - 1] == '\r';
        line[n] = '\0';
        if (strlen(line) != n)
            status = bad(&r, "a byte 0", "fetch the file again");
        else if (line[strspn(line, " \t")] == '\0' || *line == '#')
            continue;
        else
            status = r.data ? read_case(&r, line) : read_header(&r, line);
        if (status == SQA_OK && sqa_task_interrupted(env))
            status = sqa_fail(err, SQA_INTERRUPTED, "%s: interrupted while it was read; run again", name);
    }
    if (status == SQA_OK && set->count == 0)
        status = sqa_fail(err, SQA_INPUT, "%s: no cases; give a .ts file with @data and cases behind it", name);
    if (status != SQA_OK)
        sqa_cases_clear(set);
    return status;
}

enum sqa_status sqa_cases_read(const char *path, bool fill, const struct sqa_task_env *env, struct sqa_cases *set,
                               struct sqa_err *err)
{
    char *data;
    size_t size;
    *set = (struct sqa_cases){0};
    enum sqa_status status = sqa_file_read(path, file_limit, &data, &size, err);
    if (status != SQA_OK)
        return status;
    status = sqa_cases_read_bytes(path, data, size, fill, env, set, err);
    sqa_free(data);
    return status;
}

void sqa_cases_clear(struct sqa_cases *set)
{
    sqa_free(set->value);
    sqa_free(set->start);
    sqa_free(set->length);
    sqa_free(set->label);
    sqa_arena_clear(&set->arena);
    *set = (struct sqa_cases){0};
}
