/*
 * rounds.h - in which order things are timed, when warming up is over, which samples stand apart, cold caches
 */
#ifndef SQA_HARNESS_MEASURE_ROUNDS_H
#define SQA_HARNESS_MEASURE_ROUNDS_H

#include <stddef.h>
#include <stdint.h>

/* order[0 .. n-1]: who goes first, second ... in that round. Every n rounds form a cyclic Latin square, rows and names
 * drawn from the seed: each goes once at each place (as nanobench does). Two: ABBA or BAAB, drawn every two rounds. */
void sqa_round_order(uint64_t seed, int64_t round, int n, int *order);

/* Warming up ends when the medians of two batches in a row, of five samples each, agree within 2 %. Zero it before. */
enum { SQA_WARMUP_BATCH = 5 };
struct sqa_warmup {
    double batch[SQA_WARMUP_BATCH], last; /* last: median of the batch before, 0: none yet */
    int n, settled;
};
int sqa_warmup_add(struct sqa_warmup *w, double ns); /* returns settled */

/* Samples beyond the quartiles by more than three times their distance: outlier[i] 1, else 0. They stay in every
 * figure. work: n numbers. Returns how many; 0 of fewer than eight. */
int sqa_mark_outliers(const double *x, size_t n, int *outlier, double *work);

/* Caches without the program's data: walks a buffer of four times the last cache, made at the first call. 0 when
 * there is no memory for it. */
int sqa_cache_flush(void);
size_t sqa_cache_flush_bytes(void); /* of the buffer */

#endif
