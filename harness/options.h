/*
 * options.h - command lines from tables: one row an option gives parsing, help and shell completion
 */
#ifndef SQA_HARNESS_OPTIONS_H
#define SQA_HARNESS_OPTIONS_H

#include "base/status.h"
#include "base/text.h"

enum sqa_option_type {
    SQA_OPTION_FLAG,    /* int, set to 1 */
    SQA_OPTION_TEXT,    /* const char * */
    SQA_OPTION_LIST,    /* struct sqa_texts: may be given many times */
    SQA_OPTION_INT,     /* int64_t */
    SQA_OPTION_SECONDS, /* double; 90, 90s, 5m, 1h */
    SQA_OPTION_BYTES,   /* double; 512M, 2G */
};

struct sqa_texts {
    int n;
    const char *at[256];
    int own; /* of operands: those before "--" */
};

struct sqa_option {
    const char *name; /* long, without the dashes */
    char letter;      /* 0: none */
    enum sqa_option_type type;
    const char *argument; /* "SPEC" */
    const char *help;     /* one line */
    size_t offset;        /* in the options struct */
    double low, high;     /* range of INT; low == high: none */
};

struct sqa_verb {
    const char *name;
    const char *usage;                /* "[options] BASE NEW" after the verb */
    const char *help;                 /* one line */
    const char *more;                 /* paragraphs and examples of --help, or NULL */
    const struct sqa_option *options; /* ends with { .name = NULL } */
    size_t options_size;
    int operands_min, operands_max;  /* -1: any number */
    void (*defaults)(void *options); /* before parsing; NULL: all zero */
    enum sqa_status (*run)(void *options, const struct sqa_texts *operands, struct sqa_err *err);
    int hidden;
    int pass; /* what follows "--" is passed on: operands_max does not count it */
};
extern const struct sqa_verb *const sqa_verbs[]; /* ends with NULL */

/* Parses argv (after the verb) into a zeroed options struct; "--" ends options. *help is set by --help or -h. */
enum sqa_status sqa_options_parse(const struct sqa_verb *v, int argc, char **argv, void *options,
                                  struct sqa_texts *operands, int *help, struct sqa_err *err) SQA_MUST_CHECK;
void sqa_verb_help(const struct sqa_verb *v, struct sqa_text *out);
void sqa_program_help(struct sqa_text *out);
void sqa_completion(struct sqa_text *out); /* bash */

#endif
