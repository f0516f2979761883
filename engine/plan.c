/* plan.c - see plan.h */
#include "engine/plan.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/ops.h"

enum { ALIGN = 64 };

void sqa_memory_clear(struct sqa_memory *m)
{
    sqa_free(m->data);
    *m = (struct sqa_memory){0};
}

static struct sqa_buffer *root(struct sqa_buffer *b)
{
    while (b->alias)
        b = b->alias;
    return b;
}

static bool placed_by_us(const struct sqa_buffer *b)
{
    return b->kind == SQA_BUFFER_ARENA || b->kind == SQA_BUFFER_INPUT;
}

/* needed[i]: node i must run (or, for leaves and views, be there) for the outputs and effects. */
static void find_needed(struct sqa_node **all, int count, bool *needed)
{
    for (int k = count - 1; k >= 0; k--) {
        const struct sqa_node *n = all[k];
        needed[k] = needed[k] || n->op->flags & SQA_OP_EFFECT;
        for (int i = 0; i < n->nout; i++)
            needed[k] = needed[k] || n->out[i]->keep;
        for (int i = 0; needed[k] && i < n->nin; i++)
            if (n->in[i])
                needed[n->in[i]->node->index] = true;
    }
}

static int order_nodes(struct sqa_node **all, int count, const bool *needed, struct sqa_node **run)
{
    int n = 0;
    for (int effect = 0; effect < 2; effect++)
        for (int k = 0; k < count; k++)
            if (needed[k] && !(all[k]->op->flags & (SQA_OP_LEAF | SQA_OP_VIEW)) &&
                !!(all[k]->op->flags & SQA_OP_EFFECT) == effect)
                run[n++] = all[k];
    return n;
}

static void find_lifetimes(struct sqa_node **all, int total, struct sqa_node **run, int count)
{
    for (int k = 0; k < total; k++)
        for (int i = 0; i < all[k]->nout; i++) {
            struct sqa_buffer *b = all[k]->out[i]->buffer;
            if (!(all[k]->op->flags & SQA_OP_VIEW)) {
                b->first = b->kind == SQA_BUFFER_INPUT ? -1 : count;
                b->last = -1;
                b->alias = NULL;
            }
        }
    for (int p = 0; p < count; p++) {
        for (int i = 0; i < run[p]->nout; i++) {
            run[p]->out[i]->buffer->first = p;
            run[p]->out[i]->buffer->last = p;
        }
        for (int i = 0; i < run[p]->nin; i++)
            if (run[p]->in[i])
                run[p]->in[i]->buffer->last = p;
    }
    for (int k = 0; k < total; k++)
        for (int i = 0; i < all[k]->nout; i++) {
            struct sqa_buffer *b = all[k]->out[i]->buffer;
            if (all[k]->out[i]->keep || (b->kind == SQA_BUFFER_INPUT && b->last >= 0))
                b->last = count;
        }
}

static bool reads_elsewhere(const struct sqa_node *n, int input)
{
    for (int i = 0; i < n->nin; i++)
        if (i != input && n->in[i] && root(n->in[i]->buffer) == root(n->in[input]->buffer))
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
        struct sqa_buffer *b = root(t->buffer);
        if (b->kind != SQA_BUFFER_ARENA || t->buffer->bytes != out->bytes || b->bytes != out->bytes ||
            b->last != position || reads_elsewhere(n, i))
            continue;
        out->alias = b;
        b->last = out->last;
        return;
    }
}

struct place { /* a buffer or a node's workspace */
    size_t bytes, offset;
    int first, last;
    struct sqa_buffer *buffer;
    size_t *workspace;
};

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

