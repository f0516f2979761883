/*
 * spec.c - models as text: parser and canonical forms (grammar in model.h)
 *
 * The canonical preset is the mixer itself: `transformer+mixer=local` is `local`, and of a stack the first item
 * stands as preset. A stack is cut to its shortest period over the layers; items in a row that are equal are counted
 * (a*2). A '+' before a digit belongs to a number (1e+3), since no slot begins with a digit. The whole text is
 * printable ASCII of at most SPEC_MAX bytes, so hostile text costs nothing.
 */
#include <stdio.h>
#include <string.h>

#include "models/forecast.h"
#include "models/spec.h"

enum { SPEC_MAX = 65536, WORD_MAX = 64, SEEN_MAX = 128, STACK_COUNT_MAX = SQA_MAX_LAYERS };

#define FRAME(type, name, help, fallback, low, high)                                   \
    {                                                                                  \
#name, help, type, fallback, low, high, offsetof(struct sqa_frame, name), NULL \
    }
const struct sqa_param sqa_frame_params[] = {
    FRAME(SQA_PARAM_INT, layers, "blocks", "2", 1, SQA_MAX_LAYERS),
    FRAME(SQA_PARAM_INT, dim, "width D of the stream; a multiple of heads, or qkv is", "64", 1, 65536),
    FRAME(SQA_PARAM_INT, heads, "heads, of width D / heads or qkv / heads", "2", 1, 4096),
    FRAME(SQA_PARAM_INT, ffn, "hidden width of channel and head", "128", 1, 1 << 20),
    FRAME(SQA_PARAM_REAL, dropout, "share of values dropped in training", "0.1", 0, 0.99),
    FRAME(SQA_PARAM_REAL, attention_dropout, "share of attention weights dropped in training", "0.1", 0, 0.99),
    FRAME(SQA_PARAM_BOOL, causal, "1: no position sees a later one", "0", 0, 0),
    FRAME(SQA_PARAM_BOOL, bias, "1: biases in the q, k, v and output projections", "1", 0, 0),
    FRAME(SQA_PARAM_INT, qkv, "width of q, k and v, all heads together; 0: dim", "0", 0, 65536),
    FRAME(SQA_PARAM_REAL, embed_deviation, "deviation of token embeddings at the start", "0.02", 0, 1000),
    {.name = NULL}};
const struct sqa_param sqa_frame_later[] = {
    {"instance",
     "normalisation of each window of a forecast, undone behind the head: none, norm, affine, last (RevIN)",
     SQA_PARAM_CHOICE, "none", 0, 0, offsetof(struct sqa_frame, instance), SQA_INSTANCE_CHOICES},
    {.name = NULL}};

struct parser {
    struct sqa_model *m;
    const char *text;
    size_t at;
    struct sqa_err *err;
    size_t own_at; /* where the preset's own parameters begin, 0: it has none */
    bool layers_given, mixer_given, slot_given[SQA_SLOTS];
};

static enum sqa_status bad(const struct parser *p, size_t at, const char *fmt, ...) SQA_PRINTF(3, 4);
static enum sqa_status bad(const struct parser *p, size_t at, const char *fmt, ...)
{
    char inner[sizeof p->err->text];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(inner, sizeof inner, fmt, ap);
    va_end(ap);
    sqa_fail(p->err, SQA_USAGE, "model '%.60s%s', character %zu: %.850s", p->text, strlen(p->text) > 60 ? "..." : "",
             at + 1, inner);
    return SQA_USAGE;
}

static enum sqa_status nomem(struct sqa_err *err)
{
    return sqa_fail(err, SQA_NOMEM, "model: no memory for its description; free some memory and run again");
}

static bool word_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.';
}

static enum sqa_status read_word(struct parser *p, size_t end, const char *what, char word[WORD_MAX])
{
    const size_t start = p->at;
    while (p->at < end && word_char(p->text[p->at]))
        p->at++;
    const size_t n = p->at - start;
    if (n == 0)
        return bad(p, start, "%s is missing; write preset:name=value,...+slot=item", what);
    if (n >= WORD_MAX)
        return bad(p, start, "%s is %zu characters long; names are shorter than %d", what, n, WORD_MAX);
    memcpy(word, p->text + start, n);
    word[n] = '\0';
    return SQA_OK;
}

