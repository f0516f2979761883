/*
 * prob_attention.h - ProbSparse attention: the queries whose scores are least even attend, the others get a default
 *
 * Lq queries and Lk keys of a head, factor c. Every query is measured on U = min(c ceil(ln Lk), Lk) keys that are
 * drawn with replacement, the same for all heads and rows of a batch: M = largest score - sum of scores / Lk. The u =
 * min(c ceil(ln Lq), Lq) queries with the largest M attend to all valid keys (to j <= i when causal); the others get
 * the mean of the valid values, or, when causal, the sum of v up to their own position. U and u are at least 1. Draws
 * depend on (seed, step, place): every training step draws anew, evaluation always the same. Causal outputs depend on
 * later positions all the same, through the choice of queries. Source: Zhou et al. 2021, arXiv:2012.07436;
 * zhouhaoyi/Informer2020, models/attn.py.
 */
#ifndef SQA_MODELS_PROB_ATTENTION_H
#define SQA_MODELS_PROB_ATTENTION_H

#include "models/variant.h"

struct sqa_prob_attention_spec {
    int64_t factor;
    double scale, dropout;
    bool causal; /* Lq = Lk */
};
/* q (B, Lq, H, d), k and v (B, Lk, H, d), lengths i32 (B) or NULL -> (B, Lq, H, d) */
struct sqa_tensor *sqa_prob_attention(struct sqa_graph *g, struct sqa_tensor *q, struct sqa_tensor *k,
                                      struct sqa_tensor *v, struct sqa_tensor *lengths,
                                      struct sqa_prob_attention_spec spec);
/* min(factor ceil(ln length), length), at least 1 */
int64_t sqa_prob_attention_count(int64_t factor, int64_t length);
/* Forward flops without dropout, of heads of width d. */
double sqa_prob_attention_flops(const struct sqa_prob_attention_spec *spec, int64_t batch, int64_t heads,
                                int64_t length, int64_t d);

#endif
