/* ahead.c - see ahead.h */
#include "harness/ahead.h"

#include <stdio.h>
#include <string.h>

#include "base/csv.h"
#include "harness/recipe.h"
#include "harness/train.h"
#include "models/spec.h"
#include "reports/plot_forecast.h"
#include "tasks/forecast.h"

enum { LOOKBACK = 96, LOOKBACK_MAX = 512, PANELS = 6 };

/* Whether the overrides set this name. */
static bool is_given(const char *train, const char *name)
{
    const size_t n = strlen(name);
    for (const char *p = train; *p; p += strcspn(p, ","), p += *p == ',')
        if (strncmp(p, name, n) == 0 && p[n] == '=')
            return true;
    return false;
}

/* What trains where no row of the recipe speaks of tables of one's own, and the overrides: ten epochs, of small files
 * 1000 steps. */
static const char *own_settings(const char *model, int64_t windows, const char *train, struct sqa_arena *arena)
{
    enum { BATCH = 32, EPOCHS = 10, LEAST = 1000, EVALUATIONS = 20 };
    const int64_t epoch = (windows + BATCH - 1) / BATCH, all = EPOCHS * epoch, steps = all > LEAST ? all : LEAST;
    const char *linear = strstr(model, "linear"); /* linear, nlinear, dlinear */
    char counted[2][32];
    snprintf(counted[0], sizeof counted[0], "%lld", (long long)steps);
    snprintf(counted[1], sizeof counted[1], "%lld", (long long)(steps / EVALUATIONS));
    const char *const settings[][2] = {{"batch", "32"},        {"steps", counted[0]},  {"optimizer", "adam"},
                                       {"schedule", "cosine"}, {"decay", "0"},         {"eval_every", counted[1]},
                                       {"warmup", "0"},        {"eval_examples", "0"}, {"select", "best_valid"},
                                       {"patience", "6"},      {"drop_last", "0"},     {"rate", "1e-3"}};
    struct sqa_text t = {0};
    sqa_text_add(&t, train);
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        const char *name = settings[i][0], *value = settings[i][1];
        const bool rate = strcmp(name, "rate") == 0;
        if (is_given(train, name) || (rate && is_given(train, "lr")) ||
            (strcmp(name, "steps") == 0 && is_given(train, "epochs")))
            continue;
        sqa_text_printf(&t, "%s%s=%s", t.length ? "," : "", name,
                        rate && linear && linear - model < 2 ? "5e-3" : value);
    }
    const char *text = t.failed ? NULL : sqa_arena_strdup(arena, sqa_text_get(&t));
    sqa_text_clear(&t);
    return text;
}

static enum sqa_status no_memory(struct sqa_err *err)
{
    return sqa_fail(err, SQA_NOMEM, "forecast: no memory; free some memory and run again");
}

static const char *make_spec(const struct sqa_ahead_options *o, int64_t lookback, struct sqa_arena *arena)
{
    return sqa_arena_printf(arena, "csv:file=%s,horizon=%lld,lookback=%lld%s%s%s%s%s%s", o->csv,
                            (long long)o->horizon, (long long)lookback, *o->mode ? ",mode=" : "", o->mode,
                            *o->target ? ",target=" : "", o->target, *o->reading ? "," : "", o->reading);
}

/* 96 rows, or two seasons, but at most half of what trains. */
static enum sqa_status choose_lookback(const struct sqa_ahead_options *o, int64_t *lookback, int64_t *windows,
                                       struct sqa_err *err)
{
    struct sqa_arena arena = {0};
    struct sqa_dataset *ds = NULL;
    const char *spec = make_spec(o, 1, &arena);
    enum sqa_status status = spec ? sqa_dataset_open(spec, NULL, &ds, err) : no_memory(err);
    if (status == SQA_OK) {
        const int64_t most = ds->count[SQA_TRAIN] / 2, seasons = 2 * ds->season;
        const int64_t usual = seasons > LOOKBACK && seasons <= LOOKBACK_MAX ? seasons : LOOKBACK;
        *lookback = o->lookback ? o->lookback : usual < most ? usual : most > 1 ? most : 1;
        *windows = ds->count[SQA_TRAIN] - *lookback + 1;
    }
    sqa_dataset_close(ds);
    sqa_arena_clear(&arena);
    return status;
}

