/* gradcheck.c - see gradcheck.h */
#include "engine/gradcheck.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "engine/ops.h"
#include "engine/plan.h"

/* Five-point differences: errors of order h^4 and of rounding / h. */
static const double H = 2e-4;

enum { COORDINATES = 6, DIRECTIONS = 4, NAME = 32 };
static const char *const loss_name = "gradcheck.loss", *const weight_name = "gradcheck.weight";

/* f = sum of y times fixed random weights */
static struct sqa_tensor *contract(struct sqa_graph *g, struct sqa_tensor *y)
{
    struct sqa_tensor *w, *f;

    if (g->status != SQA_OK)
        return NULL;
    if (y == NULL || !sqa_is_real(y))
        return sqa_graph_fail(g, SQA_SHAPE, "gradcheck: build gave no real tensor; return one");
    w = sqa_input(g, weight_name, g->real, y->rank, y->dim);
    f = sqa_mul(g, y, w);
    f = f == NULL ? NULL : sqa_sum(g, f, (1u << f->rank) - 1, false);
    sqa_output(g, f = sqa_affine(g, 1, f, 0), loss_name);
    return f;
}

/* An input that nothing reads has no place in the plan. */
static void *place_of(struct sqa_plan *p, const char *name, const struct sqa_tensor **t)
{
    void *to = sqa_plan_input(p, name, t);

    return to == NULL || (*t)->buffer->last < 0 ? NULL : to;
}

static enum sqa_status run_plan(struct sqa_plan *p, uint64_t seed, double *f, struct sqa_err *err)
{
    const struct sqa_tensor *t;
    double *w = place_of(p, weight_name, &t);
    const uint64_t key = sqa_random_key(seed, 0, weight_name);
    enum sqa_status status;

    for (int64_t i = 0; w != NULL && i < sqa_numel(t); i++)
        w[i] = sqa_random_normal(key, (uint64_t)i);
    status = sqa_plan_run(p, seed, 1, NULL, NULL, err);
    if (status == SQA_OK)
        memcpy(f, sqa_plan_output(p, loss_name, NULL), sizeof *f);
    return status;
}

static double error_of(double analytic, double numeric, double largest, double f)
{
    const double floor = fmax(0.01 * largest, 1e-4 * fmax(1, fabs(f)));
    const double error = fabs(analytic - numeric) / fmax(fmax(fabs(analytic), fabs(numeric)), floor);

    return isnan(error) ? (double)INFINITY : error;
}

/* Evaluates f at x + step v; what x and v are is the caller's. */
typedef enum sqa_status evaluate_fn(void *ctx, double step, double *f, struct sqa_err *err);

static enum sqa_status difference(evaluate_fn *evaluate, void *ctx, double *slope, struct sqa_err *err)
{
    static const struct {
        double step, weight;
    } points[] = {{-2, 1}, {-1, -8}, {1, 8}, {2, -1}};

    *slope = 0;
    for (int i = 0; i < 4; i++) {
        double f;
        const enum sqa_status status = evaluate(ctx, points[i].step * H, &f, err);

        if (status != SQA_OK)
            return status;
        *slope += points[i].weight * f / (12 * H);
    }
    return SQA_OK;
}

/* Inputs */

struct check {
    sqa_gradcheck_build_fn *build;
    void *user;
    int n;
    const struct sqa_gradcheck_input *input;
    uint64_t seed;
    struct sqa_memory memory;
    struct sqa_plan *both, *forward; /* with gradients, and f alone */
    int64_t count[SQA_MAX_INPUTS];
    double *x[SQA_MAX_INPUTS], *v[SQA_MAX_INPUTS], *gradient[SQA_MAX_INPUTS]; /* NULL: not differentiated */
    struct sqa_arena arena;
};

static bool wanted(const struct sqa_gradcheck_input *in)
{
    return in->dtype != SQA_I32 && !in->fixed;
}

static void name_of(char name[NAME], const char *what, int i)
{
    (void)snprintf(name, NAME, "gradcheck.%s%d", what, i);
}

