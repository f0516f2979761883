/*
 * m4.c - the M4 competition: many series of one frequency, the last values of each to forecast
 *
 * Files    NAME-train.csv and NAME-test.csv: a header, then a series a row: id, values, empty fields to fill the row
 * Test     one window a series: the look-back at the end of its training values, to forecast its test values
 * Valid    the same one horizon before: the last horizon of the training values is not trained on
 * Train    every window before that; a series too short for a whole look-back has one, its history continued to the
 *          left with its first value
 * Scale    each series by mean and deviation of the values it trains on
 * Source   Makridakis et al. 2020, International Journal of Forecasting 36:54-74
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/csv.h"
#include "base/file.h"
#include "tasks/forecast.h"
#include "tasks/m4.h"
#include "tasks/task_util.h"

struct self {
    const char *set;
    int64_t lookback, windows;
};

static const struct sqa_param params[] = {{"set", "frequency", SQA_PARAM_CHOICE, "Hourly", 0, 0,
                                           offsetof(struct self, set),
                                           "Hourly|Daily|Weekly|Monthly|Quarterly|Yearly"},
                                          {"lookback", "rows of history a model sees; 0: twice the horizon",
                                           SQA_PARAM_INT, "0", 0, 1 << 16, offsetof(struct self, lookback), NULL},
                                          {"windows", "training windows of a series, the latest; 0: all",
                                           SQA_PARAM_INT, "0", 0, 1 << 20, offsetof(struct self, windows), NULL},
                                          {.name = NULL}};

static const struct frequency {
    const char *name;
    int64_t horizon, season; /* the competition's */
    const char *files[2][3]; /* of training and test values */
    const char *sha256[2];
} frequencies[] = {
#define FILES(name)                                           \
    {                                                         \
        {#name "-train.csv", "M4-" #name "-train.csv", NULL}, \
        {                                                     \
#name "-test.csv", "M4-" #name "-test.csv", NULL  \
        }                                                     \
    }
    {"Hourly",
     48,
     24,
     FILES(Hourly),
     {"ea59b7783573c49077a835ab6465c7d66f1474783360f310988a9a737fbca62f",
      "71a57fccb15e534d973626ada4fb87febf789e9317715b7cc6dd3b5f90db6f42"}},
    {"Daily", 14, 1, FILES(Daily), {NULL, NULL}},
    {"Weekly", 13, 1, FILES(Weekly), {NULL, NULL}},
    {"Monthly", 18, 12, FILES(Monthly), {NULL, NULL}},
    {"Quarterly", 8, 4, FILES(Quarterly), {NULL, NULL}},
    {"Yearly", 6, 1, FILES(Yearly), {NULL, NULL}},
};

struct state {
    struct sqa_panel panel; /* values standardised; each series is its training, then its test values */
    double *units;          /* (series, 3), see base/batch.h */
    int64_t *before;        /* (series + 1): training windows of the series before */
};

static void close_m4(struct sqa_dataset *ds)
{
    struct state *s = ds->state;
    sqa_panel_clear(&s->panel);
    sqa_free(s->units);
    sqa_free(s->before);
    sqa_free(s);
    ds->state = NULL;
}

/* Values before the last horizon of a series, which are what it trains on. */
static int64_t trained(const struct sqa_dataset *ds, const struct state *s, size_t i)
{
    return (int64_t)s->panel.length[i] - 2 * ds->horizon;
}

static void scale_series(const struct sqa_dataset *ds, struct state *s, size_t i)
{
    double *v = s->panel.value + s->panel.start[i], *u = s->units + 3 * i, sum = 0, squares = 0;
    const int64_t n = trained(ds, s, i), all = (int64_t)s->panel.length[i], inside = all - ds->horizon,
                  m = ds->season < inside ? ds->season : 1;
    for (int64_t t = 0; t < n; t++)
        sum += v[t];
    u[0] = sum / (double)n;
    for (int64_t t = 0; t < n; t++)
        squares += (v[t] - u[0]) * (v[t] - u[0]);
    u[1] = sqrt(squares / (double)n);
    u[1] = u[1] > 1e-12 * fabs(u[0]) && u[1] > 0 ? u[1] : 1;
    u[2] = 0;
    for (int64_t t = m; t < inside; t++)
        u[2] += fabs(v[t] - v[t - m]) / (double)(inside - m);
    for (int64_t t = 0; t < all; t++)
        v[t] = (v[t] - u[0]) / u[1];
}

static enum sqa_status make_windows(struct sqa_dataset *ds, struct state *s, const struct self *self,
                                    struct sqa_err *err)
{
    const size_t n = s->panel.count;
    s->units = sqa_alloc_array(n, 3 * sizeof *s->units);
    s->before = sqa_alloc_array(n + 1, sizeof *s->before);
    if (!s->units || !s->before)
        return sqa_task_nomem(ds->task, err);
    for (size_t i = 0; i < n; i++) {
        const int64_t rows = trained(ds, s, i);
        if (rows < 1)
            return sqa_fail(err, SQA_INPUT,
                            "m4: series %.40s has %lld values, horizon and validation need %lld; "
                            "take the published file",
                            s->panel.name[i], (long long)(rows + ds->horizon), (long long)ds->horizon + 1);
        scale_series(ds, s, i);
        /* Targets of training end where those of validation begin. */
        int64_t windows = rows - ds->horizon - ds->length + 1;
        windows = windows > 0 ? windows : rows > ds->horizon;
        windows = self->windows > 0 && windows > self->windows ? self->windows : windows;
        s->before[i + 1] = s->before[i] + windows;
    }
    if (s->before[n] < 1 || s->before[n] > UINT32_MAX)
        return sqa_fail(err, SQA_INPUT,
                        "m4: %lld training windows; change windows= or lookback=", (long long)s->before[n]);
    ds->count[SQA_TRAIN] = s->before[n];
    ds->count[SQA_VALID] = ds->count[SQA_TEST] = (int64_t)n;
    return SQA_OK;
}

static enum sqa_status open_m4(const void *parsed, const struct sqa_task_env *env, struct sqa_dataset *ds,
                               struct sqa_err *err)
{
    static const char *const at = "github.com/Mcompetitions/M4-methods (Dataset/Train and Dataset/Test)";
    const struct self *self = parsed;
    const struct frequency *f = frequencies;
    char path[2][4096], hex[65], note[4400];
    struct state *s = sqa_alloc(sizeof *s);
    ds->state = s;
    if (!s)
        return sqa_task_nomem(ds->task, err);
    while (strcmp(f->name, self->set) != 0)
        f++;
    enum sqa_status status = SQA_OK;
    for (int i = 0; i < 2 && status == SQA_OK; i++) {
        status = sqa_forecast_find(env, f->files[i], at, f->sha256[i], path[i], NULL, err);
        if (status != SQA_OK || !f->sha256[i])
            continue;
        status = sqa_file_sha256(path[i], hex, err);
        if (status != SQA_OK || strcmp(hex, f->sha256[i]) == 0)
            continue;
        snprintf(note, sizeof note, "%.4000s is not the published file (SHA-256 %s)", path[i], hex);
        status = sqa_forecast_note(ds, note, err);
    }
    if (status == SQA_OK)
        status = sqa_panel_read(path[0], path[1], f->horizon, env, &s->panel, err);
    if (status != SQA_OK)
        return status;
    ds->horizon = f->horizon;
    ds->season = f->season;
    ds->length = self->lookback ? self->lookback : 2 * f->horizon;
    ds->channels = ds->outputs = 1;
    static const char *const names[] = {"value"};
    ds->channel_names = names;
    for (int i = 0; i < SQA_SPLITS; i++) {
        const int64_t what[] = {i, ds->length, ds->horizon, self->windows};
        sqa_task_set_hash(
            ds, (enum sqa_split)i,
            sqa_hash(s->panel.value, s->panel.used * sizeof *s->panel.value, sqa_hash(what, sizeof what, 0)));
    }
    return make_windows(ds, s, self, err);
}

/* The series of a window, and the row of it that is forecast first. */
static size_t window_of(const struct sqa_dataset *ds, enum sqa_split split, uint32_t index, int64_t *first)
{
    const struct state *s = ds->state;
    size_t low = 0, high = s->panel.count;
    if (split != SQA_TRAIN) {
        *first = trained(ds, s, index) + (split == SQA_TEST ? ds->horizon : 0);
        return index;
    }
    while (high - low > 1) {
        const size_t middle = (low + high) / 2;
        if (s->before[middle] <= (int64_t)index)
            low = middle;
        else
            high = middle;
    }
    const int64_t from_end = s->before[low + 1] - 1 - (int64_t)index;
    *first = trained(ds, s, low) - ds->horizon - from_end;
    return low;
}

static enum sqa_status fetch(const struct sqa_dataset *ds, enum sqa_split split, const uint32_t *index, int64_t n,
                             struct sqa_batch *b, struct sqa_err *err)
{
    const struct state *s = ds->state;
    const enum sqa_status status = sqa_task_begin_fetch(ds, split, index, n, b, err);
    if (status != SQA_OK)
        return status;
    b->past = s->panel.value;
    for (int64_t i = 0; i < n; i++) {
        int64_t first;
        const size_t k = window_of(ds, split, index[i], &first);
        const double *v = s->panel.value + s->panel.start[k];
        for (int64_t t = 0; t < b->length; t++) {
            const int64_t from = first - ds->length + t;
            b->x[i * b->length + t] = t < ds->length ? v[from > 0 ? from : 0] : 0;
        }
        memcpy(b->y + i * ds->horizon, v + first, (size_t)ds->horizon * sizeof *v);
        b->past_start[i] = (int64_t)s->panel.start[k];
        b->past_count[i] = first;
        memcpy(b->units + 3 * i, s->units + 3 * k, 3 * sizeof *b->units);
    }
    return SQA_OK;
}

static enum sqa_status show(const struct sqa_dataset *ds, enum sqa_split split, uint32_t index, struct sqa_text *out,
                            struct sqa_err *err)
{
    const struct state *s = ds->state;
    int64_t first;
    if ((int64_t)index >= ds->count[split])
        return sqa_fail(err, SQA_INPUT, "m4: window %u of %s; there are %lld, counted from 0", (unsigned)index,
                        sqa_split_name(split), (long long)ds->count[split]);
    const size_t k = window_of(ds, split, index, &first);
    sqa_text_printf(out, "series %s, row %lld of %zu first\n", s->panel.name[k], (long long)first,
                    s->panel.length[k]);
    for (int64_t t = first < 5 ? -first : -5; t < 5 && t < ds->horizon; t++) {
        const double v = s->panel.value[s->panel.start[k] + (size_t)(first + t)];
        sqa_text_printf(out, "%-8s %6lld %12.6g\n", t < 0 ? "history" : "forecast", (long long)(first + t),
                        v * s->units[3 * k + 1] + s->units[3 * k]);
    }
    return out->failed ? sqa_task_nomem(ds->task, err) : SQA_OK;
}

static const char *const files[] = {"Hourly-train.csv", "Hourly-test.csv", NULL};

const struct sqa_task sqa_task_m4 = {
    .id = "m4",
    .title = "M4 competition (many series)",
    .source = "Makridakis et al. 2020, International Journal of Forecasting 36:54-74; "
              "github.com/Mcompetitions/M4-methods",
    .help =
        "Series of one frequency, each forecast once over the horizon of the competition (Hourly 48, Daily 14, "
        "Weekly 13, Monthly 18, Quarterly 8, Yearly 6) from the end of its training values. One model learns from "
        "the windows of all series; each is standardised by the values it trains on. The last horizon of the "
        "training values validates. sMAPE and MASE are the competition's (MASE scaled by the seasonal naive error "
        "within all training values). Files Hourly-train.csv and Hourly-test.csv and so on, or with M4- before.",
    .params = params,
    .self_size = sizeof(struct self),
    .files = files,
    .kind = SQA_FORECAST,
    .floors = sqa_forecast_floors,
    .open = open_m4,
    .close = close_m4,
    .fetch = fetch,
    .show = show,
};
