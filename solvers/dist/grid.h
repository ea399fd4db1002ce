/**
 * @file grid.h
 * @brief Singular values of a matrix spread over a team's process grid, by ScaLAPACK.
 */
#ifndef SD_SOLVERS_DIST_GRID_H
#define SD_SOLVERS_DIST_GRID_H

#include <mpi.h>
#include <stdint.h>

#include "solvers/base/status.h"

/** A BLACS grid on a communicator: nearly square, every rank in it. */
typedef struct sd_grid sd_grid;

/** @brief Collective on `comm` (borrowed for the grid's life). */
sd_status sd_grid_create(MPI_Comm comm, sd_grid **out);
void      sd_grid_destroy(sd_grid **grid);

/**
 * @brief Fills columns of a matrix: out[k * d + i] = M(i, column[k]).
 * Called on each rank for the columns that it holds a part of.
 */
typedef sd_status (*sd_fill_columns)(const void *context, int64_t n, const int64_t *column,
                                     double *out);

/**
 * @brief All singular values of a d x d matrix, falling, by pdgesvd (values only).
 *
 * @param[in]  fill   local; gives the columns; a failure on one rank is returned on all
 * @param[out] sigma  d values, the same on every rank
 *
 * Collective on the grid's communicator. Holds about 3 d^2 / ranks doubles per rank.
 * Accuracy: a small multiple of eps * sigma_1.
 */
sd_status sd_grid_singular_values(sd_grid *grid, int64_t d, sd_fill_columns fill,
                                  const void *context, double *sigma);

#endif