static void tell(void *user, const struct sqa_trainer *t)
{
    const struct sqa_ahead_options *o = user;
    o->progress(t->step, t->steps, t->best_valid.mse);
}

static enum sqa_status resolve(const struct sqa_ahead_options *o, const char *model, const char *task,
                               int64_t windows, struct sqa_arena *arena, struct sqa_recipe *r, const char **text,
                               struct sqa_err *err)
{
    const char *defaults;
    struct sqa_model *m;
    enum sqa_status status = sqa_model_parse(model, &m, err);
    if (status != SQA_OK)
        return status;
    const bool framed = sqa_spec_takes_frame(m->preset.variant);
    const char *short_form = sqa_arena_strdup(arena, m->short_form);
    sqa_model_free(m);
    status = short_form ? sqa_recipe_resolve(o->scale, short_form, task, o->train, arena, r, &defaults, err)
                        : no_memory(err);
    if (status == SQA_OK && !r->matched) {
        const char *all = own_settings(short_form, windows, o->train, arena);
        status = all ? sqa_recipe_resolve(o->scale, short_form, task, all, arena, r, &defaults, err) : no_memory(err);
        r->source = "seqarena forecast's own settings";
    }
    if (status != SQA_OK)
        return status;
    *text = sqa_recipe_model(arena, model, framed ? defaults : "");
    return *text ? SQA_OK : no_memory(err);
}

/* The rows behind the end, standardised, then in the units of the data. */
static enum sqa_status look_ahead(struct sqa_trainer *t, struct sqa_ahead *a, struct sqa_err *err)
{
    const struct sqa_dataset *ds = t->data;
    const int64_t n = ds->horizon * ds->outputs;
    struct sqa_batch *b = sqa_batch_create(ds, 1, ds->length);
    enum sqa_status status = SQA_OK;
    a->forecast = sqa_alloc_array((size_t)n, sizeof *a->forecast);
    if (sqa_forecast_series(ds)->times)
        a->times = sqa_alloc_array((size_t)ds->horizon, sizeof *a->times);
    if (!b || !a->forecast || (sqa_forecast_series(ds)->times && !a->times)) {
        sqa_batch_free(b);
        return no_memory(err);
    }
    sqa_forecast_ahead(ds, b, a->times);
    a->dates = a->times != NULL;
    for (int64_t i = 0; a->dates && i < sqa_forecast_series(ds)->rows; i++)
        a->dates = sqa_forecast_series(ds)->times[i] % 86400 == 0;
    if (sqa_model_is_floor(t->model)) {
        status = t->model->preset.variant->predict(t->model->preset.self, b, NULL, a->forecast, err);
    } else {
        struct sqa_plan *plan;
        const struct sqa_tensor *tensor = NULL;
        status = sqa_plans_get(&t->plans, (struct sqa_plan_key){SQA_MODE_INFER, 1, ds->length}, &plan, err);
        if (status == SQA_OK) {
            sqa_feed(plan, b);
            status = sqa_plan_run(plan, t->seed, 0, &(struct sqa_extents){.rows = 1}, NULL, err);
        }
        const void *out = status == SQA_OK ? sqa_plan_output(plan, "forecast", &tensor) : NULL;
        for (int64_t i = 0; out && i < n; i++)
            a->forecast[i] = sqa_real_of(out, tensor, i);
    }
    for (int64_t i = 0; i < n; i++) {
        const double *u = b->units + i % ds->outputs * 3;
        a->forecast[i] = a->forecast[i] * u[1] + u[0];
    }
    sqa_batch_free(b);
    return status;
}

