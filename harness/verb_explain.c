/* verb_explain.c - explain: what a model's step is made of */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "harness/measure/measure.h"
#include "harness/plan.h"
#include "harness/settings.h"
#include "harness/verbs.h"
#include "models/stepper.h"
#include "reports/stats.h"
#include "results/schema.h"

struct options {
    const char *task, *phase, *data, *scale, *recompute, *dtype;
    int64_t length, batch, threads;
    int paths, json;
};
static const struct sqa_option table[] = {
    {"task", 0, SQA_OPTION_TEXT, "SPEC", "task that gives the shapes (default random)",
     offsetof(struct options, task), 0, 0},
    {"length", 0, SQA_OPTION_INT, "L", "positions (default 1K, or the task's)", offsetof(struct options, length), 1,
     1 << 24},
    {"batch", 0, SQA_OPTION_INT, "N", "rows (default 4)", offsetof(struct options, batch), 1, 4096},
    {"phase", 0, SQA_OPTION_TEXT, "infer|train|step", "which step (default train)", offsetof(struct options, phase),
     0, 0},
    {"scale", 0, SQA_OPTION_TEXT, "NAME", "recipe file for sizes (default bench)", offsetof(struct options, scale), 0,
     0},
    {"threads", 0, SQA_OPTION_INT, "N", "threads (default 1)", offsetof(struct options, threads), 1, 1024},
    {"dtype", 0, SQA_OPTION_TEXT, "TYPE", "of products and softmax attention: f32, bf16, bf16-emulated",
     offsetof(struct options, dtype), 0, 0},
    {"data", 0, SQA_OPTION_TEXT, "DIR", "where data files lie", offsetof(struct options, data), 0, 0},
    {"recompute", 0, SQA_OPTION_TEXT, "WHAT", "in the backward pass: cheap (default), blocks or off",
     offsetof(struct options, recompute), 0, 0},
    {"paths", 0, SQA_OPTION_FLAG, NULL, "a line for each node instead of each op", offsetof(struct options, paths), 0,
     0},
    {"json", 0, SQA_OPTION_FLAG, NULL, "for machines", offsetof(struct options, json), 0, 0},
    {.name = NULL},
};

struct line {
    const char *name, *pass;
    int calls;
    double flops, bytes, ns;
};

static const char *const pass_names[] = {[SQA_PASS_FORWARD] = "forward",
                                         [SQA_PASS_BACKWARD] = "backward",
                                         [SQA_PASS_RECOMPUTE] = "recompute",
                                         [SQA_PASS_ONCE] = "once"};

enum { STEPS = 7 };

static int by_time(const void *a, const void *b)
{
    const struct line *x = a, *y = b;
    return (x->ns < y->ns) - (x->ns > y->ns);
}

/* One line a node, or a line an op and pass. Returns how many. */
static int gather(const struct sqa_plan *p, const double *ns, bool paths, struct line *lines)
{
    int n = 0;
    for (int i = 0; i < p->count; i++) {
        const struct sqa_node *node = p->nodes[i];
        const char *name = paths ? node->path : node->op->name;
        const char *pass = pass_names[node->pass];
        struct line *l = NULL;
        for (int k = 0; k < n && !paths; k++)
            if (strcmp(lines[k].name, name) == 0 && strcmp(lines[k].pass, pass) == 0)
                l = &lines[k];
        if (!l) {
            l = &lines[n++];
            *l = (struct line){.name = name, .pass = pass};
        }
        double x[STEPS];
        for (int s = 0; s < STEPS; s++)
            x[s] = ns[s * p->count + i];
        sqa_sort_reals(x, STEPS);
        l->calls++;
        l->flops += sqa_node_flops(node);
        l->bytes += sqa_node_bytes(node);
        l->ns += x[STEPS / 2];
    }
    qsort(lines, (size_t)n, sizeof *lines, by_time);
    return n;
}

