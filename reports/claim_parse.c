/*
 * claim_parse.c - the text of a claim file (see claim.h)
 *
 * As with tables, inih reads the lines, but section headers are read here, with line numbers for messages. What a
 * line cannot tell alone is checked in claim_check.c.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <ini.h>

#include "reports/claim.h"

enum { LABEL_MAX = 60, SECTION_CLAIM = 0, SECTION_CELLS, SECTION_TEST, SECTIONS };
static const char *const kinds[SQA_CLAIM_KINDS] = {"ratio", "difference", "exponent"};
/* Options of cells; the same names as of run and bench. */
static const char *const options[] = {"lengths", "batch", "phase", "seeds",  "seed",  "rounds",
                                      "threads", "train", "dtype", "memory", "budget"};

struct parser {
    const char *name, *at;
    int line, section; /* section -1: before the first */
    bool claim;        /* [claim] was there */
    struct sqa_claim *c;
    struct sqa_err *err;
    enum sqa_status status;
};

const char *sqa_claim_kind_name(enum sqa_claim_kind kind)
{
    return kinds[kind];
}

const char *sqa_claim_option(const struct sqa_claim_cells *cells, const char *name)
{
    for (size_t i = 0; i < cells->n_options; i++)
        if (strcmp(cells->options[i].name, name) == 0)
            return cells->options[i].value;
    if (strcmp(name, "rounds") == 0) /* the defaults of the verbs */
        return cells->bench ? "10" : "8";
    return strcmp(name, "seeds") == 0 ? "1" : "";
}

static enum sqa_status bad(struct parser *p, int line, const char *fmt, ...) SQA_PRINTF(3, 4);
static enum sqa_status bad(struct parser *p, int line, const char *fmt, ...)
{
    char text[700];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return p->status = sqa_fail(p->err, SQA_INPUT, "%.200s, line %d: %s", p->name, line, text);
}

static enum sqa_status no_memory(struct parser *p)
{
    return p->status =
               sqa_fail(p->err, SQA_NOMEM, "%s: no memory for the claim; free some memory and run again", p->name);
}

/* One text, given once. */
static enum sqa_status put_text(struct parser *p, const char **to, const char *name, const char *value)
{
    if (*to)
        return bad(p, p->line, "%.60s is given twice; give it once", name);
    *to = sqa_arena_strdup(&p->c->arena, value);
    return *to ? SQA_OK : no_memory(p);
}

/* The next of several. */
static enum sqa_status put_next(struct parser *p, const char **list, size_t *n, size_t most, const char *name,
                                const char *value)
{
    if (*n == most)
        return bad(p, p->line, "%.60s is given more than %zu times; leave some out", name, most);
    return put_text(p, &list[(*n)++], name, value);
}

static enum sqa_status put_size(struct parser *p, double *to, const char *name, const char *value)
{
    int64_t n;
    if (!isnan(*to))
        return bad(p, p->line, "%.60s is given twice; give it once", name);
    if (!sqa_parse_int(value, &n) || n < 1 || n > INT64_C(1) << 40)
        return bad(p, p->line, "%.60s = %.60s; give a whole number above 0, such as 4096 or 4K", name, value);
    *to = (double)n;
    return SQA_OK;
}

