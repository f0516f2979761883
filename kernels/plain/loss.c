/* loss.c - softmax cross entropy of rows */
#include <string.h>
#include <tgmath.h>

#include "kernels/plain/plain.h"

static int is_class(int32_t label, size_t n)
{
    return label >= 0 && (size_t)label < n;
}

/* Sum of exp(x - top), top = max of the row. */
static double shifted_sum(const real *x, size_t n, real *top)
{
    real best = x[0];
    for (size_t i = 1; i < n; i++)
        best = x[i] > best ? x[i] : best;
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)exp(x[i] - best);
    *top = best;
    return sum;
}

void K(cross_entropy)(const void *x_, const int32_t *label, void *loss_, size_t rows, size_t n)
{
    const real *x = x_;
    real *loss = loss_;
    for (size_t r = 0; r < rows; r++, x += n) {
        loss[r] = 0;
        if (!is_class(label[r], n))
            continue;
        real top;
        const double sum = shifted_sum(x, n, &top);
        loss[r] = (real)(log(sum) + ((double)top - (double)x[label[r]]));
    }
}

void K(cross_entropy_grad)(const void *x_, const int32_t *label, const void *dloss_, void *dx_, size_t rows, size_t n)
{
    const real *x = x_, *dloss = dloss_;
    real *dx = dx_;
    for (size_t r = 0; r < rows; r++, x += n, dx += n) {
        if (!is_class(label[r], n)) {
            memset(dx, 0, n * sizeof *dx);
            continue;
        }
        real top;
        const double sum = shifted_sum(x, n, &top);
        const double scale = dloss ? (double)dloss[r] : 1;
        for (size_t i = 0; i < n; i++)
            dx[i] = (real)(scale * ((double)exp(x[i] - top) / sum - (i == (size_t)label[r])));
    }
}
