/* fidelity.c - see fidelity.h */
#include "harness/fidelity.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/csv.h"
#include "base/memory.h"
#include "base/random.h"
#include "engine/checkpoint.h"
#include "harness/train.h"
#include "harness/weights.h"
#include "reports/grid.h"
#include "reports/stats.h"

enum { RESAMPLES = 1000, MAX_LAYERS = 64, NAME = 32 };

#define X(name, help) COLUMN_##name,
enum { SQA_FIDELITY_COLUMNS(X) COLUMNS };
#undef X
#define X(name, help) #name,
static const char *const column_names[COLUMNS] = {SQA_FIDELITY_COLUMNS(X)};
#undef X

const char *const sqa_fidelity_models[] = {
    "mean_mixer",
    "performer:features=32",
    "performer:features=128",
    "performer:features=512",
    "rfa:features=64",
    "nystromformer:landmarks=16,conv=0",
    "nystromformer:landmarks=64,conv=0",
    "linformer:rank=64",
    "local:window=64",
    "longformer:window=64",
    "bigbird:block=16",
    "sparse_transformer:block=32",
    "sinkhorn_transformer:block=32",
    "reformer",
    "htransformer1d",
    "combiner",
    "linear_transformer",
    "cosformer",
    "flowformer",
    "skyformer",
    NULL,
};

static const struct {
    const char *id, *text;
    bool left_out;
} notes[] = {
    {"mean_mixer", "a control: uniform weights", false},
    {"linformer", "its mixing matrix is learned", false},
    {"rfa", "random features of q and k scaled to one length", false},
    {"sinkhorn_transformer", "its sort is learned", false},
    {"linear_transformer", "a kernel of its own, not meant to equal softmax", false},
    {"cosformer", "a kernel of its own, not meant to equal softmax", false},
    {"flowformer", "weights of its own, not meant to equal softmax", false},
    {"reformer", "its queries and keys are the same vectors", true},
    {"skyformer", "it approximates its own Gaussian kernel, not softmax", true},
};

static int note_of(const struct sqa_item *item)
{
    for (int i = 0; i < (int)(sizeof notes / sizeof notes[0]); i++)
        if (strcmp(notes[i].id, item->variant->id) == 0)
            return i;
    return -1;
}

/* The mixer that stands in for the trained one while both run. */
struct pair {
    const struct sqa_item *exact, *other;
    struct sqa_store *store;        /* of the other's parameters */
    double flops, flops_exact;      /* of a row */
    char name[MAX_LAYERS][2][NAME]; /* outputs of each layer */
};

struct fidelity {
    const struct sqa_fidelity_options *o;
    struct sqa_model *model;
    struct sqa_signature task;
    struct sqa_dataset *data;
    struct sqa_batch *batch;
    struct sqa_store store, others;
    struct sqa_memory memory;
    struct sqa_item exact;
    struct sqa_variant stand_in;
    struct pair pair;
    uint32_t *index; /* examples of a length */
    double *errors;  /* (layers + 1, draws, examples) */
    double positions;
    int64_t examples, draws; /* of a length; of a mixer */
    struct sqa_text own;
    struct sqa_text *csv;
    struct sqa_grid grid, skipped;
};

static double flops_of(const struct sqa_item *item, const struct sqa_context *c)
{
    struct sqa_context one = *c;
    one.batch = 1;
    return item->variant->flops ? item->variant->flops(item->self, &one) : (double)NAN;
}

static struct sqa_tensor *build_both(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    struct pair *p = (struct pair *)(uintptr_t) * (void *const *)self;
    struct sqa_context apart = *c;
    struct sqa_tensor *y = p->exact->variant->build(p->exact->self, c, x), *z;
    p->flops_exact = flops_of(p->exact, c);
    if (!p->other)
        return y;
    apart.store = p->store;
    z = p->other->variant->build(p->other->self, &apart, x);
    p->flops = flops_of(p->other, &apart);
    sqa_output(c->g, y = sqa_dense(c->g, y), p->name[c->layer][0]);
    sqa_output(c->g, sqa_dense(c->g, z), p->name[c->layer][1]);
    return y;
}

