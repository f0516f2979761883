/*
 * report.h - a report of one or several run directories
 *
 * Reads result files and run.json only. Every measured figure carries n and an interval where one can be had; absent
 * values print "-" (csv: an empty field, json: null). The same files give the same bytes.
 */
#ifndef SQA_REPORTS_REPORT_H
#define SQA_REPORTS_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "base/text.h"

struct sqa_report_options {
    /* "md", "html" and "latex" (page.h), "csv" (one row a summarised value), "json" (the same values with the runs and
     * the failed rows), or one of interchange.h. For "otava" a directory may hold run directories. */
    const char *format;
    const char *file; /* where the text will be written: a page links the raw rows from there; or NULL */
    bool (*knows)(const char *model); /* whether this build has a model, so that others are named; or NULL */
};

/* Appends to out. SQA_USAGE for an unknown format, SQA_INPUT when a directory cannot be read: md, html and latex show what
 * there is of a damaged one and say so first, the other formats refuse it. The same cell in several directories: the
 * newest directory wins, and the report says so. */
enum sqa_status sqa_report(const char *const *dirs, size_t n, const struct sqa_report_options *options,
                           struct sqa_text *out, struct sqa_err *err) SQA_MUST_CHECK;

#endif
