/*
 * lsh_attention.h - attention inside chunks of a sequence that is sorted by hashes of its queries
 *
 * Computes  in each round r, for each head: bucket of position t = argmax [q_t R; -q_t R], the first of equals. Valid
 *           positions are sorted by (bucket, position) and cut into chunks; a query sees the keys of its chunk and of
 *           the one before it. Over the pairs (round, key) that the masks leave
 *               o_t = sum_(r, j) p v_j, p = softmax over (r, j) of scale q_t . k_j - log N
 *           which is what the rounds' outputs weighted by exp(their log sum exp) give. A query that is left no pair
 *           gets v_t (sorted, self-mask) or zeros. Positions at or after the length give zeros
 * Shapes    q, k, v (B, L, H, d), rotations (d, rounds x buckets / 2), lengths i32 (B) or NULL -> o (B, L, H, d)
 * Masks     masked: not j = t; j <= t when causal; only the same bucket when same_bucket. N: rounds in which t sees j
 *           (masked), 1 otherwise
 * Chunks    of `chunk` positions, from the front of the sorted sequence; when causal, from the front of each bucket,
 *           because where a bucket lies depends on later positions. circular: the sorted rounds follow each other,
 * and the chunk before the first is the last of all Gradients by q, k, v; the sorted order is a constant
 */
#ifndef SQA_MODELS_LSH_ATTENTION_H
#define SQA_MODELS_LSH_ATTENTION_H

#include "engine/ops.h"

struct sqa_lsh_attention_spec {
    int64_t rounds, buckets, chunk; /* buckets: even */
    double scale, dropout;
    bool masked, causal, same_bucket, circular;
};
struct sqa_tensor *sqa_lsh_attention(struct sqa_graph *g, struct sqa_tensor *q, struct sqa_tensor *k,
                                     struct sqa_tensor *v, struct sqa_tensor *rotations, struct sqa_tensor *lengths,
                                     struct sqa_lsh_attention_spec spec);
/* Forward flops: hashes, and every chunk as a full one, which when causal is an upper bound. */
double sqa_lsh_attention_flops(double rows, int64_t length, int64_t d, const struct sqa_lsh_attention_spec *spec);

#endif
