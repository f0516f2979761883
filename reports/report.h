/*
 * report.h - a report of one or several run directories
 *
 * Reads result files and run.json only. Every measured figure carries n and an interval where one can be had; absent
 * values print "-" (csv: an empty field, json: null). The same files give the same bytes.
 */
#ifndef SQA_REPORTS_REPORT_H
#define SQA_REPORTS_REPORT_H

#include <stddef.h>

#include "base/status.h"
#include "base/text.h"

/* format: "md", "csv" (one row a summarised value), "json" (the same values with the runs and the failed rows), or one of
 * interchange.h. For "otava" a directory may hold run directories.
 * Appends to out. SQA_UNSUPPORTED for html and latex, SQA_USAGE for any other format, SQA_INPUT when a directory
 * cannot be read. The same cell in several directories: the newest directory wins, and the report says so. */
enum sqa_status sqa_report(const char *const *dirs, size_t n, const char *format, struct sqa_text *out,
                           struct sqa_err *err) SQA_MUST_CHECK;

#endif
