/* fuzz_spec.c - any text as a model: an error of one sentence, or forms that read back as the same model */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "models/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition)
{
    if (!condition)
        abort();
}

static void reads_back(const struct sqa_model *m, const char *form)
{
    struct sqa_model *again;
    struct sqa_err err = {0};
    require(sqa_model_parse(form, &again, &err) == SQA_OK);
    require(strcmp(again->short_form, m->short_form) == 0 && strcmp(again->full_form, m->full_form) == 0);
    sqa_model_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sqa_model *m;
    struct sqa_err err = {0};
    char *text = sqa_alloc(size + 1);
    if (!text)
        return 0;
    if (size)
        memcpy(text, data, size);
    if (sqa_model_parse(text, &m, &err) == SQA_OK) {
        reads_back(m, m->short_form);
        if (strlen(m->full_form) <= 65536) /* a long stack's full form may be longer than a text may be */
            reads_back(m, m->full_form);
        sqa_model_free(m);
    } else {
        require(err.text[0] != '\0' && !strchr(err.text, '\n'));
    }
    sqa_free(text);
    return 0;
}
