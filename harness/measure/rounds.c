/* rounds.c - see rounds.h */
#include "harness/measure/rounds.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/random.h"
#include "harness/measure/measure_private.h"

/* By Fisher and Yates. */
static void shuffle(uint64_t key, int n, int *x)
{
    for (int i = 0; i < n; i++)
        x[i] = i;
    for (int i = n - 1; i > 0; i--) {
        const int k = (int)sqa_random_below(key, (uint64_t)i, (uint64_t)i + 1), kept = x[i];
        x[i] = x[k];
        x[k] = kept;
    }
}

void sqa_round_order(uint64_t seed, int64_t round, int n, int *order)
{
    const uint64_t square = (uint64_t)(round / n);
    const uint64_t names = sqa_random_key(seed, square, "rounds/names");
    /* Which row of the square: the place of this round in a shuffle of the rows, held in `order` for a moment. */
    shuffle(sqa_random_key(seed, square, "rounds/rows"), n, order);
    const int shift = order[round % n];
    shuffle(names, n, order);
    for (int k = 0; k < shift; k++) { /* to the left by one */
        const int first = order[0];
        for (int i = 0; i + 1 < n; i++)
            order[i] = order[i + 1];
        order[n - 1] = first;
    }
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int sqa_warmup_add(struct sqa_warmup *w, double ns)
{
    w->batch[w->n++] = ns;
    if (w->n < SQA_WARMUP_BATCH)
        return w->settled;
    qsort(w->batch, SQA_WARMUP_BATCH, sizeof *w->batch, by_value);
    const double median = w->batch[SQA_WARMUP_BATCH / 2];
    w->settled = w->last > 0 && fabs(median - w->last) <= 0.02 * w->last;
    w->last = median;
    w->n = 0;
    return w->settled;
}

int sqa_mark_outliers(const double *x, size_t n, int *outlier, double *work)
{
    int marked = 0;
    for (size_t i = 0; i < n; i++) {
        outlier[i] = 0;
        work[i] = x[i];
    }
    if (n < 8)
        return 0;
    qsort(work, n, sizeof *work, by_value);
    const double low = work[n / 4], high = work[n - 1 - n / 4], far = 3 * (high - low);
    for (size_t i = 0; i < n; i++)
        marked += outlier[i] = x[i] > high + far || x[i] < low - far;
    return marked;
}

/* Kept for the life of the process: it is used before every sample. */
static unsigned char *flush;
static size_t flush_bytes;

int sqa_cache_flush(void)
{
    enum { LINE = 64 };
    static volatile unsigned char sum;
    if (!flush) {
        const double bytes = fmax(4 * sqa_last_cache_bytes(), 64 * 0x1p20);
        flush = sqa_alloc_aligned((size_t)bytes);
        flush_bytes = flush ? (size_t)bytes : 0;
    }
    for (size_t i = 0; i < flush_bytes; i += LINE)
        sum = (unsigned char)(sum + flush[i]++); /* written: the lines must be taken, not only looked at */
    return flush != NULL;
}

size_t sqa_cache_flush_bytes(void)
{
    return flush_bytes;
}
