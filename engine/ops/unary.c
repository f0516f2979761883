/*
 * unary.c - y = f(x) for every function of enum sqa_unary, an op each; and their gradient dx = dy f'(x) as one op
 *
 * Where f' is a simple expression of x or y the gradient is built from ordinary ops. The others use unary_grad, whose
 * own derivative needs f'': written with ordinary ops too, so that derivatives of any order exist.
 */
#include "engine/ops/support.h"

struct attr {
    enum sqa_unary f;
};

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    char have[96];

    if (!sqa_is_real(n->in[0]))
        return sqa_shape_fail(n, err, "x is %s %s; give real numbers", sqa_dtype_name(n->in[0]->dtype),
                              sqa_shape_text(n->in[0], have));
    sqa_set_output(n, 0, n->in[0]->dtype, n->in[0]->rank, n->in[0]->dim);
    return SQA_OK;
}

static void piece(const void *ctx, const struct sqa_kernels *k, const void *const *in, unsigned constant, void *out,
                  size_t n)
{
    const struct attr *a = ctx;

    (void)constant;
    k->unary(a->f, in[0], out, n);
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    sqa_map(n, r, 0, piece, n->attr);
}

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dys, struct sqa_tensor **dx)
{
    const struct attr *a = n->attr;
    struct sqa_tensor *x = n->in[0], *y = n->out[0], *dy = dys[0], *t;

    switch (a->f) {
    case SQA_UNARY_NEG:
        dx[0] = sqa_unary(g, SQA_UNARY_NEG, dy);
        return;
    case SQA_UNARY_EXP:
        dx[0] = sqa_mul(g, dy, y);
        return;
    case SQA_UNARY_LOG:
        dx[0] = sqa_div(g, dy, x);
        return;
    case SQA_UNARY_SQRT:
        dx[0] = sqa_affine(g, 0.5, sqa_div(g, dy, y), 0);
        return;
    case SQA_UNARY_RSQRT:
        dx[0] = sqa_affine(g, -0.5, sqa_mul(g, sqa_mul(g, dy, y), sqa_square(g, y)), 0);
        return;
    case SQA_UNARY_SQUARE:
        dx[0] = sqa_affine(g, 2, sqa_mul(g, dy, x), 0);
        return;
    case SQA_UNARY_RECIP:
        dx[0] = sqa_affine(g, -1, sqa_mul(g, dy, sqa_square(g, y)), 0);
        return;
    case SQA_UNARY_TANH:
        dx[0] = sqa_sub(g, dy, sqa_mul(g, dy, sqa_square(g, y)));
        return;
    case SQA_UNARY_SIGMOID:
        t = sqa_mul(g, dy, y);
        dx[0] = sqa_sub(g, t, sqa_mul(g, t, y));
        return;
    case SQA_UNARY_SIN:
        dx[0] = sqa_mul(g, dy, sqa_unary(g, SQA_UNARY_COS, x));
        return;
    case SQA_UNARY_COS:
        dx[0] = sqa_affine(g, -1, sqa_mul(g, dy, sqa_unary(g, SQA_UNARY_SIN, x)), 0);
        return;
    case SQA_UNARY_ABS:
    case SQA_UNARY_RELU:
    case SQA_UNARY_GELU:
    case SQA_UNARY_SILU:
    case SQA_UNARY_SOFTPLUS:
    case SQA_UNARY_ELU1:
    case SQA_UNARY_N:
        dx[0] = sqa_unary_grad(g, a->f, x, dy);
        return;
    }
}

/* unary_grad: inputs x, dy of one shape */

static enum sqa_status grad_shape(struct sqa_node *n, struct sqa_err *err)
{
    char one[96], two[96];

    if (!sqa_same_shape(n->in[0], n->in[1]))
        return sqa_shape_fail(n, err, "x is %s, dy %s; they must agree", sqa_shape_text(n->in[0], one),
                              sqa_shape_text(n->in[1], two));
    return shape(n, err);
}

static void grad_piece(const void *ctx, const struct sqa_kernels *k, const void *const *in, unsigned constant,
                       void *out, size_t n)
{
    const struct attr *a = ctx;

    (void)constant;
    k->unary_grad(a->f, in[0], in[1], out, n);
}

static void grad_run(const struct sqa_node *n, const struct sqa_run *r)
{
    sqa_map(n, r, 0, grad_piece, n->attr);
}

struct sqa_tensor *sqa_unary_second(struct sqa_graph *g, enum sqa_unary f, struct sqa_tensor *x, struct sqa_tensor *z)
{
    struct sqa_tensor *s, *slope, *t;

