/* Directions of hand-made states, their signs and scales, and what is missing. */
#include "solvers/base/memory.h"
#include "solvers/direction.h"
#include "tests/support/check.h"

static const double tol = 1e-15; /* a few roundings of numbers up to 1, in double */

/* The direction of n states of d = 2. */
static bool direction_of(int n, const float *states, double *out)
{
    out[0] = out[1] = 0;
    for (int k = 0; k < n; k++) sd_direction_add(2, states + 2 * k, out);
    return sd_direction_finish(2, out);
}

static void states_count_alike_whatever_their_norm(void)
{
    const float right_up[] = {1, 0, 0, 2}, against[] = {3, 4, -1, 0};
    double      out[2];

    CHECK(direction_of(2, right_up, out));
    CLOSE(out[0], sqrt(0.5), tol);
    CLOSE(out[1], sqrt(0.5), tol);
    CHECK(direction_of(2, against, out)); /* (0.6, 0.8) + (-1, 0): the sign stays */
    CLOSE(out[0], -0.4 / sqrt(0.8), tol);
    CLOSE(out[1], 0.8 / sqrt(0.8), tol);
}

static void tokens_count_alike_and_spread(void)
{
    const double half = sqrt(0.5), vectors[] = {half, half, 0, 1};
    double       direction[2], spread;

    CHECK(sd_direction_mean(2, 2, vectors, direction) == 2);
    CLOSE(atan2(direction[1], direction[0]), 67.5 / 180 * acos(-1.0), 4 * tol);
    CHECK(sd_direction_spread(2, 2, vectors, &spread) == SD_OK);
    CLOSE(spread, 45, 1e-13); /* degrees of a rounding: 57 x 2e-16, a few times */
}

/* A zero, NaN or infinite state counts as absent, and so does a token without a direction. */
static void what_has_no_direction_is_left_out(void)
{
    const float  odd[]     = {1, 0, NAN, 1, 0, 0, INFINITY, 1, 0, 3};
    const double vectors[] = {NAN, NAN, 0, 1, NAN, NAN};
    double       out[2], spread;

    CHECK(direction_of(5, odd, out)); /* (1, 0) + (0, 1) */
    CLOSE(out[0], sqrt(0.5), tol);
    CHECK(!direction_of(2, odd + 2, out) && isnan(out[0]) && isnan(out[1]));
    CHECK(sd_direction_mean(3, 2, vectors, out) == 1);
    CLOSE(out[1], 1, 0);
    CHECK(sd_direction_spread(3, 2, vectors, &spread) == SD_OK && isnan(spread)); /* no pair */
    CHECK(sd_direction_mean(1, 2, vectors, out) == 0 && isnan(out[0]) && isnan(out[1]));
    CHECK(sd_direction_mean(0, 2, vectors, out) == 0 && isnan(out[0]));
}

static void opposite_states_have_no_direction(void)
{
    const float opposite[] = {2, 1, -4, -2};
    double      out[2];

    CHECK(!direction_of(2, opposite, out) && isnan(out[0]) && isnan(out[1]));
}

static void extreme_norms_do_not_spill(void)
{
    const float huge[] = {3e38f, 3e38f}, tiny[] = {1e-44f, 0};
    double      sum[2] = {0, 0};

    CHECK(sd_direction_add(2, huge, sum));
    CLOSE(sum[0], sqrt(0.5), tol);
    CHECK(sd_direction_add(2, tiny, sum));
    CLOSE(sum[0], 1 + sqrt(0.5), 2 * tol);
}

static void failed_allocation_is_reported(void)
{
    const double v[] = {1, 0};
    double       spread;

    sd_clear();
    sd_alloc_fail_at(1);
    CHECK(sd_direction_spread(1, 2, v, &spread) == SD_ERR_RESOURCE);
    sd_alloc_fail_at(0);
    sd_clear();
}

int main(void)
{
    states_count_alike_whatever_their_norm();
    tokens_count_alike_and_spread();
    what_has_no_direction_is_left_out();
    opposite_states_have_no_direction();
    extreme_norms_do_not_spill();
    failed_allocation_is_reported();
    return REPORT();
}
