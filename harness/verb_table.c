/* verb_table.c - table: paper tables from runs, beside the published numbers */
#include <string.h>

#include "harness/tables.h"
#include "harness/verbs.h"
#include "reports/grid.h"
#include "reports/page.h"

struct options {
    const char *format, *output, *scale, *padding;
    int plan;
};
static const struct sqa_option options_table[] = {
    {"format", 'f', SQA_OPTION_TEXT, "FORMAT", "md, html, latex, csv or svg (default md; svg: figures only)",
     offsetof(struct options, format), 0, 0},
    {"output", 'o', SQA_OPTION_TEXT, "FILE", "write to FILE instead of standard output",
     offsetof(struct options, output), 0, 0},
    {"scale", 0, SQA_OPTION_TEXT, "NAME", "only rows of this recipe; --plan: run this one",
     offsetof(struct options, scale), 0, 0},
    {"padding", 0, SQA_OPTION_TEXT, "MODE", "only rows that ran padded, or packed", offsetof(struct options, padding),
     0, 0},
    {"plan", 0, SQA_OPTION_FLAG, NULL, "print the missing cells, and the commands that run them",
     offsetof(struct options, plan), 0, 0},
    {.name = NULL},
};

static enum sqa_status check_format(const char *format, struct sqa_err *err)
{
    static const char *const known[] = {"md", "csv", "svg", "html", "latex"};
    const size_t n = sizeof known / sizeof known[0];
    for (size_t i = 0; i < n; i++)
        if (strcmp(format, known[i]) == 0)
            return SQA_OK;
    const char *near = sqa_nearest(format, known, n);
    return sqa_fail(err, SQA_USAGE, "table: unknown format \"%.40s\"%s%s%s; use md, html, latex, csv or svg", format,
                    near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
}

/* Everything that one invocation reads. */
struct job {
    const struct options *o;
    const char *format;
    struct sqa_paper paper;
    struct sqa_published published;
    struct sqa_pool pool;
    struct sqa_arena arena;
    struct sqa_text runs; /* a sentence on what was read */
    bool recorded;
};

static enum sqa_status write_filled(struct job *j, struct sqa_text *out, struct sqa_err *err)
{
    struct sqa_paper_filled t;
    const struct sqa_paper_options options = {j->o->scale, j->o->padding};
    const enum sqa_status status = sqa_paper_fill(&j->paper, &j->published, &j->pool, &options, &t, err);
    if (status != SQA_OK)
        return status;
    if (strcmp(j->format, "csv") == 0)
        sqa_paper_csv(out, &t);
    else
        sqa_paper_markdown(out, &t, sqa_text_get(&j->runs));
    sqa_paper_filled_clear(&t);
    return SQA_OK;
}

static enum sqa_status write_figure(struct job *j, struct sqa_text *out, struct sqa_err *err)
{
    struct sqa_paper papers[2] = {0};
    struct sqa_paper_filled filled[2] = {0};
    struct sqa_bubbles b = {0};
    const char *const names[2] = {j->paper.score, j->paper.speed};
    enum sqa_status status = SQA_OK;
    for (int i = 0; i < 2 && status == SQA_OK; i++) {
        /* A scale names the recipe of the scores; times come from bench. */
        const struct sqa_paper_options options = {i == 0 ? j->o->scale : NULL, j->o->padding};
        status = sqa_table_load(names[i], &papers[i], err);
        if (status == SQA_OK && papers[i].kind == SQA_PAPER_BUBBLES)
            status = sqa_fail(err, SQA_INPUT, "table %s: %s is a figure itself; correct its file", j->paper.name,
                              names[i]);
        if (status == SQA_OK)
            status = sqa_paper_fill(&papers[i], &j->published, &j->pool, &options, &filled[i], err);
    }
    if (status == SQA_OK)
        status = sqa_bubbles_make(&j->paper, &filled[0], &filled[1], &b, err);
    if (status == SQA_OK && strcmp(j->format, "csv") != 0 && strcmp(j->format, "svg") != 0)
        sqa_bubbles_markdown(out, &b, sqa_text_get(&j->runs));
    else if (status == SQA_OK)
        (strcmp(j->format, "svg") == 0 ? sqa_bubbles_svg : sqa_bubbles_csv)(out, &b);
    sqa_bubbles_clear(&b);
    for (int i = 0; i < 2; i++) {
        sqa_paper_filled_clear(&filled[i]);
        sqa_paper_clear(&papers[i]);
    }
    return status;
}

static enum sqa_status write_plan(struct job *j, struct sqa_text *out, struct sqa_err *err)
{
    if (j->paper.kind == SQA_PAPER_BUBBLES)
        return sqa_fail(err, SQA_USAGE, "table %s --plan: it is drawn from tables %s and %s; plan those",
                        j->paper.name, j->paper.score, j->paper.speed);
    return sqa_table_plan(&j->paper, &j->pool, j->o->scale, out, err);
}

/* "From 2 run directories: `a`, `b`." */
static void say_runs(struct job *j, const struct sqa_texts *dirs)
{
    sqa_text_printf(&j->runs,
                    "%s%d run director%s:", j->recorded ? "No run was named: these are the recorded runs, " : "From ",
                    dirs->n, dirs->n == 1 ? "y" : "ies");
    for (int i = 0; i < dirs->n; i++) {
        sqa_text_add(&j->runs, i ? ", " : " ");
        sqa_markdown_code(&j->runs, dirs->at[i], false);
    }
    sqa_text_add(&j->runs, ".");
}

static enum sqa_status do_job(struct job *j, const struct sqa_texts *operands, struct sqa_text *out,
                              struct sqa_err *err)
{
    struct sqa_texts dirs = {.n = operands->n - 1};
    for (int i = 0; i < dirs.n; i++)
        dirs.at[i] = operands->at[i + 1];
    j->recorded = dirs.n == 0;
    enum sqa_status status = check_format(j->format, err);
    if (status == SQA_OK)
        status = sqa_table_load(operands->at[0], &j->paper, err);
    if (status == SQA_OK && strcmp(j->format, "svg") == 0 && j->paper.kind != SQA_PAPER_BUBBLES)
        status = sqa_fail(err, SQA_USAGE, "table %s: it is no figure; use md, html, latex or csv", j->paper.name);
    if (status == SQA_OK)
        status = sqa_table_published(&j->published, err);
    if (status == SQA_OK && j->recorded)
        status = sqa_table_recorded(&j->arena, &dirs, err);
    if (status == SQA_OK)
        status = sqa_pool_read(dirs.at, (size_t)dirs.n, &j->pool, err);
    if (status == SQA_OK)
        status = sqa_summarise(&j->pool, err);
    say_runs(j, &dirs);
    if (status == SQA_OK)
        status = (j->o->plan                           ? write_plan
                  : j->paper.kind == SQA_PAPER_BUBBLES ? write_figure
                                                       : write_filled)(j, out, err);
    return status;
}

static enum sqa_status run_table(void *options, const struct sqa_texts *operands, struct sqa_err *err)
{
    const struct options *o = options;
    struct job j = {.o = o, .format = o->format ? o->format : "md"};
    struct sqa_text t = {0};
    enum sqa_status status = do_job(&j, operands, &t, err);
    t.failed = t.failed || j.runs.failed;
    sqa_text_clear(&j.runs);
    sqa_pool_clear(&j.pool);
    sqa_published_clear(&j.published);
    sqa_paper_clear(&j.paper);
    sqa_arena_clear(&j.arena);
    if (status == SQA_OK && o->format && (strcmp(o->format, "html") == 0 || strcmp(o->format, "latex") == 0)) {
        struct sqa_text markdown = t;
        t = (struct sqa_text){0};
        status = sqa_page_of_markdown(o->format, operands->at[0], &markdown, &t, err);
    }
    if (status == SQA_OK)
        return sqa_print(&t, o->output, err);
    sqa_text_clear(&t);
    return status;
}

const struct sqa_verb sqa_verb_table = {
    .name = "table",
    .usage = "NAME [RUN...] [--format FORMAT] [-o FILE] [--plan]",
    .help = "a table of a paper: measured beside published",
    .options = options_table,
    .options_size = sizeof(struct options),
    .operands_min = 1,
    .operands_max = -1,
    .run = run_table,
    .more = "Without RUN: the recorded runs that are installed. seqarena list tables names the tables.\n"
            "example: seqarena table lra-1 results/runs/lra-1-* -o lra-1.md\n"
            "         seqarena table lra-figure --format svg -o figure.svg\n",
};
