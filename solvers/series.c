#include "solvers/series.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

#include "solvers/base/memory.h"

enum { SUPPORT = 3 }; /* gaps of one length that make a series regular */

static bool same(double a, double b)
{
    return fabs(a - b) <= 1e-9 * fabs(a); /* whole numbers and their logarithms: rounding only */
}

/* Number of gaps of length `unit` in a row, from k on in a direction. */
static int64_t in_a_row(int64_t n, const double *gap, int64_t k, int64_t direction, double unit)
{
    int64_t count = 0;

    for (; k >= 0 && k < n && same(gap[k], unit); k += direction) count++;
    return count;
}

/* Whether a gap of so many units is a hole among the gaps around it. */
static bool is_hole(int64_t n, const double *gap, int64_t k, double unit, double times)
{
    const int64_t left  = in_a_row(n, gap, k - 1, -1, unit),
                  right = in_a_row(n, gap, k + 1, 1, unit);
    int64_t all         = 0;

    for (int64_t i = 0; i < n; i++) all += same(gap[i], unit);
    if (left > 0 && right > 0) return all >= SUPPORT;
    if (times > 2) return false;
    if (right >= SUPPORT) return k == 0 || gap[k - 1] < gap[k];
    if (left >= SUPPORT) return k == n - 1 || gap[k + 1] < gap[k];
    return false;
}

/* How many regular intervals the k-th gap spans; 1 when it is no hole. */
static int64_t intervals(int64_t n, const double *gap, int64_t k)
{
    for (int64_t side = -1; side <= 1; side += 2) {
        if (k + side < 0 || k + side >= n) continue;
        const double unit  = gap[k + side];
        const double times = unit > 0 ? round(gap[k] / unit) : 0;

        if (times >= 2 && same(gap[k], times * unit) && is_hole(n, gap, k, unit, times))
            return (int64_t)times;
    }
    return 1;
}

sd_status sd_series_holes(int64_t n, const int64_t *step, int64_t *count, sd_hole *hole)
{
    sd_status st    = SD_OK;
    double   *plain = NULL, *ratio = NULL;

    *count = 0;
    if (n < 2) return SD_OK;
    SD_TRY(sd_alloc(n - 1, sizeof *plain, &plain));
    SD_TRY(sd_alloc(n - 1, sizeof *ratio, &ratio));
    for (int64_t k = 0; k < n - 1; k++) {
        plain[k] = (double)(step[k + 1] - step[k]);
        ratio[k] = step[k] > 0 ? log2((double)step[k + 1] / (double)step[k]) : 0;
    }
    for (int64_t k = 0; k < n - 1; k++) {
        const int64_t by_plain = intervals(n - 1, plain, k);
        const int64_t by_ratio = by_plain > 1 ? 1 : intervals(n - 1, ratio, k);

        if (by_plain > 1)
            hole[(*count)++] =
                (sd_hole){k, step[k] + (step[k + 1] - step[k]) / by_plain, by_plain - 1};
        if (by_ratio > 1)
            hole[(*count)++] = (sd_hole){
                k, llround((double)step[k] * exp2(ratio[k] / (double)by_ratio)), by_ratio - 1};
    }

done:
    sd_free(plain);
    sd_free(ratio);
    return st;
}
