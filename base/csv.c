/* csv.c - see csv.h */
#include "base/csv.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <csv.h>

#include "base/file.h"

enum {
    CHUNK = 1 << 16,                  /* bytes given to libcsv at a time at most, and its step of growth */
    ROW_MAX = 64 * SQA_CSV_FIELD_MAX, /* bytes of one row */
};

struct reader {
    struct csv_parser parser;
    const char *name; /* stands in messages */
    sqa_csv_row_fn *row;
    void *user;
    struct sqa_err *err;
    enum sqa_status status;
    size_t line, row_line; /* of the next byte; of the row being read */
    int at_row_start, row_done, after_cr, started;
    char *bytes; /* the row's fields, 0-terminated, one after the other */
    size_t used, capacity;
    size_t *offset;
    const char **fields;
    size_t n, field_capacity;
};

static enum sqa_status refuse(struct reader *r, const char *what)
{
    r->status = sqa_fail(r->err, SQA_INPUT, "%s: line %zu: %s", r->name, r->row_line, what);
    return r->status;
}

static enum sqa_status refuse_memory(struct reader *r)
{
    r->status = sqa_fail(r->err, SQA_NOMEM, "%s: line %zu: no memory for the row; free some memory and run again",
                         r->name, r->row_line);
    return r->status;
}

static int grow_bytes(struct reader *r, size_t need)
{
    size_t capacity = r->capacity ? r->capacity : 256;
    if (need <= r->capacity)
        return 1;
    while (capacity < need)
        capacity *= 2;
    char *p = sqa_realloc(r->bytes, capacity);
    if (!p)
        return 0;
    r->bytes = p;
    r->capacity = capacity;
    return 1;
}

static int grow_fields(struct reader *r)
{
    if (r->n < r->field_capacity)
        return 1;
    const size_t capacity = r->field_capacity ? 2 * r->field_capacity : 64;
    size_t *offset = sqa_realloc(r->offset, capacity * sizeof *offset);
    if (!offset)
        return 0;
    r->offset = offset;
    void *fields = sqa_realloc((void *)r->fields, capacity * sizeof *r->fields);
    if (!fields)
        return 0;
    r->fields = fields;
    r->field_capacity = capacity;
    return 1;
}

static void on_field(void *field, size_t size, void *user)
{
    struct reader *r = user;
    if (r->status != SQA_OK)
        return;
    if (size > SQA_CSV_FIELD_MAX) {
        refuse(r, "a field of more than 1 MiB; check the quotes and the delimiter");
    } else if (r->n == SQA_CSV_COLUMNS_MAX) {
        refuse(r, "more than 65536 fields; check the delimiter");
    } else if (r->used + size + 1 > ROW_MAX) {
        refuse(r, "a row of more than 64 MiB; check the quotes and the delimiter");
    } else if (!grow_fields(r) || !grow_bytes(r, r->used + size + 1)) {
        refuse_memory(r);
    } else {
        r->offset[r->n++] = r->used;
        if (size)
            memcpy(r->bytes + r->used, field, size);
        r->bytes[r->used + size] = '\0';
        r->used += size + 1;
    }
}

static void on_row(int terminator, void *user)
{
    struct reader *r = user;
    (void)terminator;
    for (size_t i = 0; i < r->n && r->status == SQA_OK; i++)
        r->fields[i] = r->bytes + r->offset[i];
    if (r->status == SQA_OK)
        r->status = r->row(r->user, r->row_line, r->n, r->fields, r->err);
    r->n = 0;
    r->used = 0;
    r->row_done = 1;
}

static void check_parser(struct reader *r, int complete)
{
    if (r->status != SQA_OK)
        return;
    if (complete && r->parser.entry_pos > (size_t)SQA_CSV_FIELD_MAX + 1) /* + 1: a closing quote is still in it */
        refuse(r, "a field of more than 1 MiB; check the quotes and the delimiter");
    else if (!complete && csv_error(&r->parser) == CSV_EPARSE)
        refuse(r, "a quote mark at a wrong place or one that never closes; double it inside a quoted field");
    else if (!complete)
        refuse_memory(r);
}

/* Gives libcsv one piece: at most one line end, and that at its end. So rows can be told their line, and reading
 * stops at the row that fails. */
