/* test_table_forecast.c - tables of forecasts: published numbers that are there, places, ranks, marks, plans */
#include <setjmp.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/csv.h"
#include "base/file.h"
#include "tests/papers.h"

static const char *const tables[] = {"ltsf-linear", "itransformer", "informer-m", "informer-s"};

struct made {
    const char *model, *task, *scale, *seed, *mse, *mae, *floor;
};
#define L "etth1:lookback=336,drop_last_batch=32"
static const struct made made[] = {
    {"nlinear", L, "ltsf", "1", "0.370", "0.390", NULL},
    {"nlinear", L, "ltsf", "2", "0.380", "0.400", NULL},
    {"dlinear", L, "ltsf", "1", "0.360", "0.410", NULL},
    {"linear", "etth1:lookback=336", "ltsf", "1", "0.1", "0.1", NULL},                   /* every window: no place */
    {"linear", "etth1:lookback=96,drop_last_batch=32", "ltsf", "1", "0.2", "0.2", NULL}, /* no cell of the row */
    {"repeat_last", "etth1:drop_last_batch=32", "smoke", "1", "1.2946", "0.7133", "1"},  /* a floor: any scale */
    {"mine", "etth1:drop_last_batch=32", "ltsf", "1", "0.5", "0.6", NULL},
    {"patchtst", "etth1:lookback=336,drop_last_batch=128", "lite", "1", "0.3", "0.3", NULL}, /* not its scale */
    {"informer", "etth1:drop_last_batch=32", "informer", "1", "0.2", "0.5", NULL}, /* below the square of MAE */
    {"nlinear", "etth2:lookback=336,drop_last_batch=32", "ltsf", "1", "0.3", "0.35", NULL},
};

static void make_run(const char *name, const struct made *rows, size_t n)
{
    static const char *const columns[] = {"schema", "key",  "phase",  "model",  "task",     "scale",    "length",
                                          "dtype",  "seed", "status", "test_n", "test_mse", "test_mae", "floor"};
    struct sqa_text t = {0};
    struct sqa_err err = {0};
    char path[128], key[32];
    sqa_csv_add_row(&t, COUNT(columns), columns);
    for (size_t i = 0; i < n; i++) {
        const struct made *m = &rows[i];
        snprintf(key, sizeof key, "k%zu", i);
        const char *const row[COUNT(columns)] = {"1",   key,     "train", m->model, m->task, m->scale, "336",
                                                 "f32", m->seed, "ok",    "2784",   m->mse,  m->mae,   m->floor};
        sqa_csv_add_row(&t, COUNT(columns), row);
    }
    assert_int_equal(sqa_make_dirs(name, &err), SQA_OK);
    snprintf(path, sizeof path, "%s/cells.csv", name);
    assert_int_equal(sqa_file_write(path, t.text, t.length, &err), SQA_OK);
    sqa_text_clear(&t);
}

/* id NULL: measured */
static const struct sqa_paper_cell *cell(const struct fixture *f, size_t panel, const char *label, const char *id,
                                         const char *model)
{
    const struct sqa_paper_panel *p = &f->filled.panels[panel];
    for (size_t i = 0; i < p->n_lines; i++) {
        const struct sqa_paper_line *l = &p->lines[i];
        if (strcmp(l->label, label) != 0 || (id ? !l->id || strcmp(l->id, id) != 0 : l->id != NULL))
            continue;
        for (size_t c = 0; c < p->n_columns; c++)
            if (strcmp(p->columns[c], model) == 0)
                return &l->cells[c];
    }
    fail_msg("no cell %s, %s", label, model);
    return NULL;
}

