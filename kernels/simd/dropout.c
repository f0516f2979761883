/* dropout.c - dropout, 8 W draws at once; a first element inside a block starts in plain C; f32 */
#include "kernels/simd/philox.h"
#include "kernels/plain/plain.h"

void V(dropout)(uint64_t key, uint64_t first, double keep, const void *x_, void *y_, size_t n)
{
    const size_t head = (size_t)(-first % 8) < n ? (size_t)(-first % 8) : n;
    sqa_k_dropout_f32(key, first, keep, x_, y_, head);
    const float *x = (const float *)x_ + head;
    float *y = (float *)y_ + head;
    n -= head;
    const uint32_t limit = sqa_keep_threshold(keep);
    const vi threshold = vi_set((int32_t)limit);
    const vf scale = v_set((float)sqa_keep_scale(limit));
    for (size_t i = 0; i < n; i += 8 * W) {
        uint16_t draw[8 * W];
        philox_draws(key, (first + head + i) / 8, draw);
        for (size_t at = i; at < i + 8 * W && at < n; at += W) {
            const vm kept = vi_gt(threshold, vi_load_u16(draw + (at - i)));
            v_store_part(y + at, n - at, v_select(kept, v_mul(v_load_part(x + at, n - at), scale), v_zero()));
        }
    }
}
