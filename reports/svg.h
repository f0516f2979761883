/*
 * svg.h - pieces of SVG documents; coordinates in pixels, y down
 */
#ifndef SQA_REPORTS_SVG_H
#define SQA_REPORTS_SVG_H

#include "base/text.h"

/* Text as XML and HTML have it: & < > " as entities, control characters but newlines as blanks. */
void sqa_svg_text(struct sqa_text *out, const char *s);
/* anchor: start, middle or end. */
void sqa_svg_label(struct sqa_text *out, double x, double y, const char *class, const char *anchor, const char *text);
void sqa_svg_line(struct sqa_text *out, double x0, double y0, double x1, double y1, const char *class);

/* A step of an axis: 1, 2 or 5 times a power of ten, the least that gives at most `most` steps over range > 0. */
double sqa_svg_step(double range, int most);

#endif
