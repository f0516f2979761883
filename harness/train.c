/* train.c - see train.h; batches and evaluation have files of their own */
#include "harness/train_private.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/random.h"
#include "engine/checkpoint.h"
#include "harness/machine_lock.h"
#include "harness/measure/measure.h"
#include "results/table.h"

enum { PLANS = 48 };

void sqa_signature_of(const struct sqa_dataset *ds, struct sqa_signature *s)
{
    *s = (struct sqa_signature){
        .kind = ds->task->kind,
        .vocab = ds->vocab,
        .classes = ds->classes,
        .length = ds->length,
        .channels = ds->channels,
        .outputs = ds->outputs,
        .horizon = ds->horizon,
        .season = ds->season,
        .blank = ds->blank,
        .marks = ds->marks,
    };
}

static enum sqa_status build_graph(void *user, const struct sqa_plan_key *key, struct sqa_graph *g,
                                   struct sqa_err *err)
{
    struct sqa_trainer *t = user;
    return sqa_model_graph(t->model, &t->task, &t->store, (enum sqa_mode)key->mode, key->batch, key->length, g, err);
}

/* The first graph declares the parameters; it is thrown away. */
static enum sqa_status make_store(struct sqa_trainer *t, const struct sqa_trainer_options *o, struct sqa_err *err)
{
    struct sqa_graph g;
    sqa_store_init(&t->store, o->real, o->seed);
    sqa_graph_init(&g, o->real, false);
    enum sqa_status status = sqa_model_graph(t->model, &t->task, &t->store, SQA_MODE_INFER, 1, t->length, &g, err);
    sqa_graph_clear(&g);
    return status == SQA_OK ? sqa_store_seal(&t->store, o->trainable, err) : status;
}

static void set_lengths_of_run(struct sqa_trainer *t)
{
    const int64_t n = t->data->count[SQA_TRAIN], b = t->recipe.batch;
    t->steps_per_epoch = t->recipe.drop_last ? n / b : (n + b - 1) / b;
    if (t->steps_per_epoch < 1)
        t->steps_per_epoch = 1;
    t->steps = t->recipe.steps > 0 ? t->recipe.steps : t->recipe.epochs * t->steps_per_epoch;
    t->eval_every = t->recipe.eval_every > 0 ? t->recipe.eval_every : t->steps_per_epoch;
    t->order_epoch = -1;
}

enum sqa_status sqa_trainer_open(const struct sqa_trainer_options *o, struct sqa_trainer **out, struct sqa_err *err)
{
    struct sqa_trainer *t = sqa_alloc(sizeof *t);
    const struct sqa_task_env env = {.data_dir = o->data_dir, .interrupted = o->interrupted};
    enum sqa_status status;
    if (!t)
        return sqa_fail(err, SQA_NOMEM, "%s: no memory; free some memory and run again", o->model);
    t->recipe = *o->recipe;
    t->seed = o->seed;
    t->threads = o->threads;
    t->interrupted = o->interrupted;
    status = sqa_model_parse(o->model, &t->model, err);
    if (status == SQA_OK)
        status = sqa_dataset_open(o->task, &env, &t->data, err);
    if (status != SQA_OK)
        goto fail;
    sqa_signature_of(t->data, &t->task);
    if (o->length > 0)
        t->task.length = o->length;
    t->length = t->task.length;
    status = sqa_model_check(t->model, &t->task, err);
    if (status != SQA_OK)
        goto fail;
    if (sqa_model_is_floor(t->model)) {
        *out = t;
        return SQA_OK;
    }
    sqa_kernels_init();
    sqa_rss_peak_reset();
    t->rss_start = sqa_rss_now();
    status = make_store(t, o, err);
    if (status != SQA_OK)
        goto fail;
    status = sqa_plans_init(&t->plans, build_graph, t, o->real, o->threads, PLANS, err);
    if (status != SQA_OK)
        goto fail;
    t->plans.recompute = o->recompute;
    t->plans.compute = o->compute;
    set_lengths_of_run(t);
    sqa_recipe_optim(&t->recipe, &t->optim);
    sqa_recipe_schedule(&t->recipe, t->steps_per_epoch, t->steps, &t->schedule);
    t->batch = sqa_batch_create(t->data, t->recipe.batch, t->length > t->data->length ? t->length : t->data->length);
    t->best_valid = sqa_no_scores;
    t->last_train_loss = SQA_NAN;
    if (o->trainable)
        t->order = sqa_alloc_array((size_t)t->data->count[SQA_TRAIN] + 1, sizeof *t->order);
    if (o->trainable && sqa_trainer_rows(t) < t->recipe.batch) {
        const size_t size = sqa_dtype_size(o->real);
        t->micro_sum = sqa_alloc_aligned((size_t)t->store.parameter_block * size);
        t->micro_state = sqa_alloc_aligned((size_t)(t->store.state_block + 1) * size);
        if (!t->micro_sum || !t->micro_state) {
            status = sqa_fail(err, SQA_NOMEM, "%s: no memory for gradients of micro-batches; use a smaller model",
                              o->model);
            goto fail;
        }
    }
    if (!t->batch || (o->trainable && !t->order)) {
        status = sqa_fail(err, SQA_NOMEM, "%s: no memory for batches; use a smaller batch", o->model);
        goto fail;
    }
    *out = t;
    return SQA_OK;
fail:
    sqa_trainer_close(t);
    return status;
}

