/**
 * @file spectral.h
 * @brief Singular triplets and eigenpairs of one layer's maps, each with its residual.
 *
 *     triplet   M v = sigma u,  M' u = sigma v     residual  max(|M v - sigma u|, |M' u - sigma v|)
 * / sigma_1 eigenpair M v = lambda v                     residual  |M v - lambda v| / (|v| |M|)
 *
 * Both sides of a triplet count: one alone can be made zero by construction. A residual bounds a
 * singular value's error (relative to sigma_1), and over the gap to the next value the direction's
 * error in radians. A result without a residual is not a result: every number here comes with one,
 * or is NaN. Not converging is a result too, and no error.
 *
 * Everything is local to a rank: PETSc runs on MPI_COMM_SELF and is seen in this folder only. A
 * result depends on the map and on `key` only, never on ranks or on what was solved before: with
 * the same libraries, machine type and one BLAS thread, bit by bit (tests/ranks/test_leading.c).
 *
 * Which to use: sd_svd_leading() for a few triplets of a layer; sd_svd_full() for whole spectra, or
 * where many are wanted of a small map; sd_grid_singular_values() (solvers/dist/grid.h) for values
 * of a map that does not fit a rank. For eigenpairs sd_eigen_iterative() first, and sd_eigen_full()
 * where it is not accepted.
 */
#ifndef SD_SOLVERS_SPECTRAL_SPECTRAL_H
#define SD_SOLVERS_SPECTRAL_SPECTRAL_H

#include <stdbool.h>
#include <stdint.h>

#include "solvers/base/poll.h"
#include "solvers/layer_op.h"

/**
 * @brief Starts PETSc and SLEPc on this rank, after MPI_Init.
 *
 * Their messages, signal handlers, option files and the options in PETSC_OPTIONS are switched off.
 * A second call does nothing. Not collective. Errors: SD_ERR_INTERNAL when MPI is not initialised
 * or SLEPc does not start.
 */
sd_status sd_spectral_start(void);

/** @brief Stops them, before MPI_Finalize; fine without a start. Starting again is not supported.
 */
void sd_spectral_stop(void);

/** Singular values in falling order, with what makes them a result. Arrays are the caller's. */
typedef struct {
    int64_t count;    /* in: wanted, 1 .. d                                                      */
    double *sigma;    /* count; NaN where not found                                              */
    double *residual; /* count: see above; 0 for the map that is zero; NaN where sigma is        */
    double *u, *v;    /* d each, unit: the leading pair; u's entry of largest magnitude positive,
                         v follows so that M v = sigma u                                         */
} sd_triplets;

/**
 * @brief Finds leading triplets by thick-restart Lanczos on the matrix-free operator.
 *
 * SLEPc's trlanczos with max(32, 2 count + 16) vectors, to a residual of 1e-12; where that does not
 * give 5e-10 (recomputed with the operator) for all of them, once more with twice the vectors and
 * 1e-13. A map whose size is at most the number of vectors, and one up to d = 4096 on which both
 * attempts fail (Lanczos breaks down on exact low rank), is formed and given to sd_svd_full().
 *
 * @param[in]     op    borrowed
 * @param[in]     key   decides the start vector: the layer's number
 * @param[in]     poll  called before every product; NULL for none
 * @param[in,out] out   count in; the rest is written, NaN where nothing was found; incomplete on
 * failure
 *
 * Not collective. Cost: typically 80 to 200 products, for count = 8, and (64 + 2 count) d doubles;
 * 2 count products more for the residuals.
 * Accuracy: sigma to residual * sigma_1; tests/unit/test_spectral_svd.c holds 5e-10 and far less.
 * Errors: SD_ERR_INTERNAL before sd_spectral_start(), for a bad count, or when SLEPc fails at a map
 * too large to form; SD_ERR_INPUT when a product is not finite; SD_ERR_RESOURCE; SD_INTERRUPTED by
 * the poll.
 */
sd_status sd_svd_leading(const sd_operator *op, uint64_t key, const sd_poll *poll,
                         sd_triplets *out);

