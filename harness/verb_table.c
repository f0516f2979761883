/* verb_table.c - table: paper tables from runs, beside the published numbers */
#include <string.h>

#include "harness/tables.h"
#include "harness/verbs.h"
#include "reports/grid.h"
#include "reports/page.h"

struct options {
    const char *format, *output, *scale, *padding, *runs;
    int plan, run, all;
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
    {"run", 0, SQA_OPTION_FLAG, NULL, "run those commands, then print the table", offsetof(struct options, run), 0,
     0},
    {"all", 0, SQA_OPTION_FLAG, NULL, "--plan, --run: every cell, whether a run has it or not",
     offsetof(struct options, all), 0, 0},
    {"runs", 0, SQA_OPTION_TEXT, "DIR", "--plan, --run: where run directories lie (default results/runs)",
     offsetof(struct options, runs), 0, 0},
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
    struct sqa_text runs;   /* a sentence on what was read */
    struct sqa_text figure; /* html: below the table */
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
    if (status == SQA_OK && strcmp(j->format, "html") == 0)
        sqa_bubbles_svg(&j->figure, &b);
    sqa_bubbles_clear(&b);
    for (int i = 0; i < 2; i++) {
        sqa_paper_filled_clear(&filled[i]);
        sqa_paper_clear(&papers[i]);
    }
    return status;
}

/* "From 2 run directories: `a`, `b`." */
static void say_runs(struct job *j, const struct sqa_texts *dirs)
{
    if (j->recorded) {
        sqa_text_printf(&j->runs, "No run was named: these are the recorded runs, %d director%s.", dirs->n,
                        dirs->n == 1 ? "y" : "ies");
        return;
    }
    sqa_text_printf(&j->runs, "From %d run director%s:", dirs->n, dirs->n == 1 ? "y" : "ies");
    for (int i = 0; i < dirs->n; i++) {
        sqa_text_add(&j->runs, i ? ", " : " ");
        sqa_markdown_code(&j->runs, dirs->at[i], false);
    }
    sqa_text_add(&j->runs, ".");
}

static enum sqa_status read_runs(struct job *j, const struct sqa_texts *dirs, struct sqa_err *err)
{
    enum sqa_status status = sqa_pool_read(dirs->at, (size_t)dirs->n, &j->pool, err);
    return status == SQA_OK ? sqa_summarise(&j->pool, err) : status;
}

/* --plan and --run: from one list of commands. *ran is how the runs ended. */
static enum sqa_status plan_or_run(struct job *j, struct sqa_texts *dirs, struct sqa_text *out, enum sqa_status *ran,
                                   struct sqa_err *err)
{
    const struct sqa_table_plan_options options = {j->o->scale, j->o->runs, j->o->all};
    struct sqa_table_commands c;
    enum sqa_status status = sqa_table_commands(&j->paper, &j->pool, &options, &c, err);
    if (status != SQA_OK)
        return status;
    if (j->o->plan)
        sqa_table_plan(&c, out);
    else
        *ran = sqa_table_run(&c, err);
    if (*ran == SQA_INTERRUPTED)
        status = *ran;
    else if (!j->o->plan)
        status = sqa_table_own_runs(j->paper.name, c.dir, &j->arena, dirs, err);
    sqa_table_commands_clear(&c);
    if (status != SQA_OK || j->o->plan)
        return status;
    sqa_pool_clear(&j->pool);
    return read_runs(j, dirs, *ran == SQA_OK ? err : NULL);
}

