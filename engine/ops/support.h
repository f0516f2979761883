/*
 * support.h - what the common ops share: kernel tables, chunks of work, element-wise walks, strided copies
 *
 * Work is cut into chunks whose size depends on the shapes only, never on the number of threads, so that results have
 * the same bits for any number of threads.
 */
#ifndef SQA_ENGINE_OPS_SUPPORT_H
#define SQA_ENGINE_OPS_SUPPORT_H

#include <string.h>

#include "engine/graph.h"
#include "engine/ops.h"
#include "kernels/kernels.h"

enum { SQA_CHUNK = 16384 }; /* elements of a chunk of element-wise work */

static inline const struct sqa_kernels *sqa_kernels_of(enum sqa_dtype t)
{
    return t == SQA_F64 ? &sqa_kernels_f64 : &sqa_kernels_f32;
}

/* The kernels of an op that multiplies matrices: those of its graph's compute type. */
static inline const struct sqa_kernels *sqa_node_kernels(const struct sqa_node *n)
{
    return n->in[0]->dtype == SQA_F64 ? &sqa_kernels_f64 : sqa_kernels_compute(n->compute);
}

/* Address of element i of a buffer whose elements have `size` bytes. */
static inline void *sqa_at(void *p, int64_t i, size_t size)
{
    return (unsigned char *)p + i * (int64_t)size;
}

static inline const void *sqa_at_const(const void *p, int64_t i, size_t size)
{
    return (const unsigned char *)p + i * (int64_t)size;
}

static inline size_t sqa_align64(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

static inline int64_t sqa_min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t sqa_max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* One real number of a tensor's type. */
static inline double sqa_real_get(enum sqa_dtype t, const void *p)
{
    float f;
    double d;

    if (t == SQA_F64) {
        memcpy(&d, p, sizeof d);
        return d;
    }
    memcpy(&f, p, sizeof f);
    return (double)f;
}

static inline void sqa_real_set(enum sqa_dtype t, void *p, double v)
{
    const float f = (float)v;

    if (t == SQA_F64)
        memcpy(p, &v, sizeof v);
    else
        memcpy(p, &f, sizeof f);
}

/* Calls f for [first, first + count) of every chunk of 0..total-1, in parallel when there are threads and `work`
 * (elements or flops in all) is worth it. thread is 0..r->threads-1. */
typedef void sqa_chunk_fn(void *ctx, int64_t first, int64_t count, int thread);
void sqa_chunks(const struct sqa_run *r, int64_t total, int64_t chunk, double work, sqa_chunk_fn *f, void *ctx);

/* Element-wise ops of up to 3 inputs that broadcast to output 0, in any strides. f gets dense pieces: in[i] has n
 * numbers, or, where bit i of *constant is set, one number. Only inputs in the mask `scalars` come as one number. */
typedef void sqa_piece_fn(const void *ctx, const struct sqa_kernels *k, const void *const *in, unsigned constant,
                          void *out, size_t n);
void sqa_map(const struct sqa_node *n, const struct sqa_run *r, unsigned scalars, sqa_piece_fn *f, const void *ctx);

/* Copies a block of elements of `size` bytes between two strided places that do not overlap. Strides in elements, of
 * any sign. */
void sqa_copy_block(size_t size, int rank, const int64_t *dim, const void *x, const int64_t *x_stride, void *y,
                    const int64_t *y_stride);

/* numpy's rule: dim of a and b together. False when they do not agree. */
bool sqa_broadcast_dims(int ra, const int64_t *a, int rb, const int64_t *b, int *rank, int64_t dim[SQA_MAX_RANK]);
/* dy summed over the axes along which a tensor of shape (rank, dim) was broadcast; has that shape. */
struct sqa_tensor *sqa_sum_to(struct sqa_graph *g, struct sqa_tensor *dy, int rank, const int64_t *dim);

/* dy f'(x) of the same shapes, for every f; and z f''(x), NULL where f'' is 0, for those functions whose gradient is
 * unary_grad (unary.c). */
struct sqa_tensor *sqa_unary_grad(struct sqa_graph *g, enum sqa_unary f, struct sqa_tensor *x, struct sqa_tensor *dy);
struct sqa_tensor *sqa_unary_second(struct sqa_graph *g, enum sqa_unary f, struct sqa_tensor *x,
                                    struct sqa_tensor *z);

/* x itself when the numbers of its last axis lie side by side (or x is NULL), else a copy. */
struct sqa_tensor *sqa_dense_rows(struct sqa_graph *g, struct sqa_tensor *x);

/* True when a builder may go on: no failure yet and none of the required inputs is NULL. */
bool sqa_ready(struct sqa_graph *g, const char *op, int n, struct sqa_tensor *const *x);

/* (outer, n, inner): a contiguous range of axes of a dense tensor, as sum, max_over and cumsum see it. */
struct sqa_span {
    int64_t outer, n, inner;
};
struct sqa_span sqa_span_of(const struct sqa_tensor *x, int first_axis, int axes);
/* Is the axis one of x? */
static inline bool sqa_axis_ok(const struct sqa_tensor *x, int axis)
{
    return axis >= 0 && axis < x->rank;
}

/* A part of a workspace at offset *at of base; NULL base: only sizes are wanted. */
static inline unsigned char *sqa_take(unsigned char *base, size_t *at, size_t bytes)
{
    unsigned char *p = base != NULL ? base + *at : NULL;

    *at += sqa_align64(bytes);
    return p;
}
/* Row t of head `pair` (b H + h) of a tensor (B, L, H, d) whose rows are dense; size: of a number. */
static inline void *sqa_head_row(const struct sqa_tensor *x, int64_t pair, int64_t t, size_t size)
{
    const int64_t heads = x->dim[2];

    return sqa_at(sqa_data(x), pair / heads * x->stride[0] + t * x->stride[1] + pair % heads * x->stride[2], size);
}

/* n->in[i] must be an i32 tensor of that one dim. */
enum sqa_status sqa_check_lengths(const struct sqa_node *n, int i, int64_t batch, struct sqa_err *err);
/* lengths[b] held within 0..limit; limit when there are no lengths. */
int64_t sqa_length_at(const struct sqa_tensor *lengths, int64_t b, int64_t limit);

static inline double sqa_flops_out1(const struct sqa_node *n)
{
    return (double)sqa_numel(n->out[0]);
}

#endif
