/*
 * recompute.c - values of the forward pass that the backward pass makes again
 *
 * A choice is a set of forward nodes. Where a backward node reads an output of one of them it reads a clone's
 * instead, which runs right before the first such reader; a clone reads clones of the set and, else, what the
 * original read. Clones have their original's path, so that dropout draws the same numbers, and the pass
 * SQA_PASS_RECOMPUTE. Where an op has a remake, its nodes stand for the clone.
 *
 * CHEAP grows the set greedily: candidates in the order of bytes for cost, each taken when it lowers the peak of live
 * bytes by a larger share than it adds to the step's cost. Cost is time by a fixed model of a machine, so that the
 * choice depends on shapes only. BLOCKS first takes every node of a block (but the last) whose output no other block
 * reads.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/plan_private.h"

bool sqa_recompute_find(const char *name, enum sqa_recompute_mode *mode)
{
    static const char *const names[] = {
        [SQA_RECOMPUTE_CHEAP] = "cheap", [SQA_RECOMPUTE_OFF] = "off", [SQA_RECOMPUTE_BLOCKS] = "blocks"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!name || !*name || strcmp(name, names[i]) == 0) {
            *mode = (enum sqa_recompute_mode)i;
            return true;
        }
    return false;
}

/* The model machine, and what CHEAP may spend and must gain. */
static const double flops_per_ns = 40, bytes_per_ns = 10, most_cost = 0.03, gain_for_cost = 1;
enum { SMALL = 200 }; /* values under 1 / SMALL of the peak stay */

struct candidate {
    struct sqa_node *node;
    double value; /* bytes for cost */
};

struct chooser {
    struct sqa_schedule *s;
    struct sqa_node **run;    /* the order without clones */
    int run_count, total;     /* total: nodes of the graph as it was built */
    bool *late;               /* by node: an output is read in the backward pass */
    bool *chosen, *trial;     /* by node: the set, and the set to be tried */
    bool *placed;             /* by node and output: what makes it again stands in the run order */
    double *remake;           /* by node: cost of its outputs that its op's remake makes; 0: the node is repeated */
    struct sqa_tensor **twin; /* by node and output: what is read instead, views too */
    struct sqa_tensor *(*in)[SQA_MAX_INPUTS]; /* by node: inputs as they were built */
    size_t *live;
    struct candidate *list;
    int n;
};

static double cost_of(const struct sqa_node *n)
{
    return sqa_node_flops(n) / flops_per_ns + sqa_node_bytes(n) / bytes_per_ns;
}

static struct sqa_tensor **twin_of(const struct chooser *c, const struct sqa_tensor *t)
{
    return &c->twin[t->node->index * SQA_MAX_OUTPUTS + t->output];
}

/* The clone of a node with buffers of its own; it is not in the graph's list yet. */
static bool make_clone(struct chooser *c, const struct sqa_node *n)
{
    struct sqa_arena *arena = &c->s->g->arena;
    struct sqa_node *clone = sqa_arena_alloc(arena, sizeof *clone);
    if (!clone)
        return false;
    *clone = *n;
    clone->pass = SQA_PASS_RECOMPUTE;
    clone->next = NULL;
    for (int i = 0; i < n->nout; i++) {
        struct sqa_tensor *t = clone->out[i] = sqa_arena_alloc(arena, sizeof *t);
        struct sqa_buffer *b = sqa_arena_alloc(arena, sizeof *b);
        if (!t || !b)
            return false;
        *t = *n->out[i];
        *b = (struct sqa_buffer){.kind = SQA_BUFFER_ARENA, .bytes = n->out[i]->buffer->bytes};
        t->buffer = b;
        t->node = clone;
        t->keep = false;
        t->name = NULL;
        *twin_of(c, n->out[i]) = t;
    }
    return true;
}

/* What is read instead of t: the clone's tensor, seen as t sees the original. NULL: no memory. */
static struct sqa_tensor *twin(struct chooser *c, struct sqa_tensor *t)
{
    struct sqa_tensor *owner = sqa_owner(t), **at = twin_of(c, t);
    if (!*twin_of(c, owner) && !make_clone(c, owner->node))
        return NULL;
    if (!*at) {
        *at = sqa_arena_alloc(&c->s->g->arena, sizeof **at);
        if (!*at)
            return NULL;
        **at = *t;
        (*at)->buffer = (*twin_of(c, owner))->buffer;
        (*at)->node = (*twin_of(c, owner))->node;
        (*at)->keep = false;
    }
    return *at;
}

/* Is this output of a node in the set made again? */
static bool is_remade(const struct chooser *c, const struct sqa_tensor *owner)
{
    return c->trial[owner->node->index] && (c->remake[owner->node->index] <= 0 || *twin_of(c, owner));
}