static void add_line(struct sqa_columns *c, const struct line *l, double total)
{
    char calls[16], flops[32], bytes[32], time[32], share[16], rate[32], traffic[32];
    snprintf(calls, sizeof calls, "%d", l->calls);
    snprintf(share, sizeof share, "%.1f %%", total > 0 ? 100 * l->ns / total : 0);
    if (l->flops > 0 && l->ns > 0)
        snprintf(rate, sizeof rate, "%.2f", l->flops / l->ns);
    else
        strcpy(rate, "-");
    snprintf(traffic, sizeof traffic, "%.2f", l->ns > 0 ? l->bytes / l->ns : 0);
    sqa_columns_add(c, (const char *const[]){l->name, l->pass, calls, sqa_format_count(flops, l->flops),
                                             sqa_format_bytes(bytes, l->bytes), sqa_format_ns(time, l->ns), share,
                                             rate, traffic});
}

static void print_json(const struct sqa_trainer *t, const struct line *lines, int n, const struct line *total,
                       struct sqa_text *out)
{
    json_t *ops = json_array();
    for (int i = 0; i < n; i++)
        json_array_append_new(ops, json_pack("{s:s,s:s,s:i,s:f,s:f,s:f}", "name", lines[i].name, "pass",
                                             lines[i].pass, "calls", lines[i].calls, "flops", lines[i].flops, "bytes",
                                             lines[i].bytes, "ns", lines[i].ns));
    json_t *doc = json_pack("{s:s,s:s,s:s,s:I,s:I,s:I,s:f,s:f,s:f,s:o}", "model", t->model->full_form, "task",
                            t->data->full_spec, "dtype", sqa_compute_name(t->plans.compute), "batch",
                            (json_int_t)t->recipe.batch, "length", (json_int_t)t->length, "params",
                            (json_int_t)t->store.parameter_count, "flops", total->flops, "bytes", total->bytes, "ns",
                            total->ns, "ops", ops);
    char *text = json_dumps(doc, JSON_INDENT(2));
    sqa_text_printf(out, "%s\n", text ? text : "");
    sqa_free(text);
    json_decref(doc);
}

/* What is explained: a plan of the trainer, or of one token by step forms. */
struct explained {
    struct sqa_trainer *t;
    int phase; /* enum sqa_phase */
    struct sqa_stepper stepper;
    struct sqa_plan *plan;
};

static enum sqa_status prepare(struct explained *e, struct sqa_err *err)
{
    struct sqa_trainer *t = e->t;
    if (e->phase != SQA_PHASE_STEP)
        return sqa_trainer_prepare(t, e->phase == SQA_PHASE_TRAIN ? SQA_MODE_TRAIN : SQA_MODE_INFER, &e->plan, err);
    const enum sqa_status status = sqa_stepper_open(&e->stepper, t->model, &t->task, &t->store, t->recipe.batch,
                                                    t->threads, t->plans.compute, err);
    if (status == SQA_OK) {
        e->plan = e->stepper.plan;
        sqa_stepper_fill(&e->stepper, t->seed);
    }
    return status;
}

static enum sqa_status run_once(struct explained *e, double *ns, struct sqa_err *err)
{
    if (e->phase == SQA_PHASE_STEP)
        return sqa_stepper_run(&e->stepper, e->t->length - 1, ns, err);
    return sqa_trainer_time_step(e->t, e->plan, e->phase == SQA_PHASE_TRAIN ? SQA_MODE_TRAIN : SQA_MODE_INFER, ns,
                                 err);
}

