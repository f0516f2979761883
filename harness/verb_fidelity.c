/* verb_fidelity.c - fidelity: other mixers against the softmax of a trained transformer */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "harness/fidelity.h"
#include "harness/verbs.h"

enum { MAX_LENGTHS = 32 };

struct options {
    const char *weights, *task, *data, *lengths, *output;
    int64_t examples, draws, threads;
};
#define AT(field) offsetof(struct options, field)
static const struct sqa_option table[] = {
    {"weights", 0, SQA_OPTION_TEXT, "FILE", "safetensors file of a trained transformer (export, run --keep-weights)",
     AT(weights), 0, 0},
    {"task", 0, SQA_OPTION_TEXT, "SPEC", "task of the examples (default the one it was trained on)", AT(task), 0, 0},
    {"lengths", 0, SQA_OPTION_TEXT, "L,...", "positions (default the model's)", AT(lengths), 0, 0},
    {"examples", 0, SQA_OPTION_INT, "N", "test examples (default 32)", AT(examples), 1, 100000},
    {"draws", 0, SQA_OPTION_INT, "N", "of random features and the like (default 3)", AT(draws), 1, 1000},
    {"threads", 0, SQA_OPTION_INT, "N", "threads (default 1)", AT(threads), 1, 1024},
    {"data", 0, SQA_OPTION_TEXT, "DIR", "where data files lie", AT(data), 0, 0},
    {"output", 'o', SQA_OPTION_TEXT, "DIR", "writes fidelity.csv and fidelity.md there", AT(output), 0, 0},
    {.name = NULL},
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

static void defaults(void *options)
{
    struct options *o = options;
    o->examples = 32;
    o->draws = 3;
    o->threads = 1;
}

static enum sqa_status read_lengths(const char *text, int64_t *lengths, int *n, struct sqa_err *err)
{
    for (const char *at = text; at && *at;) {
        char one[32];
        const size_t size = strcspn(at, ",");
        if (size < sizeof one) {
            memcpy(one, at, size);
            one[size] = '\0';
        }
        if (*n == MAX_LENGTHS || size >= sizeof one || !sqa_parse_int(one, &lengths[*n]) || lengths[*n] < 2)
            return sqa_fail(err, SQA_USAGE, "--lengths %.60s: up to %d lengths from 2 on; write 256,512,1K", text,
                            MAX_LENGTHS);
        ++*n;
        at += size + (at[size] == ',');
    }
    return SQA_OK;
}

static enum sqa_status run(void *options, const struct sqa_texts *operands, struct sqa_err *err)
{
    const struct options *o = options;
    int64_t lengths[MAX_LENGTHS];
    struct sqa_text csv = {0}, markdown = {0};
    char path[4096];
    struct sqa_fidelity_options f = {.weights = o->weights,
                                     .task = o->task,
                                     .data_dir = o->data,
                                     .models = operands->at,
                                     .n_models = operands->n,
                                     .lengths = lengths,
                                     .examples = o->examples,
                                     .draws = o->draws,
                                     .threads = (int)o->threads,
                                     .interrupted = &interrupted};
    if (!o->weights)
        return sqa_fail(err, SQA_USAGE,
                        "fidelity: --weights is missing; give a file of export or run --keep-weights");
    struct sigaction a = {.sa_handler = on_signal};
    sigaction(SIGINT, &a, NULL);
    enum sqa_status status = read_lengths(o->lengths, lengths, &f.n_lengths, err);
    if (status == SQA_OK)
        status = sqa_fidelity(&f, &csv, &markdown, err);
    if (status == SQA_OK && o->output) {
        status = sqa_make_dirs(o->output, err);
        snprintf(path, sizeof path, "%s/fidelity.csv", o->output);
        if (status == SQA_OK)
            status = sqa_print(&csv, path, err);
        snprintf(path, sizeof path, "%s/fidelity.md", o->output);
        if (status == SQA_OK)
            status = sqa_print(&markdown, path, err);
    } else if (status == SQA_OK) {
        status = sqa_print(&markdown, NULL, err);
    }
    sqa_text_clear(&csv);
    sqa_text_clear(&markdown);
    return status;
}

const struct sqa_verb sqa_verb_fidelity = {
    .name = "fidelity",
    .usage = "--weights F.safetensors [MODEL ...] [--lengths L,...] [-o DIR]",
    .help = "error of other mixers against the softmax of a trained transformer",
    .options = table,
    .options_size = sizeof(struct options),
    .operands_max = -1,
    .defaults = defaults,
    .run = run,
    .more =
        "In each layer the other mixer gets the input, wq, wk, wv and wo of the trained one. Without MODEL all that\n"
        "approximate softmax attention, in a few sizes.\n"
        "example: seqarena fidelity --weights W.safetensors performer:features=64 local:window=64 --lengths 256,1K\n",
};
