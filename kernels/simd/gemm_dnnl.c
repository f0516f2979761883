/*
 * gemm_dnnl.c - matrix product in bfloat16 by oneDNN, for processors with AMX or AVX512-BF16
 *
 * Blocks of op(A) and op(B) are rounded into packed rows on the stack; a matmul primitive of oneDNN multiplies them
 * and writes, or adds to, C. Primitives are kept for each thread and shape; their scratchpad is on the stack, so
 * that a step makes none of them again (inside, oneDNN takes four small blocks of the heap an execution). oneDNN
 * would use every thread of OpenMP: it is held to the calling one, as the ops have cut the work already. Sizes of
 * blocks are constants: the same bits whatever the threads.
 *
 * This was not run on a processor with such units: oneDNN has no bfloat16 product elsewhere. Tests run all of it but
 * that product with the same rounded operands widened to floats (_widened).
 */
#include <omp.h>
#include <string.h>

#include <dnnl.h>

#include "kernels/plain/plain.h"
#include "kernels/simd/bf16.h"

enum { ROWS = 256, COLUMNS = 256, TERMS = 256, SCRATCHPAD = 1 << 20, CACHED = 64 };

struct shape {
    int64_t m, n, k, ldc;
    int add; /* C += */
    dnnl_data_type_t type;
};
struct product {
    struct shape shape;
    dnnl_primitive_t primitive;
    dnnl_memory_t a, b, c, scratchpad;
};
struct library {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    struct product cached[CACHED];
    int next; /* to be replaced */
};
static _Thread_local struct library library;

static int same(const struct shape *x, const struct shape *y)
{
    return x->m == y->m && x->n == y->n && x->k == y->k && x->ldc == y->ldc && x->add == y->add && x->type == y->type;
}

static void discard(struct product *p)
{
    dnnl_primitive_destroy(p->primitive);
    dnnl_memory_destroy(p->a);
    dnnl_memory_destroy(p->b);
    dnnl_memory_destroy(p->c);
    dnnl_memory_destroy(p->scratchpad);
    *p = (struct product){.shape = {0}};
}

static int rows_of(dnnl_memory_desc_t *md, int64_t rows, int64_t columns, int64_t stride, dnnl_data_type_t type)
{
    return dnnl_memory_desc_init_by_strides(md, 2, (dnnl_dims_t){rows, columns}, type, (dnnl_dims_t){stride, 1}) ==
           dnnl_success;
}

/* 1 when done. User scratchpad; one that is larger than the stack's place is left to the library. */
static int describe(const struct shape *s, dnnl_primitive_desc_t *out, struct product *p)
{
    dnnl_memory_desc_t a, b, c;
    dnnl_matmul_desc_t matmul;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_post_ops_t after = NULL;
    int ok = rows_of(&a, s->m, s->k, pad32(s->k), s->type) && rows_of(&b, s->k, s->n, pad32(s->n), s->type) &&
             rows_of(&c, s->m, s->n, s->ldc, dnnl_f32) &&
             dnnl_matmul_desc_init(&matmul, &a, &b, NULL, &c) == dnnl_success &&
             dnnl_primitive_attr_create(&attr) == dnnl_success && dnnl_post_ops_create(&after) == dnnl_success &&
             (!s->add || dnnl_post_ops_append_sum(after, 1) == dnnl_success) &&
             dnnl_primitive_attr_set_post_ops(attr, after) == dnnl_success;
    for (int user = 1; ok && user >= 0; user--) {
        ok = dnnl_primitive_attr_set_scratchpad_mode(attr, user ? dnnl_scratchpad_mode_user
                                                                : dnnl_scratchpad_mode_library) == dnnl_success &&
             dnnl_primitive_desc_create(out, &matmul, attr, library.engine, NULL) == dnnl_success;
        const dnnl_memory_desc_t *room = ok ? dnnl_primitive_desc_query_md(*out, dnnl_query_scratchpad_md, 0) : NULL;
        if (!ok || dnnl_memory_desc_get_size(room) <= SCRATCHPAD) {
            ok = ok && dnnl_memory_create(&p->scratchpad, room, library.engine, DNNL_MEMORY_NONE) == dnnl_success;
            break;
        }
        dnnl_primitive_desc_destroy(*out);
        *out = NULL;
    }
    ok = ok && dnnl_memory_create(&p->a, &a, library.engine, DNNL_MEMORY_NONE) == dnnl_success &&
         dnnl_memory_create(&p->b, &b, library.engine, DNNL_MEMORY_NONE) == dnnl_success &&
         dnnl_memory_create(&p->c, &c, library.engine, DNNL_MEMORY_NONE) == dnnl_success;
    dnnl_post_ops_destroy(after);
    dnnl_primitive_attr_destroy(attr);
    return ok;
}