static bool fits(const struct sqa_variant *v, enum sqa_slot slot, bool preset)
{
    return v->slot == slot || (preset && (v->slot == SQA_SLOT_MODEL || v->slot == SQA_SLOT_FLOOR));
}

static enum sqa_status unknown_id(struct parser *p, size_t at, const char *id, enum sqa_slot slot, bool preset)
{
    const char *names[512];
    size_t n = 0;
    struct sqa_text list = {0};
    for (const struct sqa_variant *const *v = sqa_variants; *v && n < 512; v++) {
        if (!fits(*v, slot, preset))
            continue;
        sqa_text_printf(&list, "%s%s", n ? ", " : "", (*v)->id);
        names[n++] = (*v)->id;
    }
    const struct sqa_variant *other = sqa_variant_find(id);
    const char *near = sqa_nearest(id, names, n);
    const char *what = preset ? "model" : sqa_slot_name(slot);
    if (other && preset)
        bad(p, at, "'%s' is a %s, not a model; write it after a preset, as in transformer+%s=%s", id,
            sqa_slot_name(other->slot), sqa_slot_name(other->slot), id);
    else if (other)
        bad(p, at, "'%s' is a %s, not a %s; there are %.500s", id, sqa_slot_name(other->slot), what,
            sqa_text_get(&list));
    else if (near)
        bad(p, at, "no %s '%s'; did you mean '%s'? There are %.500s", what, id, near, sqa_text_get(&list));
    else
        bad(p, at, "no %s '%s'; there are %.500s", what, id, sqa_text_get(&list));
    sqa_text_clear(&list);
    return SQA_USAGE;
}

static enum sqa_status unknown_param(struct parser *p, size_t at, const struct sqa_variant *v, const char *name,
                                     bool preset)
{
    const char *names[SEEN_MAX];
    size_t n = 0;
    struct sqa_text list = {0};
    const bool frame = preset && sqa_spec_takes_frame(v);
    const struct sqa_param *tables[3] = {v->params, frame ? sqa_frame_params : NULL, frame ? sqa_frame_later : NULL};
    for (int t = 0; t < 3; t++) {
        for (const struct sqa_param *q = tables[t]; q && q->name && n < SEEN_MAX; q++) {
            sqa_text_printf(&list, "%s%s", n ? ", " : "", q->name);
            names[n++] = q->name;
        }
    }
    const char *near = sqa_nearest(name, names, n);
    if (!preset && (sqa_params_find(sqa_frame_params, name) || sqa_params_find(sqa_frame_later, name)))
        bad(p, at, "'%s' belongs to the model, not to %s; write it after the preset, as in transformer:%s=...", name,
            v->id, name);
    else if (n == 0)
        bad(p, at, "%s has no parameter '%s'; it takes none", v->id, name);
    else if (near)
        bad(p, at, "%s has no parameter '%s'; did you mean '%s'? It takes %.500s", v->id, name, near,
            sqa_text_get(&list));
    else
        bad(p, at, "%s has no parameter '%s'; it takes %.500s", v->id, name, sqa_text_get(&list));
    sqa_text_clear(&list);
    return SQA_USAGE;
}

static enum sqa_status make_item(struct parser *p, const struct sqa_variant *v, struct sqa_item *item)
{
    item->variant = v;
    item->self = sqa_arena_alloc(&p->m->arena, v->self_size ? v->self_size : 1);
    if (!item->self)
        return nomem(p->err);
    return sqa_params_defaults(v->id, v->params, item->self, &p->m->arena, p->err);
}

