/*
 * rates.c - the short measurements of doctor: memory, products of each type, further threads
 *
 * Rates are the best of several; threads are bound, one to a core first.
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

/* ---- one product ---- */

int sqa_product_open(struct sqa_product *p, int64_t n, const struct sqa_kernels *kernels, size_t real)
{
    const size_t size = (size_t)(n * n);
    *p = (struct sqa_product){.n = n, .kernels = kernels, .block = sqa_alloc_aligned(3 * size * real)};
    if (!p->block)
        return -1;
    p->a = p->block;
    p->b = (char *)p->block + size * real;
    p->c = (char *)p->block + 2 * size * real;
    for (size_t i = 0; i < 2 * size; i++) {
        const double v = (double)(i % 7) - 3;
        if (real == sizeof(double))
            ((double *)p->block)[i] = v;
        else
            ((float *)p->block)[i] = (float)v;
    }
    return 0;
}

void sqa_product_run(struct sqa_product *p, int times)
{
    for (int i = 0; i < times; i++)
        p->kernels->gemm(0, 0, p->n, p->n, p->n, 1.0, p->a, p->n, p->b, p->n, 0.0, p->c, p->n);
}

int sqa_product_times(struct sqa_product *p, double ns)
{
    double least = (double)INFINITY;
    for (int i = 0; i < 20; i++) {
        const int64_t t = sqa_clock_wall();
        sqa_product_run(p, 1);
        least = fmin(least, (double)(sqa_clock_wall() - t));
    }
    return (int)fmin(fmax(ns / fmax(least, 1), 1), 100000);
}

double sqa_rate_product(enum sqa_product_type type)
{
    enum { N = 512 };
    struct sqa_product p;
    double best = (double)INFINITY;
    if (type == SQA_PRODUCT_BF16 && sqa_bf16_missing())
        return (double)NAN;
    const struct sqa_kernels *k = type == SQA_PRODUCT_F64    ? &sqa_kernels_f64
                                  : type == SQA_PRODUCT_BF16 ? sqa_kernels_compute(SQA_COMPUTE_BF16)
                                                             : &sqa_kernels_f32;
    if (sqa_product_open(&p, N, k, type == SQA_PRODUCT_F64 ? sizeof(double) : sizeof(float)) != 0)
        return (double)NAN;
    sqa_product_run(&p, 1);
    const int64_t start = sqa_clock_wall();
    for (int i = 0; i < 50 && (i < 3 || sqa_seconds_since(start) < 0.3); i++) {
        const int64_t t = sqa_clock_wall();
        sqa_product_run(&p, 1);
        best = fmin(best, sqa_seconds_since(t));
    }
    sqa_free(p.block);
    return best > 0 ? 2.0 * N * N * N / best : (double)NAN;
}

/* ---- threads ---- */

/* What a bound thread does: products, or copies when from is not NULL. */
struct worker {
    struct sqa_product p;
    char *from, *to;
    size_t bytes;
    int processor, times, failed;
    int64_t end;
    atomic_int *ready, *go; /* go: 1 work, -1 leave */
};

static void moment(void)
{
    const struct timespec t = {0, 50000};
    nanosleep(&t, NULL);
}

static void work(struct worker *w, int times)
{
    if (!w->from) {
        sqa_product_run(&w->p, times);
        return;
    }
    for (int i = 0; i < times; i++) {
        memcpy(w->to, w->from, w->bytes);
        w->from[i] = w->to[w->bytes - 1]; /* keeps the copies from being merged */
    }
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    w->failed = !sqa_bind_thread(w->processor);
    sqa_kernels_flush_denormals();
    if (w->from)
        memset(w->from, 1, w->bytes); /* the thread that copies touches its pages first */
    work(w, 1);
    atomic_fetch_add(w->ready, 1);
    while (atomic_load(w->go) == 0)
        moment();
    if (atomic_load(w->go) > 0)
        work(w, w->times);
    w->end = sqa_clock_wall();
    return NULL;
}

/* Seconds until n bound threads have done the same work each; NaN when they cannot be started or bound. */
static double run_threads(struct worker *w, int n)
{
    atomic_int ready = 0, go = 0;
    pthread_t id[SQA_GAIN_THREADS];
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

double sqa_rate_copy(int threads, double *buffer_bytes)
{
    double bytes = fmin(fmax(4 * sqa_last_cache_bytes(), 64 * 0x1p20), 256 * 0x1p20), best = (double)INFINITY;
    const double available = sqa_memory_available();
    if (available < 4 * bytes) /* false for NaN */
        bytes = available / 4;
    *buffer_bytes = bytes;
    const size_t each = (size_t)bytes / (size_t)threads;
    struct worker *w = sqa_alloc_array((size_t)threads, sizeof *w);
    char *block = threads <= SQA_GAIN_THREADS ? sqa_alloc_aligned(2 * each * (size_t)threads) : NULL;
    for (int i = 0; w && block && i < threads; i++) {
        w[i].from = block + 2 * each * (size_t)i;
        w[i].to = w[i].from + each;
        w[i].bytes = each;
        w[i].times = 1;
    }
    const int64_t start = sqa_clock_wall();
    for (int i = 0; w && block && i < 20 && (i < 3 || sqa_seconds_since(start) < 0.5); i++)
        best = fmin(best, run_threads(w, threads));
    sqa_free(w);
    sqa_free(block);
    return best > 0 && best < (double)INFINITY ? 2.0 * (double)each * threads / best : (double)NAN;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Work of n threads over that of one, in the same time: median of rounds. */
static double gain_of(struct worker *w, int n)
{
    enum { ROUNDS = 5 };
    double gain[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        const double one = run_threads(w, 1), all = run_threads(w, n);
        gain[i] = n * one / all;
        if (isnan(gain[i]))
            return (double)NAN;
    }
    qsort(gain, ROUNDS, sizeof gain[0], ascending);
    return gain[ROUNDS / 2];
}

/* 2, 3, 4, then by half as many more, to all. */
static int next_count(int n, int most)
{
    const int next = n < 4 ? n + 1 : n + n / 2;
    return n < most && next > most ? most : next;
}

int sqa_thread_gains(struct sqa_gain *out, int max)
{
    const int processors = sqa_processors(), most = processors < SQA_GAIN_THREADS ? processors : SQA_GAIN_THREADS;
    struct worker *w = sqa_alloc_array((size_t)most, sizeof *w);
    int n = 0, ok = w != NULL && sqa_kernels_reserve(most);
    for (int i = 0; i < most && ok; i++)
        ok = sqa_product_open(&w[i].p, 192, &sqa_kernels_f32, sizeof(float)) == 0;
    const int times = ok ? sqa_product_times(&w[0].p, 20e6) : 0;
    for (int i = 0; i < most && ok; i++)
        w[i].times = times;
    for (int count = 2; ok && count <= most && n < max; count = next_count(count, most)) {
        out[n] = (struct sqa_gain){count, gain_of(w, count)};
        ok = !isnan(out[n].gain);
        n += ok;
    }
    for (int i = 0; i < most && w; i++)
        sqa_free(w[i].p.block);
    sqa_free(w);
    return n;
}