static void parse_piece(struct reader *r, const char *s, size_t n)
{
    const int line_feed = s[n - 1] == '\n', carriage_return = s[n - 1] == '\r';
    if (r->at_row_start)
        r->row_line = r->line;
    r->row_done = 0;
    const size_t done = csv_parse(&r->parser, s, n, on_field, on_row, r);
    check_parser(r, done == n);
    if (r->row_done)
        r->at_row_start = 1;
    else if (n > (size_t)(line_feed || carriage_return))
        r->at_row_start = 0;
    if (carriage_return || (line_feed && !(r->after_cr && n == 1)))
        r->line++;
    r->after_cr = carriage_return;
}

static enum sqa_status parse_chunk(struct reader *r, const char *s, size_t n)
{
    size_t i = 0;
    if (!r->started && n >= 3 && memcmp(s, "\xef\xbb\xbf", 3) == 0)
        i = 3;
    r->started = 1;
    while (i < n && r->status == SQA_OK) {
        size_t end = i;
        while (end < n && end - i < CHUNK && s[end] != '\n' && s[end] != '\r' && s[end] != '\0')
            end++;
        if (end < n && s[end] == '\0') {
            r->row_line = r->line;
            return refuse(r, "a zero byte; convert the file to UTF-8 text");
        }
        if (end < n && (s[end] == '\n' || s[end] == '\r'))
            end++;
        parse_piece(r, s + i, end - i);
        i = end;
    }
    return r->status;
}

static int never_space(unsigned char c)
{
    (void)c;
    return 0;
}

static enum sqa_status reader_begin(struct reader *r, char delimiter, int quoted)
{
    if (csv_init(&r->parser, CSV_STRICT | CSV_STRICT_FINI) != 0)
        return sqa_fail(r->err, SQA_MACHINE, "%s: libcsv cannot start; check its installation", r->name);
    csv_set_realloc_func(&r->parser, sqa_realloc);
    csv_set_free_func(&r->parser, sqa_free);
    csv_set_blk_size(&r->parser, CHUNK);
    csv_set_space_func(&r->parser, never_space); /* RFC 4180: spaces belong to a field */
    csv_set_delim(&r->parser, (unsigned char)delimiter);
    csv_set_quote(&r->parser, quoted ? '"' : '\0'); /* zero bytes are refused, so never seen as a quote */
    r->line = r->row_line = 1;
    r->at_row_start = 1;
    return SQA_OK;
}

static enum sqa_status reader_end(struct reader *r)
{
    if (r->status == SQA_OK)
        check_parser(r, csv_fini(&r->parser, on_field, on_row, r) == 0);
    csv_free(&r->parser);
    sqa_free(r->bytes);
    sqa_free(r->offset);
    sqa_free((void *)r->fields);
    return r->status;
}

enum sqa_status sqa_csv_read_bytes(const char *name, const void *data, size_t size, char delimiter, int quoted,
                                   sqa_csv_row_fn *row, void *user, struct sqa_err *err)
{
    struct reader r = {.name = name, .row = row, .user = user, .err = err};
    const enum sqa_status status = reader_begin(&r, delimiter, quoted);
    if (status != SQA_OK)
        return status;
    if (size)
        parse_chunk(&r, data, size);
    return reader_end(&r);
}

enum sqa_status sqa_csv_read(const char *path, char delimiter, int quoted, sqa_csv_row_fn *row, void *user,
                             struct sqa_err *err)
{
    struct reader r = {.name = path, .row = row, .user = user, .err = err};
    char chunk[CHUNK];
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return sqa_file_fail(err, path, errno);
    enum sqa_status status = reader_begin(&r, delimiter, quoted);
    if (status != SQA_OK) {
        close(fd);
        return status;
    }
    size_t have = 1;
    while (have > 0 && r.status == SQA_OK) {
        ssize_t got = 1;
        for (have = 0; have < sizeof chunk && got != 0;) {
            got = read(fd, chunk + have, sizeof chunk - have);
            if (got > 0)
                have += (size_t)got;
            else if (got < 0 && errno != EINTR)
                break;
        }
        if (got < 0)
            r.status = sqa_file_fail(err, path, errno);
        else if (have > 0)
            parse_chunk(&r, chunk, have);
    }
    close(fd);
    return reader_end(&r);
}

