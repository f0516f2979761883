/* embedding.c - table look-up and its gradient */
#include <string.h>

#include "kernels/plain/plain.h"

void K(embedding)(const void *table_, const int32_t *id, void *y_, size_t rows, size_t n, size_t vocab)
{
    const real *table = table_;
    real *y = y_;
    for (size_t r = 0; r < rows; r++, y += n)
        if (id[r] >= 0 && (size_t)id[r] < vocab)
            memcpy(y, table + (size_t)id[r] * n, n * sizeof *y);
        else
            memset(y, 0, n * sizeof *y);
}

void K(embedding_grad)(const int32_t *id, const void *dy_, void *dtable_, size_t rows, size_t n, size_t vocab)
{
    const real *dy = dy_;
    real *dtable = dtable_;
    for (size_t r = 0; r < rows; r++, dy += n) {
        if (id[r] < 0 || (size_t)id[r] >= vocab)
            continue;
        real *row = dtable + (size_t)id[r] * n;
        for (size_t i = 0; i < n; i++)
            row[i] += dy[i];
    }
}
