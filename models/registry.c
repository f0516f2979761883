/* registry.c - the table of variants, generated from the files of models/ (variants.inc: one line X(id) each) */
#include <string.h>

#include "models/variant.h"

#define X(id) extern const struct sqa_variant sqa_variant_##id;
#include "variants.inc"
#undef X

const struct sqa_variant *const sqa_variants[] = {
#define X(id) &sqa_variant_##id,
#include "variants.inc"
#undef X
    NULL,
};

const struct sqa_variant *sqa_variant_find(const char *id)
{
    for (const struct sqa_variant *const *v = sqa_variants; *v; v++)
        if (strcmp((*v)->id, id) == 0)
            return *v;
    return NULL;
}

const char *sqa_slot_name(enum sqa_slot s)
{
    static const char *const names[] = {
#define X(NAME, name, help) #name,
        SQA_SLOT_LIST(X)
#undef X
    };
    return (unsigned)s < SQA_SLOTS ? names[s] : "?";
}
