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
};

/* The published loaders compute int(n * 0.7) in double precision; so does this. */
static struct sqa_forecast_parts ratio_parts(int64_t n)
{
    struct sqa_forecast_parts p;
    p.rows[SQA_TRAIN] = (int64_t)((double)n * 0.7);
    p.rows[SQA_TEST] = (int64_t)((double)n * 0.2);
    p.rows[SQA_VALID] = n - p.rows[SQA_TRAIN] - p.rows[SQA_TEST];
    return p;
}

static int64_t windows(const struct sqa_forecast_parts *p, int split, const struct sqa_forecast_options *o)
{
    return p->rows[split] - o->horizon + 1 - (split == SQA_TRAIN ? o->lookback : 0);
}

static int enough(const struct sqa_forecast_parts *p, const struct sqa_forecast_options *o)
{
    return windows(p, SQA_TRAIN, o) > 0 && windows(p, SQA_VALID, o) > 0 && windows(p, SQA_TEST, o) > 0;
}

static enum sqa_status choose_parts(const char *where, const struct sqa_forecast_options *o,
                                    const struct sqa_series *series, struct sqa_forecast_parts *p,
                                    struct sqa_err *err)
{
    const int64_t fixed = p->rows[SQA_TRAIN] + p->rows[SQA_VALID] + p->rows[SQA_TEST], n = series->rows;
    if (fixed > n)
        return sqa_fail(err, SQA_INPUT, "%s: %lld rows, its split needs %lld; get the whole file", where,
                        (long long)n, (long long)fixed);
    if (fixed && !enough(p, o))
        return sqa_fail(err, SQA_INPUT,
                        "%s: lookback %lld and horizon %lld do not fit into its %lld rows to train on "
                        "(horizon: %lld to test on); lower them",
                        where, (long long)o->lookback, (long long)o->horizon, (long long)p->rows[SQA_TRAIN],
                        (long long)p->rows[SQA_TEST]);
    if (fixed)
        return SQA_OK;
    *p = ratio_parts(n);
    if (enough(p, o))
        return SQA_OK;
    int64_t need = n + 1;
    for (*p = ratio_parts(need); !enough(p, o); *p = ratio_parts(need))
        need++;
    return sqa_fail(err, SQA_INPUT,
                    "%s: %lld rows are too few for lookback %lld and horizon %lld in a 7:1:2 split; "
                    "give at least %lld rows or lower them",
                    where, (long long)n, (long long)o->lookback, (long long)o->horizon, (long long)need);
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

enum sqa_status sqa_forecast_open(struct sqa_dataset *ds, const char *where, const struct sqa_forecast_options *o,
                                  const struct sqa_forecast_parts *given, struct sqa_series *series,
                                  struct sqa_err *err)
{
    struct state *state = sqa_alloc(sizeof *state);
    if (!state) {
        sqa_series_clear(series);
        return sqa_task_nomem(ds->task, err);
    }
    ds->state = state;
    state->series = *series;
    *series = (struct sqa_series){0};
    struct sqa_series *const s = &state->series;
    struct sqa_forecast_parts parts = *given;
    const enum sqa_status status = choose_parts(where, o, s, &parts, err);
    if (status != SQA_OK)
        return status;
    const int ratio = given->rows[SQA_TRAIN] == 0;
    const int64_t test_begin = ratio ? s->rows - parts.rows[SQA_TEST] : parts.rows[SQA_TRAIN] + parts.rows[SQA_VALID];
    state->first[SQA_VALID] = parts.rows[SQA_TRAIN] - o->lookback;
    state->first[SQA_TEST] = test_begin - o->lookback;
    for (int i = 0; i < SQA_SPLITS; i++)
        ds->count[i] = windows(&parts, i, o);
    if (o->drop_last_batch > 0) {
        const int64_t all = ds->count[SQA_TEST];
        ds->count[SQA_TEST] = all / o->drop_last_batch * o->drop_last_batch;
        if (ds->count[SQA_TEST] == 0)
            return sqa_fail(err, SQA_INPUT, "%s: drop_last_batch=%lld leaves none of %lld test windows; lower it",
                            where, (long long)o->drop_last_batch, (long long)all);
        ds->note = sqa_arena_printf(&ds->arena, "the last %lld of %lld test windows are left out (drop_last_batch)",
                                    (long long)(all - ds->count[SQA_TEST]), (long long)all);
    }
    ds->channels = s->channels;
    ds->outputs = strcmp(o->mode, "MS") == 0 ? 1 : s->channels;
    ds->length = o->lookback;
    ds->horizon = o->horizon;
    ds->channel_names = s->names + (ds->channels - ds->outputs);
    double *mean = sqa_arena_alloc(&ds->arena, (size_t)s->channels * sizeof *mean);
    double *deviation = sqa_arena_alloc(&ds->arena, (size_t)s->channels * sizeof *deviation);
    if (!mean || !deviation || !ds->note)
        return sqa_task_nomem(ds->task, err);
    ds->mean = mean;
    ds->deviation = deviation;
    hash_splits(ds, o, state);
    return scale(where, s, parts.rows[SQA_TRAIN], mean, deviation, err);
}

const char *const sqa_forecast_floors[] = {"repeat_last", "seasonal_naive", NULL};

const struct sqa_param sqa_ett_params[] = {SQA_FORECAST_WINDOW_PARAMS(struct sqa_ett, "96", "96"),
                                           SQA_FORECAST_CHANNEL_PARAMS(struct sqa_ett, "OT"),
                                           {.name = NULL}};

enum sqa_status sqa_forecast_open_ett(struct sqa_dataset *ds, const struct sqa_task_env *env, const char *name,
                                      const char *sha256, const struct sqa_forecast_options *options,
                                      struct sqa_err *err)
{
    static const struct sqa_forecast_parts hourly = {{12 * 30 * 24, 4 * 30 * 24, 4 * 30 * 24}};
    char path[4096], hex[65];
    struct sqa_series series;
    enum sqa_status status =
        sqa_data_find(env, name, "github.com/zhouhaoyi/ETDataset (ETT-small)", sha256, path, err);
    if (status == SQA_OK)
        status = sqa_series_read(path, options, 0, env, &ds->arena, &series, err);
    if (status != SQA_OK)
        return status;
    status = sqa_forecast_open(ds, path, options, &hourly, &series, err);
    if (status == SQA_OK)
        status = sqa_file_sha256(path, hex, err);
    if (status == SQA_OK && strcmp(hex, sha256) != 0) {
        ds->note = sqa_arena_printf(&ds->arena, "%s%s%s is not the published file (SHA-256 %s)", ds->note,
                                    *ds->note ? "; " : "", path, hex);
        if (!ds->note)
            return sqa_task_nomem(ds->task, err);
    }
    ds->season = 24;
    return status;
}

void sqa_forecast_close(struct sqa_dataset *ds)
{
    struct state *state = ds->state;
    sqa_series_clear(&state->series);
    sqa_free(state);
    ds->state = NULL;
}

const struct sqa_series *sqa_forecast_series(const struct sqa_dataset *ds)
{
    const struct state *state = ds->state;
    return &state->series;
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
    }
    return SQA_OK;
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
