/* ops.c - see ops.h */
#include "reports/ops.h"

#include <stdlib.h>
#include <string.h>

static double number(const struct sqa_pool_run *run, size_t row, int column)
{
    const int at = run->column[SQA_FILE_OPS][column];
    double v = 0;
    return at >= 0 && sqa_parse_real(run->files.sheet[SQA_FILE_OPS].row[row][at], &v) ? v : 0;
}

static const char *text(const struct sqa_pool_run *run, size_t row, int column)
{
    return run->files.sheet[SQA_FILE_OPS].row[row][run->column[SQA_FILE_OPS][column]];
}

static int by_time(const void *a, const void *b)
{
    const struct sqa_pool_op *x = a, *y = b;
    return x->ns != y->ns ? (x->ns < y->ns) - (x->ns > y->ns) : strcmp(x->name, y->name);
}

size_t sqa_pool_ops(const struct sqa_pool *pool, const struct sqa_pool_cell *cell, int phase, struct sqa_pool_op *ops,
                    size_t room)
{
    if (!cell->row[phase] || !cell->ok[phase])
        return 0;
    const struct sqa_pool_run *run = &pool->runs[cell->run[phase]];
    size_t n = 0;
    for (size_t i = 0; i < run->files.sheet[SQA_FILE_OPS].nrow; i++) {
        const char *name = text(run, i, SQA_OPS_op);
        if (strcmp(text(run, i, SQA_OPS_key), cell->key) != 0 ||
            strcmp(text(run, i, SQA_OPS_phase), sqa_phase_names[phase]) != 0)
            continue;
        size_t k = 0;
        while (k < n && strcmp(ops[k].name, name) != 0)
            k++;
        if (k == room)
            continue;
        if (k == n)
            ops[n++] = (struct sqa_pool_op){.name = name};
        ops[k].calls += number(run, i, SQA_OPS_calls);
        ops[k].flops += number(run, i, SQA_OPS_flops);
        ops[k].bytes += number(run, i, SQA_OPS_bytes);
        ops[k].ns += number(run, i, SQA_OPS_ns);
    }
    if (n > 1)
        qsort(ops, n, sizeof *ops, by_time);
    return n;
}
