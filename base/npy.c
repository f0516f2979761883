/*
 * npy.c - see npy.h
 *
 * File: "\x93NUMPY", major, minor, header length (2 bytes in version 1, else 4; little-endian), the header, the
 * numbers. The header is the text of a Python dict with exactly the keys descr, fortran_order and shape, in any
 * order.
 */
#include "base/npy.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are copied as they lie in the file");

enum { PREFIX = 8, TYPE_MAX = 32, HEADER_MAX = 1 << 20, BLOCK = 1 << 14 };
static const size_t file_limit = (size_t)1 << 34;

/* Each element type: how one number becomes a double and back. `to` is false when the type cannot hold it. */
static double from_f2(const unsigned char *p)
{
    uint16_t bits;
    memcpy(&bits, p, sizeof bits);
    const int exponent = bits >> 10 & 31, fraction = bits & 1023;
    const double sign = bits >> 15 ? -1 : 1;
    if (exponent == 31)
        return fraction ? (double)NAN : sign * HUGE_VAL;
    return sign * (exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24));
}
static double from_f4(const unsigned char *p)
{
    float v;
    memcpy(&v, p, sizeof v);
    return (double)v;
}
static double from_f8(const unsigned char *p)
{
    double v;
    memcpy(&v, p, sizeof v);
    return v;
}
static double from_i8(const unsigned char *p)
{
    int64_t v;
    memcpy(&v, p, sizeof v);
    return v > (INT64_C(1) << 53) || v < -(INT64_C(1) << 53) ? (double)NAN : (double)v;
}
static double from_b1(const unsigned char *p)
{
    return *p != 0;
}
static bool to_f4(double v, unsigned char *p)
{
    const float f = (float)v;
    memcpy(p, &f, sizeof f);
    return true;
}
static bool to_f8(double v, unsigned char *p)
{
    memcpy(p, &v, sizeof v);
    return true;
}
#define WHOLE(name, ctype, low, high)                 \
    static double from_##name(const unsigned char *p) \
    {                                                 \
        ctype v;                                      \
        memcpy(&v, p, sizeof v);                      \
        return v;                                     \
    }                                                 \
    static bool to_##name(double v, unsigned char *p) \
    {                                                 \
        if (!(v >= low && v <= high) || floor(v) < v) \
            return false;                             \
        const ctype i = (ctype)v;                     \
        memcpy(p, &i, sizeof i);                      \
        return true;                                  \
    }
WHOLE(i4, int32_t, INT32_MIN, INT32_MAX)
WHOLE(i2, int16_t, INT16_MIN, INT16_MAX)
WHOLE(u2, uint16_t, 0, UINT16_MAX)
WHOLE(u1, uint8_t, 0, UINT8_MAX)
WHOLE(i1, int8_t, INT8_MIN, INT8_MAX)

static const struct type {
    const char *name;
    size_t size;
    double (*from)(const unsigned char *p);
    bool (*to)(double v, unsigned char *p); /* NULL: read only */
    bool whole;
} types[] = {
    {"f4", 4, from_f4, to_f4, false}, {"f8", 8, from_f8, to_f8, false}, {"f2", 2, from_f2, NULL, false},
    {"i4", 4, from_i4, to_i4, true},  {"i8", 8, from_i8, NULL, true},   {"i2", 2, from_i2, to_i2, true},
    {"u2", 2, from_u2, to_u2, true},  {"u1", 1, from_u1, to_u1, true},  {"i1", 1, from_i1, to_i1, true},
    {"b1", 1, from_b1, NULL, true},
};

static const struct type *find_type(const char *name)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(types[i].name, name) == 0)
            return &types[i];
    return NULL;
}

struct header {
    const char *name, *at, *end;
    struct sqa_err *err;
    char descr[TYPE_MAX];
    bool has_descr, has_order, has_shape, fortran;
    int rank;
    int64_t dim[SQA_NPY_MAX_RANK];
};

static enum sqa_status bad_header(const struct header *h, const char *expected)
{
    return sqa_fail(h->err, SQA_INPUT,
                    "%s: the header of the .npy file is broken, expected %s; save it again with "
                    "np.save",
                    h->name, expected);
}

static void skip_blanks(struct header *h)
{
    while (h->at < h->end && (*h->at == ' ' || *h->at == '\t' || *h->at == '\n' || *h->at == '\r'))
        h->at++;
}

/* Takes the character c, with blanks before it. */
static bool take(struct header *h, char c)
{
    skip_blanks(h);
    if (h->at == h->end || *h->at != c)
        return false;
    h->at++;
    return true;
}