/* One "name=value" at p->at; ends at ',' or `end`. */
static enum sqa_status read_param(struct parser *p, size_t end, struct sqa_item *item, bool preset,
                                  const struct sqa_param **seen, size_t *seen_count)
{
    char name[WORD_MAX];
    const size_t start = p->at;
    enum sqa_status status = read_word(p, end, "a parameter's name", name);
    if (status != SQA_OK)
        return status;
    const struct sqa_variant *v = item->variant;
    const struct sqa_param *q = sqa_params_find(v->params, name);
    void *self = item->self;
    const struct sqa_param *table = v->params;
    if (!q && preset && sqa_spec_takes_frame(v)) {
        table = sqa_params_find(sqa_frame_later, name) ? sqa_frame_later : sqa_frame_params;
        self = &p->m->frame;
        q = sqa_params_find(table, name);
        p->layers_given |= strcmp(name, "layers") == 0;
    } else if (preset && p->own_at == 0) {
        p->own_at = start;
    }
    if (!q)
        return unknown_param(p, start, v, name, preset);
    if (p->at >= end || p->text[p->at] != '=')
        return bad(p, p->at, "'%s' has no value; write %s=VALUE (%s)", name, name, q->help);
    const size_t value_at = ++p->at;
    while (p->at < end && p->text[p->at] != ',')
        p->at++;
    char *value = sqa_arena_alloc(&p->m->arena, p->at - value_at + 1);
    if (!value)
        return nomem(p->err);
    memcpy(value, p->text + value_at, p->at - value_at);
    const size_t wrong = strcspn(value, ":+() ");
    if (value[wrong] != '\0' && !(value[wrong] == '+' && q->type == SQA_PARAM_REAL))
        return bad(p, value_at + wrong, "'%c' within the value of %s; parameters are separated by ','", value[wrong],
                   name);
    for (size_t i = 0; i < *seen_count; i++)
        if (seen[i] == q)
            return bad(p, start, "%s is given twice; keep one", name);
    if (*seen_count < SEEN_MAX)
        seen[(*seen_count)++] = q;
    struct sqa_err inner = {0};
    status = sqa_params_set(v->id, table, self, name, value, &p->m->arena, &inner);
    if (status == SQA_USAGE)
        return bad(p, value_at, "%s", inner.text);
    return status == SQA_OK ? SQA_OK : nomem(p->err);
}

/* Defaults of form=lra for what the text leaves open. */
static enum sqa_status take_form(struct parser *p, struct sqa_item *item, const struct sqa_param *const *seen,
                                 size_t seen_count)
{
    const struct sqa_variant *v = item->variant;
    enum sqa_status status = SQA_OK;
    if (!v->lra || !sqa_spec_is_lra(item))
        return SQA_OK;
    for (const struct sqa_default *d = v->lra; d->name && status == SQA_OK; d++) {
        bool given = false;
        for (size_t i = 0; i < seen_count; i++)
            given |= seen[i] == sqa_params_find(v->params, d->name);
        if (!given)
            status = sqa_params_set(v->id, v->params, item->self, d->name, d->value, &p->m->arena, p->err);
    }
    return status;
}

/* id [":" params], all of [p->at, end) */
static enum sqa_status read_item(struct parser *p, size_t end, enum sqa_slot slot, bool preset, struct sqa_item *item)
{
    char id[WORD_MAX];
    const size_t start = p->at;
    enum sqa_status status = read_word(p, end, preset ? "the preset" : "an item", id);
    if (status != SQA_OK)
        return status;
    const struct sqa_variant *v = sqa_variant_find(id);
    if (!v || !fits(v, slot, preset))
        return unknown_id(p, start, id, slot, preset);
    status = make_item(p, v, item);
    if (status != SQA_OK || p->at == end)
        return status;
    if (p->text[p->at] != ':')
        return bad(p, p->at, "unexpected '%c' after %s; write %s:name=value or +slot=item", p->text[p->at], id, id);
    const struct sqa_param *seen[SEEN_MAX];
    size_t seen_count = 0;
    do {
        p->at++;
        status = read_param(p, end, item, preset, seen, &seen_count);
    } while (status == SQA_OK && p->at < end);
    return status == SQA_OK ? take_form(p, item, seen, seen_count) : status;
}

/* "*n" at the end of [start, *end): cuts it off. */
static enum sqa_status read_count(struct parser *p, size_t start, size_t *end, int64_t *count)
{
    size_t star = *end;
    while (star > start && p->text[star - 1] >= '0' && p->text[star - 1] <= '9')
        star--;
    *count = 1;
    if (star <= start || p->text[star - 1] != '*')
        return SQA_OK;
    *count = 0;
    for (size_t i = star; i < *end && *count <= STACK_COUNT_MAX; i++)
        *count = *count * 10 + (p->text[i] - '0');
    if (*count < 1 || *count > STACK_COUNT_MAX)
        return bad(p, star, "a count of layers in a stack is from 1 to %d", STACK_COUNT_MAX);
    *end = star - 1;
    return SQA_OK;
}

