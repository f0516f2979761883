/* test_mixers.c - the mixers: their identities, gradients, padding, causality, cost and state under many settings */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "engine/gradcheck.h"
#include "engine/plan.h"
#include "models/probe.h"

static const char *const ids[] = {"transformer",
                                  "local",
                                  "linformer",
                                  "linear_transformer",
                                  "performer",
                                  "s4d",
                                  "no_mixer",
                                  "mean_mixer",
                                  "synthesizer",
                                  "reformer",
                                  "sinkhorn_transformer",
                                  "longformer",
                                  "bigbird",
                                  "sparse_transformer",
                                  "mamba",
                                  "retnet",
                                  "gla",
                                  "deltanet",
                                  "hyena",
                                  "long_conv",
                                  "nystromformer",
                                  "cosformer",
                                  "flowformer",
                                  "rfa",
                                  "skyformer",
                                  "luna",
                                  "combiner",
                                  "htransformer1d",
                                  "mega",
                                  "lru",
                                  "s5",
                                  "s4",
                                  "dss"};

/* Settings beyond the defaults, and whether they have a causal form. */
static const struct {
    const char *item;
    bool causal;
} settings[] = {
    {"transformer", true},
    {"local:window=1", true},
    {"local:window=4", true},
    {"local:window=5,layout=strided", true},
    {"local:window=64", true},
    {"local:window=4,form=lra", false},
    {"local:window=11,form=lra", false},
    {"linformer:rank=3", false},
    {"linformer:rank=3,share=0", false},
    {"linformer:rank=40", false},
    {"linformer:rank=3,form=lra", false},
    {"linformer:form=lra", false},
    {"linear_transformer:chunk=1", true},
    {"linear_transformer:chunk=4", true},
    {"linear_transformer", true},
    {"linear_transformer:form=lra,chunk=4", true},
    {"performer:features=6,chunk=4", true},
    {"performer:features=5,orthogonal=0,eps=0.01,chunk=3", true},
    {"performer:features=7,kernel=relu,chunk=4", true},
    {"performer:features=0,kernel=relu", true},
    {"performer:form=lra,chunk=4", true},
    {"performer:form=lra,kernel=softmax,features=2", true},
    {"s4d:state=6,dt_max=1", true},
    {"s4d:state=2,init=inv", true},
    {"lru:state=5", true},
    {"lru:state=3,r_min=0.8,r_max=0.95,max_phase=0.5,out=none", true},
    {"s5:state=8,blocks=2", true},
    {"s5:state=6,blocks=1,disc=bilinear,c_init=complex,act=full_glu,opt=nobc", true},
    {"s5:state=8,blocks=4,act=half_glu2,clip=1,c_init=lecun,opt=bfast", true},
    {"s5:state=4,blocks=1,act=gelu", true},
    {"s4:state=6,dt_max=1", true},
    {"s4:state=2,copies=2", true},
    {"s4:state=4,copies=0", true},
    {"dss:state=3,dt_max=1", true},
    {"dss:state=2,version=exp", true},
    {"no_mixer", true},
    {"mean_mixer", true},
    {"synthesizer", true},
    {"synthesizer:kind=dense", true},
    {"synthesizer:kind=random", true},
    {"synthesizer:kind=factorized_dense,factor=3", true},
    {"synthesizer:kind=mixture,dot=1", true},
    {"synthesizer:kind=mixture,dot=1,form=lra", false},
    {"synthesizer:form=lra", false},
    {"synthesizer:dot=0,kind=dense,form=lra", false},
    {"reformer", true},
    {"reformer:chunk=3,buckets=4,rounds=3", true},
    {"reformer:chunk=2,buckets=2,rounds=2", true},
    {"reformer:chunk=1,buckets=2", true},
    {"reformer:chunk=4,same_bucket=0,rounds=2", false},
    {"reformer:form=lra", false},
    {"reformer:form=lra,buckets=4,rounds=2", false},
    {"sinkhorn_transformer", true},
    {"sinkhorn_transformer:block=3", true},
    {"sinkhorn_transformer:block=1,iterations=20,temperature=2", true},
    {"sinkhorn_transformer:block=4,iterations=1", true},
    {"sinkhorn_transformer:block=3,form=lra", false},
    {"sinkhorn_transformer:block=1,form=lra", false},
    {"longformer:window=4", true},
    {"longformer:window=5,globals=3", true},
    {"longformer:window=2,globals=0", true},
    {"longformer:window=4,globals=20", true},
    {"longformer:window=4,form=lra", true},
    {"bigbird:block=1,random=2", true},
    {"bigbird:block=2,random=1", true},
    {"bigbird", true},
    {"bigbird:block=1,random=1,form=lra", true},
    {"bigbird:block=4,form=lra", true},
    {"sparse_transformer", true},
    {"sparse_transformer:block=4,summary=2", true},
    {"sparse_transformer:block=4,summary=1,combine=alternate", true},
    {"sparse_transformer:block=4,summary=1,combine=split_heads", true},
    {"sparse_transformer:block=4,summary=1,form=lra", true},
    {"sparse_transformer:block=3,pattern=strided", true},
    {"sparse_transformer:block=3,pattern=strided,combine=split_heads", true},
    {"sparse_transformer:block=3,pattern=strided,form=lra", true},
    {"mamba", true},
    {"mamba:state=3,expand=1,conv=2,rank=2,chunk=4", true},
    {"mamba:state=5,chunk=1,bidirectional=0", true},
    {"retnet:chunk=4", true},
    {"retnet:expand=1,bidirectional=0", true},
    {"gla:chunk=4", true},
    {"gla:expand_k=1.3,rank=2,temperature=1,bidirectional=0", true},
    {"deltanet:chunk=4", true},
    {"deltanet:conv=0,negative=1,bidirectional=0", true},
    {"hyena:width=6,frequency=1", true},
    {"hyena:order=4,width=3,emb=3,conv=1,frequency=2,shift=0.1", true},
    {"hyena:width=5,bidirectional=0", true},
    {"long_conv:taps=3,deviation=0.5,shrink=0.3", true},
    {"nystromformer", false},
    {"nystromformer:landmarks=3", false},
    {"nystromformer:landmarks=4,conv=2,iterations=2", false},
    {"nystromformer:landmarks=1,conv=0", false},
    {"nystromformer:landmarks=3,conv=3,form=lra", false},
    {"cosformer", true},
    {"cosformer:chunk=4", true},
    {"cosformer:chunk=1,horizon=100", true},
    {"flowformer", true},
    {"flowformer:chunk=4", true},
    {"flowformer:form=lra", false},
    {"rfa:features=3", true},
    {"rfa:features=5,chunk=4,least=0.1", true},
    {"rfa:features=6,kernel=arccos,chunk=4", true},
    {"rfa:features=5,gate=1,chunk=4", true},
    {"rfa:features=6,kernel=arccos,gate=1,gate_bias=0", true},
    {"skyformer:landmarks=5", false},
    {"skyformer:landmarks=2,iterations=2,jitter=0.3", false},
    {"skyformer:landmarks=4,form=lra", false},
    {"luna", true},
    {"luna:memory=3", true},
    {"luna:memory=3,tie=0", true},
    {"luna:memory=20,dynamic=0", true},
    {"combiner", true},
    {"combiner:block=3", true},
    {"combiner:block=1", true},
    {"combiner:kind=axial", true},
    {"combiner:kind=axial,block=3", true},
    {"combiner:kind=mixture", true},
    {"combiner:kind=mixture,block=3", true},
    {"combiner:kind=mixture,block=1", true},
    {"combiner:kind=logn", true},
    {"htransformer1d", true},
    {"htransformer1d:block=2", true},
    {"htransformer1d:block=4", true},
    {"mega", true},
    {"mega:ema=3,z=4,v=6,attention=laplace", true},
    {"mega:ema=3,z=4,v=6,attention=relu2", true},
    {"mega:ema=1,z=3,v=5,chunk=4", true},
    {"mega:ema=2,z=3,v=5,chunk=4,attention=laplace,taps=5", true},
};
enum { SETTINGS = sizeof settings / sizeof settings[0], B = 2, L = 11, D = 8, H = 2, MORE = 17 };

