/* verb_compare.c - compare and gate: two arms against each other, and what that means to a pipeline */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "harness/command.h"
#include "harness/compare_table.h"
#include "harness/measure/measure.h"
#include "harness/machine_lock.h"
#include "harness/session.h"
#include "harness/verbs.h"
#include "reports/gate.h"

enum { JSON_MAX = 256 << 20 };

struct options {
    struct sqa_texts build;
    const char *make, *clock, *value, *control, *confirm, *floor, *margin, *csv, *output, *junit, *summary;
    int64_t rounds, seed;
    double budget;
    int across_machines, json, github, quiet;
};

#define AT(field) offsetof(struct options, field)
static const struct sqa_option table[] = {
    /* of both verbs: they differ in what they print */
    {"build", 0, SQA_OPTION_LIST, "REV", "a revision, built here: the base; a second one: the new arm", AT(build), 0,
     0},
    {"make", 0, SQA_OPTION_TEXT, "CMD", "how --build builds it (default: make -jN, all processors)", AT(make), 0, 0},
    {"rounds", 0, SQA_OPTION_INT, "N", "live: rounds of six processes (default 20)", AT(rounds), 1, 10000},
    {"until-settled", 0, SQA_OPTION_SECONDS, "TIME", "live: add rounds until all is told, or for TIME", AT(budget), 0,
     0},
    {"seed", 0, SQA_OPTION_INT, "K", "live: of order and padding (default: from the clock)", AT(seed), 0, 1e15},
    {"control", 0, SQA_OPTION_TEXT, "RUN", "files: another run of the base; sets the floor", AT(control), 0, 0},
    {"confirm", 0, SQA_OPTION_TEXT, "RUN", "files: another run of the new arm, a second look", AT(confirm), 0, 0},
    {"floor", 0, SQA_OPTION_TEXT, "PERCENT", "files: the floor, where there is no --control", AT(floor), 0, 0},
    {"clock", 0, SQA_OPTION_TEXT, "wall|cpu", "the clock that decides (default wall)", AT(clock), 0, 0},
    {"value", 0, SQA_OPTION_TEXT, "median|min", "what a round's samples count as (default median)", AT(value), 0, 0},
    {"margin", 0, SQA_OPTION_TEXT, "POINTS", "of scores: how much worse is not worse (default 1)", AT(margin), 0, 0},
    {"across-machines", 0, SQA_OPTION_FLAG, NULL, "compare runs of different machines", AT(across_machines), 0, 0},
    {"json", 0, SQA_OPTION_FLAG, NULL, "for machines, and for gate", AT(json), 0, 0},
    {"csv", 0, SQA_OPTION_TEXT, "FILE", "write a row a cell and metric to FILE", AT(csv), 0, 0},
    {"junit", 0, SQA_OPTION_TEXT, "FILE", "write JUnit XML to FILE", AT(junit), 0, 0},
    {"summary", 0, SQA_OPTION_TEXT, "FILE", "write a Markdown summary to FILE", AT(summary), 0, 0},
    {"github", 0, SQA_OPTION_FLAG, NULL, "print annotations for GitHub Actions, at most 10", AT(github), 0, 0},
    {"output", 'o', SQA_OPTION_TEXT, "FILE", "write to FILE instead of standard output", AT(output), 0, 0},
    {"quiet", 'q', SQA_OPTION_FLAG, NULL, "no progress", AT(quiet), 0, 0},
    {.name = NULL},
};

static void defaults(void *options)
{
    ((struct options *)options)->seed = -1;
}

enum source { SOURCE_FILES, SOURCE_PROGRAM };

/* What an operand is; INPUT when it is nothing. */
static enum sqa_status source_of(const char *path, enum source *source, struct sqa_err *err)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return sqa_fail(err, SQA_INPUT,
                        "compare: %s: no such run directory, CSV file or program; check the path, or "
                        "give a revision with --build",
                        path);
    *source = S_ISREG(st.st_mode) && access(path, X_OK) == 0 ? SOURCE_PROGRAM : SOURCE_FILES;
    return SQA_OK;
}

