/*
 * rnn.c - see rnn.h
 *
 * The op `rnn` gets W x + b and writes the gates in their place, which is what its gradient needs. Rows of the batch
 * are independent: a block of them goes through all positions at a time.
 */
#include "models/rnn.h"

#include <math.h>

#include "base/random.h"
#include "engine/ops/support.h"
#include "models/step.h"

enum { ROWS = 6 }; /* of a block: the small products' rows */

enum { Z, U, D, LENGTHS, H0, C0, INPUTS };              /* rnn; d of gru; H0, C0: states of a step, changed */
enum { GATES, DH, STATE, H, BU, BLENGTHS, BWD_INPUTS }; /* rnn_bwd; STATE: c of lstm, u of gru */

struct attr {
    enum sqa_rnn_kind kind;
    int reverse; /* in time */
    int keep;    /* state of all positions is an output, for the gradient */
};

static int64_t gates_of(enum sqa_rnn_kind kind)
{
    return kind == SQA_RNN_LSTM ? 4 : 3;
}

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct attr *a = n->attr;
    const struct sqa_tensor *z = n->in[Z], *u = n->in[U];
    const int64_t G = gates_of(a->kind), units = z->rank == 3 ? z->dim[2] / G : 0;
    char one[96], two[96];

    if (z->rank != 3 || u->rank != 2 || u->dim[0] != units || u->dim[1] != G * units || z->dim[2] != G * units ||
        (n->in[D] && sqa_numel(n->in[D]) != units))
        return sqa_shape_fail(n, err, "z is %s, u %s; give (B, L, %lld H) and (H, %lld H)", sqa_shape_text(z, one),
                              sqa_shape_text(u, two), (long long)G, (long long)G);
    if (n->in[LENGTHS] && sqa_check_lengths(n, LENGTHS, z->dim[0], err) != SQA_OK)
        return SQA_SHAPE;
    sqa_set_output(n, 0, z->dtype, 3, z->dim);
    for (int i = 1; i < (a->keep ? 3 : 2); i++)
        sqa_set_output(n, i, z->dtype, SQA_DIMS(z->dim[0], z->dim[1], units));
    return SQA_OK;
}

/* What both ops work with. A row at a position: of z, h, state. */
struct job {
    const struct sqa_node *n;
    const struct sqa_kernels *k;
    enum sqa_rnn_kind kind;
    bool reverse;
    int64_t batch, length, units, gates;
    const struct sqa_tensor *lengths;
    unsigned char *z, *h, *state; /* state NULL: not kept */
    unsigned char *panels[2];     /* of U: of all gates, gru without a; then those of a */
    unsigned char *rows;          /* of each block, `row_bytes` */
    size_t row_bytes;
};

static struct job job_of(const struct sqa_node *n, const struct sqa_tensor *z, const struct sqa_tensor *u)
{
    const struct attr *a = n->attr;

    return (struct job){.n = n,
                        .k = sqa_node_kernels(n),
                        .kind = a->kind,
                        .reverse = a->reverse != 0,
                        .batch = z->dim[0],
                        .length = z->dim[1],
                        .units = u->dim[0],
                        .gates = gates_of(a->kind)};
}

static int64_t blocks_of(const struct job *j)
{
    return (j->batch + ROWS - 1) / ROWS;
}

static void *at(const struct job *j, unsigned char *base, int64_t row, int64_t t, int64_t width)
{
    return sqa_at(base, (row * j->length + t) * width, j->k->size);
}

/* The t-th position to be computed, and the one before it; -1: none. */
static int64_t place(const struct job *j, int64_t i)
{
    return j->reverse ? j->length - 1 - i : i;
}

/* Columns of U that belong to the product that z takes in, and to that of u (gru). */
static int64_t joined(const struct job *j)
{
    return j->kind == SQA_RNN_LSTM ? 4 * j->units : 2 * j->units;
}

/* Forward. A block's rows: u (ROWS, H) of gru, c of lstm, where they are not kept; zeros (H). */

static size_t forward_workspace(const struct sqa_node *n, struct job *j, void *base)
{
    const size_t size = j->k->size;
    size_t bytes = 0;

    j->panels[0] = sqa_take(base, &bytes, j->k->panels(j->units, joined(j)) * size);
    j->panels[1] = sqa_take(base, &bytes, j->k->panels(j->units, j->units) * size);
    j->row_bytes = sqa_align64((size_t)((ROWS + 1) * j->units) * size);
    j->rows = sqa_take(base, &bytes, (size_t)blocks_of(j) * j->row_bytes);
    (void)n;
    return bytes;
}

