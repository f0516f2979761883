/* overhead.c - see overhead.h */
#include "harness/overhead.h"

#include <math.h>

#include "engine/ops.h"
#include "engine/plan.h"
#include "harness/measure/measure.h"

enum { CHAIN = 64, CALLS = 10000, SAMPLES = 20 };

static enum sqa_status empty_shape(struct sqa_node *n, struct sqa_err *err)
{
    (void)err;
    sqa_set_output(n, 0, n->in[0]->dtype, n->in[0]->rank, n->in[0]->dim);
    return SQA_OK;
}

static void empty_run(const struct sqa_node *n, const struct sqa_run *r)
{
    (void)n, (void)r;
}

static const struct sqa_op op_empty = {
    .name = "empty",
    .help = "nothing: what a call costs",
    .shape = empty_shape,
    .run = empty_run,
};

/* A step of `ops` empty ops, one behind the other. */
static enum sqa_status measure(int ops, double *ns, struct sqa_err *err)
{
    struct sqa_graph g;
    struct sqa_memory memory = {0};
    struct sqa_plan *plan = NULL;
    sqa_graph_init(&g, SQA_F32, false);
    struct sqa_tensor *x = sqa_input(&g, "x", SQA_F32, SQA_DIMS(16));
    for (int i = 0; i < ops; i++)
        x = sqa_apply(&g, &op_empty, NULL, 0, 1, &x);
    if (x)
        sqa_output(&g, x, "y");
    enum sqa_status status = sqa_plan_make(&g, &memory, 1, &plan, err);
    const double clock = sqa_clock_cost_ns();
    *ns = (double)INFINITY;
    for (int i = 0; i < SAMPLES && status == SQA_OK; i++) {
        const int64_t start = sqa_clock_wall();
        for (int k = 0; k < CALLS && status == SQA_OK; k++)
            status = sqa_plan_run(plan, 1, 1, NULL, NULL, err);
        *ns = fmin(*ns, ((double)(sqa_clock_wall() - start) - clock) / CALLS);
    }
    if (plan)
        sqa_plan_free(plan);
    sqa_memory_clear(&memory);
    return status;
}

enum sqa_status sqa_overhead_measure(struct sqa_overhead *o, struct sqa_err *err)
{
    double chain = 0;
    enum sqa_status status = measure(1, &o->call_ns, err);
    if (status == SQA_OK)
        status = measure(1 + CHAIN, &chain, err);
    o->op_ns = (chain - o->call_ns) / CHAIN;
    return status;
}
