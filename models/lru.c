/*
 * lru.c - linear recurrent unit
 *
 * Computes  s_t = a s_(t-1) + exp(gamma) (B u_t), y_t = Re(C s_t) + D u_t with P complex states, a = exp(-exp(nu) + i
 *           exp(theta)); then GLU(Wout gelu(y) + b). Not causal: a second scan from the end with a second C
 * Shapes    x (B, L, D) -> (B, L, D); ring (3, P): nu, theta, gamma; b (D, 2, P), c (1 or 2, 2, P, D), d (D)
 * Cost      a position: 4 P D + 8 P + 4 P D for the states (twice the last two when not causal), 4 D^2 for Wout
 * Step      P complex numbers a sequence
 * Source    Orvieto et al. 2023, arXiv:2303.06349; parameters, initial values, groups and the layer as in
 *           NicolasZucchet/minimal-LRU: lru/model.py and train_helpers.py; the two directions as in lindermanlab/S5
 * Departs   c holds -Im C; D does not decay; Wout begins Xavier-uniform
 */
#include <math.h>
#include <string.h>

#include "base/random.h"
#include "models/diagonal_ssm.h"
#include "models/probe_known.h"

#define TWO_PI "6.283185307179586"

struct self {
    int64_t state;
    double r_min, r_max, max_phase;
    const char *out;
};

static const struct sqa_param params[] = {
    {"state", "complex states, shared by the channels", SQA_PARAM_INT, "128", 1, 65536,
     .offset = offsetof(struct self, state)},
    {"r_min", "smallest initial |a|", SQA_PARAM_REAL, "0", 0, 1, .offset = offsetof(struct self, r_min)},
    {"r_max", "largest initial |a|", SQA_PARAM_REAL, "1", 1e-6, 1, .offset = offsetof(struct self, r_max)},
    {"max_phase", "largest initial phase of a", SQA_PARAM_REAL, TWO_PI, 1e-6, 7,
     .offset = offsetof(struct self, max_phase)},
    {"out", "glu: gelu, Wout and GLU after the states; none: the states' output itself", SQA_PARAM_CHOICE, "glu",
     .offset = offsetof(struct self, out), .choices = "glu|none"},
    {.name = NULL},
};

static enum sqa_status check(const void *self, const struct sqa_frame *frame, const struct sqa_signature *task,
                             struct sqa_err *err)
{
    const struct self *s = self;

    (void)frame, (void)task;
    if (s->r_min >= s->r_max)
        return sqa_fail(err, SQA_USAGE, "lru: r_min=%g is not below r_max=%g; exchange them", s->r_min, s->r_max);
    return SQA_OK;
}

/* The mixer */

enum { NU, THETA, GAMMA, RING };

/* |a|^2 uniform on r_min^2 .. r_max^2, phases uniform below max_phase, exp(gamma) = sqrt(1 - |a|^2) */
static void fill_ring(double *values, int rank, const int64_t *dim, uint64_t key, const void *arg)
{
    const struct self *s = arg;
    const int64_t P = dim[1];

    (void)rank;
    for (int64_t i = 0; i < P; i++) {
        const double u = fmax(sqa_random_uniform(key, (uint64_t)i), 1e-9);
        const double phase = fmax(sqa_random_uniform(key, (uint64_t)(P + i)), 1e-9);
        const double square = u * (s->r_max * s->r_max - s->r_min * s->r_min) + s->r_min * s->r_min;

        values[NU * P + i] = log(-0.5 * log(square));
        values[THETA * P + i] = log(s->max_phase * phase);
        values[GAMMA * P + i] = 0.5 * log1p(-square);
    }
}

static struct sqa_tensor *row(struct sqa_graph *g, struct sqa_tensor *ring, int64_t i)
{
    return ring == NULL ? NULL : sqa_reshape(g, sqa_slice(g, ring, 0, i, 1), SQA_DIMS(ring->dim[1]));
}

static struct sqa_tensor *states(const struct self *s, struct sqa_context *c, struct sqa_tensor *x)
{
    struct sqa_graph *g = c->g;
    const int64_t D = c->frame.dim, P = s->state;
    const struct sqa_init fill = {.kind = SQA_INIT_CUSTOM, .fill = fill_ring, .arg = s};
    const struct sqa_init in = {.kind = SQA_INIT_NORMAL, .a = 0, .b = 1 / sqrt(2 * (double)D)};
    struct sqa_tensor *ring = sqa_param_tensor(c, "ring", SQA_GROUP_SSM, fill, SQA_DIMS(RING, P));
    struct sqa_tensor *b = sqa_param_tensor(c, "b", SQA_GROUP_SSM, in, SQA_DIMS(D, 2, P));
    struct sqa_tensor *radius =
        sqa_unary(g, SQA_UNARY_EXP, sqa_unary(g, SQA_UNARY_NEG, sqa_unary(g, SQA_UNARY_EXP, row(g, ring, NU))));
    struct sqa_tensor *phase = sqa_unary(g, SQA_UNARY_EXP, row(g, ring, THETA));
    struct sqa_tensor *const a[] = {sqa_mul(g, radius, sqa_unary(g, SQA_UNARY_COS, phase)),
                                    sqa_mul(g, radius, sqa_unary(g, SQA_UNARY_SIN, phase))};