void sqa_trainer_close(struct sqa_trainer *t)
{
    if (!t)
        return;
    sqa_plans_clear(&t->plans);
    sqa_store_clear(&t->store);
    sqa_batch_free(t->batch);
    sqa_dataset_close(t->data);
    sqa_model_free(t->model);
    sqa_free(t->order);
    sqa_free(t->best);
    sqa_free(t->micro_sum);
    sqa_free(t->micro_state);
    sqa_text_clear(&t->curves);
    sqa_free(t);
}

/* Training */

static void set_order(struct sqa_trainer *t, int64_t epoch)
{
    if (t->order_epoch == epoch)
        return;
    sqa_random_permutation(sqa_random_key(t->seed, (uint64_t)epoch, "train/order"), t->order,
                           (size_t)t->data->count[SQA_TRAIN]);
    t->order_epoch = epoch;
}

int64_t sqa_trainer_rows(const struct sqa_trainer *t)
{
    return t->recipe.micro > 0 && t->recipe.micro < t->recipe.batch ? t->recipe.micro : t->recipe.batch;
}

/* What the loss of a batch is a mean over: its rows, of tags the labelled positions. */
static int64_t weight_of(const struct sqa_batch *b, enum sqa_task_kind kind)
{
    int64_t labels = 0;
    for (int64_t i = 0; kind == SQA_TAG && i < b->n * b->length; i++)
        labels += b->labels[i] >= 0;
    return kind == SQA_TAG ? labels : b->n;
}

/* Forward and backward of the n rows of t->batch from `first` on; gradients in the store. */
static enum sqa_status run_rows(struct sqa_trainer *t, int64_t first, int64_t n, uint64_t seed, uint64_t step,
                                const struct sqa_plan *timed, double *ns, double *loss, struct sqa_err *err)
{
    struct sqa_plan *plan;
    const struct sqa_tensor *tensor = NULL;
    enum sqa_status status = sqa_train_feed(t, SQA_MODE_TRAIN, first, n, &plan, err);
    if (status == SQA_OK)
        status = sqa_plan_run(plan, seed, step, &(struct sqa_extents){.rows = n}, plan == timed ? ns : NULL, err);
    if (status != SQA_OK)
        return status;
    const void *out = sqa_plan_output(plan, "loss", &tensor);
    *loss = sqa_real_of(out, tensor, 0);
    return SQA_OK;
}

static void count_positions(struct sqa_trainer *t)
{
    const struct sqa_batch *b = t->batch;
    const int64_t rows = b->n * sqa_rows_an_example(t->task.kind);
    t->positions += rows * b->length;
    for (int64_t i = 0; i < rows; i++)
        t->real_positions += b->lengths ? b->lengths[i] : b->length;
}

