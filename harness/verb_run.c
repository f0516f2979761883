/* verb_run.c - run and bench, and the hidden verb of their children */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/plan.h"
#include "harness/cell.h"
#include "harness/drive.h"
#include "harness/measure/count.h"
#include "harness/measure/measure.h"
#include "harness/proof.h"
#include "harness/search.h"
#include "harness/verbs.h"
#include "results/schema.h"
#include "models/model.h"

struct options {
    struct sqa_selection s;
    const char *output, *data, *phase, *counters, *recompute, *cache, *bind;
    double budget, memory, checkpoint;
    int64_t rounds, jobs;
    int dry_run, mixed, retry, quiet, no_examples, profile, keep_weights, count, no_wait, latency;
};

#define AT(field) offsetof(struct options, field)
#define SELECTION                                                                                                     \
    {"model", 0, SQA_OPTION_LIST, "SPEC", "a model, such as performer:features=128 (again for more)", AT(s.models),   \
     0,       0},                                                                                                     \
        {"models", 0, SQA_OPTION_TEXT, "RE", "all models whose id matches the pattern", AT(s.models_pattern), 0, 0},  \
        {"task", 0, SQA_OPTION_LIST, "SPEC", "a task, such as listops:min=16,max=64 (again for more)", AT(s.tasks),   \
         0,      0},                                                                                                  \
        {"tasks", 0, SQA_OPTION_TEXT, "RE", "all tasks whose id matches the pattern", AT(s.tasks_pattern), 0, 0},     \
        {"scale", 0, SQA_OPTION_TEXT, "NAME", "recipe file: smoke, lite, ... (seqarena list recipes)", AT(s.scale),   \
         0,       0},                                                                                                 \
        {"train", 0, SQA_OPTION_TEXT, "K=V,...", "overrides of the recipe, such as rate=1e-3,steps=500", AT(s.train), \
         0,       0},                                                                                                 \
        {"batch", 0, SQA_OPTION_INT, "N", "rows a step, instead of the recipe's", AT(s.batch), 1, 65536},             \
        {"threads", 0, SQA_OPTION_INT, "N", "threads of a cell (default 1)", AT(s.threads), 1, 1024},                 \
        {"dtype",                                                                                                     \
         0,                                                                                                           \
         SQA_OPTION_TEXT,                                                                                             \
         "TYPE",                                                                                                      \
         "of products and softmax attention: f32, bf16, bf16-emulated",                                               \
         AT(s.dtype),                                                                                                 \
         0,                                                                                                           \
         0},                                                                                                          \
        {"data", 0, SQA_OPTION_TEXT, "DIR", "where data files lie (else $SEQARENA_DATA, ./data)", AT(data), 0, 0},    \
        {"rounds", 0, SQA_OPTION_INT, "N", "rounds of interleaved measurement; 0: none", AT(rounds), 0, 10000},       \
        {"counters",                                                                                                  \
         0,                                                                                                           \
         SQA_OPTION_TEXT,                                                                                             \
         "NAMES",                                                                                                     \
         "counters of each sample: software,flops,cache,branch,tlb,stalls,energy or names",                           \
         AT(counters),                                                                                                \
         0,                                                                                                           \
         0},                                                                                                          \
        {"bind",                                                                                                      \
         0,                                                                                                           \
         SQA_OPTION_TEXT,                                                                                             \
         "HOW",                                                                                                       \
         "threads to processors: compact, spread, none (default) or a set such as 0-3,8",                             \
         AT(bind),                                                                                                    \
         0,                                                                                                           \
         0},                                                                                                          \
        {"recompute",                                                                                                 \
         0,                                                                                                           \
         SQA_OPTION_TEXT,                                                                                             \
         "WHAT",                                                                                                      \
         "in the backward pass, to save memory: cheap (default), blocks or off",                                      \
         AT(recompute),                                                                                               \
         0,                                                                                                           \
         0},                                                                                                          \
        {"profile", 0, SQA_OPTION_FLAG, NULL, "write ops.csv: time of every op", AT(profile), 0, 0},                  \
        {"budget", 0, SQA_OPTION_SECONDS, "TIME", "most time of one cell, such as 90s or 2h", AT(budget), 0, 0},      \
        {"memory", 0, SQA_OPTION_BYTES, "SIZE", "most memory that one cell may take, such as 2G", AT(memory), 0, 0},  \
        {"output", 'o', SQA_OPTION_TEXT, "DIR", "run directory; an unfinished one is continued", AT(output), 0, 0},   \
        {"mixed", 0, SQA_OPTION_FLAG, NULL, "continue a directory that another build began", AT(mixed), 0, 0},        \
        {"retry", 0, SQA_OPTION_FLAG, NULL, "run cells again that did not end well", AT(retry), 0, 0},                \
        {"dry-run", 'n', SQA_OPTION_FLAG, NULL, "only list the cells", AT(dry_run), 0, 0},                            \
    {                                                                                                                 \
        "quiet", 'q', SQA_OPTION_FLAG, NULL, "no progress", AT(quiet), 0, 0                                           \
    }

