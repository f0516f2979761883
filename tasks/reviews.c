/* reviews.c - see reviews.h */
#include "tasks/reviews.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"
#include "base/file.h"
#include "tasks/task_util.h"

struct reader {
    const char *name; /* of the file at hand */
    const struct sqa_reviews_reading *how;
    struct sqa_reviews *set;
    bool begun, turned; /* tables: a row was seen; the text comes first */
    char separator;
};

void sqa_reviews_clear(struct sqa_reviews *set)
{
    for (int s = 0; s < SQA_SPLITS; s++)
        sqa_free(set->review[s]);
    sqa_free(set->bytes);
    *set = (struct sqa_reviews){0};
}

/* A bad row or file (line 0): left out, or refused. */
static enum sqa_status bad(const struct reader *r, size_t line, const char *what, const char *advice,
                           struct sqa_err *err)
{
    char place[32] = "";
    struct sqa_reviews *set = r->set;
    if (line)
        snprintf(place, sizeof place, " line %zu:", line);
    if (!r->how->skip_bad)
        return sqa_fail(err, SQA_INPUT, "%s:%s %s; %s, or give skip_bad=1 to leave such out", r->name, place, what,
                        advice);
    if (set->bad++ == 0)
        snprintf(set->first_bad, sizeof set->first_bad, "%.100s:%s %.64s", r->name, place, what);
    return SQA_OK;
}

static enum sqa_status stopped(const struct reader *r, struct sqa_err *err)
{
    return sqa_fail(err, SQA_INTERRUPTED, "%s: interrupted while it was read; run again", r->name);
}

