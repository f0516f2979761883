/* table.c - see table.h */
#include "results/table.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/memory.h"

enum { PATH_SIZE = 4096, JSON_MAX = 64 << 20, COLUMNS_MAX = SQA_CELLS_N };

_Static_assert((int)SQA_SAMPLES_N <= (int)COLUMNS_MAX && (int)SQA_CURVES_N <= (int)COLUMNS_MAX &&
                   (int)SQA_OPS_N <= (int)COLUMNS_MAX && (int)SQA_EXAMPLES_N <= (int)COLUMNS_MAX &&
                   (int)SQA_HORIZON_N <= (int)COLUMNS_MAX,
               "cells.csv is the widest table");

/* Columns without which a file tells nothing. */
static const char *const required[SQA_FILES][6] = {
    [SQA_FILE_CELLS] = {"key", "phase", "model", "task", "status"},
    [SQA_FILE_SAMPLES] = {"key", "phase", "ns"},
    [SQA_FILE_CURVES] = {"key", "step", "split"},
    [SQA_FILE_OPS] = {"key", "phase", "op"},
    [SQA_FILE_EXAMPLES] = {"key", "index"},
    [SQA_FILE_HORIZON] = {"key", "step", "mse"},
};

void sqa_table_begin(struct sqa_text *out, int file)
{
    const char *names[COLUMNS_MAX];
    for (size_t i = 0; i < sqa_schemas[file].n; i++)
        names[i] = sqa_schemas[file].columns[i].name;
    sqa_csv_add_row(out, sqa_schemas[file].n, names);
}

void sqa_table_row(struct sqa_text *out, int file, const char *const *fields)
{
    const char *row[COLUMNS_MAX];
    for (size_t i = 0; i < sqa_schemas[file].n; i++)
        row[i] = fields[i];
    if (!row[0])
        row[0] = SQA_SCHEMA_VERSION;
    sqa_csv_add_row(out, sqa_schemas[file].n, row);
}

static enum sqa_status make_path(char path[PATH_SIZE], const char *dir, const char *middle, const char *file,
                                 struct sqa_err *err)
{
    const int n = snprintf(path, PATH_SIZE, "%s%s%s/%s", dir, *middle ? "/parts/" : "", middle, file);
    if (n < 0 || n >= PATH_SIZE)
        return sqa_fail(err, SQA_INPUT, "%.200s...: path too long; choose a shorter one", dir);
    return SQA_OK;
}

static enum sqa_status check_columns(const char *path, int file, const struct sqa_sheet *sheet, struct sqa_err *err)
{
    for (const char *const *name = required[file]; *name; name++)
        if (sqa_sheet_column(sheet, *name) < 0)
            return sqa_fail(err, SQA_INPUT, "%s: no column \"%s\"; this is no %s of seqarena, name a run directory",
                            path, *name, sqa_schemas[file].file);
    return SQA_OK;
}

static enum sqa_status check_version(const char *path, const struct sqa_sheet *sheet, struct sqa_err *err)
{
    const int version = sqa_sheet_column(sheet, "schema");
    for (size_t i = 0; version >= 0 && i < sheet->nrow; i++)
        if (strcmp(sheet->row[i][version], SQA_SCHEMA_VERSION) != 0)
            return sqa_fail(err, SQA_INPUT,
                            "%s: a row of table version \"%.40s\" where this build reads \"%s\"; use the build that "
                            "made it",
                            path, sheet->row[i][version], SQA_SCHEMA_VERSION);
    return SQA_OK;
}

static enum sqa_status read_sheet(const char *path, int file, struct sqa_sheet *sheet, struct sqa_err *err)
{
    enum sqa_status status = sqa_sheet_read(path, sheet, err);
    if (status == SQA_OK)
        status = check_columns(path, file, sheet, err);
    if (status == SQA_OK)
        status = check_version(path, sheet, err);
    if (status != SQA_OK)
        sqa_sheet_clear(sheet);
    return status;
}

/* "a: b; c" as a line of mind. */
static void note(struct sqa_text *mind, const char *said, const char *outcome)
{
    sqa_text_printf(mind, "%s%s\n", said, outcome);
}

static enum sqa_status read_some(const char *path, int file, struct sqa_sheet *sheet, struct sqa_text *mind,
                                 struct sqa_err *err)
{
    struct sqa_err damage = {0};
    const enum sqa_status status = sqa_sheet_read_some(path, sheet, &damage);
    if (status != SQA_OK && status != SQA_INPUT)
        return sqa_fail(err, status, "%s", damage.text);
    if (status == SQA_INPUT && !sheet->names) {
        note(mind, damage.text, "; nothing of it is shown");
    } else if (check_columns(path, file, sheet, status == SQA_OK ? &damage : NULL) != SQA_OK) {
        note(mind, damage.text, "; nothing of it is shown");
        sqa_sheet_clear(sheet);
    } else if (status == SQA_INPUT) {
        char rows[64];
        snprintf(rows, sizeof rows, "; the %zu rows before are shown", sheet->nrow);
        note(mind, damage.text, rows);
    } else if (check_version(path, sheet, &damage) != SQA_OK) {
        note(mind, damage.text, "; the columns that both know are shown");
    }
    return SQA_OK;
}

