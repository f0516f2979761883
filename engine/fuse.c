/* fuse.c - see fuse.h */
#include "engine/fuse.h"

#include <string.h>

#include "engine/ops/support.h"

extern const struct sqa_op sqa_op_add, sqa_op_layernorm, sqa_op_add_layernorm;

/* `second` reads output 0 of `first` as its input `input`. The fused node has the inputs of first, then the others of
 * second; the outputs of second, then that of first; and the attributes of second. */
struct pattern {
    const struct sqa_op *first, *second;
    int input;
    const struct sqa_op *fused;
    bool (*fits)(const struct sqa_node *first, const struct sqa_node *second); /* beyond what `fusible` asks */
};

/* No broadcast: the rows of both summands lie as those of the sum do. */
static bool same_rows(const struct sqa_node *first, const struct sqa_node *second)
{
    (void)second;
    return sqa_same_shape(first->in[0], first->in[1]);
}

static const struct pattern patterns[] = {
    {&sqa_op_add, &sqa_op_layernorm, 0, &sqa_op_add_layernorm, same_rows},
};

static bool reads(const struct sqa_node *n, const struct sqa_node *maker)
{
    for (int i = 0; i < n->nin; i++)
        if (n->in[i] != NULL && n->in[i]->node == maker)
            return true;
    return false;
}

/* The fused op runs in the place of second: nobody between may read what first makes. */
static bool fusible(const struct pattern *p, const struct sqa_node *first, const struct sqa_node *second)
{
    if (first->op != p->first || second->op != p->second || first->pass != second->pass || first->nout != 1 ||
        second->nout >= SQA_MAX_OUTPUTS || first->nin + second->nin - 1 > SQA_MAX_INPUTS)
        return false;
    for (int i = 0; i < first->nin; i++)
        if (first->in[i] != NULL && !(p->fused->strided >> i & 1) && !sqa_is_dense(first->in[i]))
            return false;
    for (const struct sqa_node *n = first->next; n != second; n = n->next)
        if (reads(n, first))
            return false;
    return p->fits == NULL || p->fits(first, second);
}

static void rewrite(const struct pattern *p, struct sqa_node *first, struct sqa_node *second)
{
    struct sqa_tensor *in[SQA_MAX_INPUTS] = {NULL}, *made = first->out[0];
    int n = first->nin;

    memcpy(in, first->in, (size_t)n * sizeof *in);
    for (int i = 0; i < second->nin; i++)
        if (i != p->input)
            in[n++] = second->in[i];
    memcpy(second->in, in, sizeof in);
    second->nin = n;
    second->op = p->fused;
    first->out[0] = second->out[second->nout];
    second->out[second->nout] = made;
    made->node = second;
    made->output = second->nout++;
    first->nin = first->nout = 0;
}

void sqa_fuse(struct sqa_graph *g)
{
    for (struct sqa_node *second = g->first; second != NULL; second = second->next)
        for (size_t k = 0; k < sizeof patterns / sizeof *patterns; k++) {
            const struct pattern *p = &patterns[k];
            struct sqa_tensor *t = p->input < second->nin ? second->in[p->input] : NULL;

            if (t == NULL || !fusible(p, t->node, second))
                continue;
            rewrite(p, t->node, second);
            break;
        }
}
