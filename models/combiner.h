/*
 * combiner.h - what the files of combiner share: its kinds and the identities
 */
#ifndef SQA_MODELS_COMBINER_H
#define SQA_MODELS_COMBINER_H

#include "models/variant.h"

enum sqa_combiner_kind { SQA_COMBINER_FIXED, SQA_COMBINER_AXIAL, SQA_COMBINER_MIXTURE, SQA_COMBINER_LOGN };
extern const char *const sqa_combiner_kinds[]; /* their names */

extern const struct sqa_identity sqa_combiner_identities[];

#endif
