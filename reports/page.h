/*
 * page.h - a document of parts as one HTML page or as LaTeX to be \input
 *
 * Markdown is read by cmark-gfm (with tables); raw HTML in it is shown as text, pictures as their description. A table's
 * caption is the heading above it. The same parts give the same bytes.
 */
#ifndef SQA_REPORTS_PAGE_H
#define SQA_REPORTS_PAGE_H

#include "base/status.h"
#include "base/text.h"
#include "reports/parts.h"

/* One file that asks for nothing else: style, script (page.css, page.js) and figures are in it, and its
 * Content-Security-Policy allows no other. Without the script everything is there but sorting, filters and tips. The
 * first heading of level 1 is the page's, else title is. */
enum sqa_status sqa_page_html(const char *title, const struct sqa_parts *parts, struct sqa_text *out,
                              struct sqa_err *err) SQA_MUST_CHECK;
/* The Markdown parts; figures and files are left out. Needs the packages booktabs and longtable. */
enum sqa_status sqa_page_latex(const struct sqa_parts *parts, struct sqa_text *out,
                               struct sqa_err *err) SQA_MUST_CHECK;
/* The same of one Markdown text and the figure below it, a whole <svg> or nothing; format is "html" or "latex". Clears both
 * texts. */
enum sqa_status sqa_page_of_markdown(const char *format, const char *title, struct sqa_text *markdown,
                                     struct sqa_text *svg, const char *caption, struct sqa_text *out,
                                     struct sqa_err *err) SQA_MUST_CHECK;

#endif
