/* verb_forecast.c - forecast: a table of one's own, continued */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "harness/ahead.h"
#include "harness/verbs.h"
#include "reports/plot.h"

struct options {
    const char *csv, *model, *mode, *target, *reading, *scale, *train, *output, *plot;
    int64_t horizon, lookback, seed, threads;
    int no_plot, quiet;
};
#define AT(field) offsetof(struct options, field)
static const struct sqa_option table[] = {
    {"csv", 0, SQA_OPTION_TEXT, "F", "the table: a column date and columns of numbers", AT(csv), 0, 0},
    {"horizon", 0, SQA_OPTION_INT, "H", "rows to forecast", AT(horizon), 1, 1 << 20},
    {"model", 0, SQA_OPTION_TEXT, "SPEC", "a model, such as dlinear (default nlinear)", AT(model), 0, 0},
    {"lookback", 0, SQA_OPTION_INT, "L", "rows of history it sees (default by the rows there are: 96, two seasons)",
     AT(lookback), 1, 1 << 20},
    {"target", 0, SQA_OPTION_TEXT, "NAME", "target column (default OT, else the last)", AT(target), 0, 0},
    {"mode", 0, SQA_OPTION_TEXT, "M", "M all columns (default), S the target alone, MS the target from all", AT(mode),
     0, 0},
    {"reading", 0, SQA_OPTION_TEXT, "K=V,...", "more parameters of task csv, such as dates=dmy,gaps=any", AT(reading),
     0, 0},
    {"scale", 0, SQA_OPTION_TEXT, "NAME", "recipe file (default lite; without a row for it: Adam, 10 epochs)",
     AT(scale), 0, 0},
    {"train", 0, SQA_OPTION_TEXT, "K=V,...", "overrides of the recipe, such as rate=1e-3,epochs=30", AT(train), 0, 0},
    {"seed", 0, SQA_OPTION_INT, "K", "training seed (default 1)", AT(seed), 0, 1e15},
    {"threads", 0, SQA_OPTION_INT, "N", "threads (default 1)", AT(threads), 1, 1024},
    {"output", 'o', SQA_OPTION_TEXT, "F.csv", "the rows that follow", AT(output), 0, 0},
    {"plot", 0, SQA_OPTION_TEXT, "F.svg", "figure (default beside the output, where gnuplot is)", AT(plot), 0, 0},
    {"no-plot", 0, SQA_OPTION_FLAG, NULL, "no figure", AT(no_plot), 0, 0},
    {"quiet", 'q', SQA_OPTION_FLAG, NULL, "no progress, no table", AT(quiet), 0, 0},
    {.name = NULL},
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

static void set_defaults(void *options)
{
    struct options *o = options;
    o->model = "nlinear";
    o->mode = o->target = o->reading = o->train = "";
    o->scale = "lite";
    o->seed = o->threads = 1;
}

static void show_progress(int64_t step, int64_t steps, double valid_mse)
{
    if (step % 50 == 0 || step == steps)
        fprintf(stderr, "\r\033[Kstep %lld of %lld, validation MSE %.4f", (long long)step, (long long)steps,
                valid_mse);
}

static void figure(char buf[32], double v)
{
    *buf = '\0';
    if (isfinite(v))
        snprintf(buf, 32, "%.4g", v);
}

static enum sqa_status say(const struct sqa_ahead *a, const struct options *o, const char *plot, struct sqa_err *err)
{
    struct sqa_text t = {0};
    struct sqa_columns c = {.n = 7, .right = 126};
    const struct sqa_dataset *ds = a->data;
    char first[32] = "", last[32] = "";
    int best = 0;
    sqa_text_printf(&t,
                    "%s: %lld of %lld columns forecast, look-back %lld, horizon %lld; %lld windows to train, %lld to "
                    "choose, %lld to test\n",
                    o->csv, (long long)ds->outputs, (long long)ds->channels, (long long)ds->length,
                    (long long)ds->horizon, (long long)ds->count[SQA_TRAIN], (long long)ds->count[SQA_VALID],
                    (long long)ds->count[SQA_TEST]);
    if (*ds->note)
        sqa_text_printf(&t, "note: %s\n", ds->note);
    sqa_text_add(&t, "\n");
    sqa_columns_add(&c, (const char *const[]){"backtest", "MSE", "MAE", "RMSE", "MAPE %", "sMAPE %", "MASE"});
    for (int i = 0; i < a->models; i++) {
        const struct sqa_scores *s = &a->test[i];
        const double v[6] = {s->mse, s->mae, s->rmse, s->mape, s->smape, s->mase};
        char text[6][32];
        for (int k = 0; k < 6; k++)
            figure(text[k], v[k]);
        sqa_columns_add(&c, (const char *const[]){a->name[i], text[0], text[1], text[2], text[3], text[4], text[5]});
        best = s->mse < a->test[best].mse ? i : best;
    }
    sqa_columns_print(&c, &t);
    sqa_text_add(&t, "MSE and MAE of standardised values, the others in the units of the file\n");
    if (best > 0)
        sqa_text_printf(&t, "%s does better than %s here: give --model %s, another model or more history\n",
                        a->name[best], a->name[0], a->name[best]);
    if (a->times) {
        sqa_ahead_time(a, first, a->times[0]);
        sqa_ahead_time(a, last, a->times[ds->horizon - 1]);
    }
    sqa_text_printf(&t, "\n%s: %lld rows%s%s%s%s%s%s\n", o->output, (long long)ds->horizon, *first ? " from " : "",
                    first, *last ? " to " : "", last, plot ? "; figure " : "", plot ? plot : "");
    return sqa_print(&t, NULL, err);
}

/* out.csv -> out.svg */
static const char *plot_name(const struct options *o, char buf[4096])
{
    if (o->no_plot)
        return NULL;
    if (o->plot)
        return o->plot;
    const char *dot = strrchr(o->output, '.'), *slash = strrchr(o->output, '/');
    const size_t n = dot && (!slash || dot > slash) ? (size_t)(dot - o->output) : strlen(o->output);
    snprintf(buf, 4096, "%.*s.svg", (int)(n < 4000 ? n : 4000), o->output);
    return buf;
}

/* Without the program that draws there is no figure, unless one was asked for by name. */
static enum sqa_status write_files(const struct sqa_ahead *a, const struct options *o, const char **plot,
                                   struct sqa_err *err)
{
    struct sqa_err here = {0};
    struct sqa_text csv = {0}, svg = {0};
    sqa_ahead_csv(a, &csv);
    enum sqa_status status = sqa_print(&csv, o->output, err);
    if (status != SQA_OK || !*plot)
        return status;
    status = sqa_ahead_svg(a, &svg, &here);
    if (status == SQA_OK)
        status = sqa_print(&svg, *plot, &here);
    sqa_text_clear(&svg);
    if (status == SQA_OK)
        return SQA_OK;
    if (strcmp(here.text, sqa_plot_missing) != 0 || o->plot)
        return sqa_fail(err, status, "%s", here.text);
    *plot = NULL;
    return SQA_OK;
}

static enum sqa_status run(void *options, const struct sqa_texts *operands, struct sqa_err *err)
{
    const struct options *o = options;
    struct sqa_ahead a;
    char buf[4096];
    (void)operands;
    if (!o->csv || !o->output || o->horizon < 1)
        return sqa_fail(err, SQA_USAGE,
                        "forecast: %s is missing; usage: seqarena forecast --csv F --horizon H [--model SPEC] -o "
                        "out.csv",
                        !o->csv      ? "--csv"
                        : !o->output ? "-o"
                                     : "--horizon");
    const bool progress = !o->quiet && isatty(STDERR_FILENO);
    struct sigaction act = {.sa_handler = on_signal};
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    const struct sqa_ahead_options ahead = {.csv = o->csv,
                                            .model = o->model,
                                            .mode = o->mode,
                                            .target = o->target,
                                            .reading = o->reading,
                                            .scale = o->scale,
                                            .train = o->train,
                                            .horizon = o->horizon,
                                            .lookback = o->lookback,
                                            .seed = o->seed,
                                            .threads = o->threads,
                                            .interrupted = &interrupted,
                                            .progress = progress ? show_progress : NULL};
    enum sqa_status status = sqa_ahead_run(&ahead, &a, err);
    if (progress)
        fprintf(stderr, "\r\033[K");
    if (status != SQA_OK)
        return status;
    const char *plot = plot_name(o, buf);
    status = write_files(&a, o, &plot, err);
    if (status == SQA_OK && !o->quiet)
        status = say(&a, o, plot, err);
    sqa_ahead_clear(&a);
    return status;
}

const struct sqa_verb sqa_verb_forecast = {
    .name = "forecast",
    .usage = "--csv F --horizon H [--model SPEC] -o out.csv",
    .help = "continue a table of one's own: fit, backtest, rows behind its end",
    .options = table,
    .options_size = sizeof(struct options),
    .defaults = set_defaults,
    .run = run,
    .more =
        "The first 70 % of the rows train, the next 10 % choose the best epoch, the last 20 % are the backtest, "
        "which\n"
        "stands beside the last value and the last season repeated. That same model, not fitted again, makes the\n"
        "forecast from the last rows of the file; times go on by the step of the file.\n\n"
        "examples:\n"
        "  seqarena forecast --csv load.csv --horizon 24 -o next.csv\n"
        "  seqarena forecast --csv passengers.csv --horizon 12 --reading date=Month --model dlinear -o next.csv\n",
};
