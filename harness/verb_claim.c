/* verb_claim.c - claim: a paper's headline, tested */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "harness/claims.h"
#include "harness/tables.h"
#include "harness/verbs.h"

struct options {
    const char *format, *output;
    struct sqa_claim_limits limits;
    int plan, quiet;
};
#define AT(field) offsetof(struct options, field)
static const struct sqa_option options_table[] = {
    {"format", 'f', SQA_OPTION_TEXT, "md|json", "what to write (default md)", AT(format), 0, 0},
    {"output", 'o', SQA_OPTION_TEXT, "DIR", "folder of its runs (default results/runs/claim-NAME); goes on there",
     AT(output), 0, 0},
    {"plan", 0, SQA_OPTION_FLAG, NULL, "print the commands of the experiment and their cost, run nothing", AT(plan),
     0, 0},
    {"lengths", 0, SQA_OPTION_TEXT, "1K,2K,...", "only these lengths, for a quick look", AT(limits.lengths), 0, 0},
    {"rounds", 0, SQA_OPTION_TEXT, "N", "rounds of timing instead of the claim's", AT(limits.rounds), 0, 0},
    {"seeds", 0, SQA_OPTION_TEXT, "N", "training seeds instead of the claim's", AT(limits.seeds), 0, 0},
    {"data", 0, SQA_OPTION_TEXT, "DIR", "where data files lie (else $SEQARENA_DATA, ./data)", AT(limits.data), 0, 0},
    {"quiet", 'q', SQA_OPTION_FLAG, NULL, "no progress", AT(quiet), 0, 0},
    {.name = NULL},
};

/* Everything that one invocation reads and makes. */
struct job {
    const struct options *o;
    struct sqa_claim_limits limits;
    struct sqa_arena arena;
    struct sqa_claim claim;
    struct sqa_claim_command commands[SQA_CLAIM_CELLS];
    struct sqa_pool pool;
    struct sqa_claim_judged judged;
    const char *why[SQA_CLAIM_TESTS];
    struct sqa_texts dirs;
};

static enum sqa_status list_claims(struct sqa_err *err)
{
    const struct sqa_texts operands = {.n = 1, .at = {"claims"}, .own = 1};
    void *options = sqa_alloc(sqa_verb_list.options_size);
    const enum sqa_status status = options
                                       ? sqa_verb_list.run(options, &operands, err)
                                       : sqa_fail(err, SQA_NOMEM, "claim: no memory; free some memory and run again");
    sqa_free(options);
    return status;
}

/* Whether a test of cells can be tested here. */
static bool worth_running(const struct job *j, const struct sqa_claim_cells *cells)
{
    for (size_t i = 0; i < j->claim.n_tests; i++)
        if (j->claim.tests[i].cells == cells && !j->why[i])
            return true;
    return false;
}

static enum sqa_status make_commands(struct job *j, struct sqa_err *err)
{
    char dir[512];
    enum sqa_status status = SQA_OK;
    const bool limited = j->limits.lengths || j->limits.rounds || j->limits.seeds;
    snprintf(dir, sizeof dir, "results/runs/claim-%s%s", j->claim.name, limited ? "-limited" : "");
    for (size_t i = 0; i < j->claim.n_cells && status == SQA_OK; i++)
        status = sqa_claim_command(&j->claim.cells[i], &j->limits, j->o->output ? j->o->output : dir, &j->arena,
                                   &j->commands[i], err);
    for (size_t i = 0; i < j->claim.n_tests; i++)
        j->why[i] = sqa_claim_why_not(&j->claim.tests[i], j->limits.data, &j->arena);
    for (size_t i = 0; i < j->claim.n_cells; i++)
        if (!worth_running(j, &j->claim.cells[i]))
            j->commands[i].argc = 0;
    return status;
}

static bool has_file(const char *dir, const char *name)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return sqa_file_exists(path);
}

/* Runs one cells. Failed rows speak for themselves; what leaves no rows for want of data or of a form is the reason of
 * its tests; anything else, such as a folder of another run, is an error. */
