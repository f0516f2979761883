/* summary.c - estimates with intervals, paired differences and verdicts of a pool (see pool.h) */
#include <math.h>
#include <string.h>

#include "base/random.h"
#include "reports/pool.h"
#include "reports/stats.h"

#define LEVEL 0.95
enum { RESAMPLES = 2000 };

/* How the interval of a value is made. */
enum by { SQA_BY_LABELS, SQA_BY_WINDOWS, SQA_BY_SEEDS, SQA_COUNTED, SQA_BY_SAMPLES, SQA_BY_LATENCY };

static const struct value {
    const char *name;
    int column, phase;
    enum by by;
} values[SQA_VALUE_N] = {
#define X(name, column, phase, by) {#name, SQA_CELLS_##column, phase, by},
    SQA_VALUES(X)
#undef X
};

static const struct sqa_estimate nothing = {(double)NAN, (double)NAN, (double)NAN, 0, 0, ""};

const char *sqa_value_name(int value)
{
    return values[value].name;
}

static enum sqa_status no_memory(struct sqa_err *err)
{
    return sqa_fail(err, SQA_NOMEM, "report: no memory for the statistics; free some memory or report fewer runs");
}

static void set_interval(struct sqa_estimate *out, struct sqa_interval interval, const char *method)
{
    if (isnan(interval.low))
        return;
    out->low = interval.low;
    out->high = interval.high;
    out->method = method;
}

/* A cell and, in a paired difference, the cell it is compared with. */
struct pair {
    const struct sqa_pool_cell *a, *b;
};

static size_t intersect(int64_t *index, size_t n, const struct sqa_pool_cell *cell)
{
    size_t kept = 0;
    for (size_t i = 0, j = 0; i < n; i++) {
        while (j < cell->n_examples && cell->examples[j].index < index[i])
            j++;
        if (j < cell->n_examples && cell->examples[j].index == index[i])
            index[kept++] = index[i];
    }
    return kept;
}

static void add_scores(double *d, double sign, const int64_t *index, size_t n, const struct sqa_pool_cell *cell)
{
    for (size_t i = 0, j = 0; i < n; i++) {
        while (cell->examples[j].index < index[i])
            j++;
        d[i] += sign * cell->examples[j].score;
    }
}

/* Where the draws of such a shape are kept: floors have one seed and models several, so two take turns. */
static struct sqa_draws *draws_for(const struct sqa_pool *pool, size_t seeds, size_t examples)
{
    struct sqa_draws *d = pool->draws;
    if (!d || (d[0].seeds == seeds && d[0].examples == examples))
        return d;
    if (d[1].seeds != seeds || d[1].examples != examples) { /* the older one goes */
        const struct sqa_draws last = d[0];
        d[0] = d[1];
        d[1] = last;
        return d;
    }
    return d + 1;
}

/* Mean over pairs and the examples that all of them have; out is left alone when there are none. */
static enum sqa_status crossed(const struct sqa_pool *pool, const struct pair *pairs, size_t n, size_t block,
                               struct sqa_estimate *out, struct sqa_err *err)
{
    size_t common = n ? pairs[0].a->n_examples : 0;
    if (common == 0)
        return SQA_OK;
    int64_t *index = sqa_alloc_array(common, sizeof *index);
    if (!index)
        return no_memory(err);
    for (size_t i = 0; i < common; i++)
        index[i] = pairs[0].a->examples[i].index;
    for (size_t s = 0; s < n; s++) {
        common = intersect(index, common, pairs[s].a);
        if (pairs[s].b)
            common = intersect(index, common, pairs[s].b);
    }
    double *d = common ? sqa_alloc_array(n * common, sizeof *d) : NULL;
    enum sqa_status status = common && !d ? no_memory(err) : SQA_OK;
    for (size_t s = 0; d && s < n; s++) {
        add_scores(d + s * common, 1, index, common, pairs[s].a);
        if (pairs[s].b)
            add_scores(d + s * common, -1, index, common, pairs[s].b);
    }
    if (d) {
        struct sqa_interval interval;
        const uint64_t key = sqa_random_key(1, 0, "report/bootstrap");
        status = sqa_bootstrap_crossed(d, n, common, block, RESAMPLES, key, LEVEL, draws_for(pool, n, common),
                                       &interval, err);
        *out = nothing;
        out->mean = sqa_stats_mean(d, n * common);
        out->n_seeds = n;
        out->n_examples = common;
        set_interval(out, interval, "bootstrap");
    }
    sqa_free(index);
    sqa_free(d);
    return status;
}

