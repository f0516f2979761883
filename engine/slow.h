/*
 * slow.h - a test hook: one op made slower by a known number of instructions
 *
 * SEQARENA_TEST_SLOW=OP:LOOPS, read once: each run of an op of that name is followed by LOOPS turns of an empty loop, a few instructions a
 * turn. For studies of how small a change compare and gate find (results/gate-study); rows say so.
 */
#ifndef SQA_ENGINE_SLOW_H
#define SQA_ENGINE_SLOW_H

#include "base/status.h"

struct sqa_slow {
    char op[40]; /* "": none */
    unsigned long loops;
};
/* SQA_USAGE when the variable is not OP:LOOPS of an op there is. */
enum sqa_status sqa_slow_read(struct sqa_err *err) SQA_MUST_CHECK;
extern struct sqa_slow sqa_slow;

#endif
