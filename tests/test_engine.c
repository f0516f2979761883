/* test_engine.c - planner, gradients, cache of plans, assign, memory against length, allocations */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/random.h"
#include "engine/ops.h"
#include "engine/optim.h"
#include "engine/plan.h"
#include "models/model.h"
#include "tests/bench.h"

#if defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__ || !defined __GLIBC__
#define SANITIZED 1
#endif

/* Every allocation of the process, libraries' included, passes here and is counted while `watching`. */
#ifndef SANITIZED
static volatile int watching;
static long watched, pools;

static void watch(void)
{
    if (watching)
        __atomic_add_fetch(&watched, 1, __ATOMIC_RELAXED);
}

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);
extern void *__libc_memalign(size_t alignment, size_t n);

void *malloc(size_t n)
{
    watch();
    return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    watch();
    return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
    watch();
    return __libc_realloc(p, n);
}

void *aligned_alloc(size_t alignment, size_t n)
{
    watch();
    return __libc_memalign(alignment, n);
}

int posix_memalign(void **p, size_t alignment, size_t n)
{
    watch();
    *p = __libc_memalign(alignment, n);
    return *p ? 0 : 12;
}

void *mmap(void *at, size_t n, int protection, int flags, int fd, off_t offset)
{
    enum {
        POOL = 128 << 20
    }; /* OpenBLAS's work buffer, taken when one more thread is in a product than ever before */
    if (watching && n == POOL)
        __atomic_add_fetch(&pools, 1, __ATOMIC_RELAXED);
    else
        watch();
    return (void *)syscall(SYS_mmap, at, n, protection, flags, fd, offset);
}
#endif

static void assert_sentence(const char *text, const char *part)
{
    if (!strstr(text, part) || !strstr(text, "; "))
        fail_msg("'%s' and an advice are not in '%s'", part, text);
}

/* A graph with its store, made into a plan of its own. */
struct lab {
    struct sqa_store store;
    struct sqa_graph g;
    struct sqa_memory memory;
    struct sqa_plan *plan;
};

static void open_lab(struct lab *l)
{
    *l = (struct lab){0};
    sqa_store_init(&l->store, SQA_F64, 1);
    sqa_graph_init(&l->g, SQA_F64, false);
}

static void close_lab(struct lab *l)
{
    if (l->plan)
        sqa_plan_free(l->plan);
    else
        sqa_graph_clear(&l->g);
    sqa_memory_clear(&l->memory);
    sqa_store_clear(&l->store);
}

static struct sqa_entry *entry(struct lab *l, const char *name, enum sqa_entry_kind kind, int64_t n)
{
    const struct sqa_init init = {.kind = SQA_INIT_NORMAL, .a = 0, .b = 1};
    struct sqa_entry *e = sqa_store_declare(&l->store, name, kind, SQA_GROUP_REGULAR, 1, &n, init, &failure);
    if (!e)
        fail_msg("%s", failure.text);
    return e;
}

static void make(struct lab *l)
{
    if (l->g.status != SQA_OK)
        fail_msg("%s", l->g.err.text);
    if (!l->store.sealed)
        OK(sqa_store_seal(&l->store, true, &failure));
    OK(sqa_plan_make(&l->g, &l->memory, 1, &l->plan, &failure));
    l->plan->poison = true;
}

static const double *output(struct sqa_plan *p, const char *name)
{
    const struct sqa_tensor *t;
    const double *out = sqa_plan_output(p, name, &t);
    if (!out)
        fail_msg("no output '%s'", name);
    return out;
}

/* Planner: models */

static const struct sqa_signature series = {
    .kind = SQA_FORECAST, .length = 20, .channels = 3, .outputs = 2, .horizon = 5, .season = 4};

/* Planner: graphs made at random */

enum { SIDE = 6, CELLS = SIDE * SIDE, NODES = 40, LAST = 3 };