static bool take_word(struct header *h, const char *word)
{
    const size_t n = strlen(word);
    skip_blanks(h);
    if ((size_t)(h->end - h->at) < n || memcmp(h->at, word, n) != 0)
        return false;
    h->at += n;
    return true;
}

/* A quoted text of plain characters, without escapes. */
static bool take_text(struct header *h, char out[TYPE_MAX])
{
    const char quote = take(h, '\'') ? '\'' : take(h, '"') ? '"' : '\0';
    size_t n = 0;
    if (!quote)
        return false;
    for (; h->at < h->end && *h->at != quote; h->at++) {
        if (n + 1 == TYPE_MAX || *h->at == '\\' || *h->at < ' ' || *h->at > '~')
            return false;
        out[n++] = *h->at;
    }
    out[n] = '\0';
    return take(h, quote);
}

static enum sqa_status read_dim(struct header *h)
{
    int64_t v = 0;
    const char *start = h->at;
    for (; h->at < h->end && *h->at >= '0' && *h->at <= '9'; h->at++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *h->at - '0', &v))
            return bad_header(h, "sizes below 2^63 in shape");
    if (h->at == start)
        return bad_header(h, "a tuple of sizes as shape");
    if (h->rank == SQA_NPY_MAX_RANK)
        return sqa_fail(h->err, SQA_INPUT, "%s: more than %d dimensions; reshape the array first", h->name,
                        SQA_NPY_MAX_RANK);
    h->dim[h->rank++] = v;
    return SQA_OK;
}

static enum sqa_status read_shape(struct header *h)
{
    bool comma = true;
    if (!take(h, '('))
        return bad_header(h, "a tuple of sizes as shape");
    for (;;) {
        if (take(h, ')'))
            return h->rank == 1 && !comma ? bad_header(h, "a comma in the shape of one dimension") : SQA_OK;
        if (!comma)
            return bad_header(h, "a comma or ) in shape");
        const enum sqa_status status = read_dim(h);
        if (status != SQA_OK)
            return status;
        comma = take(h, ',');
    }
}

static enum sqa_status read_value(struct header *h, const char *key)
{
    if (strcmp(key, "descr") == 0 && !h->has_descr) {
        h->has_descr = true;
        if (take(h, '['))
            return sqa_fail(h->err, SQA_INPUT, "%s: a structured array with fields; save one plain array of numbers",
                            h->name);
        return take_text(h, h->descr) ? SQA_OK : bad_header(h, "a type such as '<f4' as descr");
    }
    if (strcmp(key, "fortran_order") == 0 && !h->has_order) {
        h->has_order = true;
        h->fortran = take_word(h, "True");
        return h->fortran || take_word(h, "False") ? SQA_OK : bad_header(h, "True or False as fortran_order");
    }
    if (strcmp(key, "shape") == 0 && !h->has_shape) {
        h->has_shape = true;
        return read_shape(h);
    }
    return bad_header(h, "descr, fortran_order and shape once each");
}

static enum sqa_status read_header(struct header *h)
{
    char key[TYPE_MAX];
    bool comma = true;
    if (!take(h, '{'))
        return bad_header(h, "{ at its start");
    while (!take(h, '}')) {
        if (!comma)
            return bad_header(h, "a comma or }");
        if (!take_text(h, key) || !take(h, ':'))
            return bad_header(h, "a quoted key and a colon");
        const enum sqa_status status = read_value(h, key);
        if (status != SQA_OK)
            return status;
        comma = take(h, ',');
    }
    skip_blanks(h);
    if (h->at != h->end)
        return bad_header(h, "nothing after }");
    if (!h->has_descr || !h->has_order || !h->has_shape)
        return bad_header(h, "descr, fortran_order and shape once each");
    return SQA_OK;
}

/* The type behind descr, or NULL with a sentence. */
static const struct type *read_type(const struct header *h)
{
    const char order = h->descr[0], *name = h->descr[0] ? h->descr + 1 : "";
    const struct type *type = find_type(name);
    if (name[0] == 'O')
        sqa_fail(h->err, SQA_INPUT, "%s: an array of Python objects; save plain numbers, a.astype(np.float32)",
                 h->name);
    else if (order == '>')
        sqa_fail(h->err, SQA_INPUT, "%s: big-endian numbers (%s); save a.astype('<%s')", h->name, h->descr, name);
    else if (!type || !(order == '<' || (order == '|' && type->size == 1)))
        sqa_fail(h->err, SQA_INPUT,
                 "%s: numbers of type '%s'; save one of <f2, <f4, <f8, <i2, <i4, <i8, <u2, |u1, |i1, |b1, for "
                 "instance a.astype(np.float32)",
                 h->name, h->descr);
    else
        return type;
    return NULL;
}

