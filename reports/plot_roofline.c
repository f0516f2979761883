/* plot_roofline.c - attained rates against FLOPs a byte (see plots.h) */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "reports/ops.h"
#include "reports/plots.h"
#include "results/schema.h"

enum { CELLS = 96, OPS = 64, NAMED = 40, ROOF = 16 };

/* An op of a cell that has a place in the picture. */
struct mark {
    size_t cell;
    const char *name;
    double x, y, share; /* FLOPs a byte, FLOPs a second, of the time of all ops */
};

static double number_of(const json_t *o, const char *const *path)
{
    for (; *path && o; path++)
        o = json_object_get(o, *path);
    return json_is_number(o) ? json_number_value(o) : (double)NAN;
}

/* The member `name` of the entry of a list with these threads. */
static double of_threads(const json_t *list, const char *name, double threads)
{
    size_t i;
    json_t *o;
    json_array_foreach(list, i, o) if (json_number_value(json_object_get(o, "threads")) ==
                                       threads) return json_is_number(json_object_get(o, name))
        ? json_number_value(json_object_get(o, name))
        : (double)NAN;
    return (double)NAN;
}

struct roof {
    double flops, bytes; /* a second; NaN: not known */
};

static struct roof roof_of(const json_t *machine, double threads)
{
    const json_t *m = json_object_get(machine, "measured");
    const double one = number_of(m, (const char *const[]){"product_flops_per_s", "f32", NULL}),
                 gain = threads > 1 ? of_threads(json_object_get(m, "thread_gain"), "gain", threads) : 1;
    return (struct roof){one * gain, of_threads(json_object_get(m, "memory_copy"), "bytes_per_s", threads)};
}

static char *rate(char buf[32], double v)
{
    char count[32];
    snprintf(buf, 32, "%sFLOP/s", sqa_format_count(count, v));
    return buf;
}

static bool point_of(const struct sqa_pool *pool, const struct sqa_pool_cell *c, int phase, double *x, double *y)
{
    const double flops = sqa_pool_number(pool, c, phase, SQA_CELLS_flops),
                 bytes = sqa_pool_number(pool, c, phase, SQA_CELLS_bytes),
                 ns = sqa_pool_number(pool, c, phase, SQA_CELLS_latency_ns_median);
    *x = flops / bytes;
    *y = flops / ns * 1e9;
    return !c->external && c->ok[phase] && isfinite(*x) && *x > 0 && isfinite(*y) && *y > 0;
}

/* The ops of cell number i, behind *n others of marks; takes both axes as far as they reach. */
static void add_ops(struct sqa_plot *p, const struct sqa_pool *pool, const struct sqa_pool_cell *c, int phase,
                    size_t i, struct mark *marks, size_t *n)
{
    struct sqa_pool_op ops[OPS];
    const size_t k = sqa_pool_ops(pool, c, phase, ops, OPS);
    double whole = 0;
    for (size_t o = 0; o < k; o++)
        whole += ops[o].ns;
    for (size_t o = 0; o < k; o++) {
        if (!(ops[o].flops > 0 && ops[o].bytes > 0 && ops[o].ns > 0))
            continue;
        const struct mark m = {i, ops[o].name, ops[o].flops / ops[o].bytes, ops[o].flops / ops[o].ns * 1e9,
                               ops[o].ns / whole};
        sqa_axis_take(&p->x, m.x);
        sqa_axis_take(&p->y, m.y);
        marks[(*n)++] = m;
    }
}

static void draw_roof(struct sqa_plot *p, struct roof r, double threads)
{
    char text[120], a[32];
    const double knee = r.flops / r.bytes;
    if (!(r.flops > 0) || !(r.bytes > 0))
        return;
    sqa_plot_say(p, "$roof << EOD\n%.10g %.10g\n%.10g %.10g\n%.10g %.10g\nEOD\n", p->y.low / r.bytes, p->y.low, knee,
                 r.flops, fmax(p->x.high, knee), r.flops);
    snprintf(text, sizeof text, "products, %.0f thread%s: %s", threads, threads > 1 ? "s" : "", rate(a, r.flops));
    sqa_plot_label(p, text, "right font ',11' tc rgb '#30000000'", "graph 0.99, first %.10g offset 0,0.6", r.flops);
    snprintf(text, sizeof text, "copy: %s/s", sqa_format_bytes(a, r.bytes));
    const double x = sqrt(p->x.low * fmin(knee, p->x.high));
    if (x * r.bytes > p->y.low && x * r.bytes < p->y.high)
        sqa_plot_label(p, text, "right font ',11' tc rgb '#30000000'", "first %.10g, first %.10g offset -0.8,0.4", x,
                       x * r.bytes);
}

