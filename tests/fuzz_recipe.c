/* fuzz_recipe.c - any text as a recipe file: refused with a sentence, or it resolves for a pair of short forms */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "harness/recipe_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sqa_arena arena = {0};
    struct sqa_recipe recipe = {0};
    struct sqa_err err = {0};
    char *text = sqa_alloc(size + 1);
    if (!text)
        abort();
    if (size)
        memcpy(text, data, size);
    const enum sqa_status status = sqa_recipe_check("fuzz", text, &err);
    if (status != SQA_OK && err.text[0] == '\0')
        abort();
    if (sqa_params_defaults("recipe", sqa_recipe_params, &recipe, &arena, &err) != SQA_OK)
        abort();
    struct sqa_recipe_parser p = {.name = "fuzz",
                                  .model = "performer:features=128,dim=128",
                                  .resolved = &recipe,
                                  .task = "etth1:lookback=336,horizon=96",
                                  .arena = &arena,
                                  .err = &err};
    /* A pattern may take too long on a subject, so a text that is in order can still fail here, but not vice versa.
     */
    if (sqa_recipe_parse(&p, text) == SQA_OK && status != SQA_OK)
        abort();
    sqa_arena_clear(&arena);
    sqa_free(text);
    return 0;
}
