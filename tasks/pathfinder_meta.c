/*
 * pathfinder_meta.c - the lists of released Pathfinder sets
 *
 * A metadata file has one line a picture: folder, file, running number, label, continuity, bars of a target, bars of
 * a distractor, length, thickness and margin of a bar, number of contrasts. The released files are plain text in
 * spite of their ending .npy; those that today's generator writes are NumPy arrays of texts. Both are read.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/npy.h"
#include "tasks/pathfinder.h"
#include "tasks/task_util.h"

enum { FIELDS = 16, FIELD = 256, NEEDED = 4 };
static const size_t file_limit = (size_t)1 << 30;

struct fields {
    char text[FIELDS][FIELD];
    int n; /* those beyond FIELDS are left out */
};

static enum sqa_status refuse(const char *name, size_t line, const char *what, const char *value, struct sqa_err *err)
{
    char shown[SQA_QUOTE];
    return sqa_fail(err, SQA_INPUT,
                    "%s: line %zu: %s '%s'; a line has folder, file, number, label (0 or 1) and the settings", name,
                    line, what, sqa_quote(shown, value));
}

/* A relative path of plain characters that stays below its folder. */
static bool plain_path(const char *s)
{
    for (const char *c = s; *c; c++)
        if (!(*c >= 'a' && *c <= 'z') && !(*c >= 'A' && *c <= 'Z') && !(*c >= '0' && *c <= '9') &&
            !strchr("._-/", *c))
            return false;
    return *s && *s != '/' && !strstr(s, "..");
}

