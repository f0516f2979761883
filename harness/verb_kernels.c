/*
 * verb_kernels.c - kernels: how near the ops come to what this machine can do
 *
 * Each case is a graph of one op and its gradient at a size that models use. A round times a copy of memory, a large
 * sgemm of OpenBLAS and the case, in turn; figures are ratios of medians of the same rounds. The roof of an op is the
 * longer of its flops at the sgemm rate and its bytes at the copy rate; for work that stays in cache it is no bound.
 */
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"
#include "base/memory.h"
#include "base/random.h"
#include "engine/ops.h"
#include "engine/plan.h"
#include "harness/measure/measure.h"
#include "harness/overhead.h"
#include "harness/plan.h"
#include "harness/verbs.h"
#include "harness/version.h"
#include "reports/stats.h"

struct options {
    const char *output;
    int64_t rounds, threads;
};
static const struct sqa_option table[] = {
    {"rounds", 0, SQA_OPTION_INT, "N", "rounds a case (default 9)", offsetof(struct options, rounds), 3, 1000},
    {"threads", 0, SQA_OPTION_INT, "N", "threads (default 1)", offsetof(struct options, threads), 1, 1024},
    {"output", 'o', SQA_OPTION_TEXT, "FILE", "write the table as CSV too", offsetof(struct options, output), 0, 0},
    {.name = NULL},
};

enum { MAX_INPUTS = 7 };

/* Cases. p: sizes, as the case's text names them. */

struct kernel_case {
    const char *name; /* printed with its sizes */
    struct sqa_tensor *(*build)(struct sqa_graph *g, const int64_t *p);
    int64_t p[5];
};

static struct sqa_tensor *in(struct sqa_graph *g, const char *name, int rank, const int64_t *dim)
{
    struct sqa_tensor *t = sqa_input(g, name, SQA_F32, rank, dim);
    if (t)
        sqa_require_grad(t);
    return t;
}

static struct sqa_tensor *attention(struct sqa_graph *g, const int64_t *p)
{
    const int64_t dim[4] = {p[0], p[1], p[2], p[3]};
    const struct sqa_attention_spec spec = {.scale = 0.2, .causal = false, .dropout = (double)p[4] / 100};
    return sqa_attention(g, in(g, "a", 4, dim), in(g, "b", 4, dim), in(g, "c", 4, dim), NULL, spec);
}

static struct sqa_tensor *linear(struct sqa_graph *g, const int64_t *p)
{
    return sqa_linear(g, in(g, "a", SQA_DIMS(p[0], p[1])), in(g, "b", SQA_DIMS(p[1], p[2])),
                      in(g, "c", SQA_DIMS(p[2])));
}

/* Three layers of one x, as attention has them */
static struct sqa_tensor *qkv(struct sqa_graph *g, const int64_t *p)
{
    static const char *const weights[] = {"b", "c", "d"}, *const biases[] = {"e", "f", "g"};
    struct sqa_tensor *w[3], *b[3], *y[3];
    for (int i = 0; i < 3; i++) {
        w[i] = in(g, weights[i], SQA_DIMS(p[1], p[2]));
        b[i] = in(g, biases[i], SQA_DIMS(p[2]));
    }
    sqa_linear_n(g, in(g, "a", SQA_DIMS(p[0], p[1])), 3, w, b, NULL, y);
    return sqa_mul(g, sqa_mul(g, y[0], y[1]), y[2]);
}

static struct sqa_tensor *linear_gelu(struct sqa_graph *g, const int64_t *p)
{
    return sqa_linear_act(g, in(g, "a", SQA_DIMS(p[0], p[1])), in(g, "b", SQA_DIMS(p[1], p[2])),
                          in(g, "c", SQA_DIMS(p[2])), SQA_UNARY_GELU);
}

static struct sqa_tensor *product(struct sqa_graph *g, const int64_t *p)
{
    return sqa_matmul(g, in(g, "a", SQA_DIMS(p[0], p[1], p[2])), in(g, "b", SQA_DIMS(p[0], p[2], p[3])), false,
                      false);
}

/* One a, transposed, for every b */
static struct sqa_tensor *mixing(struct sqa_graph *g, const int64_t *p)
{
    return sqa_matmul(g, in(g, "a", SQA_DIMS(p[1], p[2])), in(g, "b", SQA_DIMS(p[0], p[1], p[3])), true, false);
}