/* NULL when the library cannot. */
static struct product *product_of(const struct shape *s)
{
    for (int i = 0; i < CACHED; i++)
        if (library.cached[i].primitive && same(&library.cached[i].shape, s))
            return &library.cached[i];
    if (!library.stream &&
        (dnnl_engine_create(&library.engine, dnnl_cpu, 0) != dnnl_success ||
         dnnl_stream_create(&library.stream, library.engine, dnnl_stream_default_flags) != dnnl_success))
        return NULL;
    struct product *p = &library.cached[library.next];
    dnnl_primitive_desc_t description = NULL;
    discard(p);
    p->shape = *s;
    const int ok = describe(s, &description, p) && dnnl_primitive_create(&p->primitive, description) == dnnl_success;
    dnnl_primitive_desc_destroy(description);
    if (!ok) {
        discard(p);
        return NULL;
    }
    library.next = (library.next + 1) % CACHED;
    return p;
}

/* 1 when done */
static int multiply(const struct shape *s, void *a, void *b, float *c)
{
    unsigned char scratchpad[SCRATCHPAD] __attribute__((aligned(64)));
    const struct product *p = product_of(s);
    if (!p)
        return 0;
    const dnnl_exec_arg_t args[] = {
        {DNNL_ARG_SRC, p->a}, {DNNL_ARG_WEIGHTS, p->b}, {DNNL_ARG_DST, p->c}, {DNNL_ARG_SCRATCHPAD, p->scratchpad}};
    return dnnl_memory_set_data_handle(p->a, a) == dnnl_success &&
           dnnl_memory_set_data_handle(p->b, b) == dnnl_success &&
           dnnl_memory_set_data_handle(p->c, c) == dnnl_success &&
           dnnl_memory_set_data_handle(p->scratchpad, scratchpad) == dnnl_success &&
           dnnl_primitive_execute(p->primitive, library.stream, 4, args) == dnnl_success &&
           dnnl_stream_wait(library.stream) == dnnl_success;
}

/* to (rows, padded columns), bfloat16, of op(x): rows of x, or its columns */
static void pack(int transposed, const float *x, int64_t ld, int64_t rows, int64_t columns, uint16_t *to)
{
    uint32_t pairs[(ROWS > TERMS ? ROWS : TERMS) / 2 * COLUMNS] __attribute__((aligned(64)));
    if (!transposed) {
        pack_rows(x, ld, rows, columns, to, rows);
        return;
    }
    pack_pairs(x, ld, columns, rows, pairs, pad32(columns));
    transpose32(pairs, pad32(columns) / 2, pad32(rows), (uint32_t *)(void *)to);
}

/* Rounded operands of a block, and the same widened to floats where the product is of floats. */
struct blocks {
    uint16_t a[ROWS * TERMS], b[TERMS * COLUMNS];
    float *wide_a, *wide_b;
};

static void *operand(const struct blocks *w, int right, int64_t n)
{
    const uint16_t *from = right ? w->b : w->a;
    float *wide = right ? w->wide_b : w->wide_a;
    if (!wide)
        return (void *)(uintptr_t)from;
    for (int64_t i = 0; i < n; i++) {
        const uint32_t bits = (uint32_t)from[i] << 16;
        memcpy(wide + i, &bits, sizeof bits);
    }
    return wide;
}

