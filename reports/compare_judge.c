/* compare_judge.c - verdicts of a comparison, see compare.h */
#include <math.h>
#include <string.h>

#include "reports/compare.h"

const char *const sqa_compare_verdict_names[] = {
    [SQA_COMPARE_ABSENT] = "",     [SQA_COMPARE_SAME] = "same",           [SQA_COMPARE_BETTER] = "better",
    [SQA_COMPARE_WORSE] = "worse", [SQA_COMPARE_NOT_WORSE] = "not worse", [SQA_COMPARE_CANNOT_TELL] = "cannot tell"};

#define X(name, tolerance) tolerance,
static const double tolerances[SQA_COUNT_N] = {SQA_COMPARE_COUNTS(X)};
#undef X

static enum sqa_compare_verdict count_verdict(double base, double new, double tolerance)
{
    if (isnan(base) || isnan(new))
        return SQA_COMPARE_ABSENT;
    if (fabs(new - base) <= tolerance * fabs(base))
        return SQA_COMPARE_SAME;
    return new > base ? SQA_COMPARE_WORSE : SQA_COMPARE_BETTER;
}

/* Paired over seeds: the larger the difference the better the new arm. */
static enum sqa_status judge_score(const struct sqa_comparison *c, struct sqa_compare_cell *cell, struct sqa_err *err)
{
    double *d = sqa_alloc_array(cell->n_seeds + 1, sizeof *d);
    const bool accuracy = cell->score_name && strcmp(cell->score_name, "accuracy") == 0;
    bool equal = true;
    size_t n = 0;
    if (!d)
        return sqa_fail(err, SQA_NOMEM, "compare: no memory; free some memory and run again");
    cell->score[0] = cell->score[1] = 0;
    for (size_t i = 0; i < cell->n_seeds; i++) {
        const double *x = cell->seeds[i].x;
        if (isnan(x[0]) || isnan(x[1]))
            continue;
        cell->score[0] += x[0];
        cell->score[1] += x[1];
        d[n++] = accuracy ? 100 * (x[1] - x[0]) : x[0] - x[1];
        equal = equal && x[0] == x[1];
    }
    cell->n_paired = n;
    for (int side = 0; side < 2; side++)
        cell->score[side] = n ? cell->score[side] / (double)n : (double)NAN;
    for (size_t i = 0; i < n && !accuracy; i++) /* in per cent of the base's mean */
        d[i] *= 100 / cell->score[0];
    cell->difference = sqa_stats_mean(d, n);
    cell->score_interval = sqa_t_interval(d, n, 0.95);
    const struct sqa_interval s = cell->score_interval;
    cell->score_verdict = n == 0                ? SQA_COMPARE_ABSENT
                          : equal               ? SQA_COMPARE_SAME
                          : isnan(s.low)        ? SQA_COMPARE_CANNOT_TELL
                          : s.high < -c->margin ? SQA_COMPARE_WORSE
                          : s.low > c->margin   ? SQA_COMPARE_BETTER
                          : s.low > -c->margin  ? SQA_COMPARE_NOT_WORSE
                                                : SQA_COMPARE_CANNOT_TELL;
    sqa_free(d);
    return SQA_OK;
}

/* Blocks of an arm, and NaN behind its end, so that all three have n values. */
static const double *padded(const struct sqa_blocks *b, size_t n, double *room)
{
    for (size_t i = 0; i < n; i++)
        room[i] = i < b->n ? b->ns[i] : (double)NAN;
    return room;
}

static size_t longest(const struct sqa_compare_cell *cell, int look, int clock)
{
    size_t n = 0;
    for (int arm = 0; arm < SQA_ARMS; arm++)
        n = cell->blocks[look][clock][arm].n > n ? cell->blocks[look][clock][arm].n : n;
    return n;
}

static double median_of(const struct sqa_blocks *b, double *work)
{
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++)
        if (!isnan(b->ns[i]))
            work[n++] = b->ns[i];
    sqa_sort_reals(work, n);
    return sqa_quantile(work, n, 0.5);
}