static struct sqa_tensor *layernorm(struct sqa_graph *g, const int64_t *p)
{
    return sqa_layernorm(g, in(g, "a", SQA_DIMS(p[0], p[1])), in(g, "b", SQA_DIMS(p[1])), in(g, "c", SQA_DIMS(p[1])),
                         1e-5, false);
}

static struct sqa_tensor *softmax(struct sqa_graph *g, const int64_t *p)
{
    return sqa_softmax(g, in(g, "a", SQA_DIMS(p[0], p[1])));
}

static struct sqa_tensor *gelu(struct sqa_graph *g, const int64_t *p)
{
    return sqa_unary(g, SQA_UNARY_GELU, in(g, "a", SQA_DIMS(p[0], p[1])));
}

static struct sqa_tensor *add(struct sqa_graph *g, const int64_t *p)
{
    return sqa_add(g, in(g, "a", SQA_DIMS(p[0], p[1])), in(g, "b", SQA_DIMS(p[0], p[1])));
}

static struct sqa_tensor *add_row(struct sqa_graph *g, const int64_t *p)
{
    return sqa_add(g, in(g, "a", SQA_DIMS(p[0], p[1])), in(g, "b", SQA_DIMS(p[1])));
}

static struct sqa_tensor *dropout(struct sqa_graph *g, const int64_t *p)
{
    return sqa_dropout(g, in(g, "a", SQA_DIMS(p[0], p[1])), 0.1);
}

static struct sqa_tensor *permute(struct sqa_graph *g, const int64_t *p)
{
    return sqa_dense(g, sqa_transpose(g, in(g, "a", SQA_DIMS(p[0], p[1], p[2], p[3])), 1, 2));
}

static struct sqa_tensor *fftconv(struct sqa_graph *g, const int64_t *p)
{
    return sqa_fftconv(g, in(g, "a", SQA_DIMS(p[0], p[1], p[2])), in(g, "b", SQA_DIMS(p[2], p[1])), NULL);
}

static const struct kernel_case cases[] = {
    {"attention B=4 L=1024 H=2 d=32", attention, {4, 1024, 2, 32}},
    {"attention B=1 L=4096 H=2 d=32", attention, {1, 4096, 2, 32}},
    {"attention B=1 L=4096 H=1 d=64", attention, {1, 4096, 1, 64}},
    {"attention B=1 L=2048 H=1 d=128", attention, {1, 2048, 1, 128}},
    {"attention B=1 L=2048 H=2 d=32, dropout 10 %", attention, {1, 2048, 2, 32, 10}},
    {"attention B=128 L=128 H=2 d=32 (blocks)", attention, {128, 128, 2, 32}},
    {"linear 16384 x 64 -> 64", linear, {16384, 64, 64}},
    {"linear 16384 x 64 -> 128", linear, {16384, 64, 128}},
    {"linear 16384 x 128 -> 64", linear, {16384, 128, 64}},
    {"linear 16384 x 64 -> 3 x 64", qkv, {16384, 64, 64}},
    {"linear 16384 x 64 -> 128, gelu", linear_gelu, {16384, 64, 128}},
    {"linear 4096 x 512 -> 512", linear, {4096, 512, 512}},
    {"linear 4096 x 512 -> 2048", linear, {4096, 512, 2048}},
    {"matmul 8 x (32 x 4096)(4096 x 32)", product, {8, 32, 4096, 32}},
    {"mixing (256 x 4096) 4 x (4096 x 64)", mixing, {4, 4096, 256, 64}},
    {"layernorm 16384 x 64", layernorm, {16384, 64}},
    {"layernorm 65536 x 512", layernorm, {65536, 512}},
    {"softmax 16384 x 128", softmax, {16384, 128}},
    {"gelu 16384 x 128", gelu, {16384, 128}},
    {"gelu 65536 x 512", gelu, {65536, 512}},
    {"add 65536 x 512", add, {65536, 512}},
    {"add a row 65536 x 512", add_row, {65536, 512}},
    {"dropout 65536 x 512", dropout, {65536, 512}},
    {"permute (4, 4096, 2, 32)", permute, {4, 4096, 2, 32}},
    {"fftconv B=4 L=4096 D=64", fftconv, {4, 4096, 64}},
    {"fftconv B=1 L=65536 D=64", fftconv, {1, 65536, 64}},
};

