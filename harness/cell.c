/* cell.c - the child's side of cell.h */
#include "harness/cell_private.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "engine/checkpoint.h"
#include "harness/machine_lock.h"
#include "results/table.h"

enum { EXAMPLES_LIMIT = 1 << 28 };

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

/* bound: gets where threads run, nothing when they run anywhere. */
enum sqa_status sqa_cell_set_up(const struct sqa_child *c, bool training, struct sqa_text *bound, struct sqa_err *err)
{
    const struct sqa_run_plan *p = c->plan;
    const int threads = c->cell->threads > 1 ? (int)c->cell->threads : 1;
    const int jobs = training && p->jobs > 1 ? (int)p->jobs : 1;
    struct sigaction a = {.sa_handler = on_signal};
    sigaction(SIGTERM, &a, NULL);
    signal(SIGINT, SIG_IGN); /* the parent decides */
    signal(SIGPIPE, SIG_IGN);
    sqa_alloc_limit(p->memory < 0x1p62 ? (size_t)p->memory : 0);
    return p->bind && *p->bind ? sqa_bind_team(p->bind, jobs * threads, c->slot * threads, threads, bound, err)
                               : SQA_OK;
}

void sqa_cell_set_number(json_t *o, int column, double v)
{
    char buf[32];
    if (isfinite(v))
        json_object_set_new(o, sqa_schemas[SQA_FILE_CELLS].columns[column].name,
                            json_string(sqa_format_real(buf, v)));
}

void sqa_cell_set_text(json_t *o, int column, const char *v)
{
    if (v && *v)
        json_object_set_new(o, sqa_schemas[SQA_FILE_CELLS].columns[column].name, json_string(v));
}

static void tell_pause(void *user, bool waits)
{
    const struct sqa_child *c = user;
    fprintf(c->out, "%s\n", waits ? "paused" : "resumed");
    fflush(c->out);
}

static enum sqa_status write_text(const struct sqa_child *c, const char *name, const char *text, size_t size,
                                  struct sqa_err *err)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/parts/%s.part/%s", c->dir, c->cell->key, name);
    return sqa_file_write(path, text, size, err);
}

enum sqa_status sqa_cell_write_json(const struct sqa_child *c, const char *name, json_t *o, struct sqa_err *err)
{
    char *text = json_dumps(o, JSON_INDENT(1));
    enum sqa_status status = text ? write_text(c, name, text, strlen(text), err)
                                  : sqa_fail(err, SQA_NOMEM, "%s: no memory; free some memory and run again", name);
    sqa_free(text);
    return status;
}

/* A file of a table: the header and rows made elsewhere. */
enum sqa_status sqa_cell_write_rows(const struct sqa_child *c, const char *name, int file,
                                    const struct sqa_text *rows, struct sqa_err *err)
{
    struct sqa_text t = {0};
    sqa_table_begin(&t, file);
    sqa_text_add_bytes(&t, sqa_text_get(rows), rows->length);
    enum sqa_status status = t.failed || rows->failed
                                 ? sqa_fail(err, SQA_NOMEM, "%s: no memory; free some memory and run again", name)
                                 : write_text(c, name, sqa_text_get(&t), t.length, err);
    sqa_text_clear(&t);
    return status;
}

enum sqa_status sqa_cell_open_trainer(const struct sqa_child *c, int trainable, struct sqa_arena *arena,
                                      struct sqa_trainer **t, struct sqa_err *err)
{
    struct sqa_recipe r;
    enum sqa_compute compute;
    enum sqa_status status = sqa_cell_recipe(c->cell, arena, &r, err);
    if (status == SQA_OK)
        status = sqa_compute_parse("cell", c->cell->dtype, &compute, err);
    if (status != SQA_OK)
        return status;
    enum sqa_recompute_mode recompute;
    if (!sqa_recompute_find(c->plan->recompute, &recompute))
        return sqa_fail(err, SQA_INPUT, "run.json: recompute '%.50s'; start the run in another directory",
                        c->plan->recompute);
    const struct sqa_trainer_options o = {
        .recompute = recompute,
        .model = c->cell->model_text,
        .task = c->cell->task,
        .data_dir = c->plan->data_dir,
        .recipe = &r,
        .seed = (uint64_t)c->cell->seed,
        .threads = (int)c->cell->threads,
        .trainable = trainable,
        .real = SQA_F32,
        .compute = compute,
        .length = c->cell->length,
        .interrupted = &interrupted,
    };
    return sqa_trainer_open(&o, t, err);
}

