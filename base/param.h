/*
 * param.h - parameters of models and tasks: one table a file, read by parser, help, defaults, columns and docs
 *
 *     struct self { int64_t window; double rate; const char *layout; };
 *     static const struct sqa_param params[] = {
 *         {"window", "tokens of a block", SQA_PARAM_INT, "64", 1, 1 << 20, offsetof(struct self, window)},
 *         {"layout", "how tokens are cut into blocks", SQA_PARAM_CHOICE, "contiguous", .choices =
 * "contiguous|strided", .offset = offsetof(struct self, layout)},
 *         {.name = NULL}};
 */
#ifndef SQA_BASE_PARAM_H
#define SQA_BASE_PARAM_H

#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"
#include "base/status.h"
#include "base/text.h"

enum sqa_param_type {
    SQA_PARAM_INT,    /* int64_t */
    SQA_PARAM_REAL,   /* double */
    SQA_PARAM_BOOL,   /* int64_t 0 or 1; text 0 or 1 */
    SQA_PARAM_CHOICE, /* const char * pointing at one of choices */
    SQA_PARAM_TEXT,   /* const char *; any text without , : + ( ) or white space, "" allowed */
};

struct sqa_param {
    const char *name;
    const char *help; /* one line */
    enum sqa_param_type type;
    const char *fallback; /* default, as text */
    double low, high;     /* inclusive range of INT and REAL; low == high: none */
    size_t offset;        /* in the self struct */
    const char *choices;  /* "a|b|c" for CHOICE */
};

/* Fills self with every default. owner is the id in messages. */
enum sqa_status sqa_params_defaults(const char *owner, const struct sqa_param *params, void *self,
                                    struct sqa_arena *arena, struct sqa_err *err) SQA_MUST_CHECK;
/* Sets one parameter from text. Unknown names and bad values are USAGE errors that list what is possible. */
enum sqa_status sqa_params_set(const char *owner, const struct sqa_param *params, void *self, const char *name,
                               const char *value, struct sqa_arena *arena, struct sqa_err *err) SQA_MUST_CHECK;
const struct sqa_param *sqa_params_find(const struct sqa_param *params, const char *name);
/* The current value as canonical text: equal values give equal texts. Appended to out. */
void sqa_params_value(const struct sqa_param *p, const void *self, struct sqa_text *out);
int sqa_params_is_default(const struct sqa_param *p, const void *self);
/* Appends ":name=value,name=value" of the parameters that differ from the default (all when `all`), in table order.
 * *printed counts across calls, so that two tables can join one list: ':' comes before the first, ',' before others.
 */
void sqa_params_print(const struct sqa_param *params, const void *self, int all, struct sqa_text *out, int *printed);

#endif
