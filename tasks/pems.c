/* pems.c - PEMS03, PEMS04, PEMS07, PEMS08: flow of road sensors, every five minutes */
#include <stdlib.h>

#include "tasks/forecast.h"

struct self {
    struct sqa_forecast_options forecast;
    const char *set;
};

static const struct sqa_param params[] = {
    {"set", "district of California", SQA_PARAM_CHOICE, "03", 0, 0, offsetof(struct self, set), "03|04|07|08"},
    SQA_FORECAST_WINDOW_PARAMS(struct self, "96", "12"),
    SQA_FORECAST_CHANNEL_PARAMS(struct self, ""),
    {.name = NULL}};

static enum sqa_status open_pems(const void *parsed, const struct sqa_task_env *env, struct sqa_dataset *ds,
                                 struct sqa_err *err)
{
    static const struct {
        const char *files[2];
        int64_t rows, channels;
    } sets[] = {[3] = {{"PEMS03.npz", NULL}, 26208, 358},
                [4] = {{"PEMS04.npz", NULL}, 16992, 307},
                [7] = {{"PEMS07.npz", NULL}, 28224, 883},
                [8] = {{"PEMS08.npz", NULL}, 17856, 170}};
    const struct self *self = parsed;
    const int k = self->set[1] - '0';
    const struct sqa_forecast_set set = {
        .files = sets[k].files,
        .published_at = "github.com/thuml/iTransformer (its README: PEMS), first at github.com/Davidham3/STSGCN",
        .rows = sets[k].rows,
        .channels = sets[k].channels,
        .season = 288,
        .parts = {.rule = SQA_PARTS_622}};
    return sqa_forecast_open_set(ds, env, &set, &self->forecast, err);
}

static const char *const files[] = {"PEMS03.npz", "PEMS04.npz", "PEMS07.npz", "PEMS08.npz", NULL};

const struct sqa_task sqa_task_pems = {
    .id = "pems",
    .title = "PEMS (traffic flow of road sensors, every five minutes)",
    .source = "California Department of Transportation; Song et al. 2020 (STSGCN); as cut by Liu et al. 2023, arXiv "
              "2310.06625",
    .help =
        "Traffic flow at 170 to 883 sensors, every five minutes, from the published .npz: array `data` (rows, "
        "sensors, features), of which feature 0 is taken; no dates, so no features of time. Cut at 60 and 80 % of "
        "the rows, and no part borrows history from the one before: fewer windows than elsewhere (96 rows of "
        "PEMS03, horizon 96: 15533, 5051, 5051). What is missing becomes the value before it.",
    .params = params,
    .self_size = sizeof(struct self),
    .files = files,
    .open = open_pems,
    SQA_FORECAST_TASK,
};
