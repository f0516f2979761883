/* fuzz_m4.c - any bytes, cut at the first byte 0, through the reader of M4's two files */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tasks/m4.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sqa_panel p;
    struct sqa_err err = {0};
    const uint8_t *cut = size ? memchr(data, 0, size) : NULL;
    if (!cut)
        return 0;
    const size_t first = (size_t)(cut - data);
    if (sqa_panel_read_bytes(data, first, cut + 1, size - first - 1, 2, &p, &err) != SQA_OK) {
        if (err.text[0] == '\0' || p.value)
            abort();
        return 0;
    }
    for (size_t i = 0; i < p.count; i++) {
        if (p.length[i] < 2 || p.start[i] + p.length[i] > p.used)
            abort();
        for (size_t k = 0; k < p.length[i]; k++)
            if (!isfinite(p.value[p.start[i] + k]))
                abort();
    }
    sqa_panel_clear(&p);
    return 0;
}