static enum sqa_status make(struct check *c, bool gradients, struct sqa_plan **plan, struct sqa_err *err)
{
    struct sqa_tensor *in[SQA_MAX_INPUTS], *wrt[SQA_MAX_INPUTS] = {0}, *dx[SQA_MAX_INPUTS], *f;
    struct sqa_graph g;
    char name[NAME];

    sqa_graph_init(&g, SQA_F64, true);
    for (int i = 0; i < c->n; i++) {
        name_of(name, "x", i);
        in[i] =
            sqa_input(&g, name, c->input[i].dtype == SQA_I32 ? SQA_I32 : SQA_F64, c->input[i].rank, c->input[i].dim);
        if (wanted(&c->input[i]))
            sqa_require_grad(wrt[i] = in[i]);
    }
    f = contract(&g, c->build(c->user, &g, in));
    if (gradients)
        sqa_gradients(&g, f, wrt, (size_t)c->n, dx);
    for (int i = 0; i < c->n && gradients && g.status == SQA_OK; i++) {
        name_of(name, "g", i);
        if (dx[i] != NULL) /* a copy: the same tensor may be the gradient of two inputs */
            sqa_output(&g, sqa_affine(&g, 1, dx[i], 0), name);
    }
    return sqa_plan_make(&g, &c->memory, 1, plan, err);
}

static enum sqa_status values(struct check *c, struct sqa_err *err)
{
    char name[NAME];

    for (int i = 0; i < c->n; i++) {
        const struct sqa_gradcheck_input *in = &c->input[i];
        uint64_t key;

        name_of(name, "x", i);
        key = sqa_random_key(c->seed, 0, name);
        c->count[i] = 1;
        for (int d = 0; d < in->rank; d++)
            c->count[i] *= in->dim[d];
        c->x[i] = sqa_arena_alloc(&c->arena, (size_t)(c->count[i] + 1) * sizeof(double));
        c->v[i] = sqa_arena_alloc(&c->arena, (size_t)(c->count[i] + 1) * sizeof(double));
        c->gradient[i] = sqa_arena_alloc(&c->arena, (size_t)(c->count[i] + 1) * sizeof(double));
        if (c->x[i] == NULL || c->v[i] == NULL || c->gradient[i] == NULL)
            return sqa_fail(err, SQA_NOMEM, "gradcheck: no memory; free some memory and run again");
        for (int64_t k = 0; k < c->count[i]; k++) {
            const double u = sqa_random_uniform(key, (uint64_t)k);

            if (in->dtype == SQA_I32)
                c->x[i][k] = in->values != NULL ? (double)in->values[k] : floor(in->low + u * (in->high - in->low));
            else
                c->x[i][k] =
                    in->low < in->high ? in->low + u * (in->high - in->low) : sqa_random_normal(key, (uint64_t)k);
        }
    }
    return SQA_OK;
}

static enum sqa_status run_at(struct check *c, struct sqa_plan *p, double step, double *f, struct sqa_err *err)
{
    char name[NAME];

    for (int i = 0; i < c->n; i++) {
        const struct sqa_tensor *t;
        void *to;

        name_of(name, "x", i);
        to = place_of(p, name, &t);
        for (int64_t k = 0; to != NULL && k < c->count[i]; k++) {
            if (t->dtype == SQA_I32)
                ((int32_t *)to)[k] = (int32_t)c->x[i][k];
            else
                ((double *)to)[k] = c->x[i][k] + step * c->v[i][k];
        }
    }
    return run_plan(p, c->seed, f, err);
}

static enum sqa_status evaluate_inputs(void *ctx, double step, double *f, struct sqa_err *err)
{
    struct check *c = ctx;

    return run_at(c, c->forward, step, f, err);
}

static double read_gradients(struct check *c)
{
    double largest = 0;
    char name[NAME];

    for (int i = 0; i < c->n; i++) {
        const struct sqa_tensor *t;
        const double *from;

        name_of(name, "g", i);
        from = sqa_plan_output(c->both, name, &t);
        for (int64_t k = 0; from != NULL && k < c->count[i]; k++) {
            c->gradient[i][k] = from[k];
            largest = fmax(largest, fabs(from[k]));
        }
    }
    return largest;
}

