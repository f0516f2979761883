/*
 * forecast.h - the protocol shared by all forecasting tasks
 *
 * A series is cut by rows into train, validation and test; validation and test borrow `lookback` rows from the part
 * before as history only. Every window of lookback + horizon rows of a part (stride 1) is an example. Each channel is
 * standardised by mean and population deviation of the train rows (a constant channel: deviation 1).
 * Modes: M all channels in and out; S only the target; MS all channels in, the target out. The outputs are always the
 * last `outputs` channels of x.
 * Source: Informer2020, LTSF-Linear and Time-Series-Library data loaders (arXiv 2012.07436, 2205.13504).
 */
#ifndef SQA_TASKS_FORECAST_H
#define SQA_TASKS_FORECAST_H

#include "tasks/task.h"

struct sqa_forecast_options {
    int64_t lookback, horizon;
    int64_t drop_last_batch; /* the last test windows that do not fill a batch of so many are left out; 0 keeps all */
    const char *mode;        /* "M", "S", "MS" */
    const char *target;      /* a column; "" is OT when there is one, else the last column */
    const char *times;       /* "any": times may repeat or go back, rows count in file order; NULL: they must rise */
};

/* Rows of a parameter table over a struct sqa_forecast_options member named `forecast` of `self`. */
/* clang-format off */
#define SQA_FORECAST_WINDOW_PARAMS(self, lookback_default, horizon_default)                                        \
    {"lookback", "rows of history a model sees", SQA_PARAM_INT, lookback_default, 1, 1 << 20,                      \
     offsetof(self, forecast.lookback), NULL},                                                                     \
    {"horizon", "rows to forecast", SQA_PARAM_INT, horizon_default, 1, 1 << 20,                                    \
     offsetof(self, forecast.horizon), NULL},                                                                      \
    {"drop_last_batch", "leave out the last test windows that do not fill a batch of this size (0: keep all)",     \
     SQA_PARAM_INT, "0", 0, 1 << 20, offsetof(self, forecast.drop_last_batch), NULL}
#define SQA_FORECAST_CHANNEL_PARAMS(self, target_default)                                                          \
    {"mode", "M all channels in and out, S the target alone, MS all in and the target out", SQA_PARAM_CHOICE, "M", \
     0, 0, offsetof(self, forecast.mode), "M|S|MS"},                                                               \
    {"target", "target column (characters , : + ( ) and blanks of its name written _)", SQA_PARAM_TEXT,            \
     target_default, 0, 0, offsetof(self, forecast.target), NULL}
/* clang-format on */

/* What every forecasting task has in common, for its struct. */
#define SQA_FORECAST_TASK                                                                                          \
    .kind = SQA_FORECAST, .floors = sqa_forecast_floors, .close = sqa_forecast_close, .fetch = sqa_forecast_fetch, \
    .show = sqa_forecast_show
extern const char *const sqa_forecast_floors[];

/* The ETT sets differ in their file only. */
struct sqa_ett {
    struct sqa_forecast_options forecast;
};
extern const struct sqa_param sqa_ett_params[];

/* Rows of numbers. values belongs to the series; names belong to the arena given to the reader. */
struct sqa_series {
    double *values;           /* (rows, channels) */
    int64_t *times;           /* (rows): seconds since 1970-01-01, NULL when there are no dates */
    const char *const *names; /* (channels) */
    int64_t rows, channels;
    int64_t step; /* smallest rise from one row to the next in seconds; 0 unknown */
};
void sqa_series_clear(struct sqa_series *series);

/* Reads a CSV with a column `date` (any case) and numbers. Mode S keeps the target only. Otherwise columns keep file
 * order, but the target goes last when target_last or mode is MS. Errors name line and column. */
enum sqa_status sqa_series_read(const char *path, const struct sqa_forecast_options *options, int target_last,
                                const struct sqa_task_env *env, struct sqa_arena *arena, struct sqa_series *series,
                                struct sqa_err *err) SQA_MUST_CHECK;
/* The same from memory; name stands in messages. */
enum sqa_status sqa_series_read_bytes(const char *name, const void *data, size_t size,
                                      const struct sqa_forecast_options *options, int target_last,
                                      struct sqa_arena *arena, struct sqa_series *series,
                                      struct sqa_err *err) SQA_MUST_CHECK;
/* "YYYY-MM-DD[ HH:MM[:SS]]" or "YYYY/M/D[ H:MM[:SS]]", digits not padded too, T for the blank too. */
int sqa_parse_time(const char *s, int64_t *seconds);
/* seconds as "YYYY-MM-DD HH:MM:SS". Returns buf. */
char *sqa_format_time(char buf[32], int64_t seconds);

/* Rows of the parts; all 0: floor(0.7 n), the rest, floor(0.2 n). */
struct sqa_forecast_parts {
    int64_t rows[SQA_SPLITS];
};

/* Makes ds out of the series, which it takes over (cleared also on failure). where stands in messages. Fills
 * everything but ds->season. */
enum sqa_status sqa_forecast_open(struct sqa_dataset *ds, const char *where,
                                  const struct sqa_forecast_options *options, const struct sqa_forecast_parts *parts,
                                  struct sqa_series *series, struct sqa_err *err) SQA_MUST_CHECK;
/* Finds, reads and opens an hourly ETT file (12, 4 and 4 months of 30 days). */
enum sqa_status sqa_forecast_open_ett(struct sqa_dataset *ds, const struct sqa_task_env *env, const char *name,
                                      const char *sha256, const struct sqa_forecast_options *options,
                                      struct sqa_err *err) SQA_MUST_CHECK;
/* Steps of the natural period of a time step: 24 for hours, 7 for days, 52 for weeks, 12 for months; 0 unknown. */
int64_t sqa_forecast_season(int64_t step);

/* Hooks of struct sqa_task that all forecasting tasks share. */
void sqa_forecast_close(struct sqa_dataset *ds);
enum sqa_status sqa_forecast_fetch(const struct sqa_dataset *ds, enum sqa_split split, const uint32_t *index,
                                   int64_t n, struct sqa_batch *b, struct sqa_err *err);
enum sqa_status sqa_forecast_show(const struct sqa_dataset *ds, enum sqa_split split, uint32_t index,
                                  struct sqa_text *out, struct sqa_err *err);

/* The whole standardised series behind a forecasting data set (values as in batch->past). Lives as long as ds. */
const struct sqa_series *sqa_forecast_series(const struct sqa_dataset *ds);

#endif