static struct sqa_tensor *random_node(struct sqa_graph *g, struct sqa_tensor *const *have, int n, uint64_t key)
{
    const uint64_t kind = sqa_random_below(key, 0, 14);
    struct sqa_tensor *a = have[sqa_random_below(key, 1, (uint64_t)n)];
    struct sqa_tensor *b = have[sqa_random_below(key, 2, (uint64_t)n)];
    const int axis = (int)sqa_random_below(key, 3, 2);
    switch (kind) {
    case 0:
        return sqa_unary(g, SQA_UNARY_TANH, a);
    case 1:
        return sqa_unary(g, SQA_UNARY_SIGMOID, a);
    case 2:
        return sqa_add(g, a, b);
    case 3:
        return sqa_unary(g, SQA_UNARY_TANH, sqa_mul(g, a, b));
    case 4:
        return sqa_affine(g, 0.5, a, 0.1);
    case 5:
        return sqa_softmax(g, a);
    case 6:
        return sqa_transpose(g, a, 0, 1);
    case 7:
        return sqa_pad(g, sqa_slice(g, a, axis, 2, SIDE - 2), axis, 1, 1);
    case 8:
        return sqa_reverse(g, a, axis);
    case 9:
        return sqa_unary(g, SQA_UNARY_SIN, sqa_cumsum(g, a, axis));
    case 10:
        return sqa_broadcast(g, sqa_mean(g, a, 1u << axis, true), SQA_DIMS(SIDE, SIDE));
    case 11:
        return sqa_reshape(g, sqa_reshape(g, a, SQA_DIMS(4, -1)), SQA_DIMS(SIDE, SIDE));
    case 12:
        return sqa_unary(g, SQA_UNARY_TANH, sqa_matmul(g, a, b, axis, !axis));
    default:
        return sqa_sub(g, sqa_square(g, sqa_unary(g, SQA_UNARY_COS, a)), a);
    }
}

/* keep: every node is an output, so that no buffer is used twice. Gives the last nodes, the loss and the gradients.
 */
static void random_graph(uint64_t key, bool keep, double *out)
{
    struct lab l;
    struct sqa_tensor *have[NODES], *all = NULL, *wrt[2], *grad[2];
    char name[16];
    open_lab(&l);
    struct sqa_entry *e[2] = {entry(&l, "a", SQA_PARAMETER, CELLS), entry(&l, "b", SQA_PARAMETER, CELLS)};
    for (int i = 0; i < 2; i++)
        have[i] = sqa_reshape(&l.g, wrt[i] = sqa_value(&l.g, e[i]), SQA_DIMS(SIDE, SIDE));
    have[2] = sqa_input(&l.g, "x", SQA_F64, SQA_DIMS(SIDE, SIDE));
    for (int i = 3; i < NODES; i++)
        have[i] = random_node(&l.g, have, i, sqa_random_mix(key, (uint64_t)i));
    for (int i = NODES - LAST; i < NODES; i++)
        all = all ? sqa_add(&l.g, all, have[i]) : have[i];
    struct sqa_tensor *loss = sqa_mean(&l.g, sqa_square(&l.g, all), 3u, false);
    sqa_gradients(&l.g, loss, wrt, 2, grad);
    for (int i = 0; i < 2; i++)
        sqa_output(&l.g, grad[i] = grad[i] ? grad[i] : sqa_fill(&l.g, 0, SQA_DIMS(CELLS)), i ? "gb" : "ga");
    for (int i = keep ? 3 : NODES - LAST; i < NODES; i++) {
        snprintf(name, sizeof name, "n%d", i);
        if (have[i]->buffer->kind == SQA_BUFFER_ARENA && !have[i]->keep)
            sqa_output(&l.g, have[i], name);
    }
    for (struct sqa_node *n = l.g.first; keep && n; n = n->next)
        for (int i = 0; i < n->nout; i++)
            n->out[i]->keep = true;
    make(&l);
    feed(l.plan, "x", sqa_random_mix(key, 1000));
    l.plan->poison = !keep;
    OK(sqa_plan_run(l.plan, 1, 1, NULL, NULL, &failure));
    memcpy(out, output(l.plan, "ga"), CELLS * sizeof *out);
    memcpy(out + CELLS, output(l.plan, "gb"), CELLS * sizeof *out);
    for (int i = NODES - LAST, k = 0; i < NODES; i++, k++) {
        const struct sqa_tensor *t;
        snprintf(name, sizeof name, "n%d", i);
        const double *from = sqa_plan_output(l.plan, name, &t);
        for (int64_t r = 0; r < SIDE; r++)
            for (int64_t c = 0; c < SIDE; c++)
                out[(2 + k) * CELLS + r * SIDE + c] = from ? from[r * t->stride[0] + c * t->stride[1]] : 0;
    }
    close_lab(&l);
}