/* Compares along c->v. */
static enum sqa_status compare(struct check *c, double largest, double f, double *worst, struct sqa_err *err)
{
    double analytic = 0, numeric;
    enum sqa_status status;

    for (int i = 0; i < c->n; i++)
        for (int64_t k = 0; k < c->count[i]; k++)
            analytic += c->gradient[i][k] * c->v[i][k];
    status = difference(evaluate_inputs, c, &numeric, err);
    if (status == SQA_OK)
        *worst = fmax(*worst, error_of(analytic, numeric, largest, f));
    return status;
}

static void direction(struct check *c, uint64_t number)
{
    double norm = 0;
    uint64_t at = 0;

    for (int i = 0; i < c->n; i++) {
        for (int64_t k = 0; k < c->count[i] && wanted(&c->input[i]); k++) {
            c->v[i][k] = sqa_random_normal(sqa_random_mix(c->seed, number), at++);
            norm += c->v[i][k] * c->v[i][k];
        }
    }
    for (int i = 0; i < c->n; i++)
        for (int64_t k = 0; k < c->count[i]; k++)
            c->v[i][k] /= norm > 0 ? sqrt(norm) : 1;
}

static enum sqa_status coordinates(struct check *c, int i, double largest, double f, double *worst,
                                   struct sqa_err *err)
{
    const uint64_t key = sqa_random_mix(c->seed, (uint64_t)i + 1000);
    const int64_t n = c->count[i] < COORDINATES ? c->count[i] : COORDINATES;
    enum sqa_status status = SQA_OK;

    for (int64_t k = 0; k < n && status == SQA_OK; k++) {
        const uint64_t at = n < COORDINATES ? (uint64_t)k : sqa_random_below(key, (uint64_t)k, (uint64_t)c->count[i]);

        c->v[i][at] = 1;
        status = compare(c, largest, f, worst, err);
        c->v[i][at] = 0;
    }
    return status;
}

enum sqa_status sqa_gradcheck(sqa_gradcheck_build_fn *build, void *user, int ninputs,
                              const struct sqa_gradcheck_input *inputs, uint64_t seed, double *worst,
                              struct sqa_err *err)
{
    struct check c = {.build = build, .user = user, .n = ninputs, .input = inputs, .seed = seed};
    double largest = 0, f = 0;
    enum sqa_status status = values(&c, err);

    *worst = 0;
    if (status == SQA_OK)
        status = make(&c, true, &c.both, err);
    if (status == SQA_OK)
        status = make(&c, false, &c.forward, err);
    if (status == SQA_OK)
        status = run_at(&c, c.both, 0, &f, err);
    if (status == SQA_OK)
        largest = read_gradients(&c);
    for (int i = 0; i < ninputs && status == SQA_OK; i++)
        if (wanted(&inputs[i]))
            status = coordinates(&c, i, largest, f, worst, err);
    for (uint64_t i = 0; i < DIRECTIONS && status == SQA_OK; i++) {
        direction(&c, i);
        status = compare(&c, largest, f, worst, err);
    }
    sqa_plan_free(c.both);
    sqa_plan_free(c.forward);
    sqa_memory_clear(&c.memory);
    sqa_arena_clear(&c.arena);
    return status;
}

/* Stores */

struct store_check {
    struct sqa_store *s;
    sqa_gradcheck_fill_fn *fill;
    void *user;
    uint64_t seed, number;
    struct sqa_memory memory;
    struct sqa_plan *both, *forward;
    double *x, *state, norm; /* saved values; assign must not change the next run */
};

static double entry_direction(const struct store_check *c, const struct sqa_entry *e, int64_t k)
{
    return sqa_random_normal(sqa_random_key(c->seed, c->number, e->name), (uint64_t)k) / c->norm;
}

static enum sqa_status store_run(struct store_check *c, struct sqa_plan *p, double step, double *f,
                                 struct sqa_err *err)
{
    double *value = c->s->values;
    enum sqa_status status;

