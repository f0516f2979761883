/* ops.h - how tests of ops write down builders and inputs; include after cmocka.h */
#ifndef SQA_TESTS_OPS_H
#define SQA_TESTS_OPS_H

#include "engine/gradcheck.h"
#include "engine/ops.h"
#include "engine/plan.h"

typedef struct sqa_tensor tensor;
typedef struct sqa_graph graph;

enum { MAX_IN = 6 };

#define BUILD(NAME, ...)                                         \
    static tensor *NAME(void *user, graph *g, tensor *const *in) \
    {                                                            \
        (void)user;                                              \
        (void)in;                                                \
        return __VA_ARGS__;                                      \
    }

static inline tensor *t01(graph *g, tensor *x)
{
    return sqa_transpose(g, x, 0, 1);
}

/* The gradient of sum(y^2) by x */
static inline tensor *gradient_of(graph *g, tensor *y, tensor *x)
{
    tensor *loss = y == NULL ? NULL : sqa_sum(g, sqa_mul(g, y, y), (1u << y->rank) - 1, false), *dx = NULL;

    sqa_gradients(g, loss, &x, 1, &dx);
    return dx;
}

#define R(...)                                                                                        \
    {                                                                                                 \
        .dtype = SQA_F64, .rank = (int)(sizeof((int64_t[]){__VA_ARGS__}) / 8), .dim = { __VA_ARGS__ } \
    }
#define R0               \
    {                    \
        .dtype = SQA_F64 \
    }
#define U(LOW, HIGH, ...)                                                                                          \
    {                                                                                                              \
        .dtype = SQA_F64, .rank = (int)(sizeof((int64_t[]){__VA_ARGS__}) / 8), .dim = {__VA_ARGS__}, .low = (LOW), \
        .high = (HIGH)                                                                                             \
    }
#define N(LOW, HIGH, ...)                                                                                          \
    {                                                                                                              \
        .dtype = SQA_I32, .rank = (int)(sizeof((int64_t[]){__VA_ARGS__}) / 8), .dim = {__VA_ARGS__}, .low = (LOW), \
        .high = (HIGH)                                                                                             \
    }
#define L(VALUES)                                                                    \
    {                                                                                \
        .dtype = SQA_I32, .rank = 1, .dim = {sizeof(VALUES) / 4}, .values = (VALUES) \
    }

#endif
