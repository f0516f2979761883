/* verb_list.c - list and describe: what the registries hold */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/file.h"
#include "base/memory.h"
#include "engine/plan.h"
#include "harness/measure/measure.h"
#include "harness/plan.h"
#include "harness/recipe.h"
#include "harness/claims.h"
#include "harness/tables.h"
#include "harness/verbs.h"
#include "kernels/kernels.h"
#include "models/model.h"
#include "tasks/task.h"

struct options {
    int names, json;
};
static const struct sqa_option options_table[] = {
    {"names", 0, SQA_OPTION_FLAG, NULL, "names only, one a line", offsetof(struct options, names), 0, 0},
    {"json", 0, SQA_OPTION_FLAG, NULL, "for machines", offsetof(struct options, json), 0, 0},
    {.name = NULL},
};

struct listing { /* rows under construction: name first */
    struct sqa_columns columns;
    json_t *json;
    const char *const *header;
    void *pattern;
    int n;
};

static void add(struct listing *l, const char *const *cells)
{
    if (l->pattern && !sqa_pattern_matches(l->pattern, cells[0]))
        return;
    json_t *o = json_object();
    for (int i = 0; i < l->columns.n; i++)
        json_object_set_new(o, l->header[i], json_string(cells[i] ? cells[i] : ""));
    json_array_append_new(l->json, o);
    sqa_columns_add(&l->columns, cells);
    l->n++;
}

static void list_models(struct listing *l)
{
    for (int i = 0; sqa_variants[i]; i++) {
        const struct sqa_variant *v = sqa_variants[i];
        add(l, (const char *const[]){v->id, sqa_slot_name(v->slot), v->title, v->complexity ? v->complexity : ""});
    }
}

static void list_tasks(struct listing *l)
{
    for (int i = 0; sqa_tasks[i]; i++) {
        const struct sqa_task *t = sqa_tasks[i];
        struct sqa_text floors = {0};
        for (const char *const *f = t->floors; f && *f; f++)
            sqa_text_printf(&floors, "%s%s", floors.length ? " " : "", *f);
        add(l, (const char *const[]){t->id, sqa_task_kind_name(t->kind), t->title, sqa_text_get(&floors)});
        sqa_text_clear(&floors);
    }
}

/* "WHAT" of a recipe's first line, "; NAME.ini - WHAT"; "" when it has none. */
static const char *title_of_recipe(const char *name, struct sqa_arena *arena)
{
    char path[4096], *text;
    size_t size;
    if (sqa_recipe_path(name, path, NULL) != SQA_OK || sqa_file_read(path, 1 << 20, &text, &size, NULL) != SQA_OK)
        return "";
    text[strcspn(text, "\n")] = '\0';
    const char *dash = text[0] == ';' ? strstr(text, " - ") : NULL,
               *title = dash ? sqa_arena_strdup(arena, dash + 3) : "";
    sqa_free(text);
    return title ? title : "";
}

static void list_recipes(struct listing *l)
{
    struct sqa_text t = {0};
    sqa_recipe_list(&t);
    char *text = t.text, *save = NULL;
    for (char *name = text ? strtok_r(text, "\n", &save) : NULL; name; name = strtok_r(NULL, "\n", &save)) {
        struct sqa_arena arena = {0};
        struct sqa_recipe r;
        const char *frame, *source = "";
        if (sqa_recipe_resolve(name, "*", "*", "", &arena, &r, &frame, NULL) == SQA_OK)
            source = r.matched && r.source ? r.source : title_of_recipe(name, &arena);
        add(l, (const char *const[]){name, source});
        sqa_arena_clear(&arena);
    }
    sqa_text_clear(&t);
}

static void list_tables(struct listing *l)
{
    struct sqa_arena arena = {0};
    const char *names[SQA_TABLE_NAMES];
    const size_t n = sqa_table_names(&arena, names);
    for (size_t i = 0; i < n; i++) {
        struct sqa_paper p;
        struct sqa_err err;
        const bool ok = sqa_table_load(names[i], &p, &err) == SQA_OK;
        add(l, (const char *const[]){names[i], ok ? sqa_paper_kind_name((int)p.kind) : "-", ok ? p.title : err.text,
                                     ok ? p.source : ""});
        l->columns.failed = l->columns.failed || (!ok && err.code == SQA_NOMEM);
        if (ok)
            sqa_paper_clear(&p);
    }
    sqa_arena_clear(&arena);
}

