/* step.c - one position of a recurrence, and one query over many keys; f32 */
#include <math.h>

#include "kernels/plain/plain.h"
#include "kernels/simd/vec.h"

enum { COUNT = 4 };

/* V vectors of the columns from j on; the last has `left` columns. */
V_INLINE void columns(const int V, const struct sqa_state_step *s, int64_t j, size_t left)
{
    const float *a = s->a, *q = s->q, *k = s->k, *v = (const float *)s->v + j;
    float *row = (float *)s->s + j;
    vf value[COUNT], sum[COUNT];
    for (int c = 0; c < V; c++) {
        value[c] = v_load_part(v + c * W, left);
        sum[c] = v_zero();
    }
    for (int64_t i = 0; i < s->m; i++, row += s->n) {
        const vf decay = v_set(a ? a[s->a_each ? i : 0] : 1), key = v_set(k[i]), query = v_set(q[i]);
        for (int c = 0; c < V; c++) {
            const vf next = v_fma(key, value[c], v_mul(decay, v_load_part(row + c * W, left)));
            v_store_part(row + c * W, left, next);
            sum[c] = v_fma(query, next, sum[c]);
        }
    }
    for (int c = 0; c < V; c++)
        v_store_part((float *)s->o + j + c * W, left, sum[c]);
}

void V(state_step)(const struct sqa_state_step *s)
{
    int64_t j = 0;
    for (; j + COUNT * W <= s->n; j += COUNT * W)
        columns(COUNT, s, j, W);
    for (; j < s->n; j += W)
        columns(1, s, j, (size_t)(s->n - j));
}

/* Scores of V keys */
V_INLINE void scores(const int V, const struct sqa_attend *a, const float *k, float *x)
{
    const float *q = a->q;
    vf sum[COUNT];
    for (int c = 0; c < V; c++)
        sum[c] = v_zero();
    for (int64_t e = 0; e < a->d; e += W) {
        const size_t left = (size_t)(a->d - e);
        const vf query = v_load_part(q + e, left);
        for (int c = 0; c < V; c++)
            sum[c] = v_fma(query, v_load_part(k + c * a->k_stride + e, left), sum[c]);
    }
    for (int c = 0; c < V; c++)
        x[c] = (float)a->scale * v_sum(sum[c]);
}

/* V vectors of o from e on; keys two by two, so that sums wait for each other half as often */
V_INLINE void values(const int V, const struct sqa_attend *a, const float *x, int64_t e, size_t left)
{
    const float *v = (const float *)a->v + e;
    vf even[COUNT], odd[COUNT];
    int64_t j = 0;
    for (int c = 0; c < V; c++)
        even[c] = odd[c] = v_zero();
    for (; j + 2 <= a->keys; j += 2)
        for (int c = 0; c < V; c++) {
            even[c] = v_fma(v_set(x[j]), v_load_part(v + j * a->v_stride + c * W, left), even[c]);
            odd[c] = v_fma(v_set(x[j + 1]), v_load_part(v + (j + 1) * a->v_stride + c * W, left), odd[c]);
        }
    for (int c = 0; c < V && j < a->keys; c++)
        even[c] = v_fma(v_set(x[j]), v_load_part(v + j * a->v_stride + c * W, left), even[c]);
    for (int c = 0; c < V; c++)
        v_store_part((float *)a->o + e + c * W, left, v_add(even[c], odd[c]));
}

void V(attend)(struct sqa_attend *a)
{
    float x[SQA_ATTEND_KEYS + COUNT * W];
    const float *k = a->k;
    int64_t j = 0, e = 0;
    for (; j + COUNT <= a->keys; j += COUNT)
        scores(COUNT, a, k + j * a->k_stride, x + j);
    for (; j < a->keys; j++)
        scores(1, a, k + j * a->k_stride, x + j);
    vf top = v_set(-HUGE_VALF), sum = v_zero();
    for (j = 0; j < a->keys; j += W)
        top = v_max(v_keep(v_load_part(x + j, (size_t)(a->keys - j)), (size_t)(a->keys - j), top), top);
    const float largest = v_top(top);
    for (j = 0; j < a->keys; j += W) {
        const size_t left = (size_t)(a->keys - j);
        const vf p = v_keep(v_exp_neg(v_sub(v_load_part(x + j, left), v_set(largest))), left, v_zero());
        sum = v_add(sum, p);
        v_store(x + j, p);
    }
    a->top = (double)largest;
    a->sum = (double)v_sum(sum);
    for (; e + COUNT * W <= a->dv; e += COUNT * W)
        values(COUNT, a, x, e, W);
    for (; e < a->dv; e += W)
        values(1, a, x, e, (size_t)(a->dv - e));
}