static void random_graphs_do_not_depend_on_the_plan(void **state)
{
    static double a[(2 + LAST) * CELLS], b[(2 + LAST) * CELLS];
    (void)state;
    for (uint64_t key = 0; key < 300; key++) {
        random_graph(key, true, a);
        random_graph(key, false, b);
        for (size_t i = 0; i < COUNT(a); i++)
            if (memcmp(&a[i], &b[i], sizeof *a) != 0 || !isfinite(a[i]))
                fail_msg("graph %llu: number %zu is %.17g with buffers of its own, %.17g planned",
                         (unsigned long long)key, i, a[i], b[i]);
    }
}

static void in_place_spares_what_is_read_again(void **state)
{
    enum { N = 5 };
    struct lab l;
    (void)state;
    open_lab(&l);
    struct sqa_tensor *x = sqa_input(&l.g, "x", SQA_F64, SQA_DIMS(N));
    struct sqa_tensor *t = sqa_unary(&l.g, SQA_UNARY_TANH, x);
    struct sqa_tensor *kept = sqa_affine(&l.g, 2, t, 1), *twice = sqa_mul(&l.g, t, t);
    struct sqa_tensor *view = sqa_reshape(&l.g, twice, SQA_DIMS(1, N));
    struct sqa_tensor *e = sqa_unary(&l.g, SQA_UNARY_EXP, kept), *f = sqa_unary(&l.g, SQA_UNARY_EXP, view);
    sqa_output(&l.g, kept, "kept");
    sqa_output(&l.g, sqa_add(&l.g, e, twice), "sum");
    sqa_output(&l.g, f, "f");
    make(&l);
    const double *in = sqa_plan_input(l.plan, "x", NULL);
    double v[N];
    feed(l.plan, "x", 9);
    memcpy(v, in, sizeof v);
    OK(sqa_plan_run(l.plan, 1, 1, NULL, NULL, &failure));
    for (int i = 0; i < N; i++) {
        const double h = tanh(v[i]), k = 2 * h + 1;
        assert_near(output(l.plan, "kept")[i], k, 1e-14, "kept");
        assert_near(output(l.plan, "sum")[i], exp(k) + h * h, 1e-13, "sum");
        assert_near(output(l.plan, "f")[i], exp(h * h), 1e-14, "f");
    }
    close_lab(&l);
}

/* Cache of plans */

static int builds;

static enum sqa_status build_small(void *user, const struct sqa_plan_key *key, struct sqa_graph *g,
                                   struct sqa_err *err)
{
    (void)user;
    builds++;
    if (key->length > 1000000)
        return sqa_fail(err, SQA_UNSUPPORTED, "length %lld: too long; use less", (long long)key->length);
    struct sqa_tensor *x = sqa_input(g, "x", g->real, SQA_DIMS(key->batch, key->length));
    sqa_input(g, "unused", g->real, SQA_DIMS(key->batch));
    struct sqa_tensor *y = sqa_unary(g, key->mode ? SQA_UNARY_SIN : SQA_UNARY_COS, sqa_cumsum(g, x, 1));
    sqa_output(g, sqa_matmul(g, y, x, true, false), "y");
    if (g->status != SQA_OK)
        *err = g->err;
    return g->status;
}

static struct sqa_plan *get(struct sqa_plans *c, int mode, int64_t batch, int64_t length)
{
    struct sqa_plan *p = NULL;
    OK(sqa_plans_get(c, (struct sqa_plan_key){mode, batch, length}, &p, &failure));
    return p;
}

