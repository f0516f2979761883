/*
 * scan.c - diagonal linear recurrences across channels; f32
 *
 * The states of up to COUNT vectors of channels stay in registers while time goes on, so that one's latency hides
 * behind the others.
 */
#include "kernels/plain/plain.h"
#include "kernels/simd/vec.h"

enum { COUNT = 4 };

/* V vectors from channel i on; the last has `left` channels. */
V_INLINE void scan_real(const int V, const struct sqa_scan *s, int64_t i, size_t left)
{
    const float *a = (const float *)s->a + i, *x = (const float *)s->x + i;
    float *y = (float *)s->y + i;
    vf state[COUNT];
    for (int v = 0; v < V; v++)
        state[v] = v_zero();
    for (int64_t t = 0; t < s->n; t++, a += s->a_stride, x += s->x_stride, y += s->y_stride)
        for (int v = 0; v < V; v++) {
            state[v] = v_fma(v_load_part(a + v * W, left), state[v], v_load_part(x + v * W, left));
            v_store_part(y + v * W, left, state[v]);
        }
}

V_INLINE void scan_complex(const int V, const struct sqa_scan *s, int64_t i, size_t left)
{
    const float *a = (const float *)s->a + i, *x = (const float *)s->x + i;
    float *y = (float *)s->y + i;
    vf re[COUNT], im[COUNT];
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

V_INLINE void grad_real(const int V, const struct sqa_scan_grad *s, int64_t i, size_t left)
{
    vf state[COUNT];
    for (int v = 0; v < V; v++)
        state[v] = v_zero();
    for (int64_t t = s->n - 1; t >= 0; t--)
        for (int v = 0; v < V; v++) {
            const int64_t j = i + v * W;
            const vf g = v_add(state[v], v_load_part((const float *)s->dy + t * s->dy_stride + j, left));
            v_store_part((float *)s->dx + t * s->dx_stride + j, left, g);
            if (s->da) {
                const vf y = t ? v_load_part((const float *)s->y + (t - 1) * s->y_stride + j, left) : v_zero();
                v_store_part((float *)s->da + t * s->da_stride + j, left, v_mul(g, y));
            }
            state[v] = v_mul(v_load_part((const float *)s->a + t * s->a_stride + j, left), g);
        }
}

V_INLINE void grad_complex(const int V, const struct sqa_scan_grad *s, int64_t i, size_t left)
{
    vf re[COUNT], im[COUNT];
    for (int v = 0; v < V; v++)
        re[v] = im[v] = v_zero();
    for (int64_t t = s->n - 1; t >= 0; t--)
        for (int v = 0; v < V; v++) {
            const float *a = (const float *)s->a + t * s->a_stride + i + v * W;
            const float *dy = (const float *)s->dy + t * s->dy_stride + i + v * W;
            float *dx = (float *)s->dx + t * s->dx_stride + i + v * W;
            const vf gr = v_add(re[v], v_load_part(dy, left)), gi = v_add(im[v], v_load_part(dy + s->imag, left));
            const vf ar = v_load_part(a, left), ai = v_load_part(a + s->imag, left);
            v_store_part(dx, left, gr);
            v_store_part(dx + s->imag, left, gi);
            if (s->da) {
                const float *y = (const float *)s->y + (t ? t - 1 : 0) * s->y_stride + i + v * W;
                float *da = (float *)s->da + t * s->da_stride + i + v * W;
                const vf yr = t ? v_load_part(y, left) : v_zero(), yi = t ? v_load_part(y + s->imag, left) : v_zero();
                v_store_part(da, left, v_fma(gr, yr, v_mul(gi, yi)));
                v_store_part(da + s->imag, left, v_fms(gi, yr, v_mul(gr, yi)));
            }
            re[v] = v_fma(ar, gr, v_mul(ai, gi));
            im[v] = v_fms(ar, gi, v_mul(ai, gr));
        }
}

/* COUNT vectors at a time, then one at a time */
#define ALL(f)                                    \
    int64_t i = 0;                                \
    for (; i + COUNT * W <= s->m; i += COUNT * W) \
        f(COUNT, s, i, W);                        \
    for (; i < s->m; i += W)                      \
        f(1, s, i, (size_t)(s->m - i));

void V(scan)(const struct sqa_scan *s)
{
    if (s->imag) {
        ALL(scan_complex)
    } else {
        ALL(scan_real)
    }
}

void V(scan_grad)(const struct sqa_scan_grad *s)
{
    if (s->imag) {
        ALL(grad_complex)
    } else {
        ALL(grad_real)
    }
}
