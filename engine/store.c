/* store.c - see store.h */
#include "engine/store.h"

#include <math.h>
#include <string.h>

#include "base/random.h"

enum { ALIGN_ELEMENTS = 16 }; /* 64 bytes of f32 */

void sqa_store_init(struct sqa_store *s, enum sqa_dtype real, uint64_t seed)
{
    *s = (struct sqa_store){.real = real, .seed = seed};
}

void sqa_store_clear(struct sqa_store *s)
{
    sqa_free(s->values);
    sqa_free(s->gradients);
    sqa_free(s->m);
    sqa_free(s->v);
    sqa_free(s->states);
    sqa_arena_clear(&s->arena);
    *s = (struct sqa_store){0};
}

struct sqa_entry *sqa_store_find(const struct sqa_store *s, const char *name)
{
    for (struct sqa_entry *e = s->first; e; e = e->next)
        if (strcmp(e->name, name) == 0)
            return e;
    return NULL;
}

static struct sqa_entry *existing(struct sqa_entry *e, int rank, const int64_t *dim, struct sqa_err *err)
{
    bool same = e->rank == rank;
    for (int i = 0; same && i < rank; i++)
        same = e->dim[i] == dim[i];
    if (same)
        return e;
    sqa_fail(err, SQA_SHAPE, "%s: declared twice with different shapes; give the two parameters different names",
             e->name);
    return NULL;
}

struct sqa_entry *sqa_store_declare(struct sqa_store *s, const char *name, enum sqa_entry_kind kind,
                                    enum sqa_group group, int rank, const int64_t *dim, struct sqa_init init,
                                    struct sqa_err *err)
{
    struct sqa_entry *e = sqa_store_find(s, name);
    if (e)
        return existing(e, rank, dim, err);
    if (s->sealed) {
        sqa_fail(err, SQA_SHAPE,
                 "%s: a new parameter after the first graph; a model has the same parameters in every "
                 "mode and length",
                 name);
        return NULL;
    }
    e = sqa_arena_alloc(&s->arena, sizeof *e);
    char *copy = sqa_arena_strdup(&s->arena, name);
    if (!e || !copy) {
        sqa_fail(err, SQA_NOMEM, "%s: no memory for the parameter; free some memory and run again", name);
        return NULL;
    }
    *e = (struct sqa_entry){.name = copy, .kind = kind, .group = group, .rank = rank, .init = init, .count = 1};
    for (int i = 0; i < rank; i++) {
        e->dim[i] = dim[i];
        if (dim[i] <= 0 || e->count > ((int64_t)1 << 40) / dim[i]) {
            sqa_fail(err, SQA_UNSUPPORTED, "%s: %lld numbers along dimension %d is not possible; use smaller sizes",
                     name, (long long)dim[i], i);
            return NULL;
        }
        e->count *= dim[i];
    }
    int64_t *block = kind == SQA_PARAMETER ? &s->parameter_block : &s->state_block;
    e->offset = *block;
    *block += (e->count + ALIGN_ELEMENTS - 1) / ALIGN_ELEMENTS * ALIGN_ELEMENTS;
    *(kind == SQA_PARAMETER ? &s->parameter_count : &s->state_count) += e->count;
    if (s->last)
        s->last->next = e;
    else
        s->first = e;
    s->last = e;
    return e;
}

static void *at(const struct sqa_store *s, void *block, int64_t offset)
{
    return block ? (unsigned char *)block + (size_t)offset * sqa_dtype_size(s->real) : NULL;
}

enum { PIECE = 8192 }; /* numbers filled at a time */

