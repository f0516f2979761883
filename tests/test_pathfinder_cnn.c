/*
 * test_pathfinder_cnn.c - a small convolutional network learns Pathfinder: the pictures and their labels agree
 *
 * A Pathfinder that such a network cannot learn is broken (a released set once was: long-range-arena issue 38). Plain
 * C, forward and backward: seven 3 x 3 convolutions by im2col and sgemm, each with batch normalisation and ReLU, the
 * mean over places, one dense layer; logistic loss, Adam. Every training picture is new.
 *
 * Without an argument: curves of three bars without distractors, half a minute at most, clearly above chance. With
 * the largest number of training pictures (make check-pathfinder): size 32, easy, until 92 % of 4000 held-out
 * pictures are right; 90 % pass.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cblas.h>
#include <cmocka.h>

#include "base/memory.h"
#include "base/random.h"
#include "tasks/pathfinder.h"

enum { SIDE = 32, LAYERS = 7, BATCH = 32, WIDEST = 64 };

/* Stride 1 or 2: side_in / side_out. */
static const struct layer {
    int in, out, side_in, side_out;
} layers[LAYERS] = {
    {1, 16, 32, 32}, {16, 32, 32, 16}, {32, 32, 16, 16}, {32, 64, 16, 8},
    {64, 64, 8, 8},  {64, 64, 8, 4},   {64, 64, 4, 4},
};

/* Weights of a layer: a matrix (out, 9 in), then scale (out) and shift (out). At the end the dense layer: (64), 1. */
struct net {
    size_t weights, at[LAYERS + 1];        /* of all; where those of each layer begin */
    float *w, *gradient, *first, *second;  /* (weights): first, second are Adam's moments */
    float *x[LAYERS + 1], *dx[LAYERS + 1]; /* (BATCH, side + 2, side + 2, channels), a border of zeros */
    float *normal[LAYERS];                 /* (BATCH side side, out): before scale and shift */
    float deviation[LAYERS][WIDEST];       /* of the batch */
    float mean[LAYERS][WIDEST], variance[LAYERS][WIDEST]; /* running, for held-out pictures */
    float *columns, *dcolumns, *dz;
    float pooled[BATCH][WIDEST];
    int64_t step;
};

static int taps(int k)
{
    return 9 * layers[k].in;
}

static size_t rows(int k) /* of z: positions of all pictures */
{
    return (size_t)(BATCH * layers[k].side_out * layers[k].side_out);
}

static size_t padded(int side, int channels)
{
    return (size_t)(BATCH * (side + 2) * (side + 2) * channels);
}

static float *floats(size_t n)
{
    float *p = sqa_alloc_array(n, sizeof *p);
    assert_non_null(p);
    return p;
}

static void net_create(struct net *n)
{
    const uint64_t key = sqa_random_key(1, 0, "test/cnn");
    size_t columns = 0, widest = 0;
    *n = (struct net){0};
    n->x[0] = floats(padded(SIDE, 1));
    n->dx[0] = floats(padded(SIDE, 1));
    for (int k = 0; k < LAYERS; k++) {
        const size_t area = rows(k) * (size_t)taps(k), z = rows(k) * (size_t)layers[k].out;
        columns = area > columns ? area : columns;
        widest = z > widest ? z : widest;
        n->at[k] = n->weights;
        n->weights += (size_t)(layers[k].out * (taps(k) + 2));
        n->x[k + 1] = floats(padded(layers[k].side_out, layers[k].out));
        n->dx[k + 1] = floats(padded(layers[k].side_out, layers[k].out));
        n->normal[k] = floats(z);
    }
    n->at[LAYERS] = n->weights;
    n->weights += WIDEST + 1;
    n->w = floats(n->weights);
    n->gradient = floats(n->weights);
    n->first = floats(n->weights);
    n->second = floats(n->weights);
    n->columns = floats(columns);
    n->dcolumns = floats(columns);
    n->dz = floats(widest);
    for (int k = 0; k < LAYERS; k++) {
        float *w = n->w + n->at[k];
        const int matrix = layers[k].out * taps(k);
        for (int i = 0; i < matrix; i++) /* He: deviation sqrt(2 / inputs) */
            w[i] = (float)(sqrt(2.0 / taps(k)) * sqa_random_normal(key, n->at[k] + (uint64_t)i));
        for (int c = 0; c < layers[k].out; c++) {
            w[matrix + c] = 1;
            n->variance[k][c] = 1;
        }
    }
    for (int c = 0; c < WIDEST; c++)
        n->w[n->at[LAYERS] + (size_t)c] = (float)(0.125 * sqa_random_normal(key, n->at[LAYERS] + (uint64_t)c));
}

