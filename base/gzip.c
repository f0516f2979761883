/* gzip.c - see gzip.h */
#include "base/gzip.h"

#include <limits.h>

#define ZLIB_CONST /* zlib reads its input only */
#include <zlib.h>

#include "base/memory.h"

enum { PIECE = 1 << 20, GZIP_ONLY = 16 };

int sqa_is_gzip(const void *data, size_t size)
{
    const unsigned char *p = data;
    return size >= 2 && p[0] == 0x1f && p[1] == 0x8b;
}

static void *zlib_alloc(void *user, unsigned n, unsigned size)
{
    (void)user;
    return sqa_alloc_array(n, size);
}

static void zlib_free(void *user, void *p)
{
    (void)user;
    sqa_free(p);
}

struct unpacked {
    char *data;
    size_t size, capacity;
};

static enum sqa_status too_much(const char *name, size_t limit, struct sqa_err *err)
{
    return sqa_fail(err, SQA_INPUT, "%s: unpacks to more than the %zu bytes that are read; unpack and cut it", name,
                    limit);
}

/* Room for at least one byte more; limit + 1 bytes at most, of which the last is not to be reached. */
static enum sqa_status grow(const char *name, struct unpacked *u, size_t limit, struct sqa_err *err)
{
    if (u->size < u->capacity)
        return SQA_OK;
    const size_t twice = u->capacity ? 2 * u->capacity : PIECE, capacity = twice > limit ? limit + 1 : twice;
    char *p = sqa_realloc(u->data, capacity);
    if (!p)
        return sqa_fail(err, SQA_NOMEM, "%s: no memory for %zu unpacked bytes; free some memory and run again", name,
                        capacity);
    u->data = p;
    u->capacity = capacity;
    return SQA_OK;
}

static enum sqa_status damaged(const char *name, size_t at, size_t size, int code, const z_stream *z,
                               struct sqa_err *err)
{
    if (code == Z_MEM_ERROR)
        return sqa_fail(err, SQA_NOMEM, "%s: no memory to unpack it; free some memory and run again", name);
    if (at >= size)
        return sqa_fail(err, SQA_INPUT, "%s: the gzip data end too early, after byte %zu; fetch the file again", name,
                        size);
    return sqa_fail(err, SQA_INPUT, "%s: damaged gzip data before byte %zu (%s); fetch the file again", name, at,
                    z->msg ? z->msg : "no such block");
}

/* Members follow each other; bytes behind the last that are none are refused. */
static enum sqa_status unpack(const char *name, const unsigned char *data, size_t size, size_t limit, z_stream *z,
                              struct unpacked *u, struct sqa_err *err)
{
    size_t at = 0; /* bytes of data that zlib has read */
    for (;;) {
        enum sqa_status status = grow(name, u, limit, err);
        if (status != SQA_OK)
            return status;
        const size_t left = size - at, room = u->capacity - u->size;
        z->next_in = data + at;
        z->avail_in = left < UINT_MAX ? (unsigned)left : UINT_MAX;
        z->next_out = (unsigned char *)u->data + u->size;
        z->avail_out = room < UINT_MAX ? (unsigned)room : UINT_MAX;
        const unsigned given = z->avail_in, free_room = z->avail_out;
        const int code = inflate(z, Z_NO_FLUSH);
        at += given - z->avail_in;
        u->size += free_room - z->avail_out;
        if (u->size > limit)
            return too_much(name, limit, err);
        if (code == Z_STREAM_END && at == size)
            return SQA_OK;
        if (code == Z_STREAM_END && !sqa_is_gzip(data + at, size - at))
            return sqa_fail(err, SQA_INPUT, "%s: %zu bytes follow the gzip data at byte %zu; fetch the file again",
                            name, size - at, at);
        if (code == Z_STREAM_END && inflateReset(z) == Z_OK)
            continue;
        if (code != Z_OK)
            return damaged(name, at, size, code, z, err);
    }
}

enum sqa_status sqa_gunzip(const char *name, const void *data, size_t size, size_t limit, char **out,
                           size_t *out_size, struct sqa_err *err)
{
    z_stream z = {.zalloc = zlib_alloc, .zfree = zlib_free};
    struct unpacked u = {0};
    if (inflateInit2(&z, MAX_WBITS + GZIP_ONLY) != Z_OK)
        return damaged(name, 0, 1, Z_MEM_ERROR, &z, err);
    const enum sqa_status status = unpack(name, data, size, limit, &z, &u, err);
    inflateEnd(&z);
    if (status != SQA_OK) {
        sqa_free(u.data);
        return status;
    }
    *out = u.data;
    *out_size = u.size;
    return SQA_OK;
}