static size_t gather(const struct sqa_blocks *b, double *out)
{
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++)
        if (!isnan(b->ns[i]))
            out[n++] = b->ns[i];
    return n;
}

static enum sqa_status measure(const struct sqa_comparison *c, struct sqa_compare_cell *cell, struct sqa_err *err)
{
    size_t n = 1;
    for (int look = 0; look < SQA_LOOKS; look++)
        n = longest(cell, look, SQA_COMPARE_WALL) > n ? longest(cell, look, SQA_COMPARE_WALL) : n;
    double *room = sqa_alloc_array(4 * n, sizeof *room);
    if (!room)
        return sqa_fail(err, SQA_NOMEM, "compare: no memory; free some memory and run again");
    for (int look = 0; look < SQA_LOOKS; look++)
        for (int clock = 0; clock < SQA_COMPARE_CLOCKS; clock++) {
            const struct sqa_blocks *b = cell->blocks[look][clock];
            const double *base = padded(&b[SQA_ARM_BASE], n, room), *new = padded(&b[SQA_ARM_NEW], n, room + n),
                         *control = padded(&b[SQA_ARM_CONTROL], n, room + 2 * n);
            sqa_timing_measure(&cell->timing[look][clock], base, new, b[SQA_ARM_CONTROL].n ? control : NULL, n,
                               c->floor, room + 3 * n);
        }
    const struct sqa_blocks *b = cell->blocks[0][c->clock];
    cell->timed = (b[SQA_ARM_BASE].n > 0 && b[SQA_ARM_NEW].n > 0) || cell->disturbed;
    for (int side = 0; side < 2; side++)
        cell->ns[side] = median_of(&b[side], room);
    const size_t na = gather(&b[SQA_ARM_BASE], room), nb = gather(&b[SQA_ARM_NEW], room + n);
    cell->ranks = sqa_mann_whitney(room, na, room + n, nb);
    sqa_free(room);
    return SQA_OK;
}

/* The first look's verdicts over all timed cells, then the second's over those that were slower. */
static enum sqa_status judge_times(struct sqa_comparison *c, struct sqa_err *err)
{
    struct sqa_timing **t = sqa_alloc_array(c->n + 1, sizeof *t);
    enum sqa_status status = SQA_OK;
    if (!t)
        return sqa_fail(err, SQA_NOMEM, "compare: no memory; free some memory and run again");
    for (int look = 0; look < SQA_LOOKS && status == SQA_OK; look++) {
        size_t n = 0;
        for (size_t i = 0; i < c->n; i++)
            if (c->cells[i].timed && (look == 0 || c->cells[i].timing[0][c->clock].verdict == SQA_TIMING_SLOWER))
                t[n++] = &c->cells[i].timing[look][c->clock];
        status = sqa_timing_judge(t, n, err);
    }
    sqa_free(t);
    for (size_t i = 0; i < c->n; i++) {
        struct sqa_compare_cell *cell = &c->cells[i];
        const struct sqa_timing *first = &cell->timing[0][c->clock], *second = &cell->timing[1][c->clock];
        cell->time = first->verdict;
        cell->why = first->why;
        if (cell->disturbed && isnan(first->wide.low)) {
            cell->time = SQA_TIMING_UNFIT;
            cell->why = cell->disturbed;
        }
        cell->confirmed = false;
        if (!cell->timed || cell->time != SQA_TIMING_SLOWER || !c->second_look)
            continue;
        cell->confirmed = second->verdict == SQA_TIMING_SLOWER;
        if (!cell->confirmed) {
            cell->time = SQA_TIMING_CANNOT_TELL;
            cell->why = "slower at the first look, not at the second";
        }
    }
    return status;
}