/* Training examples into t->batch. */
static enum sqa_status fetch_training(struct sqa_trainer *t, const uint32_t *index, int64_t n, struct sqa_err *err)
{
    const enum sqa_status status = sqa_train_fetch(t, SQA_TRAIN, index, n, err);
    t->batch->n = n;
    if (status == SQA_OK)
        count_positions(t);
    return status;
}

/* With pad=sorted: examples in the order of their lengths, equal ones as they were. */
static void sort_by_length(const struct sqa_dataset *ds, uint32_t *index, int64_t n)
{
    for (int64_t i = 1; i < n; i++) {
        const uint32_t one = index[i];
        const int64_t length = ds->task->length_of(ds, SQA_TRAIN, one);
        int64_t k = i;
        for (; k > 0 && ds->task->length_of(ds, SQA_TRAIN, index[k - 1]) > length; k--)
            index[k] = index[k - 1];
        index[k] = one;
    }
}

static bool is_sorted(const struct sqa_trainer *t)
{
    return t->micro_sum && t->task.kind != SQA_TAG && t->data->task->length_of &&
           strcmp(t->recipe.pad, "sorted") == 0;
}

const char *sqa_trainer_padding(const struct sqa_trainer *t)
{
    return strcmp(t->recipe.pad, "sorted") != 0 ? t->recipe.pad : is_sorted(t) ? "sorted" : "longest";
}

/* Forward and backward of n examples, of t->batch or by index: the mean loss, and its gradients in the store.
 * Micro-batches are weighted by what their losses are means over. Each begins with the state before the step, and the
 * last one has the seed of the run, so that the state after the step is that of a whole batch. index: each micro-batch
 * is fetched on its own (t->batch holds it); NULL: t->batch has them all. timed, ns: times of a plan's nodes, or NULL. */
static enum sqa_status run_batch(struct sqa_trainer *t, const uint32_t *index, int64_t n, uint64_t step,
                                 const struct sqa_plan *timed, double *ns, double *loss, struct sqa_err *err)
{
    const struct sqa_store *s = &t->store;
    const struct sqa_kernels *k = s->real == SQA_F64 ? &sqa_kernels_f64 : &sqa_kernels_f32;
    const int64_t rows = sqa_trainer_rows(t), all = index ? n : weight_of(t->batch, t->task.kind);
    const size_t states = (size_t)s->state_block * k->size, parameters = (size_t)s->parameter_block * k->size;
    enum sqa_status status = SQA_OK;
    if (n <= rows && !index)
        return run_rows(t, 0, n, t->seed, step, timed, ns, loss, err);
    *loss = 0;
    memset(t->micro_sum, 0, parameters);
    if (states)
        memcpy(t->micro_state, s->states, states);
    for (int64_t i = 0; i < n && status == SQA_OK; i += rows) {
        const int64_t count = n - i < rows ? n - i : rows, at = index ? 0 : i;
        const struct sqa_batch part = sqa_train_rows(t->batch, t->task.kind, at, count);
        const uint64_t seed = i + rows < n ? sqa_random_key(t->seed, (uint64_t)i, "train/micro") : t->seed;
        const double weight = all > 0 ? (double)weight_of(&part, t->task.kind) / (double)all : 0;
        double mean = 0;
        if (states && i > 0)
            memcpy(s->states, t->micro_state, states);
        if (index)
            status = fetch_training(t, index + i, count, err);
        if (status == SQA_OK)
            status = run_rows(t, at, count, seed, step, timed, ns, &mean, err);
        if (status == SQA_OK)
            k->axpy(weight, s->gradients, t->micro_sum, (size_t)s->parameter_block);
        *loss += weight * mean;
    }
    memcpy(s->gradients, t->micro_sum, parameters);
    return status;
}

