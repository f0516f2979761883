/* markdown.h - the parts of a Markdown report (private to reports/) */
#ifndef SQA_REPORTS_MARKDOWN_H
#define SQA_REPORTS_MARKDOWN_H

#include "base/text.h"
#include "reports/parts.h"
#include "reports/pool.h"

void sqa_markdown_summary(struct sqa_text *out, const struct sqa_pool *pool);
void sqa_markdown_quality(struct sqa_text *out, const struct sqa_pool *pool);
/* Forecasts in the order of their errors, where a task has three or more. */
enum sqa_status sqa_markdown_ranking(struct sqa_text *out, const struct sqa_pool *pool,
                                     struct sqa_err *err) SQA_MUST_CHECK;
enum sqa_status sqa_markdown_cost(struct sqa_text *out, const struct sqa_pool *pool,
                                  struct sqa_err *err) SQA_MUST_CHECK;
/* Exponents of time and memory in the length, where three or more lengths were measured. */
enum sqa_status sqa_markdown_scaling(struct sqa_text *out, const struct sqa_pool *pool,
                                     struct sqa_err *err) SQA_MUST_CHECK;
/* Percentiles where steps, several batches or cold caches were timed; instructions where they were counted. */
void sqa_markdown_timings(struct sqa_text *out, const struct sqa_pool *pool);
/* What counters say of each row, where there are any. */
void sqa_markdown_counters(struct sqa_text *out, const struct sqa_pool *pool);
/* Time and work of ops, where they were profiled. */
void sqa_markdown_ops(struct sqa_text *out, const struct sqa_pool *pool);
void sqa_markdown_runs(struct sqa_text *out, const struct sqa_pool *pool);
/* The whole report (report_parts.c). A page has figures, links to the raw rows from the place of `file` (NULL: none),
 * and the summarised values beside what is Markdown anyway; without `page` there is one part. */
enum sqa_status sqa_report_parts(struct sqa_parts *parts, const struct sqa_pool *pool, bool page, const char *file,
                                 struct sqa_err *err) SQA_MUST_CHECK;

#define SQA_EXTERNAL_MARK " (external)" /* behind the name of a model that was scored from predictions */

/* "41.20 [39.05, 43.38]" of a metric (accuracy in %, the others as they are), "41.20" without an interval, "" when
 * absent; with_sign puts "+" before positive numbers. Returns buf. */
enum { SQA_FIGURE_SIZE = 128 };
char *sqa_figure_metric(char buf[SQA_FIGURE_SIZE], const struct sqa_estimate *e, int metric, bool with_sign);
/* The same through one of sqa_format_ns, _bytes, _count: "1.23 [1.20, 1.27] ms". */
char *sqa_figure_unit(char buf[SQA_FIGURE_SIZE], const struct sqa_estimate *e, char *(*format)(char[32], double));
/* "test accuracy %", "test MSE". */
const char *sqa_metric_title(int metric);

#endif
