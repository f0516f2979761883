/*
 * mackey_glass.c - the Mackey-Glass delay differential equation
 *
 * Computes  dx/dt = beta x(t - tau) / (1 + x(t - tau)^n) - gamma x(t),  beta 0.2, gamma 0.1, n 10
 * Method    Runge-Kutta of order 4, step 0.1; the delayed value at half steps by cubic interpolation of four steps
 * Start     x(t) = 1.1 .. 1.3, constant for t <= 0, by the data seed; the first 1000 units of time are thrown away
 * Units     one row a unit of time
 * Source    Mackey and Glass 1977, Science 197:287-289
 */
#include <string.h>

#include "base/random.h"
#include "tasks/forecast.h"
#include "tasks/task_util.h"

enum { STEPS = 10, WARM_UP = 1000, TAU_MAX = 1000 };

struct self {
    struct sqa_forecast_options forecast;
    int64_t length, tau, season, data_seed;
};

static const struct sqa_param params[] = {
    {"length", "rows", SQA_PARAM_INT, "6000", 10, 1e7, offsetof(struct self, length), NULL},
    {"tau", "delay in units of time (chaotic from 17 on)", SQA_PARAM_INT, "17", 1, TAU_MAX,
     offsetof(struct self, tau), NULL},
    SQA_FORECAST_WINDOW_PARAMS(struct self, "96", "24"),
    {"season", "rows of the natural period, for seasonal_naive (about 50 at tau 17)", SQA_PARAM_INT, "50", 0, 1 << 20,
     offsetof(struct self, season), NULL},
    {"data_seed", "seed of the start", SQA_PARAM_INT, "0", 0, 0x1p53, offsetof(struct self, data_seed), NULL},
    {.name = NULL}};

static double slope(double x, double delayed)
{
    const double d2 = delayed * delayed, d4 = d2 * d2, d10 = d4 * d4 * d2;
    return 0.2 * delayed / (1 + d10) - 0.1 * x;
}

/* ring holds the last `size` steps; at is the present one. */
static double step(const double *ring, size_t size, size_t at, size_t delay)
{
    const double h = 1.0 / STEPS, x = ring[at % size];
    const size_t k = at + size - delay; /* place of the delayed value */
    const double d0 = ring[k % size], d1 = ring[(k + 1) % size];
    const double half = (9 * (d0 + d1) - ring[(k - 1) % size] - ring[(k + 2) % size]) / 16;
    const double k1 = slope(x, d0);
    const double k2 = slope(x + h / 2 * k1, half);
    const double k3 = slope(x + h / 2 * k2, half);
    const double k4 = slope(x + h * k3, d1);
    return x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4);
}

static enum sqa_status integrate(const struct self *self, const struct sqa_task_env *env, const struct sqa_task *task,
                                 double *values, struct sqa_err *err)
{
    const size_t delay = (size_t)self->tau * STEPS, size = delay + 2;
    double *ring = sqa_alloc_array(size, sizeof *ring);
    if (!ring)
        return sqa_task_nomem(task, err);
    const uint64_t key = sqa_random_key((uint64_t)self->data_seed, 0, "task/mackey_glass");
    for (size_t i = 0; i < size; i++)
        ring[i] = 1.1 + 0.2 * sqa_random_uniform(key, 0);
    size_t at = size;
    enum sqa_status status = SQA_OK;
    for (int64_t row = -WARM_UP; row < self->length && status == SQA_OK; row++) {
        for (int i = 0; i < STEPS; i++, at++)
            ring[(at + 1) % size] = step(ring, size, at, delay);
        if (row >= 0)
            values[row] = ring[at % size];
        if (row % 4096 == 0 && sqa_task_interrupted(env))
            status = sqa_task_stop(task, err);
    }
    sqa_free(ring);
    return status;
}

static enum sqa_status open_mackey_glass(const void *parsed, const struct sqa_task_env *env, struct sqa_dataset *ds,
                                         struct sqa_err *err)
{
    static const struct sqa_forecast_parts ratio = {.rule = SQA_PARTS_712};
    static const char *const names[] = {"x"};
    const struct self *self = parsed;
    struct sqa_forecast_options options = self->forecast;
    struct sqa_series series = {.names = names, .rows = self->length, .channels = 1};
    options.mode = "M";
    options.target = "x";
    series.values = sqa_alloc_array((size_t)self->length, sizeof *series.values);
    if (!series.values)
        return sqa_task_nomem(ds->task, err);
    const enum sqa_status status = integrate(self, env, ds->task, series.values, err);
    if (status != SQA_OK) {
        sqa_series_clear(&series);
        return status;
    }
    ds->season = self->season;
    return sqa_forecast_open(ds, "mackey_glass", &options, &ratio, &series, err);
}

const struct sqa_task sqa_task_mackey_glass = {
    .id = "mackey_glass",
    .title = "Mackey-Glass equation",
    .source = "Mackey and Glass 1977, Science 197:287-289",
    .help =
        "A chaotic series of one channel from dx/dt = 0.2 x(t - tau) / (1 + x(t - tau)^10) - 0.1 x, by Runge-Kutta "
        "of order 4 with step 0.1, one row a unit of time after 1000 units of warm-up. The seed moves the constant "
        "start within 1.1 .. 1.3. Split 7:1:2, standardised by the train rows.",
    .params = params,
    .self_size = sizeof(struct self),
    .open = open_mackey_glass,
    SQA_FORECAST_TASK,
};
