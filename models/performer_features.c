/* performer_features.c - see performer_features.h */
#include "models/performer_features.h"

#include <math.h>

#include "base/random.h"
#include "engine/ops/support.h"

/* W */

static double dot(const double *a, const double *b, int64_t n)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

void sqa_draw_independent(double *w, int rank, const int64_t *dim, uint64_t key, const void *arg)
{
    (void)rank, (void)arg;
    for (int64_t i = 0; i < dim[0] * dim[1]; i++)
        w[i] = sqa_random_normal(key, (uint64_t)i);
}

/* Gaussian rows made orthonormal in blocks of d (Gram-Schmidt, twice), times the norms of other Gaussian rows. */
void sqa_draw_orthogonal(double *w, int rank, const int64_t *dim, uint64_t key, const void *arg)
{
    const int64_t m = dim[0], d = dim[1];
    const uint64_t norms = sqa_random_mix(key, 1);

    sqa_draw_independent(w, rank, dim, key, arg);
    for (int64_t i = 0; i < m; i++) {
        double *row = w + i * d, length;

        for (int pass = 0; pass < 2; pass++)
            for (int64_t j = i / d * d; j < i; j++) {
                const double along = dot(row, w + j * d, d);

                for (int64_t e = 0; e < d; e++)
                    row[e] -= along * w[j * d + e];
            }
        length = sqrt(dot(row, row, d));
        for (int64_t e = 0; e < d; e++)
            row[e] /= length;
    }
    for (int64_t i = 0; i < m; i++) {
        double square = 0;

        for (int64_t e = 0; e < d; e++) {
            const double g = sqa_random_normal(norms, (uint64_t)(i * d + e));

            square += g * g;
        }
        for (int64_t e = 0; e < d; e++)
            w[i * d + e] *= sqrt(square);
    }
}

/* performer_redraw: a new W after every `every` steps, else the old one. */

struct redraw {
    int64_t every, orthogonal;
};

static enum sqa_status redraw_shape(struct sqa_node *n, struct sqa_err *err)
{
    (void)err;
    sqa_set_output(n, 0, n->in[0]->dtype, 2, n->in[0]->dim);
    return SQA_OK;
}

static void redraw_run(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct redraw *a = n->attr;
    const struct sqa_tensor *y = n->out[0];
    const struct sqa_kernels *k = sqa_kernels_of(y->dtype);
    const size_t count = (size_t)sqa_numel(y);
    const uint64_t key = sqa_random_mix(sqa_random_mix(r->seed, n->path_hash), r->step);

    if ((r->step + 1) % (uint64_t)a->every != 0) {
        memcpy(sqa_data(y), sqa_data(n->in[0]), count * k->size);
        return;
    }
    (a->orthogonal ? sqa_draw_orthogonal : sqa_draw_independent)(r->workspace, 2, y->dim, key, NULL);
    k->from_f64(r->workspace, sqa_data(y), count);
}

static size_t redraw_workspace(const struct sqa_node *n, int threads)
{
    (void)threads;
    return (size_t)sqa_numel(n->in[0]) * sizeof(double);
}

static const struct sqa_op op_redraw = {
    .name = "performer_redraw",
    .help = "a new projection every so many steps", /* flops 0: spread over the steps it is next to nothing */
    .shape = redraw_shape,
    .run = redraw_run,
    .workspace = redraw_workspace,
};

struct sqa_tensor *sqa_performer_redraw(struct sqa_graph *g, struct sqa_tensor *w, int64_t every, bool orthogonal)
{
    const struct redraw a = {every, orthogonal};

    return sqa_ready(g, "performer_redraw", 1, &w) ? sqa_apply(g, &op_redraw, &a, sizeof a, 1, &w) : NULL;
}