static void list_claims(struct listing *l)
{
    struct sqa_arena arena = {0};
    const char *names[SQA_CLAIM_NAMES];
    const size_t n = sqa_claim_names(&arena, names);
    struct sqa_claim *claim = sqa_alloc(sizeof *claim);
    for (size_t i = 0; i < n && claim; i++) {
        struct sqa_err err;
        const bool ok = sqa_claim_load(names[i], claim, &err) == SQA_OK;
        add(l, (const char *const[]){names[i], ok ? claim->title : err.text, ok ? claim->paper : ""});
        l->columns.failed = l->columns.failed || (!ok && err.code == SQA_NOMEM);
        sqa_claim_clear(claim);
    }
    l->columns.failed = l->columns.failed || !claim;
    sqa_free(claim);
    sqa_arena_clear(&arena);
}

static void list_kernels(struct listing *l)
{
    const struct sqa_kernels *simd[8];
    struct sqa_text forms = {0};
    sqa_kernels_init();
    const size_t n = sqa_kernels_simd(simd);
    sqa_text_add(&forms, "plain");
    for (size_t i = 0; i < n; i++)
        sqa_text_printf(&forms, " %s", simd[i]->isa);
    for (const struct sqa_kernel_check *c = sqa_kernel_checks; c->kernel; c++) {
        char bound[32];
        add(l, (const char *const[]){c->kernel, sqa_text_get(&forms), sqa_kernels_f32.isa,
                                     sqa_format_real(bound, c->bound)});
    }
    sqa_text_clear(&forms);
}

static void list_counters(struct listing *l)
{
    enum { MOST = 256 };
    struct sqa_counter_info *info = sqa_alloc_array(MOST, sizeof *info);
    const int n = info ? sqa_counters_try(&sqa_counter_machine, info, MOST) : 0;
    for (int i = 0; i < n; i++)
        add(l, (const char *const[]){info[i].name, info[i].groups[0] ? info[i].groups : "hardware",
                                     info[i].available ? "yes" : "no",
                                     info[i].available ? info[i].help : info[i].reason});
    sqa_free(info);
}

static const struct kind {
    const char *name;
    int columns;
    const char *header[6];
    void (*list)(struct listing *);
} kinds[] = {
    {"models", 4, {"id", "slot", "title", "complexity"}, list_models},
    {"tasks", 4, {"id", "kind", "title", "floors"}, list_tasks},
    {"recipes", 2, {"name", "source"}, list_recipes},
    {"tables", 4, {"name", "kind", "title", "source"}, list_tables},
    {"claims", 3, {"name", "claim", "paper"}, list_claims},
    {"kernels", 4, {"kernel", "forms", "in use", "bound"}, list_kernels},
    {"counters", 4, {"event", "groups", "usable", "what, or why not"}, list_counters},
};

static enum sqa_status run_list(void *options, const struct sqa_texts *operands, struct sqa_err *err)
{
    const struct options *o = options;
    const struct kind *k = NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i].name, operands->at[0]) == 0)
            k = &kinds[i];
    if (!k && strcmp(operands->at[0], "suites") == 0)
        return sqa_fail(
            err, SQA_UNSUPPORTED,
            "list: no suites in this build; see models, tasks, recipes, tables, claims, kernels, counters");
    if (!k)
        return sqa_fail(err, SQA_USAGE,
                        "list: '%.100s'; give models, tasks, recipes, tables, claims, kernels or counters",
                        operands->at[0]);
    struct listing l = {.columns = {.n = k->columns}, .json = json_array(), .header = k->header};
    struct sqa_text t = {0};
    enum sqa_status status = SQA_OK;
    if (operands->n > 1)
        status = sqa_pattern_compile("list", operands->at[1], &l.pattern, err);
    if (status != SQA_OK) {
        json_decref(l.json);
        return status;
    }
    if (!o->names && !o->json)
        sqa_columns_add(&l.columns, k->header);
    k->list(&l);
    if (o->json) {
        char *text = json_dumps(l.json, JSON_INDENT(2));
        sqa_text_printf(&t, "%s\n", text ? text : "");
        sqa_free(text);
    } else if (o->names) {
        for (size_t i = 0; i < json_array_size(l.json); i++)
            sqa_text_printf(&t, "%s\n", json_string_value(json_object_get(json_array_get(l.json, i), k->header[0])));
    }
    struct sqa_text table = {0};
    sqa_columns_print(&l.columns, &table);
    if (!o->json && !o->names)
        sqa_text_add(&t, sqa_text_get(&table));
    sqa_text_clear(&table);
    json_decref(l.json);
    if (l.pattern)
        sqa_pattern_free(l.pattern);
    if (l.n == 0 && operands->n > 1) {
        sqa_text_clear(&t);
        return sqa_fail(err, SQA_USAGE, "list %s: nothing matches '%.200s'; leave the pattern out to see all",
                        k->name, operands->at[1]);
    }
    return sqa_print(&t, NULL, err);
}