/* z += h U, or u = h U_a + d, for rows of h with that stride. */
static void multiply(const struct job *j, int64_t rows, const void *h, int64_t stride, int which, void *to,
                     int64_t to_stride)
{
    j->k->gemm_panels(&(struct sqa_gemm_panels){.m = rows,
                                                .n = which ? j->units : joined(j),
                                                .k = j->units,
                                                .a = h,
                                                .a_row = stride,
                                                .a_column = 1,
                                                .panels = j->panels[which],
                                                .c = to,
                                                .ldc = to_stride,
                                                .bias = which ? sqa_data(j->n->in[D]) : NULL,
                                                .accumulate = !which});
}

static void run_block(void *ctx, int64_t block, int64_t count, int thread)
{
    const struct job *j = ctx;
    const int64_t first = block * ROWS, rows = sqa_min64(ROWS, j->batch - first), n = j->units, G = j->gates;
    const size_t size = j->k->size, row = (size_t)n * size;
    unsigned char *scratch = j->rows + (size_t)block * j->row_bytes;
    const bool lstm = j->kind == SQA_RNN_LSTM, step = j->n->in[H0] != NULL;

    (void)count, (void)thread;
    for (int64_t i = 0; i < j->length; i++) {
        const int64_t t = place(j, i), before = place(j, i - 1);
        unsigned char *h_before = NULL, *state = j->state ? at(j, j->state, first, t, n) : scratch;
        const int64_t stride = step ? n : j->length * n, state_stride = j->state ? j->length * n : n;

        if (step)
            h_before = sqa_at(sqa_data(j->n->in[H0]), first * n, size);
        else if (i > 0)
            h_before = at(j, j->h, first, before, n);
        if (h_before)
            multiply(j, rows, h_before, stride, 0, at(j, j->z, first, t, G * n), j->length * G * n);
        if (!lstm && h_before)
            multiply(j, rows, h_before, stride, 1, state, state_stride);
        for (int64_t r = 0; r < rows; r++) {
            unsigned char *own = sqa_at(state, r * state_stride, size);
            struct sqa_gates g = {.n = n, .z = at(j, j->z, first + r, t, G * n), .state = own};

            g.h = at(j, j->h, first + r, t, n);
            if (lstm && step)
                g.before = sqa_at(sqa_data(j->n->in[C0]), (first + r) * n, size);
            else if (lstm && i > 0)
                g.before = j->state ? at(j, j->state, first + r, before, n) : own;
            else if (!lstm && h_before)
                g.before = sqa_at(h_before, r * stride, size);
            if (!lstm && !h_before)
                memcpy(own, sqa_data(j->n->in[D]), row);
            (lstm ? j->k->lstm_gates : j->k->gru_gates)(&g);
            if (j->reverse && t >= sqa_length_at(j->lengths, first + r, j->length)) {
                memset(g.h, 0, row);
                memset(own, 0, lstm ? row : 0);
            }
            if (step)
                memcpy(sqa_at(sqa_data(j->n->in[H0]), (first + r) * n, size), g.h, row);
            if (step && lstm)
                memcpy(sqa_at(sqa_data(j->n->in[C0]), (first + r) * n, size), own, row);
        }
    }
}

/* The sums with U h and the functions and products of the gates. */
static double forward_flops(double rows, double length, double units, double gates)
{
    return rows * ((length - 1) * 2 * gates * units * units + length * 9 * units);
}

static double flops(const struct sqa_node *n)
{
    const struct sqa_tensor *z = n->in[Z];
    const double units = (double)n->in[U]->dim[0], more = n->in[H0] ? 1 : 0; /* a step has an h before it */

    return forward_flops((double)z->dim[0], (double)z->dim[1] + more, units, (double)z->dim[2] / units) -
           more * (double)z->dim[0] * 9 * units;
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct sqa_tensor *u = n->in[U], *z = n->in[Z];
    struct job j = job_of(n, z, u);
    const int64_t row = u->stride[0];

    if (sqa_numel(z) == 0)
        return;
    forward_workspace(n, &j, r->workspace);
    j.lengths = n->in[LENGTHS];
    j.z = sqa_data(n->out[0]);
    j.h = sqa_data(n->out[1]);
    j.state = n->nout > 2 ? sqa_data(n->out[2]) : NULL;
    if (j.z != sqa_data(z))
        memcpy(j.z, sqa_data(z), (size_t)sqa_numel(z) * j.k->size);
    j.k->pack(j.units, joined(&j), sqa_data(u), row, 1, j.panels[0]);
    if (j.kind == SQA_RNN_GRU)
        j.k->pack(j.units, j.units, sqa_at(sqa_data(u), joined(&j), j.k->size), row, 1, j.panels[1]);
    sqa_chunks(r, blocks_of(&j), 1, flops(n), run_block, &j);
}

