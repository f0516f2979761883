/*
 * plan_private.h - the parts of the planner: run order, lifetimes, recomputation, placement
 *
 * A schedule is a plan in the making. Its run order holds nodes of the graph and clones that recompute.c adds; the
 * graph's list stays in build order.
 */
#ifndef SQA_ENGINE_PLAN_PRIVATE_H
#define SQA_ENGINE_PLAN_PRIVATE_H

#include "engine/plan.h"

struct sqa_schedule {
    struct sqa_graph *g;
    struct sqa_node **run; /* leaves and views left out; effects last */
    int count, room, threads;
};

/* The buffer whose place b shares, b itself when it has one of its own. */
struct sqa_buffer *sqa_buffer_root(struct sqa_buffer *b);
/* The node that fills a tensor's buffer and the output it is, through views. */
struct sqa_tensor *sqa_owner(struct sqa_tensor *t);
size_t sqa_align_place(size_t bytes);

/* Fills *s (run is the caller's to free) with the nodes that outputs and effects need; sets each node's workspace. */
enum sqa_status sqa_order(struct sqa_schedule *s, struct sqa_graph *g, int threads,
                          struct sqa_err *err) SQA_MUST_CHECK;

/* Sets first, last and alias of every buffer for the run order. */
void sqa_set_lifetimes(const struct sqa_schedule *s);
/* Bytes that are live at each run position (workspace included) into live[0 .. count]; returns the largest. No
 * placement can do with less. Lifetimes must be set. */
size_t sqa_live_bytes(const struct sqa_schedule *s, size_t *live);
/* Sets the offset of every buffer, and of each node's workspace by run position; *size is the arena's. */
enum sqa_status sqa_place(const struct sqa_schedule *s, size_t *workspace, size_t *size,
                          struct sqa_err *err) SQA_MUST_CHECK;

/* Replaces reads of the backward pass by reads of clones as g->recompute asks. Grows s->run. */
enum sqa_status sqa_recompute(struct sqa_schedule *s, struct sqa_err *err) SQA_MUST_CHECK;

#endif
