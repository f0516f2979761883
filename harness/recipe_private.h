/* recipe_private.h - shared by the three files of the recipes: recipe.c, recipe_parse.c, recipe_find.c */
#ifndef SQA_HARNESS_RECIPE_PRIVATE_H
#define SQA_HARNESS_RECIPE_PRIVATE_H

#include <stdbool.h>

#include "harness/recipe.h"

enum { SQA_RECIPE_FRAMES = 64, SQA_RECIPE_VALUES = 16 };

struct sqa_recipe_frame {     /* NAME of frame.NAME, or all of mixer.NAME and slot.NAME */
    const char *name, *value; /* value NULL: no row that matched has it */
    int row;                  /* line of the row that set it last */
};

/* One pass over a file. The caller fills name, model, task, resolved (with defaults), arena and err. */
struct sqa_recipe_parser {
    const char *name;         /* of the file, for messages */
    const char *model, *task; /* short forms; NULL: check only, no row matches */
    struct sqa_recipe *resolved;
    struct sqa_arena *arena;
    struct sqa_err *err;
    /* the parser's own */
    struct sqa_recipe checked, scratch; /* take the settings of rows that do not match, and values to be tried */
    const char *at;                     /* next line */
    int line, row;                      /* numbers of this line and of its row's header; row 0: before the first */
    bool match;
    uint64_t set; /* settings of this row, by index; from bit 60: search.share, search.seed, search.SETTING, source */
    struct sqa_recipe_frame frame[SQA_RECIPE_FRAMES];
    size_t frames;
    enum sqa_status status;
};
enum sqa_status sqa_recipe_parse(struct sqa_recipe_parser *p, const char *text) SQA_MUST_CHECK;
/* Sets one setting of r (lr is rate) and marks it in *set; owner is the place in messages. Setting epochs sets steps
 * to 0 unless *set has steps. */
enum sqa_status sqa_recipe_set(const char *owner, struct sqa_recipe *r, uint64_t *set, const char *name,
                               const char *value, struct sqa_arena *arena, struct sqa_err *err) SQA_MUST_CHECK;
/* Letters, digits and the others, at least one. */
bool sqa_recipe_word(const char *s, const char *others);

#endif