/* Measuring */

enum { GEMM_SIDE = 512 };
static const double gemm_flops = 2.0 * GEMM_SIDE * GEMM_SIDE * GEMM_SIDE;
static const size_t copy_bytes = (size_t)64 << 20;

struct references {
    unsigned char *from, *to;
    float *a, *b, *c;
};

static enum sqa_status open_references(struct references *r, struct sqa_err *err)
{
    const size_t side = (size_t)GEMM_SIDE * GEMM_SIDE;
    r->from = sqa_alloc_aligned(2 * copy_bytes);
    r->a = sqa_alloc_aligned(3 * side * sizeof(float));
    if (!r->from || !r->a)
        return sqa_fail(err, SQA_NOMEM, "kernels: no memory for the reference copies; free some memory");
    r->to = r->from + copy_bytes;
    r->b = r->a + side;
    r->c = r->b + side;
    memset(r->from, 1, 2 * copy_bytes);
    for (size_t i = 0; i < 3 * side; i++)
        r->a[i] = (float)(i % 7) - 3;
    return SQA_OK;
}

static double time_copy(const struct references *r)
{
    const int64_t t = sqa_clock_wall();
    memcpy(r->to, r->from, copy_bytes);
    const double ns = (double)(sqa_clock_wall() - t);
    r->from[0] = (unsigned char)(r->to[copy_bytes - 1] + 1);
    return ns;
}

static double time_gemm(const struct references *r)
{
    const int64_t t = sqa_clock_wall();
    sqa_kernels_f32.gemm(0, 0, GEMM_SIDE, GEMM_SIDE, GEMM_SIDE, 1, r->a, GEMM_SIDE, r->b, GEMM_SIDE, 0, r->c,
                         GEMM_SIDE);
    return (double)(sqa_clock_wall() - t);
}

/* Sorts x. */
static double median(double *x, size_t n)
{
    sqa_sort_reals(x, n);
    return sqa_quantile(x, n, 0.5);
}

static void fill_inputs(struct sqa_plan *p)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct sqa_tensor *t;
        float *x = sqa_plan_input(p, names[i], &t);
        const int64_t n = x ? sqa_numel(t) : 0;
        for (int64_t k = 0; k < n; k++)
            x[k] = (float)((double)(sqa_random_mix(i + 1, (uint64_t)k) >> 40) * 0x1p-24 - 0.5);
    }
}

static enum sqa_status make_plan(const struct kernel_case *c, int threads, struct sqa_memory *memory,
                                 struct sqa_plan **plan, struct sqa_err *err)
{
    static const char *const names[] = {"da", "db", "dc", "dd", "de", "df", "dg"};
    struct sqa_graph g;
    struct sqa_tensor *wrt[MAX_INPUTS], *dx[MAX_INPUTS];
    size_t n = 0;
    sqa_graph_init(&g, SQA_F32, true);
    struct sqa_tensor *y = c->build(&g, c->p);
    struct sqa_tensor *loss = sqa_sum(&g, sqa_square(&g, y), y ? (1u << y->rank) - 1 : 0, false);
    for (struct sqa_node *node = g.first; node && n < MAX_INPUTS; node = node->next)
        if (node->op->flags & SQA_OP_LEAF)
            wrt[n++] = node->out[0];
    sqa_gradients(&g, loss, wrt, n, dx);
    for (size_t i = 0; i < n && g.status == SQA_OK; i++)
        if (dx[i])
            sqa_output(&g, dx[i], names[i]);
    if (loss)
        sqa_output(&g, loss, "loss");
    return sqa_plan_make(&g, memory, threads, plan, err);
}

struct row {
    char name[96], op[32];
    double flops, bytes, ns, gemm, copy; /* medians; gemm in flops a ns, copy in bytes a ns */
};

enum { MAX_ROWS = 256 };

struct rows {
    struct row *at;
    size_t n;
};