/* Training */

static void tell_progress(void *user, const struct sqa_trainer *t)
{
    const struct sqa_child *c = user;
    static int64_t last;
    const int64_t now = sqa_clock_wall();
    if (now - last < 200000000 && t->step < t->steps)
        return;
    last = now;
    fprintf(c->out, "progress %lld %lld %.4f %.4f\n", (long long)t->step, (long long)t->steps,
            t->train_loss_n ? t->train_loss_sum / (double)t->train_loss_n : t->last_train_loss,
            t->task.kind == SQA_FORECAST ? t->best_valid.mse : t->best_valid.accuracy);
    fflush(c->out);
}

void sqa_cell_add_example(void *user, const struct sqa_example_score *x)
{
    struct sqa_example_rows *e = user;
    char i[16], t[16] = "", o[16] = "", l[32], labels[32] = "", right[32] = "";
    if (e->text.length > EXAMPLES_LIMIT)
        return;
    snprintf(i, sizeof i, "%u", x->index);
    if (x->target >= 0) {
        snprintf(t, sizeof t, "%d", x->target);
        snprintf(o, sizeof o, "%d", x->output);
    }
    if (x->labels > 0) {
        snprintf(labels, sizeof labels, "%lld", (long long)x->labels);
        snprintf(right, sizeof right, "%lld", (long long)x->right);
    }
    snprintf(l, sizeof l, "%.9g", x->loss);
    const char *row[SQA_EXAMPLES_N] = {[SQA_EXAMPLES_key] = e->key,
                                       [SQA_EXAMPLES_index] = i,
                                       [SQA_EXAMPLES_target] = t,
                                       [SQA_EXAMPLES_output] = o,
                                       [SQA_EXAMPLES_loss] = isnan(x->loss) ? "" : l,
                                       [SQA_EXAMPLES_labels] = labels,
                                       [SQA_EXAMPLES_right] = right};
    sqa_table_row(&e->text, SQA_FILE_EXAMPLES, row);
}

static void put_scores(json_t *o, const struct sqa_scores *valid, const struct sqa_scores *test)
{
    sqa_cell_set_number(o, SQA_CELLS_valid_loss, valid->loss);
    sqa_cell_set_number(o, SQA_CELLS_valid_accuracy, valid->accuracy);
    sqa_cell_set_number(o, SQA_CELLS_valid_mse, valid->mse);
    sqa_cell_set_number(o, SQA_CELLS_valid_mae, valid->mae);
    sqa_cell_set_number(o, SQA_CELLS_test_n, test->n > 0 ? (double)test->n : SQA_NAN);
    sqa_cell_set_number(o, SQA_CELLS_test_loss, test->loss);
    sqa_cell_set_number(o, SQA_CELLS_test_accuracy, test->accuracy);
    sqa_cell_set_number(o, SQA_CELLS_test_mse, test->mse);
    sqa_cell_set_number(o, SQA_CELLS_test_mae, test->mae);
    sqa_cell_set_number(o, SQA_CELLS_test_rmse, test->rmse);
    sqa_cell_set_number(o, SQA_CELLS_test_mape, test->mape);
    sqa_cell_set_number(o, SQA_CELLS_test_smape, test->smape);
    sqa_cell_set_number(o, SQA_CELLS_test_mase, test->mase);
}

void sqa_cell_put_padding(json_t *o, const char *padding, double share)
{
    sqa_cell_set_text(o, SQA_CELLS_padding, padding);
    sqa_cell_set_number(o, SQA_CELLS_real_share, share);
}

