/* plots.c - the list of kinds, and what they share (see plots.h) */
#include "reports/plots.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const struct sqa_plots_kind sqa_plots_kinds[] = {
    {"bubbles", "accuracy or error, speed and memory of the models of a task", sqa_plots_bubbles,
     "two models or more with a test score, training tokens/s and memory on one task: rows of `run`, with its "
     "timing"},
    {"pareto", "the same, and the front: what no other model beats in both", sqa_plots_pareto,
     "two models or more with a test score and training tokens/s on one task: rows of `run`, with its timing"},
    {"scaling-time", "time of a step against the length, exponents and crossovers", sqa_plots_scaling_time,
     "a model timed at three lengths or more: `bench --lengths 1024,2048,4096`"},
    {"scaling-memory", "memory of a step against the length", sqa_plots_scaling_memory,
     "a model measured at three lengths or more: `bench --lengths 1024,2048,4096`"},
    {"curves", "validation over training, with bands over seeds", sqa_plots_curves,
     "curves.csv with two validations or more of a model: rows of `run`"},
    {"roofline", "FLOPs a second against FLOPs a byte, of steps and ops", sqa_plots_roofline,
     "timed rows: `bench`, with --profile for ops"},
    {"critical-difference", "mean ranks over eight tasks or more; of fewer, paired differences",
     sqa_plots_critical_difference, "two models or more with a test score on one task: rows of `run`"},
    {"ranks", "heat map of ranks, models by tasks", sqa_plots_ranks,
     "two models or more with a test score on each of two tasks: rows of `run`"},
    {"horizon", "error of forecasts by row of the horizon", sqa_plots_horizon,
     "horizon.csv: rows of `run` on a forecasting task"},
    {"forecast", "a forecast, what was before it and what came", NULL, "rows of a forecast"},
    {.name = NULL},
};

bool sqa_plots_wants(const struct sqa_plots_from *from, const char *model)
{
    return !from->wanted || from->wanted(from->user, model);
}

size_t sqa_plots_style(const struct sqa_pool *pool, const char *model)
{
    size_t n = 0;
    for (size_t i = 0; i < pool->n_entries; i++) {
        const struct sqa_pool_entry *e = &pool->entries[i];
        bool known = false;
        if (strcmp(e->model, model) == 0)
            return n;
        for (size_t k = 0; k < i && !known; k++)
            known = strcmp(pool->entries[k].model, e->model) == 0;
        n += !known && e->class != SQA_CLASS_FLOOR;
    }
    return n;
}

const char *sqa_plots_metric(int metric)
{
    return metric == SQA_VALUE_test_accuracy ? "test accuracy, %"
           : metric == SQA_VALUE_test_mse    ? "test MSE (standardised)"
                                             : "test loss";
}

double sqa_plots_score(const struct sqa_pool_entry *e, int metric)
{
    return e->value[metric].mean * (metric == SQA_VALUE_test_accuracy ? 100 : 1);
}
