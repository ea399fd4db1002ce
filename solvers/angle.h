/**
 * @file angle.h
 * @brief Angles between directions, and how special they are.
 *
 * A direction is a vector up to its length; where its sign matters the text says so. Angles are
 * acute and in degrees. In high dimension two random directions are nearly perpendicular, so a
 * small angle is rare by itself; but directions that sit on few channels come close cheaply, which
 * sd_deflated_angle(), sd_participation() and sd_permuted_chance() show.
 *
 * All functions are local and pure. Cost is O(d) unless another is stated.
 */
#ifndef SD_SOLVERS_ANGLE_H
#define SD_SOLVERS_ANGLE_H

#include <stdbool.h>
#include <stdint.h>

#include "solvers/base/status.h"

/**
 * @brief Acute angle in degrees: 2 atan2(|a - b|, |a + b|) of unit vectors turned to the same side.
 *
 * Accurate near 0, where the arc cosine loses half of the digits: absolute error below 1e-13
 * degrees for d up to 8192. Vectors need not have length 1.
 *
 * @return 0 .. 90; NaN when a vector is 0 or not finite
 */
double sd_acute_angle(int64_t d, const double *a, const double *b);

/** @brief Cosine with its sign, in [-1, 1]; NaN when a vector is 0 or not finite. */
double sd_cosine(int64_t d, const double *a, const double *b);

/** @brief Scales to length 1; false (and x unchanged) when x is 0 or not finite. */
bool sd_normalise(int64_t d, double *x);

/**
 * @brief Turns x so that its entry of largest magnitude (the first of equals) is positive.
 * @return the sign applied, +1 or -1
 */
double sd_orient(int64_t d, double *x);

/** @brief Participation number 1 / sum e_i^4 of e / |e|: 1 for an axis, d for equal entries; NaN
 * for 0. */
double sd_participation(int64_t d, const double *e);

/** @brief Index of the entry of largest magnitude, from 0; the lowest of equals. */
int64_t sd_top_channel(int64_t d, const double *e);

/** @brief Acute angle to the axis of a channel; NaN as sd_acute_angle(). */
double sd_axis_angle(int64_t d, const double *e, int64_t channel);

/**
 * @brief Acute angle after channel `channel` is taken out of both.
 * @return NaN when nothing is left of one of them
 */
double sd_deflated_angle(int64_t d, const double *a, const double *b, int64_t channel);

/**
 * @brief log10 of the chance that an isotropic random direction is at most this close.
 *
 * cos^2 of the angle to a fixed direction is Beta(1/2, (d - 1)/2), so the chance is the regularised
 * incomplete beta function I_x((d - 1)/2, 1/2) at x = sin^2(angle). Its logarithm does not
 * underflow.
 *
 * @param[in] d          >= 1; for d = 1 every direction is the same, log10(1) = 0
 * @param[in] angle_deg  0 .. 90; 0 gives -infinity
 * @return <= 0; NaN for arguments out of range
 *
 * Cost: a continued fraction, at most some hundred terms.
 * Accuracy: absolute error below 2e-11 for d up to 8192 and angles from 1e-6 (there the result is
 * -63548); held by tests/unit/test_angle.c.
 */
double sd_log10_chance(int64_t d, double angle_deg);

/**
 * @brief Chance that b with its channels permuted and sign-flipped at random is at most as far from
 * a.
 *
 * Unlike the isotropic chance this keeps how much sits on single channels: two axes meet with
 * probability 1/d.
 *
 * @param[in]  draws  number of random permutations, >= 1
 * @param[in]  seed   of the counter-based generator: the same answer anywhere
 * @param[out] out    (1 + hits) / (1 + draws), which is never 0; NaN when a vector is 0 or not
 * finite
 *
 * Cost: draws * d random numbers; holds 3 d numbers. Accuracy: a sampled value, standard error
 * sqrt(p / draws). Errors: SD_ERR_RESOURCE; SD_ERR_INTERNAL for no draws.
 */
sd_status sd_permuted_chance(int64_t d, const double *a, const double *b, int64_t draws,
                             uint64_t seed, double *out);

/** @brief Mean pairwise acute angle of n vectors (n x d); NaN for n < 2. Cost n^2 d. */
double sd_spread(int64_t n, int64_t d, const double *vectors);

#endif
