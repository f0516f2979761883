/*
 * compare_stats.h - whether one arm of a paired measurement is slower than another, and how sure that is
 *
 * A block is a stretch of time in which every arm was measured; d = ln(new / base) of a block cancels what all arms
 * of it shared. The effect is the median of d over blocks; its interval is that of order statistics (the sign test
 * inverted): it holds at least at its level whatever the distribution, needs no seed, and does not exist for fewer
 * than 6 blocks at 95 %. A control arm is the base against itself in the same blocks: half the width of its interval
 * is the floor, below which this session tells nothing.
 *
 * Sources: David and Nagaraja, Order Statistics, 7.1; Holm 1979; Mann and Whitney 1947; Vargha and Delaney 2000
 * (A12); Schuirmann 1987 (equality by two one-sided tests: the 90 % interval inside the bound).
 */
#ifndef SQA_REPORTS_COMPARE_STATS_H
#define SQA_REPORTS_COMPARE_STATS_H

#include <stdbool.h>
#include <stddef.h>

#include "reports/stats.h"

enum sqa_timing_verdict {
    SQA_TIMING_CANNOT_TELL,
    SQA_TIMING_SAME,
    SQA_TIMING_FASTER,
    SQA_TIMING_SLOWER,
    SQA_TIMING_UNFIT
};
extern const char *const sqa_timing_names[]; /* "cannot tell", "same", "faster", "slower", "unfit" */

/* Bounds of the verdicts, as logarithms of ratios. */
#define SQA_TIMING_LEVEL 0.95
#define SQA_TIMING_SMALLEST 0.019802627296179713   /* ln 1.02: the least effect threshold */
#define SQA_TIMING_SAME_BOUND 0.009950330853168083 /* ln 1.01 */
#define SQA_TIMING_BIAS_BOUND 0.009950330853168083 /* ln 1.01: how far from 1 a control may surely be */
#define SQA_TIMING_FLOOR_CAP 0.029558802241544403  /* ln 1.03: a session with a higher floor is unfit */

/* d[i] = ln(b[i] / a[i]) of the pairs where both are positive numbers, in their order; returns how many. */
size_t sqa_log_ratios(const double *a, const double *b, size_t n, double *d);
/* P(at most k of n fair coins show heads). */
double sqa_sign_cdf(size_t k, size_t n);
/* One-sided p of the sign test that the median of d is above `bound`; values equal to it count against. NaN when
 * n is 0. p <= (1 - level) / 2 exactly when the interval at that level lies above the bound. */
double sqa_sign_above(const double *d, size_t n, double bound);
/* Holm's adjusted p values, in the order given; NaN stays NaN and is not counted. SQA_NOMEM. */
enum sqa_status sqa_holm(const double *p, size_t n, double *adjusted, struct sqa_err *err) SQA_MUST_CHECK;

struct sqa_rank_test {
    double p;   /* two-sided, Mann and Whitney; exact without ties and for na * nb <= 784, else normal with
                   corrections for ties and continuity; NaN when a side is empty */
    double a12; /* P(b > a) + P(b == a) / 2: 0.5 when neither tends to be larger */
};
struct sqa_rank_test sqa_mann_whitney(const double *a, size_t na, const double *b, size_t nb);

/* One timed cell: measured by sqa_timing_measure, judged together with the others of its family. */
struct sqa_timing {
    bool controlled;
    size_t n, n_control;              /* blocks with both arms; with base and control */
    double effect;                    /* median of d */
    struct sqa_interval wide, narrow; /* 95 % and 90 %; NaN when too few blocks */
    double control;                   /* median of the control's d */
    struct sqa_interval control_wide;
    double floor, delta;       /* NaN when there is no control and none was stated */
    double p_slower, p_faster; /* that the effect is beyond delta, adjusted by Holm once judged */
    enum sqa_timing_verdict verdict;
    const char *why; /* of cannot tell and unfit, a phrase; else "" */
    long more; /* further blocks that would settle it, if they scatter as these did and the effect stays where it is
                  (or is none, where the interval allows it); 0: it is settled; -1: none would */
};
/* base, new and control hold one value a block, NaN where it is absent; control may be NULL. stated: a floor known
 * otherwise, used when there is no control; NaN when there is none. work holds n values. */
void sqa_timing_measure(struct sqa_timing *t, const double *base, const double *new, const double *control, size_t n,
                        double stated, double *work);
/* Verdicts of a family of cells: slower and faster only with Holm's correction over the cells that are fit. */
enum sqa_status sqa_timing_judge(struct sqa_timing *const *t, size_t n, struct sqa_err *err) SQA_MUST_CHECK;

#endif
