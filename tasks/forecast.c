/* forecast.c - splits, scaling and windows of a series, see forecast.h */
#include "tasks/forecast.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "tasks/task_util.h"

struct state {
    struct sqa_series series;
    int64_t first[SQA_SPLITS]; /* row where window 0 of a split begins */
    double *marks;             /* (rows, ds->marks), or NULL */
    int32_t *calendar;         /* (rows, SQA_CALENDAR), or NULL */
    double *units;             /* (outputs, 3), see base/batch.h */
    enum sqa_freq freq;
};

/* Rows [begin, end) of the parts. */
struct borders {
    int64_t begin[SQA_SPLITS], end[SQA_SPLITS];
    int borrow; /* validation and test take their history from the part before */
};

/* The published loaders compute int(n * 0.7) in double precision; so does this. */
static struct borders borders_of(const struct sqa_forecast_parts *p, int64_t n)
{
    int64_t train = p->rows[SQA_TRAIN], valid = p->rows[SQA_VALID], test = p->rows[SQA_TEST];
    if (p->rule == SQA_PARTS_622) {
        const int64_t a = (int64_t)((double)n * 0.6), b = (int64_t)((double)n * 0.8);
        return (struct borders){{0, a, b}, {a, b, n}, 0};
    }
    if (train > 0)
        return (struct borders){{0, train, train + valid}, {train, train + valid, train + valid + test}, 1};
    train = (int64_t)((double)n * 0.7);
    test = (int64_t)((double)n * 0.2);
    valid = p->rule == SQA_PARTS_SOLAR ? (int64_t)((double)n * 0.1) : n - train - test;
    return (struct borders){{0, train, n - test}, {train, train + valid, n}, 1};
}

static int64_t windows(const struct borders *b, int split, const struct sqa_forecast_options *o)
{
    const int own = split == SQA_TRAIN || !b->borrow;
    return b->end[split] - b->begin[split] - o->horizon + 1 - (own ? o->lookback : 0);
}

void sqa_forecast_count(struct sqa_dataset *ds, const struct sqa_forecast_options *o,
                        const struct sqa_forecast_parts *parts, int64_t rows)
{
    const struct borders b = borders_of(parts, rows);
    for (int i = 0; i < SQA_SPLITS; i++)
        ds->count[i] = windows(&b, i, o);
    if (o->drop_last_batch > 0)
        ds->count[SQA_TEST] = ds->count[SQA_TEST] / o->drop_last_batch * o->drop_last_batch;
}

static int enough(const struct borders *b, const struct sqa_forecast_options *o)
{
    return windows(b, SQA_TRAIN, o) > 0 && windows(b, SQA_VALID, o) > 0 && windows(b, SQA_TEST, o) > 0 &&
           (!b->borrow || b->begin[SQA_VALID] >= o->lookback);
}

static const char *rule_name(const struct sqa_forecast_parts *p)
{
    return p->rule == SQA_PARTS_622 ? "6:2:2" : "7:1:2";
}

static enum sqa_status choose_borders(const char *where, const struct sqa_forecast_options *o,
                                      const struct sqa_forecast_parts *p, int64_t n, struct borders *b,
                                      struct sqa_err *err)
{
    const int64_t fixed = p->rows[SQA_TRAIN] + p->rows[SQA_VALID] + p->rows[SQA_TEST];
    if (fixed > n)
        return sqa_fail(err, SQA_INPUT, "%s: %lld rows, its split needs %lld; get the whole file", where,
                        (long long)n, (long long)fixed);
    *b = borders_of(p, n);
    if (enough(b, o))
        return SQA_OK;
    if (fixed)
        return sqa_fail(err, SQA_INPUT,
                        "%s: lookback %lld and horizon %lld do not fit into its %lld rows to train on "
                        "(horizon: %lld to test on); lower them",
                        where, (long long)o->lookback, (long long)o->horizon, (long long)p->rows[SQA_TRAIN],
                        (long long)p->rows[SQA_TEST]);
    int64_t need = n + 1;
    for (*b = borders_of(p, need); !enough(b, o); *b = borders_of(p, need))
        need++;
    return sqa_fail(err, SQA_INPUT,
                    "%s: %lld rows are too few for lookback %lld and horizon %lld in a %s split; "
                    "give at least %lld rows or lower them",
                    where, (long long)n, (long long)o->lookback, (long long)o->horizon, rule_name(p),
                    (long long)need);
}