static enum sqa_status explain(const struct options *o, struct explained *e, struct sqa_text *out,
                               struct sqa_err *err)
{
    static const char *const names[SQA_PHASE_N] = {"training step", "inference step",
                                                   "a token by the recurrent form"};
    struct sqa_trainer *t = e->t;
    enum sqa_status status = prepare(e, err);
    if (status != SQA_OK)
        return status;
    struct sqa_plan *p = e->plan;
    double *ns = sqa_alloc_array((size_t)p->count * STEPS + 1, sizeof *ns);
    struct line *lines = sqa_alloc_array((size_t)p->count + 1, sizeof *lines), total = {.name = "all", .pass = ""};
    if (!ns || !lines)
        status = sqa_fail(err, SQA_NOMEM, "explain: no memory; free some memory and run again");
    if (status == SQA_OK)
        status = run_once(e, NULL, err);
    for (int s = 0; s < STEPS && status == SQA_OK; s++)
        status = run_once(e, ns + s * p->count, err);
    if (status == SQA_OK) {
        const int n = gather(p, ns, o->paths, lines);
        for (int i = 0; i < n; i++) {
            total.calls += lines[i].calls;
            total.flops += lines[i].flops;
            total.bytes += lines[i].bytes;
            total.ns += lines[i].ns;
        }
        if (o->json) {
            print_json(t, lines, n, &total, out);
        } else {
            char params[32], memory[32];
            struct sqa_columns c = {.n = 9, .right = 0x1fc};
            sqa_text_printf(out,
                            "%s on %s, %s, batch %lld, length %lld\n%s parameters, planned arena %s, "
                            "dtype %s, kernels %s\n\n",
                            t->model->full_form, t->data->spec, names[e->phase], (long long)t->recipe.batch,
                            (long long)t->length, sqa_format_count(params, (double)t->store.parameter_count),
                            sqa_format_bytes(memory, (double)p->arena_bytes), sqa_compute_name(t->plans.compute),
                            sqa_kernels_compute(t->plans.compute)->isa);
            if (e->phase == SQA_PHASE_STEP)
                sqa_text_printf(
                    out, "state of a sequence: %s numbers; ops of pass `once` ran before the first token\n\n",
                    sqa_format_count(params, (double)e->stepper.states.state_count / (double)t->recipe.batch));
            sqa_columns_add(&c, (const char *const[]){"op", "pass", "calls", "flops", "bytes", "time", "share",
                                                      "GFLOP/s", "GB/s"});
            for (int i = 0; i < n; i++)
                add_line(&c, &lines[i], total.ns);
            add_line(&c, &total, total.ns);
            sqa_columns_print(&c, out);
            sqa_text_add(
                out,
                "\nTime is the median of 7 steps on this machine now; flops and bytes are counted, not measured.\n");
            if (t->plans.compute != SQA_COMPUTE_F32)
                sqa_text_add(out, "bfloat16: what linear, matmul, their gradients and attention without a window, a "
                                  "block list or a bias\nmultiply; kernel_attention, fftconv, s4d_kernel and all "
                                  "other ops compute in f32.\n");
        }
    }
    sqa_free(ns);
    sqa_free(lines);
    return status;
}

static void set_defaults(void *options)
{
    struct options *o = options;
    o->scale = "bench";
    o->threads = 1;
    o->phase = "train";
}

static enum sqa_status run(void *options, const struct sqa_texts *operands, struct sqa_err *err)
{
    const struct options *o = options;
    struct sqa_arena arena = {0};
    struct sqa_text out = {0};
    struct sqa_cell_settings s = {.model = operands->at[0],
                                  .task = o->task,
                                  .scale = o->scale,
                                  .train = "micro=0", /* one plan of the whole batch */
                                  .data_dir = o->data,
                                  .seed = 1,
                                  .threads = (int)o->threads,
                                  .length = o->length,
                                  .batch = o->batch};
    struct explained e = {.phase = sqa_phase_of(o->phase)};
    if (e.phase == SQA_PHASE_N)
        return sqa_fail(err, SQA_USAGE, "explain: --phase %.50s; give infer, train or step", o->phase);
    s.step = e.phase == SQA_PHASE_STEP;
    if (!sqa_recompute_find(o->recompute, &s.recompute))
        return sqa_fail(err, SQA_USAGE, "explain: --recompute %.50s; give cheap, blocks or off", o->recompute);
    s.trainable = e.phase == SQA_PHASE_TRAIN;
    enum sqa_status status = sqa_compute_parse("explain", o->dtype, &s.compute, err);
    if (status == SQA_OK)
        status = sqa_open_settings(&s, &arena, &e.t, err);
    if (status == SQA_OK)
        status = explain(o, &e, &out, err);
    sqa_stepper_close(&e.stepper);
    sqa_trainer_close(e.t);
    sqa_arena_clear(&arena);
    if (status == SQA_OK)
        return sqa_print(&out, NULL, err);
    sqa_text_clear(&out);
    return status;
}

const struct sqa_verb sqa_verb_explain = {
    .name = "explain",
    .usage = "MODEL [--task SPEC] [--length L]",
    .help = "op table of a model: flops, bytes, time, rate",
    .options = table,
    .options_size = sizeof(struct options),
    .operands_min = 1,
    .operands_max = 1,
    .defaults = set_defaults,
    .run = run,
    .more = "example: seqarena explain transformer --length 2K --phase train\n",
};
