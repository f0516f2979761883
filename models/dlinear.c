/*
 * dlinear.c - linear forecasts of trend and remainder
 *
 * Computes  trend = moving average of x (ends replicated), season = x - trend, y = trend Wt + bt + season Ws + bs,
 *           over time, each channel alone
 * Shapes    x (B, L, C) -> y (B, H, outputs): the last `outputs` channels; W (L, H), b (H), shared by the channels,
 *           or W (outputs, L, H), b (outputs, 1, H) when individual
 * Cost      B outputs (4 L H + 4 L + 3 H) flops
 * Source    Zeng et al. 2022, arXiv:2205.13504, section 4.2; cure-lab/LTSF-Linear, models/DLinear.py
 * Departs   with fewer outputs than channels, models for channels that are not forecast are left out
 */
#include <math.h>

#include "models/forecast_probe.h"
#include "models/over_time.h"

struct self {
    int64_t kernel, individual;
};

static const struct sqa_param params[] = {{"kernel", "rows of the moving average, odd", SQA_PARAM_INT, "25", 1,
                                           1 << 20, offsetof(struct self, kernel), NULL},
                                          {"individual", "1: weights of its own for each channel", SQA_PARAM_BOOL,
                                           "0", 0, 0, offsetof(struct self, individual), NULL},
                                          {.name = NULL}};

/* The op: a sliding sum in double over the last axis; the adjoint slides over dy and gathers what the ends were
 * replicated for. kernel 1 is a copy. */
struct attr {
    int64_t kernel;
};

static int64_t clamp(int64_t t, int64_t n)
{
    return t < 0 ? 0 : t >= n ? n - 1 : t;
}

#define DEFINE(T, forward, backward)                                                              \
    static void forward(const T *x, T *y, int64_t n, int64_t kernel)                              \
    {                                                                                             \
        const int64_t half = kernel / 2;                                                          \
        double sum = 0;                                                                           \
        for (int64_t o = -half; o <= half; o++)                                                   \
            sum += (double)x[clamp(o, n)];                                                        \
        for (int64_t t = 0; t < n; t++) {                                                         \
            y[t] = kernel == 1 ? x[t] : (T)(sum / (double)kernel);                                \
            sum += (double)x[clamp(t + half + 1, n)] - (double)x[clamp(t - half, n)];             \
        }                                                                                         \
    }                                                                                             \
    static void backward(const T *dy, T *dx, int64_t n, int64_t kernel)                           \
    {                                                                                             \
        const int64_t half = kernel / 2;                                                          \
        double sum = 0, first = 0, last = 0;                                                      \
        for (int64_t t = 0; t < n; t++) {                                                         \
            first += t < half ? (double)dy[t] * (double)(half - t) : 0;                           \
            last += n - 1 - t < half ? (double)dy[t] * (double)(half - (n - 1 - t)) : 0;          \
        }                                                                                         \
        for (int64_t t = 0; t < half && t < n; t++)                                               \
            sum += (double)dy[t];                                                                 \
        for (int64_t t = 0; t < n; t++) {                                                         \
            sum += t + half < n ? (double)dy[t + half] : 0;                                       \
            sum -= t - half > 0 ? (double)dy[t - half - 1] : 0;                                   \
            dx[t] = (T)((sum + (t == 0 ? first : 0) + (t == n - 1 ? last : 0)) / (double)kernel); \
        }                                                                                         \
    }
DEFINE(float, forward_f32, backward_f32)
DEFINE(double, forward_f64, backward_f64)

static enum sqa_status average_shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *x = n->in[0];
    char text[96];
    if (x->rank < 1 || !sqa_is_real(x))
        return sqa_shape_fail(n, err, "x is %s; it wants reals (..., L)", sqa_shape_text(x, text));
    sqa_set_output(n, 0, x->dtype, x->rank, x->dim);
    return SQA_OK;
}

static void each_row(const struct sqa_node *n, bool adjoint)
{
    const struct attr *a = n->attr;
    const struct sqa_tensor *x = n->in[0];
    const int64_t length = x->dim[x->rank - 1], rows = length ? sqa_numel(x) / length : 0;
    for (int64_t i = 0; i < rows; i++) {
        if (x->dtype == SQA_F64)
            (adjoint ? backward_f64 : forward_f64)((const double *)sqa_data(x) + i * length,
                                                   (double *)sqa_data(n->out[0]) + i * length, length, a->kernel);
        else
            (adjoint ? backward_f32 : forward_f32)((const float *)sqa_data(x) + i * length,
                                                   (float *)sqa_data(n->out[0]) + i * length, length, a->kernel);
    }
}

