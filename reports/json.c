/* json.c - see json.h */
#include "reports/json.h"

#include <math.h>

json_t *sqa_json_real(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

json_t *sqa_json_text(const char *s)
{
    struct sqa_text t = {0};
    json_t *text = *s ? json_string(s) : json_null();
    if (text)
        return text;
    for (; *s; s++)
        sqa_text_add_bytes(&t, (unsigned char)*s < 0x80 ? s : "?", 1);
    text = t.failed ? NULL : json_string(sqa_text_get(&t));
    sqa_text_clear(&t);
    return text;
}

void sqa_json_append(struct sqa_json_list *list, json_t *item)
{
    if (!item || json_array_append_new(list->array, item) != 0)
        list->failed = true;
}

static int to_text(const char *bytes, size_t n, void *user)
{
    struct sqa_text *out = user;
    sqa_text_add_bytes(out, bytes, n);
    return out->failed ? -1 : 0;
}

void sqa_json_dump(struct sqa_text *out, json_t *root)
{
    if (!root || json_dump_callback(root, to_text, out, JSON_INDENT(1) | JSON_REAL_PRECISION(15)) != 0)
        out->failed = true;
    sqa_text_add(out, "\n");
    json_decref(root);
}
