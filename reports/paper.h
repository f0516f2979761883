/*
 * paper.h - tables of papers: described by a file, filled from runs, printed beside the published numbers
 *
 * results/tables/NAME.ini:
 *
 *     [table]
 *     title, source        what it is, which paper and table
 *     kind                 accuracy: models x tasks with averages
 *                          gap: training and test accuracy of one task
 *                          speed: training speed and peak memory, columns are lengths
 *                          bubbles: a figure of two tables
 *                          audit: a model as its paper defines it, as the published code ran it, and the difference
 *                          fair: models x tasks at equal steps, flops and time, with ranks; published is not needed
 *                          forecast: data sets and horizons x models: MSE, MAE, average rank
 *                          facts: a row a fact: what is read into printed figures, and what one setting alone gives
 *     published            table_id of results/published/ to stand beside; again for more (4 at most)
 *     scale                recipe file that --plan runs
 *     published_scale      the one that is the published setting (else `scale`): a cell of another one says so
 *     seeds                of --plan (else 1)
 *     metric               accuracy: what the published table calls its scores (else accuracy)
 *     baseline             model that sizes and speeds are held against; speed: again for a second one
 *     size_rule            per cent more parameters than the baseline at most, else a cell is marked; 0: no rule;
 *                          fair: more or fewer, else the model stands in a block of its own
 *     score, speed, at     bubbles: two other tables and a column of the second
 *     tolerance            "3.0 points" or "3 %" of the published figure: how far a measured interval may lie from it
 *                          and be called reproduced; rows and columns may have their own, else there is no verdict
 *     verdict              published table that verdicts are against: the one made at published_scale (else the
 *                          first); again for more
 *     note                 a sentence below the table; again for more
 *     [column LABEL]         (of a forecast: a line of the printed table, such as "ETTh1 96")
 *     task                 short form of the task that --plan runs and that needs no remark in a cell;
 *                          forecast: may be absent, the line is a published one only
 *     task.NAME            forecast: the task of rows that say `task = NAME` (another look-back); again for more
 *     mean                 forecast, instead of task: PCRE2 search in the labels of the columns before; a measured
 *                          cell is the mean of theirs when all are there
 *     accept               PCRE2 search in the short forms of tasks whose rows may stand in this column; a forecast
 *                          has none: rows must have the task but for drop_last_batch
 *     lengths              "1000 1024": smallest and greatest length of those rows
 *     published            name in the published table (else LABEL)
 *     unsolved             accuracy: left out of the first average; in the second an unsolved cell counts as this
 *     metric               facts: accuracy (else) or mse
 *     tolerance            of this column, see [table]
 *     footnote             a sentence below the table, marked at the label
 *     [row LABEL]
 *     model                short form; absent: a published row only
 *     scale, task          forecast: the recipe of this row (else the table's), and NAME of the tasks it runs
 *     code                 audit: short form of the model as the code ran it; absent: it ran the paper's
 *     published.ID         name in that published table (else LABEL); nothing after the =: none; facts: "NAME | NAME"
 *                          for more, and none that is not given
 *     on, against          facts: columns: the one whose task the model runs, and one to take the difference to
 *     reads                facts: what the printed figures are read as
 *     tolerance, tolerance.COLUMN    of this row; of one cell
 *     footnote             as of a column
 *
 * Lines have at most 198 characters; " ;" begins a comment.
 */
#ifndef SQA_REPORTS_PAPER_H
#define SQA_REPORTS_PAPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "reports/pool.h"
#include "results/published.h"

enum sqa_paper_kind {
    SQA_PAPER_ACCURACY,
    SQA_PAPER_GAP,
    SQA_PAPER_SPEED,
    SQA_PAPER_BUBBLES,
    SQA_PAPER_AUDIT,
    SQA_PAPER_FAIR,
    SQA_PAPER_FORECAST,
    SQA_PAPER_FACTS,
    SQA_PAPER_KINDS
};
enum {
    SQA_PAPER_PUBLISHED = 4,
    SQA_PAPER_BASELINES = 2,
    SQA_PAPER_COLUMNS = 80,
    SQA_PAPER_TASKS = 4,   /* task.NAME of a column */
    SQA_PAPER_AUDITED = 3, /* columns of an audit */
    SQA_PAPER_ROWS = 256,
    SQA_PAPER_NOTES = 16,
    SQA_PAPER_TOLERANCES = 8 /* of cells of a row */
};

