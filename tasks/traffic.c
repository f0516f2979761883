/* traffic.c - hourly occupancy of 862 road sensors */
#include "tasks/forecast.h"

static const char *const files[] = {"traffic.csv", "traffic.txt.gz", "traffic.txt", NULL};

static const struct sqa_forecast_set set = {
    .files = files,
    .published_at = "github.com/thuml/Autoformer (its README: all_six_datasets), as traffic.txt.gz at "
                    "github.com/laiguokun/multivariate-time-series-data",
    .rows = 17544,
    .channels = 862,
    .season = 24,
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

const struct sqa_task sqa_task_traffic = {
    .id = "traffic",
    .title = "Traffic (862 sensors, hourly)",
    .source = "California Department of Transportation; Lai et al. 2018, arXiv 1703.07015; as cut by Wu et al. 2021, "
              "arXiv 2106.13008",
    .help = "Hourly road occupancy (0 to 1) of 862 sensors on San Francisco Bay area freeways, 2015 and 2016. Split "
            "7:1:2 by rows. The text file without dates that LSTNet published is read too; features of time are then "
            "missing.",
    .params = sqa_forecast_params,
    .self_size = sizeof(struct sqa_forecast_self),
    .files = files,
    .sizes = sizes,
    .open = open_set,
    SQA_FORECAST_TASK,
};