static size_t block_of(const struct sqa_pool *pool, const struct sqa_pool_cell *cell)
{
    const double horizon = sqa_pool_number(pool, cell, SQA_PHASE_ANY, SQA_CELLS_horizon);
    return cell->labels || !(horizon >= 1) ? 1 : (size_t)fmin(horizon, 1e6);
}

/* Work arrays with a place for every cell of an entry. */
struct work {
    double *x;
    struct pair *pairs;
    size_t n;
};

/* The cells that have the value. */
static void collect(const struct sqa_pool *pool, const struct sqa_pool_entry *e, const struct value *v,
                    struct work *w)
{
    w->n = 0;
    for (const struct sqa_pool_cell *cell = e->cells; cell; cell = cell->next) {
        const double x = sqa_pool_number(pool, cell, v->phase, v->column);
        if (isnan(x))
            continue;
        w->x[w->n] = x;
        w->pairs[w->n++] = (struct pair){cell, NULL};
    }
}

static bool all_equal(const double *x, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (x[i] != x[0])
            return false;
    return n > 0;
}

/* Smallest test_n of the cells; 0 when unknown. */
static size_t tested(const struct sqa_pool *pool, const struct work *w)
{
    double least = HUGE_VAL;
    for (size_t i = 0; i < w->n; i++) {
        const double n = sqa_pool_number(pool, w->pairs[i].a, SQA_PHASE_ANY, SQA_CELLS_test_n);
        least = isnan(n) ? 0 : fmin(least, n);
    }
    return w->n && least >= 1 && least < 1e15 ? (size_t)least : 0;
}

/* Of a value, or of a difference when v is NULL. Seeds that agree to the last digit (an untrained floor, a model stuck on one
 * class) show no spread to judge by. */
static struct sqa_interval over_seeds(const struct value *v, const struct work *w)
{
    const struct sqa_interval t = sqa_t_interval(w->x, all_equal(w->x, w->n) ? 0 : w->n, LEVEL);
    const bool share = v && (v->column == SQA_CELLS_test_accuracy || v->column == SQA_CELLS_train_accuracy ||
                             v->column == SQA_CELLS_valid_accuracy);

    return share ? sqa_interval_within(t, 0, 1) : t;
}

/* Accuracy and squared error: a bootstrap over all test examples when they are there, else Wilson or t. One label an
 * example and seeds that agree are Wilson's case; so are, on the safe side, tags without a spread or without
 * examples.
 */
static enum sqa_status by_examples(const struct sqa_pool *pool, const struct value *v, const struct work *w,
                                   struct sqa_estimate *out, struct sqa_err *err)
{
    struct sqa_estimate resampled = nothing;
    out->n_examples = tested(pool, w);
    const bool tags = w->pairs[0].a->tags, alike = v->by == SQA_BY_LABELS && all_equal(w->x, w->n);
    enum sqa_status status = SQA_OK;
    if (!alike || tags || !out->n_examples)
        status = crossed(pool, w->pairs, w->n, block_of(pool, w->pairs[0].a), &resampled, err);
    const bool complete = resampled.n_examples && resampled.n_examples == out->n_examples;
    if (alike && out->n_examples && !(complete && resampled.high > resampled.low)) {
        const double n = (double)out->n_examples;
        set_interval(out, sqa_wilson(out->mean * n, n, LEVEL), "Wilson");
        return status;
    }
    const struct sqa_interval t = over_seeds(v, w);
    set_interval(out, complete ? (struct sqa_interval){resampled.low, resampled.high} : t,
                 complete ? "bootstrap" : "t");
    return status;
}

/* All samples of a phase, ascending; *n == 0 when there are none. */
static enum sqa_status pool_samples(const struct sqa_pool_entry *e, int phase, double **x, size_t *n,
                                    struct sqa_err *err)
{
    *n = 0;
    for (const struct sqa_pool_cell *cell = e->cells; cell; cell = cell->next)
        *n += cell->n_ns[phase];
    *x = sqa_alloc_array(*n, sizeof **x);
    if (!*x)
        return no_memory(err);
    size_t done = 0;
    for (const struct sqa_pool_cell *cell = e->cells; cell; cell = cell->next) {
        memcpy(*x + done, cell->ns[phase], cell->n_ns[phase] * sizeof **x);
        done += cell->n_ns[phase];
    }
    sqa_sort_reals(*x, *n);
    return SQA_OK;
}

