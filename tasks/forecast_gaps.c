/* forecast_gaps.c - what is missing in a series that has been read: rows and numbers, see forecast.h */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tasks/forecast.h"
#include "tasks/task_util.h"

enum { DAY = 86400, MONTH = 28 * DAY };

static int by_value(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static enum sqa_status no_memory(const char *name, struct sqa_err *err)
{
    return sqa_fail(err, SQA_NOMEM, "%s: no memory for its times; free some memory or cut the file", name);
}

/* The median of the rises from row to row, those of repeated and earlier times left out. */
static enum sqa_status find_step(const char *name, struct sqa_series *s, struct sqa_err *err)
{
    int64_t *rise = sqa_alloc_array((size_t)s->rows, sizeof *rise);
    size_t n = 0;
    if (!rise)
        return no_memory(name, err);
    for (int64_t i = 1; i < s->rows; i++)
        if (s->times[i] > s->times[i - 1])
            rise[n++] = s->times[i] - s->times[i - 1];
    qsort(rise, n, sizeof *rise, by_value);
    s->step = n ? rise[(n - 1) / 2] : 0;
    sqa_free(rise);
    return SQA_OK;
}

static void find_business_days(struct sqa_series *s)
{
    int weekends = 0;
    if (s->step != DAY)
        return;
    for (int64_t i = 0; i < s->rows && !weekends; i++)
        weekends = sqa_time_is_weekend(s->times[i]);
    s->business = !weekends && s->times[s->rows - 1] - s->times[0] >= 7 * DAY;
}

/* Rows that are missing before row i. */
static int64_t missing_before(const struct sqa_series *s, int64_t i)
{
    const int64_t from = s->times[i - 1], rise = s->times[i] - from;
    if (s->step <= 0 || 2 * rise <= 3 * s->step)
        return 0;
    if (s->business) {
        int64_t days = 0;
        for (int64_t t = from + DAY; t < s->times[i] && days < INT32_MAX; t += DAY)
            days += !sqa_time_is_weekend(t);
        return days;
    }
    return (2 * rise + s->step) / (2 * s->step) - 1;
}

int64_t sqa_series_time(const struct sqa_series *s, int64_t from, int64_t k)
{
    int last;
    const int day = sqa_time_day(from, &last);
    if (s->business) {
        for (; k > 0; k--)
            do
                from += DAY;
            while (sqa_time_is_weekend(from));
        return from;
    }
    if (s->step >= MONTH)
        return sqa_time_add_months(from, k * ((s->step + MONTH / 2) / (30 * DAY)), last ? 31 : day);
    return from + k * s->step;
}

/* Every row that is missing becomes the row before it, with its own time. */
static enum sqa_status fill_rows(const char *name, struct sqa_series *s, int64_t more, struct sqa_err *err)
{
    const int64_t rows = s->rows + more, width = s->channels;
    if (more > 16 * s->rows + 1024)
        return sqa_fail(err, SQA_INPUT, "%s: %lld rows are missing of %lld; give gaps=any, or another file", name,
                        (long long)more, (long long)rows);
    double *values = sqa_alloc_array((size_t)rows, (size_t)width * sizeof *values);
    int64_t *times = sqa_alloc_array((size_t)rows, sizeof *times);
    if (!values || !times) {
        sqa_free(values);
        sqa_free(times);
        return no_memory(name, err);
    }
    int64_t to = 0;
    for (int64_t i = 0; i < s->rows; i++) {
        const int64_t absent = i ? missing_before(s, i) : 0;
        for (int64_t k = 1; k <= absent; k++, to++) {
            memcpy(values + to * width, s->values + (i - 1) * width, (size_t)width * sizeof *values);
            times[to] = sqa_series_time(s, s->times[i - 1], k);
        }
        memcpy(values + to * width, s->values + i * width, (size_t)width * sizeof *values);
        times[to++] = s->times[i];
    }
    sqa_free(s->values);
    sqa_free(s->times);
    s->values = values;
    s->times = times;
    s->rows = rows;
    s->filled += more;
    return SQA_OK;
}

static enum sqa_status mend_rows(const char *name, const char *gaps, const size_t *lines, struct sqa_series *s,
                                 struct sqa_err *err)
{
    char before[32], after[32];
    int64_t more = 0, first = 0, in_first = 0;
    for (int64_t i = 1; i < s->rows; i++) {
        const int64_t absent = missing_before(s, i);
        if (absent < 1)
            continue;
        if (s->gaps++ == 0) {
            first = i;
            in_first = absent;
        }
        more += absent;
    }
    if (s->gaps == 0)
        return SQA_OK;
    s->gap_line = lines[first];
    if (strcmp(gaps, "fill") == 0)
        return fill_rows(name, s, more, err);
    if (strcmp(gaps, "any") == 0)
        return SQA_OK;
    return sqa_fail(err, SQA_INPUT,
                    "%s: line %zu: %lld row%s missing between %s and %s%s; add them, or give gaps=fill (they become "
                    "the row before) or gaps=any (rows count in file order)",
                    name, lines[first], (long long)in_first, in_first == 1 ? " is" : "s are",
                    sqa_format_time(before, s->times[first - 1]), sqa_format_time(after, s->times[first]),
                    s->gaps > 1 ? ", the first of several gaps" : "");
}

/* NaN becomes the number before it in its column, at the start the first that follows. */
static enum sqa_status mend_numbers(const char *name, struct sqa_series *s, struct sqa_err *err)
{
    char shown[SQA_QUOTE];
    for (int64_t c = 0; c < s->channels; c++) {
        double *v = s->values + c;
        int64_t first = 0;
        while (first < s->rows && isnan(v[first * s->channels]))
            first++;
        if (first == s->rows)
            return sqa_fail(err, SQA_INPUT, "%s: column '%s' has no number at all; remove it", name,
                            sqa_quote(shown, s->names[c]));
        s->filled += first;
        for (int64_t i = 0; i < first; i++)
            v[i * s->channels] = v[first * s->channels];
        for (int64_t i = first + 1; i < s->rows; i++) {
            if (!isnan(v[i * s->channels]))
                continue;
            v[i * s->channels] = v[(i - 1) * s->channels];
            s->filled++;
        }
    }
    return SQA_OK;
}

enum sqa_status sqa_series_mend(const char *name, const struct sqa_series_format *format, const size_t *lines,
                                struct sqa_series *s, struct sqa_err *err)
{
    enum sqa_status status = mend_numbers(name, s, err);
    if (status != SQA_OK || !s->times)
        return status;
    status = find_step(name, s, err);
    if (status != SQA_OK)
        return status;
    find_business_days(s);
    return mend_rows(name, format->gaps, lines, s, err);
}
