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

/* performer_features: phi from x (B, L, H, d) and u = W x (B, L, H, m); lengths (B) or NULL: rows after are 0 */

enum { X, U, LENGTHS, PHI, DPHI };

static enum sqa_status features_shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *x = n->in[X], *u = n->in[U];
    char a[96], b[96];

    if (x->rank != 4 || u->rank != 4 || x->dim[0] != u->dim[0] || x->dim[1] != u->dim[1] || x->dim[2] != u->dim[2] ||
        x->dtype != u->dtype || !sqa_is_real(x))
        return sqa_shape_fail(n, err, "x %s and W x %s; give (B, L, H, d) and (B, L, H, m)", sqa_shape_text(x, a),
                              sqa_shape_text(u, b));
    if (n->nin > PHI) { /* backward */
        sqa_set_output(n, 0, x->dtype, 4, x->dim);
        sqa_set_output(n, 1, x->dtype, 4, u->dim);
    } else {
        sqa_set_output(n, 0, x->dtype, 4, u->dim);
    }
    return n->in[LENGTHS] == NULL ? SQA_OK : sqa_check_lengths(n, LENGTHS, x->dim[0], err);
}

/* One (batch, head) of a node. */
struct rows {
    const struct sqa_performer_features *a;
    const struct sqa_kernels *k;
    enum sqa_dtype real;
    int64_t length, valid, heads, d, m, first; /* first: row 0's place among rows of a head */
};

static struct rows rows_of(const struct sqa_node *n, int64_t pair)
{
    const struct sqa_tensor *x = n->in[X], *u = n->in[U];
    const int64_t H = x->dim[2], b = pair / H;

    return (struct rows){.a = n->attr,
                         .k = sqa_kernels_of(x->dtype),
                         .real = x->dtype,
                         .length = x->dim[1],
                         .valid = sqa_length_at(n->in[LENGTHS], b, x->dim[1]),
                         .heads = H,
                         .d = x->dim[3],
                         .m = u->dim[3],
                         .first = b * x->dim[1] * H + pair % H};
}

/* Row t of a tensor with rows of that width. */
static void *row_at(const struct rows *r, const struct sqa_tensor *tensor, int64_t width, int64_t t)
{
    return sqa_at(sqa_data(tensor), (r->first + t * r->heads) * width, r->k->size);
}

/* The row with the largest number of u, or -1. */
static int64_t largest_row(const struct rows *r, const struct sqa_tensor *u, double *largest)
{
    int64_t at = -1;

    for (int64_t t = 0; t < r->valid; t++) {
        const double v = r->k->max(row_at(r, u, r->m, t), (size_t)r->m);

        if (at < 0 || v > *largest) {
            *largest = v;
            at = t;
        }
    }
    return at;
}

static void forward_pair(const struct sqa_node *n, int64_t pair)
{
    const struct rows r = rows_of(n, pair);
    const double s = r.a->scale, norm = 1 / sqrt((double)r.m);
    const size_t m = (size_t)r.m;
    double c = 0;

    if (r.a->stabiliser == SQA_STABILISE_SEQUENCE)
        (void)largest_row(&r, n->in[U], &c);
    for (int64_t t = 0; t < r.length; t++) {
        const void *u = row_at(&r, n->in[U], r.m, t);
        void *y = row_at(&r, n->out[0], r.m, t);
        const double square = r.k->sum_squares(row_at(&r, n->in[X], r.d, t), (size_t)r.d);

        if (t >= r.valid) {
            memset(y, 0, m * r.k->size);
            continue;
        }
        if (r.a->stabiliser == SQA_STABILISE_ROW)
            c = r.k->max(u, m);
        r.k->affine(s, u, -s * s * square / 2 - s * c, y, m);
        r.k->unary(SQA_UNARY_EXP, y, y, m);
        r.k->affine(norm, y, norm * r.a->eps, y, m);
    }
}

static void subtract_at_largest(const struct rows *r, const void *u, void *du, double amount)
{
    const double largest = r->k->max(u, (size_t)r->m);

    for (int64_t i = 0; i < r->m; i++)
        if (sqa_real_get(r->real, sqa_at_const(u, i, r->k->size)) >= largest) {
            void *p = sqa_at(du, i, r->k->size);

            sqa_real_set(r->real, p, sqa_real_get(r->real, p) - amount);
            return;
        }
}

/* e = phi - eps m^-1/2; du = s e dphi; dx = -s^2 x sum(e dphi); and c moves with the largest w . x: its share is
 * minus the sum of du (which matters by as much as eps does). */
