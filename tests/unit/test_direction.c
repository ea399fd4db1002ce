/* Directions of hand-made states, their signs and scales, and what is missing. */
#include <stdlib.h>

#include "solvers/base/memory.h"
#include "solvers/direction.h"
#include "tests/support/check.h"

static const double tol = 1e-15; /* a few roundings of numbers up to 1, in double */

/* Two tokens, three states, d = 2. */
static const float states[] = {
    1, 0, 0, 10, 3,  4, /* token 0 */
    0, 2, 0, 5,  -1, 0  /* token 1 */
};

static void states_count_alike_whatever_their_norm(void)
{
    const sd_kept_states kept = {2, 3, 2, states, NULL};
    double               out[6];

    sd_direction_per_state(&kept, NULL, out);
    CLOSE(out[0], sqrt(0.5), tol); /* (1, 0) and (0, 2) */
    CLOSE(out[1], sqrt(0.5), tol);
    CLOSE(out[2], 0, 0);
    CLOSE(out[3], 1, tol);
    /* (0.6, 0.8) + (-1, 0) = (-0.4, 0.8): the sign stays */
    CLOSE(out[4], -0.4 / sqrt(0.8), tol);
    CLOSE(out[5], 0.8 / sqrt(0.8), tol);
}

static void plateau_means_are_per_token_and_within_it(void)
{
    const sd_kept_states kept = {2, 3, 2, states, NULL};
    double               out[4], direction[2], spread;

    sd_direction_plateau(&kept, 0, 1, out);
    CLOSE(out[0], sqrt(0.5), tol); /* (1, 0) + (0, 1) */
    CLOSE(out[1], sqrt(0.5), tol);
    CLOSE(out[2], 0, 0); /* (0, 1) twice */
    CLOSE(out[3], 1, tol);
    CHECK(sd_direction_mean(2, 2, out, NULL, direction) == 2);
    CLOSE(atan2(direction[1], direction[0]), 67.5 / 180 * acos(-1.0), 4 * tol);
    CHECK(sd_direction_spread(2, 2, out, NULL, &spread) == SD_OK);
    CLOSE(spread, 45, 1e-13); /* degrees of a rounding: 57 x 2e-16, a few times */
}

static void chosen_tokens_alone_count(void)
{
    const sd_kept_states kept     = {2, 3, 2, states, NULL};
    const bool           second[] = {false, true}, none[] = {false, false};
    double               out[6], direction[2];
    const double         vectors[] = {1, 0, 0, -1};

    sd_direction_per_state(&kept, second, out);
    CLOSE(out[0], 0, 0);
    CLOSE(out[1], 1, tol);
    CLOSE(out[4], -1, tol);
    CHECK(sd_direction_mean(2, 2, vectors, second, direction) == 1);
    CLOSE(direction[0], 0, 0);
    CLOSE(direction[1], -1, 0);
    sd_direction_per_state(&kept, none, out);
    for (int i = 0; i < 6; i++) CHECK(isnan(out[i]));
    CHECK(sd_direction_mean(2, 2, vectors, none, direction) == 0);
    CHECK(isnan(direction[0]) && isnan(direction[1]));
}

/* What is absent may hold anything; a zero, NaN or infinite state counts as absent. */
static void missing_states_are_left_out(void)
{
    const float          some[]    = {1, 0, NAN, 1, 0, 0, INFINITY, 1, 0, 3, 7, 7};
    const bool           present[] = {true, true, true, true, true, false};
    const sd_kept_states kept      = {2, 3, 2, some, present};
    double               out[6], direction[2], spread;

    sd_direction_plateau(&kept, 0, 2, out);
    CLOSE(out[0], 1, tol);
    CLOSE(out[1], 0, 0);
    CLOSE(out[2], 0, 0);
    CLOSE(out[3], 1, tol);
    sd_direction_plateau(&kept, 2, 2, out);
    for (int i = 0; i < 4; i++) CHECK(isnan(out[i]));
    CHECK(sd_direction_mean(2, 2, out, NULL, direction) == 0 && isnan(direction[1]));
    out[0] = 0; /* one vector left: no pair */
    out[1] = 1;
    CHECK(sd_direction_mean(2, 2, out, NULL, direction) == 1);
    CLOSE(direction[1], 1, 0);
    CHECK(sd_direction_spread(2, 2, out, NULL, &spread) == SD_OK && isnan(spread));
}

static void opposite_states_have_no_direction(void)
{
    const float          opposite[] = {2, 1, -4, -2};
    const sd_kept_states kept       = {1, 2, 2, opposite, NULL};
    double               out[2];

    sd_direction_plateau(&kept, 0, 1, out);
    CHECK(isnan(out[0]) && isnan(out[1]));
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
    CHECK(sd_direction_spread(1, 2, v, NULL, &spread) == SD_ERR_RESOURCE);
    sd_alloc_fail_at(0);
    sd_clear();
}

int main(void)
{
    states_count_alike_whatever_their_norm();
    plateau_means_are_per_token_and_within_it();
    chosen_tokens_alone_count();
    missing_states_are_left_out();
    opposite_states_have_no_direction();
    extreme_norms_do_not_spill();
    failed_allocation_is_reported();
    return REPORT();
}
