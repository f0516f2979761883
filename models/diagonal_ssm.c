/* diagonal_ssm.c - see diagonal_ssm.h */
#include "models/diagonal_ssm.h"

#include "models/step.h"

struct sqa_tensor *sqa_diagonal_ssm(struct sqa_context *c, struct sqa_tensor *u, struct sqa_diagonal_ssm s)
{
    const bool causal = c->frame.causal != 0;
    const int64_t D = c->frame.dim, P = s.a != NULL ? s.a->dim[0] / 2 : 1, R = causal ? 1 : 2;
    const struct sqa_init normal = {.kind = SQA_INIT_NORMAL, .a = 0, .b = 1};
    struct sqa_tensor *out = sqa_param_tensor(c, "c", s.group, s.init, SQA_DIMS(R, 2, P, D));
    struct sqa_tensor *d = sqa_param_tensor(c, "d", s.skip, normal, SQA_DIMS(D)), *states;

    if (!causal)
        u = sqa_mask_rows(c->g, u, c->lengths);
    states = sqa_linear(c->g, u, s.w, NULL);
    if (c->position != NULL)
        states = sqa_diagonal_step(c, "s", sqa_reshape(c->g, s.a, SQA_DIMS(1, 1, 2 * P)), states, true);
    else
        states = sqa_scan_directed(c->g, s.a, states, true, causal ? SQA_SCAN_FORWARD : SQA_SCAN_BOTH);
    out = sqa_linear(c->g, states, sqa_reshape(c->g, out, SQA_DIMS(R * 2 * P, D)), NULL);
    return sqa_add(c->g, out, sqa_mul(c->g, u, d));
}

double sqa_diagonal_ssm_flops(const struct sqa_context *c, int64_t modes)
{
    const double rows = (double)c->batch * (double)c->length, D = (double)c->frame.dim, P = (double)modes;
    const double R = c->frame.causal ? 1 : 2;

    return rows * (4 * P * D + 8 * R * P + 4 * R * P * D + 2 * D);
}

enum { MOST = 64 };

void sqa_diagonal_loop(const struct sqa_diagonal_loop *s, const double *u, double *y)
{
    const int64_t P = s->modes, D = s->width;

    for (int64_t i = 0; i < s->length * D; i++)
        y[i] = s->d[i % D] * u[i];
    for (int r = 0; r < s->directions; r++) {
        const double *c = s->c + r * 2 * P * D;
        double re[MOST] = {0}, im[MOST] = {0};

        for (int64_t step = 0; step < s->length; step++) {
            const int64_t t = r == 0 ? step : s->length - 1 - step;

            for (int64_t p = 0; p < P; p++) {
                const double before = re[p];

                re[p] = s->a[p] * re[p] - s->a[P + p] * im[p];
                im[p] = s->a[p] * im[p] + s->a[P + p] * before;
                for (int64_t e = 0; e < D; e++) {
                    re[p] += s->w[e * 2 * P + p] * u[t * D + e];
                    im[p] += s->w[e * 2 * P + P + p] * u[t * D + e];
                }
                for (int64_t e = 0; e < D; e++)
                    y[t * D + e] += c[p * D + e] * re[p] + c[(P + p) * D + e] * im[p];
            }
        }
    }
}
