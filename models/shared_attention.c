/*
 * shared_attention.c - see shared_attention.h
 *
 * The values of a head are (L, B d): rows of the batch side by side, the longest first. Keys are cut into pieces of
 * KEYS at most, and where a row of the batch ends; so a piece is valid for the first `active` rows of the batch and
 * for no other. ROWS queries at a time go through the pieces with running maxima and sums; a row of the batch is done
 * after its last piece, with the sums so far.
 */
#include "models/shared_attention.h"

#include <math.h>

#include "models/shared_attention_private.h"

/* Where a packed piece lies in `packed` of the width */
static void *packed_at(const struct sqa_shared_job *j, const unsigned char *packed, int64_t width, int64_t head,
                       int64_t piece)
{
    const int64_t rows = j->place.piece[piece].from + UNIT * piece;

    return sqa_shared_at(j, packed, head * sqa_shared_packed(j, width) + rows * sqa_shared_padded(width));
}

static void pack(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct sqa_shared_job *j = ctx;

    (void)thread;
    for (int64_t i = first; i < first + count; i++) {
        const int64_t head = i / j->pieces, number = i % j->pieces;
        const struct sqa_shared_piece *p = &j->place.piece[number];

        j->k->pack(p->count, p->active * j->d,
                   sqa_shared_at(j, j->place.values, (head * j->length + p->from) * j->width), j->width, 1,
                   packed_at(j, j->place.packed, j->width, head, number));
        sqa_shared_pack_second(j, head, p, packed_at(j, j->place.packed_second, j->rank, head, number));
    }
}

static void write_out(const struct sqa_shared_job *j, int64_t head, int64_t row, int64_t rows, int64_t from,
                      int64_t to, const struct sqa_shared_place *p)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t s = from; s < to; s++) {
            const int64_t b = p->order[s];

            j->k->affine(1 / p->sum[r], sqa_shared_at(j, p->out, r * j->width + s * j->d), 0,
                         sqa_shared_row(j, j->o, b, head, row + r), (size_t)j->d);
            sqa_real_set(j->o->dtype, sqa_shared_at(j, sqa_data(j->lse), (b * j->heads + head) * j->length + row + r),
                         p->top[r] + log(p->sum[r]));
        }
}

/* Rows of length 0 */
static void write_none(const struct sqa_shared_job *j, int64_t head, int64_t row, int64_t rows,
                       const struct sqa_shared_place *p)
{
    for (int64_t s = j->pieces > 0 ? p->piece[0].active : 0; s < j->batch; s++)
        for (int64_t r = 0; r < rows; r++) {
            memset(sqa_shared_row(j, j->o, p->order[s], head, row + r), 0, (size_t)j->d * j->k->size);
            sqa_real_set(j->o->dtype,
                         sqa_shared_at(j, sqa_data(j->lse), (p->order[s] * j->heads + head) * j->length + row + r),
                         (double)INFINITY);
        }
}

/* Adds a piece to the outputs, sums and maxima of `rows` queries. */
static void add_piece(const struct sqa_shared_job *j, int64_t head, int64_t row, int64_t rows, int64_t number,
                      const struct sqa_shared_place *p)
{
    const struct sqa_shared_piece *piece = &p->piece[number];
    int64_t stride;
    const void *x = sqa_shared_scores(j, head, row, rows, piece,
                                      packed_at(j, p->packed_second, j->rank, head, number), p, &stride);
    const struct sqa_gemm_panels g = {.m = rows,
                                      .n = piece->active * j->d,
                                      .k = piece->count,
                                      .a = p->weights,
                                      .a_row = KEYS,
                                      .a_column = 1,
                                      .panels = packed_at(j, p->packed, j->width, head, number),
                                      .c = p->out,
                                      .ldc = j->width,
                                      .accumulate = number > 0};

    for (int64_t r = 0; r < rows; r++) {
        const int64_t n = sqa_shared_seen(j, piece, row + r);
        const void *from = sqa_shared_at(j, x, r * stride);
        const double top = fmax(p->top[r], j->k->max(from, (size_t)n));
        void *to = sqa_shared_at(j, p->weights, r * KEYS);

        if (top > p->top[r] && number > 0) {
            p->sum[r] *= exp(p->top[r] - top);
            j->k->affine(exp(p->top[r] - top), sqa_shared_at(j, p->out, r * j->width), 0,
                         sqa_shared_at(j, p->out, r * j->width), (size_t)g.n);
        }
        p->top[r] = top;
        sqa_shared_weigh(j, piece, n, top, from, to);
        p->sum[r] += j->k->sum(to, (size_t)n);
    }
    j->k->gemm_panels(&g);
}

