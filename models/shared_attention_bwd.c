/*
 * shared_attention_bwd.c - gradients of shared_attention
 *
 * Pieces of keys are dealt out in GROUPS groups. In a piece E = exp(s - lse of the shortest active row), at most 1,
 * stands for the weights of all its rows; what those have less, exp(lse of the shortest - their lse), multiplies the
 * gradient of the output. dS = E (dO v^T - sum_b of delta), delta = dO . O.
 */
#include <math.h>

#include "models/shared_attention_private.h"

/* dO of `rows` queries as E wants it: p->out, p->top, the lse of E, and p->sum, that of the deltas. */
static void scale_dout(const struct sqa_shared_job *j, int64_t head, int64_t row, int64_t rows,
                       const struct sqa_shared_piece *piece, const struct sqa_shared_place *p)
{
    const enum sqa_dtype type = j->o->dtype;

    for (int64_t r = 0; r < rows; r++) {
        const int64_t i = (head * j->length + row + r) * j->batch;
        const double least = sqa_real_get(type, sqa_shared_at(j, p->lse, i + piece->active - 1));

        p->top[r] = least;
        p->sum[r] = 0;
        for (int64_t s = 0; s < piece->active; s++) {
            const double share = exp(least - sqa_real_get(type, sqa_shared_at(j, p->lse, i + s)));

            j->k->affine(share, sqa_shared_at(j, p->dout, (i + s) * j->d), 0,
                         sqa_shared_at(j, p->out, r * j->width + s * j->d), (size_t)j->d);
            p->sum[r] += share * sqa_real_get(type, sqa_shared_at(j, p->delta, i + s));
        }
    }
}

/* Gradients of the scores of `rows` queries, in p->dweights, which has dE: to their tensor, or to the two factors. */
static void score_gradients(const struct sqa_shared_job *j, int64_t head, int64_t row, int64_t rows,
                            const struct sqa_shared_piece *piece, int64_t group, const struct sqa_shared_place *p)
{
    const struct sqa_tensor *ds = j->n->out[DSCORES], *first = j->n->in[SCORES], *second = j->n->in[SECOND];

    for (int64_t r = 0; r < rows; r++) {
        void *x = sqa_shared_at(j, p->dweights, r * KEYS);
        void *to =
            j->rank > 0 ? x : sqa_shared_at(j, sqa_data(ds), (head * j->length + row + r) * j->length + piece->from);

        j->k->affine(1, x, -p->sum[r], x, (size_t)piece->count);
        j->k->binary(SQA_BINARY_MUL, x, sqa_shared_at(j, p->weights, r * KEYS), to, (size_t)piece->count);
    }
    if (j->rank == 0)
        return;
    j->k->gemm(0, 0, rows, j->rank, piece->count, 1, p->dweights, KEYS,
               sqa_shared_row(j, second, 0, head, piece->from), second->stride[1], 1,
               sqa_shared_at(j, p->dfirst, ((group * j->heads + head) * j->length + row) * j->rank), j->rank);
    j->k->gemm(1, 0, piece->count, j->rank, rows, 1, p->dweights, KEYS, sqa_shared_row(j, first, 0, head, row),
               first->stride[1], 1, sqa_shared_row(j, j->n->out[DSECOND], 0, head, piece->from),
               j->n->out[DSECOND]->stride[1]);
}

/* The keys of a piece with `rows` queries: adds to p->dvalues, writes the gradients of the scores. */
static void backward_tile(const struct sqa_shared_job *j, int64_t head, int64_t row, int64_t rows,
                          const struct sqa_shared_piece *piece, int64_t group, const struct sqa_shared_place *p)
{
    const int64_t columns = piece->active * j->d;
    const struct sqa_gemm_panels dweights = {.m = rows,
                                             .n = piece->count,
                                             .k = columns,
                                             .a = p->out,
                                             .a_row = j->width,
                                             .a_column = 1,
                                             .panels = p->values_panels,
                                             .c = p->dweights,
                                             .ldc = KEYS};
    const struct sqa_gemm_panels dvalues = {.m = piece->count,
                                            .n = columns,
                                            .k = rows,
                                            .a = p->weights,
                                            .a_row = 1,
                                            .a_column = KEYS,
                                            .panels = p->out_panels,
                                            .c = p->dvalues,
                                            .ldc = j->width,
                                            .accumulate = 1};
    int64_t stride;
    const void *x = sqa_shared_scores(j, head, row, rows, piece, p->second_panels, p, &stride);

    scale_dout(j, head, row, rows, piece, p);
    for (int64_t r = 0; r < rows; r++)
        sqa_shared_weigh(j, piece, sqa_shared_seen(j, piece, row + r), p->top[r], sqa_shared_at(j, x, r * stride),
                         sqa_shared_at(j, p->weights, r * KEYS));
    j->k->gemm_panels(&dweights);
    j->k->pack(rows, columns, p->out, j->width, 1, p->out_panels);
    j->k->gemm_panels(&dvalues);
    score_gradients(j, head, row, rows, piece, group, p);
}

/* Gradients of keys from .. to - 1 that are not valid in the rows of the batch from `active` on */
static void clear_values(const struct sqa_shared_job *j, int64_t head, int64_t from, int64_t to, int64_t active)
{
    for (int64_t s = active; s < j->batch; s++)
        for (int64_t t = from; t < to; t++)
            memset(sqa_shared_row(j, j->n->out[DV], j->place.order[s], head, t), 0, (size_t)j->d * j->k->size);
}

