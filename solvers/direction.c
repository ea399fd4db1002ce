#include "solvers/direction.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "solvers/angle.h"
#include "solvers/base/memory.h"

/* Squares of floats neither overflow nor vanish in double. */
bool sd_direction_add(int64_t d, const float *state, double *sum)
{
    double square = 0;

    for (int64_t i = 0; i < d; i++) square += (double)state[i] * state[i];
    if (!(square > 0) || !isfinite(square)) return false;

    const double scale = 1 / sqrt(square);
    for (int64_t i = 0; i < d; i++) sum[i] += scale * state[i];
    return true;
}

bool sd_direction_finish(int64_t d, double *sum)
{
    if (sd_normalise(d, sum)) return true;
    for (int64_t i = 0; i < d; i++) sum[i] = NAN;
    return false;
}

static bool is_usable(int64_t k, int64_t d, const double *vectors)
{
    return !isnan(vectors[k * d]);
}

int64_t sd_direction_mean(int64_t n, int64_t d, const double *vectors, double *out)
{
    int64_t used = 0;

    for (int64_t i = 0; i < d; i++) out[i] = 0;
    for (int64_t k = 0; k < n; k++) {
        if (!is_usable(k, d, vectors)) continue;
        used++;
        for (int64_t i = 0; i < d; i++) out[i] += vectors[k * d + i];
    }
    sd_direction_finish(d, out);
    return used;
}

sd_status sd_direction_spread(int64_t n, int64_t d, const double *vectors, double *spread)
{
    int64_t   used  = 0;
    double   *dense = NULL;
    sd_status st    = SD_OK;

    SD_TRY(sd_alloc(n * d, sizeof *dense, &dense));
    for (int64_t k = 0; k < n; k++)
        if (is_usable(k, d, vectors))
            memcpy(dense + used++ * d, vectors + k * d, (size_t)d * sizeof *dense);
    *spread = sd_spread(used, d, dense);

done:
    sd_free(dense);
    return st;
}
