/* verbs.c - the list of verbs, their dispatch, and what they share */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "engine/slow.h"
#include "harness/options.h"
#include "harness/verbs.h"
#include "harness/version.h"
#include "kernels/kernels.h"

/* clang-format off */
const struct sqa_verb *const sqa_verbs[] = {
    &sqa_verb_list,
    &sqa_verb_describe,
    &sqa_verb_run,
    &sqa_verb_bench,
    &sqa_verb_compare,
    &sqa_verb_gate,
    &sqa_verb_explain,
    &sqa_verb_kernels,
    &sqa_verb_verify,
    &sqa_verb_report,
    &sqa_verb_plot,
    &sqa_verb_table,
    &sqa_verb_claim,
    &sqa_verb_history,
    &sqa_verb_export,
    &sqa_verb_predict,
    &sqa_verb_data,
    &sqa_verb_score,
    &sqa_verb_forecast,
    &sqa_verb_doctor,
    &sqa_verb_completion,
    &sqa_verb_fidelity,
    &sqa_verb_cell,
    NULL,
};
/* clang-format on */

int sqa_argc;
char **sqa_argv;

static enum sqa_status run_completion(void *options, const struct sqa_texts *operands, struct sqa_err *err)
{
    (void)options;
    (void)operands;
    struct sqa_text t = {0};
    sqa_completion(&t);
    return sqa_print(&t, NULL, err);
}

const struct sqa_verb sqa_verb_completion = {
    .name = "completion",
    .usage = "",
    .help = "print the bash completion",
    .run = run_completion,
    .more = "example: source <(seqarena completion)\n",
};

enum sqa_status sqa_print(struct sqa_text *t, const char *path, struct sqa_err *err)
{
    enum sqa_status status = SQA_OK;
    if (t->failed)
        status = sqa_fail(err, SQA_NOMEM, "output: no memory; free some memory and run again");
    else if (path)
        status = sqa_file_write(path, sqa_text_get(t), t->length, err);
    else if (fwrite(sqa_text_get(t), 1, t->length, stdout) != t->length || fflush(stdout) != 0)
        status = sqa_file_fail(err, "standard output", errno);
    sqa_text_clear(t);
    return status;
}

static const struct sqa_verb *find_verb(const char *name)
{
    for (int i = 0; sqa_verbs[i]; i++)
        if (strcmp(sqa_verbs[i]->name, name) == 0)
            return sqa_verbs[i];
    return NULL;
}

static enum sqa_status unknown_verb(const char *name, struct sqa_err *err)
{
    const char *names[32];
    size_t n = 0;
    for (int i = 0; sqa_verbs[i] && n < 32; i++)
        if (!sqa_verbs[i]->hidden)
            names[n++] = sqa_verbs[i]->name;
    const char *near = sqa_nearest(name, names, n);
    return near ? sqa_fail(err, SQA_USAGE, "'%.100s' is no verb; did you mean '%s'? See seqarena --help", name, near)
                : sqa_fail(err, SQA_USAGE, "'%.100s' is no verb; see seqarena --help", name);
}

/* argv: the program, the verb, its arguments. */
static enum sqa_status run_verb(const struct sqa_verb *v, bool asked, int argc, char **argv,
                                struct sqa_texts *operands, struct sqa_err *err)
{
    struct sqa_text help = {0};
    int wants_help = 0;
    void *options = sqa_alloc(v->options_size);
    if (!options)
        return sqa_fail(err, SQA_NOMEM, "%s: no memory; free some memory and run again", v->name);
    if (v->defaults)
        v->defaults(options);
    enum sqa_status status =
        asked ? SQA_OK : sqa_options_parse(v, argc - 2, argv + 2, options, operands, &wants_help, err);
    if (status == SQA_OK && (asked || wants_help)) {
        sqa_verb_help(v, &help);
        status = sqa_print(&help, NULL, err);
    } else if (status == SQA_OK) {
        status = v->run(options, operands, err);
    }
    sqa_free(options);
    return status;
}

enum sqa_status sqa_dispatch(int argc, char **argv, struct sqa_err *err)
{
    struct sqa_text help = {0};
    static struct sqa_texts operands;
    if (argc < 2)
        return sqa_fail(err, SQA_USAGE, "no verb; see seqarena --help");
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0) {
        sqa_text_printf(&help, "seqarena %s (%s, compiler %s)\n", SQA_VERSION, sqa_commit, __VERSION__);
        return sqa_print(&help, NULL, err);
    }
    const char *isa = getenv("SEQARENA_ISA"), *names;
    if (!sqa_kernels_isa_known(isa, &names))
        return sqa_fail(err, SQA_USAGE, "SEQARENA_ISA: unknown instruction set '%.40s'; set it to %s", isa, names);
    const enum sqa_status slow = sqa_slow_read(err);
    if (slow != SQA_OK)
        return slow;
    const bool asked = strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0;
    if (asked && argc < 3) {
        sqa_program_help(&help);
        return sqa_print(&help, NULL, err);
    }
    const struct sqa_verb *v = find_verb(argv[asked ? 2 : 1]);
    if (!v)
        return unknown_verb(argv[asked ? 2 : 1], err);
    return run_verb(v, asked, argc, argv, &operands, err);
}

enum sqa_status sqa_again(int argc, char **argv, struct sqa_err *err)
{
    const int argc_before = sqa_argc;
    char **const argv_before = sqa_argv;
    struct sqa_texts operands = {0};
    const struct sqa_verb *v = find_verb(argv[1]);
    fflush(stdout);
    const int out = dup(STDOUT_FILENO);
    if (!v || out < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0) {
        close(out);
        return sqa_fail(err, SQA_MACHINE, "%s: standard output cannot be set aside; open standard error", argv[1]);
    }
    sqa_argc = argc;
    sqa_argv = argv;
    const enum sqa_status status = run_verb(v, false, argc, argv, &operands, err);
    sqa_argc = argc_before;
    sqa_argv = argv_before;
    fflush(stdout);
    const bool lost = dup2(out, STDOUT_FILENO) < 0;
    close(out);
    return lost && status == SQA_OK ? sqa_fail(err, SQA_MACHINE, "%s: standard output was lost; run again", argv[1])
                                    : status;
}
