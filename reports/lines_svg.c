/* lines_svg.c - see lines_svg.h. Panels stand below each other and share the axis of rows; colours of Okabe and Ito.
 */
#include "reports/lines_svg.h"

#include <math.h>
#include <stdio.h>

#include "reports/svg.h"

enum { WIDTH = 880, PANEL = 170, LEFT = 84, RIGHT = 24, TOP = 76, GAP = 34, BOTTOM = 40 };

struct frame {
    const struct sqa_lines *l;
    double top, low, high; /* of the panel */
};

static double at_x(const struct frame *f, int64_t row)
{
    const double rows = (double)(f->l->n_history + f->l->n_ahead - 1);
    return LEFT + (double)row / fmax(rows, 1) * (double)(WIDTH - LEFT - RIGHT);
}

static double at_y(const struct frame *f, double v)
{
    return f->top + PANEL - (v - f->low) / (f->high - f->low) * PANEL;
}

static void fit(struct frame *f, const struct sqa_line_panel *p)
{
    f->low = HUGE_VAL;
    f->high = -HUGE_VAL;
    for (int64_t i = 0; i < f->l->n_history + f->l->n_ahead; i++) {
        const double v = i < f->l->n_history ? p->history[i] : p->ahead[i - f->l->n_history];
        f->low = fmin(f->low, v);
        f->high = fmax(f->high, v);
    }
    const double room = f->high > f->low ? 0.06 * (f->high - f->low) : fmax(1e-3 * fabs(f->low), 1e-6);
    f->low -= room;
    f->high += room;
}

static void value_axis(struct sqa_text *out, const struct frame *f)
{
    const double step = sqa_svg_step(f->high - f->low, 5);
    char buf[32];
    for (double k = ceil(f->low / step); k * step <= f->high; k++) {
        sqa_svg_line(out, LEFT, at_y(f, k * step), WIDTH - RIGHT, at_y(f, k * step), "grid");
        snprintf(buf, sizeof buf, "%.6g", fabs(k) > 0 ? k * step : 0);
        sqa_svg_label(out, LEFT - 8, at_y(f, k * step) + 4, "tick", "end", buf);
    }
}

static void curve(struct sqa_text *out, const struct frame *f, const double *v, int64_t n, int64_t first,
                  const double *before, const char *class)
{
    sqa_text_printf(out, "<polyline class=\"%s\" points=\"", class);
    if (before)
        sqa_text_printf(out, "%.1f,%.1f ", at_x(f, first - 1), at_y(f, *before));
    for (int64_t i = 0; i < n; i++)
        sqa_text_printf(out, "%.1f,%.1f ", at_x(f, first + i), at_y(f, v[i]));
    sqa_text_add(out, "\"/>\n");
}

static void panel(struct sqa_text *out, const struct sqa_lines *l, int k)
{
    struct frame f = {.l = l, .top = TOP + k * (PANEL + GAP)};
    const struct sqa_line_panel *p = &l->panel[k];
    fit(&f, p);
    value_axis(out, &f);
    const double now = at_x(&f, l->n_history - 1);
    sqa_svg_line(out, now, f.top, now, f.top + PANEL, "now");
    sqa_svg_line(out, LEFT, f.top + PANEL, WIDTH - RIGHT, f.top + PANEL, "axis");
    curve(out, &f, p->history, l->n_history, 0, NULL, "was");
    curve(out, &f, p->ahead, l->n_ahead, l->n_history, &p->history[l->n_history - 1], "ahead");
    sqa_svg_label(out, LEFT, f.top - 8, "name", "start", p->name);
    if (k + 1 < l->panels)
        return;
    sqa_svg_label(out, LEFT, f.top + PANEL + 20, "tick", "start", l->first);
    sqa_svg_label(out, now, f.top + PANEL + 20, "tick", "end", l->now);
    sqa_svg_label(out, WIDTH - RIGHT, f.top + PANEL + 20, "tick", "end", l->last);
}

void sqa_lines_svg(const struct sqa_lines *l, struct sqa_text *out)
{
    const int height = TOP + l->panels * (PANEL + GAP) - GAP + BOTTOM;
    sqa_text_printf(out,
                    "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\">\n"
                    "<style>\n"
                    "text { font-family: sans-serif; fill: #222; }\n"
                    ".title { font-size: 16px; font-weight: bold; }\n"
                    ".note, .tick { font-size: 11px; fill: #555; }\n"
                    ".name { font-size: 12px; font-weight: bold; }\n"
                    ".grid { stroke: #e4e4e4; }\n"
                    ".axis { stroke: #888; }\n"
                    ".now { stroke: #888; stroke-dasharray: 4 3; }\n"
                    ".was { fill: none; stroke: #444; stroke-width: 1.2; }\n"
                    ".ahead { fill: none; stroke: #0072b2; stroke-width: 2; }\n"
                    "</style>\n<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n",
                    WIDTH, height, WIDTH, height, WIDTH, height);
    sqa_svg_label(out, LEFT, 24, "title", "start", l->title);
    sqa_svg_label(out, LEFT, 42, "note", "start", l->caption);
    for (int k = 0; k < l->panels; k++)
        panel(out, l, k);
    sqa_text_add(out, "</svg>\n");
}
