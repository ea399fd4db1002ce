/**
 * @file direction.h
 * @brief Empirical directions: what the states of high-norm tokens point at.
 *
 *     per token   e_t = unit( sum over the plateau of h / |h| )
 *     direction   e   = unit( sum over tokens of e_t )
 *     spread      mean pairwise acute angle of the e_t
 *
 * Directions keep the sign of the states they average. Sums are in double and run over tokens, then
 * states, in their order, so that they do not depend on who computed the states. What has no
 * direction (nothing there, a zero, NaN or infinity) is left out of the sums; where nothing is left
 * the result is NaN.
 *
 * Source: the paper's section on the high-norm direction; unit states instead of raw ones, so that
 * every token and state counts the same, are ours.
 */
#ifndef SD_SOLVERS_DIRECTION_H
#define SD_SOLVERS_DIRECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "solvers/base/status.h"

/** States kept of some tokens, in the order of the text. Borrowed until the call returns. */
typedef struct {
    int64_t      n_tokens, n_states, d;
    const float *state;   /* n_tokens x n_states x d                                           */
    const bool  *present; /* n_tokens x n_states: whether it was kept; NULL for all            */
} sd_kept_states;

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
 * @brief Unit mean of the unit states of the chosen tokens, state by state.
 *
 * @param[in]  kept    the states
 * @param[in]  chosen  n_tokens, or NULL for all
 * @param[out] out     n_states x d; NaN where no chosen token has the state
 */
void sd_direction_per_state(const sd_kept_states *kept, const bool *chosen, double *out);

/**
 * @brief Unit mean over states first .. last of the unit states, token by token.
 *
 * @param[in]  kept         the states
 * @param[in]  first, last  within 0 .. n_states - 1
 * @param[out] out          n_tokens x d; NaN for a token without any of these states
 */
void sd_direction_plateau(const sd_kept_states *kept, int64_t first, int64_t last, double *out);

/**
 * @brief Unit mean of the chosen vectors; those with NaN are left out.
 *
 * @param[in]  vectors  n x d, as from sd_direction_plateau()
 * @param[in]  chosen   n, or NULL for all
 * @param[out] out      d; NaN when nothing was chosen or the sum is 0
 * @return how many vectors it is the mean of
 */
int64_t sd_direction_mean(int64_t n, int64_t d, const double *vectors, const bool *chosen,
                          double *out);

/**
 * @brief Mean pairwise acute angle, in degrees, of the chosen vectors; those with NaN are left out.
 *
 * @param[out] spread  NaN for fewer than two vectors
 *
 * Cost: n^2 d; holds 8 n d bytes. Errors: SD_ERR_RESOURCE.
 */
sd_status sd_direction_spread(int64_t n, int64_t d, const double *vectors, const bool *chosen,
                              double *spread);

#endif
