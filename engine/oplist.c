/* oplist.c - the common ops, in the order of their files */
#include "engine/graph.h"

#define X(name) extern const struct sqa_op sqa_op_##name;
#include "ops.inc"
#undef X

const struct sqa_op *const sqa_ops[] = {
#define X(name) &sqa_op_##name,
#include "ops.inc"
#undef X
    NULL,
};