static double result(struct sqa_plan *p)
{
    feed(p, "x", 5);
    OK(sqa_plan_run(p, 1, 1, NULL, NULL, &failure));
    return output(p, "y")[3];
}

static void plans_are_cached_and_share_memory(void **state)
{
    struct sqa_plans c;
    (void)state;
    builds = 0;
    OK(sqa_plans_init(&c, build_small, NULL, SQA_F64, 1, 3, &failure));
    struct sqa_plan *a = get(&c, 0, 2, 8);
    assert_null(sqa_plan_input(a, "unused", NULL));
    assert_null(sqa_plan_input(a, "no such", NULL));
    assert_null(sqa_plan_input(a, "y", NULL));
    assert_null(sqa_plan_output(a, "x", NULL));
    const double before = result(a), size = (double)c.memory.size;
    assert_ptr_equal(get(&c, 0, 2, 8), a);
    assert_int_equal(builds, 1);
    struct sqa_plan *b = get(&c, 1, 2, 8);
    assert_true(b != a);
    const double other = result(b);
    struct sqa_plan *big = get(&c, 0, 2, 300); /* the memory grows: older plans are bound again */
    assert_true((double)c.memory.size > size && c.memory.size >= big->arena_bytes);
    const double of_big = result(big);
    assert_near(result(a), before, 0, "after growth");
    assert_near(result(b), other, 0, "after growth, second plan");
    assert_int_equal(builds, 3);
    get(&c, 0, 2, 8);
    get(&c, 0, 2, 300);
    get(&c, 0, 4, 8); /* a fourth: mode 1 was used least recently */
    assert_int_equal(builds, 4);
    assert_ptr_equal(get(&c, 0, 2, 8), a);
    assert_ptr_equal(get(&c, 0, 2, 300), big);
    assert_int_equal(builds, 4);
    assert_near(result(get(&c, 1, 2, 8)), other, 0, "built again");
    assert_int_equal(builds, 5);
    assert_near(result(get(&c, 0, 2, 300)), of_big, 0, "kept");
    sqa_plans_clear(&c);
}

static void other_rows_are_refused(void **state)
{
    struct sqa_plans c;
    (void)state;
    OK(sqa_plans_init(&c, build_small, NULL, SQA_F64, 1, 2, &failure));
    struct sqa_plan *a = get(&c, 0, 4, 8);
    feed(a, "x", 5);
    OK(sqa_plan_run(a, 1, 1, &(struct sqa_extents){.rows = 4}, NULL, &failure));
    for (int64_t rows = 0; rows < 7; rows++) {
        struct sqa_err err = {0};
        if (rows == 4)
            continue;
        assert_int_equal(sqa_plan_run(a, 1, 1, &(struct sqa_extents){.rows = rows}, NULL, &err), SQA_UNSUPPORTED);
        assert_sentence(err.text, "made for 4 rows");
    }
    struct sqa_plan *p = a;
    struct sqa_err err = {0};
    assert_int_equal(sqa_plans_get(&c, (struct sqa_plan_key){0, 1, 2000000}, &p, &err), SQA_UNSUPPORTED);
    assert_sentence(err.text, "too long");
    assert_ptr_equal(get(&c, 0, 4, 8), a);
    sqa_plans_clear(&c);
}

/* Wherever an allocation fails, older plans give what they gave or are refused. */
static void a_cache_survives_failing_allocations(void **state)
{
    struct sqa_plans c;
    enum sqa_status status = SQA_NOMEM;
    (void)state;
    OK(sqa_plans_init(&c, build_small, NULL, SQA_F64, 1, 2, &failure));
    const double before = result(get(&c, 0, 2, 8));
    int64_t length = 100;
    for (long n = 1; status != SQA_OK; n++, length += 50) {
        struct sqa_plan *p = NULL;
        struct sqa_err err = {0};
        assert_true(n < 200);
        sqa_alloc_fail_at(n);
        status = sqa_plans_get(&c, (struct sqa_plan_key){1, 2, length}, &p, &err);
        sqa_alloc_fail_at(0);
        if (status != SQA_OK) {
            assert_int_equal(status, SQA_NOMEM);
            assert_sentence(err.text, "");
        }
        assert_near(result(get(&c, 0, 2, 8)), before, 0, "after a failure");
    }
    sqa_plans_clear(&c);
}

