#include "pipeline/libraries.h"

#include <mpi.h>
#include <stdio.h>
#include <string.h>

#include "io/io_versions.h"
#include "solvers/spectral/solver_versions.h"

void sd_libraries(char *text, size_t bytes)
{
    char mpi[MPI_MAX_LIBRARY_VERSION_STRING], solvers[512], io[512];
    int  length = 0;

    MPI_Get_library_version(mpi, &length);
    mpi[strcspn(mpi, ",\n")] = '\0'; /* "Open MPI v4.1.4", without its build's host and date */
    sd_solver_versions(solvers, sizeof solvers);
    sd_io_versions(io, sizeof io);
    snprintf(text, bytes, "%s\n%s%s", mpi, solvers, io);
}