static size_t workspace(const struct sqa_node *n, int threads)
{
    struct job j = job_of(n, n->in[Z], n->in[U]);

    (void)threads;
    return forward_workspace(n, &j, NULL);
}

/* Backward. Gates become the gradient of z, u of gru its own. A block's rows: dh that comes from later (ROWS, H), and
 * carry (ROWS, H). */

static enum sqa_status bwd_shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct attr *a = n->attr;

    (void)err;
    sqa_set_output(n, 0, n->in[GATES]->dtype, 3, n->in[GATES]->dim);
    if (a->kind == SQA_RNN_GRU)
        sqa_set_output(n, 1, n->in[GATES]->dtype, 3, n->in[STATE]->dim);
    return SQA_OK;
}

static size_t bwd_room(struct job *j, void *base)
{
    const size_t size = j->k->size;
    size_t bytes = 0;

    j->panels[0] = sqa_take(base, &bytes, j->k->panels(joined(j), j->units) * size);
    j->panels[1] = sqa_take(base, &bytes, j->k->panels(j->units, j->units) * size);
    j->row_bytes = sqa_align64((size_t)(3 * ROWS * j->units) * size);
    j->rows = sqa_take(base, &bytes, (size_t)blocks_of(j) * j->row_bytes);
    return bytes;
}

/* later = dz U^T: what comes to h of the position before */
static void spread(const struct job *j, int64_t rows, const void *dz, const void *du, int64_t du_stride, void *later)
{
    j->k->gemm_panels(&(struct sqa_gemm_panels){.m = rows,
                                                .n = j->units,
                                                .k = joined(j),
                                                .a = dz,
                                                .a_row = j->length * j->gates * j->units,
                                                .a_column = 1,
                                                .panels = j->panels[0],
                                                .c = later,
                                                .ldc = j->units});
    if (j->kind == SQA_RNN_GRU)
        j->k->gemm_panels(&(struct sqa_gemm_panels){.m = rows,
                                                    .n = j->units,
                                                    .k = j->units,
                                                    .a = du,
                                                    .a_row = du_stride,
                                                    .a_column = 1,
                                                    .panels = j->panels[1],
                                                    .c = later,
                                                    .ldc = j->units,
                                                    .accumulate = 1});
}

static void bwd_block(void *ctx, int64_t block, int64_t count, int thread)
{
    const struct job *j = ctx;
    const int64_t first = block * ROWS, rows = sqa_min64(ROWS, j->batch - first), n = j->units, G = j->gates;
    const size_t size = j->k->size, row = (size_t)n * size;
    unsigned char *later = j->rows + (size_t)block * j->row_bytes, *carry = later + ROWS * row;
    unsigned char *total = carry + ROWS * row;
    const struct sqa_tensor *dh = j->n->in[DH];
    const bool lstm = j->kind == SQA_RNN_LSTM;

    (void)count, (void)thread;
    memset(later, 0, 2 * ROWS * row);
    for (int64_t i = j->length - 1; i >= 0; i--) {
        const int64_t t = place(j, i), before = place(j, i - 1);

        for (int64_t r = 0; r < rows; r++) {
            unsigned char *sum = total + (size_t)r * row, *mine = later + (size_t)r * row;
            struct sqa_gates g = {.n = n,
                                  .z = at(j, j->z, first + r, t, G * n),
                                  .state = at(j, j->state, first + r, t, n),
                                  .carry = carry + (size_t)r * row,
                                  .dh = sum};
            const void *dy = sqa_at(sqa_data(dh), (first + r) * dh->stride[0] + t * dh->stride[1], size);

            if (j->reverse && t >= sqa_length_at(j->lengths, first + r, j->length)) {
                memset(g.z, 0, (size_t)G * row);
                memset(g.carry, 0, row);
                memset(g.state, 0, lstm ? 0 : row);
                continue;
            }
            j->k->binary(SQA_BINARY_ADD, dy, mine, sum, (size_t)n);
            if (!lstm) /* what the position after gave on by k */
                j->k->binary(SQA_BINARY_ADD, sum, g.carry, sum, (size_t)n);
            if (i > 0)
                g.before = at(j, lstm ? j->state : j->h, first + r, before, n);
            (lstm ? j->k->lstm_gates_grad : j->k->gru_gates_grad)(&g);
        }
        if (i > 0)
            spread(j, rows, at(j, j->z, first, t, G * n), at(j, j->state, first, t, n), j->length * n, later);
    }
}