static const struct sqa_option run_options[] = {
    SELECTION,
    {"seeds", 0, SQA_OPTION_INT, "N", "train with N seeds, counted from --seed", AT(s.seeds), 1, 10000},
    {"seed", 0, SQA_OPTION_INT, "K", "first training seed (default 1)", AT(s.seed), 0, 1e15},
    {"jobs", 'j', SQA_OPTION_INT, "N", "cells trained at the same time (default: processors / threads)", AT(jobs), 1,
     24},
    {"checkpoint", 0, SQA_OPTION_SECONDS, "TIME", "time between checkpoints (default 20s)", AT(checkpoint), 0, 0},
    {"no-examples", 0, SQA_OPTION_FLAG, NULL, "no examples.csv (needed for paired intervals)", AT(no_examples), 0, 0},
    {"keep-weights", 0, SQA_OPTION_FLAG, NULL, "write DIR/weights/KEY.safetensors", AT(keep_weights), 0, 0},
    {.name = NULL},
};
static const struct sqa_option bench_options[] = {
    SELECTION,
    {"lengths", 0, SQA_OPTION_LIST, "1K,2K,...", "lengths to measure at; 1K..64K doubles (default 1K)", AT(s.lengths),
     0, 0},
    {"batches", 0, SQA_OPTION_LIST, "1,2,4,...", "batches to measure with; 1..64 doubles", AT(s.batches), 0, 0},
    {"latency", 0, SQA_OPTION_FLAG, NULL, "a sample is one step, however short: tails of steps, not of means of 1 ms",
     AT(latency), 0, 0},
    {"cache", 0, SQA_OPTION_TEXT, "cold|warm", "cold: empty the caches before every sample (default warm)", AT(cache),
     0, 0},
    {"phase", 0, SQA_OPTION_TEXT, "infer,train,step", "what to measure (default infer,train); step: one token",
     AT(phase), 0, 0},
    {"seed", 0, SQA_OPTION_INT, "K", "seed of weights and tokens (default 1)", AT(s.seed), 0, 1e15},
    {"no-wait", 0, SQA_OPTION_FLAG, NULL, "an error when another program times, instead of waiting for it",
     AT(no_wait), 0, 0},
    {"count", 0, SQA_OPTION_FLAG, NULL, "count instructions of one step under valgrind instead of timing", AT(count),
     0, 0},
    {.name = NULL},
};

static void common_defaults(struct options *o)
{
    o->s.seed = 1;
    o->s.seeds = 1;
    o->s.threads = 1;
    o->checkpoint = 20;
}

static void run_defaults(void *options)
{
    struct options *o = options;
    common_defaults(o);
    o->rounds = 8;
    o->s.scale = "lite";
}

static void bench_defaults(void *options)
{
    struct options *o = options;
    common_defaults(o);
    o->rounds = SQA_BENCH_ROUNDS;
    o->s.scale = "bench";
}

static const char left_out[] = "%d left out: their models do not take the task (--model MODEL says why)\n";