/* Both operands are one number along the last axis: neither lies there as a row. */
static void two_broadcast_operands_are_read_right(void **state)
{
    enum { R = 3, C = 50 };
    static const enum sqa_binary ops[] = {SQA_BINARY_ADD, SQA_BINARY_SUB, SQA_BINARY_MUL, SQA_BINARY_DIV,
                                          SQA_BINARY_MAX};
    (void)state;
    for (size_t k = 0; k < COUNT(ops); k++) {
        struct lab l;
        open_lab(&l);
        struct sqa_tensor *a = sqa_input(&l.g, "a", SQA_F64, SQA_DIMS(R, 1));
        struct sqa_tensor *b = sqa_input(&l.g, "b", SQA_F64, SQA_DIMS(R, 1));
        sqa_output(
            &l.g,
            sqa_binary(&l.g, ops[k], sqa_broadcast(&l.g, a, SQA_DIMS(R, C)), sqa_broadcast(&l.g, b, SQA_DIMS(R, C))),
            "y");
        make(&l);
        double x[2][R];
        feed(l.plan, "a", 1);
        feed(l.plan, "b", 2);
        memcpy(x[0], sqa_plan_input(l.plan, "a", NULL), sizeof x[0]);
        memcpy(x[1], sqa_plan_input(l.plan, "b", NULL), sizeof x[1]);
        OK(sqa_plan_run(l.plan, 1, 1, NULL, NULL, &failure));
        for (int i = 0; i < R * C; i++) {
            const double u = x[0][i / C], v = x[1][i / C];
            const double want[] = {u + v, u - v, u * v, u / v, fmax(u, v)};
            if (!(fabs(output(l.plan, "y")[i] - want[k]) <= 1e-14))
                fail_msg("binary op %zu: number %d is %.17g, want %.17g", k, i, output(l.plan, "y")[i], want[k]);
        }
        close_lab(&l);
    }
}

/* Gradients */

static void a_parameter_used_twice_gets_the_sum(void **state)
{
    enum { N = 4 };
    struct lab l;
    double w[N], a[N];
    (void)state;
    open_lab(&l);
    struct sqa_entry *e = entry(&l, "w", SQA_PARAMETER, N), *idle = entry(&l, "idle", SQA_PARAMETER, N);
    struct sqa_tensor *x = sqa_input(&l.g, "a", SQA_F64, SQA_DIMS(N));
    struct sqa_tensor *first = sqa_mul(&l.g, sqa_value(&l.g, e), x);
    struct sqa_tensor *second = sqa_square(&l.g, sqa_value(&l.g, e));
    struct sqa_tensor *loss = sqa_sum(&l.g, sqa_add(&l.g, first, second), 1u, false);
    sqa_value(&l.g, idle);
    sqa_output(&l.g, loss, "loss");
    sqa_backward(&l.g, loss, &l.store);
    make(&l);
    sqa_entry_get(&l.store, e, w);
    feed(l.plan, "a", 4);
    memcpy(a, sqa_plan_input(l.plan, "a", NULL), sizeof a);
    memset(l.store.gradients, 0xff, (size_t)l.store.parameter_block * sizeof(double));
    OK(sqa_plan_run(l.plan, 1, 1, NULL, NULL, &failure));
    for (int i = 0; i < N; i++) {
        assert_near(((double *)e->gradient)[i], a[i] + 2 * w[i], 1e-14, "sum of both uses");
        assert_near(((double *)idle->gradient)[i], 0, 0, "gradient of an idle parameter");
    }
    close_lab(&l);
}

