/* graph.c - see graph.h */
#include "engine/graph.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "engine/ops.h"
#include "engine/store.h"

size_t sqa_dtype_size(enum sqa_dtype t)
{
    static const size_t sizes[] = {[SQA_F32] = 4, [SQA_F64] = 8, [SQA_I32] = 4, [SQA_U8] = 1};
    return sizes[t];
}

const char *sqa_dtype_name(enum sqa_dtype t)
{
    static const char *const names[] = {[SQA_F32] = "f32", [SQA_F64] = "f64", [SQA_I32] = "i32", [SQA_U8] = "u8"};
    return names[t];
}

void sqa_graph_init(struct sqa_graph *g, enum sqa_dtype real, bool training)
{
    *g = (struct sqa_graph){.real = real, .training = training};
}

void sqa_graph_clear(struct sqa_graph *g)
{
    sqa_arena_clear(&g->arena);
    g->first = g->last = NULL;
    g->count = 0;
}

struct sqa_tensor *sqa_graph_fail(struct sqa_graph *g, enum sqa_status code, const char *fmt, ...)
{
    if (g->status == SQA_OK) {
        va_list ap;
        va_start(ap, fmt);
        g->status = g->err.code = code;
        vsnprintf(g->err.text, sizeof g->err.text, fmt, ap);
        va_end(ap);
    }
    return NULL;
}

size_t sqa_scope_push(struct sqa_graph *g, const char *fmt, ...)
{
    const size_t mark = strlen(g->scope);
    const size_t dot = mark ? 1 : 0;
    va_list ap;
    if (mark + dot + 1 >= sizeof g->scope)
        return mark;
    if (dot)
        g->scope[mark] = '.';
    va_start(ap, fmt);
    vsnprintf(g->scope + mark + dot, sizeof g->scope - mark - dot, fmt, ap);
    va_end(ap);
    return mark;
}

void sqa_scope_pop(struct sqa_graph *g, size_t mark)
{
    g->scope[mark] = '\0';
}

int64_t sqa_numel(const struct sqa_tensor *t)
{
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++)
        n *= t->dim[i];
    return n;
}

bool sqa_is_dense(const struct sqa_tensor *t)
{
    int64_t expect = 1;
    for (int i = t->rank - 1; i >= 0; i--) {
        if (t->dim[i] != 1 && t->stride[i] != expect)
            return false;
        expect *= t->dim[i];
    }
    return true;
}

bool sqa_same_shape(const struct sqa_tensor *a, const struct sqa_tensor *b)
{
    if (a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i])
            return false;
    return true;
}

bool sqa_is_real(const struct sqa_tensor *t)
{
    return t->dtype == SQA_F32 || t->dtype == SQA_F64;
}

char *sqa_shape_text(const struct sqa_tensor *t, char buf[96])
{
    size_t n = (size_t)snprintf(buf, 96, "(");
    for (int i = 0; i < t->rank && n < 80; i++)
        n += (size_t)snprintf(buf + n, 96 - n, "%s%lld", i ? ", " : "", (long long)t->dim[i]);
    snprintf(buf + n, 96 - n, ")");
    return buf;
}

void *sqa_data(const struct sqa_tensor *t)
{
    return t->buffer->data + (size_t)t->offset * sqa_dtype_size(t->dtype);
}

void sqa_set_output(struct sqa_node *n, int i, enum sqa_dtype dtype, int rank, const int64_t *dim)
{
    struct sqa_tensor *t = n->out[i];
    assert(rank <= SQA_MAX_RANK);
    t->dtype = dtype;
    t->rank = rank;
    int64_t stride = 1;
    for (int k = rank - 1; k >= 0; k--) {
        t->dim[k] = dim[k];
        t->stride[k] = stride;
        stride *= dim[k];
    }
    if (n->nout <= i)
        n->nout = i + 1;
}

enum sqa_status sqa_shape_fail(const struct sqa_node *n, struct sqa_err *err, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return sqa_fail(err, SQA_SHAPE, "%s at %s: %s", n->op->name, n->path, text);
}