/* n numbers, the first of which is element `first` of the array. */
static enum sqa_status convert(const char *name, const struct type *type, const unsigned char *p, size_t first,
                               size_t n, double *out, struct sqa_err *err)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = type->from(p + i * type->size);
        if (type->whole && isnan(out[i]))
            return sqa_fail(err, SQA_INPUT,
                            "%s: element %zu is beyond 2^53 and no double holds it; save smaller numbers", name,
                            first + i);
    }
    return SQA_OK;
}

/* Finds the header in the bytes and reads it; *data is the offset of the numbers. */
static enum sqa_status open_header(struct header *h, const unsigned char *p, size_t size, size_t *data)
{
    if (size < PREFIX + 2 || memcmp(p, "\x93NUMPY", 6) != 0)
        return sqa_fail(h->err, SQA_INPUT, "%s: not a .npy file; write it with np.save", h->name);
    if (p[6] < 1 || p[6] > 3 || p[7] != 0)
        return sqa_fail(h->err, SQA_INPUT, "%s: .npy version %d.%d; save it as version 1, 2 or 3", h->name, p[6],
                        p[7]);
    const size_t start = PREFIX + (p[6] == 1 ? 2 : 4);
    size_t length = 0;
    for (size_t i = start; size >= start && i-- > PREFIX;)
        length = length << 8 | p[i];
    if (size < start || length > size - start)
        return sqa_fail(h->err, SQA_INPUT, "%s: ends inside its header; copy it again", h->name);
    h->at = (const char *)p + start;
    h->end = h->at + length;
    *data = start + length;
    return read_header(h);
}

/* Type and number of elements of a header with `size` bytes of numbers behind it. */
static enum sqa_status check_header(const struct header *h, size_t size, const struct type **type, size_t *count)
{
    size_t want = 0;
    bool empty = false, overflow = false;
    *type = read_type(h);
    if (!*type)
        return SQA_INPUT;
    if (h->fortran && h->rank > 1)
        return sqa_fail(h->err, SQA_INPUT, "%s: Fortran order; save np.ascontiguousarray(a)", h->name);
    *count = 1;
    for (int i = 0; i < h->rank; i++) {
        empty = empty || h->dim[i] == 0;
        overflow = overflow || __builtin_mul_overflow(*count, (size_t)h->dim[i], count);
    }
    *count = empty ? 0 : *count;
    overflow = (overflow && !empty) || __builtin_mul_overflow(*count, (*type)->size, &want);
    if (overflow || want != size)
        return sqa_fail(h->err, SQA_INPUT,
                        "%s: %zu bytes of numbers are not what its shape and type (%s) ask for; copy the "
                        "file again",
                        h->name, size, h->descr);
    return SQA_OK;
}

enum sqa_status sqa_npy_parse(const char *name, const void *bytes, size_t size, struct sqa_npy *a,
                              struct sqa_err *err)
{
    struct header h = {.name = name, .err = err};
    const struct type *type;
    size_t start = 0, count;
    enum sqa_status status = open_header(&h, bytes, size, &start);
    if (status == SQA_OK)
        status = check_header(&h, size - start, &type, &count);
    if (status != SQA_OK)
        return status;
    struct sqa_npy out = {.rank = h.rank, .count = count, .data = sqa_alloc_array(count, sizeof(double))};
    if (!out.data)
        return sqa_fail(err, SQA_NOMEM, "%s: no memory for %zu numbers; free some memory and run again", name, count);
    memcpy(out.dim, h.dim, sizeof out.dim);
    snprintf(out.type, sizeof out.type, "%s", type->name);
    status = convert(name, type, (const unsigned char *)bytes + start, 0, count, out.data, err);
    if (status != SQA_OK)
        sqa_npy_clear(&out);
    else
        *a = out;
    return status;
}

enum sqa_status sqa_npy_read(const char *path, struct sqa_npy *a, struct sqa_err *err)
{
    char *bytes;
    size_t size;
    enum sqa_status status = sqa_file_read(path, file_limit, &bytes, &size, err);
    if (status != SQA_OK)
        return status;
    status = sqa_npy_parse(path, bytes, size, a, err);
    sqa_free(bytes);
    return status;
}

