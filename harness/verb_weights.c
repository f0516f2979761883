/* verb_weights.c - export and predict: weights out, forward passes in */
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/npy.h"
#include "engine/checkpoint.h"
#include "harness/measure/measure.h"
#include "harness/pytorch.h"
#include "harness/settings.h"
#include "harness/verbs.h"
#include "harness/weights.h"

struct export_options {
    const char *task, *scale, *train, *output, *pytorch, *weights, *data;
    int64_t seed, length, threads;
    int init_only, quiet;
};
#define AT(field) offsetof(struct export_options, field)
static const struct sqa_option export_table[] = {
    {"task", 0, SQA_OPTION_TEXT, "SPEC", "task the model is for", AT(task), 0, 0},
    {"scale", 0, SQA_OPTION_TEXT, "NAME", "recipe file (default lite)", AT(scale), 0, 0},
    {"train", 0, SQA_OPTION_TEXT, "K=V,...", "overrides of the recipe", AT(train), 0, 0},
    {"seed", 0, SQA_OPTION_INT, "K", "training seed (default 1)", AT(seed), 0, 1e15},
    {"init-only", 0, SQA_OPTION_FLAG, NULL, "initial weights, without training", AT(init_only), 0, 0},
    {"length", 0, SQA_OPTION_INT, "L", "positions (default the task's)", AT(length), 1, 1 << 24},
    {"threads", 0, SQA_OPTION_INT, "N", "threads (default 1)", AT(threads), 1, 1024},
    {"data", 0, SQA_OPTION_TEXT, "DIR", "where data files lie", AT(data), 0, 0},
    {"output", 'o', SQA_OPTION_TEXT, "FILE", "safetensors file to write", AT(output), 0, 0},
    {"pytorch", 0, SQA_OPTION_TEXT, "FILE", "Python file to write: the model in PyTorch, for those weights",
     AT(pytorch), 0, 0},
    {"weights", 0, SQA_OPTION_TEXT, "FILE", "with --pytorch: the model of that safetensors file, in place of MODEL",
     AT(weights), 0, 0},
    {"quiet", 'q', SQA_OPTION_FLAG, NULL, "no progress", AT(quiet), 0, 0},
    {.name = NULL},
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

static void export_defaults(void *options)
{
    struct export_options *o = options;
    o->scale = "lite";
    o->seed = 1;
    o->threads = 1;
}

static void show_progress(void *user, const struct sqa_trainer *t)
{
    int64_t *last = user;
    if (sqa_clock_wall() - *last < 200000000 && t->step < t->steps)
        return;
    *last = sqa_clock_wall();
    fprintf(stderr, "\r\033[K%s: step %lld of %lld%s", t->model->short_form, (long long)t->step, (long long)t->steps,
            t->step == t->steps ? "\n" : "");
}

/* --weights: the file says what the model is, and nothing is trained. */
static enum sqa_status export_known(const struct export_options *o, struct sqa_err *err)
{
    struct sqa_model *model = NULL;
    struct sqa_signature task;
    const char *task_text;
    enum sqa_status status = sqa_weights_model(o->weights, &model, &task, &task_text, err);
    if (status == SQA_OK)
        status = sqa_pytorch_write(model, &task, task_text, o->pytorch, err);
    if (status == SQA_OK && !o->quiet)
        printf("%s: for %s\n", o->pytorch, o->weights);
    sqa_model_free(model);
    return status;
}

static enum sqa_status check_export(const struct export_options *o, const struct sqa_texts *operands,
                                    struct sqa_err *err)
{
    if (o->weights && (operands->n || o->task || o->output || !o->pytorch))
        return sqa_fail(err, SQA_USAGE,
                        "export: --weights FILE goes with --pytorch FILE.py alone; leave MODEL, --task and -o out");
    if (!o->weights && !operands->n)
        return sqa_fail(err, SQA_USAGE, "export: MODEL is missing; see seqarena export --help");
    if (!o->weights && !o->task)
        return sqa_fail(err, SQA_USAGE, "export: --task is missing; give the task that the model is for");
    if (!o->weights && !o->output)
        return sqa_fail(err, SQA_USAGE, "export: -o is missing; give the file to write");
    return SQA_OK;
}

static enum sqa_status run_export(void *options, const struct sqa_texts *operands, struct sqa_err *err)
{
    const struct export_options *o = options;
    struct sqa_arena arena = {0};
    struct sqa_trainer *t = NULL;
    int64_t last = 0;
    enum sqa_status status = check_export(o, operands, err);
    if (status != SQA_OK || o->weights)
        return status == SQA_OK ? export_known(o, err) : status;
    struct sigaction a = {.sa_handler = on_signal};
    sigaction(SIGINT, &a, NULL);
    const struct sqa_cell_settings s = {.model = operands->at[0],
                                        .task = o->task,
                                        .scale = o->scale,
                                        .train = o->train,
                                        .data_dir = o->data,
                                        .seed = o->seed,
                                        .length = o->length,
                                        .threads = (int)o->threads,
                                        .trainable = !o->init_only,
                                        .interrupted = &interrupted};
    status = sqa_open_settings(&s, &arena, &t, err);
    if (status == SQA_OK && o->pytorch) /* first: a missing file then costs no training */
        status = sqa_pytorch_write(t->model, &t->task, t->data->full_spec, o->pytorch, err);
    if (status == SQA_OK && !o->init_only) {
        if (!o->quiet && isatty(2)) {
            t->progress = show_progress;
            t->user = &last;
        }
        status = sqa_trainer_run(t, NULL, 0, err);
    }
    if (status == SQA_OK)
        status = sqa_trainer_write_weights(t, o->output, err);
    if (status == SQA_OK && !o->quiet)
        printf("%s: %lld parameters\n", o->output, (long long)t->store.parameter_count);
    sqa_trainer_close(t);
    sqa_arena_clear(&arena);
    return status;
}

const struct sqa_verb sqa_verb_export = {
    .name = "export",
    .usage = "MODEL --task SPEC [--init-only] -o FILE.safetensors [--pytorch FILE.py]",
    .help = "write the weights of a model, trained or initial, and the model in PyTorch",
    .options = export_table,
    .options_size = sizeof(struct export_options),
    .operands_max = 1,
    .defaults = export_defaults,
    .run = run_export,
    .more = "Names are those of the model: embed.table, blocks.0.mixer.wq.w (in, out), head.out.b, ... A product is\n"
            "x w + b, so a matrix is the transpose of PyTorch's Linear.weight.\n"
            "\n"
            "--pytorch writes one Python file that needs PyTorch and NumPy alone and gives the outputs of predict:\n"
            "    python3 FILE.py FILE.safetensors INPUT.npy [--marks MARKS.npy] -o OUTPUT.npy\n"
            "For weights that are there: export --weights FILE.safetensors --pytorch FILE.py\n",
};

/* predict */

struct predict_options {
    const char *weights, *input, *marks, *output;
    int64_t batch, threads;
};
static const struct sqa_option predict_table[] = {
    {"weights", 0, SQA_OPTION_TEXT, "FILE", "safetensors file of export", offsetof(struct predict_options, weights),
     0, 0},
    {"input", 0, SQA_OPTION_TEXT, "FILE",
     ".npy: tokens (n, L), of pairs (n, 2, L), 0 is padding; or reals (n, L, C), to classify with NaN as padding",
     offsetof(struct predict_options, input), 0, 0},
    {"marks", 0, SQA_OPTION_TEXT, "FILE",
     ".npy: features of the times of the rows (n, L + H, marks), of models that read them; data export writes them",
     offsetof(struct predict_options, marks), 0, 0},
    {"output", 'o', SQA_OPTION_TEXT, "FILE",
     ".npy to write: logits (n, classes), of tags (n, L, classes), or forecasts (n, H, C)",
     offsetof(struct predict_options, output), 0, 0},
    {"batch", 0, SQA_OPTION_INT, "N", "rows at a time (default 32)", offsetof(struct predict_options, batch), 1,
     65536},
    {"threads", 0, SQA_OPTION_INT, "N", "threads (default 1)", offsetof(struct predict_options, threads), 1, 1024},
    {.name = NULL},
};

static void predict_defaults(void *options)
{
    struct predict_options *o = options;
    o->batch = 32;
    o->threads = 1;
}

struct predictor {
    struct sqa_model *model;
    struct sqa_signature task;
    struct sqa_store store;
    struct sqa_plans plans;
};

static enum sqa_status build(void *user, const struct sqa_plan_key *key, struct sqa_graph *g, struct sqa_err *err)
{
    struct predictor *p = user;
    return sqa_model_graph(p->model, &p->task, &p->store, SQA_MODE_INFER, key->batch, key->length, g, err);
}

static enum sqa_status open_predictor(struct predictor *p, const struct predict_options *o, struct sqa_err *err)
{
    struct sqa_graph g;
    enum sqa_status status = sqa_weights_model(o->weights, &p->model, &p->task, NULL, err);
    if (status == SQA_OK)
        status = sqa_model_check(p->model, &p->task, err);
    if (status != SQA_OK)
        return status;
    sqa_kernels_init();
    sqa_store_init(&p->store, SQA_F32, 0);
    sqa_graph_init(&g, SQA_F32, false);
    status = sqa_model_graph(p->model, &p->task, &p->store, SQA_MODE_INFER, 1, p->task.length, &g, err);
    sqa_graph_clear(&g);
    if (status == SQA_OK)
        status = sqa_store_seal(&p->store, false, err);
    if (status == SQA_OK)
        status = sqa_checkpoint_read(o->weights, &p->store, 0, NULL, NULL, err);
    return status == SQA_OK ? sqa_plans_init(&p->plans, build, p, SQA_F32, (int)o->threads, 4, err) : status;
}

/* Positions of a row up to the last that is not all padding: token 0, or NaN. */
static int64_t valid_positions(const struct sqa_signature *task, const double *row, int64_t length)
{
    const int64_t width = task->vocab ? 1 : task->channels;
    int64_t n = length * width;
    while (n > 0 && (task->vocab ? !(row[n - 1] > 0) : isnan(row[n - 1])))
        n--;
    return (n + width - 1) / width;
}

static enum sqa_status check_input(const struct predictor *p, const struct sqa_npy *x, const char *path,
                                   struct sqa_err *err)
{
    const bool tokens = p->task.vocab > 0, pairs = p->task.kind == SQA_PAIR;
    if (pairs && (x->rank != 3 || x->dim[1] != 2))
        return sqa_fail(err, SQA_INPUT, "%s: not an array (n, 2, length); the model takes pairs of token sequences",
                        path);
    const int64_t length = x->rank > 1 ? x->dim[pairs ? 2 : 1] : 0;
    if (!pairs && (tokens ? x->rank != 2 : x->rank != 3 || x->dim[2] != p->task.channels))
        return sqa_fail(err, SQA_INPUT, "%s: has %d dimensions%s; the model takes %s (%lld channels)", path, x->rank,
                        x->rank == 3 && !tokens ? " and another number of channels" : "",
                        tokens ? "tokens (n, length)" : "reals (n, length, channels)", (long long)p->task.channels);
    const bool ragged = p->task.kind != SQA_FORECAST;
    if (length < 1 || length > p->task.length || (!ragged && length != p->task.length))
        return sqa_fail(err, SQA_INPUT, "%s: length %lld; the model takes %s %lld", path, (long long)length,
                        ragged ? "1 to" : "exactly", (long long)p->task.length);
    for (size_t i = 0; tokens && i < x->count; i++)
        if (!(x->data[i] >= 0 && x->data[i] < (double)p->task.vocab))
            return sqa_fail(err, SQA_INPUT, "%s: token %g in row %zu; the model takes 0 to %lld", path, x->data[i],
                            i / (size_t)length, (long long)p->task.vocab - 1);
    const int64_t row = length * p->task.channels;
    for (int64_t i = 0; ragged && !tokens && i < x->dim[0]; i++) {
        const double *numbers = x->data + i * row;
        const int64_t valid = valid_positions(&p->task, numbers, length) * p->task.channels;
        for (int64_t k = 0; k < valid; k++)
            if (!isfinite(numbers[k]))
                return sqa_fail(err, SQA_INPUT,
                                "%s: %g in row %lld, position %lld; the model takes finite numbers, NaN only as "
                                "padding at the end",
                                path, numbers[k], (long long)i, (long long)(k / p->task.channels));
    }
    return SQA_OK;
}

static enum sqa_status check_marks(const struct predictor *p, const struct sqa_npy *x, const struct sqa_npy *marks,
                                   const char *path, struct sqa_err *err)
{
    const int64_t rows = p->task.length + p->task.horizon;
    if (p->task.kind != SQA_FORECAST || p->task.marks < 1)
        return sqa_fail(err, SQA_USAGE, "predict: --marks %s: the model's task has no times; leave it out", path);
    if (marks->rank != 3 || marks->dim[0] != x->dim[0] || marks->dim[1] != rows || marks->dim[2] != p->task.marks)
        return sqa_fail(err, SQA_INPUT,
                        "%s: not an array (%lld, %lld, %lld): a row of features for each row of the "
                        "look-back and of the horizon; data export writes it",
                        path, (long long)x->dim[0], (long long)rows, (long long)p->task.marks);
    for (size_t i = 0; i < marks->count; i++)
        if (!isfinite(marks->data[i]))
            return sqa_fail(err, SQA_INPUT, "%s: %g in row %zu; the model takes finite numbers", path, marks->data[i],
                            i / (size_t)(rows * p->task.marks));
    return SQA_OK;
}

/* The times of rows first .. first + n - 1, where the model reads them. */
static enum sqa_status feed_marks(const struct predictor *p, struct sqa_plan *plan, const struct sqa_npy *marks,
                                  int64_t first, int64_t n, struct sqa_err *err)
{
    const int64_t row = (p->task.length + p->task.horizon) * p->task.marks;
    float *to = sqa_plan_input(plan, "marks", NULL);
    if (sqa_plan_input(plan, "calendar", NULL))
        return sqa_fail(err, SQA_UNSUPPORTED,
                        "predict: the model reads dates as integers, which no array holds; see seqarena forecast");
    if (to && !marks->data)
        return sqa_fail(
            err, SQA_USAGE,
            "predict: the model reads the times of rows; give their features with --marks FILE.npy, which "
            "data export writes");
    for (int64_t i = 0; to && i < n * row; i++)
        to[i] = (float)marks->data[first * row + i];
    return SQA_OK;
}

static enum sqa_status predict_rows(struct predictor *p, const struct sqa_npy *x, const struct sqa_npy *marks,
                                    int64_t first, int64_t n, double *y, int64_t width, struct sqa_err *err)
{
    const int64_t each = sqa_rows_an_example(p->task.kind), length = x->dim[each],
                  row = length * (p->task.vocab ? 1 : p->task.channels);
    struct sqa_plan *plan;
    const struct sqa_tensor *tensor = NULL;
    enum sqa_status status = sqa_plans_get(&p->plans, (struct sqa_plan_key){SQA_MODE_INFER, n, length}, &plan, err);
    if (status == SQA_OK)
        status = feed_marks(p, plan, marks, first, n, err);
    if (status != SQA_OK)
        return status;
    int32_t *tokens = sqa_plan_input(plan, "tokens", NULL), *lengths = sqa_plan_input(plan, "lengths", NULL);
    float *reals = sqa_plan_input(plan, "x", NULL);
    for (int64_t i = 0; i < n * each; i++) {
        const double *from = x->data + (first * each + i) * row;
        for (int64_t k = 0; k < row; k++) {
            if (tokens)
                tokens[i * row + k] = (int32_t)from[k];
            else if (reals)
                reals[i * row + k] = lengths && isnan(from[k]) ? 0 : (float)from[k];
        }
        if (lengths)
            lengths[i] = (int32_t)valid_positions(&p->task, from, length);
    }
    status = sqa_plan_run(plan, 0, 0, &(struct sqa_extents){.rows = n}, NULL, err);
    if (status != SQA_OK)
        return status;
    const float *out = sqa_plan_output(plan, sqa_output_name(p->task.kind), &tensor);
    for (int64_t i = 0; i < n * width; i++)
        y[first * width + i] = (double)out[i];
    return SQA_OK;
}

static enum sqa_status run_predict(void *options, const struct sqa_texts *operands, struct sqa_err *err)
{
    const struct predict_options *o = options;
    struct predictor p = {0};
    struct sqa_npy x = {0}, marks = {0};
    double *y = NULL;
    (void)operands;
    if (!o->weights || !o->input || !o->output)
        return sqa_fail(err, SQA_USAGE,
                        "predict: %s is missing; usage: seqarena predict --weights F --input X.npy -o Y.npy",
                        !o->weights ? "--weights"
                        : !o->input ? "--input"
                                    : "-o");
    enum sqa_status status = open_predictor(&p, o, err);
    if (status == SQA_OK)
        status = sqa_npy_read(o->input, &x, err);
    if (status == SQA_OK)
        status = check_input(&p, &x, o->input, err);
    if (status == SQA_OK && o->marks)
        status = sqa_npy_read(o->marks, &marks, err);
    if (status == SQA_OK && o->marks)
        status = check_marks(&p, &x, &marks, o->marks, err);
    if (status == SQA_OK) {
        const enum sqa_task_kind kind = p.task.kind;
        const int64_t n = x.dim[0],
                      dims[][3] = {[SQA_CLASSIFY] = {n, p.task.classes, 1},
                                   [SQA_FORECAST] = {n, p.task.horizon, p.task.outputs},
                                   [SQA_TAG] = {n, x.dim[1], p.task.classes},
                                   [SQA_PAIR] = {n, p.task.classes, 1}},
                      *dim = dims[kind], width = dim[1] * dim[2];
        y = sqa_alloc_array((size_t)(n * width) + 1, sizeof *y);
        if (!y)
            status = sqa_fail(err, SQA_NOMEM, "predict: no memory; free some memory and run again");
        for (int64_t i = 0; i < n && status == SQA_OK; i += o->batch)
            status = predict_rows(&p, &x, &marks, i, n - i < o->batch ? n - i : o->batch, y, width, err);
        if (status == SQA_OK)
            status = sqa_npy_write(o->output, "f4", kind == SQA_CLASSIFY || kind == SQA_PAIR ? 2 : 3, dim, y, err);
    }
    sqa_free(y);
    sqa_npy_clear(&x);
    sqa_npy_clear(&marks);
    sqa_plans_clear(&p.plans);
    sqa_store_clear(&p.store);
    sqa_model_free(p.model);
    return status;
}

const struct sqa_verb sqa_verb_predict = {
    .name = "predict",
    .usage = "--weights F.safetensors --input X.npy [--marks M.npy] -o Y.npy",
    .help = "a forward pass from weights",
    .options = predict_table,
    .options_size = sizeof(struct predict_options),
    .defaults = predict_defaults,
    .run = run_predict,
};
