/*
 * shared_attention_private.h - what both directions of shared_attention share: places, pieces, weights of a tile
 */
#ifndef SQA_MODELS_SHARED_ATTENTION_PRIVATE_H
#define SQA_MODELS_SHARED_ATTENTION_PRIVATE_H

#include "engine/ops/support.h"

enum { V, LENGTHS, SCORES, SECOND, O, LSE, DOUT, FORWARD_INPUTS = O, BACKWARD_INPUTS = DOUT + 1 };
enum { DV, DSCORES, DSECOND };                         /* outputs of the gradient */
enum { ROWS = 84, KEYS = 256, GROUPS = 8, UNIT = 32 }; /* UNIT: packed operands are padded to it at most */

struct sqa_shared_attr {
    bool causal;
};

/* Keys from .. from + count - 1, valid in the first `active` rows of the batch. */
struct sqa_shared_piece {
    int64_t from, count, active;
};

/* Parts of the workspace; those from `weights` on belong to a thread. */
struct sqa_shared_place {
    int32_t *order; /* rows of the batch by falling length */
    struct sqa_shared_piece *piece;
    unsigned char *values;                 /* (H, L, B d) */
    unsigned char *packed, *packed_second; /* of each head and piece, forward */
    unsigned char *dout, *delta, *lse;     /* (H, L, B d), (H, L, B) twice, backward */
    unsigned char *dfirst;                 /* (groups, H, L, r) */
    unsigned char *weights, *out;          /* (ROWS, KEYS), (ROWS, B d) */
    double *top, *sum;                     /* (ROWS); backward: the lse that was taken, sum of delta */
    unsigned char *dweights, *dvalues;     /* (ROWS, KEYS), (KEYS, B d) */
    unsigned char *values_panels, *second_panels, *out_panels;
};

struct sqa_shared_job {
    const struct sqa_node *n;
    const struct sqa_kernels *k;
    const struct sqa_tensor *o, *lse;
    struct sqa_shared_place place;
    unsigned char *threads;
    size_t per_thread;
    int64_t batch, length, heads, d, width, rank, pieces, groups;
    bool causal, backward;
};

static inline int64_t sqa_shared_padded(int64_t n)
{
    return (n + UNIT - 1) / UNIT * UNIT;
}

static inline void *sqa_shared_at(const struct sqa_shared_job *j, const void *p, int64_t i)
{
    return sqa_at((void *)(uintptr_t)p, i, j->k->size);
}

/* Without places; and with them, the pieces of a run and a thread's part. */
struct sqa_shared_job sqa_shared_sizes(const struct sqa_node *n);
size_t sqa_shared_workspace(const struct sqa_node *n, int threads);
struct sqa_shared_job sqa_shared_job_of(const struct sqa_node *n, const struct sqa_run *r);
struct sqa_shared_place sqa_shared_place_of(const struct sqa_shared_job *j, int thread);

/* Places that packed pieces take which have `width` on their other side; a piece begins at (from + UNIT number)
 * width, width padded. */
int64_t sqa_shared_packed(const struct sqa_shared_job *j, int64_t width);

/* Row t of a head in (B, L, H, d); b: row of the batch. */
void *sqa_shared_row(const struct sqa_shared_job *j, const struct sqa_tensor *x, int64_t b, int64_t head, int64_t t);

/* A chunk of (head, t): values, and in the gradient dO, side by side; with them delta and lse. */
sqa_chunk_fn sqa_shared_gather;

/* The second factor of a piece, packed; nothing when S is a tensor. */
void sqa_shared_pack_second(const struct sqa_shared_job *j, int64_t head, const struct sqa_shared_piece *p, void *to);

/* Scores of `rows` queries from `row` on and of the keys of a piece; *stride: between rows. Factors: made in
 * p->weights by the packed second one. */
const void *sqa_shared_scores(const struct sqa_shared_job *j, int64_t head, int64_t row, int64_t rows,
                              const struct sqa_shared_piece *piece, const void *panels,
                              const struct sqa_shared_place *p, int64_t *stride);

/* Keys of a piece that a query sees: the first ones. */
int64_t sqa_shared_seen(const struct sqa_shared_job *j, const struct sqa_shared_piece *piece, int64_t query);

/* to = exp(x - top) for the n keys that are seen, 0 for the others; may alias. */
void sqa_shared_weigh(const struct sqa_shared_job *j, const struct sqa_shared_piece *piece, int64_t n, double top,
                      const void *x, void *to);

/* Pairs of a head */
static inline double sqa_shared_pairs(int64_t length, bool causal)
{
    return causal ? (double)length * (double)(length + 1) / 2 : (double)length * (double)length;
}

extern const struct sqa_op sqa_shared_attention_bwd;

#endif
