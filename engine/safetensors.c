/*
 * safetensors.c - see safetensors.h
 *
 * As upstream does, a file with a header above 100 MB, holes or bytes behind the last tensor is refused. Data that do
 * not lie on a border of their type are copied to one that does. Written tensors are ordered by the size of their
 * type, so that all are aligned.
 */
#include "engine/safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/file.h"
#include "base/text.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensors are used as they lie in the file");

enum { PREFIX = 8, HEADER_MAX = 100000000 };
static const size_t file_limit = (size_t)1 << 36;
static const char metadata_key[] = "__metadata__";

static const struct {
    const char *name;
    enum sqa_dtype dtype;
} dtypes[] = {{"F32", SQA_F32}, {"F64", SQA_F64}, {"I32", SQA_I32}, {"U8", SQA_U8}};
enum { DTYPES = sizeof dtypes / sizeof dtypes[0] };

static enum sqa_status nomem(const char *name, struct sqa_err *err)
{
    return sqa_fail(err, SQA_NOMEM, "%s: no memory for its tensors; free some memory and run again", name);
}

/* Bytes of a dense tensor; false when they overflow. */
static bool tensor_bytes(const struct sqa_named *t, size_t *bytes)
{
    size_t n = sqa_dtype_size(t->dtype);
    bool overflow = false, empty = false;
    for (int i = 0; i < t->rank; i++) {
        overflow = __builtin_mul_overflow(n, (size_t)t->dim[i], &n) || overflow;
        empty = empty || t->dim[i] == 0;
    }
    *bytes = empty ? 0 : n;
    return empty || !overflow;
}

struct span {
    struct sqa_named tensor;
    size_t begin, end; /* in the data part */
};

struct reader {
    const char *name;
    const char *data; /* behind the header */
    size_t size;      /* of data */
    struct sqa_safetensors *f;
    struct span *spans;
    struct sqa_err *err;
};

static enum sqa_status bad(const struct reader *r, const char *key, const char *what)
{
    return sqa_fail(r->err, SQA_INPUT, "%s: tensor '%.200s': %s; write or copy the file again", r->name, key, what);
}

static enum sqa_status read_dtype(const struct reader *r, const char *key, const char *text, struct sqa_named *t)
{
    for (size_t i = 0; i < DTYPES; i++) {
        if (strcmp(dtypes[i].name, text) == 0) {
            t->dtype = dtypes[i].dtype;
            return SQA_OK;
        }
    }
    return sqa_fail(r->err, SQA_INPUT, "%s: tensor '%.200s' has dtype %.40s; convert it to F32, F64, I32 or U8 first",
                    r->name, key, text);
}

static enum sqa_status read_shape(const struct reader *r, const char *key, const json_t *shape, struct sqa_named *t)
{
    const size_t rank = json_array_size(shape);
    if (!json_is_array(shape))
        return bad(r, key, "its shape is not an array");
    if (rank > SQA_MAX_RANK)
        return sqa_fail(r->err, SQA_INPUT, "%s: tensor '%.200s' has %zu dimensions; reshape it to at most %d",
                        r->name, key, rank, SQA_MAX_RANK);
    t->rank = (int)rank;
    for (size_t i = 0; i < rank; i++) {
        const json_t *dim = json_array_get(shape, i);
        if (!json_is_integer(dim) || json_integer_value(dim) < 0)
            return bad(r, key, "its shape holds something else than sizes");
        t->dim[i] = json_integer_value(dim);
    }
    return SQA_OK;
}

static enum sqa_status read_offsets(const struct reader *r, const char *key, const json_t *offsets, struct span *s)
{
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    size_t want;
    if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end))
        return bad(r, key, "its data_offsets are not two whole numbers");
    const json_int_t from = json_integer_value(begin), to = json_integer_value(end);
    if (from < 0 || to < from || (uint64_t)to > r->size)
        return bad(r, key, "its data_offsets lie outside the file");
    s->begin = (size_t)from;
    s->end = (size_t)to;
    if (!tensor_bytes(&s->tensor, &want) || want != s->end - s->begin)
        return bad(r, key, "its data_offsets do not fit its shape and dtype");
    return SQA_OK;
}

