/* md_ops.c - where the time of a step goes: the profiled ops that take longest */
#include "reports/grid.h"
#include "reports/markdown.h"
#include "reports/ops.h"

enum { OPS_MAX = 128, SHOWN = 5 };

static void add_rows(struct sqa_grid *grid, const struct sqa_pool *pool, const struct sqa_pool_entry *e, int phase,
                     const struct sqa_pool_op *ops, size_t n)
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
    struct sqa_pool_op ops[OPS_MAX];
    struct sqa_grid grid;
    bool begun = false;
    for (size_t i = 0; i < pool->n_entries; i++)
        for (int phase = 0; phase < SQA_PHASE_N; phase++) {
            const struct sqa_pool_entry *e = &pool->entries[i];
            const size_t n = sqa_pool_ops(pool, e->cells, phase, ops, OPS_MAX);
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
