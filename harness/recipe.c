/* recipe.c - see recipe.h */
#include "harness/recipe.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "harness/recipe_private.h"

enum { FILE_LIMIT = 1 << 20 };

#define SETTING(type, name, help, fallback, low, high)                                              \
    {                                                                                               \
#name, help, SQA_PARAM_##type, fallback, low, high, offsetof(struct sqa_recipe, name), NULL \
    }
#define CHOICE(name, help, fallback, choices)                                                     \
    {                                                                                             \
#name, help, SQA_PARAM_CHOICE, fallback, 0, 0, offsetof(struct sqa_recipe, name), choices \
    }

const struct sqa_param sqa_recipe_params[] = {
    SETTING(INT, batch, "examples of a training batch", "32", 1, 1 << 20),
    SETTING(INT, steps, "training steps; 0: epochs count", "0", 0, 1e9),
    SETTING(INT, epochs, "passes over the training split; given alone it sets steps to 0", "10", 1, 1e6),
    SETTING(REAL, rate, "peak learning rate (alias lr)", "1e-3", 0, 100),
    SETTING(REAL, ssm_rate, "largest peak rate of state-space parameters; 0: as the others", "1e-3", 0, 100),
    SETTING(REAL, decay, "weight decay: adamw decoupled, adam and sgd added to the gradient", "0", 0, 100),
    SETTING(BOOL, decay_all, "1: decay also for biases, norms and state-space parameters", "0", 0, 0),
    SETTING(REAL, clip, "largest global norm of the gradient; 0: none", "1", 0, 1e9),
    SETTING(REAL, beta1, "decay of the first moment", "0.9", 0, 0.999999),
    SETTING(REAL, beta2, "decay of the second moment", "0.999", 0, 0.99999999),
    SETTING(REAL, eps, "added to the root of the second moment", "1e-8", 1e-30, 1),
    SETTING(REAL, momentum, "momentum of sgd", "0.9", 0, 0.999999),
    CHOICE(optimizer, "update rule", "adamw", "adamw|adam|sgd"),
    CHOICE(schedule, "rate over time", "cosine", "constant|cosine|linear|step|lra|one_cycle|lra_cosine|inverse_sqrt"),
    SETTING(INT, warmup, "steps of warm-up", "0", 0, 1e9),
    SETTING(INT, hold, "schedule step: epochs at the peak before the first decay", "0", 0, 1e6),
    SETTING(INT, every, "schedule step: epochs between decays", "1", 1, 1e6),
    SETTING(REAL, step_decay, "schedule step: factor of a decay", "0.5", 0, 1),
    SETTING(BOOL, cycle_momentum, "schedule one_cycle: 1 moves beta1 from 0.95 to 0.85 and back", "0", 0, 0),
    SETTING(INT, cycle, "schedule lra_cosine: steps from the peak to 0; 0: all steps", "0", 0, 1e9),
    SETTING(INT, first_step, "the schedule counts the first step as 1, or as 0 (rate 0 in warm-up)", "1", 0, 1),
    SETTING(INT, eval_every, "steps between validations; 0: every epoch", "0", 0, 1e9),
    SETTING(INT, eval_examples, "validation examples at most; 0: all", "0", 0, 1e9),
    SETTING(INT, patience, "validations without a better loss before training stops; 0: never", "0", 0, 1e9),
    CHOICE(select, "weights that are tested: of the best validation, or the last", "best_valid", "best_valid|last"),
    SETTING(INT, bucket, "batches are padded to a multiple of this length", "16", 1, 1 << 20),
    CHOICE(
        pad,
        "rows are padded to the longest of their batch (a multiple of bucket), of their micro-batch (rows sorted by "
        "length), or to the task's length",
        "longest", "longest|sorted|full"),
    SETTING(INT, micro, "rows that go through the model at a time, gradients added up; 0: the whole batch", "0", 0,
            1 << 20),
    SETTING(BOOL, drop_last, "1: the last partial training batch of an epoch is dropped", "0", 0, 0),
    {.name = NULL}};

enum sqa_status sqa_recipe_set(const char *owner, struct sqa_recipe *r, uint64_t *set, const char *name,
                               const char *value, struct sqa_arena *arena, struct sqa_err *err)
{
    const char *full = strcmp(name, "lr") == 0 ? "rate" : name;
    const struct sqa_param *p = sqa_params_find(sqa_recipe_params, full);
    const uint64_t bit = p ? (uint64_t)1 << (p - sqa_recipe_params) : 0;
    if (*set & bit)
        return sqa_fail(err, SQA_USAGE, "%s: %s is given twice; give it once", owner, full);
    const enum sqa_status status = sqa_params_set(owner, sqa_recipe_params, r, full, value, arena, err);
    if (status != SQA_OK)
        return status;
    const struct sqa_param *steps = sqa_params_find(sqa_recipe_params, "steps");
    if (strcmp(full, "epochs") == 0 && !(*set & (uint64_t)1 << (steps - sqa_recipe_params)))
        r->steps = 0;
    *set |= bit;
    return SQA_OK;
}

