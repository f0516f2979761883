/* fuzz_images.c - any bytes through gunzip and the readers of CIFAR records and IDX pairs: they refuse, or keep
 * images whose labels are in range. Byte 0: skip_bad, pillow, colour, packed; byte 1: where the labels begin. */
#include <stdint.h>
#include <stdlib.h>

#include "base/gzip.h"
#include "base/memory.h"
#include "tasks/images.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_images(const uint8_t *data, size_t size, size_t labels, const struct sqa_images_reading *how)
{
    struct sqa_images set = {0};
    struct sqa_err err = {0};
    const int idx = sqa_images_is_idx(data, size);
    if (labels > size)
        labels = size;
    const enum sqa_status status =
        idx ? sqa_images_add("fuzz", data, size - labels, "labels", data + size - labels, labels, how, &set, &err)
            : sqa_images_add("fuzz", data, size, NULL, NULL, 0, how, &set, &err);
    if ((status == SQA_OK ? set.n == 0 : err.text[0] == '\0') || (status == SQA_OK && set.skipped && !how->skip_bad))
        abort();
    for (size_t i = 0; i < set.n; i++)
        if (set.labels[i] >= how->classes)
            abort();
    volatile uint8_t sum = 0; /* reads all that is said to be there */
    for (size_t i = 0; i < set.n * (size_t)(set.rows * set.columns * set.channels); i++)
        sum = (uint8_t)(sum + set.pixels[i]);
    sqa_images_clear(&set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sqa_err err = {0};
    char *own = NULL;
    if (size < 2)
        return 0;
    const struct sqa_images_reading how = {.classes = 10,
                                           .gray = data[0] & 4   ? SQA_IMAGES_COLOUR
                                                   : data[0] & 2 ? SQA_IMAGES_PILLOW
                                                                 : SQA_IMAGES_TENSORFLOW,
                                           .skip_bad = data[0] & 1};
    const size_t labels = data[1];
    const int packed = data[0] & 8;
    data += 2;
    size -= 2;
    if (packed) {
        if (sqa_gunzip("fuzz", data, size, 1 << 16, &own, &size, &err) != SQA_OK) {
            if (err.text[0] == '\0')
                abort();
            return 0;
        }
        data = (const uint8_t *)own;
    }
    read_images(data, size, labels, &how);
    sqa_free(own);
    return 0;
}