/* Each line has a printed figure of its name and each row some, so no name is misspelt. */
static void published_cells_are_there(void **state)
{
    struct sqa_published all = {0};
    struct sqa_err err = {0};
    (void)state;
    assert_int_equal(sqa_table_published(&all, &err), SQA_OK);
    for (size_t t = 0; t < COUNT(tables); t++) {
        struct sqa_paper p;
        if (sqa_table_load(tables[t], &p, &err) != SQA_OK)
            fail_msg("%s", err.text);
        size_t cells = 0;
        for (size_t c = 0; c < p.n_columns; c++) {
            size_t found = 0;
            for (size_t r = 0; r < p.n_rows; r++)
                for (size_t i = 0; i < p.n_published; i++)
                    for (int m = 0; m < 2 && p.rows[r].published[i]; m++)
                        found += sqa_published_find(&all, p.published[i], p.rows[r].published[i],
                                                    p.columns[c].published, m ? "mae" : "mse") != NULL;
            if (!found || found % 2)
                fail_msg("%s, %s: %zu printed figures", tables[t], p.columns[c].label, found);
            cells += found;
        }
        for (size_t r = 0; r < p.n_rows; r++) {
            bool found = false;
            for (size_t i = 0; i < p.n_published && !found; i++)
                found = p.rows[r].published[i] &&
                        sqa_published_find(&all, p.published[i], p.rows[r].published[i], NULL, NULL);
            if (!found)
                fail_msg("%s: nothing is printed of %s", tables[t], p.rows[r].label);
        }
        static const size_t printed[] = {648 + 512, 154 + 1170 - 26 * 9, 300, 400}; /* averages of a set left out */
        size_t extra = 0; /* but Exchange, Traffic, Weather and Solar-Energy, of which both tables print an average */
        if (t == 1)
            extra = 4 * 2 * 9;
        assert_int_equal(cells, printed[t] + extra);
        sqa_paper_clear(&p);
    }
    sqa_published_clear(&all);
}

/* Pairs that notes of the typed files call impossible, and no others. */
static void impossible_pairs_are_marked(void **state)
{
    static const size_t pairs[] = {3 + 2, 0, 10, 16};
    (void)state;
    make_run("empty", made, 0);
    for (size_t t = 0; t < COUNT(tables); t++) {
        struct fixture f;
        size_t marked = 0;
        fill_well(&f, tables[t], "empty", &any);
        assert_int_equal(f.filled.n_panels, 3);
        for (int m = 0; m < 2; m++)
            for (size_t i = 0; i < f.filled.panels[m].n_lines; i++)
                for (size_t c = 0; c < f.filled.panels[m].n_columns; c++)
                    marked += f.filled.panels[m].lines[i].cells[c].impossible;
        if (marked != 2 * pairs[t])
            fail_msg("%s: %zu marks", tables[t], marked);
        clear(&f);
    }
    struct fixture f;
    fill_well(&f, "itransformer", "empty", &any);
    assert_true(cell(&f, 0, "ETTh1 96", "itransformer_full", "iTransformer")->second_hand);
    assert_false(cell(&f, 0, "ETT, mean of 16", "itransformer_t1_avg", "iTransformer")->second_hand);
    clear(&f);
}

