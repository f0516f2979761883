/*
 * combiner_regions.h - pooled regions of positions, and attention along binary paths, for combiner.c
 */
#ifndef SQA_MODELS_COMBINER_REGIONS_H
#define SQA_MODELS_COMBINER_REGIONS_H

#include "engine/graph.h"

/* Largest numbers of regions of x (B, N, H, d), dense, over valid positions; 0 where there are none. The gradient
 * goes to the first or, backwards, the last of equals. */
struct sqa_region_max {
    int64_t block; /* > 0: blocks of so many positions -> (B, ceil(N / block), H, d). 0: running, -> (B, N, H, d): */
    int64_t step;  /*   position t after t - step, or, */
    bool backwards;
    int64_t row; /*   where both are in one row of so many positions; 0: everywhere */
};
struct sqa_tensor *sqa_region_max(struct sqa_graph *g, struct sqa_tensor *x, struct sqa_tensor *lengths,
                                  struct sqa_region_max regions);

/* Position i attends to itself and, for each bit l that i has, to the region of 2^l positions that ends before
 * i / 2^l 2^l; together they are 0 .. i. Level 0 is k, v (B, L, H, d) themselves; kr, vr (B, R, H, d) are those of
 * levels 1, 2, ... one behind the other, floor((L - 1) / 2^l) of level l (NULL when L < 3). -> (B, L, H, d) */
struct sqa_tensor *sqa_path_attention(struct sqa_graph *g, struct sqa_tensor *q, struct sqa_tensor *k,
                                      struct sqa_tensor *v, struct sqa_tensor *kr, struct sqa_tensor *vr,
                                      double scale);
static inline int64_t sqa_path_regions(int64_t length, int level)
{
    return length > 0 ? (length - 1) >> level : 0;
}
/* Pairs of one head */
double sqa_path_pairs(int64_t length);

#endif
