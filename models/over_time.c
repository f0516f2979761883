/* over_time.c - see over_time.h */
#include "models/over_time.h"

#include <math.h>

const struct sqa_param sqa_over_time_params[] = {{"individual", "1: weights of its own for each channel",
                                                  SQA_PARAM_BOOL, "0", 0, 0,
                                                  offsetof(struct sqa_over_time, individual), NULL},
                                                 {.name = NULL}};

struct sqa_tensor *sqa_time_rows(struct sqa_context *c, struct sqa_tensor *x, bool individual)
{
    const int64_t o = c->task->outputs;
    const int order[3] = {individual ? 2 : 0, individual ? 0 : 2, 1};
    if (!sqa_whole_lookback(c))
        return NULL;
    return sqa_dense(c->g, sqa_permute(c->g, sqa_slice(c->g, x, 2, c->task->channels - o, o), order));
}

struct sqa_tensor *sqa_over_time(struct sqa_context *c, struct sqa_tensor *x, bool individual)
{
    const int64_t l = c->max_length, h = c->task->horizon, o = c->task->outputs;
    const double bound = 1 / sqrt((double)l);
    const struct sqa_init init = {.kind = SQA_INIT_UNIFORM, .a = -bound, .b = bound};
    if (individual) {
        struct sqa_tensor *w = sqa_param_tensor(c, "w", SQA_GROUP_REGULAR, init, SQA_DIMS(o, l, h));
        struct sqa_tensor *b = sqa_param_tensor(c, "b", SQA_GROUP_NO_DECAY, init, SQA_DIMS(o, 1, h));
        return sqa_add(c->g, sqa_matmul(c->g, x, w, false, false), b);
    }
    struct sqa_tensor *w = sqa_param_tensor(c, "w", SQA_GROUP_REGULAR, init, SQA_DIMS(l, h));
    struct sqa_tensor *b = sqa_param_tensor(c, "b", SQA_GROUP_NO_DECAY, init, SQA_DIMS(h));
    return sqa_linear(c->g, x, w, b);
}

struct sqa_tensor *sqa_time_columns(struct sqa_context *c, struct sqa_tensor *y, bool individual)
{
    const int back[3] = {individual ? 1 : 0, 2, individual ? 0 : 1};
    return sqa_permute(c->g, y, back);
}