static bool good_name(const char *s)
{
    if (!*s)
        return false;
    for (; *s; s++)
        if ((unsigned char)*s < ' ' || *s == 127)
            return false;
    return true;
}

static enum sqa_status read_tensor(const struct reader *r, const char *key, json_t *value, struct span *s)
{
    const char *dtype;
    json_t *shape, *offsets;
    if (!good_name(key))
        return sqa_fail(r->err, SQA_INPUT, "%s: a tensor's name is empty or has control characters; rename it",
                        r->name);
    const long failures = sqa_alloc_failures();
    if (json_unpack_ex(value, NULL, JSON_STRICT, "{s:s, s:o, s:o}", "dtype", &dtype, "shape", &shape, "data_offsets",
                       &offsets) != 0)
        return sqa_alloc_failures() > failures
                   ? nomem(r->name, r->err)
                   : bad(r, key, "its entry is not exactly dtype, shape and data_offsets");
    enum sqa_status status = read_dtype(r, key, dtype, &s->tensor);
    if (status == SQA_OK)
        status = read_shape(r, key, shape, &s->tensor);
    if (status == SQA_OK)
        status = read_offsets(r, key, offsets, s);
    if (status != SQA_OK)
        return status;
    s->tensor.name = sqa_arena_strdup(&r->f->arena, key);
    return s->tensor.name ? SQA_OK : nomem(r->name, r->err);
}

static enum sqa_status read_metadata(const struct reader *r, json_t *object)
{
    const char *key;
    json_t *value;
    if (!json_is_object(object))
        return sqa_fail(r->err, SQA_INPUT, "%s: __metadata__ is not an object; write the file again", r->name);
    r->f->metadata = sqa_arena_alloc(&r->f->arena, (json_object_size(object) + 1) * sizeof *r->f->metadata);
    if (!r->f->metadata)
        return nomem(r->name, r->err);
    json_object_foreach(object, key, value)
    {
        if (!json_is_string(value))
            return sqa_fail(r->err, SQA_INPUT, "%s: metadata '%.200s' is not a text; write the file again", r->name,
                            key);
        struct sqa_metadata *m = &r->f->metadata[r->f->nmeta++];
        m->key = sqa_arena_strdup(&r->f->arena, key);
        m->value = sqa_arena_strdup(&r->f->arena, json_string_value(value));
        if (!m->key || !m->value)
            return nomem(r->name, r->err);
    }
    return SQA_OK;
}

static int by_place(const void *a, const void *b)
{
    const struct span *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end)
        return x->end < y->end ? -1 : 1;
    return strcmp(x->tensor.name, y->tensor.name);
}

/* The tensor's bytes, aligned for its type. */
static const void *place(const struct reader *r, const struct span *s)
{
    const char *p = r->data + s->begin;
    if ((uintptr_t)p % sqa_dtype_size(s->tensor.dtype) == 0)
        return p;
    void *copy = sqa_arena_alloc(&r->f->arena, s->end - s->begin);
    return copy ? memcpy(copy, p, s->end - s->begin) : NULL;
}

/* Tensors in the order of their bytes, which they must cover without gap or overlap. */
static enum sqa_status place_all(const struct reader *r, size_t n)
{
    size_t at = 0;
    qsort(r->spans, n, sizeof *r->spans, by_place);
    for (size_t i = 0; i < n; i++) {
        const struct span *s = &r->spans[i];
        if (s->begin != at)
            return bad(r, s->tensor.name,
                       s->begin < at ? "its bytes overlap those of another tensor"
                                     : "there is a hole before its bytes");
        at = s->end;
    }
    if (at != r->size)
        return sqa_fail(r->err, SQA_INPUT, "%s: %zu bytes behind the last tensor; write or copy the file again",
                        r->name, r->size - at);
    for (size_t i = 0; i < n; i++) {
        r->f->tensors[i] = r->spans[i].tensor;
        r->f->tensors[i].data = place(r, &r->spans[i]);
        if (!r->f->tensors[i].data)
            return nomem(r->name, r->err);
    }
    r->f->n = n;
    return SQA_OK;
}

