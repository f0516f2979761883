/*
 * session.h - two programs measured in turn: fresh processes, balanced order, the base against itself among them
 *
 * A round runs `PROGRAM bench ARGUMENTS` six times: base, new and control (the base again) in an order drawn for the
 * round, then in the reverse order, so that a steady drift of the machine falls on all alike; the two values of an arm
 * join by their geometric mean. Between base and new that is ABBA or BAAB. Every process gets an environment of
 * another size, which moves its stack. Nothing is dropped.
 */
#ifndef SQA_HARNESS_SESSION_H
#define SQA_HARNESS_SESSION_H

#include <stdint.h>

#include "reports/compare.h"

struct sqa_session_options {
    const char *program[2];       /* of base and new */
    const char *name[2];          /* as the user gave them */
    const char *const *arguments; /* of bench */
    int n_arguments;
    int64_t rounds;     /* 0: 20, or with a budget at least 6 */
    double budget;      /* seconds; > 0: rounds are added until every cell is settled or it is spent */
    uint64_t seed;      /* of order and padding */
    const char *folder; /* for run directories and logs, which go again */
    int quiet;
};
/* Measures and judges. When a cell is slower at the first look, a second look with new processes follows (with a
 * budget at least 6 rounds, otherwise as many as the first). One round is enough where bench times nothing (--count).
 * c->session records seed, order and padding. */
enum sqa_status sqa_session_run(struct sqa_comparison *c, const struct sqa_session_options *o,
                                struct sqa_err *err) SQA_MUST_CHECK;

#endif
