/* verb_plot.c - plot: pictures of runs, as SVG or PDF */
#include <string.h>

#include <jansson.h>

#include "harness/plan.h"
#include "harness/verbs.h"
#include "reports/plot_forecast.h"
#include "reports/plots.h"

enum { PICTURES = 12 };

struct options {
    const char *models, *machine, *truth, *output;
};
#define AT(field) offsetof(struct options, field)
static const struct sqa_option table[] = {
    {"models", 0, SQA_OPTION_TEXT, "RE", "only models whose text matches", AT(models), 0, 0},
    {"machine", 0, SQA_OPTION_TEXT, "F.json", "roofline: what `doctor --json` printed, for the roofs", AT(machine), 0,
     0},
    {"truth", 0, SQA_OPTION_TEXT, "F.csv", "forecast: the table with what was before, and what came", AT(truth), 0,
     0},
    {"output", 'o', SQA_OPTION_TEXT, "FILE", "FILE.svg or FILE.pdf (default: SVG to standard output)", AT(output), 0,
     0},
    {.name = NULL},
};

static bool wanted(void *user, const char *model)
{
    return sqa_pattern_matches(user, model);
}

static enum sqa_status find_kind(const char *name, const struct sqa_plots_kind **kind, struct sqa_err *err)
{
    const char *names[32];
    size_t n = 0;
    for (const struct sqa_plots_kind *k = sqa_plots_kinds; k->name; k++) {
        *kind = k;
        if (strcmp(k->name, name) == 0)
            return SQA_OK;
        names[n++] = k->name;
    }
    const char *near = sqa_nearest(name, names, n);
    return sqa_fail(err, SQA_USAGE, "plot: '%.40s' is no kind of picture%s%s%s; see seqarena plot --help", name,
                    near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
}

static enum sqa_status take_format(const char *output, enum sqa_plot_as *as, struct sqa_err *err)
{
    const char *dot = output ? strrchr(output, '.') : NULL;
    *as = dot && strcmp(dot, ".pdf") == 0 ? SQA_PLOT_PDF : SQA_PLOT_SVG;
    if (output && *as == SQA_PLOT_SVG && (!dot || strcmp(dot, ".svg") != 0))
        return sqa_fail(err, SQA_USAGE, "plot: -o %.200s; give a name that ends in .svg or .pdf", output);
    return SQA_OK;
}

static enum sqa_status read_machine(const char *path, json_t **machine, struct sqa_err *err)
{
    char *text = NULL;
    size_t size;
    const enum sqa_status status = sqa_file_read(path, 1 << 22, &text, &size, err);
    if (status != SQA_OK)
        return status;
    *machine = json_loadb(text, size, 0, NULL);
    sqa_free(text);
    if (!json_is_object(json_object_get(*machine, "measured")))
        return sqa_fail(err, SQA_INPUT, "%.200s: not what `seqarena doctor --json` prints; make it anew", path);
    return SQA_OK;
}

static enum sqa_status write_pictures(const struct options *o, const struct sqa_plots_kind *kind,
                                      const struct sqa_plots *plots, enum sqa_plot_as as, struct sqa_err *err)
{
    struct sqa_text out = {0};
    const size_t n = plots->n < PICTURES ? plots->n : PICTURES;
    if (sqa_plots_failed(plots))
        return sqa_fail(err, SQA_NOMEM, "plot: no memory for the pictures; free some memory or name fewer runs");
    if (plots->n == 0)
        return sqa_fail(err, SQA_INPUT, "plot: no row for %s%s; it needs %s", kind->name,
                        o->models ? " of models that match --models" : "", kind->needs);
    enum sqa_status status = sqa_plots_draw(plots, 0, n, as, "plot", &out, err);
    if (status == SQA_OK)
        status = sqa_print(&out, o->output, err);
    if (status == SQA_OK && n < plots->n)
        fprintf(stderr, "plot: %zu of %zu pictures; name fewer runs for the others\n", n, plots->n);
    sqa_text_clear(&out);
    return status;
}

static enum sqa_status draw_forecast(const struct options *o, const struct sqa_texts *operands,
                                     struct sqa_plots *plots, struct sqa_err *err)
{
    if (operands->n != 2)
        return sqa_fail(err, SQA_USAGE, "plot: forecast takes one file; name what `seqarena forecast -o` wrote");
    return sqa_plots_forecast(plots, operands->at[1], o->truth, err);
}

static enum sqa_status run(void *options, const struct sqa_texts *operands, struct sqa_err *err)
{
    const struct options *o = options;
    const struct sqa_plots_kind *kind = NULL;
    struct sqa_pool pool = {0};
    struct sqa_plots plots = {0};
    enum sqa_plot_as as = SQA_PLOT_SVG;
    void *pattern = NULL;
    json_t *machine = NULL;
    enum sqa_status status = find_kind(operands->at[0], &kind, err);
    if (status == SQA_OK && operands->n < 2)
        status = sqa_fail(err, SQA_USAGE, "plot: no run directory; name one or several behind %s", kind->name);
    if (status == SQA_OK)
        status = take_format(o->output, &as, err);
    if (status == SQA_OK && o->models)
        status = sqa_pattern_compile("plot: --models", o->models, &pattern, err);
    if (status == SQA_OK && o->machine)
        status = read_machine(o->machine, &machine, err);
    const struct sqa_plots_from from = {&pool, pattern ? wanted : NULL, pattern, machine};
    if (status == SQA_OK && !kind->draw)
        status = draw_forecast(o, operands, &plots, err);
    else if (status == SQA_OK)
        status = sqa_pool_read(operands->at + 1, (size_t)operands->n - 1, &pool, err);
    if (status == SQA_OK && kind->draw)
        status = sqa_summarise(&pool, err);
    if (status == SQA_OK && kind->draw)
        status = kind->draw(&plots, &from, err);
    if (status == SQA_OK)
        status = write_pictures(o, kind, &plots, as, err);
    sqa_plots_clear(&plots);
    sqa_pool_clear(&pool);
    json_decref(machine);
    if (pattern)
        sqa_pattern_free(pattern);
    return status;
}

const struct sqa_verb sqa_verb_plot = {
    .name = "plot",
    .usage = "KIND RUN... [-o FILE.svg|FILE.pdf] [--models RE]",
    .help = "pictures of one or more run directories",
    .options = table,
    .options_size = sizeof(struct options),
    .operands_min = 1,
    .operands_max = -1,
    .run = run,
    .more = "Kinds:\n"
            "  bubbles              accuracy or error, speed and memory of the models of a task\n"
            "  pareto               the same, and the front: what no other model beats in both\n"
            "  scaling-time         time of a step against the length, exponents and crossovers\n"
            "  scaling-memory       memory of a step against the length\n"
            "  curves               validation over training, with bands over seeds\n"
            "  roofline             FLOPs a second against FLOPs a byte, of steps and ops\n"
            "  critical-difference  mean ranks over eight tasks or more; of fewer, paired differences\n"
            "  ranks                heat map of ranks, models by tasks\n"
            "  horizon              error of forecasts by row of the horizon\n"
            "  forecast             what `forecast -o` wrote, what was before it and (--truth) what came\n"
            "Series over runs are drawn by `history --plot`, published tables by `table NAME --format svg`. gnuplot "
            "draws; without it exit status is 4.\n"
            "examples:\n"
            "  seqarena plot scaling-time results/runs/latest -o time.svg\n"
            "  seqarena plot critical-difference runs/a runs/b --models '^(performer|s4d)' -o ranks.pdf\n",
};
