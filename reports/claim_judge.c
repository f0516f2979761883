/* claim_judge.c - what measured rows say of a claim (see claim.h) */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reports/claim.h"
#include "reports/stats.h"

#define LEVEL 0.95
enum { LENGTHS = 64 };

const char *const sqa_claim_verdicts[] = {"reproduced",  "in part",    "not reproduced",
                                          "cannot tell", "not tested", "not testable here"};

static double column(const struct sqa_pool *pool, const struct sqa_pool_entry *e, int which)
{
    return sqa_pool_number(pool, e->cells, SQA_PHASE_ANY, which);
}

/* length= of a task's text, for rows that broke before they knew their length; NaN when it is not there. */
static double length_of_text(const char *task)
{
    double length = (double)NAN;
    const char *at = strstr(task, "length=");
    if (at && sscanf(at, "length=%lf", &length) != 1)
        length = (double)NAN;
    return length;
}

static double length_of(const struct sqa_pool *pool, const struct sqa_pool_entry *e)
{
    const double length = column(pool, e, SQA_CELLS_length);
    return isnan(length) ? length_of_text(pool->groups[e->group].task) : length;
}

static bool differs(double wanted, double is)
{
    return !isnan(wanted) && wanted != is;
}

/* Whether an entry is what one side of a test is about. task NULL and NaN: any. */
static bool fits(const struct sqa_pool *pool, const struct sqa_pool_entry *e, const struct sqa_claim_test *t,
                 const char *model, const char *task, double length)
{
    const struct sqa_pool_group *group = &pool->groups[e->group];
    const double batch = column(pool, e, SQA_CELLS_batch);
    return !e->external && strcmp(e->model, model) == 0 && strcmp(group->scale, t->cells->scale) == 0 &&
           (!task || strcmp(group->task, task) == 0) && !differs(length, length_of(pool, e)) &&
           (isnan(batch) || !differs(t->batch, batch));
}

static bool same(const struct sqa_pool *pool, const struct sqa_pool_entry *a, const struct sqa_pool_entry *b,
                 int which)
{
    return strcmp(sqa_pool_text(pool, a->cells, SQA_PHASE_ANY, which),
                  sqa_pool_text(pool, b->cells, SQA_PHASE_ANY, which)) == 0;
}

/* Whether two entries were measured in one way, whatever their task and length. */
static bool comparable(const struct sqa_pool *pool, const struct sqa_pool_entry *a, const struct sqa_pool_entry *b)
{
    static const int columns[] = {SQA_CELLS_horizon, SQA_CELLS_batch, SQA_CELLS_dtype, SQA_CELLS_threads,
                                  SQA_CELLS_cache};
    if (!sqa_pool_cell_ok(a->cells) || !sqa_pool_cell_ok(b->cells))
        return true; /* rows that broke lack columns */
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
        if (!same(pool, a, b, columns[i]))
            return false;
    return true;
}

static void say(struct sqa_claim_result *r, enum sqa_claim_verdict verdict, const char *fmt, ...) SQA_PRINTF(3, 4);
static void say(struct sqa_claim_result *r, enum sqa_claim_verdict verdict, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(r->why, sizeof r->why, fmt, ap);
    va_end(ap);
    r->verdict = verdict;
}

/* Whether the rows of e have the value; else says why not. */
static bool usable(const struct sqa_pool *pool, const struct sqa_pool_entry *e, int value, struct sqa_claim_result *r)
{
    const int phase = sqa_value_phase(value);
    for (const struct sqa_pool_cell *c = e->cells; c; c = c->next) {
        const char *unfit =
            sqa_value_timed(value) && phase != SQA_PHASE_ANY ? sqa_pool_named(pool, c, phase, "unfit") : "";
        const char *status = sqa_pool_text(pool, c, phase, SQA_CELLS_status);
        if (*unfit) {
            say(r, SQA_CLAIM_CANNOT_TELL, "the timing of %.80s is unfit (%.200s); measure again, into another folder",
                e->model, unfit);
            return false;
        }
        if (*status && strcmp(status, "ok") != 0) {
            say(r, SQA_CLAIM_NOT_TESTABLE, "the row of %.80s says %.40s: %.200s", e->model, status,
                sqa_pool_text(pool, c, phase, SQA_CELLS_message));
            return false;
        }
    }
    if (!isnan(e->value[value].mean))
        return true;
    say(r, SQA_CLAIM_NOT_TESTED, "the rows of %.80s have no %s", e->model, sqa_value_name(value));
    return false;
}

