/* checks_scan.c - checks of what goes along a sequence: transforms, convolutions, scans, recurrences, steps: see checks.h */
#include "kernels/checks.h"

/* Buffers 0 to 3: u, k, k2, dy; 7 to 10: y, du, dk, dk2; rows of 3 channels */
double sqa_check_fft(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    enum { LANES = 3 };
    const int64_t length = (int64_t)(n ? at_most(n, 1024) : 1);
    const size_t count = LANES * (size_t)length;
    for (int b = 0; b < 4; b++)
        fill(b, key, count, -1, 1);
#define CALLS(k, T, ws)                                                                                  \
    {                                                                                                    \
        const size_t points = k->fft_spectrum(length);                                                   \
        struct sqa_fft f = {length, LANES, ws + 4 * points};                                             \
        k->fft_prepare(length, ws + 4 * points);                                                         \
        k->fft_kernel(&f, buffer[1].T, buffer[2].T, LANES, ws);                                          \
        k->fft_convolve(&f, buffer[0].T, LANES, ws, buffer[7].T, LANES, ws + points);                    \
        for (size_t i = 0; i < points; i++)                                                              \
            ws[points + i] = 0;                                                                          \
        k->fft_gradient(&f, buffer[0].T, LANES, buffer[3].T, LANES, ws, ws + points, buffer[8].T, LANES, \
                        ws + 2 * points);                                                                \
        k->fft_kernel_grad(&f, ws + points, buffer[9].T, buffer[10].T, LANES);                           \
    }
    CALLS(simd, f, ((float *)workspace_f))
    CALLS(plain(), d, workspace_d)
#undef CALLS
    double worst = 0;
    for (int b = 7; b < 11; b++)
        worst = larger(error_over(b, count, 1), worst); /* one row: dk2 is 0 */
    return worst;
}

double sqa_check_glu(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    const size_t rows = 3, width = at_most(n, MAX / 6);
    fill(0, key, 2 * rows * width, -20, 20);
    fill(1, key, rows * width, -1, 1);
#define CALLS(k, T)                                \
    k->glu(buffer[0].T, buffer[2].T, rows, width); \
    k->glu_grad(buffer[0].T, buffer[1].T, buffer[3].T, rows, width);
    CALLS(simd, f)
    CALLS(plain(), d)
#undef CALLS
    return larger(error_over(2, rows * width, 1), error_over(3, 2 * rows * width, 1));
}

/* Decaying powers, as double values in workspace_d; rows of 2 m */
double sqa_check_powers(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    enum { LONG = 40 };
    const size_t m = at_most(n, MAX / (2 * LONG)), all = 2 * m * LONG;
    double *z = workspace_d, *w = z + 2 * m, *value[2] = {w + 2 * m, w + 4 * m}, *slope[2] = {w + 6 * m, w + 8 * m};
    fill(0, key, 2 * m, -0.7, 0.7);
    fill(1, key, all, -1, 1);
    for (size_t i = 0; i < 2 * m; i++)
        z[i] = buffer[0].d[i];
#define CALLS(k, T, which)                               \
    for (size_t i = 0; i < 2 * m; i++)                   \
        w[i] = 1;                                        \
    k->powers(z, w, m, LONG, 2, -2, buffer[2].T, 2 * m); \
    k->polynomials(z, m, LONG, buffer[1].T, 2 * m, value[which], slope[which]);
    CALLS(simd, f, 0)
    CALLS(plain(), d, 1)
#undef CALLS
    double worst = error_over(2, all, 1);
    for (size_t i = 0; i < 2 * m; i++) {
        worst = larger(ratio(value[0][i], value[1][i], 10), worst);
        worst = larger(ratio(slope[0][i], slope[1][i], 100), worst);
    }
    return worst;
}