static void put_training(json_t *o, const struct sqa_trainer *t, int64_t start)
{
    sqa_cell_set_number(o, SQA_CELLS_steps, (double)t->step);
    sqa_cell_set_number(o, SQA_CELLS_best_step, (double)t->best_step);
    sqa_cell_set_number(o, SQA_CELLS_train_examples, (double)t->examples);
    sqa_cell_set_number(o, SQA_CELLS_train_loss, t->last_train_loss);
    sqa_cell_set_number(o, SQA_CELLS_train_seconds, t->op_seconds);
    sqa_cell_set_number(o, SQA_CELLS_data_seconds, t->data_seconds);
    sqa_cell_set_number(o, SQA_CELLS_harness_seconds, t->seconds - t->op_seconds - t->data_seconds);
    sqa_cell_set_number(o, SQA_CELLS_total_seconds,
                        (double)(sqa_clock_wall() - start) * 1e-9 - sqa_machine_work_paused());
}

/* What generalisation is held against: n is that of the test. */
static enum sqa_status put_train_accuracy(json_t *o, struct sqa_trainer *t, int64_t n, struct sqa_err *err)
{
    struct sqa_scores train;
    if (t->task.kind != SQA_CLASSIFY || n < 1)
        return SQA_OK;
    const enum sqa_status status = sqa_trainer_evaluate(t, SQA_TRAIN, n, NULL, NULL, &train, err);
    if (status == SQA_OK)
        sqa_cell_set_number(o, SQA_CELLS_train_accuracy, train.accuracy);
    return status;
}

void sqa_cell_put_model(json_t *o, const struct sqa_trainer *t)
{
    sqa_cell_set_number(o, SQA_CELLS_params, (double)t->store.parameter_count);
    sqa_cell_set_number(o, SQA_CELLS_state_floats, (double)t->store.state_count);
    sqa_cell_set_number(o, SQA_CELLS_length, (double)t->length);
    if (t->task.horizon > 0)
        sqa_cell_set_number(o, SQA_CELLS_horizon, (double)t->task.horizon);
    sqa_cell_set_number(o, SQA_CELLS_batch, (double)t->recipe.batch);
    const char *part = sqa_model_padded_part(t->model);
    struct sqa_text note = {0};
    sqa_text_add(&note, t->data->note);
    if (part && t->task.vocab > 0)
        sqa_text_printf(&note, "%sits answers depend on the amount of padding (%s)", note.length ? "; " : "", part);
    sqa_cell_set_text(o, SQA_CELLS_note, sqa_text_get(&note));
    sqa_text_clear(&note);
    sqa_cell_set_text(o, SQA_CELLS_test_hash, t->data->split_hash[SQA_TEST]);
}

enum sqa_status sqa_cell_save(const struct sqa_child *c, const char *name, json_t *o, const struct sqa_scores *valid,
                              const struct sqa_scores *test, const struct sqa_example_rows *examples,
                              struct sqa_err *err)
{
    enum sqa_status status = SQA_OK;
    if (valid && test)
        put_scores(o, valid, test);
    if (examples)
        status = sqa_cell_write_rows(c, "examples.csv", SQA_FILE_EXAMPLES, &examples->text, err);
    return status == SQA_OK ? sqa_cell_write_json(c, name, o, err) : status;
}

static enum sqa_status keep_weights(const struct sqa_child *c, const struct sqa_trainer *t, struct sqa_err *err)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/weights", c->dir);
    const enum sqa_status status = sqa_make_dirs(path, err);
    if (status != SQA_OK)
        return status;
    snprintf(path, sizeof path, "%s/weights/%s.safetensors", c->dir, c->cell->key);
    return sqa_trainer_write_weights(t, path, err);
}