/* Largest first, each at the lowest offset that is free during its whole life. Returns the size of the arena. */
static size_t place_all(struct place *places, int n, const struct place **busy)
{
    size_t size = 0;
    qsort(places, (size_t)n, sizeof *places, by_size);
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

static size_t aligned(size_t n)
{
    return (n + ALIGN - 1) / ALIGN * ALIGN;
}

static enum sqa_status layout(struct sqa_plan *p, struct sqa_node **all, int total, const bool *needed,
                              struct sqa_err *err)
{
    const int limit = total * SQA_MAX_OUTPUTS + p->count;
    struct place *places = sqa_alloc_array((size_t)limit, sizeof *places);
    const struct place **busy = sqa_alloc_array((size_t)limit, sizeof *busy);
    enum sqa_status status = SQA_OK;
    int n = 0;
    if (!places || !busy) {
        status = sqa_fail(err, SQA_NOMEM, "plan: no memory for its layout; free some memory and run again");
        goto out;
    }
    for (int k = 0; k < total; k++)
        for (int i = 0; needed[k] && i < all[k]->nout; i++) {
            struct sqa_buffer *b = all[k]->out[i]->buffer;
            if (!(all[k]->op->flags & SQA_OP_VIEW) && placed_by_us(b) && !b->alias)
                places[n++] = (struct place){aligned(b->bytes), 0, b->first, b->last, b, NULL};
        }
    for (int k = 0; k < p->count; k++) {
        const struct sqa_op *op = p->nodes[k]->op;
        const size_t bytes = op->workspace ? op->workspace(p->nodes[k], p->threads) : 0;
        if (bytes)
            places[n++] = (struct place){aligned(bytes), 0, k, k, NULL, &p->workspace[k]};
    }
    p->arena_bytes = place_all(places, n, busy);
out:
    sqa_free(places);
    sqa_free(busy);
    return status;
}

static void bind_threads(int threads)
{
    sqa_kernels_flush_denormals();
#pragma omp parallel num_threads(threads) if (threads > 1)
    sqa_kernels_flush_denormals();
}

static enum sqa_status grow(struct sqa_memory *m, size_t bytes, struct sqa_err *err)
{
    if (m->size >= bytes)
        return SQA_OK;
    sqa_memory_clear(m);
    m->data = sqa_alloc_aligned(bytes);
    if (!m->data)
        return sqa_fail(err, SQA_NOMEM, "plan: no memory for %zu bytes; use a smaller batch, length or model", bytes);
    m->size = bytes;
    return SQA_OK;
}

enum sqa_status sqa_plan_make(struct sqa_graph *g, struct sqa_memory *memory, int threads, struct sqa_plan **plan,
                              struct sqa_err *err)
{
    enum sqa_status status = SQA_OK;
    const int total = g->count;
    struct sqa_plan *p = sqa_alloc(sizeof *p);
    struct sqa_node **all = sqa_alloc_array((size_t)total, sizeof *all);
    bool *needed = sqa_alloc_array((size_t)total, sizeof *needed);
    if (g->status != SQA_OK) {
        status = sqa_fail(err, g->status, "%s", g->err.text);
        goto fail;
    }
    if (!p || !all || !needed)
        goto no_memory;
    int k = 0;
    for (struct sqa_node *n = g->first; n; n = n->next)
        all[k++] = n;
    find_needed(all, total, needed);
    p->nodes = sqa_alloc_array((size_t)total, sizeof(struct sqa_node *));
    if (!p->nodes)
        goto no_memory;
    p->count = order_nodes(all, total, needed, p->nodes);
    p->workspace = sqa_alloc_array((size_t)p->count, sizeof *p->workspace);
    if (!p->workspace)
        goto no_memory;
    p->threads = threads;
    p->memory = memory;
    find_lifetimes(all, total, p->nodes, p->count);
    for (int i = 0; i < p->count; i++)
        run_in_place(p->nodes[i], i);
    status = layout(p, all, total, needed, err);
    if (status != SQA_OK)
        goto fail;
    status = grow(memory, p->arena_bytes, err);
    if (status != SQA_OK)
        goto fail;
    if (!sqa_kernels_reserve(threads)) {
        status = sqa_fail(err, SQA_NOMEM,
                          "plan: no address space for OpenBLAS's buffers, 160 MB a thread and %d threads; "
                          "raise the memory limit or use fewer threads",
                          threads);
        goto fail;
    }
    bind_threads(threads);
    p->graph = *g;
    sqa_free(all);
    sqa_free(needed);
    *plan = p;
    return SQA_OK;
no_memory:
    status = sqa_fail(err, SQA_NOMEM, "plan: no memory; free some memory and run again");
fail:
    sqa_free(all);
    sqa_free(needed);
    sqa_graph_clear(g);
    if (p) {
        sqa_free(p->nodes);
        sqa_free(p->workspace);
    }
    sqa_free(p);
    return status;
}

void sqa_plan_free(struct sqa_plan *p)
{
    if (!p)
        return;
    sqa_graph_clear(&p->graph);
    sqa_free(p->nodes);
    sqa_free(p->workspace);
    sqa_free(p);
}

static void set_pointers(struct sqa_plan *p)
{
    if (p->bound == p->memory->data && p->bound)
        return;
    for (struct sqa_node *n = p->graph.first; n; n = n->next)
        for (int i = 0; i < n->nout; i++) {
            struct sqa_buffer *b = n->out[i]->buffer;
            if (n->op->flags & SQA_OP_VIEW)
                continue;
            if (b->kind == SQA_BUFFER_VALUE)
                b->data = b->entry->value;
            else if (b->kind == SQA_BUFFER_GRADIENT)
                b->data = b->entry->gradient;
            else if (p->memory->data)
                b->data = p->memory->data + root(b)->offset;
        }
    p->bound = p->memory->data;
}

static struct sqa_tensor *named(const struct sqa_plan *p, const char *name, bool input)
{
    for (struct sqa_node *n = p->graph.first; n; n = n->next)
        for (int i = 0; i < n->nout; i++) {
            struct sqa_tensor *t = n->out[i];
            if (t->name && (input ? t->buffer->kind == SQA_BUFFER_INPUT : t->keep) && strcmp(t->name, name) == 0)
                return t;
        }
    return NULL;
}

void *sqa_plan_input(struct sqa_plan *p, const char *name, const struct sqa_tensor **tensor)
{
    const struct sqa_tensor *t = named(p, name, true);
    if (!t || t->buffer->last < 0) /* read by no node: it has no place */
        return NULL;
    set_pointers(p);
    if (tensor)
        *tensor = t;
    return sqa_data(t);
}

const void *sqa_plan_output(struct sqa_plan *p, const char *name, const struct sqa_tensor **tensor)
{
    const struct sqa_tensor *t = named(p, name, false);
    if (!t)
        return NULL;
    set_pointers(p);
    if (tensor)
        *tensor = t;
    return sqa_data(t);
}

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Fills what nobody reads after this position with NaN bytes, so that a wrong lifetime shows. */
static void poison_freed(struct sqa_plan *p, int position)
{
    for (struct sqa_node *n = p->graph.first; n; n = n->next)
        for (int i = 0; i < n->nout; i++) {
            struct sqa_buffer *b = n->out[i]->buffer;
            if (!(n->op->flags & SQA_OP_VIEW) && b->kind == SQA_BUFFER_ARENA && !b->alias && b->last == position)
                memset(b->data, 0xff, b->bytes);
        }
}

static enum sqa_status check_extents(const struct sqa_plan *p, const struct sqa_extents *x, struct sqa_err *err)
{
    if (!x || !p->rows || x->rows == p->rows)
        return SQA_OK;
    for (int i = 0; i < p->count; i++)
        if (x->rows > p->rows || !(p->nodes[i]->op->flags & SQA_OP_EXTENTS))
            return sqa_fail(err, SQA_UNSUPPORTED, "plan: made for %lld rows, not %lld; take a plan of that batch",
                            (long long)p->rows, (long long)x->rows);
    return SQA_OK;
}

enum sqa_status sqa_plan_run(struct sqa_plan *p, uint64_t seed, uint64_t step, const struct sqa_extents *extents,
                             double *ns, struct sqa_err *err)
{
    const enum sqa_status status = check_extents(p, extents, err);
    if (status != SQA_OK)
        return status;
    struct sqa_run r = {.threads = p->threads,
                        .seed = seed,
                        .step = step,
                        .rows = extents ? extents->rows : p->rows,
                        .offsets = extents ? extents->offsets : NULL};
    set_pointers(p);
    double before = ns ? now_ns() : 0;
    for (int i = 0; i < p->count; i++) {
        r.workspace = p->memory->data ? p->memory->data + p->workspace[i] : NULL;
        p->nodes[i]->op->run(p->nodes[i], &r);
        if (ns) {
            const double after = now_ns();
            ns[i] += after - before;
            before = after;
        }
        if (p->poison)
            poison_freed(p, i);
    }
    return SQA_OK;
}

/* Numbers that a tensor's view really holds: a broadcast dim counts once. */
static double distinct_bytes(const struct sqa_tensor *t)
{
    double n = (double)sqa_dtype_size(t->dtype);
    for (int i = 0; i < t->rank; i++)
        n *= t->stride[i] == 0 && t->dim[i] > 1 ? 1.0 : (double)t->dim[i];
    return n;
}

static double node_bytes(const struct sqa_node *n)
{
    double sum = 0;
    if (n->op->bytes)
        return n->op->bytes(n);
    for (int i = 0; i < n->nin; i++)
        sum += n->in[i] ? distinct_bytes(n->in[i]) : 0;
    for (int i = 0; i < n->nout; i++)
        sum += distinct_bytes(n->out[i]);
    return sum;
}

double sqa_node_flops(const struct sqa_node *n)
{
    return n->op->flops ? n->op->flops(n) : 0;
}

double sqa_node_bytes(const struct sqa_node *n)
{
    return n->op->flags & (SQA_OP_LEAF | SQA_OP_VIEW) ? 0 : node_bytes(n);
}

double sqa_plan_flops(const struct sqa_plan *p, enum sqa_pass pass)
{
    double sum = 0;
    for (int i = 0; i < p->count; i++)
        sum += p->nodes[i]->pass == pass ? sqa_node_flops(p->nodes[i]) : 0;
    return sum;
}

double sqa_plan_bytes(const struct sqa_plan *p, enum sqa_pass pass)
{
    double sum = 0;
    for (int i = 0; i < p->count; i++)
        sum += p->nodes[i]->pass == pass ? sqa_node_bytes(p->nodes[i]) : 0;
    return sum;
}

/* Cache */

struct sqa_plans_slot {
    struct sqa_plan_key key;
    struct sqa_plan *plan;
    uint64_t used;
};

enum sqa_status sqa_plans_init(struct sqa_plans *c, sqa_plan_build_fn *build, void *user, enum sqa_dtype real,
                               int threads, int capacity, struct sqa_err *err)
{
    *c = (struct sqa_plans){.build = build, .user = user, .real = real, .threads = threads, .capacity = capacity};
    c->slots = sqa_alloc_array((size_t)capacity, sizeof *c->slots);
    return c->slots ? SQA_OK : sqa_fail(err, SQA_NOMEM, "plans: no memory; free some memory and run again");
}

enum sqa_status sqa_plans_get(struct sqa_plans *c, struct sqa_plan_key key, struct sqa_plan **plan,
                              struct sqa_err *err)
{
    struct sqa_plans_slot *oldest = &c->slots[0];
    for (int i = 0; i < c->capacity; i++) {
        struct sqa_plans_slot *s = &c->slots[i];
        if (s->plan && s->key.mode == key.mode && s->key.batch == key.batch && s->key.length == key.length) {
            s->used = ++c->clock;
            *plan = s->plan;
            return grow(&c->memory, s->plan->arena_bytes, err); /* gone when a larger plan found no memory */
        }
        if (s->used < oldest->used) /* an empty slot has used == 0 */
            oldest = s;
    }
    struct sqa_graph g;
    sqa_graph_init(&g, c->real, false);
    g.compute = c->compute;
    enum sqa_status status = c->build(c->user, &key, &g, err);
    if (status != SQA_OK) {
        sqa_graph_clear(&g);
        return status;
    }
    sqa_plan_free(oldest->plan);
    oldest->plan = NULL;
    status = sqa_plan_make(&g, &c->memory, c->threads, &oldest->plan, err);
    if (status != SQA_OK)
        return status;
    oldest->key = key;
    oldest->used = ++c->clock;
    oldest->plan->rows = key.batch;
    *plan = oldest->plan;
    return SQA_OK;
}

void sqa_plans_clear(struct sqa_plans *c)
{
    for (int i = 0; c->slots && i < c->capacity; i++)
        sqa_plan_free(c->slots[i].plan);
    sqa_free(c->slots);
    sqa_memory_clear(&c->memory);
    *c = (struct sqa_plans){0};
}
