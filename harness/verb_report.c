/* verb_report.c - report and verify and doctor: thin doors to reports/, models/verify and measure/ */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/machine_lock.h"
#include "harness/measure/measure.h"
#include "harness/plan.h"
#include "harness/verbs.h"
#include "models/probe.h"
#include "models/variant.h"
#include "reports/report.h"

struct report_options {
    const char *format, *output;
};
static const struct sqa_option report_table[] = {
    {"format", 'f', SQA_OPTION_TEXT, "FORMAT", "what to write (default md; the others are below)",
     offsetof(struct report_options, format), 0, 0},
    {"output", 'o', SQA_OPTION_TEXT, "FILE", "write to FILE instead of standard output",
     offsetof(struct report_options, output), 0, 0},
    {.name = NULL},
};

static bool knows_model(const char *model)
{
    char id[64];
    const int n = (int)strcspn(model, ":+( ");
    return snprintf(id, sizeof id, "%.*s", n, model) < (int)sizeof id && sqa_variant_find(id);
}

static enum sqa_status run_report(void *options, const struct sqa_texts *operands, struct sqa_err *err)
{
    const struct report_options *o = options;
    struct sqa_text t = {0};
    const enum sqa_status status =
        sqa_report(operands->at, (size_t)operands->n,
                   &(struct sqa_report_options){o->format ? o->format : "md", o->output, knows_model}, &t, err);
    if (status == SQA_OK)
        return sqa_print(&t, o->output, err);
    sqa_text_clear(&t);
    return status;
}

const struct sqa_verb sqa_verb_report = {
    .name = "report",
    .usage = "RUN... [--format FORMAT] [-o FILE]",
    .help = "tables of one or more run directories",
    .options = report_table,
    .options_size = sizeof(struct report_options),
    .operands_min = 1,
    .operands_max = -1,
    .run = run_report,
    .more = "Formats: md; html, one page with figures that needs nothing else; latex, to be \\input (packages\n"
            "booktabs and longtable); csv and json, the summarised values; and what other trackers read:\n"
            "  google-benchmark  JSON of Google Benchmark, an entry a timing sample\n"
            "  benchstat         text of Go benchmarks, a line a timing sample or seed\n"
            "  github-smaller    JSON of github-action-benchmark, customSmallerIsBetter\n"
            "  github-bigger     the same, customBiggerIsBetter\n"
            "  otava             CSV of Apache Otava, a row a run: columns are what every run has\n"
            "Damaged or missing files are named in the first lines; what there is is shown.\n"
            "example: seqarena report results/runs/latest -o report.md\n"
            "         seqarena report results/runs/* --format html -o report.html\n",
};

/* verify */

struct verify_options {
    const char *models;
    int json, quiet;
};
static const struct sqa_option verify_table[] = {
    {"models", 0, SQA_OPTION_TEXT, "RE", "only variants whose id matches", offsetof(struct verify_options, models), 0,
     0},
    {"json", 0, SQA_OPTION_FLAG, NULL, "for machines", offsetof(struct verify_options, json), 0, 0},
    {"quiet", 'q', SQA_OPTION_FLAG, NULL, "only what fails", offsetof(struct verify_options, quiet), 0, 0},
    {.name = NULL},
};
struct verify_run {
    const struct verify_options *o;
    void *pattern;
    json_t *json;
    int passed, failed, skipped;
};

static bool matches(void *user, const char *id)
{
    const struct verify_run *v = user;
    return !v->pattern || sqa_pattern_matches(v->pattern, id);
}

static void show_check(void *user, const struct sqa_check_result *r)
{
    struct verify_run *v = user;
    const char *word = r->status == SQA_OK ? "ok" : r->status == SQA_UNSUPPORTED ? "skip" : "FAIL";
    v->passed += r->status == SQA_OK;
    v->skipped += r->status == SQA_UNSUPPORTED;
    v->failed += r->status != SQA_OK && r->status != SQA_UNSUPPORTED;
    if (v->o->json)
        json_array_append_new(v->json, json_pack("{s:s,s:s,s:s,s:s}", "subject", r->subject, "check", r->check,
                                                 "result", word, "text", r->text ? r->text : ""));
    else if (!v->o->quiet || word[0] == 'F')
        printf("%-4s  %-20s %s%s%s\n", word, r->subject, r->check, r->text && *r->text ? ": " : "",
               r->text ? r->text : "");
    fflush(stdout);
}