static bool fits(const void *self) /* the exact and the other mixer have been asked */
{
    (void)self;
    return true;
}

static enum sqa_status nomem(struct sqa_err *err)
{
    return sqa_fail(err, SQA_NOMEM, "fidelity: no memory; give fewer examples or shorter lengths");
}

/* Model, data and trained weights. */
static enum sqa_status open_model(struct fidelity *f, int64_t longest, struct sqa_err *err)
{
    const struct sqa_task_env env = {.data_dir = f->o->data_dir, .interrupted = f->o->interrupted};
    const char *text = NULL;
    struct sqa_signature of_data;
    struct sqa_graph g;
    enum sqa_status status = sqa_weights_model(f->o->weights, &f->model, &f->task, &text, err);
    if (status != SQA_OK)
        return status;
    const struct sqa_model *m = f->model;
    for (int i = 0; i < m->mixers; i++)
        if (!m->mixer[i].variant || strcmp(m->mixer[i].variant->id, "transformer") != 0 ||
            m->frame.layers > MAX_LAYERS)
            return sqa_fail(err, SQA_UNSUPPORTED,
                            "fidelity: %s holds %s; give the weights of a transformer of at most %d layers",
                            f->o->weights, m->short_form, MAX_LAYERS);
    status = sqa_dataset_open(f->o->task ? f->o->task : text, &env, &f->data, err);
    if (status != SQA_OK)
        return status;
    sqa_signature_of(f->data, &of_data);
    if (of_data.kind != f->task.kind || of_data.vocab != f->task.vocab || of_data.channels != f->task.channels)
        return sqa_fail(err, SQA_INPUT,
                        "fidelity: the model of %s was trained on other inputs than those of %s; give its task",
                        f->o->weights, f->data->spec);
    if (f->task.kind == SQA_FORECAST && longest && longest != f->task.length)
        return sqa_fail(err, SQA_UNSUPPORTED,
                        "fidelity: a forecast is made from exactly %lld rows; leave --lengths out",
                        (long long)f->task.length);
    if (longest > f->data->length)
        return sqa_fail(err, SQA_USAGE, "fidelity: length %lld; examples of %s have at most %lld positions",
                        (long long)longest, f->data->spec, (long long)f->data->length);
    f->task.length = longest > f->task.length ? longest : f->task.length;
    sqa_kernels_init();
    sqa_store_init(&f->store, SQA_F32, 0);
    sqa_graph_init(&g, SQA_F32, false);
    status = sqa_model_graph(m, &f->task, &f->store, SQA_MODE_INFER, 1, f->task.length, &g, err);
    sqa_graph_clear(&g);
    if (status == SQA_OK)
        status = sqa_store_seal(&f->store, false, err);
    if (status == SQA_OK)
        status = sqa_checkpoint_read(f->o->weights, &f->store, 0, NULL, NULL, err);
    if (status != SQA_OK)
        return status;
    f->exact = m->mixer[0];
    f->stand_in = *f->exact.variant;
    f->stand_in.build = build_both;
    f->stand_in.check = NULL;
    f->stand_in.holes = fits;
    f->pair.exact = &f->exact;
    f->pair.store = &f->others;
    for (int i = 0; i < MAX_LAYERS; i++)
        for (int k = 0; k < 2; k++)
            snprintf(f->pair.name[i][k], NAME, "%s %d", k == 0 ? "exact" : "other", i);
    f->batch = sqa_batch_create(f->data, 1, f->data->length > f->task.length ? f->data->length : f->task.length);
    f->index = sqa_alloc_array((size_t)f->o->examples, sizeof *f->index);
    f->errors = sqa_alloc_array((size_t)((m->frame.layers + 1) * f->o->draws * f->o->examples), sizeof *f->errors);
    return f->batch && f->index && f->errors ? SQA_OK : nomem(err);
}