static enum sqa_status dry_run(const struct sqa_run_plan *p, struct sqa_err *err)
{
    struct sqa_columns c = {.n = 6, .right = 8};
    struct sqa_text t = {0};
    sqa_columns_add(&c, (const char *const[]){"key", "model", "task", "seed", "built as", "recipe"});
    for (int i = 0; i < p->n; i++) {
        char seed[32];
        snprintf(seed, sizeof seed, "%lld", (long long)p->cells[i].seed);
        const struct sqa_cell *cell = &p->cells[i];
        const bool trial = sqa_cell_is_trial(cell), searched = sqa_cell_is_searched(cell);
        char recipe[1200];
        snprintf(recipe, sizeof recipe, "%s%s%s%s",
                 trial      ? "(trial of "
                 : searched ? "(what its trials choose) "
                            : "",
                 trial ? cell->trial : "", trial ? ") " : "", cell->floor ? "(floor)" : cell->recipe);
        sqa_columns_add(&c, (const char *const[]){cell->key, cell->model, cell->task, cell->floor ? "-" : seed,
                                                  cell->model_text, recipe});
    }
    sqa_columns_print(&c, &t);
    sqa_text_printf(&t, "%d cells\n", p->n);
    if (p->left_out > 0)
        sqa_text_printf(&t, left_out, p->left_out);
    return sqa_print(&t, NULL, err);
}

/* phase: names joined by commas; NULL is train,infer. */
static enum sqa_status parse_phases(const char *phase, int wanted[SQA_PHASE_N], struct sqa_err *err)
{
    for (const char *at = phase ? phase : "train,infer"; *at;) {
        char name[16];
        const size_t n = strcspn(at, ",");
        snprintf(name, sizeof name, "%.*s", (int)(n < 15 ? n : 15), at);
        if (sqa_phase_of(name) == SQA_PHASE_N)
            return sqa_fail(err, SQA_USAGE,
                            "bench: --phase %.100s; give infer, train, step or several, such as "
                            "infer,train",
                            phase);
        wanted[sqa_phase_of(name)] = 1;
        at += n + (at[n] == ',');
    }
    return SQA_OK;
}

/* bench --count: one step of small shapes, once. */
static enum sqa_status prepare_count(struct options *o, struct sqa_run_plan *p, char version[64], struct sqa_err *err)
{
    if (o->s.threads > 1)
        return sqa_fail(err, SQA_USAGE, "bench: --count with --threads %lld; counts are of one thread, leave one out",
                        (long long)o->s.threads);
    const enum sqa_status status = o->dry_run ? SQA_OK : sqa_count_version(version, err);
    if (status != SQA_OK)
        return status;
    p->count = version;
    p->rounds = 1;
    p->profile = 0;
    p->counters = "";
    if (o->s.tasks.n == 0 && !o->s.tasks_pattern && o->s.lengths.n == 0)
        o->s.lengths.at[o->s.lengths.n++] = "64,128";
    if (o->s.batch == 0 && o->s.batches.n == 0 && !o->s.step_alone)
        o->s.batch = 2;
    return SQA_OK;
}