static enum sqa_status run_cells(struct job *j, size_t i, struct sqa_err *err)
{
    struct sqa_claim_command *c = &j->commands[i];
    if (c->argc == 0)
        return SQA_OK;
    const bool existed = has_file(c->dir, "run.json");
    if (!j->o->quiet)
        fprintf(stderr, "claim %s: %s (%zu of %zu)\n", j->claim.name, j->claim.cells[i].label, i + 1,
                j->claim.n_cells);
    const enum sqa_status status = sqa_again(c->argc, c->argv, err);
    const bool rows = has_file(c->dir, "cells.csv"),
               here = status == SQA_INPUT || status == SQA_SHAPE || status == SQA_UNSUPPORTED;
    if (status == SQA_INTERRUPTED || status == SQA_USAGE ||
        (status != SQA_OK && status != SQA_PARTIAL && (existed || (!rows && !here))))
        return status;
    if (rows)
        j->dirs.at[j->dirs.n++] = c->dir;
    for (size_t t = 0; t < j->claim.n_tests && status != SQA_OK && status != SQA_PARTIAL; t++)
        if (j->claim.tests[t].cells == &j->claim.cells[i] && !j->why[t])
            j->why[t] = sqa_arena_strdup(&j->arena, err->text);
    return SQA_OK;
}

static enum sqa_status plan(struct job *j, struct sqa_text *out, struct sqa_err *err)
{
    struct sqa_err none;
    struct sqa_texts recorded = {0};
    enum sqa_status status = SQA_OK;
    if (sqa_table_recorded(&j->arena, &recorded, &none) == SQA_OK)
        status = sqa_pool_read(recorded.at, (size_t)recorded.n, &j->pool, err);
    return status == SQA_OK ? sqa_claim_plan(&j->claim, j->commands, j->why, &j->pool, out, err) : status;
}

static enum sqa_status judge(struct job *j, struct sqa_err *err)
{
    enum sqa_status status = SQA_OK;
    if (j->dirs.n)
        status = sqa_pool_read(j->dirs.at, (size_t)j->dirs.n, &j->pool, err);
    if (status == SQA_OK && j->dirs.n)
        status = sqa_summarise(&j->pool, err);
    return status == SQA_OK ? sqa_claim_judge(&j->claim, &j->pool, j->why, &j->judged, err) : status;
}

static enum sqa_status write_out(struct job *j, struct sqa_text *out, struct sqa_err *err)
{
    const struct sqa_claim_limits *l = &j->limits;
    const char *commands[SQA_CLAIM_CELLS];
    struct sqa_text limits = {0};
    size_t n = 0;
    if (l->lengths || l->rounds || l->seeds)
        sqa_text_printf(&limits, "not the experiment of the claim:%s%s%s%s%s%s", l->lengths ? " lengths " : "",
                        l->lengths ? l->lengths : "", l->rounds ? " rounds " : "", l->rounds ? l->rounds : "",
                        l->seeds ? " seeds " : "", l->seeds ? l->seeds : "");
    for (size_t i = 0; i < j->claim.n_cells; i++)
        if (j->commands[i].argc && (commands[n] = sqa_claim_command_text(&j->commands[i], &j->arena)))
            n++;
    const struct sqa_claim_context context = {sqa_text_get(&limits), j->dirs.at, commands, (size_t)j->dirs.n, n};
    (j->o->format && strcmp(j->o->format, "json") == 0 ? sqa_claim_json : sqa_claim_markdown)(
        out, &j->claim, &j->judged, &j->pool, &context);
    const bool failed = limits.failed || out->failed;
    sqa_text_clear(&limits);
    return failed ? sqa_fail(err, SQA_NOMEM, "claim: no memory for the text; free some memory and run again")
                  : SQA_OK;
}