const struct sqa_verb sqa_verb_list = {
    .name = "list",
    .usage = "{models|tasks|recipes|tables|claims|kernels|counters} [REGEX]",
    .help = "what there is: models, tasks, recipes, tables, claims, kernels, counters",
    .options = options_table,
    .options_size = sizeof(struct options),
    .operands_min = 1,
    .operands_max = 2,
    .run = run_list,
};

/* describe */

/* Words of text in lines of at most 100 columns, each after the indent. */
static void print_wrapped(struct sqa_text *t, size_t indent, const char *text)
{
    size_t column = indent;
    for (const char *word = text; *word;) {
        const size_t n = strcspn(word, " ");
        if (column > indent && column + 1 + n > 100) {
            sqa_text_printf(t, "\n%*s", (int)indent, "");
            column = indent;
        } else if (column > indent) {
            sqa_text_add(t, " ");
            column++;
        }
        sqa_text_add_bytes(t, word, n);
        column += n;
        word += n + strspn(word + n, " ");
    }
    sqa_text_add(t, "\n");
}

static void print_params(const struct sqa_param *params, struct sqa_text *t)
{
    struct sqa_columns c = {.n = 3};
    for (const struct sqa_param *p = params; p && p->name; p++) {
        char left[128], range[96] = "", low[32], high[32];
        snprintf(left, sizeof left, "  %s=%s", p->name, p->fallback);
        if (p->choices)
            snprintf(range, sizeof range, "%s", p->choices);
        else if (p->low < p->high)
            snprintf(range, sizeof range, "%s to %s", sqa_format_real(low, p->low), sqa_format_real(high, p->high));
        sqa_columns_add(&c, (const char *const[]){left, range, p->help});
    }
    sqa_columns_print(&c, t);
}

/* Whether logits are independent of padding. */
static void describe_padding(const struct sqa_model *m, struct sqa_text *t)
{
    const char *part = sqa_model_padded_part(m);
    if (!part)
        sqa_text_add(t, "padding     answers do not depend on the amount of padding\n");
    else
        sqa_text_printf(t,
                        "padding     answers depend on the amount of padding (%s); give every row one length with "
                        "--train pad=full\n",
                        part);
}

/* A model with parameters: its forms and parts. */
static enum sqa_status describe_model(const char *spec, struct sqa_text *t, struct sqa_err *err)
{
    struct sqa_model *m;
    const enum sqa_status status = sqa_model_parse(spec, &m, err);
    if (status != SQA_OK)
        return status;
    sqa_text_printf(t, "%s: %s\nin full     ", m->short_form, m->preset.variant->title);
    print_wrapped(t, 12, m->full_form);
    if (m->preset.variant->slot == SQA_SLOT_MIXER)
        describe_padding(m, t);
    sqa_text_printf(t, "\nSee seqarena describe %s for its parameters.\n", m->preset.variant->id);
    sqa_model_free(m);
    return SQA_OK;
}