    for (const struct sqa_entry *e = c->s->first; e != NULL && step != 0; e = e->next)
        for (int64_t k = 0; k < e->count && e->kind == SQA_PARAMETER; k++)
            value[e->offset + k] = c->x[e->offset + k] + step * entry_direction(c, e, k);
    if (c->fill != NULL)
        c->fill(c->user, p);
    status = run_plan(p, c->seed, f, err);
    memcpy(value, c->x, (size_t)c->s->parameter_block * sizeof *value);
    memcpy(c->s->states, c->state, (size_t)c->s->state_block * sizeof *c->state);
    return status;
}

static enum sqa_status evaluate_store(void *ctx, double step, double *f, struct sqa_err *err)
{
    struct store_check *c = ctx;

    return store_run(c, c->forward, step, f, err);
}

static enum sqa_status store_make(struct store_check *c, sqa_gradcheck_model_fn *build, bool gradients,
                                  struct sqa_plan **plan, struct sqa_err *err)
{
    struct sqa_graph g;
    struct sqa_tensor *f;

    sqa_graph_init(&g, SQA_F64, true);
    f = contract(&g, build(c->user, &g));
    if (gradients)
        sqa_backward(&g, f, c->s);
    return sqa_plan_make(&g, &c->memory, 1, plan, err);
}

static enum sqa_status store_compare(struct store_check *c, double f, double *worst, struct sqa_err *err)
{
    const double *gradient = c->s->gradients;
    double analytic = 0, numeric, norm = 0, largest = 0;
    enum sqa_status status;

    c->norm = 1;
    for (const struct sqa_entry *e = c->s->first; e != NULL; e = e->next) {
        for (int64_t k = 0; k < e->count && e->kind == SQA_PARAMETER; k++) {
            const double v = entry_direction(c, e, k);

            analytic += gradient[e->offset + k] * v;
            norm += v * v;
            largest = fmax(largest, fabs(gradient[e->offset + k]));
        }
    }
    c->norm = norm > 0 ? sqrt(norm) : 1;
    status = difference(evaluate_store, c, &numeric, err);
    if (status == SQA_OK)
        *worst = fmax(*worst, error_of(analytic / c->norm, numeric, largest, f));
    return status;
}

enum sqa_status sqa_gradcheck_store(sqa_gradcheck_model_fn *build, sqa_gradcheck_fill_fn *fill, void *user,
                                    struct sqa_store *s, int directions, uint64_t seed, double *worst,
                                    struct sqa_err *err)
{
    struct store_check c = {.s = s, .fill = fill, .user = user, .seed = seed, .norm = 1};
    enum sqa_status status = SQA_OK;
    double f = 0;

    *worst = 0;
    if (s->real != SQA_F64 || !s->sealed || s->gradients == NULL)
        return sqa_fail(err, SQA_UNSUPPORTED, "gradcheck: the store is not f64, sealed and trainable; make one");
    c.x = sqa_alloc_array((size_t)s->parameter_block + 1, sizeof *c.x);
    c.state = sqa_alloc_array((size_t)s->state_block + 1, sizeof *c.state);
    if (c.x == NULL || c.state == NULL) {
        status = sqa_fail(err, SQA_NOMEM, "gradcheck: no memory; free some memory and run again");
    } else {
        memcpy(c.x, s->values, (size_t)s->parameter_block * sizeof *c.x);
        memcpy(c.state, s->states, (size_t)s->state_block * sizeof *c.state);
    }
    if (status == SQA_OK)
        status = store_make(&c, build, true, &c.both, err);
    if (status == SQA_OK)
        status = store_make(&c, build, false, &c.forward, err);
    if (status == SQA_OK)
        status = store_run(&c, c.both, 0, &f, err);
    for (int i = 0; i < directions && status == SQA_OK; i++) {
        c.number = (uint64_t)i + 1;
        status = store_compare(&c, f, worst, err);
    }
    sqa_plan_free(c.both);
    sqa_plan_free(c.forward);
    sqa_memory_clear(&c.memory);
    sqa_free(c.x);
    sqa_free(c.state);
    return status;
}
