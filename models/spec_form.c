/* spec_form.c - see spec.h */
#include "models/spec.h"

#include <string.h>

const char *const sqa_spec_slot_default[SQA_SLOTS] = {
    [SQA_SLOT_CHANNEL] = "mlp",      [SQA_SLOT_NORM] = "layernorm", [SQA_SLOT_RESIDUAL] = "prenorm",
    [SQA_SLOT_POSITION] = "learned", [SQA_SLOT_POOL] = "mean",      [SQA_SLOT_HEAD] = "mlp_head",
    [SQA_SLOT_PAIR] = "four_part",
};

bool sqa_spec_whole(const struct sqa_model *m)
{
    return m->preset.variant->slot != SQA_SLOT_MIXER;
}

bool sqa_spec_has_slots(const struct sqa_variant *v)
{
    return v->slot == SQA_SLOT_MIXER || v->slots[SQA_SLOT_MIXER];
}

const char *sqa_spec_default(const struct sqa_variant *v, int slot)
{
    return v->slot == SQA_SLOT_MIXER ? sqa_spec_slot_default[slot] : v->slots[slot];
}

bool sqa_spec_takes_frame(const struct sqa_variant *v)
{
    return v->slot == SQA_SLOT_MIXER || (v->traits & SQA_TRAIT_FRAME);
}

bool sqa_spec_is_lra(const struct sqa_item *item)
{
    const struct sqa_param *form = sqa_params_find(item->variant->params, "form");
    struct sqa_text value = {0};
    if (!form)
        return false;
    sqa_params_value(form, item->self, &value);
    const bool lra = strcmp(sqa_text_get(&value), "lra") == 0;
    sqa_text_clear(&value);
    return lra;
}

/* Its parameters, those that differ from the defaults of the form. */
static void print_own(const struct sqa_item *item, bool all, struct sqa_text *out, int *printed)
{
    const struct sqa_default *other = sqa_spec_is_lra(item) ? item->variant->lra : NULL;
    for (const struct sqa_param *p = item->variant->params; p && p->name; p++) {
        struct sqa_param one[2] = {*p, {.name = NULL}};
        for (const struct sqa_default *d = other; d && d->name; d++)
            if (strcmp(d->name, p->name) == 0)
                one[0].fallback = d->value;
        sqa_params_print(one, item->self, all, out, printed);
    }
}

static void print_item(const struct sqa_item *item, bool all, struct sqa_text *out)
{
    int printed = 0;
    sqa_text_add(out, item->variant->id);
    print_own(item, all, out, &printed);
}

bool sqa_spec_same_item(const struct sqa_item *a, const struct sqa_item *b, bool *failed)
{
    if (a->variant != b->variant || a->self == b->self)
        return a->variant == b->variant;
    struct sqa_text ta = {0}, tb = {0};
    print_item(a, true, &ta);
    print_item(b, true, &tb);
    *failed |= ta.failed || tb.failed;
    const bool same = strcmp(sqa_text_get(&ta), sqa_text_get(&tb)) == 0;
    sqa_text_clear(&ta);
    sqa_text_clear(&tb);
    return same;
}

static void print_stack(const struct sqa_model *m, bool all, struct sqa_text *out)
{
    bool failed = false;
    sqa_text_add(out, "+mixer=(");
    for (int i = 0; i < m->mixers;) {
        int n = 1;
        while (i + n < m->mixers && sqa_spec_same_item(&m->mixer[i], &m->mixer[i + n], &failed))
            n++;
        const size_t start = out->length;
        sqa_text_add(out, i ? " " : "");
        print_item(&m->mixer[i], all, out);
        if (n > 1 || strchr(sqa_text_get(out) + (out->failed ? 0 : start), '*'))
            sqa_text_printf(out, "*%d", n);
        i += n;
    }
    sqa_text_add(out, ")");
    out->failed |= failed;
}

const char *sqa_spec_form(struct sqa_model *m, bool all)
{
    struct sqa_text out = {0};
    int printed = 0;
    const struct sqa_variant *v = m->preset.variant;
    sqa_text_add(&out, v->id);
    if (sqa_spec_whole(m) || m->mixers == 1)
        print_own(&m->preset, all, &out, &printed);
    if (sqa_spec_takes_frame(v)) {
        sqa_params_print(sqa_frame_params, &m->frame, all, &out, &printed);
        sqa_params_print(sqa_frame_later, &m->frame, false, &out, &printed);
    }
    if (sqa_spec_has_slots(v) && m->mixers > 1)
        print_stack(m, all, &out);
    for (int s = 0; s < SQA_SLOTS; s++) {
        const char *fallback = sqa_spec_default(v, s);
        if (!fallback || (s == SQA_SLOT_MIXER && m->mixers > 1))
            continue;
        struct sqa_text item = {0};
        print_item(s == SQA_SLOT_MIXER ? &m->mixer[0] : &m->slot[s], all, &item);
        /* Few tasks have pairs, and rows from before there were any keep their full form. */
        if ((all && s != SQA_SLOT_PAIR) || strcmp(sqa_text_get(&item), fallback) != 0)
            sqa_text_printf(&out, "+%s=%s", sqa_slot_name((enum sqa_slot)s), sqa_text_get(&item));
        out.failed |= item.failed;
        sqa_text_clear(&item);
    }
    char *form = out.failed ? NULL : sqa_arena_strdup(&m->arena, sqa_text_get(&out));
    sqa_text_clear(&out);
    if (form) { /* 1e+06 -> 1e06: '+' separates slots */
        char *to = form;
        for (const char *from = form; *from; from++)
            if (!(*from == '+' && from[1] >= '0' && from[1] <= '9'))
                *to++ = *from;
        *to = '\0';
    }
    return form;
}