static enum sqa_status go(struct options *o, int bench, struct sqa_err *err)
{
    struct sqa_run_plan p = {
        .verb = bench ? "bench" : "run",
        .rounds = o->rounds,
        .turn_ms = bench ? SQA_BENCH_TURN_MS : 30,
        .budget = o->budget,
        .memory = o->memory,
        .checkpoint = o->checkpoint,
        .jobs = o->jobs,
        .examples = !bench && !o->no_examples,
        .profile = o->profile || bench,
        .keep_weights = o->keep_weights,
        .counters = o->counters ? o->counters : "",
        .recompute = o->recompute && strcmp(o->recompute, "cheap") != 0 ? o->recompute : "",
        .bind = o->bind && strcmp(o->bind, "none") != 0 ? o->bind : "",
        .data_dir = o->data,
        .cache = o->cache ? o->cache : "",
        .single_steps = o->latency,
        .order_seed = (sqa_clock_wall() ^ (int64_t)getpid() << 20) & INT64_MAX,
    };
    const struct sqa_drive_options drive = {.dir = o->output,
                                            .mixed = o->mixed,
                                            .retry = o->retry,
                                            .quiet = o->quiet,
                                            .no_wait = o->no_wait,
                                            .argc = sqa_argc,
                                            .argv = sqa_argv};
    enum sqa_status status = SQA_OK;
    enum sqa_recompute_mode mode;
    char version[64] = "valgrind";
    int wanted[SQA_PHASE_N] = {0};
    if (!sqa_recompute_find(o->recompute, &mode))
        return sqa_fail(err, SQA_USAGE, "%s: --recompute %.50s; give cheap, blocks or off", p.verb, o->recompute);
    if (o->cache && strcmp(o->cache, "cold") != 0 && strcmp(o->cache, "warm") != 0)
        return sqa_fail(err, SQA_USAGE, "bench: --cache %.50s; give cold or warm", o->cache);
    if (o->s.batch > 0 && o->s.batches.n > 0)
        return sqa_fail(err, SQA_USAGE, "bench: --batch and --batches; leave one out");
    status = sqa_counters_check(p.verb, p.counters, err);
    if (status == SQA_OK && o->bind && strcmp(o->bind, "none") != 0)
        status = sqa_bind_check(p.verb, o->bind, (int)((p.jobs > 1 ? p.jobs : 1) * o->s.threads), err);
    if (status == SQA_OK)
        status = parse_phases(o->phase, wanted, err);
    o->s.step = wanted[SQA_PHASE_STEP];
    o->s.step_alone = o->s.step && !wanted[SQA_PHASE_TRAIN] && !wanted[SQA_PHASE_INFER];
    if (status == SQA_OK && o->count)
        status = prepare_count(o, &p, version, err);
    if (status == SQA_OK)
        status = sqa_plan_cells(&p, &o->s, bench, err);
    for (int i = 0; i < p.n; i++) {
        p.cells[i].train = wanted[SQA_PHASE_TRAIN];
        p.cells[i].infer = wanted[SQA_PHASE_INFER];
    }
    if (status == SQA_OK && p.left_out > 0 && !o->dry_run && !o->quiet)
        fprintf(stderr, left_out, p.left_out);
    if (status == SQA_OK)
        status = o->dry_run ? dry_run(&p, err) : sqa_drive(&p, &drive, err);
    sqa_run_plan_clear(&p);
    return status;
}

static enum sqa_status run_run(void *options, const struct sqa_texts *operands, struct sqa_err *err)
{
    struct options *o = options;
    (void)operands;
    if (o->jobs == 0) {
        const int64_t free = sqa_processors() / o->s.threads;
        o->jobs = free < 1 ? 1 : free > 24 ? 24 : free;
    }
    return go(o, 0, err);
}

static enum sqa_status run_bench(void *options, const struct sqa_texts *operands, struct sqa_err *err)
{
    (void)operands;
    return go(options, 1, err);
}

