/* page_private.h - what page_*.c share: trees of Markdown (private to reports/) */
#ifndef SQA_REPORTS_PAGE_PRIVATE_H
#define SQA_REPORTS_PAGE_PRIVATE_H

#include <stdbool.h>

#include <cmark-gfm-core-extensions.h>
#include <cmark-gfm.h>

#include "base/text.h"

/* The tree of a Markdown text: no HTML and no pictures are left in it. NULL when it cannot be had; free it with
 * cmark_node_free. */
cmark_node *sqa_page_parse(const struct sqa_text *markdown);
bool sqa_page_is_table(cmark_node *node);
/* Appends the text below node without its markup. */
void sqa_page_plain(struct sqa_text *out, cmark_node *node);
/* Whether text, a cell of a table, is a figure: "41.20 [39.05, 43.38]", "1.23 ms", "4.00 K", "+1.9 %"; its value in
 * the unit's base (seconds, bytes, ones). A name that begins with digits is none. */
bool sqa_page_number(const char *text, double *value);
/* Appends node, a table, as HTML in a box that scrolls; caption is plain text, id is unique in the page. */
void sqa_page_table(struct sqa_text *out, cmark_node *table, const char *caption, int id);
/* Appends the nodes below node as HTML. */
void sqa_page_inside(struct sqa_text *out, cmark_node *node);
/* Appends s with what LaTeX takes for commands escaped and characters beyond ASCII as commands, those without one as
 * "?"; in code the text may break behind punctuation. */
void sqa_page_latex_text(struct sqa_text *out, const char *s, bool code);
/* Appends a table as a longtable. */
void sqa_page_latex_table(struct sqa_text *out, cmark_node *table);
/* Appends the inline nodes below node as LaTeX. */
void sqa_page_latex_inside(struct sqa_text *out, cmark_node *node);

#endif