static struct sqa_buffer *new_buffer(struct sqa_graph *g, enum sqa_buffer_kind kind, size_t bytes,
                                     struct sqa_entry *e)
{
    struct sqa_buffer *b = sqa_arena_alloc(&g->arena, sizeof *b);
    if (!b) {
        sqa_graph_fail(g, SQA_NOMEM, "graph: no memory; free some memory and run again");
        return NULL;
    }
    b->kind = kind;
    b->bytes = bytes;
    b->entry = e;
    return b;
}

static void link_node(struct sqa_graph *g, struct sqa_node *n)
{
    n->index = g->count++;
    if (g->last)
        g->last->next = n;
    else
        g->first = n;
    g->last = n;
}

/* The op of a dense copy is defined in engine/ops/copy.c; a non-dense input of an op that cannot take it goes
 * through. */
static struct sqa_tensor *as_dense(struct sqa_graph *g, const struct sqa_op *op, int i, struct sqa_tensor *t)
{
    if (!t || sqa_is_dense(t) || op->flags & SQA_OP_VIEW || op->strided >> i & 1)
        return t;
    return sqa_dense(g, t);
}

static struct sqa_node *new_node(struct sqa_graph *g, const struct sqa_op *op, const void *attr, size_t attr_size)
{
    struct sqa_node *n = sqa_arena_alloc(&g->arena, sizeof *n);
    void *copy = attr_size ? sqa_arena_alloc(&g->arena, attr_size) : NULL;
    char *path = sqa_arena_printf(&g->arena, "%s%s%s.%d", g->scope, *g->scope ? "." : "", op->name, g->count);
    if (!n || !path || (attr_size && !copy)) {
        sqa_graph_fail(g, SQA_NOMEM, "graph: no memory; free some memory and run again");
        return NULL;
    }
    if (attr_size)
        memcpy(copy, attr, attr_size);
    n->op = op;
    n->attr = copy;
    n->path = path;
    n->path_hash = sqa_hash(path, strlen(path), 0);
    n->pass = g->pass;
    for (int i = 0; i < SQA_MAX_OUTPUTS; i++) {
        n->out[i] = sqa_arena_alloc(&g->arena, sizeof *n->out[i]);
        if (!n->out[i]) {
            sqa_graph_fail(g, SQA_NOMEM, "graph: no memory; free some memory and run again");
            return NULL;
        }
        n->out[i]->node = n;
        n->out[i]->output = i;
    }
    return n;
}

struct sqa_tensor *sqa_apply(struct sqa_graph *g, const struct sqa_op *op, const void *attr, size_t attr_size,
                             int nin, struct sqa_tensor *const *in)
{
    struct sqa_tensor *dense[SQA_MAX_INPUTS] = {0};
    if (g->status != SQA_OK)
        return NULL;
    bool needs_grad = false;
    for (int i = 0; i < nin; i++) {
        dense[i] = as_dense(g, op, i, in[i]);
        needs_grad = needs_grad || (dense[i] && dense[i]->needs_grad);
    }
    struct sqa_node *n = g->status == SQA_OK ? new_node(g, op, attr, attr_size) : NULL;
    if (!n)
        return NULL;
    n->nin = nin;
    n->compute = g->compute;
    memcpy(n->in, dense, sizeof dense);
    struct sqa_err err;
    const enum sqa_status status = op->shape(n, &err);
    if (status != SQA_OK)
        return sqa_graph_fail(g, status, "%s%s%s", g->model ? g->model : "", g->model ? ": " : "", err.text);
    for (int i = 0; i < n->nout; i++) {
        struct sqa_tensor *t = n->out[i];
        t->needs_grad = needs_grad && sqa_is_real(t);
        if (op->flags & SQA_OP_VIEW) {
            t->buffer = n->in[0]->buffer;
            continue;
        }
        for (int k = 0; k < t->rank; k++)
            if (t->dim[k] < 0 || (t->dim[k] && sqa_numel(t) > (int64_t)1 << 46))
                return sqa_graph_fail(g, SQA_SHAPE, "%s: output too large; use smaller sizes", n->path);
        t->buffer = new_buffer(g, SQA_BUFFER_ARENA, (size_t)sqa_numel(t) * sqa_dtype_size(t->dtype), NULL);
        if (!t->buffer)
            return NULL;
    }
    link_node(g, n);
    return n->out[0];
}

/* Leaves and effects */

