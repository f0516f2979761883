/* edivisive.c - see edivisive.h */
#include "reports/edivisive.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "reports/stats.h"

const struct sqa_edivisive sqa_edivisive_defaults = {
    .p = 0.001, .magnitude = 0.03, .window = 50, .least = 3, .spike = 5};

struct search {
    const struct sqa_edivisive *o;
    double *x; /* n values, spikes replaced */
    size_t n;
    double *work;     /* of sqa_energy_split */
    double *shuffled; /* n values */
    uint32_t *order;
    size_t *bound; /* of the pieces of the range that is searched: its begin, the changes in it, its end */
    size_t pieces;
    struct sqa_change *found;
    size_t n_found;
};

double sqa_change_magnitude(double before, double after)
{
    if (before == after)
        return 0;
    return before * after > 0 ? expm1(fabs(log(after / before))) : HUGE_VAL;
}

static double median(double *x, size_t n)
{
    sqa_sort_reals(x, n);
    return sqa_quantile(x, n, 0.5);
}

size_t sqa_calm(const double *x, size_t n, size_t least, double spike, double *work, double *out)
{
    double *near = work, *off = near + 2 * least + 1;
    size_t replaced = 0;
    for (size_t i = 0; i < n; i++) {
        const size_t from = i > least ? i - least : 0, to = i + least < n ? i + least + 1 : n;
        memcpy(near, x + from, (to - from) * sizeof *near);
        const double middle = median(near, to - from);
        for (size_t k = 0; k < to - from; k++)
            off[k] = fabs(near[k] - middle);
        const bool far = spike > 0 && fabs(x[i] - middle) > spike * 1.4826 * median(off, to - from);
        out[i] = far ? middle : x[i];
        replaced += far;
    }
    return replaced;
}

double sqa_energy_split(const double *x, size_t n, size_t least, double *work, size_t *at)
{
    double *first = work, *across = first + n + 1, *second = across + n + 1, best = -HUGE_VAL;
    memset(work, 0, 3 * (n + 1) * sizeof *work);
    for (size_t k = 1; k <= n; k++) {
        /* x[k - 1] joins the second part of every split; below: its distances to what lies before the split. */
        double all = 0, below = 0;
        for (size_t i = 0; i + 1 < k; i++)
            all += fabs(x[i] - x[k - 1]);
        first[k] = first[k - 1] + all;
        for (size_t t = 0; t < k; t++) {
            across[t] += below;
            second[t] += all - below;
            below += fabs(x[t] - x[k - 1]);
        }
        for (size_t t = least; t + least <= k; t++) {
            const double a = (double)t, b = (double)(k - t);
            const double q = 2 / (a + b) * (across[t] - b / (a - 1) * first[t] - a / (b - 1) * second[t]);
            if (q > best) {
                best = q;
                *at = t;
            }
        }
    }
    return best;
}

/* Sum of squares about the mean, which is *mean. Values that are all the same give exactly 0. */
static double squares(const double *x, size_t n, double *mean)
{
    double shift = 0, sum = 0;
    for (size_t i = 0; i < n; i++)
        shift += x[i] - x[0];
    shift /= (double)n;
    for (size_t i = 0; i < n; i++)
        sum += (x[i] - x[0] - shift) * (x[i] - x[0] - shift);
    *mean = x[0] + shift;
    return sum;
}

/* Student's t-test of x[from..at) against x[at..to); parts that are too short show nothing. */
static struct sqa_change tested(const struct search *s, size_t from, size_t at, size_t to)
{
    struct sqa_change c = {.at = at, .n_before = at - from, .n_after = to - at, .p = 1};
    const double within = squares(s->x + from, c.n_before, &c.before) + squares(s->x + at, c.n_after, &c.after);
    const double a = (double)c.n_before, b = (double)c.n_after, df = a + b - 2;
    if (c.n_before < s->o->least || c.n_after < s->o->least || c.before == c.after)
        return c;
    const double error = sqrt(within / df * (1 / a + 1 / b));
    c.p = error > 0 ? 2 * sqa_t_cdf(-fabs(c.after - c.before) / error, df) : 0;
    return c;
}

/* The best split of all pieces of x, -infinity when none can be split. */
static double best_split(struct search *s, const double *x, size_t *at)
{
    double best = -HUGE_VAL;
    for (size_t i = 0; i < s->pieces; i++) {
        size_t here = 0;
        const double q =
            sqa_energy_split(x + s->bound[i], s->bound[i + 1] - s->bound[i], s->o->least, s->work, &here);
        if (q > best) {
            best = q;
            *at = s->bound[i] + here;
        }
    }
    return best;
}

static void shuffle_pieces(struct search *s, uint64_t key)
{
    for (size_t i = 0; i < s->pieces; i++) {
        const size_t from = s->bound[i], n = s->bound[i + 1] - from;
        sqa_random_permutation(sqa_random_mix(key, i), s->order, n);
        for (size_t j = 0; j < n; j++)
            s->shuffled[from + j] = s->x[from + s->order[j]];
    }
}

/* Ends as soon as p is above the level. */
static double permuted_p(struct search *s, double q)
{
    const double all = (double)s->o->permutations + 1;
    const uint64_t key = sqa_random_mix(s->o->seed, s->pieces);
    double as_good = 1;
    size_t at;
    for (size_t i = 0; i < s->o->permutations && as_good / all <= s->o->p; i++) {
        shuffle_pieces(s, sqa_random_mix(key, i));
        as_good += best_split(s, s->shuffled, &at) >= q;
    }
    return as_good / all;
}