static void average_run(const struct sqa_node *n, const struct sqa_run *r)
{
    (void)r;
    each_row(n, false);
}

static void adjoint_run(const struct sqa_node *n, const struct sqa_run *r)
{
    (void)r;
    each_row(n, true);
}

static double average_flops(const struct sqa_node *n)
{
    return 3 * (double)sqa_numel(n->out[0]);
}

static void average_grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy,
                         struct sqa_tensor **dx);

static const struct sqa_op moving_average = {.name = "moving_average",
                                             .help = "mean of a window of the last axis, ends replicated",
                                             .shape = average_shape,
                                             .run = average_run,
                                             .grad = average_grad,
                                             .flops = average_flops};

static void adjoint_grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy,
                         struct sqa_tensor **dx)
{
    dx[0] = dy[0] ? sqa_apply(g, &moving_average, n->attr, sizeof(struct attr), 1, dy) : NULL;
}

static const struct sqa_op moving_average_bwd = {.name = "moving_average_bwd",
                                                 .help = "the adjoint of moving_average",
                                                 .shape = average_shape,
                                                 .run = adjoint_run,
                                                 .grad = adjoint_grad,
                                                 .flops = average_flops};

static void average_grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy,
                         struct sqa_tensor **dx)
{
    dx[0] = dy[0] ? sqa_apply(g, &moving_average_bwd, n->attr, sizeof(struct attr), 1, dy) : NULL;
}

/* The variant */

static enum sqa_status check(const void *self, const struct sqa_frame *frame, const struct sqa_signature *task,
                             struct sqa_err *err)
{
    const struct self *s = self;
    (void)frame;
    const enum sqa_status status = sqa_forecast_check("dlinear", NULL, task, err);
    if (status == SQA_OK && s->kernel % 2 == 0)
        return sqa_fail(err, SQA_UNSUPPORTED, "dlinear: kernel=%lld is even; take %lld or %lld", (long long)s->kernel,
                        (long long)s->kernel - 1, (long long)s->kernel + 1);
    return status;
}

static struct sqa_tensor *map(struct sqa_context *c, const char *name, struct sqa_tensor *x, bool individual)
{
    const size_t mark = sqa_scope_push(c->g, "%s", name);
    x = sqa_over_time(c, x, individual);
    sqa_scope_pop(c->g, mark);
    return x;
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    const struct self *s = self;
    const struct attr a = {s->kernel};
    const bool each = s->individual != 0;
    x = sqa_time_rows(c, x, each);
    struct sqa_tensor *trend = x ? sqa_apply(c->g, &moving_average, &a, sizeof a, 1, &x) : NULL;
    struct sqa_tensor *season = sqa_sub(c->g, x, trend);
    trend = map(c, "trend", trend, each);
    season = map(c, "season", season, each);
    return sqa_time_columns(c, sqa_add(c->g, trend, season), each);
}

static double flops(const void *self, const struct sqa_context *c)
{
    (void)self;
    const double l = (double)c->length, h = (double)c->task->horizon;
    return (double)c->batch * (double)c->task->outputs * (4 * l * h + 4 * l + 3 * h);
}

/* Identities: L = 30, H = 5, B = 2, C = 3 */

enum { L = 30, H = 5, B = 2, C = 3, ROWS = B * L * C, OUT = B * H * C };

static const struct sqa_probe_whole small = {
    .task = {.kind = SQA_FORECAST, .length = L, .channels = C, .outputs = C, .horizon = H},
    .batch = B,
    .seed = 7,
    .real = SQA_F64};

static enum sqa_status forecast(const char *spec, const double *x, void (*edit)(struct sqa_store *, void *),
                                void *user, double y[OUT], struct sqa_err *err)
{
    struct sqa_probe_whole p = small;
    p.model = spec;
    p.x = x;
    p.edit = edit;
    p.user = user;
    return sqa_probe_whole(&p, y, NULL, err);
}

static void clear_season(struct sqa_store *s, void *user)
{
    (void)user;
    sqa_probe_set_constant(s, "season.w", 0);
}