/* A number of 0 or more given as text. */
static enum sqa_status parse(const char *option, const char *text, double *out, struct sqa_err *err)
{
    if (text && (!sqa_parse_real(text, out) || *out < 0))
        return sqa_fail(err, SQA_USAGE, "compare: --%s %.50s; give a number of 0 or more", option, text);
    return SQA_OK;
}

static enum sqa_status set_up(const struct options *o, struct sqa_comparison *c, struct sqa_err *err)
{
    double floor = (double)NAN;
    *c = (struct sqa_comparison){.margin = 1};
    enum sqa_status status = parse("margin", o->margin, &c->margin, err);
    if (status == SQA_OK)
        status = parse("floor", o->floor, &floor, err);
    c->floor = log1p(floor / 100);
    if (status == SQA_OK && o->clock && strcmp(o->clock, "wall") != 0 && strcmp(o->clock, "cpu") != 0)
        status = sqa_fail(err, SQA_USAGE, "compare: --clock %.50s; give wall or cpu", o->clock);
    if (status == SQA_OK && o->value && strcmp(o->value, "median") != 0 && strcmp(o->value, "min") != 0)
        status = sqa_fail(err, SQA_USAGE, "compare: --value %.50s; give median or min", o->value);
    c->minimum = o->value && strcmp(o->value, "min") == 0;
    c->clock = o->clock && strcmp(o->clock, "cpu") == 0 ? SQA_COMPARE_CPU : SQA_COMPARE_WALL;
    return status;
}

/* Files */

static enum sqa_status read_run(const char *path, struct sqa_run_files *run, struct sqa_err *err)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) ? sqa_run_files_read_cells(path, run, err)
                                                       : sqa_run_files_read(path, run, err);
}

/* Takes a run in as an arm of either look; SQA_ARMS: of none. */
static enum sqa_status take(struct sqa_comparison *c, const char *path, enum sqa_arm first, enum sqa_arm second,
                            struct sqa_err *err)
{
    const enum sqa_arm arm[SQA_LOOKS] = {first, second};
    struct sqa_run_files run;
    enum sqa_status status = read_run(path, &run, err);
    if (status != SQA_OK)
        return status;
    if (first < SQA_ARMS)
        status = sqa_compare_name(c, &run, first, path, err);
    for (int look = 0; look < SQA_LOOKS && status == SQA_OK; look++)
        if (arm[look] < SQA_ARMS)
            status = sqa_compare_take(c, &run, look, arm[look], -1, err);
    sqa_run_files_clear(&run);
    return status;
}

static enum sqa_status check_machines(const struct sqa_comparison *c, struct sqa_err *err)
{
    const struct sqa_compare_arm *base = &c->arm[SQA_ARM_BASE];
    for (int arm = SQA_ARM_NEW; arm < SQA_ARMS; arm++) {
        const struct sqa_compare_arm *a = &c->arm[arm];
        if (a->name && *a->fingerprint && *base->fingerprint && strcmp(a->fingerprint, base->fingerprint) != 0)
            return sqa_fail(err, SQA_INPUT,
                            "compare: %s and %s are of different machines (%s, %s); measure both on one, or add "
                            "--across-machines",
                            base->name, a->name, base->fingerprint, a->fingerprint);
    }
    return SQA_OK;
}

