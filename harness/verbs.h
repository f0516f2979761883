/*
 * verbs.h - one struct a verb, and what verbs share
 */
#ifndef SQA_HARNESS_VERBS_H
#define SQA_HARNESS_VERBS_H

#include <stdbool.h>

#include "base/file.h"
#include "base/text.h"
#include "harness/options.h"

extern const struct sqa_verb sqa_verb_compare, sqa_verb_gate;
extern const struct sqa_verb sqa_verb_list, sqa_verb_describe, sqa_verb_run, sqa_verb_bench, sqa_verb_explain,
    sqa_verb_kernels, sqa_verb_verify, sqa_verb_report, sqa_verb_table, sqa_verb_export, sqa_verb_predict,
    sqa_verb_data, sqa_verb_score, sqa_verb_forecast, sqa_verb_fidelity, sqa_verb_doctor, sqa_verb_completion,
    sqa_verb_history, sqa_verb_claim, sqa_verb_plot, sqa_verb_cell;

/* Runs the verb of a command line. */
enum sqa_status sqa_dispatch(int argc, char **argv, struct sqa_err *err) SQA_MUST_CHECK;

/* Runs another command line within a verb, in this process: argv is the program, the verb and its arguments. run.json names that command; what
 * it prints goes to standard error. */
enum sqa_status sqa_again(int argc, char **argv, struct sqa_err *err) SQA_MUST_CHECK;

extern int sqa_argc; /* the command line, for run.json */
extern char **sqa_argv;

/* Writes t to path (atomically) or to standard output, and frees it. */
enum sqa_status sqa_print(struct sqa_text *t, const char *path, struct sqa_err *err) SQA_MUST_CHECK;

/* Rows of cells as aligned columns; the first row is the header. Numbers of columns <= 12. */
struct sqa_columns {
    int n, rows, capacity;
    char **cell;    /* rows x n */
    unsigned right; /* bit i: column i is right-aligned */
    bool failed;
};
void sqa_columns_add(struct sqa_columns *c, const char *const *cells); /* n texts, copied */
void sqa_columns_print(struct sqa_columns *c, struct sqa_text *out);   /* and frees */

#endif
