/*
 * test_published.c - what claims to be published is in results/published: names in table files, figures in pages
 *
 * A Markdown table of a page that has a column of published figures says so in its header, with the ids of the tables
 * they are printed in: "published, `lra_t1`", or "NLinear, published, `ltsf_t2_multivariate`". Every figure in such a
 * column must be printed there, to the digit. Typed files of other papers are compared with the import when they are
 * there (SEQARENA_SHARED).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "harness/tables.h"
#include "reports/paper_private.h"

static struct sqa_published published;

static const struct sqa_published_row *find(const char *id, const char *model, const char *task, const char *metric)
{
    return sqa_published_find(&published, id, model, task, metric);
}

/* Whether any of the table's published tables has the name; a model or a task. */
static bool known(const struct sqa_paper *p, const char *model, const char *task)
{
    for (size_t i = 0; i < p->n_published; i++)
        if (find(p->published[i], model, task, NULL))
            return true;
    return false;
}

static void check_facts(const struct sqa_paper *p)
{
    for (size_t r = 0; r < p->n_rows; r++)
        for (size_t i = 0; i < p->n_published; i++)
            for (const char *at = p->rows[r].published[i]; at && *at;) {
                const struct sqa_paper_column *on = p->rows[r].on;
                char name[128];
                at = sqa_paper_next_name(at, name, sizeof name);
                if (!find(p->published[i], name, on->published, on->metric ? on->metric : "accuracy"))
                    fail_msg("table %s, row %s: %s has no %s, %s", p->name, p->rows[r].label, p->published[i], name,
                             on->published);
            }
}

static void check_names(const struct sqa_paper *p)
{
    for (size_t i = 0; i < p->n_published; i++)
        if (!find(p->published[i], NULL, NULL, NULL))
            fail_msg("table %s: no published table %s", p->name, p->published[i]);
    if (p->kind == SQA_PAPER_FACTS) {
        check_facts(p);
        return;
    }
    for (size_t c = 0; p->n_published && c < p->n_columns; c++)
        if (!known(p, NULL, p->columns[c].published) && !p->columns[c].mean)
            fail_msg("table %s, column %s: %s is in none of its published tables", p->name, p->columns[c].label,
                     p->columns[c].published);
    for (size_t r = 0; r < p->n_rows; r++) {
        const struct sqa_paper_row *row = &p->rows[r];
        bool any = false;
        for (size_t i = 0; i < p->n_published; i++) {
            const bool there = row->published[i] && find(p->published[i], row->published[i], NULL, NULL);
            any = any || there;
            if (row->published[i] && strcmp(row->published[i], row->label) != 0 && !there)
                fail_msg("table %s, row %s: %s has no model %s", p->name, row->label, p->published[i],
                         row->published[i]);
        }
        if (!row->model && !any)
            fail_msg("table %s, row %s: neither a model nor published", p->name, row->label);
    }
}

static void table_files_name_what_is_printed(void **state)
{
    (void)state;
    struct sqa_arena arena = {0};
    const char *names[SQA_TABLE_NAMES];
    struct sqa_err err = {0};
    const size_t n = sqa_table_names(&arena, names);
    assert_true(n > 0);
    for (size_t i = 0; i < n; i++) {
        struct sqa_paper p;
        if (sqa_table_load(names[i], &p, &err) != SQA_OK)
            fail_msg("%s", err.text);
        check_names(&p);
        sqa_paper_clear(&p);
    }
    sqa_arena_clear(&arena);
}

static void every_number_has_its_source(void **state)
{
    (void)state;
    assert_true(published.n > 4000);
    for (size_t i = 0; i < published.n; i++)
        assert_true(*published.rows[i].source && *published.rows[i].table);
}

/* Whether one of the published tables named in the header prints the text as a value. */
static bool printed(const char *header, const char *value)
{
    for (size_t i = 0; i < published.n; i++) {
        char id[128];
        snprintf(id, sizeof id, "`%s`", published.rows[i].id);
        if (strcmp(published.rows[i].text, value) == 0 && strstr(header, id))
            return true;
    }
    return false;
}

/* Cells of a Markdown row, in place; returns their number. */
static size_t split(char *line, char *cells[64])
{
    size_t n = 0;
    for (char *at = line + 1; *at && n < 64;) {
        char *end = strchr(at, '|');
        if (!end)
            break;
        *end = '\0';
        at += strspn(at, " ");
        for (char *last = end; last > at && last[-1] == ' ';)
            *--last = '\0';
        cells[n++] = at;
        at = end + 1;
    }
    return n;
}

