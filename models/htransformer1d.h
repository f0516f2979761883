/*
 * htransformer1d.h - what the files of htransformer1d share: the identities
 */
#ifndef SQA_MODELS_HTRANSFORMER1D_H
#define SQA_MODELS_HTRANSFORMER1D_H

#include "models/variant.h"

extern const struct sqa_identity sqa_htransformer1d_identities[];

#endif
