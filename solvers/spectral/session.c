/* Start and stop of PETSc and SLEPc, and the helpers that every use of them shares. */
#include <string.h>

#include "solvers/spectral/petsc.h"
#include "solvers/spectral/spectral.h"

enum { RANDOM_SEED = 20250704 };

sd_status sd_petsc_status(PetscErrorCode code, const char *file, int line, const char *call)
{
    if (code == 0) return SD_OK;

    const char *text   = NULL;
    char       *detail = NULL;
    (void)PetscErrorMessage(code, &text, &detail);
    const int length = (int)strcspn(call, "(");
    return sd_fail(code == PETSC_ERR_MEM ? SD_ERR_RESOURCE : SD_ERR_INTERNAL, file, line,
                   "%.*s failed: %s%s%.200s", length, call, text != NULL ? text : "unknown error",
                   detail != NULL && detail[0] != '\0' ? ": " : "", detail != NULL ? detail : "");
}

sd_status sd_spectral_check_started(void)
{
    sd_status st = SD_OK;

    SD_REQUIRE(SlepcInitializeCalled, SD_ERR_INTERNAL, "sd_spectral_start() was not called");
done:
    return st;
}

sd_status sd_spectral_start(void)
{
    /* PETSc keeps the addresses. Neither a file in the user's home nor a signal handler of PETSc's
     * may change what this program does. */
    static char name[] = "singdef", no_files[] = "-skip_petscrc",
                no_signals[]  = "-no_signal_handler";
    static char  *words[]     = {name, no_files, no_signals, NULL};
    static char **arguments   = words;
    static int    n_arguments = 3;
    sd_status     st          = SD_OK;
    int           initialised = 0;

    if (SlepcInitializeCalled) return SD_OK;
    MPI_Initialized(&initialised);
    SD_REQUIRE(initialised, SD_ERR_INTERNAL, "sd_spectral_start() needs MPI to be initialised");

    PETSC_COMM_WORLD = MPI_COMM_SELF;
    SD_TRY(SD_PETSC(SlepcInitialize(&n_arguments, &arguments, NULL, NULL)));
    SD_TRY(SD_PETSC(PetscPushErrorHandler(PetscReturnErrorHandler, NULL)));
    SD_TRY(SD_PETSC(PetscOptionsClear(NULL))); /* what PETSC_OPTIONS in the environment brought */

done:
    return st;
}

void sd_spectral_stop(void)
{
    if (SlepcInitializeCalled) (void)SlepcFinalize();
}

sd_status sd_petsc_fix_random(BV basis)
{
    sd_status   st     = SD_OK;
    PetscRandom random = NULL;

    SD_TRY(SD_PETSC(PetscRandomCreate(PETSC_COMM_SELF, &random)));
    SD_TRY(
        SD_PETSC(PetscRandomSetType(random, PETSCRANDER48))); /* the type that has its own state */
    SD_TRY(SD_PETSC(PetscRandomSetSeed(random, RANDOM_SEED)));
    SD_TRY(SD_PETSC(PetscRandomSeed(random)));
    SD_TRY(SD_PETSC(BVSetRandomContext(basis, random)));

done:
    (void)PetscRandomDestroy(&random);
    return st;
}

sd_status sd_petsc_vector(int64_t d, double *values, Vec *out)
{
    return SD_PETSC(VecCreateSeqWithArray(PETSC_COMM_SELF, 1, (PetscInt)d, values, out));
}