    b = sqa_mul(g, b, sqa_unary(g, SQA_UNARY_EXP, row(g, ring, GAMMA)));
    return sqa_diagonal_ssm(c, x,
                            (struct sqa_diagonal_ssm){.a = sqa_concat(g, 0, 2, a),
                                                      .w = sqa_reshape(g, b, SQA_DIMS(D, 2 * P)),
                                                      .init = {.kind = SQA_INIT_NORMAL, .b = 1 / sqrt((double)P)},
                                                      .group = SQA_GROUP_REGULAR,
                                                      .skip = SQA_GROUP_NO_DECAY});
}

static bool has_out(const struct self *s)
{
    return strcmp(s->out, "glu") == 0;
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    struct sqa_tensor *y = states(self, c, x);

    if (!has_out(self))
        return y;
    y = sqa_dropout(c->g, sqa_unary(c->g, SQA_UNARY_GELU, y), c->frame.dropout);
    return sqa_glu(c->g, sqa_dense_layer(c, "out", y, 2 * c->frame.dim, true));
}

static double flops(const void *self, const struct sqa_context *c)
{
    const struct self *s = self;
    const double rows = (double)c->batch * (double)c->length, D = (double)c->frame.dim, P = (double)s->state;

    /* a 8, exp(gamma) 1, times B 2 D; gelu 1, bias 2, GLU 2 */
    return P * (9 + 2 * D) + sqa_diagonal_ssm_flops(c, s->state) + (has_out(s) ? rows * D * (4 * D + 5) : 0);
}

/* Identities */

enum { LENGTH = 37, WIDTH = 3, MODES = 5 };

/* What a probe's store holds. */
struct held {
    double ring[RING * MODES], b[WIDTH * 2 * MODES], c[2 * 2 * MODES * WIDTH], d[WIDTH];
};

static void hold(struct sqa_store *s, void *user)
{
    struct held *h = user;

    sqa_probe_get(
        s, "mixer",
        (const struct sqa_probe_entry[]){{"ring", h->ring}, {"b", h->b}, {"c", h->c}, {"d", h->d}, {NULL, NULL}});
}

static enum sqa_status equals_loop(struct sqa_err *err)
{
    double x[LENGTH * WIDTH], y[LENGTH * WIDTH], expect[LENGTH * WIDTH], a[2 * MODES];
    struct held h;
    enum sqa_status status = SQA_OK;

    sqa_probe_normal(1, x, LENGTH * WIDTH);
    for (int causal = 0; causal < 2 && status == SQA_OK; causal++) {
        const struct sqa_probe p = {.item = "lru:state=5,out=none",
                                    .batch = 1,
                                    .length = LENGTH,
                                    .dim = WIDTH,
                                    .heads = 1,
                                    .causal = causal,
                                    .real = SQA_F64,
                                    .edit = hold,
                                    .user = &h};
        const struct sqa_diagonal_loop loop = {LENGTH, WIDTH, MODES, causal ? 1 : 2, a, h.b, h.c, h.d};

        status = sqa_probe_run(&p, x, y, err);
        for (int i = 0; i < MODES; i++) {
            a[i] = exp(-exp(h.ring[i])) * cos(exp(h.ring[THETA * MODES + i]));
            a[MODES + i] = exp(-exp(h.ring[i])) * sin(exp(h.ring[THETA * MODES + i]));
        }
        for (int i = 0; i < WIDTH * 2 * MODES; i++)
            h.b[i] *= exp(h.ring[GAMMA * MODES + i % MODES]);
        sqa_diagonal_loop(&loop, x, expect);
        if (status == SQA_OK)
            status = sqa_probe_expect("scan against the loop", sqa_probe_difference(y, expect, LENGTH * WIDTH), 1e-12,
                                      err);
    }
    return status;
}

enum { MANY = 4000 };

static void hold_ring(struct sqa_store *s, void *user)
{
    sqa_entry_get(s, sqa_store_find(s, "mixer.ring"), user);
}