/* Appends the rows of one part, its columns put in the order of the schema. */
static enum sqa_status add_part(const char *path, int file, struct sqa_text *out, struct sqa_err *err)
{
    const struct sqa_schema *schema = &sqa_schemas[file];
    struct sqa_sheet sheet;
    int from[COLUMNS_MAX];
    const enum sqa_status status = read_sheet(path, file, &sheet, err);
    if (status != SQA_OK)
        return status;
    for (size_t c = 0; c < schema->n; c++)
        from[c] = sqa_sheet_column(&sheet, schema->columns[c].name);
    for (size_t i = 0; i < sheet.nrow; i++) {
        const char *fields[COLUMNS_MAX];
        for (size_t c = 0; c < schema->n; c++)
            fields[c] = from[c] < 0 ? NULL : sheet.row[i][from[c]];
        sqa_table_row(out, file, fields);
    }
    sqa_sheet_clear(&sheet);
    return SQA_OK;
}

static enum sqa_status join_file(const char *dir, int file, const char *const *keys, size_t n, struct sqa_text *out,
                                 struct sqa_err *err)
{
    char path[PATH_SIZE];
    size_t parts = 0;
    enum sqa_status status = SQA_OK;
    sqa_table_begin(out, file);
    for (size_t i = 0; i < n && status == SQA_OK; i++) {
        status = make_path(path, dir, keys[i], sqa_schemas[file].file, err);
        if (status != SQA_OK || !sqa_file_exists(path))
            continue;
        status = add_part(path, file, out, err);
        parts++;
    }
    if (status == SQA_OK && out->failed)
        status = sqa_fail(err, SQA_NOMEM, "%s: no memory to join %s; free some memory and run again", dir,
                          sqa_schemas[file].file);
    if (status == SQA_OK && parts > 0)
        status = make_path(path, dir, "", sqa_schemas[file].file, err);
    if (status == SQA_OK && parts > 0)
        status = sqa_file_write(path, sqa_text_get(out), out->length, err);
    return status;
}

enum sqa_status sqa_table_join(const char *dir, const char *const *keys, size_t n, struct sqa_err *err)
{
    enum sqa_status status = SQA_OK;
    for (int file = 0; file < SQA_FILES && status == SQA_OK; file++) {
        struct sqa_text out = {0};
        status = join_file(dir, file, keys, n, &out, err);
        sqa_text_clear(&out);
    }
    return status;
}

static enum sqa_status read_all(struct sqa_run_files *run, bool some, struct sqa_err *err)
{
    char path[PATH_SIZE];
    bool found = false;
    enum sqa_status status = make_path(path, run->dir, "", "run.json", err);
    if (status != SQA_OK)
        return status;
    if (sqa_file_exists(path))
        status = sqa_file_read(path, JSON_MAX, &run->json, &run->json_size, err);
    for (int file = 0; file < SQA_FILES && status == SQA_OK; file++) {
        status = make_path(path, run->dir, "", sqa_schemas[file].file, err);
        if (status != SQA_OK || !sqa_file_exists(path))
            continue;
        found = found || file == SQA_FILE_CELLS || some;
        status = some ? read_some(path, file, &run->sheet[file], &run->mind, err)
                      : read_sheet(path, file, &run->sheet[file], err);
    }
    if (status == SQA_OK && run->mind.failed)
        status = sqa_fail(err, SQA_NOMEM, "%s: no memory; free some memory and run again", run->dir);
    if (status == SQA_OK && !run->json && !found)
        status = sqa_fail(err, SQA_INPUT,
                          "%s: neither run.json nor cells.csv in it; name a directory that run or bench "
                          "has made",
                          run->dir);
    return status;
}

static enum sqa_status read_dir(const char *dir, bool some, struct sqa_run_files *run, struct sqa_err *err)
{
    struct stat st;
    *run = (struct sqa_run_files){0};
    if (stat(dir, &st) != 0)
        return sqa_fail(err, SQA_INPUT, "%s: no such run directory; check the path", dir);
    if (!S_ISDIR(st.st_mode))
        return sqa_fail(err, SQA_INPUT, "%s: not a directory; name the run directory that holds cells.csv", dir);
    run->dir = sqa_strdup(dir);
    if (!run->dir)
        return sqa_fail(err, SQA_NOMEM, "%s: no memory; free some memory and run again", dir);
    const enum sqa_status status = read_all(run, some, err);
    if (status != SQA_OK)
        sqa_run_files_clear(run);
    return status;
}

enum sqa_status sqa_run_files_read(const char *dir, struct sqa_run_files *run, struct sqa_err *err)
{
    return read_dir(dir, false, run, err);
}

enum sqa_status sqa_run_files_read_some(const char *dir, struct sqa_run_files *run, struct sqa_err *err)
{
    return read_dir(dir, true, run, err);
}

enum sqa_status sqa_run_files_read_cells(const char *path, struct sqa_run_files *run, struct sqa_err *err)
{
    *run = (struct sqa_run_files){.dir = sqa_strdup(path)};
    const enum sqa_status status =
        run->dir ? read_sheet(path, SQA_FILE_CELLS, &run->sheet[SQA_FILE_CELLS], err)
                 : sqa_fail(err, SQA_NOMEM, "%s: no memory; free some memory and run again", path);
    if (status != SQA_OK)
        sqa_run_files_clear(run);
    return status;
}

void sqa_run_files_clear(struct sqa_run_files *run)
{
    sqa_free(run->dir);
    sqa_free(run->json);
    sqa_text_clear(&run->mind);
    for (int file = 0; file < SQA_FILES; file++)
        sqa_sheet_clear(&run->sheet[file]);
    *run = (struct sqa_run_files){0};
}
