/*
 * poolformer.c - the mean of a window less the position itself
 *
 * Computes  y_t = s (mean of x_j over valid j in the window of t, less x_t). window w: floor((w - 1) / 2) positions
 *           before t and the rest behind; causal: w - 1 before. s (D) is a learned scale, 1 with layerscale = 0
 * Shapes    x (B, L, D) -> (B, L, D)
 * Cost      B L D flops for each position of the window, and 2 (mean, difference), and 1 for s; positions outside the
 *           sequence are not counted
 * Source    Yu et al. 2022, arXiv:2111.11418, section 3: pooling 3, stride 1, the mean over positions that are there;
 *           scale 1e-5 at first (sail-sg/poolformer: models/poolformer.py)
 * Departs   one dimension; positions of padding do not count; its GroupNorm is the frame's norm, and its scale of the
 *           channel part is left out
 */
#include "engine/ops/support.h"
#include "models/probe.h"

struct self {
    int64_t window;
    double layerscale;
};

static const struct sqa_param params[] = {
    {"window", "positions in the mean", SQA_PARAM_INT, "3", 1, 1 << 20, .offset = offsetof(struct self, window)},
    {"layerscale", "initial scale of the output, learned; 0: none", SQA_PARAM_REAL, "1e-5", 0, 10,
     .offset = offsetof(struct self, layerscale)},
    {.name = NULL},
};

/* window_mean and its transpose. 0 x (B, L, D), 1 lengths or NULL */

struct window {
    int64_t left, right;
    int transposed; /* gradient: the windows that j is in, each over its own number */
};

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *x = n->in[0];
    char have[96];

    if (x->rank != 3)
        return sqa_shape_fail(n, err, "x is %s; give (B, L, D)", sqa_shape_text(x, have));
    if (n->in[1] && sqa_check_lengths(n, 1, x->dim[0], err) != SQA_OK)
        return SQA_SHAPE;
    sqa_set_output(n, 0, x->dtype, 3, x->dim);
    return SQA_OK;
}

struct range {
    int64_t from, to; /* to is not in it */
};

static struct range around(int64_t t, int64_t before, int64_t behind, int64_t limit)
{
    const int64_t from = sqa_max64(0, t - before);

    return (struct range){from, sqa_max64(from, sqa_min64(limit, t + behind + 1))};
}

static void rows_of(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct sqa_node *n = ctx;
    const struct window *w = n->attr;
    const struct sqa_tensor *x = n->in[0];
    const struct sqa_kernels *k = sqa_kernels_of(x->dtype);
    const int64_t L = x->dim[1], D = x->dim[2];

    (void)thread;
    for (int64_t i = first; i < first + count; i++) {
        const int64_t b = i / L, t = i % L, valid = sqa_length_at(n->in[1], b, L);
        const unsigned char *rows = sqa_at_const(sqa_data(x), b * L * D, k->size);
        void *y = sqa_at(sqa_data(n->out[0]), i * D, k->size);
        const struct range own = around(t, w->left, w->right, valid);
        /* windows of positions of padding hold valid ones too, so their gradients count */
        const struct range in =
            w->transposed ? (t < valid ? around(t, w->right, w->left, L) : (struct range){0, 0}) : own;
        const double share = 1 / (double)sqa_max64(1, own.to - own.from);

        k->affine(-1, sqa_at_const(rows, t * D, k->size), 0, y, (size_t)D);
        for (int64_t j = in.from; j < in.to; j++) {
            const struct range other = around(j, w->left, w->right, valid);

            k->axpy(w->transposed ? 1 / (double)sqa_max64(1, other.to - other.from) : share,
                    sqa_at_const(rows, j * D, k->size), y, (size_t)D);
        }
    }
}

/* Pairs of a position and one of its window */
static double pairs_of(int64_t L, const struct window *w)
{
    double pairs = 0;

    for (int64_t t = 0; t < L; t++) {
        const struct range r = around(t, w->left, w->right, L);

        pairs += (double)(r.to - r.from);
    }
    return pairs;
}

static double op_flops(const struct sqa_node *n)
{
    const struct sqa_tensor *x = n->in[0];

    return (double)(x->dim[0] * x->dim[2]) * (pairs_of(x->dim[1], n->attr) + 2 * (double)x->dim[1]);
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct sqa_tensor *x = n->in[0];

    if (sqa_numel(x) != 0)
        sqa_chunks(r, x->dim[0] * x->dim[1], sqa_max64(1, SQA_CHUNK / x->dim[2]), op_flops(n), rows_of,
                   (void *)(uintptr_t)n);
}

static struct sqa_tensor *window_mean(struct sqa_graph *g, struct sqa_tensor *x, struct sqa_tensor *lengths,
                                      struct window w);

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    struct window w = *(const struct window *)n->attr;

    w.transposed = !w.transposed;
    dx[0] = window_mean(g, dy[0], n->in[1], w);
}

static const struct sqa_op op_window_mean = {
    .name = "window_mean",
    .help = "the mean of a window less the position itself",
    .shape = shape,
    .run = run,
    .grad = grad,
    .flops = op_flops,
};