/* Numbers first .. first + n - 1 of an entry; a custom one is filled as a whole. */
static void initial_values(const struct sqa_store *s, const struct sqa_entry *e, int64_t first, int64_t n, double *x)
{
    const uint64_t key = sqa_random_key(s->seed, 0, e->name);
    const struct sqa_init *init = &e->init;
    double low = init->a, high = init->b;
    if (init->kind == SQA_INIT_XAVIER) {
        const int64_t out = e->dim[e->rank - 1], in = e->rank > 1 ? e->dim[e->rank - 2] : out;
        high = sqrt(6.0 / (double)(in + out)) * (init->a != 0 ? init->a : 1);
        low = -high;
    } else if (init->kind == SQA_INIT_LOG_UNIFORM) {
        low = log(init->a);
        high = log(init->b);
    }
    if (init->kind == SQA_INIT_CUSTOM) {
        init->fill(x, e->rank, e->dim, key, init->arg);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        const uint64_t at = (uint64_t)(first + i);
        switch (init->kind) {
        case SQA_INIT_CONSTANT:
            x[i] = init->a;
            break;
        case SQA_INIT_NORMAL:
            x[i] = init->a + init->b * sqa_random_normal(key, at);
            break;
        case SQA_INIT_UNIFORM:
        case SQA_INIT_XAVIER:
        case SQA_INIT_LOG_UNIFORM:
            x[i] = low + (high - low) * sqa_random_uniform(key, at);
            break;
        case SQA_INIT_ZERO:
        case SQA_INIT_CUSTOM:
            x[i] = 0;
            break;
        }
    }
}

static void set_range(const struct sqa_store *s, const struct sqa_entry *e, int64_t first, int64_t n,
                      const double *in)
{
    for (int64_t i = 0; i < n; i++) {
        if (s->real == SQA_F64)
            ((double *)e->value)[first + i] = in[i];
        else
            ((float *)e->value)[first + i] = (float)in[i];
    }
}

enum sqa_status sqa_store_seal(struct sqa_store *s, bool trainable, struct sqa_err *err)
{
    const size_t size = sqa_dtype_size(s->real);
    const size_t parameters = (size_t)s->parameter_block * size;
    if (s->sealed)
        return SQA_OK;
    s->values = sqa_alloc_aligned(parameters);
    s->states = sqa_alloc_aligned((size_t)s->state_block * size);
    bool ok = s->values && s->states;
    if (trainable && ok) {
        s->gradients = sqa_alloc_aligned(parameters);
        s->m = sqa_alloc_aligned(parameters);
        s->v = sqa_alloc_aligned(parameters);
        ok = s->gradients && s->m && s->v;
    }
    if (!ok)
        return sqa_fail(err, SQA_NOMEM, "model: no memory for %lld parameters; use a smaller model or free memory",
                        (long long)s->parameter_count);
    for (struct sqa_entry *e = s->first; e; e = e->next) {
        e->value = at(s, e->kind == SQA_PARAMETER ? s->values : s->states, e->offset);
        if (e->kind == SQA_PARAMETER) {
            e->gradient = at(s, s->gradients, e->offset);
            e->m = at(s, s->m, e->offset);
            e->v = at(s, s->v, e->offset);
        }
        const int64_t piece = e->init.kind == SQA_INIT_CUSTOM || e->count < PIECE ? e->count : PIECE;
        double *x = sqa_alloc_array((size_t)piece, sizeof *x);
        if (!x)
            return sqa_fail(err, SQA_NOMEM, "model: no memory to fill %s; free some memory and run again", e->name);
        for (int64_t i = 0; i < e->count; i += piece) {
            const int64_t n = e->count - i < piece ? e->count - i : piece;
            initial_values(s, e, i, n, x);
            set_range(s, e, i, n, x);
        }
        sqa_free(x);
    }
    s->sealed = true;
    s->trainable = trainable;
    return SQA_OK;
}

size_t sqa_store_snapshot_bytes(const struct sqa_store *s)
{
    return (size_t)(s->parameter_block + s->state_block) * sqa_dtype_size(s->real);
}

void sqa_store_take(const struct sqa_store *s, void *to)
{
    const size_t values = (size_t)s->parameter_block * sqa_dtype_size(s->real);
    memcpy(to, s->values, values);
    memcpy((unsigned char *)to + values, s->states, sqa_store_snapshot_bytes(s) - values);
}

void sqa_store_put_back(struct sqa_store *s, const void *from)
{
    const size_t values = (size_t)s->parameter_block * sqa_dtype_size(s->real);
    memcpy(s->values, from, values);
    memcpy(s->states, (const unsigned char *)from + values, sqa_store_snapshot_bytes(s) - values);
}

void sqa_entry_get(const struct sqa_store *s, const struct sqa_entry *e, double *out)
{
    for (int64_t i = 0; i < e->count; i++)
        out[i] = s->real == SQA_F64 ? ((const double *)e->value)[i] : (double)((const float *)e->value)[i];
}

void sqa_entry_set(struct sqa_store *s, struct sqa_entry *e, const double *in)
{
    set_range(s, e, 0, e->count, in);
}
