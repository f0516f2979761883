/*
 * performer_features.h - random projections and positive features of performer.c
 */
#ifndef SQA_MODELS_PERFORMER_FEATURES_H
#define SQA_MODELS_PERFORMER_FEATURES_H

#include "engine/graph.h"

/* Fill W (m, d), dim = {m, d}, from stream key; of the form that SQA_INIT_CUSTOM wants (rank and arg are not used).
 * independent: standard normal. orthogonal: Gaussian rows made orthogonal in blocks of d, with the norms of other
 * Gaussian rows; each row is standard normal by itself. */
void sqa_draw_independent(double *w, int rank, const int64_t *dim, uint64_t key, const void *arg);
void sqa_draw_orthogonal(double *w, int rank, const int64_t *dim, uint64_t key, const void *arg);

/* W itself, and after every `every`-th step (runs of a graph with steps 0, 1, ...) a new one. */
struct sqa_tensor *sqa_performer_redraw(struct sqa_graph *g, struct sqa_tensor *w, int64_t every, bool orthogonal);

/* phi = m^-1/2 (exp(s u - s^2 |x|^2 / 2 - s c) + eps) for x (B, L, H, d) and u = x W^T (B, L, H, m); phi (B, L, H,
 * m). c is the largest u of the row, of all valid rows of the (batch, head), or 0. Rows at or after lengths[b] (i32
 * (B), or NULL) are 0. The gradient goes through c too: with eps > 0 c does not cancel quite. */
enum sqa_stabiliser { SQA_STABILISE_ROW, SQA_STABILISE_SEQUENCE, SQA_STABILISE_NOT };
struct sqa_performer_features {
    double scale, eps;
    enum sqa_stabiliser stabiliser;
};
struct sqa_tensor *sqa_performer_features(struct sqa_graph *g, struct sqa_tensor *x, struct sqa_tensor *u,
                                          struct sqa_tensor *lengths, struct sqa_performer_features spec);
/* Its forward flops for rows = B L H. */
double sqa_performer_features_flops(double rows, double d, double m, enum sqa_stabiliser stabiliser);

#endif