/* Every figure of a cell that has a point. "lra_t1: Transformer 36.37, Reformer 37.27; ..." carries its own ids. */
static size_t check_cell(const char *page, const char *header, const char *cell)
{
    char ids[160];
    size_t n = 0;
    snprintf(ids, sizeof ids, "%s", header);
    for (const char *at = cell; *at;) {
        char word[64];
        const size_t size = strcspn(at, " ,;()*");
        snprintf(word, sizeof word, "%.*s", (int)(size < 63 ? size : 63), at);
        const size_t length = strlen(word);
        if (length > 1 && word[length - 1] == ':') {
            word[length - 1] = '\0';
            snprintf(ids, sizeof ids, "`%s`", word);
        } else if (strchr(word, '.') && strspn(word, "0123456789.") == length) {
            n++;
            if (!strchr(ids, '`'))
                fail_msg("%s: \"%s\" does not name its published table: published, `ID`", page, header);
            if (!printed(ids, word))
                fail_msg("%s: %s under \"%s\" is not printed there", page, word, ids);
        }
        at += size + (at[size] != '\0');
    }
    return n;
}

static size_t check_page(const char *path)
{
    char *text = NULL, *headers[64] = {NULL};
    size_t size, columns = 0, n = 0;
    struct sqa_err err = {0};
    if (sqa_file_read(path, 1 << 22, &text, &size, &err) != SQA_OK)
        fail_msg("%s", err.text);
    for (char *line = text, *next; line; line = next) {
        char *cells[64];
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        if (*line != '|') {
            columns = 0;
            continue;
        }
        const size_t found = split(line, cells);
        if (columns == 0) {
            memcpy(headers, cells, sizeof cells);
            columns = found;
            continue;
        }
        for (size_t c = 0; c < found && c < columns; c++) {
            if (strstr(headers[c], "published"))
                n += check_cell(path, headers[c], cells[c]);
        }
    }
    sqa_free(text);
    return n;
}

static void figures_in_pages_are_printed(void **state)
{
    (void)state;
    static const char *const pages[] = {"README.md",           "results/README.md",       "docs/audit.md",
                                        "docs/lra-audit.md",   "docs/forecasting.md",     "docs/protocols.md",
                                        "docs/measurement.md", "docs/reading-a-report.md"};
    size_t n = 0;
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++)
        n += check_page(pages[i]);
    assert_true(n > 40);
}

/* The import loses nothing of the typed files: run again it gives the same bytes. */
static void imports_are_whole(void **state)
{
    (void)state;
    static const char *const commands[] = {
        "d=\"$SEQARENA_SHARED/published\"; LC_ALL=C awk -f results/published/import.awk \"$d\"/lra_*.csv | "
        "cmp -s - results/published/lra.csv",
        "d=\"$SEQARENA_SHARED/published\"; LC_ALL=C awk -f results/published/forecast.awk \"$d\"/forecast_ltsf.csv "
        "\"$d\"/forecast_informer.csv \"$d\"/forecast_itransformer.csv \"$d\"/forecast_patchtst.csv "
        "\"$d\"/forecast_tfb.csv | cmp -s - results/published/forecast.csv"};
    const char *shared = getenv("SEQARENA_SHARED");
    char path[4096];
    snprintf(path, sizeof path, "%s/published/forecast_tfb.csv", shared && *shared ? shared : "../shared");
    if (!sqa_file_exists(path))
        skip();
    assert_int_equal(setenv("SEQARENA_SHARED", shared && *shared ? shared : "../shared", 1), 0);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        assert_int_equal(system(commands[i]), 0);
}

static int read_published(void **state)
{
    (void)state;
    struct sqa_err err = {0};
    return setenv("SEQARENA_RESULTS", "results", 1) || sqa_table_published(&published, &err) != SQA_OK;
}

static int clear_published(void **state)
{
    (void)state;
    sqa_published_clear(&published);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_files_name_what_is_printed), cmocka_unit_test(every_number_has_its_source),
        cmocka_unit_test(figures_in_pages_are_printed), cmocka_unit_test(imports_are_whole)};
    return cmocka_run_group_tests(tests, read_published, clear_published);
}