/* Gradients of the scores of queries first .. end - 1 with keys from .. to - 1 */
static void clear_scores(const struct sqa_shared_job *j, int64_t head, int64_t first, int64_t end, int64_t from,
                         int64_t to)
{
    for (int64_t i = first; i < end && j->rank == 0; i++)
        memset(sqa_shared_at(j, sqa_data(j->n->out[DSCORES]), (head * j->length + i) * j->length + from), 0,
               (size_t)(to - from) * j->k->size);
}

static void clear_second(const struct sqa_shared_job *j, int64_t head, int64_t from, int64_t to)
{
    for (int64_t t = from; t < to && j->rank > 0; t++)
        memset(sqa_shared_row(j, j->n->out[DSECOND], 0, head, t), 0, (size_t)j->rank * j->k->size);
}

static void backward_piece(const struct sqa_shared_job *j, int64_t head, const struct sqa_shared_piece *piece,
                           int64_t group, const struct sqa_shared_place *p)
{
    const int64_t end = piece->from + piece->count, columns = piece->active * j->d;

    memset(p->dvalues, 0, (size_t)(piece->count * j->width) * j->k->size);
    j->k->pack(columns, piece->count, sqa_shared_at(j, p->values, (head * j->length + piece->from) * j->width), 1,
               j->width, p->values_panels);
    sqa_shared_pack_second(j, head, piece, p->second_panels);
    clear_second(j, head, piece->from, end);
    for (int64_t row = 0; row < j->length; row += ROWS) {
        const int64_t rows = sqa_min64(ROWS, j->length - row);

        if (j->causal && row + rows <= piece->from)
            clear_scores(j, head, row, row + rows, piece->from, end);
        else
            backward_tile(j, head, row, rows, piece, group, p);
    }
    for (int64_t s = 0; s < piece->active; s++)
        for (int64_t t = 0; t < piece->count; t++)
            memcpy(sqa_shared_row(j, j->n->out[DV], p->order[s], head, piece->from + t),
                   sqa_shared_at(j, p->dvalues, t * j->width + s * j->d), (size_t)j->d * j->k->size);
    clear_values(j, head, piece->from, end, piece->active);
}

static void backward(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct sqa_shared_job *j = ctx;
    const struct sqa_shared_place p = sqa_shared_place_of(j, thread);

    for (int64_t i = first; i < first + count; i++) {
        const int64_t head = i / j->groups, group = i % j->groups;

        memset(sqa_shared_at(j, p.dfirst, (group * j->heads + head) * j->length * j->rank), 0,
               (size_t)(j->length * j->rank) * j->k->size);
        for (int64_t number = j->pieces * group / j->groups; number < j->pieces * (group + 1) / j->groups; number++)
            backward_piece(j, head, &p.piece[number], group, &p);
        if (group > 0)
            continue;
        const int64_t end = j->pieces > 0 ? p.piece[j->pieces - 1].from + p.piece[j->pieces - 1].count : 0;
        clear_values(j, head, end, j->length, 0);
        clear_scores(j, head, 0, j->length, end, j->length);
        clear_second(j, head, end, j->length);
    }
}

static void join_first(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct sqa_shared_job *j = ctx;
    const size_t bytes = (size_t)j->rank * j->k->size;

    (void)thread;
    for (int64_t i = first; i < first + count; i++) {
        void *to = sqa_shared_row(j, j->n->out[DSCORES], 0, i / j->length, i % j->length);

        memcpy(to, sqa_shared_at(j, j->place.dfirst, i * j->rank), bytes);
        for (int64_t group = 1; group < j->groups; group++)
            j->k->axpy(1, sqa_shared_at(j, j->place.dfirst, (group * j->heads * j->length + i) * j->rank), to,
                       (size_t)j->rank);
    }
}

/* E again, dE and dS: four, and five products */
static double bwd_flops(const struct sqa_node *n)
{
    const struct sqa_shared_job j = sqa_shared_sizes(n);

    return sqa_shared_pairs(j.length, j.causal) * (double)j.heads * (6 * (double)j.rank + 4 + 4 * (double)j.width);
}

static void bwd_run(const struct sqa_node *n, const struct sqa_run *r)
{
    struct sqa_shared_job j = sqa_shared_job_of(n, r);
    const double work = bwd_flops(n);

    sqa_chunks(r, j.heads * j.length, ROWS, work, sqa_shared_gather, &j);
    sqa_chunks(r, j.heads * j.groups, 1, work, backward, &j);
    if (j.rank > 0)
        sqa_chunks(r, j.heads * j.length, ROWS, work, join_first, &j);
}

static enum sqa_status bwd_shape(struct sqa_node *n, struct sqa_err *err)
{
    (void)err;
    sqa_set_output(n, DV, n->in[V]->dtype, 4, n->in[V]->dim);
    sqa_set_output(n, DSCORES, n->in[V]->dtype, 4, n->in[SCORES]->dim);
    if (n->in[SECOND] != NULL)
        sqa_set_output(n, DSECOND, n->in[V]->dtype, 4, n->in[SECOND]->dim);
    return SQA_OK;
}

const struct sqa_op sqa_shared_attention_bwd = {
    .name = "shared_attention_bwd",
    .help = "gradients of v and the scores of shared_attention",
    .shape = bwd_shape,
    .run = bwd_run,
    .flops = bwd_flops,
    .workspace = sqa_shared_workspace,
    .strided = 1 << V | 1 << SCORES | 1 << SECOND | 1 << DOUT,
    .tolerance = 1e-4,
};
