/* fuzz_reviews.c - any bytes through the reader of labelled texts: it refuses, or keeps what lies within its bounds
 */
#include <stdint.h>
#include <stdlib.h>

#include "tasks/reviews.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sqa_reviews set = {0};
    struct sqa_err err = {0};
    if (size < 1)
        return 0;
    const struct sqa_reviews_reading how = {
        .length = 1 + (data[0] >> 2), .split = SQA_TRAIN, .held_out = 0.5, .skip_bad = data[0] & 1};
    const enum sqa_status status =
        sqa_reviews_read_bytes(data[0] & 2 ? "fuzz.csv" : "fuzz.tsv", data + 1, size - 1, &how, &set, &err);
    if ((status != SQA_OK && err.text[0] == '\0') || (set.bad && !how.skip_bad) || set.count[SQA_TEST])
        abort();
    for (int s = 0; s < SQA_SPLITS; s++)
        for (size_t i = 0; i < set.count[s]; i++) {
            const struct sqa_review *r = &set.review[s][i];
            if (r->length == 0 || r->length > how.length || r->where + r->length > set.used || r->label > 1)
                abort();
        }
    sqa_reviews_clear(&set);
    return 0;
}
