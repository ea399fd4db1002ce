/**
 * @file petsc.h
 * @brief Private to this folder: SLEPc's headers, and how its error codes become statuses.
 */
#ifndef SD_SOLVERS_SPECTRAL_PETSC_H
#define SD_SOLVERS_SPECTRAL_PETSC_H

#include <slepceps.h>
#include <slepcsvd.h>
#include <stdint.h>

#include "solvers/base/status.h"

/* The status of a PETSc or SLEPc call, for use inside SD_TRY. */
#define SD_PETSC(call) sd_petsc_status((call), __FILE__, __LINE__, #call)

/**
 * @brief Turns an error code into a status and a message that names the call.
 *
 * Out of memory is SD_ERR_RESOURCE, everything else SD_ERR_INTERNAL: whatever depends on input is
 * checked before it gets here.
 */
sd_status sd_petsc_status(PetscErrorCode code, const char *file, int line, const char *call);

/** @brief Fails with SD_ERR_INTERNAL before sd_spectral_start(). */
sd_status sd_spectral_check_started(void);

/**
 * @brief Makes SLEPc draw the vectors that it needs after a breakdown from a generator of its own.
 *
 * The default generator is the process's and would make a result depend on what was solved before.
 */
sd_status sd_petsc_fix_random(BV basis);

/** @brief Wraps `d` doubles, borrowed, as a vector; yours, release with VecDestroy(). */
sd_status sd_petsc_vector(int64_t d, double *values, Vec *out);

#endif
