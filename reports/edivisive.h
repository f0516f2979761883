/*
 * edivisive.h - change points of a series: where the values before and after differ for good
 *
 * E-divisive means (Matteson and James 2014, "A nonparametric approach for multiple change point analysis"): a piece is
 * split where the energy distance between its two parts is greatest, the best split of all pieces is tested, and so on
 * until a test fails. Two tests:
 *
 *   t-test        the default, after Fleming and others 2023 ("Hunter", now Apache Otava): the series is searched in
 *                 overlapping windows at a lenient level, the points of all windows are put together, and then the
 *                 weakest is removed, and its neighbours are tested again over their longer pieces, until all that
 *                 remain reach the level and the magnitude. No random numbers.
 *   permutation   the original, after Daly and others 2020 (MongoDB): the whole series; the values of each piece are
 *                 shuffled, and p is the share of shuffles with a split as good. Random numbers by counter from `seed`.
 *
 * Departs from Hunter: deviations with n - 1; both neighbours of a removed point are measured anew (Otava 0.8: the later
 * one, its pull request 96); no part shorter than `least`; and a spike, a value further than `spike`
 * deviations from the median of its neighbours (1.4826 times their median deviation from it; `least` on either side,
 * Hampel's filter), counts as that median: otherwise two bad runs in three are a change, and a few of them hide a step.
 * A drift is no step: it is reported as one or several steps, or not at all when it is slow against the noise.
 * Time is n^2 additions for one piece of n values, memory is proportional to n.
 */
#ifndef SQA_REPORTS_EDIVISIVE_H
#define SQA_REPORTS_EDIVISIVE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct sqa_edivisive {
    double p;            /* level of a change, between 0 and 1 */
    double magnitude;    /* smallest change that counts, as sqa_change_magnitude gives it */
    size_t window;       /* values of a window of the t-test, at least 2 x least */
    size_t least;        /* values on either side of a change, at least 2 */
    double spike;        /* 0: values count as they are */
    size_t permutations; /* 0: t-test; else shuffles, at least 1 / p - 1, since p is never below 1 / (shuffles + 1) */
    uint64_t seed;       /* of the shuffles */
};
extern const struct sqa_edivisive
    sqa_edivisive_defaults; /* 0.001, 3 %, windows of 50, 3 values a side, spikes of 5 deviations, t-test */

struct sqa_change {
    size_t at;                /* the first value of the new level */
    double before, after;     /* means from the change before to here, and from here to the next, spikes as above */
    size_t n_before, n_after; /* values in them */
    double p;                 /* two-sided */
};
/* Relative change, the same for up and down: 0.1 from 100 to 110 and from 110 to 100. Infinite across 0. */
double sqa_change_magnitude(double before, double after);

/* The changes of x[0..n), ascending, in *out (n_out of them; caller frees with sqa_free, NULL when there are none). x
 * holds no NaN. SQA_NOMEM when there is no memory for the work arrays. */
enum sqa_status sqa_edivisive(const double *x, size_t n, const struct sqa_edivisive *options, struct sqa_change **out,
                              size_t *n_out, struct sqa_err *err) SQA_MUST_CHECK;

/* out[0..n) becomes x with spikes replaced; returns how many. work: 2 (2 least + 1) numbers. */
size_t sqa_calm(const double *x, size_t n, size_t least, double spike, double *work, double *out);

/* The split of x[0..k), k <= n, whose two parts, of at least `least` values each, differ most: returns its statistic
 *     q(a, b) = 2 / (a + b) (sum |x - y| between - b / (a - 1) sum |x - x'| within the first - a / (b - 1) sum within the
 *     second), a and b their numbers of values,
 * and where the second part begins; negative infinity when n < 2 least. work: 3 (n + 1) numbers. */
double sqa_energy_split(const double *x, size_t n, size_t least, double *work, size_t *at);

#endif