static enum sqa_status read_header(struct reader *r, json_t *root)
{
    const size_t n = json_object_size(root);
    const char *key;
    json_t *value;
    size_t count = 0;
    r->spans = sqa_alloc_array(n, sizeof *r->spans);
    r->f->tensors = sqa_arena_alloc(&r->f->arena, (n + 1) * sizeof *r->f->tensors);
    if (!r->spans || !r->f->tensors)
        return nomem(r->name, r->err);
    json_object_foreach(root, key, value)
    {
        const enum sqa_status status =
            strcmp(key, metadata_key) == 0 ? read_metadata(r, value) : read_tensor(r, key, value, &r->spans[count++]);
        if (status != SQA_OK)
            return status;
    }
    return place_all(r, count);
}

enum sqa_status sqa_safetensors_parse(const char *name, char *bytes, size_t size, struct sqa_safetensors *f,
                                      struct sqa_err *err)
{
    uint64_t length = 0;
    json_error_t where;
    *f = (struct sqa_safetensors){.size = size};
    if (size < PREFIX)
        return sqa_fail(err, SQA_INPUT, "%s: %zu bytes are no safetensors file; check the path", name, size);
    for (int i = PREFIX; i-- > 0;)
        length = length << 8 | (unsigned char)bytes[i];
    if (length > HEADER_MAX || length > size - PREFIX)
        return sqa_fail(err, SQA_INPUT,
                        "%s: no safetensors file, or cut short (its header would have %llu bytes); check "
                        "the path and copy it again",
                        name, (unsigned long long)length);
    if (length == 0 || bytes[PREFIX] != '{')
        return sqa_fail(err, SQA_INPUT,
                        "%s: the header does not begin with {; it is no safetensors file, check the path", name);
    const long failures = sqa_alloc_failures();
    json_t *root = json_loadb(bytes + PREFIX, (size_t)length, JSON_REJECT_DUPLICATES, &where);
    if (!root && sqa_alloc_failures() > failures)
        return sqa_fail(err, SQA_NOMEM, "%s: no memory to read it; free some memory and run again", name);
    if (!root)
        return sqa_fail(err, SQA_INPUT,
                        "%s: the header is not the JSON it should be, byte %d: %s; write the file again", name,
                        where.position, where.text);
    struct reader r = {
        .name = name, .data = bytes + PREFIX + length, .size = size - PREFIX - (size_t)length, .f = f, .err = err};
    const enum sqa_status status = read_header(&r, root);
    sqa_free(r.spans);
    json_decref(root);
    if (status != SQA_OK)
        sqa_safetensors_clear(f);
    return status;
}

enum sqa_status sqa_safetensors_read(const char *path, struct sqa_safetensors *f, struct sqa_err *err)
{
    char *bytes;
    size_t size;
    *f = (struct sqa_safetensors){0};
    enum sqa_status status = sqa_file_read(path, file_limit, &bytes, &size, err);
    if (status != SQA_OK)
        return status;
    status = sqa_safetensors_parse(path, bytes, size, f, err);
    if (status == SQA_OK)
        f->bytes = bytes;
    else
        sqa_free(bytes);
    return status;
}

const struct sqa_named *sqa_safetensors_find(const struct sqa_safetensors *f, const char *name)
{
    for (size_t i = 0; i < f->n; i++)
        if (strcmp(f->tensors[i].name, name) == 0)
            return &f->tensors[i];
    return NULL;
}

const char *sqa_safetensors_meta(const struct sqa_safetensors *f, const char *key)
{
    for (size_t i = 0; i < f->nmeta; i++)
        if (strcmp(f->metadata[i].key, key) == 0)
            return f->metadata[i].value;
    return NULL;
}

void sqa_safetensors_clear(struct sqa_safetensors *f)
{
    sqa_free(f->bytes);
    sqa_arena_clear(&f->arena);
    *f = (struct sqa_safetensors){0};
}

