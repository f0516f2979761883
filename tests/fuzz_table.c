/* fuzz_table.c - any text as a table file, or as published numbers: refused with a sentence, or read */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "reports/paper.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sqa_paper paper;
    struct sqa_published published = {0};
    struct sqa_err err = {0};
    char *text = sqa_alloc(size + 1);
    if (!text)
        abort();
    if (size)
        memcpy(text, data, size);
    if (sqa_paper_parse("fuzz", text, &paper, &err) == SQA_OK)
        sqa_paper_clear(&paper);
    else if (err.text[0] == '\0')
        abort();
    err.text[0] = '\0';
    if (sqa_published_read_bytes("fuzz", data, size, &published, &err) == SQA_OK)
        sqa_published_clear(&published);
    else if (err.text[0] == '\0')
        abort();
    sqa_free(text);
    return 0;
}