static enum sqa_status run_verify(void *options, const struct sqa_texts *operands, struct sqa_err *err)
{
    const struct verify_options *o = options;
    struct verify_run v = {.o = o, .json = json_array()};
    struct sqa_text t = {0};
    (void)operands;
    enum sqa_status status = o->models ? sqa_pattern_compile("verify: --models", o->models, &v.pattern, err) : SQA_OK;
    if (status == SQA_OK)
        status = sqa_verify(o->models ? matches : NULL, show_check, &v, err);
    if (status == SQA_OK && v.passed + v.failed == 0)
        status = sqa_fail(err, SQA_USAGE, "verify: nothing matches '%.200s'; see seqarena list models", o->models);
    if (status == SQA_OK || status == SQA_NO) {
        if (o->json) {
            char *text = json_dumps(v.json, JSON_INDENT(2));
            sqa_text_printf(&t, "%s\n", text ? text : "");
            sqa_free(text);
        } else {
            sqa_text_printf(&t, "%d passed, %d failed, %d skipped\n", v.passed, v.failed, v.skipped);
        }
        const enum sqa_status printed = sqa_print(&t, NULL, err);
        status = printed != SQA_OK ? printed : status;
    }
    if (status == SQA_NO)
        sqa_fail(err, SQA_NO, "verify: %d checks failed; see the lines that begin with FAIL", v.failed);
    json_decref(v.json);
    if (v.pattern)
        sqa_pattern_free(v.pattern);
    return status;
}

const struct sqa_verb sqa_verb_verify = {
    .name = "verify",
    .usage = "[--models RE]",
    .help = "check identities, gradients, costs and SIMD kernels on this machine",
    .options = verify_table,
    .options_size = sizeof(struct verify_options),
    .run = run_verify,
};

/* doctor */

struct doctor_options {
    double seconds;
    int json;
};
static const struct sqa_option doctor_table[] = {
    {"seconds", 0, SQA_OPTION_SECONDS, "TIME", "length of the noise test (default 10s)",
     offsetof(struct doctor_options, seconds), 0, 0},
    {"json", 0, SQA_OPTION_FLAG, NULL, "for machines", offsetof(struct doctor_options, json), 0, 0},
    {.name = NULL},
};

static void doctor_defaults(void *options)
{
    ((struct doctor_options *)options)->seconds = 10;
}

static enum sqa_status run_doctor(void *options, const struct sqa_texts *operands, struct sqa_err *err)
{
    const struct doctor_options *o = options;
    struct sqa_text t = {0};
    json_t *json = NULL;
    struct sqa_machine_lock lock;
    (void)operands;
    enum sqa_status status = sqa_machine_lock(&lock, "doctor", true, false, err);
    if (status == SQA_OK) {
        status = sqa_doctor(o->seconds, &t, o->json ? &json : NULL, err);
        sqa_machine_unlock(&lock);
    }
    if (status != SQA_OK) {
        sqa_text_clear(&t);
        return status;
    }
    if (json) {
        char *text = json_dumps(json, JSON_INDENT(2));
        sqa_text_clear(&t);
        sqa_text_printf(&t, "%s\n", text ? text : "");
        sqa_free(text);
        json_decref(json);
    }
    return sqa_print(&t, NULL, err);
}

const struct sqa_verb sqa_verb_doctor = {
    .name = "doctor",
    .usage = "[--seconds TIME] [--json]",
    .help = "what this machine can measure, and how noisily",
    .more =
        "Processor, memory and system; counters, each believed only after a trial; rates of memory, products and\n"
        "threads; what a reading of clock and counters costs; noise, by timing one fixed kernel against itself; and\n"
        "advice, only what applies here and now. --json has every figure; one that cannot be had is\n"
        "{\"value\": null, \"reason\": ...}. docs/measurement.md says how each is made.\n\n"
        "example: seqarena doctor --seconds 60\n",
    .options = doctor_table,
    .options_size = sizeof(struct doctor_options),
    .defaults = doctor_defaults,
    .run = run_doctor,
};
