/*
 * gate.h - what a comparison means to a pipeline: JUnit XML, GitHub annotations, a Markdown summary
 *
 * Everything is made from the JSON of a comparison (schema seqarena.compare/1), so a comparison kept as a file can be
 * shown again. A regression is what that file calls so; nothing is judged anew.
 */
#ifndef SQA_REPORTS_GATE_H
#define SQA_REPORTS_GATE_H

#include <jansson.h>

#include "base/status.h"
#include "base/text.h"

enum { SQA_GATE_ANNOTATIONS = 10 }; /* GitHub shows no more of a level a step */

/* INPUT when the document is no comparison, with the place; `name` stands in the message. */
enum sqa_status sqa_gate_check(const char *name, const json_t *doc, struct sqa_err *err) SQA_MUST_CHECK;
/* The rest takes documents that passed sqa_gate_check. */
size_t sqa_gate_regressions(const json_t *doc);
/* The first regression in one line, "" when there is none. */
void sqa_gate_first(const json_t *doc, struct sqa_text *out);
/* One suite a task, one case a cell; regression: failure; a cell that broke: error; not settled, or only in one arm:
 * skipped; measured values as properties. */
void sqa_gate_junit(const json_t *doc, struct sqa_text *out);
/* Workflow commands: regressions as errors, then unconfirmed slower cells as warnings; the tenth line counts the
 * rest when there are more. */
void sqa_gate_annotations(const json_t *doc, struct sqa_text *out);
void sqa_gate_summary(const json_t *doc, struct sqa_text *out);

#endif
