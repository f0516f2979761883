/* selective_scan.c - see selective_scan.h */
#include "models/selective_scan.h"

#include "engine/ops/support.h"

enum { U, DT, A, B, C, SKIP, LENGTHS, KEEP, DY, FORWARD_INPUTS = KEEP, BACKWARD_INPUTS = DY + 1 };
enum { GROUP = 64 }; /* channels of a unit of work */

struct attr {
    int64_t chunk;
    int reverse;
};

static int64_t chunk_of(const struct sqa_node *n)
{
    const struct attr *p = n->attr;

    return sqa_max64(1, sqa_min64(p->chunk, n->in[U]->dim[1]));
}

static enum sqa_status check(const struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *u = n->in[U], *a = n->in[A], *b = n->in[B];
    char one[96], two[96], three[96];

    if (u->rank != 3 || b->rank != 3 || a->rank != 2 || !sqa_same_shape(u, n->in[DT]) ||
        !sqa_same_shape(b, n->in[C]) || b->dim[0] != u->dim[0] || b->dim[1] != u->dim[1] || a->dim[0] != b->dim[2] ||
        a->dim[1] != u->dim[2] || sqa_numel(n->in[SKIP]) != u->dim[2])
        return sqa_shape_fail(n, err,
                              "u %s, a %s, b %s; give u and dt (B, L, E), a (N, E), b and c (B, L, N), skip (E)",
                              sqa_shape_text(u, one), sqa_shape_text(a, two), sqa_shape_text(b, three));
    for (int i = U; i <= SKIP; i++)
        if (!sqa_is_real(n->in[i]) || n->in[i]->dtype != u->dtype)
            return sqa_shape_fail(n, err, "input %d is %s; give reals of one type", i,
                                  sqa_dtype_name(n->in[i]->dtype));
    return n->in[LENGTHS] == NULL ? SQA_OK : sqa_check_lengths(n, LENGTHS, u->dim[0], err);
}

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *u = n->in[U], *a = n->in[A];
    const enum sqa_status status = check(n, err);
    int64_t chunk;

    if (status != SQA_OK)
        return status;
    chunk = chunk_of(n);
    sqa_set_output(n, 0, u->dtype, 3, u->dim);
    sqa_set_output(n, 1, u->dtype, SQA_DIMS(u->dim[0], (u->dim[1] + chunk - 1) / chunk, a->dim[0], a->dim[1]));
    return SQA_OK;
}

static enum sqa_status bwd_shape(struct sqa_node *n, struct sqa_err *err)
{
    (void)err;
    for (int i = U; i <= SKIP; i++)
        sqa_set_output(n, i, n->in[i]->dtype, n->in[i]->rank, n->in[i]->dim);
    return SQA_OK;
}

/* Workspace: a part for each thread's kernel; backward da and dskip of every row of the batch, and, when there are
 * several groups, db and dc of every group. */
struct job {
    const struct sqa_node *n;
    const struct sqa_kernels *k;
    bool backward;
    int64_t batch, length, channels, states, groups;
    size_t kernel_bytes, bytes;
    unsigned char *kernel, *da, *dskip, *db, *dc;
};

static struct sqa_selective sizes_of(const struct sqa_node *n)
{
    return (struct sqa_selective){.n = n->in[U]->dim[1],
                                  .m = sqa_min64(GROUP, n->in[U]->dim[2]),
                                  .states = n->in[A]->dim[0],
                                  .chunk = chunk_of(n)};
}

static struct job job_of(const struct sqa_node *n, void *workspace, int threads)
{
    const struct sqa_tensor *u = n->in[U];
    const struct sqa_selective s = sizes_of(n);
    struct job j = {.n = n,
                    .k = sqa_kernels_of(u->dtype),
                    .backward = n->nin > KEEP,
                    .batch = u->dim[0],
                    .length = u->dim[1],
                    .channels = u->dim[2],
                    .states = s.states,
                    .groups = (u->dim[2] + GROUP - 1) / GROUP};
    const size_t rows = (size_t)(j.batch * j.channels) * j.k->size;
    const size_t sums = j.groups > 1 ? (size_t)(j.groups * j.batch * j.length * j.states) * j.k->size : 0;

    j.kernel_bytes = sqa_align64(j.k->selective_workspace(&s, j.backward));
    j.kernel = sqa_take(workspace, &j.bytes, (size_t)threads * j.kernel_bytes);
    if (!j.backward)
        return j;
    j.da = sqa_take(workspace, &j.bytes, (size_t)j.states * rows);
    j.dskip = sqa_take(workspace, &j.bytes, rows);
    j.db = sqa_take(workspace, &j.bytes, sums);
    j.dc = sqa_take(workspace, &j.bytes, sums);
    return j;
}

static size_t workspace(const struct sqa_node *n, int threads)
{
    return job_of(n, NULL, threads).bytes;
}

/* Rows of (B, L, ...) of one sequence in the order of the scan: where they begin, and their stride. */
struct rows {
    void *p;
    int64_t stride;
};

