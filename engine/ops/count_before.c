/* count_before.c - how many of a periodic set of positions lie before each length; lengths of a gathered part */
#include "engine/ops/support.h"

struct attr {
    struct sqa_periodic set;
    int64_t batch, full;
};

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct attr *a = n->attr;
    const int64_t dim[] = {a->batch, a->set.columns * a->set.repeat};

    sqa_set_output(n, 0, SQA_I32, a->set.columns > 0 ? 2 : 1, dim);
    return n->in[0] != NULL ? sqa_check_lengths(n, 0, a->batch, err) : SQA_OK;
}

static int64_t before(const struct sqa_periodic *s, int64_t start, int64_t length)
{
    const int64_t n = sqa_max64(0, length - start);

    return s->period > 0 ? n / s->period * s->width + sqa_min64(n % s->period, s->width) : n;
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct attr *a = n->attr;
    const int64_t columns = sqa_max64(1, a->set.columns), repeat = a->set.columns > 0 ? a->set.repeat : 1;
    int32_t *y = sqa_data(n->out[0]);

    (void)r;
    for (int64_t b = 0; b < a->batch; b++) {
        const int64_t length = sqa_length_at(n->in[0], b, a->full);

        for (int64_t c = 0; c < columns; c++)
            for (int64_t k = 0; k < repeat; k++)
                *y++ = (int32_t)before(&a->set, a->set.start + c, length);
    }
}

const struct sqa_op sqa_op_count_before = {
    .name = "count_before",
    .help = "positions of a periodic set before each length",
    .shape = shape,
    .run = run,
};

struct sqa_tensor *sqa_count_before(struct sqa_graph *g, struct sqa_tensor *lengths, int64_t batch, int64_t full,
                                    struct sqa_periodic set)
{
    const struct attr a = {set, batch, full};

    if (g->status != SQA_OK)
        return NULL;
    if (set.columns > 0 && set.repeat <= 0)
        return sqa_graph_fail(g, SQA_SHAPE, "count_before: %lld columns %lld times; give 1 or more",
                              (long long)set.columns, (long long)set.repeat);
    return sqa_apply(g, &sqa_op_count_before, &a, sizeof a, 1, &lengths);
}