enum sqa_status sqa_npy_open(const char *path, struct sqa_npy_in *in, struct sqa_err *err)
{
    struct header h = {.name = path, .err = err};
    const struct type *type;
    uint64_t size;
    *in = (struct sqa_npy_in){.path = path};
    enum sqa_status status = sqa_file_open(path, &in->fd, &size, err);
    if (status != SQA_OK)
        return status;
    const size_t n = size < HEADER_MAX ? (size_t)size : HEADER_MAX;
    unsigned char *head = sqa_alloc(n + 1);
    status = head ? sqa_file_get(path, in->fd, 0, head, n, err)
                  : sqa_fail(err, SQA_NOMEM, "%s: no memory; free some memory and run again", path);
    if (status == SQA_OK)
        status = open_header(&h, head, n, &in->start);
    if (status == SQA_OK)
        status = check_header(&h, (size_t)size - in->start, &type, &in->count);
    sqa_free(head);
    if (status != SQA_OK) {
        sqa_npy_close(in);
        return status;
    }
    in->rank = h.rank;
    memcpy(in->dim, h.dim, sizeof in->dim);
    snprintf(in->type, sizeof in->type, "%s", type->name);
    in->whole = type->whole;
    return SQA_OK;
}

enum sqa_status sqa_npy_get(const struct sqa_npy_in *in, size_t first, size_t n, double *out, struct sqa_err *err)
{
    unsigned char block[BLOCK];
    const struct type *type = find_type(in->type);
    enum sqa_status status = SQA_OK;
    for (size_t i = 0, k; i < n && status == SQA_OK; i += k) {
        k = n - i < BLOCK / type->size ? n - i : BLOCK / type->size;
        status = sqa_file_get(in->path, in->fd, in->start + (first + i) * type->size, block, k * type->size, err);
        if (status == SQA_OK)
            status = convert(in->path, type, block, first + i, k, out + i, err);
    }
    return status;
}

void sqa_npy_close(struct sqa_npy_in *in)
{
    sqa_file_close(in->fd);
    in->fd = -1;
}

void sqa_npy_clear(struct sqa_npy *a)
{
    sqa_free(a->data);
    *a = (struct sqa_npy){0};
}

enum sqa_status sqa_npy_parse_texts(const char *name, const void *bytes, size_t size, struct sqa_npy_texts *t,
                                    struct sqa_err *err)
{
    struct header h = {.name = name, .err = err};
    size_t start = 0, count = 1, want = 0;
    int64_t width = 0;
    enum sqa_status status = open_header(&h, bytes, size, &start);
    if (status != SQA_OK)
        return status;
    const bool wide = h.descr[0] == '<' && h.descr[1] == 'U', narrow = h.descr[0] == '|' && h.descr[1] == 'S';
    if (!(wide || narrow) || !sqa_parse_int(h.descr + 2, &width) || width < 1 || width > 65536)
        return sqa_fail(err, SQA_INPUT, "%s: elements of type '%s'; save an array of texts, a.astype(str)", name,
                        h.descr);
    if (h.fortran && h.rank > 1)
        return sqa_fail(err, SQA_INPUT, "%s: Fortran order; save np.ascontiguousarray(a)", name);
    const size_t unit = wide ? 4 : 1;
    bool overflow = false;
    for (int i = 0; i < h.rank; i++)
        overflow = overflow || __builtin_mul_overflow(count, (size_t)h.dim[i], &count);
    if (overflow || __builtin_mul_overflow(count, unit * (size_t)width, &want) || want != size - start)
        return sqa_fail(err, SQA_INPUT,
                        "%s: %zu bytes of texts are not what its shape and type (%s) ask for; copy the file again",
                        name, size - start, h.descr);
    *t = (struct sqa_npy_texts){.rank = h.rank,
                                .count = count,
                                .width = (size_t)width,
                                .unit = unit,
                                .data = (const unsigned char *)bytes + start};
    memcpy(t->dim, h.dim, sizeof t->dim);
    return SQA_OK;
}

size_t sqa_npy_text(const struct sqa_npy_texts *t, size_t i, char *buf, size_t room)
{
    const unsigned char *p = t->data + i * t->width * t->unit;
    size_t n = 0;
    for (; n < t->width && n + 1 < room; n++, p += t->unit) {
        const bool beyond = p[0] > '~' || (t->unit == 4 && (p[1] || p[2] || p[3]));
        if (p[0] == 0 && !beyond)
            break;
        buf[n] = beyond ? '?' : (char)p[0];
    }
    buf[n] = '\0';
    return n;
}

