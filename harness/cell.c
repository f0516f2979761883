/* cell.c - the child's side of cell.h */
#include "harness/cell.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "engine/checkpoint.h"
#include "harness/machine_lock.h"
#include "harness/measure/count.h"
#include "harness/measure/measure.h"
#include "harness/measure/rounds.h"
#include "harness/train.h"
#include "models/stepper.h"
#include "results/table.h"

enum { EXAMPLES_LIMIT = 1 << 28, SAMPLES_MAX = 100000, PROFILE_PASSES = 5 };

#define LONG_STEP_NS 1e9 /* a step that long needs no more than one pass to warm up, and one to profile */

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

/* bound: gets where threads run, nothing when they run anywhere. */
static enum sqa_status set_up(const struct sqa_child *c, bool training, struct sqa_text *bound, struct sqa_err *err)
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

static enum sqa_status write_json(const struct sqa_child *c, const char *name, json_t *o, struct sqa_err *err)
{
    char *text = json_dumps(o, JSON_INDENT(1));
    enum sqa_status status = text ? write_text(c, name, text, strlen(text), err)
                                  : sqa_fail(err, SQA_NOMEM, "%s: no memory; free some memory and run again", name);
    sqa_free(text);
    return status;
}

/* A file of a table: the header and rows made elsewhere. */
static enum sqa_status write_rows(const struct sqa_child *c, const char *name, int file, const struct sqa_text *rows,
                                  struct sqa_err *err)
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

static enum sqa_status open_trainer(const struct sqa_child *c, int trainable, struct sqa_arena *arena,
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

static void put_padding(json_t *o, const char *padding, double share)
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

static void put_model(json_t *o, const struct sqa_trainer *t)
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
        status = write_rows(c, "examples.csv", SQA_FILE_EXAMPLES, &examples->text, err);
    return status == SQA_OK ? write_json(c, name, o, err) : status;
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
        status = write_rows(c, "horizon.csv", SQA_FILE_HORIZON, &rows, err);
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
    enum sqa_status status = set_up(c, true, &bound, err);
    if (status == SQA_OK)
        status = open_trainer(c, 1, &arena, &t, err);
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
        put_model(o, t);
        sqa_cell_set_text(o, SQA_CELLS_bind, sqa_text_get(&bound));
        if (!c->cell->floor) {
            put_training(o, t, start);
            put_padding(o, sqa_trainer_padding(t), (double)t->real_positions / (double)t->positions);
            status = put_train_accuracy(o, t, test.n, err);
            sqa_cell_set_number(o, SQA_CELLS_mem_peak_rss_bytes, sqa_rss_peak());
            if (status == SQA_OK)
                status = write_rows(c, "curves.csv", SQA_FILE_CURVES, &t->curves, err);
        }
    }
    if (status == SQA_OK && each)
        status = write_rows(c, "examples.csv", SQA_FILE_EXAMPLES, &examples.text, err);
    if (status == SQA_OK && c->plan->keep_weights && !c->cell->floor && !trial)
        status = keep_weights(c, t, err);
    if (status == SQA_OK)
        status = write_json(c, "trained.json", o, err);
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

/* Measuring */

struct sample {
    int round, index, slot, pass; /* pass: of the counters, -1 when none could be read */
    double ns, cpu_ns;
    double steal; /* seconds, NaN when unknown */
    struct sqa_switches switches;
    long long counters[32]; /* those of the pass */
};

struct meter {
    struct sqa_trainer *t;
    struct sqa_plan *plan;
    enum sqa_mode mode;
    bool by_steps; /* one token by step forms */
    struct sqa_stepper stepper;
    int64_t steps; /* in one sample, so that a sample takes 1 ms or more */
    struct sample *samples;
    int n, room;
    struct sqa_counters *counters;
    char reason[160];
    struct sqa_text bound;
    int64_t position; /* by_steps: of the token */
    double *first;    /* by_steps: times of the token at position 0, room for all rounds */
    int n_first;
    bool cold; /* the caches are emptied before every sample, which is then one step */
    double warmup_ns;
    int settled;     /* as the column, -1: empty */
    char proof[256]; /* verdict of the checks */
    char unfit[400]; /* why this timing is not to be used, or "" */
    bool counts;     /* instructions, not time */
    struct sqa_counted counted;
};

