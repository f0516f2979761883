/* paper_private.h - shared by the files that choose entries and fill panels */
#ifndef SQA_REPORTS_PAPER_PRIVATE_H
#define SQA_REPORTS_PAPER_PRIVATE_H

#include "reports/paper.h"

struct sqa_paper_fill { /* a table while it is filled */
    const struct sqa_paper *paper;
    const struct sqa_published *published;
    const struct sqa_pool *pool;
    const struct sqa_paper_options *options;
    struct sqa_paper_filled *out;
    struct sqa_arena *arena;
    size_t left_out;
    bool failed; /* for lack of memory */
};

/* Defaults, and what must be there: false with a reason and what to do. */
bool sqa_paper_complete(struct sqa_paper *paper, char *why, size_t size);
bool sqa_paper_is_external(const struct sqa_pool *pool, const struct sqa_pool_entry *e);
bool sqa_paper_matches(void *pattern, const char *text);
/* The value without which an entry is of no use to a column of a table. */
int sqa_paper_value(const struct sqa_paper *paper, const struct sqa_paper_column *column);
/* Whether the run of the entry was given settings that its scale does not tell, or another type than f32. */
bool sqa_paper_is_altered(const struct sqa_paper_fill *f, const struct sqa_pool_entry *e);
/* Verdicts of all measured cells (paper_verdict.c). */
void sqa_paper_judge(struct sqa_paper_fill *f);
/* Whether the entry may stand in the column; in any. */
bool sqa_paper_fits(const struct sqa_paper_fill *f, const struct sqa_pool_entry *e, size_t column);
bool sqa_paper_usable(const struct sqa_paper_fill *f, const struct sqa_pool_entry *e);
/* The entry of that model that stands in the column, NULL when there is none; *others counts those that could. */
const struct sqa_pool_entry *sqa_paper_choose(const struct sqa_paper_fill *f, const char *model, bool external,
                                              size_t column, size_t *others);
/* What a reader must know of a measured cell: in what it is not the published setting. "" when in nothing. */
const char *sqa_paper_how(struct sqa_paper_fill *f, const struct sqa_pool_entry *e, size_t column);
/* The entry of baseline b that ran as e did; NULL when there is none. */
const struct sqa_pool_entry *sqa_paper_baseline(const struct sqa_paper_fill *f, const struct sqa_pool_entry *e,
                                                size_t b);

/* The same of a forecast's cell: look-back, scale, what was dropped, in what the settings differ. */
const char *sqa_paper_forecast_how(struct sqa_paper_fill *f, const struct sqa_pool_entry *e, const char *wanted);

/* Building panels; what fails for lack of memory sets f->failed and gives NULL. */
struct sqa_paper_panel *sqa_paper_add_panel(struct sqa_paper_fill *f, const char *title, const char *metric,
                                            enum sqa_paper_unit unit, const char *against, size_t n_columns);
struct sqa_paper_line *sqa_paper_add_line(struct sqa_paper_fill *f, struct sqa_paper_panel *p,
                                          enum sqa_paper_line_kind kind, const char *label, const char *model,
                                          const char *id);
void sqa_paper_add_note(struct sqa_paper_fill *f, const char *text); /* text NULL: there was no memory for it */
/* Fills a line: of a published one l->id says the table and row->label the printed name; of a measured one row is
 * that of the file, NULL for a model that the file does not name. */
typedef void sqa_paper_line_fn(struct sqa_paper_fill *f, struct sqa_paper_panel *p, struct sqa_paper_line *l,
                               const struct sqa_paper_row *row);
void sqa_paper_add_lines(struct sqa_paper_fill *f, struct sqa_paper_panel *p, sqa_paper_line_fn *printed,
                         sqa_paper_line_fn *measured);
void sqa_paper_put_printed(struct sqa_paper_cell *cell, const struct sqa_published_row *row, double by);
/* The measured cell of (model, column) with what stands beside every figure; x is left to the caller. */
const struct sqa_pool_entry *sqa_paper_put_entry(struct sqa_paper_fill *f, struct sqa_paper_cell *cell,
                                                 const char *model, bool external, size_t column);
struct sqa_estimate sqa_paper_scaled(struct sqa_estimate x, double by);
/* The next of "NAME | NAME" into name; returns what is behind it. */
const char *sqa_paper_next_name(const char *at, char *name, size_t size);
void sqa_paper_fill_facts(struct sqa_paper_fill *f);
void sqa_paper_fill_audit(struct sqa_paper_fill *f);
void sqa_paper_fill_forecast(struct sqa_paper_fill *f);
void sqa_paper_fill_fair(struct sqa_paper_fill *f);
void sqa_paper_fill_speed(struct sqa_paper_fill *f);

/* Parts of the Markdown: a figure in its unit; " [low, high]", "" for none; marks, " ✓" and the like and "¹" of a label;
 * the legend of both; the list of verdicts. */
void sqa_paper_number(struct sqa_text *out, enum sqa_paper_unit unit, double v);
void sqa_paper_interval(struct sqa_text *out, enum sqa_paper_unit unit, const struct sqa_estimate *x);
const char *sqa_paper_verdict_mark(enum sqa_paper_verdict v);
const char *sqa_paper_footnote_mark(const struct sqa_paper *paper, const char *label);
void sqa_paper_markdown_marks(struct sqa_text *out, const struct sqa_paper_filled *t);
void sqa_paper_markdown_verdicts(struct sqa_text *out, const struct sqa_paper_filled *t);

#endif
