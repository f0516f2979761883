/*
 * performer_features.h - the random projections of performer.c
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

#endif
