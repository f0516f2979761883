/* report.c - see report.h */
#include "reports/report.h"

#include <string.h>

#include "reports/markdown.h"
#include "reports/pool.h"
#include "reports/tidy.h"

static enum sqa_status check_format(const char *format, struct sqa_err *err)
{
    static const char *const known[] = {"md", "csv", "json", "html", "latex"};
    const size_t n = sizeof known / sizeof known[0];
    for (size_t i = 0; i < n; i++)
        if (strcmp(format, known[i]) == 0)
            return i < 3 ? SQA_OK
                         : sqa_fail(err, SQA_UNSUPPORTED,
                                    "report: format %s comes in a later version; use md, csv or json", format);
    const char *near = sqa_nearest(format, known, n);
    return sqa_fail(err, SQA_USAGE, "report: unknown format \"%.40s\"%s%s%s; use md, csv or json", format,
                    near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
}

enum sqa_status sqa_report(const char *const *dirs, size_t n, const char *format, struct sqa_text *out,
                           struct sqa_err *err)
{
    struct sqa_pool pool;
    enum sqa_status status = check_format(format, err);
    if (status == SQA_OK && n == 0)
        status = sqa_fail(err, SQA_USAGE, "report: no run directory; name one or several");
    if (status != SQA_OK)
        return status;
    status = sqa_pool_read(dirs, n, &pool, err);
    if (status != SQA_OK)
        return status;
    status = sqa_summarise(&pool, err);
    if (status == SQA_OK && strcmp(format, "md") == 0)
        status = sqa_markdown(out, &pool, err);
    else if (status == SQA_OK && strcmp(format, "csv") == 0)
        sqa_tidy_csv(out, &pool);
    else if (status == SQA_OK)
        sqa_tidy_json(out, &pool);
    if (status == SQA_OK && out->failed)
        status = sqa_fail(err, SQA_NOMEM, "report: no memory for the text; free some memory or report fewer runs");
    sqa_pool_clear(&pool);
    return status;
}