static enum sqa_status latency(const struct sqa_pool *pool, const struct sqa_pool_entry *e, int phase,
                               const struct work *w, struct sqa_estimate *out, struct sqa_err *err)
{
    double *x;
    size_t n;
    const enum sqa_status status = pool_samples(e, phase, &x, &n, err);
    if (status != SQA_OK)
        return status;
    if (n) {
        out->mean = sqa_quantile(x, n, 0.5);
        out->n_examples = n;
        set_interval(out, sqa_median_interval(x, n, LEVEL), "order");
    } else {
        double samples = 0;
        for (size_t i = 0; i < w->n; i++) {
            const double s = sqa_pool_number(pool, w->pairs[i].a, phase, SQA_CELLS_latency_samples);
            samples += s > 0 && s < 1e12 ? s : 0;
        }
        out->n_examples = (size_t)samples;
    }
    sqa_free(x);
    return SQA_OK;
}

/* Tokens a second follow from the latency; a step's tokens are the same in every cell of an entry. */
static void tokens(const struct sqa_pool *pool, const struct work *w, int phase, const struct sqa_estimate *ns,
                   struct sqa_estimate *out)
{
    const double median = sqa_pool_number(pool, w->pairs[0].a, phase, SQA_CELLS_latency_ns_median);
    const double per_step = w->x[0] * median;
    if (isnan(per_step) || isnan(ns->mean))
        return;
    out->mean = per_step / ns->mean;
    out->n_examples = ns->n_examples;
    if (!isnan(ns->low))
        set_interval(out, (struct sqa_interval){per_step / ns->high, per_step / ns->low}, ns->method);
}

static enum sqa_status estimate(const struct sqa_pool *pool, struct sqa_pool_entry *e, int value, struct work *w,
                                struct sqa_err *err)
{
    const struct value *v = &values[value];
    struct sqa_estimate *out = &e->value[value];
    *out = nothing;
    collect(pool, e, v, w);
    if (w->n == 0)
        return SQA_OK;
    out->mean = all_equal(w->x, w->n) ? w->x[0] : sqa_stats_mean(w->x, w->n);
    out->n_seeds = w->n;
    switch (v->by) {
    case SQA_BY_LABELS:
    case SQA_BY_WINDOWS:
        return by_examples(pool, v, w, out, err);
    case SQA_BY_SAMPLES:
        return latency(pool, e, v->phase, w, out, err);
    case SQA_BY_LATENCY:
        tokens(pool, w, v->phase, &e->value[value - 1], out); /* SQA_VALUES lists latency just before */
        return SQA_OK;
    case SQA_COUNTED:
        if (all_equal(w->x, w->n)) {
            set_interval(out, (struct sqa_interval){w->x[0], w->x[0]}, "counted");
            return SQA_OK;
        }
        break;
    case SQA_BY_SEEDS:
        break;
    }
    if (v->column == SQA_CELLS_test_mae || v->column == SQA_CELLS_test_loss)
        out->n_examples = tested(pool, w);
    set_interval(out, over_seeds(v, w), "t");
    return SQA_OK;
}

static bool higher_is_better(int metric)
{
    return metric == SQA_VALUE_test_accuracy;
}

/* The cell of b to stand against a cell of a: the same seed; a floor is not trained, so any of its seeds will do. */
static const struct sqa_pool_cell *partner(const struct sqa_pool *pool, const struct sqa_pool_cell *a,
                                           const struct sqa_pool_entry *b, const struct value *v)
{
    const struct sqa_pool_cell *first = NULL;
    for (const struct sqa_pool_cell *cell = b->cells; cell; cell = cell->next) {
        if (isnan(sqa_pool_number(pool, cell, v->phase, v->column)))
            continue;
        if (cell->seed == a->seed)
            return cell;
        first = first ? first : cell;
    }
    return b->class == SQA_CLASS_FLOOR ? first : NULL;
}