/* Adds key: value, taking the value; false when it cannot be held. */
static enum sqa_status add(const char *path, json_t *object, const char *key, json_t *value, struct sqa_err *err)
{
    enum sqa_status status = SQA_OK;
    if (json_object_get(object, key))
        status = sqa_fail(err, SQA_INPUT, "%s: '%.200s' twice; names must differ", path, key);
    else if (!value || !good_name(key) || json_object_set(object, key, value) != 0)
        status = sqa_alloc_failures() > 0
                     ? sqa_fail(err, SQA_NOMEM, "%s: no memory for its header; free some memory and run again", path)
                     : sqa_fail(err, SQA_INPUT,
                                "%s: '%.200s' or its value cannot stand in the header; use UTF-8 texts "
                                "and names without control characters",
                                path, key);
    json_decref(value);
    return status;
}

static json_t *describe(const struct sqa_named *t, const char *dtype, size_t begin, size_t end)
{
    json_t *shape = json_array();
    for (int i = 0; i < t->rank; i++) {
        if (json_array_append_new(shape, json_integer(t->dim[i])) != 0) {
            json_decref(shape);
            return NULL;
        }
    }
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", dtype, "shape", shape, "data_offsets", (json_int_t)begin,
                     (json_int_t)end);
}

/* Order of the data: by size of the type, largest first, else as given. */
static const enum sqa_dtype order[] = {SQA_F64, SQA_F32, SQA_I32, SQA_U8};

static const char *dtype_text(enum sqa_dtype dtype)
{
    for (size_t i = 0; i < DTYPES; i++)
        if (dtypes[i].dtype == dtype)
            return dtypes[i].name;
    return "";
}

static enum sqa_status make_header(const char *path, json_t *root, const struct sqa_named *tensors, size_t n,
                                   const struct sqa_metadata *metadata, size_t nmeta, struct sqa_err *err)
{
    enum sqa_status status = SQA_OK;
    size_t at = 0, bytes = 0;
    if (nmeta) {
        json_t *object = json_object();
        status = add(path, root, metadata_key, object, err);
        for (size_t i = 0; i < nmeta && status == SQA_OK; i++)
            status = add(path, object, metadata[i].key, json_string(metadata[i].value), err);
    }
    for (size_t o = 0; o < sizeof order / sizeof order[0]; o++) {
        for (size_t i = 0; i < n && status == SQA_OK; i++) {
            if (tensors[i].dtype != order[o])
                continue;
            if (strcmp(tensors[i].name, metadata_key) == 0 || !tensor_bytes(&tensors[i], &bytes))
                return sqa_fail(err, SQA_INPUT, "%s: tensor '%.200s' has a reserved name or is too large; change it",
                                path, tensors[i].name);
            status =
                add(path, root, tensors[i].name, describe(&tensors[i], dtype_text(order[o]), at, at + bytes), err);
            at += bytes;
        }
    }
    return status;
}

static int append(const char *buffer, size_t size, void *text)
{
    sqa_text_add_bytes(text, buffer, size);
    return 0;
}

static void add_data(struct sqa_text *t, const struct sqa_named *tensors, size_t n)
{
    size_t bytes;
    for (size_t o = 0; o < sizeof order / sizeof order[0]; o++)
        for (size_t i = 0; i < n; i++)
            if (tensors[i].dtype == order[o] && tensor_bytes(&tensors[i], &bytes) && bytes)
                sqa_text_add_bytes(t, tensors[i].data, bytes);
}

enum sqa_status sqa_safetensors_write(const char *path, const struct sqa_named *tensors, size_t n,
                                      const struct sqa_metadata *metadata, size_t nmeta, struct sqa_err *err)
{
    struct sqa_text t = {0};
    json_t *root = json_object();
    if (!root)
        return nomem(path, err);
    enum sqa_status status = make_header(path, root, tensors, n, metadata, nmeta, err);
    if (status == SQA_OK) {
        sqa_text_add_bytes(&t, "\0\0\0\0\0\0\0", PREFIX);
        t.failed = json_dump_callback(root, append, &t, JSON_COMPACT) != 0 || t.failed;
        while (t.length % 8 != 0 && !t.failed)
            sqa_text_add(&t, " ");
        for (size_t i = 0; i < PREFIX && !t.failed; i++)
            t.text[i] = (char)(unsigned char)((t.length - PREFIX) >> (8 * i));
        add_data(&t, tensors, n);
        status = t.failed ? nomem(path, err) : sqa_file_write(path, t.text, t.length, err);
    }
    sqa_text_clear(&t);
    json_decref(root);
    return status;
}
