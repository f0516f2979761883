/* csv.c - forecasting of any CSV file with a date column */
#include "tasks/forecast.h"

struct self {
    struct sqa_forecast_options forecast;
    const char *file;
    int64_t season;
};

static const struct sqa_param params[] = {
    {"file", "path of the CSV as typed; it cannot hold , : + ( ) or blanks", SQA_PARAM_TEXT, "", 0, 0,
     offsetof(struct self, file), NULL},
    SQA_FORECAST_CHANNEL_PARAMS(struct self, ""),
    SQA_FORECAST_WINDOW_PARAMS(struct self, "96", "96"),
    {"times", "rising: a time that repeats or goes back is refused; any: rows count in file order", SQA_PARAM_CHOICE,
     "rising", 0, 0, offsetof(struct self, forecast.times), "rising|any"},
    {"season", "rows of the natural period (0: from the step of the dates, 24 for hours)", SQA_PARAM_INT, "0", 0,
     1 << 20, offsetof(struct self, season), NULL},
    {.name = NULL}};

static enum sqa_status open_csv(const void *parsed, const struct sqa_task_env *env, struct sqa_dataset *ds,
                                struct sqa_err *err)
{
    static const struct sqa_forecast_parts ratio = {{0, 0, 0}};
    const struct self *self = parsed;
    struct sqa_series series;
    if (!*self->file)
        return sqa_fail(err, SQA_USAGE, "csv: no file; write csv:file=PATH,target=NAME");
    const enum sqa_status status = sqa_series_read(self->file, &self->forecast, 1, env, &ds->arena, &series, err);
    if (status != SQA_OK)
        return status;
    ds->season = self->season ? self->season : sqa_forecast_season(series.step);
    return sqa_forecast_open(ds, self->file, &self->forecast, &ratio, &series, err);
}

static const char *const files[] = {"file=PATH", NULL};

const struct sqa_task sqa_task_csv = {
    .id = "csv",
    .title = "Forecasting of a CSV file",
    .source = "the file; split and scaling of Autoformer's custom data set, arXiv 2106.13008",
    .help =
        "A CSV with a header, a column named date (YYYY-MM-DD, YYYY-MM-DD HH:MM:SS, YYYY/M/D H:MM) in rising order "
        "(with times=any in any order: the published Weather data repeat a time) and columns of numbers without "
        "gaps. The first 70 % of the rows train, the last 20 % test, those between "
        "validate; validation and test borrow lookback rows of history. The target goes last; without target= it "
        "is OT when there is one, else the last column. The path cannot hold , : + ( ) or blanks: rename the file "
        "or link to it.",
    .params = params,
    .self_size = sizeof(struct self),
    .files = files,
    .open = open_csv,
    SQA_FORECAST_TASK,
};
