/*
 * json.h - strict JSON through jansson: no NaN, always UTF-8
 */
#ifndef SQA_REPORTS_JSON_H
#define SQA_REPORTS_JSON_H

#include <stdbool.h>

#include <jansson.h>

#include "base/text.h"

/* New references. */
json_t *sqa_json_real(double x);      /* null when x is not finite */
json_t *sqa_json_text(const char *s); /* bytes that are no UTF-8 become "?"; an empty text becomes null */

/* An array that remembers a failure: NULL is taken for a failed allocation. Both are {json_array(), false} at first. */
struct sqa_json_list {
    json_t *array;
    bool failed;
};
void sqa_json_append(struct sqa_json_list *list, json_t *item);

/* Appends root, indented by one blank, and a line end; takes the reference. out->failed when root is NULL. */
void sqa_json_dump(struct sqa_text *out, json_t *root);

#endif
