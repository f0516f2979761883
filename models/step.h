/*
 * step.h - what step forms of mixers are made of: one position at a time, with a state
 *
 * A variant's `step` gets x (B, 1, D), position t = *c->position, and makes what its causal `build` makes at t, with
 * the same parameters. What it must remember lies in c->states: 0 before position 0, changed by every run. Values
 * that depend on parameters alone (exp of a decay, tables) are computed once and kept, so write them as ordinary ops.
 *
 * Two ways to change a state: sqa_assign, at the end of the run; or in place by the ops below, in the place where
 * they stand, so that a reader built before sees the old value and one built after the new one.
 */
#ifndef SQA_MODELS_STEP_H
#define SQA_MODELS_STEP_H

#include "models/variant.h"

/* State "SCOPE.name" (B, dim...): its value. The entry is what sqa_assign takes; entry may be NULL. The same name
 * again is the same state. NULL after a failure. */
struct sqa_tensor *sqa_step_state(struct sqa_context *c, const char *name, int rank, const int64_t *dim,
                                  struct sqa_entry **entry);

/* y = a y + x, y kept as state `name`: x (B, 1, D), a broadcasts to it -> y (B, 1, D). pairs: complex numbers, a row
 * of D is D / 2 real parts, then as many imaginary ones (as sqa_scan). */
struct sqa_tensor *sqa_diagonal_step(struct sqa_context *c, const char *name, struct sqa_tensor *a,
                                     struct sqa_tensor *x, bool pairs);

/* S = diag(a) S + k v^T, S (B, H, m, n) kept as state `name`; then o = S^T q. q, k (B, 1, H, m), v (B, 1, H, n), a
 * NULL (1), or what broadcasts to (B, 1, H, 1) or (B, 1, H, m) -> o (B, 1, H, n). */
struct sqa_tensor *sqa_matrix_step(struct sqa_context *c, const char *name, struct sqa_tensor *q,
                                   struct sqa_tensor *k, struct sqa_tensor *v, struct sqa_tensor *a);

/* Softmax attention of q to the keys of all positions so far: k and v are appended to states "keys" (B, H, N, d) and
 * "values", N = c->max_length. q, k (B, 1, H, d), v (B, 1, H, dv) -> (B, 1, H, dv). Always f32 (or f64). flops and
 * bytes are those of a full cache. */
struct sqa_tensor *sqa_cache_step(struct sqa_context *c, struct sqa_tensor *q, struct sqa_tensor *k,
                                  struct sqa_tensor *v, double scale);

/* The mean of x (B, 1, D) over the positions so far; their sum is state `name`. */
struct sqa_tensor *sqa_mean_step(struct sqa_context *c, const char *name, struct sqa_tensor *x);

/* Of each position its number, from 1 on: (L, 1, 1); where positions go one at a time (B, 1, 1, 1), state "time". */
struct sqa_tensor *sqa_position_numbers(struct sqa_context *c);

/* x (B, L, H, d) summed over the positions up to each, itself included; one at a time their sum is state `name`. */
struct sqa_tensor *sqa_running_sum(struct sqa_context *c, const char *name, struct sqa_tensor *x);

/* Rows of a table (N, D), of positions 0 .. c->length - 1: (L, D), a view; where positions go one at a time the row
 * of t, (1, D). */
struct sqa_tensor *sqa_position_rows(struct sqa_context *c, struct sqa_tensor *table);

#endif
