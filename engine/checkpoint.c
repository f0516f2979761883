/* checkpoint.c - see checkpoint.h */
#include "engine/checkpoint.h"

#include <string.h>

/* What a store keeps under one name: value and best of every entry, moments of parameters only. */
enum part { VALUE, MOMENT_M, MOMENT_V, BEST, PARTS };
static const char *const prefix[PARTS] = {"", "m:", "v:", "best:"};

static unsigned char *part_data(const struct sqa_store *s, const struct sqa_entry *e, enum part part, void *best)
{
    switch (part) {
    case VALUE:
        return e->value;
    case MOMENT_M:
        return e->m;
    case MOMENT_V:
        return e->v;
    default:
        return (unsigned char *)best +
               (size_t)(e->offset + (e->kind == SQA_STATE ? s->parameter_block : 0)) * sqa_dtype_size(s->real);
    }
}

static bool has_part(const struct sqa_entry *e, enum part part, int moments, const void *best)
{
    if (part == VALUE || part == BEST)
        return part == VALUE || best != NULL;
    return e->kind == SQA_PARAMETER && moments != 0;
}

static enum sqa_status nomem(const char *path, struct sqa_err *err)
{
    return sqa_fail(err, SQA_NOMEM, "%s: no memory for the checkpoint; free some memory and run again", path);
}

static enum sqa_status check_store(const char *path, const struct sqa_store *s, int moments, struct sqa_err *err)
{
    if (!s->sealed || (moments && !s->trainable))
        return sqa_fail(err, SQA_UNSUPPORTED, "%s: the model in memory has no %s; build it %s first", path,
                        s->sealed ? "moments" : "values", s->sealed ? "for training" : "whole");
    return SQA_OK;
}

enum sqa_status sqa_checkpoint_write(const char *path, const struct sqa_store *s, int moments, const void *best,
                                     const struct sqa_metadata *metadata, size_t nmeta, struct sqa_err *err)
{
    enum sqa_status status = check_store(path, s, moments, err);
    if (status != SQA_OK)
        return status;
    struct sqa_arena arena = {0};
    size_t entries = 0, n = 0;
    void *copy = NULL;
    memcpy(&copy, &best, sizeof copy); /* read only here, though part_data serves the reader too */
    for (const struct sqa_entry *e = s->first; e; e = e->next)
        entries++;
    struct sqa_named *t = sqa_arena_alloc(&arena, (entries * PARTS + 1) * sizeof *t);
    status = t ? SQA_OK : nomem(path, err);
    for (enum part part = VALUE; part < PARTS && status == SQA_OK; part++) {
        for (const struct sqa_entry *e = s->first; e && status == SQA_OK; e = e->next) {
            if (!has_part(e, part, moments, best))
                continue;
            t[n] = (struct sqa_named){.name = sqa_arena_printf(&arena, "%s%s", prefix[part], e->name),
                                      .dtype = s->real,
                                      .rank = e->rank,
                                      .data = part_data(s, e, part, copy)};
            memcpy(t[n].dim, e->dim, sizeof t[n].dim);
            status = t[n++].name ? SQA_OK : nomem(path, err);
        }
    }
    if (status == SQA_OK)
        status = sqa_safetensors_write(path, t, n, metadata, nmeta, err);
    sqa_arena_clear(&arena);
    return status;
}

struct reader {
    const char *path;
    struct sqa_store *s;
    int moments;
    void *best;
    struct sqa_arena arena;
    const struct sqa_safetensors *f;
    struct sqa_err *err;
};