static void places_are_within_a_line(void **state)
{
    struct fixture f;
    (void)state;
    make_run("run", made, COUNT(made));
    fill_well(&f, "ltsf-linear", "run", &any);
    static const char t2[] = "ltsf_t2_multivariate";
    assert_int_equal(cell(&f, 0, "ETTh1 96", t2, "NLinear")->rank_low, 1);
    assert_int_equal(cell(&f, 0, "ETTh1 96", t2, "DLinear")->rank_low, 2); /* with Linear */
    assert_int_equal(cell(&f, 0, "ETTh1 96", t2, "Linear")->rank_low, 2);
    assert_string_equal(cell(&f, 0, "ETTh1 96", t2, "DLinear")->printed->text, "0.375");
    const struct sqa_paper_cell *c = cell(&f, 0, "ETTh1 96", NULL, "NLinear");
    near(c->x.mean, 0.375, 1e-12);
    assert_int_equal(c->x.n_seeds, 2);
    assert_int_equal(c->rank_low, 2);
    assert_string_equal(c->how, "look-back 336, last batch of 32 dropped, scale ltsf");
    assert_true(cell(&f, 0, "ETTh1 96", NULL, "DLinear")->best);
    assert_int_equal(cell(&f, 1, "ETTh1 96", NULL, "DLinear")->rank_low, 2); /* MAE */
    c = cell(&f, 0, "ETTh1 96", NULL, "Linear");
    near(c->x.mean, 0.1, 1e-12);
    assert_false(c->own || c->best);
    assert_string_equal(c->how, "look-back 336, every window, scale ltsf");
    assert_false(cell(&f, 0, "ETTh1 96", NULL, "PatchTST/42")->own);
    assert_int_equal(cell(&f, 0, "ETTh1 96", NULL, "Repeat")->rank_low, 4);
    assert_int_equal(cell(&f, 0, "ETTh1 96", NULL, "mine")->rank_low, 3);
    assert_true(isnan(cell(&f, 0, "ETTh1 96", NULL, "Informer")->x.mean));
    assert_true(isnan(cell(&f, 0, "ETTh1 192", NULL, "NLinear")->x.mean));
    assert_int_equal(cell(&f, 0, "ETTh2 96", NULL, "NLinear")->rank_low, 0); /* alone */
    /* Of the two measured lines one has all four models. */
    near(cell(&f, 2, "MSE, 1 of 2 lines", NULL, "DLinear")->x.mean, 1, 1e-12);
    near(cell(&f, 2, "MSE, 1 of 2 lines", NULL, "NLinear")->x.mean, 2, 1e-12);
    near(cell(&f, 2, "MSE, 33 of 36 lines", t2, "DLinear")->x.mean, 61.0 / 33, 1e-12);
    clear(&f);
    fill_well(&f, "ltsf-linear", "run", &(struct sqa_paper_options){"lite", NULL});
    assert_true(cell(&f, 0, "ETTh1 96", NULL, "PatchTST/42")->own);
    assert_true(isnan(cell(&f, 0, "ETTh1 96", NULL, "NLinear")->x.mean));
    clear(&f);
}

static void what_is_written_says_what_it_is(void **state)
{
    struct fixture f;
    struct sqa_text t = {0};
    (void)state;
    make_run("run", made, COUNT(made));
    fill_well(&f, "ltsf-linear", "run", &any);
    sqa_paper_markdown(&t, &f.filled, NULL);
    has(t.text, "## MSE of standardised values");
    has(t.text, "published, ltsf_t2_multivariate");
    has(t.text, "(2 x 2784, ");
    has(t.text, " 1.124 § ° |");
    has(t.text, " _0.3750_ ? [0.31");
    has(t.text, "informer on etth1:drop_last_batch=32: MSE 0.2 is below the square of MAE 0.5");
    sqa_text_clear(&t);
    sqa_paper_csv(&t, &f.filled);
    has(t.text, "\n1,ltsf-linear,MSE of standardised values,ETTh2 336,published,LogTrans,mse,,,1.124,");
    has(t.text, "\"MSE < MAE^2, second-hand\",,,\n");
    sqa_text_clear(&t);
    clear(&f);
}

/* Electricity's mean needs its four horizons. */
static void means_need_all(void **state)
{
    static const struct made rows[] = {
        {"itransformer", "electricity", "itransformer", "1", "0.1", "0.2", NULL},
        {"itransformer", "electricity:horizon=192", "itransformer", "1", "0.2", "0.2", NULL},
        {"itransformer", "electricity:horizon=336", "itransformer", "1", "0.3", "0.2", NULL},
        {"itransformer", "electricity:horizon=720", "itransformer", "1", "0.6", "0.2", NULL},
        {"itransformer", "exchange", "itransformer", "1", "0.6", "0.2", NULL}};
    struct fixture f;
    (void)state;
    make_run("run", rows, COUNT(rows));
    fill_well(&f, "itransformer", "run", &any);
    const struct sqa_paper_cell *c = cell(&f, 0, "Electricity, mean of 4", NULL, "iTransformer");
    near(c->x.mean, 0.3, 1e-12);
    assert_string_equal(c->how, "look-back 336, scale itransformer");
    near(cell(&f, 0, "Electricity, mean of 4", "itransformer_t1_avg", "iTransformer")->x.mean, 0.178, 1e-12);
    assert_true(isnan(cell(&f, 0, "Exchange, mean of 4", NULL, "iTransformer")->x.mean));
    clear(&f);
}

