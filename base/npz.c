/* npz.c - see npz.h */
#include "base/npz.h"

#include <stdio.h>
#include <string.h>
#include <zip.h>

#include "base/memory.h"
#include "base/text.h"

enum { RATIO_MAX = 1100 }; /* deflate packs 1032 to 1 at most */
static const size_t file_limit = (size_t)1 << 32, member_limit = (size_t)1 << 33;

static enum sqa_status damaged(const char *file, const char *why, struct sqa_err *err)
{
    return sqa_fail(err, SQA_INPUT, "%s: no .npz that can be read (%.200s); fetch it again", file, why);
}

static enum sqa_status absent(const char *file, const char *name, zip_t *z, struct sqa_err *err)
{
    struct sqa_text list = {0};
    const zip_int64_t n = zip_get_num_entries(z, 0);
    for (zip_int64_t i = 0; i < n && list.length < 200; i++) {
        const char *member = zip_get_name(z, (zip_uint64_t)i, 0);
        sqa_text_printf(&list, "%s%.60s", i ? ", " : "", member ? member : "?");
    }
    for (size_t i = 0; i < list.length; i++)
        if ((unsigned char)list.text[i] < ' ')
            list.text[i] = '?';
    sqa_fail(err, SQA_INPUT, "%s: no array '%s' in it; save one of that name (it has %s)", file, name,
             n > 0 ? sqa_text_get(&list) : "nothing");
    sqa_text_clear(&list);
    return SQA_INPUT;
}

static enum sqa_status unpack(const char *file, zip_t *z, zip_uint64_t index, const zip_stat_t *st, char *out,
                              struct sqa_err *err)
{
    zip_file_t *f = zip_fopen_index(z, index, 0);
    if (!f)
        return damaged(file, zip_strerror(z), err);
    zip_uint64_t have = 0;
    zip_int64_t got = 1;
    while (have <= st->size && got > 0) { /* the byte behind the last makes libzip compare the checksum */
        char end;
        got = have < st->size ? zip_fread(f, out + have, st->size - have) : zip_fread(f, &end, 1);
        have += got > 0 ? (zip_uint64_t)got : 0;
    }
    enum sqa_status status = SQA_OK;
    if (got < 0)
        status = damaged(file, zip_file_strerror(f), err);
    else if (have != st->size)
        status = damaged(file, "an array of another size than it says", err);
    zip_fclose(f);
    return status;
}

/* whole: bytes of the file, which the packed size that the archive states cannot pass. */
static enum sqa_status read_member(const char *file, const char *name, zip_t *z, size_t whole, struct sqa_npy *a,
                                   struct sqa_err *err)
{
    char member[256], where[512];
    zip_stat_t st;
    snprintf(member, sizeof member, "%.200s.npy", name);
    snprintf(where, sizeof where, "%.400s, %.80s", file, member);
    const zip_int64_t index = zip_name_locate(z, member, 0);
    if (index < 0)
        return absent(file, name, z, err);
    if (zip_stat_index(z, (zip_uint64_t)index, 0, &st) != 0 || !(st.valid & ZIP_STAT_SIZE) ||
        !(st.valid & ZIP_STAT_COMP_SIZE))
        return damaged(file, "an array without a size", err);
    if (st.size > member_limit || st.comp_size > whole || st.size / RATIO_MAX > st.comp_size + 64)
        return damaged(file, "an array larger than can be", err);
    char *bytes = sqa_alloc(st.size + 1);
    if (!bytes)
        return sqa_fail(err, SQA_NOMEM, "%s: no memory for %llu bytes; free some memory and run again", where,
                        (unsigned long long)st.size);
    enum sqa_status status = unpack(file, z, (zip_uint64_t)index, &st, bytes, err);
    if (status == SQA_OK)
        status = sqa_npy_parse(where, bytes, st.size, a, err);
    sqa_free(bytes);
    return status;
}

enum sqa_status sqa_npz_parse(const char *file, const void *bytes, size_t size, const char *name, struct sqa_npy *a,
                              struct sqa_err *err)
{
    zip_error_t e;
    *a = (struct sqa_npy){0};
    zip_error_init(&e);
    zip_source_t *source = zip_source_buffer_create(bytes, size, 0, &e);
    zip_t *z = source ? zip_open_from_source(source, ZIP_RDONLY, &e) : NULL;
    enum sqa_status status;
    if (z) {
        status = read_member(file, name, z, size, a, err);
        zip_discard(z);
    } else {
        status = damaged(file, zip_error_strerror(&e), err);
        zip_source_free(source);
    }
    zip_error_fini(&e);
    return status;
}

enum sqa_status sqa_npz_read(const char *path, const char *name, struct sqa_npy *a, struct sqa_err *err)
{
    char *bytes;
    size_t size;
    *a = (struct sqa_npy){0};
    enum sqa_status status = sqa_file_read(path, file_limit, &bytes, &size, err);
    if (status != SQA_OK)
        return status;
    status = sqa_npz_parse(path, bytes, size, name, a, err);
    sqa_free(bytes);
    return status;
}
