/*
 * stats.h - the statistics of reports: quantiles, intervals, crossed bootstrap
 *
 * Plain functions of their arguments: no state, no clock, random numbers by counter from the key given. Intervals are
 * two-sided at `level` (0.95); a bound that cannot be had is NaN in both ends.
 *
 * Sources: Wilson 1927 (score interval of a proportion); Owen 2007, "The pigeonhole bootstrap" (resampling rows and
 * columns of a crossed table, slightly conservative); Politis and Romano 1992 (circular blocks); order statistics of
 * the median by the binomial distribution (David and Nagaraja, Order Statistics, 7.1).
 */
#ifndef SQA_REPORTS_STATS_H
#define SQA_REPORTS_STATS_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct sqa_interval {
    double low, high;
};

void sqa_sort_reals(double *x, size_t n); /* ascending; no NaN among them */
/* x ascending; linear interpolation between the two nearest (type 7 of Hyndman and Fan); NaN when n is 0. */
double sqa_quantile(const double *x, size_t n, double p);
double sqa_stats_mean(const double *x, size_t n); /* NaN when n is 0 */
double sqa_deviation(const double *x, size_t n);  /* with n - 1; NaN when n < 2 */

double sqa_normal_cdf(double z);
double sqa_normal_quantile(double p);               /* 0 < p < 1 */
double sqa_t_cdf(double t, double df);              /* Student, df > 0 */
double sqa_t_quantile(double p, double df);         /* by bisection of sqa_t_cdf */
double sqa_f_cdf(double f, double df1, double df2); /* Fisher, f >= 0 */

/* k successes (may be fractional, an average) of n. */
struct sqa_interval sqa_wilson(double k, double n, double level);
/* Of the mean of x; NaN when n < 2. */
struct sqa_interval sqa_t_interval(const double *x, size_t n, double level);
/* What of an interval lies in low .. high, as that of a mean of shares must. */
struct sqa_interval sqa_interval_within(struct sqa_interval x, double low, double high);
/* Of the median; x ascending. Holds for any continuous distribution; needs n >= 6 at 0.95, else NaN. */
struct sqa_interval sqa_median_interval(const double *x, size_t n, double level);

/* Least squares of log y = a + b log x over n points, x and y > 0: returns b, *interval is Student's of b at `level`; NaN
 * of fewer than two points, the interval of fewer than three. A power law has exponent b; other laws have none, and
 * the interval only says how far the points lie off a straight line. */
double sqa_log_slope(const double *x, const double *y, size_t n, double level, struct sqa_interval *interval);

/* What resamples drew, kept for the next values of the same shape: drawing takes longer than adding up. Begins as zeros. */
struct sqa_draws {
    uint64_t key;
    size_t seeds, examples, block, resamples;
    uint8_t *times; /* (resamples, seeds + examples): how often each was drawn */
};
void sqa_draws_clear(struct sqa_draws *kept);

/* Interval of the mean of d[s * examples + e] by resampling seeds and examples independently, with replacement.
 * A dimension of 1 is not resampled. block > 1 draws runs of that many consecutive examples, circularly: for windows
 * that overlap. kept: draws of the last call, or NULL; the interval is the same with and without. SQA_NOMEM when there
 * is no memory for the work arrays. */
enum sqa_status sqa_bootstrap_crossed(const double *d, size_t seeds, size_t examples, size_t block, size_t resamples,
                                      uint64_t key, double level, struct sqa_draws *kept, struct sqa_interval *out,
                                      struct sqa_err *err) SQA_MUST_CHECK;

#endif
