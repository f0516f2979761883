/* verb_history.c - history: change points over runs, or over the rows of a CSV */
#include <string.h>
#include <sys/stat.h>

#include "harness/plan.h"
#include "harness/verbs.h"
#include "reports/history.h"

struct options {
    const char *values, *keys, *p, *magnitude, *spike, *plot, *output;
    int64_t window, least, permutations, seed;
    int csv, json;
};
#define AT(field) offsetof(struct options, field)
static const struct sqa_option options_table[] = {
    {"values", 0, SQA_OPTION_TEXT, "RE", "only values whose name matches (default: see below)", AT(values), 0, 0},
    {"key", 0, SQA_OPTION_TEXT, "NAMES", "CSV: columns that tell series apart (default: those of text)", AT(keys), 0,
     0},
    {"p", 0, SQA_OPTION_TEXT, "P", "level of a change (default 0.001)", AT(p), 0, 0},
    {"magnitude", 0, SQA_OPTION_TEXT, "PERCENT", "smallest change that counts (default 3)", AT(magnitude), 0, 0},
    {"window", 0, SQA_OPTION_INT, "N", "points that are searched at a time (default 50)", AT(window), 4, 100000},
    {"least", 0, SQA_OPTION_INT, "N", "points on either side of a change (default 3)", AT(least), 2, 10000},
    {"spike", 0, SQA_OPTION_TEXT, "N", "deviations that make a point a spike (default 5; 0: none is)", AT(spike), 0,
     0},
    {"permutations", 0, SQA_OPTION_INT, "N", "test by N shuffles, 999 or more, instead of a t-test", AT(permutations),
     0, 1000000},
    {"seed", 0, SQA_OPTION_INT, "N", "of the shuffles (default 1)", AT(seed), 0, 1e15},
    {"csv", 0, SQA_OPTION_FLAG, NULL, "a row a change", AT(csv), 0, 0},
    {"json", 0, SQA_OPTION_FLAG, NULL, "runs, series and changes", AT(json), 0, 0},
    {"plot", 0, SQA_OPTION_TEXT, "FILE", "draw the series that change, as SVG", AT(plot), 0, 0},
    {"output", 'o', SQA_OPTION_TEXT, "FILE", "write to FILE instead of standard output", AT(output), 0, 0},
    {.name = NULL},
};

static void defaults(void *options)
{
    const struct sqa_edivisive *d = &sqa_edivisive_defaults;
    *(struct options *)options =
        (struct options){.window = (int64_t)d->window, .least = (int64_t)d->least, .seed = 1};
}

static enum sqa_status take_real(const char *name, const char *text, double low, double high, double scale,
                                 double *out, struct sqa_err *err)
{
    double x;
    if (!text)
        return SQA_OK;
    if (!sqa_parse_real(text, &x) || x < low || x > high)
        return sqa_fail(err, SQA_USAGE, "history: --%s %.40s; give a number from %g to %g", name, text, low, high);
    *out = x * scale;
    return SQA_OK;
}

static enum sqa_status take_options(const struct options *o, struct sqa_edivisive *e, struct sqa_err *err)
{
    *e = sqa_edivisive_defaults;
    e->window = (size_t)o->window;
    e->least = (size_t)o->least;
    e->permutations = (size_t)o->permutations;
    e->seed = (uint64_t)o->seed;
    enum sqa_status status = take_real("p", o->p, 1e-12, 0.5, 1, &e->p, err);
    if (status == SQA_OK)
        status = take_real("magnitude", o->magnitude, 0, 1000, 0.01, &e->magnitude, err);
    if (status == SQA_OK)
        status = take_real("spike", o->spike, 0, 1000, 1, &e->spike, err);
    if (status != SQA_OK)
        return status;
    if (o->csv && o->json)
        return sqa_fail(err, SQA_USAGE, "history: --csv and --json; give one of them");
    if (e->window < 2 * e->least)
        return sqa_fail(err, SQA_USAGE, "history: --window %zu with --least %zu; give a window of at least %zu",
                        e->window, e->least, 2 * e->least);
    if (e->permutations && 1 / ((double)e->permutations + 1) > e->p)
        return sqa_fail(err, SQA_USAGE,
                        "history: --permutations %zu never give p = %g; give at least %.0f of them, or a larger --p",
                        e->permutations, e->p, 1 / e->p - 1);
    return SQA_OK;
}

static bool wanted(void *user, const char *value)
{
    return sqa_pattern_matches(user, value);
}

static bool is_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && !S_ISDIR(st.st_mode);
}

