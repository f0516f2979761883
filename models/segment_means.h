/*
 * segment_means.h - landmarks of a sequence: the mean position of each of its segments
 */
#ifndef SQA_MODELS_SEGMENT_MEANS_H
#define SQA_MODELS_SEGMENT_MEANS_H

#include "engine/graph.h"

/* x (B, L, D), lengths i32 (B) or NULL -> (B, segments, D). A row of n valid positions is cut from floor(i n /
 * segments) to floor((i + 1) n / segments), or, when n < segments, one position a segment: min(n, segments) means,
 * then zeros. size > 0: instead segment i is positions i size to (i + 1) size - 1 and what is valid of it is summed
 * and divided by size, as if zeros were there. */
struct sqa_tensor *sqa_segment_means(struct sqa_graph *g, struct sqa_tensor *x, struct sqa_tensor *lengths,
                                     int64_t segments, int64_t size);

#endif
