/*
 * papers.h - tables of papers in tests: one of the tree, or the text of one, filled from run directories
 */
#ifndef SQA_TESTS_PAPERS_H
#define SQA_TESTS_PAPERS_H

#include "harness/tables.h"
#include "reports/paper.h"
#include "tests/scratch.h"
#include "tests/support.h"

struct fixture {
    struct sqa_paper paper;
    struct sqa_published published;
    struct sqa_pool pool;
    struct sqa_paper_filled filled;
};

static __attribute__((unused)) const struct sqa_paper_options any = {NULL, NULL};

static enum sqa_status fill(struct fixture *f, const char *table, const char *const *dirs, size_t n,
                            const struct sqa_paper_options *options, struct sqa_err *err)
{
    *f = (struct fixture){0};
    assert_int_equal(*table == '[' ? sqa_paper_parse("own", table, &f->paper, err)
                                   : sqa_table_load(table, &f->paper, err),
                     SQA_OK);
    assert_int_equal(sqa_table_published(&f->published, err), SQA_OK);
    if (sqa_pool_read(dirs, n, &f->pool, err) != SQA_OK || sqa_summarise(&f->pool, err) != SQA_OK)
        fail_msg("%s", err->text);
    return sqa_paper_fill(&f->paper, &f->published, &f->pool, options, &f->filled, err);
}

static __attribute__((unused)) void fill_well(struct fixture *f, const char *table, const char *run,
                                              const struct sqa_paper_options *options)
{
    struct sqa_err err = {0};
    if (fill(f, table, &run, 1, options, &err) != SQA_OK)
        fail_msg("%s", err.text);
}

static void clear(struct fixture *f)
{
    sqa_paper_filled_clear(&f->filled);
    sqa_pool_clear(&f->pool);
    sqa_published_clear(&f->published);
    sqa_paper_clear(&f->paper);
}

static __attribute__((unused)) void near(double a, double b, double within)
{
    assert_near(a, b, within, "the figure");
}

#endif
