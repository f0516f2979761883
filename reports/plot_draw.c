/*
 * plot_draw.c - gnuplot as a child, and its SVG made fit for a page (see plot.h)
 *
 * Commands go in and the picture comes out through files without names, so neither side waits for the other.
 */
#include <errno.h>
#include <math.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "reports/plot.h"
#include "reports/svg.h"

enum { TITLE = 19, CAPTION = 15 }; /* height of a line, pixels */

const char sqa_plot_missing[] = "plot: gnuplot is not installed; install it (Debian: gnuplot-nox) and run again";

/* Lines of at most `room` characters, broken at blanks where there are some: f takes each; returns how many. */
static int wrap(const char *text, size_t room, void (*f)(void *user, const char *line, int number), void *user)
{
    int lines = 0;
    while (*text) {
        size_t n = strlen(text), next;
        if (n > room) {
            for (n = room; n > 0 && text[n] != ' '; n--)
                continue;
            n = n ? n : room;
            while (n > 1 && ((unsigned char)text[n] & 0xc0) == 0x80)
                n--;
        }
        char line[512];
        snprintf(line, sizeof line, "%.*s", (int)n, text);
        if (f)
            f(user, line, lines);
        lines++;
        for (next = n; text[next] == ' '; next++)
            continue;
        text += next;
    }
    return lines;
}

struct page {
    struct sqa_text *out;
    int width, height;
    double x, y; /* where lines begin, y up from below, pixels */
    int step;
    const char *font;
};

static void line_label(void *user, const char *line, int number)
{
    struct page *g = user;
    sqa_text_add(g->out, "set label ");
    sqa_plot_quote(g->out, line);
    sqa_text_printf(g->out, " at screen %.6f, screen %.6f left font '%s'\n", g->x / g->width,
                    (g->y - number * g->step) / g->height, g->font);
}

static size_t title_room(const struct sqa_plot *p)
{
    return (size_t)((p->width - 30) / 8);
}

static size_t caption_room(const struct sqa_plot *p)
{
    return (size_t)((p->width - 30) / 5.9);
}

/* Height with as many lines as the title takes, and the caption where it is drawn. */
static int height_of(const struct sqa_plot *p, enum sqa_plot_as as)
{
    const int titles = wrap(p->title, title_room(p), NULL, NULL);
    const int lines = as == SQA_PLOT_INLINE ? 0 : wrap(sqa_text_get(&p->caption), caption_room(p), NULL, NULL);
    return p->height + TITLE * (titles - 1) + CAPTION * lines + (lines ? 8 : 0);
}

/* One picture whose upper edge lies `above` pixels under that of the document. */
static void add_picture(struct page *g, const struct sqa_plot *p, int above, enum sqa_plot_as as)
{
    const int titles = wrap(p->title, title_room(p), NULL, NULL), tall = height_of(p, as);
    const double w = g->width, h = g->height, top = g->height - above;
    const double upper = top - p->top - TITLE * (titles - 1);
    sqa_text_printf(g->out,
                    "reset\nset encoding utf8\nset key off\nset border 3 lw 1 lc rgb '#60000000'\n"
                    "set tics nomirror out scale 0.5 textcolor rgb '#30000000'\n"
                    "set xtics font ',11'\nset ytics font ',11'\nset style fill transparent solid 0.2 noborder\n"
                    "set lmargin at screen %.6f\nset rmargin at screen %.6f\n"
                    "set tmargin at screen %.6f\nset bmargin at screen %.6f\n",
                    p->left / w, (p->width - p->right) / w, upper / h,
                    (upper - (p->height - p->top - p->bottom)) / h);
    struct page text = *g;
    text.x = 12;
    text.y = top - 18;
    text.step = TITLE;
    text.font = ",15";
    wrap(p->title, title_room(p), line_label, &text);
    if (as != SQA_PLOT_INLINE) {
        const int lines = wrap(sqa_text_get(&p->caption), caption_room(p), NULL, NULL);
        text.y = top - tall + CAPTION * lines - 4;
        text.step = CAPTION;
        text.font = ",11";
        wrap(sqa_text_get(&p->caption), caption_room(p), line_label, &text);
    }
    sqa_text_add_bytes(g->out, sqa_text_get(&p->script), p->script.length);
}

static void write_script(struct sqa_text *out, const struct sqa_plots *plots, size_t first, size_t n,
                         enum sqa_plot_as as, int *width, int *height)
{
    int above = 0;
    *width = *height = 0;
    for (size_t i = first; i < first + n; i++) {
        *width = plots->at[i]->width > *width ? plots->at[i]->width : *width;
        *height += height_of(plots->at[i], as);
    }
    if (as == SQA_PLOT_PDF)
        sqa_text_printf(out,
                        "set terminal pdfcairo noenhanced size %.4fin,%.4fin font 'sans,9' background '#FFFFFF'\n",
                        *width / 96.0, *height / 96.0);
    else
        sqa_text_printf(out, "set terminal svg noenhanced size %d,%d font 'sans-serif,12'%s\n", *width, *height,
                        as == SQA_PLOT_SVG ? " background '#FFFFFF'" : "");
    sqa_text_add(out, "set multiplot\n");
    struct page g = {.out = out, .width = *width, .height = *height};
    for (size_t i = first; i < first + n; i++) {
        add_picture(&g, plots->at[i], above, as);
        above += height_of(plots->at[i], as);
    }
    sqa_text_add(out, "unset multiplot\nset output\n");
}