static void net_free(struct net *n)
{
    for (int k = 0; k <= LAYERS; k++) {
        sqa_free(n->x[k]);
        sqa_free(n->dx[k]);
        if (k < LAYERS)
            sqa_free(n->normal[k]);
    }
    float *const rest[] = {n->w, n->gradient, n->first, n->second, n->columns, n->dcolumns, n->dz};
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++)
        sqa_free(rest[i]);
}

/* The 3 pieces of 3 in floats that each output position sees, copied to columns (rows, 9 in) or added back. */
static void patches(const struct layer *l, float *x, float *columns, int back)
{
    const int piece = 3 * l->in, line = (l->side_in + 2) * l->in, stride = l->side_in / l->side_out;
    for (int b = 0; b < BATCH; b++, x += (l->side_in + 2) * line)
        for (int y = 0; y < l->side_out; y++)
            for (int c = 0; c < l->side_out; c++)
                for (int dy = 0; dy < 3; dy++, columns += piece) {
                    float *at = x + (y * stride + dy) * line + c * stride * l->in;
                    if (!back)
                        memcpy(columns, at, (size_t)piece * sizeof *at);
                    else
                        for (int i = 0; i < piece; i++)
                            at[i] += columns[i];
                }
}

/* Where position r of a layer's output begins in its padded array. */
static size_t position(const struct layer *l, size_t r)
{
    const size_t side = (size_t)l->side_out, b = r / (side * side), y = r / side % side, x = r % side;
    return ((b * (side + 2) + y + 1) * (side + 2) + x + 1) * (size_t)l->out;
}

/* Means over the batch become 0, deviations 1; learning updates the running ones, which testing uses. */
static void normalise(struct net *n, int k, int learning)
{
    const int out = layers[k].out;
    float *z = n->normal[k], mean[WIDEST] = {0}, variance[WIDEST] = {0};
    const float share = 1 / (float)rows(k);
    for (size_t r = 0; r < rows(k) && learning; r++)
        for (int c = 0; c < out; c++)
            mean[c] += z[r * (size_t)out + (size_t)c] * share;
    for (size_t r = 0; r < rows(k) && learning; r++)
        for (int c = 0; c < out; c++) {
            const float d = z[r * (size_t)out + (size_t)c] - mean[c];
            variance[c] += d * d * share;
        }
    for (int c = 0; c < out && learning; c++) {
        n->mean[k][c] += 0.1f * (mean[c] - n->mean[k][c]);
        n->variance[k][c] += 0.1f * (variance[c] - n->variance[k][c]);
    }
    for (int c = 0; c < out; c++) {
        mean[c] = learning ? mean[c] : n->mean[k][c];
        n->deviation[k][c] = sqrtf((learning ? variance[c] : n->variance[k][c]) + 1e-5f);
    }
    for (size_t r = 0; r < rows(k); r++)
        for (int c = 0; c < out; c++)
            z[r * (size_t)out + (size_t)c] = (z[r * (size_t)out + (size_t)c] - mean[c]) / n->deviation[k][c];
}

static void forward(struct net *n, int learning, float logit[BATCH])
{
    for (int k = 0; k < LAYERS; k++) {
        const struct layer *l = &layers[k];
        const float *w = n->w + n->at[k], *scale = w + l->out * taps(k), *shift = scale + l->out;
        patches(l, n->x[k], n->columns, 0);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows(k), l->out, taps(k), 1, n->columns, taps(k), w,
                    taps(k), 0, n->normal[k], l->out);
        normalise(n, k, learning);
        for (size_t r = 0; r < rows(k); r++) {
            const float *z = n->normal[k] + r * (size_t)l->out;
            float *y = n->x[k + 1] + position(l, r);
            for (int c = 0; c < l->out; c++) {
                const float v = scale[c] * z[c] + shift[c];
                y[c] = v > 0 ? v : 0;
            }
        }
    }
    const struct layer *last = &layers[LAYERS - 1];
    const float *dense = n->w + n->at[LAYERS];
    const size_t cells = rows(LAYERS - 1) / BATCH;
    memset(n->pooled, 0, sizeof n->pooled);
    for (size_t r = 0; r < rows(LAYERS - 1); r++)
        for (int c = 0; c < last->out; c++)
            n->pooled[r / cells][c] += n->x[LAYERS][position(last, r) + (size_t)c] / (float)cells;
    for (int b = 0; b < BATCH; b++)
        logit[b] = dense[WIDEST] + cblas_sdot(WIDEST, dense, 1, n->pooled[b], 1);
}

