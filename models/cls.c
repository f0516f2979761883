/*
 * cls.c - a learned vector in front of the sequence, whose output is read
 *
 * Computes  front: x' = (v, x_0, x_1, ...), before positions are added; pool: y = x'_0 after the last block
 * Shapes    front: x (B, L, D) -> (B, L + 1, D), v (D) begins as zero; pool: x (B, L + 1, D) -> (B, D)
 * Cost      none but copies; every block works on one position more
 * Source    Devlin et al. 2018, arXiv:1810.04805, section 3; zero at the start and counted among the positions as in
 *           google-research/long-range-arena: lra_benchmarks/models/transformer/transformer.py
 * Departs   it is valid, unless padding stands anywhere (form=lra of images): then where the first token is, as there
 */
#include "models/model.h"

static enum sqa_status check(const void *self, const struct sqa_frame *frame, const struct sqa_signature *task,
                             struct sqa_err *err)
{
    (void)self;
    (void)task;
    if (!frame->causal)
        return SQA_OK;
    return sqa_fail(
        err, SQA_UNSUPPORTED,
        "cls: its vector stands first, where causal=1 sees no other position; use +pool=last or +pool=mean");
}

static struct sqa_tensor *front(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    (void)self;
    const int64_t D = c->frame.dim;
    const struct sqa_init zero = {.kind = SQA_INIT_ZERO};
    struct sqa_tensor *v = sqa_param_tensor(c, "vector", SQA_GROUP_REGULAR, zero, SQA_DIMS(D));
    struct sqa_tensor *const both[2] = {sqa_broadcast(c->g, v, SQA_DIMS(c->batch, 1, D)), x};
    return sqa_concat(c->g, 1, 2, both);
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    (void)self;
    return sqa_reshape(c->g, sqa_slice(c->g, x, 1, 0, 1), SQA_DIMS(c->batch, c->frame.dim));
}

static double flops(const void *self, const struct sqa_context *c)
{
    (void)self;
    (void)c;
    return 0;
}

const struct sqa_variant sqa_variant_cls = {
    .id = "cls",
    .slot = SQA_SLOT_POOL,
    .title = "A learned vector in front",
    .source = "Devlin et al. 2018, arXiv:1810.04805; google-research/long-range-arena",
    .complexity = "one position more",
    .help = "Mixers see a sequence that is one position longer; its length in tables stays the task's.",
    .check = check,
    .front = front,
    .build = build,
    .flops = flops,
};
