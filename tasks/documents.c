/* documents.c - see documents.h */
#include "tasks/documents.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "tasks/task_util.h"

enum { COLUMNS = 5, TEXTS = 3, HEAD = 128, CHUNK = 1 << 20 }; /* columns 0 .. 2 are label and ids, then two texts */

struct reader {
    const char *name;
    const struct sqa_documents_reading *how;
    struct sqa_documents *set;
    size_t line, column;     /* of the next byte; line from 1, column from 0 */
    uint64_t offset;         /* of the next byte */
    size_t size[COLUMNS];    /* bytes of each column so far */
    uint64_t where[COLUMNS]; /* offset of its first */
    char head[TEXTS][HEAD];  /* first bytes of label and ids */
    unsigned char *text[2];  /* first `length` bytes of each text */
    char last;               /* byte of the line so far */
};

void sqa_documents_clear(struct sqa_documents *set)
{
    for (int s = 0; s < SQA_SPLITS; s++)
        sqa_free(set->pair[s]);
    *set = (struct sqa_documents){0};
}

static enum sqa_status bad(const struct reader *r, const char *what, const char *advice, struct sqa_err *err)
{
    struct sqa_documents *set = r->set;
    if (!r->how->skip_bad)
        return sqa_fail(err, SQA_INPUT, "%s: line %zu: %s; %s, or give skip_bad=1 to leave such out", r->name,
                        r->line, what, advice);
    if (set->bad++ == 0)
        snprintf(set->first_bad, sizeof set->first_bad, "%.100s: line %zu: %.64s", r->name, r->line, what);
    return SQA_OK;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static uint64_t hash_of_id(const struct reader *r, int column)
{
    return sqa_hash(r->head[column], smaller(r->size[column], HEAD), 0);
}

static enum sqa_split choose(const struct reader *r)
{
    if (r->how->split >= 0)
        return (enum sqa_split)r->how->split;
    const uint64_t both = hash_of_id(r, 1) + hash_of_id(r, 2);
    const uint64_t part = sqa_hash(&both, sizeof both, r->how->seed) % 10;
    return part < 8 ? SQA_TRAIN : part == 8 ? SQA_VALID : SQA_TEST;
}

static enum sqa_status add(const struct reader *r, struct sqa_document_pair pair, struct sqa_err *err)
{
    struct sqa_documents *set = r->set;
    const enum sqa_split split = choose(r);
    if (set->count[split] == set->capacity[split]) {
        const size_t capacity = set->capacity[split] ? 2 * set->capacity[split] : 256;
        struct sqa_document_pair *p = sqa_realloc(set->pair[split], capacity * sizeof *p);
        if (!p)
            return sqa_fail(err, SQA_NOMEM, "retrieval: no memory for %zu pairs; free some memory and run again",
                            capacity);
        set->pair[split] = p;
        set->capacity[split] = capacity;
    }
    set->pair[split][set->count[split]++] = pair;
    for (int i = 0; i < 2; i++)
        set->hash[split] = sqa_hash(r->text[i], pair.length[i], set->hash[split]);
    set->hash[split] += pair.label;
    return SQA_OK;
}

static enum sqa_status end_line(struct reader *r, struct sqa_err *err)
{
    char what[128], shown[SQA_QUOTE], label[HEAD];
    double value;
    if (r->column == 0 && r->size[0] - (r->size[0] > 0 && r->last == '\r') == 0)
        return SQA_OK; /* an empty line */
    if (r->column + 1 != COLUMNS) {
        snprintf(what, sizeof what, "%zu column%s between tabs instead of 5", r->column + 1, r->column ? "s" : "");
        return bad(r, what, "write label, id 1, id 2, text 1, text 2", err);
    }
    r->size[COLUMNS - 1] -= r->size[COLUMNS - 1] > 0 && r->last == '\r';
    const size_t n = smaller(r->size[0], sizeof label - 1);
    memcpy(label, r->head[0], n);
    label[n] = '\0';
    if (strlen(label) != r->size[0] || !sqa_parse_real(label, &value) || !(value == 0 || value == 1)) {
        snprintf(what, sizeof what, "the label '%s' is neither 0 nor 1", sqa_quote(shown, label));
        return bad(r, what, "correct it", err);
    }
    struct sqa_document_pair pair = {.label = value > 0.5, .file = r->how->file};
    for (int i = 0; i < 2; i++) {
        if (r->size[TEXTS + i] == 0) {
            snprintf(what, sizeof what, "text %d is empty", i + 1);
            return bad(r, what, "remove the line", err);
        }
        pair.where[i] = r->where[TEXTS + i];
        pair.length[i] = (uint32_t)smaller(r->size[TEXTS + i], r->how->length);
    }
    return add(r, pair, err);
}

static void begin_column(struct reader *r, size_t column)
{
    r->column = column;
    if (column < COLUMNS) {
        r->size[column] = 0;
        r->where[column] = r->offset;
    }
}

/* n bytes of the column at hand. */
static void take(struct reader *r, const char *s, size_t n)
{
    const size_t c = r->column;
    if (n == 0)
        return;
    r->last = s[n - 1];
    r->offset += n;
    if (c >= COLUMNS)
        return;
    const size_t room = c < TEXTS ? HEAD : r->how->length, have = smaller(r->size[c], room);
    unsigned char *to = c < TEXTS ? (unsigned char *)r->head[c] : r->text[c - TEXTS];
    memcpy(to + have, s, smaller(n, room - have));
    r->size[c] += n;
}

static enum sqa_status parse_chunk(struct reader *r, const char *s, size_t n, struct sqa_err *err)
{
    const char *const end = s + n;
    while (s < end) {
        const char *line_end = memchr(s, '\n', (size_t)(end - s)), *const stop = line_end ? line_end : end;
        for (const char *tab; (tab = memchr(s, '\t', (size_t)(stop - s))) != NULL; s = tab + 1) {
            take(r, s, (size_t)(tab - s));
            r->offset++;
            begin_column(r, r->column + 1);
        }
        take(r, s, (size_t)(stop - s));
        if (!line_end)
            break;
        if (sqa_task_interrupted(r->how->env))
            return sqa_fail(err, SQA_INTERRUPTED, "%s: interrupted while it was read; run again", r->name);
        const enum sqa_status status = end_line(r, err);
        if (status != SQA_OK)
            return status;
        r->offset++;
        r->line++;
        begin_column(r, 0);
        s = stop + 1;
    }
    return SQA_OK;
}

static enum sqa_status begin(struct reader *r, struct sqa_err *err)
{
    r->line = 1;
    r->text[0] = sqa_alloc(r->how->length);
    r->text[1] = sqa_alloc(r->how->length);
    return r->text[0] && r->text[1] ? SQA_OK
                                    : sqa_fail(err, SQA_NOMEM, "%s: no memory to read it; lower length=", r->name);
}

static enum sqa_status end(struct reader *r, enum sqa_status status, struct sqa_err *err)
{
    if (status == SQA_OK)
        status = end_line(r, err);
    sqa_free(r->text[0]);
    sqa_free(r->text[1]);
    return status;
}

enum sqa_status sqa_documents_read_bytes(const char *name, const void *data, size_t size, size_t chunk,
                                         const struct sqa_documents_reading *how, struct sqa_documents *set,
                                         struct sqa_err *err)
{
    struct reader r = {.name = name, .how = how, .set = set};
    enum sqa_status status = begin(&r, err);
    for (size_t at = 0; at < size && status == SQA_OK; at += smaller(chunk, size - at))
        status = parse_chunk(&r, (const char *)data + at, smaller(chunk, size - at), err);
    return end(&r, status, err);
}

enum sqa_status sqa_documents_read(const char *path, const struct sqa_documents_reading *how,
                                   struct sqa_documents *set, struct sqa_err *err)
{
    struct reader r = {.name = path, .how = how, .set = set};
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return sqa_file_fail(err, path, errno);
    char *chunk = sqa_alloc(CHUNK);
    enum sqa_status status = begin(&r, err);
    if (status == SQA_OK && !chunk)
        status = sqa_fail(err, SQA_NOMEM, "%s: no memory to read it; free some memory and run again", path);
    while (status == SQA_OK) {
        const ssize_t got = read(fd, chunk, CHUNK);
        if (got == 0)
            break;
        if (got > 0)
            status = parse_chunk(&r, chunk, (size_t)got, err);
        else if (errno != EINTR)
            status = sqa_file_fail(err, path, errno);
    }
    close(fd);
    sqa_free(chunk);
    return end(&r, status, err);
}
