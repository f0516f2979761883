/*
 * plot.h - pictures that gnuplot draws
 *
 * A kind of picture (plots.h) appends pictures to a list: size, axes and gnuplot commands. sqa_plots_draw runs gnuplot once
 * for the pictures of a document, one below the other, and makes its SVG fit for a page: one accessible element without
 * scripts, black as the colour of the surrounding text, and what a point is as data-tip, title and aria-label.
 *
 * Text of users (names of models, values of files) is no command: it reaches gnuplot between single quotes, where nothing is
 * expanded, with no quote mark in it, and tips are put in by us afterwards. The same pictures give the same bytes.
 *
 * Sources: Okabe and Ito 2008 (colours that colour-blind people tell apart).
 */
#ifndef SQA_REPORTS_PLOT_H
#define SQA_REPORTS_PLOT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/memory.h"
#include "base/status.h"
#include "base/text.h"

struct sqa_axis {
    double low, high; /* low < high; of a logarithmic axis above 0 */
    bool log;
};

struct sqa_plot {
    struct sqa_plots *of;
    const char *title;
    struct sqa_text caption;                     /* plain sentences: what is drawn, from how many rows */
    struct sqa_text script;                      /* gnuplot commands */
    int width, height, left, right, top, bottom; /* pixels: the picture, and its margins around the axes */
    struct sqa_axis x, y;
};

/* All zero is an empty list. */
struct sqa_plots {
    struct sqa_arena arena;
    struct sqa_plot **at;
    const char **tips;
    size_t n, capacity, n_tips, tips_capacity;
    bool failed;             /* for lack of memory */
    struct sqa_plot nowhere; /* takes what is drawn after a failure */
};

/* A new picture with the usual size, valid until the list is cleared; never NULL. */
struct sqa_plot *sqa_plots_add(struct sqa_plots *plots, const char *title, ...) SQA_PRINTF(2, 3);
bool sqa_plots_failed(const struct sqa_plots *plots);
void sqa_plots_clear(struct sqa_plots *plots);

/* Commands with numbers and words of ours in them; never text of a user. */
void sqa_plot_say(struct sqa_plot *p, const char *fmt, ...) SQA_PRINTF(2, 3);
/* Text as gnuplot takes it, whatever is in it. */
void sqa_plot_quote(struct sqa_text *out, const char *text);
/* A label: where as "first 3, graph 0.5", how as "right tc rgb '#555555'". */
void sqa_plot_label(struct sqa_plot *p, const char *text, const char *how, const char *where, ...) SQA_PRINTF(4, 5);
/* What is said of the place x, y (coordinates of the axes), within radius pixels of it. */
void sqa_plot_tip(struct sqa_plot *p, double x, double y, double radius, const char *fmt, ...) SQA_PRINTF(5, 6);

/* A range around values: starts empty, takes what is finite (log: above 0), and gets room, a share of its width. */
void sqa_axis_begin(struct sqa_axis *a, bool log);
void sqa_axis_take(struct sqa_axis *a, double v);
void sqa_axis_end(struct sqa_axis *a, double room);
bool sqa_axis_empty(const struct sqa_axis *a);
double sqa_axis_part(const struct sqa_axis *a, double v); /* 0 at low, 1 at high */
/* To be called when sizes, margins and ranges are final: p->x or p->y with ticks, grid and title (which: 'x' or 'y'); format writes a tick, NULL: "%g". */
void sqa_plot_axis(struct sqa_plot *p, char which, const char *title, char *(*format)(char buf[32], double v));
/* The same with a tick at each of n values and nowhere else, where they do not crowd. */
void sqa_plot_axis_at(struct sqa_plot *p, char which, const char *title, const double *at, size_t n);

/* Look of series i: 7 colours, 6 shapes and 5 dashes, so that neighbours differ in all of them. */
struct sqa_plot_style {
    const char *colour; /* "#0072B2" */
    int point, dash;    /* of gnuplot: pt, and dt 1 to 5 */
};
struct sqa_plot_style sqa_plot_style(size_t i);

/* text, or its beginning and "..", in `room` characters. Returns buf. */
enum { SQA_PLOT_SHORT = 176 };
char *sqa_plot_short(char buf[SQA_PLOT_SHORT], const char *text, size_t room);

/* Names at the right ends of lines, each behind a piece of its line, moved apart where they would overlap: text has the colour
 * of text, since half of the colours are too light for it. Sets the right margin. Call it after p->y is
 * final. */
struct sqa_plot_end {
    double y; /* in coordinates of the axis */
    const char *text;
    size_t style;
};
void sqa_plot_ends(struct sqa_plot *p, struct sqa_plot_end *ends, size_t n);

/* Names beside points and bubbles, each where it covers nothing, with a thin line when that is far. */
struct sqa_plot_spot {
    double x, y, radius; /* coordinates of the axes; pixels */
    const char *text;    /* NULL: only in the way of others */
    size_t style;
};
void sqa_plot_spots(struct sqa_plot *p, const struct sqa_plot_spot *spots, size_t n);

enum sqa_plot_as {
    SQA_PLOT_INLINE, /* an <svg> element of a page: no background, no caption */
    SQA_PLOT_SVG,    /* a document */
    SQA_PLOT_PDF
};
/* Appends pictures first to first + n - 1. id begins every id of the element. MACHINE when gnuplot cannot be run, in the
 * words of sqa_plot_missing when it is not installed. */
enum sqa_status sqa_plots_draw(const struct sqa_plots *plots, size_t first, size_t n, enum sqa_plot_as as,
                               const char *id, struct sqa_text *out, struct sqa_err *err) SQA_MUST_CHECK;
extern const char sqa_plot_missing[];

#endif
