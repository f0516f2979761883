/* csv.c - forecasting of any table with times and numbers */
#include <stdio.h>
#include <string.h>

#include "tasks/forecast.h"

struct self {
    struct sqa_forecast_options forecast;
    struct sqa_series_format format;
    const char *file;
    int64_t season;
};

static const struct sqa_param params[] = {
    {"file", "path as typed, may end in .gz or .npz; it cannot hold , : + ( ) or blanks", SQA_PARAM_TEXT, "", 0, 0,
     offsetof(struct self, file), NULL},
    SQA_FORECAST_CHANNEL_PARAMS(struct self, ""),
    SQA_FORECAST_WINDOW_PARAMS(struct self, "96", "96"),
    {"times", "rising: a time that repeats or goes back is refused; any: rows count in file order", SQA_PARAM_CHOICE,
     "rising", 0, 0, offsetof(struct self, forecast.times), "rising|any"},
    {"season", "rows of the natural period (0: from the step of the dates, 24 for hours)", SQA_PARAM_INT, "0", 0,
     1 << 20, offsetof(struct self, season), NULL},
    {.name = NULL}};

static const struct sqa_param later[] = {
    SQA_FORECAST_FREQ_PARAM(struct self, "auto"),
    {"delimiter", "between fields; auto: by the first line", SQA_PARAM_CHOICE, "auto", 0, 0,
     offsetof(struct self, format.delimiter), "auto|comma|semicolon|tab|bar|blank"},
    {"decimal", "point: 1.5, comma: 1,5", SQA_PARAM_CHOICE, "point", 0, 0, offsetof(struct self, format.decimal),
     "point|comma"},
    {"header", "names in the first line; without, columns are called 1, 2, ...", SQA_PARAM_CHOICE, "auto", 0, 0,
     offsetof(struct self, format.header), "auto|yes|no"},
    {"date", "column of the times (empty: the one named date), or several, year/month/day/hour", SQA_PARAM_TEXT, "",
     0, 0, offsetof(struct self, format.date), NULL},
    {"dates", "order of day and month where it could be either; seconds since 1970; none: rows have no times",
     SQA_PARAM_CHOICE, "auto", 0, 0, offsetof(struct self, format.dates), SQA_DATES_CHOICES},
    {"gaps", "missing rows: refuse, any: rows count in file order, fill: they become the row before",
     SQA_PARAM_CHOICE, "refuse", 0, 0, offsetof(struct self, format.gaps), "refuse|any|fill"},
    {"missing", "empty cells, NA, ...: refuse, or fill with the value before (at the start the first)",
     SQA_PARAM_CHOICE, "refuse", 0, 0, offsetof(struct self, format.missing), "refuse|fill"},
    {"leave_out", "columns not to read, joined by /", SQA_PARAM_TEXT, "", 0, 0,
     offsetof(struct self, format.leave_out), NULL},
    {.name = NULL}};

static enum sqa_status note_gaps(struct sqa_dataset *ds, const struct sqa_series *s, struct sqa_err *err)
{
    char note[160];
    enum sqa_status status = SQA_OK;
    if (s->gaps > 0) {
        snprintf(note, sizeof note, "%lld gap%s in its times, the first before line %zu", (long long)s->gaps,
                 s->gaps == 1 ? "" : "s", s->gap_line);
        status = sqa_forecast_note(ds, note, err);
    }
    if (s->filled > 0 && status == SQA_OK) {
        snprintf(note, sizeof note, "%lld missing rows or numbers are those before them", (long long)s->filled);
        status = sqa_forecast_note(ds, note, err);
    }
    return status;
}

static enum sqa_status open_csv(const void *parsed, const struct sqa_task_env *env, struct sqa_dataset *ds,
                                struct sqa_err *err)
{
    static const struct sqa_forecast_parts ratio = {.rule = SQA_PARTS_712};
    const struct self *self = parsed;
    const size_t n = strlen(self->file);
    struct sqa_series series;
    if (n == 0)
        return sqa_fail(err, SQA_USAGE, "csv: no file; write csv:file=PATH,target=NAME");
    enum sqa_status status =
        n > 4 && strcmp(self->file + n - 4, ".npz") == 0
            ? sqa_series_read_npz(self->file, &self->forecast, &ds->arena, &series, err)
            : sqa_series_read(self->file, &self->forecast, &self->format, 1, env, &ds->arena, &series, err);
    if (status != SQA_OK)
        return status;
    ds->season = self->season ? self->season : series.business ? 5 : sqa_forecast_season(series.step);
    status = note_gaps(ds, &series, err);
    if (status != SQA_OK) {
        sqa_series_clear(&series);
        return status;
    }
    return sqa_forecast_open(ds, self->file, &self->forecast, &ratio, &series, err);
}

/* The channels are known when the file is read. */
static void sizes(const void *parsed, struct sqa_dataset *ds)
{
    const struct self *self = parsed;
    ds->length = self->forecast.lookback;
    ds->horizon = self->forecast.horizon;
}

static const char *const files[] = {"file=PATH", NULL};

const struct sqa_task sqa_task_csv = {
    .id = "csv",
    .title = "Forecasting of a CSV file",
    .source = "the file; split and scaling of Autoformer's custom data set, arXiv 2106.13008",
    .help =
        "A table with a column named date (or date=NAME) in rising order and columns of numbers: separated by "
        "commas, "
        "semicolons, tabs or bars, plain or .gz, with or without a header. Dates are YYYY-MM-DD, YYYY-MM-DD "
        "HH:MM:SS, "
        "YYYY/M/D H:MM, YYYY-MM, D.M.YYYY and more; with dates=none there are none. Repeated, unordered and missing "
        "times, empty cells and cells that are no number are named by line and refused; times=any, gaps= and "
        "missing= "
        "say what else to do (the published Weather data repeat a time). The first 70 % of the rows train, the last "
        "20 % test, those between validate; validation and test borrow lookback rows of history. The target goes "
        "last; without target= it is OT when there is one, else the last column. The path cannot hold , : + ( ) or "
        "blanks: rename the file or link to it.",
    .params = params,
    .later = later,
    .self_size = sizeof(struct self),
    .files = files,
    .sizes = sizes,
    .open = open_csv,
    SQA_FORECAST_TASK,
};
