/*
 * shared_tiles.c - places, pieces and weights of shared_attention; see shared_attention_private.h
 */
#include "models/shared_attention_private.h"

#include <math.h>

static int64_t most_pieces(const struct sqa_shared_job *j)
{
    return (j->length + KEYS - 1) / KEYS + j->batch;
}

/* Places of packed pieces that have `width` on their other side */
int64_t sqa_shared_packed(const struct sqa_shared_job *j, int64_t width)
{
    return (j->length + UNIT * most_pieces(j)) * sqa_shared_padded(width);
}

struct sqa_shared_job sqa_shared_sizes(const struct sqa_node *n)
{
    const struct sqa_shared_attr *a = n->attr;
    const struct sqa_tensor *v = n->in[V], *scores = n->in[SCORES];
    const bool backward = n->nin > FORWARD_INPUTS;

    return (struct sqa_shared_job){.n = n,
                                   .k = sqa_node_kernels(n),
                                   .o = backward ? n->in[O] : n->out[0],
                                   .lse = backward ? n->in[LSE] : n->out[1],
                                   .batch = v->dim[0],
                                   .length = v->dim[1],
                                   .heads = v->dim[2],
                                   .d = v->dim[3],
                                   .width = v->dim[0] * v->dim[3],
                                   .rank = n->in[SECOND] != NULL ? scores->dim[3] : 0,
                                   .groups = n->in[SECOND] != NULL ? GROUPS / 2 : GROUPS,
                                   .causal = a->causal,
                                   .backward = backward};
}

/* What all threads share; returns its bytes. */
static size_t lay_out_shared(const struct sqa_shared_job *j, unsigned char *base, struct sqa_shared_place *p)
{
    const size_t size = j->k->size, rows = (size_t)(j->heads * j->length) * size, heads = (size_t)j->heads * size;
    const size_t back = j->backward ? 1 : 0, forth = 1 - back;
    size_t at = 0;

    p->order = (int32_t *)(void *)sqa_take(base, &at, (size_t)j->batch * sizeof *p->order);
    p->piece = (struct sqa_shared_piece *)(void *)sqa_take(base, &at, (size_t)most_pieces(j) * sizeof *p->piece);
    p->values = sqa_take(base, &at, rows * (size_t)j->width);
    p->packed = sqa_take(base, &at, forth * heads * (size_t)sqa_shared_packed(j, j->width));
    p->packed_second = sqa_take(base, &at, forth * heads * (size_t)sqa_shared_packed(j, j->rank));
    p->dout = sqa_take(base, &at, back * rows * (size_t)j->width);
    p->delta = sqa_take(base, &at, back * rows * (size_t)j->batch);
    p->lse = sqa_take(base, &at, back * rows * (size_t)j->batch);
    p->dfirst = sqa_take(base, &at, back * rows * (size_t)(j->groups * j->rank));
    return at;
}

static size_t lay_out_thread(const struct sqa_shared_job *j, unsigned char *base, struct sqa_shared_place *p)
{
    const size_t size = j->k->size, tile = ROWS * KEYS * size;
    const size_t back = j->backward ? size : 0;
    size_t at = 0;

    p->weights = sqa_take(base, &at, tile);
    p->out = sqa_take(base, &at, (size_t)(ROWS * j->width) * size);
    p->top = (double *)(void *)sqa_take(base, &at, ROWS * sizeof(double));
    p->sum = (double *)(void *)sqa_take(base, &at, ROWS * sizeof(double));
    p->dweights = sqa_take(base, &at, back * ROWS * KEYS);
    p->dvalues = sqa_take(base, &at, back * (size_t)(KEYS * j->width));
    p->values_panels = sqa_take(base, &at, back * (size_t)(KEYS * sqa_shared_padded(j->width)));
    p->second_panels = sqa_take(base, &at, back * (size_t)(KEYS * sqa_shared_padded(j->rank)));
    p->out_panels = sqa_take(base, &at, back * (size_t)(sqa_shared_padded(ROWS) * sqa_shared_padded(j->width)));
    return at;
}

size_t sqa_shared_workspace(const struct sqa_node *n, int threads)
{
    const struct sqa_shared_job j = sqa_shared_sizes(n);
    struct sqa_shared_place p;

    return lay_out_shared(&j, NULL, &p) + (size_t)threads * lay_out_thread(&j, NULL, &p);
}

static int64_t valid(const struct sqa_shared_job *j, int64_t b)
{
    return sqa_length_at(j->n->in[LENGTHS], b, j->length);
}

static void cut(struct sqa_shared_job *j)
{
    int32_t *order = j->place.order;
    int64_t at = 0;

    for (int64_t b = 0; b < j->batch; b++) {
        int64_t to = b;

        for (; to > 0 && valid(j, order[to - 1]) < valid(j, b); to--)
            order[to] = order[to - 1];
        order[to] = (int32_t)b;
    }
    for (int64_t s = j->batch - 1; s >= 0; s--)
        for (const int64_t end = valid(j, order[s]); at < end; j->pieces++) {
            struct sqa_shared_piece *p = &j->place.piece[j->pieces];

            *p = (struct sqa_shared_piece){at, sqa_min64(KEYS, end - at), s + 1};
            at += p->count;
        }
}

