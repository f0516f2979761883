/* main.c - the only place that prints errors and exits */
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/memory.h"
#include "harness/verbs.h"

int main(int argc, char **argv)
{
    struct sqa_err err = {.text = ""};
    json_set_alloc_funcs(sqa_alloc, sqa_free); /* only base/ calls malloc */
    sqa_argc = argc;
    sqa_argv = argv;
    const enum sqa_status status = sqa_dispatch(argc, argv, &err);
    if (status != SQA_OK && err.text[0]) {
        err.text[strcspn(err.text, "\n")] = '\0';
        fprintf(stderr, "seqarena: %s\n", err.text);
    }
    return sqa_status_exit(status);
}
