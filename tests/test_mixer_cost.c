/* test_mixer_cost.c - how planned memory and flops of mixers grow with the length: exponents fitted over lengths */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "models/probe.h"

enum { B = 2, SHORTEST = 512, LENGTHS = 4 };

/* Bounds of the exponents: training memory at most `memory`, forward flops `low` to `high`. */
static const struct {
    const char *item;
    bool causal;
    double memory, low, high;
} rows[] = {
    {"transformer", true, 1.1, 1.5, 2.05},
    {"synthesizer", true, 1.1, 1.5, 2.05},
    {"synthesizer:kind=dense", true, 1.1, 1.5, 2.05},
    {"synthesizer:kind=random", true, 2.05, 1.5, 2.05},
    {"reformer", true, 1.1, 0.95, 1.1},
    {"reformer:chunk=16,rounds=4", true, 1.1, 0.95, 1.1},
    {"reformer:form=lra", false, 1.1, 1.3, 2.05},
    {"sinkhorn_transformer", true, 1.1, 0.95, 1.3},
    {"sinkhorn_transformer:form=lra", false, 1.1, 0.95, 1.1},
    {"gru", true, 1.1, 0.95, 1.05},
    {"lstm", true, 1.1, 0.95, 1.05},
    {"poolformer", true, 1.1, 0.95, 1.05},
    {"fnet", false, 1.1, 0.95, 1.2},
    {"local:window=64", false, 1.1, 0.95, 1.1},
    {"local:window=64,form=lra", false, 1.1, 0.95, 1.1},
    {"linformer:form=lra", false, 1.1, 0.95, 1.1},
    {"linear_transformer:form=lra", true, 1.1, 0.95, 1.1},
    {"performer:form=lra", true, 1.1, 0.95, 1.1},
    {"longformer:window=64", true, 1.1, 0.95, 1.1},
    {"longformer:window=64,globals=4", true, 1.1, 0.95, 1.1},
    {"longformer:window=64,form=lra", true, 1.1, 0.95, 1.1},
    {"bigbird:block=16", true, 1.1, 0.95, 1.1},
    {"bigbird:block=16,form=lra", false, 1.1, 0.95, 1.1},
    {"lru", true, 1.1, 0.95, 1.05},
    {"s5", true, 1.1, 0.95, 1.05},
    {"s4", true, 1.1, 0.95, 1.1},
    {"dss", true, 1.1, 0.95, 1.1},
    {"sparse_transformer:block=32,summary=4", true, 1.1, 0.95, 1.75},
    {"sparse_transformer:block=32,pattern=strided", true, 1.1, 0.95, 1.6},
    {"sparse_transformer:block=32,summary=4,form=lra", true, 1.1, 0.95, 1.75},
    {"mamba", true, 1.1, 0.95, 1.05},
    {"retnet", true, 1.1, 0.95, 1.05},
    {"gla", true, 1.1, 0.95, 1.05},
    {"deltanet", true, 1.1, 0.95, 1.05},
    {"hyena", true, 1.1, 0.95, 1.1},
    {"long_conv", true, 1.1, 0.95, 1.1},
    {"nystromformer:landmarks=16", false, 1.1, 0.9, 1.1},
    {"nystromformer:landmarks=16,form=lra", false, 1.1, 0.9, 1.1},
    {"cosformer", true, 1.1, 0.95, 1.1},
    {"flowformer", true, 1.1, 0.95, 1.1},
    {"flowformer:form=lra", false, 1.1, 0.95, 1.1},
    {"rfa", true, 1.1, 0.95, 1.1},
    {"rfa:kernel=arccos", true, 1.1, 0.95, 1.1},
    {"rfa:gate=1", true, 1.1, 0.95, 1.1},
    {"skyformer:landmarks=16", false, 1.1, 0.9, 1.1},
    {"luna", true, 1.1, 0.95, 1.1},
    {"luna:memory=64", true, 1.1, 0.95, 1.1},
    {"combiner", true, 1.1, 1.1, 1.55},
    {"combiner:kind=axial", true, 1.1, 1.1, 1.55},
    {"combiner:kind=mixture", true, 1.1, 1.2, 1.6},
    {"combiner:kind=logn", true, 1.1, 0.95, 1.15},
    {"htransformer1d", true, 1.1, 0.95, 1.15},
    {"mega:ema=4", true, 1.1, 1.5, 2.05},
    {"mega:ema=4,chunk=64", true, 1.1, 0.95, 1.1},
    {"mega:ema=4,chunk=64,attention=laplace", true, 1.1, 0.95, 1.1},
};

/* The slope of y over x. */
static double slope(const double *x, const double *y)
{
    double sx = 0, sy = 0, sxx = 0, sxy = 0;

    for (int i = 0; i < LENGTHS; i++) {
        sx += x[i];
        sy += y[i];
        sxx += x[i] * x[i];
        sxy += x[i] * y[i];
    }
    return (LENGTHS * sxy - sx * sy) / (LENGTHS * sxx - sx * sx);
}

static void test_exponents(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4 * sizeof rows / sizeof rows[0]; i++) {
        double x[LENGTHS], flops[LENGTHS], memory[LENGTHS];
        const bool causal = i % 2 != 0, padded = i / 2 % 2 != 0;
        const char *item = rows[i / 4].item;

        if ((causal && !rows[i / 4].causal) || (!causal && (strstr(item, "kind=logn") || strstr(item, "gate=1"))))
            continue;
        for (int k = 0; k < LENGTHS; k++) {
            const int32_t valid[B] = {SHORTEST << k, SHORTEST - 3};
            const struct sqa_probe p = {.item = item,
                                        .batch = B,
                                        .length = SHORTEST << k,
                                        .dim = 32,
                                        .heads = 2,
                                        .causal = causal,
                                        .lengths = padded ? valid : NULL};
            struct sqa_err err = {0};
            double forward, closed, training, bytes;

            if (sqa_probe_cost(&p, false, &forward, &closed, &bytes, &err) != SQA_OK ||
                sqa_probe_cost(&p, true, &training, &closed, &bytes, &err) != SQA_OK)
                fail_msg("%s: %s", item, err.text);
            x[k] = log((double)p.length);
            flops[k] = log(forward);
            memory[k] = log(bytes);
        }
        if (slope(x, memory) > rows[i / 4].memory)
            fail_msg("%s: planned memory grows as L^%.2f, bound %g", item, slope(x, memory), rows[i / 4].memory);
        if (!(slope(x, flops) >= rows[i / 4].low && slope(x, flops) <= rows[i / 4].high))
            fail_msg("%s: flops grow as L^%.2f, bounds %g and %g", item, slope(x, flops), rows[i / 4].low,
                     rows[i / 4].high);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_exponents)};

    sqa_kernels_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