static const int32_t ragged[B] = {L, 6};

#define CHECK(status, err, item)                  \
    do {                                          \
        if ((status) != SQA_OK)                   \
            fail_msg("%s: %s", item, (err).text); \
    } while (0)
#define CHECK_BOUND(value, bound, item)                                 \
    do {                                                                \
        if (!((value) <= (bound)))                                      \
            fail_msg("%s: %g, bound %g", item, value, (double)(bound)); \
    } while (0)

static struct sqa_probe probe_of(int setting, bool causal)
{
    return (struct sqa_probe){.item = settings[setting].item,
                              .batch = B,
                              .length = L,
                              .dim = D,
                              .heads = H,
                              .causal = causal,
                              .real = SQA_F64,
                              .seed = 3};
}

/* Forms without a causal one, and those that have only that */
static bool has_form(int setting, bool causal)
{
    const char *item = settings[setting].item;

    return causal ? settings[setting].causal : !strstr(item, "kind=logn") && !strstr(item, "gate=1");
}

static void test_identities(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        const struct sqa_variant *v = sqa_variant_find(ids[i]);

        assert_non_null(v);
        assert_non_null(v->identities);
        for (const struct sqa_identity *each = v->identities; each->name != NULL; each++) {
            struct sqa_err err = {0};
            const enum sqa_status status = each->run(&err);

            if (status != SQA_OK)
                fail_msg("%s: %s: %s", v->id, each->name, err.text);
        }
    }
}

