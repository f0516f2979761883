/* md_ops.c - where the time of a step goes: profiled ops, summed over their places in the model */
#include <stdlib.h>
#include <string.h>

#include "reports/grid.h"
#include "reports/markdown.h"

enum { OPS_MAX = 128, SHOWN = 5 };

struct op {
    const char *name;
    double calls, flops, bytes, ns;
};

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
    const struct op *x = a, *y = b;
    return x->ns != y->ns ? (x->ns < y->ns) - (x->ns > y->ns) : strcmp(x->name, y->name);
}

/* The ops of a row, the longest first. */
static size_t collect(const struct sqa_pool *pool, const struct sqa_pool_cell *cell, int phase, struct op *ops)
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
        if (k == OPS_MAX)
            continue;
        if (k == n)
            ops[n++] = (struct op){.name = name};
        ops[k].calls += number(run, i, SQA_OPS_calls);
        ops[k].flops += number(run, i, SQA_OPS_flops);
        ops[k].bytes += number(run, i, SQA_OPS_bytes);
        ops[k].ns += number(run, i, SQA_OPS_ns);
    }
    if (n > 1)
        qsort(ops, n, sizeof *ops, by_time);
    return n;
}

static void add_rows(struct sqa_grid *grid, const struct sqa_pool *pool, const struct sqa_pool_entry *e, int phase,
                     const struct op *ops, size_t n)
{
    char buf[32];
    double total = 0;
    for (size_t i = 0; i < n; i++)
        total += ops[i].ns;
    for (size_t i = 0; i < n && i < SHOWN && total > 0; i++) {
        sqa_grid_code(grid, e->label, "");
        sqa_grid_code(grid, pool->groups[e->group].task, "");
        sqa_grid_cell(grid, sqa_pool_text(pool, e->cells, phase, SQA_CELLS_length));
        sqa_grid_cell(grid, sqa_phase_names[phase]);
        sqa_grid_code(grid, ops[i].name, "");
        sqa_grid_printf(grid, "%.0f", ops[i].calls);
        sqa_grid_cell(grid, sqa_format_ns(buf, ops[i].ns));
        sqa_grid_printf(grid, "%.1f", 100 * ops[i].ns / total);
        sqa_grid_printf(grid, "%.1f", ops[i].ns > 0 ? ops[i].flops / ops[i].ns : 0);
        sqa_grid_printf(grid, "%.1f", ops[i].ns > 0 ? ops[i].bytes / ops[i].ns : 0);
    }
}

void sqa_markdown_ops(struct sqa_text *out, const struct sqa_pool *pool)
{
    static const char *const names[] = {"model", "task", "length", "phase",   "op",
                                        "calls", "time", "time %", "GFLOP/s", "GB/s"};
    struct op ops[OPS_MAX];
    struct sqa_grid grid;
    bool begun = false;
    for (size_t i = 0; i < pool->n_entries; i++)
        for (int phase = 0; phase < SQA_PHASE_N; phase++) {
            const struct sqa_pool_entry *e = &pool->entries[i];
            const size_t n = collect(pool, e->cells, phase, ops);
            if (n == 0)
                continue;
            if (!begun)
                sqa_grid_begin(&grid, "llrllrrrrr");
            for (size_t c = 0; c < sizeof names / sizeof names[0] && !begun; c++)
                sqa_grid_cell(&grid, names[c]);
            begun = true;
            add_rows(&grid, pool, e, phase, ops, n);
        }
    if (!begun)
        return;
    sqa_text_printf(out,
                    "## Ops\n\nThe %d ops that take longest in a step of each model, in a profile of its first "
                    "seed; time %% is of all profiled ops. FLOPs and bytes are counted, the least traffic. Every op "
                    "at its place in the model stands in ops.csv.\n\n",
                    SHOWN);
    sqa_grid_end(&grid, out);
}
