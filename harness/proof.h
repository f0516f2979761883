/*
 * proof.h - the checks that stand behind a timing: sqa_verify_quick of every variant that a model is made of
 *
 * Verdicts are kept in the run-time directory (machine_lock.h), a file for each build and instruction set, so that
 * the next run of the same build does not repeat them.
 */
#ifndef SQA_HARNESS_PROOF_H
#define SQA_HARNESS_PROOF_H

#include "base/status.h"

enum { SQA_PROOF_TEXT = 256 };
/* text: "ok: 14 checks of 6 parts", "failed: local: gradient at length 5: 0.3, bound 1e-6", or "none: WHY". What is
 * not known yet is checked when `run`, else UNSUPPORTED. NO when a check failed. model: text of a model. */
enum sqa_status sqa_proof(const char *model, int run, char text[SQA_PROOF_TEXT], struct sqa_err *err) SQA_MUST_CHECK;

#endif
