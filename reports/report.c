/* report.c - see report.h */
#include "reports/report.h"

#include <string.h>

#include "reports/interchange.h"
#include "reports/markdown.h"
#include "reports/page.h"
#include "reports/pool.h"
#include "reports/tidy.h"

static const char use[] =
    "use md, html, latex, csv, json, google-benchmark, benchstat, github-smaller, github-bigger or otava";

enum format { MD, HTML, LATEX, CSV, JSON, GOOGLE, BENCHSTAT, SMALLER, BIGGER, OTAVA, FORMATS };

static enum sqa_status check_format(const char *format, int *which, struct sqa_err *err)
{
    static const char *const known[FORMATS] = {
        "md",        "html",           "latex",         "csv",  "json", "google-benchmark",
        "benchstat", "github-smaller", "github-bigger", "otava"};
    for (*which = 0; *which < FORMATS; ++*which)
        if (strcmp(format, known[*which]) == 0)
            return SQA_OK;
    const char *near = sqa_nearest(format, known, FORMATS);
    return sqa_fail(err, SQA_USAGE, "report: unknown format \"%.40s\"%s%s%s; %s", format,
                    near ? " (did you mean " : "", near ? near : "", near ? "?)" : "", use);
}

static enum sqa_status write_document(int format, const struct sqa_pool *pool, const char *file, struct sqa_text *out,
                                      struct sqa_err *err)
{
    struct sqa_parts parts = {0};
    enum sqa_status status = sqa_report_parts(&parts, pool, format == HTML, file, err);
    if (status == SQA_OK && format == HTML)
        status = sqa_page_html("seqarena report", &parts, out, err);
    else if (status == SQA_OK && format == LATEX)
        status = sqa_page_latex(&parts, out, err);
    else if (status == SQA_OK)
        sqa_text_add(out, sqa_text_get(sqa_parts_markdown(&parts)));
    out->failed = out->failed || sqa_parts_failed(&parts);
    sqa_parts_clear(&parts);
    return status;
}

static enum sqa_status write_pool(int format, struct sqa_pool *pool, const char *file, struct sqa_text *out,
                                  struct sqa_err *err)
{
    const bool raw = format == GOOGLE || format == BENCHSTAT;
    const enum sqa_status status = raw ? SQA_OK : sqa_summarise(pool, err);
    if (status != SQA_OK)
        return status;
    switch (format) {
    case MD:
    case HTML:
    case LATEX:
        return write_document(format, pool, file, out, err);
    case CSV:
        sqa_tidy_csv(out, pool);
        break;
    case JSON:
        sqa_tidy_json(out, pool);
        break;
    case GOOGLE:
        sqa_google_benchmark(out, pool);
        break;
    case BENCHSTAT:
        sqa_benchstat(out, pool);
        break;
    default:
        sqa_github_json(out, pool, format == BIGGER ? 1 : -1);
    }
    return SQA_OK;
}

static enum sqa_status write_tracks(const char *const *dirs, size_t n, struct sqa_text *out, struct sqa_err *err)
{
    struct sqa_track_set set = {0};
    enum sqa_status status = sqa_track_runs(dirs, n, NULL, NULL, &set, err);
    if (status == SQA_OK)
        status = sqa_otava_csv(out, &set, err);
    sqa_track_clear(&set);
    return status;
}

enum sqa_status sqa_report(const char *const *dirs, size_t n, const struct sqa_report_options *options,
                           struct sqa_text *out, struct sqa_err *err)
{
    struct sqa_pool pool = {0};
    int which;
    enum sqa_status status = check_format(options->format, &which, err);
    if (status == SQA_OK && n == 0)
        status = sqa_fail(err, SQA_USAGE, "report: no run directory; name one or several");
    if (status == SQA_OK && which == OTAVA)
        status = write_tracks(dirs, n, out, err);
    else if (status == SQA_OK)
        status = which <= LATEX ? sqa_pool_read_some(dirs, n, &pool, err) : sqa_pool_read(dirs, n, &pool, err);
    pool.knows = options->knows;
    if (status == SQA_OK && which != OTAVA)
        status = write_pool(which, &pool, options->file, out, err);
    if (status == SQA_OK && out->failed)
        status = sqa_fail(err, SQA_NOMEM, "report: no memory for the text; free some memory or report fewer runs");
    sqa_pool_clear(&pool);
    return status;
}