/* The season's weights of rows whose window reaches over an end become 0, those of the others stay or not. */
static void inner_season(struct sqa_store *s, void *user)
{
    const int64_t half = 3;
    double w[L * H];
    sqa_probe_normal(3, w, L * H);
    for (int64_t t = 0; t < L; t++)
        for (int64_t k = 0; k < H; k++)
            w[t * H + k] *= t >= half && t < L - half ? *(const double *)user : 0;
    sqa_probe_set(s, "season.w", w);
}

static enum sqa_status kernel_one(struct sqa_err *err)
{
    double x[ROWS], y[OUT], z[OUT];
    sqa_probe_normal(1, x, ROWS);
    enum sqa_status status = forecast("dlinear:kernel=1", x, NULL, NULL, y, err);
    if (status == SQA_OK)
        status = forecast("dlinear:kernel=1", x, clear_season, NULL, z, err);
    return status != SQA_OK ? status
                            : sqa_probe_expect("kernel 1 with and without season weights",
                                               sqa_probe_difference(y, z, OUT), 0, err);
}

static enum sqa_status constant_series(struct sqa_err *err)
{
    double x[ROWS], y[OUT], z[OUT];
    for (int i = 0; i < ROWS; i++)
        x[i] = 1.5 - i % C;
    enum sqa_status status = forecast("dlinear", x, NULL, NULL, y, err);
    if (status == SQA_OK)
        status = forecast("dlinear", x, clear_season, NULL, z, err);
    return status != SQA_OK ? status
                            : sqa_probe_expect("a constant series with and without season weights",
                                               sqa_probe_difference(y, z, OUT), 1e-14, err);
}

static enum sqa_status straight_line(struct sqa_err *err)
{
    double x[ROWS], y[OUT], z[OUT], one = 1, none = 0;
    for (int i = 0; i < ROWS; i++)
        x[i] = 0.25 * (i / C % L) + i % C;
    enum sqa_status status = forecast("dlinear:kernel=7", x, inner_season, &one, y, err);
    if (status == SQA_OK)
        status = forecast("dlinear:kernel=7", x, inner_season, &none, z, err);
    return status != SQA_OK ? status
                            : sqa_probe_expect("a straight line with and without inner season weights",
                                               sqa_probe_difference(y, z, OUT), 1e-12, err);
}

static enum sqa_status channels_alone(struct sqa_err *err)
{
    static const char *const specs[] = {"dlinear", "dlinear:individual=1", NULL};
    return sqa_forecast_alone(small, specs, err);
}

/* <A x, y> = <x, A' y> for lengths and kernels on both sides of each other. */
static enum sqa_status adjoint(struct sqa_err *err)
{
    enum { LONGEST = 12 };
    double x[LONGEST], y[LONGEST], ax[LONGEST], ay[LONGEST], worst = 0;
    sqa_probe_normal(1, x, LONGEST);
    sqa_probe_normal(2, y, LONGEST);
    for (int64_t n = 1; n <= LONGEST; n++) {
        for (int64_t kernel = 1; kernel < 2 * LONGEST + 4; kernel += 2) {
            double left = 0, right = 0;
            forward_f64(x, ax, n, kernel);
            backward_f64(y, ay, n, kernel);
            for (int64_t t = 0; t < n; t++) {
                left += ax[t] * y[t];
                right += x[t] * ay[t];
            }
            worst = fmax(worst, fabs(left - right));
        }
    }
    return sqa_probe_expect("moving average against its adjoint", worst, 1e-13, err);
}

static enum sqa_status parameter_count(struct sqa_err *err)
{
    return sqa_forecast_parameters("dlinear", 96, 1, 720, 139680, err);
}

static const struct sqa_identity identities[] = {
    {"kernel 1: the season is 0", kernel_one},
    {"a constant series has no season", constant_series},
    {"a straight line has no season but near its ends", straight_line},
    {"a channel's forecast is its own affair", channels_alone},
    {"the moving average's gradient is its adjoint", adjoint},
    {"139680 parameters at L = 96, H = 720, as published", parameter_count},
    {NULL, NULL}};

const struct sqa_variant sqa_variant_dlinear = {
    .id = "dlinear",
    .slot = SQA_SLOT_MODEL,
    .title = "DLinear",
    .source = "Zeng et al. 2022, arXiv:2205.13504, section 4.2",
    .complexity = "O(L H C) time",
    .params = params,
    .self_size = sizeof(struct self),
    .check = check,
    .build = build,
    .flops = flops,
    .identities = identities,
};
