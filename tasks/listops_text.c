/* listops_text.c - ListOps files as published, see listops.h */
#include <stdio.h>
#include <string.h>

#include "base/csv.h"
#include "base/file.h"
#include "tasks/listops.h"
#include "tasks/task_util.h"

enum form { FORM_UNKNOWN, FORM_LRA, FORM_ORIGINAL };

struct reader {
    const char *name;
    const struct sqa_listops_reading *how;
    struct sqa_listops_set *set;
    enum form form;
    size_t lists;
    size_t long_line, long_length, longest; /* first list that is too long; the longest of all */
};

static enum sqa_status refuse(const struct reader *r, size_t line, struct sqa_err *err, const char *what,
                              const char *advice)
{
    return sqa_fail(err, SQA_INPUT, "%s: line %zu: %s; %s", r->name, line, what, advice);
}

/* The id of the token s[0..n), or 0. */
static uint8_t token_id(const char *s, size_t n)
{
    for (int i = SQA_LISTOPS_ZERO; i < SQA_LISTOPS_VOCAB; i++)
        if (strlen(sqa_listops_names[i]) == n && memcmp(sqa_listops_names[i], s, n) == 0)
            return (uint8_t)i;
    return SQA_LISTOPS_PAD;
}

static enum sqa_status reserve(struct sqa_listops_set *set, size_t more, struct sqa_err *err)
{
    if (set->room - set->used >= more)
        return SQA_OK;
    size_t room = set->room ? 2 * set->room : (size_t)1 << 16;
    while (room - set->used < more)
        room *= 2;
    uint8_t *p = sqa_realloc(set->tokens, room);
    if (!p)
        return sqa_fail(err, SQA_NOMEM, "listops: no memory for %zu tokens; free some memory or lower train=", room);
    set->tokens = p;
    set->room = room;
    return SQA_OK;
}

/* Appends the ids of the expression behind set->used (which does not move), without round brackets. */
static enum sqa_status tokenise(const struct reader *r, size_t line, const char *s, size_t *length,
                                struct sqa_err *err)
{
    char shown[SQA_QUOTE], token[SQA_QUOTE];
    size_t round = 0, square = 0, n = 0;
    const size_t bytes = strlen(s);
    const enum sqa_status status = reserve(r->set, bytes + 1, err);
    if (status != SQA_OK)
        return status;
    uint8_t *tokens = r->set->tokens + r->set->used;
    for (size_t at = 0, end; at < bytes; at = end) {
        if (s[at] == ' ') {
            end = at + 1;
            continue;
        }
        end = at + strcspn(s + at, " ");
        if (end - at == 1 && s[at] == '(') {
            round++;
            continue;
        }
        if (end - at == 1 && s[at] == ')') {
            if (round-- == 0)
                return refuse(r, line, err, "a ')' without its '('", "check that the line is whole");
            continue;
        }
        const uint8_t id = token_id(s + at, end - at);
        if (id == SQA_LISTOPS_PAD) {
            snprintf(token, sizeof token, "%.*s", end - at < 60 ? (int)(end - at) : 60, s + at);
            return sqa_fail(err, SQA_INPUT,
                            "%s: line %zu: unknown token '%s'; a list has 0 .. 9, [MIN, [MAX, [MED, [SM, ], ( and ), "
                            "with blanks between them",
                            r->name, line, sqa_quote(shown, token));
        }
        if (id >= SQA_LISTOPS_MIN && id <= SQA_LISTOPS_SM && ++square > SQA_LISTOPS_DEPTH)
            return refuse(r, line, err, "more than 256 operators inside one another", "remove the line");
        if (id == SQA_LISTOPS_CLOSE && square-- == 0)
            return refuse(r, line, err, "a ']' without its operator", "check that the line is whole");
        tokens[n++] = id;
    }
    if (round || square)
        return refuse(r, line, err, square ? "an operator without its ']'" : "a '(' without its ')'",
                      "check that the line is whole");
    *length = n;
    return SQA_OK;
}

static enum sqa_split choose_split(const struct reader *r, size_t length)
{
    if (r->how->split >= 0)
        return (enum sqa_split)r->how->split;
    const uint64_t part = sqa_hash(r->set->tokens + r->set->used, length, r->how->seed) % 10;
    return part < 8 ? SQA_TRAIN : part == 8 ? SQA_VALID : SQA_TEST;
}

