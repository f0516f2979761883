/*
 * table_rows.h - rows of cells.csv for tables of accuracy and speed, and cells of what is made of them
 */
#ifndef SQA_TESTS_TABLE_ROWS_H
#define SQA_TESTS_TABLE_ROWS_H

#include "base/csv.h"
#include "base/file.h"
#include "tests/papers.h"

/* One row of cells.csv. Columns that a later build may add are written by name. */
struct made {
    const char *model, *task, *scale, *seed, *params, *test_n, *accuracy, *train_accuracy, *floor, *padding, *origin;
    const char *length, *ns, *bytes;
};
static const char *const columns[] = {"schema",
                                      "key",
                                      "phase",
                                      "model",
                                      "task",
                                      "scale",
                                      "length",
                                      "batch",
                                      "dtype",
                                      "threads",
                                      "seed",
                                      "status",
                                      "params",
                                      "steps",
                                      "test_n",
                                      "test_accuracy",
                                      "train_accuracy",
                                      "floor",
                                      "latency_ns_median",
                                      "latency_samples",
                                      "mem_own_bytes",
                                      "train_seconds",
                                      "train_examples",
                                      "padding",
                                      "real_share",
                                      "origin"};
enum { N_COLUMNS = sizeof columns / sizeof columns[0], OLD_COLUMNS = N_COLUMNS - 3 };

static void make_run(const char *name, const struct made *cells, size_t n, size_t n_columns, const char *json)
{
    struct sqa_text t = {0};
    struct sqa_err err = {0};
    char path[128], key[32];
    sqa_csv_add_row(&t, n_columns, columns);
    for (size_t i = 0; i < n; i++) {
        const struct made *m = &cells[i];
        snprintf(key, sizeof key, "%s-%zu", name, i);
        const char *row[N_COLUMNS] = {"1",
                                      key,
                                      "train",
                                      m->model,
                                      m->task,
                                      m->scale,
                                      m->length ? m->length : "64",
                                      "8",
                                      "f32",
                                      "1",
                                      m->seed,
                                      "ok",
                                      m->params,
                                      "100",
                                      m->test_n,
                                      m->accuracy,
                                      m->train_accuracy,
                                      m->floor,
                                      m->ns,
                                      m->ns ? "12" : NULL,
                                      m->bytes,
                                      m->floor ? NULL : "2",
                                      m->floor ? NULL : "800",
                                      m->padding,
                                      m->padding ? "0.75" : NULL,
                                      m->origin};
        sqa_csv_add_row(&t, n_columns, row);
    }
    assert_int_equal(sqa_make_dirs(name, &err), SQA_OK);
    snprintf(path, sizeof path, "%s/cells.csv", name);
    assert_int_equal(sqa_file_write(path, t.text, t.length, &err), SQA_OK);
    snprintf(path, sizeof path, "%s/run.json", name);
    if (json)
        assert_int_equal(sqa_file_write(path, json, strlen(json), &err), SQA_OK);
    sqa_text_clear(&t);
}

#define RAN(model, task, seed, accuracy)                                                                       \
    {                                                                                                          \
        model, task, "lra-paper", seed, "1000", "2000", accuracy, NULL, NULL, "padded", NULL, NULL, NULL, NULL \
    }
#define LISTS(model, seed, accuracy, floor)                                                                        \
    {                                                                                                              \
        model, "listops:min=16,max=64,test=10000", "lite", seed, "1000", "100", accuracy, NULL, floor, NULL, NULL, \
            NULL, NULL, NULL                                                                                       \
    }

/* label of a published line, model of a measured one */
static const struct sqa_paper_cell *cell(const struct fixture *f, size_t panel, enum sqa_paper_line_kind kind,
                                         const char *name, const char *column)
{
    const struct sqa_paper_panel *p = &f->filled.panels[panel];
    for (size_t i = 0; i < p->n_lines; i++) {
        const struct sqa_paper_line *l = &p->lines[i];
        if (l->kind != kind || strcmp(l->model ? l->model : l->label, name) != 0)
            continue;
        for (size_t c = 0; c < p->n_columns; c++)
            if (strcmp(p->columns[c], column) == 0)
                return &l->cells[c];
    }
    fail_msg("no cell %s, %s", name, column);
    return NULL;
}

#endif