static void describe_variant(const struct sqa_variant *v, struct sqa_text *t)
{
    static const struct {
        unsigned bit;
        const char *text;
    } traits[] = {{SQA_TRAIT_CAUSAL, "has a causal form (causal=1)"},
                  {SQA_TRAIT_PADDING, "padding leaves valid outputs unchanged"},
                  {SQA_TRAIT_EQUIVARIANT, "permuting positions permutes outputs"},
                  {SQA_TRAIT_SUM_TO_ONE, "mixing weights of a row sum to 1"},
                  {SQA_TRAIT_CONTROL, "a control, shown beside the floors"},
                  {SQA_TRAIT_QKV, "q, k and v may have another width than the stream (qkv=N)"},
                  {SQA_TRAIT_LINEAR_MEMORY, "memory grows linearly in length"}};
    sqa_text_printf(t, "%s: %s (slot %s)\n", v->id, v->title, sqa_slot_name(v->slot));
    sqa_text_add(t, "source      ");
    print_wrapped(t, 12, v->source ? v->source : "-");
    if (v->complexity)
        sqa_text_printf(t, "complexity  %s\n", v->complexity);
    struct sqa_model *m = NULL;
    if (v->slot == SQA_SLOT_MIXER && sqa_model_parse(v->id, &m, NULL) == SQA_OK)
        describe_padding(m, t);
    sqa_model_free(m);
    if (v->help) {
        sqa_text_add(t, "\n");
        print_wrapped(t, 0, v->help);
    }
    sqa_text_add(t, "\nparameters\n");
    print_params(v->params, t);
    for (const struct sqa_default *d = v->lra; d && d->name; d++)
        sqa_text_printf(t, "%s%s=%s%s", d == v->lra ? "  with form=lra: " : ", ", d->name, d->value,
                        d[1].name ? "" : "\n");
    if (!v->params || !v->params->name)
        sqa_text_add(t, "  none of its own\n");
    if (v->slot == SQA_SLOT_MIXER) {
        sqa_text_add(t, "\nparameters of the frame\n");
        print_params(sqa_frame_params, t);
        print_params(sqa_frame_later, t);
    }
    sqa_text_add(t, v->traits ? "\npromises (checked by seqarena verify)\n" : "");
    for (size_t i = 0; i < sizeof traits / sizeof traits[0]; i++)
        if (v->traits & traits[i].bit)
            sqa_text_printf(t, "  %s\n", traits[i].text);
    if (v->identities && v->identities->name)
        sqa_text_add(t, "\nidentities (checked by seqarena verify)\n");
    for (const struct sqa_identity *i = v->identities; i && i->name; i++)
        sqa_text_printf(t, "  %s\n", i->name);
}

static void describe_task(const struct sqa_task *k, struct sqa_text *t)
{
    sqa_text_printf(t, "%s: %s (%s)\nsource      ", k->id, k->title,
                    k->kind == SQA_CLASSIFY ? "classification"
                    : k->kind == SQA_TAG    ? "tag: labels at positions"
                    : k->kind == SQA_PAIR   ? "pair: a label for two sequences"
                                            : "forecasting");
    print_wrapped(t, 12, k->source);
    if (k->help) {
        sqa_text_add(t, "\n");
        print_wrapped(t, 0, k->help);
    }
    sqa_text_add(t, "\nparameters\n");
    print_params(k->params, t);
    print_params(k->later, t);
    sqa_text_add(t, "\nfloors beside every result\n");
    for (const char *const *f = k->floors; f && *f; f++)
        sqa_text_printf(t, "  %s\n", *f);
    if (!k->floors || !*k->floors)
        sqa_text_add(t, "  none: it is for timing\n");
}