/**
 * @brief Decomposes a formed matrix by LAPACK (dgesdd) and returns the first `count` triplets.
 *
 * Residuals of the first 16 are taken with the operator that formed the matrix, not with m, so that
 * they show an error of forming, too; those of the others with a copy of m, through dgemm, since
 * two products with an operator each would cost more than the decomposition.
 *
 * @param[in]     op    borrowed
 * @param[in,out] m     d x d, column-major; destroyed
 * @param[in]     poll  called before the decomposition and between residuals; the decomposition
 *                      itself (d = 2048: about 5 s) cannot be interrupted. NULL for none
 * @param[in,out] out   count in; the rest is written, NaN where LAPACK did not converge
 *
 * Not collective. Cost: about 22 d^3 flops; 6 d^2 doubles besides m, 7 d^2 when count > 16.
 * Errors: SD_ERR_INPUT when m or a product is not finite; SD_ERR_RESOURCE without memory or for
 * d > 23168, where LAPACK's 32-bit workspace ends; SD_ERR_INTERNAL for a bad count; SD_INTERRUPTED.
 */
sd_status sd_svd_full(const sd_operator *op, double *m, const sd_poll *poll, sd_triplets *out);

/**
 * @brief As sd_svd_full(), and returns the right singular vectors of all `count` triplets.
 *
 * @param[out] right  count x d, row i the unit v of triplet i with the sign that u decides, as in
 *                    sd_triplets; NaN where LAPACK did not converge. NULL: not wanted
 */
sd_status sd_svd_right(const sd_operator *op, double *m, const sd_poll *poll, sd_triplets *out,
                       double *right);

/** How an eigenpair was found; values as in the result file. */
typedef enum { SD_EIGEN_NONE = -1, SD_EIGEN_ITERATIVE = 1, SD_EIGEN_FULL = 2 } sd_eigen_method;

/**
 * The eigenpair of a real map nearest to a direction e: largest |v^H e| / |v| over complex v. The
 * angle of v's real part would depend on the phase that a solver happens to choose.
 */
typedef struct {
    double re, im;          /* eigenvalue, im >= 0: of a conjugate pair the upper one           */
    double angle_deg;       /* acos(|v^H e| / |v|), accurate near 0                             */
    double residual;        /* |M v - lambda v| / (|v| |M|), |M| from below: at least the largest
                               column's norm, raised by three power steps from its axis         */
    sd_eigen_method method; /* SD_EIGEN_NONE: nothing was found, the numbers are NaN            */
} sd_eigenpair;

/**
 * @brief Finds the eigenpair nearest to e by shift-and-invert Krylov-Schur from e around e' M e.
 *
 * Of the pairs found around the Rayleigh quotient (at least four are asked for) the one nearest to
 * e. It is certainly the nearest of all only if e is close to it: hence `accepted`.
 *
 * @param[in]  m         d x d, column-major; kept
 * @param[in]  e         unit, d
 * @param[in]  poll      called before the factorisation and every solve; NULL for none
 * @param[out] accepted  whether it converged with |v^H e| >= 0.9 |v| and a residual of at most
 * 5e-10; if false the full solve must decide, and `out` is the best that was found
 *
 * Not collective. Cost: 2/3 d^3 flops for the factors, some 40 solves of 2 d^2; d^2 doubles besides
 * m. Accuracy: |lambda error| <= condition * residual * |M|, the eigenvalue's condition not known
 * here. Errors: SD_ERR_INPUT when m is not finite; SD_ERR_INTERNAL when e is not a unit vector,
 * before sd_spectral_start(), or when SLEPc fails; SD_ERR_RESOURCE; SD_INTERRUPTED.
 */
sd_status sd_eigen_iterative(int64_t d, const double *m, const double *e, const sd_poll *poll,
                             bool *accepted, sd_eigenpair *out);

/**
 * @brief Finds the eigenpairs nearest to each of n directions by one full decomposition (dgeev).
 *
 * Of equally near pairs the first in LAPACK's order, so that repetitions agree.
 *
 * @param[in]  m    d x d, column-major; kept
 * @param[in]  n    >= 0
 * @param[in]  e    n x d, unit rows
 * @param[out] out  n pairs
 *
 * Not collective, not interruptible. Cost: about 27 d^3 flops (d = 2048: 12 s); 2 d^2 doubles
 * besides m. Errors: as sd_eigen_iterative(), without SLEPc's.
 */
sd_status sd_eigen_full(int64_t d, const double *m, int64_t n, const double *e, sd_eigenpair *out);

/** @brief Rayleigh quotient e' M e for unit e; m: d x d, column-major. */
double sd_rayleigh(int64_t d, const double *m, const double *e);

#endif
