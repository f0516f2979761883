/* ili.c - influenza-like illness in the United States, weekly */
#include "tasks/forecast.h"

static const char *const files[] = {"national_illness.csv", NULL};
static const struct sqa_param params[] = {SQA_FORECAST_WINDOW_PARAMS(struct sqa_forecast_self, "36", "24"),
                                          SQA_FORECAST_CHANNEL_PARAMS(struct sqa_forecast_self, ""),
                                          SQA_FORECAST_FREQ_PARAM(struct sqa_forecast_self, "h"),
                                          {.name = NULL}};

static const struct sqa_forecast_set set = {
    .files = files,
    .published_at = "github.com/thuml/Autoformer (its README: all_six_datasets)",
    .sha256 = "8594cecb98c6f2f9dc014eca11c4d5d1e38ad5ce6ed0592d4abe65b146fce395",
    .rows = 966,
    .channels = 7,
    .season = 52,
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

const struct sqa_task sqa_task_ili = {
    .id = "ili",
    .title = "Influenza-like illness (US, weekly)",
    .source = "US Centers for Disease Control and Prevention; as cut by Wu et al. 2021, arXiv 2106.13008",
    .help =
        "Weekly shares and counts of patients with influenza-like illness in the United States, 2002 to 2020: 966 "
        "rows of 7 columns. Split 7:1:2 by rows; look-back 36 and horizons 24 36 48 60 in most papers, look-back "
        "104 in LTSF-Linear and PatchTST. Scores printed before 2023 mostly drop the last test batch "
        "(drop_last_batch=32), which is up to a third of the windows: those numbers are not comparable with whole "
        "ones. The year's season (52) is longer than the usual look-back, so seasonal_naive reads history before "
        "it.",
    .params = params,
    .self_size = sizeof(struct sqa_forecast_self),
    .files = files,
    .sizes = sizes,
    .open = open_set,
    SQA_FORECAST_TASK,
};