/* Steps of 2 and of 4 with three places, whole and of the real part alone; buffers 0 to 2: x, turns; 3, 5 and 6: y */
double sqa_check_dft_step(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    enum { PLACES = 3 };
    const size_t m = at_most(n, MAX / (4 * PLACES));
    double worst = 0;
    for (int b = 0; b < 3; b++)
        fill(b, key, 4 * PLACES * m + 8 * PLACES, -1, 1);
    for (int factor = 2; factor <= 4; factor += 2) {
#define CALLS(k, T)                                                         \
    for (int whole = 0; whole < 2; whole++)                                 \
        k->dft_step(&(struct sqa_dft_step){.factor = factor,                \
                                           .places = PLACES,                \
                                           .m = (int64_t)m,                 \
                                           .x_stride = (int64_t)m,          \
                                           .n = (int64_t)factor * PLACES,   \
                                           .step = 1,                       \
                                           .x_re = buffer[0].T,             \
                                           .x_im = buffer[1].T,             \
                                           .turns = buffer[2].T,            \
                                           .y_re = buffer[3 + 2 * whole].T, \
                                           .y_im = whole ? buffer[6].T : NULL});
        CALLS(simd, f)
        CALLS(plain(), d)
#undef CALLS
        for (int b = 3; b < 7; b++)
            worst = b == 4 ? worst : larger(error_over(b, (size_t)factor * PLACES * m, 4), worst);
    }
    return worst;
}

/* Real and complex rows of m channels, and the gradient backwards in time with one a, added to dx and da; buffers 0
 * to 2: a, x, dy; 3 to 5: y, dx, da; 6, 7: dx, da of the second */
double sqa_check_scan(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    enum { LONG = 50 };
    const int64_t m = (int64_t)at_most(n, MAX / (2 * LONG)), imag = key % 2 ? m : 0, row = 2 * m;
    const size_t all = (size_t)row * LONG;
    for (int b = 0; b < 3; b++)
        fill(b, key, all, -0.7, 0.7);
    const int64_t last = row * (LONG - 1);
    for (int b = 3; b < 6; b++)
        fill(b, key, all, 0, 0);
    for (int b = 6; b < 8; b++)
        fill(b, key, all, -1, 1);
#define CALLS(k, T)                                                                                             \
    k->scan(&(struct sqa_scan){LONG, m, imag, buffer[0].T, buffer[1].T, buffer[3].T, row, row, row});           \
    k->scan_grad(&(struct sqa_scan_grad){LONG, m, imag, 0, buffer[0].T, buffer[3].T, buffer[2].T, buffer[4].T,  \
                                         buffer[5].T, row, row, row, row, row});                                \
    k->scan_grad(&(struct sqa_scan_grad){LONG, m, imag, 1, buffer[0].T, buffer[3].T + last, buffer[2].T + last, \
                                         buffer[6].T + last, buffer[7].T, 0, -row, -row, -row, 0});
    CALLS(simd, f)
    CALLS(plain(), d)
#undef CALLS
    double worst = 0;
    for (int b = 3; b < 8; b++)
        worst = larger(error_over(b, all, 1), worst);
    return worst;
}

