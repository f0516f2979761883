/*
 * fnet.c - the real part of a Fourier transform over positions and channels
 *
 * Computes  y = Re(F_L x F_D), F_n[k][j] = exp(-2 pi i k j / n), L the length of the graph; scale=root divides by
 *           sqrt(L D). Rows at padding are 0 before and after
 * Shapes    x (B, L, D) -> (B, L, D); no parameters
 * Cost      over channels a product with D x 2 C, C = D / 2 + 1: 4 B L D C flops; over positions B L C times the
 *           sum over the factors of L of 8.5 (4), 5 (2), 8 f (others), of the last one half; the channels above D / 2
 *           follow by symmetry
 * Source    Lee-Thorp et al. 2021, arXiv:2105.03824, equation (3)
 * Departs   with padding the transform is that of the padded length, as there: answers depend on it
 */
#include <math.h>
#include <string.h>

#include "models/dft.h"
#include "models/probe.h"

struct self {
    const char *scale;
};

static const struct sqa_param params[] = {
    {"scale", "none, or root: divided by the root of length times dim, as blocks with the norm before want it",
     SQA_PARAM_CHOICE, "none", .offset = offsetof(struct self, scale), .choices = "none|root"},
    {.name = NULL},
};

static bool is_scaled(const struct self *s)
{
    return strcmp(s->scale, "root") == 0;
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    struct sqa_tensor *y = sqa_real_dft(c->g, sqa_mask_rows(c->g, x, c->lengths));

    if (is_scaled(self))
        y = sqa_affine(c->g, 1 / sqrt((double)(c->length * c->frame.dim)), y, 0);
    return sqa_mask_rows(c->g, y, c->lengths);
}

static double flops(const void *self, const struct sqa_context *c)
{
    const double numbers = (double)(c->batch * c->length * c->frame.dim);

    return sqa_real_dft_flops(c->batch, c->length, c->frame.dim) + (is_scaled(self) ? numbers : 0);
}

/* Identities */

enum { LONGEST = 40, D = 6 };

static const double circle = 6.28318530717958647692;

/* By the definition: C_L x C_D - S_L x S_D */
static void by_definition(const double *x, int length, int dim, double *y)
{
    for (int k = 0; k < length; k++)
        for (int e = 0; e < dim; e++) {
            double sum = 0;

            for (int t = 0; t < length; t++)
                for (int j = 0; j < dim; j++)
                    sum += x[t * dim + j] *
                           cos(circle * ((double)(k * t % length) / length + (double)(e * j % dim) / dim));
            y[k * dim + e] = sum;
        }
}

/* Lengths of every kind: 1, primes, powers, products; even and odd widths. */
static enum sqa_status equals_definition(struct sqa_err *err)
{
    static const int lengths[] = {1, 2, 7, 12, 16, 36, 37, LONGEST};
    double x[LONGEST * D], y[LONGEST * D], expect[LONGEST * D];
    enum sqa_status status = SQA_OK;

    sqa_probe_normal(1, x, LONGEST * D);
    for (size_t i = 0; i < 2 * sizeof lengths / sizeof lengths[0] && status == SQA_OK; i++) {
        const int length = lengths[i / 2], dim = i % 2 ? D - 1 : D;
        const struct sqa_probe p = {
            .item = "fnet", .batch = 1, .length = length, .dim = dim, .heads = 1, .real = SQA_F64};

        status = sqa_probe_run(&p, x, y, err);
        by_definition(x, length, dim, expect);
        if (status == SQA_OK)
            status = sqa_probe_expect("fnet against its definition",
                                      sqa_probe_difference(y, expect, (size_t)(length * dim)), 1e-13, err);
    }
    return status;
}

/* Twice: L D / 2 (x[l, d] + x[-l, -d]) */
static enum sqa_status twice(struct sqa_err *err)
{
    enum { L = 96 };
    double x[L * D], y[L * D], z[L * D], expect[L * D];
    const struct sqa_probe p = {.item = "fnet", .batch = 1, .length = L, .dim = D, .heads = 1, .real = SQA_F64};
    enum sqa_status status;

    sqa_probe_normal(2, x, L * D);
    for (int t = 0; t < L; t++)
        for (int e = 0; e < D; e++)
            expect[t * D + e] = L * D / 2.0 * (x[t * D + e] + x[(L - t) % L * D + (D - e) % D]);
    status = sqa_probe_run(&p, x, y, err);
    if (status == SQA_OK)
        status = sqa_probe_run(&p, y, z, err);
    return status == SQA_OK ? sqa_probe_expect("fnet of fnet", sqa_probe_difference(z, expect, L * D), 1e-12, err)
                            : status;
}

/* Padding of any content counts as zeros. */
static enum sqa_status padding_is_zero(struct sqa_err *err)
{
    enum { L = 24, VALID = 17 };
    static const int32_t lengths[1] = {VALID};
    double x[L * D], y[L * D], expect[L * D];
    struct sqa_probe p = {.item = "fnet:scale=root", .batch = 1, .length = L, .dim = D, .heads = 1, .real = SQA_F64};
    enum sqa_status status;

    sqa_probe_normal(3, x, L * D);
    p.lengths = lengths;
    status = sqa_probe_run(&p, x, y, err);
    memset(x + VALID * D, 0, (L - VALID) * D * sizeof *x);
    p.lengths = NULL;
    if (status == SQA_OK)
        status = sqa_probe_run(&p, x, expect, err);
    memset(expect + VALID * D, 0, (L - VALID) * D * sizeof *x);
    return status == SQA_OK
               ? sqa_probe_expect("padding against zeros", sqa_probe_difference(y, expect, L * D), 1e-14, err)
               : status;
}

static const struct sqa_identity identities[] = {
    {"equals its definition at lengths of every kind, even and odd widths", equals_definition},
    {"applied twice it gives L D / 2 (x[l, d] + x[-l, -d])", twice},
    {"rows at padding count as zeros and become zeros", padding_is_zero},
    {.name = NULL},
};

const struct sqa_variant sqa_variant_fnet = {
    .id = "fnet",
    .slot = SQA_SLOT_MIXER,
    .title = "FNet",
    .source = "Lee-Thorp et al. 2021, arXiv:2105.03824",
    .complexity = "O(L D (D + sum of the factors of L)) time, O(L D) memory",
    .help =
        "Mixing without parameters: a Fourier transform over channels and positions. Its outputs are as large as "
        "sqrt(L D) inputs, which a norm behind it takes away (+residual=postnorm); scale=root does it elsewhere. A "
        "length with a large prime factor is slow.",
    .traits = SQA_TRAIT_LINEAR_MEMORY | SQA_TRAIT_QKV,
    .params = params,
    .self_size = sizeof(struct self),
    .build = build,
    .flops = flops,
    .identities = identities,
};
