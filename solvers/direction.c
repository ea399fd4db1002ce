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

static bool is_chosen(const bool *chosen, int64_t k)
{
    return chosen == NULL || chosen[k];
}

static void add_kept(const sd_kept_states *kept, int64_t token, int64_t state, double *sum)
{
    const int64_t at = token * kept->n_states + state;

    if (is_chosen(kept->present, at)) sd_direction_add(kept->d, kept->state + at * kept->d, sum);
}

static void clear(int64_t n, double *values)
{
    for (int64_t i = 0; i < n; i++) values[i] = 0;
}

void sd_direction_per_state(const sd_kept_states *kept, const bool *chosen, double *out)
{
    clear(kept->n_states * kept->d, out);
    for (int64_t t = 0; t < kept->n_tokens; t++) {
        if (!is_chosen(chosen, t)) continue;
        for (int64_t l = 0; l < kept->n_states; l++) add_kept(kept, t, l, out + l * kept->d);
    }
    for (int64_t l = 0; l < kept->n_states; l++) sd_direction_finish(kept->d, out + l * kept->d);
}

void sd_direction_plateau(const sd_kept_states *kept, int64_t first, int64_t last, double *out)
{
    clear(kept->n_tokens * kept->d, out);
    for (int64_t t = 0; t < kept->n_tokens; t++) {
        for (int64_t l = first; l <= last; l++) add_kept(kept, t, l, out + t * kept->d);
        sd_direction_finish(kept->d, out + t * kept->d);
    }
}

static bool is_usable(const bool *chosen, int64_t k, int64_t d, const double *vectors)
{
    return is_chosen(chosen, k) && !isnan(vectors[k * d]);
}

int64_t sd_direction_mean(int64_t n, int64_t d, const double *vectors, const bool *chosen,
                          double *out)
{
    int64_t used = 0;

    clear(d, out);
    for (int64_t k = 0; k < n; k++) {
        if (!is_usable(chosen, k, d, vectors)) continue;
        used++;
        for (int64_t i = 0; i < d; i++) out[i] += vectors[k * d + i];
    }
    sd_direction_finish(d, out);
    return used;
}

sd_status sd_direction_spread(int64_t n, int64_t d, const double *vectors, const bool *chosen,
                              double *spread)
{
    int64_t   used  = 0;
    double   *dense = NULL;
    sd_status st    = SD_OK;

    SD_TRY(sd_alloc(n * d, sizeof *dense, &dense));
    for (int64_t k = 0; k < n; k++)
        if (is_usable(chosen, k, d, vectors))
            memcpy(dense + used++ * d, vectors + k * d, (size_t)d * sizeof *dense);
    *spread = sd_spread(used, d, dense);

done:
    sd_free(dense);
    return st;
}