/* r = 0.5 .. 0.9: |a|^2 of mean 0.53, inside the ring; phases of mean pi / 20; exp(gamma)^2 + |a|^2 = 1 */
static enum sqa_status initial_ring(struct sqa_err *err)
{
    static double ring[RING * MANY];
    double x = 1, y, square = 0, phase = 0, gamma = 0, outside = 0;
    const struct sqa_probe p = {.item = "lru:state=4000,r_min=0.5,r_max=0.9,max_phase=0.3141592653589793",
                                .batch = 1,
                                .length = 1,
                                .dim = 1,
                                .heads = 1,
                                .real = SQA_F64,
                                .edit = hold_ring,
                                .user = ring};
    enum sqa_status status = sqa_probe_run(&p, &x, &y, err);

    for (int i = 0; i < MANY; i++) {
        const double r = exp(-exp(ring[i])), angle = exp(ring[THETA * MANY + i]);

        square += r * r / MANY;
        phase += angle / MANY;
        gamma = fmax(gamma, fabs(exp(2 * ring[GAMMA * MANY + i]) + r * r - 1));
        outside += r < 0.5 - 1e-12 || r > 0.9 + 1e-12 || angle > 0.3141592653589794;
    }
    if (status == SQA_OK)
        status = sqa_probe_expect("states outside the ring", outside, 0, err);
    if (status == SQA_OK)
        status = sqa_probe_expect("exp(2 gamma) against 1 - |a|^2", gamma, 1e-12, err);
    if (status == SQA_OK)
        status = sqa_probe_expect("mean |a|^2 against 0.53", fabs(square - 0.53), 0.01, err);
    return status == SQA_OK ? sqa_probe_expect("mean phase against pi / 20", fabs(phase - 0.15708), 0.01, err)
                            : status;
}

/* One state, b = 1; c reads its real or its imaginary part. */
static void one_state(struct sqa_store *s, void *user)
{
    const bool *imaginary = user;

    sqa_probe_set(s, "mixer.ring", (double[]){log(-log(0.9)), log(1), 0.5 * log(1 - 0.81)});
    sqa_probe_set(s, "mixer.b", (double[]){1, 0});
    sqa_probe_set(s, "mixer.c", (double[]){!*imaginary, *imaginary});
    sqa_probe_set_constant(s, "mixer.d", 0);
}

static enum sqa_status keeps_variance(struct sqa_err *err)
{
    enum { N = 40000 };
    double *x = sqa_alloc_array(2 * N, sizeof *x), *y, mean = 0;
    bool imaginary = false;
    const struct sqa_probe p = {.item = "lru:state=1,out=none",
                                .batch = 1,
                                .length = N,
                                .dim = 1,
                                .heads = 1,
                                .causal = true,
                                .real = SQA_F64,
                                .edit = one_state,
                                .user = &imaginary};
    enum sqa_status status = SQA_OK;

    if (x == NULL)
        return sqa_fail(err, SQA_NOMEM, "lru: no memory for a check; free some memory and run again");
    y = x + N;
    sqa_probe_normal(4, x, N);
    for (int part = 0; part < 2 && status == SQA_OK; part++) {
        imaginary = part != 0;
        status = sqa_probe_run(&p, x, y, err);
        for (int i = 0; status == SQA_OK && i < N; i++)
            mean += y[i] * y[i] / N;
    }
    sqa_free(x);
    return status == SQA_OK ? sqa_probe_expect("mean |s|^2 of white noise against 1", fabs(mean - 1), 0.05, err)
                            : status;
}

static const struct sqa_identity identities[] = {
    {"the scan equals the loop, both directions", equals_loop},
    {"initial states fill the ring, gamma normalises", initial_ring},
    {"gamma keeps the variance of white noise", keeps_variance},
    {.name = NULL},
};

const struct sqa_variant sqa_variant_lru = {
    .id = "lru",
    .slot = SQA_SLOT_MIXER,
    .title = "LRU",
    .source = "Orvieto et al. 2023, arXiv:2303.06349",
    .complexity = "O(L P D) time, O(L (P + D)) memory",
    .help =
        "A linear recurrence of `state` complex numbers with a diagonal matrix inside the unit circle, dense input "
        "and output matrices; from both ends unless causal.",
    .traits = SQA_TRAIT_CAUSAL | SQA_TRAIT_PADDING | SQA_TRAIT_LINEAR_MEMORY | SQA_TRAIT_QKV,
    .params = params,
    .self_size = sizeof(struct self),
    .check = check,
    .build = build,
    .step = build,
    .flops = flops,
    .identities = identities,
};
