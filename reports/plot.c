/* plot.c - pictures as gnuplot commands: text, axes, looks (see plot.h) */
#include "reports/plot.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "reports/svg.h"

static void *grow(struct sqa_plots *plots, void *at, size_t n, size_t *capacity)
{
    if (n < *capacity)
        return at;
    const size_t more = *capacity ? 2 * *capacity : 16;
    void *p = sqa_realloc(at, more * sizeof(void *));
    if (p)
        *capacity = more;
    else
        plots->failed = true;
    return p;
}

struct sqa_plot *sqa_plots_add(struct sqa_plots *plots, const char *title, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, title);
    vsnprintf(text, sizeof text, title, ap);
    va_end(ap);
    void *at = grow(plots, (void *)plots->at, plots->n, &plots->capacity);
    struct sqa_plot *p = at ? sqa_arena_alloc(&plots->arena, sizeof *p) : NULL;
    if (at)
        plots->at = at;
    if (p)
        plots->at[plots->n++] = p;
    else
        p = &plots->nowhere;
    plots->failed = plots->failed || p == &plots->nowhere;
    p->of = plots;
    p->title = sqa_arena_strdup(&plots->arena, text);
    if (!p->title) {
        p->title = "";
        plots->failed = true;
    }
    p->width = 760;
    p->height = 440;
    p->left = 76;
    p->right = 24;
    p->top = 48;
    p->bottom = 52;
    return p;
}

bool sqa_plots_failed(const struct sqa_plots *plots)
{
    bool failed = plots->failed;
    for (size_t i = 0; i < plots->n; i++)
        failed = failed || plots->at[i]->script.failed || plots->at[i]->caption.failed;
    return failed;
}

void sqa_plots_clear(struct sqa_plots *plots)
{
    for (size_t i = 0; i < plots->n; i++) {
        sqa_text_clear(&plots->at[i]->script);
        sqa_text_clear(&plots->at[i]->caption);
    }
    sqa_text_clear(&plots->nowhere.script);
    sqa_text_clear(&plots->nowhere.caption);
    sqa_free((void *)plots->at);
    sqa_free((void *)plots->tips);
    sqa_arena_clear(&plots->arena);
    *plots = (struct sqa_plots){0};
}

void sqa_plot_say(struct sqa_plot *p, const char *fmt, ...)
{
    char line[1024];
    va_list ap;
    va_start(ap, fmt);
    const int n = vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof line)
        p->script.failed = true;
    else
        sqa_text_add(&p->script, line);
}

/* Bytes of the UTF-8 character at s; 0 when there is none that XML may hold. */
static size_t character(const unsigned char *s)
{
    const size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3 : 0;
    if (n == 1)
        return s[0] >= 0x20 && s[0] != 0x7f;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if (n == 3) { /* longer than need be, half of a pair, or no character */
        const unsigned code = (s[0] & 15U) << 12 | (s[1] & 63U) << 6 | (s[2] & 63U);
        return code < 0x800 || (code >= 0xd800 && code < 0xe000) || code >= 0xfffe ? 0 : 3;
    }
    return n;
}

/* What every reader of XML takes. */
static char *clean(struct sqa_arena *arena, const char *text)
{
    char *out = sqa_arena_alloc(arena, strlen(text) + 1), *to = out;
    if (!out)
        return NULL;
    for (const char *s = text; *s;) {
        const size_t k = character((const unsigned char *)s);
        if (k == 0)
            *to++ = (unsigned char)*s < 0x20 ? ' ' : '?';
        for (size_t i = 0; i < k; i++)
            *to++ = s[i];
        s += k ? k : 1;
    }
    *to = '\0';
    return out;
}

/* A quote mark becomes an apostrophe of typography: gnuplot 5.4 reads a doubled one wrong at the beginning of a string and
 * behind another, and what follows would be commands. */
void sqa_plot_quote(struct sqa_text *out, const char *text)
{
    struct sqa_arena arena = {0};
    const char *s = clean(&arena, text);
    if (!s)
        out->failed = true;
    sqa_text_add(out, "'");
    for (; s && *s; s++)
        sqa_text_add_bytes(out, *s == '\'' ? "\xe2\x80\x99" : s, *s == '\'' ? 3 : 1);
    sqa_text_add(out, "'");
    sqa_arena_clear(&arena);
}

void sqa_plot_label(struct sqa_plot *p, const char *text, const char *how, const char *where, ...)
{
    char place[128];
    va_list ap;
    va_start(ap, where);
    vsnprintf(place, sizeof place, where, ap);
    va_end(ap);
    sqa_text_add(&p->script, "set label ");
    sqa_plot_quote(&p->script, text);
    sqa_text_printf(&p->script, " at %s %s\n", place, how);
}

void sqa_plot_tip(struct sqa_plot *p, double x, double y, double radius, const char *fmt, ...)
{
    struct sqa_plots *plots = p->of;
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    void *at = grow(plots, (void *)plots->tips, plots->n_tips, &plots->tips_capacity);
    const char *tip = at ? clean(&plots->arena, text) : NULL;
    if (at)
        plots->tips = at;
    if (!tip) {
        plots->failed = true;
        return;
    }
    sqa_plot_say(p, "set label '%zu' at first %.10g, first %.10g hypertext point pt 7 ps %.2f lc rgb '#FF000000'\n",
                 plots->n_tips, x, y, fmax(radius, 4) / 4.5);
    plots->tips[plots->n_tips++] = tip;
}

/* Axes */

void sqa_axis_begin(struct sqa_axis *a, bool log)
{
    *a = (struct sqa_axis){HUGE_VAL, -HUGE_VAL, log};
}

