/* fuzz_cases.c - any bytes through the reader of .ts files: it refuses, or keeps cases that lie within their array */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tasks/series_cases.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sqa_cases set;
    struct sqa_err err = {0};
    char *copy = size ? malloc(size) : NULL;
    if (!copy)
        return 0;
    memcpy(copy, data + 1, size - 1);
    copy[size - 1] = '\0';
    if (sqa_cases_read_bytes("fuzz", copy, size - 1, data[0] & 1, NULL, &set, &err) != SQA_OK) {
        if (err.text[0] == '\0' || set.value)
            abort();
        free(copy);
        return 0;
    }
    for (size_t i = 0; i < set.count; i++) {
        const size_t numbers = (size_t)(set.length[i] * set.dims);
        if (set.length[i] < 1 || set.length[i] > set.longest || set.start[i] + numbers > set.used ||
            set.label[i] < 0 || set.label[i] >= set.n_classes)
            abort();
        for (size_t k = 0; k < numbers; k++)
            if (!isfinite(set.value[set.start[i] + k]))
                abort();
    }
    sqa_cases_clear(&set);
    free(copy);
    return 0;
}
