/* solar.c - power of 137 photovoltaic plants, every ten minutes of 2006 */
#include "tasks/forecast.h"

static const char *const files[] = {"solar_AL.txt", "solar_AL.txt.gz", "solar.txt", NULL};

static const struct sqa_forecast_set set = {
    .files = files,
    .published_at = "github.com/laiguokun/multivariate-time-series-data (solar-energy/solar_AL.txt.gz)",
    .rows = 52560,
    .channels = 137,
    .season = 144,
    .target_last = 1,
    .parts = {.rule = SQA_PARTS_SOLAR}};

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

const struct sqa_task sqa_task_solar = {
    .id = "solar",
    .title = "Solar-Energy (137 plants, every ten minutes)",
    .source = "US National Renewable Energy Laboratory; Lai et al. 2018, arXiv 1703.07015; as cut by Liu et al. "
              "2023, arXiv 2310.06625",
    .help =
        "Power of 137 photovoltaic plants in Alabama, every ten minutes of 2006: comma text without header or "
        "dates, so there are no features of time. floor(0.7 n) rows train, floor(0.1 n) validate, floor(0.2 n) at "
        "the end test.",
    .params = sqa_forecast_params,
    .self_size = sizeof(struct sqa_forecast_self),
    .files = files,
    .sizes = sizes,
    .open = open_set,
    SQA_FORECAST_TASK,
};
