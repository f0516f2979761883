/* images.c - see images.h */
#include "tasks/images.h"

#include <string.h>

#include "base/memory.h"

enum {
    SIDE = 32,
    PLANE = SIDE * SIDE,
    MAGIC_IMAGES = 2051,
    MAGIC_LABELS = 2049,
    IMAGES_HEADER = 16,
    LABELS_HEADER = 8
};

uint8_t sqa_gray_tensorflow(uint8_t r, uint8_t g, uint8_t b)
{
    const float scale = 1.0f / 255;
    const float gray = (float)r * scale * 0.2989f + (float)g * scale * 0.5870f + (float)b * scale * 0.1140f;
    return (uint8_t)(gray * 255.5f);
}

uint8_t sqa_gray_pillow(uint8_t r, uint8_t g, uint8_t b)
{
    return (uint8_t)((r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16);
}

void sqa_images_clear(struct sqa_images *set)
{
    sqa_free(set->pixels);
    sqa_free(set->labels);
    *set = (struct sqa_images){0};
}

/* Room for `more` images of this size, which must be the size of those that are there. */
static enum sqa_status make_room(const char *name, struct sqa_images *set, int64_t rows, int64_t columns,
                                 int64_t channels, size_t more, struct sqa_err *err)
{
    if (set->n > 0 && (set->rows != rows || set->columns != columns || set->channels != channels))
        return sqa_fail(err, SQA_INPUT,
                        "%s: images of %lld x %lld with %lld channels, those read before have %lld x %lld with %lld; "
                        "give files of one kind",
                        name, (long long)rows, (long long)columns, (long long)channels, (long long)set->rows,
                        (long long)set->columns, (long long)set->channels);
    set->rows = rows;
    set->columns = columns;
    set->channels = channels;
    const size_t size = (size_t)(rows * columns * channels), n = set->n + more;
    if (n <= set->capacity)
        return SQA_OK;
    uint8_t *pixels = n <= SIZE_MAX / size ? sqa_realloc(set->pixels, n * size) : NULL;
    if (pixels)
        set->pixels = pixels;
    uint8_t *labels = pixels ? sqa_realloc(set->labels, n) : NULL;
    if (!labels)
        return sqa_fail(err, SQA_NOMEM, "%s: no memory for %zu images; free some memory and run again", name, n);
    set->labels = labels;
    set->capacity = n;
    return SQA_OK;
}

/* SQA_OK and *skip: leave this image out. */
static enum sqa_status check_label(const char *name, size_t image, size_t at, uint8_t label,
                                   const struct sqa_images_reading *how, int *skip, struct sqa_err *err)
{
    *skip = label >= how->classes;
    if (!*skip || how->skip_bad)
        return SQA_OK;
    return sqa_fail(err, SQA_INPUT,
                    "%s: image %zu (byte %zu) has label %d outside 0 to %lld; fetch the file again, set classes=, or "
                    "leave such images out with skip_bad=1",
                    name, image, at, label, (long long)how->classes - 1);
}

static void convert_record(const uint8_t *planes, enum sqa_images_gray gray, uint8_t *to)
{
    for (int i = 0; i < PLANE; i++) {
        const uint8_t r = planes[i], g = planes[PLANE + i], b = planes[2 * PLANE + i];
        if (gray == SQA_IMAGES_COLOUR)
            memcpy(to + (size_t)i * 3, (const uint8_t[]){r, g, b}, 3);
        else
            to[i] = gray == SQA_IMAGES_PILLOW ? sqa_gray_pillow(r, g, b) : sqa_gray_tensorflow(r, g, b);
    }
}

static enum sqa_status add_records(const char *name, const uint8_t *data, size_t size,
                                   const struct sqa_images_reading *how, struct sqa_images *set, struct sqa_err *err)
{
    const size_t n = size / SQA_IMAGES_RECORD, rest = size % SQA_IMAGES_RECORD;
    const int64_t channels = how->gray == SQA_IMAGES_COLOUR ? 3 : 1;
    if (rest && !how->skip_bad)
        return sqa_fail(err, SQA_INPUT,
                        "%s: %zu bytes, %zu images of %d bytes and %zu more from byte %zu; fetch the file again, or "
                        "leave the rest out with skip_bad=1",
                        name, size, n, SQA_IMAGES_RECORD, rest, size - rest);
    enum sqa_status status = make_room(name, set, SIDE, SIDE, channels, n, err);
    for (size_t i = 0; i < n && status == SQA_OK; i++) {
        const uint8_t *record = data + i * SQA_IMAGES_RECORD;
        int skip = 0;
        status = check_label(name, i, i * SQA_IMAGES_RECORD, record[0], how, &skip, err);
        if (status == SQA_OK && skip) {
            set->skipped++;
        } else if (status == SQA_OK) {
            convert_record(record + 1, how->gray, set->pixels + set->n * (size_t)(PLANE * channels));
            set->labels[set->n++] = record[0];
        }
    }
    set->skipped += rest > 0;
    return status;
}

static uint32_t word(const uint8_t *data, size_t at)
{
    return (uint32_t)data[at] << 24 | (uint32_t)data[at + 1] << 16 | (uint32_t)data[at + 2] << 8 | data[at + 3];
}

struct part { /* the body of an IDX file */
    const uint8_t *body;
    size_t count, whole; /* items that the header announces, and that are there */
    size_t rows, columns;
};

/* Bytes missing or behind the last item are refused unless skip_bad. */
static enum sqa_status check_body(const char *name, size_t header, size_t size, size_t item, struct part *p,
                                  const struct sqa_images_reading *how, struct sqa_err *err)
{
    const size_t body = size - header, wanted = p->count * item;
    p->whole = body / item < p->count ? body / item : p->count;
    if (body == wanted || how->skip_bad)
        return SQA_OK;
    return body < wanted ? sqa_fail(err, SQA_INPUT,
                                    "%s: its header announces %zu items of %zu bytes, but the data end at byte %zu "
                                    "in item %zu; fetch the file again, or leave the missing out with skip_bad=1",
                                    name, p->count, item, size, p->whole)
                         : sqa_fail(err, SQA_INPUT,
                                    "%s: %zu bytes follow the last of %zu items at byte %zu; fetch the file again, "
                                    "or leave them out with skip_bad=1",
                                    name, body - wanted, p->count, header + wanted);
}

static enum sqa_status open_idx(const char *name, const uint8_t *data, size_t size, uint32_t magic, struct part *p,
                                const struct sqa_images_reading *how, struct sqa_err *err)
{
    const size_t header = magic == MAGIC_IMAGES ? IMAGES_HEADER : LABELS_HEADER;
    const char *what = magic == MAGIC_IMAGES ? "images" : "labels";
    if (size >= 4 && word(data, 0) != magic)
        return sqa_fail(err, SQA_INPUT, "%s: begins with %u, an IDX file of %s with %u; give the file of %s", name,
                        (unsigned)word(data, 0), what, (unsigned)magic, what);
    if (size < header)
        return sqa_fail(err, SQA_INPUT,
                        "%s: %zu bytes, the header of an IDX file of %s has %zu; fetch the file again", name, size,
                        what, header);
    *p = (struct part){.body = data + header, .count = word(data, 4), .rows = 1, .columns = 1};
    if (magic == MAGIC_IMAGES) {
        p->rows = word(data, 8);
        p->columns = word(data, 12);
    }
    if (p->rows < 1 || p->columns < 1 || p->rows > SQA_IMAGES_SIDE || p->columns > SQA_IMAGES_SIDE)
        return sqa_fail(err, SQA_INPUT,
                        "%s: images of %zu x %zu by its header (bytes 8 to 15); 1 to %d rows and columns are read",
                        name, p->rows, p->columns, SQA_IMAGES_SIDE);
    return check_body(name, header, size, p->rows * p->columns, p, how, err);
}

static enum sqa_status add_pair(const char *name, const uint8_t *data, size_t size, const char *labels_name,
                                const uint8_t *labels, size_t labels_size, const struct sqa_images_reading *how,
                                struct sqa_images *set, struct sqa_err *err)
{
    struct part x, y;
    enum sqa_status status = open_idx(name, data, size, MAGIC_IMAGES, &x, how, err);
    if (status == SQA_OK)
        status = open_idx(labels_name, labels, labels_size, MAGIC_LABELS, &y, how, err);
    if (status == SQA_OK && x.count != y.count)
        status = sqa_fail(err, SQA_INPUT,
                          "%s: %zu labels by its header for the %zu images of %s; give the files of one pair",
                          labels_name, y.count, x.count, name);
    if (status == SQA_OK && how->gray == SQA_IMAGES_COLOUR)
        status = sqa_fail(err, SQA_INPUT, "%s: IDX images are grey; leave rgb=1 out", name);
    if (status != SQA_OK)
        return status;
    const size_t n = x.whole < y.whole ? x.whole : y.whole, item = x.rows * x.columns;
    status = make_room(name, set, (int64_t)x.rows, (int64_t)x.columns, 1, n, err);
    for (size_t i = 0; i < n && status == SQA_OK; i++) {
        int skip = 0;
        status = check_label(labels_name, i, LABELS_HEADER + i, y.body[i], how, &skip, err);
        if (status == SQA_OK && skip) {
            set->skipped++;
        } else if (status == SQA_OK) {
            memcpy(set->pixels + set->n * item, x.body + i * item, item);
            set->labels[set->n++] = y.body[i];
        }
    }
    set->skipped += x.count - n;
    return status;
}

int sqa_images_is_idx(const void *data, size_t size)
{
    const uint8_t *p = data;
    if (size < IMAGES_HEADER || word(p, 0) != MAGIC_IMAGES)
        return size >= 4 && word(p, 0) == MAGIC_IMAGES;
    const uint64_t pixels = (uint64_t)word(p, 8) * word(p, 12);
    return size % SQA_IMAGES_RECORD != 0 || (pixels > 0 && (size - IMAGES_HEADER) / pixels == word(p, 4));
}

enum sqa_status sqa_images_add(const char *name, const void *data, size_t size, const char *labels_name,
                               const void *labels, size_t labels_size, const struct sqa_images_reading *how,
                               struct sqa_images *set, struct sqa_err *err)
{
    const size_t before = set->n;
    enum sqa_status status = labels_name ? add_pair(name, data, size, labels_name, labels, labels_size, how, set, err)
                                         : add_records(name, data, size, how, set, err);
    if (status == SQA_OK && set->n == before)
        status = sqa_fail(err, SQA_INPUT, "%s: no images in it; fetch the file again", name);
    return status;
}
