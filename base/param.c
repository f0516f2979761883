/* param.c - see param.h */
#include "base/param.h"

#include <math.h>
#include <string.h>

const struct sqa_param *sqa_params_find(const struct sqa_param *params, const char *name)
{
    for (const struct sqa_param *p = params; p && p->name; p++)
        if (strcmp(p->name, name) == 0)
            return p;
    return NULL;
}

static enum sqa_status unknown(const char *owner, const struct sqa_param *params, const char *name,
                               struct sqa_err *err)
{
    const char *names[128] = {NULL};
    size_t n = 0;
    struct sqa_text list = {0};
    for (const struct sqa_param *p = params; p && p->name && n < 128; p++) {
        names[n++] = p->name;
        sqa_text_printf(&list, "%s%s", n > 1 ? ", " : "", p->name);
    }
    const char *near = sqa_nearest(name, names, n);
    if (n == 0)
        sqa_fail(err, SQA_USAGE, "%s: no parameter '%.100s'; it takes none", owner, name);
    else if (near)
        sqa_fail(err, SQA_USAGE, "%s: no parameter '%.100s'; did you mean '%s'? It takes %.600s", owner, name, near,
                 sqa_text_get(&list));
    else
        sqa_fail(err, SQA_USAGE, "%s: no parameter '%.100s'; it takes %.600s", owner, name, sqa_text_get(&list));
    sqa_text_clear(&list);
    return SQA_USAGE;
}

static int is_choice(const char *choices, const char *value)
{
    const size_t n = strlen(value);
    for (const char *c = choices; *c;) {
        const size_t length = strcspn(c, "|");
        if (length == n && strncmp(c, value, n) == 0)
            return 1;
        c += length + (c[length] == '|');
    }
    return 0;
}

enum sqa_status sqa_params_set(const char *owner, const struct sqa_param *params, void *self, const char *name,
                               const char *value, struct sqa_arena *arena, struct sqa_err *err)
{
    const struct sqa_param *p = sqa_params_find(params, name);
    if (!p)
        return unknown(owner, params, name, err);
    unsigned char *field = (unsigned char *)self + p->offset;
    const int ranged = p->low < p->high;
    int64_t i = 0;
    double r = 0;
    const char *s = NULL;
    switch (p->type) {
    case SQA_PARAM_INT:
        if (!sqa_parse_int(value, &i) || (ranged && ((double)i < p->low || (double)i > p->high)))
            return sqa_fail(err, SQA_USAGE, "%s: %s=%.100s; give a whole number from %.0f to %.0f (%s)", owner, name,
                            value, ranged ? p->low : -0x1p62, ranged ? p->high : 0x1p62, p->help);
        memcpy(field, &i, sizeof i);
        return SQA_OK;
    case SQA_PARAM_BOOL:
        if (strcmp(value, "0") != 0 && strcmp(value, "1") != 0)
            return sqa_fail(err, SQA_USAGE, "%s: %s=%.100s; give 0 or 1 (%s)", owner, name, value, p->help);
        i = value[0] == '1';
        memcpy(field, &i, sizeof i);
        return SQA_OK;
    case SQA_PARAM_REAL:
        if (!sqa_parse_real(value, &r) || (ranged && (r < p->low || r > p->high)))
            return sqa_fail(err, SQA_USAGE, "%s: %s=%.100s; give a number from %g to %g (%s)", owner, name, value,
                            ranged ? p->low : -HUGE_VAL, ranged ? p->high : HUGE_VAL, p->help);
        memcpy(field, &r, sizeof r);
        return SQA_OK;
    case SQA_PARAM_CHOICE:
        if (!is_choice(p->choices, value))
            return sqa_fail(err, SQA_USAGE, "%s: %s=%.100s; give one of %s (%s)", owner, name, value, p->choices,
                            p->help);
        /* fall through */
    case SQA_PARAM_TEXT:
        s = sqa_arena_strdup(arena, value);
        if (!s)
            return sqa_fail(err, SQA_NOMEM, "%s: no memory for a parameter; free some memory and run again", owner);
        break;
    }
    memcpy(field, &s, sizeof s);
    return SQA_OK;
}

enum sqa_status sqa_params_defaults(const char *owner, const struct sqa_param *params, void *self,
                                    struct sqa_arena *arena, struct sqa_err *err)
{
    for (const struct sqa_param *p = params; p && p->name; p++) {
        const enum sqa_status status = sqa_params_set(owner, params, self, p->name, p->fallback, arena, err);
        if (status != SQA_OK)
            return status;
    }
    return SQA_OK;
}

void sqa_params_value(const struct sqa_param *p, const void *self, struct sqa_text *out)
{
    const unsigned char *field = (const unsigned char *)self + p->offset;
    int64_t i;
    double r;
    const char *s;
    char buf[32];
    switch (p->type) {
    case SQA_PARAM_INT:
    case SQA_PARAM_BOOL:
        memcpy(&i, field, sizeof i);
        sqa_text_printf(out, "%lld", (long long)i);
        break;
    case SQA_PARAM_REAL:
        memcpy(&r, field, sizeof r);
        sqa_text_add(out, sqa_format_real(buf, r));
        break;
    case SQA_PARAM_CHOICE:
    case SQA_PARAM_TEXT:
        memcpy(&s, field, sizeof s);
        sqa_text_add(out, s ? s : "");
        break;
    }
}

int sqa_params_is_default(const struct sqa_param *p, const void *self)
{
    const unsigned char *field = (const unsigned char *)self + p->offset;
    int64_t i, fi;
    double r, fr;
    const char *s;
    switch (p->type) {
    case SQA_PARAM_INT:
    case SQA_PARAM_BOOL:
        memcpy(&i, field, sizeof i);
        return sqa_parse_int(p->fallback, &fi) && i == fi;
    case SQA_PARAM_REAL:
        memcpy(&r, field, sizeof r);
        return sqa_parse_real(p->fallback, &fr) && !(r < fr) && !(r > fr);
    case SQA_PARAM_CHOICE:
    case SQA_PARAM_TEXT:
        memcpy(&s, field, sizeof s);
        return s && strcmp(s, p->fallback) == 0;
    }
    return 0;
}

void sqa_params_print(const struct sqa_param *params, const void *self, int all, struct sqa_text *out, int *printed)
{
    for (const struct sqa_param *p = params; p && p->name; p++) {
        if (!all && sqa_params_is_default(p, self))
            continue;
        sqa_text_printf(out, "%s%s=", (*printed)++ ? "," : ":", p->name);
        sqa_params_value(p, self, out);
    }
}
