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
/* What is missing of a table, with the commands that run it and what they cost here, as far as rows tell. */
enum sqa_status sqa_table_plan(const struct sqa_paper *paper, const struct sqa_pool *pool, const char *scale,
                               struct sqa_text *out, struct sqa_err *err) SQA_MUST_CHECK;

#endif
