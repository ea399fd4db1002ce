/**
 * @file direction.h
 * @brief Empirical directions: what the states of high-norm tokens point at.
 *
 *     per token   e_t = unit( sum over the plateau of h / |h| )
 *     direction   e   = unit( sum over tokens of e_t )
 *     spread      mean pairwise acute angle of the e_t
 *
 * Directions keep the sign of the states they average. Sums are in double and run in the order in
 * which things are added, so that they do not depend on who computed the states. What has no
 * direction (a zero, NaN or infinity) is left out of the sums; where nothing is left the result is
 * NaN.
 *
 * Source: the paper's section on the high-norm direction; unit states instead of raw ones, so that
 * every token and state counts the same, are ours.
 */
#ifndef SD_SOLVERS_DIRECTION_H
#define SD_SOLVERS_DIRECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "solvers/base/status.h"

/**
 * @brief sum += state / |state|.
 *
 * @param[in,out] sum  d values
 * @return false, and `sum` unchanged, when the state is 0 or not finite
 */
bool sd_direction_add(int64_t d, const float *state, double *sum);

/**
 * @brief Scales a sum to length 1; all NaN when it has no direction.
 * @return whether it has one
 */
bool sd_direction_finish(int64_t d, double *sum);

/**
 * @brief Unit mean of unit vectors; those with NaN are left out.
 *
 * @param[in]  vectors  n x d, as sd_direction_finish() leaves them
 * @param[out] out      d; NaN when there was nothing to average or the sum is 0
 * @return how many vectors it is the mean of
 */
int64_t sd_direction_mean(int64_t n, int64_t d, const double *vectors, double *out);

/**
 * @brief Mean pairwise acute angle, in degrees, of unit vectors; those with NaN are left out.
 *
 * @param[out] spread  NaN for fewer than two vectors
 *
 * Cost: n^2 d; holds 8 n d bytes. Errors: SD_ERR_RESOURCE.
 */
sd_status sd_direction_spread(int64_t n, int64_t d, const double *vectors, double *spread);

#endif