static void test_gradients(void **state)
{
    static const int64_t lengths[] = {1, 2, 5, L};

    (void)state;
    for (int i = 0; i < 2 * SETTINGS; i++)
        for (size_t k = 0; k < 2 * sizeof lengths / sizeof lengths[0]; k++) {
            struct sqa_probe p = probe_of(i / 2, i % 2 != 0);
            struct sqa_err err = {0};
            int32_t valid[B];
            double worst = 0;

            if (!has_form(i / 2, p.causal))
                continue;
            p.length = lengths[k / 2];
            p.max_length = L;
            for (int b = 0; b < B; b++)
                valid[b] = (int32_t)(p.length - b * (p.length / 2));
            p.lengths = k % 2 ? valid : NULL;
            CHECK(sqa_probe_gradient(&p, &worst, &err), err, p.item);
            CHECK_BOUND(worst, 1e-6, p.item);
        }
}

/* The same rows alone and with junk behind them. */
static void test_padding(void **state)
{
    double x[B * L * D], padded[B * MORE * D], y[B * L * D], z[B * MORE * D];

    (void)state;
    sqa_probe_normal(1, x, B * L * D);
    sqa_probe_normal(2, padded, B * MORE * D);
    for (int b = 0; b < B; b++)
        memcpy(padded + b * MORE * D, x + b * L * D, L * D * sizeof *x);
    for (int i = 0; i < 2 * SETTINGS; i++) {
        struct sqa_probe p = probe_of(i / 2, i % 2 != 0);
        struct sqa_err err = {0};

        if (!has_form(i / 2, p.causal) || strstr(p.item, "strided") != NULL || strstr(p.item, "form=lra") != NULL)
            continue; /* strided blocks depend on the padded length; the LRA code attends to padding */
        if (!has_form(i / 2, p.causal) || strstr(p.item, "layout=strided") != NULL ||
            (strstr(p.item, "bigbird") != NULL && strstr(p.item, "form=lra") != NULL))
            continue; /* blocks depend on the padded length */
        p.max_length = MORE;
        p.lengths = ragged;
        CHECK(sqa_probe_run(&p, x, y, &err), err, p.item);
        p.length = MORE;
        CHECK(sqa_probe_run(&p, padded, z, &err), err, p.item);
        for (int b = 0; b < B; b++)
            CHECK_BOUND(sqa_probe_difference(z + b * MORE * D, y + b * L * D, (size_t)(ragged[b] * D)), 1e-12,
                        p.item);
    }
}