struct sqa_shared_job sqa_shared_job_of(const struct sqa_node *n, const struct sqa_run *r)
{
    struct sqa_shared_job j = sqa_shared_sizes(n);
    struct sqa_shared_place unused;

    j.threads = (unsigned char *)r->workspace + lay_out_shared(&j, r->workspace, &j.place);
    j.per_thread = lay_out_thread(&j, NULL, &unused);
    cut(&j);
    return j;
}

struct sqa_shared_place sqa_shared_place_of(const struct sqa_shared_job *j, int thread)
{
    struct sqa_shared_place p = j->place;

    (void)lay_out_thread(j, j->threads + (size_t)thread * j->per_thread, &p);
    return p;
}

/* Row t of a head in (B, L, H, d); b: row of the batch. */
void *sqa_shared_row(const struct sqa_shared_job *j, const struct sqa_tensor *x, int64_t b, int64_t head, int64_t t)
{
    return sqa_shared_at(j, sqa_data(x), b * x->stride[0] + t * x->stride[1] + head * x->stride[2]);
}

/* Values, and in the gradient dO, of a head's row t, side by side; with them delta and lse. */
void sqa_shared_gather(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct sqa_shared_job *j = ctx;
    const struct sqa_shared_place p = sqa_shared_place_of(j, thread);
    const size_t bytes = (size_t)j->d * j->k->size;
    const enum sqa_dtype type = j->o->dtype;

    for (int64_t i = first; i < first + count; i++)
        for (int64_t s = 0; s < j->batch; s++) {
            const int64_t b = p.order[s], head = i / j->length, t = i % j->length, to = i * j->batch + s;

            memcpy(sqa_shared_at(j, p.values, to * j->d), sqa_shared_row(j, j->n->in[V], b, head, t), bytes);
            if (!j->backward)
                continue;
            const void *dout = sqa_shared_row(j, j->n->in[DOUT], b, head, t);
            memcpy(sqa_shared_at(j, p.dout, to * j->d), dout, bytes);
            j->k->binary(SQA_BINARY_MUL, dout, sqa_shared_row(j, j->o, b, head, t), p.out, (size_t)j->d);
            sqa_real_set(type, sqa_shared_at(j, p.delta, to), j->k->sum(p.out, (size_t)j->d));
            memcpy(sqa_shared_at(j, p.lse, to),
                   sqa_shared_at(j, sqa_data(j->lse), (b * j->heads + head) * j->length + t), j->k->size);
        }
}

void sqa_shared_pack_second(const struct sqa_shared_job *j, int64_t head, const struct sqa_shared_piece *p, void *to)
{
    const struct sqa_tensor *x = j->n->in[SECOND];

    if (x != NULL)
        j->k->pack(j->rank, p->count, sqa_shared_row(j, x, 0, head, p->from), 1, x->stride[1], to);
}

/* Weights */

/* Scores of `rows` queries from `row` on and of the keys of a piece; *stride: between rows. Factors: made in
 * p->weights by their panels. */
const void *sqa_shared_scores(const struct sqa_shared_job *j, int64_t head, int64_t row, int64_t rows,
                              const struct sqa_shared_piece *piece, const void *panels,
                              const struct sqa_shared_place *p, int64_t *stride)
{
    const struct sqa_tensor *x = j->n->in[SCORES];

    if (j->rank == 0) {
        *stride = x->stride[2];
        return sqa_shared_at(j, sqa_data(x), head * x->stride[1] + row * x->stride[2] + piece->from);
    }
    const struct sqa_gemm_panels g = {.m = rows,
                                      .n = piece->count,
                                      .k = j->rank,
                                      .a = sqa_shared_row(j, x, 0, head, row),
                                      .a_row = x->stride[1],
                                      .a_column = 1,
                                      .panels = panels,
                                      .c = p->weights,
                                      .ldc = KEYS};
    j->k->gemm_panels(&g);
    *stride = KEYS;
    return p->weights;
}

/* Keys of a piece that a query sees: the first ones. */
int64_t sqa_shared_seen(const struct sqa_shared_job *j, const struct sqa_shared_piece *piece, int64_t query)
{
    return j->causal ? sqa_max64(0, sqa_min64(piece->count, query + 1 - piece->from)) : piece->count;
}

/* to = exp(x - top) for the keys that are seen, 0 for the others; may alias. */
void sqa_shared_weigh(const struct sqa_shared_job *j, const struct sqa_shared_piece *piece, int64_t n, double top,
                      const void *x, void *to)
{
    j->k->affine(1, x, -top, to, (size_t)n);
    j->k->unary(SQA_UNARY_EXP, to, to, (size_t)n);
    memset(sqa_shared_at(j, to, n), 0, (size_t)(piece->count - n) * j->k->size);
}