static enum sqa_status choose(struct fidelity *f, int64_t length, struct sqa_err *err)
{
    const struct sqa_dataset *d = f->data;
    f->examples = 0;
    for (uint32_t i = 0; i < d->count[SQA_TEST] && f->examples < f->o->examples; i++)
        if (2 * (d->task->length_of ? d->task->length_of(d, SQA_TEST, i) : d->length) >= length)
            f->index[f->examples++] = i;
    return f->examples
               ? SQA_OK
               : sqa_fail(err, SQA_INPUT, "fidelity: no test example of %s has %lld positions; give shorter lengths",
                          d->spec, (long long)((length + 1) / 2));
}

/* One example, cut to length. */
static enum sqa_status fetch(struct fidelity *f, uint32_t index, int64_t length, struct sqa_err *err)
{
    struct sqa_batch *b = f->batch;
    const int64_t rows = sqa_rows_an_example(f->task.kind);
    const int64_t whole = sqa_dataset_batch_length(f->data, SQA_TEST, &index, 1, 1);
    b->length = whole > length ? whole : length;
    const enum sqa_status status = f->data->task->fetch(f->data, SQA_TEST, &index, 1, b, err);
    if (status != SQA_OK)
        return status;
    if (rows == 2)
        memmove(b->tokens + length, b->tokens + b->length, (size_t)length * sizeof *b->tokens);
    for (int64_t r = 0; r < rows && b->lengths; r++)
        b->lengths[r] = b->lengths[r] < length ? b->lengths[r] : (int32_t)length;
    b->length = length;
    return SQA_OK;
}

/* The trained entry whose values the other mixer's entry of that name takes; NULL: it is the other's own. Global
 * positions of longformer begin with the projections of its window. */
static const struct sqa_entry *trained_of(const struct fidelity *f, const struct sqa_entry *e)
{
    char name[512];
    snprintf(name, sizeof name, "%s", e->name);
    const size_t n = strlen(name);
    if (n > 5 && name[n - 3] == 'g' && name[n - 2] == '.' && name[n - 5] == 'w')
        memmove(name + n - 3, name + n - 2, 3);
    const struct sqa_entry *from = sqa_store_find(&f->store, name);
    return from && from->rank == e->rank && memcmp(from->dim, e->dim, (size_t)e->rank * sizeof e->dim[0]) == 0 ? from
                                                                                                               : NULL;
}

static bool has(const struct sqa_store *s, const char *name)
{
    char full[64];
    snprintf(full, sizeof full, "blocks.0.mixer.%s.w", name);
    return sqa_store_find(s, full) != NULL;
}

/* Gives the other mixer the trained projections. *random: it has values that depend on the draw. */
static enum sqa_status hand_over(struct fidelity *f, bool *random, struct sqa_err *err)
{
    static const char prefix[] = "blocks.0.mixer.";
    const size_t n = sizeof prefix - 1;
    sqa_text_clear(&f->own);
    *random = false;
    if (!has(&f->others, "wv") || !has(&f->others, "wo") || has(&f->others, "wq") != has(&f->others, "wk"))
        return sqa_fail(err, SQA_UNSUPPORTED, "it has no wq, wk, wv and wo to take the trained ones");
    for (struct sqa_entry *e = f->others.first; e; e = e->next) {
        const struct sqa_entry *from = trained_of(f, e);
        if (from)
            memcpy(e->value, from->value, (size_t)e->count * sqa_dtype_size(SQA_F32));
        *random = *random || !from;
        if (!from && e->kind == SQA_PARAMETER && strncmp(e->name, prefix, n) == 0)
            sqa_text_printf(&f->own, "%s%s", f->own.length ? " " : "", e->name + n);
    }
    return SQA_OK;
}

