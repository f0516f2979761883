/* values.c - what is known of the summarised values, and of a row's settings (pool.h) */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "reports/pool.h"

static const struct value {
    const char *name, *by;
    int column, phase;
} values[SQA_VALUE_N] = {
#define X(name, column, phase, by) {#name, #by, SQA_CELLS_##column, phase},
    SQA_VALUES(X)
#undef X
};

static bool has(const char *name, const char *part)
{
    return strstr(name, part) != NULL;
}

int sqa_value_phase(int value)
{
    return values[value].phase;
}

int sqa_value_direction(int value)
{
    const char *name = values[value].name;
    if (has(name, "accuracy") || has(name, "tokens_per_s"))
        return 1;
    return strcmp(name, "steps") == 0 || strcmp(name, "params") == 0 ? 0 : -1;
}

bool sqa_value_counted(int value)
{
    return strcmp(values[value].by, "SQA_COUNTED") == 0;
}

bool sqa_value_usual(int value)
{
    static const char *const left_out[] = {"valid_",       "test_loss",      "test_rmse",   "test_mape",
                                           "test_smape",   "test_mase",      "steps",       "_bytes",
                                           "tokens_per_s", "train_accuracy", "state_floats"};
    const char *name = values[value].name;
    for (size_t i = 0; i < sizeof left_out / sizeof left_out[0]; i++)
        if (has(name, left_out[i]))
            return has(name, "mem_");
    return true;
}

bool sqa_value_timed(int value)
{
    return has(values[value].name, "latency") || has(values[value].name, "tokens_per_s");
}

const char *sqa_pool_named(const struct sqa_pool *pool, const struct sqa_pool_cell *cell, int phase,
                           const char *column)
{
    if (!cell->row[phase])
        return "";
    const int at = sqa_sheet_column(&pool->runs[cell->run[phase]].files.sheet[SQA_FILE_CELLS], column);
    return at >= 0 ? cell->row[phase][at] : "";
}

double sqa_value_of(const struct sqa_pool *pool, const struct sqa_pool_cell *cell, int value)
{
    const int phase = values[value].phase;
    if (sqa_value_timed(value) && *sqa_pool_named(pool, cell, phase, "unfit"))
        return (double)NAN;
    return sqa_pool_number(pool, cell, phase, values[value].column);
}

double sqa_value_mean(const struct sqa_pool *pool, const struct sqa_pool_entry *e, int value)
{
    double sum = 0, n = 0;
    for (const struct sqa_pool_cell *cell = e->cells; cell; cell = cell->next) {
        const double x = sqa_value_of(pool, cell, value);
        sum += isnan(x) ? 0 : x;
        n += !isnan(x);
    }
    return n > 0 ? sum / n : (double)NAN;
}

char *sqa_pool_setting(char buf[160], const struct sqa_pool *pool, const struct sqa_pool_cell *cell, int phase,
                       bool with_length)
{
    static const struct {
        int column;
        const char *before, *after;
    } parts[] = {{SQA_CELLS_length, ", length ", ""},
                 {SQA_CELLS_batch, ", batch ", ""},
                 {SQA_CELLS_dtype, ", ", ""},
                 {SQA_CELLS_threads, ", ", " threads"}};
    size_t n = 0;
    buf[0] = '\0';
    for (size_t i = !with_length; i < sizeof parts / sizeof parts[0] && n < 120; i++) {
        const char *s = sqa_pool_text(pool, cell, phase, parts[i].column);
        const bool one = *parts[i].after && strcmp(s, "1") == 0;
        if (*s)
            n +=
                (size_t)snprintf(buf + n, 160 - n, "%s%.20s%s", parts[i].before, s, one ? " thread" : parts[i].after);
    }
    return buf;
}
