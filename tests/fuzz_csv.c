/* fuzz_csv.c - any bytes through the CSV reader: it refuses or gives rows that survive writing and reading again */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"
#include "base/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct rows {
    struct sqa_text again; /* the rows written as CSV */
    uint64_t hash;
    size_t line;
};

static enum sqa_status take(void *user, size_t line, size_t n, const char *const *fields, struct sqa_err *err)
{
    struct rows *rows = user;
    (void)err;
    if (n == 0 || line < rows->line)
        abort();
    rows->line = line;
    for (size_t i = 0; i < n; i++)
        rows->hash = sqa_hash(fields[i], strlen(fields[i]) + 1, rows->hash + n);
    sqa_csv_add_row(&rows->again, n, fields);
    return SQA_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rows first = {0}, second = {0};
    struct sqa_err err = {0};
    if (size < 1)
        return 0;
    const char delimiter = data[0] & 1 ? '\t' : ',';
    const int quoted = !(data[0] & 2);
    const enum sqa_status status =
        sqa_csv_read_bytes("fuzz", data + 1, size - 1, delimiter, quoted, take, &first, &err);
    if (status != SQA_OK && err.text[0] == '\0')
        abort();
    const int mark = first.again.length >= 3 && memcmp(first.again.text, "\xef\xbb\xbf", 3) == 0;
    if (status == SQA_OK && first.again.length && !mark) {
        if (sqa_csv_read_bytes("again", first.again.text, first.again.length, ',', 1, take, &second, &err) != SQA_OK)
            abort();
        if (second.hash != first.hash)
            abort();
    }
    sqa_text_clear(&first.again);
    sqa_text_clear(&second.again);
    return 0;
}