/* |z - y| / |y - b| over the valid positions of one example. */
static double error_of(const struct fidelity *f, struct sqa_plan *plan, int layer)
{
    const struct sqa_tensor *t, *u;
    const float *y = sqa_plan_output(plan, f->pair.name[layer][0], &t);
    const float *z = sqa_plan_output(plan, f->pair.name[layer][1], &u);
    char name[64];
    snprintf(name, sizeof name, "blocks.%d.mixer.wo.b", layer);
    const struct sqa_entry *e = sqa_store_find(&f->store, name);
    const float *bias = e ? e->value : NULL;
    const int64_t positions = t->dim[1], dim = t->dim[2];
    double off = 0, all = 0;
    for (int64_t r = 0; r < t->dim[0]; r++) {
        const int64_t valid = f->batch->lengths && f->task.kind != SQA_FORECAST
                                  ? f->batch->lengths[r] + positions - f->batch->length
                                  : positions;
        for (int64_t i = r * positions * dim; i < (r * positions + valid) * dim; i++) {
            const double d = (double)z[i] - (double)y[i], s = (double)y[i] - (bias ? (double)bias[i % dim] : 0);
            off += d * d;
            all += s * s;
        }
    }
    return sqrt(off / all);
}

static enum sqa_status run_draw(struct fidelity *f, int64_t length, int64_t draw, bool *random, struct sqa_err *err)
{
    struct sqa_plan *plan = NULL;
    struct sqa_graph g;
    const int64_t layers = f->model->frame.layers;
    sqa_store_clear(&f->others);
    sqa_store_init(&f->others, SQA_F32, (uint64_t)draw + 1);
    sqa_graph_init(&g, SQA_F32, false);
    enum sqa_status status = sqa_model_graph(f->model, &f->task, &f->store, SQA_MODE_INFER, 1, length, &g, err);
    if (status == SQA_OK)
        status = sqa_store_seal(&f->others, false, err);
    if (status == SQA_OK)
        status = hand_over(f, random, err);
    if (status != SQA_OK) {
        sqa_graph_clear(&g);
        return status;
    }
    status = sqa_plan_make(&g, &f->memory, f->o->threads, &plan, err);
    f->positions = 0;
    for (int64_t i = 0; i < f->examples && status == SQA_OK; i++) {
        double sum = 0;
        status = fetch(f, f->index[i], length, err);
        if (status == SQA_OK) {
            sqa_feed(plan, f->batch);
            status = sqa_plan_run(plan, 0, 0, NULL, NULL, err);
        }
        for (int64_t k = 0; k < layers && status == SQA_OK; k++)
            sum += f->errors[(k * f->o->draws + draw) * f->examples + i] = error_of(f, plan, (int)k);
        f->errors[(layers * f->o->draws + draw) * f->examples + i] = sum / (double)layers;
        f->positions += (double)(f->batch->lengths ? f->batch->lengths[0] : length) / (double)f->examples;
        if (status == SQA_OK && f->o->interrupted && *f->o->interrupted)
            status = sqa_fail(err, SQA_INTERRUPTED, "fidelity: interrupted; run the same command again");
    }
    sqa_plan_free(plan);
    return status;
}

/* Rows */

static void add_row(struct fidelity *f, const char *model, int64_t length, const char *layer, const char *message,
                    const double *numbers, const char *note)
{
    static const int places[] = {COLUMN_error, COLUMN_error_low, COLUMN_error_high, COLUMN_examples,
                                 COLUMN_draws, COLUMN_positions, COLUMN_flops,      COLUMN_flops_exact};
    char text[1 + sizeof places / sizeof places[0]][32];
    const char *row[COLUMNS] = {[COLUMN_schema] = "1",
                                [COLUMN_weights] = f->o->weights,
                                [COLUMN_task] = f->data->spec,
                                [COLUMN_model] = model,
                                [COLUMN_length] = text[0],
                                [COLUMN_layer] = layer,
                                [COLUMN_status] = message[0] ? "unsupported" : "ok",
                                [COLUMN_message] = message,
                                [COLUMN_own] = sqa_text_get(&f->own),
                                [COLUMN_note] = note};
    snprintf(text[0], sizeof text[0], "%lld", (long long)length);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        row[places[i]] = numbers ? sqa_format_real(text[i + 1], numbers[i]) : "";
    sqa_csv_add_row(f->csv, COLUMNS, row);
}

