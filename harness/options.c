/* options.c - see options.h */
#include "harness/options.h"

#include <stdio.h>
#include <string.h>

static const struct sqa_option *find(const struct sqa_verb *v, const char *name, size_t n)
{
    for (const struct sqa_option *o = v->options; o && o->name; o++)
        if ((strlen(o->name) == n && strncmp(o->name, name, n) == 0) || (n == 1 && o->letter && o->letter == *name))
            return o;
    return NULL;
}

static enum sqa_status unknown(const struct sqa_verb *v, const char *text, struct sqa_err *err)
{
    const char *names[64];
    size_t n = 0;
    for (const struct sqa_option *o = v->options; o && o->name && n < 64; o++)
        names[n++] = o->name;
    const char *near = sqa_nearest(text + strspn(text, "-"), names, n);
    if (near)
        return sqa_fail(err, SQA_USAGE, "%s: no option '%.100s'; did you mean --%s? See seqarena %s --help", v->name,
                        text, near, v->name);
    return sqa_fail(err, SQA_USAGE, "%s: no option '%.100s'; see seqarena %s --help", v->name, text, v->name);
}

static enum sqa_status store(const struct sqa_verb *v, const struct sqa_option *o, const char *value, void *options,
                             struct sqa_err *err)
{
    unsigned char *field = (unsigned char *)options + o->offset;
    int64_t i;
    double d;
    struct sqa_texts *list;
    switch (o->type) {
    case SQA_OPTION_FLAG:
        memcpy(field, &(int){1}, sizeof(int));
        return SQA_OK;
    case SQA_OPTION_TEXT:
        memcpy(field, &value, sizeof value);
        return SQA_OK;
    case SQA_OPTION_LIST:
        list = (struct sqa_texts *)(void *)field;
        if (list->n == (int)(sizeof list->at / sizeof list->at[0]))
            return sqa_fail(err, SQA_USAGE, "%s: --%s given more than %d times; use a pattern or a suite", v->name,
                            o->name, list->n);
        list->at[list->n++] = value;
        return SQA_OK;
    case SQA_OPTION_INT:
        if (!sqa_parse_int(value, &i) || (o->low < o->high && ((double)i < o->low || (double)i > o->high)))
            return sqa_fail(err, SQA_USAGE, "%s: --%s %.100s; give a whole number from %.0f to %.0f", v->name,
                            o->name, value, o->low, o->high);
        memcpy(field, &i, sizeof i);
        return SQA_OK;
    case SQA_OPTION_SECONDS:
        if (!sqa_parse_seconds(value, &d))
            return sqa_fail(err, SQA_USAGE, "%s: --%s %.100s; give a time such as 90s, 5m or 2h", v->name, o->name,
                            value);
        memcpy(field, &d, sizeof d);
        return SQA_OK;
    case SQA_OPTION_BYTES:
        if (!sqa_parse_bytes(value, &d))
            return sqa_fail(err, SQA_USAGE, "%s: --%s %.100s; give a size such as 512M or 2G", v->name, o->name,
                            value);
        memcpy(field, &d, sizeof d);
        return SQA_OK;
    }
    return SQA_OK;
}

static enum sqa_status operand(const struct sqa_verb *v, const char *text, int passed, struct sqa_texts *operands,
                               struct sqa_err *err)
{
    const int room = (int)(sizeof operands->at / sizeof operands->at[0]);
    const int most = v->operands_max < 0 || passed ? room : v->operands_max;
    if (operands->n >= most)
        return sqa_fail(err, SQA_USAGE, "%s: '%.100s' is one argument too many; usage: seqarena %s %s", v->name, text,
                        v->name, v->usage);
    operands->at[operands->n++] = text;
    operands->own += !passed;
    return SQA_OK;
}

enum sqa_status sqa_options_parse(const struct sqa_verb *v, int argc, char **argv, void *options,
                                  struct sqa_texts *operands, int *help, struct sqa_err *err)
{
    enum sqa_status status = SQA_OK;
    int ended = 0;
    *help = 0;
    for (int i = 0; i < argc && status == SQA_OK; i++) {
        const char *a = argv[i];
        if (ended || a[0] != '-' || a[1] == '\0') {
            status = operand(v, a, ended && v->pass, operands, err);
            continue;
        }
        if (strcmp(a, "--") == 0) {
            ended = 1;
            continue;
        }
        if (strcmp(a, "--help") == 0 || strcmp(a, "-h") == 0) {
            *help = 1;
            return SQA_OK;
        }
        const int is_long = a[1] == '-';
        const char *name = a + 1 + is_long;
        const char *equals = is_long ? strchr(name, '=') : NULL;
        const struct sqa_option *o = find(v, name, equals ? (size_t)(equals - name) : is_long ? strlen(name) : 1);
        if (!o || (is_long && o->letter == *name && name[1] == '\0' && strlen(o->name) != 1))
            return unknown(v, a, err);
        const char *value = equals ? equals + 1 : !is_long && name[1] ? name + 1 : NULL;
        if (o->type == SQA_OPTION_FLAG && value)
            return sqa_fail(err, SQA_USAGE, "%s: --%s takes no value; see seqarena %s --help", v->name, o->name,
                            v->name);
        if (o->type != SQA_OPTION_FLAG && !value) {
            if (i + 1 >= argc)
                return sqa_fail(err, SQA_USAGE, "%s: --%s needs %s; see seqarena %s --help", v->name, o->name,
                                o->argument, v->name);
            value = argv[++i];
        }
        status = store(v, o, value, options, err);
    }
    if (status == SQA_OK && operands->own < v->operands_min)
        return sqa_fail(err, SQA_USAGE, "%s: something is missing; usage: seqarena %s %s", v->name, v->name,
                        v->usage);
    return status;
}

