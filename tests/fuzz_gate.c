/* fuzz_gate.c - any JSON through the gate: refused with a sentence, or shown; XML and annotations stay whole */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "reports/gate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sqa_err err = {0};
    struct sqa_text junit = {0}, notes = {0}, summary = {0}, first = {0};
    json_t *doc = json_loadb((const char *)data, size, 0, NULL);
    if (!doc)
        return 0;
    if (sqa_gate_check("fuzz", doc, &err) != SQA_OK) {
        if (!err.text[0])
            abort();
        json_decref(doc);
        return 0;
    }
    sqa_gate_junit(doc, &junit);
    sqa_gate_annotations(doc, &notes);
    sqa_gate_summary(doc, &summary);
    sqa_gate_first(doc, &first);
    if ((sqa_gate_regressions(doc) > 0) != (first.length > 0) || !strstr(sqa_text_get(&junit), "</testsuites>\n"))
        abort();
    size_t lines = 0;
    for (const char *s = sqa_text_get(&notes); *s; s = strchr(s, '\n') + 1) {
        if (strncmp(s, "::", 2) != 0 || !strchr(s, '\n'))
            abort();
        lines++;
    }
    if (lines > SQA_GATE_ANNOTATIONS)
        abort();
    sqa_text_clear(&junit);
    sqa_text_clear(&notes);
    sqa_text_clear(&summary);
    sqa_text_clear(&first);
    json_decref(doc);
    return 0;
}
