/* compare_stats.c - see compare_stats.h */
#include "reports/compare_stats.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"

const char *const sqa_timing_names[] = {[SQA_TIMING_CANNOT_TELL] = "cannot tell",
                                        [SQA_TIMING_SAME] = "same",
                                        [SQA_TIMING_FASTER] = "faster",
                                        [SQA_TIMING_SLOWER] = "slower",
                                        [SQA_TIMING_UNFIT] = "unfit"};

#define ALPHA ((1 - SQA_TIMING_LEVEL) / 2) /* of one side */
enum { BLOCKS_LEAST = 6, BLOCKS_MOST = 100000, EXACT_PAIRS = 784 };

static const struct sqa_interval no_interval = {(double)NAN, (double)NAN};

size_t sqa_log_ratios(const double *a, const double *b, size_t n, double *d)
{
    size_t k = 0;
    for (size_t i = 0; i < n; i++)
        if (isfinite(a[i]) && isfinite(b[i]) && a[i] > 0 && b[i] > 0)
            d[k++] = log(b[i] / a[i]);
    return k;
}

double sqa_sign_cdf(size_t k, size_t n)
{
    double sum = 0, term = exp(-(double)n * log(2.0));
    if (term > 0) {
        for (size_t i = 0; i <= k && i <= n; i++) {
            sum += term;
            term *= (double)(n - i) / (double)(i + 1);
        }
        return fmin(1, sum);
    }
    for (size_t i = 0; i <= k && i <= n; i++) /* 2^-n underflows */
        sum +=
            exp(lgamma((double)n + 1) - lgamma((double)i + 1) - lgamma((double)(n - i) + 1) - (double)n * log(2.0));
    return fmin(1, sum);
}

double sqa_sign_above(const double *d, size_t n, double bound)
{
    size_t against = 0;
    for (size_t i = 0; i < n; i++)
        against += !(d[i] > bound);
    return n ? sqa_sign_cdf(against, n) : (double)NAN;
}

struct place {
    double p;
    size_t at;
};

static int by_p(const void *a, const void *b)
{
    const double x = ((const struct place *)a)->p, y = ((const struct place *)b)->p;
    return (x > y) - (x < y);
}

enum sqa_status sqa_holm(const double *p, size_t n, double *adjusted, struct sqa_err *err)
{
    struct place *order = sqa_alloc_array(n ? n : 1, sizeof *order);
    size_t m = 0;
    double least = 0;
    if (!order)
        return sqa_fail(err, SQA_NOMEM, "compare: no memory; free some memory and run again");
    for (size_t i = 0; i < n; i++) {
        adjusted[i] = (double)NAN;
        if (!isnan(p[i]))
            order[m++] = (struct place){p[i], i};
    }
    if (m > 1)
        qsort(order, m, sizeof *order, by_p);
    for (size_t i = 0; i < m; i++) {
        least = fmax(least, fmin(1, order[i].p * (double)(m - i)));
        adjusted[order[i].at] = least;
    }
    sqa_free(order);
    return SQA_OK;
}

/* P(U <= u) of na * nb <= EXACT_PAIRS: the coefficients of prod_i (1 - q^(nb + i)) / (1 - q^i), whole numbers below
 * 2^53, count the orders of each U. */
static double exact_cdf(size_t na, size_t nb, double u)
{
    double count[EXACT_PAIRS + 1] = {1}, sum = 0, all = 0;
    const size_t top = na * nb;
    for (size_t i = 1; i <= na; i++) {
        for (size_t k = top; k >= nb + i; k--)
            count[k] -= count[k - nb - i];
        for (size_t k = i; k <= top; k++)
            count[k] += count[k - i];
    }
    for (size_t k = 0; k <= top; k++) {
        all += count[k];
        sum += (double)k <= u ? count[k] : 0;
    }
    return sum / all;
}

struct ranked {
    double x;
    bool is_b;
};

static int by_x(const void *a, const void *b)
{
    const double x = ((const struct ranked *)a)->x, y = ((const struct ranked *)b)->x;
    return (x > y) - (x < y);
}