struct leaf_attr {
    enum sqa_dtype dtype;
    int rank;
    int64_t dim[SQA_MAX_RANK];
};

static enum sqa_status leaf_shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct leaf_attr *a = n->attr;
    (void)err;
    sqa_set_output(n, 0, a->dtype, a->rank, a->dim);
    return SQA_OK;
}

const struct sqa_op sqa_op_input = {
    .name = "input", .help = "filled before the run", .shape = leaf_shape, .flags = SQA_OP_LEAF};
const struct sqa_op sqa_op_value = {
    .name = "value", .help = "a store entry", .shape = leaf_shape, .flags = SQA_OP_LEAF};

static struct sqa_tensor *leaf(struct sqa_graph *g, const struct sqa_op *op, enum sqa_buffer_kind kind,
                               enum sqa_dtype dtype, int rank, const int64_t *dim, struct sqa_entry *e)
{
    struct leaf_attr a = {.dtype = dtype, .rank = rank};
    memcpy(a.dim, dim, (size_t)rank * sizeof *dim);
    struct sqa_tensor *t = sqa_apply(g, op, &a, sizeof a, 0, NULL);
    if (t) {
        t->buffer->kind = kind;
        t->buffer->entry = e;
    }
    return t;
}

struct sqa_tensor *sqa_input(struct sqa_graph *g, const char *name, enum sqa_dtype dtype, int rank,
                             const int64_t *dim)
{
    struct sqa_tensor *t = leaf(g, &sqa_op_input, SQA_BUFFER_INPUT, dtype, rank, dim, NULL);
    if (t)
        t->name = sqa_arena_strdup(&g->arena, name);
    return t;
}

struct sqa_tensor *sqa_value(struct sqa_graph *g, struct sqa_entry *e)
{
    if (!e)
        return sqa_graph_fail(g, SQA_NOMEM, "graph: a parameter could not be made; free some memory and run again");
    for (struct sqa_node *n = g->first; n; n = n->next) /* one leaf an entry: its gradient is one sum */
        if (n->op == &sqa_op_value && n->out[0]->buffer->entry == e)
            return n->out[0];
    struct sqa_tensor *t = leaf(g, &sqa_op_value, SQA_BUFFER_VALUE, g->real, e->rank, e->dim, e);
    if (t) {
        t->name = e->name;
        t->needs_grad = e->kind == SQA_PARAMETER;
    }
    return t;
}

struct assign_attr {
    struct sqa_entry *entry;
};

static enum sqa_status assign_shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct assign_attr *a = n->attr;
    char text[96];
    if (sqa_numel(n->in[0]) != a->entry->count)
        return sqa_shape_fail(n, err, "%s has %lld numbers, the value is %s", a->entry->name,
                              (long long)a->entry->count, sqa_shape_text(n->in[0], text));
    n->nout = 0;
    return SQA_OK;
}

static void assign_run(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct assign_attr *a = n->attr;
    (void)r;
    memcpy(a->entry->value, sqa_data(n->in[0]), (size_t)a->entry->count * sqa_dtype_size(n->in[0]->dtype));
}

const struct sqa_op sqa_op_assign = {.name = "assign",
                                     .help = "entry = x at the end of the run",
                                     .shape = assign_shape,
                                     .run = assign_run,
                                     .flags = SQA_OP_EFFECT};

void sqa_assign(struct sqa_graph *g, struct sqa_entry *e, struct sqa_tensor *t)
{
    if (!e || !t)
        return;
    if (t->buffer->kind == SQA_BUFFER_VALUE) /* another effect may change it before this one reads */
        t = sqa_affine(g, 1, t, 0);
    sqa_apply(g, &sqa_op_assign, &(struct assign_attr){e}, sizeof(struct assign_attr), 1, &t);
}

void sqa_require_grad(struct sqa_tensor *t)
{
    if (t)
        t->needs_grad = true;
}

void sqa_output(struct sqa_graph *g, struct sqa_tensor *t, const char *name)
{
    if (!t)
        return;
    char *copy = sqa_arena_strdup(&g->arena, name);
    if (!copy) {
        sqa_graph_fail(g, SQA_NOMEM, "graph: no memory; free some memory and run again");
        return;
    }
    t->name = copy;
    t->keep = true;
}