/* A step: one token, or all micro-batches; a pass of the plan. */
static enum sqa_status run_step(struct meter *m, struct sqa_err *err)
{
    return m->by_steps ? sqa_stepper_run(&m->stepper, m->position, NULL, err)
                       : sqa_trainer_time_step(m->t, m->plan, m->mode, NULL, err);
}

static enum sqa_status run_pass(struct meter *m, double *ns_by_op, struct sqa_err *err)
{
    return m->by_steps ? sqa_stepper_run(&m->stepper, m->position, ns_by_op, err)
                       : sqa_trainer_time_pass(m->t, m->plan, m->mode, ns_by_op, err);
}

static enum sqa_status take_sample(struct meter *m, struct sample *s, struct sqa_err *err)
{
    long long before[32] = {0};
    const int nc = sqa_counters_n(m->counters), pass = nc ? m->n % sqa_counters_passes(m->counters) : -1;
    s->pass = nc && sqa_counters_select(m->counters, pass) == 0 ? pass : -1;
    if (m->cold && !sqa_cache_flush())
        return sqa_fail(err, SQA_NOMEM, "--cache cold: no memory for what empties the caches; free some memory");
    const struct sqa_switches w = sqa_switches_now();
    const double steal = sqa_machine_steal();
    if (s->pass >= 0 && sqa_counters_read(m->counters, before) != 0)
        s->pass = -1;
    const int64_t cpu = sqa_clock_process(), wall = sqa_clock_wall();
    enum sqa_status status = SQA_OK;
    for (int64_t i = 0; i < m->steps && status == SQA_OK; i++)
        status = run_step(m, err);
    s->ns = (double)(sqa_clock_wall() - wall) / (double)m->steps;
    s->cpu_ns = (double)(sqa_clock_process() - cpu) / (double)m->steps;
    if (s->pass >= 0 && sqa_counters_read(m->counters, s->counters) != 0)
        s->pass = -1;
    for (int i = 0; i < nc; i++)
        s->counters[i] -= before[i];
    const struct sqa_switches after = sqa_switches_now();
    s->switches.voluntary = after.voluntary - w.voluntary;
    s->switches.involuntary = after.involuntary - w.involuntary;
    s->steal = sqa_machine_steal() - steal;
    return status;
}

/* How often the plan runs in a step: once, or for every micro-batch, a partial one counted as a part. */
static double passes(const struct meter *m)
{
    return m->mode == SQA_MODE_TRAIN ? (double)m->t->recipe.batch / (double)sqa_trainer_rows(m->t) : 1;
}

/* Until it is stationary, or as long as the samples will take, ten turns at most; one pass of the plan where a step
 * takes a second. */
static enum sqa_status warm_up(struct meter *m, const struct sqa_run_plan *p, struct sqa_err *err)
{
    struct sample s = {0};
    struct sqa_warmup w = {.n = 0};
    const int64_t start = sqa_clock_wall();
    const double most = p->turn_ms * 1e6 * fmin(10, (double)p->rounds);
    m->steps = 1;
    m->settled = -1;
    enum sqa_status status = run_pass(m, NULL, err);
    if (status == SQA_OK && passes(m) * (double)(sqa_clock_wall() - start) < LONG_STEP_NS) {
        status = take_sample(m, &s, err);
        if (status == SQA_OK && s.ns < 1e6 && !m->cold && !p->single_steps)
            m->steps = (int64_t)ceil(1e6 / fmax(s.ns, 100));
        m->settled = 0;
    }
    while (status == SQA_OK && m->settled == 0) {
        status = take_sample(m, &s, err);
        m->settled = sqa_warmup_add(&w, s.ns);
        if ((double)(sqa_clock_wall() - start) > most)
            break;
    }
    m->warmup_ns = (double)(sqa_clock_wall() - start);
    return status;
}

/* Room for one sample more, made between samples. */
static enum sqa_status make_room(struct meter *m, struct sqa_err *err)
{
    if (m->n < m->room)
        return SQA_OK;
    const int room = m->room ? 2 * m->room : 64;
    struct sample *more = sqa_realloc(m->samples, (size_t)room * sizeof *more);
    if (!more)
        return sqa_fail(err, SQA_NOMEM, "measurement: no memory; free some memory and run again");
    m->samples = more;
    m->room = room;
    return SQA_OK;
}