/* A row without any valid position gives numbers, not NaN. */
static void test_empty_rows(void **state)
{
    static const int32_t empty[B] = {0, L};
    double x[B * L * D], y[B * L * D];

    (void)state;
    sqa_probe_normal(1, x, B * L * D);
    for (int i = 0; i < 2 * SETTINGS; i++) {
        struct sqa_probe p = probe_of(i / 2, i % 2 != 0);
        struct sqa_err err = {0};
        double worst = 0;

        if (!has_form(i / 2, p.causal))
            continue;
        p.lengths = empty;
        CHECK(sqa_probe_run(&p, x, y, &err), err, p.item);
        for (int k = 0; k < B * L * D; k++)
            if (!isfinite(y[k]))
                fail_msg("%s: output %d is %g", p.item, k, y[k]);
        CHECK(sqa_probe_gradient(&p, &worst, &err), err, p.item);
        CHECK_BOUND(worst, 1e-6, p.item);
    }
}

static void test_causality(void **state)
{
    double x[B * L * D], y[B * L * D], z[B * L * D];

    (void)state;
    sqa_probe_normal(1, x, B * L * D);
    for (int i = 0; i < SETTINGS; i++) {
        const struct sqa_probe p = probe_of(i, true);
        struct sqa_err err = {0};

        if (!settings[i].causal) {
            assert_int_equal(sqa_probe_run(&p, x, y, &err), SQA_UNSUPPORTED);
            continue;
        }
        CHECK(sqa_probe_run(&p, x, y, &err), err, p.item);
        for (int t = 0; t < L; t++) {
            double kept[D];

            memcpy(kept, x + t * D, sizeof kept);
            sqa_probe_normal(100 + (uint64_t)t, x + t * D, D);
            CHECK(sqa_probe_run(&p, x, z, &err), err, p.item);
            memcpy(x + t * D, kept, sizeof kept);
            CHECK_BOUND(sqa_probe_difference(z, y, (size_t)(t * D)), 1e-13, p.item);
        }
    }
}

static void test_cost(void **state)
{
    static const int64_t lengths[] = {1, 7, 64, 200};

    (void)state;
    for (int i = 0; i < 2 * SETTINGS; i++)
        for (size_t k = 0; k < 2 * sizeof lengths / sizeof lengths[0]; k++) {
            struct sqa_probe p = probe_of(i / 2, i % 2 != 0);
            struct sqa_err err = {0};
            const int32_t valid[B] = {1, 1};
            double graph, closed, memory;

            if (!has_form(i / 2, p.causal))
                continue;
            p.length = lengths[k / 2];
            p.lengths = k % 2 ? valid : NULL;
            CHECK(sqa_probe_cost(&p, false, &graph, &closed, &memory, &err), err, p.item);
            if (fabs(graph - closed) > 1e-9 * graph)
                fail_msg("%s at length %d: graph %.17g, closed form %.17g", p.item, (int)p.length, graph, closed);
        }
}

static void test_threads(void **state)
{
    enum { LONG = 300 };
    static double x[B * LONG * D], y[B * LONG * D], z[B * LONG * D];

    (void)state;
    sqa_probe_normal(1, x, B * LONG * D);
    for (int i = 0; i < 2 * SETTINGS; i++) {
        struct sqa_probe p = probe_of(i / 2, i % 2 != 0);
        struct sqa_err err = {0};

        if (!has_form(i / 2, p.causal))
            continue;
        p.real = SQA_F32;
        p.length = LONG;
        CHECK(sqa_probe_run(&p, x, y, &err), err, p.item);
        p.threads = 3;
        CHECK(sqa_probe_run(&p, x, z, &err), err, p.item);
        assert_memory_equal(y, z, sizeof y);
    }
}

