/*
 * plan.h - running a graph: order, lifetimes, one arena
 *
 * sqa_plan_make keeps the nodes that outputs and effects need, finds the lifetime of every buffer, lets ops run in
 * place where they may, and places all buffers in one arena by first fit. Several plans may share one arena memory
 * (struct sqa_memory), sized to the largest. After a plan was made a run allocates nothing.
 */
#ifndef SQA_ENGINE_PLAN_H
#define SQA_ENGINE_PLAN_H

#include "engine/graph.h"
#include "engine/store.h"

struct sqa_memory { /* shared by plans; zero is empty */
    unsigned char *data;
    size_t size;
};
void sqa_memory_clear(struct sqa_memory *m);

struct sqa_plan {
    struct sqa_graph graph;  /* owned */
    struct sqa_node **nodes; /* run order, leaves and views left out */
    int count;
    size_t arena_bytes; /* planned peak, workspace included */
    size_t *workspace;  /* offset of each node's workspace */
    int threads;
    struct sqa_memory *memory;
    unsigned char *bound; /* memory->data that the pointers were set for */
    int64_t rows;
    bool once;   /* what is made once is there */
    bool poison; /* tests: freed buffers are filled with NaN bytes */
};

/* Takes over *g (also on failure). threads >= 1. */
enum sqa_status sqa_plan_make(struct sqa_graph *g, struct sqa_memory *memory, int threads, struct sqa_plan **plan,
                              struct sqa_err *err) SQA_MUST_CHECK;
void sqa_plan_free(struct sqa_plan *p);

struct sqa_extents {
    int64_t rows;           /* real rows; must equal the planned ones unless every op can use extents */
    const int32_t *offsets; /* packed batches, or NULL */
};
/* Before a run: where to write an input of that name (dense); NULL when the graph has none or
 * no node reads it. */
void *sqa_plan_input(struct sqa_plan *p, const char *name, const struct sqa_tensor **tensor);
/* After a run: an output's numbers as they lie; tensor gives type and strides. */
const void *sqa_plan_output(struct sqa_plan *p, const char *name, const struct sqa_tensor **tensor);
/* Runs. ns: NULL, or an array of p->count that each node's wall time in ns is added to. */
enum sqa_status sqa_plan_run(struct sqa_plan *p, uint64_t seed, uint64_t step, const struct sqa_extents *extents,
                             double *ns, struct sqa_err *err) SQA_MUST_CHECK;
/* Values of graph.fixed have changed: the next run makes again what is made once. */
void sqa_plan_refresh(struct sqa_plan *p);
double sqa_node_flops(const struct sqa_node *n);
double sqa_node_bytes(const struct sqa_node *n);
/* Sums over the nodes of one pass. */
double sqa_plan_flops(const struct sqa_plan *p, enum sqa_pass pass);
double sqa_plan_bytes(const struct sqa_plan *p, enum sqa_pass pass);

/* Trainable parameters' gradients: appends the backward pass of loss; each gradient ends in the store's block. */
void sqa_backward(struct sqa_graph *g, struct sqa_tensor *loss, struct sqa_store *s);

/* "cheap", "off" or "blocks"; NULL and "" are cheap. False: no such name. */
bool sqa_recompute_find(const char *name, enum sqa_recompute_mode *mode);

/* Cache of plans of one model, keyed by (mode, batch, length). build makes the graph on a miss. */
struct sqa_plan_key {
    int mode;
    int64_t batch, length;
};
typedef enum sqa_status sqa_plan_build_fn(void *user, const struct sqa_plan_key *key, struct sqa_graph *g,
                                          struct sqa_err *err);
struct sqa_plans {
    struct sqa_memory memory;
    sqa_plan_build_fn *build;
    void *user;
    enum sqa_dtype real;
    enum sqa_compute compute; /* of the graphs; set after sqa_plans_init, before the first plan */
    int threads;
    enum sqa_recompute_mode recompute; /* of the graphs built */
    int capacity;                      /* plans kept; the least recently used goes */
    struct sqa_plans_slot *slots;
    uint64_t clock;
};
enum sqa_status sqa_plans_init(struct sqa_plans *c, sqa_plan_build_fn *build, void *user, enum sqa_dtype real,
                               int threads, int capacity, struct sqa_err *err) SQA_MUST_CHECK;
enum sqa_status sqa_plans_get(struct sqa_plans *c, struct sqa_plan_key key, struct sqa_plan **plan,
                              struct sqa_err *err) SQA_MUST_CHECK;
void sqa_plans_clear(struct sqa_plans *c);

#endif
