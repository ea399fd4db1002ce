/**
 * @file pair.h
 * @brief Private to this folder: complex vectors as two real ones, and eigenpairs made of them.
 */
#ifndef SD_SOLVERS_SPECTRAL_PAIR_H
#define SD_SOLVERS_SPECTRAL_PAIR_H

#include "solvers/spectral/spectral.h"

/** v = re + i im, d each; im is NULL for a real vector. Borrowed. */
typedef struct {
    const double *re, *im;
} sd_complex_vector;

/** A dense map and its size; `norm` is a lower bound of |M|. */
typedef struct {
    int64_t       d;
    const double *m; /* d x d, column-major, borrowed */
    double        norm;
} sd_dense_map;

/**
 * @brief Checks and measures a matrix.
 *
 * norm = |M x| for the unit x that three power steps with M'M make of the axis of the largest
 * column: at least the largest column's norm, at most |M|.
 * Errors: SD_ERR_INPUT when a value is not finite; SD_ERR_RESOURCE.
 */
sd_status sd_dense_map_create(int64_t d, const double *m, sd_dense_map *out);

/** @brief Fails with SD_ERR_INTERNAL unless e has length 1. */
sd_status sd_check_unit(int64_t d, const double *e);

/** @brief |v^H e| / |v|; NaN for v = 0. */
double sd_overlap(int64_t d, sd_complex_vector v, const double *e);

/** @brief The eigenvalue nearest to v: the Rayleigh quotient v^H M v / v^H v. work: 2 d. */
void sd_pair_value(const sd_dense_map *map, sd_complex_vector v, double *work, double *re,
                   double *im);

/**
 * @brief Makes a result of an eigenpair: angle, residual, and of a conjugate pair the one with
 * im >= 0.
 * @param[in] work  2 d, scratch
 */
sd_eigenpair sd_pair_make(const sd_dense_map *map, sd_complex_vector v, double re, double im,
                          const double *e, sd_eigen_method method, double *work);

/** @brief The pair that is missing. */
sd_eigenpair sd_pair_none(void);

#endif
