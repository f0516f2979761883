/* schema.c - see schema.h */
#include "results/schema.h"

#include <string.h>

#define COLUMN(name, help) {#name, help},
static const struct sqa_schema_column cells[] = {SQA_CELLS_COLUMNS(COLUMN)};
static const struct sqa_schema_column samples[] = {SQA_SAMPLES_COLUMNS(COLUMN)};
static const struct sqa_schema_column curves[] = {SQA_CURVES_COLUMNS(COLUMN)};
static const struct sqa_schema_column ops[] = {SQA_OPS_COLUMNS(COLUMN)};
static const struct sqa_schema_column examples[] = {SQA_EXAMPLES_COLUMNS(COLUMN)};
static const struct sqa_schema_column horizon[] = {SQA_HORIZON_COLUMNS(COLUMN)};

const struct sqa_schema sqa_schemas[SQA_FILES] = {
    [SQA_FILE_CELLS] = {"cells.csv", "a row a cell and phase", SQA_CELLS_N, cells},
    [SQA_FILE_SAMPLES] = {"samples.csv", "a row a timing sample", SQA_SAMPLES_N, samples},
    [SQA_FILE_CURVES] = {"curves.csv", "a row an evaluation", SQA_CURVES_N, curves},
    [SQA_FILE_OPS] = {"ops.csv", "a row an op, when profiled", SQA_OPS_N, ops},
    [SQA_FILE_EXAMPLES] = {"examples.csv", "a row a test example, with --examples", SQA_EXAMPLES_N, examples},
    [SQA_FILE_HORIZON] = {"horizon.csv", "a row a step of a forecast, over all test windows", SQA_HORIZON_N, horizon},
};

const char *const sqa_phase_names[SQA_PHASE_N] = {
    [SQA_PHASE_TRAIN] = "train", [SQA_PHASE_INFER] = "infer", [SQA_PHASE_STEP] = "step"};

int sqa_phase_of(const char *name)
{
    int p = 0;
    while (p < SQA_PHASE_N && strcmp(name, sqa_phase_names[p]) != 0)
        p++;
    return p;
}