static double bwd_flops(const struct sqa_node *n)
{
    const struct attr *a = n->attr;
    const struct sqa_tensor *z = n->in[GATES];
    const double rows = (double)z->dim[0], length = (double)z->dim[1], units = (double)n->in[BU]->dim[0];

    return rows *
           ((length - 1) * 2 * (double)z->dim[2] * units + length * (a->kind == SQA_RNN_LSTM ? 25 : 20) * units);
}

static void copy_when_apart(const struct sqa_tensor *from, const struct sqa_tensor *to)
{
    if (sqa_data(from) != sqa_data(to))
        memcpy(sqa_data(to), sqa_data(from), (size_t)sqa_numel(from) * sqa_dtype_size(from->dtype));
}

static void bwd_run(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct sqa_tensor *u = n->in[BU];
    struct job j = job_of(n, n->in[GATES], u);
    const int64_t row = u->stride[0];

    if (sqa_numel(n->in[GATES]) == 0)
        return;
    bwd_room(&j, r->workspace);
    j.lengths = n->in[BLENGTHS];
    copy_when_apart(n->in[GATES], n->out[0]);
    j.z = sqa_data(n->out[0]);
    j.h = n->in[H] ? sqa_data(n->in[H]) : NULL;
    j.state = sqa_data(n->in[STATE]);
    if (j.kind == SQA_RNN_GRU) {
        copy_when_apart(n->in[STATE], n->out[1]);
        j.state = sqa_data(n->out[1]);
        j.k->pack(j.units, j.units, sqa_at(sqa_data(u), joined(&j), j.k->size), 1, row, j.panels[1]);
    }
    j.k->pack(joined(&j), j.units, sqa_data(u), 1, row, j.panels[0]);
    sqa_chunks(r, blocks_of(&j), 1, bwd_flops(n), bwd_block, &j);
}

static size_t bwd_workspace(const struct sqa_node *n, int threads)
{
    struct job j = job_of(n, n->in[GATES], n->in[BU]);

    (void)threads;
    return bwd_room(&j, NULL);
}

static const struct sqa_op op_rnn_bwd = {
    .name = "rnn_bwd",
    .help = "gradient of the gates of rnn, position by position",
    .shape = bwd_shape,
    .run = bwd_run,
    .flops = bwd_flops,
    .workspace = bwd_workspace,
    .in_place = 1 << GATES,
    .strided = 1 << DH,
};

/* dU = sum of h_before^T dz over rows and positions that have one before them: `from` of h and `from` of dz differ.
 */
static struct sqa_tensor *weight_gradient(struct sqa_graph *g, struct sqa_tensor *h, struct sqa_tensor *dz,
                                          bool reverse)
{
    const int64_t length = h->dim[1] - 1;

    return sqa_matmul_sum(g, sqa_slice(g, h, 1, reverse, length), sqa_slice(g, dz, 1, !reverse, length), true, false);
}

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    const struct attr *a = n->attr;
    const bool gru = a->kind == SQA_RNN_GRU;
    struct sqa_tensor *h = n->out[1], *u = n->in[U];
    const int64_t units = u->dim[0];

    if (n->nout < 3) {
        sqa_graph_fail(g, SQA_UNSUPPORTED, "rnn: the graph was not built for training; set its flag first");
        return;
    }
    if (!dy[1])
        return;
    struct sqa_tensor *const in[BWD_INPUTS] = {n->out[0],     sqa_dense_rows(g, dy[1]), n->out[2], gru ? h : NULL, u,
                                               n->in[LENGTHS]};
    struct sqa_tensor *dz = sqa_apply(g, &op_rnn_bwd, a, sizeof *a, BWD_INPUTS, in);

    if (!dz)
        return;
    struct sqa_tensor *du = gru ? dz->node->out[1] : NULL;

    dx[Z] = dz;
    dx[D] = gru ? sqa_sum(g, du, 3u, false) : NULL;
    if (h->dim[1] < 2) {
        dx[U] = sqa_fill(g, 0, u->rank, u->dim);
        return;
    }
    if (!gru) {
        dx[U] = weight_gradient(g, h, dz, a->reverse != 0);
        return;
    }
    struct sqa_tensor *parts[] = {weight_gradient(g, h, sqa_slice(g, dz, 2, 0, 2 * units), a->reverse != 0),
                                  weight_gradient(g, h, du, a->reverse != 0)};
    dx[U] = sqa_concat(g, 1, 2, parts);
}

static const struct sqa_op op_rnn = {
    .name = "rnn",
    .help = "a recurrent network with gates over W x + b",
    .shape = shape,
    .run = run,
    .grad = grad,
    .flops = flops,
    .workspace = workspace,
    .in_place = 1 << Z,
};