/* "a,b" as a list ended by NULL. */
static enum sqa_status split_keys(const char *keys, struct sqa_arena *arena, const char **names, size_t room,
                                  struct sqa_err *err)
{
    size_t n = 0;
    for (const char *s = keys ? keys : ""; *s && n + 1 < room;) {
        const size_t length = strcspn(s, ",");
        names[n++] = sqa_arena_printf(arena, "%.*s", (int)length, s);
        if (!names[n - 1])
            return sqa_fail(err, SQA_NOMEM, "history: no memory; free some memory and run again");
        s += length + (s[length] == ',');
    }
    names[n] = NULL;
    return SQA_OK;
}

static enum sqa_status read_all(const struct options *o, const struct sqa_texts *operands, void *pattern,
                                struct sqa_track_set *set, struct sqa_err *err)
{
    const char *dirs[sizeof operands->at / sizeof operands->at[0]], *keys[64];
    struct sqa_arena arena = {0};
    size_t n = 0;
    enum sqa_status status = split_keys(o->keys, &arena, keys, sizeof keys / sizeof keys[0], err);
    for (int i = 0; i < operands->n && status == SQA_OK; i++) {
        if (is_file(operands->at[i]))
            status = sqa_track_csv(operands->at[i], keys, pattern ? wanted : NULL, pattern, set, err);
        else
            dirs[n++] = operands->at[i];
    }
    if (status == SQA_OK && n && set->n_runs)
        status = sqa_fail(err, SQA_USAGE, "history: a CSV and a directory; give one kind");
    if (status == SQA_OK && n)
        status = sqa_track_runs(dirs, n, pattern ? wanted : NULL, pattern, set, err);
    if (status == SQA_OK && set->n == 0)
        status = sqa_fail(err, SQA_INPUT, "%s: no value %s; name runs that finished%s", operands->at[0],
                          pattern ? "matches --values" : "in it", pattern ? ", or another pattern" : "");
    sqa_arena_clear(&arena);
    return status;
}

static enum sqa_status write_all(const struct options *o, const struct sqa_edivisive *e,
                                 const struct sqa_track_set *set, struct sqa_err *err)
{
    struct sqa_history_row *rows;
    struct sqa_text text = {0}, plot = {0};
    size_t n;
    enum sqa_status status = sqa_history_rows(set, &rows, &n, err);
    if (status != SQA_OK)
        return status;
    if (o->json)
        sqa_history_json(&text, set, e);
    else if (o->csv)
        sqa_history_csv(&text, rows, n);
    else
        sqa_history_markdown(&text, set, rows, n, e);
    if (o->plot) {
        sqa_history_svg(&plot, set, rows, n);
        status = sqa_print(&plot, o->plot, err);
    }
    sqa_free(rows);
    if (status == SQA_OK)
        return sqa_print(&text, o->output, err);
    sqa_text_clear(&text);
    return status;
}

static enum sqa_status run(void *options, const struct sqa_texts *operands, struct sqa_err *err)
{
    const struct options *o = options;
    struct sqa_edivisive e;
    struct sqa_track_set set = {0};
    void *pattern = NULL;
    enum sqa_status status = take_options(o, &e, err);
    if (status == SQA_OK && o->values)
        status = sqa_pattern_compile("history: --values", o->values, &pattern, err);
    if (status == SQA_OK)
        status = read_all(o, operands, pattern, &set, err);
    if (status == SQA_OK)
        status = sqa_history_find(&set, &e, err);
    if (status == SQA_OK)
        status = write_all(o, &e, &set, err);
    sqa_track_clear(&set);
    if (pattern)
        sqa_pattern_free(pattern);
    return status;
}

const struct sqa_verb sqa_verb_history = {
    .name = "history",
    .usage = "DIR|FILE.csv... [--values RE] [--csv|--json] [--plot FILE] [-o FILE]",
    .help = "change points over the runs in a folder, or over the rows of a CSV",
    .options = options_table,
    .options_size = sizeof(struct options),
    .operands_min = 1,
    .operands_max = -1,
    .defaults = defaults,
    .run = run,
    .more =
        "DIR is a run directory, or has some below it; they are put in the order in which they were started. A\n"
        "series is one value of one cell on one machine. Values are those of report --format csv, and\n"
        "PHASE_instructions; without --values accuracy, errors, latencies, memory, flops, params and instructions.\n"
        "Of instructions 0.5 % count as a change, of flops, params and planned memory anything. Timings that a row\n"
        "calls unfit are left out.\n"
        "FILE.csv has a row a run, the oldest first: columns time and commit, and a column a value; columns of\n"
        "text tell series apart. Exit status is 0 whether or not there are changes.\n"
        "example: seqarena history results/runs --plot history.svg\n",
};
