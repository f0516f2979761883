/* clock.c - clocks of the kernel, in nanoseconds */
#include "harness/measure/measure.h"

#include <math.h>
#include <time.h>

static int64_t now(clockid_t id)
{
    struct timespec t = {0, 0};
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t sqa_clock_wall(void)
{
    return now(CLOCK_MONOTONIC);
}

double sqa_seconds_since(int64_t wall)
{
    return (double)(sqa_clock_wall() - wall) * 1e-9;
}

int64_t sqa_clock_thread(void)
{
    return now(CLOCK_THREAD_CPUTIME_ID);
}

int64_t sqa_clock_process(void)
{
    return now(CLOCK_PROCESS_CPUTIME_ID);
}

double sqa_clock_resolution_ns(void)
{
    /* At least 1000 readings and 1 ms, so that a coarse clock shows a step too; never more than a million. */
    const int64_t first = sqa_clock_wall();
    int64_t last = first, least = INT64_MAX;
    for (int i = 0; i < 1000000 && (i < 1000 || last - first < 1000000); i++) {
        const int64_t t = sqa_clock_wall();
        if (t > last && t - last < least)
            least = t - last;
        last = t;
    }
    return least == INT64_MAX ? (double)NAN : (double)least;
}

double sqa_clock_cost_ns(void)
{
    enum { BATCH = 1000 };
    double least = (double)INFINITY;
    for (int i = 0; i < 50; i++) {
        const int64_t start = sqa_clock_wall();
        int64_t last = start;
        for (int k = 0; k < BATCH; k++)
            last = sqa_clock_wall();
        least = fmin(least, (double)(last - start) / BATCH);
    }
    return least;
}