void sqa_verb_help(const struct sqa_verb *v, struct sqa_text *out)
{
    sqa_text_printf(out, "usage: seqarena %s %s\n\n%s\n", v->name, v->usage, v->help);
    if (v->options && v->options->name)
        sqa_text_add(out, "\n");
    for (const struct sqa_option *o = v->options; o && o->name; o++) {
        char left[64];
        snprintf(left, sizeof left, "--%s%s%s", o->name, o->argument ? " " : "", o->argument ? o->argument : "");
        if (o->letter)
            sqa_text_printf(out, "  -%c, %-24s %s\n", o->letter, left, o->help);
        else
            sqa_text_printf(out, "      %-24s %s\n", left, o->help);
    }
    if (v->more)
        sqa_text_printf(out, "\n%s", v->more);
}

void sqa_program_help(struct sqa_text *out)
{
    sqa_text_add(out, "usage: seqarena VERB [options]\n\n"
                      "Trains, measures and compares sequence models on Long Range Arena and forecasting tasks.\n\n");
    for (int i = 0; sqa_verbs[i]; i++)
        if (!sqa_verbs[i]->hidden)
            sqa_text_printf(out, "  %-12s %s\n", sqa_verbs[i]->name, sqa_verbs[i]->help);
    sqa_text_add(out,
                 "\nseqarena VERB --help tells more. First steps:\n\n"
                 "  seqarena list models\n"
                 "  seqarena run --model transformer --model local --task listops:min=16,max=64 --scale smoke\n"
                 "  seqarena report results/runs/LATEST\n\n"
                 "Exit status: 0 done; 1 the answer is no; 2 usage; 3 bad input or missing data; 4 the machine or a\n"
                 "library failed; 5 finished, but some cells did not; 130 interrupted, state saved.\n");
}

void sqa_completion(struct sqa_text *out)
{
    sqa_text_add(out, "# bash completion for seqarena: source <(seqarena completion)\n_seqarena() {\n"
                      "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words=\n"
                      "  if [ \"$COMP_CWORD\" = 1 ]; then words=\"");
    for (int i = 0; sqa_verbs[i]; i++)
        if (!sqa_verbs[i]->hidden)
            sqa_text_printf(out, "%s ", sqa_verbs[i]->name);
    sqa_text_add(out, "\"\n  else\n    case $prev in\n"
                      "      --model) words=$(seqarena list models --names 2>/dev/null) ;;\n"
                      "      --task) words=$(seqarena list tasks --names 2>/dev/null) ;;\n"
                      "      --bind) words=\"compact spread none\" ;;\n"
                      "      --counters) words=\"software flops cache branch tlb stalls energy hardware\" ;;\n"
                      "      --scale) words=$(seqarena list recipes --names 2>/dev/null) ;;\n"
                      "      -o|--output|--plot|--data|--weights|--input)\n"
                      "        COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n"
                      "      *) case ${COMP_WORDS[1]} in\n");
    for (int i = 0; sqa_verbs[i]; i++) {
        if (sqa_verbs[i]->hidden)
            continue;
        sqa_text_printf(out, "        %s) words=\"", sqa_verbs[i]->name);
        for (const struct sqa_option *o = sqa_verbs[i]->options; o && o->name; o++)
            sqa_text_printf(out, "--%s ", o->name);
        if (strcmp(sqa_verbs[i]->name, "list") == 0)
            sqa_text_add(out, "models tasks recipes tables claims kernels counters ");
        if (strcmp(sqa_verbs[i]->name, "describe") == 0)
            sqa_text_add(out,
                         "$(seqarena list models --names 2>/dev/null) $(seqarena list tasks --names 2>/dev/null) ");
        if (strcmp(sqa_verbs[i]->name, "claim") == 0)
            sqa_text_add(out, "$(seqarena list claims --names 2>/dev/null) ");
        sqa_text_add(out, "\" ;;\n");
    }
    sqa_text_add(out, "      esac ;;\n    esac\n  fi\n  COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\n"
                      "complete -o bashdefault -F _seqarena seqarena\n");
}