/* Of every block the mean over cells of the log ratio; their median and interval, as ratios. */
static enum sqa_status judge_geomean(struct sqa_comparison *c, struct sqa_err *err)
{
    size_t n = 0, blocks = 0;
    c->geomean = c->geomean_interval.low = c->geomean_interval.high = (double)NAN;
    for (size_t i = 0; i < c->n; i++) {
        if (!c->cells[i].timed)
            continue;
        const struct sqa_timing *t = &c->cells[i].timing[0][c->clock];
        if (n++ == 0)
            blocks = longest(&c->cells[i], 0, (int)c->clock);
        if (t->n != blocks)
            return SQA_OK;
    }
    double *d = n && blocks ? sqa_alloc_array(blocks, sizeof *d) : NULL;
    if (!d)
        return n && blocks ? sqa_fail(err, SQA_NOMEM, "compare: no memory; free some memory and run again") : SQA_OK;
    for (size_t i = 0; i < c->n; i++)
        for (size_t k = 0; k < blocks && c->cells[i].timed; k++) {
            const struct sqa_blocks *b = c->cells[i].blocks[0][c->clock];
            d[k] += log(b[SQA_ARM_NEW].ns[k] / b[SQA_ARM_BASE].ns[k]) / (double)n;
        }
    sqa_sort_reals(d, blocks);
    const struct sqa_interval i = sqa_median_interval(d, blocks, SQA_TIMING_LEVEL);
    c->geomean = exp(sqa_quantile(d, blocks, 0.5));
    c->geomean_interval = (struct sqa_interval){exp(i.low), exp(i.high)};
    sqa_free(d);
    return SQA_OK;
}

static void conclude(struct sqa_comparison *c, struct sqa_compare_cell *cell)
{
    const bool both = cell->present[0] && cell->present[1];
    cell->broken = both && cell->ok[0] && !cell->ok[1];
    cell->regression = cell->broken || cell->score_verdict == SQA_COMPARE_WORSE ||
                       (cell->timed && cell->time == SQA_TIMING_SLOWER && cell->confirmed);
    for (int i = 0; i < SQA_COUNT_N; i++)
        cell->regression = cell->regression || cell->count_verdict[i] == SQA_COMPARE_WORSE;
    c->matched += both;
    c->timed += cell->timed;
    c->regressions += cell->regression;
    if (cell->timed) {
        c->verdicts[cell->time]++;
        c->unsettled += cell->time == SQA_TIMING_CANNOT_TELL || cell->time == SQA_TIMING_UNFIT;
    }
}

bool sqa_compare_other_model(const struct sqa_compare_cell *cell)
{
    return strcmp(cell->full[0], cell->full[1]) != 0;
}

/* The text behind "seed=..;" when s begins with it, else s. */
static const char *skip_seed(const char *s)
{
    if (strncmp(s, "seed=", 5) != 0)
        return s;
    s += strcspn(s, ";");
    return s + (*s != '\0');
}

bool sqa_compare_other_recipe(const struct sqa_compare_cell *cell)
{
    const char *a = skip_seed(cell->recipe[0]), *b = skip_seed(cell->recipe[1]);
    while (*a && *a == *b) {
        const bool item_ends = *a++ == ';';
        b++;
        if (item_ends)
            a = skip_seed(a), b = skip_seed(b);
    }
    return cell->score_name && *a != *b;
}

enum sqa_status sqa_compare_judge(struct sqa_comparison *c, struct sqa_err *err)
{
    const long failures = sqa_alloc_failures();
    enum sqa_status status = SQA_OK;
    c->matched = c->timed = c->regressions = c->unsettled = 0;
    memset(c->verdicts, 0, sizeof c->verdicts);
    for (size_t i = 0; i < c->n && status == SQA_OK; i++) {
        struct sqa_compare_cell *cell = &c->cells[i];
        for (int k = 0; k < SQA_COUNT_N; k++)
            cell->count_verdict[k] = count_verdict(cell->count[k][0], cell->count[k][1], tolerances[k]);
        status = judge_score(c, cell, err);
        if (status == SQA_OK)
            status = measure(c, cell, err);
    }
    if (status == SQA_OK)
        status = judge_times(c, err);
    if (status == SQA_OK)
        status = judge_geomean(c, err);
    for (size_t i = 0; i < c->n && status == SQA_OK; i++)
        conclude(c, &c->cells[i]);
    if (status == SQA_OK && sqa_alloc_failures() > failures) /* of the rank test */
        status = sqa_fail(err, SQA_NOMEM, "compare: no memory; free some memory and run again");
    return status;
}
