/* glu.c - gated linear unit; f32 */
#include "kernels/plain/plain.h"
#include "kernels/simd/vec.h"

void V(glu)(const void *x_, void *y_, size_t rows, size_t n)
{
    const float *x = x_;
    float *y = y_;
    for (size_t r = 0; r < rows; r++, x += 2 * n, y += n)
        for (size_t i = 0; i < n; i += W)
            v_store_part(y + i, n - i, v_mul(v_load_part(x + i, n - i), v_sigmoid(v_load_part(x + n + i, n - i))));
}

void V(glu_grad)(const void *x_, const void *dy_, void *dx_, size_t rows, size_t n)
{
    const float *x = x_, *dy = dy_;
    float *dx = dx_;
    for (size_t r = 0; r < rows; r++, x += 2 * n, dx += 2 * n, dy += n)
        for (size_t i = 0; i < n; i += W) {
            const size_t left = n - i;
            const vf gate = v_sigmoid(v_load_part(x + n + i, left));
            const vf da = v_mul(v_load_part(dy + i, left), gate);
            v_store_part(dx + n + i, left, v_mul(v_fnma(da, gate, da), v_load_part(x + i, left)));
            v_store_part(dx + i, left, da);
        }
}
