/* hippo.c - see hippo.h */
#include "models/hippo.h"

#include <math.h>
#include <stddef.h>

#define PI 3.14159265358979323846

/* Newton's steps from 0: the sum is concave in w > 0, so they never pass the root. */
double sqa_legs_frequency(int64_t N, int64_t k)
{
    const double want = PI * (double)(2 * k + 1);
    double w = 0;

    for (int step = 0; step < 200; step++) {
        double sum = 0, slope = 0, next;

        for (int64_t n = 0; n < N; n++) {
            const double c = (double)n + 0.5;

            sum += 2 * atan(w / c);
            slope += 2 * c / (c * c + w * w);
        }
        next = w + (want - sum) / slope;
        if (fabs(next - w) <= 1e-15 * next)
            return next;
        w = next;
    }
    return w;
}

/* From r_0 = -1/2, which makes the sum 1 */
double sqa_legs_vector(int64_t N, double w, double *re, double *im)
{
    double r = -0.5, i = 0, square = 0;

    for (int64_t n = 0; n < N; n++) {
        const double c = (double)n + 0.5, scale = sqrt(2 * c) / (c * c + w * w), size = c * c + w * w;
        const double before = r;

        re[n] = -scale * (c * r + w * i); /* r (c - i w) / (c^2 + w^2) */
        im[n] = -scale * (c * i - w * r);
        square += re[n] * re[n] + im[n] * im[n];
        /* (i w - c) / (i w + c) = (w^2 - c^2 + 2 i w c) / size */
        r = ((w * w - c * c) * r - 2 * w * c * i) / size;
        i = ((w * w - c * c) * i + 2 * w * c * before) / size;
    }
    for (int64_t n = 0; n < N; n++) {
        re[n] /= sqrt(square);
        im[n] /= sqrt(square);
    }
    return 1 / sqrt(square);
}

enum { LARGEST = 64 };

/* max |S x - i w x|, and how far sum_n sqrt(2 n + 1) x_n is from what was returned */
static double residual(int64_t N, int64_t k)
{
    double re[LARGEST], im[LARGEST], worst = 0, real = 0, imaginary = 0;
    const double w = sqa_legs_frequency(N, k), sum = sqa_legs_vector(N, w, re, im);

    for (int64_t n = 0; n < N; n++) {
        double a = w * im[n], b = -w * re[n];

        for (int64_t j = 0; j < N; j++) {
            const double s = (double)((j > n) - (j < n)) * sqrt((double)((2 * n + 1) * (2 * j + 1))) / 2;

            a += s * re[j];
            b += s * im[j];
        }
        worst = fmax(worst, fmax(fabs(a), fabs(b)) / (double)N);
        real += sqrt((double)(2 * n + 1)) * re[n];
        imaginary += sqrt((double)(2 * n + 1)) * im[n];
    }
    return fmax(worst, fmax(fabs(real - sum), fabs(imaginary)));
}

enum sqa_status sqa_legs_check(struct sqa_err *err)
{
    double last = 0;

    for (int64_t N = 2; N <= LARGEST; N *= 2)
        for (int64_t k = 0; k < N / 2; k++) {
            const double error = residual(N, k), w = sqa_legs_frequency(N, k);

            if (!(error < 1e-11) || (k > 0 && w <= last))
                return sqa_fail(err, SQA_NO, "hippo: eigenvalue %lld of LegS %lld is off by %.3g", (long long)k,
                                (long long)N, error);
            last = w;
        }
    return SQA_OK;
}
