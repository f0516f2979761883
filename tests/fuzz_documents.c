/* fuzz_documents.c - any bytes through the reader of document pairs, whole and in small pieces: the same pairs */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tasks/documents.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct sqa_documents *set, const struct sqa_documents_reading *how, size_t size)
{
    for (int s = 0; s < SQA_SPLITS; s++)
        for (size_t i = 0; i < set->count[s]; i++)
            for (int k = 0; k < 2; k++) {
                const struct sqa_document_pair *p = &set->pair[s][i];
                if (p->length[k] == 0 || p->length[k] > how->length || p->where[k] + p->length[k] > size ||
                    p->label > 1)
                    abort();
            }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sqa_documents whole = {0}, pieces = {0};
    struct sqa_err err = {0}, again = {0};
    if (size < 1)
        return 0;
    const struct sqa_documents_reading how = {.length = 1 + (data[0] >> 4), .split = -1, .skip_bad = data[0] & 1};
    const enum sqa_status status = sqa_documents_read_bytes("fuzz", data + 1, size - 1, size, &how, &whole, &err);
    if (sqa_documents_read_bytes("fuzz", data + 1, size - 1, 1 + (data[0] >> 1 & 7), &how, &pieces, &again) !=
            status ||
        strcmp(err.text, again.text) != 0 || memcmp(whole.hash, pieces.hash, sizeof whole.hash) != 0)
        abort();
    if ((status != SQA_OK && err.text[0] == '\0') || (whole.bad && !how.skip_bad) || whole.bad != pieces.bad)
        abort();
    check(&whole, &how, size - 1);
    check(&pieces, &how, size - 1);
    sqa_documents_clear(&whole);
    sqa_documents_clear(&pieces);
    return 0;
}
