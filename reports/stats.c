/* stats.c - see stats.h */
#include "reports/stats.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"

enum { DRAWS_BYTES = 1 << 26 };

static const struct sqa_interval no_interval = {(double)NAN, (double)NAN};

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void sqa_sort_reals(double *x, size_t n)
{
    if (n > 1)
        qsort(x, n, sizeof *x, by_value);
}

double sqa_quantile(const double *x, size_t n, double p)
{
    if (n == 0)
        return (double)NAN;
    const double place = p * (double)(n - 1);
    const size_t i = (size_t)place;
    return i + 1 < n ? x[i] + (place - (double)i) * (x[i + 1] - x[i]) : x[n - 1];
}

double sqa_stats_mean(const double *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i];
    return n ? sum / (double)n : (double)NAN;
}

double sqa_deviation(const double *x, size_t n)
{
    const double mean = sqa_stats_mean(x, n);
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (x[i] - mean) * (x[i] - mean);
    return n > 1 ? sqrt(sum / (double)(n - 1)) : (double)NAN;
}

double sqa_normal_cdf(double z)
{
    return 0.5 * erfc(-z / sqrt(2.0));
}

/* Continued fraction of the incomplete beta function by Lentz's method (Abramowitz and Stegun 26.5.8). */
static double beta_fraction(double a, double b, double x)
{
    const double tiny = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    d = 1 / (fabs(d) < tiny ? tiny : d);
    double h = d;
    for (int m = 1; m < 500; m++) {
        const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        const double terms[2] = {even, odd};
        double step = 1;
        for (int i = 0; i < 2; i++) {
            d = 1 + terms[i] * d;
            c = 1 + terms[i] / c;
            d = 1 / (fabs(d) < tiny ? tiny : d);
            c = fabs(c) < tiny ? tiny : c;
            step = c * d;
            h *= step;
        }
        if (fabs(step - 1) < 1e-15)
            break;
    }
    return h;
}