/* The tensor of one part of an entry, checked. */
static enum sqa_status find(struct reader *r, const struct sqa_entry *e, enum part part, const struct sqa_named **out)
{
    const char *name = sqa_arena_printf(&r->arena, "%s%s", prefix[part], e->name);
    if (!name)
        return nomem(r->path, r->err);
    const struct sqa_named *t = sqa_safetensors_find(r->f, name);
    if (!t)
        return sqa_fail(r->err, SQA_INPUT,
                        "%s: no tensor '%.200s'; it was written by another model, give the model text "
                        "it was written with",
                        r->path, name);
    if (t->dtype != r->s->real && (r->moments || (t->dtype != SQA_F32 && t->dtype != SQA_F64)))
        return sqa_fail(r->err, SQA_INPUT,
                        "%s: '%.200s' holds %s, the model %s; go on with the type it was written with", r->path, name,
                        sqa_dtype_name(t->dtype), sqa_dtype_name(r->s->real));
    struct sqa_tensor have = {.rank = t->rank}, want = {.rank = e->rank};
    char a[96], b[96];
    memcpy(have.dim, t->dim, sizeof have.dim);
    memcpy(want.dim, e->dim, sizeof want.dim);
    if (!sqa_same_shape(&have, &want))
        return sqa_fail(r->err, SQA_INPUT,
                        "%s: '%.200s' is %s, the model has %s; give the model text it was written with", r->path,
                        name, sqa_shape_text(&have, a), sqa_shape_text(&want, b));
    *out = t;
    return SQA_OK;
}

static void copy(const struct sqa_named *t, enum sqa_dtype real, int64_t count, unsigned char *to)
{
    const size_t n = (size_t)count;
    if (t->dtype == real)
        memcpy(to, t->data, n * sqa_dtype_size(real));
    for (size_t i = 0; t->dtype != real && i < n; i++) {
        if (real == SQA_F32) {
            const float v = (float)((const double *)t->data)[i];
            memcpy(to + i * sizeof v, &v, sizeof v);
        } else {
            const double v = (double)((const float *)t->data)[i];
            memcpy(to + i * sizeof v, &v, sizeof v);
        }
    }
}

/* A tensor that the model has no place for means that the file is another model's. */
static enum sqa_status refuse_strangers(const struct reader *r)
{
    for (size_t i = 0; i < r->f->n; i++) {
        const char *name = r->f->tensors[i].name;
        bool known = sqa_store_find(r->s, name) != NULL;
        for (enum part part = MOMENT_M; part < PARTS && !known; part++)
            known = strncmp(name, prefix[part], strlen(prefix[part])) == 0;
        if (!known)
            return sqa_fail(r->err, SQA_INPUT,
                            "%s: tensor '%.200s' has no place in this model; give the model text it was "
                            "written with",
                            r->path, name);
    }
    return SQA_OK;
}

/* Every part is found and checked before the first is copied: a refused file leaves the store as it was. */
static enum sqa_status restore(struct reader *r)
{
    enum sqa_status status = SQA_OK;
    size_t n = 0, i = 0;
    for (const struct sqa_entry *e = r->s->first; e; e = e->next)
        n++;
    const struct sqa_named **found = sqa_arena_alloc(&r->arena, (n * PARTS + 1) * sizeof *found);
    if (!found)
        status = nomem(r->path, r->err);
    for (enum part part = VALUE; part < PARTS && status == SQA_OK; part++)
        for (const struct sqa_entry *e = r->s->first; e && status == SQA_OK; e = e->next)
            if (has_part(e, part, r->moments, r->best))
                status = find(r, e, part, &found[i++]);
    if (status == SQA_OK)
        status = refuse_strangers(r);
    i = 0;
    for (enum part part = VALUE; part < PARTS && status == SQA_OK; part++)
        for (const struct sqa_entry *e = r->s->first; e; e = e->next)
            if (has_part(e, part, r->moments, r->best))
                copy(found[i++], r->s->real, e->count, part_data(r->s, e, part, r->best));
    return status;
}

enum sqa_status sqa_checkpoint_read(const char *path, struct sqa_store *s, int moments, void *best,
                                    struct sqa_safetensors *f, struct sqa_err *err)
{
    struct sqa_safetensors own, *file = f ? f : &own;
    *file = (struct sqa_safetensors){0};
    enum sqa_status status = check_store(path, s, moments, err);
    if (status == SQA_OK)
        status = sqa_safetensors_read(path, file, err);
    if (status != SQA_OK)
        return status;
    struct reader r = {.path = path, .s = s, .moments = moments, .best = best, .f = file, .err = err};
    status = restore(&r);
    sqa_arena_clear(&r.arena);
    if (status != SQA_OK || !f)
        sqa_safetensors_clear(file);
    return status;
}
