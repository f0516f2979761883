/* sheet.c - see sheet.h */
#include "harness/sheet.h"

#include <math.h>
#include <string.h>

#include "base/png.h"

enum { BORDER = 3, GAP = 3, SHOWN = 96, COLOURS = 10, BACKGROUND = 24 };

static const struct colour {
    const char *name;
    uint8_t rgb[3];
} colours[COLOURS] = {
    /* told apart by most eyes: Okabe and Ito, then three more */
    {"blue", {0, 114, 178}},    {"orange", {230, 159, 0}}, {"green", {0, 158, 115}}, {"yellow", {240, 228, 66}},
    {"pink", {204, 121, 167}},  {"sky", {86, 180, 233}},   {"red", {213, 94, 0}},    {"white", {255, 255, 255}},
    {"violet", {120, 60, 200}}, {"brown", {140, 90, 40}},
};

struct sheet {
    int64_t across, down, scale, cell_rows, cell_columns, rows, columns; /* rows, columns: of the whole, in pixels */
    uint8_t *pixels;
};

/* Gray value of position t of row i: ids are gray value + 1 (0 is padding), reals 0 .. 1. */
static uint8_t gray(const struct sqa_dataset *ds, const struct sqa_batch *b, int64_t i, int64_t t)
{
    if (ds->vocab > 0) {
        const int32_t id = b->tokens[i * b->length + t];
        return (uint8_t)(id <= 0 ? 0 : id > 255 ? 255 : id - 1);
    }
    const double v = b->x[(i * b->length + t) * ds->channels];
    return (uint8_t)(v <= 0 ? 0 : v >= 1 ? 255 : lround(255 * v));
}

static void fill(struct sheet *s, int64_t top, int64_t left, int64_t rows, int64_t columns, const uint8_t rgb[3])
{
    for (int64_t y = top; y < top + rows; y++)
        for (int64_t x = left; x < left + columns; x++)
            memcpy(s->pixels + 3 * (y * s->columns + x), rgb, 3);
}

static void place(struct sheet *s, const struct sqa_dataset *ds, const struct sqa_batch *b, int64_t i, int64_t cell)
{
    const int64_t top = GAP + cell / s->across * s->cell_rows, left = GAP + cell % s->across * s->cell_columns;
    fill(s, top, left, s->cell_rows - GAP, s->cell_columns - GAP, colours[b->labels[i] % COLOURS].rgb);
    for (int64_t t = 0; t < ds->length; t++) {
        const uint8_t g = gray(ds, b, i, t), rgb[3] = {g, g, g};
        fill(s, top + BORDER + t / ds->picture_columns * s->scale, left + BORDER + t % ds->picture_columns * s->scale,
             s->scale, s->scale, rgb);
    }
}

static enum sqa_status draw(struct sheet *s, const struct sqa_dataset *ds, enum sqa_split split, int64_t n,
                            struct sqa_text *out, struct sqa_err *err)
{
    struct sqa_batch *b = sqa_batch_create(ds, 1, ds->length);
    enum sqa_status status =
        b ? SQA_OK : sqa_fail(err, SQA_NOMEM, "data show: no memory; free some memory and run again");
    sqa_text_add(out, "labels, row by row:\n");
    for (int64_t i = 0; i < n && status == SQA_OK; i++) {
        const uint32_t index = (uint32_t)i;
        status = ds->task->fetch(ds, split, &index, 1, b, err);
        if (status != SQA_OK)
            break;
        place(s, ds, b, 0, i);
        sqa_text_printf(out, "%d%s", b->labels[0], (i + 1) % s->across == 0 || i + 1 == n ? "\n" : " ");
    }
    sqa_batch_free(b);
    return status;
}

enum sqa_status sqa_sheet_write(const struct sqa_dataset *ds, enum sqa_split split, int64_t n, const char *path,
                                struct sqa_text *out, struct sqa_err *err)
{
    static const uint8_t background[3] = {BACKGROUND, BACKGROUND, BACKGROUND};
    if (ds->picture_rows < 1 || ds->task->kind != SQA_CLASSIFY)
        return sqa_fail(
            err, SQA_UNSUPPORTED,
            "data show: positions of %s are no picture of gray values; leave -o out, or take input=tokens", ds->spec);
    n = n < ds->count[split] ? n : ds->count[split];
    n = n < 4096 ? n : 4096;
    struct sheet s = {.across = (int64_t)ceil(sqrt((double)n)), .scale = SHOWN / ds->picture_columns};
    s.scale = s.scale > 0 ? s.scale : 1;
    s.across = s.across < 16 ? s.across : 16;
    s.down = (n + s.across - 1) / s.across;
    s.cell_rows = ds->picture_rows * s.scale + 2 * BORDER + GAP;
    s.cell_columns = ds->picture_columns * s.scale + 2 * BORDER + GAP;
    s.rows = s.down * s.cell_rows + GAP;
    s.columns = s.across * s.cell_columns + GAP;
    s.pixels = sqa_alloc_array((size_t)(s.rows * s.columns), 3);
    if (!s.pixels)
        return sqa_fail(err, SQA_NOMEM, "data show: no memory for a sheet of %lld pictures; lower -n", (long long)n);
    fill(&s, 0, 0, s.rows, s.columns, background);
    enum sqa_status status = draw(&s, ds, split, n, out, err);
    if (status == SQA_OK)
        status = sqa_png_write(path, (int)s.columns, (int)s.rows, 3, s.pixels, err);
    sqa_free(s.pixels);
    if (status != SQA_OK)
        return status;
    sqa_text_add(out, "borders:");
    for (int64_t k = 0; k < ds->classes; k++)
        sqa_text_printf(out, "%s %lld %s", k ? "," : "", (long long)k, colours[k % COLOURS].name);
    sqa_text_printf(out, "\n%s: %lld of %lld pictures, %lld x %lld pixels each, enlarged %lld times\n", path,
                    (long long)n, (long long)ds->count[split], (long long)ds->picture_columns,
                    (long long)ds->picture_rows, (long long)s.scale);
    return SQA_OK;
}