/* Regularised incomplete beta function I_x(a, b). */
static double beta_part(double a, double b, double x)
{
    if (x <= 0 || x >= 1)
        return x <= 0 ? 0 : 1;
    const double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
    if (x < (a + 1) / (a + b + 2))
        return front * beta_fraction(a, b, x) / a;
    return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

double sqa_t_cdf(double t, double df)
{
    const double tail = 0.5 * beta_part(df / 2, 0.5, df / (df + t * t));
    return t > 0 ? 1 - tail : tail;
}

double sqa_f_cdf(double f, double df1, double df2)
{
    return beta_part(df1 / 2, df2 / 2, df1 * f / (df1 * f + df2));
}

/* The x with f(x, df) == p, f rising. */
static double invert(double (*f)(double, double), double p, double df)
{
    double low = -1, high = 1;
    while (f(low, df) > p && low > -1e300)
        low *= 2;
    while (f(high, df) < p && high < 1e300)
        high *= 2;
    for (int i = 0; i < 200 && high - low > 1e-14 * fmax(1, fabs(low)); i++) {
        const double middle = 0.5 * (low + high);
        *(f(middle, df) < p ? &low : &high) = middle;
    }
    return 0.5 * (low + high);
}

static double normal_of(double z, double df)
{
    (void)df;
    return sqa_normal_cdf(z);
}

double sqa_normal_quantile(double p)
{
    return invert(normal_of, p, 0);
}

double sqa_t_quantile(double p, double df)
{
    return p < 0.5 ? -invert(sqa_t_cdf, 1 - p, df) : invert(sqa_t_cdf, p, df);
}

struct sqa_interval sqa_wilson(double k, double n, double level)
{
    if (!(n > 0 && k >= 0 && k <= n * (1 + 1e-9)))
        return no_interval;
    const double z = sqa_normal_quantile(0.5 + level / 2);
    const double p = k / n, z2 = z * z / n;
    const double middle = (p + z2 / 2) / (1 + z2);
    const double half = z / (1 + z2) * sqrt(fmax(0, p * (1 - p)) / n + z2 / (4 * n));
    return (struct sqa_interval){fmax(0, middle - half), fmin(1, middle + half)};
}

struct sqa_interval sqa_t_interval(const double *x, size_t n, double level)
{
    if (n < 2)
        return no_interval;
    const double mean = sqa_stats_mean(x, n);
    const double half = sqa_t_quantile(0.5 + level / 2, (double)(n - 1)) * sqa_deviation(x, n) / sqrt((double)n);
    return (struct sqa_interval){mean - half, mean + half};
}

struct sqa_interval sqa_interval_within(struct sqa_interval x, double low, double high)
{
    return isnan(x.low) ? x : (struct sqa_interval){fmax(x.low, low), fmin(x.high, high)};
}

struct sqa_interval sqa_median_interval(const double *x, size_t n, double level)
{
    /* The k-th from either end, k the largest with 2 P(Binomial(n, 1/2) < k) <= 1 - level. */
    const double real_n = (double)n;
    double below = 0;
    size_t k = 0;
    while (k < n / 2 + 1) {
        const double i = (double)k;
        below += exp(lgamma(real_n + 1) - lgamma(i + 1) - lgamma(real_n - i + 1) - real_n * log(2.0));
        if (2 * below > 1 - level)
            break;
        k++;
    }
    return k ? (struct sqa_interval){x[k - 1], x[n - k]} : no_interval;
}

/* A reader of one stream that hands out 32-bit words, four a block. */
struct words {
    uint64_t key, block;
    uint32_t word[4];
    int left;
};

static size_t below(struct words *w, size_t n)
{
    if (w->left == 0) {
        sqa_random_block(w->key, w->block++, w->word);
        w->left = 4;
    }
    return (size_t)((uint64_t)w->word[--w->left] * n >> 32);
}

/* How often one resample takes each seed and each example. More than 255 times does not happen: n are drawn of n. */
static void draw(struct words *w, size_t seeds, size_t examples, size_t block, uint8_t *seed, uint8_t *example)
{
    memset(seed, 0, seeds);
    memset(example, 0, examples);
    for (size_t s = 0; s < seeds; s++)
        seed[below(w, seeds)]++;
    for (size_t done = 0; done < examples;) {
        size_t e = examples > 1 ? below(w, examples) : 0;
        for (size_t i = 0; i < block && done < examples; i++, done++) {
            example[e]++;
            e = e + 1 < examples ? e + 1 : 0;
        }
    }
}

/* weight has room for one value an example. */
static double mean_of_draw(const double *d, size_t seeds, size_t examples, const uint8_t *seed,
                           const uint8_t *example, double *weight)
{
    double sum = 0;
    for (size_t e = 0; e < examples; e++)
        weight[e] = example[e];
    for (size_t s = 0; s < seeds; s++) {
        const double *row = d + s * examples;
        double of_seed = 0;
#pragma omp simd reduction(+ : of_seed)
        for (size_t e = 0; e < examples; e++)
            of_seed += weight[e] * row[e];
        sum += seed[s] * of_seed;
    }
    return sum / ((double)seeds * (double)examples);
}

void sqa_draws_clear(struct sqa_draws *kept)
{
    sqa_free(kept->times);
    *kept = (struct sqa_draws){0};
}

/* The draws of all resamples, (resamples, seeds + examples); NULL when they are too many to keep, or without memory. */
static const uint8_t *draws_of(struct sqa_draws *kept, const struct sqa_draws *wanted)
{
    const size_t row = wanted->seeds + wanted->examples;
    if (kept->times && kept->key == wanted->key && kept->seeds == wanted->seeds &&
        kept->examples == wanted->examples && kept->block == wanted->block && kept->resamples == wanted->resamples)
        return kept->times;
    sqa_draws_clear(kept);
    if (row > DRAWS_BYTES / wanted->resamples)
        return NULL;
    *kept = *wanted;
    kept->times = sqa_alloc(wanted->resamples * row);
    for (size_t i = 0; i < wanted->resamples && kept->times; i++) {
        struct words w = {.key = sqa_random_mix(wanted->key, i)};
        uint8_t *seed = kept->times + i * row;
        draw(&w, wanted->seeds, wanted->examples, wanted->block, seed, seed + wanted->seeds);
    }
    return kept->times;
}

double sqa_log_slope(const double *x, const double *y, size_t n, double level, struct sqa_interval *interval)
{
    double mx = 0, my = 0, xx = 0, xy = 0, rest = 0;
    *interval = (struct sqa_interval){(double)NAN, (double)NAN};
    for (size_t i = 0; i < n; i++) {
        mx += log(x[i]) / (double)n;
        my += log(y[i]) / (double)n;
    }
    for (size_t i = 0; i < n; i++) {
        const double dx = log(x[i]) - mx;
        xx += dx * dx;
        xy += dx * (log(y[i]) - my);
    }
    const double b = n > 1 ? xy / xx : (double)NAN;
    for (size_t i = 0; i < n; i++) {
        const double r = log(y[i]) - my - b * (log(x[i]) - mx);
        rest += r * r;
    }
    if (n > 2) {
        const double half = sqa_t_quantile(0.5 + level / 2, (double)(n - 2)) * sqrt(rest / (double)(n - 2) / xx);
        *interval = (struct sqa_interval){b - half, b + half};
    }
    return b;
}

enum sqa_status sqa_bootstrap_crossed(const double *d, size_t seeds, size_t examples, size_t block, size_t resamples,
                                      uint64_t key, double level, struct sqa_draws *kept, struct sqa_interval *out,
                                      struct sqa_err *err)
{
    *out = no_interval;
    if (seeds == 0 || examples == 0 || resamples == 0 || (seeds == 1 && examples == 1))
        return SQA_OK;
    const struct sqa_draws wanted = {key, seeds, examples, block ? block : 1, resamples, NULL};
    const uint8_t *all = kept ? draws_of(kept, &wanted) : NULL;
    double *means = sqa_alloc_array(resamples, sizeof *means), *weight = sqa_alloc_array(examples, sizeof *weight);
    uint8_t *one = sqa_alloc(seeds + examples);
    const bool ready = means && weight && one;
    for (size_t i = 0; i < resamples && ready; i++) {
        struct words w = {.key = sqa_random_mix(key, i)};
        const uint8_t *seed = all ? all + i * (seeds + examples) : one;
        if (!all)
            draw(&w, seeds, examples, wanted.block, one, one + seeds);
        means[i] = mean_of_draw(d, seeds, examples, seed, seed + seeds, weight);
    }
    if (ready) {
        sqa_sort_reals(means, resamples);
        out->low = sqa_quantile(means, resamples, 0.5 - level / 2);
        out->high = sqa_quantile(means, resamples, 0.5 + level / 2);
    }
    sqa_free(means);
    sqa_free(weight);
    sqa_free(one);
    return ready ? SQA_OK
                 : sqa_fail(err, SQA_NOMEM,
                            "report: no memory to resample %zu x %zu values; free some memory and run again", seeds,
                            examples);
}
