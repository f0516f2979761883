/* weights.c - see weights.h */
#include "harness/weights.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "engine/safetensors.h"

static bool read_signature(const char *text, struct sqa_signature *s)
{
    int kind;
    long long v[9] = {0}; /* blank and marks are missing in older files */
    if (!text || sscanf(text, "%d %lld %lld %lld %lld %lld %lld %lld %lld %lld", &kind, &v[0], &v[1], &v[2], &v[3],
                        &v[4], &v[5], &v[6], &v[7], &v[8]) < 8)
        return false;
    for (int i = 0; i < 9; i++)
        if (v[i] < 0 || v[i] > (long long)1 << 32)
            return false;
    if (kind != SQA_CLASSIFY && kind != SQA_FORECAST && kind != SQA_TAG && kind != SQA_PAIR)
        return false;
    *s = (struct sqa_signature){.kind = (enum sqa_task_kind)kind,
                                .vocab = v[0],
                                .classes = v[1],
                                .length = v[2],
                                .channels = v[3],
                                .outputs = v[4],
                                .horizon = v[5],
                                .season = v[6],
                                .blank = v[7],
                                .marks = v[8]};
    return kind == SQA_FORECAST ? v[4] > 0 && v[5] > 0 : v[1] > 0;
}

enum sqa_status sqa_weights_model(const char *path, struct sqa_model **model, struct sqa_signature *task,
                                  const char **task_text, struct sqa_err *err)
{
    struct sqa_safetensors f = {0};
    enum sqa_status status = sqa_safetensors_read(path, &f, err);
    if (status != SQA_OK)
        return status;
    const char *text = sqa_safetensors_meta(&f, "seqarena.model"), *of = sqa_safetensors_meta(&f, "seqarena.task");
    if (!text || !read_signature(sqa_safetensors_meta(&f, "seqarena.signature"), task))
        status = sqa_fail(err, SQA_INPUT,
                          "%s: no seqarena.model and seqarena.signature in its metadata; write it with "
                          "seqarena export",
                          path);
    if (status == SQA_OK)
        status = sqa_model_parse(text, model, err);
    if (status == SQA_OK && task_text) {
        *task_text = sqa_arena_strdup(&(*model)->arena, of ? of : "");
        if (!*task_text)
            status = sqa_fail(err, SQA_NOMEM, "%s: no memory; free some memory and run again", path);
    }
    sqa_safetensors_clear(&f);
    return status;
}