/* Mean and population deviation of each channel over the first n rows. A constant channel keeps its scale. */
static void fit_scaler(const struct sqa_series *s, int64_t n, double *mean, double *deviation)
{
    for (int64_t c = 0; c < s->channels; c++) {
        double sum = 0, squares = 0;
        int constant = 1;
        for (int64_t i = 0; i < n; i++) {
            const double v = s->values[i * s->channels + c];
            sum += v;
            constant = constant && !(v < s->values[c]) && !(v > s->values[c]);
        }
        mean[c] = constant ? s->values[c] : sum / (double)n;
        for (int64_t i = 0; i < n; i++) {
            const double v = s->values[i * s->channels + c] - mean[c];
            squares += v * v;
        }
        deviation[c] = constant ? 1 : sqrt(squares / (double)n);
    }
}

static enum sqa_status scale(const char *where, struct sqa_series *s, int64_t train, double *mean, double *deviation,
                             struct sqa_err *err)
{
    char shown[SQA_QUOTE];
    fit_scaler(s, train, mean, deviation);
    for (int64_t i = 0; i < s->rows; i++) {
        for (int64_t c = 0; c < s->channels; c++) {
            double *v = &s->values[i * s->channels + c];
            *v = (*v - mean[c]) / deviation[c];
            if (!isfinite(*v))
                return sqa_fail(err, SQA_INPUT,
                                "%s: column '%s': its numbers are too large to be standardised; scale "
                                "them down",
                                where, sqa_quote(shown, s->names[c]));
        }
    }
    return SQA_OK;
}

/* Over the data before scaling, so that it does not depend on the build. */
static void hash_splits(struct sqa_dataset *ds, const struct sqa_forecast_options *o, const struct state *state)
{
    for (int s = 0; s < SQA_SPLITS; s++) {
        const int64_t rows = ds->count[s] + o->lookback + o->horizon - 1;
        const int64_t shape[] = {o->lookback, o->horizon, ds->channels, ds->outputs, ds->count[s]};
        const double *start = state->series.values + state->first[s] * ds->channels;
        sqa_task_set_hash(
            ds, (enum sqa_split)s,
            sqa_hash(start, (size_t)(rows * ds->channels) * sizeof *start, sqa_hash(shape, sizeof shape, 0)));
    }
}

/* Mean absolute error of repeating the last season (period 0, or longer than the rows: the last value) over rows
 * 0 .. n - 1 of a channel, in the units of v. */
static double naive_error(const double *v, int64_t n, int64_t channels, int64_t season)
{
    const int64_t m = season > 0 && season < n ? season : 1;
    double sum = 0;
    for (int64_t t = m; t < n; t++)
        sum += fabs(v[t * channels] - v[(t - m) * channels]);
    return n > m ? sum / (double)(n - m) : 0;
}

static enum sqa_status make_units(struct sqa_dataset *ds, struct state *state, int64_t train, struct sqa_err *err)
{
    state->units = sqa_alloc_array((size_t)ds->outputs, 3 * sizeof *state->units);
    if (!state->units)
        return sqa_task_nomem(ds->task, err);
    for (int64_t o = 0; o < ds->outputs; o++) {
        const int64_t c = ds->channels - ds->outputs + o;
        double *u = state->units + 3 * o;
        u[0] = ds->mean[c];
        u[1] = ds->deviation[c];
        u[2] = u[1] * naive_error(state->series.values + c, train, ds->channels, ds->season);
    }
    return SQA_OK;
}

static enum sqa_status make_marks(struct sqa_dataset *ds, struct state *state, const char *freq, struct sqa_err *err)
{
    const struct sqa_series *s = &state->series;
    if (!s->times)
        return SQA_OK;
    const enum sqa_freq f = state->freq = sqa_freq_find(freq, s);
    ds->marks = sqa_freq_marks(f);
    state->marks = sqa_alloc_array((size_t)s->rows, (size_t)ds->marks * sizeof *state->marks);
    state->calendar = sqa_alloc_array((size_t)s->rows, SQA_CALENDAR * sizeof *state->calendar);
    if (!state->marks || !state->calendar)
        return sqa_task_nomem(ds->task, err);
    for (int64_t i = 0; i < s->rows; i++) {
        sqa_time_marks(f, s->times[i], state->marks + i * ds->marks);
        sqa_time_calendar(s->times[i], state->calendar + i * SQA_CALENDAR);
    }
    return SQA_OK;
}

enum sqa_status sqa_forecast_note(struct sqa_dataset *ds, const char *note, struct sqa_err *err)
{
    ds->note = sqa_arena_printf(&ds->arena, "%s%s%s", ds->note, *ds->note ? "; " : "", note);
    return ds->note ? SQA_OK : sqa_task_nomem(ds->task, err);
}

