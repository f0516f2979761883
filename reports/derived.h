/*
 * derived.h - figures derived from the raw counters of a row: rates, ratios, traffic, energy
 *
 * A figure is NaN when one of the counters that it needs was not counted.
 */
#ifndef SQA_REPORTS_DERIVED_H
#define SQA_REPORTS_DERIVED_H

struct sqa_derived {
    const char *counters; /* "name=value;...", a step (the column of cells.csv) */
    double flops;         /* of a step, from the graph */
    double tokens, ns;    /* of a step */
    double line;          /* bytes of a cache line */
    int threads;          /* hardware and software events count one of them */
};

/* X(name, title, digits behind the point) */
#define SQA_DERIVED(X)                                       \
    X(ipc, "instructions a cycle", 2)                        \
    X(stalled, "stalled cycles %", 1)                        \
    X(flops, "FLOPs counted a step", 0)                      \
    X(flop_share, "FLOPs counted / analytic", 3)             \
    X(l1_mpki, "L1 misses a 1000 instr.", 2)                 \
    X(l1_rate, "L1 misses %", 2)                             \
    X(l2_mpki, "L2 misses a 1000 instr.", 2)                 \
    X(l2_rate, "L2 misses %", 2)                             \
    X(l3_mpki, "last level misses a 1000 instr.", 2)         \
    X(l3_rate, "last level misses %", 2)                     \
    X(memory_bytes, "bytes from memory a step", 0)           \
    X(intensity, "FLOPs a byte from memory", 2)              \
    X(branch_rate, "branches mispredicted %", 2)             \
    X(branch_mpki, "branches mispredicted a 1000 instr.", 2) \
    X(tlb_mpki, "data TLB misses a 1000 instr.", 3)          \
    X(millijoules_a_token, "millijoules a token", 4)         \
    X(on_processor, "on the processor %", 1)                 \
    X(faults, "page faults a step", 2)                       \
    X(switches, "context switches a step", 3)                \
    X(migrations, "migrations a step", 3)

enum sqa_derived_figure {
#define X(name, title, digits) SQA_DERIVED_##name,
    SQA_DERIVED(X)
#undef X
        SQA_DERIVED_N
};
struct sqa_derived_title {
    const char *title;
    int digits;
};
extern const struct sqa_derived_title sqa_derived_titles[SQA_DERIVED_N];

double sqa_derived_figure(const struct sqa_derived *c, enum sqa_derived_figure which);

#endif
