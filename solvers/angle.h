/**
 * @file angle.h
 * @brief Angles between directions, and how special they are.
 */
#ifndef SD_SOLVERS_ANGLE_H
#define SD_SOLVERS_ANGLE_H

#include <stdbool.h>
#include <stdint.h>

#include "solvers/base/status.h"

/** @brief Acute angle in degrees, 2 atan2(|a-b|, |a+b|) of unit vectors turned to the same side; NaN when one is 0 or not finite. */
double sd_acute_angle(int64_t d, const double *a, const double *b);
/** @brief Cosine with its sign; NaN when one is 0. */
double sd_cosine(int64_t d, const double *a, const double *b);
/** @brief Scales to length 1; false (and x unchanged) when x is 0 or not finite. */
bool sd_normalise(int64_t d, double *x);
/** @brief Turns x so that its entry of largest magnitude is positive; returns the sign applied, +1 or -1. */
double sd_orient(int64_t d, double *x);
/** @brief 1 / sum e_i^4 of the unit vector: 1 for an axis, d for equal entries. */
double sd_participation(int64_t d, const double *e);
/** @brief Index of the entry of largest magnitude; the lowest of equals. */
int64_t sd_top_channel(int64_t d, const double *e);
/** @brief Acute angle to the axis of a channel. */
double sd_axis_angle(int64_t d, const double *e, int64_t channel);
/** @brief Acute angle after channel `channel` is taken out of both. */
double sd_deflated_angle(int64_t d, const double *a, const double *b, int64_t channel);
/** @brief log10 of the chance that an isotropic random direction is at most this close: cos^2 ~ Beta(1/2, (d-1)/2). Does not underflow. */
double sd_log10_chance(int64_t d, double angle_deg);
/** @brief Mean pairwise acute angle of n vectors (n x d); NaN for n < 2. Cost n^2 d. */
double sd_spread(int64_t n, int64_t d, const double *vectors);

#endif
