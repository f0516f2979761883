/*
 * paper_svg.c - the bubble plot: score against speed, area of a bubble is memory (see paper.h)
 *
 * Published and measured bubbles have halves of their own, since their machines, sizes and batches differ; in each,
 * the largest bubble is the largest memory. Colours are those of Okabe and Ito; labels stand at the bubbles.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "reports/paper.h"
#include "reports/svg.h"

enum { WIDTH = 560, HEIGHT = 440, LEFT = 64, RIGHT = 20, TOP = 76, BOTTOM = 62, RADIUS = 34, LABELS = 128 };
static const double glyph = 6.3; /* width of a character of the labels */

struct box {
    double x0, y0, x1, y1;
};
struct half {
    const struct sqa_bubbles *b;
    bool published;
    double left, speed0, speed1, score0, score1, memory; /* axes in log10 of steps a second, per cent */
    size_t n;
    struct box taken[2 * LABELS];
    size_t n_taken;
};

static double at_x(const struct half *h, double speed)
{
    return h->left + LEFT + (log10(speed) - h->speed0) / (h->speed1 - h->speed0) * (double)(WIDTH - LEFT - RIGHT);
}

static double at_y(const struct half *h, double score)
{
    return HEIGHT - BOTTOM - (score - h->score0) / (h->score1 - h->score0) * (double)(HEIGHT - TOP - BOTTOM);
}

static double radius(const struct half *h, const struct sqa_bubble *x)
{
    return fmax(3, RADIUS * sqrt(x->memory / h->memory));
}

/* Axes around all bubbles of the half, with room for the largest. */
static void fit(struct half *h)
{
    double low = HUGE_VAL, high = -HUGE_VAL, worst = HUGE_VAL, best = -HUGE_VAL;
    for (size_t i = 0; i < h->b->n; i++) {
        const struct sqa_bubble *x = &h->b->at[i];
        if (x->published != h->published)
            continue;
        h->n++;
        h->memory = fmax(h->memory, x->memory);
        low = fmin(low, log10(x->speed));
        high = fmax(high, log10(x->speed));
        worst = fmin(worst, x->score);
        best = fmax(best, x->score);
    }
    const double wide = fmax(0.15 * (high - low), 0.08), tall = fmax(0.12 * (best - worst), 1);
    h->speed0 = low - wide;
    h->speed1 = high + 1.6 * wide;
    h->score0 = worst - tall;
    h->score1 = best + tall;
}

static void score_axis(struct sqa_text *out, const struct half *h)
{
    static const double steps[] = {0.5, 1, 2, 5, 10, 20};
    size_t s = 0;
    char buf[32];
    while (s + 1 < sizeof steps / sizeof steps[0] && (h->score1 - h->score0) / steps[s] > 7)
        s++;
    for (double v = ceil(h->score0 / steps[s]) * steps[s]; v <= h->score1; v += steps[s]) {
        sqa_svg_line(out, h->left + LEFT, at_y(h, v), h->left + WIDTH - RIGHT, at_y(h, v), "grid");
        snprintf(buf, sizeof buf, "%g", v);
        sqa_svg_label(out, h->left + LEFT - 8, at_y(h, v) + 4, "tick", "end", buf);
    }
}

static void speed_axis(struct sqa_text *out, const struct half *h)
{
    const bool fine = h->speed1 - h->speed0 < 1.5;
    char buf[32];
    for (int decade = (int)floor(h->speed0); decade <= (int)ceil(h->speed1); decade++)
        for (int digit = 1; digit < 10; digit++) {
            const double v = digit * pow(10, decade);
            if (log10(v) < h->speed0 || log10(v) > h->speed1)
                continue;
            sqa_svg_line(out, at_x(h, v), HEIGHT - BOTTOM, at_x(h, v), HEIGHT - BOTTOM + (digit == 1 ? 6 : 4),
                         "axis");
            if (digit != 1 && !(fine && (digit == 2 || digit == 5)))
                continue;
            snprintf(buf, sizeof buf, "%g", v);
            sqa_svg_label(out, at_x(h, v), HEIGHT - BOTTOM + 20, "tick", "middle", buf);
        }
}

static bool free_place(const struct half *h, struct box b)
{
    if (b.x0 < h->left + LEFT || b.x1 > h->left + WIDTH - 4 || b.y0 < TOP || b.y1 > HEIGHT - BOTTOM)
        return false;
    for (size_t i = 0; i < h->n_taken; i++)
        if (b.x0 < h->taken[i].x1 && b.x1 > h->taken[i].x0 && b.y0 < h->taken[i].y1 && b.y1 > h->taken[i].y0)
            return false;
    return true;
}

