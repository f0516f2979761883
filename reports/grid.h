/*
 * grid.h - Markdown tables whose source is aligned too
 *
 * begin; then the header cells and the rows' cells one after the other; end appends the table and frees. Cells are
 * escaped for Markdown, an empty one becomes "-". A failure is kept and moves into out->failed at the end.
 */
#ifndef SQA_REPORTS_GRID_H
#define SQA_REPORTS_GRID_H

#include "base/memory.h"
#include "base/status.h"
#include "base/text.h"

struct sqa_grid {
    struct sqa_arena arena;
    const char *align; /* a letter a column: 'l' or 'r' */
    const char **cells;
    size_t columns, n, capacity;
    bool failed;
};

void sqa_grid_begin(struct sqa_grid *grid, const char *align);
void sqa_grid_cell(struct sqa_grid *grid, const char *text);
void sqa_grid_printf(struct sqa_grid *grid, const char *fmt, ...) SQA_PRINTF(2, 3);
void sqa_grid_code(struct sqa_grid *grid, const char *text, const char *after); /* `text` and a remark */
size_t sqa_grid_rows(const struct sqa_grid *grid);                              /* the header counted */
void sqa_grid_end(struct sqa_grid *grid, struct sqa_text *out);

/* Appends text so that Markdown shows it as it is, on one line. */
void sqa_markdown_text(struct sqa_text *out, const char *text);
/* Appends `text` as code; `in_table` guards the bar. */
void sqa_markdown_code(struct sqa_text *out, const char *text, bool in_table);

#endif
