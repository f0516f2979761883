/* finish.c - from the files of a cell's work directory to its rows (the parent's side of cell.h) */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "harness/cell.h"
#include "harness/search.h"
#include "results/table.h"

enum { PART_LIMIT = 1 << 30 };

/* *o is NULL when there is no such file. */
static enum sqa_status load(const char *part, const char *name, json_t **o, struct sqa_err *err)
{
    char path[4096];
    json_error_t e;
    snprintf(path, sizeof path, "%s/%s", part, name);
    *o = NULL;
    if (!sqa_file_exists(path))
        return SQA_OK;
    *o = json_load_file(path, 0, &e);
    return *o ? SQA_OK
              : sqa_fail(err, SQA_NOMEM, "%s: cannot be read (%s); free some memory or remove it, and run again",
                         path, e.text);
}

static void copy_columns(const char **row, const json_t *o)
{
    for (int i = 0; o && i < SQA_CELLS_N; i++) {
        const json_t *v = json_object_get(o, sqa_schemas[SQA_FILE_CELLS].columns[i].name);
        if (json_is_string(v))
            row[i] = json_string_value(v);
    }
}

static void add_row(struct sqa_text *out, const struct sqa_run_plan *plan, const struct sqa_cell *c,
                    const char *phase, const json_t *trained, const json_t *measured, const char *status,
                    const char *message)
{
    char seed[32], threads[32] = "", trials[32];
    snprintf(seed, sizeof seed, "%lld", (long long)c->seed);
    if (c->threads > 0)
        snprintf(threads, sizeof threads, "%lld", (long long)c->threads);
    const char *row[SQA_CELLS_N] = {0};
    copy_columns(row, trained);
    copy_columns(row, measured);
    row[SQA_CELLS_key] = c->key;
    row[SQA_CELLS_phase] = phase;
    row[SQA_CELLS_model] = c->model;
    row[SQA_CELLS_task] = c->task;
    row[SQA_CELLS_scale] = c->scale;
    row[SQA_CELLS_dtype] = c->dtype;
    row[SQA_CELLS_threads] = threads;
    row[SQA_CELLS_seed] = seed;
    row[SQA_CELLS_status] = status;
    row[SQA_CELLS_message] = message;
    row[SQA_CELLS_floor] = c->floor ? "1" : "";
    row[SQA_CELLS_model_full] = c->model_full;
    row[SQA_CELLS_task_full] = c->task_full;
    row[SQA_CELLS_recipe] = c->floor ? "" : c->recipe;
    row[SQA_CELLS_recipe_source] = c->floor ? "" : c->recipe_source;
    snprintf(trials, sizeof trials, "%zu", sqa_search_trials(c));
    row[SQA_CELLS_trial] = c->trial;
    row[SQA_CELLS_trials] = sqa_cell_is_searched(c) ? trials : "";
    (void)plan;
    sqa_table_row(out, SQA_FILE_CELLS, row);
}

/* Joins NAME-train.csv, NAME-infer.csv and so on: the header once, then the rows of all. */
static enum sqa_status join_phases(const char *part, const char *name, struct sqa_err *err)
{
    struct sqa_text t = {0};
    char path[4096];
    enum sqa_status status = SQA_OK;
    for (int i = 0; i < SQA_PHASE_N && status == SQA_OK; i++) {
        char *text;
        size_t size;
        snprintf(path, sizeof path, "%s/%s-%s.csv", part, name, sqa_phase_names[i]);
        if (!sqa_file_exists(path))
            continue;
        status = sqa_file_read(path, PART_LIMIT, &text, &size, err);
        if (status != SQA_OK)
            break;
        const char *rows = t.length ? strchr(text, '\n') : text;
        if (rows)
            sqa_text_add(&t, rows + (t.length ? 1 : 0));
        sqa_free(text);
    }
    snprintf(path, sizeof path, "%s/%s.csv", part, name);
    if (status == SQA_OK && t.failed)
        status = sqa_fail(err, SQA_NOMEM, "%s: no memory; free some memory and run again", path);
    if (status == SQA_OK && t.length)
        status = sqa_file_write(path, sqa_text_get(&t), t.length, err);
    sqa_text_clear(&t);
    return status;
}

static void remove_work(const char *part)
{
    static const char *const names[] = {
        "trained.json",      "measure-train.json", "measure-infer.json", "measure-step.json",
        "samples-train.csv", "samples-infer.csv",  "samples-step.csv",   "ops-train.csv",
        "ops-infer.csv",     "ops-step.csv",       "callgrind-train",    "callgrind-infer",
        "callgrind-step",    "checkpoint",         "checkpoint.tmp",     "log.txt"};
    char path[4096];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", part, names[i]);
        struct stat st;
        if (strcmp(names[i], "log.txt") == 0 && stat(path, &st) == 0 && st.st_size > 0)
            continue; /* what a library or a sanitizer said stays */
        unlink(path);
    }
}

static enum sqa_status write_cells(const char *part, const struct sqa_run_plan *plan, const struct sqa_cell *cell,
                                   const char *status_text, const char *message, struct sqa_err *err)
{
    struct sqa_text t = {0};
    char path[4096];
    json_t *trained = NULL, *measured[SQA_PHASE_N] = {NULL};
    enum sqa_status status = load(part, "trained.json", &trained, err);
    for (int p = 0; p < SQA_PHASE_N && status == SQA_OK; p++) {
        char name[32];
        snprintf(name, sizeof name, "measure-%s.json", sqa_phase_names[p]);
        status = load(part, name, &measured[p], err);
    }
    const int failed = strcmp(status_text, "ok") != 0;
    const int first = cell->step && !cell->train && !cell->infer ? SQA_PHASE_STEP : SQA_PHASE_TRAIN;
    sqa_table_begin(&t, SQA_FILE_CELLS);
    for (int p = 0; p < SQA_PHASE_N; p++)
        if (measured[p] || (p == SQA_PHASE_TRAIN && trained) || (p == first && failed))
            add_row(&t, plan, cell, sqa_phase_names[p], p == SQA_PHASE_TRAIN ? trained : NULL, measured[p],
                    status_text, message);
    snprintf(path, sizeof path, "%s/cells.csv", part);
    if (status == SQA_OK)
        status = t.failed ? sqa_fail(err, SQA_NOMEM, "%s: no memory; free some memory and run again", path)
                          : sqa_file_write(path, sqa_text_get(&t), t.length, err);
    sqa_text_clear(&t);
    json_decref(trained);
    for (int p = 0; p < SQA_PHASE_N; p++)
        json_decref(measured[p]);
    return status;
}

enum sqa_status sqa_cell_finish(const char *dir, const struct sqa_run_plan *plan, const struct sqa_cell *cell,
                                const char *status_text, const char *message, struct sqa_err *err)
{
    char part[4000], done[4000], parts[4000];
    snprintf(parts, sizeof parts, "%s/parts", dir);
    snprintf(part, sizeof part, "%s/parts/%s.part", dir, cell->key);
    snprintf(done, sizeof done, "%s/parts/%s", dir, cell->key);
    enum sqa_status status = sqa_make_dirs(part, err);
    if (status == SQA_OK)
        status = join_phases(part, "samples", err);
    if (status == SQA_OK)
        status = join_phases(part, "ops", err);
    if (status == SQA_OK)
        status = write_cells(part, plan, cell, status_text, message, err);
    if (status != SQA_OK)
        return status;
    if (rename(part, done) != 0)
        return sqa_file_fail(err, done, errno);
    remove_work(done);
    return sqa_sync_dir(parts, err);
}
