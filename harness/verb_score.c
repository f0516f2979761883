/* verb_score.c - score: rows from predictions of models that ran elsewhere */
#include <string.h>

#include "harness/score.h"
#include "harness/verbs.h"

struct options {
    struct sqa_texts preds, metas;
    const char *split, *scale, *data, *output;
    int quiet;
};
#define AT(field) offsetof(struct options, field)
static const struct sqa_option table[] = {
    {"pred", 0, SQA_OPTION_LIST, "Y.npy", "predictions, a row an example of the split (again for more)", AT(preds), 0,
     0},
    {"meta", 0, SQA_OPTION_LIST, "M.json", "what is stated of the model; one for each --pred", AT(metas), 0, 0},
    {"split", 0, SQA_OPTION_TEXT, "NAME", "test (default) or valid", AT(split), 0, 0},
    {"scale", 0, SQA_OPTION_TEXT, "NAME",
     "table to stand in: lite puts the rows beside runs of that scale (default external)", AT(scale), 0, 0},
    {"data", 0, SQA_OPTION_TEXT, "DIR", "where data files lie", AT(data), 0, 0},
    {"output", 'o', SQA_OPTION_TEXT, "DIR", "run directory", AT(output), 0, 0},
    {"quiet", 'q', SQA_OPTION_FLAG, NULL, "no progress, no scores", AT(quiet), 0, 0},
    {.name = NULL},
};

static void set_defaults(void *options)
{
    struct options *o = options;
    o->split = "test";
    o->scale = "external";
}

static enum sqa_status run(void *options, const struct sqa_texts *operands, struct sqa_err *err)
{
    const struct options *o = options;
    if (o->preds.n == 0)
        return sqa_fail(err, SQA_USAGE, "score: --pred is missing; give the .npy file of the predictions");
    if (o->preds.n != o->metas.n)
        return sqa_fail(err, SQA_USAGE,
                        "score: %d --pred and %d --meta; give one M.json for each Y.npy, in the same order",
                        o->preds.n, o->metas.n);
    if (strcmp(o->split, "test") != 0 && strcmp(o->split, "valid") != 0)
        return sqa_fail(err, SQA_USAGE, "score: --split %.50s; give test or valid", o->split);
    if (strlen(o->scale) == 0 || strlen(o->scale) > 60 ||
        strspn(o->scale, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != strlen(o->scale))
        return sqa_fail(err, SQA_USAGE, "score: --scale %.60s; give the scale of a run, such as lite", o->scale);
    const struct sqa_score_options s = {.task = operands->at[0],
                                        .data_dir = o->data,
                                        .split = o->split,
                                        .scale = o->scale,
                                        .preds = o->preds,
                                        .metas = o->metas};
    const struct sqa_drive_options drive = {.dir = o->output, .quiet = o->quiet, .argc = sqa_argc, .argv = sqa_argv};
    return sqa_score(&s, &drive, err);
}

const struct sqa_verb sqa_verb_score = {
    .name = "score",
    .usage = "TASK --pred Y.npy --meta M.json [...]",
    .help = "a row from outside: score predictions of another program's model",
    .options = table,
    .options_size = sizeof(struct options),
    .operands_min = 1,
    .operands_max = 1,
    .defaults = set_defaults,
    .run = run,
    .more =
        "Y.npy holds a row an example, in the order of data export: integer labels (n) or logits (n, classes); of\n"
        "tags (n, L) or (n, L, classes); standardised forecasts (n, horizon, outputs). M.json is one object:\n\n"
        "  name           text, required: what tables call the model; seeds of one name are pooled\n"
        "  seed           of its training (default: 1, 2, ... in the order of the files)\n"
        "  split_hash     of the split, from meta.json of data export; task: its text. Both are checked\n"
        "  params, train_seconds, steps, and of a forward pass of `batch` examples flops, latency_ns, memory_bytes\n"
        "  hardware, framework, source, recipe, notes: texts\n\n"
        "The run directory holds rows of origin `external` and the floors of the task, and reports take it like any\n"
        "other; cost is what M.json states and stands apart from what was measured here. docs/external-models.md "
        "has\n"
        "a worked example.\n\n"
        "example:\n"
        "  seqarena score listops:min=16,max=64 --pred y1.npy --meta m1.json --pred y2.npy --meta m2.json -o out\n",
};
