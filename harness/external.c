/* external.c - see external.h */
#include "harness/external.h"

#include <math.h>
#include <string.h>

#include <jansson.h>

#include "base/file.h"

enum { FILE_LIMIT = 1 << 20, NAME_LIMIT = 200, TEXT_LIMIT = 4096 };

static const struct member {
    const char *name;
    char type; /* t text, r real >= 0, i whole number >= 0 */
    size_t offset;
} members[] = {
#define AT(field) offsetof(struct sqa_external, field)
    {"name", 't', AT(name)},
    {"seed", 'i', AT(seed)},
    {"split_hash", 't', AT(split_hash)},
    {"task", 't', AT(task)},
    {"params", 'r', AT(params)},
    {"flops", 'r', AT(flops)},
    {"batch", 'r', AT(batch)},
    {"latency_ns", 'r', AT(latency_ns)},
    {"memory_bytes", 'r', AT(memory_bytes)},
    {"train_seconds", 'r', AT(train_seconds)},
    {"steps", 'r', AT(steps)},
    {"hardware", 't', AT(hardware)},
    {"framework", 't', AT(framework)},
    {"source", 't', AT(source)},
    {"recipe", 't', AT(recipe)},
    {"notes", 't', AT(notes)},
};
enum { MEMBERS = sizeof members / sizeof members[0] };

static const struct member *find(const char *name)
{
    for (int i = 0; i < MEMBERS; i++)
        if (strcmp(members[i].name, name) == 0)
            return &members[i];
    return NULL;
}

static enum sqa_status unknown(const char *where, const char *key, struct sqa_err *err)
{
    const char *names[MEMBERS];
    for (int i = 0; i < MEMBERS; i++)
        names[i] = members[i].name;
    const char *near = sqa_nearest(key, names, MEMBERS);
    bool plain = true;
    for (const char *c = key; *c; c++)
        plain = plain && *c >= ' ' && *c <= '~';
    return sqa_fail(err, SQA_INPUT,
                    "%s: unknown key '%.40s'%s%s%s; keys are in seqarena score --help, the rest goes into notes",
                    where, plain ? key : "?", near ? ", did you mean '" : "", near ? near : "", near ? "'" : "");
}

static enum sqa_status take_text(const char *where, const struct member *m, const json_t *v, struct sqa_arena *arena,
                                 void *to, struct sqa_err *err)
{
    const char *text = json_string_value(v);
    const size_t limit = strcmp(m->name, "name") == 0 ? NAME_LIMIT : TEXT_LIMIT;
    if (!text)
        return sqa_fail(err, SQA_INPUT, "%s: %s is not a text; write it in quotes", where, m->name);
    const size_t n = json_string_length(v);
    if (n == 0 || n > limit)
        return sqa_fail(err, SQA_INPUT, "%s: %s has %zu bytes; give 1 to %zu or leave the key out", where, m->name, n,
                        limit);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return sqa_fail(err, SQA_INPUT, "%s: %s has a control character at byte %zu; write it on one line", where,
                            m->name, i);
    const char *copy = sqa_arena_strdup(arena, text);
    if (!copy)
        return sqa_fail(err, SQA_NOMEM, "%s: no memory; free some memory and run again", where);
    memcpy(to, &copy, sizeof copy);
    return SQA_OK;
}

static enum sqa_status take_number(const char *where, const struct member *m, const json_t *v, void *to,
                                   struct sqa_err *err)
{
    const double x = json_number_value(v);
    if (!json_is_number(v) || !(x >= 0) || !isfinite(x) || (m->type == 'i' && !json_is_integer(v)))
        return sqa_fail(err, SQA_INPUT, "%s: %s is not a %s from 0 on; give one or leave the key out", where, m->name,
                        m->type == 'i' ? "whole number" : "number");
    if (m->type == 'i')
        memcpy(to, &(int64_t){json_integer_value(v)}, sizeof(int64_t));
    else
        memcpy(to, &x, sizeof x);
    return SQA_OK;
}

enum sqa_status sqa_external_parse(const char *where, const char *bytes, size_t size, struct sqa_arena *arena,
                                   struct sqa_external *x, struct sqa_err *err)
{
    const double nan = (double)NAN;
    json_error_t e;
    const char *key;
    json_t *v;
    *x = (struct sqa_external){.seed = -1,
                               .params = nan,
                               .flops = nan,
                               .batch = nan,
                               .latency_ns = nan,
                               .memory_bytes = nan,
                               .train_seconds = nan,
                               .steps = nan};
    const long failures = sqa_alloc_failures();
    json_t *o = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, &e);
    enum sqa_status status = SQA_OK;
    if (!o && sqa_alloc_failures() > failures)
        return sqa_fail(err, SQA_NOMEM, "%s: no memory; free some memory and run again", where);
    if (!o)
        return sqa_fail(err, SQA_INPUT, "%s: no JSON at line %d, column %d; write one object, {\"name\": ...}", where,
                        e.line, e.column);
    if (!json_is_object(o))
        status = sqa_fail(err, SQA_INPUT, "%s: not a JSON object; write {\"name\": ...}", where);
    json_object_foreach(o, key, v)
    {
        if (status != SQA_OK)
            break;
        const struct member *m = find(key);
        unsigned char *to = (unsigned char *)x + (m ? m->offset : 0);
        status = !m               ? unknown(where, key, err)
                 : m->type == 't' ? take_text(where, m, v, arena, to, err)
                                  : take_number(where, m, v, to, err);
    }
    json_decref(o);
    if (status == SQA_OK && !x->name)
        status = sqa_fail(err, SQA_INPUT, "%s: no name; add \"name\": what tables shall call the model", where);
    return status;
}

enum sqa_status sqa_external_read(const char *path, struct sqa_arena *arena, struct sqa_external *x,
                                  struct sqa_err *err)
{
    char *text;
    size_t size;
    enum sqa_status status = sqa_file_read(path, FILE_LIMIT, &text, &size, err);
    if (status != SQA_OK)
        return status;
    status = sqa_external_parse(path, text, size, arena, x, err);
    sqa_free(text);
    return status;
}