static enum sqa_status compare_files(const struct options *o, const char *base, const char *new,
                                     struct sqa_comparison *c, struct sqa_err *err)
{
    const bool second = o->control && o->confirm;
    if (o->confirm && !o->control)
        return sqa_fail(err, SQA_USAGE, "compare: --confirm needs --control, which it is held against; give both");
    if (o->rounds || o->budget > 0 || o->seed >= 0)
        return sqa_fail(err, SQA_USAGE,
                        "compare: --rounds, --until-settled and --seed are for programs and --build; "
                        "leave them out for files");
    enum sqa_status status = take(c, base, SQA_ARM_BASE, second ? SQA_ARM_CONTROL : SQA_ARMS, err);
    if (status == SQA_OK)
        status = take(c, new, SQA_ARM_NEW, SQA_ARMS, err);
    if (status == SQA_OK && o->control)
        status = take(c, o->control, SQA_ARM_CONTROL, second ? SQA_ARM_BASE : SQA_ARMS, err);
    if (status == SQA_OK && second)
        status = take(c, o->confirm, SQA_ARMS, SQA_ARM_NEW, err);
    if (status == SQA_OK && !o->across_machines)
        status = check_machines(c, err);
    return status == SQA_OK ? sqa_compare_judge(c, err) : status;
}

/* Live */

/* Whether what is compared is counted, not timed. */
static bool counts(const struct sqa_texts *operands)
{
    for (int i = operands->own; i < operands->n; i++)
        if (strcmp(operands->at[i], "--count") == 0)
            return true;
    return false;
}

static enum sqa_status compare_live(const struct options *o, const struct sqa_texts *operands,
                                    struct sqa_comparison *c, struct sqa_err *err)
{
    char scratch[512], builds[600], program[2][4096] = {"", ""}, make[40];
    const char *name[2] = {"this program", "this program"};
    struct sqa_machine_lock lock = {.timing = -1};
    enum sqa_status status;
    if (o->control || o->confirm || o->floor)
        return sqa_fail(err, SQA_USAGE,
                        "compare: --control, --confirm and --floor are for files; a live comparison "
                        "makes its own");
    const ssize_t n = readlink("/proc/self/exe", program[1], sizeof program[1] - 1);
    program[1][n > 0 ? n : 0] = '\0';
    sqa_command_catch_signals();
    status = sqa_scratch_make(scratch, err);
    if (status != SQA_OK)
        return status;
    snprintf(builds, sizeof builds, "%s/builds", scratch);
    snprintf(make, sizeof make, "make -j%d", sqa_processors());
    status = sqa_make_dirs(builds, err);
    for (int i = 0; i < o->build.n && status == SQA_OK; i++) {
        name[i] = o->build.at[i];
        if (!o->quiet)
            fprintf(stderr, "building %s\n", name[i]);
        status = sqa_build_revision(name[i], o->make ? o->make : make, builds, program[i], err);
    }
    for (int i = 0; i < operands->own && status == SQA_OK; i++) {
        const int side = o->build.n + i;
        name[side] = operands->at[i];
        if (!realpath(operands->at[i], program[side]))
            status = sqa_fail(err, SQA_INPUT, "compare: %s: cannot be read; check the path", operands->at[i]);
    }
    if (status == SQA_OK && !counts(operands))
        status = sqa_machine_lock(&lock, "compare", true, o->quiet, err);
    if (status == SQA_OK) {
        status = sqa_session_run(
            c,
            &(struct sqa_session_options){.program = {program[0], program[1]},
                                          .name = {name[0], name[1]},
                                          .arguments = operands->at + operands->own,
                                          .n_arguments = operands->n - operands->own,
                                          .rounds = o->rounds,
                                          .budget = o->budget,
                                          .seed = o->seed >= 0 ? (uint64_t)o->seed : (uint64_t)time(NULL),
                                          .folder = scratch,
                                          .quiet = o->quiet},
            err);
        sqa_machine_unlock(&lock);
    }
    sqa_build_remove(builds);
    sqa_scratch_remove(scratch);
    return status;
}