/* Padding that stands anywhere: the forms that are built for it, and those that leave out what stands there. */
static const struct {
    const char *item;
    bool heeds;
} holed[] = {
    {"transformer", true},
    {"local:window=4,form=lra", false}, /* masks of other places */
    {"linformer:rank=3,form=lra", false},
    {"linear_transformer:form=lra", false},
    {"performer:form=lra", false},
    {"reformer:buckets=4,form=lra", false},
    {"sinkhorn_transformer:block=4,form=lra", false},
    {"synthesizer:form=lra", true},
    {"synthesizer:form=lra,kind=dense", false}, /* scores of scrambled rows */
    {"synthesizer:form=lra,dot=0", false},
    {"longformer:window=4,form=lra", true},
    {"bigbird:block=2,random=1,form=lra", true},
    {"sparse_transformer:block=4,summary=1,form=lra", true},
    {"no_mixer", false},
    {"mean_mixer", false}, /* they count */
};
enum { HOLED = sizeof holed / sizeof holed[0], EVEN = 12 };

static void make_holes(double *valid)
{
    for (int i = 0; i < B * EVEN; i++) /* the second sequence has nothing else */
        valid[i] = i < EVEN && i % 3 != 1 && i != 5;
}

static struct sqa_probe holed_probe(int i, const double *valid)
{
    return (struct sqa_probe){.item = holed[i].item,
                              .batch = B,
                              .length = EVEN,
                              .dim = D,
                              .heads = H,
                              .valid = valid,
                              .real = SQA_F64,
                              .seed = 3};
}

static void test_holes(void **state)
{
    double valid[B * EVEN], x[B * EVEN * D], y[B * EVEN * D], z[B * EVEN * D];

    (void)state;
    make_holes(valid);
    for (int i = 0; i < 2 * HOLED; i++) {
        struct sqa_probe p = holed_probe(i / 2, valid);
        struct sqa_err err = {0};
        double worst = 0, graph, closed, memory;

        p.front = i % 2 != 0;
        CHECK(sqa_probe_gradient(&p, &worst, &err), err, p.item);
        CHECK_BOUND(worst, 1e-6, p.item);
        CHECK(sqa_probe_cost(&p, false, &graph, &closed, &memory, &err), err, p.item);
        if (fabs(graph - closed) > 1e-9 * graph)
            fail_msg("%s with holes: graph %.17g, closed form %.17g", p.item, graph, closed);
        sqa_probe_normal(1, x, B * EVEN * D);
        CHECK(sqa_probe_run(&p, x, y, &err), err, p.item);
        for (int k = 0; k < B * EVEN * D; k++)
            if (!isfinite(y[k]))
                fail_msg("%s: output %d is %g", p.item, k, y[k]);
        p.real = SQA_F32;
        CHECK(sqa_probe_run(&p, x, z, &err), err, p.item);
        CHECK_BOUND(sqa_probe_difference(z, y, B * EVEN * D), 1e-4, p.item);
        p.real = SQA_F64;
        for (int k = 0; k < EVEN * D; k++)
            x[k] = valid[k / D] > 0.5 ? x[k] : 100 * x[k] + 7;
        CHECK(sqa_probe_run(&p, x, z, &err), err, p.item);
        for (int t = 0; t < EVEN && holed[i / 2].heeds; t++)
            if (valid[t] > 0.5)
                CHECK_BOUND(sqa_probe_difference(z + t * D, y + t * D, D), 0, p.item);
    }
}

/* Whole models on tokens of which 1 is black, with a vector in front. */
static void test_black_tokens(void **state)
{
    static const char *const mixers[] = {"transformer", "local:window=4,form=lra", "longformer:window=4,form=lra",
                                         "bigbird:block=2,random=1,form=lra",
                                         "sparse_transformer:block=4,summary=1,form=lra"};
    static const struct sqa_signature task = {
        .kind = SQA_CLASSIFY, .vocab = 4, .classes = 3, .length = L, .blank = 1};
    int32_t tokens[B * L];
    double y[B * 3], z[B * 3];

    (void)state;
    for (size_t i = 0; i < sizeof mixers / sizeof mixers[0]; i++) {
        char model[256];
        struct sqa_probe_whole p = {.model = model, .task = task, .batch = B, .seed = 4, .real = SQA_F64};
        struct sqa_err err = {0};
        double worst = 0;

        snprintf(model, sizeof model, "transformer:layers=1,dim=8,heads=2,ffn=6+mixer=%s+pool=cls", mixers[i]);
        CHECK(sqa_probe_whole_gradient(&p, &worst, &err), err, model);
        CHECK_BOUND(worst, 1e-6, model);
        for (int k = 0; k < B * L; k++)
            tokens[k] = k % L == 0 ? 2 + k / L : 1 + k % 3;
        p.tokens = tokens;
        CHECK(sqa_probe_whole(&p, y, NULL, &err), err, model);
        p.task.blank = 0; /* not the same where black counts */
        if (strstr(mixers[i], "local") == NULL)
            CHECK(sqa_probe_whole(&p, z, NULL, &err), err, model);
        assert_true(strstr(mixers[i], "local") != NULL || sqa_probe_difference(y, z, B * 3) > 1e-6);
    }
}