enum sqa_status sqa_recipe_check(const char *name, const char *text, struct sqa_err *err)
{
    struct sqa_arena arena = {0};
    struct sqa_recipe none = {0};
    struct sqa_recipe_parser p = {.name = name, .resolved = &none, .arena = &arena, .err = err};
    const enum sqa_status status = sqa_recipe_parse(&p, text);
    sqa_arena_clear(&arena);
    return status;
}

static enum sqa_status resolve_file(struct sqa_recipe_parser *p, const char *path)
{
    char *text;
    size_t size;
    enum sqa_status status = sqa_file_read(path, FILE_LIMIT, &text, &size, p->err);
    if (status != SQA_OK)
        return status;
    p->name = path;
    if (strlen(text) != size)
        status = sqa_fail(p->err, SQA_INPUT, "%s: has zero bytes; save it as UTF-8 text", path);
    else
        status = sqa_recipe_parse(p, text);
    sqa_free(text);
    return status;
}

const char *sqa_recipe_value(const struct sqa_recipe *r, size_t n, char value[64])
{
    static const char blanks[] = " \t";
    const char *s = r->search_values + strspn(r->search_values, blanks);
    for (; n > 0 && *s; n--) {
        s += strcspn(s, blanks);
        s += strspn(s, blanks);
    }
    snprintf(value, 64, "%.*s", (int)strcspn(s, blanks), s);
    return *s ? value : NULL;
}

static enum sqa_status override(struct sqa_recipe *r, const char *overrides, struct sqa_arena *arena,
                                struct sqa_err *err)
{
    uint64_t set = 0;
    char *rest = overrides && *overrides ? sqa_arena_strdup(arena, overrides) : NULL;
    if (!rest && overrides && *overrides)
        return sqa_fail(err, SQA_NOMEM, "--train: no memory for it; free some memory and run again");
    while (rest) {
        char *item = rest, *comma = strchr(rest, ',');
        rest = comma ? comma + 1 : NULL;
        if (comma)
            *comma = '\0';
        char *value = strchr(item, '=');
        if (!value)
            return sqa_fail(err, SQA_USAGE,
                            "--train: '%.100s' is not NAME=VALUE; write for instance rate=1e-3,batch=32", item);
        *value++ = '\0';
        const enum sqa_status status = sqa_recipe_set("--train", r, &set, item, value, arena, err);
        if (status != SQA_OK)
            return status;
    }
    const struct sqa_param *searched = r->search ? sqa_params_find(sqa_recipe_params, r->search) : NULL;
    if (searched && set & (uint64_t)1 << (searched - sqa_recipe_params))
        r->search = NULL; /* given: nothing to be searched */
    return SQA_OK;
}

static enum sqa_status join_frame(const struct sqa_recipe_parser *p, const char **out)
{
    struct sqa_text t = {0};
    for (int slots = 0; slots < 2; slots++) /* slots stand behind the parameters */
        for (size_t i = 0; i < p->frames; i++) {
            const char *name = p->frame[i].name, *dot = strchr(name, '.');
            const bool slot = strncmp(name, "slot.", 5) == 0;
            if (p->frame[i].value && slot == (slots == 1))
                sqa_text_printf(&t, "%s%s=%s",
                                slot       ? "+"
                                : t.length ? ","
                                           : "",
                                dot ? dot + 1 : name, p->frame[i].value);
        }
    *out = t.failed ? NULL : sqa_arena_strdup(p->arena, sqa_text_get(&t));
    sqa_text_clear(&t);
    return *out ? SQA_OK : SQA_NOMEM;
}

enum sqa_status sqa_recipe_resolve(const char *scale, const char *model, const char *task, const char *overrides,
                                   struct sqa_arena *arena, struct sqa_recipe *r, const char **frame_defaults,
                                   struct sqa_err *err)
{
    char path[4096];
    struct sqa_recipe_parser p = {
        .name = scale, .model = model, .task = task, .resolved = r, .arena = arena, .err = err};
    *r = (struct sqa_recipe){.search_share = 0.25, .search_seed = 1000};
    enum sqa_status status = sqa_params_defaults("recipe", sqa_recipe_params, r, arena, err);
    if (status == SQA_OK)
        status = sqa_recipe_path(scale, path, err);
    if (status == SQA_OK)
        status = resolve_file(&p, path);
    if (status == SQA_OK)
        status = override(r, overrides, arena, err);
    if (status != SQA_OK)
        return status;
    r->file = r->matched ? sqa_arena_strdup(arena, scale) : "generic";
    if (!r->source)
        r->source = sqa_arena_printf(
            arena, r->matched ? "%s.ini names no source" : "seqarena's generic settings: no row of %s.ini matches",
            scale);
    if (!r->file || !r->source || join_frame(&p, frame_defaults) != SQA_OK)
        return sqa_fail(err, SQA_NOMEM, "%s: no memory for the recipe; free some memory and run again", path);
    return SQA_OK;
}