static enum sqa_status add(const char *name, size_t line, const struct fields *f, struct sqa_pathfinder_list *list,
                           struct sqa_err *err)
{
    if (f->n < NEEDED)
        return refuse(name, line, "too few fields after", f->n ? f->text[0] : "", err);
    if (!plain_path(f->text[0]))
        return refuse(name, line, "no folder:", f->text[0], err);
    if (!plain_path(f->text[1]))
        return refuse(name, line, "no file name:", f->text[1], err);
    if (strcmp(f->text[3], "0") != 0 && strcmp(f->text[3], "1") != 0)
        return refuse(name, line, "no label:", f->text[3], err);
    if (list->n == list->capacity) {
        const size_t capacity = list->capacity ? 2 * list->capacity : 1024;
        uint32_t *at = sqa_realloc(list->at, capacity * sizeof *at);
        list->at = at ? at : list->at;
        uint8_t *label = at ? sqa_realloc(list->label, capacity) : NULL;
        list->label = label ? label : list->label;
        if (!label)
            return sqa_fail(err, SQA_NOMEM, "%s: no memory for its list; free some memory and run again", name);
        list->capacity = capacity;
    }
    if (list->names.length > UINT32_MAX - 2 * FIELD)
        return sqa_fail(err, SQA_INPUT, "%s: more names than 4 GiB; split the set", name);
    list->at[list->n] = (uint32_t)list->names.length;
    list->label[list->n] = (uint8_t)(f->text[3][0] - '0');
    sqa_text_printf(&list->names, "%s/%s", f->text[0], f->text[1]);
    sqa_text_add_bytes(&list->names, "", 1);
    if (list->n == 0 &&
        (f->n < 7 || !sqa_parse_int(f->text[5], &list->contour) || !sqa_parse_int(f->text[6], &list->distractor)))
        list->contour = list->distractor = 0;
    list->n++;
    return list->names.failed
               ? sqa_fail(err, SQA_NOMEM, "%s: no memory for its names; free some memory and run again", name)
               : SQA_OK;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static enum sqa_status read_lines(const char *name, const char *text, size_t size, struct sqa_pathfinder_list *list,
                                  struct sqa_err *err)
{
    size_t line = 0;
    for (size_t at = 0; at < size;) {
        const char *end = memchr(text + at, '\n', size - at);
        const size_t stop = end ? (size_t)(end - text) : size;
        struct fields f = {.n = 0};
        line++;
        while (at < stop) {
            size_t n = 0;
            while (at + n < stop && !is_blank(text[at + n]))
                n++;
            if (n >= FIELD || memchr(text + at, 0, n))
                return refuse(name, line, "not a line of text after", f.n ? f.text[0] : "", err);
            if (n > 0 && f.n < FIELDS) {
                memcpy(f.text[f.n], text + at, n);
                f.text[f.n++][n] = '\0';
            }
            at += n + (at + n < stop);
        }
        at = stop + 1;
        const enum sqa_status status = f.n > 0 ? add(name, line, &f, list, err) : SQA_OK;
        if (status != SQA_OK)
            return status;
    }
    return SQA_OK;
}

static enum sqa_status read_array(const char *name, const void *bytes, size_t size, struct sqa_pathfinder_list *list,
                                  struct sqa_err *err)
{
    struct sqa_npy_texts t = {0};
    enum sqa_status status = sqa_npy_parse_texts(name, bytes, size, &t, err);
    if (status == SQA_OK && (t.rank != 2 || t.dim[1] < NEEDED))
        status =
            sqa_fail(err, SQA_INPUT, "%s: not an array (pictures, fields) of at least 4 fields; save it again", name);
    for (int64_t i = 0; status == SQA_OK && i < t.dim[0]; i++) {
        struct fields f = {.n = t.dim[1] < FIELDS ? (int)t.dim[1] : FIELDS};
        for (int k = 0; k < f.n; k++)
            sqa_npy_text(&t, (size_t)(i * t.dim[1] + k), f.text[k], FIELD);
        status = add(name, (size_t)i + 1, &f, list, err);
    }
    return status;
}

enum sqa_status sqa_pathfinder_metadata(const char *name, const void *bytes, size_t size,
                                        struct sqa_pathfinder_list *list, struct sqa_err *err)
{
    return size > 6 && memcmp(bytes, "\x93NUMPY", 6) == 0 ? read_array(name, bytes, size, list, err)
                                                          : read_lines(name, bytes, size, list, err);
}

static int by_number(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

enum sqa_status sqa_pathfinder_read_list(const char *set, struct sqa_pathfinder_list *list, struct sqa_err *err)
{
    enum { FILES = 65536 };
    char path[4200];
    snprintf(path, sizeof path, "%.4000s/metadata", set);
    DIR *dir = opendir(path);
    if (!dir)
        return sqa_file_fail(err, path, errno);
    int64_t *number = sqa_alloc_array(FILES, sizeof *number);
    size_t n = 0;
    for (struct dirent *e; number && n < FILES && (e = readdir(dir));) {
        char digits[32];
        const size_t length = strlen(e->d_name);
        if (length < 5 || length - 4 >= sizeof digits || strcmp(e->d_name + length - 4, ".npy") != 0)
            continue;
        memcpy(digits, e->d_name, length - 4);
        digits[length - 4] = '\0';
        n += strspn(digits, "0123456789") == length - 4 && sqa_parse_int(digits, &number[n]);
    }
    closedir(dir);
    enum sqa_status status = SQA_OK;
    if (!number)
        status = sqa_fail(err, SQA_NOMEM, "%s: no memory; free some memory and run again", path);
    else if (n == 0)
        status = sqa_fail(err, SQA_INPUT, "%s: no file NUMBER.npy; name the folder that holds the set", path);
    else
        qsort(number, n, sizeof *number, by_number);
    for (size_t i = 0; i < n && status == SQA_OK; i++) {
        char *bytes;
        size_t size;
        snprintf(path, sizeof path, "%.4000s/metadata/%lld.npy", set, (long long)number[i]);
        status = sqa_file_read(path, file_limit, &bytes, &size, err);
        if (status == SQA_OK) {
            status = sqa_pathfinder_metadata(path, bytes, size, list, err);
            sqa_free(bytes);
        }
    }
    sqa_free(number);
    return status;
}

void sqa_pathfinder_list_clear(struct sqa_pathfinder_list *list)
{
    sqa_text_clear(&list->names);
    sqa_free(list->at);
    sqa_free(list->label);
    *list = (struct sqa_pathfinder_list){0};
}
