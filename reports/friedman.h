/*
 * friedman.h - do models differ over data sets? Friedman's test on ranks, and Nemenyi's critical difference
 *
 * Sources: Friedman 1937; Iman and Davenport 1980 (the F form, less conservative); Nemenyi 1963; as Demsar 2006,
 * "Statistical Comparisons of Classifiers over Multiple Data Sets", puts them together.
 */
#ifndef SQA_REPORTS_FRIEDMAN_H
#define SQA_REPORTS_FRIEDMAN_H

#include <stddef.h>

#include "base/status.h"

struct sqa_friedman {
    double chi_squared, f, p; /* chi_squared is corrected for ties; p of the F form */
    double difference;        /* Nemenyi: mean ranks that differ by more differ, at level 0.05 over all pairs */
};

/* Ranks of the k values at x, 1 for the best (greatest if direction > 0, else least); equals share their mean. */
void sqa_ranks(const double *x, size_t k, int direction, double *rank);
/* Of rank[i * k + j], k >= 2 models on n >= 2 data sets; mean has room for k mean ranks. */
struct sqa_friedman sqa_friedman(const double *rank, size_t n, size_t k, double *mean);
/* Probability that the range of k standard normal numbers is below q; and the q of probability p. */
double sqa_range_cdf(double q, size_t k);
double sqa_range_quantile(double p, size_t k);

#endif
