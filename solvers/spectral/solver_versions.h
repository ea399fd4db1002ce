/**
 * @file solver_versions.h
 * @brief Versions of the libraries behind solvers/, and the instruction set that BLAS chose.
 */
#ifndef SD_SOLVERS_SPECTRAL_SOLVER_VERSIONS_H
#define SD_SOLVERS_SPECTRAL_SOLVER_VERSIONS_H

#include <stddef.h>

/** @brief Fills `text` with one line "name version" per library. */
void sd_solver_versions(char *text, size_t bytes);

/** @brief One thread per rank for BLAS: sums then do not depend on the number of cores. */
void sd_blas_single_thread(void);

#endif