static struct rows rows_of(const struct job *j, const struct sqa_tensor *x, int64_t b, int64_t valid, int64_t column)
{
    const struct attr *p = j->n->attr;
    const int64_t first = p->reverse && valid > 0 ? valid - 1 : 0;

    return (struct rows){sqa_at(sqa_data(x), b * x->stride[0] + first * x->stride[1] + column, j->k->size),
                         p->reverse ? -x->stride[1] : x->stride[1]};
}

static struct sqa_selective scan_of(const struct job *j, int64_t b, int64_t valid, int64_t e)
{
    struct sqa_tensor *const *in = j->n->in;
    const struct rows u = rows_of(j, in[U], b, valid, e), dt = rows_of(j, in[DT], b, valid, e);
    const struct rows bt = rows_of(j, in[B], b, valid, 0), ct = rows_of(j, in[C], b, valid, 0);
    const struct sqa_tensor *keep = j->backward ? in[KEEP] : j->n->out[1];
    struct sqa_selective s = sizes_of(j->n);

    s.n = valid;
    s.m = sqa_min64(GROUP, j->channels - e);
    s.u = u.p;
    s.dt = dt.p;
    s.b = bt.p;
    s.c = ct.p;
    s.a = sqa_at(sqa_data(in[A]), e, j->k->size);
    s.skip = sqa_at(sqa_data(in[SKIP]), e, j->k->size);
    s.u_stride = u.stride;
    s.dt_stride = dt.stride;
    s.b_stride = bt.stride;
    s.c_stride = ct.stride;
    s.a_stride = j->channels;
    s.keep = sqa_at(sqa_data(keep), b * keep->stride[0] + e, j->k->size);
    s.keep_stride = j->channels;
    return s;
}

/* Columns e .. e + m - 1 of rows valid .. L - 1 become 0. */
static void clear_padding(const struct job *j, const struct sqa_tensor *x, int64_t b, int64_t valid, int64_t e,
                          int64_t m)
{
    for (int64_t t = valid; t < j->length; t++)
        memset(sqa_at(sqa_data(x), b * x->stride[0] + t * x->stride[1] + e, j->k->size), 0, (size_t)m * j->k->size);
}

static void forward(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;

    for (int64_t i = first; i < first + count; i++) {
        const int64_t b = i / j->groups, e = i % j->groups * GROUP;
        const int64_t valid = sqa_length_at(j->n->in[LENGTHS], b, j->length);
        const struct rows y = rows_of(j, j->n->out[0], b, valid, e);
        struct sqa_selective s = scan_of(j, b, valid, e);

        s.y = y.p;
        s.y_stride = y.stride;
        j->k->selective(&s, j->kernel + (size_t)thread * j->kernel_bytes);
        clear_padding(j, j->n->out[0], b, valid, e, s.m);
    }
}

/* Where group g puts its part of db or dc of row b: the output itself when it is the only one. */
static struct rows part_of(const struct job *j, int out, unsigned char *parts, int64_t g, int64_t b, int64_t valid)
{
    struct rows r = rows_of(j, j->n->out[out], b, valid, 0);
    const int64_t first = r.stride < 0 && valid > 0 ? valid - 1 : 0;

    if (j->groups > 1)
        r.p = sqa_at(parts, ((g * j->batch + b) * j->length + first) * j->states, j->k->size);
    return r;
}

static void backward(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    struct sqa_tensor *const *out = j->n->out;

    for (int64_t i = first; i < first + count; i++) {
        const int64_t b = i / j->groups, g = i % j->groups, e = g * GROUP;
        const int64_t valid = sqa_length_at(j->n->in[LENGTHS], b, j->length);
        const struct rows dy = rows_of(j, j->n->in[DY], b, valid, e), du = rows_of(j, out[U], b, valid, e);
        const struct rows ddt = rows_of(j, out[DT], b, valid, e), db = part_of(j, B, j->db, g, b, valid);
        const struct rows dc = part_of(j, C, j->dc, g, b, valid);
        const struct sqa_selective_grad s = {
            .f = scan_of(j, b, valid, e),
            .dy = dy.p,
            .du = du.p,
            .ddt = ddt.p,
            .da = sqa_at(j->da, b * j->states * j->channels + e, j->k->size),
            .db = db.p,
            .dc = dc.p,
            .dskip = sqa_at(j->dskip, b * j->channels + e, j->k->size),
            .dy_stride = dy.stride,
            .du_stride = du.stride,
            .ddt_stride = ddt.stride,
            .da_stride = j->channels,
            .db_stride = db.stride,
            .dc_stride = dc.stride,
        };

        j->k->selective_grad(&s, j->kernel + (size_t)thread * j->kernel_bytes);
        clear_padding(j, out[U], b, valid, e, s.f.m);
        clear_padding(j, out[DT], b, valid, e, s.f.m);
    }
}