static enum sqa_status difference(const struct sqa_pool *pool, const struct sqa_pool_entry *a,
                                  const struct sqa_pool_entry *b, int metric, struct work *w,
                                  struct sqa_estimate *out, struct sqa_err *err)
{
    const struct value *v = &values[metric];
    size_t n = 0;
    bool examples = metric != SQA_VALUE_test_loss;
    *out = nothing;
    collect(pool, a, v, w);
    for (size_t i = 0; i < w->n; i++) {
        const struct sqa_pool_cell *one = w->pairs[i].a, *other = partner(pool, one, b, v);
        if (!other)
            continue;
        w->x[n] = w->x[i] - sqa_pool_number(pool, other, v->phase, v->column);
        w->pairs[n++] = (struct pair){one, other};
        examples = examples && one->n_examples && other->n_examples && one->labels == other->labels &&
                   one->tags == other->tags;
    }
    if (examples && n)
        return crossed(pool, w->pairs, n, block_of(pool, w->pairs[0].a), out, err);
    if (n >= 2) {
        out->mean = sqa_stats_mean(w->x, n);
        out->n_seeds = n;
        w->n = n;
        set_interval(out, over_seeds(NULL, w), "t");
    }
    return SQA_OK;
}

static bool is_id(const struct sqa_pool_entry *e, const char *id)
{
    return strlen(id) == sqa_pool_id_length(e->model) && strncmp(e->model, id, strlen(id)) == 0;
}

/* The control of that id with the setting nearest to e's: the same one if there is one, else the first. */
static const struct sqa_pool_entry *find_control(const struct sqa_pool_group *group, const struct sqa_pool_entry *e,
                                                 const char *id)
{
    const struct sqa_pool_entry *found = NULL;
    for (size_t i = 0; i < group->n; i++) {
        const struct sqa_pool_entry *c = group->entries[i];
        if (is_id(c, id) && !c->external && (!found || strcmp(c->settings, e->settings) == 0))
            found = c;
    }
    return found;
}

static void choose(struct sqa_pool_group *group)
{
    static const int metrics[] = {SQA_VALUE_test_accuracy, SQA_VALUE_test_mse, SQA_VALUE_test_loss};
    for (size_t m = 0; m < sizeof metrics / sizeof metrics[0] && group->metric < 0; m++)
        for (size_t i = 0; i < group->n; i++)
            if (!isnan(group->entries[i]->value[metrics[m]].mean))
                group->metric = metrics[m];
    for (size_t i = 0; group->metric >= 0 && i < group->n; i++) {
        const struct sqa_pool_entry *e = group->entries[i];
        const struct sqa_pool_entry **best = e->class == SQA_CLASS_FLOOR ? &group->floor : &group->best;
        const double x = e->value[group->metric].mean;
        if (isnan(x))
            continue;
        const double y = *best ? (*best)->value[group->metric].mean : (double)NAN;
        if (!*best || (higher_is_better(group->metric) ? x > y : x < y))
            *best = e;
    }
}

/* From the paired difference; without one, from the two intervals. */
static enum sqa_verdict judge(const struct sqa_estimate *d, const struct sqa_estimate *a,
                              const struct sqa_estimate *b, bool higher)
{
    const double sign = higher ? 1 : -1;
    const double mean = sign * (a->mean - b->mean);
    double low = higher ? a->low - b->high : b->low - a->high;
    if (isnan(mean))
        return SQA_VERDICT_NONE;
    if (!isnan(d->low))
        low = higher ? d->low : -d->high;
    if (mean <= 0 || sign * d->mean <= 0)
        return SQA_VERDICT_NOT_BETTER;
    return low > 0 ? SQA_VERDICT_BETTER : SQA_VERDICT_UNCLEAR;
}

static enum sqa_status compare_entry(const struct sqa_pool *pool, const struct sqa_pool_group *group,
                                     struct sqa_pool_entry *e, struct work *w, struct sqa_err *err)
{
    const int metric = group->metric;
    enum sqa_status status = SQA_OK;
    e->against[SQA_AGAINST_FLOOR] = group->floor;
    e->against[SQA_AGAINST_NO_MIXER] = find_control(group, e, "no_mixer");
    e->against[SQA_AGAINST_MEAN_MIXER] = find_control(group, e, "mean_mixer");
    for (int k = 0; k < SQA_AGAINST_N; k++)
        e->difference[k] = nothing;
    for (int k = 0; k < SQA_AGAINST_N && status == SQA_OK && e->class != SQA_CLASS_FLOOR; k++)
        if (e->against[k] && e->against[k] != e && !isnan(e->value[metric].mean))
            status = difference(pool, e, e->against[k], metric, w, &e->difference[k], err);
    if (status != SQA_OK || e->class == SQA_CLASS_FLOOR)
        return status;
    if (group->floor)
        e->over_floor = judge(&e->difference[SQA_AGAINST_FLOOR], &e->value[metric], &group->floor->value[metric],
                              higher_is_better(metric));
    if (e != group->best && !isnan(e->value[metric].mean)) {
        struct sqa_estimate d;
        status = difference(pool, group->best, e, metric, w, &d, err);
        const enum sqa_verdict verdict =
            judge(&d, &group->best->value[metric], &e->value[metric], higher_is_better(metric));
        e->like_best = verdict != SQA_VERDICT_BETTER;
    }
    return status;
}