/* loss = sum(a + b): both gradients are one tensor, and each entry must get its own copy. */
static void equal_gradients_land_in_both_entries(void **state)
{
    struct lab l;
    (void)state;
    open_lab(&l);
    struct sqa_entry *a = entry(&l, "a", SQA_PARAMETER, 5), *b = entry(&l, "b", SQA_PARAMETER, 5);
    struct sqa_entry *hidden = entry(&l, "hidden", SQA_PARAMETER, 5);
    struct sqa_tensor *sum = sqa_add(&l.g, sqa_value(&l.g, a), sqa_value(&l.g, b));
    struct sqa_tensor *loss = sqa_sum(&l.g, sqa_unary(&l.g, SQA_UNARY_TANH, sum), 1u, false);
    sqa_output(&l.g, loss, "loss");
    sqa_backward(&l.g, loss, &l.store);
    make(&l);
    memset(l.store.gradients, 0xff, (size_t)l.store.parameter_block * sizeof(double));
    OK(sqa_plan_run(l.plan, 1, 1, NULL, NULL, &failure));
    for (int i = 0; i < 5; i++) {
        const double t = tanh(((double *)a->value)[i] + ((double *)b->value)[i]);
        assert_near(((double *)a->gradient)[i], 1 - t * t, 1e-14, "a");
        assert_near(((double *)b->gradient)[i], 1 - t * t, 1e-14, "b");
        assert_near(((double *)hidden->gradient)[i], 0, 0, "a parameter without a leaf");
    }
    close_lab(&l);
}

static void second_derivatives_have_their_closed_form(void **state)
{
    enum { N = 7 };
    struct lab l;
    double v[N];
    (void)state;
    open_lab(&l);
    struct sqa_tensor *x = sqa_input(&l.g, "x", SQA_F64, SQA_DIMS(N)), *first, *second;
    sqa_require_grad(x);
    struct sqa_tensor *f = sqa_mul(&l.g, sqa_unary(&l.g, SQA_UNARY_TANH, x), sqa_square(&l.g, x));
    sqa_gradients(&l.g, sqa_sum(&l.g, f, 1u, false), &x, 1, &first);
    sqa_gradients(&l.g, sqa_sum(&l.g, first, 1u, false), &x, 1, &second);
    sqa_output(&l.g, first, "first");
    sqa_output(&l.g, second, "second");
    make(&l);
    feed(l.plan, "x", 8);
    memcpy(v, sqa_plan_input(l.plan, "x", NULL), sizeof v);
    OK(sqa_plan_run(l.plan, 1, 1, NULL, NULL, &failure));
    for (int i = 0; i < N; i++) {
        const double t = tanh(v[i]), d = 1 - t * t, dd = -2 * t * d;
        assert_near(output(l.plan, "first")[i], d * v[i] * v[i] + 2 * t * v[i], 1e-13, "first derivative");
        assert_near(output(l.plan, "second")[i], dd * v[i] * v[i] + 4 * d * v[i] + 2 * t, 1e-13, "second derivative");
    }
    close_lab(&l);
}

static enum sqa_status same_shape(struct sqa_node *n, struct sqa_err *err)
{
    (void)err;
    sqa_set_output(n, 0, n->in[0]->dtype, n->in[0]->rank, n->in[0]->dim);
    return SQA_OK;
}

static void run_nothing(const struct sqa_node *n, const struct sqa_run *r)
{
    (void)n;
    (void)r;
}

static const struct sqa_op flat = {.name = "flat", .help = "for this test", .shape = same_shape, .run = run_nothing};

