/* parts.c - see parts.h */
#include "reports/parts.h"

#include "base/memory.h"

static struct sqa_part *add(struct sqa_parts *parts)
{
    if (parts->n == parts->capacity) {
        const size_t capacity = parts->capacity ? 2 * parts->capacity : 16;
        void *p = parts->failed ? NULL : sqa_realloc(parts->at, capacity * sizeof *parts->at);
        if (!p) {
            parts->failed = true;
            return NULL;
        }
        parts->at = p;
        parts->capacity = capacity;
    }
    struct sqa_part *part = &parts->at[parts->n++];
    *part = (struct sqa_part){0};
    return part;
}

struct sqa_text *sqa_parts_markdown(struct sqa_parts *parts)
{
    struct sqa_part *last = parts->n ? &parts->at[parts->n - 1] : NULL;
    struct sqa_part *part = last && !last->figure && !last->file ? last : add(parts);
    return part ? &part->text : &parts->nowhere;
}

struct sqa_part *sqa_parts_figure(struct sqa_parts *parts)
{
    struct sqa_part *part = add(parts);
    if (part)
        part->figure = true;
    return part;
}

struct sqa_part *sqa_parts_file(struct sqa_parts *parts, const char *name)
{
    struct sqa_part *part = add(parts);
    if (part)
        part->file = name;
    return part;
}

bool sqa_parts_failed(const struct sqa_parts *parts)
{
    bool failed = parts->failed;
    for (size_t i = 0; i < parts->n; i++)
        failed = failed || parts->at[i].text.failed || parts->at[i].caption.failed;
    return failed;
}

void sqa_parts_clear(struct sqa_parts *parts)
{
    for (size_t i = 0; i < parts->n; i++) {
        sqa_text_clear(&parts->at[i].text);
        sqa_text_clear(&parts->at[i].caption);
    }
    sqa_text_clear(&parts->nowhere);
    sqa_free(parts->at);
    *parts = (struct sqa_parts){0};
}
