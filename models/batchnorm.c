/*
 * batchnorm.c - batch normalisation of each channel
 *
 * Computes  y = (x - m) / sqrt(v + eps) * gain + bias. Training: m and v are mean and population variance of a
 * channel over all valid positions of all rows of the batch; then running <- (1 - momentum) running + momentum
 *           statistic, of v the unbiased one. Else m and v are the running ones
 * Shapes    x (B, L, D) -> y (B, L, D); gain, bias (D); running mean 0 and variance 1 (D) are state
 * Cost      outside training 3 B L D + 4 D flops
 * Source    Ioffe and Szegedy 2015, arXiv:1502.03167, algorithms 1 and 2; momentum and eps of PyTorch's BatchNorm1d,
 *           which S4 and Mega use over (B, L)
 * Departs   padding is left out of the statistics (there it counts). In micro-batches statistics are those of a
 *           micro-batch, and the running ones see the last one of a step
 */
#include "models/model.h"

struct self {
    double momentum, eps;
};

static const struct sqa_param params[] = {
    {"momentum", "share of a new batch in the running statistics", SQA_PARAM_REAL, "0.1", 0, 1,
     offsetof(struct self, momentum), NULL},
    {"eps", "added to the variance", SQA_PARAM_REAL, "1e-5", 0, 1, offsetof(struct self, eps), NULL},
    {.name = NULL}};

enum { ROWS = 3 }; /* the mask of axes 0 and 1 */

/* Number of valid positions, (1, 1, 1). */
static struct sqa_tensor *positions(struct sqa_context *c)
{
    if (!c->lengths)
        return sqa_fill(c->g, (double)(c->batch * c->length), SQA_DIMS(1, 1, 1));
    struct sqa_tensor *ones = sqa_fill(c->g, 1, SQA_DIMS(c->batch, c->length, 1));
    return sqa_sum(c->g, sqa_mask_rows(c->g, ones, c->lengths), ROWS, true);
}

/* running <- (1 - momentum) running + momentum now */
static void follow(const struct self *s, struct sqa_context *c, struct sqa_entry *running, struct sqa_tensor *now)
{
    if (!running || !now)
        return;
    struct sqa_tensor *old = sqa_affine(c->g, 1 - s->momentum, sqa_value(c->g, running), 0);
    now = sqa_affine(c->g, s->momentum, sqa_reshape(c->g, now, SQA_DIMS(c->frame.dim)), 0);
    sqa_assign(c->g, running, sqa_add(c->g, old, now));
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    const struct self *s = self;
    const int64_t D = c->frame.dim;
    const struct sqa_init one = {.kind = SQA_INIT_CONSTANT, .a = 1}, zero = {.kind = SQA_INIT_ZERO};
    struct sqa_tensor *gain = sqa_param_tensor(c, "gain", SQA_GROUP_NO_DECAY, one, SQA_DIMS(D));
    struct sqa_tensor *bias = sqa_param_tensor(c, "bias", SQA_GROUP_NO_DECAY, zero, SQA_DIMS(D));
    struct sqa_entry *mean = sqa_state_entry(c, "mean", zero, SQA_DIMS(D));
    struct sqa_entry *variance = sqa_state_entry(c, "variance", one, SQA_DIMS(D));
    struct sqa_tensor *m, *v, *centred;
    if (!mean || !variance)
        return NULL;
    if (c->g->training) {
        struct sqa_tensor *n = positions(c);
        m = sqa_div(c->g, sqa_sum(c->g, sqa_mask_rows(c->g, x, c->lengths), ROWS, true), n);
        centred = sqa_sub(c->g, x, m);
        struct sqa_tensor *valid = sqa_mask_rows(c->g, centred, c->lengths);
        struct sqa_tensor *squares = sqa_sum(c->g, sqa_square(c->g, valid), ROWS, true);
        v = sqa_div(c->g, squares, n);
        follow(s, c, mean, m);
        /* one position has no unbiased variance: 0 */
        follow(s, c, variance, sqa_div(c->g, squares, sqa_affine(c->g, 1, n, 1e-6 - 1)));
    } else {
        m = sqa_value(c->g, mean);
        v = sqa_value(c->g, variance);
        centred = sqa_sub(c->g, x, m);
    }
    struct sqa_tensor *scale = sqa_mul(c->g, sqa_unary(c->g, SQA_UNARY_RSQRT, sqa_affine(c->g, 1, v, s->eps)), gain);
    return sqa_add(c->g, sqa_mul(c->g, centred, scale), bias);
}

static double flops(const void *self, const struct sqa_context *c)
{
    (void)self;
    const double D = (double)c->frame.dim;
    return 3 * (double)c->batch * (double)c->length * D + 4 * D;
}

const struct sqa_variant sqa_variant_batchnorm = {
    .id = "batchnorm",
    .slot = SQA_SLOT_NORM,
    .title = "BatchNorm",
    .source = "Ioffe and Szegedy 2015, arXiv:1502.03167",
    .complexity = "O(L D) time",
    .help = "Training rows of a batch see each other through its statistics, and later positions through the same; "
            "running statistics are used in evaluation and inference.",
    .params = params,
    .self_size = sizeof(struct self),
    .build = build,
    .flops = flops,
};