static struct sqa_tensor *window_mean(struct sqa_graph *g, struct sqa_tensor *x, struct sqa_tensor *lengths,
                                      struct window w)
{
    return x ? sqa_apply(g, &op_window_mean, &w, sizeof w, 2, (struct sqa_tensor *const[]){x, lengths}) : NULL;
}

/* The mixer */

static struct window window_of(const struct self *s, const struct sqa_frame *frame)
{
    const int64_t left = frame->causal ? s->window - 1 : (s->window - 1) / 2;

    return (struct window){.left = left, .right = s->window - 1 - left};
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    const struct self *s = self;
    const struct sqa_init init = {.kind = SQA_INIT_CONSTANT, .a = s->layerscale};
    struct sqa_tensor *y = window_mean(c->g, x, c->lengths, window_of(s, &c->frame));

    if (s->layerscale <= 0)
        return y;
    return sqa_mul(c->g, y, sqa_param_tensor(c, "scale", SQA_GROUP_NO_DECAY, init, SQA_DIMS(c->frame.dim)));
}

static double flops(const void *self, const struct sqa_context *c)
{
    const struct self *s = self;
    const struct window w = window_of(s, &c->frame);
    const double L = (double)c->length;

    return (double)(c->batch * c->frame.dim) * (pairs_of(c->length, &w) + (s->layerscale > 0 ? 3 : 2) * L);
}

/* Identities */

enum { B = 2, L = 9, D = 4 };

static const int32_t ragged[B] = {L, 5};

static struct sqa_probe probe_of(const char *item, bool causal)
{
    return (struct sqa_probe){.item = item,
                              .batch = B,
                              .length = L,
                              .dim = D,
                              .heads = 1,
                              .causal = causal,
                              .lengths = ragged,
                              .real = SQA_F64};
}

static enum sqa_status equals_windows(struct sqa_err *err)
{
    static const struct {
        const char *item;
        int left, right, causal;
    } rows[] = {{"poolformer:layerscale=0", 1, 1, 0},
                {"poolformer:layerscale=0", 2, 0, 1},
                {"poolformer:window=4,layerscale=0", 1, 2, 0},
                {"poolformer:window=100,layerscale=0", 100, 100, 0}};
    double x[B * L * D], y[B * L * D], expect[L * D];
    enum sqa_status status = SQA_OK;

    sqa_probe_normal(1, x, B * L * D);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0] && status == SQA_OK; i++) {
        const struct sqa_probe p = probe_of(rows[i].item, rows[i].causal != 0);

        status = sqa_probe_run(&p, x, y, err);
        for (int b = 0; b < B && status == SQA_OK; b++) {
            const double *row = x + b * L * D;

            for (int k = 0; k < ragged[b] * D; k++) {
                double sum = 0;
                int n = 0;

                for (int j = 0; j < ragged[b]; j++)
                    if (j >= k / D - rows[i].left && j <= k / D + rows[i].right) {
                        sum += row[j * D + k % D];
                        n++;
                    }
                expect[k] = sum / n - row[k];
            }
            status = sqa_probe_expect(
                rows[i].item, sqa_probe_difference(y + b * L * D, expect, (size_t)(ragged[b] * D)), 1e-14, err);
        }
    }
    return status;
}

static enum sqa_status constants_vanish(struct sqa_err *err)
{
    double x[B * L * D], y[B * L * D], worst = 0;
    enum sqa_status status = SQA_OK;

    for (int i = 0; i < B * L * D; i++)
        x[i] = 1.5 + i % D;
    for (int causal = 0; causal < 2 && status == SQA_OK; causal++) {
        const struct sqa_probe p = probe_of("poolformer:window=5,layerscale=1", causal != 0);

        status = sqa_probe_run(&p, x, y, err);
        for (int b = 0; b < B && status == SQA_OK; b++)
            for (int i = 0; i < ragged[b] * D; i++)
                worst = y[b * L * D + i] > worst    ? y[b * L * D + i]
                        : -y[b * L * D + i] > worst ? -y[b * L * D + i]
                                                    : worst;
    }
    return status == SQA_OK ? sqa_probe_expect("largest output of a constant", worst, 1e-14, err) : status;
}

static const struct sqa_identity identities[] = {
    {"equals means over windows, causal and padded; a long window gives the mean of all", equals_windows},
    {"a constant sequence gives 0", constants_vanish},
    {.name = NULL},
};

const struct sqa_variant sqa_variant_poolformer = {
    .id = "poolformer",
    .slot = SQA_SLOT_MIXER,
    .title = "PoolFormer",
    .source = "Yu et al. 2022, arXiv:2111.11418",
    .complexity = "O(L w D) time, O(L D) memory",
    .help =
        "Each position receives the mean of a small window less itself: mixing without weights. Its learned scale "
        "begins at 1e-5, so a model begins nearly without it.",
    .traits = SQA_TRAIT_CAUSAL | SQA_TRAIT_PADDING | SQA_TRAIT_LINEAR_MEMORY | SQA_TRAIT_QKV,
    .params = params,
    .self_size = sizeof(struct self),
    .build = build,
    .flops = flops,
    .identities = identities,
};
