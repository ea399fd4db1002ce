/**
 * @file rms_norm.h
 * @brief Root-mean-square norm of rows.
 */
#ifndef SD_SOLVERS_FORWARD_RMS_NORM_H
#define SD_SOLVERS_FORWARD_RMS_NORM_H

#include <stdint.h>

#include "solvers/block.h"

/** @brief What the norm divides a row by: sqrt(mean(x^2) + eps), summed in double. */
double sd_rms_divisor(const sd_norm *norm, int64_t d, const float *x);

/**
 * @brief y = gamma x / sqrt(mean(x^2) + eps), row by row.
 *
 * @param[in]  norm  gamma (d values) and eps
 * @param[in]  n     rows
 * @param[in]  d     length of a row
 * @param[in]  x     n x d
 * @param[out] y     n x d; may be x
 *
 * Not collective. Accuracy: the mean square is summed in double, the rest rounds twice in float.
 * Rows are independent; a row with NaN gives a row of NaN.
 */
void sd_rms_norm(const sd_norm *norm, int64_t n, int64_t d, const float *x, float *y);

#endif