/* Tests; of forecasts also the error of each step, as horizon.csv. */
static enum sqa_status test_and_write(const struct sqa_child *c, struct sqa_trainer *t, sqa_example_fn *each,
                                      struct sqa_example_rows *examples, struct sqa_scores *test, struct sqa_err *err)
{
    struct sqa_text rows = {0};
    const int64_t steps = t->task.kind == SQA_FORECAST ? t->task.horizon : 0;
    t->by_step = steps ? sqa_alloc_array((size_t)steps, 2 * sizeof *t->by_step) : NULL;
    if (steps && !t->by_step)
        return sqa_fail(err, SQA_NOMEM, "test: no memory; free some memory and run again");
    enum sqa_status status = sqa_trainer_evaluate(t, SQA_TEST, 0, each, examples, test, err);
    for (int64_t k = 0; k < steps && status == SQA_OK; k++) {
        char step[32], mse[32], mae[32];
        const double n = (double)(test->n * t->task.outputs);
        snprintf(step, sizeof step, "%lld", (long long)k + 1);
        const char *row[SQA_HORIZON_N] = {[SQA_HORIZON_key] = c->cell->key,
                                          [SQA_HORIZON_step] = step,
                                          [SQA_HORIZON_mse] = sqa_format_real(mse, t->by_step[2 * k] / n),
                                          [SQA_HORIZON_mae] = sqa_format_real(mae, t->by_step[2 * k + 1] / n)};
        sqa_table_row(&rows, SQA_FILE_HORIZON, row);
    }
    if (status == SQA_OK && steps)
        status = sqa_cell_write_rows(c, "horizon.csv", SQA_FILE_HORIZON, &rows, err);
    sqa_text_clear(&rows);
    sqa_free(t->by_step);
    t->by_step = NULL;
    return status;
}

enum sqa_status sqa_cell_train(const struct sqa_child *c, struct sqa_err *err)
{
    const int64_t start = sqa_clock_wall();
    struct sqa_arena arena = {0};
    struct sqa_trainer *t = NULL;
    struct sqa_example_rows examples = {.key = c->cell->key};
    struct sqa_scores valid = sqa_no_scores, test = sqa_no_scores;
    const bool trial = sqa_cell_is_trial(c->cell), each = c->plan->examples && !trial;
    char checkpoint[4096];
    json_t *o = json_object();
    struct sqa_text bound = {0};
    sqa_machine_work_begin(tell_pause, (void *)(uintptr_t)c);
    enum sqa_status status = sqa_cell_set_up(c, true, &bound, err);
    if (status == SQA_OK)
        status = sqa_cell_open_trainer(c, 1, &arena, &t, err);
    snprintf(checkpoint, sizeof checkpoint, "%s/parts/%s.part/checkpoint", c->dir, c->cell->key);
    if (status == SQA_OK && !c->cell->floor) {
        t->key = c->cell->key;
        t->progress = tell_progress;
        t->user = (void *)(uintptr_t)c;
        status = sqa_trainer_run(t, checkpoint, c->plan->checkpoint, err);
        if (status == SQA_OK)
            valid = t->best_valid;
    } else if (status == SQA_OK) {
        status = sqa_trainer_evaluate(t, SQA_VALID, 0, NULL, NULL, &valid, err);
    }
    if (status == SQA_OK && !trial)
        status = test_and_write(c, t, each ? sqa_cell_add_example : NULL, &examples, &test, err);
    if (status == SQA_OK) {
        put_scores(o, &valid, &test);
        sqa_cell_put_model(o, t);
        sqa_cell_set_text(o, SQA_CELLS_bind, sqa_text_get(&bound));
        if (!c->cell->floor) {
            put_training(o, t, start);
            sqa_cell_put_padding(o, sqa_trainer_padding(t), (double)t->real_positions / (double)t->positions);
            status = put_train_accuracy(o, t, test.n, err);
            sqa_cell_set_number(o, SQA_CELLS_mem_peak_rss_bytes, sqa_rss_peak());
            if (status == SQA_OK)
                status = sqa_cell_write_rows(c, "curves.csv", SQA_FILE_CURVES, &t->curves, err);
        }
    }
    if (status == SQA_OK && each)
        status = sqa_cell_write_rows(c, "examples.csv", SQA_FILE_EXAMPLES, &examples.text, err);
    if (status == SQA_OK && c->plan->keep_weights && !c->cell->floor && !trial)
        status = keep_weights(c, t, err);
    if (status == SQA_OK)
        status = sqa_cell_write_json(c, "trained.json", o, err);
    if (status == SQA_OK) {
        remove(checkpoint);
        fprintf(c->out, "saved\n");
        fflush(c->out);
    }
    sqa_machine_work_end();
    json_decref(o);
    sqa_text_clear(&bound);
    sqa_text_clear(&examples.text);
    sqa_trainer_close(t);
    sqa_arena_clear(&arena);
    return status;
}