/* Building */

static void fill_bias(double *values, int rank, const int64_t *dim, uint64_t key, const void *arg)
{
    const double units = (double)dim[0] / 4, forget = *(const double *)arg;

    (void)rank;
    for (int64_t i = 0; i < dim[0]; i++) {
        values[i] = (2 * sqa_random_uniform(key, (uint64_t)i) - 1) / sqrt(units);
        if ((double)i >= units && (double)i < 2 * units)
            values[i] += forget;
    }
}

struct direction {
    struct sqa_tensor *wx, *bx, *wh, *bh;
};

static struct direction parameters(struct sqa_context *c, const struct sqa_rnn_spec *s, const char *name)
{
    const int64_t G = gates_of(s->kind), n = s->hidden;
    const double within = 1 / sqrt((double)n);
    const struct sqa_init uniform = {.kind = SQA_INIT_UNIFORM, .a = -within, .b = within};
    const struct sqa_init bias = {.kind = SQA_INIT_CUSTOM, .fill = fill_bias, .arg = s->forget_bias};
    const size_t mark = sqa_scope_push(c->g, "%s", name);
    const struct direction d = {
        .wx = sqa_param_tensor(c, "wx", SQA_GROUP_REGULAR, uniform, SQA_DIMS(c->frame.dim, G * n)),
        .bx =
            sqa_param_tensor(c, "bx", SQA_GROUP_NO_DECAY, s->kind == SQA_RNN_LSTM ? bias : uniform, SQA_DIMS(G * n)),
        .wh = sqa_param_tensor(c, "wh", SQA_GROUP_REGULAR, uniform, SQA_DIMS(n, G * n)),
        .bh = s->kind == SQA_RNN_GRU ? sqa_param_tensor(c, "bh", SQA_GROUP_NO_DECAY, uniform, SQA_DIMS(n)) : NULL};

    sqa_scope_pop(c->g, mark);
    return d;
}

static struct sqa_tensor *recur(struct sqa_context *c, const struct sqa_rnn_spec *s, const struct direction *d,
                                struct sqa_tensor *z, bool reverse, struct sqa_tensor *h0, struct sqa_tensor *c0)
{
    const struct attr a = {s->kind, reverse, c->g->training};
    struct sqa_tensor *const in[INPUTS] = {z, d->wh, d->bh, reverse ? c->lengths : NULL, h0, c0};

    if (!sqa_ready(c->g, "rnn", 2, in))
        return NULL;
    struct sqa_tensor *gates = sqa_apply(c->g, &op_rnn, &a, sizeof a, INPUTS, in);

    return gates ? gates->node->out[1] : NULL;
}

struct sqa_tensor *sqa_rnn(struct sqa_context *c, struct sqa_rnn_spec s, struct sqa_tensor *x)
{
    const struct direction past = parameters(c, &s, "past"),
                           future = s.both ? parameters(c, &s, "future") : (struct direction){0};
    struct sqa_tensor *const w[] = {past.wx, future.wx}, *const b[] = {past.bx, future.bx};
    struct sqa_tensor *z[2] = {NULL, NULL}, *y[2];

    sqa_linear_n(c->g, x, s.both ? 2 : 1, w, b, NULL, z);
    y[0] = recur(c, &s, &past, z[0], false, NULL, NULL);
    if (!s.both)
        return y[0];
    y[1] = recur(c, &s, &future, z[1], true, NULL, NULL);
    return y[0] && y[1] ? sqa_concat(c->g, 2, 2, y) : NULL;
}

struct sqa_tensor *sqa_rnn_step(struct sqa_context *c, struct sqa_rnn_spec s, struct sqa_tensor *x)
{
    const struct direction past = parameters(c, &s, "past");
    struct sqa_tensor *h = sqa_step_state(c, "h", SQA_DIMS(1, s.hidden), NULL);
    struct sqa_tensor *state = s.kind == SQA_RNN_LSTM ? sqa_step_state(c, "c", SQA_DIMS(1, s.hidden), NULL) : NULL;

    return recur(c, &s, &past, sqa_linear(c->g, x, past.wx, past.bx), false, h, state);
}

double sqa_rnn_flops(const struct sqa_context *c, struct sqa_rnn_spec s)
{
    const double B = (double)c->batch, L = (double)c->length, W = (double)c->frame.dim, n = (double)s.hidden;
    const double G = (double)gates_of(s.kind);

    return (s.both ? 2 : 1) * (B * L * G * n * (2 * W + 1) + forward_flops(B, L, n, G));
}
