/* recipe_find.c - where recipe files lie */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "harness/recipe_private.h"
#include "harness/share.h"

enum { NAME_LIMIT = 64, PLACES = SQA_SHARE_PLACES };

static bool place(int i, char path[4096])
{
    return sqa_share_place("recipes", "SEQARENA_RECIPES", i, path);
}

void sqa_recipe_list(struct sqa_text *out)
{
    struct sqa_arena arena = {0};
    const char *names[NAME_LIMIT];
    const size_t n = sqa_share_names("recipes", "SEQARENA_RECIPES", "", &arena, names, NAME_LIMIT);
    for (size_t i = 0; i < n; i++)
        sqa_text_printf(out, "%s\n", names[i]);
    sqa_arena_clear(&arena);
}

static enum sqa_status no_such(const char *scale, struct sqa_err *err)
{
    struct sqa_arena arena = {0};
    struct sqa_text list = {0};
    const char *names[NAME_LIMIT];
    const size_t n = sqa_share_names("recipes", "SEQARENA_RECIPES", "", &arena, names, NAME_LIMIT);
    for (size_t i = 0; i < n; i++)
        sqa_text_printf(&list, "%s%s", i ? ", " : "", names[i]);
    const char *near = sqa_nearest(scale, names, n);
    if (n == 0)
        sqa_fail(err, SQA_USAGE,
                 "--scale %.100s: no recipes are installed; set SEQARENA_RECIPES to the folder that has "
                 "them",
                 scale);
    else
        sqa_fail(err, SQA_USAGE, "--scale %.100s: no recipe of that name; %s%s%schoose one of %.600s", scale,
                 near ? "did you mean " : "", near ? near : "", near ? "? Else " : "", sqa_text_get(&list));
    sqa_text_clear(&list);
    sqa_arena_clear(&arena);
    return SQA_USAGE;
}

enum sqa_status sqa_recipe_path(const char *scale, char path[4096], struct sqa_err *err)
{
    for (int i = 0; i < PLACES && sqa_recipe_word(scale, "_-"); i++) {
        if (!place(i, path))
            continue;
        const size_t n = strlen(path);
        if (n + strlen(scale) + 6 > 4096)
            continue;
        snprintf(path + n, 4096 - n, "/%s.ini", scale);
        if (sqa_file_exists(path))
            return SQA_OK;
    }
    return no_such(scale, err);
}
