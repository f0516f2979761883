/* test_mixers_long.c - private ops of mixers that cut long sequences: gradients across the cuts, and dropout */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/gradcheck.h"
#include "models/mega_attention.h"
#include "models/probe.h"

static struct sqa_tensor *attention(void *user, struct sqa_graph *g, struct sqa_tensor *const *in)
{
    const struct sqa_mega_attention_spec *spec = user;

    return sqa_mega_attention(g, in[0], in[1], in[2], in[3], in[4], *spec);
}

/* Tiles of 64 rows, of 32 when there are more than 1024 keys. */
static void test_mega_attention(void **state)
{
    static const struct {
        int64_t length;
        int32_t valid[2];
        struct sqa_mega_attention_spec spec;
    } rows[] = {
        {150, {150, 71}, {.function = SQA_MEGA_SOFTMAX, .dropout = 0.3}},
        {150, {150, 71}, {.function = SQA_MEGA_LAPLACE, .dropout = 0.3, .causal = true}},
        {150, {140, 0}, {.function = SQA_MEGA_LAPLACE, .chunk = 70}},
        {150, {150, 66}, {.function = SQA_MEGA_RELU2, .chunk = 70, .causal = true, .dropout = 0.5}},
        {1040, {1040, 500}, {.function = SQA_MEGA_SOFTMAX, .causal = true}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sqa_mega_attention_spec spec = rows[i].spec;
        const int64_t length = rows[i].length, chunk = spec.chunk > 0 ? spec.chunk : length;
        const struct sqa_gradcheck_input in[] = {
            {.dtype = SQA_F64, .rank = 3, .dim = {2, length, 3}},
            {.dtype = SQA_F64, .rank = 3, .dim = {2, length, 3}},
            {.dtype = SQA_F64, .rank = 3, .dim = {2, length, 2}},
            {.dtype = SQA_F64, .rank = 1, .dim = {2 * chunk - 1}},
            {.dtype = SQA_I32, .rank = 1, .dim = {2}, .values = rows[i].valid},
        };
        struct sqa_err err = {0};
        double worst = 0;

        if (sqa_gradcheck(attention, &spec, 5, in, 7, &worst, &err) != SQA_OK)
            fail_msg("row %d: %s", (int)i, err.text);
        if (!(worst <= 1e-5)) /* relu2 has a kink in its second derivative */
            fail_msg("row %d: gradient error %g", (int)i, worst);
    }
}

static void test_gradients(void **state)
{
    static const char *const items[] = {
        "luna:memory=3",  "htransformer1d:block=2",  "htransformer1d",
        "combiner",       "combiner:kind=axial",     "combiner:kind=mixture,block=7",
        "mega:ema=2,z=3", "mega:ema=2,z=3,chunk=70", "combiner:kind=logn",
    };
    static const int32_t lengths[2] = {290, 131};

    (void)state;
    for (size_t i = 0; i < 2 * sizeof items / sizeof items[0]; i++) {
        const struct sqa_probe p = {.item = items[i / 2],
                                    .batch = 2,
                                    .length = 290,
                                    .dim = 4,
                                    .heads = 2,
                                    .causal = i % 2 != 0,
                                    .lengths = lengths,
                                    .real = SQA_F64,
                                    .seed = 3};
        struct sqa_err err = {0};
        double worst = 0;

        if (!p.causal && strstr(p.item, "logn") != NULL)
            continue;
        if (sqa_probe_gradient(&p, &worst, &err) != SQA_OK)
            fail_msg("%s: %s", p.item, err.text);
        if (!(worst <= 1e-6))
            fail_msg("%s: gradient error %g", p.item, worst);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mega_attention),
        cmocka_unit_test(test_gradients),
    };

    sqa_kernels_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
