/* ettm2.c - ETTm2: transformer 2, every 15 minutes, seven channels */
#include "tasks/forecast.h"

static const char *const files[] = {"ETTm2.csv", NULL};

static enum sqa_status open_ett(const void *parsed, const struct sqa_task_env *env, struct sqa_dataset *ds,
                                struct sqa_err *err)
{
    const struct sqa_forecast_self *self = parsed;
    return sqa_forecast_open_ett(ds, env, files, NULL, 4, &self->forecast, err);
}

const struct sqa_task sqa_task_ettm2 = {
    .id = "ettm2",
    .title = "ETTm2 (electricity transformer, every 15 minutes)",
    .source = "Zhou et al. 2021, arXiv 2012.07436; data at github.com/zhouhaoyi/ETDataset, ETT-small/ETTm2.csv",
    .help =
        "Six loads and the oil temperature OT of a transformer, every 15 minutes from 2016-07-01. Rows 0 .. 34559 "
        "train, the next 11520 validate, the next 11520 test, the last 12080 are never used; validation and test "
        "borrow lookback rows of history. Channels are standardised by the train rows. Published scores up to "
        "2023 mostly drop the last test batch: drop_last_batch=32 does so too. Features of time are those of "
        "hours (freq=h), as in every published script; freq=t adds the minute.",
    .params = sqa_ett_params,
    .later = sqa_ett_later,
    .self_size = sizeof(struct sqa_forecast_self),
    .files = files,
    .sizes = sqa_forecast_ettm_sizes,
    .open = open_ett,
    SQA_FORECAST_TASK,
};