struct sqa_paper_tolerance {
    double by; /* points, or per cent of the published figure; NaN: none */
    bool relative;
    const char *column; /* of a cell's: the label of its column; else NULL */
};
struct sqa_paper_column {
    const char *label, *task, *published, *metric, *footnote;
    struct sqa_paper_tolerance tolerance;
    void *accept, *mean;                                                    /* compiled patterns */
    const char *variants[SQA_PAPER_TASKS], *variant_tasks[SQA_PAPER_TASKS]; /* NAME and task of task.NAME */
    size_t n_variants;
    double low, high; /* lengths; 0, 0: any */
    double unsolved;  /* per cent; NaN: in every average */
};
struct sqa_paper_row {
    const char *label, *model, *code;           /* model NULL: published only; code NULL: none */
    const char *scale, *variant;                /* NULL: the table's scale; the column's task */
    const char *published[SQA_PAPER_PUBLISHED]; /* by place in paper->published; NULL: none */
    const char *reads, *footnote;
    const char *on_label, *against_label;
    const struct sqa_paper_column *on, *against;                    /* facts; else NULL */
    struct sqa_paper_tolerance tolerance[1 + SQA_PAPER_TOLERANCES]; /* of the row, then of cells */
    size_t n_tolerances;                                            /* of cells */
};
struct sqa_paper {
    struct sqa_arena arena;
    const char *name, *title, *source, *scale, *published_scale;
    enum sqa_paper_kind kind;
    const char *published[SQA_PAPER_PUBLISHED], *baseline[SQA_PAPER_BASELINES], *note[SQA_PAPER_NOTES];
    const char *score, *speed, *at, *metric, *verdict[SQA_PAPER_PUBLISHED];
    size_t n_published, n_baselines, n_notes, n_verdicts;
    struct sqa_paper_tolerance tolerance;
    int64_t seeds;
    double size_rule;
    struct sqa_paper_column columns[SQA_PAPER_COLUMNS];
    struct sqa_paper_row *rows;
    size_t n_columns, n_rows;
};

/* Reads the text of a table file; `name` stands in messages and in out->name. SQA_INPUT with the line for anything
 * that is not described above. On failure out is cleared. (Fuzz target.) */
enum sqa_status sqa_paper_parse(const char *name, const char *text, struct sqa_paper *out,
                                struct sqa_err *err) SQA_MUST_CHECK;
void sqa_paper_clear(struct sqa_paper *paper);
const char *sqa_paper_kind_name(int kind);

/* A filled table: panels of lines of cells. */
enum sqa_paper_unit {
    SQA_UNIT_PERCENT,
    SQA_UNIT_RATIO,
    SQA_UNIT_RATE,
    SQA_UNIT_BYTES,
    SQA_UNIT_ERROR,
    SQA_UNIT_RANK
};
enum sqa_paper_line_kind {
    SQA_LINE_PUBLISHED,
    SQA_LINE_MEASURED,
    SQA_LINE_EXTERNAL,
    SQA_LINE_CONTROL,
    SQA_LINE_FLOOR
};

/* Whether a measured figure is the published one. */
enum sqa_paper_verdict {
    SQA_PAPER_NO_VERDICT,
    SQA_PAPER_REPRODUCED,  /* the whole interval within the tolerance */
    SQA_PAPER_NOT,         /* the whole interval outside */
    SQA_PAPER_CANNOT_TELL, /* it straddles, or there is none */
    SQA_PAPER_OTHER_SCALE, /* not at the published setting: never one of the others */
    SQA_PAPER_VERDICTS
};
const char *sqa_paper_verdict_name(enum sqa_paper_verdict v); /* "reproduced", "not", "cannot tell", "other scale" */

struct sqa_paper_cell {
    struct sqa_estimate x;              /* in the panel's unit; mean NaN: nothing */
    const char *text;                   /* what is printed instead of a number, such as FAIL; else NULL */
    const struct sqa_pool_entry *entry; /* measured: where from; NULL in averages */
    const struct sqa_pool_entry *base;  /* the baseline that ran as it did, for its size; NULL when there is none */
    const struct sqa_published_row *printed;
    const char *how; /* in what the row differs from the published setting; "" when in nothing */
    size_t left_out; /* other entries that could stand here */
    bool best,
        large; /* not to be told from the best, of a difference: its interval excludes 0; breaks the size rule */
    size_t rank_low, rank_high; /* fair: best and worst rank that paired intervals leave open; 0: none; forecast: the
                                   place in the line, by the figure alone */
    bool
        own; /* forecast: printed as a possible pair, or ran at the row's scale and task: it has a place in the line */
    bool impossible;  /* forecast: printed with MSE < MAE^2 */
    bool second_hand; /* forecast: printed by authors who copied it */
    bool on_floor;    /* not told from the best floor of its task and scale, or below it */
    enum sqa_paper_verdict verdict;
    const struct sqa_published_row *target; /* what the verdict is against; else NULL */
    double tolerance;                       /* in the panel's unit */
};
struct sqa_paper_line {
    enum sqa_paper_line_kind kind;
    const char *label; /* of the row in the file; of other rows the model; forecast: of the column in the file */
    const char *model; /* short form; NULL in published lines and in a forecast */
    const char *id;    /* published table; NULL in measured lines */
    struct sqa_paper_cell *cells;
};
struct sqa_paper_panel {
    const char *title, *metric;
    enum sqa_paper_unit unit;
    const char *against; /* baseline of ratios, else NULL */
    const char **columns;
    size_t n_columns, n_lines, n_tasks; /* the first n_tasks columns are the file's, the rest averages */
    struct sqa_paper_line *lines;
};
struct sqa_paper_filled {
    struct sqa_arena arena;
    const struct sqa_paper *paper;
    const struct sqa_pool *pool;
    const struct sqa_published *published;
    struct sqa_paper_panel *panels;
    size_t n_panels;
    const char **notes;
    size_t n_notes;
    const char *padding
        [SQA_PAPER_COLUMNS]; /* mode of the rows of a column; "" when none says it, "mixed" when tasks differ */
};
struct sqa_paper_options {
    const char *scale, *padding; /* only rows of this recipe, of this mode; NULL: any */
};