struct sheet_reader {
    struct sqa_sheet *sheet;
    const char *path;
};

/* Copies a row's pointers and bytes into one piece of the arena. */
static const char **copy_row(struct sqa_arena *arena, size_t n, const char *const *fields)
{
    size_t bytes = n * sizeof(char *);
    for (size_t i = 0; i < n; i++)
        bytes += strlen(fields[i]) + 1;
    const char **row = sqa_arena_alloc(arena, bytes);
    if (!row)
        return NULL;
    char *p = (char *)(row + n);
    for (size_t i = 0; i < n; i++) {
        const size_t size = strlen(fields[i]) + 1;
        row[i] = memcpy(p, fields[i], size);
        p += size;
    }
    return row;
}

static enum sqa_status sheet_row(void *user, size_t line, size_t n, const char *const *fields, struct sqa_err *err)
{
    const struct sheet_reader *reader = user;
    struct sqa_sheet *s = reader->sheet;
    if (s->names && n != s->ncol)
        return sqa_fail(err, SQA_INPUT,
                        "%s: line %zu: %zu fields where the header has %zu; the file is damaged, make it again",
                        reader->path, line, n, s->ncol);
    const char **row = copy_row(&s->arena, n, fields);
    if (row && s->names && s->nrow == s->capacity) {
        const size_t capacity = s->capacity ? 2 * s->capacity : 64;
        void *p = sqa_realloc((void *)s->row, capacity * sizeof *s->row);
        if (p) {
            s->row = p;
            s->capacity = capacity;
        } else {
            row = NULL;
        }
    }
    if (!row)
        return sqa_fail(err, SQA_NOMEM, "%s: line %zu: no memory for the row; free some memory and run again",
                        reader->path, line);
    if (s->names) {
        s->row[s->nrow++] = row;
    } else {
        s->names = row;
        s->ncol = n;
    }
    return SQA_OK;
}

enum sqa_status sqa_sheet_read_some(const char *path, struct sqa_sheet *sheet, struct sqa_err *err)
{
    struct sheet_reader reader = {sheet, path};
    *sheet = (struct sqa_sheet){0};
    enum sqa_status status = sqa_csv_read(path, ',', 1, sheet_row, &reader, err);
    if (status == SQA_OK && !sheet->names)
        status = sqa_fail(err, SQA_INPUT, "%s: no header line; the file is empty, make it again", path);
    if (status != SQA_OK && status != SQA_INPUT)
        sqa_sheet_clear(sheet);
    return status;
}

enum sqa_status sqa_sheet_read(const char *path, struct sqa_sheet *sheet, struct sqa_err *err)
{
    const enum sqa_status status = sqa_sheet_read_some(path, sheet, err);
    if (status != SQA_OK)
        sqa_sheet_clear(sheet);
    return status;
}

int sqa_sheet_column(const struct sqa_sheet *sheet, const char *name)
{
    for (size_t i = 0; i < sheet->ncol; i++)
        if (strcmp(sheet->names[i], name) == 0)
            return (int)i;
    return -1;
}

void sqa_sheet_clear(struct sqa_sheet *sheet)
{
    sqa_arena_clear(&sheet->arena);
    sqa_free((void *)sheet->row);
    *sheet = (struct sqa_sheet){0};
}

static void add_quoted(struct sqa_text *out, const char *field)
{
    const size_t n = strlen(field);
    const size_t size = csv_write2(NULL, 0, field, n, '"');
    char *quoted = sqa_alloc(size);
    if (!quoted) {
        out->failed = true;
        return;
    }
    csv_write2(quoted, size, field, n, '"');
    sqa_text_add_bytes(out, quoted, size);
    sqa_free(quoted);
}

void sqa_csv_add_row(struct sqa_text *out, size_t n, const char *const *fields)
{
    for (size_t i = 0; i < n; i++) {
        const char *field = fields[i] ? fields[i] : "";
        if (i)
            sqa_text_add(out, ",");
        if (strpbrk(field, ",\"\r\n") || (n == 1 && *field == '\0')) /* "" alone: else the row is an empty line */
            add_quoted(out, field);
        else
            sqa_text_add(out, field);
    }
    sqa_text_add(out, "\n");
}