static enum sqa_status store(struct reader *r, size_t line, size_t length, uint8_t label, struct sqa_err *err)
{
    const size_t max = (size_t)r->how->max;
    const enum sqa_split split = choose_split(r, length);
    if (length > r->longest)
        r->longest = length;
    if (length > max && !r->how->cut) {
        if (!r->long_line) {
            r->long_line = line;
            r->long_length = length;
        }
        return SQA_OK; /* goes on, to learn the longest */
    }
    r->lists++;
    if (r->set->count[split] >= (size_t)r->how->limit[split]) {
        r->set->left_out++;
        return SQA_OK;
    }
    const uint32_t kept = (uint32_t)(length < max ? length : max);
    const struct sqa_listops_example e = {.where = r->set->used, .length = kept, .label = label};
    r->set->used += kept;
    return sqa_listops_add(r->set, split, e, r->set->tokens + e.where, err);
}

static enum sqa_status on_row(void *user, size_t line, size_t n, const char *const *fields, struct sqa_err *err)
{
    struct reader *r = user;
    char what[96], shown[SQA_QUOTE];
    if (sqa_task_interrupted(r->how->env))
        return sqa_fail(err, SQA_INTERRUPTED, "%s: interrupted while it was read; run again", r->name);
    if (n != 2) {
        snprintf(what, sizeof what, "%zu fields between tabs instead of 2", n);
        return refuse(r, line, err, what, "write expression TAB value under the header, or value TAB expression");
    }
    if (r->form == FORM_UNKNOWN) {
        r->form = strcmp(fields[0], "Source") == 0 && strcmp(fields[1], "Target") == 0 ? FORM_LRA : FORM_ORIGINAL;
        if (r->form == FORM_LRA)
            return SQA_OK;
    }
    const char *const label = fields[r->form == FORM_LRA ? 1 : 0];
    const char *const expression = fields[r->form == FORM_LRA ? 0 : 1];
    if (label[0] < '0' || label[0] > '9' || label[1]) {
        snprintf(what, sizeof what, "'%s' is not a value 0 .. 9", sqa_quote(shown, label));
        return refuse(r, line, err, what, "write Source TAB Target first, or value TAB expression");
    }
    size_t length = 0;
    int value = -1;
    const enum sqa_status status = tokenise(r, line, expression, &length, err);
    if (status != SQA_OK)
        return status;
    if (length == 0)
        return refuse(r, line, err, "an empty expression", "remove the line");
    if (!sqa_listops_evaluate(r->set->tokens + r->set->used, length, &value))
        return refuse(r, line, err, "not one whole list (two lists, or an operator without arguments)",
                      "correct the line or remove it");
    if (value != label[0] - '0') {
        snprintf(what, sizeof what, "the expression has the value %d, the line says %c", value, label[0]);
        return refuse(r, line, err, what, "correct the line or remove it");
    }
    return store(r, line, length, (uint8_t)value, err);
}

static enum sqa_status finish(const struct reader *r, enum sqa_status status, struct sqa_err *err)
{
    if (status != SQA_OK)
        return status;
    if (r->long_line && r->longest > SQA_LISTOPS_LENGTH)
        return sqa_fail(err, SQA_INPUT,
                        "%s: line %zu: %zu tokens, max is %lld and the longest list has %zu; shorten "
                        "the lists or give cut=1",
                        r->name, r->long_line, r->long_length, (long long)r->how->max, r->longest);
    if (r->long_line)
        return sqa_fail(err, SQA_INPUT,
                        "%s: line %zu: %zu tokens, max is %lld; give max=%zu (the longest list) or "
                        "cut=1",
                        r->name, r->long_line, r->long_length, (long long)r->how->max, r->longest);
    if (r->lists == 0)
        return sqa_fail(err, SQA_INPUT, "%s: no lists in it; give a file with value TAB expression in each line",
                        r->name);
    return SQA_OK;
}

enum sqa_status sqa_listops_read(const char *path, const struct sqa_listops_reading *how, struct sqa_listops_set *set,
                                 struct sqa_err *err)
{
    struct reader r = {.name = path, .how = how, .set = set};
    return finish(&r, sqa_csv_read(path, '\t', 0, on_row, &r, err), err);
}

enum sqa_status sqa_listops_read_bytes(const char *name, const void *data, size_t size,
                                       const struct sqa_listops_reading *how, struct sqa_listops_set *set,
                                       struct sqa_err *err)
{
    struct reader r = {.name = name, .how = how, .set = set};
    return finish(&r, sqa_csv_read_bytes(name, data, size, '\t', 0, on_row, &r, err), err);
}
