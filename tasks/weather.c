/* weather.c - 21 readings of a weather station in Jena, every ten minutes of 2020 */
#include "tasks/forecast.h"

static const char *const files[] = {"weather.csv", NULL};

static const struct sqa_forecast_set set = {.files = files,
                                            .published_at =
                                                "github.com/thuml/Autoformer (its README: all_six_datasets)",
                                            .rows = 52696,
                                            .channels = 21,
                                            .season = 144,
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

const struct sqa_task sqa_task_weather = {
    .id = "weather",
    .title = "Weather (Jena 2020, every ten minutes)",
    .source = "Max Planck Institute for Biogeochemistry, Jena; as cut by Wu et al. 2021, arXiv 2106.13008",
    .help = "Twenty-one readings of a weather station in Jena, every ten minutes of 2020. Split 7:1:2 by rows; OT "
            "(CO2 in parts per million) goes last. This is not the hourly 12-column Weather of the Informer paper. "
            "The published file repeats one time and leaves some out; rows count in file order, as in the published "
            "loaders.",
    .params = sqa_forecast_params,
    .self_size = sizeof(struct sqa_forecast_self),
    .files = files,
    .sizes = sizes,
    .open = open_set,
    SQA_FORECAST_TASK,
};