static size_t piece_of(const struct search *s, size_t at)
{
    size_t i = 0;
    while (s->bound[i + 1] <= at)
        i++;
    return i;
}

static void keep(struct search *s, size_t at, double p)
{
    size_t i = s->n_found;
    while (i > 0 && s->found[i - 1].at > at)
        i--;
    if (i > 0 && s->found[i - 1].at == at)
        return;
    memmove(s->found + i + 1, s->found + i, (s->n_found++ - i) * sizeof *s->found);
    s->found[i] = (struct sqa_change){.at = at, .p = p};
}

/* Keeps the changes of x[from..to) that reach the level; returns the last of them, or from. */
static size_t divide(struct search *s, size_t from, size_t to, double level)
{
    size_t at = 0;
    s->bound[0] = from;
    s->bound[1] = to;
    for (s->pieces = 1;; s->pieces++) {
        const double q = best_split(s, s->x, &at);
        if (q == -HUGE_VAL)
            break;
        const size_t i = piece_of(s, at);
        const double p = s->o->permutations ? permuted_p(s, q) : tested(s, s->bound[i], at, s->bound[i + 1]).p;
        if (p > level)
            break;
        keep(s, at, p);
        memmove(s->bound + i + 2, s->bound + i + 1, (s->pieces - i) * sizeof *s->bound);
        s->bound[i + 1] = at;
    }
    return s->pieces > 1 ? s->bound[s->pieces - 1] : from;
}

/* As far as it goes, ten times the level. */
static double lenient(double p)
{
    return p < 0.05 ? 10 * p : p < 0.5 ? 2 * p : p;
}

static void divide_windows(struct search *s)
{
    const size_t step = s->o->window / 2;
    for (size_t from = 0; from < s->n;) {
        const size_t to = s->n - from < s->o->window ? s->n : from + s->o->window;
        const size_t last = divide(s, from, to, lenient(s->o->p));
        from = last > from + step ? last : from + step;
    }
}

/* Means, numbers and, in the t-test, p of change i between its neighbours. */
static void measure(struct search *s, size_t i)
{
    if (i >= s->n_found)
        return;
    const size_t from = i ? s->found[i - 1].at : 0, to = i + 1 < s->n_found ? s->found[i + 1].at : s->n;
    const double p = s->found[i].p;
    s->found[i] = tested(s, from, s->found[i].at, to);
    if (s->o->permutations)
        s->found[i].p = p;
}

static double magnitude(const struct sqa_change *c)
{
    return sqa_change_magnitude(c->before, c->after);
}

/* The change to be removed next: the least significant, of equals the smaller; when all reach the level, the smallest.
 * n_found when all are good. */
static size_t weakest(const struct search *s)
{
    size_t by_p = 0, by_size = 0;
    for (size_t i = 1; i < s->n_found; i++) {
        const struct sqa_change *c = &s->found[i], *worst = &s->found[by_p];
        if (c->p > worst->p || (c->p == worst->p && magnitude(c) < magnitude(worst)))
            by_p = i;
        if (magnitude(c) < magnitude(&s->found[by_size]))
            by_size = i;
    }
    if (s->n_found && s->found[by_p].p > s->o->p)
        return by_p;
    return s->n_found && magnitude(&s->found[by_size]) < s->o->magnitude ? by_size : s->n_found;
}

static void remove_weak(struct search *s)
{
    for (size_t i = 0; i < s->n_found; i++)
        measure(s, i);
    for (size_t i; (i = weakest(s)) < s->n_found;) {
        memmove(s->found + i, s->found + i + 1, (--s->n_found - i) * sizeof *s->found);
        if (i > 0)
            measure(s, i - 1);
        measure(s, i);
    }
}

enum sqa_status sqa_edivisive(const double *x, size_t n, const struct sqa_edivisive *options, struct sqa_change **out,
                              size_t *n_out, struct sqa_err *err)
{
    struct search s = {.o = options, .n = n};
    *out = NULL;
    *n_out = 0;
    s.x = sqa_alloc_array(n + 1, sizeof *s.x);
    s.work = sqa_alloc_array(3 * (n + 1) + 4 * options->least + 2, sizeof *s.work);
    s.shuffled = sqa_alloc_array(n + 1, sizeof *s.shuffled);
    s.order = sqa_alloc_array(n + 1, sizeof *s.order);
    s.bound = sqa_alloc_array(n + 2, sizeof *s.bound);
    s.found = sqa_alloc_array(n + 1, sizeof *s.found);
    const bool got = s.x && s.work && s.shuffled && s.order && s.bound && s.found;
    if (got) {
        sqa_calm(x, n, options->least, options->spike, s.work, s.x);
        if (options->permutations)
            divide(&s, 0, n, options->p);
        else
            divide_windows(&s);
        remove_weak(&s);
    }
    sqa_free(s.x);
    sqa_free(s.work);
    sqa_free(s.shuffled);
    sqa_free(s.order);
    sqa_free(s.bound);
    if (got && s.n_found) {
        *out = s.found;
        *n_out = s.n_found;
        return SQA_OK;
    }
    sqa_free(s.found);
    return got ? SQA_OK
               : sqa_fail(err, SQA_NOMEM, "change points: no memory for %zu values; free some memory and run again",
                          n);
}