static enum sqa_status set_claim(struct parser *p, const char *name, const char *value)
{
    struct sqa_claim *c = p->c;
    const struct {
        const char *name, **to;
    } texts[] = {{"title", &c->title},         {"paper", &c->paper},     {"source", &c->source},
                 {"published", &c->published}, {"refutes", &c->refutes}, {"budget", &c->budget}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (strcmp(texts[i].name, name) == 0)
            return put_text(p, texts[i].to, name, value);
    if (strcmp(name, "note") == 0)
        return put_next(p, c->notes, &c->n_notes, SQA_CLAIM_NOTES, name, value);
    return bad(p, p->line,
               "'%.60s' is no key of [claim]; give title, paper, source, published, refutes, budget or note", name);
}

static enum sqa_status set_cells(struct parser *p, const char *name, const char *value)
{
    struct sqa_claim_cells *c = &p->c->cells[p->c->n_cells - 1];
    if (strcmp(name, "model") == 0)
        return put_next(p, c->models, &c->n_models, SQA_CLAIM_MODELS, name, value);
    if (strcmp(name, "task") == 0)
        return put_next(p, c->tasks, &c->n_tasks, SQA_CLAIM_MODELS, name, value);
    if (strcmp(name, "scale") == 0)
        return put_text(p, &c->scale, name, value);
    if (strcmp(name, "run") == 0) {
        c->bench = strcmp(value, "bench") == 0;
        return c->bench || strcmp(value, "run") == 0 ? SQA_OK
                                                     : bad(p, p->line, "run = %.60s; give bench or run", value);
    }
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        if (strcmp(options[i], name) != 0)
            continue;
        for (size_t k = 0; k < c->n_options; k++)
            if (strcmp(c->options[k].name, name) == 0)
                return bad(p, p->line, "%.60s is given twice; give it once", name);
        c->options[c->n_options].name = options[i];
        return put_text(p, &c->options[c->n_options++].value, name, value);
    }
    const char *near = sqa_nearest(name, options, sizeof options / sizeof options[0]);
    return bad(p, p->line, "'%.60s' is no key of cells%s%s%s; see reports/claim.h", name,
               near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
}

static enum sqa_status put_kind(struct parser *p, struct sqa_claim_test *t, const char *value)
{
    for (int k = 0; k < SQA_CLAIM_KINDS; k++)
        if (strcmp(kinds[k], value) == 0) {
            t->kind = (enum sqa_claim_kind)k;
            return SQA_OK;
        }
    return bad(p, p->line, "kind = %.60s; give ratio, difference or exponent", value);
}

static enum sqa_status put_value(struct parser *p, struct sqa_claim_test *t, const char *value)
{
    const char *names[SQA_VALUE_N];
    for (int v = 0; v < SQA_VALUE_N; v++) {
        names[v] = sqa_value_name(v);
        if (strcmp(names[v], value) == 0)
            t->value = v;
    }
    if (t->value >= 0 && strstr(value, "tokens_per_s"))
        return bad(p, p->line, "value = %.60s; give the latency_ns of that phase, with the two models exchanged",
                   value);
    const char *near = t->value < 0 ? sqa_nearest(value, names, SQA_VALUE_N) : NULL;
    return t->value >= 0 ? SQA_OK
                         : bad(p, p->line, "value = %.60s%s%s%s; give one such as infer_latency_ns", value,
                               near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
}

/* ">= 3" */
static enum sqa_status put_bound(struct parser *p, struct sqa_claim_bound *b, const char *name, const char *value)
{
    if (put_text(p, &b->text, name, value) != SQA_OK)
        return p->status;
    const char *at = value + 1;
    b->above = value[0] == '>';
    b->strict = *at != '=';
    at += b->strict ? 0 : 1;
    at += strspn(at, " \t");
    if ((value[0] != '>' && value[0] != '<') || !sqa_parse_real(at, &b->at))
        return bad(p, p->line, "%.60s = %.60s; give >= or <= (or > or <) and a number, such as >= 3", name, value);
    return SQA_OK;
}

static enum sqa_status set_test(struct parser *p, const char *name, const char *value)
{
    struct sqa_claim_test *t = &p->c->tests[p->c->n_tests - 1];
    const struct {
        const char *name, **to;
    } texts[] = {{"of", &t->of},
                 {"over", &t->over},
                 {"task", &t->task},
                 {"over_task", &t->over_task},
                 {"cells", &t->cells_label},
                 {"published", &t->published}};
    const struct {
        const char *name;
        double *to;
    } sizes[] = {{"length", &t->length},
                 {"over_length", &t->over_length},
                 {"batch", &t->batch},
                 {"from", &t->from},
                 {"to", &t->to}};
    static const char *const bounds[SQA_CLAIM_BOUNDS] = {"reproduced", "part", "refuted"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (strcmp(texts[i].name, name) == 0)
            return put_text(p, texts[i].to, name, value);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        if (strcmp(sizes[i].name, name) == 0)
            return put_size(p, sizes[i].to, name, value);
    for (size_t i = 0; i < SQA_CLAIM_BOUNDS; i++)
        if (strcmp(bounds[i], name) == 0)
            return put_bound(p, &t->bound[i], name, value);
    if (strcmp(name, "kind") == 0)
        return put_kind(p, t, value);
    if (strcmp(name, "value") == 0)
        return put_value(p, t, value);
    return bad(p, p->line, "'%.60s' is no key of a test; see reports/claim.h", name);
}

static int handle(void *user, const char *section, const char *name, const char *value)
{
    struct parser *p = user;
    static enum sqa_status (*const set[SECTIONS])(struct parser *, const char *,
                                                  const char *) = {set_claim, set_cells, set_test};
    (void)section;
    if (p->status != SQA_OK)
        return 0;
    if (p->section < 0)
        bad(p, p->line, "a key before the first section; put it under [claim]");
    else if (!value || !*value)
        bad(p, p->line, "%.60s has no value; give one or remove the line", name);
    else
        p->status = set[p->section](p, name, value);
    return p->status == SQA_OK;
}

static enum sqa_status add_cells(struct parser *p, const char *label)
{
    struct sqa_claim *c = p->c;
    if (label[strspn(label, "abcdefghijklmnopqrstuvwxyz0123456789-_")] != '\0')
        return bad(p, p->line, "cells %s: it names a folder; use small letters, digits, - and _", label);
    for (size_t i = 0; i < c->n_cells; i++)
        if (strcmp(c->cells[i].label, label) == 0)
            return bad(p, p->line, "second cells %s; give each its own name", label);
    if (c->n_cells == SQA_CLAIM_CELLS)
        return bad(p, p->line, "more than %d cells; make two claims", SQA_CLAIM_CELLS);
    c->cells[c->n_cells++] = (struct sqa_claim_cells){.label = label, .line = p->line, .bench = true};
    return SQA_OK;
}

static enum sqa_status add_test(struct parser *p, const char *label)
{
    const double any = (double)NAN;
    struct sqa_claim *c = p->c;
    for (size_t i = 0; i < c->n_tests; i++)
        if (strcmp(c->tests[i].label, label) == 0)
            return bad(p, p->line, "a second test %s; give each its own name", label);
    if (c->n_tests == SQA_CLAIM_TESTS)
        return bad(p, p->line, "more than %d tests; make two claims", SQA_CLAIM_TESTS);
    c->tests[c->n_tests++] = (struct sqa_claim_test){.label = label,
                                                     .line = p->line,
                                                     .value = -1,
                                                     .kind = SQA_CLAIM_KINDS,
                                                     .length = any,
                                                     .over_length = any,
                                                     .batch = any,
                                                     .from = any,
                                                     .to = any};
    return SQA_OK;
}

/* line: "[claim]", "[cells LABEL]" or "[test LABEL]", perhaps with a comment. */
static enum sqa_status start_section(struct parser *p, char *line)
{
    static const char *const names[SECTIONS] = {"claim", "cells ", "test "};
    char *end = strchr(line, ']');
    const char *rest = end ? end + 1 + strspn(end + 1, " \t\r") : "";
    if (!end || (*rest != '\0' && *rest != ';'))
        return bad(p, p->line, "a section without ] at its end; close it");
    *end = '\0';
    for (int s = 0; s < SECTIONS; s++) {
        const size_t n = strlen(names[s]);
        if (strncmp(line + 1, names[s], n) != 0 || (s == SECTION_CLAIM && line[1 + n]))
            continue;
        const char *label = sqa_arena_strdup(&p->c->arena, line + 1 + n);
        if (!label)
            return no_memory(p);
        if (s == SECTION_CLAIM && p->claim)
            return bad(p, p->line, "a second [claim]; join them");
        if (s != SECTION_CLAIM && (!*label || strlen(label) > LABEL_MAX))
            return bad(p, p->line, "a label of %zu characters; give 1 to %d", strlen(label), LABEL_MAX);
        p->section = s;
        p->claim = p->claim || s == SECTION_CLAIM;
        return s == SECTION_CELLS ? add_cells(p, label) : s == SECTION_TEST ? add_test(p, label) : SQA_OK;
    }
    return bad(p, p->line, "[%.60s]; write [claim], [cells LABEL] or [test LABEL]", line + 1);
}

/* The next line without leading blanks, as fgets would give it; a section becomes "[s]". */
static char *next_line(char *buffer, int size, void *user)
{
    struct parser *p = user;
    char why[80] = "";
    char *line = p->status == SQA_OK ? sqa_next_ini_line(&p->at, &p->line, buffer, size, why) : NULL;
    if (*why)
        bad(p, p->line, "%s", why);
    if (line && *line == '[' && start_section(p, line) == SQA_OK)
        snprintf(line, (size_t)size, "[s]");
    return line && p->status == SQA_OK ? strcat(line, "\n") : NULL;
}

enum sqa_status sqa_claim_parse(const char *name, const char *text, struct sqa_claim *out, struct sqa_err *err)
{
    struct parser p = {.name = name, .at = text, .section = -1, .c = out, .err = err, .status = SQA_OK};
    *out = (struct sqa_claim){0};
    const int line = ini_parse_stream(next_line, &p, handle, &p);
    if (p.status == SQA_OK && line < 0)
        no_memory(&p);
    if (p.status == SQA_OK && line > 0)
        bad(&p, line, "neither [SECTION] nor NAME = VALUE; correct it or put ; before it");
    if (p.status == SQA_OK)
        p.status = sqa_claim_check(name, out, p.line, err);
    if (p.status != SQA_OK)
        sqa_claim_clear(out);
    return p.status;
}

void sqa_claim_clear(struct sqa_claim *claim)
{
    sqa_arena_clear(&claim->arena);
    *claim = (struct sqa_claim){0};
}
