/* fuzz_safetensors.c - any bytes through the safetensors reader: refused with a sentence, or every tensor lies inside
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "engine/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Touches every byte of t. */
static void touch(const struct sqa_named *t)
{
    const unsigned char *p = t->data;
    size_t bytes = sqa_dtype_size(t->dtype);
    unsigned sum = 0;
    if ((uintptr_t)p % bytes != 0)
        abort();
    for (int i = 0; i < t->rank; i++)
        bytes *= (size_t)t->dim[i];
    for (size_t i = 0; i < bytes; i++)
        sum += p[i];
    (void)sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sqa_safetensors f;
    struct sqa_err err = {0};
    char *copy = sqa_alloc(size);
    if (!copy)
        abort();
    memcpy(copy, data, size);
    if (sqa_safetensors_parse("fuzz", copy, size, &f, &err) == SQA_OK) {
        for (size_t i = 0; i < f.n; i++) {
            touch(&f.tensors[i]);
            if (!sqa_safetensors_find(&f, f.tensors[i].name))
                abort();
        }
        for (size_t i = 0; i < f.nmeta; i++)
            if (!sqa_safetensors_meta(&f, f.metadata[i].key))
                abort();
        sqa_safetensors_clear(&f);
    } else if (err.text[0] == '\0') {
        abort();
    }
    sqa_free(copy);
    return 0;
}
