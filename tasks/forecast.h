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
    const char *freq;        /* SQA_FREQ_CHOICES; NULL: auto */
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
    {"target", "target column (characters , : + ( ) / and blanks of its name written _)", SQA_PARAM_TEXT,          \
     target_default, 0, 0, offsetof(self, forecast.target), NULL}
#define SQA_FORECAST_FREQ_PARAM(self, freq_default)                                                                \
    {"freq", "features of time: seconds, minutes, hours, days, business days, weeks, months; auto: by the step",   \
     SQA_PARAM_CHOICE, freq_default, 0, 0, offsetof(self, forecast.freq), SQA_FREQ_CHOICES}
/* clang-format on */

/* What every forecasting task has in common, for its struct. */
#define SQA_FORECAST_TASK                                                                                          \
    .kind = SQA_FORECAST, .floors = sqa_forecast_floors, .close = sqa_forecast_close, .fetch = sqa_forecast_fetch, \
    .show = sqa_forecast_show
extern const char *const sqa_forecast_floors[];

/* Rows of numbers. values belongs to the series; names belong to the arena given to the reader. */
struct sqa_series {
    double *values;           /* (rows, channels) */
    int64_t *times;           /* (rows): seconds since 1970-01-01, NULL when there are no dates */
    const char *const *names; /* (channels) */
    int64_t rows, channels;
    int64_t step;         /* the median rise from one row to the next in seconds; 0 unknown */
    int business;         /* days without Saturdays and Sundays */
    int64_t gaps, filled; /* places where rows are missing, and rows and numbers that were put in */
    size_t gap_line;      /* of the row behind the first gap */
};
void sqa_series_clear(struct sqa_series *series);

/* How a file is written; NULL members are the first choice of each. */
struct sqa_series_format {
    const char *delimiter; /* auto|comma|semicolon|tab|bar|blank; auto: by its first line */
    const char *decimal;   /* point|comma */
    const char *header;  /* auto|yes|no; auto: there is one unless the first line is numbers, or a date and numbers */
    const char *date;    /* column of the times; "" is `date` in any case; year/month/day/hour/...: several */
    const char *dates;   /* auto|ymd|dmy|mdy|seconds|none */
    const char *gaps;    /* refuse|any|fill: rows count in file order; missing ones become the row before */
    const char *missing; /* refuse|fill: an empty cell becomes the one before, at the start the first */
    const char *leave_out; /* columns joined by / */
};

/* Reads a table with times and numbers, plain or packed with gzip. Mode S keeps the target only. Otherwise columns
 * keep file order, but the target goes last when target_last or mode is MS. Errors name line and column. format NULL:
 * its defaults. */
enum sqa_status sqa_series_read(const char *path, const struct sqa_forecast_options *options,
                                const struct sqa_series_format *format, int target_last,
                                const struct sqa_task_env *env, struct sqa_arena *arena, struct sqa_series *series,
                                struct sqa_err *err) SQA_MUST_CHECK;
/* The same from memory; name stands in messages. */
enum sqa_status sqa_series_read_bytes(const char *name, const void *data, size_t size,
                                      const struct sqa_forecast_options *options,
                                      const struct sqa_series_format *format, int target_last,
                                      struct sqa_arena *arena, struct sqa_series *series,
                                      struct sqa_err *err) SQA_MUST_CHECK;
/* Reads array `data` (rows, channels, features) or (rows, channels) of a .npz: feature 0. No times. */
enum sqa_status sqa_series_read_npz(const char *path, const struct sqa_forecast_options *options,
                                    struct sqa_arena *arena, struct sqa_series *series,
                                    struct sqa_err *err) SQA_MUST_CHECK;
/* For the reader (forecast_gaps.c): median step, gaps as format says, empty cells (NaN) filled. lines: of the rows.
 */
enum sqa_status sqa_series_mend(const char *name, const struct sqa_series_format *format, const size_t *lines,
                                struct sqa_series *series, struct sqa_err *err) SQA_MUST_CHECK;

/* The time k steps of the series behind a time: months keep their day, business days skip weekends. */
int64_t sqa_series_time(const struct sqa_series *series, int64_t from, int64_t k);

/* "YYYY-MM-DD[ HH:MM[:SS]]" or "YYYY/M/D[ H:MM[:SS]]", digits not padded too, T for the blank too. */
int sqa_parse_time(const char *s, int64_t *seconds);
enum sqa_date_order {
    SQA_DATES_AUTO,
    SQA_DATES_YMD,
    SQA_DATES_DMY,
    SQA_DATES_MDY,
    SQA_DATES_SECONDS,
    SQA_DATES_NONE
};
#define SQA_DATES_CHOICES "auto|ymd|dmy|mdy|seconds|none"
enum sqa_date_order sqa_date_order_find(const char *choice);
/* That and more: YYYY, YYYY-MM, YYYYMMDD, D.M.YYYY, D/M/YYYY or M/D/YYYY, English months, fractions of seconds (cut
 * off), AM and PM, Z and +HH:MM. 1; 0: no date; -1: day and month could be either, give the order. */
int sqa_parse_date(const char *s, enum sqa_date_order order, int64_t *seconds);
/* seconds as "YYYY-MM-DD HH:MM:SS". Returns buf. */
char *sqa_format_time(char buf[32], int64_t seconds);
int sqa_time_is_weekend(int64_t seconds);
/* The time of day on the same day of the month `months` later, at most its last. day: of the month wanted. */
int64_t sqa_time_add_months(int64_t seconds, int64_t months, int day);
int sqa_time_day(int64_t seconds, int *last_of_month); /* 1 .. 31 */

