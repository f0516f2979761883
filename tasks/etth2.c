/* etth2.c - ETTh2: transformer 2, hourly, seven channels */
#include "tasks/forecast.h"

static const char *const files[] = {"ETTh2.csv", NULL};

static enum sqa_status open_ett(const void *parsed, const struct sqa_task_env *env, struct sqa_dataset *ds,
                                struct sqa_err *err)
{
    const struct sqa_forecast_self *self = parsed;
    return sqa_forecast_open_ett(ds, env, files, "a3dc2c597b9218c7ce1cd55eb77b283fd459a1d09d753063f944967dd6b9218b",
                                 1, &self->forecast, err);
}

const struct sqa_task sqa_task_etth2 = {
    .id = "etth2",
    .title = "ETTh2 (electricity transformer, hourly)",
    .source = "Zhou et al. 2021, arXiv 2012.07436; data at github.com/zhouhaoyi/ETDataset, ETT-small/ETTh2.csv",
    .help =
        "Six loads and the oil temperature OT of a transformer, hourly from 2016-07-01. Rows 0 .. 8639 train, the "
        "next 2880 validate, the next 2880 test, the last 3020 are never used; validation and test borrow "
        "lookback rows of history. Channels are standardised by the train rows. Published scores up to 2023 "
        "mostly drop the last test batch: drop_last_batch=32 does so too.",
    .params = sqa_ett_params,
    .later = sqa_ett_later,
    .self_size = sizeof(struct sqa_forecast_self),
    .files = files,
    .sizes = sqa_forecast_etth_sizes,
    .open = open_ett,
    SQA_FORECAST_TASK,
};