static enum sqa_status add_results(struct fidelity *f, const char *model, int64_t length, const char *note,
                                   struct sqa_err *err)
{
    const int64_t layers = f->model->frame.layers;
    const size_t n = (size_t)(f->draws * f->examples);
    double ends[2] = {0, 0};
    for (int64_t k = 0; k <= layers; k++) {
        const double *errors = f->errors + k * f->o->draws * f->examples;
        struct sqa_interval interval;
        char layer[32];
        const enum sqa_status status =
            sqa_bootstrap_crossed(errors, (size_t)f->draws, (size_t)f->examples, 1, RESAMPLES,
                                  sqa_random_key(1, (uint64_t)k, "fidelity"), 0.95, NULL, &interval, err);
        if (status != SQA_OK)
            return status;
        const double mean = sqa_stats_mean(errors, n);
        const double numbers[] = {
            mean,         interval.low,  interval.high,      (double)f->examples, (double)f->draws,
            f->positions, f->pair.flops, f->pair.flops_exact};
        snprintf(layer, sizeof layer, "%lld", (long long)k);
        add_row(f, model, length, k < layers ? layer : "mean", "", numbers, note);
        ends[0] = k == 0 ? mean : ends[0];
        ends[1] = k < layers ? mean : ends[1];
        if (k < layers)
            continue;
        sqa_grid_code(&f->grid, model, "");
        sqa_grid_printf(&f->grid, "%lld", (long long)length);
        sqa_grid_printf(&f->grid, "%.3f [%.3f, %.3f]", mean, interval.low, interval.high);
        sqa_grid_printf(&f->grid, "%.3f", ends[0]);
        sqa_grid_printf(&f->grid, "%.3f", ends[1]);
        sqa_grid_printf(&f->grid, "%.3f", f->pair.flops / f->pair.flops_exact);
        sqa_grid_printf(&f->grid, "%s%s%s", note, note[0] && f->own.length ? "; " : "",
                        f->own.length ? "untrained: " : "");
        if (f->own.length)
            f->grid.cells[f->grid.n - 1] =
                sqa_arena_printf(&f->grid.arena, "%s%s", f->grid.cells[f->grid.n - 1], sqa_text_get(&f->own));
    }
    return SQA_OK;
}

/* A mixer that cannot take part becomes a row that says why. */
static enum sqa_status one_mixer(struct fidelity *f, const char *text, int64_t length, struct sqa_err *err)
{
    struct sqa_model *m = NULL;
    bool random = true;
    enum sqa_status status = sqa_model_parse(text, &m, err);
    if (status != SQA_OK)
        return status;
    const int note = note_of(&m->preset);
    sqa_text_clear(&f->own);
    m->frame = f->model->frame;
    if (m->preset.variant->slot != SQA_SLOT_MIXER || m->mixers != 1)
        status = sqa_fail(err, SQA_UNSUPPORTED, "it is not one mixer");
    else if (note >= 0 && notes[note].left_out)
        status = sqa_fail(err, SQA_UNSUPPORTED, "%s", notes[note].text);
    else
        status = sqa_model_check(m, &f->task, err);
    void *pair = &f->pair;
    f->pair.other = &m->mixer[0];
    for (int i = 0; i < f->model->mixers; i++)
        f->model->mixer[i] = (struct sqa_item){&f->stand_in, &pair};
    f->draws = 0;
    while (status == SQA_OK && f->draws < (random ? f->o->draws : 1))
        status = run_draw(f, length, f->draws++, &random, err);
    for (int i = 0; i < f->model->mixers; i++)
        f->model->mixer[i] = f->exact;
    if (status == SQA_OK) {
        status = add_results(f, text, length, note >= 0 ? notes[note].text : "", err);
    } else if (status == SQA_UNSUPPORTED) {
        add_row(f, text, length, "", err->text, NULL, "");
        sqa_grid_code(&f->skipped, text, "");
        sqa_grid_printf(&f->skipped, "%lld", (long long)length);
        sqa_grid_cell(&f->skipped, err->text);
        status = SQA_OK;
    }
    sqa_model_free(m);
    return status;
}