/* db and dc of rows of the batch: the sums over groups */
static void join(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    const struct {
        int out;
        unsigned char *parts;
    } sums[] = {{B, j->db}, {C, j->dc}};

    (void)thread;
    for (int64_t b = first; b < first + count; b++) {
        const int64_t valid = sqa_length_at(j->n->in[LENGTHS], b, j->length);

        for (int i = 0; i < 2; i++) {
            const struct sqa_tensor *t = j->n->out[sums[i].out];
            void *to = sqa_at(sqa_data(t), b * t->stride[0], j->k->size);

            if (j->groups > 1)
                memset(to, 0, (size_t)(valid * j->states) * j->k->size);
            for (int64_t g = 0; g < j->groups && j->groups > 1; g++)
                j->k->axpy(1, sqa_at(sums[i].parts, (g * j->batch + b) * j->length * j->states, j->k->size), to,
                           (size_t)(valid * j->states));
            clear_padding(j, t, b, valid, 0, j->states);
        }
    }
}

/* out = the sum over the rows of the batch of `count` numbers each */
static void add_rows(const struct job *j, int out, const unsigned char *parts, int64_t count)
{
    j->k->sum_rows(parts, (size_t)j->batch, (size_t)count, (size_t)count, sqa_data(j->n->out[out]), 0);
}

double sqa_selective_scan_flops(int64_t batch, int64_t length, int64_t channels, int64_t states)
{
    return (double)(batch * length * channels) * (7 * (double)states + 3);
}

static double flops(const struct sqa_node *n)
{
    const struct sqa_tensor *u = n->in[U];

    return sqa_selective_scan_flops(u->dim[0], u->dim[1], u->dim[2], n->in[A]->dim[0]);
}

/* A state: decay and state again 5, g 2, dc 2, db 2, dx 2, the gradient before 1, d(dt a) 1, ddt 2, da 2 */
static double bwd_flops(const struct sqa_node *n)
{
    return (double)sqa_numel(n->in[U]) * (19 * (double)n->in[A]->dim[0] + 8);
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    struct job j = job_of(n, r->workspace, r->threads);

    if (sqa_numel(n->out[0]) != 0)
        sqa_chunks(r, j.batch * j.groups, 1, flops(n), forward, &j);
}

static void bwd_run(const struct sqa_node *n, const struct sqa_run *r)
{
    struct job j = job_of(n, r->workspace, r->threads);

    sqa_chunks(r, j.batch * j.groups, 1, bwd_flops(n), backward, &j);
    sqa_chunks(r, j.batch, 1, (double)(j.groups * sqa_numel(n->in[B])), join, &j);
    add_rows(&j, A, j.da, j.states * j.channels);
    add_rows(&j, SKIP, j.dskip, j.channels);
}

static const struct sqa_op op_backward = {
    .name = "selective_scan_bwd",
    .help = "gradients of selective_scan, states computed again",
    .shape = bwd_shape,
    .run = bwd_run,
    .flops = bwd_flops,
    .workspace = workspace,
    .strided = 1 << U | 1 << DT | 1 << B | 1 << C | 1 << DY,
    .tolerance = 1e-4,
};

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    struct sqa_tensor *in[BACKWARD_INPUTS] = {[KEEP] = n->out[1], [DY] = sqa_dense_rows(g, dy[0])};
    const struct attr *p = n->attr;
    struct sqa_tensor *t;

    if (dy[0] == NULL || dy[1] != NULL) {
        (void)sqa_graph_fail(g, SQA_UNSUPPORTED, "selective_scan at %s: only y has a derivative; use y", n->path);
        return;
    }
    memcpy(in, n->in, FORWARD_INPUTS * sizeof in[0]);
    t = sqa_apply(g, &op_backward, p, sizeof *p, BACKWARD_INPUTS, in);
    for (int i = U; t != NULL && i <= SKIP; i++)
        dx[i] = t->node->out[i];
}

static const struct sqa_op op_forward = {
    .name = "selective_scan",
    .help = "h_t = exp(dt_t a) h_(t-1) + dt_t u_t b_t, y_t = c_t . h_t + skip u_t, for each channel",
    .shape = shape,
    .run = run,
    .grad = grad,
    .flops = flops,
    .workspace = workspace,
    .strided = 1 << U | 1 << DT | 1 << B | 1 << C,
    .tolerance = 1e-4,
};

struct sqa_tensor *sqa_selective_scan(struct sqa_graph *g, struct sqa_selective_inputs in, int64_t chunk,
                                      bool reverse)
{
    const struct attr p = {chunk, reverse};
    struct sqa_tensor *all[FORWARD_INPUTS] = {in.u, in.dt, in.a, in.b, in.c, in.skip, in.lengths};

    if (!sqa_ready(g, "selective_scan", LENGTHS, all))
        return NULL;
    for (int i = U; i <= C; i++)
        all[i] = sqa_dense_rows(g, all[i]);
    return sqa_apply(g, &op_forward, &p, sizeof p, FORWARD_INPUTS, all);
}
