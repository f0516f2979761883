/* probe_known.c - see probe_known.h */
#include "models/probe_known.h"

#include <stdio.h>

void sqa_probe_get(const struct sqa_store *s, const char *scope, const struct sqa_probe_entry *entries)
{
    for (; entries->name != NULL; entries++) {
        char full[64];
        const struct sqa_entry *e;

        snprintf(full, sizeof full, "%s.%s", scope, entries->name);
        e = sqa_store_find(s, full);
        if (e != NULL)
            sqa_entry_get(s, e, entries->to);
    }
}

void sqa_probe_times(const double *x, const double *w, int rows, int n, int m, double *y)
{
    for (int i = 0; i < rows; i++)
        for (int k = 0; k < m; k++) {
            y[i * m + k] = 0;
            for (int j = 0; j < n; j++)
                y[i * m + k] += x[i * n + j] * w[j * m + k];
        }
}

enum sqa_status sqa_probe_float(const char *item, struct sqa_err *err)
{
    enum { LONG = 4096 };
    struct sqa_probe p = {.item = item, .batch = 1, .length = LONG, .dim = 1, .heads = 1, .real = SQA_F64};
    double *x = sqa_alloc_array(3 * LONG, sizeof *x), *y, *expect;
    enum sqa_status status;

    if (x == NULL)
        return sqa_fail(err, SQA_NOMEM, "%s: no memory for a check; free some memory and run again", item);
    y = x + LONG;
    expect = y + LONG;
    sqa_probe_normal(2, x, LONG);
    status = sqa_probe_run(&p, x, expect, err);
    p.real = SQA_F32;
    if (status == SQA_OK)
        status = sqa_probe_run(&p, x, y, err);
    if (status == SQA_OK)
        status =
            sqa_probe_expect("f32 against f64 at 4096 positions", sqa_probe_difference(y, expect, LONG), 1e-5, err);
    sqa_free(x);
    return status;
}
