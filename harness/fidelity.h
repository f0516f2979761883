/*
 * fidelity.h - how far other mixers are from the exact softmax of a trained transformer, on its own q, k and v
 *
 * The trained model runs on test examples with its softmax. In each layer another mixer gets the same input and the
 * layer's wq, wk, wv and wo, so the same q, k and v. With y and z what the two make of an example's valid positions,
 * and b the bias of wo, the error is |z - y| / |y - b|: 0 for the same, 1 for nothing but the bias. Parameters that
 * only the other mixer has are not trained, but drawn anew in each of `draws`, as random features are.
 *
 * Examples are the first of the test split that have at least half of the length, cut to it.
 */
#ifndef SQA_HARNESS_FIDELITY_H
#define SQA_HARNESS_FIDELITY_H

#include <signal.h>

#include "base/status.h"
#include "base/text.h"

/* X(name, help): columns of fidelity.csv. A row a mixer, length and layer, and one for the mean of all layers. */
#define SQA_FIDELITY_COLUMNS(X)                                                           \
    X(schema, "version of this table")                                                    \
    X(weights, "file of the trained transformer")                                         \
    X(task, "task that the examples are of")                                              \
    X(model, "the other mixer, as given")                                                 \
    X(length, "positions a row at most")                                                  \
    X(layer, "0 is the first; mean: over all layers")                                     \
    X(status, "ok, or unsupported")                                                       \
    X(message, "why, when status is not ok")                                              \
    X(error, "|z - y| / |y - b|, mean over examples and draws")                           \
    X(error_low, "95 % interval, by resampling draws and examples")                       \
    X(error_high, "its other end")                                                        \
    X(examples, "test examples")                                                          \
    X(draws, "of what the other mixer draws at random; 1 when it draws nothing")          \
    X(positions, "valid positions a row, mean")                                           \
    X(flops, "forward flops of the other mixer, a row; empty when it has no closed form") \
    X(flops_exact, "those of the exact one")                                              \
    X(own, "parameters that only the other mixer has: initial values")                    \
    X(note, "what a reader must know of this mixer")

struct sqa_fidelity_options {
    const char *weights, *task, *data_dir; /* task NULL: the one in the file */
    const char *const *models;             /* NULL: sqa_fidelity_models */
    int n_models;
    const int64_t *lengths; /* none: the model's */
    int n_lengths;
    int64_t examples, draws;
    int threads;
    const volatile sig_atomic_t *interrupted;
};
extern const char *const sqa_fidelity_models[]; /* ends with NULL */

/* Appends the table as CSV and as Markdown. */
enum sqa_status sqa_fidelity(const struct sqa_fidelity_options *o, struct sqa_text *csv, struct sqa_text *markdown,
                             struct sqa_err *err) SQA_MUST_CHECK;

#endif
