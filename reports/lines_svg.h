/*
 * lines_svg.h - a forecast as a figure: for each series what was and what is said to come
 */
#ifndef SQA_REPORTS_LINES_SVG_H
#define SQA_REPORTS_LINES_SVG_H

#include "base/text.h"

struct sqa_line_panel {
    const char *name;
    const double *history, *ahead; /* n_history and n_ahead numbers in the units of the data */
};
struct sqa_lines {
    const char *title, *caption;    /* plain text, one line each */
    const char *first, *now, *last; /* under the axis: where history begins and ends, and where the forecast does */
    int64_t n_history, n_ahead;     /* at least 1 each */
    int panels;
    const struct sqa_line_panel *panel;
};
/* Appends an SVG document. */
void sqa_lines_svg(const struct sqa_lines *l, struct sqa_text *out);

#endif
