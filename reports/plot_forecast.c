/* plot_forecast.c - see plot_forecast.h */
#include "reports/plot_forecast.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/csv.h"

enum { PANELS = 8 };

static void panel(struct sqa_plots *plots, const struct sqa_forecast_lines *l, int k)
{
    const struct sqa_forecast_panel *s = &l->panel[k];
    const int64_t n = l->n_history, h = l->n_ahead;
    struct sqa_plot_end ends[2] = {{s->ahead[h - 1], "forecast", 0}, {(double)NAN, "what came", 1}};
    struct sqa_plot *p = sqa_plots_add(plots, "%s: %s", s->name, l->title);
    p->height = 230;
    p->x = (struct sqa_axis){0, (double)(n + h - 1) + 1e-9, false};
    sqa_axis_begin(&p->y, false);
    sqa_plot_say(p, "$was << EOD\n");
    for (int64_t i = 0; i < n; i++) {
        sqa_axis_take(&p->y, s->history[i]);
        if (isfinite(s->history[i]))
            sqa_plot_say(p, "%lld %.10g\n", (long long)i, s->history[i]);
    }
    sqa_plot_say(p, "EOD\n$ahead << EOD\n");
    if (n > 0 && isfinite(s->history[n - 1]))
        sqa_plot_say(p, "%lld %.10g\n", (long long)n - 1, s->history[n - 1]);
    for (int64_t i = 0; i < h; i++) {
        sqa_axis_take(&p->y, s->ahead[i]);
        sqa_plot_say(p, "%lld %.10g\n", (long long)(n + i), s->ahead[i]);
    }
    sqa_plot_say(p, "EOD\n$came << EOD\n");
    for (int64_t i = 0; i < h && s->truth; i++)
        if (isfinite(s->truth[i])) {
            sqa_axis_take(&p->y, s->truth[i]);
            sqa_plot_say(p, "%lld %.10g\n", (long long)(n + i), s->truth[i]);
            ends[1].y = s->truth[i];
        }
    sqa_plot_say(p, "EOD\n");
    sqa_axis_end(&p->y, 0.06);
    const bool came = isfinite(ends[1].y);
    sqa_plot_ends(p, ends, 1 + came);
    sqa_plot_axis(p, 'y', "", NULL);
    sqa_plot_say(p, "set xrange [%g:%g]\nunset xtics\n", p->x.low, p->x.high);
    sqa_plot_label(p, l->first, "left font ',11'", "graph 0, graph 0 offset 0,-1.1");
    sqa_plot_label(p, l->last, "right font ',11'", "graph 1, graph 0 offset 0,-1.1");
    if (n > 0) {
        const double now = (double)(n - 1) / p->x.high;
        sqa_plot_say(p, "set arrow from graph %.6f, graph 0 to graph %.6f, graph 1 nohead dt 2 lc rgb '#80000000'\n",
                     now, now);
        sqa_plot_label(p, l->now, now > 0.5 ? "right font ',11'" : "left font ',11'",
                       "graph %.6f, graph 1 offset %s,0.5", now, now > 0.5 ? "-0.3" : "0.3");
    }
    const int64_t every = (h + 23) / 24;
    for (int64_t i = 0; i < h; i += every) {
        if (s->truth && isfinite(s->truth[i]))
            sqa_plot_tip(p, (double)(n + i), s->ahead[i], 5, "row %lld: forecast %.6g, what came %.6g",
                         (long long)i + 1, s->ahead[i], s->truth[i]);
        else
            sqa_plot_tip(p, (double)(n + i), s->ahead[i], 5, "row %lld: forecast %.6g", (long long)i + 1,
                         s->ahead[i]);
    }
    sqa_text_add(&p->caption, k + 1 == l->panels ? l->caption : "");
    sqa_plot_say(p, "plot $was with lines lw 1.2 lc rgb '#40000000', $ahead with lines lw 2 lc rgb '#0072B2'%s\n",
                 came ? ", $came with lines lw 1.6 dt 2 lc rgb '#D55E00'" : "");
}

void sqa_plots_lines(struct sqa_plots *plots, const struct sqa_forecast_lines *l)
{
    for (int k = 0; k < l->panels; k++)
        panel(plots, l, k);
}

/* From files */

/* A time without the zeros at its end: 2016-07-01 00:00:00 and 2016-07-01 are one. */
static size_t bare(const char *time)
{
    size_t n = strlen(time);
    while (n > 3 && (strncmp(time + n - 3, ":00", 3) == 0 || strncmp(time + n - 3, " 00", 3) == 0))
        n -= 3;
    return n;
}

