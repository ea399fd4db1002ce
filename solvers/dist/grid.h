/**
 * @file grid.h
 * @brief Singular values of a matrix spread over a team's process grid, by ScaLAPACK.
 *
 * For a layer that does not fit one rank. Blocks of 32 x 32 are dealt out in turn to rows and
 * columns of the grid. ScaLAPACK and BLACS are seen in this folder only.
 */
#ifndef SD_SOLVERS_DIST_GRID_H
#define SD_SOLVERS_DIST_GRID_H

#include <mpi.h>
#include <stdint.h>

#include "solvers/base/status.h"

/** A BLACS grid on a communicator: as square as leaves nobody out (4: 2 x 2, 3: 1 x 3). */
typedef struct sd_grid sd_grid;

/**
 * @brief Makes a grid of all ranks of `comm`.
 *
 * @param[in]  comm  borrowed for the grid's life
 * @param[out] out   yours, release with sd_grid_destroy(); NULL on failure
 * Collective on `comm`. Errors: SD_ERR_RESOURCE; SD_ERR_INTERNAL when BLACS makes another grid.
 */
sd_status sd_grid_create(MPI_Comm comm, sd_grid **out);

/** @brief Releases it, before its communicator; NULL is fine; sets NULL. Collective. */
void sd_grid_destroy(sd_grid **grid);

/**
 * @brief Fills n columns of a matrix: out[k * d + i] = M(i, column[k]).
 *
 * Called on each rank for the columns that it holds a part of, at most 32 at once, in no agreed
 * order: it must not communicate.
 */
typedef sd_status (*sd_fill_columns)(const void *context, int64_t n, const int64_t *column,
                                     double *out);

/**
 * @brief All singular values of a d x d matrix, falling, by pdgesvd (values only).
 *
 * @param[in]  d      (same)
 * @param[in]  fill   local; a failure on one rank is returned on all
 * @param[out] sigma  d values, the same bits on every rank; NaN where ScaLAPACK did not converge.
 *                    Written only on success
 *
 * Collective on the grid's communicator. Cost: 8/3 d^3 flops in all, and each column filled once
 * per row of the grid; d^2 / ranks doubles per rank, 32 d for a panel and about a tenth of the
 * share for ScaLAPACK. Not interruptible. Accuracy: 4 d eps sigma_1 and in practice less, against
 * LAPACK in tests/ranks/test_grid.c. The values depend on the shape of the grid within that.
 * Errors: what `fill` returns; SD_ERR_INPUT when it gives a value that is not finite;
 * SD_ERR_RESOURCE without memory, or for a share that is too large for ScaLAPACK's 32-bit indices;
 * SD_ERR_INTERNAL for a bad d.
 */
sd_status sd_grid_singular_values(sd_grid *grid, int64_t d, sd_fill_columns fill,
                                  const void *context, double *sigma);

#endif