/* *ran: how --run ended; its table is printed all the same. */
static enum sqa_status do_job(struct job *j, const struct sqa_texts *operands, struct sqa_text *out,
                              enum sqa_status *ran, struct sqa_err *err)
{
    struct sqa_texts dirs = {.n = operands->n - 1};
    const bool plan = j->o->plan || j->o->run;
    for (int i = 0; i < dirs.n; i++)
        dirs.at[i] = operands->at[i + 1];
    j->recorded = dirs.n == 0;
    enum sqa_status status = check_format(j->format, err);
    if (status == SQA_OK && (j->o->plan ? j->o->run : !j->o->run && (j->o->all || j->o->runs)))
        status = sqa_fail(err, SQA_USAGE, "table: %s",
                          j->o->run ? "--plan and --run; leave one out"
                                    : "--all and --runs are for --plan and --run; add one of them");
    if (status == SQA_OK)
        status = sqa_table_load(operands->at[0], &j->paper, err);
    if (status == SQA_OK && strcmp(j->format, "svg") == 0 && j->paper.kind != SQA_PAPER_BUBBLES)
        status = sqa_fail(err, SQA_USAGE, "table %s: it is no figure; use md, html, latex or csv", j->paper.name);
    if (status == SQA_OK)
        status = sqa_table_published(&j->published, err);
    if (status == SQA_OK && j->recorded)
        status = sqa_table_recorded(&j->arena, &dirs, err);
    if (status == SQA_OK && plan)
        status = sqa_table_own_runs(j->paper.name, j->o->runs ? j->o->runs : "results/runs", &j->arena, &dirs, err);
    if (status == SQA_OK)
        status = read_runs(j, &dirs, err);
    if (status == SQA_OK && plan)
        status = plan_or_run(j, &dirs, out, ran, err);
    if (status != SQA_OK || j->o->plan)
        return status;
    say_runs(j, &dirs);
    return (j->paper.kind == SQA_PAPER_BUBBLES ? write_figure : write_filled)(j, out, *ran == SQA_OK ? err : NULL);
}

static enum sqa_status run_table(void *options, const struct sqa_texts *operands, struct sqa_err *err)
{
    const struct options *o = options;
    struct job j = {.o = o, .format = o->format ? o->format : "md"};
    struct sqa_text t = {0};
    enum sqa_status ran = SQA_OK, status = do_job(&j, operands, &t, &ran, err);
    t.failed = t.failed || j.runs.failed || j.figure.failed;
    sqa_text_clear(&j.runs);
    sqa_pool_clear(&j.pool);
    sqa_published_clear(&j.published);
    sqa_paper_clear(&j.paper);
    sqa_arena_clear(&j.arena);
    if (status == SQA_OK && o->format && (strcmp(o->format, "html") == 0 || strcmp(o->format, "latex") == 0)) {
        struct sqa_text markdown = t;
        t = (struct sqa_text){0};
        status = sqa_page_of_markdown(o->format, operands->at[0], &markdown, &j.figure,
                                      "Score against speed; the area of a circle is its memory.", &t, err);
    }
    sqa_text_clear(&j.figure);
    if (status == SQA_OK)
        status = sqa_print(&t, o->output, ran == SQA_OK ? err : NULL);
    else
        sqa_text_clear(&t);
    return ran != SQA_OK ? ran : status;
}

const struct sqa_verb sqa_verb_table = {
    .name = "table",
    .usage = "NAME [RUN...] [--format FORMAT] [-o FILE] [--plan|--run]",
    .help = "a table of a paper: measured beside published",
    .options = options_table,
    .options_size = sizeof(struct options),
    .operands_min = 1,
    .operands_max = -1,
    .run = run_table,
    .more = "Without RUN: the recorded runs that are installed. seqarena list tables names the tables.\n\n"
            "--plan says which cells no run has, what they would cost on this machine and which commands run them;\n"
            "--run runs those commands and prints the table. A run that was killed goes on where it was by the same\n"
            "command: directories DIR/NAME-* are the plan's own, and what they have counts as done, not as there.\n"
            "--all runs every cell anew, also what a recorded run has. The exit status is that of the first run\n"
            "that did not end well; the table is printed all the same.\n\n"
            "examples: seqarena table lra-1 results/runs/lra-1-* -o lra-1.md\n"
            "          seqarena table lra-figure --format svg -o figure.svg\n"
            "          seqarena table audit --run --all\n",
};
