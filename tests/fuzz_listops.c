/* fuzz_listops.c - any bytes through the reader of ListOps files: it refuses, or keeps lists that have their value */
#include <stdint.h>
#include <stdlib.h>

#include "tasks/listops.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sqa_listops_set set = {0};
    struct sqa_err err = {0};
    if (size < 1)
        return 0;
    const struct sqa_listops_reading how = {.max = 1 + (data[0] >> 1), /* 1 .. 128 */
                                            .cut = data[0] & 1,
                                            .limit = {4, 4, 4},
                                            .split = -1};
    const enum sqa_status status = sqa_listops_read_bytes("fuzz", data + 1, size - 1, &how, &set, &err);
    if (status != SQA_OK && err.text[0] == '\0')
        abort();
    for (int s = 0; s < SQA_SPLITS; s++) {
        if (set.count[s] > 4)
            abort();
        for (size_t i = 0; i < set.count[s]; i++) {
            const struct sqa_listops_example *e = &set.example[s][i];
            int value = -1;
            if (e->length == 0 || e->length > how.max || e->where + e->length > set.used || e->label > 9)
                abort();
            if (!how.cut && (!sqa_listops_evaluate(set.tokens + e->where, e->length, &value) || value != e->label))
                abort();
        }
    }
    sqa_listops_clear(&set);
    return 0;
}
