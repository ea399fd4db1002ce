/**
 * @file spectral.h
 * @brief Singular triplets and eigenpairs of one layer's maps, each with its residual.
 *
 * Everything here is local to a rank: PETSc runs on MPI_COMM_SELF. A result depends on the operator
 * and on `key` only, never on ranks or on what was solved before.
 */
#ifndef SD_SOLVERS_SPECTRAL_SPECTRAL_H
#define SD_SOLVERS_SPECTRAL_SPECTRAL_H

#include <stdbool.h>
#include <stdint.h>

#include "solvers/base/poll.h"
#include "solvers/layer_op.h"

/** @brief Starts PETSc and SLEPc on this rank, after MPI_Init; their own messages are switched off.
 */
sd_status sd_spectral_start(void);
/** @brief Stops them, before MPI_Finalize; fine without a start. */
void sd_spectral_stop(void);

/** Singular values in falling order, with what makes them a result. Arrays are the caller's. */
typedef struct {
    int64_t count; /* in: wanted, 1 .. d                                                        */
    double *sigma; /* count                                                                     */
    double
        *residual; /* count: max(|M v - s u|, |M' u - s v|) / s1; NaN where vectors were not made */
    double *u, *v; /* d each: the leading pair; u's largest entry positive, M v = sigma u        */
} sd_triplets;

/**
 * @brief Leading triplets by SLEPc (thick-restart Lanczos on the matrix-free operator).
 *
 * @param[in] key  decides the start vector: the layer's number
 * Errors: SD_ERR_INTERNAL when SLEPc fails; SD_INTERRUPTED by the poll. Not converging to 5e-10 is
 * a result: the residual says so.
 */
sd_status sd_svd_leading(const sd_operator *op, uint64_t key, const sd_poll *poll,
                         sd_triplets *out);

/**
 * @brief All triplets by LAPACK (dgesdd) of a formed matrix, the first `count` returned.
 * @param[in]     op  the operator that formed it: residuals are taken with it, not with m
 * @param[in,out] m   d x d, column-major; destroyed
 */
sd_status sd_svd_full(const sd_operator *op, double *m, const sd_poll *poll, sd_triplets *out);

/** How an eigenpair was found; values as in the result file. */
typedef enum { SD_EIGEN_NONE = -1, SD_EIGEN_ITERATIVE = 1, SD_EIGEN_FULL = 2 } sd_eigen_method;

/** The eigenpair of a real map nearest to a direction e: largest |v^H e| / |v| over complex v. */
typedef struct {
    double re, im;    /* eigenvalue, im >= 0                                     */
    double angle_deg; /* acos(|v^H e| / |v|)                                     */
    double residual;  /* |M v - lambda v| / (|v| |M|), |M| the 2-norm or a bound from below */
    sd_eigen_method method;
} sd_eigenpair;

/**
 * @brief Eigenpair nearest to e by shift-and-invert Krylov from e around the Rayleigh quotient.
 *
 * @param[in]  m         d x d, column-major; kept
 * @param[in]  e         unit, d
 * @param[out] accepted  whether it converged with |v^H e| >= 0.9; if false the full solve must
 * decide
 */
sd_status sd_eigen_iterative(int64_t d, const double *m, const double *e, const sd_poll *poll,
                             bool *accepted, sd_eigenpair *out);

/**
 * @brief Eigenpairs nearest to each of n directions by one full LAPACK decomposition (dgeev).
 * @param[in] m  d x d, column-major; kept
 * @param[in] e  n x d, unit rows
 */
sd_status sd_eigen_full(int64_t d, const double *m, int64_t n, const double *e, sd_eigenpair *out);

/** @brief Rayleigh quotient e' M e for unit e. */
double sd_rayleigh(int64_t d, const double *m, const double *e);

#endif
