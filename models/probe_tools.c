/* probe_tools.c - numbers, comparisons and weights for probes (see probe.h) */
#include "models/probe.h"

#include <math.h>

#include "base/random.h"

void sqa_probe_normal(uint64_t key, double *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = sqa_random_normal(key, i);
}

double sqa_probe_difference(const double *a, const double *b, size_t n)
{
    double difference = 0, largest = 0;
    for (size_t i = 0; i < n; i++) {
        const double d = fabs(a[i] - b[i]);
        if (!(d <= difference)) /* a NaN wins and stays */
            difference = isnan(difference) ? difference : d;
        largest = fmax(largest, fabs(b[i]));
    }
    return difference / (1 + largest);
}

enum sqa_status sqa_probe_expect(const char *what, double difference, double bound, struct sqa_err *err)
{
    if (difference <= bound)
        return SQA_OK;
    return sqa_fail(err, SQA_NO, "%s: differs by %.3g, bound %.3g", what, difference, bound);
}

bool sqa_probe_set(struct sqa_store *s, const char *name, const double *values)
{
    struct sqa_entry *e = sqa_store_find(s, name);
    if (e)
        sqa_entry_set(s, e, values);
    return e != NULL;
}

/* Writes f(i) to every element. */
static bool set_each(struct sqa_store *s, const char *name, bool identity, double v)
{
    struct sqa_entry *e = sqa_store_find(s, name);
    if (!e)
        return false;
    const int64_t columns = e->dim[e->rank > 0 ? e->rank - 1 : 0], rows = e->rank > 1 ? e->dim[e->rank - 2] : 1;
    for (int64_t i = 0; i < e->count; i++) {
        const double x = identity ? (double)(i % columns == i / columns % rows) : v;
        if (s->real == SQA_F64)
            ((double *)e->value)[i] = x;
        else
            ((float *)e->value)[i] = (float)x;
    }
    return true;
}

bool sqa_probe_set_identity(struct sqa_store *s, const char *name)
{
    return set_each(s, name, true, 0);
}

bool sqa_probe_set_constant(struct sqa_store *s, const char *name, double v)
{
    return set_each(s, name, false, v);
}