/* dz of a layer from dx of its output, through ReLU, scale and shift, and the batch's mean and deviation. */
static void through_norm(struct net *n, int k)
{
    const struct layer *l = &layers[k];
    const float *scale = n->w + n->at[k] + l->out * taps(k);
    float *dscale = n->gradient + n->at[k] + l->out * taps(k), *dshift = dscale + l->out;
    for (size_t r = 0; r < rows(k); r++) {
        const float *z = n->normal[k] + r * (size_t)l->out, *y = n->x[k + 1] + position(l, r);
        const float *dy = n->dx[k + 1] + position(l, r);
        float *dz = n->dz + r * (size_t)l->out;
        for (int c = 0; c < l->out; c++) {
            dz[c] = y[c] > 0 ? dy[c] : 0;
            dscale[c] += dz[c] * z[c];
            dshift[c] += dz[c];
        }
    }
    const float share = 1 / (float)rows(k);
    for (size_t r = 0; r < rows(k); r++) {
        const float *z = n->normal[k] + r * (size_t)l->out;
        float *dz = n->dz + r * (size_t)l->out;
        for (int c = 0; c < l->out; c++)
            dz[c] = scale[c] / n->deviation[k][c] * (dz[c] - share * (dshift[c] + z[c] * dscale[c]));
    }
}

/* The gradient of the mean loss, from d loss / d logit. */
static void backward(struct net *n, const float d[BATCH])
{
    const struct layer *last = &layers[LAYERS - 1];
    const float *dense = n->w + n->at[LAYERS];
    float *ddense = n->gradient + n->at[LAYERS];
    const size_t cells = rows(LAYERS - 1) / BATCH;
    memset(n->gradient, 0, n->weights * sizeof *n->gradient);
    for (int b = 0; b < BATCH; b++) {
        cblas_saxpy(WIDEST, d[b], n->pooled[b], 1, ddense, 1);
        ddense[WIDEST] += d[b];
    }
    for (size_t r = 0; r < rows(LAYERS - 1); r++)
        for (int c = 0; c < last->out; c++)
            n->dx[LAYERS][position(last, r) + (size_t)c] = d[r / cells] * dense[c] / (float)cells;
    for (int k = LAYERS - 1; k >= 0; k--) {
        const struct layer *l = &layers[k];
        through_norm(n, k);
        patches(l, n->x[k], n->columns, 0);
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, l->out, taps(k), (int)rows(k), 1, n->dz, l->out,
                    n->columns, taps(k), 1, n->gradient + n->at[k], taps(k));
        if (k == 0)
            return;
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rows(k), taps(k), l->out, 1, n->dz, l->out,
                    n->w + n->at[k], taps(k), 0, n->dcolumns, taps(k));
        memset(n->dx[k], 0, padded(l->side_in, l->in) * sizeof(float));
        patches(l, n->dx[k], n->dcolumns, 1);
    }
}

static void adam(struct net *n, double rate)
{
    n->step++;
    const double first = 1 - pow(0.9, (double)n->step), second = 1 - pow(0.999, (double)n->step);
    const float size = (float)(rate / first), square = (float)(1 / second);
    for (size_t i = 0; i < n->weights; i++) {
        const float g = n->gradient[i];
        n->first[i] += 0.1f * (g - n->first[i]);
        n->second[i] += 0.001f * (g * g - n->second[i]);
        n->w[i] -= size * n->first[i] / (sqrtf(n->second[i] * square) + 1e-8f);
    }
}

/* Pictures i .. i + BATCH - 1 of the stream into the net's input. */
static void load(struct net *n, struct sqa_pathfinder *p, uint64_t key, int64_t i, int label[BATCH])
{
    for (int b = 0; b < BATCH; b++) {
        uint8_t pixels[SIDE * SIDE];
        struct sqa_pathfinder_record r;
        sqa_pathfinder_draw(p, sqa_random_mix(key, (uint64_t)(i + b)), pixels, &r);
        label[b] = r.label;
        for (int y = 0; y < SIDE; y++)
            for (int x = 0; x < SIDE; x++)
                n->x[0][(b * (SIDE + 2) + y + 1) * (SIDE + 2) + x + 1] = (float)pixels[y * SIDE + x] / 64;
    }
}

