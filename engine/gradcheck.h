/*
 * gradcheck.h - analytic gradients against central differences, in float64
 *
 * The checker makes a float64 training graph, lets `build` make a tensor y of any shape of the inputs, contracts y
 * with fixed random weights to one number f, and compares the gradient of f by sqa_gradients with (f(x + h v) - f(x -
 * h v)) / 2 h: along random directions v through all inputs, and along single coordinates of each. The error of one
 * comparison is |analytic - numeric| / max(|analytic|, |numeric|, 1 % of the largest entry of the gradient, 1e-4
 * max(1, |f|)); the floor keeps rounding errors of f from counting as errors of a gradient that is nearly zero there.
 *
 * Random numbers of dropout are the same in every evaluation. Points where f has a kink give wrong differences:
 * choose values away from them.
 */
#ifndef SQA_ENGINE_GRADCHECK_H
#define SQA_ENGINE_GRADCHECK_H

#include "engine/graph.h"
#include "engine/store.h"

struct sqa_gradcheck_input {
    enum sqa_dtype dtype; /* SQA_F64 stands for the graph's real type, or SQA_I32 */
    int rank;
    int64_t dim[SQA_MAX_RANK];
    double low, high;      /* uniform random values, [low, high); integers are drawn from low..high - 1.
                              low == high: reals are standard normal */
    const int32_t *values; /* of an I32 input instead of random ones, or NULL */
    bool fixed;            /* a real input that no gradient is wanted of */
};

/* Returns y, of real type and any shape; in[i] has the shape of input i. */
typedef struct sqa_tensor *sqa_gradcheck_build_fn(void *user, struct sqa_graph *g, struct sqa_tensor *const *in);

/* *worst is the largest error. A failure of the graph (a shape, a missing derivative) is returned as it is. At most
 * SQA_MAX_INPUTS inputs. */
enum sqa_status sqa_gradcheck(sqa_gradcheck_build_fn *build, void *user, int ninputs,
                              const struct sqa_gradcheck_input *inputs, uint64_t seed, double *worst,
                              struct sqa_err *err) SQA_MUST_CHECK;

/* The same for a model: the derivative by all parameters of a sealed, trainable float64 store, along `directions`
 * random directions. build returns a tensor of any shape; it may declare inputs of its own, which fill fills (NULL:
 * none) before the first run. Values of parameters and states are restored; gradients are overwritten. */
struct sqa_plan;
typedef struct sqa_tensor *sqa_gradcheck_model_fn(void *user, struct sqa_graph *g);
typedef void sqa_gradcheck_fill_fn(void *user, struct sqa_plan *p);
enum sqa_status sqa_gradcheck_store(sqa_gradcheck_model_fn *build, sqa_gradcheck_fill_fn *fill, void *user,
                                    struct sqa_store *s, int directions, uint64_t seed, double *worst,
                                    struct sqa_err *err) SQA_MUST_CHECK;

#endif