static enum sqa_status drop_last(struct sqa_dataset *ds, const char *where, int64_t batch, struct sqa_err *err)
{
    char note[160];
    const int64_t all = ds->count[SQA_TEST];
    ds->count[SQA_TEST] = all / batch * batch;
    if (ds->count[SQA_TEST] == 0)
        return sqa_fail(err, SQA_INPUT, "%s: drop_last_batch=%lld leaves none of %lld test windows; lower it", where,
                        (long long)batch, (long long)all);
    snprintf(note, sizeof note, "the last %lld of %lld test windows are left out (drop_last_batch)",
             (long long)(all - ds->count[SQA_TEST]), (long long)all);
    return sqa_forecast_note(ds, note, err);
}

enum sqa_status sqa_forecast_open(struct sqa_dataset *ds, const char *where, const struct sqa_forecast_options *o,
                                  const struct sqa_forecast_parts *parts, struct sqa_series *series,
                                  struct sqa_err *err)
{
    struct state *state = sqa_alloc(sizeof *state);
    struct borders b;
    if (!state) {
        sqa_series_clear(series);
        return sqa_task_nomem(ds->task, err);
    }
    ds->state = state;
    state->series = *series;
    *series = (struct sqa_series){0};
    struct sqa_series *const s = &state->series;
    enum sqa_status status = choose_borders(where, o, parts, s->rows, &b, err);
    if (status != SQA_OK)
        return status;
    for (int i = 0; i < SQA_SPLITS; i++) {
        state->first[i] = b.begin[i] - (i != SQA_TRAIN && b.borrow ? o->lookback : 0);
        ds->count[i] = windows(&b, i, o);
    }
    if (o->drop_last_batch > 0)
        status = drop_last(ds, where, o->drop_last_batch, err);
    if (status != SQA_OK)
        return status;
    ds->channels = s->channels;
    ds->outputs = strcmp(o->mode, "MS") == 0 ? 1 : s->channels;
    ds->length = o->lookback;
    ds->horizon = o->horizon;
    ds->channel_names = s->names + (ds->channels - ds->outputs);
    double *mean = sqa_arena_alloc(&ds->arena, (size_t)s->channels * sizeof *mean);
    double *deviation = sqa_arena_alloc(&ds->arena, (size_t)s->channels * sizeof *deviation);
    if (!mean || !deviation)
        return sqa_task_nomem(ds->task, err);
    ds->mean = mean;
    ds->deviation = deviation;
    hash_splits(ds, o, state);
    status = scale(where, s, b.end[SQA_TRAIN], mean, deviation, err);
    if (status == SQA_OK)
        status = make_units(ds, state, b.end[SQA_TRAIN], err);
    return status == SQA_OK ? make_marks(ds, state, o->freq, err) : status;
}

void sqa_forecast_close(struct sqa_dataset *ds)
{
    struct state *state = ds->state;
    sqa_series_clear(&state->series);
    sqa_free(state->marks);
    sqa_free(state->calendar);
    sqa_free(state->units);
    sqa_free(state);
    ds->state = NULL;
}

const struct sqa_series *sqa_forecast_series(const struct sqa_dataset *ds)
{
    const struct state *state = ds->state;
    return &state->series;
}

/* The times of the window that begins at row `start`, into row i of the batch. Rows of padding have none. */
static void fetch_times(const struct sqa_dataset *ds, const struct state *state, int64_t start, int64_t i,
                        struct sqa_batch *b)
{
    const int64_t parts[2][3] = {{0, start, ds->length}, {b->length, start + ds->length, ds->horizon}};
    const int64_t row = i * (b->length + ds->horizon), f = ds->marks;
    memset(b->marks + row * f, 0, (size_t)((b->length + ds->horizon) * f) * sizeof *b->marks);
    memset(b->calendar + row * SQA_CALENDAR, 0,
           (size_t)((b->length + ds->horizon) * SQA_CALENDAR) * sizeof *b->calendar);
    for (int p = 0; p < 2; p++) {
        const int64_t to = row + parts[p][0], from = parts[p][1], n = parts[p][2];
        memcpy(b->marks + to * f, state->marks + from * f, (size_t)(n * f) * sizeof *b->marks);
        memcpy(b->calendar + to * SQA_CALENDAR, state->calendar + from * SQA_CALENDAR,
               (size_t)(n * SQA_CALENDAR) * sizeof *b->calendar);
    }
}

