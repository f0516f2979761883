/*
 * order.c - which nodes run, and when; see plan_private.h
 *
 * Build order is a run order. What depends on fixed values alone comes first. Reductions of the backward pass
 * (gradients of weights above all) run as soon as their inputs are there: what they read can go, what they write is
 * small.
 */
#include <string.h>

#include "engine/plan_private.h"

enum { REDUCES = 8 }; /* a reduction's outputs are smaller than its largest input by this factor or more */

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

static bool is_fixed(const struct sqa_store *fixed, struct sqa_tensor *t)
{
    const struct sqa_tensor *owner = sqa_owner(t);
    if (!(owner->node->op->flags & SQA_OP_LEAF))
        return owner->node->pass == SQA_PASS_ONCE;
    for (const struct sqa_entry *e = fixed->first; e; e = e->next)
        if (owner->buffer->kind == SQA_BUFFER_VALUE && owner->buffer->entry == e)
            return true;
    return false;
}

static void find_once(const struct sqa_graph *g, struct sqa_node **all, int count)
{
    for (int k = 0; k < count && g->fixed; k++) {
        struct sqa_node *n = all[k];
        bool once = n->pass == SQA_PASS_FORWARD && !(n->op->flags & (SQA_OP_LEAF | SQA_OP_VIEW | SQA_OP_EFFECT));
        for (int i = 0; once && i < n->nin; i++)
            once = !n->in[i] || is_fixed(g->fixed, n->in[i]);
        if (once)
            n->pass = SQA_PASS_ONCE;
    }
}

/* What is made once, then the others, then effects. */
static int turn_of(const struct sqa_node *n)
{
    return n->op->flags & SQA_OP_EFFECT ? 2 : n->pass == SQA_PASS_ONCE ? 0 : 1;
}

static int order_nodes(struct sqa_node **all, int count, const bool *needed, struct sqa_node **run)
{
    int n = 0;
    for (int turn = 0; turn < 3; turn++)
        for (int k = 0; k < count; k++)
            if (needed[k] && !(all[k]->op->flags & (SQA_OP_LEAF | SQA_OP_VIEW)) && turn_of(all[k]) == turn)
                run[n++] = all[k];
    return n;
}

static bool is_reduction(const struct sqa_node *n)
{
    size_t in = 0, out = 0;
    if (n->pass != SQA_PASS_BACKWARD || n->op->flags & SQA_OP_EFFECT)
        return false;
    for (int i = 0; i < n->nin; i++)
        if (n->in[i] && n->in[i]->buffer->bytes > in)
            in = n->in[i]->buffer->bytes;
    for (int i = 0; i < n->nout; i++)
        out += n->out[i]->buffer->bytes;
    return out <= in / REDUCES;
}

/* Moves each reduction behind the last node that it needs, and behind reductions that are there already. at: run
 * position by node. */
static void hoist(struct sqa_schedule *s, int *at)
{
    for (int p = 0; p < s->count; p++)
        at[s->run[p]->index] = p;
    for (int p = 0; p < s->count; p++) {
        struct sqa_node *n = s->run[p];
        int to = 0;
        if (!is_reduction(n))
            continue;
        for (int i = 0; i < n->nin; i++) {
            const struct sqa_node *m = n->in[i] ? sqa_owner(n->in[i])->node : NULL;
            if (m && !(m->op->flags & SQA_OP_LEAF) && at[m->index] >= to)
                to = at[m->index] + 1;
        }
        while (to < p && (is_reduction(s->run[to]) || s->run[to]->pass == SQA_PASS_FORWARD))
            to++;
        memmove(&s->run[to + 1], &s->run[to], (size_t)(p - to) * sizeof(struct sqa_node *));
        s->run[to] = n;
        for (int q = to; q <= p; q++)
            at[s->run[q]->index] = q;
    }
}

enum sqa_status sqa_order(struct sqa_schedule *s, struct sqa_graph *g, int threads, struct sqa_err *err)
{
    struct sqa_node **all = sqa_alloc_array((size_t)g->count, sizeof *all);
    bool *needed = sqa_alloc_array((size_t)g->count, sizeof *needed);
    int *at = sqa_alloc_array((size_t)g->count, sizeof *at);
    enum sqa_status status = SQA_OK;
    int k = 0;
    s->g = g;
    s->threads = threads;
    s->room = g->count;
    s->run = sqa_alloc_array((size_t)s->room, sizeof(struct sqa_node *));
    if (all && needed && at && s->run) {
        for (struct sqa_node *n = g->first; n; n = n->next) {
            all[k++] = n;
            n->workspace = n->op->workspace ? n->op->workspace(n, threads) : 0;
        }
        find_needed(all, k, needed);
        find_once(g, all, k);
        s->count = order_nodes(all, k, needed, s->run);
        hoist(s, at);
    } else {
        status = sqa_fail(err, SQA_NOMEM, "plan: no memory; free some memory and run again");
    }
    sqa_free(all);
    sqa_free(needed);
    sqa_free(at);
    return status;
}
