/*
 * checkpoint.h - a store on disk
 *
 * A checkpoint is a safetensors file: parameters and state under their own names, moments as "m:NAME" and "v:NAME",
 * a second copy of both as "best:NAME" when best is not NULL, everything else as metadata texts. Weights for
 * others (`export`) are the same file without moments. Writing is atomic: the old or the new checkpoint is there.
 */
#ifndef SQA_ENGINE_CHECKPOINT_H
#define SQA_ENGINE_CHECKPOINT_H

#include "engine/safetensors.h"
#include "engine/store.h"

/* best: the layout of s->values, then that of s->states (sqa_store_snapshot), or NULL. moments: whether m and v are
 * written. */
enum sqa_status sqa_checkpoint_write(const char *path, const struct sqa_store *s, int moments, const void *best,
                                     const struct sqa_metadata *metadata, size_t nmeta,
                                     struct sqa_err *err) SQA_MUST_CHECK;
/* Reads into a sealed store of the same model. Every entry of the store must be there with its shape (a message names
 * the first that is not; moments and best only when asked for); f32 and f64 files go into either type when moments is
 * 0. f, when not NULL, receives the opened file (metadata); the caller clears it. */
enum sqa_status sqa_checkpoint_read(const char *path, struct sqa_store *s, int moments, void *best,
                                    struct sqa_safetensors *f, struct sqa_err *err) SQA_MUST_CHECK;

#endif