static void missing(const struct sqa_claim_test *t, const char *why, struct sqa_claim_result *r)
{
    if (why)
        say(r, SQA_CLAIM_NOT_TESTABLE, "%s", why);
    else
        say(r, SQA_CLAIM_NOT_TESTED, "no rows of %.80s%s%.80s at scale %.40s", t->of, t->over ? " and " : "",
            t->over ? t->over : "", t->cells->scale);
}

/* The one pair of entries that a test is about. */
static bool find_pair(const struct sqa_pool *pool, const struct sqa_claim_test *t, const char *why,
                      struct sqa_claim_result *r)
{
    const char *over_task = t->over_task ? t->over_task : t->task;
    const double over_length = isnan(t->over_length) ? t->length : t->over_length;
    const bool one_group = !t->over_task && isnan(t->over_length);
    size_t n = 0;
    for (size_t i = 0; i < pool->n_entries; i++) {
        const struct sqa_pool_entry *of = &pool->entries[i];
        for (size_t k = 0; k < pool->n_entries && fits(pool, of, t, t->of, t->task, t->length); k++) {
            const struct sqa_pool_entry *over = &pool->entries[k];
            if (i == k || (one_group && of->group != over->group) ||
                !fits(pool, over, t, t->over, over_task, over_length) || !comparable(pool, of, over))
                continue;
            n++;
            r->of = of;
            r->over = over;
        }
    }
    if (n == 0)
        missing(t, why, r);
    if (n > 1)
        say(r, SQA_CLAIM_CANNOT_TELL, "%zu settings fit this test; name the run directories of one", n);
    return n == 1;
}

/* Ratio of two figures, with the quotients of the ends of their intervals. */
static struct sqa_estimate quotient(const struct sqa_estimate *a, const struct sqa_estimate *b)
{
    const bool counted = strcmp(a->method, "counted") == 0 && strcmp(b->method, "counted") == 0;
    const size_t seeds = a->n_seeds < b->n_seeds ? a->n_seeds : b->n_seeds;
    const bool interval = a->low > 0 && b->low > 0;
    return (struct sqa_estimate){a->mean / b->mean,
                                 interval ? a->low / b->high : (double)NAN,
                                 interval ? a->high / b->low : (double)NAN,
                                 seeds,
                                 0,
                                 !interval ? ""
                                 : counted ? "counted"
                                           : "quotient"};
}

static bool is_latency(int value)
{
    return strstr(sqa_value_name(value), "latency_ns") != NULL;
}

static enum sqa_status measure_pair(const struct sqa_pool *pool, const struct sqa_claim_test *t, const char *why,
                                    struct sqa_claim_result *r, struct sqa_err *err)
{
    if (!find_pair(pool, t, why, r) || !usable(pool, r->of, t->value, r) || !usable(pool, r->over, t->value, r))
        return SQA_OK;
    const struct sqa_estimate *a = &r->of->value[t->value], *b = &r->over->value[t->value];
    enum sqa_status status = SQA_OK;
    if (t->kind == SQA_CLAIM_DIFFERENCE) {
        status = sqa_value_difference(pool, r->of, r->over, t->value, &r->figure, err);
        if (status == SQA_OK && isnan(r->figure.mean))
            r->figure.mean = a->mean - b->mean;
    } else if (is_latency(t->value)) {
        status = sqa_latency_ratio(r->of, r->over, sqa_value_phase(t->value), &r->figure, err);
        r->figure.n_examples = a->n_examples < b->n_examples ? a->n_examples : b->n_examples;
    } else {
        r->figure = quotient(a, b);
    }
    if (r->figure.n_seeds == 0)
        r->figure.n_seeds = a->n_seeds < b->n_seeds ? a->n_seeds : b->n_seeds;
    return status;
}

struct point {
    double length, y;
    const struct sqa_pool_entry *e;
};

static int by_length(const void *a, const void *b)
{
    const double x = ((const struct point *)a)->length, y = ((const struct point *)b)->length;
    return (x > y) - (x < y);
}

