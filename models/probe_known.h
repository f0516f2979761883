/*
 * probe_known.h - what identities share that write a mixer out in double: parameters, products, f32 against f64
 */
#ifndef SQA_MODELS_PROBE_KNOWN_H
#define SQA_MODELS_PROBE_KNOWN_H

#include "models/probe.h"

/* Copies the entries "SCOPE.name" that the store has, in double; the list ends with name NULL. */
struct sqa_probe_entry {
    const char *name;
    double *to;
};
void sqa_probe_get(const struct sqa_store *s, const char *scope, const struct sqa_probe_entry *entries);

/* y (rows, m) = x (rows, n) w (n, m), sums in the order of n */
void sqa_probe_times(const double *x, const double *w, int rows, int n, int m, double *y);

/* The item, one channel wide and not causal, in f32 against f64 at 4096 positions: within 1e-5. */
enum sqa_status sqa_probe_float(const char *item, struct sqa_err *err) SQA_MUST_CHECK;

#endif