/* Trains what can be trained, and tests. ahead: also the forecast, and the data stay in a. */
static enum sqa_status one_model(const struct sqa_ahead_options *o, const char *model, const char *spec,
                                 int64_t windows, bool ahead, struct sqa_ahead *a, struct sqa_err *err)
{
    struct sqa_recipe r;
    struct sqa_trainer *t = NULL;
    const char *text;
    enum sqa_status status = resolve(o, model, spec, windows, &a->arena, &r, &text, err);
    if (status != SQA_OK)
        return status;
    const struct sqa_trainer_options to = {.model = text,
                                           .task = spec,
                                           .recipe = &r,
                                           .seed = (uint64_t)o->seed,
                                           .threads = (int)o->threads,
                                           .trainable = 1,
                                           .real = SQA_F32,
                                           .interrupted = o->interrupted};
    status = sqa_trainer_open(&to, &t, err);
    if (status != SQA_OK)
        return status;
    const int k = a->models;
    a->name[k] = sqa_arena_strdup(&a->arena, t->model->short_form);
    if (!sqa_model_is_floor(t->model)) {
        t->progress = o->progress ? tell : NULL;
        t->user = (void *)(uintptr_t)o;
        status = sqa_trainer_run(t, NULL, 0, err);
    }
    if (status == SQA_OK)
        status = sqa_trainer_evaluate(t, SQA_TEST, 0, NULL, NULL, &a->test[k], err);
    if (status == SQA_OK)
        a->models++;
    if (status == SQA_OK && ahead) {
        a->valid = t->best_valid;
        a->parameters = t->store.parameter_count;
        a->steps = t->step;
        a->best_step = t->best_step;
        a->recipe_source = r.source;
        status = look_ahead(t, a, err);
        a->data = t->data; /* it is kept */
        t->data = NULL;
    }
    sqa_trainer_close(t);
    return status == SQA_OK && !a->name[k] ? no_memory(err) : status;
}

enum sqa_status sqa_ahead_run(const struct sqa_ahead_options *o, struct sqa_ahead *a, struct sqa_err *err)
{
    int64_t lookback = 0, windows = 0;
    *a = (struct sqa_ahead){.valid = sqa_no_scores};
    enum sqa_status status = choose_lookback(o, &lookback, &windows, err);
    if (status != SQA_OK)
        return status;
    const char *spec = make_spec(o, lookback, &a->arena);
    status = spec ? one_model(o, o->model, spec, windows, true, a, err) : no_memory(err);
    for (const char *const *f = sqa_forecast_floors; *f && status == SQA_OK; f++)
        if (strcmp(*f, a->name[0]) != 0) {
            struct sqa_err ignored = {0};
            const enum sqa_status floor = one_model(o, *f, spec, windows, false, a, &ignored);
            if (floor == SQA_NOMEM || floor == SQA_INTERRUPTED) {
                *err = ignored;
                status = floor;
            } /* a season longer than the history: that floor has no line */
        }
    if (status != SQA_OK)
        sqa_ahead_clear(a);
    return status;
}

void sqa_ahead_clear(struct sqa_ahead *a)
{
    sqa_dataset_close(a->data);
    sqa_arena_clear(&a->arena);
    sqa_free(a->times);
    sqa_free(a->forecast);
    *a = (struct sqa_ahead){0};
}

char *sqa_ahead_time(const struct sqa_ahead *a, char buf[32], int64_t time)
{
    sqa_format_time(buf, time);
    if (a->dates)
        buf[10] = '\0';
    return buf;
}

