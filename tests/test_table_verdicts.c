/* test_table_verdicts.c - verdicts of cells, tables of facts and the page made of one, commands of --plan and --run */
#include <setjmp.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/table_rows.h"

static enum sqa_paper_verdict verdict(const struct fixture *f, const char *model, const char *column)
{
    return cell(f, 0, SQA_LINE_MEASURED, model, column)->verdict;
}

/* Published: 36.37, 15.82, 17.07, 35.63, 35.70. Wilson intervals of 10,000 examples are about a point wide each way. */
static void test_verdicts(void **state)
{
    (void)state;
#define LONG_RUN(model, scale, n, accuracy)                                                         \
    {                                                                                               \
        model, "listops", scale, "1", "1000", n, accuracy, NULL, NULL, NULL, NULL, NULL, NULL, NULL \
    }
    static const struct made made[] = {
        LONG_RUN("transformer", "lite", "10000", "0.3690"),    LONG_RUN("local", "lite", "10000", "0.2990"),
        LONG_RUN("sparse_transformer", "lite", "100", "0.18"), LONG_RUN("longformer", "smoke", "10000", "0.3563"),
        LONG_RUN("linformer", "lite", "10000", "0.3890"),
    };
    static const char text[] =
        "[table]\ntitle = t\nsource = s\nkind = accuracy\npublished = lra_t1\nscale = lite\ntolerance = 3.0 points\n"
        "[column ListOps]\ntask = listops\naccept = ^listops\nfootnote = Long lists.\n"
        "[row Transformer]\nmodel = transformer\n[row Local Attention]\nmodel = local\n"
        "[row Sparse Transformer]\nmodel = sparse_transformer\n[row Longformer]\nmodel = longformer\n"
        "[row Linformer]\nmodel = linformer\ntolerance = 1 points\ntolerance.ListOps = 15 %\n";
    struct fixture f;
    struct sqa_text t = {0};
    make_run("judged", made, sizeof made / sizeof made[0], N_COLUMNS, NULL);
    fill_well(&f, text, "judged", &any);
    assert_int_equal(verdict(&f, "transformer", "ListOps"), SQA_PAPER_REPRODUCED);
    assert_int_equal(verdict(&f, "local", "ListOps"), SQA_PAPER_NOT);
    assert_int_equal(verdict(&f, "sparse_transformer", "ListOps"), SQA_PAPER_CANNOT_TELL);
    assert_int_equal(verdict(&f, "longformer", "ListOps"), SQA_PAPER_OTHER_SCALE); /* the very figure, elsewhere */
    assert_int_equal(verdict(&f, "linformer", "ListOps"), SQA_PAPER_REPRODUCED);   /* 5.4 points are 15 % */
    near(cell(&f, 0, SQA_LINE_MEASURED, "linformer", "ListOps")->tolerance, 5.355, 1e-9);
    assert_int_equal(verdict(&f, "transformer", "mean of 1"), SQA_PAPER_NO_VERDICT);
    sqa_paper_markdown(&t, &f.filled, NULL);
    has(t.text, "36.90 ✓ [");
    has(t.text, "29.90 ✗ [");
    has(t.text, "18.00 ? [");
    has(t.text, " ListOps¹ |");
    has(t.text, "- ¹: Long lists.\n");
    has(t.text,
        "Of 5 measured cells with a published figure: 2 reproduced, 1 not, 1 cannot be told, 1 of another scale");
    sqa_text_clear(&t);
    sqa_paper_csv(&t, &f.filled);
    has(t.text, ",reproduced,3,36.37\n");
    has(t.text, ",other scale,3,35.63\n");
    sqa_text_clear(&t);
    clear(&f);
}

/* What a fact sets side by side, and which cells it needs. */
static void test_facts(void **state)
{
    (void)state;
    static const struct made made[] = {LISTS("first_token", "1", "0.34", "1"), LISTS("local", "1", "0.40", NULL),
                                       LISTS("local", "2", "0.41", NULL), LISTS("local:form=lra", "1", "0.38", NULL),
                                       LISTS("local:form=lra", "2", "0.40", NULL)};
    struct fixture f;
    struct sqa_text t = {0};
    struct sqa_paper_plan plan;
    struct sqa_err err = {0};
    make_run("run", made, sizeof made / sizeof made[0], N_COLUMNS, NULL);
    fill_well(&f, "audit", "run", &any);
    assert_int_equal(f.filled.n_panels, 2);
    const struct sqa_paper_panel *p = &f.filled.panels[0];
    const struct sqa_paper_line *l = NULL;
    for (size_t i = 0; i < p->n_lines; i++)
        l = strcmp(p->lines[i].label, "ListOps, short: Local Attention as the code") == 0 ? &p->lines[i] : l;
    assert_non_null(l);
    assert_string_equal(l->cells[1].text, "lra_t1: Local Attention 15.82");
    near(l->cells[2].x.mean, 39, 1e-9);
    near(l->cells[3].x.mean, 40.5, 1e-9);
    near(l->cells[4].x.mean, -1.5, 1e-9);
    assert_true(isnan(p->lines[0].cells[2].x.mean)); /* first_token of long lists was not run */
    assert_int_equal(
        sqa_paper_missing(&f.paper, &f.pool, &(struct sqa_paper_plan_options){.scale = NULL}, &plan, &err), SQA_OK);
    assert_int_equal(plan.n_cells, 5 + 20 + 24); /* floors, ten models in two forms, twelve sets of windows twice */
    assert_int_equal(plan.n, plan.n_cells - 2);  /* local in both forms; first_token only on the long lists */
    sqa_paper_plan_clear(&plan);
    sqa_paper_markdown(&t, &f.filled, NULL);
    has(t.text, "| where ");
    sqa_text_clear(&t);
    clear(&f);
}

