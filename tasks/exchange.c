/* exchange.c - daily exchange rates of eight currencies against the US dollar */
#include "tasks/forecast.h"

static const char *const files[] = {"exchange_rate.csv", "exchange_rate.txt.gz", "exchange_rate.txt", NULL};

static const struct sqa_forecast_set set = {
    .files = files,
    .published_at = "github.com/thuml/Autoformer (its README: all_six_datasets), as exchange_rate.txt.gz at "
                    "github.com/laiguokun/multivariate-time-series-data",
    .sha256 = "d55e7aa2641009814a18ba3279431b13f6d413b0eab195b9ff21988d8cf94e97",
    .rows = 7588,
    .channels = 8,
    .season = 7,
    .target_last = 1,
    .parts = {.rule = SQA_PARTS_712}};

static void sizes(const void *parsed, struct sqa_dataset *ds)
{
    sqa_forecast_set_sizes(parsed, &set, ds);
}

static enum sqa_status open_set(const void *parsed, const struct sqa_task_env *env, struct sqa_dataset *ds,
                                struct sqa_err *err)
{
    const struct sqa_forecast_self *self = parsed;
    return sqa_forecast_open_set(ds, env, &set, &self->forecast, err);
}

const struct sqa_task sqa_task_exchange = {
    .id = "exchange",
    .title = "Exchange rates (eight currencies, daily)",
    .source = "Lai et al. 2018, arXiv 1703.07015; as cut by Wu et al. 2021, arXiv 2106.13008",
    .help =
        "Daily rates of eight currencies against the US dollar, 1990 to 2016. Split 7:1:2 by rows; validation and "
        "test borrow lookback rows of history; standardised by the train rows; OT goes last. The dates of the "
        "published CSV are a made-up run of calendar days, and its last two columns stand in the other order in "
        "the raw exchange_rate.txt.gz, which is read too and has no dates. The last value repeated is a strong "
        "baseline here.",
    .params = sqa_forecast_params,
    .self_size = sizeof(struct sqa_forecast_self),
    .files = files,
    .sizes = sizes,
    .open = open_set,
    SQA_FORECAST_TASK,
};
