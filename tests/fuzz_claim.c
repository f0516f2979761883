/* fuzz_claim.c - any text as a claim file: refused with a sentence, or read and judged without a row */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "reports/claim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sqa_claim claim;
    static struct sqa_claim_judged judged;
    static const struct sqa_pool pool;
    const struct sqa_claim_context context = {"", NULL, NULL, 0, 0};
    struct sqa_text out = {0};
    struct sqa_err err = {0};
    char *text = sqa_alloc(size + 1);
    if (!text)
        abort();
    if (size)
        memcpy(text, data, size);
    if (sqa_claim_parse("fuzz", text, &claim, &err) == SQA_OK) {
        claim.name = "fuzz";
        if (sqa_claim_judge(&claim, &pool, NULL, &judged, &err) != SQA_OK || judged.verdict != SQA_CLAIM_NOT_TESTED)
            abort();
        sqa_claim_markdown(&out, &claim, &judged, &pool, &context);
        sqa_claim_json(&out, &claim, &judged, &pool, &context);
        sqa_text_clear(&out);
        sqa_claim_clear(&claim);
    } else if (err.text[0] == '\0') {
        abort();
    }
    sqa_free(text);
    return 0;
}
