/* rnn.c - gates of recurrent networks, and their gradients; f32 */
#include "kernels/plain/plain.h"
#include "kernels/simd/vec.h"

static inline vf load(const void *x, int64_t j, size_t left)
{
    return x ? v_load_part((const float *)x + j, left) : v_zero();
}

static inline void store(void *x, int64_t j, size_t left, vf v)
{
    v_store_part((float *)x + j, left, v);
}

/* s (1 - s), and 1 - t^2 */
static inline vf sigmoid_slope(vf s)
{
    return v_fnma(s, s, s);
}

static inline vf tanh_slope(vf t)
{
    return v_fnma(t, t, v_set(1.0f));
}

void V(lstm_gates)(const struct sqa_gates *g)
{
    const int64_t n = g->n;
    for (int64_t j = 0; j < n; j += W) {
        const size_t left = (size_t)(n - j);
        const vf i = v_sigmoid(load(g->z, j, left)), f = v_sigmoid(load(g->z, n + j, left));
        const vf a = v_tanh(load(g->z, 2 * n + j, left)), o = v_sigmoid(load(g->z, 3 * n + j, left));
        const vf c = v_fma(f, load(g->before, j, left), v_mul(i, a));
        store(g->z, j, left, i);
        store(g->z, n + j, left, f);
        store(g->z, 2 * n + j, left, a);
        store(g->z, 3 * n + j, left, o);
        store(g->state, j, left, c);
        store(g->h, j, left, v_mul(o, v_tanh(c)));
    }
}

void V(lstm_gates_grad)(const struct sqa_gates *g)
{
    const int64_t n = g->n;
    for (int64_t j = 0; j < n; j += W) {
        const size_t left = (size_t)(n - j);
        const vf i = load(g->z, j, left), f = load(g->z, n + j, left), a = load(g->z, 2 * n + j, left);
        const vf o = load(g->z, 3 * n + j, left), dh = load(g->dh, j, left), top = v_tanh(load(g->state, j, left));
        const vf dc = v_fma(v_mul(dh, o), tanh_slope(top), load(g->carry, j, left));
        store(g->z, j, left, v_mul(v_mul(dc, a), sigmoid_slope(i)));
        store(g->z, n + j, left, v_mul(v_mul(dc, load(g->before, j, left)), sigmoid_slope(f)));
        store(g->z, 2 * n + j, left, v_mul(v_mul(dc, i), tanh_slope(a)));
        store(g->z, 3 * n + j, left, v_mul(v_mul(dh, top), sigmoid_slope(o)));
        store(g->carry, j, left, v_mul(dc, f));
    }
}

void V(gru_gates)(const struct sqa_gates *g)
{
    const int64_t n = g->n;
    for (int64_t j = 0; j < n; j += W) {
        const size_t left = (size_t)(n - j);
        const vf r = v_sigmoid(load(g->z, j, left)), keep = v_sigmoid(load(g->z, n + j, left));
        const vf a = v_tanh(v_fma(r, load(g->state, j, left), load(g->z, 2 * n + j, left)));
        const vf h = v_fma(keep, v_sub(load(g->before, j, left), a), a);
        store(g->z, j, left, r);
        store(g->z, n + j, left, keep);
        store(g->z, 2 * n + j, left, a);
        store(g->h, j, left, h);
    }
}

void V(gru_gates_grad)(const struct sqa_gates *g)
{
    const int64_t n = g->n;
    for (int64_t j = 0; j < n; j += W) {
        const size_t left = (size_t)(n - j);
        const vf r = load(g->z, j, left), keep = load(g->z, n + j, left), a = load(g->z, 2 * n + j, left);
        const vf dh = load(g->dh, j, left), rest = v_sub(v_set(1.0f), keep);
        const vf da = v_mul(v_mul(dh, rest), tanh_slope(a));
        store(g->z, j, left, v_mul(v_mul(da, load(g->state, j, left)), sigmoid_slope(r)));
        store(g->z, n + j, left, v_mul(v_mul(dh, v_sub(load(g->before, j, left), a)), sigmoid_slope(keep)));
        store(g->z, 2 * n + j, left, da);
        store(g->state, j, left, v_mul(da, r));
        store(g->carry, j, left, v_mul(dh, keep));
    }
}
