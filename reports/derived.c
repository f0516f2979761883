/* derived.c - see derived.h */
#include "reports/derived.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define X(name, title, digits) {title, digits},
const struct sqa_derived_title sqa_derived_titles[SQA_DERIVED_N] = {SQA_DERIVED(X)};
#undef X

/* The sum of the counters whose name begins with `name` (whole: is it); NaN when there is none. */
static double sum_of(const char *counters, const char *name, size_t n, bool whole)
{
    double sum = (double)NAN;
    for (const char *p = counters; *p;) {
        const size_t length = strcspn(p, "=;");
        if (length >= n && strncmp(p, name, n) == 0 && (!whole || length == n) && p[length] == '=') {
            const double v = strtod(p + length + 1, NULL);
            sum = isnan(sum) ? v : sum + v;
        }
        p += strcspn(p, ";");
        p += *p == ';';
    }
    return sum;
}

/* The first of "a|b|c" that was counted. */
static double first_of(const struct sqa_derived *c, const char *names)
{
    for (const char *p = names; *p;) {
        const size_t n = strcspn(p, "|");
        const double v = sum_of(c->counters, p, n, true);
        if (!isnan(v))
            return v;
        p += n + (p[n] == '|');
    }
    return (double)NAN;
}

static double flops(const struct sqa_derived *c)
{
    const double sp = first_of(c, "PAPI_SP_OPS"), dp = first_of(c, "PAPI_DP_OPS");
    if (!isnan(sp))
        return sp + (isnan(dp) ? 0 : dp);
    return first_of(c, "PAPI_FP_OPS|RETIRED_SSE_AVX_FLOPS:ANY");
}

#define CYCLES "PAPI_TOT_CYC|perf::CYCLES"
#define INSTRUCTIONS "PAPI_TOT_INS|perf::INSTRUCTIONS"
#define L1_MISSES "PAPI_L1_DCM|perf::L1-DCACHE-LOAD-MISSES"
#define L2_MISSES "PAPI_L2_TCM|PAPI_L2_DCM"
#define L3_MISSES "PAPI_L3_TCM|perf::CACHE-MISSES"
#define BRANCH_MISSES "PAPI_BR_MSP|perf::BRANCH-MISSES"

/* over / under x times; under NULL: over alone */
static const struct ratio {
    const char *over, *under;
    double times;
} ratios[SQA_DERIVED_N] = {
    [SQA_DERIVED_ipc] = {INSTRUCTIONS, CYCLES, 1},
    [SQA_DERIVED_stalled] = {"PAPI_RES_STL|perf::STALLED-CYCLES-BACKEND|PAPI_STL_ICY", CYCLES, 100},
    [SQA_DERIVED_l1_mpki] = {L1_MISSES, INSTRUCTIONS, 1000},
    [SQA_DERIVED_l1_rate] = {L1_MISSES, "PAPI_L1_DCA|perf::L1-DCACHE-LOADS", 100},
    [SQA_DERIVED_l2_mpki] = {L2_MISSES, INSTRUCTIONS, 1000},
    [SQA_DERIVED_l2_rate] = {L2_MISSES, "PAPI_L2_TCA", 100},
    [SQA_DERIVED_l3_mpki] = {L3_MISSES, INSTRUCTIONS, 1000},
    [SQA_DERIVED_l3_rate] = {L3_MISSES, "PAPI_L3_TCA|perf::CACHE-REFERENCES", 100},
    [SQA_DERIVED_branch_rate] = {BRANCH_MISSES, "PAPI_BR_INS|perf::BRANCHES", 100},
    [SQA_DERIVED_branch_mpki] = {BRANCH_MISSES, INSTRUCTIONS, 1000},
    [SQA_DERIVED_tlb_mpki] = {"PAPI_TLB_DM|perf::DTLB-LOAD-MISSES", INSTRUCTIONS, 1000},
    [SQA_DERIVED_faults] = {"perf::PAGE-FAULTS", NULL, 1},
    [SQA_DERIVED_switches] = {"perf::CONTEXT-SWITCHES", NULL, 1},
    [SQA_DERIVED_migrations] = {"perf::CPU-MIGRATIONS", NULL, 1},
};

static double over(double a, double b)
{
    return b > 0 ? a / b : (double)NAN;
}

double sqa_derived_figure(const struct sqa_derived *c, enum sqa_derived_figure which)
{
    const double memory = first_of(c, L3_MISSES) * c->line;
    const struct ratio *r = &ratios[which];
    if (r->over)
        return r->under ? over(r->times * first_of(c, r->over), first_of(c, r->under)) : first_of(c, r->over);
    if (which == SQA_DERIVED_millijoules_a_token) /* microjoules of the whole machine */
        return over(sum_of(c->counters, "powercap:package", 16, false) * 1e-3, c->tokens);
    if (c->threads > 1) /* the rest is of one thread, beside figures of all */
        return (double)NAN;
    if (which == SQA_DERIVED_flops)
        return flops(c);
    if (which == SQA_DERIVED_flop_share)
        return over(flops(c), c->flops);
    if (which == SQA_DERIVED_memory_bytes)
        return memory;
    if (which == SQA_DERIVED_intensity)
        return over(isnan(flops(c)) ? c->flops : flops(c), memory);
    return over(100 * first_of(c, "perf::TASK-CLOCK|perf::CPU-CLOCK"), c->ns);
}
