/* plot_labels.c - names beside what they name: at ends of lines and around points (see plot.h) */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "reports/plot.h"

enum { NAME = 40, BOXES = 512, ENDS = 128, LINE = 15 };
static const double glyph = 6.4; /* width of a character of a label of 12 pixels, about */

/* Characters of UTF-8 text, at most NAME and what stands for the rest. */
static size_t characters(const char *s)
{
    size_t n = 0;
    for (; *s; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n < NAME ? n : NAME;
}

char *sqa_plot_short(char buf[SQA_PLOT_SHORT], const char *text, size_t room)
{
    size_t n = 0, i = 0, kept = 0;
    for (; text[i] && i < SQA_PLOT_SHORT - 8; i++) {
        const bool begins = ((unsigned char)text[i] & 0xc0) != 0x80;
        n += begins;
        if (n > room)
            break;
        kept = begins && n == room - 1 ? i : kept;
    }
    snprintf(buf, SQA_PLOT_SHORT, "%.*s%s", (int)(text[i] ? kept : i), text, text[i] ? ".." : "");
    return buf;
}

/* Moves what stands in order apart until neighbours are `gap` apart, within 0 to room. */
static void spread(double *at, size_t n, double gap, double room)
{
    for (int turn = 0; turn < 200; turn++) {
        bool moved = false;
        for (size_t i = 0; i + 1 < n; i++) {
            const double lacks = gap - (at[i + 1] - at[i]);
            if (lacks <= 0.01)
                continue;
            at[i] -= lacks / 2;
            at[i + 1] += lacks / 2;
            moved = true;
        }
        for (size_t i = 0; i < n; i++)
            at[i] = fmin(fmax(at[i], gap * (double)i), room - gap * (double)(n - 1 - i));
        if (!moved)
            break;
    }
}

void sqa_plot_ends(struct sqa_plot *p, struct sqa_plot_end *ends, size_t n)
{
    double at[ENDS];
    size_t longest = 0;
    n = n < ENDS ? n : ENDS;
    for (size_t i = 0; i < n; i++)
        for (size_t k = i; k > 0 && ends[k].y < ends[k - 1].y; k--) {
            const struct sqa_plot_end other = ends[k];
            ends[k] = ends[k - 1];
            ends[k - 1] = other;
        }
    const int needed = p->top + p->bottom + LINE * (int)n;
    p->height = p->height > needed ? p->height : needed;
    const double tall = p->height - p->top - p->bottom;
    for (size_t i = 0; i < n; i++) {
        at[i] = tall * sqa_axis_part(&p->y, ends[i].y);
        const size_t w = characters(ends[i].text);
        longest = w > longest ? w : longest;
    }
    spread(at, n, LINE, tall);
    p->right = 32 + (int)(glyph * (double)longest);
    const double wide = p->width - p->left - p->right;
    for (size_t i = 0; i < n; i++) {
        const struct sqa_plot_style style = sqa_plot_style(ends[i].style);
        char name[SQA_PLOT_SHORT];
        sqa_plot_label(p, sqa_plot_short(name, ends[i].text, NAME), "left font ',11'", "graph %.5f, graph %.5f",
                       1 + 24 / wide, at[i] / tall);
        sqa_plot_say(
            p, "set arrow from graph %.5f, first %.10g to graph %.5f, graph %.5f nohead dt %d lw 1.8 lc rgb '%s'\n",
            1 + 3 / wide, ends[i].y, 1 + 21 / wide, at[i] / tall, style.dash, style.colour);
    }
}

struct box {
    double x0, y0, x1, y1;
};
struct page {
    double wide, tall;
    struct box taken[BOXES];
    size_t n;
};

static bool is_free(const struct page *g, struct box b)
{
    if (b.x0 < 2 || b.x1 > g->wide || b.y0 < 2 || b.y1 > g->tall)
        return false;
    for (size_t i = 0; i < g->n; i++)
        if (b.x0 < g->taken[i].x1 && b.x1 > g->taken[i].x0 && b.y0 < g->taken[i].y1 && b.y1 > g->taken[i].y0)
            return false;
    return true;
}

static void take(struct page *g, struct box b)
{
    if (g->n < BOXES)
        g->taken[g->n++] = b;
}

/* Right, left, above, below, each farther and farther, the first that covers no label and no bubble. */
static void place(struct sqa_plot *p, struct page *g, const struct sqa_plot_spot *s)
{
    const double cx = g->wide * sqa_axis_part(&p->x, s->x), cy = g->tall * sqa_axis_part(&p->y, s->y);
    char name[SQA_PLOT_SHORT];
    const char *text = sqa_plot_short(name, s->text, NAME);
    const double w = glyph * (double)characters(text), r = s->radius;
    struct box b = {0};
    for (int k = 0; k < 96; k++) {
        const double away = r + 4 + 8 * (k / 8), side = (k % 8) * acos(-1) / 4;
        const double px = cx + away * cos(side), py = cy + away * sin(side);
        const double x0 = cos(side) > 0.3 ? px : cos(side) < -0.3 ? px - w : px - w / 2;
        b = (struct box){x0, py - 7, x0 + w, py + 7};
        if (!is_free(g, b))
            continue;
        if (k >= 8)
            sqa_plot_say(
                p, "set arrow from graph %.5f, graph %.5f to graph %.5f, graph %.5f nohead lt 1 lw 1 lc rgb '%s'\n",
                (cx + r * cos(side)) / g->wide, (cy + r * sin(side)) / g->tall,
                (cx + (away - 2) * cos(side)) / g->wide, (cy + (away - 2) * sin(side)) / g->tall,
                sqa_plot_style(s->style).colour);
        break;
    }
    sqa_plot_label(p, text, "left front font ',11'", "graph %.5f, graph %.5f", b.x0 / g->wide,
                   (b.y0 + b.y1) / 2 / g->tall);
    take(g, b);
}

void sqa_plot_spots(struct sqa_plot *p, const struct sqa_plot_spot *spots, size_t n)
{
    struct page g = {.wide = p->width - p->left - p->right, .tall = p->height - p->top - p->bottom};
    for (size_t i = 0; i < n; i++) {
        const double cx = g.wide * sqa_axis_part(&p->x, spots[i].x), cy = g.tall * sqa_axis_part(&p->y, spots[i].y),
                     r = fmax(0.75 * spots[i].radius, 4);
        take(&g, (struct box){cx - r, cy - r, cx + r, cy + r});
    }
    for (size_t i = 0; i < n; i++)
        if (spots[i].text)
            place(p, &g, &spots[i]);
}