static enum sqa_status train_step(struct sqa_trainer *t, struct sqa_err *err)
{
    const int64_t s = t->step + 1, epoch = t->step / t->steps_per_epoch;
    const int64_t first = t->step % t->steps_per_epoch * t->recipe.batch;
    const int64_t left = t->data->count[SQA_TRAIN] - first;
    const int64_t n = left < t->recipe.batch ? left : t->recipe.batch;
    double loss = 0;
    set_order(t, epoch);
    uint32_t *const index = t->order + first;
    const bool sorted = is_sorted(t);
    enum sqa_status status = SQA_OK;
    if (sorted)
        sort_by_length(t->data, index, n);
    else
        status = fetch_training(t, index, n, err);
    if (status != SQA_OK)
        return status;
    const double data = t->data_seconds;
    const int64_t start = sqa_clock_wall();
    status = run_batch(t, sorted ? index : NULL, n, (uint64_t)s, NULL, NULL, &loss, err);
    if (status != SQA_OK)
        return status;
    const double norm = sqa_optim_step(&t->optim, &t->store, s, sqa_schedule_factor(&t->schedule, s),
                                       sqa_schedule_beta1(&t->schedule, s), t->threads);
    t->op_seconds += sqa_seconds_since(start) - (t->data_seconds - data);
    if (!isfinite(loss) || !isfinite(norm))
        return sqa_fail(err, SQA_NO, "step %lld: the loss is %g and the gradient's norm %g; lower the rate or clip",
                        (long long)s, loss, norm);
    t->train_loss_sum += loss * (double)n;
    t->train_loss_n += n;
    t->examples += n;
    t->step = s;
    return SQA_OK;
}

static void add_curve(struct sqa_trainer *t, const char *split, double loss, double metric)
{
    char step[32], a[32], b[32], c[32], d[32], examples[32];
    snprintf(step, sizeof step, "%lld", (long long)t->step);
    snprintf(examples, sizeof examples, "%lld", (long long)t->examples);
    sqa_format_real(c, t->recipe.rate * sqa_schedule_factor(&t->schedule, t->step));
    snprintf(d, sizeof d, "%.3f", t->seconds);
    const char *row[SQA_CURVES_N] = {
        [SQA_CURVES_key] = t->key ? t->key : "",
        [SQA_CURVES_step] = step,
        [SQA_CURVES_split] = split,
        [SQA_CURVES_loss] = sqa_format_real(a, loss),
        [SQA_CURVES_metric] = sqa_format_real(b, metric),
        [SQA_CURVES_rate] = c,
        [SQA_CURVES_seconds] = d,
        [SQA_CURVES_examples] = examples,
    };
    sqa_table_row(&t->curves, SQA_FILE_CURVES, row);
}

static bool better(const struct sqa_trainer *t, const struct sqa_scores *now)
{
    const struct sqa_scores *best = &t->best_valid;
    if (t->best_step == 0)
        return true;
    if (t->task.kind != SQA_FORECAST && (now->accuracy > best->accuracy || now->accuracy < best->accuracy))
        return now->accuracy > best->accuracy;
    return now->loss < best->loss;
}

static enum sqa_status evaluate_now(struct sqa_trainer *t, struct sqa_err *err)
{
    struct sqa_scores valid;
    const double data = t->data_seconds; /* evaluation's fetching does not count as training's */
    const enum sqa_status status =
        sqa_trainer_evaluate(t, SQA_VALID, t->recipe.eval_examples, NULL, NULL, &valid, err);
    t->data_seconds = data;
    if (status != SQA_OK)
        return status;
    t->last_train_loss = t->train_loss_n ? t->train_loss_sum / (double)t->train_loss_n : SQA_NAN;
    t->train_loss_sum = 0;
    t->train_loss_n = 0;
    add_curve(t, "train", t->last_train_loss, SQA_NAN);
    add_curve(t, "valid", valid.loss, t->task.kind == SQA_FORECAST ? valid.mse : valid.accuracy);
    const bool select = strcmp(t->recipe.select, "best_valid") == 0;
    if (!select || better(t, &valid)) {
        sqa_store_take(&t->store, t->best);
        t->best_valid = valid;
        t->best_step = t->step;
        t->worse = 0;
    } else {
        t->worse++;
    }
    return SQA_OK;
}