static enum sqa_status read_stack(struct parser *p, size_t end)
{
    const size_t open = p->at;
    struct sqa_model *m = p->m;
    if (p->text[end - 1] != ')')
        return bad(p, end, "the stack that begins at character %zu is not closed; end it with ')'", open + 1);
    const size_t close = end - 1;
    m->mixers = 0;
    p->at++;
    while (p->at < close) {
        if (p->text[p->at] == ' ') {
            p->at++;
            continue;
        }
        const size_t start = p->at, length = strcspn(p->text + start, " ()");
        size_t item_end = start + length < close ? start + length : close;
        const size_t next = item_end;
        if (p->text[next] == '(' || (p->text[next] == ')' && next < close))
            return bad(p, next, "'%c' within a stack; a stack holds items only, as in (mamba*2 local)",
                       p->text[next]);
        int64_t count;
        enum sqa_status status = read_count(p, start, &item_end, &count);
        struct sqa_item item = {0};
        if (status == SQA_OK)
            status = read_item(p, item_end, SQA_SLOT_MIXER, false, &item);
        if (status != SQA_OK)
            return status;
        if (m->mixers + count > SQA_MAX_LAYERS)
            return bad(p, start, "the stack has more than %d layers; shorten it", SQA_MAX_LAYERS);
        for (int64_t i = 0; i < count; i++)
            m->mixer[m->mixers++] = item;
        p->at = next;
    }
    p->at = end;
    if (m->mixers == 0)
        return bad(p, open, "the stack is empty; write one item a layer, as in (mamba*2 local)");
    return SQA_OK;
}

/* slot "=" item, all of [p->at, end) */
static enum sqa_status read_slot(struct parser *p, size_t end)
{
    char name[WORD_MAX];
    const size_t start = p->at;
    enum sqa_status status = read_word(p, end, "a slot's name after '+'", name);
    if (status != SQA_OK)
        return status;
    const char *names[SQA_SLOTS];
    size_t n = 0;
    int slot = -1;
    for (int s = 0; s < SQA_SLOT_MODEL; s++) {
        names[n++] = sqa_slot_name((enum sqa_slot)s);
        if (strcmp(names[s], name) == 0)
            slot = s;
    }
    if (slot < 0) {
        const char *near = sqa_nearest(name, names, n);
        return bad(p, start,
                   "no slot '%s'; %s%s%sslots are mixer, channel, norm, residual, position, pool, pair, head", name,
                   near ? "did you mean '" : "", near ? near : "", near ? "'? " : "");
    }
    const struct sqa_variant *preset = p->m->preset.variant;
    if (!sqa_spec_has_slots(preset))
        return bad(p, start, "%s is a whole model and has no slots; leave +%s out", preset->id, name);
    if (preset->slot != SQA_SLOT_MIXER && !preset->slots[slot])
        return bad(p, start, "%s has no slot %s; it takes mixer, channel, norm and residual", preset->id, name);
    if (p->slot_given[slot])
        return bad(p, start, "slot %s is given twice; keep one", name);
    p->slot_given[slot] = true;
    if (p->at >= end || p->text[p->at] != '=')
        return bad(p, p->at, "slot %s has no item; write +%s=ITEM", name, name);
    p->at++;
    if (slot != SQA_SLOT_MIXER)
        return read_item(p, end, (enum sqa_slot)slot, false, &p->m->slot[slot]);
    p->mixer_given = true;
    if (p->at < end && p->text[p->at] == '(')
        return read_stack(p, end);
    return read_item(p, end, SQA_SLOT_MIXER, false, &p->m->mixer[0]);
}

static size_t segment_end(const struct parser *p)
{
    size_t i = p->at;
    for (; p->text[i]; i++)
        if (p->text[i] == '+' && !(p->text[i + 1] >= '0' && p->text[i + 1] <= '9'))
            break;
    return i;
}

/* Cuts the stack to its shortest period over the layers; the first item becomes the preset. */
static enum sqa_status settle_mixers(struct parser *p)
{
    struct sqa_model *m = p->m;
    if (!p->mixer_given) {
        if (!sqa_spec_whole(m))
            m->mixer[0] = m->preset;
        m->mixers = 1;
        return SQA_OK;
    }
    if (p->own_at && !sqa_spec_whole(m))
        return bad(p, p->own_at, "a parameter of mixer %s, which +mixer= replaces; write it on the item of +mixer=",
                   m->preset.variant->id);
    if (m->mixers == 0)
        m->mixers = 1;
    if (m->mixers > m->frame.layers && p->layers_given)
        return bad(p, 0, "the stack has %d layers, layers=%lld; leave layers= out or shorten the stack", m->mixers,
                   (long long)m->frame.layers);
    if (m->mixers > m->frame.layers)
        m->frame.layers = m->mixers;
    bool failed = false;
    int period = 1;
    for (; period < m->mixers; period++) {
        int64_t i = period;
        while (i < m->frame.layers &&
               sqa_spec_same_item(&m->mixer[i % m->mixers], &m->mixer[(i - period) % m->mixers], &failed))
            i++;
        if (i == m->frame.layers)
            break;
    }
    m->mixers = period;
    if (!sqa_spec_whole(m))
        m->preset = m->mixer[0];
    return failed ? nomem(p->err) : SQA_OK;
}

