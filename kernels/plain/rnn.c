/* rnn.c - gates of recurrent networks, and their gradients */
#include <math.h>

#include "kernels/plain/plain.h"

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

void K(lstm_gates)(const struct sqa_gates *g)
{
    const int64_t n = g->n;
    real *z = g->z;
    for (int64_t j = 0; j < n; j++) {
        const double i = sigmoid((double)z[j]), f = sigmoid((double)z[n + j]), a = tanh((double)z[2 * n + j]);
        const double o = sigmoid((double)z[3 * n + j]), before = g->before ? (double)((const real *)g->before)[j] : 0;
        const double c = f * before + i * a;
        z[j] = (real)i;
        z[n + j] = (real)f;
        z[2 * n + j] = (real)a;
        z[3 * n + j] = (real)o;
        ((real *)g->state)[j] = (real)c;
        ((real *)g->h)[j] = (real)(o * tanh(c));
    }
}

void K(lstm_gates_grad)(const struct sqa_gates *g)
{
    const int64_t n = g->n;
    real *z = g->z, *carry = g->carry;
    for (int64_t j = 0; j < n; j++) {
        const double i = (double)z[j], f = (double)z[n + j], a = (double)z[2 * n + j], o = (double)z[3 * n + j];
        const double before = g->before ? (double)((const real *)g->before)[j] : 0;
        const double dh = (double)((const real *)g->dh)[j], top = tanh((double)((const real *)g->state)[j]);
        const double dc = (double)carry[j] + dh * o * (1 - top * top);
        z[j] = (real)(dc * a * i * (1 - i));
        z[n + j] = (real)(dc * before * f * (1 - f));
        z[2 * n + j] = (real)(dc * i * (1 - a * a));
        z[3 * n + j] = (real)(dh * top * o * (1 - o));
        carry[j] = (real)(dc * f);
    }
}

void K(gru_gates)(const struct sqa_gates *g)
{
    const int64_t n = g->n;
    real *z = g->z;
    for (int64_t j = 0; j < n; j++) {
        const double r = sigmoid((double)z[j]), keep = sigmoid((double)z[n + j]);
        const double before = g->before ? (double)((const real *)g->before)[j] : 0;
        const double a = tanh((double)z[2 * n + j] + r * (double)((const real *)g->state)[j]);
        z[j] = (real)r;
        z[n + j] = (real)keep;
        z[2 * n + j] = (real)a;
        ((real *)g->h)[j] = (real)(a + keep * (before - a));
    }
}

void K(gru_gates_grad)(const struct sqa_gates *g)
{
    const int64_t n = g->n;
    real *z = g->z, *u = g->state;
    for (int64_t j = 0; j < n; j++) {
        const double r = (double)z[j], keep = (double)z[n + j], a = (double)z[2 * n + j];
        const double before = g->before ? (double)((const real *)g->before)[j] : 0;
        const double dh = (double)((const real *)g->dh)[j], da = dh * (1 - keep) * (1 - a * a);
        z[j] = (real)(da * (double)u[j] * r * (1 - r));
        z[n + j] = (real)(dh * (before - a) * keep * (1 - keep));
        z[2 * n + j] = (real)da;
        u[j] = (real)(da * r);
        ((real *)g->carry)[j] = (real)(dh * keep);
    }
}
