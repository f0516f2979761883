/* test_gated_ops.c - gradients of the ops of mamba, retnet, gla and deltanet, alone: both directions, ragged, chunks
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "engine/gradcheck.h"
#include "engine/ops.h"
#include "models/decayed_attention.h"
#include "models/delta_rule.h"
#include "models/rotary.h"
#include "models/selective_scan.h"

enum { B = 3, L = 11, H = 2, D = 4, V = 3, E = 70, N = 3 };

static const int32_t ragged[B] = {L, 6, 0};
static const int64_t chunks[] = {1, 4, 64};
enum { CHUNKS = sizeof chunks / sizeof chunks[0], FORMS = 2 * CHUNKS };

static const struct sqa_gradcheck_input lengths = {.dtype = SQA_I32, .rank = 1, .dim = {B}, .values = ragged};

static void check(const char *what, int form, sqa_gradcheck_build_fn *build, int count,
                  const struct sqa_gradcheck_input *in)
{
    struct sqa_err err = {0};
    double worst = 0;

    if (sqa_gradcheck(build, &form, count, in, 3, &worst, &err) != SQA_OK)
        fail_msg("%s, form %d: %s", what, form, err.text);
    if (!(worst <= 1e-6))
        fail_msg("%s, form %d: gradient error %g", what, form, worst);
}

static struct sqa_tensor *selective(void *user, struct sqa_graph *g, struct sqa_tensor *const *in)
{
    const int form = *(int *)user;
    const struct sqa_selective_inputs all = {in[0], in[1], in[2], in[3], in[4], in[5], in[6]};

    return sqa_selective_scan(g, all, chunks[form / 2], form % 2);
}

static void test_selective_scan(void **state)
{
    const struct sqa_gradcheck_input in[] = {{.rank = 3, .dim = {B, L, E}},
                                             {.rank = 3, .dim = {B, L, E}, .low = 0.05, .high = 1},
                                             {.rank = 2, .dim = {N, E}, .low = -2, .high = -0.1},
                                             {.rank = 3, .dim = {B, L, N}},
                                             {.rank = 3, .dim = {B, L, N}},
                                             {.rank = 1, .dim = {E}},
                                             lengths};
    struct sqa_gradcheck_input all[7];

    (void)state;
    for (int i = 0; i < 7; i++) {
        all[i] = in[i];
        all[i].dtype = i < 6 ? SQA_F64 : SQA_I32;
    }
    for (int form = 0; form < FORMS; form++)
        check("selective_scan", form, selective, 7, all);
}

static struct sqa_tensor *faded(void *user, struct sqa_graph *g, struct sqa_tensor *const *in)
{
    const int form = *(int *)user;

    return sqa_decayed_attention(g, in[0], in[1], in[2], NULL, in[3], in[4],
                                 (struct sqa_decay_spec){.causal = form % 2, .chunk = chunks[form / 2]});
}

static struct sqa_tensor *retained(void *user, struct sqa_graph *g, struct sqa_tensor *const *in)
{
    const int form = *(int *)user;

    return sqa_decayed_attention(g, in[0], in[1], in[2], in[3], NULL, in[4],
                                 (struct sqa_decay_spec){.causal = form % 2, .chunk = chunks[form / 2]});
}

static void test_decayed_attention(void **state)
{
    struct sqa_gradcheck_input in[] = {{.dtype = SQA_F64, .rank = 4, .dim = {B, L, H, D}},
                                       {.dtype = SQA_F64, .rank = 4, .dim = {B, L, H, D}},
                                       {.dtype = SQA_F64, .rank = 4, .dim = {B, L, H, V}},
                                       {.dtype = SQA_F64, .rank = 4, .dim = {B, L, H, D}, .low = -2, .high = 0},
                                       lengths};

    (void)state;
    for (int form = 0; form < FORMS; form++)
        check("decayed_attention, gated", form, faded, 5, in);
    in[3] =
        (struct sqa_gradcheck_input){.dtype = SQA_F64, .rank = 1, .dim = {H}, .low = 0.5, .high = 1, .fixed = true};
    for (int form = 0; form < FORMS; form++)
        check("decayed_attention", form, retained, 5, in);
}

static struct sqa_tensor *ruled(void *user, struct sqa_graph *g, struct sqa_tensor *const *in)
{
    const int form = *(int *)user;
    const struct sqa_delta_inputs all = {in[0], in[1], in[2], in[3], in[4]};

    return sqa_delta_rule(g, all, chunks[form / 2], form % 2);
}

static void test_delta_rule(void **state)
{
    const struct sqa_gradcheck_input in[] = {
        {.dtype = SQA_F64, .rank = 4, .dim = {B, L, H, D}},
        {.dtype = SQA_F64, .rank = 4, .dim = {B, L, H, D}, .low = -0.5, .high = 0.5},
        {.dtype = SQA_F64, .rank = 4, .dim = {B, L, H, V}},
        {.dtype = SQA_F64, .rank = 3, .dim = {B, L, H}, .low = 0, .high = 2},
        lengths};

    (void)state;
    for (int form = 0; form < FORMS; form++)
        check("delta_rule", form, ruled, 5, in);
}

static struct sqa_tensor *turned(void *user, struct sqa_graph *g, struct sqa_tensor *const *in)
{
    return sqa_rotary(g, in[0], *(int *)user + 0.5, *(int *)user ? in[1] : NULL);
}

static void test_rotary(void **state)
{
    static const int32_t position[] = {70};
    const struct sqa_gradcheck_input in[] = {{.dtype = SQA_F64, .rank = 4, .dim = {B, L, H, D}},
                                             {.dtype = SQA_I32, .rank = 1, .dim = {1}, .values = position}};

    (void)state;
    check("rotary", 0, turned, 2, in);
    check("rotary", 1, turned, 2, in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_selective_scan),
                                       cmocka_unit_test(test_decayed_attention), cmocka_unit_test(test_delta_rule),
                                       cmocka_unit_test(test_rotary)};

    sqa_kernels_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