/* Numbers of a checkpoint that are not tensors; doubles as hexadecimal floats, bit for bit. */
static enum sqa_status save(const struct sqa_trainer *t, const char *path, struct sqa_err *err)
{
    char numbers[512];
    snprintf(numbers, sizeof numbers, "%lld %lld %lld %lld %lld %a %a %a %a %a %a %a %a %a %lld %lld %lld",
             (long long)t->step, (long long)t->best_step, (long long)t->worse, (long long)t->examples,
             (long long)t->train_loss_n, t->train_loss_sum, t->last_train_loss, t->best_valid.loss,
             t->best_valid.accuracy, t->best_valid.mse, t->best_valid.mae, t->data_seconds, t->op_seconds, t->seconds,
             (long long)t->best_valid.n, (long long)t->positions, (long long)t->real_positions);
    const struct sqa_metadata meta[] = {{"seqarena.trainer", numbers},
                                        {"seqarena.curves", sqa_text_get(&t->curves)},
                                        {"seqarena.key", t->key ? t->key : ""}};
    return sqa_checkpoint_write(path, &t->store, 1, t->best, meta, 3, err);
}

static bool parse_saved(struct sqa_trainer *t, const char *numbers)
{
    long long i[8];
    return sscanf(numbers, "%lld %lld %lld %lld %lld %la %la %la %la %la %la %la %la %la %lld %lld %lld", &i[0],
                  &i[1], &i[2], &i[3], &i[4], &t->train_loss_sum, &t->last_train_loss, &t->best_valid.loss,
                  &t->best_valid.accuracy, &t->best_valid.mse, &t->best_valid.mae, &t->data_seconds, &t->op_seconds,
                  &t->seconds, &i[5], &i[6], &i[7]) == 17 &&
           (t->step = i[0], t->best_step = i[1], t->worse = i[2], t->examples = i[3], t->train_loss_n = i[4],
            t->best_valid.n = i[5], t->positions = i[6], t->real_positions = i[7], true);
}

static enum sqa_status restore(struct sqa_trainer *t, const char *path, struct sqa_err *err)
{
    struct sqa_safetensors f = {0};
    enum sqa_status status = sqa_checkpoint_read(path, &t->store, 1, t->best, &f, err);
    const char *numbers = status == SQA_OK ? sqa_safetensors_meta(&f, "seqarena.trainer") : NULL;
    const char *curves = status == SQA_OK ? sqa_safetensors_meta(&f, "seqarena.curves") : NULL;
    if (status == SQA_OK && (!numbers || !curves || !parse_saved(t, numbers)))
        status = sqa_fail(err, SQA_INPUT, "%s: not a checkpoint of a run; remove it to start the cell again", path);
    if (status == SQA_OK)
        sqa_text_add(&t->curves, curves);
    sqa_safetensors_clear(&f);
    return status;
}

/* After a step the training loss has numbers until its evaluation has taken them; an interrupted one stays due. */
static bool evaluation_due(const struct sqa_trainer *t)
{
    return t->train_loss_n > 0 && (t->step % t->eval_every == 0 || t->step == t->steps);
}

enum sqa_status sqa_trainer_run(struct sqa_trainer *t, const char *checkpoint, double every, struct sqa_err *err)
{
    enum sqa_status status = SQA_OK;
    if (!t->best)
        t->best = sqa_alloc_aligned(sqa_store_snapshot_bytes(&t->store));
    if (!t->best)
        return sqa_fail(err, SQA_NOMEM, "training: no memory for the best parameters; use a smaller model");
    if (checkpoint && sqa_file_exists(checkpoint))
        status = restore(t, checkpoint, err);
    int64_t saved = sqa_clock_wall();
    while (status == SQA_OK && (t->step < t->steps || evaluation_due(t)) &&
           !(t->recipe.patience > 0 && t->worse >= t->recipe.patience)) {
        sqa_machine_work_pause(t->interrupted);
        if (!evaluation_due(t)) {
            const int64_t start = sqa_clock_wall();
            status = train_step(t, err);
            t->seconds += sqa_seconds_since(start);
            if (status != SQA_OK)
                break;
        }
        if (evaluation_due(t))
            status = evaluate_now(t, err);
        if (t->progress)
            t->progress(t->user, t);
        const bool stop = t->interrupted && *t->interrupted;
        if ((status == SQA_OK || status == SQA_INTERRUPTED) && checkpoint &&
            (stop || sqa_seconds_since(saved) >= every)) {
            const enum sqa_status written = save(t, checkpoint, err);
            status = written == SQA_OK ? status : written;
            saved = sqa_clock_wall();
        }
        if (status == SQA_OK && stop)
            status = sqa_fail(err, SQA_INTERRUPTED, "step %lld: interrupted; run the same command to go on",
                              (long long)t->step);
    }
    if (status == SQA_OK && t->best_step)
        sqa_store_put_back(&t->store, t->best);
    return status;
}

