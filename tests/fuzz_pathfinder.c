/* fuzz_pathfinder.c - any bytes through the reader of Pathfinder's metadata, text or .npy: a sentence or a whole list
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tasks/pathfinder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sqa_pathfinder_list list = {0};
    struct sqa_err err = {0};
    const enum sqa_status status = sqa_pathfinder_metadata("fuzz", data, size, &list, &err);
    if (status != SQA_OK && err.text[0] == '\0')
        abort();
    for (size_t i = 0; status == SQA_OK && i < list.n; i++) {
        const char *name = list.names.text + list.at[i];
        if (list.label[i] > 1 || name[0] == '/' || strstr(name, "..") ||
            list.at[i] + strlen(name) + 1 > list.names.length)
            abort();
    }
    sqa_pathfinder_list_clear(&list);
    return 0;
}