static void test_holes_are_refused(void **state)
{
    static const char *const items[] = {"local",
                                        "performer",
                                        "linformer",
                                        "linear_transformer",
                                        "reformer",
                                        "sinkhorn_transformer",
                                        "synthesizer",
                                        "longformer",
                                        "bigbird",
                                        "sparse_transformer",
                                        "sparse_transformer:pattern=strided,form=lra",
                                        "transformer:kernel=dense",
                                        "s4d"};
    double valid[B * EVEN], x[B * EVEN * D] = {0}, y[B * EVEN * D];

    (void)state;
    make_holes(valid);
    for (size_t i = 0; i <= sizeof items / sizeof items[0]; i++) {
        struct sqa_probe p = holed_probe(0, valid);
        struct sqa_err err = {0};

        if (i < sizeof items / sizeof items[0])
            p.item = items[i];
        else
            p.causal = true;
        assert_int_equal(sqa_probe_run(&p, x, y, &err), SQA_UNSUPPORTED);
        if (strstr(err.text, "black pixels") == NULL)
            fail_msg("%s: %s", p.item, err.text);
    }
}

/* Every allocation fails once. */
static void test_allocation_failures(void **state)
{
    double x[B * L * D], y[B * L * D];

    (void)state;
    sqa_probe_normal(1, x, B * L * D);
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        const struct sqa_probe p = {.item = ids[i], .batch = B, .length = L, .dim = D, .heads = H, .lengths = ragged};
        enum sqa_status status = SQA_NOMEM;

        for (long n = 1; status != SQA_OK; n++) {
            struct sqa_err err = {0};

            sqa_alloc_fail_at(n);
            status = sqa_probe_run(&p, x, y, &err);
            sqa_alloc_fail_at(0);
            if (status != SQA_OK && status != SQA_NOMEM)
                fail_msg("%s: %s", ids[i], err.text);
        }
    }
}

static void test_refusals(void **state)
{
    static const struct {
        const char *item, *says;
        bool causal;
    } rows[] = {
        {"linformer", "causal", true},
        {"performer:features=0", "features from 1", false},
        {"s4d:state=3", "even", false},
        {"s4d:dt_min=0.2", "dt_max", false},
        {"lru:r_min=0.9,r_max=0.5", "r_max", false},
        {"s5:state=10,blocks=5,dt_min=0.2", "dt_max", false},
        {"s5:state=12,blocks=4", "even", false},
        {"s4:state=3", "even", false},
        {"s4:copies=3", "divisor", false},
        {"s4:dt_min=0.2", "dt_max", false},
        {"dss:dt_min=0.2", "dt_max", false},
        {"synthesizer:form=lra", "causal=0", true},
        {"reformer:form=lra", "causal=0", true},
        {"sinkhorn_transformer:form=lra", "causal=0", true},
        {"reformer:same_bucket=0", "causal=0", true},
        {"reformer:buckets=3", "even", false},
        {"synthesizer:form=lra,kind=factorized_dense", "form=paper", false},
        {"longformer:form=lra,window=0", "window from 1", false},
        {"sparse_transformer:form=lra,combine=alternate", "combine=merged", false},
        {"local:form=lra", "causal=0", true},
        {"local:form=lra,layout=contiguous", "strided", false},
        {"linformer:form=lra,share=0", "form=paper", false},
        {"mamba:dt_min=0.2", "dt_max", false},
        {"gla:expand_k=0.01", "raise it", false},
        {"hyena:emb=4", "odd", false},
        {"nystromformer", "causal", true},
        {"skyformer", "causal", true},
        {"flowformer:form=lra", "causal=0", true},
        {"combiner:kind=logn", "causal=1", false},
        {"htransformer1d:block=3", "even", false},
    };
    double x[B * L * D], y[B * L * D];

    (void)state;
    sqa_probe_normal(1, x, B * L * D);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct sqa_probe p = {
            .item = rows[i].item, .batch = B, .length = L, .dim = D, .heads = H, .causal = rows[i].causal};
        struct sqa_err err = {0};

        assert_int_not_equal(sqa_probe_run(&p, x, y, &err), SQA_OK);
        if (strstr(err.text, rows[i].says) == NULL)
            fail_msg("%s: \"%s\" does not say \"%s\"", rows[i].item, err.text, rows[i].says);
    }
}

