/* What we rely on of SLEPc, without our own code: a singular value problem on a shell matrix, local
 * to a rank, gives the same bits on every rank and every time from the same start vector, and a
 * stopping test of ours ends it. */
#include <mpi.h>
#include <slepcsvd.h>
#include <string.h>

#include "tests/support/check.h"

enum { D = 120, WANTED = 4 };

static int restarts_left = -1; /* stops at 0; negative: never */

/* A tridiagonal map that is not symmetric, and its transpose. */
static PetscErrorCode product(Vec x, Vec y, double below, double above)
{
    const double *a;
    double       *b;

    VecGetArrayRead(x, &a);
    VecGetArray(y, &b);
    for (int i = 0; i < D; i++)
        b[i] = (2.0 + (double)i / D) * a[i] + (i > 0 ? below * a[i - 1] : 0.0) +
               (i < D - 1 ? above * a[i + 1] : 0.0);
    VecRestoreArray(y, &b);
    VecRestoreArrayRead(x, &a);
    return 0;
}

static PetscErrorCode plain(Mat m, Vec x, Vec y)
{
    (void)m;
    return product(x, y, 0.3, -0.9);
}

static PetscErrorCode transposed(Mat m, Vec x, Vec y)
{
    (void)m;
    return product(x, y, -0.9, 0.3);
}

typedef struct {
    double sigma[WANTED], u[D], v[D];
} result;

static PetscErrorCode stop(SVD svd, PetscInt restart, PetscInt restarts, PetscInt converged,
                           PetscInt wanted, SVDConvergedReason *reason, void *context)
{
    if (restarts_left-- != 0)
        return SVDStoppingBasic(svd, restart, restarts, converged, wanted, reason, context);
    *reason = SVD_DIVERGED_ITS;
    return 0;
}

static PetscErrorCode solve(result *r)
{
    Mat         m;
    SVD         svd;
    BV          right, left;
    Vec         start, u, v;
    PetscRandom random;
    PetscInt    converged = 0;

    memset(r, 0, sizeof *r);
    MatCreateShell(PETSC_COMM_SELF, D, D, D, D, NULL, &m);
    MatShellSetOperation(m, MATOP_MULT, (void (*)(void))plain);
    MatShellSetOperation(m, MATOP_MULT_TRANSPOSE, (void (*)(void))transposed);
    VecCreateSeq(PETSC_COMM_SELF, D, &start);
    for (PetscInt i = 0; i < D; i++) VecSetValue(start, i, 1.0 / (double)(1 + i), INSERT_VALUES);
    VecAssemblyBegin(start);
    VecAssemblyEnd(start);
    VecDuplicate(start, &u);
    VecDuplicate(start, &v);
    SVDCreate(PETSC_COMM_SELF, &svd);
    SVDSetOperators(svd, m, NULL);
    SVDSetType(svd, SVDTRLANCZOS);
    SVDSetDimensions(svd, WANTED, 32, PETSC_DEFAULT);
    SVDSetTolerances(svd, 1e-12, 300);
    SVDSetStoppingTestFunction(svd, stop, NULL, NULL);
    SVDSetInitialSpaces(svd, 1, &start, 0, NULL);
    PetscRandomCreate(PETSC_COMM_SELF, &random);
    PetscRandomSetType(random, PETSCRANDER48);
    SVDGetBV(svd, &right, &left);
    BVSetRandomContext(right, random);
    BVSetRandomContext(left, random);

    const PetscErrorCode code = SVDSolve(svd);
    if (code == 0) {
        SVDGetConverged(svd, &converged);
        for (PetscInt i = (converged < WANTED ? converged : WANTED) - 1; i >= 0; i--)
            SVDGetSingularTriplet(svd, i, &r->sigma[i], u, v);
        const double *values;
        VecGetArrayRead(u, &values);
        memcpy(r->u, values, sizeof r->u);
        VecRestoreArrayRead(u, &values);
        VecGetArrayRead(v, &values);
        memcpy(r->v, values, sizeof r->v);
        VecRestoreArrayRead(v, &values);
    }
    PetscRandomDestroy(&random);
    SVDDestroy(&svd);
    VecDestroy(&start);
    VecDestroy(&u);
    VecDestroy(&v);
    MatDestroy(&m);
    return code;
}

static void ranks_and_repetitions_agree_in_every_bit(void)
{
    result      first, again;
    const int   n = (int)(sizeof first / sizeof(double));
    static char reference[sizeof first];

    CHECK(solve(&first) == 0);
    CHECK(first.sigma[0] >= first.sigma[1] && first.sigma[WANTED - 1] > 0.0);
    memcpy(reference, &first, sizeof first);
    MPI_Bcast(reference, n, MPI_DOUBLE, 0, MPI_COMM_WORLD);
    CHECK(memcmp(reference, &first, sizeof first) == 0);
    for (int k = 0; k < 3; k++) {
        CHECK(solve(&again) == 0);
        CHECK(memcmp(&first, &again, sizeof first) == 0);
    }
}

static void our_stopping_test_ends_a_solve(void)
{
    result r;

    restarts_left = 0; /* one sweep of 32 vectors does not converge here */
    CHECK(solve(&r) == 0);
    CHECK(r.sigma[WANTED - 1] == 0.0);
    restarts_left = -1;
    CHECK(solve(&r) == 0);
    CHECK(r.sigma[WANTED - 1] > 0.0);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    PETSC_COMM_WORLD = MPI_COMM_SELF;
    SlepcInitialize(NULL, NULL, NULL, NULL);
    PetscPushErrorHandler(PetscReturnErrorHandler, NULL);

    ranks_and_repetitions_agree_in_every_bit();
    our_stopping_test_ends_a_solve();

    SlepcFinalize();
    MPI_Allreduce(MPI_IN_PLACE, &check_failures, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    MPI_Finalize();
    return REPORT();
}
