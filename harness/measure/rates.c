/*
 * rates.c - the short measurements of doctor: copy, sgemm, second thread, noise
 *
 * The noise test is an A/A test. One fixed kernel is timed in pairs of about 1 ms each; since both are the same code,
 * d = ln(B / A) says what the machine does, not the program. Reported: the median of |d|, and the half-width h of the
 * 95 % sign interval of the median of d (order statistics of the sorted d, exact for any distribution). What n pairs
 * can tell is seen by cutting the run into sessions of n pairs: their median h; when fewer than three such sessions
 * fit, h of the whole run, scaled by the square root. A change is told from none when it is twice that.
 */
#include "harness/measure/measure.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "harness/measure/measure_private.h"
#include "kernels/kernels.h"

static double seconds_since(int64_t t)
{
    return (double)(sqa_clock_wall() - t) * 1e-9;
}

double sqa_rate_copy(double *buffer_bytes)
{
    double bytes = fmin(fmax(4 * sqa_last_cache_bytes(), 64 * 0x1p20), 256 * 0x1p20);
    const double available = sqa_memory_available();
    if (available < 4 * bytes) /* false for NaN */
        bytes = available / 4;
    *buffer_bytes = bytes;
    const size_t n = (size_t)bytes;
    char *from = sqa_alloc_aligned(n), *to = sqa_alloc_aligned(n);
    double best = (double)INFINITY;
    if (from && to) {
        memset(from, 1, n);
        memset(to, 2, n);
        const int64_t start = sqa_clock_wall();
        for (int i = 0; i < 20 && (i < 3 || seconds_since(start) < 0.3); i++) {
            const int64_t t = sqa_clock_wall();
            memcpy(to, from, n);
            best = fmin(best, seconds_since(t));
            from[(size_t)i] = to[n - 1 - (size_t)i]; /* keeps the copies from being merged */
        }
    }
    sqa_free(from);
    sqa_free(to);
    return best > 0 && best < (double)INFINITY ? 2 * bytes / best : (double)NAN;
}

/* n x n matrices of one product. */
struct product {
    float *a, *b, *c;
    int64_t n;
};

static int product_open(struct product *p, int64_t n)
{
    const size_t size = (size_t)(n * n);
    p->n = n;
    p->a = sqa_alloc_aligned(3 * size * sizeof(float));
    if (!p->a)
        return -1;
    p->b = p->a + size;
    p->c = p->b + size;
    for (size_t i = 0; i < size; i++) {
        p->a[i] = (float)(i % 7) - 3;
        p->b[i] = (float)(i % 5) - 2;
    }
    return 0;
}

static void product_run(struct product *p, int times)
{
    for (int i = 0; i < times; i++)
        sqa_kernels_f32.gemm(0, 0, p->n, p->n, p->n, 1.0, p->a, p->n, p->b, p->n, 0.0, p->c, p->n);
}

double sqa_rate_sgemm(void)
{
    struct product p;
    double best = (double)INFINITY;
    if (product_open(&p, 512) != 0)
        return (double)NAN;
    product_run(&p, 1);
    const int64_t start = sqa_clock_wall();
    for (int i = 0; i < 50 && (i < 3 || seconds_since(start) < 0.3); i++) {
        const int64_t t = sqa_clock_wall();
        product_run(&p, 1);
        best = fmin(best, seconds_since(t));
    }
    sqa_free(p.a);
    return best > 0 ? 2.0 * 512 * 512 * 512 / best : (double)NAN;
}

/* Times such that the product takes about `ns`. */
static int times_for(struct product *p, double ns)
{
    double least = (double)INFINITY;
    for (int i = 0; i < 20; i++) {
        const int64_t t = sqa_clock_wall();
        product_run(p, 1);
        least = fmin(least, (double)(sqa_clock_wall() - t));
    }
    return (int)fmin(fmax(ns / fmax(least, 1), 1), 100000);
}

struct worker {
    struct product p;
    int processor, times, failed;
    int64_t end;
    atomic_int *ready, *go; /* go: 1 work, -1 leave */
};

static void moment(void)
{
    const struct timespec t = {0, 50000};
    nanosleep(&t, NULL);
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    w->failed = !sqa_bind_thread(w->processor);
    sqa_kernels_flush_denormals();
    product_run(&w->p, 1);
    atomic_fetch_add(w->ready, 1);
    while (atomic_load(w->go) == 0)
        moment();
    if (atomic_load(w->go) > 0)
        product_run(&w->p, w->times);
    w->end = sqa_clock_wall();
    return NULL;
}