/* The items of slots that nothing is said about. */
static enum sqa_status default_slots(struct parser *p)
{
    struct sqa_model *m = p->m;
    enum sqa_status status = SQA_OK;
    for (int s = 0; s < SQA_SLOTS && status == SQA_OK; s++) {
        const char *text = sqa_spec_default(m->preset.variant, s);
        struct parser inner = {.m = m, .text = text, .err = p->err};
        char id[WORD_MAX];
        if (!text)
            continue;
        snprintf(id, sizeof id, "%.*s", (int)strcspn(text, ":"), text);
        if (!sqa_variant_find(id))
            return sqa_fail(p->err, SQA_UNSUPPORTED, "model: this build has no %s '%s'; build it with models/%s.c",
                            sqa_slot_name((enum sqa_slot)s), id, id);
        status = read_item(&inner, strlen(text), (enum sqa_slot)s, false,
                           s == SQA_SLOT_MIXER ? &m->mixer[0] : &m->slot[s]);
    }
    return status;
}

static enum sqa_status parse(struct parser *p)
{
    struct sqa_model *m = p->m;
    for (size_t i = 0; p->text[i]; i++)
        if (p->text[i] < 0x20 || p->text[i] > 0x7e)
            return sqa_fail(
                p->err, SQA_USAGE,
                "model, character %zu: byte 0x%02x; write the text in printable ASCII without line breaks", i + 1,
                (unsigned)(unsigned char)p->text[i]);
    enum sqa_status status = sqa_params_defaults("model", sqa_frame_params, &m->frame, &m->arena, p->err);
    if (status == SQA_OK)
        status = sqa_params_defaults("model", sqa_frame_later, &m->frame, &m->arena, p->err);
    if (status == SQA_OK)
        status = read_item(p, segment_end(p), SQA_SLOT_MIXER, true, &m->preset);
    if (status == SQA_OK)
        status = default_slots(p);
    while (status == SQA_OK && p->text[p->at] == '+') {
        p->at++;
        status = read_slot(p, segment_end(p));
    }
    if (status == SQA_OK && sqa_spec_has_slots(m->preset.variant))
        status = settle_mixers(p);
    if (status != SQA_OK)
        return status;
    if (sqa_qkv_width(&m->frame) % m->frame.heads != 0)
        return bad(p, 0, "%s=%lld is not a multiple of heads=%lld; change one of them",
                   m->frame.qkv > 0 ? "qkv" : "dim", (long long)sqa_qkv_width(&m->frame), (long long)m->frame.heads);
    m->short_form = sqa_spec_form(m, false);
    m->full_form = sqa_spec_form(m, true);
    return m->short_form && m->full_form ? SQA_OK : nomem(p->err);
}

enum sqa_status sqa_model_parse(const char *spec, struct sqa_model **model, struct sqa_err *err)
{
    *model = NULL;
    const size_t n = strnlen(spec, SPEC_MAX + 1);
    if (n > SPEC_MAX)
        return sqa_fail(err, SQA_USAGE, "model: the text is longer than %d characters; shorten it", (int)SPEC_MAX);
    struct sqa_model *m = sqa_alloc(sizeof *m);
    if (!m)
        return nomem(err);
    struct parser p = {.m = m, .text = spec, .err = err};
    const enum sqa_status status = parse(&p);
    if (status != SQA_OK) {
        sqa_model_free(m);
        return status;
    }
    *model = m;
    return SQA_OK;
}

void sqa_model_free(struct sqa_model *m)
{
    if (!m)
        return;
    sqa_arena_clear(&m->arena);
    sqa_free(m);
}

bool sqa_model_is_floor(const struct sqa_model *m)
{
    return m->preset.variant->slot == SQA_SLOT_FLOOR;
}