/* Points reader's inputs (in: as they were built) at what is made again, placing that before it. */
static bool redirect(struct chooser *c, struct sqa_node *reader, struct sqa_tensor *const *in)
{
    for (int i = 0; i < reader->nin; i++) {
        struct sqa_tensor *owner = in[i] ? sqa_owner(in[i]) : NULL;
        reader->in[i] = in[i];
        if (!owner || owner->node->index >= c->total || !is_remade(c, owner))
            continue;
        const struct sqa_node *n = owner->node;
        bool *placed = &c->placed[n->index * SQA_MAX_OUTPUTS + (c->remake[n->index] > 0 ? owner->output : 0)];
        reader->in[i] = twin(c, in[i]);
        if (!reader->in[i])
            return false;
        struct sqa_node *clone = reader->in[i]->node;
        if (*placed)
            continue;
        *placed = true;
        if (!redirect(c, clone, c->in[c->remake[n->index] > 0 ? clone->index : n->index]))
            return false;
        c->s->run[c->s->count++] = clone;
    }
    return true;
}

/* The run order of the set `trial`. */
static bool lay_out(struct chooser *c)
{
    memset(c->placed, 0, (size_t)c->total * SQA_MAX_OUTPUTS * sizeof *c->placed);
    c->s->count = 0;
    for (int p = 0; p < c->run_count; p++) {
        struct sqa_node *n = c->run[p];
        if (n->pass == SQA_PASS_BACKWARD && !redirect(c, n, c->in[n->index]))
            return false;
        c->s->run[c->s->count++] = n;
    }
    return true;
}

static size_t peak(struct chooser *c)
{
    sqa_set_lifetimes(c->s);
    return sqa_live_bytes(c->s, c->live);
}

/* May a node be computed again? Its outputs must be the planner's own. */
static bool can_repeat(const struct sqa_node *n)
{
    if (n->pass != SQA_PASS_FORWARD || n->op->flags & (SQA_OP_LEAF | SQA_OP_VIEW | SQA_OP_EFFECT))
        return false;
    for (int i = 0; i < n->nout; i++)
        if (n->out[i]->buffer->kind != SQA_BUFFER_ARENA)
            return false;
    return n->nout > 0;
}

/* Asks the op of n for a cheaper way to its late outputs. */
static bool find_remake(struct chooser *c, struct sqa_node *n)
{
    struct sqa_graph *g = c->s->g;
    double cost = 0;
    g->pass = SQA_PASS_RECOMPUTE;
    for (int i = 0; i < n->nout && n->op->remake; i++) {
        struct sqa_tensor *t = n->op->remake(g, n, i);
        if (!t || t->node->index >= 2 * c->total)
            continue;
        t->node->workspace = t->node->op->workspace ? t->node->op->workspace(t->node, c->s->threads) : 0;
        memcpy(c->in[t->node->index], t->node->in, sizeof t->node->in);
        *twin_of(c, n->out[i]) = t;
        cost += cost_of(t->node);
    }
    c->remake[n->index] = cost;
    return g->status == SQA_OK;
}

/* What the set gives up when n joins it. */
static size_t output_bytes(const struct chooser *c, const struct sqa_node *n)
{
    size_t sum = 0;
    for (int i = 0; i < n->nout; i++)
        if (c->remake[n->index] <= 0 || *twin_of(c, n->out[i]))
            sum += n->out[i]->buffer->bytes;
    return sum;
}

/* Adds n to the trial, and those of its inputs that nothing keeps for the backward pass and that are not much
 * smaller. Returns the cost of what was added, more than `most` when it is too much. */
static double add(struct chooser *c, const struct sqa_node *n, double most)
{
    double cost = c->remake[n->index];
    c->trial[n->index] = true;
    if (cost > 0)
        return cost;
    cost = cost_of(n);
    for (int i = 0; i < n->nin && cost <= most; i++) {
        const struct sqa_node *m = n->in[i] ? sqa_owner(c->in[n->index][i])->node : NULL;
        if (m && !c->trial[m->index] && !c->late[m->index] && can_repeat(m) &&
            4 * output_bytes(c, m) > output_bytes(c, n))
            cost += add(c, m, most - cost);
    }
    return cost;
}

static int by_value(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->value != y->value)
        return x->value < y->value ? 1 : -1;
    return (x->node->index > y->node->index) - (x->node->index < y->node->index);
}

static void reset_trial(struct chooser *c)
{
    memcpy(c->trial, c->chosen, (size_t)c->total * sizeof *c->trial);
}