static void measure_exponent(const struct sqa_pool *pool, const struct sqa_claim_test *t, const char *why,
                             struct sqa_claim_result *r)
{
    struct point at[LENGTHS];
    double x[LENGTHS], y[LENGTHS];
    struct sqa_interval interval;
    size_t n = 0;
    for (size_t i = 0; i < pool->n_entries && n < LENGTHS; i++) {
        const struct sqa_pool_entry *e = &pool->entries[i];
        const double length = length_of(pool, e);
        if (!fits(pool, e, t, t->of, t->task, (double)NAN) || isnan(length) || length < t->from || length > t->to)
            continue;
        if (!usable(pool, e, t->value, r))
            return;
        if (!(e->value[t->value].mean > 0)) {
            say(r, SQA_CLAIM_CANNOT_TELL, "%s of %.80s is 0 at %.0f", sqa_value_name(t->value), e->model, length);
            return;
        }
        at[n++] = (struct point){length, e->value[t->value].mean, e};
    }
    if (n == 0) {
        missing(t, why, r);
        return;
    }
    qsort(at, n, sizeof at[0], by_length);
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && (at[i].length == at[i - 1].length || !comparable(pool, at[0].e, at[i].e))) {
            say(r, SQA_CLAIM_CANNOT_TELL, "rows of several settings fit this test; name the run directories of one");
            return;
        }
        x[i] = at[i].length;
        y[i] = at[i].y;
    }
    r->of = at[0].e;
    r->points = n;
    r->figure = (struct sqa_estimate){sqa_log_slope(x, y, n, LEVEL, &interval), interval.low,    interval.high, 1,
                                      at[0].e->value[t->value].n_examples,      n > 2 ? "t" : ""};
}

static bool holds(const struct sqa_claim_bound *b, double x)
{
    if (x == b->at)
        return !b->strict;
    return b->above ? x > b->at : x < b->at;
}

enum side { OUTSIDE, ACROSS, INSIDE };
static enum side side_of(const struct sqa_claim_bound *b, const struct sqa_estimate *e)
{
    const int ends = b->text ? holds(b, e->low) + holds(b, e->high) : 0;
    return ends == 2 ? INSIDE : ends == 1 ? ACROSS : OUTSIDE;
}

/* How many times as much measuring would clear the bound, if the figure stays: widths shrink with the root of n. */
static double more_to_clear(const struct sqa_claim_test *t, double bound, const struct sqa_estimate *e)
{
    const bool logs = t->kind == SQA_CLAIM_RATIO;
    const double end = bound < e->mean ? e->low : e->high;
    const double half = logs ? log(end / e->mean) : end - e->mean;
    const double distance = logs ? log(bound / e->mean) : bound - e->mean;
    const double times = half / distance;
    return isfinite(times) ? times * times : (double)INFINITY;
}

static void say_more(const struct sqa_claim_test *t, struct sqa_claim_result *r)
{
    const bool timed = is_latency(t->value);
    const char *unit = timed ? "rounds" : "seeds";
    const size_t n = strlen(r->why);
    double now = (double)r->figure.n_seeds;
    if (timed && !sqa_parse_real(sqa_claim_option(t->cells, "rounds"), &now))
        now = (double)NAN;
    if (t->kind == SQA_CLAIM_EXPONENT)
        snprintf(r->why + n, sizeof r->why - n, "; more or greater lengths may tell");
    else if (!(r->more <= 100))
        snprintf(r->why + n, sizeof r->why - n, "; it lies too near the bound for more %s to tell", unit);
    else if (now > 0)
        snprintf(r->why + n, sizeof r->why - n, "; about %.0f %s in place of %.0f may tell", ceil(r->more * now),
                 unit, now);
    else
        snprintf(r->why + n, sizeof r->why - n, "; about %.1f times as many %s may tell", r->more, unit);
}

static void no_interval(const struct sqa_claim_test *t, struct sqa_claim_result *r)
{
    if (t->kind == SQA_CLAIM_EXPONENT)
        say(r, SQA_CLAIM_CANNOT_TELL, "no interval: %zu length%s measured, three are needed", r->points,
            r->points == 1 ? "" : "s");
    else if (is_latency(t->value))
        say(r, SQA_CLAIM_CANNOT_TELL,
            "no interval: it needs samples.csv and seven samples a model; more rounds give "
            "them");
    else if (t->cells->bench)
        say(r, SQA_CLAIM_CANNOT_TELL, "no interval: bench gives one row a model; planned memory is known exactly");
    else
        say(r, SQA_CLAIM_CANNOT_TELL, "no interval: it needs two seeds or more%s",
            t->kind == SQA_CLAIM_DIFFERENCE ? ", or examples.csv" : "");
}