static void backward_pair(const struct sqa_node *n, int64_t pair)
{
    const struct rows r = rows_of(n, pair);
    const double s = r.a->scale, norm = 1 / sqrt((double)r.m);
    const size_t m = (size_t)r.m, d = (size_t)r.d;
    double all = 0, c = 0;
    int64_t at = -1;

    for (int64_t t = 0; t < r.length; t++) {
        void *dx = row_at(&r, n->out[0], r.d, t), *du = row_at(&r, n->out[1], r.m, t);
        double sum;

        if (t >= r.valid) {
            memset(dx, 0, d * r.k->size);
            memset(du, 0, m * r.k->size);
            continue;
        }
        r.k->affine(1.0, row_at(&r, n->in[PHI], r.m, t), -norm * r.a->eps, du, m);
        r.k->binary(SQA_BINARY_MUL, du, row_at(&r, n->in[DPHI], r.m, t), du, m);
        sum = r.k->sum(du, m);
        r.k->affine(s, du, 0.0, du, m);
        r.k->affine(-s * s * sum, row_at(&r, n->in[X], r.d, t), 0.0, dx, d);
        if (r.a->stabiliser == SQA_STABILISE_ROW)
            subtract_at_largest(&r, row_at(&r, n->in[U], r.m, t), du, s * sum);
        all += sum;
    }
    if (r.a->stabiliser == SQA_STABILISE_SEQUENCE)
        at = largest_row(&r, n->in[U], &c);
    if (at >= 0)
        subtract_at_largest(&r, row_at(&r, n->in[U], r.m, at), row_at(&r, n->out[1], r.m, at), s * all);
}

struct job {
    const struct sqa_node *n;
};

static void features_pairs(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct sqa_node *n = ((const struct job *)ctx)->n;

    (void)thread;
    for (int64_t i = first; i < first + count; i++) {
        if (n->nin > PHI)
            backward_pair(n, i);
        else
            forward_pair(n, i);
    }
}

static void features_run(const struct sqa_node *n, const struct sqa_run *r)
{
    struct job j = {n};

    sqa_chunks(r, n->in[X]->dim[0] * n->in[X]->dim[2], 1, (double)sqa_numel(n->in[U]), features_pairs, &j);
}

/* |x|^2 and its scaling; then largest, scale, subtract, exp, + eps, times m^-1/2 a feature. */
double sqa_performer_features_flops(double rows, double d, double m, enum sqa_stabiliser stabiliser)
{
    return rows * (2 * d + 2 + (stabiliser == SQA_STABILISE_NOT ? 5 : 6) * m);
}

static double features_flops(const struct sqa_node *n)
{
    const struct sqa_performer_features *a = n->attr;
    const struct sqa_tensor *x = n->in[X];
    const double rows = (double)(x->dim[0] * x->dim[1] * x->dim[2]);

    return sqa_performer_features_flops(rows, (double)x->dim[3], (double)n->in[U]->dim[3], a->stabiliser);
}

static double features_bwd_flops(const struct sqa_node *n)
{
    const struct sqa_tensor *x = n->in[X];

    return (double)(x->dim[0] * x->dim[1] * x->dim[2]) * (4 * (double)n->in[U]->dim[3] + (double)x->dim[3] + 3);
}

static const struct sqa_op op_features_bwd = {
    .name = "performer_features_bwd",
    .help = "gradients of performer_features",
    .shape = features_shape,
    .run = features_run,
    .flops = features_bwd_flops,
    .tolerance = 1e-4,
};

static void features_grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy,
                          struct sqa_tensor **dx)
{
    struct sqa_tensor *in[] = {n->in[X], n->in[U], n->in[LENGTHS], n->out[0], dy[0]};
    struct sqa_tensor *t = sqa_apply(g, &op_features_bwd, n->attr, sizeof(struct sqa_performer_features), 5, in);

    for (int i = 0; t != NULL && i < 2; i++)
        dx[i] = t->node->out[i];
}

static const struct sqa_op op_features = {
    .name = "performer_features",
    .help = "m^-1/2 (exp(s u - s^2 |x|^2 / 2 - c) + eps)",
    .shape = features_shape,
    .run = features_run,
    .grad = features_grad,
    .flops = features_flops,
    .tolerance = 1e-5,
};

struct sqa_tensor *sqa_performer_features(struct sqa_graph *g, struct sqa_tensor *x, struct sqa_tensor *u,
                                          struct sqa_tensor *lengths, struct sqa_performer_features spec)
{
    struct sqa_tensor *in[] = {x, u, lengths};

    return sqa_ready(g, "performer_features", 2, in) ? sqa_apply(g, &op_features, &spec, sizeof spec, 3, in) : NULL;
}
