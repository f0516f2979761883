/* layout.c - lifetimes of buffers and their places in one arena; see plan_private.h */
#include <stdlib.h>
#include <string.h>

#include "engine/plan_private.h"

enum { ALIGN = 64 };

size_t sqa_align_place(size_t n)
{
    return (n + ALIGN - 1) / ALIGN * ALIGN;
}

struct sqa_buffer *sqa_buffer_root(struct sqa_buffer *b)
{
    while (b->alias)
        b = b->alias;
    return b;
}

struct sqa_tensor *sqa_owner(struct sqa_tensor *t)
{
    while (t->node->op->flags & SQA_OP_VIEW)
        t = t->node->in[0];
    return t;
}

static bool reads_elsewhere(const struct sqa_node *n, int input)
{
    for (int i = 0; i < n->nin; i++)
        if (i != input && n->in[i] && sqa_buffer_root(n->in[i]->buffer) == sqa_buffer_root(n->in[input]->buffer))
            return true;
    return false;
}

static void run_in_place(struct sqa_node *n, int position)
{
    struct sqa_buffer *out = n->nout ? n->out[0]->buffer : NULL;
    if (!out || out->kind != SQA_BUFFER_ARENA)
        return;
    for (int i = 0; i < n->nin; i++) {
        const struct sqa_tensor *t = n->in[i];
        if (!(n->op->in_place >> i & 1) || !t || !sqa_is_dense(t) || t->offset != 0)
            continue;
        struct sqa_buffer *b = sqa_buffer_root(t->buffer);
        if (b->kind != SQA_BUFFER_ARENA || t->buffer->bytes != out->bytes || b->bytes != out->bytes ||
            b->last != position || reads_elsewhere(n, i))
            continue;
        out->alias = b;
        b->last = out->last;
        return;
    }
}

void sqa_set_lifetimes(const struct sqa_schedule *s)
{
    for (struct sqa_node *n = s->g->first; n; n = n->next)
        for (int i = 0; i < n->nout && !(n->op->flags & SQA_OP_VIEW); i++) {
            struct sqa_buffer *b = n->out[i]->buffer;
            b->first = b->kind == SQA_BUFFER_INPUT ? -1 : s->count;
            b->last = -1;
            b->alias = NULL;
        }
    for (int p = 0; p < s->count; p++) {
        const struct sqa_node *n = s->run[p];
        for (int i = 0; i < n->nout; i++) {
            n->out[i]->buffer->first = n->out[i]->buffer->last = p;
            n->out[i]->buffer->alias = NULL;
        }
        for (int i = 0; i < n->nin; i++)
            if (n->in[i])
                n->in[i]->buffer->last = p;
    }
    for (struct sqa_node *n = s->g->first; n; n = n->next)
        for (int i = 0; i < n->nout; i++) {
            struct sqa_buffer *b = n->out[i]->buffer;
            if (n->out[i]->keep || (b->kind == SQA_BUFFER_INPUT && b->last >= 0))
                b->last = s->count;
        }
    for (int p = 0; p < s->count; p++) /* what is made once stays for the runs to come */
        for (int i = 0; i < s->run[p]->nin && s->run[p]->pass != SQA_PASS_ONCE; i++)
            if (s->run[p]->in[i] && sqa_owner(s->run[p]->in[i])->node->pass == SQA_PASS_ONCE)
                s->run[p]->in[i]->buffer->last = s->count;
    for (int p = 0; p < s->count; p++)
        run_in_place(s->run[p], p);
}

/* Has the buffer a place of its own in the arena? */
static bool has_place(const struct sqa_buffer *b)
{
    return (b->kind == SQA_BUFFER_ARENA || b->kind == SQA_BUFFER_INPUT) && !b->alias && b->last >= 0;
}

struct place { /* a buffer or a node's workspace */
    size_t bytes, offset;
    int first, last;
    struct sqa_buffer *buffer;
    size_t *workspace;
    int turn, best_turn; /* in which order places are given: of now, and of the smallest arena so far */
};

/* Everything that wants a place; inputs have only their leaf, the rest stands in the run order. */
static int list_places(const struct sqa_schedule *s, struct place *places, size_t *workspace)
{
    int n = 0;
    for (const struct sqa_node *l = s->g->first; l; l = l->next)
        if (l->op->flags & SQA_OP_LEAF && has_place(l->out[0]->buffer))
            places[n++] = (struct place){.bytes = sqa_align_place(l->out[0]->buffer->bytes),
                                         .first = l->out[0]->buffer->first,
                                         .last = l->out[0]->buffer->last,
                                         .buffer = l->out[0]->buffer};
    for (int p = 0; p < s->count; p++) {
        const struct sqa_node *node = s->run[p];
        for (int i = 0; i < node->nout; i++) {
            struct sqa_buffer *b = node->out[i]->buffer;
            if (has_place(b))
                places[n++] = (struct place){sqa_align_place(b->bytes), 0, b->first, b->last, b, NULL, 0, 0};
        }
        if (node->workspace)
            places[n++] = (struct place){sqa_align_place(node->workspace), 0, p, p, NULL, &workspace[p], 0, 0};
    }
    return n;
}