/* Pairs with b > a, ties counted half; *ties becomes sum of t^3 - t over groups of equal values. */
static double count_pairs(const struct ranked *r, size_t n, double *ties)
{
    double u = 0, a_below = 0;
    *ties = 0;
    for (size_t i = 0; i < n;) {
        size_t end = i, a = 0;
        for (; end < n && r[end].x == r[i].x; end++)
            a += !r[end].is_b;
        const double t = (double)(end - i), b = t - (double)a;
        u += b * (a_below + 0.5 * (double)a);
        a_below += (double)a;
        *ties += t * t * t - t;
        i = end;
    }
    return u;
}

struct sqa_rank_test sqa_mann_whitney(const double *a, size_t na, const double *b, size_t nb)
{
    const struct sqa_rank_test none = {(double)NAN, (double)NAN};
    const size_t n = na + nb;
    struct ranked *r = na && nb ? sqa_alloc_array(n, sizeof *r) : NULL;
    double ties;
    if (!r)
        return none;
    for (size_t i = 0; i < n; i++)
        r[i] = (struct ranked){i < na ? a[i] : b[i - na], i >= na};
    qsort(r, n, sizeof *r, by_x);
    const double u = count_pairs(r, n, &ties), pairs = (double)na * (double)nb;
    sqa_free(r);
    struct sqa_rank_test out = {.a12 = u / pairs};
    const double low = fmin(u, pairs - u), real_n = (double)n;
    if (ties == 0 && na * nb <= EXACT_PAIRS) {
        out.p = fmin(1, 2 * exact_cdf(na, nb, low));
    } else {
        const double variance = pairs / 12 * (real_n + 1 - ties / (real_n * (real_n - 1)));
        out.p = variance > 0 ? fmin(1, 2 * sqa_normal_cdf((low - pairs / 2 + 0.5) / sqrt(variance))) : 1;
    }
    return out;
}

/* Median and interval of d, which becomes sorted. */
static double centre(double *d, size_t n, struct sqa_interval *wide, struct sqa_interval *narrow)
{
    sqa_sort_reals(d, n);
    *wide = n ? sqa_median_interval(d, n, SQA_TIMING_LEVEL) : no_interval;
    if (narrow)
        *narrow = n ? sqa_median_interval(d, n, 2 * SQA_TIMING_LEVEL - 1) : no_interval;
    return sqa_quantile(d, n, 0.5);
}

static double threshold(double floor)
{
    return isnan(floor) ? floor : fmax(SQA_TIMING_SMALLEST, 2 * floor);
}

void sqa_timing_measure(struct sqa_timing *t, const double *base, const double *new, const double *control, size_t n,
                        double stated, double *work)
{
    *t = (struct sqa_timing){.control = (double)NAN, .control_wide = no_interval, .floor = stated, .why = ""};
    if (control) {
        t->controlled = true;
        t->n_control = sqa_log_ratios(base, control, n, work);
        t->control = centre(work, t->n_control, &t->control_wide, NULL);
        t->floor = (t->control_wide.high - t->control_wide.low) / 2;
    }
    t->delta = threshold(t->floor);
    t->n = sqa_log_ratios(base, new, n, work);
    t->effect = centre(work, t->n, &t->wide, &t->narrow);
    t->p_slower = t->p_faster = (double)NAN;
    if (isnan(t->delta) || isnan(t->wide.low))
        return;
    t->p_slower = sqa_sign_above(work, t->n, t->delta);
    for (size_t i = 0; i < t->n; i++)
        work[i] = -work[i];
    t->p_faster = sqa_sign_above(work, t->n, t->delta);
}

static bool unfit(const struct sqa_timing *t, const char **why)
{
    if (t->control_wide.low > SQA_TIMING_BIAS_BOUND || t->control_wide.high < -SQA_TIMING_BIAS_BOUND) {
        *why = "the base differs from itself by more than 1 %";
        return true;
    }
    if (t->floor > SQA_TIMING_FLOOR_CAP) {
        *why = "the floor is above 3 %";
        return true;
    }
    return false;
}