static bool choose_cheap(struct chooser *c)
{
    double total = 0, spent = 0;
    reset_trial(c);
    if (!lay_out(c))
        return false;
    size_t most = peak(c);
    for (int p = 0; p < c->run_count; p++)
        total += cost_of(c->run[p]);
    for (int p = 0; p < c->run_count; p++) {
        struct sqa_node *n = c->run[p];
        if (!c->late[n->index] || c->chosen[n->index] || !can_repeat(n))
            continue;
        if (!find_remake(c, n))
            return false;
        if (output_bytes(c, n) < most / SMALL)
            continue;
        reset_trial(c);
        const double cost = add(c, n, most_cost * total);
        if (cost <= most_cost * total)
            c->list[c->n++] = (struct candidate){n, (double)output_bytes(c, n) / (cost > 0 ? cost : 1)};
    }
    qsort(c->list, (size_t)c->n, sizeof *c->list, by_value);
    for (int i = 0; i < c->n; i++) {
        struct sqa_node *n = c->list[i].node;
        reset_trial(c);
        if (c->chosen[n->index])
            continue;
        const double cost = add(c, n, most_cost * total - spent);
        if (cost > most_cost * total - spent)
            continue;
        if (!lay_out(c))
            return false;
        const size_t now = peak(c);
        if (now >= most || (double)(most - now) / (double)most < gain_for_cost * cost / total)
            continue;
        memcpy(c->chosen, c->trial, (size_t)c->total * sizeof *c->chosen);
        most = now;
        spent += cost;
        i = -1; /* others may have become worth it */
    }
    return true;
}

/* The number of the block that a node was built in, or -1. */
static int block_of(const struct sqa_node *n)
{
    int block;
    return n->pass == SQA_PASS_FORWARD && sscanf(n->path, "blocks.%d.", &block) == 1 ? block : -1;
}

static void choose_blocks(struct chooser *c)
{
    int last = -1;
    for (int p = 0; p < c->run_count; p++)
        last = block_of(c->run[p]) > last ? block_of(c->run[p]) : last;
    for (int p = 0; p < c->run_count; p++)
        c->chosen[c->run[p]->index] = can_repeat(c->run[p]) && block_of(c->run[p]) >= 0 && block_of(c->run[p]) < last;
    for (int p = 0; p < c->run_count; p++) {
        const struct sqa_node *n = c->run[p];
        for (int i = 0; i < n->nin && n->pass == SQA_PASS_FORWARD; i++) {
            const struct sqa_node *m = n->in[i] ? sqa_owner(n->in[i])->node : NULL;
            if (m && block_of(m) != block_of(n))
                c->chosen[m->index] = false;
        }
    }
}

static void link_clones(struct chooser *c)
{
    struct sqa_graph *g = c->s->g;
    for (int p = 0; p < c->s->count; p++) {
        struct sqa_node *n = c->s->run[p];
        if (n->pass != SQA_PASS_RECOMPUTE || n->index >= c->total) /* those of remake are linked */
            continue;
        n->index = g->count++;
        g->last->next = n;
        g->last = n;
    }
}

static bool open_chooser(struct chooser *c)
{
    const size_t n = (size_t)c->total;
    c->late = sqa_alloc_array((3 + SQA_MAX_OUTPUTS) * n, sizeof *c->late);
    c->remake = sqa_alloc_array(n, sizeof *c->remake);
    c->twin = sqa_alloc_array(n * SQA_MAX_OUTPUTS, sizeof(struct sqa_tensor *));
    c->in = sqa_alloc_array(2 * n, sizeof *c->in); /* those of remake behind the built ones */
    c->live = sqa_alloc_array(3 * n + 1, sizeof *c->live);
    c->list = sqa_alloc_array(n, sizeof *c->list);
    c->run = c->s->run;
    c->run_count = c->s->count;
    c->s->run = sqa_alloc_array(3 * n, sizeof(struct sqa_node *));
    c->s->room = 3 * c->total;
    if (!c->late || !c->remake || !c->twin || !c->in || !c->live || !c->list || !c->s->run)
        return false;
    c->chosen = c->late + n;
    c->trial = c->late + 2 * n;
    c->placed = c->late + 3 * n;
    for (int p = 0; p < c->run_count; p++) {
        struct sqa_node *r = c->run[p];
        memcpy(c->in[r->index], r->in, sizeof r->in);
        for (int i = 0; i < r->nin; i++)
            if (r->in[i] && r->pass == SQA_PASS_BACKWARD)
                c->late[sqa_owner(r->in[i])->node->index] = true;
    }
    return lay_out(c);
}

enum sqa_status sqa_recompute(struct sqa_schedule *s, struct sqa_err *err)
{
    bool backward = false;
    for (int p = 0; p < s->count; p++)
        backward = backward || s->run[p]->pass == SQA_PASS_BACKWARD;
    if (!backward || s->g->recompute == SQA_RECOMPUTE_OFF)
        return SQA_OK;
    struct chooser c = {.s = s, .total = s->g->count};
    bool done = open_chooser(&c);
    if (done && s->g->recompute == SQA_RECOMPUTE_BLOCKS)
        choose_blocks(&c);
    if ((done = done && choose_cheap(&c))) {
        reset_trial(&c);
        done = lay_out(&c);
    }
    if (done)
        link_clones(&c);
    sqa_free(c.run);
    sqa_free(c.late);
    sqa_free(c.remake);
    sqa_free(c.twin);
    sqa_free(c.in);
    sqa_free(c.live);
    sqa_free(c.list);
    return done ? SQA_OK
                : sqa_fail(err, SQA_NOMEM, "plan: no memory for recomputation; free some memory and run again");
}
