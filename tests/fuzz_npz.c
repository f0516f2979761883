/* fuzz_npz.c - any bytes through the .npz reader: it refuses with a sentence or gives numbers that fit their shape */
#include <stdint.h>
#include <stdlib.h>

#include "base/npz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sqa_npy a;
    struct sqa_err err = {0};
    size_t count = 1;
    if (sqa_npz_parse("fuzz", data, size, "data", &a, &err) != SQA_OK) {
        if (err.text[0] == '\0' || a.data)
            abort();
        return 0;
    }
    for (int i = 0; i < a.rank; i++)
        count *= (size_t)a.dim[i];
    if (count != a.count)
        abort();
    sqa_npy_clear(&a);
    return 0;
}
