/* claim_check.c - what the lines of a claim file must be together (see claim.h) */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "reports/claim.h"

struct checker {
    const char *name;
    struct sqa_claim *claim;
    int last; /* line of the file */
    struct sqa_err *err;
};

static enum sqa_status bad(const struct checker *p, int line, const char *fmt, ...) SQA_PRINTF(3, 4);
static enum sqa_status bad(const struct checker *p, int line, const char *fmt, ...)
{
    char text[700];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return sqa_fail(p->err, SQA_INPUT, "%.200s, line %d: %s", p->name, line, text);
}

static bool has_model(const struct sqa_claim_cells *c, const char *model)
{
    for (size_t i = 0; i < c->n_models; i++)
        if (strcmp(c->models[i], model) == 0)
            return true;
    return false;
}

/* The bounds must make sense together: part weaker than reproduced, refuted on the other side of it. */
static enum sqa_status check_bounds(struct checker *p, const struct sqa_claim_test *t)
{
    const struct sqa_claim_bound *yes = &t->bound[SQA_CLAIM_IF_REPRODUCED], *part = &t->bound[SQA_CLAIM_IF_PART],
                                 *no = &t->bound[SQA_CLAIM_IF_REFUTED];
    if (!yes->text)
        return bad(p, t->line, "test %s has no reproduced; say from which figure on it counts", t->label);
    const double sign = yes->above ? 1 : -1;
    const struct sqa_claim_bound *weakest = part->text ? part : yes;
    if (part->text && (part->above != yes->above || sign * part->at >= sign * yes->at))
        return bad(p, t->line, "test %s: part %s is not weaker than reproduced %s; correct one", t->label, part->text,
                   yes->text);
    if (no->text && (no->above == yes->above || sign * no->at > sign * weakest->at))
        return bad(p, t->line, "test %s: refuted %s does not exclude %s; correct one", t->label, no->text,
                   weakest->text);
    for (int b = 0; t->kind == SQA_CLAIM_RATIO && b < SQA_CLAIM_BOUNDS; b++)
        if (t->bound[b].text && t->bound[b].at <= 0)
            return bad(p, t->line, "test %s: %s of a ratio; give a bound above 0", t->label, t->bound[b].text);
    return SQA_OK;
}

static enum sqa_status check_test(struct checker *p, struct sqa_claim_test *t)
{
    const bool exponent = t->kind == SQA_CLAIM_EXPONENT;
    if (t->kind == SQA_CLAIM_KINDS || t->value < 0 || !t->of)
        return bad(p, t->line, "test %s has no kind, value or of; give all three", t->label);
    if (exponent ? t->over || t->over_task || !isnan(t->over_length) || !isnan(t->length) : !t->over)
        return bad(p, t->line,
                   exponent ? "test %s is an exponent, which has from and to, no over and no length; remove them"
                            : "test %s has no over; name the model that it is compared with",
                   t->label);
    if (!exponent && (!isnan(t->from) || !isnan(t->to)))
        return bad(p, t->line, "test %s has from or to, which an exponent has; give a length", t->label);
    if (t->kind == SQA_CLAIM_DIFFERENCE && t->value != SQA_VALUE_test_accuracy && t->value != SQA_VALUE_test_mse &&
        t->value != SQA_VALUE_test_loss)
        return bad(p, t->line,
                   "test %s: a difference of %s has no paired interval; give a ratio, or the difference of "
                   "test_accuracy, test_mse or test_loss",
                   t->label, sqa_value_name(t->value));
    for (size_t i = 0; i < p->claim->n_cells; i++)
        if (t->cells_label ? strcmp(p->claim->cells[i].label, t->cells_label) == 0 : p->claim->n_cells == 1)
            t->cells = &p->claim->cells[i];
    if (!t->cells)
        return bad(p, t->line, "test %s: cells %.60s; name one of the [cells LABEL] of this file", t->label,
                   t->cells_label ? t->cells_label : "are not named");
    if (!has_model(t->cells, t->of) || (t->over && !has_model(t->cells, t->over)))
        return bad(p, t->line, "test %s: %.100s is no model of cells %s; add it there or correct it", t->label,
                   has_model(t->cells, t->of) ? t->over : t->of, t->cells->label);
    return check_bounds(p, t);
}

static enum sqa_status check(struct checker *p)
{
    struct sqa_claim *c = p->claim;
    enum sqa_status status = SQA_OK;
    if (!c->title || !c->paper || !c->source || !c->published || !c->refutes || !c->budget)
        return bad(p, p->last, "[claim] lacks one of title, paper, source, published, refutes and budget; give all");
    if (!c->n_cells || !c->n_tests)
        return bad(p, p->last, "no [cells LABEL] or no [test LABEL]; give at least one of each");
    for (size_t i = 0; i < c->n_cells; i++) {
        struct sqa_claim_cells *cells = &c->cells[i];
        if (!cells->n_models || (!cells->bench && !cells->n_tasks))
            return bad(p, cells->line, "cells %s has no %s; give at least one", cells->label,
                       cells->n_models ? "task" : "model");
        cells->scale = cells->scale ? cells->scale : cells->bench ? "bench" : "lite";
    }
    for (size_t i = 0; i < c->n_tests && status == SQA_OK; i++)
        status = check_test(p, &c->tests[i]);
    return status;
}

enum sqa_status sqa_claim_check(const char *name, struct sqa_claim *claim, int last, struct sqa_err *err)
{
    return check(&(struct checker){name, claim, last, err});
}