void sqa_ahead_csv(const struct sqa_ahead *a, struct sqa_text *out)
{
    const struct sqa_dataset *ds = a->data;
    const int64_t rows = sqa_forecast_series(ds)->rows, k = ds->outputs;
    const char **field = sqa_alloc_array((size_t)k + 1, sizeof *field);
    char(*text)[32] = sqa_alloc_array((size_t)k + 1, sizeof *text);
    if (!field || !text) {
        out->failed = true;
        sqa_free((void *)field);
        sqa_free(text);
        return;
    }
    field[0] = a->times ? "date" : "row";
    for (int64_t c = 0; c < k; c++)
        field[c + 1] = ds->channel_names[c];
    sqa_csv_add_row(out, (size_t)k + 1, field);
    for (int64_t t = 0; t < ds->horizon; t++) {
        if (a->times)
            sqa_ahead_time(a, text[0], a->times[t]);
        else
            snprintf(text[0], sizeof text[0], "%lld", (long long)(rows + t + 1));
        for (int64_t c = 0; c <= k; c++) {
            if (c > 0)
                snprintf(text[c], sizeof text[c], "%.9g", a->forecast[t * k + c - 1]);
            field[c] = text[c];
        }
        sqa_csv_add_row(out, (size_t)k + 1, field);
    }
    sqa_free((void *)field);
    sqa_free(text);
}

enum sqa_status sqa_ahead_svg(const struct sqa_ahead *a, struct sqa_text *out, struct sqa_err *err)
{
    const struct sqa_dataset *ds = a->data;
    const struct sqa_series *s = sqa_forecast_series(ds);
    const int64_t wanted = ds->length > 3 * ds->horizon ? ds->length : 3 * ds->horizon;
    const int64_t n = wanted < s->rows ? wanted : s->rows, h = ds->horizon, k = ds->outputs;
    const int panels = k < PANELS ? (int)k : PANELS;
    struct sqa_forecast_panel panel[PANELS];
    char title[200], caption[240], when[3][32];
    double *numbers = sqa_alloc_array((size_t)panels, (size_t)(n + h) * sizeof *numbers);
    if (!numbers)
        return no_memory(err);
    for (int p = 0; p < panels; p++) { /* the last outputs: the target is the last */
        const int64_t o = k - panels + p, c = ds->channels - k + o;
        double *history = numbers + p * (n + h), *ahead = history + n;
        for (int64_t t = 0; t < n; t++)
            history[t] = s->values[(s->rows - n + t) * ds->channels + c] * ds->deviation[c] + ds->mean[c];
        for (int64_t t = 0; t < h; t++)
            ahead[t] = a->forecast[t * k + o];
        panel[p] = (struct sqa_forecast_panel){ds->channel_names[o], history, ahead, NULL};
    }
    snprintf(title, sizeof title, "%.60s: %lld rows ahead", a->name[0], (long long)h);
    snprintf(caption, sizeof caption, "backtest over %lld windows: RMSE %.4g, MASE %.3f%s", (long long)a->test[0].n,
             a->test[0].rmse, a->test[0].mase, panels < k ? "; the last outputs" : "");
    const int64_t at[3] = {s->rows - n, s->rows - 1, s->rows + h - 1};
    for (int i = 0; i < 3; i++)
        if (s->times)
            sqa_ahead_time(a, when[i], i < 2 ? s->times[at[i]] : a->times[h - 1]);
        else
            snprintf(when[i], sizeof when[i], "row %lld", (long long)at[i] + 1);
    const struct sqa_forecast_lines l = {.title = title,
                                         .caption = caption,
                                         .first = when[0],
                                         .now = when[1],
                                         .last = when[2],
                                         .n_history = n,
                                         .n_ahead = h,
                                         .panels = panels,
                                         .panel = panel};
    struct sqa_plots plots = {0};
    sqa_plots_lines(&plots, &l);
    const enum sqa_status status = sqa_plots_draw(&plots, 0, plots.n, SQA_PLOT_SVG, "forecast", out, err);
    sqa_plots_clear(&plots);
    sqa_free(numbers);
    return status;
}
