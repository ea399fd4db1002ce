/* The closed form is the limit of the paper's least-squares fit: the distance falls like 1/sqrt(n).
 */
#include <stddef.h>

#include "solvers/base/memory.h"
#include "solvers/sampled_fit.h"
#include "tests/support/check.h"
#include "tests/support/made_block.h"

enum { D = 14, F = 19 };

/* A2 from the scales of stein.h, formed entry by entry. */
static void closed_form(const sd_block *b, const sd_linear_options *o, double *a2)
{
    const float *scale = o->scaled_input ? b->norm2.gamma : NULL;
    sd_matrix    gate = b->gate, up = b->up;
    double       alpha[F] = {0}, beta[F];
    float        g[D]     = {0}, u[D];

    if (!o->keep_biases) gate.bias = up.bias = NULL;
    if (gate.rows > 0)
        CHECK(sd_stein_gated(b->act, &gate, &up, scale, alpha, beta) == SD_OK);
    else
        CHECK(sd_stein_plain(b->act, &up, scale, beta) == SD_OK);
    for (int64_t i = 0; i < F; i++) {
        if (gate.rows > 0) sd_matrix_rows(&gate, i, 1, g);
        sd_matrix_rows(&up, i, 1, u);
        for (int64_t k = 0; k < D; k++)
            a2[i * D + k] = (alpha[i] * g[k] + beta[i] * u[k]) * (scale != NULL ? scale[k] : 1.0f);
    }
}

static double relative_distance(const double *a, const double *b)
{
    double apart = 0, size = 0;

    for (int i = 0; i < F * D; i++) apart += (a[i] - b[i]) * (a[i] - b[i]);
    for (int i = 0; i < F * D; i++) size += b[i] * b[i];
    return sqrt(apart / size);
}

/*
 * Slope of log distance over log n, n = 2000 .. 128 000, by least squares over 7 points. The
 * distance is a root mean square over 266 entries; the 14 of a row share their samples, so that it
 * scatters like 19 or more independent ones: 1/sqrt(2 * 19) = 16 % per point. With log n spread by
 * ln 2 * sqrt(28) the slope scatters by 0.16 / 3.7 = 0.044; 3 of these are allowed.
 */
static void distance_falls_like_one_over_the_root_of_samples(const made_shape *shape, int option)
{
    enum { POINTS = 7 };
    const sd_linear_options options = {option & 1, option & 2};
    double                  want[F * D], slope = 0, spread = 0, last = 0;
    made_block              made;

    make_block(shape, 3, &made);
    closed_form(&made.block, &options, want);
    for (int k = 0; k < POINTS; k++) {
        const sd_fit_draws draws = {2000 << k, 5, (uint32_t)k};
        const double       x     = log(2) * (k - (POINTS - 1) / 2);
        double            *a2    = NULL;

        CHECK(sd_sampled_fit_gaussian(&made.block, &options, &draws, NULL, &a2) == SD_OK);
        if (a2 == NULL) break;
        last = relative_distance(a2, want);
        slope += x * log(last);
        spread += x * x;
        sd_free(a2);
    }
    CLOSE(slope / spread, -0.5, 3 * 0.044);
    CHECK(last < 0.03); /* and it does go to zero: about sqrt(d / n) */
    free_block(&made);
}

int main(void)
{
    const made_shape shapes[] = {
        {D, F, 2, 1, 3, SD_WIRING_SEQUENTIAL, SD_ACT_SILU, SD_F32, true, true},
        {D, F, 2, 1, 3, SD_WIRING_SEQUENTIAL, SD_ACT_GELU_TANH, SD_BF16, true, true},
        {D, F, 2, 1, 3, SD_WIRING_SEQUENTIAL, SD_ACT_GELU, SD_F32, false, true},
        {D, F, 2, 1, 3, SD_WIRING_SEQUENTIAL, SD_ACT_RELU, SD_F32, false, true},
        {D, F, 2, 1, 3, SD_WIRING_SEQUENTIAL, SD_ACT_RELU_SQUARED, SD_F32, true, true},
    };

    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        distance_falls_like_one_over_the_root_of_samples(&shapes[s], (int)(s % 4));
    distance_falls_like_one_over_the_root_of_samples(&shapes[0], 3);
    return REPORT();
}
