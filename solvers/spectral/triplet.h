/**
 * @file triplet.h
 * @brief Private to this folder: what makes a singular triplet a result, whoever computed it.
 */
#ifndef SD_SOLVERS_SPECTRAL_TRIPLET_H
#define SD_SOLVERS_SPECTRAL_TRIPLET_H

#include "solvers/spectral/spectral.h"

/** @brief Whether all n values are finite. */
bool sd_all_finite(int64_t n, const double *x);

/** @brief Checks the operator and the number wanted. Errors: SD_ERR_INTERNAL. */
sd_status sd_triplets_check(const sd_operator *op, const sd_triplets *t);

/** @brief Sets everything to NaN: what is not computed is missing, never old. */
void sd_triplets_clear(int64_t d, sd_triplets *t);

/** @brief y = M x or M' x, after asking the poll. Errors: SD_ERR_INPUT when y is not finite. */
sd_status sd_operator_apply(const sd_operator *op, const sd_poll *poll, bool transposed,
                            const double *x, double *y);

/** One triplet: u and v of d each, unit, borrowed. */
typedef struct {
    double        sigma;
    const double *u, *v;
} sd_triplet;

/**
 * @brief Takes triplet i over: sigma, the two-sided residual by the operator, and for i = 0 the
 * vectors, oriented.
 *
 * The first one sets the scale: call with i = 0 first. A map that is zero has residuals of zero.
 *
 * @param[in] work  d, scratch
 */
sd_status sd_triplets_take(const sd_operator *op, const sd_poll *poll, int64_t i,
                           const sd_triplet *triplet, double *work, sd_triplets *out);

/** @brief residual / scale; 0 / 0 is 0: the pair is exact. */
double sd_relative(double residual, double scale);

#endif