    switch (f) {
    case SQA_UNARY_GELU: /* pdf(x) (2 - x^2) */
        s = sqa_square(g, x);
        t = sqa_affine(g, 0.39894228040143267794, sqa_unary(g, SQA_UNARY_EXP, sqa_affine(g, -0.5, s, 0)), 0);
        return sqa_mul(g, z, sqa_mul(g, t, sqa_affine(g, -1, s, 2)));
    case SQA_UNARY_SOFTPLUS: /* s (1 - s) */
    case SQA_UNARY_SILU:     /* s (1 - s) (2 + x (1 - 2 s)) */
        s = sqa_unary(g, SQA_UNARY_SIGMOID, x);
        slope = sqa_mul(g, z, sqa_mul(g, s, sqa_affine(g, -1, s, 1)));
        if (f == SQA_UNARY_SOFTPLUS)
            return slope;
        return sqa_mul(g, slope, sqa_affine(g, 1, sqa_mul(g, x, sqa_affine(g, -2, s, 1)), 2));
    case SQA_UNARY_ELU1: /* e^x where x < 0: relu'(-x) e^-relu(-x) */
        t = sqa_unary(g, SQA_UNARY_NEG, x);
        s = sqa_unary(g, SQA_UNARY_EXP, sqa_unary(g, SQA_UNARY_NEG, sqa_unary(g, SQA_UNARY_RELU, t)));
        return sqa_unary_grad(g, SQA_UNARY_RELU, t, sqa_mul(g, z, s));
    default:
        return NULL;
    }
}

static void grad_grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    const struct attr *a = n->attr;

    if (n->in[0]->needs_grad)
        dx[0] = sqa_unary_second(g, a->f, n->in[0], sqa_mul(g, dy[0], n->in[1]));
    if (n->in[1]->needs_grad)
        dx[1] = sqa_unary_grad(g, a->f, n->in[0], dy[0]);
}

const struct sqa_op sqa_op_unary_grad = {
    .name = "unary_grad",
    .help = "dx = dy f'(x)",
    .shape = grad_shape,
    .run = grad_run,
    .grad = grad_grad,
    .flops = sqa_flops_out1,
    .in_place = 3,
    .strided = 3,
};

struct sqa_tensor *sqa_unary_grad(struct sqa_graph *g, enum sqa_unary f, struct sqa_tensor *x, struct sqa_tensor *dy)
{
    const struct attr a = {f};
    struct sqa_tensor *const in[] = {x, dy};

    if (!sqa_ready(g, "unary_grad", 2, in))
        return NULL;
    return sqa_apply(g, &sqa_op_unary_grad, &a, sizeof a, 2, in);
}

#define UNARY(NAME, HELP)                                                                                         \
    .name = NAME, .help = HELP, .shape = shape, .run = run, .grad = grad, .flops = sqa_flops_out1, .in_place = 1, \
    .strided = 1

const struct sqa_op sqa_op_neg = {
    UNARY("neg", "y = -x"),
};
const struct sqa_op sqa_op_exp = {
    UNARY("exp", "y = e^x"),
};
const struct sqa_op sqa_op_log = {
    UNARY("log", "y = ln x"),
};
const struct sqa_op sqa_op_sqrt = {
    UNARY("sqrt", "y = x^(1/2)"),
};
const struct sqa_op sqa_op_rsqrt = {
    UNARY("rsqrt", "y = x^(-1/2)"),
};
const struct sqa_op sqa_op_square = {
    UNARY("square", "y = x^2"),
};
const struct sqa_op sqa_op_recip = {
    UNARY("recip", "y = 1 / x"),
};
const struct sqa_op sqa_op_abs = {
    UNARY("abs", "y = |x|"),
};
const struct sqa_op sqa_op_relu = {
    UNARY("relu", "y = max(x, 0)"),
};
const struct sqa_op sqa_op_gelu = {
    UNARY("gelu", "y = x Phi(x), with the exact normal distribution"),
};
const struct sqa_op sqa_op_tanh = {
    UNARY("tanh", "y = tanh x"),
};
const struct sqa_op sqa_op_sigmoid = {
    UNARY("sigmoid", "y = 1 / (1 + e^-x)"),
};
const struct sqa_op sqa_op_silu = {
    UNARY("silu", "y = x / (1 + e^-x)"),
};
const struct sqa_op sqa_op_softplus = {
    UNARY("softplus", "y = ln(1 + e^x)"),
};
const struct sqa_op sqa_op_elu1 = {
    UNARY("elu1", "y = elu(x) + 1: x + 1 above 0, e^x below"),
};
const struct sqa_op sqa_op_sin = {
    UNARY("sin", "y = sin x"),
};
const struct sqa_op sqa_op_cos = {
    UNARY("cos", "y = cos x"),
};

struct sqa_tensor *sqa_unary(struct sqa_graph *g, enum sqa_unary f, struct sqa_tensor *x)
{
    static const struct sqa_op *const ops[SQA_UNARY_N] = {
#define X(NAME, name) [SQA_UNARY_##NAME] = &sqa_op_##name,
        SQA_UNARY_LIST(X)
#undef X
    };
    const struct attr a = {f};

    if (!sqa_ready(g, ops[f]->name, 1, &x))
        return NULL;
    return sqa_apply(g, ops[f], &a, sizeof a, 1, &x);
}

struct sqa_tensor *sqa_square(struct sqa_graph *g, struct sqa_tensor *x)
{
    return sqa_unary(g, SQA_UNARY_SQUARE, x);
}

struct sqa_tensor *sqa_absolute_error(struct sqa_graph *g, struct sqa_tensor *x, struct sqa_tensor *y)
{
    return sqa_unary(g, SQA_UNARY_ABS, sqa_sub(g, x, y));
}

struct sqa_tensor *sqa_squared_error(struct sqa_graph *g, struct sqa_tensor *x, struct sqa_tensor *y)
{
    return sqa_square(g, sqa_sub(g, x, y));
}