/* Fills a table of any kind but bubbles. pool is summarised and outlives out, as paper and published do. SQA_INPUT
 * when rows of a task ran in two padding modes and the options name none. */
enum sqa_status sqa_paper_fill(const struct sqa_paper *paper, const struct sqa_published *published,
                               const struct sqa_pool *pool, const struct sqa_paper_options *options,
                               struct sqa_paper_filled *out, struct sqa_err *err) SQA_MUST_CHECK;
void sqa_paper_filled_clear(struct sqa_paper_filled *filled);
/* A field of an entry's first cell by column name, for columns that this build may not know; "" when absent. */
const char *sqa_paper_field(const struct sqa_pool *pool, const struct sqa_pool_entry *e, const char *column);

/* The task and the scale that the row runs in the column; task NULL: none. */
const char *sqa_paper_task(const struct sqa_paper_row *row, const struct sqa_paper_column *column);
const char *sqa_paper_scale(const struct sqa_paper *paper, const struct sqa_paper_row *row);

/* Whether column c of the panel of an audit is a difference. */
bool sqa_paper_is_difference(const struct sqa_paper *paper, size_t c);

/* runs: a sentence in Markdown that says what was read, or NULL. */
void sqa_paper_markdown(struct sqa_text *out, const struct sqa_paper_filled *filled, const char *runs);
/* A row a figure: panel, row, kind, column, value, interval, n, settings, source. */
void sqa_paper_csv(struct sqa_text *out, const struct sqa_paper_filled *filled);

/* What a figure draws: a score, a speed in examples a second, memory in bytes. */
struct sqa_bubble {
    const char *label;
    bool published, external;
    double score, low, high, speed, memory;
};
struct sqa_bubbles {
    struct sqa_arena arena;
    const struct sqa_paper *paper; /* the figure's */
    struct sqa_bubble *at;
    size_t n;
    const char *tasks; /* of which the measured scores are means; "" when nothing measured is drawn */
    const char *how;   /* in what they are not the published setting; "" when in nothing */
    size_t left_out;   /* measured models that ran in another way than most */
};
/* Joins a filled accuracy table and a filled speed table by rows. Measured scores are means over the tasks that every
 * measured model of both has, so that bubbles compare, and models whose cells say of them
 * what most do; published ones are the first average. */
enum sqa_status sqa_bubbles_make(const struct sqa_paper *paper, const struct sqa_paper_filled *score,
                                 const struct sqa_paper_filled *speed, struct sqa_bubbles *out,
                                 struct sqa_err *err) SQA_MUST_CHECK;
void sqa_bubbles_clear(struct sqa_bubbles *b);
void sqa_bubbles_svg(struct sqa_text *out, const struct sqa_bubbles *b);
void sqa_bubbles_markdown(struct sqa_text *out, const struct sqa_bubbles *b, const char *runs);
void sqa_bubbles_csv(struct sqa_text *out, const struct sqa_bubbles *b);

/* Cells that no run has at the table's own scale and task. Runs in directories called NAME-... are the plan's own: what
 * they have is wanted too, as done, so that the command that began a directory stays the same until all of it is. */
struct sqa_paper_want {
    const char *model; /* short form: the row's, or in an audit its code's */
    const char *task, *scale;
    const struct sqa_paper_column *column;
    bool done;
    double seconds_per_example;      /* of training, from rows of the same model and task; NaN: unknown */
    const struct sqa_pool_run *from; /* the run that says so; NULL: none */
    bool here;                       /* on the machine that was asked for */
};
struct sqa_paper_plan {
    struct sqa_paper_want *at;
    size_t n, n_done, n_cells; /* wanted; of them done; of the whole table */
};
struct sqa_paper_plan_options {
    const char *scale;       /* NULL: the table's, or what its rows say */
    const char *fingerprint; /* of the machine whose rates count first; NULL: of any */
    bool all;                /* every cell, whether a run elsewhere has it or not */
};
enum sqa_status sqa_paper_missing(const struct sqa_paper *paper, const struct sqa_pool *pool,
                                  const struct sqa_paper_plan_options *options, struct sqa_paper_plan *out,
                                  struct sqa_err *err) SQA_MUST_CHECK;
void sqa_paper_plan_clear(struct sqa_paper_plan *plan);

#endif
