/*
 * synthesizer.h - what the files of synthesizer share: the kinds of scores, an op that makes one, the identities
 */
#ifndef SQA_MODELS_SYNTHESIZER_H
#define SQA_MODELS_SYNTHESIZER_H

#include "models/variant.h"

/* What scores are made of: a set of these bits. */
enum {
    SQA_SYNTH_DENSE = 1,
    SQA_SYNTH_RANDOM = 2,
    SQA_SYNTH_FACTORIZED_DENSE = 4,
    SQA_SYNTH_FACTORIZED_RANDOM = 8,
    SQA_SYNTH_DOT = 16,
    SQA_SYNTH_KINDS = 5
};

/* S_ij = first_i[j mod a] second_i[j / a] for each head: first (B, L, H, a), second (B, L, H, b), a b >= L ->
 * (B, H, L, L). */
struct sqa_tensor *sqa_outer_scores(struct sqa_graph *g, struct sqa_tensor *first, struct sqa_tensor *second);

extern const struct sqa_identity sqa_synthesizer_identities[];

#endif
