/* github_json.c - what github-action-benchmark reads with its custom tools (interchange.h) */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "reports/interchange.h"
#include "reports/json.h"

static const char *unit_of(const char *value)
{
    static const struct {
        const char *part, *unit;
    } units[] = {
        {"_ns", "ns"}, {"_bytes", "bytes"}, {"tokens_per_s", "tokens/s"}, {"flops", "flops"}, {"accuracy", "of 1"}};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strstr(value, units[i].part))
            return units[i].unit;
    return value;
}

static bool shown(int value, int direction)
{
    return sqa_value_direction(value) == direction &&
           (sqa_value_usual(value) || strstr(sqa_value_name(value), "tokens_per_s"));
}

static json_t *point(const char *name, int value, const struct sqa_estimate *x)
{
    char range[48] = "", extra[96];
    const double half = fmax(x->high - x->mean, x->mean - x->low);
    if (half > 0)
        snprintf(range, sizeof range, "± %.3g", half);
    snprintf(extra, sizeof extra, "%zu seeds, %zu samples, 95 %%: %s", x->n_seeds, x->n_examples,
             *x->method ? x->method : "not known");
    json_t *o = json_pack("{s:o, s:s, s:f, s:s}", "name", sqa_json_text(name), "unit", unit_of(sqa_value_name(value)),
                          "value", x->mean, "extra", extra);
    if (o && *range && json_object_set_new(o, "range", json_string(range)) != 0) {
        json_decref(o);
        return NULL;
    }
    return o;
}

void sqa_github_json(struct sqa_text *out, const struct sqa_pool *pool, int direction)
{
    struct sqa_json_list list = {json_array(), false};
    for (size_t i = 0; i < pool->n_entries; i++) {
        for (int v = 0; v < SQA_VALUE_N; v++) {
            const struct sqa_pool_entry *e = &pool->entries[i];
            struct sqa_text name = {0};
            if (!shown(v, direction) || !isfinite(e->value[v].mean) || isnan(sqa_value_mean(pool, e, v)))
                continue;
            sqa_track_name(&name, pool, e, sqa_value_phase(v));
            sqa_text_printf(&name, " %s", sqa_value_name(v));
            list.failed = list.failed || name.failed;
            sqa_json_append(&list, point(sqa_text_get(&name), v, &e->value[v]));
            sqa_text_clear(&name);
        }
    }
    out->failed = out->failed || list.failed;
    sqa_json_dump(out, list.array);
}
