/* grid.c - see grid.h */
#include "reports/grid.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { WIDTH_MAX = 60, COLUMNS_MAX = 16 }; /* longer cells stick out rather than widen every row */

void sqa_markdown_text(struct sqa_text *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\n' || *text == '\r' || *text == '\t')
            sqa_text_add(out, " ");
        else if (strchr("|*`<\\[]", *text))
            sqa_text_printf(out, "\\%c", *text);
        else
            sqa_text_add_bytes(out, text, 1);
    }
}

void sqa_markdown_code(struct sqa_text *out, const char *text, bool in_table)
{
    sqa_text_add(out, "`");
    for (; *text; text++) {
        if (*text == '`' || *text == '\n' || *text == '\r')
            sqa_text_add(out, " ");
        else if (*text == '|' && in_table)
            sqa_text_add(out, "\\|");
        else
            sqa_text_add_bytes(out, text, 1);
    }
    sqa_text_add(out, "`");
}

void sqa_grid_begin(struct sqa_grid *grid, const char *align)
{
    *grid = (struct sqa_grid){.align = align, .columns = strlen(align)};
}

static void add(struct sqa_grid *grid, const char *text)
{
    if (grid->n == grid->capacity) {
        const size_t capacity = grid->capacity ? 2 * grid->capacity : 64;
        void *p = sqa_realloc((void *)grid->cells, capacity * sizeof *grid->cells);
        if (!p) {
            grid->failed = true;
            return;
        }
        grid->cells = p;
        grid->capacity = capacity;
    }
    const char *copy = sqa_arena_strdup(&grid->arena, *text ? text : "-");
    if (copy)
        grid->cells[grid->n++] = copy;
    else
        grid->failed = true;
}

static void add_text(struct sqa_grid *grid, struct sqa_text *text)
{
    if (text->failed)
        grid->failed = true;
    else
        add(grid, sqa_text_get(text));
    sqa_text_clear(text);
}

void sqa_grid_cell(struct sqa_grid *grid, const char *text)
{
    struct sqa_text t = {0};
    for (; *text; text++) { /* brackets of intervals stay as they are: no link follows them */
        if (*text == '[' || *text == ']')
            sqa_text_add_bytes(&t, text, 1);
        else
            sqa_markdown_text(&t, (const char[]){*text, '\0'});
    }
    add_text(grid, &t);
}

void sqa_grid_printf(struct sqa_grid *grid, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    sqa_grid_cell(grid, text);
}

void sqa_grid_code(struct sqa_grid *grid, const char *text, const char *after)
{
    struct sqa_text t = {0};
    if (*text)
        sqa_markdown_code(&t, text, true);
    sqa_text_add(&t, after);
    add_text(grid, &t);
}

size_t sqa_grid_rows(const struct sqa_grid *grid)
{
    return grid->n / grid->columns;
}

/* Characters of UTF-8 text. */
static size_t width_of(const char *s)
{
    size_t n = 0;
    for (; *s; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

static void pad(struct sqa_text *out, size_t n, const char *s)
{
    while (n-- > 0)
        sqa_text_add(out, s);
}

static void write_row(struct sqa_text *out, const struct sqa_grid *grid, const char *const *cells,
                      const size_t *width)
{
    for (size_t c = 0; c < grid->columns; c++) {
        const size_t w = width_of(cells[c]), space = w < width[c] ? width[c] - w : 0;
        sqa_text_add(out, "| ");
        pad(out, grid->align[c] == 'r' ? space : 0, " ");
        sqa_text_add(out, cells[c]);
        pad(out, grid->align[c] == 'r' ? 0 : space, " ");
        sqa_text_add(out, " ");
    }
    sqa_text_add(out, "|\n");
}

static void write_grid(struct sqa_text *out, const struct sqa_grid *grid)
{
    size_t width[COLUMNS_MAX] = {0};
    for (size_t i = 0; i < grid->n; i++) {
        const size_t w = width_of(grid->cells[i]), c = i % grid->columns;
        width[c] = w > width[c] ? (w < WIDTH_MAX ? w : WIDTH_MAX) : width[c];
    }
    for (size_t i = 0; i + grid->columns <= grid->n; i += grid->columns) {
        write_row(out, grid, grid->cells + i, width);
        for (size_t c = 0; i == 0 && c < grid->columns; c++) {
            sqa_text_add(out, grid->align[c] == 'l' ? "|:" : "|-");
            pad(out, width[c], "-");
            sqa_text_add(out, grid->align[c] == 'r' ? ":" : "-");
        }
        if (i == 0)
            sqa_text_add(out, "|\n");
    }
    sqa_text_add(out, "\n");
}

void sqa_grid_end(struct sqa_grid *grid, struct sqa_text *out)
{
    if (grid->failed)
        out->failed = true;
    else if (grid->n && grid->columns <= COLUMNS_MAX)
        write_grid(out, grid);
    sqa_arena_clear(&grid->arena);
    sqa_free((void *)grid->cells);
    *grid = (struct sqa_grid){0};
}
