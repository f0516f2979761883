/* m4_read.c - see m4.h */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/csv.h"
#include "tasks/m4.h"
#include "tasks/task_util.h"

struct reader {
    const char *name;
    const struct sqa_task_env *env;
    struct sqa_panel *panel;
    struct sqa_panel *test; /* while training values are read: the test values, already there */
    int64_t horizon;
    bool header;
};

static enum sqa_status no_memory(const char *name, struct sqa_err *err)
{
    return sqa_fail(err, SQA_NOMEM, "%s: no memory for its series; free some memory and run again", name);
}

static enum sqa_status make_room(const char *name, struct sqa_panel *p, size_t numbers, struct sqa_err *err)
{
    if (p->count == p->room) {
        const size_t room = p->room ? 2 * p->room : 512;
        size_t *start = sqa_realloc(p->start, room * sizeof *start);
        p->start = start ? start : p->start;
        size_t *length = sqa_realloc(p->length, room * sizeof *length);
        p->length = length ? length : p->length;
        const char **names = sqa_realloc((void *)p->name, room * sizeof *names);
        p->name = names ? names : p->name;
        if (!start || !length || !names)
            return no_memory(name, err);
        p->room = room;
    }
    if (p->capacity - p->used < numbers) {
        size_t capacity = p->capacity ? p->capacity : 65536;
        while (capacity - p->used < numbers)
            capacity *= 2;
        double *value = sqa_realloc(p->value, capacity * sizeof *value);
        if (!value)
            return no_memory(name, err);
        p->value = value;
        p->capacity = capacity;
    }
    return SQA_OK;
}

/* Behind the training values of a series come its test values: the row of the same place and id. */
static enum sqa_status add_test(struct reader *r, size_t line, struct sqa_err *err)
{
    struct sqa_panel *p = r->panel;
    const struct sqa_panel *t = r->test;
    const size_t i = p->count;
    char shown[SQA_QUOTE];
    if (i >= t->count || strcmp(t->name[i], p->name[i]) != 0)
        return sqa_fail(err, SQA_INPUT,
                        "%s: line %zu: series '%s' is not on that line of the test file; give two files of one "
                        "frequency",
                        r->name, line, sqa_quote(shown, p->name[i]));
    memcpy(p->value + p->used + p->length[i], t->value + t->start[i], t->length[i] * sizeof *p->value);
    p->length[i] += t->length[i];
    return SQA_OK;
}

static enum sqa_status on_row(void *user, size_t line, size_t n, const char *const *fields, struct sqa_err *err)
{
    struct reader *r = user;
    struct sqa_panel *p = r->panel;
    char shown[SQA_QUOTE];
    if (!r->header) {
        r->header = true;
        return n > 1 ? SQA_OK : sqa_fail(err, SQA_INPUT, "%s: a header of one column; give a file of M4", r->name);
    }
    if (sqa_task_interrupted(r->env))
        return sqa_fail(err, SQA_INTERRUPTED, "%s: interrupted while it was read; run again", r->name);
    enum sqa_status status = make_room(r->name, p, n + (size_t)r->horizon, err);
    if (status != SQA_OK)
        return status;
    p->name[p->count] = sqa_arena_strdup(&p->arena, fields[0]);
    if (!p->name[p->count])
        return no_memory(r->name, err);
    size_t length = 0;
    for (size_t k = 1; k < n; k++) {
        if (*fields[k] == '\0')
            continue;
        if (length != k - 1)
            return sqa_fail(err, SQA_INPUT, "%s: line %zu: column %zu is empty and column %zu is not; fill it in",
                            r->name, line, length + 2, k + 1);
        if (!sqa_parse_real(fields[k], &p->value[p->used + length]))
            return sqa_fail(err, SQA_INPUT, "%s: line %zu: column %zu: '%s' is not a finite number; correct it",
                            r->name, line, k + 1, sqa_quote(shown, fields[k]));
        length++;
    }
    p->start[p->count] = p->used;
    p->length[p->count] = length;
    if (r->test)
        status = add_test(r, line, err);
    else if (length != (size_t)r->horizon)
        status = sqa_fail(err, SQA_INPUT, "%s: line %zu: %zu test values where the competition has %lld; correct it",
                          r->name, line, length, (long long)r->horizon);
    if (status == SQA_OK)
        p->used += p->length[p->count++];
    return status;
}

static enum sqa_status both(const char *const names[2], const void *const data[2], const size_t size[2],
                            int64_t horizon, const struct sqa_task_env *env, struct sqa_panel *p, struct sqa_err *err)
{
    struct sqa_panel test = {0};
    struct reader r[2] = {{.name = names[0], .env = env, .panel = p, .test = &test, .horizon = horizon},
                          {.name = names[1], .env = env, .panel = &test, .horizon = horizon}};
    enum sqa_status status = SQA_OK;
    *p = (struct sqa_panel){0};
    for (int i = 1; i >= 0 && status == SQA_OK; i--)
        status = data ? sqa_csv_read_bytes(names[i], data[i], size[i], ',', 1, on_row, &r[i], err)
                      : sqa_csv_read(names[i], ',', 1, on_row, &r[i], err);
    if (status == SQA_OK && (p->count == 0 || p->count != test.count))
        status = sqa_fail(err, SQA_INPUT, "%s: %zu series, and %zu in %s; give two files of one frequency", names[0],
                          p->count, test.count, names[1]);
    sqa_panel_clear(&test);
    if (status != SQA_OK)
        sqa_panel_clear(p);
    return status;
}

enum sqa_status sqa_panel_read(const char *train, const char *test, int64_t horizon, const struct sqa_task_env *env,
                               struct sqa_panel *p, struct sqa_err *err)
{
    return both((const char *const[2]){train, test}, NULL, NULL, horizon, env, p, err);
}

enum sqa_status sqa_panel_read_bytes(const void *train, size_t train_size, const void *test, size_t test_size,
                                     int64_t horizon, struct sqa_panel *p, struct sqa_err *err)
{
    return both((const char *const[2]){"train", "test"}, (const void *const[2]){train, test},
                (const size_t[2]){train_size, test_size}, horizon, NULL, p, err);
}

void sqa_panel_clear(struct sqa_panel *p)
{
    sqa_free(p->value);
    sqa_free(p->start);
    sqa_free(p->length);
    sqa_free((void *)p->name);
    sqa_arena_clear(&p->arena);
    *p = (struct sqa_panel){0};
}