static void picture(struct sqa_plots *plots, const struct sqa_plots_from *from, const struct sqa_pool_cell **cells,
                    size_t n, int phase, double threads)
{
    static const char *const what[SQA_PHASE_N] = {"training steps", "inference", "single tokens"};
    const struct sqa_pool *pool = from->pool;
    struct sqa_plot_spot spots[CELLS + ROOF];
    char names[CELLS][96], text[32];
    double x, y;
    size_t ops = 0;
    const struct roof r = roof_of(from->machine, threads);
    const bool roofs = r.flops > 0 && r.bytes > 0;
    struct mark *marks = sqa_arena_alloc(&plots->arena, n * OPS * sizeof *marks);
    struct sqa_plot *p =
        sqa_plots_add(plots, "Roofline of %s, %.0f thread%s", what[phase], threads, threads > 1 ? "s" : "");
    plots->failed = plots->failed || !marks;
    p->left = 116;
    p->height = 520;
    sqa_axis_begin(&p->x, true);
    sqa_axis_begin(&p->y, true);
    for (size_t i = 0; i < n; i++) {
        point_of(pool, cells[i], phase, &x, &y);
        sqa_axis_take(&p->x, x);
        sqa_axis_take(&p->y, y);
        if (marks)
            add_ops(p, pool, cells[i], phase, i, marks, &ops);
    }
    sqa_axis_take(&p->x, roofs ? r.flops / r.bytes : (double)NAN);
    sqa_axis_take(&p->y, r.flops);
    sqa_axis_end(&p->x, 0.08);
    sqa_axis_end(&p->y, 0.15);
    sqa_plot_axis(p, 'x', "FLOPs a byte of compulsory traffic (log)", NULL);
    sqa_plot_axis(p, 'y', "attained rate (log)", rate);
    draw_roof(p, r, threads);
    sqa_plot_say(p, "$cells << EOD\n");
    for (size_t i = 0; i < n; i++) {
        point_of(pool, cells[i], phase, &x, &y);
        const size_t style = sqa_plots_style(pool, cells[i]->model);
        const char *length = sqa_pool_text(pool, cells[i], phase, SQA_CELLS_length);
        snprintf(names[i], sizeof names[i], "%.60s, %.20s", cells[i]->model, length);
        spots[i] = (struct sqa_plot_spot){x, y, 6, n <= NAMED ? names[i] : NULL, style};
        sqa_plot_say(p, "%.10g %.10g 0x%s\n", x, y, sqa_plot_style(style).colour + 1);
    }
    sqa_plot_say(p, "EOD\n$ops << EOD\n");
    for (size_t i = 0; i < ops; i++)
        sqa_plot_say(p, "%.10g %.10g 0x%s\n", marks[i].x, marks[i].y,
                     sqa_plot_style(spots[marks[i].cell].style).colour + 1);
    sqa_plot_say(p, "EOD\n");
    for (size_t i = 0; i < ops; i++)
        sqa_plot_tip(p, marks[i].x, marks[i].y, 4, "%s, %s: %s, %.3g FLOPs a byte, %.1f %% of the time",
                     names[marks[i].cell], marks[i].name, rate(text, marks[i].y), marks[i].x, 100 * marks[i].share);
    for (size_t i = 0; i < n; i++)
        sqa_plot_tip(p, spots[i].x, spots[i].y, 6, "%s: %s, %.3g FLOPs a byte", names[i], rate(text, spots[i].y),
                     spots[i].x);
    size_t in_the_way = n;
    for (int i = 0; roofs && i < ROOF; i++) { /* names stay off the flat roof */
        const double knee = fmax(r.flops / r.bytes, p->x.low);
        spots[in_the_way++] = (struct sqa_plot_spot){
            .x = knee * pow(p->x.high / knee, (i + 0.5) / ROOF), .y = r.flops * 1.5, .radius = 14};
    }
    sqa_plot_spots(p, spots, in_the_way);
    sqa_text_printf(&p->caption,
                    "%zu rows: model, length%s. FLOPs and bytes are those of the graph, each input and "
                    "output once. ",
                    n, ops ? "; small: their ops" : "");
    if (roofs)
        sqa_text_add(&p->caption,
                     "Roofs: a large product of OpenBLAS and a copy of memory on the machine of --machine; "
                     "what stays in cache may lie above the slope.");
    else
        sqa_text_add(&p->caption,
                     "Without roofs: rates of this machine are not known; give --machine what seqarena doctor "
                     "--json prints.");
    sqa_plot_say(p, "plot ");
    if (roofs)
        sqa_plot_say(p, "$roof with lines lw 2 lc rgb '#40000000', \\\n ");
    if (ops)
        sqa_plot_say(p, "$ops using 1:2:3 with points pt 6 ps 0.6 lc rgb variable, \\\n ");
    sqa_plot_say(p, "$cells using 1:2:3 with points pt 7 ps 1.3 lc rgb variable\n");
}

enum sqa_status sqa_plots_roofline(struct sqa_plots *plots, const struct sqa_plots_from *from, struct sqa_err *err)
{
    const struct sqa_pool *pool = from->pool;
    const struct sqa_pool_cell *cells[CELLS];
    bool *done = sqa_arena_alloc(&plots->arena, pool->n_cells + 1);
    double x, y;
    (void)err;
    plots->failed = plots->failed || !done;
    for (int phase = 0; phase < SQA_PHASE_N && done; phase++) {
        memset(done, 0, pool->n_cells);
        for (size_t i = 0; i < pool->n_cells; i++) {
            const double threads = sqa_pool_number(pool, &pool->cells[i], phase, SQA_CELLS_threads);
            size_t n = 0;
            for (size_t k = i; k < pool->n_cells; k++) {
                const struct sqa_pool_cell *c = &pool->cells[k];
                if (done[k] || !point_of(pool, c, phase, &x, &y) || !sqa_plots_wants(from, c->model) ||
                    sqa_pool_number(pool, c, phase, SQA_CELLS_threads) != threads)
                    continue;
                done[k] = true;
                if (n < CELLS)
                    cells[n++] = c;
            }
            if (n > 0)
                picture(plots, from, cells, n, phase, threads);
        }
    }
    return SQA_OK;
}
