/*
 * no_channel.c - blocks of a norm and a mixer alone
 *
 * Computes  nothing: residual variants leave the channel part out, with its norm and its sum
 * Shapes    none
 * Cost      nothing
 * Source    Gu et al. 2021, arXiv:2111.00396 (state-spaces/s4): a layer there has its own output projection, no MLP
 * Departs   nothing
 */
#include "models/model.h"

const struct sqa_variant sqa_variant_no_channel = {
    .id = "no_channel",
    .slot = SQA_SLOT_CHANNEL,
    .title = "No channel part",
    .source = "Gu et al. 2021, arXiv:2111.00396; state-spaces/s4",
    .complexity = "nothing",
    .help = "A block is residual, norm and mixer, as in S4.",
};