/* gnuplot */

static bool read_back(FILE *f, struct sqa_text *out)
{
    char buf[1 << 14];
    size_t n;
    rewind(f);
    while ((n = fread(buf, 1, sizeof buf, f)) > 0)
        sqa_text_add_bytes(out, buf, n);
    return !ferror(f);
}

static enum sqa_status start_and_wait(FILE *const files[3], int *code, struct sqa_err *err)
{
    static const char *const argv[] = {"gnuplot", "--default-settings", NULL};
    static const char *const variables[] = {"LC_ALL=C.UTF-8", "GNUTERM=dumb", NULL};
    extern char **environ;
    const char *env[256];
    size_t n = 0;
    posix_spawn_file_actions_t actions;
    pid_t child;
    for (; environ[n] && n < 250; n++)
        env[n] = environ[n];
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (strncmp(env[i], "LC_", 3) != 0 && strncmp(env[i], "LANG", 4) != 0 && strncmp(env[i], "GNUPLOT", 7) != 0 &&
            strncmp(env[i], "GNUTERM", 7) != 0)
            env[kept++] = env[i];
    for (size_t i = 0; variables[i]; i++)
        env[kept++] = variables[i];
    env[kept] = NULL;
    int failed = posix_spawn_file_actions_init(&actions);
    for (int i = 0; i < 3 && !failed; i++)
        failed = posix_spawn_file_actions_adddup2(&actions, fileno(files[i]), i);
    if (!failed)
        failed = posix_spawnp(&child, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv,
                              (char *const *)(uintptr_t)env);
    posix_spawn_file_actions_destroy(&actions);
    if (failed == ENOENT)
        return sqa_fail(err, SQA_MACHINE, "%s", sqa_plot_missing);
    if (failed)
        return sqa_file_fail(err, "gnuplot", failed);
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return sqa_file_fail(err, "gnuplot", errno);
    *code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return SQA_OK;
}

/* The first line of what gnuplot says that is a sentence. */
static void first_words(const char *said, char words[200])
{
    snprintf(words, 200, "it said nothing");
    for (const char *at = said; *at; at += strcspn(at, "\n"), at += *at == '\n') {
        const char *word = at + strspn(at, " \t");
        if (strchr("^\n", *word) || strncmp(word, "gnuplot>", 8) == 0)
            continue;
        const char *text = strstr(word, ": ");
        const size_t n = strcspn(word, "\n");
        word = strncmp(word, "line ", 5) == 0 && text && text < word + n ? text + 2 : word;
        snprintf(words, 200, "%.*s", (int)strcspn(word, "\n"), word);
        return;
    }
}

static enum sqa_status run_gnuplot(const struct sqa_text *script, struct sqa_text *out, struct sqa_err *err)
{
    FILE *files[3] = {tmpfile(), tmpfile(), tmpfile()};
    struct sqa_text said = {0};
    enum sqa_status status = SQA_OK;
    char words[200];
    int code = 0;
    if (!files[0] || !files[1] || !files[2] || fwrite(script->text, 1, script->length, files[0]) != script->length ||
        fflush(files[0]) != 0 || lseek(fileno(files[0]), 0, SEEK_SET) != 0)
        status = sqa_file_fail(err, "a temporary file", errno);
    if (status == SQA_OK)
        status = start_and_wait(files, &code, err);
    if (status == SQA_OK && (!read_back(files[1], out) || !read_back(files[2], &said)))
        status = sqa_file_fail(err, "a temporary file", errno);
    first_words(sqa_text_get(&said), words);
    if (status == SQA_OK && (code != 0 || out->length == 0))
        status =
            sqa_fail(err, SQA_MACHINE,
                     "gnuplot: %s; it needs its terminals svg and pdfcairo (version 5.4 is known to work)", words);
    for (int i = 0; i < 3; i++)
        if (files[i])
            fclose(files[i]);
    sqa_text_clear(&said);
    return status;
}

/* Its SVG */

static const struct {
    const char *from, *to;
} changes[] = {
    {"stroke='black'", "stroke='currentColor'"},
    {"stroke=\"black\"", "stroke=\"currentColor\""},
    {"fill=\"black\"", "fill=\"currentColor\""},
    {" color=\"black\"", ""},
    {" color=\"gray\"", ""},
    {" color=\"white\"", ""},
    {" color='black'", ""},
    {"color='rgb(  0,   0,   0)'", ""},
    {"rgb(  0,   0,   0)", "currentColor"},
    {"rgb(0,0,0)", "currentColor"},
    {"<rect x=\"0\" y=\"0\" width", "<rect width"},
};