void sqa_axis_take(struct sqa_axis *a, double v)
{
    if (!isfinite(v) || (a->log && v <= 0))
        return;
    a->low = fmin(a->low, v);
    a->high = fmax(a->high, v);
}

bool sqa_axis_empty(const struct sqa_axis *a)
{
    return a->low > a->high;
}

void sqa_axis_end(struct sqa_axis *a, double room)
{
    if (sqa_axis_empty(a))
        return;
    if (a->log) {
        const double by = pow(a->high / a->low, room) * (a->high > a->low * 1.001 ? 1 : 1.3);
        a->low /= by;
        a->high *= by;
    } else {
        const double wide = a->high - a->low,
                     by = wide > 1e-9 * fabs(a->high) ? room * wide : fmax(0.05 * fabs(a->high), 1e-6);
        a->low -= by;
        a->high += by;
    }
}

double sqa_axis_part(const struct sqa_axis *a, double v)
{
    return a->log ? log(v / a->low) / log(a->high / a->low) : (v - a->low) / (a->high - a->low);
}

/* Titles stand where the margin ends: gnuplot leaves out what it thinks does not fit. */
static void begin_axis(struct sqa_plot *p, char which, const char *title)
{
    const struct sqa_axis *a = which == 'x' ? &p->x : &p->y;
    const double wide = p->width - p->left - p->right, tall = p->height - p->top - p->bottom;
    if (a->log)
        sqa_plot_say(p, "set logscale %c\n", which);
    sqa_plot_say(p, "set %crange [%.10g:%.10g]\n", which, a->low, a->high);
    if (which == 'x')
        sqa_plot_label(p, title, "center font ',11'", "graph 0.5, graph %.5f", -38 / tall);
    else
        sqa_plot_label(p, title, "center rotate by 90 font ',11'", "graph %.5f, graph 0.5", -(p->left - 16) / wide);
    sqa_plot_say(p, "set %ctics (", which);
}

/* "50.0 s" as "50 s". */
static void drop_zeros(char *text)
{
    const size_t n = strcspn(text, " %abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
    size_t kept = n;
    if (!memchr(text, '.', n))
        return;
    while (kept > 0 && text[kept - 1] == '0')
        kept--;
    kept -= kept > 0 && text[kept - 1] == '.';
    memmove(text + kept, text + n, strlen(text + n) + 1);
}

static void tick(struct sqa_plot *p, bool *begun, char *text, double at)
{
    drop_zeros(text);
    sqa_plot_say(p, "%s", *begun ? ", " : "");
    sqa_plot_quote(&p->script, text);
    sqa_plot_say(p, " %.10g", at);
    *begun = true;
}

static char *plain(char buf[32], double v)
{
    snprintf(buf, 32, "%.6g", v);
    return buf;
}

void sqa_plot_axis(struct sqa_plot *p, char which, const char *title, char *(*format)(char buf[32], double v))
{
    const struct sqa_axis *a = which == 'x' ? &p->x : &p->y;
    const double pixels = which == 'x' ? p->width - p->left - p->right : p->height - p->top - p->bottom;
    const int most = (int)fmax(3, pixels / (which == 'x' ? 90 : 55));
    bool begun = false;
    char buf[32];
    format = format ? format : plain;
    begin_axis(p, which, title);
    if (!a->log) {
        const double step = sqa_svg_step(a->high - a->low, most);
        for (double k = ceil(a->low / step - 1e-9); k * step <= a->high + 1e-9 * step; k++)
            tick(p, &begun, format(buf, fabs(k) > 0 ? k * step : 0), k * step);
    } else {
        const double decades = log10(a->high / a->low);
        const int every = (int)fmax(1, ceil(decades / most));
        for (int d = (int)floor(log10(a->low)); d <= (int)ceil(log10(a->high)); d++)
            for (int digit = 1; digit < 10; digit++) {
                const double v = digit * pow(10, d);
                const bool shown = decades < 0.5         ? true
                                   : decades * 3 <= most ? digit == 1 || digit == 2 || digit == 5
                                                         : digit == 1 && d % every == 0;
                if (shown && v >= a->low * (1 - 1e-9) && v <= a->high * (1 + 1e-9))
                    tick(p, &begun, format(buf, v), v);
            }
    }
    sqa_plot_say(p, ")\nset grid %ctics lt 1 lw 0.6 lc rgb '#D8000000'\n", which);
}

void sqa_plot_axis_at(struct sqa_plot *p, char which, const char *title, const double *at, size_t n)
{
    const struct sqa_axis *a = which == 'x' ? &p->x : &p->y;
    const double pixels = which == 'x' ? p->width - p->left - p->right : p->height - p->top - p->bottom;
    double last = -HUGE_VAL;
    bool begun = false;
    char buf[32];
    begin_axis(p, which, title);
    for (size_t i = 0; i < n; i++) {
        const double place = pixels * sqa_axis_part(a, at[i]);
        if (place - last < (which == 'x' ? 48 : 16))
            continue;
        tick(p, &begun, plain(buf, at[i]), at[i]);
        last = place;
    }
    sqa_plot_say(p, ")\nset grid %ctics lt 1 lw 0.6 lc rgb '#D8000000'\n", which);
}

struct sqa_plot_style sqa_plot_style(size_t i)
{
    static const char *const colours[] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                          "#E69F00", "#56B4E9", "#7F7F7F"};
    static const int points[] = {7, 5, 9, 13, 11, 15};
    return (struct sqa_plot_style){colours[i % 7], points[i % 6] - (int)(i / 42 % 2), (int)(i % 5) + 1};
}
