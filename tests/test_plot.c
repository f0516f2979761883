/* test_plot.c - pictures: hostile text, every kind on a made-up run, and the tests of ranks against published values */
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

#include "base/file.h"
#include "base/random.h"
#include "reports/figures.h"
#include "reports/friedman.h"
#include "reports/plot_forecast.h"
#include "reports/plots.h"
#include "reports/rank_table.h"
#include "reports/stats.h"
#include "tests/support.h"

static char dir[64];

/* Demsar 2006: critical values of Nemenyi's test are quantiles of the range over the root of 2, table 5 (a). */
static void range_of_normals(void **state)
{
    static const double q05[] = {1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164};
    static const double q10[] = {1.645, 2.052, 2.291, 2.459, 2.589, 2.693, 2.780, 2.855, 2.920};
    (void)state;
    for (size_t k = 2; k <= 10; k++) {
        assert_near(sqa_range_quantile(0.95, k) / sqrt(2), q05[k - 2], 1.1e-3, "q 0.05");
        assert_near(sqa_range_quantile(0.90, k) / sqrt(2), q10[k - 2], 1.1e-3, "q 0.10");
    }
    assert_near(sqa_range_cdf(sqa_range_quantile(0.7, 5), 5), 0.7, 1e-9, "inverse");
}

/* The worked example of Demsar 2006: four forms of C4.5 on fourteen data sets, AUC (table 6). */
static void demsar(void **state)
{
    static const double auc[14][4] = {
        {0.763, 0.768, 0.771, 0.798},  {0.599, 0.591, 0.590, 0.569}, {0.954, 0.971, 0.968, 0.967},
        {0.628, 0.661, 0.654, 0.657},  {0.882, 0.888, 0.886, 0.898}, {0.936, 0.931, 0.916, 0.931},
        {0.661, 0.668, 0.609, 0.685},  {0.583, 0.583, 0.563, 0.625}, {0.775, 0.838, 0.866, 0.875},
        {1.000, 1.000, 1.000, 1.000},  {0.940, 0.962, 0.965, 0.962}, {0.619, 0.666, 0.614, 0.669},
        {0.972, 0.981, 0.9751, 0.975}, {0.957, 0.978, 0.946, 0.970}};
    static const double published[4] = {3.143, 2.000, 2.893, 1.964};
    double rank[14 * 4], mean[4];
    (void)state;
    for (size_t i = 0; i < 14; i++)
        sqa_ranks(auc[i], 4, 1, rank + 4 * i);
    const struct sqa_friedman f = sqa_friedman(rank, 14, 4, mean);
    for (size_t j = 0; j < 4; j++)
        assert_near(mean[j], published[j], 5e-4, "mean rank");
    /* He has 9.28 and 3.69, without the correction for ties: 13 of 14 * 60 / 6 of a full tie. */
    assert_near(f.chi_squared * (1 - 13.0 / 140), 9.28, 5e-3, "chi squared");
    assert_near(f.chi_squared, 10.228346456692924, 1e-9, "chi squared with ties");
    assert_near(f.f, 4.185130111524169, 1e-9, "F");
    assert_true(f.p > 0.005 && f.p < 0.02);
    assert_near(f.difference, 2.569 * sqrt(4 * 5 / (6.0 * 14)), 1e-3, "critical difference");
}

static void friedman_known(void **state)
{
    static const double x[4][3] = {{1, 2, 3}, {2, 3, 1}, {1, 2, 3}, {1, 2, 3}};
    double rank[12], mean[3];
    (void)state;
    for (size_t i = 0; i < 4; i++)
        sqa_ranks(x[i], 3, -1, rank + 3 * i);
    const struct sqa_friedman f = sqa_friedman(rank, 4, 3, mean);
    assert_near(mean[0], 1.25, 1e-12, "mean");
    const double chi = 12.0 * 4 / 12 * (1.25 * 1.25 + 2.25 * 2.25 + 2.5 * 2.5 - 12);
    assert_near(f.chi_squared, chi, 1e-12, "chi squared");
    assert_near(f.f, 3 * chi / (8 - chi), 1e-12, "F");
    assert_near(sqa_f_cdf(4.757063, 3, 6), 0.95, 1e-6, "F table");
    const double same[3] = {1, 1, 1};
    sqa_ranks(same, 3, 1, rank);
    assert_near(rank[2], 2, 0, "equals");
}

