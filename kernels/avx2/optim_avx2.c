/* optim_avx2.c - one step of AdamW and of momentum SGD; AVX2 and FMA, f32 */
#include <math.h>

#include "kernels/avx2/avx2.h"
#include "kernels/plain/plain.h"

void sqa_k_adamw_f32_avx2(const struct sqa_adamw *s, void *w_, const void *g_, void *m_, void *v_, size_t n)
{
    const __m256 b1 = set8((float)s->beta1), b2 = set8((float)s->beta2);
    const __m256 c1 = set8((float)(1 - s->beta1)), c2 = set8((float)(1 - s->beta2));
    const __m256 step = set8((float)(s->rate / s->correction1)), root = set8((float)(1 / sqrt(s->correction2)));
    const __m256 stay = set8((float)(1 - s->rate * s->decay)), eps = set8((float)s->eps);
    const __m256 scale = set8((float)s->grad_scale);
    const float *g = g_;
    float *w = w_, *m = m_, *v = v_;
    for (size_t i = 0; i < n; i += 8) {
        const size_t left = n - i;
        const __m256 gi = _mm256_mul_ps(load8(g + i, left), scale);
        const __m256 mi = fma8(b1, load8(m + i, left), _mm256_mul_ps(c1, gi));
        const __m256 vi = fma8(b2, load8(v + i, left), _mm256_mul_ps(_mm256_mul_ps(c2, gi), gi));
        const __m256 low = fma8(_mm256_sqrt_ps(vi), root, eps);
        const __m256 move = _mm256_div_ps(_mm256_mul_ps(step, mi), low);
        store8(m + i, left, mi);
        store8(v + i, left, vi);
        store8(w + i, left, _mm256_fmsub_ps(stay, load8(w + i, left), move));
    }
}

void sqa_k_sgd_f32_avx2(double rate_, double momentum_, double decay_, double grad_scale, void *w_, const void *g_,
                        void *m_, size_t n)
{
    const __m256 rate = set8((float)rate_), momentum = set8((float)momentum_), decay = set8((float)decay_);
    const __m256 scale = set8((float)grad_scale);
    const float *g = g_;
    float *w = w_, *m = m_;
    for (size_t i = 0; i < n; i += 8) {
        const size_t left = n - i;
        const __m256 wi = load8(w + i, left);
        __m256 step = fma8(load8(g + i, left), scale, _mm256_mul_ps(decay, wi));
        if (m) {
            step = fma8(momentum, load8(m + i, left), step);
            store8(m + i, left, step);
        }
        store8(w + i, left, _mm256_fnmadd_ps(rate, step, wi));
    }
}