static void forward(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct sqa_shared_job *j = ctx;
    const struct sqa_shared_place p = sqa_shared_place_of(j, thread);
    const int64_t tiles = (j->length + ROWS - 1) / ROWS;

    for (int64_t i = first; i < first + count; i++) {
        const int64_t head = i / tiles, row = i % tiles * ROWS, rows = sqa_min64(ROWS, j->length - row);

        for (int64_t r = 0; r < rows; r++) {
            p.top[r] = -(double)INFINITY;
            p.sum[r] = 0;
        }
        write_none(j, head, row, rows, &p);
        for (int64_t number = 0; number < j->pieces; number++) {
            const int64_t next = number + 1 < j->pieces ? p.piece[number + 1].active : 0;

            if (!j->causal || p.piece[number].from < row + rows)
                add_piece(j, head, row, rows, number, &p);
            write_out(j, head, row, rows, next, p.piece[number].active, &p);
        }
    }
}

double sqa_shared_attention_flops(int64_t batch, int64_t length, int64_t heads, int64_t d, int64_t rank, bool causal)
{
    return sqa_shared_pairs(length, causal) * (double)heads * (2 * (double)rank + 5 + 2 * (double)(batch * d));
}

static double flops(const struct sqa_node *n)
{
    const struct sqa_shared_job j = sqa_shared_sizes(n);

    return sqa_shared_attention_flops(j.batch, j.length, j.heads, j.d, j.rank, j.causal);
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    struct sqa_shared_job j = sqa_shared_job_of(n, r);
    const double work = flops(n);

    sqa_chunks(r, j.heads * j.length, ROWS, work, sqa_shared_gather, &j);
    sqa_chunks(r, j.heads * j.pieces, 1, work, pack, &j);
    sqa_chunks(r, j.heads * ((j.length + ROWS - 1) / ROWS), 1, work, forward, &j);
}

/* The ops */

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *v = n->in[V], *s = n->in[SCORES], *second = n->in[SECOND];
    char one[96], two[96], three[96];

    if (!sqa_is_real(v) || v->rank != 4 || s->rank != 4 || s->dtype != v->dtype || s->dim[0] != 1 ||
        (second == NULL && (s->dim[1] != v->dim[2] || s->dim[2] != v->dim[1] || s->dim[3] != v->dim[1])) ||
        (second != NULL && (!sqa_same_shape(s, second) || second->dtype != v->dtype || s->dim[1] != v->dim[1] ||
                            s->dim[2] != v->dim[2] || s->dim[3] < 1)))
        return sqa_shape_fail(n, err,
                              "v %s, scores %s, second %s; give (B, L, H, d) and (1, H, L, L), or two of "
                              "(1, L, H, r)",
                              sqa_shape_text(v, one), sqa_shape_text(s, two),
                              second != NULL ? sqa_shape_text(second, three) : "none");
    sqa_set_output(n, 0, v->dtype, 4, v->dim);
    sqa_set_output(n, 1, v->dtype, 3, (const int64_t[]){v->dim[0], v->dim[2], v->dim[1]});
    return n->in[LENGTHS] == NULL ? SQA_OK : sqa_check_lengths(n, LENGTHS, v->dim[0], err);
}

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    struct sqa_tensor *in[BACKWARD_INPUTS] = {[O] = n->out[0], [LSE] = n->out[1], [DOUT] = sqa_dense_rows(g, dy[0])};
    struct sqa_tensor *t;

    if (dy[0] == NULL || dy[1] != NULL) {
        (void)sqa_graph_fail(g, SQA_UNSUPPORTED, "shared_attention at %s: lse has no derivative; use o only",
                             n->path);
        return;
    }
    memcpy(in, n->in, FORWARD_INPUTS * sizeof *in);
    t = sqa_apply(g, &sqa_shared_attention_bwd, n->attr, sizeof(struct sqa_shared_attr), BACKWARD_INPUTS, in);
    if (t == NULL)
        return;
    dx[V] = t->node->out[DV];
    dx[SCORES] = t->node->out[DSCORES];
    if (n->in[SECOND] != NULL)
        dx[SECOND] = t->node->out[DSECOND];
}

static const struct sqa_op op_forward = {
    .name = "shared_attention",
    .help = "o = softmax(S, masked) v, S of all rows of the batch",
    .shape = shape,
    .run = run,
    .grad = grad,
    .flops = flops,
    .workspace = sqa_shared_workspace,
    .strided = 1 << V | 1 << SCORES | 1 << SECOND,
    .tolerance = 1e-4,
};

struct sqa_tensor *sqa_shared_attention(struct sqa_graph *g, struct sqa_tensor *v, struct sqa_tensor *lengths,
                                        struct sqa_tensor *scores, struct sqa_tensor *second, bool causal)
{
    const struct sqa_shared_attr a = {causal};
    struct sqa_tensor *in[] = {v, lengths, scores, second};
    struct sqa_tensor *const wanted[] = {v, scores};

    if (!sqa_ready(g, "shared_attention", 2, wanted))
        return NULL;
    for (int i = 0; i < FORWARD_INPUTS; i++)
        in[i] = i == LENGTHS ? lengths : sqa_dense_rows(g, in[i]);
    return sqa_apply(g, &op_forward, &a, sizeof a, FORWARD_INPUTS, in);
}