/* Features of times, as Time-Series-Library has them (utils/timefeatures.py), each in [-0.5, 0.5]. */
enum sqa_freq { SQA_FREQ_S, SQA_FREQ_T, SQA_FREQ_H, SQA_FREQ_D, SQA_FREQ_B, SQA_FREQ_W, SQA_FREQ_M };
#define SQA_FREQ_CHOICES "auto|s|t|h|d|b|w|m"
enum { SQA_MARKS_MAX = 6 };
enum sqa_freq sqa_freq_find(const char *choice, const struct sqa_series *series);
int64_t sqa_freq_marks(enum sqa_freq f); /* how many */
void sqa_time_marks(enum sqa_freq f, int64_t seconds, double out[SQA_MARKS_MAX]);
void sqa_time_calendar(int64_t seconds, int32_t out[SQA_CALENDAR]);

/* Rows of the parts. rows all 0: by the rule. */
enum sqa_parts_rule {
    SQA_PARTS_712,   /* floor(0.7 n), the rest, floor(0.2 n) */
    SQA_PARTS_SOLAR, /* the same, but floor(0.1 n) to validate: a row may lie between that and test */
    SQA_PARTS_622,   /* cut at floor(0.6 n) and floor(0.8 n), and no part borrows history from the one before */
};
struct sqa_forecast_parts {
    int64_t rows[SQA_SPLITS];
    enum sqa_parts_rule rule;
};

/* Makes ds out of the series, which it takes over (cleared also on failure). where stands in messages. Fills
 * everything; ds->season is set before. */
enum sqa_status sqa_forecast_open(struct sqa_dataset *ds, const char *where,
                                  const struct sqa_forecast_options *options, const struct sqa_forecast_parts *parts,
                                  struct sqa_series *series, struct sqa_err *err) SQA_MUST_CHECK;
/* Sets ds->count to what sqa_forecast_open finds in so many rows. */
void sqa_forecast_count(struct sqa_dataset *ds, const struct sqa_forecast_options *options,
                        const struct sqa_forecast_parts *parts, int64_t rows);
/* Adds to ds->note. */
enum sqa_status sqa_forecast_note(struct sqa_dataset *ds, const char *note, struct sqa_err *err) SQA_MUST_CHECK;

/* sqa_data_find over several names: the first that is there, else the message for the first. found may be NULL. */
enum sqa_status sqa_forecast_find(const struct sqa_task_env *env, const char *const *files, const char *published_at,
                                  const char *sha256, char path[4096], const char **found,
                                  struct sqa_err *err) SQA_MUST_CHECK;
/* A published data set. */
struct sqa_forecast_set {
    const char *const *files; /* names in which it is published, tried in this order; ends with NULL */
    const char *published_at;
    const char *sha256;     /* of files[0]; NULL: unknown here */
    int64_t rows, channels; /* of the published file: another one is noted */
    int64_t season;
    int target_last; /* the target goes last also in mode M, as in Autoformer's custom data */
    struct sqa_forecast_parts parts;
};
struct sqa_forecast_self {
    struct sqa_forecast_options forecast;
};
enum sqa_status sqa_forecast_open_set(struct sqa_dataset *ds, const struct sqa_task_env *env,
                                      const struct sqa_forecast_set *set, const struct sqa_forecast_options *options,
                                      struct sqa_err *err) SQA_MUST_CHECK;
/* Hooks `sizes` of published sets: the examples of the published file, before any is read. */
void sqa_forecast_set_sizes(const void *self, const struct sqa_forecast_set *set, struct sqa_dataset *ds);
void sqa_forecast_etth_sizes(const void *self, struct sqa_dataset *ds);
void sqa_forecast_ettm_sizes(const void *self, struct sqa_dataset *ds);
/* The ETT sets differ in their file and the rows of an hour only. */
extern const struct sqa_param sqa_ett_params[], sqa_ett_later[];
extern const struct sqa_param sqa_forecast_params[]; /* of other sets; look-back and horizon 96 */
enum sqa_status sqa_forecast_open_ett(struct sqa_dataset *ds, const struct sqa_task_env *env,
                                      const char *const *files, const char *sha256, int64_t rows_an_hour,
                                      const struct sqa_forecast_options *options, struct sqa_err *err) SQA_MUST_CHECK;
/* Steps of the natural period of a time step: 24 for hours, 7 for days, 52 for weeks, 12 for months; 0 unknown. */
int64_t sqa_forecast_season(int64_t step);

/* Hooks of struct sqa_task that all forecasting tasks share. */
void sqa_forecast_close(struct sqa_dataset *ds);
enum sqa_status sqa_forecast_fetch(const struct sqa_dataset *ds, enum sqa_split split, const uint32_t *index,
                                   int64_t n, struct sqa_batch *b, struct sqa_err *err);
enum sqa_status sqa_forecast_show(const struct sqa_dataset *ds, enum sqa_split split, uint32_t index,
                                  struct sqa_text *out, struct sqa_err *err);

/* Row 0 of b, made with sqa_batch_create(ds, 1, ds->length): the last rows of the series, and the times of the rows
 * that would follow; y is left. times: (horizon) of those, when the series has times. */
void sqa_forecast_ahead(const struct sqa_dataset *ds, struct sqa_batch *b, int64_t *times);

/* The whole standardised series behind a forecasting data set (values as in batch->past). Lives as long as ds. */
const struct sqa_series *sqa_forecast_series(const struct sqa_dataset *ds);

#endif