static void begin_tables(struct fidelity *f)
{
    static const char *const names[] = {"mixer", "length", "error", "first layer", "last layer", "FLOPs by softmax's",
                                        "note"};
    static const char *const skipped[] = {"not measured", "length", "why"};
    sqa_csv_add_row(f->csv, COLUMNS, column_names);
    sqa_grid_begin(&f->grid, "lrrrrrl");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        sqa_grid_cell(&f->grid, names[i]);
    sqa_grid_begin(&f->skipped, "lrl");
    for (size_t i = 0; i < sizeof skipped / sizeof skipped[0]; i++)
        sqa_grid_cell(&f->skipped, skipped[i]);
}

static void end_tables(struct fidelity *f, struct sqa_text *markdown)
{
    struct sqa_text none = {0};
    sqa_text_add(markdown, "# Fidelity\n\nError against the exact softmax of ");
    sqa_markdown_code(markdown, f->model ? f->model->short_form : "", false);
    sqa_text_add(markdown, " trained on ");
    sqa_markdown_code(markdown, f->data ? f->data->spec : "", false);
    sqa_text_printf(markdown,
                    ", with its own q, k and v: |z - y| / |y| of a mixer's output without bias, mean over %lld test "
                    "examples and layers, in brackets 95 %%. 0 is the same, 1 as bad as nothing.\n\n",
                    (long long)f->examples);
    sqa_grid_end(&f->grid, markdown);
    sqa_grid_end(&f->skipped, sqa_grid_rows(&f->skipped) > 1 ? markdown : &none);
    markdown->failed = markdown->failed || none.failed;
    sqa_text_clear(&none);
}

enum sqa_status sqa_fidelity(const struct sqa_fidelity_options *o, struct sqa_text *csv, struct sqa_text *markdown,
                             struct sqa_err *err)
{
    struct fidelity f = {.o = o, .csv = csv};
    int64_t longest = 0;
    for (int i = 0; i < o->n_lengths; i++)
        longest = o->lengths[i] > longest ? o->lengths[i] : longest;
    begin_tables(&f);
    enum sqa_status status = open_model(&f, longest, err);
    const char *const *models = o->n_models ? o->models : sqa_fidelity_models;
    for (int l = 0; l < (o->n_lengths ? o->n_lengths : 1) && status == SQA_OK; l++) {
        const int64_t length = o->n_lengths ? o->lengths[l] : f.task.length;
        status = choose(&f, length, err);
        for (int i = 0; status == SQA_OK && (o->n_models ? i < o->n_models : models[i] != NULL); i++)
            status = one_mixer(&f, models[i], length, err);
    }
    end_tables(&f, markdown);
    if (status == SQA_OK && (csv->failed || markdown->failed))
        status = nomem(err);
    sqa_text_clear(&f.own);
    sqa_store_clear(&f.others);
    sqa_store_clear(&f.store);
    sqa_memory_clear(&f.memory);
    sqa_batch_free(f.batch);
    sqa_dataset_close(f.data);
    sqa_model_free(f.model);
    sqa_free(f.index);
    sqa_free(f.errors);
    return status;
}
