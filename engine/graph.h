/*
 * graph.h - tensors, nodes, ops and the graph they form
 *
 * A node is one application of an op; its outputs are tensors; its inputs are tensors of earlier nodes. A tensor is a
 * buffer, an offset, a shape and strides; reshape, slice, transpose and broadcast are views of their input's buffer.
 * Building never computes: shapes are checked when a node is made, numbers flow when a plan (plan.h) runs.
 *
 * Errors are sticky: after the first failure g->status is set, g->err has the sentence, and every builder returns
 * NULL and accepts NULL inputs, so that model code needs one check at its end.
 *
 * Everything a graph makes lives in g->arena and is freed by sqa_graph_clear.
 */
#ifndef SQA_ENGINE_GRAPH_H
#define SQA_ENGINE_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"
#include "base/status.h"
#include "kernels/kernels.h"

enum { SQA_MAX_RANK = 6, SQA_MAX_INPUTS = 12, SQA_MAX_OUTPUTS = 8 };

enum sqa_dtype { SQA_F32, SQA_F64, SQA_I32, SQA_U8 };
size_t sqa_dtype_size(enum sqa_dtype t);
const char *sqa_dtype_name(enum sqa_dtype t); /* "f32" */

struct sqa_graph;
struct sqa_node;
struct sqa_entry; /* store.h */
struct sqa_store;

enum sqa_buffer_kind {
    SQA_BUFFER_ARENA,    /* placed by the planner */
    SQA_BUFFER_INPUT,    /* placed by the planner, kept for the whole run: the same batch can be run again */
    SQA_BUFFER_VALUE,    /* a store entry's value */
    SQA_BUFFER_GRADIENT, /* a store entry's gradient */
};
struct sqa_buffer {
    enum sqa_buffer_kind kind;
    size_t bytes;
    struct sqa_entry *entry; /* of VALUE and GRADIENT */
    /* the planner's */
    int first, last;          /* run positions between which the content must be kept; first = -1 for inputs */
    size_t offset;            /* in the plan's arena */
    struct sqa_buffer *alias; /* in-place: shares the place of this buffer */
    unsigned char *data;
};

struct sqa_tensor {
    enum sqa_dtype dtype;
    int rank;
    int64_t dim[SQA_MAX_RANK];
    int64_t stride[SQA_MAX_RANK]; /* elements; 0 along a broadcast dim */
    int64_t offset;               /* elements from the buffer's start */
    struct sqa_buffer *buffer;
    struct sqa_node *node; /* that makes it */
    int output;            /* which output of node */
    bool needs_grad;       /* a trainable parameter or a `wrt` tensor lies behind it */
    bool keep;             /* an output of the graph: content stays until the end of the run */
    const char *name;      /* of inputs and outputs, else NULL */
};

struct sqa_run { /* what a run function may know beyond its node */
    int threads;
    uint64_t seed, step;
    void *workspace;        /* of the size the op asked for, for all threads together */
    int64_t rows;           /* extents: real rows of the batch */
    const int32_t *offsets; /* packed batches: rows + 1 starts, or NULL */
};

/* Shapes are set in `shape`; run asserts and never fails. Flags: */
enum {
    SQA_OP_LEAF = 1,    /* input, param: no run */
    SQA_OP_VIEW = 2,    /* output 0 is a view of input 0: no run */
    SQA_OP_EFFECT = 4,  /* kept although nothing reads its output (assign) */
    SQA_OP_EXTENTS = 8, /* runs right on fewer rows than planned (reads run->rows, run->offsets) */
};

struct sqa_op {
    const char *name;
    const char *help; /* formula, one line */
    /* Sets rank, dim, dtype of n->out[0..nout-1] and n->nout; strides are dense unless the op is a view, which sets
     * stride, offset too (the buffer is shared by the graph). */
    enum sqa_status (*shape)(struct sqa_node *n, struct sqa_err *err);
    void (*run)(const struct sqa_node *n, const struct sqa_run *r);
    /* Appends ordinary ops: dy[i] is the gradient of output i or NULL; writes dx[j], NULL where there is none. Only
     * inputs with needs_grad are wanted. NULL grad: the op has no derivative; asking for one fails at build time. */
    void (*grad)(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx);
    double (*flops)(const struct sqa_node *n);                  /* NULL: 0 */
    double (*bytes)(const struct sqa_node *n);                  /* NULL: inputs and outputs once each */
    size_t (*workspace)(const struct sqa_node *n, int threads); /* NULL: 0 */
    /* Appends nodes that make an output again from other tensors (such as y = act(z) of an op that also kept z) for
     * less than the op itself, same bits; NULL where there is no such way. NULL remake: the planner repeats the node.
     */
    struct sqa_tensor *(*remake)(struct sqa_graph *g, struct sqa_node *n, int output);
    unsigned in_place; /* bit i: output 0 may take the place of input i (same size, dense) */
    unsigned strided;  /* bit i: input i may have any strides; others get an explicit copy when not dense */
    unsigned flags;
    double tolerance; /* f32 against f64, relative; 0: 1e-5 */
};

