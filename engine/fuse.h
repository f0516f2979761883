/*
 * fuse.h - pairs of ops that one op does in a single pass
 */
#ifndef SQA_ENGINE_FUSE_H
#define SQA_ENGINE_FUSE_H

#include "engine/graph.h"

/* Rewrites the patterns of the table in fuse.c, in place: tensors stay what they are, the node of the first op of a
 * pair is left without inputs and outputs. Flops stay the same. sqa_backward calls it before it appends gradients,
 * sqa_plan_make before it plans. */
void sqa_fuse(struct sqa_graph *g);

#endif
