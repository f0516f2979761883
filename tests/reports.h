/* reports.h - a report of run directories as text, in tests */
#ifndef SQA_TESTS_REPORTS_H
#define SQA_TESTS_REPORTS_H

#include "reports/report.h"
#include "tests/scratch.h"
#include "tests/support.h"

static char *report(const char *format, size_t n, const char *const *dirs)
{
    struct sqa_text out = {0};
    struct sqa_err err = {0};
    if (sqa_report(dirs, n, &(struct sqa_report_options){.format = format}, &out, &err) != SQA_OK)
        fail_msg("%s", err.text);
    return out.text;
}

#endif
