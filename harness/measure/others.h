/*
 * others.h - what other processes of seqarena do beside a measurement
 *
 * Found by name in /proc: any process called seqarena that is neither the calling one nor its child. Those of builds
 * that take no lock, of other users or of other containers' view are seen too, as far as /proc shows them.
 */
#ifndef SQA_HARNESS_MEASURE_OTHERS_H
#define SQA_HARNESS_MEASURE_OTHERS_H

#include <stdint.h>

enum { SQA_OTHERS_MAX = 64 };
struct sqa_others {
    struct {
        long pid;
        long long start, ticks; /* start tells apart those that got the same number */
    } seen[SQA_OTHERS_MAX];
    int n;
    int64_t wall;         /* of the last look */
    double busy, seconds; /* processor seconds of the others, and seconds of wall time, since sqa_others_begin */
};
void sqa_others_begin(struct sqa_others *o);
/* Adds what they did since the last look; to be called often enough to see short ones. */
void sqa_others_look(struct sqa_others *o);

#endif
