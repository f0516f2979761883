/*
 * scan.c - diagonal linear recurrences across channels; f32
 *
 * The states of up to COUNT vectors of channels stay in registers while time goes on, so that one's latency hides
 * behind the others.
 */
#include "kernels/plain/plain.h"
#include "kernels/simd/vec.h"

enum { COUNT = 4 };
enum { NONE, ROWS, SUM }; /* gradients of a: none, a row each, their sum over time */

/* V vectors from channel i on; the last has `left` channels. */
V_INLINE void scan_real(const int V, const int da, const struct sqa_scan *s, int64_t i, size_t left)
{
    const float *a = (const float *)s->a + i, *x = (const float *)s->x + i;
    float *y = (float *)s->y + i;
    vf state[COUNT];
    (void)da;
    for (int v = 0; v < V; v++)
        state[v] = v_zero();
    for (int64_t t = 0; t < s->n; t++, a += s->a_stride, x += s->x_stride, y += s->y_stride)
        for (int v = 0; v < V; v++) {
            state[v] = v_fma(v_load_part(a + v * W, left), state[v], v_load_part(x + v * W, left));
            v_store_part(y + v * W, left, state[v]);
        }
}

V_INLINE void scan_complex(const int V, const int da, const struct sqa_scan *s, int64_t i, size_t left)
{
    const float *a = (const float *)s->a + i, *x = (const float *)s->x + i;
    float *y = (float *)s->y + i;
    vf re[COUNT], im[COUNT];
    (void)da;
    for (int v = 0; v < V; v++)
        re[v] = im[v] = v_zero();
    for (int64_t t = 0; t < s->n; t++, a += s->a_stride, x += s->x_stride, y += s->y_stride)
        for (int v = 0; v < V; v++) {
            const int64_t j = v * W, k = j + s->imag;
            const vf ar = v_load_part(a + j, left), ai = v_load_part(a + k, left);
            const vf next = v_fnma(ai, im[v], v_fma(ar, re[v], v_load_part(x + j, left)));
            im[v] = v_fma(ai, re[v], v_fma(ar, im[v], v_load_part(x + k, left)));
            re[v] = next;
            v_store_part(y + j, left, re[v]);
            v_store_part(y + k, left, im[v]);
        }
}

V_INLINE void put(float *x, size_t left, vf value, int add)
{
    v_store_part(x, left, add ? v_add(value, v_load_part(x, left)) : value);
}

V_INLINE void grad_real(const int V, const int da, const struct sqa_scan_grad *s, int64_t i, size_t left)
{
    vf state[COUNT], sum[COUNT];
    for (int v = 0; v < V; v++)
        state[v] = sum[v] = v_zero();
    for (int64_t t = s->n - 1; t >= 0; t--)
        for (int v = 0; v < V; v++) {
            const int64_t j = i + v * W;
            const vf g = v_add(state[v], v_load_part((const float *)s->dy + t * s->dy_stride + j, left));
            put((float *)s->dx + t * s->dx_stride + j, left, g, s->add);
            if (da != NONE) {
                const vf y = t ? v_load_part((const float *)s->y + (t - 1) * s->y_stride + j, left) : v_zero();
                if (da == ROWS)
                    put((float *)s->da + t * s->da_stride + j, left, v_mul(g, y), s->add);
                else
                    sum[v] = v_fma(g, y, sum[v]);
            }
            state[v] = v_mul(v_load_part((const float *)s->a + t * s->a_stride + j, left), g);
        }
    for (int v = 0; v < V && da == SUM; v++)
        put((float *)s->da + i + v * W, left, sum[v], 1);
}

V_INLINE void grad_complex(const int V, const int da, const struct sqa_scan_grad *s, int64_t i, size_t left)
{
    vf re[COUNT], im[COUNT], sum[COUNT], sum_im[COUNT];
    for (int v = 0; v < V; v++)
        re[v] = im[v] = sum[v] = sum_im[v] = v_zero();
    for (int64_t t = s->n - 1; t >= 0; t--)
        for (int v = 0; v < V; v++) {
            const float *a = (const float *)s->a + t * s->a_stride + i + v * W;
            const float *dy = (const float *)s->dy + t * s->dy_stride + i + v * W;
            float *dx = (float *)s->dx + t * s->dx_stride + i + v * W;
            const vf gr = v_add(re[v], v_load_part(dy, left)), gi = v_add(im[v], v_load_part(dy + s->imag, left));
            const vf ar = v_load_part(a, left), ai = v_load_part(a + s->imag, left);
            put(dx, left, gr, s->add);
            put(dx + s->imag, left, gi, s->add);
            if (da != NONE) {
                const float *y = (const float *)s->y + (t ? t - 1 : 0) * s->y_stride + i + v * W;
                const vf yr = t ? v_load_part(y, left) : v_zero(), yi = t ? v_load_part(y + s->imag, left) : v_zero();
                if (da == ROWS) {
                    float *row = (float *)s->da + t * s->da_stride + i + v * W;
                    put(row, left, v_fma(gr, yr, v_mul(gi, yi)), s->add);
                    put(row + s->imag, left, v_fms(gi, yr, v_mul(gr, yi)), s->add);
                } else {
                    sum[v] = v_fma(gi, yi, v_fma(gr, yr, sum[v]));
                    sum_im[v] = v_fnma(gr, yi, v_fma(gi, yr, sum_im[v]));
                }
            }
            re[v] = v_fma(ar, gr, v_mul(ai, gi));
            im[v] = v_fms(ar, gi, v_mul(ai, gr));
        }
    for (int v = 0; v < V && da == SUM; v++) {
        put((float *)s->da + i + v * W, left, sum[v], 1);
        put((float *)s->da + i + v * W + s->imag, left, sum_im[v], 1);
    }
}

/* COUNT vectors at a time, then one at a time */
#define ALL(f, da)                                \
    int64_t i = 0;                                \
    for (; i + COUNT * W <= s->m; i += COUNT * W) \
        f(COUNT, da, s, i, W);                    \
    for (; i < s->m; i += W)                      \
        f(1, da, s, i, (size_t)(s->m - i));

void V(scan)(const struct sqa_scan *s)
{
    if (s->imag) {
        ALL(scan_complex, NONE)
    } else {
        ALL(scan_real, NONE)
    }
}

#define GRAD(name, da)                              \
    static void name(const struct sqa_scan_grad *s) \
    {                                               \
        if (s->imag) {                              \
            ALL(grad_complex, da)                   \
        } else {                                    \
            ALL(grad_real, da)                      \
        }                                           \
    }
GRAD(grad_none, NONE)
GRAD(grad_rows, ROWS)
GRAD(grad_sum, SUM)

void V(scan_grad)(const struct sqa_scan_grad *s)
{
    (!s->da ? grad_none : s->da_stride ? grad_rows : grad_sum)(s);
}