/* One picture with text in every place where a user's text stands. */
static void draw(const char *text, enum sqa_plot_as as, struct sqa_text *out)
{
    struct sqa_plots plots = {0};
    struct sqa_plot *p = sqa_plots_add(&plots, "%s", text);
    sqa_axis_begin(&p->x, false);
    sqa_axis_begin(&p->y, false);
    for (int i = 0; i < 3; i++) {
        sqa_axis_take(&p->x, i);
        sqa_axis_take(&p->y, i * i);
        sqa_plot_tip(p, i, i * i, 5, "%s", text);
    }
    sqa_axis_end(&p->x, 0.1);
    sqa_axis_end(&p->y, 0.1);
    struct sqa_plot_end end = {2, text, 0};
    sqa_plot_ends(p, &end, 1);
    sqa_plot_axis(p, 'x', text, NULL);
    sqa_plot_axis(p, 'y', text, NULL);
    sqa_plot_spots(p, &(struct sqa_plot_spot){1, 1, 5, text, 1}, 1);
    sqa_plot_label(p, text, "left", "first 0, first 0");
    sqa_text_add(&p->caption, text);
    sqa_plot_say(p, "$d << EOD\n0 0\n1 1\n2 4\nEOD\nplot $d with linespoints\n");
    OK(sqa_plots_draw(&plots, 0, 1, as, "id", out, &failure));
    sqa_plots_clear(&plots);
}

static void harmless(const char *svg)
{
    assert_non_null(strstr(svg, "<svg "));
    assert_null(strstr(svg, "onmouse"));
    assert_null(strstr(svg, "<script"));
    assert_null(strstr(svg, "<img"));
    assert_null(strstr(svg, "'gpPt"));
    for (const char *s = svg; *s; s++)
        assert_true((unsigned char)*s >= 0x20 || *s == '\n' || *s == '\t');
}

static void hostile(void **state)
{
    static const char *const texts[] = {"'; system('touch FILE'); print '",
                                        "''; system('touch FILE'); print ''",
                                        "a''''; !touch FILE",
                                        "'",
                                        "\"; system(\"touch FILE\"); \"",
                                        "`touch FILE`",
                                        "x\nsystem('touch FILE')\n",
                                        "\\'; !touch FILE",
                                        "@x $(touch FILE) %s%n%d",
                                        "<script>alert(1)</script>",
                                        "\"><img src=x onerror=alert(1)>",
                                        "]]> --> &amp; &#0; <b>",
                                        "a\xff\xc3(\xed\xa0\x80\x01\x1b[0m",
                                        "EOD\n!touch FILE\n$d << EOD",
                                        "{/Bold x}_a^b ~ \\n \\U+2603",
                                        "')\" onmouseover=\"alert(1)",
                                        "caf\xc3\xa9 \xe2\x98\x83 \xf0\x9f\x98\x80"};
    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct sqa_text out = {0}, text = {0};
        char file[96];
        snprintf(file, sizeof file, "%s/made", dir);
        for (const char *s = texts[i]; *s; s++)
            if (strncmp(s, "FILE", 4) == 0) {
                sqa_text_add(&text, file);
                s += 3;
            } else
                sqa_text_add_bytes(&text, s, 1);
        draw(sqa_text_get(&text), SQA_PLOT_SVG, &out);
        assert_int_not_equal(access(file, F_OK), 0);
        assert_null(strstr(out.text, "<script"));
        assert_null(strstr(out.text, "<img"));
        assert_null(strstr(out.text, "onmousemove=\"gnuplot"));
        sqa_text_clear(&out);
        draw(sqa_text_get(&text), SQA_PLOT_PDF, &out);
        assert_int_not_equal(access(file, F_OK), 0);
        assert_memory_equal(out.text, "%PDF-", 5);
        sqa_text_clear(&out);
        sqa_text_clear(&text);
    }
}

static void same_bytes(void **state)
{
    struct sqa_text a = {0}, b = {0};
    (void)state;
    draw("a model", SQA_PLOT_INLINE, &a);
    draw("a model", SQA_PLOT_INLINE, &b);
    assert_string_equal(a.text, b.text);
    harmless(a.text);
    assert_non_null(strstr(a.text, "viewBox=\"0 0 760 440\" role=\"group\" aria-label=\"a model\""));
    assert_non_null(strstr(a.text, "data-tip=\"a model\"><title>a model</title>"));
    assert_non_null(strstr(a.text, "id='id-gpPt5'"));
    assert_null(strstr(a.text, "<?xml"));
    sqa_text_clear(&a);
    sqa_text_clear(&b);
}