/* At least a sample of each pass of the counters. */
static enum sqa_status take_turn(struct meter *m, int round, int slot, double turn_ms, struct sqa_err *err)
{
    const int64_t start = sqa_clock_wall();
    enum sqa_status status = make_room(m, err);
    for (int i = 0; m->n < SAMPLES_MAX && status == SQA_OK; i++) {
        struct sample *s = &m->samples[m->n];
        *s = (struct sample){.round = round, .index = i, .slot = slot};
        status = take_sample(m, s, err);
        m->n++;
        if (status == SQA_OK)
            status = make_room(m, err);
        if ((double)(sqa_clock_wall() - start) >= turn_ms * 1e6 && i + 1 >= sqa_counters_passes(m->counters))
            break;
    }
    return status;
}

/* After a step that makes what is made once. */
static enum sqa_status count_step(struct meter *m, const struct sqa_child *c, const char *phase, struct sqa_err *err)
{
    char file[4096];
    snprintf(file, sizeof file, "%s/parts/%s.part/" SQA_COUNT_FILE, c->dir, c->cell->key, phase);
    enum sqa_status status = run_step(m, err);
    if (status != SQA_OK)
        return status;
    sqa_count_begin();
    status = run_step(m, err);
    const enum sqa_status read = sqa_count_end(file, &m->counted, err);
    return status == SQA_OK ? read : status;
}

/* Adds a sentence to the note of a row. */
static void add_note(json_t *o, const char *sentence)
{
    const char *name = sqa_schemas[SQA_FILE_CELLS].columns[SQA_CELLS_note].name;
    const char *before = json_string_value(json_object_get(o, name));
    struct sqa_text t = {0};
    sqa_text_printf(&t, "%s%s%s", before ? before : "", before ? "; " : "", sentence);
    sqa_cell_set_text(o, SQA_CELLS_note, sqa_text_get(&t));
    sqa_text_clear(&t);
}

static void put_counts(json_t *o, const struct meter *m, const struct sqa_child *c)
{
    char note[240];
    snprintf(note, sizeof note,
             "instructions are those of one step on one thread under %.40s (callgrind), kernels %s, OpenBLAS for "
             "Nehalem: they tell whether the work changed, not how fast it is",
             c->plan->count, sqa_kernels_f32.isa);
    sqa_cell_set_number(o, SQA_CELLS_instructions, m->counted.instructions);
    sqa_cell_set_number(o, SQA_CELLS_data_reads, m->counted.data_reads);
    sqa_cell_set_number(o, SQA_CELLS_data_writes, m->counted.data_writes);
    add_note(o, note);
}