static bool equal_rows(const double *a, const double *b, size_t n)
{
    return sqa_probe_difference(a, b, n) == 0;
}

/* W changes after every third step, and equally when the steps are run again. */
static void test_redraw(void **state)
{
    enum { M = 6, W = 4, STEPS = 6 };
    static const struct sqa_signature task = {.kind = SQA_CLASSIFY, .classes = 3, .length = L, .channels = 2};
    double first[STEPS][M * W], w[M * W], before[M * W];

    (void)state;
    for (int again = 0; again < 2; again++) {
        struct sqa_err err = {0};
        struct sqa_model *m;
        struct sqa_store store;
        struct sqa_graph g;
        struct sqa_memory memory = {0};
        struct sqa_plan *plan;
        const struct sqa_entry *e;

        CHECK(sqa_model_parse("performer:features=6,redraw=3,dim=8,heads=2,layers=1", &m, &err), err, "parse");
        sqa_store_init(&store, SQA_F32, 9);
        sqa_graph_init(&g, SQA_F32, true);
        CHECK(sqa_model_graph(m, &task, &store, SQA_MODE_TRAIN, B, L, &g, &err), err, "graph");
        CHECK(sqa_store_seal(&store, true, &err), err, "seal");
        CHECK(sqa_plan_make(&g, &memory, 1, &plan, &err), err, "plan");
        e = sqa_store_find(&store, "blocks.0.mixer.features");
        assert_non_null(e);
        assert_int_equal(e->kind, SQA_STATE);
        for (int step = 0; step < STEPS; step++) {
            float *x = sqa_plan_input(plan, "x", NULL);
            int32_t *labels = sqa_plan_input(plan, "labels", NULL);

            for (int i = 0; i < B * L * 2; i++)
                x[i] = 0.1f * (float)i;
            labels[0] = labels[1] = 1;
            sqa_entry_get(&store, e, before);
            CHECK(sqa_plan_run(plan, 9, (uint64_t)step, NULL, NULL, &err), err, "run");
            sqa_entry_get(&store, e, w);
            assert_int_equal(equal_rows(w, before, M * W), (step + 1) % 3 != 0);
            for (int i = 0; i < 3; i++) { /* rows of the first block stay orthogonal */
                double along = 0;

                for (int k = 0; k < W; k++)
                    along += w[i * W + k] * w[(i + 1) * W + k];
                assert_true(fabs(along) < 1e-5);
            }
            if (again)
                assert_true(equal_rows(w, first[step], M * W));
            memcpy(first[step], w, sizeof w);
        }
        sqa_plan_free(plan);
        sqa_memory_clear(&memory);
        sqa_store_clear(&store);
        sqa_model_free(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identities),   cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_padding),      cmocka_unit_test(test_empty_rows),
        cmocka_unit_test(test_causality),    cmocka_unit_test(test_cost),
        cmocka_unit_test(test_threads),      cmocka_unit_test(test_allocation_failures),
        cmocka_unit_test(test_refusals),     cmocka_unit_test(test_redraw),
        cmocka_unit_test(test_holes),        cmocka_unit_test(test_holes_are_refused),
        cmocka_unit_test(test_black_tokens),
    };

    sqa_kernels_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
