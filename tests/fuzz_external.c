/* fuzz_external.c - any bytes as the M.json of score: refused with a sentence, or a name and figures that are in
 * range */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "harness/external.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_number(double v)
{
    if (!isnan(v) && !(v >= 0 && isfinite(v)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sqa_arena arena = {0};
    struct sqa_external x;
    struct sqa_err err = {.text = ""};
    if (sqa_external_parse("fuzz", (const char *)data, size, &arena, &x, &err) != SQA_OK) {
        if (err.text[0] == '\0' || strchr(err.text, '\n'))
            abort();
        sqa_arena_clear(&arena);
        return 0;
    }
    if (!x.name || !*x.name || strlen(x.name) > 200 || x.seed < -1)
        abort();
    check_number(x.params);
    check_number(x.flops);
    check_number(x.batch);
    check_number(x.latency_ns);
    check_number(x.memory_bytes);
    check_number(x.train_seconds);
    check_number(x.steps);
    sqa_arena_clear(&arena);
    return 0;
}