/* Whether list, "a=1,b=2" of n bytes, has a value for the name that begins at item. */
static bool is_given(const char *list, size_t n, const char *item)
{
    const size_t name = strcspn(item, "=") + 1;
    for (const char *at = list, *end = list + n; at && at + name <= end;
         at = memchr(at, ',', (size_t)(end - at)), at = at ? at + 1 : NULL)
        if (strncmp(at, item, name) == 0)
            return true;
    return false;
}

/* Whether a slot "name=..." has an item in the rest of a spec, "+norm=rmsnorm+pool=last". */
static bool slot_is_given(const char *rest, const char *item)
{
    const size_t name = strcspn(item, "=") + 1;
    for (const char *at = strchr(rest, '+'); at; at = strchr(at + 1, '+'))
        if (strncmp(at + 1, item, name) == 0)
            return true;
    return false;
}

const char *sqa_recipe_model(struct sqa_arena *arena, const char *spec, const char *defaults)
{
    struct sqa_text t = {0};
    const size_t head = strcspn(spec, "+"), params = strcspn(defaults, "+");
    const char *colon = memchr(spec, ':', head);
    int printed = colon != NULL;
    sqa_text_add_bytes(&t, spec, head);
    for (const char *d = defaults; d < defaults + params;) {
        const size_t n = strcspn(d, ",+");
        if (!colon || !is_given(colon + 1, (size_t)(spec + head - colon - 1), d))
            sqa_text_printf(&t, "%c%.*s", printed++ ? ',' : ':', (int)n, d);
        d += n + (d[n] == ',');
    }
    sqa_text_add(&t, spec + head);
    for (const char *d = defaults + params; *d;) {
        const size_t n = 1 + strcspn(d + 1, "+");
        if (!slot_is_given(spec + head, d + 1))
            sqa_text_add_bytes(&t, d, n);
        d += n;
    }
    const char *out = t.failed ? NULL : sqa_arena_strdup(arena, sqa_text_get(&t));
    sqa_text_clear(&t);
    return out;
}

void sqa_recipe_text(const struct sqa_recipe *r, struct sqa_text *out)
{
    for (const struct sqa_param *p = sqa_recipe_params; p->name; p++) {
        sqa_text_printf(out, "%s%s=", p == sqa_recipe_params ? "" : ";", p->name);
        sqa_params_value(p, r, out);
    }
}

/* The place of value in "a|b|c". */
static int index_of(const char *choices, const char *value)
{
    const size_t n = strlen(value);
    int i = 0;
    for (const char *c = choices; *c; i++) {
        const size_t length = strcspn(c, "|");
        if (length == n && strncmp(c, value, n) == 0)
            return i;
        c += length + (c[length] == '|');
    }
    return 0;
}

void sqa_recipe_optim(const struct sqa_recipe *r, struct sqa_optim *o)
{
    static const enum sqa_optim_kind kinds[] = {SQA_OPTIM_ADAMW, SQA_OPTIM_ADAM, SQA_OPTIM_SGD};
    const char *choices = sqa_params_find(sqa_recipe_params, "optimizer")->choices;
    *o = (struct sqa_optim){.kind = kinds[index_of(choices, r->optimizer)],
                            .beta1 = r->beta1,
                            .beta2 = r->beta2,
                            .eps = r->eps,
                            .momentum = r->momentum,
                            .decay = r->decay,
                            .decay_all = r->decay_all != 0,
                            .clip = r->clip,
                            .ssm_rate = r->ssm_rate,
                            .rate = r->rate};
}

void sqa_recipe_schedule(const struct sqa_recipe *r, int64_t steps_per_epoch, int64_t total, struct sqa_schedule *c)
{
    static const enum sqa_schedule_kind kinds[] = {
        SQA_SCHEDULE_CONSTANT, SQA_SCHEDULE_COSINE,    SQA_SCHEDULE_LINEAR,     SQA_SCHEDULE_STEP,
        SQA_SCHEDULE_LRA,      SQA_SCHEDULE_ONE_CYCLE, SQA_SCHEDULE_LRA_COSINE, SQA_SCHEDULE_INVERSE_SQRT};
    const char *choices = sqa_params_find(sqa_recipe_params, "schedule")->choices;
    *c = (struct sqa_schedule){.kind = kinds[index_of(choices, r->schedule)],
                               .warmup = r->warmup,
                               .total = total,
                               .steps_per_epoch = steps_per_epoch,
                               .decay = r->step_decay,
                               .every = r->every,
                               .hold = r->hold,
                               .cycle_momentum = r->cycle_momentum != 0,
                               .cycle = r->cycle,
                               .from_zero = r->first_step == 0};
}