static void add_life(size_t *live, int count, const struct sqa_buffer *b)
{
    if (!has_place(b))
        return;
    live[b->first < 0 ? 0 : b->first] += sqa_align_place(b->bytes);
    if (b->last < count)
        live[b->last + 1] -= sqa_align_place(b->bytes);
}

size_t sqa_live_bytes(const struct sqa_schedule *s, size_t *live)
{
    size_t now = 0, most = 0;
    memset(live, 0, (size_t)(s->count + 1) * sizeof *live);
    for (const struct sqa_node *l = s->g->first; l; l = l->next)
        if (l->op->flags & SQA_OP_LEAF)
            add_life(live, s->count, l->out[0]->buffer);
    for (int p = 0; p < s->count; p++)
        for (int i = 0; i < s->run[p]->nout; i++)
            add_life(live, s->count, s->run[p]->out[i]->buffer);
    for (int p = 0; p < s->count; p++) {
        now += live[p]; /* a difference that is negative wraps, as unsigned sums may */
        live[p] = now + sqa_align_place(s->run[p]->workspace);
        most = live[p] > most ? live[p] : most;
    }
    return most;
}

typedef int place_order(const void *, const void *);

static int by_size(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return x->first != y->first ? (x->first > y->first) - (x->first < y->first)
                                : (x->last > y->last) - (x->last < y->last);
}

static int by_offset(const void *a, const void *b)
{
    const struct place *const *x = a, *const *y = b;
    return ((*x)->offset > (*y)->offset) - ((*x)->offset < (*y)->offset);
}

/* By life: what lives longest first. */
static int by_life(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    const int i = x->last - x->first, j = y->last - y->first;
    return i != j ? (i < j) - (i > j) : by_size(a, b);
}

static int by_start(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    return x->first != y->first ? (x->first > y->first) - (x->first < y->first) : by_size(a, b);
}

static int by_turn(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    return (x->turn > y->turn) - (x->turn < y->turn);
}

/* In turn, each at the lowest offset that is free during its whole life. Returns the size of the arena. */
static size_t place_all(struct place *places, int n, const struct place **busy)
{
    size_t size = 0;
    qsort(places, (size_t)n, sizeof *places, by_turn);
    for (int k = 0; k < n; k++) {
        struct place *p = &places[k];
        int live = 0;
        for (int j = 0; j < k; j++)
            if (places[j].first <= p->last && p->first <= places[j].last)
                busy[live++] = &places[j];
        qsort(busy, (size_t)live, sizeof *busy, by_offset);
        size_t offset = 0;
        for (int j = 0; j < live; j++) {
            if (offset + p->bytes <= busy[j]->offset)
                break;
            if (busy[j]->offset + busy[j]->bytes > offset)
                offset = busy[j]->offset + busy[j]->bytes;
        }
        p->offset = offset;
        if (offset + p->bytes > size)
            size = offset + p->bytes;
        if (p->buffer)
            p->buffer->offset = offset;
        else
            *p->workspace = offset;
    }
    return size;
}

static void try_turns(struct place *places, int n, const struct place **busy, size_t *size)
{
    const size_t now = place_all(places, n, busy);
    for (int k = 0; k < n && now < *size; k++)
        places[k].best_turn = places[k].turn;
    *size = now < *size ? now : *size;
}

/* Several orders, then what reaches the top of the arena goes first, again and again. */
static void improve(struct place *places, int n, const struct place **busy, size_t bound, size_t *size)
{
    static place_order *const orders[] = {by_size, by_start, by_life};
    enum { ORDERS = sizeof orders / sizeof *orders, RAISES = 24 };
    for (int i = 0; i < ORDERS; i++) {
        qsort(places, (size_t)n, sizeof *places, orders[i]);
        for (int k = 0; k < n; k++)
            places[k].turn = k;
        try_turns(places, n, busy, size);
        for (int raise = 1; raise <= RAISES && *size > bound; raise++) {
            int top = 0;
            for (int k = 1; k < n; k++)
                if (places[k].offset + places[k].bytes > places[top].offset + places[top].bytes)
                    top = k;
            places[top].turn = -raise;
            try_turns(places, n, busy, size);
        }
        if (*size <= bound)
            break;
    }
    for (int k = 0; k < n; k++)
        places[k].turn = places[k].best_turn;
}

enum sqa_status sqa_place(const struct sqa_schedule *s, size_t *workspace, size_t *size, struct sqa_err *err)
{
    const size_t limit = (size_t)s->g->count + (size_t)s->count * (SQA_MAX_OUTPUTS + 1);
    struct place *places = sqa_alloc_array(limit, sizeof *places);
    const struct place **busy = sqa_alloc_array(limit, sizeof *busy);
    size_t *live = sqa_alloc_array((size_t)s->count + 1, sizeof *live);
    enum sqa_status status = SQA_OK;
    if (places && busy && live) {
        const size_t bound = sqa_live_bytes(s, live);
        const int n = list_places(s, places, workspace);
        *size = SIZE_MAX;
        improve(places, n, busy, bound, size);
        (void)place_all(places, n, busy);
    } else {
        status = sqa_fail(err, SQA_NOMEM, "plan: no memory for its layout; free some memory and run again");
    }
    sqa_free(places);
    sqa_free(busy);
    sqa_free(live);
    return status;
}
