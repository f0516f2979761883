/*
 * overhead.h - what a measured step costs beside its ops
 */
#ifndef SQA_HARNESS_OVERHEAD_H
#define SQA_HARNESS_OVERHEAD_H

#include "base/status.h"

struct sqa_overhead {
    double
        call_ns; /* a step of a plan of one op that does nothing, as bench times it, readings of the clock left out */
    double op_ns; /* each further op of a plan */
};
/* Least of several; takes milliseconds. NOMEM when there is no memory for the two plans. */
enum sqa_status sqa_overhead_measure(struct sqa_overhead *o, struct sqa_err *err) SQA_MUST_CHECK;

#endif