static void an_op_without_derivative_is_refused(void **state)
{
    struct lab l;
    (void)state;
    open_lab(&l);
    struct sqa_entry *e = entry(&l, "w", SQA_PARAMETER, 4);
    struct sqa_tensor *w = sqa_value(&l.g, e), *x = sqa_input(&l.g, "x", SQA_F64, SQA_DIMS(4)), *grad;
    const size_t mark = sqa_scope_push(&l.g, "blocks.%d", 3);
    struct sqa_tensor *y = sqa_mul(&l.g, sqa_apply(&l.g, &flat, NULL, 0, 1, &x), w); /* beside the path: allowed */
    sqa_gradients(&l.g, sqa_sum(&l.g, y, 1u, false), &w, 1, &grad);
    assert_int_equal(l.g.status, SQA_OK);
    assert_non_null(grad);
    y = sqa_apply(&l.g, &flat, NULL, 0, 1, &w);
    sqa_scope_pop(&l.g, mark);
    sqa_gradients(&l.g, sqa_sum(&l.g, y, 1u, false), &w, 1, &grad);
    assert_null(grad);
    assert_int_equal(l.g.status, SQA_UNSUPPORTED);
    assert_sentence(l.g.err.text, "flat at blocks.3.flat");
    assert_null(sqa_add(&l.g, w, w)); /* sticky */
    struct sqa_plan *p = NULL;
    struct sqa_err err = {0};
    assert_int_equal(sqa_plan_make(&l.g, &l.memory, 1, &p, &err), SQA_UNSUPPORTED);
    assert_string_equal(err.text, l.g.err.text);
    close_lab(&l);

    open_lab(&l); /* attention has a fused backward, which has no derivative */
    struct sqa_tensor *q = sqa_input(&l.g, "q", SQA_F64, SQA_DIMS(1, 3, 1, 2));
    sqa_require_grad(q);
    y = sqa_attention(&l.g, q, q, q, NULL, (struct sqa_attention_spec){.scale = 1});
    sqa_gradients(&l.g, sqa_sum(&l.g, y, 15u, false), &q, 1, &grad);
    assert_int_equal(l.g.status, SQA_OK);
    sqa_gradients(&l.g, sqa_sum(&l.g, sqa_square(&l.g, grad), 15u, false), &q, 1, &grad);
    assert_int_equal(l.g.status, SQA_UNSUPPORTED);
    assert_sentence(l.g.err.text, "has no derivative");
    close_lab(&l);

    open_lab(&l);
    w = sqa_input(&l.g, "w", SQA_F64, SQA_DIMS(2, 3));
    sqa_require_grad(w);
    sqa_gradients(&l.g, w, &w, 1, &grad);
    assert_int_equal(l.g.status, SQA_SHAPE);
    assert_sentence(l.g.err.text, "the loss is (2, 3)");
    close_lab(&l);
}

/* Assign */

static void assign_runs_after_all_reads(void **state)
{
    struct lab l;
    double before[4], other[4];
    (void)state;
    open_lab(&l);
    struct sqa_entry *s = entry(&l, "s", SQA_STATE, 4);
    struct sqa_entry *a = entry(&l, "a", SQA_STATE, 4), *b = entry(&l, "b", SQA_STATE, 4);
    struct sqa_tensor *v = sqa_value(&l.g, s);
    sqa_assign(&l.g, s, sqa_affine(&l.g, 1, v, 1));
    sqa_assign(&l.g, a, sqa_value(&l.g, b)); /* a swap: the second still reads the old a */
    sqa_assign(&l.g, b, sqa_reshape(&l.g, sqa_value(&l.g, a), SQA_DIMS(2, 2)));
    sqa_output(&l.g, sqa_affine(&l.g, 2, v, 0), "late"); /* built after the assign, reads the old value */
    make(&l);
    sqa_entry_get(&l.store, a, before);
    sqa_entry_get(&l.store, b, other);
    for (int run = 0; run < 3; run++) {
        double old[4], now[4];
        sqa_entry_get(&l.store, s, old);
        OK(sqa_plan_run(l.plan, 1, (uint64_t)run, NULL, NULL, &failure));
        sqa_entry_get(&l.store, s, now);
        for (int i = 0; i < 4; i++) {
            assert_near(output(l.plan, "late")[i], 2 * old[i], 0, "read of a state");
            assert_near(now[i], old[i] + 1, 0, "state after the run");
        }
        sqa_entry_get(&l.store, run % 2 ? a : b, now);
        for (int i = 0; i < 4; i++)
            assert_near(now[i], before[i], 0, "swapped");
        sqa_entry_get(&l.store, run % 2 ? b : a, now);
        for (int i = 0; i < 4; i++)
            assert_near(now[i], other[i], 0, "swapped");
    }
    close_lab(&l);
    open_lab(&l);
    s = entry(&l, "s", SQA_STATE, 4);
    sqa_assign(&l.g, s, sqa_fill(&l.g, 1, SQA_DIMS(5)));
    assert_int_equal(l.g.status, SQA_SHAPE);
    close_lab(&l);
}

