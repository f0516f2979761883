/*
 * csv.h - RFC 4180 files through libcsv
 *
 * The reader streams: it holds one row, never the file. Line numbers are those of the line a row starts on, 1-based.
 * A field longer than SQA_CSV_FIELD_MAX or a row of more than SQA_CSV_COLUMNS_MAX fields is refused with its line, so
 * a hostile file costs no memory. A UTF-8 byte-order mark is skipped; CR LF and LF both end a line; empty lines are
 * skipped. Quoting errors are refused (libcsv's strict mode).
 */
#ifndef SQA_BASE_CSV_H
#define SQA_BASE_CSV_H

#include <stddef.h>

#include "base/memory.h"
#include "base/status.h"
#include "base/text.h"

enum { SQA_CSV_FIELD_MAX = 1 << 20, SQA_CSV_COLUMNS_MAX = 65536 };

/* Called once a row; fields are 0-terminated and live until the call returns. Anything but SQA_OK ends the reading
 * and is returned by sqa_csv_read. */
typedef enum sqa_status sqa_csv_row_fn(void *user, size_t line, size_t n, const char *const *fields,
                                       struct sqa_err *err);
/* delimiter is ',' or '\t' (or any byte). quoted == 0 takes quote marks as ordinary bytes (TSV files that are not
 * quoted). */
enum sqa_status sqa_csv_read(const char *path, char delimiter, int quoted, sqa_csv_row_fn *row, void *user,
                             struct sqa_err *err) SQA_MUST_CHECK;
/* The same over bytes in memory; `name` stands in messages. (Fuzz target.) */
enum sqa_status sqa_csv_read_bytes(const char *name, const void *data, size_t size, char delimiter, int quoted,
                                   sqa_csv_row_fn *row, void *user, struct sqa_err *err) SQA_MUST_CHECK;

/* A whole small file in memory: header names, then cells as text. All rows have ncol fields (a ragged row is refused
 * with its line). Clear frees. */
struct sqa_sheet {
    struct sqa_arena arena;
    size_t ncol, nrow, capacity;
    const char **names; /* ncol */
    const char ***row;  /* nrow pointers to ncol fields */
};
enum sqa_status sqa_sheet_read(const char *path, struct sqa_sheet *sheet, struct sqa_err *err) SQA_MUST_CHECK;
/* The same, but of a damaged file the rows before the damage stay in the sheet (names is NULL when there are none),
 * beside SQA_INPUT and the sentence. */
enum sqa_status sqa_sheet_read_some(const char *path, struct sqa_sheet *sheet, struct sqa_err *err) SQA_MUST_CHECK;
int sqa_sheet_column(const struct sqa_sheet *sheet, const char *name); /* -1 when absent */
void sqa_sheet_clear(struct sqa_sheet *sheet);

/* Appends one row to a text: fields quoted where RFC 4180 asks for it (libcsv's csv_write2), ended by "\n".
 * (LF, so that text tools work on the files; readers take both.) */
void sqa_csv_add_row(struct sqa_text *out, size_t n, const char *const *fields);

#endif