const struct sqa_verb sqa_verb_run = {
    .name = "run",
    .usage = "[--model SPEC...] --task SPEC... [options]",
    .help = "train, test and measure models on tasks",
    .more =
        "Floors of each task and the control mixers are added, so that no table stands without them. The run\n"
        "directory is printed; give it to `seqarena report`. A killed run goes on where it was: the same command\n"
        "with -o DIR.\n\n"
        "On forecasts alone --model may be left out: linear, nlinear, dlinear, patchtst, itransformer, tsmixer, "
        "tide\n"
        "and lstm run, beside the last value and the last season repeated.\n\n"
        "examples:\n"
        "  seqarena run --task csv:file=my.csv,horizon=24 --scale lite\n"
        "  seqarena run --models '^(transformer|local)$' --task listops:min=16,max=64 --scale smoke\n"
        "  seqarena run --model dlinear --task etth1:lookback=336 --scale etth-published --seeds 3\n",
    .options = run_options,
    .options_size = sizeof(struct options),
    .defaults = run_defaults,
    .run = run_run,
};
const struct sqa_verb sqa_verb_bench = {
    .name = "bench",
    .usage = "--model SPEC... [options]",
    .help = "time models without training them",
    .more =
        "Without a task: random tokens, vocabulary 32, 10 classes, lite sizes, no dropout. Children of all cells\n"
        "live together and get turns, in an order drawn for each round (a random Latin square; of two ABBA or\n"
        "BAAB); every sample is kept in samples.csv.\n\n"
        "--bind compact keeps threads together, spread gives each a core of its own, 0,2 puts thread 0 on\n"
        "processor 0 and thread 1 on 2; rows say where threads ran. --counters takes groups and PAPI names; events\n"
        "that do not fit together are counted in passes. See docs/measurement.md, seqarena list counters.\n\n"
        "--phase step times one token by the recurrent form of the model (a key-value cache of transformer), at\n"
        "the last of --lengths positions, with a state of random numbers in place of the tokens before it; models "
        "are\n"
        "built with causal=1, and with --phase step alone the batch is 1 unless --batch says otherwise.\n\n"
        "Rows have the median, p90 and p99 of the samples (of single steps with --latency) and the throughput;\n"
        "--phase step also the token at position 0, in first_ns_median. The time to the first token of a prompt\n"
        "is --phase infer at its length.\n\n"
        "--count times nothing: it counts the instructions, loads and stores of one step under valgrind, the\n"
        "same from run to run, with batch 2 at lengths 64 and 128 unless told otherwise, one thread, kernels\n"
        "without FMA. They tell whether the work of a build changed, not how fast it is.\n\n"
        "example:\n  seqarena bench --models 'transformer|local' --lengths 1K,2K,4K --batch 4\n",
    .options = bench_options,
    .options_size = sizeof(struct options),
    .defaults = bench_defaults,
    .run = run_bench,
};

static enum sqa_status check_cell(const struct sqa_cell *cell, struct sqa_err *err)
{
    char text[SQA_PROOF_TEXT];
    const enum sqa_status status = sqa_proof(cell->model_text, 1, text, err);
    if (status == SQA_OK)
        printf("proof %s\nsaved\n", text);
    return status;
}

/* The child: seqarena cell DIR KEY fit|check|train|infer|step DATA SLOT */
static enum sqa_status run_cell(void *options, const struct sqa_texts *operands, struct sqa_err *err)
{
    struct sqa_run_plan p = {0};
    json_t *doc = NULL;
    (void)options;
    enum sqa_status status = sqa_plan_read(operands->at[0], &p, &doc, err);
    if (status == SQA_OK) {
        const char *data = operands->n > 3 ? operands->at[3] : "";
        p.data_dir = *data ? data : NULL;
        struct sqa_cell *cell = sqa_plan_find(&p, operands->at[1]);
        const struct sqa_child c = {.dir = operands->at[0],
                                    .plan = &p,
                                    .cell = cell,
                                    .slot = operands->n > 4 ? atoi(operands->at[4]) : 0,
                                    .in = stdin,
                                    .out = stdout};
        char row[32];
        if (!cell)
            status = sqa_fail(err, SQA_INPUT, "%s: no cell %s; see cells.csv", c.dir, operands->at[1]);
        else
            status = sqa_search_settle(c.dir, &p, cell, row, err);
        if (status == SQA_OK && strcmp(operands->at[2], "fit") == 0)
            status = sqa_cell_train(&c, err);
        else if (status == SQA_OK && strcmp(operands->at[2], "check") == 0)
            status = check_cell(cell, err);
        else if (status == SQA_OK)
            status = sqa_cell_measure(&c, operands->at[2], err);
    }
    if (status != SQA_OK) {
        err->text[strcspn(err->text, "\n")] = '\0';
        printf("error %s %s\n", sqa_status_name(status), err->text);
        fflush(stdout);
    }
    json_decref(doc);
    sqa_run_plan_clear(&p);
    return status;
}

const struct sqa_verb sqa_verb_cell = {
    .name = "cell",
    .usage = "DIR KEY fit|check|train|infer|step [DATA [SLOT]]",
    .help = "one cell of a run (what run starts)",
    .run = run_cell,
    .operands_min = 3,
    .operands_max = 5,
    .hidden = 1,
};
