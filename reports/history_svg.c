/* history_svg.c - series with their changes as panels, one below the other; colours of Okabe and Ito */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "reports/history.h"
#include "reports/svg.h"

enum { WIDTH = 880, PANEL = 130, LEFT = 84, RIGHT = 24, TOP = 60, GAP = 62, PANELS = 12 };

struct frame {
    const struct sqa_track *s;
    const struct sqa_track_run *runs;
    double top, low, high;
};

static double at_x(const struct frame *f, double point)
{
    return LEFT + point / fmax((double)f->s->n - 1, 1) * (double)(WIDTH - LEFT - RIGHT);
}

static double at_y(const struct frame *f, double v)
{
    return f->top + PANEL - (v - f->low) / (f->high - f->low) * PANEL;
}

static void fit(struct frame *f)
{
    f->low = HUGE_VAL;
    f->high = -HUGE_VAL;
    for (size_t i = 0; i < f->s->n; i++) {
        f->low = fmin(f->low, f->s->points[i].value);
        f->high = fmax(f->high, f->s->points[i].value);
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
    sqa_svg_line(out, LEFT, f->top + PANEL, WIDTH - RIGHT, f->top + PANEL, "axis");
}

/* The mean of a level over its points. */
static void level(struct sqa_text *out, const struct frame *f, size_t from, size_t to, double mean)
{
    sqa_svg_line(out, at_x(f, (double)from), at_y(f, mean), at_x(f, (double)to - 1), at_y(f, mean), "level");
}

static void change(struct sqa_text *out, const struct frame *f, const struct sqa_change *c)
{
    const struct sqa_history_row row = {.track = f->s, .change = c};
    const double x = at_x(f, (double)c->at - 0.5);
    char text[96], size[32];
    snprintf(text, sizeof text, "%s %.40s", sqa_history_size(size, c), f->runs[f->s->points[c->at].run].commit);
    sqa_svg_line(out, x, f->top, x, f->top + PANEL, sqa_history_verdict(&row));
    sqa_svg_label(out, x, f->top + PANEL + 14, "tick",
                  x < WIDTH / 4.0    ? "start"
                  : x > WIDTH * 0.75 ? "end"
                                     : "middle",
                  text);
}

static void panel(struct sqa_text *out, struct frame *f)
{
    const struct sqa_track *s = f->s;
    const size_t last = s->n - 1;
    struct sqa_text name = {0};
    fit(f);
    value_axis(out, f);
    for (size_t i = 0; i < s->n; i++)
        sqa_text_printf(out, "<circle class=\"point\" cx=\"%.1f\" cy=\"%.1f\" r=\"2\"/>\n", at_x(f, (double)i),
                        at_y(f, s->points[i].value));
    for (size_t k = 0; k < s->n_changes; k++) {
        const struct sqa_change *c = &s->changes[k];
        level(out, f, c->at - c->n_before, c->at, c->before);
        if (k + 1 == s->n_changes)
            level(out, f, c->at, s->n, c->after);
        change(out, f, c);
    }
    sqa_text_printf(&name, "%s %s%s%.8s", s->value, s->name, *s->machine ? " on " : "", s->machine);
    out->failed = out->failed || name.failed;
    sqa_svg_label(out, LEFT, f->top - 8, "name", "start", sqa_text_get(&name));
    sqa_text_clear(&name);
    sqa_svg_label(out, LEFT, f->top + PANEL + 28, "tick", "start", f->runs[s->points[0].run].time);
    sqa_svg_label(out, WIDTH - RIGHT, f->top + PANEL + 28, "tick", "end", f->runs[s->points[last].run].time);
}

/* Series of the rows, each once; without rows, the first of the set. */
static size_t choose(const struct sqa_track_set *set, const struct sqa_history_row *rows, size_t n,
                     const struct sqa_track *chosen[PANELS], size_t *all)
{
    size_t kept = 0;
    *all = 0;
    for (size_t i = 0; i < (n ? n : set->n); i++) {
        const struct sqa_track *s = n ? rows[i].track : &set->tracks[i];
        size_t before = 0;
        while (n && before < i && rows[before].track != s)
            before++;
        if (n && before < i)
            continue;
        if (kept < PANELS)
            chosen[kept++] = s;
        ++*all;
    }
    return kept;
}

void sqa_history_svg(struct sqa_text *out, const struct sqa_track_set *set, const struct sqa_history_row *rows,
                     size_t n)
{
    const struct sqa_track *chosen[PANELS];
    size_t all;
    const size_t panels = choose(set, rows, n, chosen, &all);
    const int height = TOP + (int)panels * (PANEL + GAP);
    char caption[96];
    sqa_text_printf(out,
                    "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\">\n"
                    "<style>\n"
                    "text { font-family: sans-serif; fill: #222; }\n"
                    ".title { font-size: 16px; font-weight: bold; }\n"
                    ".tick { font-size: 11px; fill: #555; }\n"
                    ".name { font-size: 12px; font-weight: bold; }\n"
                    ".grid { stroke: #e4e4e4; }\n"
                    ".axis { stroke: #888; }\n"
                    ".point { fill: #777; }\n"
                    ".level { stroke: #0072b2; stroke-width: 2; }\n"
                    ".worse { stroke: #d55e00; stroke-dasharray: 4 3; }\n"
                    ".better { stroke: #009e73; stroke-dasharray: 4 3; }\n"
                    ".up, .down { stroke: #444; stroke-dasharray: 4 3; }\n"
                    "</style>\n<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n",
                    WIDTH, height, WIDTH, height, WIDTH, height);
    snprintf(caption, sizeof caption,
             n ? "Change points: %zu of %zu series with changes" : "No change: %zu of %zu series", panels, all);
    sqa_svg_label(out, LEFT, 24, "title", "start", caption);
    for (size_t k = 0; k < panels; k++) {
        struct frame f = {.s = chosen[k], .runs = set->runs, .top = TOP + (double)k * (PANEL + GAP)};
        panel(out, &f);
    }
    sqa_text_add(out, "</svg>\n");
}
