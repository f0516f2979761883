/* optim.c - one step of AdamW and of momentum SGD; f32 */
#include <math.h>

#include "kernels/simd/vec.h"
#include "kernels/plain/plain.h"

void V(adamw)(const struct sqa_adamw *s, void *w_, const void *g_, void *m_, void *v_, size_t n)
{
    const vf b1 = v_set((float)s->beta1), b2 = v_set((float)s->beta2);
    const vf c1 = v_set((float)(1 - s->beta1)), c2 = v_set((float)(1 - s->beta2));
    const vf step = v_set((float)(s->rate / s->correction1)), root = v_set((float)(1 / sqrt(s->correction2)));
    const vf stay = v_set((float)(1 - s->rate * s->decay)), eps = v_set((float)s->eps);
    const vf scale = v_set((float)s->grad_scale);
    const float *g = g_;
    float *w = w_, *m = m_, *v = v_;
    for (size_t i = 0; i < n; i += W) {
        const size_t left = n - i;
        const vf gi = v_mul(v_load_part(g + i, left), scale);
        const vf mi = v_fma(b1, v_load_part(m + i, left), v_mul(c1, gi));
        const vf vv = v_fma(b2, v_load_part(v + i, left), v_mul(v_mul(c2, gi), gi));
        const vf low = v_fma(v_sqrt(vv), root, eps);
        const vf move = v_div(v_mul(step, mi), low);
        v_store_part(m + i, left, mi);
        v_store_part(v + i, left, vv);
        v_store_part(w + i, left, v_fms(stay, v_load_part(w + i, left), move));
    }
}

void V(sgd)(double rate_, double momentum_, double decay_, double grad_scale, void *w_, const void *g_, void *m_,
            size_t n)
{
    const vf rate = v_set((float)rate_), momentum = v_set((float)momentum_), decay = v_set((float)decay_);
    const vf scale = v_set((float)grad_scale);
    const float *g = g_;
    float *w = w_, *m = m_;
    for (size_t i = 0; i < n; i += W) {
        const size_t left = n - i;
        const vf wi = v_load_part(w + i, left);
        vf step = v_fma(v_load_part(g + i, left), scale, v_mul(decay, wi));
        if (m) {
            step = v_fma(momentum, v_load_part(m + i, left), step);
            v_store_part(m + i, left, step);
        }
        v_store_part(w + i, left, v_fnma(rate, step, wi));
    }
}