/* Tips: N of "...showHypertext(evt,'N')..." becomes what was said of that place. */
static const char *add_tip(struct sqa_text *out, const struct sqa_plots *plots, const char *at)
{
    static const char begin[] = "onmousemove=\"gnuplot_svg.showHypertext(evt,'",
                      end[] = "')\" onmouseout=\"gnuplot_svg.hideHypertext()\"><title> </title>";
    size_t which = 0;
    const char *s = at + sizeof begin - 1;
    if (strncmp(at, begin, sizeof begin - 1) != 0)
        return NULL;
    while (*s >= '0' && *s <= '9' && which < plots->n_tips)
        which = 10 * which + (size_t)(*s++ - '0');
    if (strncmp(s, end, sizeof end - 1) != 0 || which >= plots->n_tips)
        return NULL;
    sqa_text_add(out, "tabindex=\"0\" role=\"img\" data-tip=\"");
    sqa_svg_text(out, plots->tips[which]);
    sqa_text_add(out, "\"><title>");
    sqa_svg_text(out, plots->tips[which]);
    sqa_text_add(out, "</title>");
    return s + sizeof end - 1;
}

static void add_line(struct sqa_text *out, const struct sqa_plots *plots, const char *at, size_t n, const char *id)
{
    for (const char *end = at + n; at < end;) {
        const char *next = add_tip(out, plots, at);
        if (!next &&
            (strncmp(at, "'gpPt", 5) == 0 || strncmp(at, "'#gpPt", 6) == 0 || strncmp(at, "'gpDot", 6) == 0)) {
            const size_t before = at[1] == '#' ? 2 : 1;
            sqa_text_add_bytes(out, at, before);
            sqa_text_printf(out, "%s-", id);
            next = at + before;
        }
        for (size_t i = 0; i < sizeof changes / sizeof changes[0] && !next; i++)
            if (strncmp(at, changes[i].from, strlen(changes[i].from)) == 0) {
                sqa_text_add(out, changes[i].to);
                next = at + strlen(changes[i].from);
            }
        if (!next) {
            sqa_text_add_bytes(out, at, 1);
            next = at + 1;
        }
        at = next;
    }
    sqa_text_add(out, "\n");
}

static bool begins(const char *line, const char *with)
{
    return strncmp(line + strspn(line, "\t "), with, strlen(with)) == 0;
}

/* Groups without content are most of the lines. */
static const char *skip_empty(const char *line)
{
    const char *next = line + strcspn(line, "\n");
    if (!begins(line, "<g fill=") || strncmp(next, "\n</g>\n", 6) != 0)
        return NULL;
    return next + 6;
}

static void make_element(struct sqa_text *out, const struct sqa_plots *plots, size_t first, size_t n, const char *svg,
                         const char *id, int width, int height)
{
    bool filter = false;
    sqa_text_printf(out,
                    "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" "
                    "viewBox=\"0 0 %d %d\" role=\"%s\" aria-label=\"",
                    width, height, plots->n_tips ? "group" : "img");
    for (size_t i = first; i < first + n; i++) {
        sqa_svg_text(out, plots->at[i]->title);
        sqa_text_add(out, i + 1 < first + n ? "; " : "\">\n");
    }
    const char *line = strstr(svg, "<g id=\"gnuplot_canvas\">");
    while (line && *line) {
        const char *next = skip_empty(line);
        const size_t length = strcspn(line, "\n");
        if (next) {
            line = next;
            continue;
        }
        filter = filter || begins(line, "<filter");
        if (begins(line, "<g id=\"gnuplot_canvas\"") || begins(line, "<g id=\"gnuplot_plot_"))
            sqa_text_add(out, "<g>\n"); /* their titles would cover the tips */
        else if (length > 0 && !filter)
            add_line(out, plots, line, length, id);
        filter = filter && !begins(line, "</filter");
        line += length;
        line += *line == '\n';
    }
}

enum sqa_status sqa_plots_draw(const struct sqa_plots *plots, size_t first, size_t n, enum sqa_plot_as as,
                               const char *id, struct sqa_text *out, struct sqa_err *err)
{
    struct sqa_text script = {0}, drawn = {0};
    int width, height;
    write_script(&script, plots, first, n, as, &width, &height);
    const bool failed = sqa_plots_failed(plots) || script.failed;
    enum sqa_status status =
        failed ? sqa_fail(err, SQA_NOMEM, "plot: no memory for the picture; free some memory or name fewer runs")
               : run_gnuplot(&script, &drawn, err);
    if (status == SQA_OK && as == SQA_PLOT_PDF)
        sqa_text_add_bytes(out, drawn.text, drawn.length);
    else if (status == SQA_OK)
        make_element(out, plots, first, n, sqa_text_get(&drawn), id, width, height);
    if (status == SQA_OK && (out->failed || drawn.failed))
        status = sqa_fail(err, SQA_NOMEM, "plot: no memory for the picture; free some memory or name fewer runs");
    sqa_text_clear(&script);
    sqa_text_clear(&drawn);
    return status;
}