/* Memory against length */

static void planned_memory_is_linear_in_length(void **state)
{
    struct sqa_signature task = {.kind = SQA_CLASSIFY, .vocab = 32, .classes = 10};
    size_t last = 0;
    (void)state;
    for (int64_t length = 512; length <= 4096; length *= 2) {
        struct bench b;
        task.length = length;
        open_bench(&b, "transformer", &task, SQA_MODE_TRAIN, 1, SQA_F32, SQA_RECOMPUTE_OFF, 2);
        const size_t bytes = b.plan->arena_bytes;
        close_bench(&b);
        const double ratio = last ? (double)bytes / (double)last : 2;
        if (ratio < 1.8 || ratio > 2.2)
            fail_msg("length %lld: %zu bytes, %zu at half of it: ratio %.3f", (long long)length, bytes, last, ratio);
        last = bytes;
    }
}

/* Allocations */

static void steps_after_the_first_allocate_nothing(void **state)
{
#ifdef SANITIZED
    (void)state;
    print_message("skipped: allocations belong to the sanitizer here\n");
    skip();
#else
    static const char *const models[] = {"transformer:layers=1",
                                         "local:window=16,layers=1",
                                         "linformer:rank=16,layers=1",
                                         "linear_transformer:layers=1",
                                         "performer:redraw=1,layers=1",
                                         "s4d:layers=1",
                                         "dlinear"};
    static const struct sqa_signature task = {.kind = SQA_CLASSIFY, .vocab = 32, .classes = 10, .length = 96};
    const struct sqa_optim optim = {
        .kind = SQA_OPTIM_ADAMW, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .decay = 0.01, .clip = 1, .rate = 1e-3};
    (void)state;
    for (size_t i = 0; i < COUNT(models); i++)
        for (int threads = 1; threads <= 2; threads++) {
            const struct sqa_signature *t = strcmp(models[i], "dlinear") == 0 ? &series : &task;
            struct bench b;
            open_bench(&b, models[i], t, SQA_MODE_TRAIN, 4, SQA_F32, SQA_RECOMPUTE_OFF, threads);
            for (int step = 1; step <= 3; step++) {
                feed_batch(b.plan, t);
                watching = step > 1;
                const enum sqa_status status = sqa_plan_run(b.plan, 1, (uint64_t)step, NULL, NULL, &failure);
                const double norm = sqa_optim_step(&optim, &b.store, step, 1, 0, threads);
                watching = 0;
                OK(status);
                assert_true(isfinite(norm) && norm > 0);
            }
            close_bench(&b);
            if (watched || pools > 1)
                fail_msg("%s, %d threads: %ld allocations in 2 steps, %ld work buffers of OpenBLAS", models[i],
                         threads, watched, pools);
        }
    watching = 1;
    void *volatile seen = malloc(10);
    watching = 0;
    free(seen);
    assert_int_equal(watched, 1); /* the counter does count */
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_graphs_do_not_depend_on_the_plan),
        cmocka_unit_test(two_broadcast_operands_are_read_right),
        cmocka_unit_test(in_place_spares_what_is_read_again),
        cmocka_unit_test(plans_are_cached_and_share_memory),
        cmocka_unit_test(other_rows_are_refused),
        cmocka_unit_test(a_cache_survives_failing_allocations),
        cmocka_unit_test(a_parameter_used_twice_gets_the_sum),
        cmocka_unit_test(equal_gradients_land_in_both_entries),
        cmocka_unit_test(second_derivatives_have_their_closed_form),
        cmocka_unit_test(an_op_without_derivative_is_refused),
        cmocka_unit_test(assign_runs_after_all_reads),
        cmocka_unit_test(planned_memory_is_linear_in_length),
        cmocka_unit_test(steps_after_the_first_allocate_nothing),
    };
    sqa_kernels_init();
    return cmocka_run_group_tests_name("engine", tests, NULL, NULL);
}
