/* tables.h - paper tables as the verbs use them: found by name, with the published numbers they name */
#ifndef SQA_HARNESS_TABLES_H
#define SQA_HARNESS_TABLES_H

#include "harness/options.h"
#include "reports/paper.h"

enum { SQA_TABLE_NAMES = 64 };

/* Names of all table files, sorted. */
size_t sqa_table_names(struct sqa_arena *arena, const char *names[SQA_TABLE_NAMES]);
bool sqa_table_exists(const char *name);
/* Reads results/tables/NAME.ini ($SEQARENA_RESULTS, beside the program, ./results). USAGE with the nearest name. */
enum sqa_status sqa_table_load(const char *name, struct sqa_paper *out, struct sqa_err *err) SQA_MUST_CHECK;
/* Reads results/published/lra.csv and forecast.csv. */
enum sqa_status sqa_table_published(struct sqa_published *out, struct sqa_err *err) SQA_MUST_CHECK;
/* Directories below results/recorded that hold a run, sorted; INPUT when there are none. */
enum sqa_status sqa_table_recorded(struct sqa_arena *arena, struct sqa_texts *out,
                                   struct sqa_err *err) SQA_MUST_CHECK;
/* What is missing of a table, as commands: --plan prints them and --run runs them. */
struct sqa_table_cell {
    const char *model;
    bool done;       /* in the command's own directory already */
    double seconds;  /* what it would cost, NaN: unknown */
    size_t trials;   /* of a searched setting, before it */
    const char *why; /* it cannot run with this build: "model" or "task"; "" when it can */
};
struct sqa_table_command {
    const char *label, *task, *folder; /* of the column; of the run directory */
    const char *const *argv;           /* "seqarena", "run" or "bench", ..., NULL; NULL: nothing of it can run here */
    struct sqa_table_cell *cells;
    size_t n;
};
struct sqa_table_commands {
    struct sqa_arena arena;
    struct sqa_table_command *at;
    size_t n, n_missing, n_cells;    /* cells missing; of the whole table */
    size_t n_can, n_unknown;         /* missing and can run here; of them of unknown cost */
    double seconds;                  /* sum of the known costs */
    size_t n_elsewhere;              /* costs by rates of another machine */
    const char *machine;             /* the processor of one of those */
    const char *table, *scale, *dir; /* dir: where run directories lie */
};
struct sqa_table_plan_options {
    const char *scale; /* NULL: the table's, or what its rows say */
    const char *dir;   /* NULL: results/runs */
    bool all;          /* every cell, whether a run has it or not */
};
/* Bubbles have none: USAGE. */
enum sqa_status sqa_table_commands(const struct sqa_paper *paper, const struct sqa_pool *pool,
                                   const struct sqa_table_plan_options *options, struct sqa_table_commands *out,
                                   struct sqa_err *err) SQA_MUST_CHECK;
void sqa_table_commands_clear(struct sqa_table_commands *c);
/* Cells, commands, costs as far as rows tell. */
void sqa_table_plan(const struct sqa_table_commands *c, struct sqa_text *out);
/* Runs the commands one by one; what they print goes to standard error. Goes on when one ends badly and gives the status of the
 * first that did; INTERRUPTED at once. */
enum sqa_status sqa_table_run(const struct sqa_table_commands *c, struct sqa_err *err) SQA_MUST_CHECK;
/* Adds the directories of the plan that are there: DIR/NAME-*. */
enum sqa_status sqa_table_own_runs(const char *table, const char *dir, struct sqa_arena *arena, struct sqa_texts *out,
                                   struct sqa_err *err) SQA_MUST_CHECK;

#endif