static void write_header(struct sqa_text *t, const struct type *type, int rank, const int64_t *dim)
{
    struct sqa_text h = {0};
    sqa_text_printf(&h, "{'descr': '%c%s', 'fortran_order': False, 'shape': (", type->size == 1 ? '|' : '<',
                    type->name);
    for (int i = 0; i < rank; i++)
        sqa_text_printf(&h, "%s%lld", i ? ", " : "", (long long)dim[i]);
    sqa_text_add(&h, rank == 1 ? ",), }" : "), }");
    while ((PREFIX + 2 + h.length + 1) % 64 != 0 && !h.failed)
        sqa_text_add(&h, " ");
    sqa_text_add(&h, "\n");
    const unsigned char prefix[] = {
        0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)(h.length & 255), (unsigned char)(h.length >> 8)};
    sqa_text_add_bytes(t, prefix, sizeof prefix);
    sqa_text_add_bytes(t, sqa_text_get(&h), h.length);
    t->failed = t->failed || h.failed;
    sqa_text_clear(&h);
}

enum sqa_status sqa_npy_begin(struct sqa_npy_out *o, const char *path, const char *type_name, int rank,
                              const int64_t *dim, struct sqa_err *err)
{
    const struct type *type = find_type(type_name);
    struct sqa_text t = {0};
    *o = (struct sqa_npy_out){.file = {.fd = -1}};
    if (!type || !type->to || rank < 0 || rank > SQA_NPY_MAX_RANK)
        return sqa_fail(err, SQA_UNSUPPORTED,
                        "%s: type %s with %d dimensions cannot be written; use f4, f8, i4, i2, u2, i1 or u1 and at "
                        "most %d dimensions",
                        path, type_name, rank, SQA_NPY_MAX_RANK);
    snprintf(o->type, sizeof o->type, "%s", type->name);
    o->count = 1;
    for (int i = 0; i < rank; i++)
        o->count *= (size_t)dim[i];
    write_header(&t, type, rank, dim);
    enum sqa_status status = t.failed
                                 ? sqa_fail(err, SQA_NOMEM, "%s: no memory; free some memory and run again", path)
                                 : sqa_out_open(&o->file, path, err);
    if (status == SQA_OK)
        status = sqa_out_add(&o->file, t.text, t.length, err);
    sqa_text_clear(&t);
    return status;
}

enum sqa_status sqa_npy_add(struct sqa_npy_out *o, const double *data, size_t n, struct sqa_err *err)
{
    unsigned char block[BLOCK];
    const struct type *type = find_type(o->type);
    enum sqa_status status = SQA_OK;
    for (size_t i = 0, k; i < n && status == SQA_OK; i += k) {
        k = n - i < BLOCK / type->size ? n - i : BLOCK / type->size;
        for (size_t j = 0; j < k; j++)
            if (!type->to(data[i + j], block + j * type->size))
                return sqa_fail(err, SQA_INPUT,
                                "%s: element %zu is %g, not a whole number of %zu bits; write f4 or f8", o->file.path,
                                o->done + i + j, data[i + j], 8 * type->size);
        status = sqa_out_add(&o->file, block, k * type->size, err);
    }
    o->done += n;
    return status;
}

enum sqa_status sqa_npy_add_ints(struct sqa_npy_out *o, const int32_t *data, size_t n, struct sqa_err *err)
{
    enum { WIDE = 512 };
    double wide[WIDE];
    enum sqa_status status = SQA_OK;
    for (size_t i = 0; i < n && status == SQA_OK; i += WIDE) {
        const size_t k = n - i < WIDE ? n - i : WIDE;
        for (size_t j = 0; j < k; j++)
            wide[j] = data[i + j];
        status = sqa_npy_add(o, wide, k, err);
    }
    return status;
}

enum sqa_status sqa_npy_end(struct sqa_npy_out *o, struct sqa_err *err)
{
    if (o->done == o->count)
        return sqa_out_commit(&o->file, err);
    sqa_out_drop(&o->file);
    return sqa_fail(err, SQA_SHAPE, "%s: %zu numbers for a shape of %zu; write all of them", o->file.path, o->done,
                    o->count);
}

void sqa_npy_drop(struct sqa_npy_out *o)
{
    sqa_out_drop(&o->file);
}

enum sqa_status sqa_npy_write(const char *path, const char *type, int rank, const int64_t *dim, const double *data,
                              struct sqa_err *err)
{
    struct sqa_npy_out o;
    enum sqa_status status = sqa_npy_begin(&o, path, type, rank, dim, err);
    if (status == SQA_OK)
        status = sqa_npy_add(&o, data, o.count, err);
    if (status == SQA_OK)
        return sqa_npy_end(&o, err);
    sqa_npy_drop(&o);
    return status;
}