/* The square and sum that make a loss are not what is measured. */
static bool wanted(const struct sqa_node *node, const struct kernel_case *c)
{
    static const char *const glue[] = {"fill", "sum", "mul", "affine", "square", "broadcast"};
    for (size_t i = 0; i < sizeof glue / sizeof glue[0]; i++)
        if (strcmp(node->op->name, glue[i]) == 0)
            return strcmp(glue[i], "sum") == 0 && c->build == add_row && node->pass == SQA_PASS_BACKWARD;
    return true;
}

static enum sqa_status measure_case(const struct kernel_case *c, const struct options *o, const struct references *r,
                                    struct rows *rows, struct sqa_err *err)
{
    struct sqa_memory memory = {0};
    struct sqa_plan *plan = NULL;
    const size_t rounds = (size_t)o->rounds;
    double *ns = NULL, *gemm = NULL, *copy = NULL, *sorted = NULL;
    enum sqa_status status = make_plan(c, (int)o->threads, &memory, &plan, err);
    if (status == SQA_OK) {
        ns = sqa_alloc_array((size_t)plan->count * rounds + 1, sizeof *ns);
        gemm = sqa_alloc_array(3 * rounds, sizeof *gemm);
        if (!ns || !gemm)
            status = sqa_fail(err, SQA_NOMEM, "kernels: no memory for samples; give fewer --rounds");
    }
    if (status == SQA_OK) {
        copy = gemm + rounds;
        sorted = copy + rounds;
        fill_inputs(plan);
        memset(ns, 0, (size_t)plan->count * rounds * sizeof *ns);
        status = sqa_plan_run(plan, 1, 0, NULL, NULL, err);
    }
    for (size_t i = 0; i < rounds && status == SQA_OK; i++) {
        gemm[i] = time_gemm(r);
        copy[i] = time_copy(r);
        status = sqa_plan_run(plan, 1, i, NULL, ns + i * (size_t)plan->count, err);
    }
    if (status == SQA_OK) {
        const double gemm_rate = gemm_flops / median(gemm, rounds);
        const double copy_rate = 2 * (double)copy_bytes / median(copy, rounds);
        for (int i = 0; i < plan->count; i++) {
            const struct sqa_node *node = plan->nodes[i];
            if (!wanted(node, c))
                continue;
            struct row *row = &rows->at[rows->n++];
            for (size_t k = 0; k < rounds; k++)
                sorted[k] = ns[k * (size_t)plan->count + (size_t)i];
            *row = (struct row){.flops = sqa_node_flops(node),
                                .bytes = sqa_node_bytes(node),
                                .ns = median(sorted, rounds),
                                .gemm = gemm_rate,
                                .copy = copy_rate};
            snprintf(row->name, sizeof row->name, "%s", c->name);
            snprintf(row->op, sizeof row->op, "%s", node->op->name);
        }
    }
    sqa_free(ns);
    sqa_free(gemm);
    sqa_plan_free(plan);
    sqa_memory_clear(&memory);
    return status;
}

static double roof_share(const struct row *r)
{
    const double by_flops = r->flops / r->gemm, by_bytes = r->bytes / r->copy;
    return (by_flops > by_bytes ? by_flops : by_bytes) / r->ns;
}

static void print_rows(const struct rows *rows, struct sqa_text *out)
{
    struct sqa_columns c = {.n = 8, .right = 0xfc};
    sqa_columns_add(&c,
                    (const char *const[]){"case", "op", "time", "GFLOP/s", "GB/s", "of sgemm", "of copy", "of roof"});
    for (size_t i = 0; i < rows->n; i++) {
        const struct row *r = &rows->at[i];
        char time[32], flops[32], bytes[32], gemm[32], copy[32], roof[32];
        snprintf(flops, sizeof flops, "%.1f", r->flops / r->ns);
        snprintf(bytes, sizeof bytes, "%.1f", r->bytes / r->ns);
        snprintf(gemm, sizeof gemm, "%.0f %%", 100 * r->flops / r->ns / r->gemm);
        snprintf(copy, sizeof copy, "%.0f %%", 100 * r->bytes / r->ns / r->copy);
        snprintf(roof, sizeof roof, "%.0f %%", 100 * roof_share(r));
        sqa_columns_add(
            &c, (const char *const[]){r->name, r->op, sqa_format_ns(time, r->ns), flops, bytes, gemm, copy, roof});
    }
    sqa_columns_print(&c, out);
    sqa_text_add(out,
                 "\nMedians; sgemm (OpenBLAS, 512 x 512 x 512) and copy (64 MiB) were timed in the same rounds, one "
                 "thread.\nof roof: of what the slower of the two allows; above 100 % the work stayed in cache.\n");
}