static void plans_name_task_and_scale_of_the_row(void **state)
{
    struct fixture f;
    struct sqa_paper_plan plan;
    struct sqa_table_commands commands;
    const struct sqa_table_plan_options none = {.scale = NULL};
    struct sqa_text t = {0};
    struct sqa_err err = {0};
    (void)state;
    make_run("run", made, COUNT(made));
    fill_well(&f, "ltsf-linear", "run", &any);
    assert_int_equal(
        sqa_paper_missing(&f.paper, &f.pool, &(struct sqa_paper_plan_options){.scale = NULL}, &plan, &err), SQA_OK);
    assert_int_equal(plan.n_cells, 36 * 5 + 36 - 4 + 4);
    assert_int_equal(plan.n, plan.n_cells - 5); /* nlinear twice, dlinear, repeat_last, informer */
    sqa_paper_plan_clear(&plan);
    assert_int_equal(sqa_table_commands(&f.paper, &f.pool, &none, &commands, &err), SQA_OK);
    sqa_table_plan(&commands, &t);
    sqa_table_commands_clear(&commands);
    has(t.text, "  seqarena run --model linear --task etth1:lookback=336,drop_last_batch=32 --scale ltsf --seeds 3 "
                "-o results/runs/ltsf-linear-ETTh1-96-linear\n");
    has(t.text, "  seqarena run --model patchtst --task etth1:lookback=336,drop_last_batch=128 --scale patchtst "
                "--seeds 3 -o results/runs/ltsf-linear-ETTh1-96-patchtst\n");
    assert_null(strstr(t.text, "not in this build"));
    sqa_text_clear(&t);
    clear(&f);
}

#define HEAD "[table]\ntitle = t\nsource = s\nkind = forecast\nscale = ltsf\n[column A]\n"
static void broken_files_are_refused(void **state)
{
    static const struct {
        const char *text, *says;
    } broken[] = {
        {HEAD "accept = x\n[row R]\n", "column A has accept"},
        {HEAD "mean = x\ntask = y\n[row R]\n", "one of task and mean alone"},
        {HEAD "mean = (\n[row R]\n", "line 7: mean, character 2: missing closing"},
        {HEAD "task.x = a\ntask.x = b\n[row R]\n", "line 8: task.x is given twice"},
        {HEAD "task = a\n[row R]\ntask = far\n", "row R: no column has task.far"},
        {HEAD "task = a\n[row R]\nscale = a\nscale = b\n", "scale is given twice"},
        {"[table]\ntitle = t\nsource = s\nkind = accuracy\nscale = x\n[column A]\ntask = a\naccept = a\n"
         "[row R]\nscale = y\n",
         "row R has a scale or a task"},
    };
    struct sqa_paper p;
    struct sqa_err err = {0};
    (void)state;
    for (size_t i = 0; i < COUNT(broken); i++) {
        assert_int_equal(sqa_paper_parse("x.ini", broken[i].text, &p, &err), SQA_INPUT);
        has(err.text, broken[i].says);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_cells_are_there),
        cmocka_unit_test(impossible_pairs_are_marked),
        cmocka_unit_test(places_are_within_a_line),
        cmocka_unit_test(what_is_written_says_what_it_is),
        cmocka_unit_test(means_need_all),
        cmocka_unit_test(plans_name_task_and_scale_of_the_row),
        cmocka_unit_test(broken_files_are_refused),
    };
    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
