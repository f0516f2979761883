/* pytorch.c - see pytorch.h */
#include "harness/pytorch.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "harness/share.h"

enum { FILES = 256, FILE_LIMIT = 1 << 20, WORD = 128 };

struct writer {
    struct sqa_arena arena;
    struct sqa_text out;
    const char *seen[FILES];
    int n;
    struct sqa_text draws; /* " op op ": of the files so far */
    struct sqa_err *err;
};

/* Files */

static bool is_new(struct writer *w, const char *name)
{
    for (int i = 0; i < w->n; i++)
        if (strcmp(w->seen[i], name) == 0)
            return false;
    const char *copy = w->n < FILES ? sqa_arena_strdup(&w->arena, name) : NULL;
    w->out.failed |= !copy;
    if (copy)
        w->seen[w->n++] = copy;
    return copy != NULL;
}

/* The words behind "# KEY: " at the start of a line of text; NULL: no such line. */
static const char *words_of(const char *text, const char *key)
{
    char mark[32];
    snprintf(mark, sizeof mark, "\n# %s: ", key);
    const char *at = strstr(text, mark);
    return at ? at + strlen(mark) : NULL;
}

/* The next word of the line at *at; false at its end. */
static bool next_word(const char **at, char word[WORD])
{
    while (**at == ' ')
        ++*at;
    const size_t n = strcspn(*at, " \n");
    if (n == 0 || n >= WORD)
        return false;
    memcpy(word, *at, n);
    word[n] = '\0';
    *at += n;
    return true;
}

/* A file without its lines for the writer. */
static void add_text(struct writer *w, const char *text)
{
    for (size_t n; *text; text += n) {
        n = strcspn(text, "\n");
        n += text[n] == '\n';
        if (strncmp(text, "# needs: ", 9) != 0 && strncmp(text, "# draws: ", 9) != 0)
            sqa_text_add_bytes(&w->out, text, n);
    }
}

static enum sqa_status add_file(struct writer *w, const char *name, int depth)
{
    char path[4096], file[WORD + 8], word[WORD], *text;
    size_t size;
    if (!is_new(w, name))
        return SQA_OK;
    snprintf(file, sizeof file, "%s.py", name);
    if (depth > 8)
        return sqa_fail(w->err, SQA_MACHINE, "export: models/pytorch/%s: files need each other in a ring; break it",
                        file);
    if (!sqa_share_find("models/pytorch", "SEQARENA_PYTORCH", file, path))
        return sqa_fail(w->err, SQA_MACHINE,
                        "export: models/pytorch/%s%s is not there; %s set SEQARENA_PYTORCH to the folder that has it",
                        file, sqa_variant_find(name) ? ", the variant's PyTorch form," : "",
                        sqa_variant_find(name) ? "write it (docs/adding-a-variant.md), or" : "install it, or");
    enum sqa_status status = sqa_file_read(path, FILE_LIMIT, &text, &size, w->err);
    if (status != SQA_OK)
        return status;
    for (const char *at = words_of(text, "needs"); at && status == SQA_OK && next_word(&at, word);)
        status = add_file(w, word, depth + 1);
    for (const char *at = words_of(text, "draws"); at && next_word(&at, word);)
        sqa_text_printf(&w->draws, " %s ", word);
    sqa_text_add(&w->out, strcmp(name, "base") == 0 ? "" : "\n\n");
    add_text(w, text);
    sqa_free(text);
    return status;
}

static enum sqa_status add_variant(struct writer *w, const struct sqa_item *item)
{
    return item->variant ? add_file(w, item->variant->id, 0) : SQA_OK;
}

/* Slots of the model beside its mixers that have a part for this task, in the order of the enum. */
static const struct sqa_item *slot_item(const struct sqa_model *m, const struct sqa_signature *task, int slot)
{
    const bool pair = task->kind == SQA_PAIR;
    if (slot == SQA_SLOT_MODEL)
        return m->preset.variant->slot == SQA_SLOT_MODEL ? &m->preset : NULL;
    if ((slot == SQA_SLOT_POOL && task->kind == SQA_TAG) || (slot == SQA_SLOT_PAIR && !pair))
        return NULL;
    return slot != SQA_SLOT_MIXER && m->slot[slot].variant ? &m->slot[slot] : NULL;
}