static enum sqa_status write_csv(const struct rows *rows, const struct options *o, struct sqa_err *err)
{
    static const char *const names[] = {"schema",
                                        "case",
                                        "op",
                                        "isa",
                                        "threads",
                                        "rounds",
                                        "ns_median",
                                        "flops",
                                        "bytes",
                                        "sgemm_flops_per_ns",
                                        "copy_bytes_per_ns",
                                        "build"};
    enum { N = sizeof names / sizeof *names };
    struct sqa_text t = {0};
    sqa_csv_add_row(&t, N, names);
    for (size_t i = 0; i < rows->n; i++) {
        const struct row *r = &rows->at[i];
        const double value[] = {(double)o->threads, (double)o->rounds, r->ns, r->flops, r->bytes, r->gemm, r->copy};
        char text[sizeof value / sizeof *value][32];
        const char *fields[N] = {"1", r->name, r->op, sqa_kernels_f32.isa, [N - 1] = sqa_build_id()};
        for (size_t k = 0; k < sizeof value / sizeof *value; k++) {
            snprintf(text[k], sizeof text[k], "%.12g", value[k]);
            fields[4 + k] = text[k];
        }
        sqa_csv_add_row(&t, N, fields);
    }
    return sqa_print(&t, o->output, err);
}

static void set_defaults(void *options)
{
    struct options *o = options;
    o->rounds = 9;
    o->threads = 1;
}

static enum sqa_status measure(const struct options *o, void *pattern, struct rows *rows, struct sqa_err *err)
{
    struct references r = {0};
    enum sqa_status status = open_references(&r, err);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0] && status == SQA_OK; i++)
        if (!pattern || sqa_pattern_matches(pattern, cases[i].name))
            status = measure_case(&cases[i], o, &r, rows, err);
    sqa_free(r.from);
    sqa_free(r.a);
    return status;
}

static enum sqa_status run(void *options, const struct sqa_texts *operands, struct sqa_err *err)
{
    const struct options *o = options;
    struct row at[MAX_ROWS];
    struct rows rows = {at, 0};
    struct sqa_text out = {0};
    void *pattern = NULL;
    sqa_kernels_init();
    enum sqa_status status = operands->n ? sqa_pattern_compile("kernels", operands->at[0], &pattern, err) : SQA_OK;
    if (status == SQA_OK && !sqa_kernels_reserve((int)o->threads))
        status = sqa_fail(err, SQA_NOMEM, "kernels: no address space for %lld threads; give fewer --threads",
                          (long long)o->threads);
    if (status == SQA_OK)
        status = measure(o, pattern, &rows, err);
    sqa_pattern_free(pattern);
    if (status == SQA_OK && rows.n == 0)
        return sqa_fail(err, SQA_USAGE, "kernels: no case matches '%.100s'; see seqarena kernels --help",
                        operands->at[0]);
    if (status == SQA_OK && o->output)
        status = write_csv(&rows, o, err);
    struct sqa_overhead overhead;
    if (status == SQA_OK)
        status = sqa_overhead_measure(&overhead, err);
    if (status == SQA_OK) {
        print_rows(&rows, &out);
        sqa_text_printf(&out,
                        "\nA step of one op that does nothing takes %.0f ns (goal: under 100), each further op %.0f "
                        "ns; the clock is left out.\n",
                        overhead.call_ns, overhead.op_ns);
        status = sqa_print(&out, NULL, err);
    }
    return status;
}

const struct sqa_verb sqa_verb_kernels = {
    .name = "kernels",
    .usage = "[PATTERN] [--rounds N] [-o FILE]",
    .help = "how near the ops come to this machine's sgemm and copy rates",
    .options = table,
    .options_size = sizeof(struct options),
    .operands_min = 0,
    .operands_max = 1,
    .defaults = set_defaults,
    .run = run,
    .more =
        "PATTERN (PCRE2, anywhere) chooses cases by their name.\n\nexample: seqarena kernels 'attention|linear'\n",
};