/* A run directory; or, of the folder that an earlier -o named, those of the claim's cells in it. */
static void add_named(struct job *j, const char *dir)
{
    char path[4096];
    const int before = j->dirs.n;
    for (size_t i = 0; i < j->claim.n_cells && !has_file(dir, "cells.csv"); i++) {
        snprintf(path, sizeof path, "%.3000s/%s", dir, j->claim.cells[i].label);
        const char *copy = has_file(path, "cells.csv") ? sqa_arena_strdup(&j->arena, path) : NULL;
        if (copy && j->dirs.n < 256)
            j->dirs.at[j->dirs.n++] = copy;
    }
    if (j->dirs.n == before && j->dirs.n < 256)
        j->dirs.at[j->dirs.n++] = dir;
}

static enum sqa_status do_job(struct job *j, const struct sqa_texts *operands, struct sqa_text *out,
                              struct sqa_err *err)
{
    enum sqa_status status = SQA_OK;
    if (j->o->format && strcmp(j->o->format, "md") != 0 && strcmp(j->o->format, "json") != 0)
        return sqa_fail(err, SQA_USAGE, "claim: unknown format \"%.40s\"; use md or json", j->o->format);
    status = sqa_claim_load(operands->at[0], &j->claim, err);
    if (status == SQA_OK)
        status = make_commands(j, err);
    if (status == SQA_OK && j->o->plan)
        return plan(j, out, err);
    for (int i = 1; i < operands->n; i++)
        add_named(j, operands->at[i]);
    for (size_t i = 0; i < j->claim.n_cells && operands->n == 1 && status == SQA_OK; i++)
        status = run_cells(j, i, err);
    if (status == SQA_OK)
        status = judge(j, err);
    return status == SQA_OK ? write_out(j, out, err) : status;
}

static enum sqa_status run_claim(void *options, const struct sqa_texts *operands, struct sqa_err *err)
{
    struct sqa_text out = {0};
    if (operands->n == 0)
        return list_claims(err);
    struct job *j = sqa_alloc(sizeof *j);
    if (!j)
        return sqa_fail(err, SQA_NOMEM, "claim: no memory; free some memory and run again");
    j->o = options;
    j->limits = j->o->limits;
    j->limits.quiet = j->o->quiet != 0;
    enum sqa_status status = do_job(j, operands, &out, err);
    if (status == SQA_OK)
        status = sqa_print(&out, NULL, err);
    if (status == SQA_OK && !j->o->plan && j->judged.verdict == SQA_CLAIM_NOT)
        status = sqa_fail(err, SQA_NO, "claim %.100s: not reproduced; the table says by what", j->claim.name);
    sqa_text_clear(&out);
    sqa_pool_clear(&j->pool);
    sqa_claim_clear(&j->claim);
    sqa_arena_clear(&j->arena);
    sqa_free(j);
    return status;
}

const struct sqa_verb sqa_verb_claim = {
    .name = "claim",
    .usage = "[NAME [RUN...]] [-o DIR] [--plan] [--format md|json]",
    .help = "test what a paper claims: reproduced, in part or not",
    .options = options_table,
    .options_size = sizeof(struct options),
    .operands_min = 0,
    .operands_max = -1,
    .run = run_claim,
    .more =
        "Without NAME: the claims there are. With NAME alone the experiment is run, or gone on with, and judged;\n"
        "with RUN... those run directories, or the folder of an earlier -o, are judged and nothing is run.\n"
        "--lengths, --rounds and --seeds make it smaller for a quick look, by default in the folder\n"
        "results/runs/claim-NAME-limited; the verdict says so.\n\n"
        "Verdicts: reproduced, in part, not reproduced, cannot tell (the interval reaches over a bound), not\n"
        "tested (rows are missing), not testable here (a model or data are missing, or a cell failed). The exit\n"
        "status is 1 when it is not reproduced, else 0. docs/claims.md says how a file is written and read.\n\n"
        "examples:\n"
        "  seqarena claim lra-linear-fast --plan\n"
        "  seqarena claim lra-linear-fast\n"
        "  seqarena claim informer-complexity results/runs/LATEST --format json\n",
};
