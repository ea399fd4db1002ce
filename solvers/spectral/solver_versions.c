#include "solvers/spectral/solver_versions.h"

#include <cblas.h>
#include <slepcsys.h>
#include <stdio.h>

void sd_solver_versions(char *text, size_t bytes)
{
    snprintf(text, bytes, "PETSc %d.%d.%d\nSLEPc %d.%d.%d\n%s\nBLAS kernels %s\n",
             PETSC_VERSION_MAJOR, PETSC_VERSION_MINOR, PETSC_VERSION_SUBMINOR, SLEPC_VERSION_MAJOR,
             SLEPC_VERSION_MINOR, SLEPC_VERSION_SUBMINOR, openblas_get_config(),
             openblas_get_corename());
}

void sd_blas_single_thread(void)
{
    openblas_set_num_threads(1);
}