/* Fills c, which the caller clears. */
static enum sqa_status compare(const struct options *o, const struct sqa_texts *operands, struct sqa_comparison *c,
                               struct sqa_err *err)
{
    enum source source[2] = {SOURCE_PROGRAM, SOURCE_PROGRAM};
    enum sqa_status status = set_up(o, c, err);
    const int sides = o->build.n + operands->own;
    if (status == SQA_OK && (sides > 2 || sides == 0 || (sides == 1 && o->build.n == 0)))
        status = sqa_fail(err, SQA_USAGE,
                          "compare: %d of two arms; give BASE and NEW (run directories, CSV files or "
                          "programs), or --build REV once or twice",
                          sides);
    for (int i = 0; i < operands->own && status == SQA_OK; i++)
        status = source_of(operands->at[i], &source[o->build.n + i], err);
    if (status == SQA_OK && source[0] != source[1])
        status = sqa_fail(err, SQA_USAGE, "compare: one arm is a program, the other a file; give two of a kind");
    if (status == SQA_OK && source[0] == SOURCE_FILES && operands->n > operands->own)
        status = sqa_fail(err, SQA_USAGE,
                          "compare: arguments of bench after --, but nothing to run; leave them out "
                          "for files");
    if (status != SQA_OK)
        return status;
    status = source[0] == SOURCE_FILES ? compare_files(o, operands->at[0], operands->at[1], c, err)
                                       : compare_live(o, operands, c, err);
    if (status == SQA_OK && c->matched == 0)
        status = sqa_fail(err, SQA_INPUT,
                          "compare: no cell of %s is in %s; both must hold the same models, tasks, "
                          "lengths and settings",
                          c->arm[0].name, c->arm[1].name);
    return status;
}

static enum sqa_status regressed(const char *verb, const json_t *doc, struct sqa_err *err)
{
    const size_t n = sqa_gate_regressions(doc), all = json_array_size(json_object_get(doc, "cells"));
    struct sqa_text t = {0};
    if (n == 0)
        return SQA_OK;
    sqa_gate_first(doc, &t);
    sqa_fail(err, SQA_NO, "%s: %zu of %zu cells became worse; %s%s", verb, n, all, n > 1 ? "the first: " : "",
             sqa_text_get(&t));
    sqa_text_clear(&t);
    return SQA_NO;
}

static bool wants_colour(const struct options *o)
{
    const char *term = getenv("TERM"), *no = getenv("NO_COLOR");
    return !o->output && isatty(1) && !(no && *no) && !(term && strcmp(term, "dumb") == 0);
}

static void add_json(const json_t *doc, struct sqa_text *out)
{
    char *text = json_dumps(doc, JSON_INDENT(1));
    out->failed = out->failed || !text;
    sqa_text_printf(out, "%s\n", text ? text : "");
    sqa_free(text);
}

/* The files asked for, then standard output; c is NULL when doc came from a file. */
static enum sqa_status print(const struct options *o, const char *verb, const struct sqa_comparison *c,
                             const json_t *doc, struct sqa_err *err)
{
    struct sqa_text t = {0};
    enum sqa_status status = SQA_OK;
    if (o->csv && !c)
        return sqa_fail(err, SQA_USAGE, "%s: --csv is made from runs, not from a result; give it to compare", verb);
    if (o->csv) {
        sqa_compare_csv(c, &t);
        status = sqa_print(&t, o->csv, err);
    }
    if (status == SQA_OK && o->junit) {
        sqa_gate_junit(doc, &t);
        status = sqa_print(&t, o->junit, err);
    }
    if (status == SQA_OK && o->summary) {
        sqa_gate_summary(doc, &t);
        status = sqa_print(&t, o->summary, err);
    }
    if (status != SQA_OK)
        return status;
    if (o->json)
        add_json(doc, &t);
    else if (strcmp(verb, "compare") == 0)
        sqa_compare_table(c, wants_colour(o), &t);
    else if (!o->summary && !o->github)
        sqa_gate_summary(doc, &t);
    if (t.length || t.failed)
        status = sqa_print(&t, o->output, err);
    if (status == SQA_OK && o->github) {
        sqa_gate_annotations(doc, &t);
        status = sqa_print(&t, NULL, err);
    }
    return status;
}

