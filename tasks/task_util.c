/* task_util.c - see task_util.h */
#include "tasks/task_util.h"

#include <stdio.h>
#include <string.h>

const char *sqa_quote(char buf[SQA_QUOTE], const char *s)
{
    size_t n = 0;
    for (; s[n] && n < 40; n++)
        buf[n] = (unsigned char)s[n] < 0x20 || s[n] == 0x7f ? '?' : s[n];
    buf[n] = '\0';
    if (s[n]) {
        while (n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80) /* not in the middle of a UTF-8 character */
            n--;
        memcpy(buf + n, "...", 4);
    }
    return buf;
}

enum sqa_status sqa_task_stop(const struct sqa_task *task, struct sqa_err *err)
{
    return sqa_fail(err, SQA_INTERRUPTED, "%s: interrupted while the data were prepared; run again", task->id);
}

enum sqa_status sqa_task_nomem(const struct sqa_task *task, struct sqa_err *err)
{
    return sqa_fail(err, SQA_NOMEM, "%s: no memory for the data; free some memory or make the task smaller",
                    task->id);
}

const char *sqa_split_name(enum sqa_split split)
{
    static const char *const names[SQA_SPLITS] = {"train", "validation", "test"};
    return names[split];
}

enum sqa_status sqa_task_begin_fetch(const struct sqa_dataset *ds, enum sqa_split split, const uint32_t *index,
                                     int64_t n, struct sqa_batch *b, struct sqa_err *err)
{
    for (int64_t i = 0; i < n; i++) {
        if ((int64_t)index[i] >= ds->count[split])
            return sqa_fail(err, SQA_INPUT, "%s: example %u of %s; there are %lld, counted from 0", ds->task->id,
                            (unsigned)index[i], sqa_split_name(split), (long long)ds->count[split]);
        const int64_t length = ds->task->length_of ? ds->task->length_of(ds, split, index[i]) : ds->length;
        if (length > b->length)
            return sqa_fail(err, SQA_SHAPE, "%s: example %u of %s has %lld positions, the batch %lld; make it longer",
                            ds->task->id, (unsigned)index[i], sqa_split_name(split), (long long)length,
                            (long long)b->length);
        b->index[i] = index[i];
    }
    b->n = n;
    b->channels = ds->channels;
    b->horizon = ds->horizon;
    b->outputs = ds->outputs;
    return SQA_OK;
}

void sqa_task_set_hash(struct sqa_dataset *ds, enum sqa_split split, uint64_t hash)
{
    snprintf(ds->split_hash[split], sizeof ds->split_hash[split], "%016llx", (unsigned long long)hash);
}

int32_t sqa_task_put_bytes(const unsigned char *bytes, size_t n, int32_t *row, int64_t length)
{
    for (size_t t = 0; t < n; t++)
        row[t] = bytes[t] + 1;
    for (int64_t t = (int64_t)n; t < length; t++)
        row[t] = 0;
    return (int32_t)n;
}

void sqa_task_show_bytes(const unsigned char *bytes, size_t n, struct sqa_text *out)
{
    for (size_t t = 0; t < n; t++) {
        const char c = (char)bytes[t];
        sqa_text_add_bytes(out, bytes[t] < 0x20 || bytes[t] == 0x7f ? "?" : &c, 1);
    }
    sqa_text_add(out, "\n");
}