/* ONCE: made in the first run of a plan and kept, see sqa_graph.fixed; set by the planner. */
enum sqa_pass { SQA_PASS_FORWARD, SQA_PASS_BACKWARD, SQA_PASS_RECOMPUTE, SQA_PASS_ONCE };

struct sqa_node {
    const struct sqa_op *op;
    int nin, nout;
    struct sqa_tensor *in[SQA_MAX_INPUTS]; /* optional inputs are NULL */
    struct sqa_tensor *out[SQA_MAX_OUTPUTS];
    const void *attr;   /* the op's own struct, owned by the graph */
    const char *path;   /* "blocks.0.mixer.matmul.3": scope and a number; the same in every graph of one model */
    uint64_t path_hash; /* for random numbers */
    enum sqa_pass pass;
    size_t workspace;         /* the planner's: bytes */
    enum sqa_compute compute; /* of the graph */
    struct sqa_node *next;    /* in build order, which is a run order */
    int index;
};

/* What the backward pass computes again instead of keeping it; results have the same bits. */
enum sqa_recompute_mode {
    SQA_RECOMPUTE_CHEAP, /* what lowers the planned peak for next to nothing */
    SQA_RECOMPUTE_OFF,
    SQA_RECOMPUTE_BLOCKS, /* checkpoints: of the blocks but the last only the inputs are kept */
};

struct sqa_graph {
    struct sqa_arena arena;
    struct sqa_node *first, *last;
    int count;
    enum sqa_status status;
    struct sqa_err err;
    enum sqa_dtype real;      /* type of reals: SQA_F32 or SQA_F64 */
    enum sqa_compute compute; /* of matrix products and attention; F32 at first, set it before the first node */
    bool training;            /* dropout is active */
    enum sqa_pass pass;
    enum sqa_recompute_mode recompute;
    char scope[256];   /* "blocks.0.mixer" */
    const char *model; /* named in messages, or NULL */
    /* A store whose values stay from run to run, or NULL: what depends on them alone is computed in the first run
     * only (until sqa_plan_refresh). The plan's memory must be its own then. */
    const struct sqa_store *fixed;
};

void sqa_graph_init(struct sqa_graph *g, enum sqa_dtype real, bool training);
void sqa_graph_clear(struct sqa_graph *g);
/* Sets the sticky error (the first one wins) and returns NULL. */
struct sqa_tensor *sqa_graph_fail(struct sqa_graph *g, enum sqa_status code, const char *fmt, ...) SQA_PRINTF(3, 4);
/* Scopes name parameters and nodes. push returns what pop takes. */
size_t sqa_scope_push(struct sqa_graph *g, const char *fmt, ...) SQA_PRINTF(2, 3);
void sqa_scope_pop(struct sqa_graph *g, size_t mark);

/* Appends a node; returns output 0, or NULL after a failure. attr is copied. The other outputs: t->node->out[i]. */
struct sqa_tensor *sqa_apply(struct sqa_graph *g, const struct sqa_op *op, const void *attr, size_t attr_size,
                             int nin, struct sqa_tensor *const *in);

/* d loss / d wrt[i] for a rank-0 loss; out[i] NULL where loss does not depend on wrt[i]. Appends nodes. Calling it
 * again on a result gives second derivatives where the ops have them. The wrt tensors must have needs_grad. */
void sqa_gradients(struct sqa_graph *g, struct sqa_tensor *loss, struct sqa_tensor *const *wrt, size_t n,
                   struct sqa_tensor **out);
void sqa_require_grad(struct sqa_tensor *t);
/* Names t as an output: it can be read after the run. */
void sqa_output(struct sqa_graph *g, struct sqa_tensor *t, const char *name);

/* Facts of tensors */
int64_t sqa_numel(const struct sqa_tensor *t);
bool sqa_is_dense(const struct sqa_tensor *t);
bool sqa_same_shape(const struct sqa_tensor *a, const struct sqa_tensor *b);
bool sqa_is_real(const struct sqa_tensor *t);
/* "(4, 64)" into buf, for messages. Returns buf. */
char *sqa_shape_text(const struct sqa_tensor *t, char buf[96]);
/* First element; valid during a run. */
void *sqa_data(const struct sqa_tensor *t);
/* For shape functions: fills output i as dense of the given type and dims (dim may be NULL when rank is 0). */
void sqa_set_output(struct sqa_node *n, int i, enum sqa_dtype dtype, int rank, const int64_t *dim);
/* "model: op at path: text" */
enum sqa_status sqa_shape_fail(const struct sqa_node *n, struct sqa_err *err, const char *fmt, ...) SQA_PRINTF(3, 4);

/* Every common op, generated from engine/ops/; ends with NULL. */
extern const struct sqa_op *const sqa_ops[];

#endif