enum sqa_status sqa_forecast_fetch(const struct sqa_dataset *ds, enum sqa_split split, const uint32_t *index,
                                   int64_t n, struct sqa_batch *b, struct sqa_err *err)
{
    const struct state *state = ds->state;
    const int64_t channels = ds->channels, outputs = ds->outputs;
    const enum sqa_status status = sqa_task_begin_fetch(ds, split, index, n, b, err);
    if (status != SQA_OK)
        return status;
    b->past = state->series.values;
    for (int64_t i = 0; i < n; i++) {
        const int64_t start = state->first[split] + index[i], end = start + ds->length;
        const double *x = state->series.values + start * channels, *y = state->series.values + end * channels;
        double *row = b->x + i * b->length * channels;
        memset(row, 0, (size_t)(b->length * channels) * sizeof *row);
        memcpy(row, x, (size_t)(ds->length * channels) * sizeof *row);
        for (int64_t t = 0; t < ds->horizon; t++)
            memcpy(b->y + (i * ds->horizon + t) * outputs, y + t * channels + channels - outputs,
                   (size_t)outputs * sizeof *y);
        b->past_start[i] = 0;
        b->past_count[i] = end;
        memcpy(b->units + i * outputs * 3, state->units, (size_t)(outputs * 3) * sizeof *b->units);
        if (ds->marks > 0)
            fetch_times(ds, state, start, i, b);
    }
    return SQA_OK;
}

void sqa_forecast_ahead(const struct sqa_dataset *ds, struct sqa_batch *b, int64_t *times)
{
    const struct state *state = ds->state;
    const struct sqa_series *s = &state->series;
    const int64_t first = s->rows - ds->length, width = ds->channels;
    memcpy(b->x, s->values + first * width, (size_t)(ds->length * width) * sizeof *b->x);
    memcpy(b->units, state->units, (size_t)(ds->outputs * 3) * sizeof *b->units);
    b->n = 1;
    b->length = ds->length;
    b->past = s->values;
    b->past_start[0] = 0;
    b->past_count[0] = s->rows;
    for (int64_t t = 0; s->times && t < ds->length + ds->horizon; t++) {
        const int64_t ahead = t - ds->length + 1;
        const int64_t time = ahead > 0 ? sqa_series_time(s, s->times[s->rows - 1], ahead) : s->times[first + t];
        sqa_time_marks(state->freq, time, b->marks + t * ds->marks);
        sqa_time_calendar(time, b->calendar + t * SQA_CALENDAR);
        if (ahead > 0)
            times[ahead - 1] = time;
    }
}

static void show_row(const struct sqa_dataset *ds, int64_t row, const char *what, struct sqa_text *out)
{
    enum { COLUMNS = 8 };
    const struct state *state = ds->state;
    const struct sqa_series *s = &state->series;
    char time[32] = "";
    if (s->times)
        sqa_format_time(time, s->times[row]);
    sqa_text_printf(out, "%-8s %8lld %19s", what, (long long)row, time);
    for (int64_t c = s->channels > COLUMNS ? s->channels - COLUMNS : 0; c < s->channels; c++)
        sqa_text_printf(out, " %12.6g", s->values[row * s->channels + c] * ds->deviation[c] + ds->mean[c]);
    sqa_text_add(out, "\n");
}

enum sqa_status sqa_forecast_show(const struct sqa_dataset *ds, enum sqa_split split, uint32_t index,
                                  struct sqa_text *out, struct sqa_err *err)
{
    const struct state *state = ds->state;
    const struct sqa_series *s = &state->series;
    if ((int64_t)index >= ds->count[split])
        return sqa_fail(err, SQA_INPUT, "%s: window %u of %s; there are %lld, counted from 0", ds->task->id,
                        (unsigned)index, sqa_split_name(split), (long long)ds->count[split]);
    const int64_t start = state->first[split] + index, middle = start + ds->length, end = middle + ds->horizon;
    const int64_t shown[][2] = {{start, middle}, {middle, end}};
    sqa_text_printf(out, "%-8s %8s %19s", "", "row", s->times ? "date" : "");
    for (int64_t c = s->channels > 8 ? s->channels - 8 : 0; c < s->channels; c++)
        sqa_text_printf(out, " %12.12s", s->names[c]);
    sqa_text_add(out, "\n");
    for (int part = 0; part < 2; part++) {
        const int64_t low = shown[part][0], high = shown[part][1];
        for (int64_t row = low; row < high; row++)
            if (row < low + 3 || row >= high - 3)
                show_row(ds, row, part ? "forecast" : "history", out);
            else if (row == low + 3)
                sqa_text_add(out, "...\n");
    }
    return out->failed ? sqa_task_nomem(ds->task, err) : SQA_OK;
}
