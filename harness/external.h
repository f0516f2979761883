/*
 * external.h - what a user states of a model that ran elsewhere: the M.json of `seqarena score`
 *
 * One JSON object. "name" is required; every other key may be absent; an unknown one is refused, so that a typing
 * error is not a missing figure. Stated figures stand in rows of origin `external` and are never mixed with measured
 * ones.
 */
#ifndef SQA_HARNESS_EXTERNAL_H
#define SQA_HARNESS_EXTERNAL_H

#include "base/memory.h"
#include "base/status.h"
#include "base/text.h"

struct sqa_external { /* texts live in the arena; NULL, -1 and NaN: not given */
    const char *name;
    const char *task, *split_hash; /* compared with ours */
    int64_t seed;
    double params, flops, batch, latency_ns, memory_bytes, train_seconds, steps;
    const char *hardware, *framework, *source, *recipe, *notes;
};

/* where stands in messages. INPUT with one sentence when the bytes are not such an object. */
enum sqa_status sqa_external_parse(const char *where, const char *bytes, size_t size, struct sqa_arena *arena,
                                   struct sqa_external *x, struct sqa_err *err) SQA_MUST_CHECK;
enum sqa_status sqa_external_read(const char *path, struct sqa_arena *arena, struct sqa_external *x,
                                  struct sqa_err *err) SQA_MUST_CHECK;

#endif