static void describe_table(const struct sqa_paper *p, struct sqa_text *t)
{
    struct sqa_columns c = {.n = 3}, r = {.n = 2};
    sqa_text_printf(t, "%s: %s (%s)\nsource      ", p->name, p->title, sqa_paper_kind_name((int)p->kind));
    print_wrapped(t, 12, p->source);
    for (size_t i = 0; i < p->n_published; i++)
        sqa_text_printf(t, "%s%s", i ? ", " : "published   ", p->published[i]);
    sqa_text_add(t, p->n_published ? "\n" : "");
    if (p->scale)
        sqa_text_printf(t, "scale       %s, %lld seed%s\n", p->scale, (long long)p->seeds, p->seeds == 1 ? "" : "s");
    if (p->kind == SQA_PAPER_BUBBLES)
        sqa_text_printf(t, "drawn from  tables %s and %s at %s\n", p->score, p->speed, p->at);
    for (size_t i = 0; i < p->n_baselines; i++)
        sqa_text_printf(t, "baseline    %s\n", p->baseline[i]);
    if (p->size_rule > 0)
        sqa_text_printf(t, "size rule   at most %g %% more parameters than the baseline\n", p->size_rule);
    for (size_t i = 0; i < p->n_notes; i++) {
        sqa_text_add(t, i ? "" : "\n");
        print_wrapped(t, 0, p->note[i]);
    }
    sqa_text_add(t, p->n_columns ? "\ncolumns\n" : "");
    for (size_t i = 0; i < p->n_columns; i++) {
        char left[96];
        snprintf(left, sizeof left, "  %s", p->columns[i].label);
        sqa_columns_add(&c, (const char *const[]){left,
                                                  p->columns[i].task   ? p->columns[i].task
                                                  : p->columns[i].mean ? "a mean of those above"
                                                                       : "published only",
                                                  isnan(p->columns[i].unsolved) ? "" : "may stay unsolved"});
    }
    sqa_columns_print(&c, t);
    sqa_text_add(t, p->n_rows ? "\nrows\n" : "");
    for (size_t i = 0; i < p->n_rows; i++) {
        char left[96];
        snprintf(left, sizeof left, "  %s", p->rows[i].label);
        sqa_columns_add(&r, (const char *const[]){left, p->rows[i].model ? p->rows[i].model : "published only"});
    }
    sqa_columns_print(&r, t);
}

static enum sqa_status describe_known_table(const char *name, struct sqa_err *err)
{
    struct sqa_paper p;
    struct sqa_text t = {0};
    const enum sqa_status status = sqa_table_load(name, &p, err);
    if (status != SQA_OK)
        return status;
    describe_table(&p, &t);
    sqa_paper_clear(&p);
    return sqa_print(&t, NULL, err);
}

static enum sqa_status run_describe(void *options, const struct sqa_texts *operands, struct sqa_err *err)
{
    const char *name = operands->at[0], *names[512];
    const struct sqa_variant *v = sqa_variant_find(name);
    const struct sqa_task *k = sqa_task_find(name);
    struct sqa_text t = {0};
    size_t n = 0;
    (void)options;
    if (v)
        describe_variant(v, &t);
    if (k)
        describe_task(k, &t);
    if (v || k)
        return sqa_print(&t, NULL, err);
    if (strpbrk(name, ":+")) {
        const enum sqa_status status = describe_model(name, &t, err);
        if (status == SQA_OK)
            return sqa_print(&t, NULL, err);
        sqa_text_clear(&t);
        return status;
    }
    if (sqa_table_exists(name))
        return describe_known_table(name, err);
    struct sqa_arena arena = {0};
    const char *tables[SQA_TABLE_NAMES];
    const size_t n_tables = sqa_table_names(&arena, tables);
    for (int i = 0; sqa_variants[i] && n < 256; i++)
        names[n++] = sqa_variants[i]->id;
    for (int i = 0; sqa_tasks[i] && n < 512; i++)
        names[n++] = sqa_tasks[i]->id;
    for (size_t i = 0; i < n_tables && n < 512; i++)
        names[n++] = tables[i];
    char nearest[128] = "";
    const char *near = sqa_nearest(name, names, n);
    if (near)
        snprintf(nearest, sizeof nearest, "%s", near);
    sqa_arena_clear(&arena);
    return near
               ? sqa_fail(err, SQA_USAGE,
                          "describe: '%.100s' is unknown; did you mean '%s'? See seqarena list models", name, nearest)
               : sqa_fail(err, SQA_USAGE,
                          "describe: '%.100s' is unknown; see seqarena list models, list tasks, list tables", name);
}

const struct sqa_verb sqa_verb_describe = {
    .name = "describe",
    .usage = "NAME",
    .help = "everything known of a model part, a task or a table",
    .operands_min = 1,
    .operands_max = 1,
    .run = run_describe,
};
