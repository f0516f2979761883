/* plan.c - see plan.h */
#include "engine/plan.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/fuse.h"
#include "engine/ops.h"
#include "engine/plan_private.h"
#include "engine/slow.h"

void sqa_memory_clear(struct sqa_memory *m)
{
    sqa_free(m->data);
    *m = (struct sqa_memory){0};
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

static enum sqa_status prepare(struct sqa_plan *p, struct sqa_graph *g, struct sqa_err *err)
{
    struct sqa_schedule s = {0};
    sqa_fuse(g);
    enum sqa_status status = sqa_order(&s, g, p->threads, err);
    if (status == SQA_OK)
        status = sqa_recompute(&s, err);
    p->nodes = s.run;
    p->count = s.count;
    if (status != SQA_OK)
        return status;
    p->workspace = sqa_alloc_array((size_t)p->count, sizeof *p->workspace);
    if (!p->workspace)
        return sqa_fail(err, SQA_NOMEM, "plan: no memory; free some memory and run again");
    sqa_set_lifetimes(&s);
    status = sqa_place(&s, p->workspace, &p->arena_bytes, err);
    if (status == SQA_OK)
        status = grow(p->memory, p->arena_bytes, err);
    if (status == SQA_OK && !sqa_kernels_reserve(p->threads))
        status = sqa_fail(err, SQA_NOMEM,
                          "plan: no address space for OpenBLAS's buffers, 160 MB a thread and %d threads; "
                          "raise the memory limit or use fewer threads",
                          p->threads);
    return status;
}

enum sqa_status sqa_plan_make(struct sqa_graph *g, struct sqa_memory *memory, int threads, struct sqa_plan **plan,
                              struct sqa_err *err)
{
    struct sqa_plan *p = sqa_alloc(sizeof *p);
    enum sqa_status status = g->status;
    if (status != SQA_OK)
        (void)sqa_fail(err, status, "%s", g->err.text);
    else if (!p)
        status = sqa_fail(err, SQA_NOMEM, "plan: no memory; free some memory and run again");
    if (status == SQA_OK) {
        p->threads = threads;
        p->memory = memory;
        status = prepare(p, g, err);
    }
    if (status != SQA_OK) {
        sqa_graph_clear(g);
        if (p) {
            sqa_free(p->nodes);
            sqa_free(p->workspace);
        }
        sqa_free(p);
        return status;
    }
    bind_threads(threads);
    p->graph = *g;
    *plan = p;
    return SQA_OK;
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
    p->once = false;
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
                b->data = p->memory->data + sqa_buffer_root(b)->offset;
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

static void waste_time(const struct sqa_op *op)
{
    if (strcmp(op->name, sqa_slow.op) == 0)
        for (volatile unsigned long i = 0; i < sqa_slow.loops;)
            i = i + 1;
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
        if (p->once && p->nodes[i]->pass == SQA_PASS_ONCE)
            continue;
        r.workspace = p->memory->data ? p->memory->data + p->workspace[i] : NULL;
        p->nodes[i]->op->run(p->nodes[i], &r);
        if (*sqa_slow.op)
            waste_time(p->nodes[i]->op);
        if (ns) {
            const double after = now_ns();
            ns[i] += after - before;
            before = after;
        }
        if (p->poison)
            poison_freed(p, i);
    }
    p->once = true;
    return SQA_OK;
}

void sqa_plan_refresh(struct sqa_plan *p)
{
    p->once = false;
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
    g.recompute = c->recompute;
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
