/*
 * published.h - numbers that papers print, as they print them
 *
 * results/published/NAME.csv: schema,table_id,source,arxiv,table,model,task,metric,value,unit,notes; a row a printed
 * number, made by results/published/import.awk and forecast.awk. `value` is a number in `unit`, or FAIL where the paper says that a
 * model did not get above chance. A table of a paper is the rows of one table_id.
 */
#ifndef SQA_RESULTS_PUBLISHED_H
#define SQA_RESULTS_PUBLISHED_H

#include <stdbool.h>
#include <stddef.h>

#include "base/memory.h"
#include "base/status.h"

#define SQA_PUBLISHED_SCHEMA "1"

struct sqa_published_row {
    const char *id, *source, *arxiv, *table, *model, *task, *metric, *text, *unit, *notes;
    double value; /* NaN when failed */
    bool failed;  /* FAIL stands there */
    size_t line;  /* of its file */
};
struct sqa_published {
    struct sqa_arena arena;
    struct sqa_published_row *rows;
    size_t n, capacity;
};

/* Appends the rows of a file; SQA_INPUT with file and line when a column is missing, a row has another schema, lacks
 * a name, or has a value that is neither a number nor FAIL, or stands twice. On failure what was read is freed. */
enum sqa_status sqa_published_read(const char *path, struct sqa_published *out, struct sqa_err *err) SQA_MUST_CHECK;
/* The same over bytes; `name` stands in messages. */
enum sqa_status sqa_published_read_bytes(const char *name, const void *data, size_t size, struct sqa_published *out,
                                         struct sqa_err *err) SQA_MUST_CHECK;
void sqa_published_clear(struct sqa_published *p);

/* The row, or NULL. model, task or metric NULL: any. */
const struct sqa_published_row *sqa_published_find(const struct sqa_published *p, const char *id, const char *model,
                                                   const char *task, const char *metric);

#endif
