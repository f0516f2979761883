/* compare_table.h - a comparison for people: an aligned table, what changed besides, and one sentence */
#ifndef SQA_HARNESS_COMPARE_TABLE_H
#define SQA_HARNESS_COMPARE_TABLE_H

#include "reports/compare.h"

/* colour: verdicts in colours of the terminal. */
void sqa_compare_table(const struct sqa_comparison *c, bool colour, struct sqa_text *out);

#endif