static enum sqa_status add_files(struct writer *w, const struct sqa_model *m, const struct sqa_signature *task)
{
    enum sqa_status status = add_file(w, "base", 0);
    if (status == SQA_OK)
        status = add_file(w, m->preset.variant->slot == SQA_SLOT_MODEL ? "whole" : "frame", 0);
    if (status == SQA_OK && m->preset.variant->slot == SQA_SLOT_MIXER && task->kind == SQA_FORECAST &&
        strcmp(m->frame.instance, "none") != 0)
        status = add_file(w, "instance", 0);
    for (int i = 0; i < m->mixers && status == SQA_OK; i++)
        status = add_variant(w, &m->mixer[i]);
    for (int s = 0; s < SQA_SLOTS && status == SQA_OK; s++) {
        const struct sqa_item *item = slot_item(m, task, s);
        status = item ? add_variant(w, item) : SQA_OK;
    }
    return status;
}

/* A comment line; what stands in a file of weights may hold anything. */
static void add_comment(struct writer *w, const char *before, const char *text)
{
    sqa_text_printf(&w->out, "# %s", before);
    for (const char *s = text; *s; s++)
        sqa_text_add_bytes(&w->out, *s >= ' ' && *s <= '~' ? s : "?", 1);
    sqa_text_add(&w->out, "\n");
}

/* Tables */

static void add_params(struct writer *w, const struct sqa_param *params, const void *self)
{
    struct sqa_text value = {0};
    for (const struct sqa_param *p = params; p && p->name; p++) {
        const bool text = p->type == SQA_PARAM_CHOICE || p->type == SQA_PARAM_TEXT;
        sqa_text_clear(&value);
        value = (struct sqa_text){0};
        sqa_params_value(p, self, &value);
        sqa_text_printf(&w->out, "%s\"%s\": ", p == params ? "" : ", ", p->name);
        if (text)
            sqa_text_add(&w->out, "\"");
        for (const char *s = sqa_text_get(&value); *s; s++)
            sqa_text_printf(&w->out, "%s%c", *s == '"' || *s == '\\' ? "\\" : "", *s);
        if (text)
            sqa_text_add(&w->out, "\"");
    }
    w->out.failed |= value.failed;
    sqa_text_clear(&value);
}

static void add_item(struct writer *w, const struct sqa_item *item)
{
    sqa_text_printf(&w->out, "(%s_%s, {", item->variant->id, sqa_slot_name(item->variant->slot));
    add_params(w, item->variant->params, item->self);
    sqa_text_add(&w->out, "})");
}

static void add_tables(struct writer *w, const struct sqa_model *m, const struct sqa_signature *task)
{
    static const char *const kinds[] = {
        [SQA_CLASSIFY] = "classify", [SQA_FORECAST] = "forecast", [SQA_TAG] = "tag", [SQA_PAIR] = "pair"};
    const struct {
        const char *name;
        int64_t value;
    } fact[] = {{"vocab", task->vocab},       {"classes", task->classes}, {"length", task->length},
                {"channels", task->channels}, {"outputs", task->outputs}, {"horizon", task->horizon},
                {"season", task->season},     {"blank", task->blank},     {"marks", task->marks}};
    sqa_text_printf(&w->out, "\n\n# The model\n\nTASK = {\"kind\": \"%s\"", kinds[task->kind]);
    for (size_t i = 0; i < sizeof fact / sizeof *fact; i++)
        sqa_text_printf(&w->out, ", \"%s\": %lld", fact[i].name, (long long)fact[i].value);
    sqa_text_add(&w->out, "}\nFRAME = {");
    add_params(w, sqa_frame_params, &m->frame);
    sqa_text_add(&w->out, ", ");
    add_params(w, sqa_frame_later, &m->frame);
    sqa_text_add(&w->out, "}\nPARTS = {\n");
    for (int i = 0; i < m->mixers && m->mixer[0].variant; i++) {
        sqa_text_add(&w->out, i ? "              " : "    \"mixer\": [");
        add_item(w, &m->mixer[i]);
        sqa_text_add(&w->out, i + 1 < m->mixers ? ",\n" : "],\n");
    }
    for (int s = 0; s < SQA_SLOTS; s++) {
        const struct sqa_item *item = slot_item(m, task, s);
        if (!item)
            continue;
        sqa_text_printf(&w->out, "    \"%s\": ", sqa_slot_name((enum sqa_slot)s));
        add_item(w, item);
        sqa_text_add(&w->out, ",\n");
    }
    sqa_text_add(&w->out, "}\n");
}

