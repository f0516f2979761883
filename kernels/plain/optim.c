/* optim.c - one step of AdamW and of momentum SGD */
#include <tgmath.h>

#include "kernels/plain/plain.h"

void K(adamw)(const struct sqa_adamw *s, void *w_, const void *g_, void *m_, void *v_, size_t n)
{
    const real b1 = (real)s->beta1, b2 = (real)s->beta2, c1 = (real)(1 - s->beta1), c2 = (real)(1 - s->beta2);
    const real step = (real)(s->rate / s->correction1), root = (real)(1 / sqrt(s->correction2)), eps = (real)s->eps;
    const real stay = (real)(1 - s->rate * s->decay), scale = (real)s->grad_scale;
    const real *g = g_;
    real *w = w_, *m = m_, *v = v_;
    for (size_t i = 0; i < n; i++) {
        const real gi = g[i] * scale;
        m[i] = b1 * m[i] + c1 * gi;
        v[i] = b2 * v[i] + c2 * gi * gi;
        w[i] = stay * w[i] - step * m[i] / (sqrt(v[i]) * root + eps);
    }
}

void K(sgd)(double rate_, double momentum_, double decay_, double grad_scale, void *w_, const void *g_, void *m_,
            size_t n)
{
    const real rate = (real)rate_, momentum = (real)momentum_, decay = (real)decay_, scale = (real)grad_scale,
               *g = g_;
    real *w = w_, *m = m_;
    for (size_t i = 0; i < n; i++) {
        real step = g[i] * scale + decay * w[i];
        if (m) {
            step += momentum * m[i];
            m[i] = step;
        }
        w[i] -= rate * step;
    }
}