/* A run: three models on `tasks` tasks at three lengths, with curves, ops and errors of the horizon. */
static void make_run(const char *path, int tasks)
{
    static const char *const models[] = {"transformer", "performer", "s4d'`x`<b>"};
    struct sqa_text cells = {0}, curves = {0}, ops = {0}, horizon = {0};
    char file[128];
    OK(sqa_make_dirs(path, &failure));
    sqa_text_add(&cells,
                 "schema,key,phase,model,model_full,task,task_full,scale,length,batch,dtype,threads,seed,status,"
                 "flops,bytes,mem_planned_bytes,mem_own_bytes,latency_ns_median,throughput_tokens_per_s,test_n,"
                 "test_accuracy\n");
    sqa_text_add(&curves, "schema,key,step,split,loss,metric\n");
    sqa_text_add(&ops, "schema,key,phase,op,path,calls,flops,bytes,ns\n");
    sqa_text_add(&horizon, "schema,key,step,mse,mae\n");
    for (int t = 0; t < tasks; t++)
        for (int m = 0; m < 3; m++)
            for (int l = 0; l < 3; l++)
                for (int seed = 1; seed <= 2; seed++) {
                    const int length = 256 << l;
                    const double cost = m == 0 ? 1e3 * length * length : 2e5 * length,
                                 accuracy = 0.5 + 0.1 * m + 0.01 * seed + 0.02 * ((t + m) % 3);
                    char key[64];
                    snprintf(key, sizeof key, "k%d-%d-%d-%d", t, m, l, seed);
                    sqa_text_printf(
                        &cells,
                        "1,%s,train,%s,%s,\"task%d:length=%d\",\"task%d:length=%d\",lite,%d,4,f32,1,%d,ok,%.0f,"
                        "%d,%d,%d,%.0f,%.6g,500,%.4f\n",
                        key, models[m], models[m], t, length, t, length, length, seed, cost, 1000 * length,
                        4096 * length * (m + 1), 5000 * length, cost / 10, 4e9 * length / cost, accuracy);
                    for (int k = 1; k <= 4; k++)
                        sqa_text_printf(&curves, "1,%s,%d,valid,1,%.4f\n", key, 100 * k, accuracy - 0.1 / k);
                    sqa_text_printf(&ops, "1,%s,train,linear,a,1,%.0f,%d,%.0f\n", key, cost / 2, 500 * length,
                                    cost / 20);
                    for (int k = 1; k <= 3; k++)
                        sqa_text_printf(&horizon, "1,%s,%d,%.3f,1\n", key, k, 0.1 * k * (m + 1));
                }
    const struct {
        const char *name;
        struct sqa_text *text;
    } files[] = {{"cells", &cells}, {"curves", &curves}, {"ops", &ops}, {"horizon", &horizon}};
    for (size_t i = 0; i < COUNT(files); i++) {
        snprintf(file, sizeof file, "%s/%s.csv", path, files[i].name);
        OK(sqa_file_write(file, sqa_text_get(files[i].text), files[i].text->length, &failure));
        sqa_text_clear(files[i].text);
    }
}

static void read_pool(const char *path, struct sqa_pool *pool)
{
    OK(sqa_pool_read((const char *const[]){path}, 1, pool, &failure));
    OK(sqa_summarise(pool, &failure));
}

static void every_kind(void **state)
{
    char path[128];
    struct sqa_pool pool = {0};
    (void)state;
    snprintf(path, sizeof path, "%s/run", dir);
    make_run(path, 3);
    read_pool(path, &pool);
    const struct sqa_plots_from from = {.pool = &pool};
    for (const struct sqa_plots_kind *k = sqa_plots_kinds; k->name; k++) {
        struct sqa_plots plots = {0};
        struct sqa_text out = {0};
        if (!k->draw)
            continue;
        OK(k->draw(&plots, &from, &failure));
        assert_true(plots.n > 0);
        for (size_t i = 0; i < plots.n && i < 2; i++) {
            OK(sqa_plots_draw(&plots, i, 1, SQA_PLOT_INLINE, "f1", &out, &failure));
            harmless(out.text);
            assert_true(plots.at[i]->caption.length > 20);
            sqa_text_clear(&out);
        }
        sqa_plots_clear(&plots);
    }
    sqa_pool_clear(&pool);
}

/* Nine tasks of three lengths: 27 groups, so ranks are compared; the same order of models in nearly all. */
static void many_tasks(void **state)
{
    char path[128];
    struct sqa_pool pool = {0};
    struct sqa_plots plots = {0};
    struct sqa_rank_table t;
    (void)state;
    snprintf(path, sizeof path, "%s/many", dir);
    make_run(path, 9);
    read_pool(path, &pool);
    const struct sqa_plots_from from = {.pool = &pool};
    OK(sqa_rank_table(&from, &t, &failure));
    assert_int_equal(t.n_models, 3);
    assert_int_equal(t.n_groups, 27);
    assert_string_equal(t.models[0], "s4d'`x`<b>");
    assert_string_equal(t.models[2], "transformer");
    t.entries[3] = NULL; /* the best model on the second task */
    sqa_rank_table_complete(&t, 8);
    assert_int_equal(t.n_models, 3);
    assert_int_equal(t.n_groups, 26);
    sqa_rank_table_complete(&t, 27);
    assert_int_equal(t.n_models, 1);
    sqa_rank_table_clear(&t);
    OK(sqa_plots_critical_difference(&plots, &from, &failure));
    assert_int_equal(plots.n, 1);
    assert_non_null(strstr(plots.at[0]->caption.text, "3 models on the 27 tasks"));
    sqa_plots_clear(&plots);
    sqa_pool_clear(&pool);
}

