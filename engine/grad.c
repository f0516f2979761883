/*
 * grad.c - reverse mode: gradients as nodes of the same graph
 *
 * Nodes are visited from last to first; the gradient of a tensor is the sum of what its readers sent. The first
 * sender stores, later ones add (the planner lets the sum run in place).
 */
#include <stdio.h>

#include "engine/fuse.h"
#include "engine/ops.h"
#include "engine/plan_private.h"

/* grad[node index * SQA_MAX_OUTPUTS + output] */
struct table {
    struct sqa_tensor **at;
    int count;
};

static struct sqa_tensor **slot(const struct table *t, const struct sqa_tensor *x)
{
    return &t->at[x->node->index * SQA_MAX_OUTPUTS + x->output];
}

/* Marks the nodes that lie between wrt and loss: only those need to send gradients. */
static void mark(const struct table *t, struct sqa_graph *g, struct sqa_tensor *const *wrt, size_t n, bool *wanted)
{
    for (size_t i = 0; i < n; i++)
        if (wrt[i])
            wanted[wrt[i]->node->index] = true;
    for (struct sqa_node *node = g->first; node && node->index < t->count; node = node->next)
        for (int i = 0; i < node->nin; i++)
            if (node->in[i] && node->in[i]->needs_grad && wanted[node->in[i]->node->index])
                wanted[node->index] = true;
}

static void send(struct sqa_graph *g, const struct table *t, struct sqa_node *node, struct sqa_tensor **dx)
{
    for (int i = 0; i < node->nin && g->status == SQA_OK; i++) {
        if (!dx[i] || !node->in[i]->needs_grad)
            continue;
        char have[96], want[96];
        if (!sqa_same_shape(dx[i], node->in[i])) {
            sqa_graph_fail(g, SQA_SHAPE, "gradient of %s: input %d is %s, its gradient %s; the op's grad is wrong",
                           node->path, i, sqa_shape_text(node->in[i], want), sqa_shape_text(dx[i], have));
            return;
        }
        struct sqa_tensor **at = slot(t, node->in[i]);
        *at = *at ? sqa_add(g, *at, dx[i]) : dx[i];
    }
}

static void reverse(struct sqa_graph *g, const struct table *t, struct sqa_node **order, const bool *wanted)
{
    for (int k = t->count - 1; k >= 0 && g->status == SQA_OK; k--) {
        struct sqa_node *node = order[k];
        struct sqa_tensor *dx[SQA_MAX_INPUTS] = {0};
        bool any = false;
        for (int i = 0; i < node->nout; i++)
            any = any || t->at[k * SQA_MAX_OUTPUTS + i];
        if (!any || !wanted[k] || node->op->flags & SQA_OP_LEAF)
            continue;
        bool inputs = false;
        for (int i = 0; i < node->nin; i++)
            inputs = inputs || (node->in[i] && node->in[i]->needs_grad && wanted[node->in[i]->node->index]);
        if (!inputs)
            continue;
        if (!node->op->grad) {
            sqa_graph_fail(g, SQA_UNSUPPORTED,
                           "%s at %s: has no derivative; it cannot stand between a loss and what it "
                           "is differentiated by",
                           node->op->name, node->path);
            return;
        }
        const size_t scope = sqa_scope_push(g, "grad");
        node->op->grad(g, node, &t->at[k * SQA_MAX_OUTPUTS], dx);
        sqa_scope_pop(g, scope);
        send(g, t, node, dx);
    }
}

void sqa_gradients(struct sqa_graph *g, struct sqa_tensor *loss, struct sqa_tensor *const *wrt, size_t n,
                   struct sqa_tensor **out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = NULL;
    if (g->status != SQA_OK || !loss)
        return;
    char text[96];
    if (loss->rank != 0) {
        sqa_graph_fail(g, SQA_SHAPE, "gradients: the loss is %s; reduce it to one number first",
                       sqa_shape_text(loss, text));
        return;
    }
    const struct table t = {.at = sqa_alloc_array((size_t)g->count * SQA_MAX_OUTPUTS, sizeof *t.at),
                            .count = g->count};
    bool *wanted = sqa_alloc_array((size_t)g->count, sizeof *wanted);
    struct sqa_node **order = sqa_alloc_array((size_t)g->count, sizeof *order);
    if (t.at && wanted && order) {
        int k = 0;
        for (struct sqa_node *node = g->first; node; node = node->next)
            order[k++] = node;
        mark(&t, g, wrt, n, wanted);
        const enum sqa_pass pass = g->pass;
        g->pass = SQA_PASS_BACKWARD;
        *slot(&t, loss) = sqa_fill(g, 1, 0, NULL);
        reverse(g, &t, order, wanted);
        for (size_t i = 0; i < n && g->status == SQA_OK; i++)
            out[i] = wrt[i] ? *slot(&t, wrt[i]) : NULL;
        g->pass = pass;
    } else {
        sqa_graph_fail(g, SQA_NOMEM, "gradients: no memory; free some memory and run again");
    }
    sqa_free(t.at);
    sqa_free(wanted);
    sqa_free(order);
}

/* True when the tensor's buffer can be made to lie in the store: an arena buffer that is the tensor and no more, seen
 * through reshapes or not. */
static bool can_move(struct sqa_tensor *t)
{
    const struct sqa_tensor *owner = sqa_owner(t);
    return t->buffer->kind == SQA_BUFFER_ARENA && !(owner->node->op->flags & SQA_OP_LEAF) && sqa_is_dense(t) &&
           t->offset == 0 && sqa_numel(t) == sqa_numel(owner) && !t->keep && !owner->keep;
}

static void into_store(struct sqa_graph *g, struct sqa_tensor *grad, struct sqa_entry *e)
{
    if (grad && !can_move(grad))
        grad = sqa_affine(g, 1, grad, 0);
    if (!grad)
        return;
    grad->buffer->kind = SQA_BUFFER_GRADIENT;
    grad->buffer->entry = e;
    sqa_owner(grad)->keep = true;
}

void sqa_backward(struct sqa_graph *g, struct sqa_tensor *loss, struct sqa_store *s)
{
    sqa_fuse(g);
    size_t n = 0;
    for (const struct sqa_entry *e = s->first; e; e = e->next)
        n += e->kind == SQA_PARAMETER;
    struct sqa_tensor **wrt = sqa_alloc_array(n, sizeof *wrt), **grad = sqa_alloc_array(n, sizeof *grad);
    if (!wrt || !grad) {
        sqa_graph_fail(g, SQA_NOMEM, "gradients: no memory; free some memory and run again");
        goto out;
    }
    size_t i = 0;
    for (struct sqa_entry *e = s->first; e; e = e->next) {
        if (e->kind != SQA_PARAMETER)
            continue;
        for (struct sqa_node *node = g->first; node && !wrt[i]; node = node->next)
            if (node->op->flags & SQA_OP_LEAF && node->out[0]->buffer->entry == e)
                wrt[i] = node->out[0];
        i++;
    }
    sqa_gradients(g, loss, wrt, n, grad);
    const enum sqa_pass pass = g->pass;
    g->pass = SQA_PASS_BACKWARD;
    i = 0;
    for (struct sqa_entry *e = s->first; e && g->status == SQA_OK; e = e->next) {
        if (e->kind != SQA_PARAMETER)
            continue;
        if (!grad[i]) /* the loss does not depend on it */
            grad[i] = sqa_fill(g, 0, e->rank, e->dim);
        into_store(g, grad[i++], e);
    }
    g->pass = pass;
out:
    sqa_free(wrt);
    sqa_free(grad);
}
