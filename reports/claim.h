/*
 * claim.h - a paper's testable headline as a file, and what measured rows say of it
 *
 * results/claims/NAME.ini has one [claim], one or several [cells LABEL], each a command of run or bench, and one or
 * several [test LABEL]. docs/claims.md says how to write one.
 *
 *     [claim]         title, paper, source, published, refutes, budget; note (again for more)
 *     [cells LABEL]   run = bench or run; model, task (again for more); scale, lengths, batch, phase, seeds, seed,
 *                     rounds, threads, train, dtype, memory, budget: options of that verb
 *     [test LABEL]    kind, value, of, over, task, over_task, length, over_length, batch, from, to, cells, published,
 *                     reproduced, part, refuted
 *
 * A test is one figure with a 95 % interval, and bounds on it (">= 3", "< 1"):
 *
 *     ratio        value of one model / value of another
 *     difference   of - over, paired by seed and test example
 *     exponent     slope of log value = a + b log length over the measured lengths
 *
 * The verdict is what the whole interval says. Where it reaches over a bound, nothing is said but how much more
 * measuring might tell. Models and tasks stand in short form, as in rows.
 */
#ifndef SQA_REPORTS_CLAIM_H
#define SQA_REPORTS_CLAIM_H

#include <stdbool.h>

#include "base/text.h"
#include "reports/pool.h"

enum {
    SQA_CLAIM_CELLS = 16,
    SQA_CLAIM_TESTS = 64,
    SQA_CLAIM_MODELS = 24, /* of one [cells], and its tasks */
    SQA_CLAIM_OPTIONS = 12,
    SQA_CLAIM_NOTES = 16
};

enum sqa_claim_kind { SQA_CLAIM_RATIO, SQA_CLAIM_DIFFERENCE, SQA_CLAIM_EXPONENT, SQA_CLAIM_KINDS };
enum sqa_claim_bounds { SQA_CLAIM_IF_REPRODUCED, SQA_CLAIM_IF_PART, SQA_CLAIM_IF_REFUTED, SQA_CLAIM_BOUNDS };

struct sqa_claim_bound {
    const char *text; /* ">= 3"; NULL: none */
    double at;
    bool above, strict;
};

struct sqa_claim_cells {
    const char *label, *scale;
    int line;
    bool bench;
    const char *models[SQA_CLAIM_MODELS], *tasks[SQA_CLAIM_MODELS];
    struct {
        const char *name, *value;
    } options[SQA_CLAIM_OPTIONS];
    size_t n_models, n_tasks, n_options;
};

struct sqa_claim_test {
    const char *label, *of, *over, *task, *over_task, *published, *cells_label;
    int line, value; /* enum sqa_value; -1: not given */
    enum sqa_claim_kind kind;
    double length, over_length, batch, from, to; /* NaN: any */
    struct sqa_claim_bound bound[SQA_CLAIM_BOUNDS];
    const struct sqa_claim_cells *cells;
};

struct sqa_claim {
    struct sqa_arena arena;
    const char *name, *title, *paper, *source, *published, *refutes, *budget, *notes[SQA_CLAIM_NOTES];
    struct sqa_claim_cells cells[SQA_CLAIM_CELLS];
    struct sqa_claim_test tests[SQA_CLAIM_TESTS];
    size_t n_notes, n_cells, n_tests;
};

/* Reads the text of a claim file; name stands in messages: "NAME, line 3: WHAT; WHAT TO DO". INPUT, NOMEM; *out is
 * empty then. Else freed by sqa_claim_clear; it must not be moved, tests point to cells. */
enum sqa_status sqa_claim_parse(const char *name, const char *text, struct sqa_claim *out,
                                struct sqa_err *err) SQA_MUST_CHECK;
void sqa_claim_clear(struct sqa_claim *claim);
/* The last step of it: finds the cells of each test, fills scales in, and refuses what does not go together. */
enum sqa_status sqa_claim_check(const char *name, struct sqa_claim *claim, int last_line,
                                struct sqa_err *err) SQA_MUST_CHECK;
const char *sqa_claim_kind_name(enum sqa_claim_kind kind);
/* What an option of cells is set to; what the verb takes when it is not set; "" when neither is a text. */
const char *sqa_claim_option(const struct sqa_claim_cells *cells, const char *name);

enum sqa_claim_verdict {
    SQA_CLAIM_REPRODUCED,
    SQA_CLAIM_IN_PART,
    SQA_CLAIM_NOT,         /* the interval lies outside of reproduced and part */
    SQA_CLAIM_CANNOT_TELL, /* it reaches over a bound, or there is none */
    SQA_CLAIM_NOT_TESTED,  /* rows are missing */
    SQA_CLAIM_NOT_TESTABLE /* here: a model or data are missing, or a row failed */
};
extern const char *const sqa_claim_verdicts[]; /* "reproduced", "in part", ... */

struct sqa_claim_result {
    enum sqa_claim_verdict verdict;
    bool refuted;                           /* beyond the bound of that name */
    struct sqa_estimate figure;             /* NaN when absent; n_examples: samples of the side that has fewer */
    const struct sqa_pool_entry *of, *over; /* rows that were judged; of an exponent those of the shortest length */
    size_t points;                          /* of an exponent: lengths */
    double more;   /* of cannot tell: how many times as many rounds or seeds; NaN when unknown */
    char why[400]; /* a phrase; "" when there is nothing to say */
};
struct sqa_claim_judged {
    enum sqa_claim_verdict verdict;
    struct sqa_claim_result tests[SQA_CLAIM_TESTS];
};

/* Judges every test by a summarised pool. why[i]: why the cells of test i cannot be measured here, or NULL; said where
 * their rows are missing. NOMEM. */
enum sqa_status sqa_claim_judge(const struct sqa_claim *claim, const struct sqa_pool *pool, const char *const *why,
                                struct sqa_claim_judged *out, struct sqa_err *err) SQA_MUST_CHECK;
/* The verdict of a claim from those of its tests (docs/claims.md). */
enum sqa_claim_verdict sqa_claim_join(const struct sqa_claim_result *tests, size_t n);

/* How the claim was tested: limits is a sentence when its cells were changed, else ""; runs names directories. */
struct sqa_claim_context {
    const char *limits, *const *runs, *const *commands;
    size_t n_runs, n_commands;
};
void sqa_claim_markdown(struct sqa_text *out, const struct sqa_claim *claim, const struct sqa_claim_judged *judged,
                        const struct sqa_pool *pool, const struct sqa_claim_context *context);
void sqa_claim_json(struct sqa_text *out, const struct sqa_claim *claim, const struct sqa_claim_judged *judged,
                    const struct sqa_pool *pool, const struct sqa_claim_context *context);

#endif
