/*
 * safetensors.h - named tensors on disk (github.com/huggingface/safetensors, format of its README)
 *
 * 8 bytes little-endian header length, a JSON header {name: {dtype, shape, data_offsets}, "__metadata__": {text:
 * text}}, then the bytes. Written atomically. A hostile or truncated file costs one sentence: every length, offset,
 * overlap, dtype and name is checked before a byte is used.
 */
#ifndef SQA_ENGINE_SAFETENSORS_H
#define SQA_ENGINE_SAFETENSORS_H

#include "base/memory.h"
#include "base/status.h"
#include "engine/graph.h"

struct sqa_named {
    const char *name;
    enum sqa_dtype dtype; /* F32, F64, I32, U8 */
    int rank;
    int64_t dim[SQA_MAX_RANK];
    const void *data; /* dense */
};
struct sqa_metadata {
    const char *key, *value;
};
enum sqa_status sqa_safetensors_write(const char *path, const struct sqa_named *tensors, size_t n,
                                      const struct sqa_metadata *metadata, size_t nmeta,
                                      struct sqa_err *err) SQA_MUST_CHECK;

struct sqa_safetensors {
    struct sqa_arena arena;
    char *bytes; /* the whole file; tensors point into it */
    size_t size;
    size_t n, nmeta;
    struct sqa_named *tensors;
    struct sqa_metadata *metadata;
};
enum sqa_status sqa_safetensors_read(const char *path, struct sqa_safetensors *f, struct sqa_err *err) SQA_MUST_CHECK;
/* Over bytes in memory, which must outlive f (fuzz target). name stands in messages. */
enum sqa_status sqa_safetensors_parse(const char *name, char *bytes, size_t size, struct sqa_safetensors *f,
                                      struct sqa_err *err) SQA_MUST_CHECK;
const struct sqa_named *sqa_safetensors_find(const struct sqa_safetensors *f, const char *name);
const char *sqa_safetensors_meta(const struct sqa_safetensors *f, const char *key); /* NULL when absent */
void sqa_safetensors_clear(struct sqa_safetensors *f);

#endif