/* The page that is cited is the table of the recorded runs. */
static void test_audit_page(void **state)
{
    (void)state;
    static const char *const runs[] = {"first-token/2000",  "first-token/20000", "lra-audit/paper", "lra-audit/code",
                                       "pathfinder-floors", "repeat-last-ili",   "listops-lite",    "repeat-last"};
    enum { N = sizeof runs / sizeof runs[0] };
    static const char mark[] = "<!-- table audit -->\n\n";
    char dirs[N][1200], path[1200], *page = NULL;
    const char *names[N];
    struct fixture f;
    struct sqa_text t = {0}, whole = {0};
    struct sqa_err err = {0};
    size_t size;
    for (int i = 0; i < N; i++) {
        snprintf(dirs[i], sizeof dirs[i], "%s/results/recorded/%s", top, runs[i]);
        names[i] = dirs[i];
    }
    assert_int_equal(fill(&f, "audit", names, N, &any, &err), SQA_OK);
    sqa_paper_markdown(&t, &f.filled, NULL);
    const char *table = strstr(sqa_text_get(&t), "## ");
    snprintf(path, sizeof path, "%s/docs/audit.md", top);
    if (sqa_file_read(path, 1 << 20, &page, &size, &err) != SQA_OK)
        fail_msg("%s", err.text);
    char *end = strstr(page, "<!-- table audit -->");
    assert_non_null(end);
    sqa_text_printf(&whole, "%.*s%s%s", (int)(end - page), page, mark, table);
    if (getenv("SEQARENA_UPDATE_REF"))
        assert_int_equal(sqa_file_write(path, whole.text, whole.length, &err), SQA_OK);
    else
        assert_string_equal(page, whole.text);
    for (size_t k = 0; k < f.filled.n_panels; k++) /* nothing of it is missing */
        for (size_t i = 0; i < f.filled.panels[k].n_lines; i++)
            assert_non_null(f.filled.panels[k].lines[i].cells[2].entry);
    sqa_free(page);
    sqa_text_clear(&t);
    sqa_text_clear(&whole);
    clear(&f);
}

/* What the plan's own directory has is done, not there: the command stays the same until all of it is. */
static void test_own_runs(void **state)
{
    (void)state;
    static const struct made made[] = {RAN("transformer", "image", "1", "0.40"), RAN("local", "image", "1", "0.40")};
    const struct sqa_table_plan_options none = {.scale = NULL}, all = {.all = true, .dir = "there"};
    struct sqa_table_commands c;
    struct fixture f;
    struct sqa_text t = {0};
    struct sqa_err err = {0};
    make_run("lra-3-Image", made, 2, N_COLUMNS, NULL);
    fill_well(&f, "lra-3", "lra-3-Image", &any);
    assert_int_equal(sqa_table_commands(&f.paper, &f.pool, &none, &c, &err), SQA_OK);
    assert_int_equal(c.n, 1);
    assert_int_equal(c.n_missing, 9);
    sqa_table_plan(&c, &t);
    has(t.text, "9 of 11 cells are missing");
    has(t.text, "  seqarena run --model transformer --model local --model sparse_transformer ");
    has(t.text, "    transformer                  done\n");
    sqa_table_commands_clear(&c);
    sqa_text_clear(&t);
    clear(&f);
    make_run("run", made, 2, N_COLUMNS, NULL);
    fill_well(&f, "lra-3", "run", &any);
    assert_int_equal(sqa_table_commands(&f.paper, &f.pool, &none, &c, &err), SQA_OK);
    sqa_table_plan(&c, &t);
    has(t.text, "  seqarena run --model sparse_transformer ");
    sqa_table_commands_clear(&c);
    sqa_text_clear(&t);
    assert_int_equal(sqa_table_commands(&f.paper, &f.pool, &all, &c, &err), SQA_OK);
    assert_int_equal(c.n_missing, 11);
    assert_string_equal(c.at[0].folder, "there/lra-3-Image");
    sqa_table_commands_clear(&c);
    clear(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_facts),
        cmocka_unit_test(test_audit_page),
        cmocka_unit_test(test_own_runs),
    };
    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