/* Seconds until n bound threads have done the same work each; NaN when they cannot be started or bound. */
static double run_threads(struct worker *w, int n)
{
    atomic_int ready = 0, go = 0;
    pthread_t id[2];
    int started = 0, failed = 0;
    int64_t end = 0;
    for (; started < n; started++) {
        w[started].ready = &ready;
        w[started].go = &go;
        w[started].processor = started;
        if (pthread_create(&id[started], NULL, worker_main, &w[started]) != 0)
            break;
    }
    while (atomic_load(&ready) < started)
        moment();
    const int64_t start = sqa_clock_wall();
    atomic_store(&go, started == n ? 1 : -1);
    for (int i = 0; i < started; i++) {
        pthread_join(id[i], NULL);
        failed |= w[i].failed;
        end = w[i].end > end ? w[i].end : end;
    }
    return failed || started < n ? (double)NAN : (double)(end - start) * 1e-9;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_sorted(const double *v, size_t n)
{
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

double sqa_second_thread_gain(void)
{
    enum { ROUNDS = 5 };
    struct worker w[2];
    double gain[ROUNDS];
    memset(w, 0, sizeof w);
    if (sqa_processors() < 2)
        return (double)NAN;
    int ok = product_open(&w[0].p, 192) == 0 && product_open(&w[1].p, 192) == 0;
    if (ok)
        w[0].times = w[1].times = times_for(&w[0].p, 40e6);
    for (int i = 0; i < ROUNDS && ok; i++) {
        const double one = run_threads(w, 1), two = run_threads(w, 2);
        gain[i] = 2 * one / two;
        ok = !isnan(gain[i]);
    }
    sqa_free(w[0].p.a);
    sqa_free(w[1].p.a);
    if (!ok)
        return (double)NAN;
    qsort(gain, ROUNDS, sizeof gain[0], ascending);
    return median_sorted(gain, ROUNDS);
}

/* Half the width of the 95 % interval of the median of n sorted values: order statistics l and n - 1 - l, l from the
 * binomial (n, 1/2). Below 6 values there is no such interval and the whole range stands for it. */
static double sign_half_width(const double *sorted, size_t n)
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

static void one_sample(struct product *p, int times, double *wall, double *cpu)
{
    const int64_t c = sqa_clock_thread(), t = sqa_clock_wall();
    product_run(p, times);
    *wall = (double)(sqa_clock_wall() - t);
    *cpu = (double)(sqa_clock_thread() - c);
}

int sqa_noise_test(double seconds, struct sqa_noise *out)
{
    struct product p;
    if (product_open(&p, 96) != 0)
        return -1;
    const int times = times_for(&p, 1e6);
    const size_t cap = (size_t)fmin(fmax(seconds / 1e-3, LEAST_PAIRS), MOST_PAIRS);
    double *block = sqa_alloc_array(6 * cap, sizeof *block);
    if (!block) {
        sqa_free(p.a);
        return -1;
    }
    double *wall[2] = {block, block + cap}, *cpu[2] = {block + 2 * cap, block + 3 * cap};
    double *d = block + 4 * cap, *scratch = block + 5 * cap;
    const struct sqa_machine_time before = sqa_machine_time();
    const int64_t own = sqa_clock_process(), start = sqa_clock_wall();
    size_t n = 0;
    while (n < cap && (n < LEAST_PAIRS || seconds_since(start) < seconds)) {
        const size_t first = n % 2; /* A leads one pair, B the next */
        for (size_t k = 0; k < 2; k++) {
            const size_t arm = first ^ k;
            one_sample(&p, times, &wall[arm][n], &cpu[arm][n]);
        }
        n++;
    }
    const double elapsed = seconds_since(start), used = (double)(sqa_clock_process() - own) * 1e-9;
    const struct sqa_machine_time after = sqa_machine_time();
    const double busy = after.busy - before.busy, lost = after.steal - before.steal;
    const double all = busy + lost + after.idle - before.idle;

    memset(out, 0, sizeof *out);
    out->pairs = (int64_t)n;
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
    sqa_free(p.a);
    return 0;
}

double sqa_noise_change(const struct sqa_noise *noise, int size)
{
    return expm1(2 * noise->half_width[size]);
}
