/* friedman.c - see friedman.h */
#include "reports/friedman.h"

#include <math.h>

#include "reports/stats.h"

void sqa_ranks(const double *x, size_t k, int direction, double *rank)
{
    for (size_t i = 0; i < k; i++) {
        double before = 0, equal = 0;
        for (size_t j = 0; j < k; j++) {
            before += direction > 0 ? x[j] > x[i] : x[j] < x[i];
            equal += x[j] == x[i];
        }
        rank[i] = before + (equal + 1) / 2;
    }
}

/* k times the integral of phi(z) (Phi(z) - Phi(z - q))^(k - 1), by Simpson's rule. */
double sqa_range_cdf(double q, size_t k)
{
    enum { STEPS = 800 };
    const double from = -8, to = 8 + q, h = (to - from) / STEPS, normal = 1 / sqrt(2 * acos(-1));
    double sum = 0;
    for (int i = 0; i <= STEPS; i++) {
        const double z = from + h * i, weight = i == 0 || i == STEPS ? 1 : i % 2 ? 4 : 2;
        sum += weight * normal * exp(-z * z / 2) * pow(sqa_normal_cdf(z) - sqa_normal_cdf(z - q), (double)(k - 1));
    }
    return (double)k * sum * h / 3;
}

double sqa_range_quantile(double p, size_t k)
{
    double low = 0, high = 20;
    for (int i = 0; i < 60; i++) {
        const double middle = (low + high) / 2;
        *(sqa_range_cdf(middle, k) < p ? &low : &high) = middle;
    }
    return (low + high) / 2;
}

struct sqa_friedman sqa_friedman(const double *rank, size_t n, size_t k, double *mean)
{
    const double rows = (double)n, models = (double)k;
    double squares = 0, ties = 0;
    struct sqa_friedman f;
    for (size_t j = 0; j < k; j++) {
        mean[j] = 0;
        for (size_t i = 0; i < n; i++)
            mean[j] += rank[i * k + j] / rows;
        squares += mean[j] * mean[j];
    }
    for (size_t i = 0; i < n; i++) /* the sum of t^3 - t over groups of t equals, a t-th of it from each member */
        for (size_t j = 0; j < k; j++) {
            double equal = 0;
            for (size_t l = 0; l < k; l++)
                equal += rank[i * k + l] == rank[i * k + j];
            ties += equal * equal - 1;
        }
    const double correction = 1 - ties / (rows * models * (models * models - 1));
    f.chi_squared = 12 * rows / (models * (models + 1)) * (squares - models * (models + 1) * (models + 1) / 4);
    f.chi_squared = correction > 0 ? f.chi_squared / correction : 0;
    const double rest = rows * (models - 1) - f.chi_squared;
    f.f = rest > 0 ? (rows - 1) * f.chi_squared / rest : (double)INFINITY;
    f.p = isinf(f.f) ? 0 : 1 - sqa_f_cdf(f.f, models - 1, (models - 1) * (rows - 1));
    f.difference = sqa_range_quantile(0.95, k) * sqrt(models * (models + 1) / (12 * rows));
    return f;
}