/* Two models that learned nothing are alike, which is no finding. */
static bool learned(const struct sqa_claim_test *t, struct sqa_claim_result *r)
{
    const enum sqa_verdict a = r->of->over_floor, b = r->over->over_floor;
    const bool floors = a != SQA_VERDICT_NONE && b != SQA_VERDICT_NONE;
    if (floors && a != SQA_VERDICT_BETTER && b != SQA_VERDICT_BETTER)
        say(r, SQA_CLAIM_CANNOT_TELL, "neither %.80s nor %.80s is surely better than the floors", t->of, t->over);
    else if (r->figure.low == r->figure.high)
        say(r, SQA_CLAIM_CANNOT_TELL,
            "the two differ alike on every pair, so nothing says how sure that is; more "
            "test examples or seeds may tell");
    return !*r->why;
}

static void decide(const struct sqa_claim_test *t, struct sqa_claim_result *r)
{
    const struct sqa_estimate *e = &r->figure;
    const struct sqa_claim_bound *yes = &t->bound[SQA_CLAIM_IF_REPRODUCED], *part = &t->bound[SQA_CLAIM_IF_PART];
    if (isnan(e->low) || isnan(e->high)) {
        no_interval(t, r);
        return;
    }
    if (t->kind == SQA_CLAIM_DIFFERENCE && !learned(t, r))
        return;
    const enum side full = side_of(yes, e), some = side_of(part, e);
    r->refuted = side_of(&t->bound[SQA_CLAIM_IF_REFUTED], e) == INSIDE;
    if (full == INSIDE) {
        r->verdict = SQA_CLAIM_REPRODUCED;
    } else if (full == OUTSIDE && some != ACROSS) {
        r->verdict = some == INSIDE ? SQA_CLAIM_IN_PART : SQA_CLAIM_NOT;
    } else {
        const double to_full = full == ACROSS ? more_to_clear(t, yes->at, e) : 0,
                     to_some = some == ACROSS ? more_to_clear(t, part->at, e) : 0;
        r->more = to_full > to_some ? to_full : to_some;
        say(r, SQA_CLAIM_CANNOT_TELL, "the interval reaches over %g%s", full == ACROSS ? yes->at : part->at,
            full == ACROSS && some == INSIDE ? ", so at least in part" : "");
        say_more(t, r);
    }
}

enum sqa_claim_verdict sqa_claim_join(const struct sqa_claim_result *tests, size_t n)
{
    size_t count[SQA_CLAIM_NOT_TESTABLE + 1] = {0};
    for (size_t i = 0; i < n; i++)
        count[tests[i].verdict]++;
    for (int v = 0; v <= SQA_CLAIM_NOT_TESTABLE; v++)
        if (count[v] == n)
            return (enum sqa_claim_verdict)v;
    static const enum sqa_claim_verdict open[] = {SQA_CLAIM_NOT_TESTED, SQA_CLAIM_CANNOT_TELL};
    for (size_t i = 0; i < sizeof open / sizeof open[0]; i++)
        if (count[open[i]])
            return open[i];
    return count[SQA_CLAIM_REPRODUCED] + count[SQA_CLAIM_IN_PART] ? SQA_CLAIM_IN_PART : SQA_CLAIM_NOT;
}

enum sqa_status sqa_claim_judge(const struct sqa_claim *claim, const struct sqa_pool *pool, const char *const *why,
                                struct sqa_claim_judged *out, struct sqa_err *err)
{
    const double nan = (double)NAN;
    enum sqa_status status = SQA_OK;
    *out = (struct sqa_claim_judged){0};
    for (size_t i = 0; i < claim->n_tests && status == SQA_OK; i++) {
        const struct sqa_claim_test *t = &claim->tests[i];
        struct sqa_claim_result *r = &out->tests[i];
        const char *reason = why ? why[i] : NULL;
        r->figure = (struct sqa_estimate){nan, nan, nan, 0, 0, ""};
        r->more = nan;
        if (t->kind == SQA_CLAIM_EXPONENT)
            measure_exponent(pool, t, reason, r);
        else
            status = measure_pair(pool, t, reason, r, err);
        if (status == SQA_OK && !*r->why)
            decide(t, r);
    }
    out->verdict = sqa_claim_join(out->tests, claim->n_tests);
    return status;
}