/* Whether n blocks would settle it when intervals shrink as 1 / sqrt(n) about an effect. */
static bool would_settle(const struct sqa_timing *t, double effect, double n, double widen)
{
    const double shrink = sqrt((double)t->n / n);
    const double floor = t->controlled ? t->floor * shrink : t->floor;
    const double wide = widen * shrink * (t->wide.high - t->wide.low) / 2;
    const double narrow = shrink * (t->narrow.high - t->narrow.low) / 2;
    if (t->controlled &&
        fabs(t->control) - shrink * (t->control_wide.high - t->control_wide.low) / 2 > SQA_TIMING_BIAS_BOUND)
        return false;
    return floor <= SQA_TIMING_FLOOR_CAP &&
           (fabs(effect) - wide > threshold(floor) || fabs(effect) + narrow < SQA_TIMING_SAME_BOUND);
}

static long further_blocks(const struct sqa_timing *t, size_t family)
{
    const size_t least = t->controlled && t->n_control < t->n ? t->n_control : t->n;
    if (least < BLOCKS_LEAST)
        return t->controlled || !isnan(t->floor) ? (long)(BLOCKS_LEAST - least) : -1;
    if (isnan(t->floor))
        return -1;
    const double widen = sqa_normal_quantile(1 - ALPHA / (double)family) / sqa_normal_quantile(1 - ALPHA);
    const bool may_be_none = t->wide.low <= 0 && t->wide.high >= 0;
    for (int guess = 0; guess < 1 + may_be_none; guess++)
        for (size_t n = t->n + 1; n < BLOCKS_MOST; n += 1 + n / 100)
            if (would_settle(t, guess ? 0 : t->effect, (double)n, widen))
                return (long)(n - t->n);
    return -1;
}

static void decide(struct sqa_timing *t, size_t family)
{
    const char *why = "";
    if (t->controlled && t->n_control < BLOCKS_LEAST)
        why = "fewer than 6 blocks";
    else if (unfit(t, &why))
        t->verdict = SQA_TIMING_UNFIT;
    else if (isnan(t->wide.low))
        why = t->n ? "fewer than 6 blocks" : "no block has both";
    else if (isnan(t->floor))
        why = "no floor: nothing says what this machine can tell";
    else if (t->p_slower <= ALPHA)
        t->verdict = SQA_TIMING_SLOWER;
    else if (t->p_faster <= ALPHA)
        t->verdict = SQA_TIMING_FASTER;
    else if (t->narrow.low > -SQA_TIMING_SAME_BOUND && t->narrow.high < SQA_TIMING_SAME_BOUND)
        t->verdict = SQA_TIMING_SAME;
    else
        why = "neither beyond the threshold nor within 1 %";
    t->why = why;
    if (*why)
        t->more = further_blocks(t, family);
}

enum sqa_status sqa_timing_judge(struct sqa_timing *const *t, size_t n, struct sqa_err *err)
{
    double *p = sqa_alloc_array(n ? 2 * n : 1, sizeof *p), *adjusted = p + n;
    enum sqa_status status = SQA_OK;
    size_t family = 0;
    if (!p)
        return sqa_fail(err, SQA_NOMEM, "compare: no memory; free some memory and run again");
    for (int side = 0; side < 2 && status == SQA_OK; side++) {
        family = 0;
        for (size_t i = 0; i < n; i++) {
            const char *why;
            p[i] = unfit(t[i], &why) ? (double)NAN : side ? t[i]->p_faster : t[i]->p_slower;
            family += isnan(p[i]) ? 0 : 1;
        }
        status = sqa_holm(p, n, adjusted, err);
        for (size_t i = 0; i < n && status == SQA_OK; i++)
            *(side ? &t[i]->p_faster : &t[i]->p_slower) = adjusted[i];
    }
    for (size_t i = 0; i < n && status == SQA_OK; i++)
        decide(t[i], family ? family : 1);
    sqa_free(p);
    return status;
}
