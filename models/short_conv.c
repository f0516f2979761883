/* short_conv.c - see short_conv.h */
#include "models/short_conv.h"

#include "models/step.h"

struct sqa_tensor *sqa_short_conv(struct sqa_context *c, const char *name, struct sqa_tensor *x, struct sqa_tensor *w,
                                  struct sqa_tensor *bias)
{
    struct sqa_tensor *y;

    if (x == NULL || w == NULL)
        return NULL;
    if (c->position == NULL)
        return sqa_conv1d(c->g, x, w, bias, NULL, w->dim[0] - 1);
    if (w->dim[0] > 1) {
        struct sqa_entry *entry;
        struct sqa_tensor *rows[] = {sqa_step_state(c, name, SQA_DIMS(w->dim[0] - 1, w->dim[1]), &entry), x};

        x = sqa_concat(c->g, 1, 2, rows);
        if (entry != NULL)
            sqa_assign(c->g, entry, sqa_slice(c->g, x, 1, 1, w->dim[0] - 1));
    }
    y = sqa_sum(c->g, sqa_mul(c->g, x, w), 1U << 1, true);
    return bias != NULL ? sqa_add(c->g, y, bias) : y;
}