static double accuracy(struct net *n, struct sqa_pathfinder *p, int pictures)
{
    const uint64_t key = sqa_random_key(0, 0, "test/cnn/held out");
    int hits = 0, label[BATCH];
    float logit[BATCH];
    for (int i = 0; i < pictures; i += BATCH) {
        load(n, p, key, i, label);
        forward(n, 0, logit);
        for (int b = 0; b < BATCH; b++)
            hits += (logit[b] > 0) == label[b];
    }
    return (double)hits / pictures;
}

/* What is trained on up to a share of the pictures: short curves alone get a network off the plateau at chance. */
struct lesson {
    double until;
    int contour, distractors; /* -1: as published */
};

static struct sqa_pathfinder *open_lesson(const struct lesson *l)
{
    struct sqa_pathfinder_shape shape;
    assert_true(sqa_pathfinder_shape(SIDE, SQA_PATHFINDER_EASY, l->distractors, &shape));
    shape.contour = l->contour;
    struct sqa_pathfinder *p = sqa_pathfinder_create(&shape);
    assert_non_null(p);
    return p;
}

/* Trains on new pictures until `limit` of them or `enough` of `held_out` pictures of the last lesson are right;
 * returns that share. Counts are multiples of BATCH. */
static double train(const struct lesson *lesson, int lessons, int64_t limit, int64_t report, int held_out,
                    double enough)
{
    const uint64_t key = sqa_random_key(0, 0, "test/cnn/train");
    struct sqa_pathfinder *now = open_lesson(lesson), *last = open_lesson(&lesson[lessons - 1]);
    struct net n;
    double loss = 0, reached = 0;
    net_create(&n);
    const clock_t start = clock();
    for (int64_t i = 0; i < limit && reached < enough; i += BATCH) {
        int label[BATCH];
        float logit[BATCH], d[BATCH];
        if ((double)i > lesson->until * (double)limit) {
            sqa_pathfinder_free(now);
            now = open_lesson(++lesson);
        }
        load(&n, now, key, i, label);
        forward(&n, 1, logit);
        for (int b = 0; b < BATCH; b++) {
            const double v = (double)logit[b];
            loss += log1p(exp(-fabs(v))) + fmax(label[b] ? -v : v, 0);
            d[b] = (float)((1 / (1 + exp(-v)) - label[b]) / BATCH);
        }
        backward(&n, d);
        adam(&n, 2e-3 * fmin(1, (double)(i + BATCH) / 3200) * fmin(1, 0.1 + 1.8 * (1 - (double)i / (double)limit)));
        if ((i + BATCH) % report == 0 || i + BATCH >= limit) {
            reached = accuracy(&n, last, held_out);
            print_message("%lld pictures, %.0f s: bars %d, loss %.4f, held out %.2f %% of %d\n", (long long)i + BATCH,
                          (double)(clock() - start) / CLOCKS_PER_SEC, lesson->contour, loss / (double)report,
                          100 * reached, held_out);
            fflush(stdout);
            loss = 0;
        }
    }
    net_free(&n);
    sqa_pathfinder_free(now);
    sqa_pathfinder_free(last);
    return reached;
}

static int64_t pictures = 0; /* asked for on the command line */

static void a_network_learns_short_curves(void **state)
{
    static const struct lesson lesson = {1, 3, 0};
    (void)state;
    const double reached = train(&lesson, 1, 9600, 1600, 512, 0.75);
    if (reached < 0.65)
        fail_msg("held-out accuracy %.2f %%, want 65 %%", 100 * reached);
}

static void a_network_learns_easy(void **state)
{
    static const struct lesson lessons[] = {{0.04, 3, 0}, {0.08, 4, 0}, {0.2, 6, 0}, {1, 6, -1}};
    (void)state;
    const double reached = train(lessons, 4, pictures / BATCH * BATCH, 8000, 4000, 0.92);
    if (reached < 0.9)
        fail_msg("held-out accuracy %.2f %%, want 90 %%", 100 * reached);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest quick[] = {cmocka_unit_test(a_network_learns_short_curves)};
    const struct CMUnitTest full[] = {cmocka_unit_test(a_network_learns_easy)};
    pictures = argc > 1 ? atoll(argv[1]) : 0;
    return pictures > 0 ? cmocka_run_group_tests(full, NULL, NULL) : cmocka_run_group_tests(quick, NULL, NULL);
}
