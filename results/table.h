/*
 * table.h - writing result rows and joining them
 *
 * A row is an array of texts, one for each column of its schema, NULL or "" for a missing value. Rows are appended to
 * a text that starts with the header line; sqa_file_write puts it on disk in one piece.
 *
 * Run directory:   DIR/parts/KEY/{cells,samples,curves,ops,examples}.csv   one finished cell, renamed into place
 * whole DIR/{cells,...}.csv                                     the parts joined in plan order
 */
#ifndef SQA_RESULTS_TABLE_H
#define SQA_RESULTS_TABLE_H

#include "base/csv.h"
#include "base/status.h"
#include "base/text.h"
#include "results/schema.h"

/* Appends the header line of file (SQA_FILE_...). */
void sqa_table_begin(struct sqa_text *out, int file);
/* Appends one row; fields has sqa_schemas[file].n entries. fields[0] (schema) is filled in when NULL. */
void sqa_table_row(struct sqa_text *out, int file, const char *const *fields);

/* Rebuilds DIR/<file> for every file from DIR/parts/<keys[i]>/, in the order of keys, skipping absent parts; files
 * that no part has are not written. Atomic per file; the same parts give the same bytes. */
enum sqa_status sqa_table_join(const char *dir, const char *const *keys, size_t n,
                               struct sqa_err *err) SQA_MUST_CHECK;

/* A run directory read for reporting. The JSON document is kept as text for reports/, which parses it. */
struct sqa_run_files {
    char *dir;
    char *json; /* run.json, 0-terminated; NULL when absent */
    size_t json_size;
    struct sqa_sheet sheet[SQA_FILES]; /* nrow == 0 when the file is absent */
    struct sqa_text mind;              /* of sqa_run_files_read_some: what is damaged, a line each */
};
/* SQA_INPUT with one sentence when DIR is no run directory or a file is torn or lacks the key columns. */
enum sqa_status sqa_run_files_read(const char *dir, struct sqa_run_files *run, struct sqa_err *err) SQA_MUST_CHECK;
/* The same for a reader that shows what there is: of a damaged file the rows before the damage, of one of another
 * version the columns that have our names, of one without the key columns nothing; mind names each. SQA_INPUT only when
 * DIR is no directory or has none of the files. */
enum sqa_status sqa_run_files_read_some(const char *dir, struct sqa_run_files *run,
                                        struct sqa_err *err) SQA_MUST_CHECK;
/* sqa_run_files_read of a lone file of the shape of cells.csv: dir is its path, all but the cells is absent. */
enum sqa_status sqa_run_files_read_cells(const char *path, struct sqa_run_files *run,
                                         struct sqa_err *err) SQA_MUST_CHECK;
void sqa_run_files_clear(struct sqa_run_files *run);

#endif