/* "NODES": of every op that a file draws for, hashes of its paths by scope, in the order of the graph. Paths have numbers of
 * nodes, and a batch of one row needs fewer copies than others do: two rows stand for all batches but that. */
static enum sqa_status add_nodes(struct writer *w, const struct sqa_model *m, const struct sqa_signature *task)
{
    struct sqa_store store;
    struct sqa_graph g;
    char mark[WORD];
    const char *before = "";
    size_t open = 0;
    if (w->draws.length == 0)
        return SQA_OK;
    sqa_store_init(&store, SQA_F32, 0);
    sqa_graph_init(&g, SQA_F32, false);
    const enum sqa_status status = sqa_model_graph(m, task, &store, SQA_MODE_INFER, 2, task->length, &g, w->err);
    sqa_text_add(&w->out, "NODES = {");
    for (const struct sqa_node *n = g.first; n && status == SQA_OK; n = n->next) {
        snprintf(mark, sizeof mark, " %s ", n->op->name);
        if (!strstr(sqa_text_get(&w->draws), mark))
            continue;
        const size_t name = (size_t)(strrchr(n->path, '.') - n->path); /* without the number */
        const bool same = open == name && strncmp(before, n->path, name) == 0;
        if (same)
            sqa_text_add(&w->out, ", ");
        else
            sqa_text_printf(&w->out, "%s\n    \"%.*s\": [", open ? "]," : "", (int)name, n->path);
        sqa_text_printf(&w->out, "0x%016llx", (unsigned long long)n->path_hash);
        before = n->path;
        open = name;
    }
    sqa_text_add(&w->out, open ? "],\n}\n" : "}\n");
    sqa_graph_clear(&g);
    sqa_store_clear(&store);
    return status;
}

enum sqa_status sqa_pytorch_write(const struct sqa_model *m, const struct sqa_signature *task, const char *task_text,
                                  const char *path, struct sqa_err *err)
{
    struct writer w = {.err = err};
    enum sqa_status status = sqa_model_check(m, task, err);
    if (status == SQA_OK && sqa_model_is_floor(m))
        status = sqa_fail(err, SQA_UNSUPPORTED, "export: %s is a floor, without weights; take a model",
                          m->preset.variant->id);
    if (status != SQA_OK)
        return status;
    add_comment(&w, "", m->full_form);
    add_comment(&w, "for ", task_text && *task_text ? task_text : "a task without a name");
    add_comment(&w,
                "Written by seqarena export. Run: ", "python3 THIS.py WEIGHTS.safetensors INPUT.npy -o LOGITS.npy");
    status = add_files(&w, m, task);
    if (status == SQA_OK) {
        add_tables(&w, m, task);
        status = add_nodes(&w, m, task);
    }
    if (status == SQA_OK)
        status = add_file(&w, "main", 0);
    if (status == SQA_OK && (w.out.failed || w.draws.failed))
        status = sqa_fail(err, SQA_NOMEM, "export: no memory; free some memory and run again");
    if (status == SQA_OK)
        status = sqa_file_write(path, w.out.text, w.out.length, err);
    sqa_text_clear(&w.out);
    sqa_text_clear(&w.draws);
    sqa_arena_clear(&w.arena);
    return status;
}