/* Right, left, above, below, each farther and farther, the first that covers no label and no bubble. */
static void place_label(struct sqa_text *out, struct half *h, const struct sqa_bubble *x)
{
    const double cx = at_x(h, x->speed), cy = at_y(h, x->score), r = radius(h, x),
                 w = glyph * (double)strlen(x->label);
    struct box b = {0};
    for (int k = 0; k < 64; k++) {
        const double away = r + 5 + 9 * (k / 8), side = (k % 8) * acos(-1) / 4;
        const double px = cx + away * cos(side), py = cy - away * sin(side);
        const double x0 = cos(side) > 0.3 ? px : cos(side) < -0.3 ? px - w : px - w / 2;
        b = (struct box){x0, py - 7, x0 + w, py + 6};
        if (!free_place(h, b))
            continue;
        if (k >= 8)
            sqa_svg_line(out, cx, cy, cx + (away - 3) * cos(side), cy - (away - 3) * sin(side), "lead");
        break;
    }
    sqa_svg_label(out, b.x0, b.y1 - 2, "name", "start", x->label);
    if (h->n_taken < 2 * LABELS)
        h->taken[h->n_taken++] = b;
}

static void draw(struct sqa_text *out, struct half *h)
{
    static const char *const colours[] = {"#0072B2", "#E69F00", "#009E73", "#CC79A7",
                                          "#56B4E9", "#D55E00", "#B3A100", "#555555"};
    size_t colour = 0;
    char buf[128], bytes[32];
    fit(h);
    snprintf(buf, sizeof buf, "%s", h->published ? "Published" : "Measured");
    sqa_svg_label(out, h->left + LEFT, TOP - 14, "half", "start", buf);
    if (h->n == 0) {
        sqa_svg_label(out, h->left + WIDTH / 2.0, HEIGHT / 2.0, "tick", "middle", "no model has a score and a time");
        return;
    }
    score_axis(out, h);
    speed_axis(out, h);
    sqa_svg_line(out, h->left + LEFT, HEIGHT - BOTTOM, h->left + WIDTH - RIGHT, HEIGHT - BOTTOM, "axis");
    snprintf(buf, sizeof buf, "training steps a second at %s tokens (log)", h->b->paper->at);
    sqa_svg_label(out, h->left + (LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - BOTTOM + 40, "tick", "middle", buf);
    snprintf(buf, sizeof buf, "score, %%: mean of %.80s; largest bubble %s",
             h->published ? "five tasks" : h->b->tasks, sqa_format_bytes(bytes, h->memory));
    sqa_svg_label(out, h->left + WIDTH - RIGHT, TOP - 14, "tick", "end", buf);
    for (size_t i = 0; i < h->b->n; i++) {
        const struct sqa_bubble *x = &h->b->at[i];
        if (x->published != h->published)
            continue;
        const double cx = at_x(h, x->speed), cy = at_y(h, x->score), r = radius(h, x);
        const char *c = colours[colour++ % (sizeof colours / sizeof colours[0])];
        sqa_text_printf(
            out,
            "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\" fill=\"%s\" fill-opacity=\"0.45\" stroke=\"%s\"%s><title>",
            cx, cy, r, c, c, x->external ? " stroke-dasharray=\"4 3\"" : "");
        sqa_svg_text(out, x->label);
        sqa_text_printf(out, ": score %.2f, %.3g steps/s, %s</title></circle>\n", x->score, x->speed,
                        sqa_format_bytes(bytes, x->memory));
        if (h->n_taken < LABELS)
            h->taken[h->n_taken++] = (struct box){cx - 0.75 * r, cy - 0.75 * r, cx + 0.75 * r, cy + 0.75 * r};
    }
    for (size_t i = 0; i < h->b->n; i++)
        if (h->b->at[i].published == h->published)
            place_label(out, h, &h->b->at[i]);
}

void sqa_bubbles_svg(struct sqa_text *out, const struct sqa_bubbles *b)
{
    bool measured = false;
    for (size_t i = 0; i < b->n; i++)
        measured = measured || !b->at[i].published;
    const int halves = 1 + measured;
    sqa_text_printf(out,
                    "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" "
                    "role=\"img\">\n<title>",
                    halves * WIDTH, HEIGHT, halves * WIDTH, HEIGHT);
    sqa_svg_text(out, b->paper->title);
    sqa_text_add(out, "</title>\n<style>text{font-family:sans-serif;fill:#222}.title{font-size:16px;font-weight:bold}"
                      ".half{font-size:13px;font-weight:bold}.tick{font-size:11px}.name{font-size:11.5px}"
                      ".grid{stroke:#ddd}.axis{stroke:#222}.lead{stroke:#888}</style>\n"
                      "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n");
    sqa_svg_label(out, LEFT, 28, "title", "start", b->paper->title);
    for (int i = 0; i < halves; i++) {
        struct half h = {.b = b, .published = i == 0, .left = i * WIDTH};
        draw(out, &h);
    }
    sqa_text_add(out, "</svg>\n");
}
