/*
 * noise.c - the noise test of doctor: one fixed kernel against itself
 *
 * The kernel is timed in pairs of about 1 ms each; since both are the same code, d = ln(B / A) says what the machine
 * does, not the program. Reported: the median of |d|, and the half-width h of the 95 % sign interval of the median of
 * d (order statistics of the sorted d, exact for any distribution). What n pairs can tell is seen by cutting the run
 * into sessions of n pairs: their median h; when fewer than three such sessions fit, h of the whole run, scaled by the
 * square root. A change is told from none when it is twice that; with 95 % power when it is (z(0.975) + z(0.95)) /
 * z(0.975) = 1.84 times that, since h is z(0.975) standard errors of the median of d.
 */
#include "harness/measure/measure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "harness/measure/measure_private.h"
#include "kernels/kernels.h"

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_sorted(const double *v, size_t n)
{
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

size_t sqa_sign_rank(size_t n)
{
    double tail = 0, term = exp2(-(double)n); /* P(X = 0) */
    size_t l = 0;
    if (n > 1000) {
        l = (size_t)((double)(n - 1) / 2 - 0.98 * sqrt((double)n));
    } else {
        for (size_t k = 0; k < n / 2; k++) {
            tail += term;
            if (tail > 0.025)
                break;
            l = k;
            term *= (double)(n - k) / (double)(k + 1);
        }
    }
    return l;
}

static double sign_half_width(const double *sorted, size_t n)
{
    const size_t l = sqa_sign_rank(n);
    return (sorted[n - 1 - l] - sorted[l]) / 2;
}

enum { LEAST_PAIRS = 10, MOST_PAIRS = 100000 };

const int sqa_noise_sizes[SQA_NOISE_SIZES] = {10, 30, 100, 300};

/* d is in the order of time and is sorted when this returns; scratch has room for as many numbers. */
static void half_widths(double *d, double *scratch, size_t n, double out[SQA_NOISE_SIZES])
{
    size_t sessions[SQA_NOISE_SIZES];
    for (size_t s = 0; s < SQA_NOISE_SIZES; s++) {
        const size_t size = (size_t)sqa_noise_sizes[s];
        sessions[s] = n / size;
        for (size_t k = 0; k < sessions[s]; k++) {
            double session[300];
            memcpy(session, d + k * size, size * sizeof *d);
            qsort(session, size, sizeof *d, ascending);
            scratch[k] = sign_half_width(session, size);
        }
        qsort(scratch, sessions[s], sizeof *scratch, ascending);
        out[s] = sessions[s] >= 3 ? median_sorted(scratch, sessions[s]) : (double)NAN;
    }
    qsort(d, n, sizeof *d, ascending);
    for (size_t s = 0; s < SQA_NOISE_SIZES; s++)
        if (isnan(out[s]))
            out[s] = sign_half_width(d, n) * sqrt((double)n / sqa_noise_sizes[s]);
}

/* Median of |ln(b / a)|; d gets the logs, in order. */
static double median_abs_log(const double *a, const double *b, double *d, double *scratch, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        d[i] = a[i] > 0 && b[i] > 0 ? log(b[i] / a[i]) : 0;
        scratch[i] = fabs(d[i]);
    }
    qsort(scratch, n, sizeof scratch[0], ascending);
    return median_sorted(scratch, n);
}

static void one_sample(struct sqa_product *p, int times, double *wall, double *cpu)
{
    const int64_t c = sqa_clock_thread(), t = sqa_clock_wall();
    sqa_product_run(p, times);
    *wall = (double)(sqa_clock_wall() - t);
    *cpu = (double)(sqa_clock_thread() - c);
}

int sqa_noise_test(double seconds, struct sqa_noise *out)
{
    struct sqa_product p;
    if (sqa_product_open(&p, 96, &sqa_kernels_f32, sizeof(float)) != 0)
        return -1;
    const int times = sqa_product_times(&p, 1e6);
    const size_t cap = (size_t)fmin(fmax(seconds / 1e-3, LEAST_PAIRS), MOST_PAIRS);
    double *block = sqa_alloc_array(6 * cap, sizeof *block);
    if (!block) {
        sqa_free(p.block);
        return -1;
    }
    double *wall[2] = {block, block + cap}, *cpu[2] = {block + 2 * cap, block + 3 * cap};
    double *d = block + 4 * cap, *scratch = block + 5 * cap;
    const struct sqa_machine_time before = sqa_machine_time();
    const int64_t own = sqa_clock_process(), start = sqa_clock_wall();
    size_t n = 0;
    while (n < cap && (n < LEAST_PAIRS || sqa_seconds_since(start) < seconds)) {
        const size_t first = n % 2; /* A leads one pair, B the next */
        for (size_t k = 0; k < 2; k++) {
            const size_t arm = first ^ k;
            one_sample(&p, times, &wall[arm][n], &cpu[arm][n]);
        }
        n++;
    }
    const double elapsed = sqa_seconds_since(start), used = (double)(sqa_clock_process() - own) * 1e-9;
    const struct sqa_machine_time after = sqa_machine_time();
    const double busy = after.busy - before.busy, lost = after.steal - before.steal;
    const double all = busy + lost + after.idle - before.idle;

    memset(out, 0, sizeof *out);
    out->pairs = (int64_t)n;
    out->seconds = elapsed;
    out->steal_share = all > 0 ? lost / all : (double)NAN;
    out->other_load = all > 0 ? fmax(busy - used, 0) / elapsed : (double)NAN;
    out->median_log_cpu = median_abs_log(cpu[0], cpu[1], d, scratch, n);
    out->median_log = median_abs_log(wall[0], wall[1], d, scratch, n);
    half_widths(d, scratch, n, out->half_width);
    memcpy(scratch, wall[0], n * sizeof *scratch);
    qsort(scratch, n, sizeof *scratch, ascending);
    out->sample_ns = median_sorted(scratch, n);
    out->p99_over_median = scratch[(n - 1) * 99 / 100] / out->sample_ns;
    sqa_free(block);
    sqa_free(p.block);
    return 0;
}

double sqa_noise_change(const struct sqa_noise *noise, int size)
{
    return expm1(2 * noise->half_width[size]);
}

double sqa_noise_powered(double half_width, double pairs, double more_pairs)
{
    return expm1((1.959964 + 1.644854) / 1.959964 * half_width * sqrt(pairs / more_pairs));
}

double sqa_noise_minute(const struct sqa_noise *noise, double *pairs)
{
    *pairs = floor((double)noise->pairs * 60 / noise->seconds);
    return sqa_noise_powered(noise->half_width[SQA_NOISE_SIZES - 1], sqa_noise_sizes[SQA_NOISE_SIZES - 1], *pairs);
}