static enum sqa_status nomem(struct sqa_err *err)
{
    return sqa_fail(err, SQA_NOMEM, "text: no memory for the reviews; free some memory or lower length=");
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static enum sqa_split choose(const struct reader *r, const char *text, size_t n)
{
    const uint64_t hash = sqa_hash(text, n, r->how->seed);
    if (r->how->split == SQA_TRAIN && (double)(hash >> 11) * 0x1p-53 < r->how->held_out)
        return SQA_VALID;
    return r->how->split;
}

static enum sqa_status make_room(struct sqa_reviews *set, enum sqa_split split, size_t bytes, struct sqa_err *err)
{
    if (set->room - set->used < bytes) {
        size_t room = set->room ? 2 * set->room : (size_t)1 << 16;
        while (room - set->used < bytes)
            room *= 2;
        unsigned char *p = sqa_realloc(set->bytes, room);
        if (!p)
            return nomem(err);
        set->bytes = p;
        set->room = room;
    }
    if (set->count[split] == set->capacity[split]) {
        const size_t capacity = set->capacity[split] ? 2 * set->capacity[split] : 256;
        struct sqa_review *p = sqa_realloc(set->review[split], capacity * sizeof *p);
        if (!p)
            return nomem(err);
        set->review[split] = p;
        set->capacity[split] = capacity;
    }
    return SQA_OK;
}

static enum sqa_status add(const struct reader *r, size_t line, int label, const char *text, size_t n,
                           struct sqa_err *err)
{
    struct sqa_reviews *set = r->set;
    while (n > 0 && is_space(text[n - 1]))
        n--;
    while (n > 0 && is_space(*text)) {
        text++;
        n--;
    }
    if (n == 0)
        return bad(r, line, "an empty text", "remove it", err);
    const enum sqa_split split = choose(r, text, n);
    const size_t kept = n < r->how->length ? n : r->how->length;
    const enum sqa_status status = make_room(set, split, kept, err);
    if (status != SQA_OK)
        return status;
    memcpy(set->bytes + set->used, text, kept);
    set->review[split][set->count[split]++] = (struct sqa_review){set->used, (uint32_t)kept, (uint8_t)label};
    set->hash[split] = sqa_hash(text, kept, set->hash[split]) + (uint64_t)label;
    set->used += kept;
    return SQA_OK;
}

/* Tables */

/* 0 or 1, or -1 for what is no label. */
static int label_of(const char *s)
{
    static const char *const names[2][3] = {{"0", "neg", "negative"}, {"1", "pos", "positive"}};
    for (int label = 0; label < 2; label++)
        for (int i = 0; i < 3; i++)
            if (strcmp(s, names[label][i]) == 0)
                return label;
    return -1;
}

static bool names_label(const char *s)
{
    return strcmp(s, "label") == 0 || strcmp(s, "sentiment") == 0;
}

static bool names_text(const char *s)
{
    return strcmp(s, "text") == 0 || strcmp(s, "review") == 0;
}

static enum sqa_status on_row(void *user, size_t line, size_t n, const char *const *fields, struct sqa_err *err)
{
    struct reader *r = user;
    char what[128], shown[SQA_QUOTE];
    const bool first = !r->begun;
    r->begun = true;
    if (sqa_task_interrupted(r->how->env))
        return stopped(r, err);
    if (n != 2) {
        snprintf(what, sizeof what, "%zu column%s instead of 2, label and text", n, n == 1 ? "" : "s");
        return bad(r, line, what,
                   r->separator == '\t' ? "write label TAB text, without further tabs" : "write label,\"text\"", err);
    }
    if (first &&
        ((names_label(fields[0]) && names_text(fields[1])) || (names_text(fields[0]) && names_label(fields[1])))) {
        r->turned = names_text(fields[0]);
        return SQA_OK;
    }
    const char *const text = fields[r->turned ? 0 : 1];
    const int label = label_of(fields[r->turned ? 1 : 0]);
    if (label < 0) {
        snprintf(what, sizeof what, "the label '%s' is none of 0, 1, neg, pos, negative, positive",
                 sqa_quote(shown, fields[r->turned ? 1 : 0]));
        return bad(r, line, what, "correct it", err);
    }
    return add(r, line, label, text, strlen(text), err);
}

static char separator_of(const char *name)
{
    const size_t n = strlen(name);
    return n >= 4 && strcmp(name + n - 4, ".csv") == 0 ? ',' : '\t';
}

enum sqa_status sqa_reviews_read_table(const char *path, const struct sqa_reviews_reading *how,
                                       struct sqa_reviews *set, struct sqa_err *err)
{
    struct reader r = {.name = path, .how = how, .set = set, .separator = separator_of(path)};
    return sqa_csv_read(path, r.separator, r.separator == ',', on_row, &r, err);
}

enum sqa_status sqa_reviews_read_bytes(const char *name, const void *data, size_t size,
                                       const struct sqa_reviews_reading *how, struct sqa_reviews *set,
                                       struct sqa_err *err)
{
    struct reader r = {.name = name, .how = how, .set = set, .separator = separator_of(name)};
    return sqa_csv_read_bytes(name, data, size, r.separator, r.separator == ',', on_row, &r, err);
}

/* Folders */

struct entry {
    uint64_t id;
    char name[32];
};
struct listing {
    struct entry *entry;
    size_t n, capacity;
};

static int by_id(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    return x->id != y->id ? (x->id > y->id) - (x->id < y->id) : strcmp(x->name, y->name);
}

/* ID_RATING.txt, up to 12 and 4 digits. */
static bool parse_name(const char *name, uint64_t *id)
{
    const size_t n = strspn(name, "0123456789");
    const size_t rating = name[n] == '_' ? strspn(name + n + 1, "0123456789") : 0;
    if (n < 1 || n > 12 || rating < 1 || rating > 4 || strcmp(name + n + 1 + rating, ".txt") != 0)
        return false;
    *id = strtoull(name, NULL, 10);
    return true;
}

static enum sqa_status add_entry(struct listing *list, const char *name, uint64_t id, struct sqa_err *err)
{
    if (list->n == list->capacity) {
        const size_t capacity = list->capacity ? 2 * list->capacity : 256;
        struct entry *p = sqa_realloc(list->entry, capacity * sizeof *p);
        if (!p)
            return nomem(err);
        list->entry = p;
        list->capacity = capacity;
    }
    struct entry *e = &list->entry[list->n++];
    e->id = id;
    snprintf(e->name, sizeof e->name, "%s", name);
    return SQA_OK;
}

static enum sqa_status list_folder(struct reader *r, const char *folder, struct listing *list, struct sqa_err *err)
{
    DIR *dir = opendir(folder);
    if (!dir)
        return sqa_file_fail(err, folder, errno);
    enum sqa_status status = SQA_OK;
    for (const struct dirent *d; status == SQA_OK && (d = readdir(dir)) != NULL;) {
        const size_t n = strlen(d->d_name);
        char path[4400];
        uint64_t id;
        if (d->d_name[0] == '.' || n < 4 || strcmp(d->d_name + n - 4, ".txt") != 0)
            continue;
        if (parse_name(d->d_name, &id)) {
            status = add_entry(list, d->d_name, id, err);
        } else {
            snprintf(path, sizeof path, "%.4199s/%.199s", folder, d->d_name);
            r->name = path;
            status = bad(r, 0, "not named ID_RATING.txt", "rename it", err);
        }
    }
    closedir(dir);
    if (status == SQA_OK && list->n > 1)
        qsort(list->entry, list->n, sizeof *list->entry, by_id);
    return status;
}

static enum sqa_status read_review(struct reader *r, const char *folder, const char *name, int label,
                                   struct sqa_err *err)
{
    char path[4400], *text;
    size_t size;
    snprintf(path, sizeof path, "%.4199s/%.31s", folder, name);
    r->name = path;
    if (sqa_task_interrupted(r->how->env))
        return stopped(r, err);
    enum sqa_status status = sqa_file_read(path, SQA_REVIEW_FILE_MAX, &text, &size, err);
    if (status != SQA_OK)
        return status;
    status = add(r, 0, label, text, size, err);
    sqa_free(text);
    return status;
}

enum sqa_status sqa_reviews_read_folder(const char *folder, const struct sqa_reviews_reading *how,
                                        struct sqa_reviews *set, struct sqa_err *err)
{
    struct reader r = {.name = folder, .how = how, .set = set};
    struct listing list[2] = {{0}};
    char path[2][4200];
    enum sqa_status status = SQA_OK;
    for (int label = 0; label < 2 && status == SQA_OK; label++) {
        snprintf(path[label], sizeof path[label], "%s/%s", folder, label ? "pos" : "neg");
        status = list_folder(&r, path[label], &list[label], err);
    }
    for (size_t i = 0; (i < list[0].n || i < list[1].n) && status == SQA_OK; i++)
        for (int label = 0; label < 2 && status == SQA_OK; label++)
            if (i < list[label].n)
                status = read_review(&r, path[label], list[label].entry[i].name, label, err);
    sqa_free(list[0].entry);
    sqa_free(list[1].entry);
    return status;
}