/* One sample of the first token. */
static enum sqa_status take_first(struct meter *m, struct sqa_err *err)
{
    struct sample s = {0};
    const int64_t last = m->position;
    m->position = 0;
    const enum sqa_status status = take_sample(m, &s, err);
    m->position = last;
    m->first[m->n_first++] = s.ns;
    return status;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The q-quantile of n sorted numbers, linear between neighbours. */
static double quantile(const double *x, int n, double q)
{
    const double at = q * (n - 1);
    const int i = (int)at;
    return i + 1 < n ? x[i] + (at - i) * (x[i + 1] - x[i]) : x[n - 1];
}

static enum sqa_status put_times(json_t *o, const struct meter *m, struct sqa_err *err)
{
    double *x = sqa_alloc_array((size_t)m->n + 1, sizeof *x), sum = 0, steal = 0;
    if (!x)
        return sqa_fail(err, SQA_NOMEM, "measurement: no memory; free some memory and run again");
    if (m->n > 0) {
        for (int i = 0; i < m->n; i++) {
            sum += x[i] = m->samples[i].ns;
            steal += m->samples[i].steal;
        }
        qsort(x, (size_t)m->n, sizeof *x, by_value);
        const double median = quantile(x, m->n, 0.5);
        sqa_cell_set_number(o, SQA_CELLS_latency_ns_median, median);
        sqa_cell_set_number(o, SQA_CELLS_latency_ns_min, x[0]);
        sqa_cell_set_number(o, SQA_CELLS_latency_ns_p90, quantile(x, m->n, 0.9));
        sqa_cell_set_number(o, SQA_CELLS_latency_ns_p99, quantile(x, m->n, 0.99));
        sqa_cell_set_number(o, SQA_CELLS_latency_ns_mean, sum / m->n);
        sqa_cell_set_number(o, SQA_CELLS_latency_samples, m->n);
        sqa_cell_set_number(o, SQA_CELLS_sample_steps, (double)m->steps);
        sqa_cell_set_number(o, SQA_CELLS_throughput_tokens_per_s,
                            (double)(m->t->recipe.batch * sqa_rows_an_example(m->t->task.kind)) *
                                (m->by_steps ? 1 : (double)m->t->length) / (median * 1e-9));
        for (int i = 0; i < m->n; i++)
            x[i] = m->samples[i].cpu_ns;
        qsort(x, (size_t)m->n, sizeof *x, by_value);
        sqa_cell_set_number(o, SQA_CELLS_cpu_ns_median, quantile(x, m->n, 0.5));
        sqa_cell_set_number(o, SQA_CELLS_steal_ns, rint(steal * 1e9));
        sqa_cell_set_number(o, SQA_CELLS_warmup_ns, m->warmup_ns);
        sqa_cell_set_number(o, SQA_CELLS_warmup_settled, m->settled < 0 ? SQA_NAN : m->settled);
    }
    sqa_free(x);
    if (m->n_first > 0) {
        qsort(m->first, (size_t)m->n_first, sizeof *m->first, by_value);
        sqa_cell_set_number(o, SQA_CELLS_first_ns_median, quantile(m->first, m->n_first, 0.5));
    }
    return SQA_OK;
}

/* Of each event the median over the samples of its pass, a step. */
static enum sqa_status put_counters(json_t *o, const struct meter *m, struct sqa_err *err)
{
    double *x = sqa_alloc_array((size_t)m->n + 1, sizeof *x);
    struct sqa_text t = {0};
    if (!x)
        return sqa_fail(err, SQA_NOMEM, "measurement: no memory; free some memory and run again");
    for (int k = 0; k < sqa_counters_n(m->counters); k++) {
        char value[32];
        int n = 0;
        for (int i = 0; i < m->n; i++)
            if (m->samples[i].pass == sqa_counters_pass(m->counters, k))
                x[n++] = (double)m->samples[i].counters[k] / (double)m->steps;
        if (n == 0)
            continue;
        qsort(x, (size_t)n, sizeof *x, by_value);
        sqa_text_printf(&t, "%s%s=%s", t.length ? ";" : "", sqa_counters_name(m->counters, k),
                        sqa_format_real(value, quantile(x, n, 0.5)));
    }
    sqa_cell_set_text(o, SQA_CELLS_counters, sqa_text_get(&t));
    if (t.length)
        sqa_cell_set_number(o, SQA_CELLS_counter_passes, sqa_counters_passes(m->counters));
    const int failed = t.failed;
    sqa_text_clear(&t);
    sqa_free(x);
    return failed ? sqa_fail(err, SQA_NOMEM, "measurement: no memory; free some memory and run again") : SQA_OK;
}

static void put_cost(json_t *o, const struct meter *m)
{
    const struct sqa_trainer *t = m->t;
    const bool train = m->mode == SQA_MODE_TRAIN;
    const double size = (double)sqa_dtype_size(t->store.real), times = passes(m);
    sqa_cell_set_number(o, SQA_CELLS_flops,
                        times *
                            (sqa_plan_flops(m->plan, SQA_PASS_FORWARD) + sqa_plan_flops(m->plan, SQA_PASS_BACKWARD)));
    sqa_cell_set_number(o, SQA_CELLS_bytes,
                        times *
                            (sqa_plan_bytes(m->plan, SQA_PASS_FORWARD) + sqa_plan_bytes(m->plan, SQA_PASS_BACKWARD)));
    if (train) {
        sqa_cell_set_number(o, SQA_CELLS_flops_recompute, times * sqa_plan_flops(m->plan, SQA_PASS_RECOMPUTE));
        sqa_cell_set_number(o, SQA_CELLS_flops_optimizer, sqa_optim_flops(&t->optim, &t->store));
    }
    sqa_cell_set_number(o, SQA_CELLS_mem_planned_bytes,
                        (double)m->plan->arena_bytes + (double)m->stepper.states.state_block * size);
    sqa_cell_set_number(o, SQA_CELLS_mem_params_bytes,
                        (double)(t->store.parameter_block * (train ? 4 : 1) + t->store.state_block +
                                 (train && t->micro_sum ? t->store.parameter_block + t->store.state_block : 0)) *
                            size);
    if (m->counts || m->cold)
        return; /* valgrind's memory, and the buffer that empties caches, are not the model's */
    sqa_cell_set_number(o, SQA_CELLS_mem_peak_rss_bytes, sqa_rss_peak());
    sqa_cell_set_number(o, SQA_CELLS_mem_own_bytes, sqa_rss_peak() - t->rss_start);
}

static enum sqa_status sample_rows(const struct meter *m, const struct sqa_child *c, const char *phase, json_t *o,
                                   struct sqa_text *out, struct sqa_err *err)
{
    double *ns_of = sqa_alloc_array((size_t)m->n + 1, 2 * sizeof *ns_of);
    int *outlier = sqa_alloc_array((size_t)m->n + 1, sizeof *outlier);
    if (!ns_of || !outlier) {
        sqa_free(ns_of);
        sqa_free(outlier);
        return sqa_fail(err, SQA_NOMEM, "measurement: no memory; free some memory and run again");
    }
    for (int i = 0; i < m->n; i++)
        ns_of[i] = m->samples[i].ns;
    const int outliers = sqa_mark_outliers(ns_of, (size_t)m->n, outlier, ns_of + m->n);
    if (m->n > 0)
        sqa_cell_set_number(o, SQA_CELLS_latency_outliers, outliers);
    const int nc = sqa_counters_n(m->counters);
    for (int i = 0; i < m->n; i++) {
        const struct sample *s = &m->samples[i];
        char round[16], index[16], ns[32], cpu[32], vol[32], invol[32], slot[16], steal[32] = "";
        struct sqa_text counters = {0};
        snprintf(round, sizeof round, "%d", s->round);
        snprintf(index, sizeof index, "%d", s->index);
        snprintf(ns, sizeof ns, "%.0f", s->ns);
        snprintf(cpu, sizeof cpu, "%.0f", s->cpu_ns);
        snprintf(vol, sizeof vol, "%lld", (long long)s->switches.voluntary);
        snprintf(invol, sizeof invol, "%lld", (long long)s->switches.involuntary);
        snprintf(slot, sizeof slot, "%d", s->slot);
        if (isfinite(s->steal))
            snprintf(steal, sizeof steal, "%.0f", s->steal * 1e9);
        for (int k = 0; k < nc; k++)
            if (sqa_counters_pass(m->counters, k) == s->pass)
                sqa_text_printf(&counters, "%s%s=%lld", counters.length ? ";" : "", sqa_counters_name(m->counters, k),
                                s->counters[k]);
        const char *row[SQA_SAMPLES_N] = {[SQA_SAMPLES_key] = c->cell->key,
                                          [SQA_SAMPLES_phase] = phase,
                                          [SQA_SAMPLES_round] = round,
                                          [SQA_SAMPLES_index] = index,
                                          [SQA_SAMPLES_ns] = ns,
                                          [SQA_SAMPLES_cpu_ns] = cpu,
                                          [SQA_SAMPLES_voluntary_switches] = vol,
                                          [SQA_SAMPLES_involuntary_switches] = invol,
                                          [SQA_SAMPLES_counters] = sqa_text_get(&counters),
                                          [SQA_SAMPLES_slot] = slot,
                                          [SQA_SAMPLES_steal_ns] = steal,
                                          [SQA_SAMPLES_outlier] = outlier[i] ? "1" : "0"};
        sqa_table_row(out, SQA_FILE_SAMPLES, row);
        sqa_text_clear(&counters);
    }
    sqa_free(ns_of);
    sqa_free(outlier);
    return SQA_OK;
}

static enum sqa_status profile_rows(struct meter *m, const struct sqa_child *c, const char *phase,
                                    struct sqa_text *out, struct sqa_err *err)
{
    const int count = m->plan->count;
    double *ns = sqa_alloc_array((size_t)count * PROFILE_PASSES, sizeof *ns);
    enum sqa_status status = SQA_OK;
    if (!ns)
        return sqa_fail(err, SQA_NOMEM, "profile: no memory; free some memory and run again");
    const int64_t start = sqa_clock_wall();
    int taken = 0;
    while (taken < PROFILE_PASSES && status == SQA_OK && (double)(sqa_clock_wall() - start) < LONG_STEP_NS)
        status = run_pass(m, ns + (size_t)taken++ * (size_t)count, err);
    for (int i = 0; i < count && status == SQA_OK; i++) {
        double x[PROFILE_PASSES];
        char flops[32], bytes[32], time[32], calls[32];
        for (int k = 0; k < taken; k++)
            x[k] = ns[(size_t)k * (size_t)count + (size_t)i];
        qsort(x, (size_t)taken, sizeof *x, by_value);
        const struct sqa_node *n = m->plan->nodes[i];
        const double times = floor(passes(m)); /* a partial micro-batch is another plan, which is not timed */
        snprintf(time, sizeof time, "%.0f", times * x[taken / 2]);
        snprintf(calls, sizeof calls, "%.0f", times);
        const char *row[SQA_OPS_N] = {[SQA_OPS_key] = c->cell->key,
                                      [SQA_OPS_phase] = phase,
                                      [SQA_OPS_op] = n->op->name,
                                      [SQA_OPS_path] = n->path,
                                      [SQA_OPS_calls] = calls,
                                      [SQA_OPS_flops] = sqa_format_real(flops, times * sqa_node_flops(n)),
                                      [SQA_OPS_bytes] = sqa_format_real(bytes, times * sqa_node_bytes(n)),
                                      [SQA_OPS_ns] = time};
        sqa_table_row(out, SQA_FILE_OPS, row);
    }
    sqa_free(ns);
    return status;
}

/* What is different where positions go one at a time. */
static void put_steps(json_t *o, const struct meter *m)
{
    char note[200];
    snprintf(note, sizeof note,
             "a token at position %lld of the causal form, with a state of random numbers: no tokens "
             "were fed before it",
             (long long)m->t->length - 1);
    sqa_cell_set_number(o, SQA_CELLS_state_floats,
                        (double)m->stepper.states.state_count / (double)m->t->recipe.batch);
    sqa_cell_set_text(o, SQA_CELLS_note, note);
}

static enum sqa_status save_measurement(struct meter *m, const struct sqa_child *c, const char *phase,
                                        struct sqa_err *err)
{
    char name[64];
    struct sqa_text samples = {0}, ops = {0};
    json_t *o = json_object();
    put_model(o, m->t);
    sqa_cell_set_text(o, SQA_CELLS_bind, sqa_text_get(&m->bound));
    if (m->by_steps)
        put_steps(o, m);
    put_cost(o, m); /* memory first: profiling is not part of it */
    if (!c->cell->train_accuracy && !m->by_steps)
        put_padding(o, "full", 1); /* rows as long as the task's */
    if (m->counts)
        put_counts(o, m, c);
    if (m->cold) {
        char note[160];
        snprintf(note, sizeof note, "cold caches: a buffer of %zu MiB was walked before each sample of one step",
                 sqa_cache_flush_bytes() >> 20);
        sqa_cell_set_text(o, SQA_CELLS_cache, "cold");
        add_note(o, note);
    }
    sqa_cell_set_text(o, SQA_CELLS_checks, m->proof);
    sqa_cell_set_text(o, SQA_CELLS_unfit, m->unfit);
    if (*m->unfit)
        add_note(o, "the timing is unfit: see column unfit");
    enum sqa_status status = sample_rows(m, c, phase, o, &samples, err);
    if (status == SQA_OK)
        status = put_times(o, m, err);
    if (status == SQA_OK)
        status = put_counters(o, m, err);
    if (status == SQA_OK && c->plan->profile)
        status = profile_rows(m, c, phase, &ops, err);
    snprintf(name, sizeof name, "samples-%s.csv", phase);
    if (status == SQA_OK)
        status = write_rows(c, name, SQA_FILE_SAMPLES, &samples, err);
    snprintf(name, sizeof name, "ops-%s.csv", phase);
    if (status == SQA_OK && c->plan->profile)
        status = write_rows(c, name, SQA_FILE_OPS, &ops, err);
    snprintf(name, sizeof name, "measure-%s.json", phase);
    if (status == SQA_OK)
        status = write_json(c, name, o, err);
    json_decref(o);
    sqa_text_clear(&samples);
    sqa_text_clear(&ops);
    return status;
}

static enum sqa_status obey(struct meter *m, const struct sqa_child *c, const char *phase, struct sqa_err *err)
{
    char line[512];
    int round, slot;
    enum sqa_status status = SQA_OK;
    fprintf(c->out, "ready\n");
    fflush(c->out);
    while (status == SQA_OK && fgets(line, sizeof line, c->in)) {
        if (sscanf(line, "turn %d %d", &round, &slot) == 2) {
            status = m->counts ? count_step(m, c, phase, err) : take_turn(m, round, slot, c->plan->turn_ms, err);
            if (status == SQA_OK && m->first && m->n_first < c->plan->rounds)
                status = take_first(m, err);
            if (c->cell->threads > 1)
                sqa_wait_for_helpers(); /* the next turn is another child's */
            if (status == SQA_OK)
                fprintf(c->out, "done %d\n", m->n);
        } else if (strncmp(line, "proof ", 6) == 0) {
            snprintf(m->proof, sizeof m->proof, "%.*s", (int)strcspn(line + 6, "\n"), line + 6);
        } else if (strncmp(line, "unfit ", 6) == 0) {
            snprintf(m->unfit, sizeof m->unfit, "%.*s", (int)strcspn(line + 6, "\n"), line + 6);
        } else if (strncmp(line, "end", 3) == 0) {
            status = save_measurement(m, c, phase, err);
            if (status == SQA_OK)
                fprintf(c->out, "saved\n");
            fflush(c->out);
            return status;
        }
        fflush(c->out);
    }
    return status == SQA_OK
               ? sqa_fail(err, SQA_INTERRUPTED, "measurement: the run ended; run the same command to go on")
               : status;
}

/* Token 1, or the number 0, in every row. */
static enum sqa_status prepare_steps(struct meter *m, struct sqa_err *err)
{
    struct sqa_trainer *t = m->t;
    const struct sqa_tensor *in;
    const enum sqa_status status = sqa_stepper_open(&m->stepper, t->model, &t->task, &t->store, t->recipe.batch,
                                                    t->threads, t->plans.compute, err);
    if (status != SQA_OK)
        return status;
    m->plan = m->stepper.plan;
    m->position = t->length - 1;
    sqa_stepper_fill(&m->stepper, t->seed);
    int32_t *tokens = sqa_plan_input(m->plan, "tokens", &in);
    for (int64_t i = 0; tokens && i < sqa_numel(in); i++)
        tokens[i] = t->task.vocab > 1;
    void *x = sqa_plan_input(m->plan, "x", &in);
    if (x)
        memset(x, 0, (size_t)sqa_numel(in) * sqa_dtype_size(in->dtype));
    return SQA_OK;
}

enum sqa_status sqa_cell_measure(const struct sqa_child *c, const char *phase, struct sqa_err *err)
{
    struct sqa_arena arena = {0};
    struct meter m = {.mode = strcmp(phase, "train") == 0 ? SQA_MODE_TRAIN : SQA_MODE_INFER,
                      .by_steps = strcmp(phase, "step") == 0,
                      .counts = sqa_plan_counts(c->plan),
                      .cold = c->plan->cache && strcmp(c->plan->cache, "cold") == 0};
    enum sqa_status status = set_up(c, false, &m.bound, err);
    if (status == SQA_OK)
        status = open_trainer(c, m.mode == SQA_MODE_TRAIN, &arena, &m.t, err);
    if (status == SQA_OK)
        status = m.by_steps ? prepare_steps(&m, err) : sqa_trainer_prepare(m.t, m.mode, &m.plan, err);
    if (status == SQA_OK && m.by_steps && !m.counts) {
        m.first = sqa_alloc_array((size_t)c->plan->rounds + 1, sizeof *m.first);
        if (!m.first)
            status = sqa_fail(err, SQA_NOMEM, "measurement: no memory; free some memory and run again");
    }
    if (status == SQA_OK && *c->plan->counters)
        m.counters = sqa_counters_open(&sqa_counter_machine, c->plan->counters, m.reason);
    if (status == SQA_OK && !m.counts)
        status = warm_up(&m, c->plan, err);
    if (status == SQA_OK)
        status = obey(&m, c, phase, err);
    if (m.counters)
        sqa_counters_close(m.counters);
    sqa_free(m.samples);
    sqa_text_clear(&m.bound);
    sqa_free(m.first);
    sqa_stepper_close(&m.stepper);
    sqa_trainer_close(m.t);
    sqa_arena_clear(&arena);
    return status;
}