struct call {
    int ta, tb;
    int64_t m, n, k;
    const float *a, *b;
    float *c;
    int64_t lda, ldb, ldc;
};

/* A block that the library cannot multiply, for lack of memory, say, is multiplied by the emulated form. */
static void product(const struct call *g, const struct shape *s, const float *a, const float *b, float *c,
                    struct blocks *w, void *right)
{
    pack(g->ta, a, g->lda, s->m, s->k, w->a);
    if (!multiply(s, operand(w, 0, s->m * pad32(s->k)), right, c))
        V(gemm_bf16)(g->ta, g->tb, s->m, s->n, s->k, 1, a, g->lda, b, g->ldb, s->add, c, s->ldc);
}

/* C += op(A) op(B), or = when !add */
static void products(const struct call *g, int add, struct blocks *w)
{
    for (int64_t l = 0; l < g->k; l += TERMS)
        for (int64_t j = 0; j < g->n; j += COLUMNS) {
            const int64_t terms = smaller(TERMS, g->k - l), columns = smaller(COLUMNS, g->n - j);
            const float *b = g->tb ? g->b + j * g->ldb + l : g->b + l * g->ldb + j;
            pack(g->tb, b, g->ldb, terms, columns, w->b);
            void *right = operand(w, 1, terms * pad32(columns));
            for (int64_t i = 0; i < g->m; i += ROWS) {
                const struct shape s = {.m = smaller(ROWS, g->m - i),
                                        .n = columns,
                                        .k = terms,
                                        .ldc = g->ldc,
                                        .add = add || l > 0,
                                        .type = w->wide_a ? dnnl_f32 : dnnl_bf16};
                product(g, &s, g->ta ? g->a + l * g->lda + i : g->a + i * g->lda + l, b, g->c + i * g->ldc + j, w,
                        right);
            }
        }
}

static void scale_rows(const struct call *g, float factor)
{
    for (int64_t i = 0; i < g->m && factor != 1; i++)
        for (int64_t j = 0; j < g->n; j++)
            g->c[i * g->ldc + j] *= factor;
}

/* alpha is brought in through C: C beta / alpha first, C alpha at the end. */
static void gemm(const struct call *g, double alpha, double beta, struct blocks *w)
{
    const int threads = omp_get_max_threads();
    if (g->m <= 0 || g->n <= 0 || g->k <= 0 || alpha == 0) {
        sqa_k_gemm_bf16_f32(g->ta, g->tb, g->m, g->n, g->k, alpha, g->a, g->lda, g->b, g->ldb, beta, g->c, g->ldc);
        return;
    }
    if (beta != 0)
        scale_rows(g, (float)(beta / alpha));
    omp_set_num_threads(1);
    products(g, beta != 0, w);
    omp_set_num_threads(threads);
    scale_rows(g, (float)alpha);
}

void V(gemm_dnnl)(int ta, int tb, int64_t m, int64_t n, int64_t k, double alpha, const void *a, int64_t lda,
                  const void *b, int64_t ldb, double beta, void *c, int64_t ldc)
{
    struct blocks w;
    w.wide_a = w.wide_b = NULL;
    gemm(&(struct call){ta, tb, m, n, k, a, b, c, lda, ldb, ldc}, alpha, beta, &w);
}

void V(gemm_dnnl_widened)(int ta, int tb, int64_t m, int64_t n, int64_t k, double alpha, const void *a, int64_t lda,
                          const void *b, int64_t ldb, double beta, void *c, int64_t ldc)
{
    float wide_a[ROWS * TERMS], wide_b[TERMS * COLUMNS];
    struct blocks w;
    w.wide_a = wide_a;
    w.wide_b = wide_b;
    gemm(&(struct call){ta, tb, m, n, k, a, b, c, lda, ldb, ldc}, alpha, beta, &w);
}

int V(gemm_dnnl_works)(int widened)
{
    return product_of(&(struct shape){32, 32, 32, 32, 0, widened ? dnnl_f32 : dnnl_bf16}) != NULL;
}