static size_t count(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, what)); at++)
        n++;
    return n;
}

/* All figures of a report on one page: no id twice; without gnuplot one sentence. */
static void figures(void **state)
{
    char path[128];
    struct sqa_pool pool = {0};
    struct sqa_parts parts = {0};
    struct sqa_text page = {0};
    size_t drawn = 0;
    (void)state;
    snprintf(path, sizeof path, "%s/run", dir);
    read_pool(path, &pool);
    sqa_text_add(sqa_parts_markdown(&parts), "# A report\n\n");
    for (int place = SQA_FIGURES_QUALITY; place <= SQA_FIGURES_CURVES; place++)
        OK(sqa_figures(&parts, &pool, place, &failure));
    for (size_t i = 0; i < parts.n; i++) {
        drawn += parts.at[i].figure;
        assert_true(!parts.at[i].figure || parts.at[i].caption.length > 0);
        sqa_text_add(&page, sqa_text_get(&parts.at[i].text));
    }
    assert_true(drawn >= 10);
    assert_int_equal(count(page.text, "<svg "), drawn);
    for (const char *at = page.text; (at = strstr(at, " id='")); at += 5) {
        char id[64];
        snprintf(id, sizeof id, " id='%.*s'", (int)strcspn(at + 5, "'"), at + 5);
        assert_int_equal(count(page.text, id), 1);
    }
    assert_null(strstr(page.text, " id=\""));
    sqa_parts_clear(&parts);
    sqa_text_clear(&page);
    char *before = strdup(getenv("PATH"));
    setenv("PATH", dir, 1);
    for (int place = SQA_FIGURES_QUALITY; place <= SQA_FIGURES_CURVES; place++)
        OK(sqa_figures(&parts, &pool, place, &failure));
    setenv("PATH", before, 1);
    free(before);
    assert_int_equal(parts.n, 1);
    assert_int_equal(count(parts.at[0].text.text, "gnuplot is not installed"), 1);
    sqa_parts_clear(&parts);
    sqa_pool_clear(&pool);
}

static void write_text(const char *path, const char *text)
{
    OK(sqa_file_write(path, text, strlen(text), &failure));
}

static void forecast_and_truth(void **state)
{
    char next[128], truth[128];
    struct sqa_plots plots = {0};
    struct sqa_text out = {0};
    (void)state;
    snprintf(next, sizeof next, "%s/next.csv", dir);
    snprintf(truth, sizeof truth, "%s/truth.csv", dir);
    write_text(next, "date,OT\n2015-01-03,3\n2015-01-04,5\n");
    write_text(truth, "date,x,OT\n2015-01-01 00:00:00,1,1\n2015-01-02 00:00:00,1,2\n2015-01-03 00:00:00,1,4\n");
    OK(sqa_plots_forecast(&plots, next, truth, &failure));
    assert_int_equal(plots.n, 1);
    assert_string_equal(plots.at[0]->caption.text, "2 rows ahead; mean absolute error 1 over 1 values that came.");
    assert_non_null(strstr(plots.at[0]->script.text, "$was << EOD\n0 1\n1 2\nEOD\n$ahead << EOD\n1 2\n2 3\n3 5\n"));
    assert_non_null(strstr(plots.at[0]->script.text, "$came << EOD\n2 4\nEOD\n"));
    OK(sqa_plots_draw(&plots, 0, 1, SQA_PLOT_SVG, "f", &out, &failure));
    assert_non_null(strstr(out.text, "row 1: forecast 3, what came 4"));
    sqa_text_clear(&out);
    sqa_plots_clear(&plots);
    OK(sqa_plots_forecast(&plots, next, NULL, &failure));
    assert_null(strstr(plots.at[0]->script.text, "$came with"));
    sqa_plots_clear(&plots);
    write_text(truth, "date,other\n1,1\n");
    assert_int_equal(sqa_plots_forecast(&plots, next, truth, &failure), SQA_INPUT);
    write_text(next, "date,OT\n1,many\n");
    assert_int_equal(sqa_plots_forecast(&plots, next, NULL, &failure), SQA_INPUT);
    sqa_plots_clear(&plots);
}

static int make_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/seqarena-plot-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -r %s", dir);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(range_of_normals), cmocka_unit_test(demsar),
        cmocka_unit_test(friedman_known),   cmocka_unit_test(same_bytes),
        cmocka_unit_test(hostile),          cmocka_unit_test(every_kind),
        cmocka_unit_test(many_tasks),       cmocka_unit_test(forecast_and_truth),
        cmocka_unit_test(figures),
    };
    return cmocka_run_group_tests_name("plot", tests, make_dir, remove_dir);
}
