/*
 * weights.h - what a safetensors file of `export` or `run --keep-weights` says of its model
 */
#ifndef SQA_HARNESS_WEIGHTS_H
#define SQA_HARNESS_WEIGHTS_H

#include "models/model.h"

/* The model and what it knew of its task; task_text (or NULL) takes the text of the task, "" when the file has none,
 * which lives in the model's arena. On failure *model is NULL or the caller's to free. */
enum sqa_status sqa_weights_model(const char *path, struct sqa_model **model, struct sqa_signature *task,
                                  const char **task_text, struct sqa_err *err) SQA_MUST_CHECK;

#endif