/* Taps inside and over the ends; buffers 0 to 2: x, w, bias; 3: y, 4: dw */
double sqa_check_conv1d(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    enum { LONG = 40, MOST = 19 };
    const int64_t m = (int64_t)at_most(n, MAX / LONG), k = 1 + (int64_t)(key % MOST), left = (int64_t)(key / 7) % k;
    const int64_t valid = (int64_t)(key / 3) % (LONG + 1), first = (int64_t)(key % 2) * 3;
    const size_t all = (size_t)m * LONG;
    for (int b = 0; b < 5; b++)
        fill(b, key, all, b < 3 ? -1 : 0, b < 3 ? 1 : 0);
#define CALLS(kernels, T)                                                                                 \
    struct sqa_conv1d T##_c = {first,       LONG - first, valid,       m,           k, left, buffer[0].T, \
                               buffer[1].T, buffer[2].T,  buffer[3].T, buffer[4].T, m, m,    m};          \
    kernels->conv1d(&T##_c);                                                                              \
    kernels->conv1d_taps(&T##_c);
    CALLS(simd, f)
    CALLS(plain(), d)
#undef CALLS
    return larger(error_over(3, all, 1), error_over(4, (size_t)(m * k), 1));
}

/* Buffers 0 to 4: nodes' y (its low part 0 and later some digits of b's size), poles' a, b, b's low part, v; 5: sums;
 * 6: gradients of them */
double sqa_check_cauchy(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    enum { SUMS = 4, COLUMNS = 2 * SUMS };
    const size_t poles = at_most(1 + n / 8, 16), nodes = at_most(1 + n / 16, 8) * SQA_CAUCHY_LANES;
    double *dv[2] = {workspace_d, workspace_d + 512}, *da[2], *db[2];
    for (int i = 0; i < 2; i++) {
        da[i] = dv[i] + COLUMNS * poles;
        db[i] = da[i] + poles;
    }
    fill(0, key, nodes, 0, 10);
    fill(1, key, poles, 0.01, 1);
    fill(2, key, poles, 0, 10);
    fill(3, key, poles, -1e-7, 1e-7);
    fill(4, key, COLUMNS * poles, -1, 1);
    fill(6, key, COLUMNS * nodes, -1, 1);
    fill(7, key, nodes, -1e-7, 1e-7);
#define CALLS(k, T, which)                                                                            \
    {                                                                                                 \
        const struct sqa_cauchy c = {nodes,       poles,       SUMS,        buffer[0].T, buffer[7].T, \
                                     buffer[1].T, buffer[2].T, buffer[3].T, buffer[4].T};             \
        k->cauchy(&c, buffer[5].T);                                                                   \
        k->cauchy_grad(&c, buffer[6].T, dv[which], da[which], db[which]);                             \
    }
    CALLS(simd, f, 0)
    CALLS(plain(), d, 1)
#undef CALLS
    double worst = error_over(5, COLUMNS * nodes, 1), largest = 1;
    for (size_t i = 0; i < (COLUMNS + 2) * poles; i++)
        largest = larger(fabs(dv[1][i]), largest);
    for (size_t i = 0; i < (COLUMNS + 2) * poles; i++)
        worst = larger(ratio(dv[0][i], dv[1][i], largest), worst);
    return worst;
}

/* Forward and backward. Buffers 0 to 4: u, dt, b, c, dy; 5: a, then skip; 6: y, then da and dskip; 7: what is kept;
 * 8 to 11: du, ddt, db, dc */
double sqa_check_selective(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    enum { LONG = 45, CHUNK = 16, CHUNKS = 3 };
    const int64_t m = (int64_t)at_most(n, 150), states = 1 + (int64_t)(key % 7), da = LONG * m;
    for (int b = 0; b < 5; b++)
        fill(b, key, MAX, b == 1 ? 0 : -1, 1);
    fill(5, key, MAX, -3, 0);
    for (int b = 6; b < BUFFERS; b++)
        fill(b, key, MAX, 0, 0);
#define CALLS(k, T, ws)                                                                                              \
    {                                                                                                                \
        const struct sqa_selective f = {LONG,                                                                        \
                                        m,                                                                           \
                                        states,                                                                      \
                                        CHUNK,                                                                       \
                                        buffer[0].T,                                                                 \
                                        buffer[1].T,                                                                 \
                                        buffer[5].T,                                                                 \
                                        buffer[2].T,                                                                 \
                                        buffer[3].T,                                                                 \
                                        buffer[5].T + states * m,                                                    \
                                        m,                                                                           \
                                        m,                                                                           \
                                        m,                                                                           \
                                        states,                                                                      \
                                        states,                                                                      \
                                        buffer[6].T,                                                                 \
                                        buffer[7].T,                                                                 \
                                        m,                                                                           \
                                        m};                                                                          \
        k->selective(&f, ws);                                                                                        \
        k->selective_grad(&(struct sqa_selective_grad){f, buffer[4].T, buffer[8].T, buffer[9].T, buffer[6].T + da,   \
                                                       buffer[10].T, buffer[11].T, buffer[6].T + da + states * m, m, \
                                                       m, m, m, states, states},                                     \
                          ws);                                                                                       \
    }
    if (CHUNKS * states * m > MAX || da + (states + 1) * m > MAX)
        return HUGE_VAL;
    CALLS(simd, f, workspace_f)
    CALLS(plain(), d, workspace_d)
#undef CALLS
    double worst =
        larger(error_over(6, (size_t)(da + (states + 1) * m), 1), error_over(7, (size_t)(CHUNKS * states * m), 1));
    for (int b = 8; b < BUFFERS; b++)
        worst = larger(error_over(b, (size_t)(LONG * (b < 10 ? m : states)), 1), worst);
    return worst;
}

/* Every kind of decay, two updates, two readings. Buffers 0 to 6: decay, x, z, r, x2, z2, r2; 7: y; 8: y2; 9: M */
double sqa_check_matrix_scan(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    enum { LONG = 40 };
    const int64_t columns = (int64_t)at_most(n, 90), rows = 5 + (int64_t)(key % 13);
    double worst = 0;
    for (int form = 0; form < 6; form++) {
        fill(0, key, MAX, 0.5, 1);
        for (int b = 1; b < 10; b++)
            fill(b, key, MAX, b == 9 ? 0 : -0.5, 0.5);
#define CALLS(k, T)                                                                 \
    k->matrix_scan(&(struct sqa_matrix_scan){LONG,                                  \
                                             rows,                                  \
                                             columns,                               \
                                             (enum sqa_decay)(form < 4 ? form : 0), \
                                             form % 2,                              \
                                             buffer[0].T,                           \
                                             buffer[1].T,                           \
                                             buffer[2].T,                           \
                                             buffer[3].T,                           \
                                             form == 4 ? buffer[4].T : NULL,        \
                                             buffer[5].T,                           \
                                             form == 5 ? buffer[6].T : NULL,        \
                                             form == 1   ? 0                        \
                                             : form == 2 ? rows                     \
                                                         : columns,                 \
                                             rows,                                  \
                                             columns,                               \
                                             rows,                                  \
                                             rows,                                  \
                                             columns,                               \
                                             rows,                                  \
                                             buffer[7].T,                           \
                                             buffer[8].T,                           \
                                             buffer[9].T,                           \
                                             columns,                               \
                                             columns});
        CALLS(simd, f)
        CALLS(plain(), d)
#undef CALLS
        for (int b = 7; b < 10; b++)
            worst = larger(error_over(b, (size_t)((b < 9 ? LONG : rows) * columns), 1), worst);
    }
    return worst;
}

/* With a first update, with readings, with neither; backward in time. Buffers 0 to 5: x, z, k, v, q, beta; 6: e; 7:
 * y; 8: M */
double sqa_check_delta_scan(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    enum { LONG = 40 };
    const int64_t columns = (int64_t)at_most(n, 90), rows = 5 + (int64_t)(key % 13), last = LONG - 1;
    double worst = 0;
    for (int form = 0; form < 3; form++) {
        for (int b = 0; b < 9; b++)
            fill(b, key, MAX, b == 5 ? 0 : -0.4, b == 5 ? 1 : 0.4);
#define CALLS(k, T)                                                                         \
    k->delta_scan(&(struct sqa_delta_scan){LONG,                                            \
                                           rows,                                            \
                                           columns,                                         \
                                           form == 1 ? buffer[0].T + last * rows : NULL,    \
                                           buffer[1].T + last * columns,                    \
                                           buffer[2].T + last * rows,                       \
                                           form == 1 ? NULL : buffer[3].T + last * columns, \
                                           buffer[5].T + last,                              \
                                           form == 2 ? buffer[4].T + last * rows : NULL,    \
                                           -rows,                                           \
                                           -columns,                                        \
                                           -rows,                                           \
                                           -columns,                                        \
                                           -1,                                              \
                                           -rows,                                           \
                                           buffer[6].T + last * columns,                    \
                                           buffer[7].T + last * columns,                    \
                                           buffer[8].T,                                     \
                                           -columns,                                        \
                                           -columns});
        CALLS(simd, f)
        CALLS(plain(), d)
#undef CALLS
        for (int b = 6; b < 9; b++)
            worst = larger(error_over(b, (size_t)((b < 8 ? LONG : rows) * columns), 1), worst);
    }
    return worst;
}

/* buffers 0 to 3: a, q, k, v; 4: s; 5: o. Three steps, so that errors of s show. */
double sqa_check_state_step(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    const int64_t m = 1 + (int64_t)(key % 9) * 3, columns = (int64_t)at_most(n, (size_t)(MAX / m));
    for (int b = 0; b < 4; b++)
        fill(b, key, (size_t)(m + columns), -0.9, 0.9);
    fill(4, key, (size_t)(m * columns), -1, 1);
#define CALLS(k, T)                                                                                        \
    for (int i = 0; i < 3; i++)                                                                            \
        k->state_step(&(struct sqa_state_step){m, columns, key % 4 == 0 ? NULL : buffer[0].T, buffer[1].T, \
                                               buffer[2].T, buffer[3].T, key % 4 == 1, buffer[4].T, buffer[5].T});
    CALLS(simd, f)
    CALLS(plain(), d)
#undef CALLS
    return larger(error_over(4, (size_t)(m * columns), 1), error_over(5, (size_t)columns, 1));
}

/* buffers 0 to 2: q, k, v; 3: o */
double sqa_check_attend(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    const int64_t keys = (int64_t)at_most(n ? n : 1, SQA_ATTEND_KEYS), d = 1 + (int64_t)(key % 40), dv = 64 - d;
    fill(0, key, (size_t)d, -1, 1);
    fill(1, key, (size_t)(keys * d), -2, 2);
    fill(2, key, (size_t)(keys * dv), -1, 1);
    struct sqa_attend f = {keys, d, dv, 0.7, buffer[0].f, buffer[1].f, buffer[2].f, d, dv, buffer[3].f, 0, 0};
    struct sqa_attend p = {keys, d, dv, 0.7, buffer[0].d, buffer[1].d, buffer[2].d, d, dv, buffer[3].d, 0, 0};
    simd->attend(&f);
    plain()->attend(&p);
    return larger(larger(error_over(3, (size_t)dv, 1), ratio(f.top, p.top, 1)), ratio(f.sum, p.sum, p.sum));
}

/* buffers 0: z; 1: before; 2: state or u; 3: h; 4: dh; 5: carry. Forward, then backward from what it left. */
double sqa_check_gates(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    const size_t units = at_most(n, MAX / 4);
    const int first = key % 3 == 0;
    double worst = 0;
    for (int lstm = 0; lstm < 2; lstm++) {
        fill(0, key, 4 * units, -3, 3);
        for (int b = 1; b < 6; b++)
            fill(b, key, units, -1, 1);
#define CALLS(k, T)                                                                      \
    const struct sqa_gates T = {(int64_t)units, buffer[0].T, buffer[2].T,                \
                                buffer[3].T,    buffer[5].T, first ? NULL : buffer[1].T, \
                                buffer[4].T};                                            \
    (lstm ? (k)->lstm_gates : (k)->gru_gates)(&T);                                       \
    (lstm ? (k)->lstm_gates_grad : (k)->gru_gates_grad)(&T);
        CALLS(simd, f)
        CALLS(plain(), d)
#undef CALLS
        for (int b = 0; b < 6; b++)
            worst = larger(error_over(b, b ? units : 4 * units, 1), worst);
    }
    return worst;
}