static enum sqa_status read_json(const char *path, json_t **doc, struct sqa_err *err)
{
    char *text;
    size_t size;
    json_error_t error;
    const long failures = sqa_alloc_failures();
    const enum sqa_status status = sqa_file_read(path, JSON_MAX, &text, &size, err);
    if (status != SQA_OK)
        return status;
    *doc = json_loadb(text, size, 0, &error);
    sqa_free(text);
    if (sqa_alloc_failures() > failures)
        return sqa_fail(err, SQA_NOMEM, "%s: no memory; free some memory and run again", path);
    if (!*doc)
        return sqa_fail(err, SQA_INPUT, "%s: line %d: %.100s; give what compare --json wrote", path, error.line,
                        error.text);
    return sqa_gate_check(path, *doc, err);
}

static enum sqa_status run(const struct options *o, const char *verb, const struct sqa_texts *operands, bool kept,
                           struct sqa_err *err)
{
    struct sqa_comparison c = {0};
    json_t *doc = NULL;
    enum sqa_status status = kept ? read_json(operands->at[0], &doc, err) : compare(o, operands, &c, err);
    if (status == SQA_OK && !kept && !(doc = sqa_compare_json(&c)))
        status = sqa_fail(err, SQA_NOMEM, "%s: no memory for the result; free some memory and run again", verb);
    if (status == SQA_OK)
        status = print(o, verb, kept ? NULL : &c, doc, err);
    if (status == SQA_OK)
        status = regressed(verb, doc, err);
    json_decref(doc);
    sqa_compare_clear(&c);
    return status;
}

static enum sqa_status run_compare(void *options, const struct sqa_texts *operands, struct sqa_err *err)
{
    return run(options, "compare", operands, false, err);
}

static enum sqa_status run_gate(void *options, const struct sqa_texts *operands, struct sqa_err *err)
{
    const struct options *o = options;
    return run(o, "gate", operands, operands->own == 1 && o->build.n == 0, err);
}

const struct sqa_verb sqa_verb_compare = {
    .name = "compare",
    .usage = "BASE NEW [options], or --build REV [options] -- BENCH-ARGUMENTS",
    .help = "say what became slower, faster, worse or better, and how sure that is",
    .options = table,
    .options_size = sizeof(struct options),
    .operands_max = 2,
    .pass = 1,
    .defaults = defaults,
    .run = run_compare,
    .more =
        "BASE and NEW are run directories, CSV files (cells.csv) or programs. Programs, and revisions given with\n"
        "--build, are measured in turn: each round runs `bench` with the arguments after -- in six fresh processes,\n"
        "in balanced order, a third of them the base against itself. One --build alone is held against this "
        "program.\n\n"
        "  slower, faster  the 95 % interval lies beyond the threshold: 2 %, or twice the floor if that is more\n"
        "  same            the 90 % interval lies within 1 % of the base\n"
        "  cannot tell     neither; how many further rounds would tell\n"
        "  unfit           the base differs from itself: this session tells nothing\n\n"
        "Exit status 1 only when something surely became worse: slower and confirmed by a second look, more flops,\n"
        "bytes or memory, over 0.5 % more instructions, a score beyond the margin, or a cell that no longer runs.\n\n"
        "examples:\n"
        "  seqarena compare --build HEAD~1 --until-settled 60s -- --model local --lengths 1K --batch 4\n"
        "  seqarena compare old/seqarena new/seqarena --json -o result.json -- --model local --phase infer\n"
        "  seqarena compare runs/a runs/b --control runs/a2 --confirm runs/b2\n",
};

const struct sqa_verb sqa_verb_gate = {
    .name = "gate",
    .usage = "RESULT.json [options], or what compare takes",
    .help = "a comparison as JUnit XML, GitHub annotations and a summary; status 1 for a regression",
    .options = table,
    .options_size = sizeof(struct options),
    .operands_max = 2,
    .pass = 1,
    .defaults = defaults,
    .run = run_gate,
    .more =
        "RESULT.json is what `compare --json` wrote. Without --summary and --github the summary is printed.\n\n"
        "examples:\n"
        "  seqarena gate result.json --junit junit.xml --summary summary.md --github\n"
        "  seqarena gate --build origin/main --until-settled 5m --junit junit.xml -- --model local --lengths 1K\n",
};