enum sqa_status sqa_trainer_write_weights(const struct sqa_trainer *t, const char *path, struct sqa_err *err)
{
    char signature[256];
    snprintf(signature, sizeof signature, "%d %lld %lld %lld %lld %lld %lld %lld %lld %lld", (int)t->task.kind,
             (long long)t->task.vocab, (long long)t->task.classes, (long long)t->task.length,
             (long long)t->task.channels, (long long)t->task.outputs, (long long)t->task.horizon,
             (long long)t->task.season, (long long)t->task.blank, (long long)t->task.marks);
    const struct sqa_metadata meta[] = {{"seqarena.model", t->model->full_form},
                                        {"seqarena.task", t->data->full_spec},
                                        {"seqarena.signature", signature}};
    return sqa_checkpoint_write(path, &t->store, 0, NULL, meta, 3, err);
}

/* Timing */

enum sqa_status sqa_trainer_prepare(struct sqa_trainer *t, enum sqa_mode mode, struct sqa_plan **plan,
                                    struct sqa_err *err)
{
    const int64_t b = t->recipe.batch, count = t->data->count[SQA_TRAIN];
    uint32_t index[4096];
    enum sqa_status status = SQA_OK;
    if (b > 4096)
        return sqa_fail(err, SQA_UNSUPPORTED, "batch %lld: timing takes at most 4096 rows; use a smaller batch",
                        (long long)b);
    for (int64_t i = 0; i < b; i++)
        index[i] = (uint32_t)(i % count);
    /* Full rows: what is timed is the largest batch of the task, whatever the examples at hand. */
    t->batch->length = t->data->length;
    if (t->length <= t->data->length) {
        status = t->data->task->fetch(t->data, SQA_TRAIN, index, b, t->batch, err);
        if (status != SQA_OK)
            return status;
    }
    t->batch->length = t->length;
    t->batch->n = b;
    const int64_t rows = b * sqa_rows_an_example(t->task.kind);
    for (int64_t i = 0; t->batch->tokens && i < rows * t->length; i++)
        t->batch->tokens[i] = 1 + (int32_t)sqa_random_below(t->seed, (uint64_t)i, (uint64_t)(t->task.vocab - 1));
    for (int64_t i = 0; t->batch->lengths && i < rows; i++)
        t->batch->lengths[i] = (int32_t)t->length;
    return sqa_train_feed(t, mode, 0, mode == SQA_MODE_TRAIN ? sqa_trainer_rows(t) : b, plan, err);
}

enum sqa_status sqa_trainer_time_pass(struct sqa_trainer *t, struct sqa_plan *plan, enum sqa_mode mode,
                                      double *ns_by_op, struct sqa_err *err)
{
    const int64_t rows = mode == SQA_MODE_TRAIN ? sqa_trainer_rows(t) : t->recipe.batch;
    return sqa_plan_run(plan, t->seed, 1, &(struct sqa_extents){.rows = rows}, ns_by_op, err);
}

enum sqa_status sqa_trainer_time_step(struct sqa_trainer *t, struct sqa_plan *plan, enum sqa_mode mode,
                                      double *ns_by_op, struct sqa_err *err)
{
    const bool train = mode == SQA_MODE_TRAIN;
    double loss;
    const enum sqa_status status = train && t->micro_sum
                                       ? run_batch(t, NULL, t->batch->n, 1, plan, ns_by_op, &loss, err)
                                       : sqa_trainer_time_pass(t, plan, mode, ns_by_op, err);
    if (status == SQA_OK && train)
        sqa_optim_step(&t->optim, &t->store, 1, 0, 0, t->threads);
    return status;
}