static bool same_time(const char *a, const char *b)
{
    const size_t n = bare(a);
    return n == bare(b) && strncmp(a, b, n) == 0;
}

/* The row of `truth` that the first forecast names; the number of its rows when there is none. */
static size_t begin_of(const struct sqa_sheet *next, const struct sqa_sheet *truth)
{
    double row;
    if (strcmp(next->names[0], "row") == 0 && sqa_parse_real(next->row[0][0], &row))
        return row >= 1 && row <= (double)truth->nrow ? (size_t)row - 1 : truth->nrow;
    for (size_t c = 0; c < truth->ncol; c++)
        for (size_t i = 0; i < truth->nrow; i++)
            if (same_time(truth->row[i][c], next->row[0][0]))
                return i;
    return truth->nrow;
}

static double number(const struct sqa_sheet *s, size_t row, int column)
{
    double x;
    return row < s->nrow && column >= 0 && sqa_parse_real(s->row[row][column], &x) ? x : (double)NAN;
}

static enum sqa_status draw_sheets(struct sqa_plots *plots, const char *path, const struct sqa_sheet *next,
                                   const struct sqa_sheet *truth, struct sqa_err *err)
{
    const size_t h = next->nrow, begin = begin_of(next, truth), n = begin < 3 * h ? begin : 3 * h;
    struct sqa_forecast_panel panels[PANELS];
    double errors = 0, count = 0;
    char caption[160] = "";
    struct sqa_forecast_lines l = {.title = "forecast",
                                   .caption = caption,
                                   .first = n ? truth->row[begin - n][0] : next->row[0][0],
                                   .now = n ? truth->row[begin - 1][0] : "",
                                   .last = next->row[h - 1][0],
                                   .n_history = (int64_t)n,
                                   .n_ahead = (int64_t)h,
                                   .panel = panels};
    for (size_t c = 1; c < next->ncol && l.panels < PANELS; c++) {
        const int column = sqa_sheet_column(truth, next->names[c]);
        double *numbers = sqa_arena_alloc(&plots->arena, (n + 2 * h) * sizeof *numbers);
        if (!numbers)
            return sqa_fail(err, SQA_NOMEM,
                            "plot: no memory for the picture; free some memory or draw a shorter table");
        if (truth->nrow && column < 0)
            continue;
        for (size_t i = 0; i < n; i++)
            numbers[i] = number(truth, begin - n + i, column);
        for (size_t i = 0; i < h; i++) {
            numbers[n + i] = number(next, i, (int)c);
            numbers[n + h + i] = number(truth, begin + i, column);
            if (!isfinite(numbers[n + i]))
                return sqa_fail(err, SQA_INPUT,
                                "%.200s: '%.40s' in column %.40s is no number; give what `forecast` wrote", path,
                                next->row[i][c], next->names[c]);
            if (isfinite(numbers[n + h + i])) {
                errors += fabs(numbers[n + i] - numbers[n + h + i]);
                count++;
            }
        }
        panels[l.panels++] = (struct sqa_forecast_panel){next->names[c], numbers, numbers + n, numbers + n + h};
    }
    if (l.panels == 0)
        return sqa_fail(err, SQA_INPUT, "%.200s: no column that --truth has too; give the table that it continues",
                        path);
    if (count > 0)
        snprintf(caption, sizeof caption, "%zu rows ahead; mean absolute error %.4g over %.0f values that came.", h,
                 errors / count, count);
    else
        snprintf(caption, sizeof caption,
                 "%zu rows ahead; --truth F.csv, with rows of the same times, draws what came.", h);
    sqa_plots_lines(plots, &l);
    return SQA_OK;
}

enum sqa_status sqa_plots_forecast(struct sqa_plots *plots, const char *next, const char *truth, struct sqa_err *err)
{
    struct sqa_sheet a = {0}, b = {0};
    enum sqa_status status = sqa_sheet_read(next, &a, err);
    if (status == SQA_OK && truth)
        status = sqa_sheet_read(truth, &b, err);
    if (status == SQA_OK && (a.nrow == 0 || a.ncol < 2))
        status = sqa_fail(err, SQA_INPUT,
                          "%.200s: no rows, or one column only; give what `seqarena forecast -o` wrote", next);
    if (status == SQA_OK)
        status = draw_sheets(plots, next, &a, &b, err);
    sqa_sheet_clear(&a);
    sqa_sheet_clear(&b);
    return status;
}
