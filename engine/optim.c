/* optim.c - see optim.h */
#include "engine/optim.h"

#include <math.h>

#include "kernels/kernels.h"

enum { CHUNK = 1 << 15 };

static const struct sqa_kernels *kernels_of(const struct sqa_store *s)
{
    return s->real == SQA_F64 ? &sqa_kernels_f64 : &sqa_kernels_f32;
}

static void *at(const struct sqa_store *s, void *block, int64_t i)
{
    return (unsigned char *)block + (size_t)i * sqa_dtype_size(s->real);
}

static double gradient_norm(const struct sqa_store *s)
{
    double sum = 0;
    for (int64_t i = 0; i < s->parameter_block; i += CHUNK) {
        const int64_t n = s->parameter_block - i < CHUNK ? s->parameter_block - i : CHUNK;
        sum += kernels_of(s)->sum_squares(at(s, s->gradients, i), (size_t)n);
    }
    return sqrt(sum);
}

/* CHUNK numbers of e, or what is left of them, from i on */
static void update(const struct sqa_optim *o, const struct sqa_store *s, const struct sqa_entry *e, int64_t i,
                   const struct sqa_adamw *step)
{
    const size_t n = (size_t)(e->count - i < CHUNK ? e->count - i : CHUNK);
    const struct sqa_kernels *k = kernels_of(s);
    void *w = at(s, e->value, i), *g = at(s, e->gradient, i), *m = at(s, e->m, i), *v = at(s, e->v, i);
    struct sqa_adamw a = *step;
    if (o->kind == SQA_OPTIM_SGD) {
        k->sgd(a.rate, o->momentum, a.decay, a.grad_scale, w, g, m, n);
        return;
    }
    if (o->kind == SQA_OPTIM_ADAM && a.decay > 0) {
        k->axpy(a.decay / a.grad_scale, w, g, n);
        a.decay = 0;
    }
    k->adamw(&a, w, g, m, v, n);
}

double sqa_optim_step(const struct sqa_optim *o, struct sqa_store *s, int64_t t, double factor, double beta1,
                      int threads)
{
    const double norm = gradient_norm(s);
    if (!isfinite(norm))
        return norm;
    const double b1 = beta1 > 0 ? beta1 : o->beta1;
    const struct sqa_adamw base = {
        .beta1 = b1,
        .beta2 = o->beta2,
        .eps = o->eps,
        .correction1 = 1 - pow(b1, (double)t),
        .correction2 = 1 - pow(o->beta2, (double)t),
        .grad_scale = o->clip > 0 && norm > o->clip ? o->clip / norm : 1,
    };
    for (const struct sqa_entry *e = s->first; e; e = e->next) {
        if (e->kind != SQA_PARAMETER)
            continue;
        struct sqa_adamw step = base;
        const double peak =
            e->group == SQA_GROUP_SSM && o->ssm_rate > 0 && o->ssm_rate < o->rate ? o->ssm_rate : o->rate;
        step.rate = peak * factor;
        step.decay = e->group == SQA_GROUP_REGULAR || o->decay_all ? o->decay : 0;
        const int64_t chunks = (e->count + CHUNK - 1) / CHUNK;
        if (threads > 1 && chunks > 1) {
#pragma omp parallel for schedule(static) num_threads(threads)
            for (int64_t c = 0; c < chunks; c++)
                update(o, s, e, c * CHUNK, &step);
        } else { /* OpenMP would allocate a team of one */
            for (int64_t c = 0; c < chunks; c++)
                update(o, s, e, c * CHUNK, &step);
        }
        if (e->project)
            e->project(e->value, s->real, e->count);
    }
    return norm;
}

double sqa_optim_flops(const struct sqa_optim *o, const struct sqa_store *s)
{
    const double each = (o->kind == SQA_OPTIM_SGD ? 4 : 16) + (o->clip > 0 ? 2 : 0);
    return each * (double)s->parameter_count;
}

static double warm(const struct sqa_schedule *c, double s)
{
    return c->warmup > 0 && s < (double)c->warmup ? s / (double)c->warmup : 1;
}

/* How far s is from the end of the warm-up to the end of the run, 0 to 1. */
static double progress(const struct sqa_schedule *c, double s)
{
    const double span = (double)(c->total - c->warmup), past = s - (double)c->warmup;
    return past <= 0 ? 0 : span <= 0 || past >= span ? 1 : past / span;
}

double sqa_schedule_factor(const struct sqa_schedule *c, int64_t step)
{
    const double s = (double)(c->from_zero ? step - 1 : step);
    switch (c->kind) {
    case SQA_SCHEDULE_CONSTANT:
        return warm(c, s);
    case SQA_SCHEDULE_COSINE:
        return warm(c, s) * 0.5 * (1 + cos(3.141592653589793 * progress(c, s)));
    case SQA_SCHEDULE_LINEAR:
        return warm(c, s) * (1 - progress(c, s));
    case SQA_SCHEDULE_STEP: {
        const int64_t epoch = c->steps_per_epoch > 0 ? (step - 1) / c->steps_per_epoch : 0;
        const int64_t past = epoch > c->hold ? epoch - c->hold : 0;
        return warm(c, s) * pow(c->decay, (double)(past / (c->every > 0 ? c->every : 1)));
    }
    case SQA_SCHEDULE_LRA: {
        const double w = c->warmup > 0 ? (double)c->warmup : 1;
        return fmin(1, s / w) / sqrt(fmax(s, w));
    }
    case SQA_SCHEDULE_LRA_COSINE: {
        const double cycle = (double)(c->cycle > 0 ? c->cycle : c->total > 0 ? c->total : 1);
        const double past = fmax(0, s - (double)c->warmup) / cycle;
        return warm(c, s) * 0.5 * (1 + cos(3.141592653589793 * (past - floor(past))));
    }
    case SQA_SCHEDULE_INVERSE_SQRT: {
        const double w = c->warmup > 0 ? (double)c->warmup : 1;
        return s < w ? s / w : sqrt(w / s);
    }
    case SQA_SCHEDULE_ONE_CYCLE: {
        const double low = 1.0 / 25, end = 1.0 / 250000, up = warm(c, s);
        return s < (double)c->warmup ? low + (1 - low) * up : 1 + (end - 1) * progress(c, s);
    }
    }
    return 1;
}

double sqa_schedule_beta1(const struct sqa_schedule *c, int64_t step)
{
    if (c->kind != SQA_SCHEDULE_ONE_CYCLE || !c->cycle_momentum)
        return 0;
    const double s = (double)(c->from_zero ? step - 1 : step);
    return s < (double)c->warmup ? 0.95 - 0.10 * warm(c, s) : 0.85 + 0.10 * progress(c, s);
}
