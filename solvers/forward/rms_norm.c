#include "solvers/forward/rms_norm.h"

#include <math.h>

#include "solvers/forward/fast_exp.h"

/* One partial sum per lane, so that the order does not depend on the vector length. */
SD_CLONED static double sum_of_squares(int64_t n, const float *x)
{
    double        lane[SD_LANES] = {0}, sum = 0;
    const int64_t whole = n / SD_LANES * SD_LANES;

    for (int64_t i = 0; i < whole; i += SD_LANES)
        for (int k = 0; k < SD_LANES; k++) lane[k] += (double)x[i + k] * x[i + k];
    for (int64_t i = whole; i < n; i++) lane[i - whole] += (double)x[i] * x[i];
    for (int k = 0; k < SD_LANES; k++) sum += lane[k];
    return sum;
}

double sd_rms_divisor(const sd_norm *norm, int64_t d, const float *x)
{
    return sqrt(sum_of_squares(d, x) / (double)d + norm->eps);
}

void sd_rms_norm(const sd_norm *norm, int64_t n, int64_t d, const float *x, float *y)
{
    for (int64_t row = 0; row < n; row++) {
        const float *from  = x + row * d;
        float       *to    = y + row * d;
        const float  scale = (float)(1 / sd_rms_divisor(norm, d, from));

        for (int64_t i = 0; i < d; i++) to[i] = norm->gamma[i] * (from[i] * scale);
    }
}
