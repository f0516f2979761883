/* columns.c - aligned tables for the terminal, see verbs.h */
#include <string.h>

#include "base/memory.h"
#include "harness/verbs.h"

void sqa_columns_add(struct sqa_columns *c, const char *const *cells)
{
    if (c->rows == c->capacity) {
        const int capacity = c->capacity ? 2 * c->capacity : 32;
        char **cell = sqa_realloc(c->cell, (size_t)capacity * (size_t)c->n * sizeof *cell);
        if (!cell) {
            c->failed = true;
            return;
        }
        c->cell = cell;
        c->capacity = capacity;
    }
    for (int i = 0; i < c->n; i++) {
        char *copy = sqa_strdup(cells[i] ? cells[i] : "");
        c->failed = c->failed || !copy;
        c->cell[c->rows * c->n + i] = copy;
    }
    c->rows++;
}

/* Columns a text takes on a terminal: UTF-8 continuation bytes take none. */
static int width_of(const char *s)
{
    int n = 0;
    for (; *s; s++)
        n += ((unsigned char)*s & 0xC0) != 0x80;
    return n;
}

void sqa_columns_print(struct sqa_columns *c, struct sqa_text *out)
{
    int width[12] = {0};
    for (int k = 0; k < c->rows * c->n; k++)
        if (c->cell[k] && width_of(c->cell[k]) > width[k % c->n])
            width[k % c->n] = width_of(c->cell[k]);
    for (int r = 0; r < c->rows; r++) {
        for (int i = 0; i < c->n; i++) {
            const char *s = c->cell[r * c->n + i] ? c->cell[r * c->n + i] : "";
            const int pad = width[i] - width_of(s);
            if (c->right >> i & 1)
                sqa_text_printf(out, "%*s%s", pad, "", s);
            else
                sqa_text_printf(out, "%s%*s", s, i + 1 < c->n ? pad : 0, "");
            sqa_text_add(out, i + 1 < c->n ? "  " : "\n");
        }
    }
    out->failed = out->failed || c->failed;
    for (int k = 0; k < c->rows * c->n; k++)
        sqa_free(c->cell[k]);
    sqa_free(c->cell);
    *c = (struct sqa_columns){0};
}