static enum sqa_status open_work(const struct sqa_pool *pool, struct work *w, struct sqa_err *err)
{
    *w = (struct work){.x = sqa_alloc_array(pool->n_cells, sizeof *w->x),
                       .pairs = sqa_alloc_array(pool->n_cells, sizeof *w->pairs)};
    return w->x && w->pairs ? SQA_OK : no_memory(err);
}

static void close_work(struct work *w)
{
    sqa_free(w->x);
    sqa_free(w->pairs);
}

enum sqa_status sqa_accuracy_difference(const struct sqa_pool *pool, const struct sqa_pool_entry *a,
                                        const struct sqa_pool_entry *b, struct sqa_estimate *out, struct sqa_err *err)
{
    return sqa_value_difference(pool, a, b, SQA_VALUE_test_accuracy, out, err);
}

enum sqa_status sqa_value_difference(const struct sqa_pool *pool, const struct sqa_pool_entry *a,
                                     const struct sqa_pool_entry *b, int value, struct sqa_estimate *out,
                                     struct sqa_err *err)
{
    struct work w;
    enum sqa_status status = open_work(pool, &w, err);
    if (status == SQA_OK)
        status = difference(pool, a, b, value, &w, out, err);
    close_work(&w);
    return status;
}

enum sqa_status sqa_summarise(struct sqa_pool *pool, struct sqa_err *err)
{
    struct work w;
    enum sqa_status status = open_work(pool, &w, err);
    if (!pool->draws)
        pool->draws = sqa_arena_alloc(&pool->arena, SQA_POOL_DRAWS * sizeof *pool->draws); /* NULL: nothing is kept */
    for (size_t i = 0; i < pool->n_entries; i++)
        for (int v = 0; v < SQA_VALUE_N && status == SQA_OK; v++)
            status = estimate(pool, &pool->entries[i], v, &w, err);
    for (size_t g = 0; g < pool->n_groups && status == SQA_OK; g++) {
        struct sqa_pool_group *group = &pool->groups[g];
        choose(group);
        for (size_t i = 0; group->metric >= 0 && i < group->n && status == SQA_OK; i++)
            status = compare_entry(pool, group, group->entries[i], &w, err);
    }
    close_work(&w);
    return status;
}

enum sqa_status sqa_latency_ratio(const struct sqa_pool_entry *e, const struct sqa_pool_entry *reference, int phase,
                                  struct sqa_estimate *ratio, struct sqa_err *err)
{
    /* Two intervals of 97.5 % hold together at least 95 % of the time. */
    const double level = 1 - (1 - LEVEL) / 2;
    static const int latencies[SQA_PHASE_N] = {SQA_VALUE_train_latency_ns, SQA_VALUE_infer_latency_ns,
                                               SQA_VALUE_step_latency_ns};
    const int value = latencies[phase];
    double *x = NULL, *y = NULL;
    size_t nx = 0, ny = 0;
    *ratio = nothing;
    ratio->mean = e->value[value].mean / reference->value[value].mean;
    enum sqa_status status = pool_samples(e, phase, &x, &nx, err);
    if (status == SQA_OK)
        status = pool_samples(reference, phase, &y, &ny, err);
    if (status == SQA_OK) {
        const struct sqa_interval a = sqa_median_interval(x, nx, level), b = sqa_median_interval(y, ny, level);
        if (e == reference)
            set_interval(ratio, (struct sqa_interval){1, 1}, "counted");
        else
            set_interval(ratio, (struct sqa_interval){a.low / b.high, a.high / b.low}, "order");
        ratio->n_examples = nx;
    }
    sqa_free(x);
    sqa_free(y);
    return status;
}
