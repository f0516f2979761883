/*
 * pytorch.h - a model as one readable PyTorch file
 *
 * The file is made of those of models/pytorch: base.py, frame.py or whole.py, ID.py of every variant of the model, each after the
 * files that its line "# needs: NAME NAME" asks for, then tables of this model (TASK, FRAME, PARTS), then main.py. A line
 * "# draws: OP" names an op that draws random numbers in inference: NODES then tells the hashes of its nodes' paths, which
 * its streams of numbers are keyed by. docs/adding-a-variant.md says how such a file is written.
 */
#ifndef SQA_HARNESS_PYTORCH_H
#define SQA_HARNESS_PYTORCH_H

#include "models/model.h"

/* task_text is named in the file's head. MACHINE when a file of models/pytorch is missing, with its name. */
enum sqa_status sqa_pytorch_write(const struct sqa_model *m, const struct sqa_signature *task, const char *task_text,
                                  const char *path, struct sqa_err *err) SQA_MUST_CHECK;

#endif
