/* The eigenpair nearest to a direction, by shift-and-invert Krylov-Schur started at it. */
#include <math.h>
#include <string.h>

#include "solvers/base/memory.h"
#include "solvers/spectral/lapack.h"
#include "solvers/spectral/pair.h"
#include "solvers/spectral/petsc.h"
#include "solvers/spectral/triplet.h"

enum {
    WANTED   = 4,  /* eigenvalues around the Rayleigh quotient: e's own need not be the nearest */
    SPACE    = 32, /* Krylov vectors                                                            */
    RESTARTS = 30,
    SHIFTS   = 8, /* tries to get off an eigenvalue                                            */
};

static const double TOLERANCE = 1e-11; /* of (M - rho)^-1: the pair's residual in M is at most
                                          |M - rho| <= 2 |M| times this                     */
static const double RESIDUAL_LIMIT = 5e-10;
static const double OVERLAP_LIMIT  = 0.9;

/* (M - shift I)^-1 as LU factors: what the Krylov space is built with. */
typedef struct {
    int64_t        d;
    double         shift;
    double        *lu;
    int           *pivot;
    const sd_poll *poll;
    sd_status      st;        /* why a product wants the solve to stop */
    bool           overflown; /* the factors are too bad to go on      */
} inverse;

/* Factorises at `shift`; false when it is an eigenvalue to the last bit. */
static bool factorise(const sd_dense_map *map, double shift, inverse *inv)
{
    const int d    = (int)map->d;
    int       info = 0;

    memcpy(inv->lu, map->m, sizeof(double) * (size_t)(map->d * map->d));
    for (int64_t i = 0; i < map->d; i++) inv->lu[i * (map->d + 1)] -= shift;
    dgetrf_(&d, &d, inv->lu, &d, inv->pivot, &info);
    inv->shift = shift;
    return info == 0;
}

/* An eigenvalue itself cannot be the shift; a point close to it can. */
static sd_status factorise_near(const sd_dense_map *map, double shift, inverse *inv)
{
    sd_status st      = SD_OK;
    double    aside   = map->norm > 0.0 ? 0x1p-40 * map->norm : 1.0;
    bool      regular = factorise(map, shift, inv);

    for (int k = 0; k < SHIFTS && !regular; k++, aside *= 16.0)
        regular = factorise(map, shift + aside, inv);
    SD_REQUIRE(regular, SD_ERR_INTERNAL, "no shift near %g makes the map regular", shift);
done:
    return st;
}

static bool solved(const inverse *inv, double *x)
{
    const int d = (int)inv->d, one = 1;
    int       info = 0;

    dgetrs_("N", &d, &one, inv->lu, &d, inv->pivot, x, &d, &info, 1);
    return info == 0 && sd_all_finite(d, x);
}

/* When a product fails the solve goes on with the identity until it asks stop_on_failure(): an
 * error code from here would come back at once, but SLEPc would lose its scratch memory. */
static PetscErrorCode multiply(Mat matrix, Vec x, Vec y)
{
    inverse       *inv = NULL;
    double        *to  = NULL;
    PetscErrorCode code;

    if ((code = MatShellGetContext(matrix, &inv)) != 0) return code;
    if ((code = VecCopy(x, y)) != 0) return code;
    if (inv->st == SD_OK && !inv->overflown) inv->st = sd_poll_now(inv->poll);
    if (inv->st != SD_OK || inv->overflown) return 0;
    if ((code = VecGetArray(y, &to)) != 0) return code;
    inv->overflown = !solved(inv, to);
    if ((code = VecRestoreArray(y, &to)) != 0) return code;
    return inv->overflown ? VecCopy(x, y) : 0;
}

static PetscErrorCode stop_on_failure(EPS eps, PetscInt restart, PetscInt restarts,
                                      PetscInt converged, PetscInt count,
                                      EPSConvergedReason *reason, void *context)
{
    const inverse *inv = context;

    if (inv->st == SD_OK && !inv->overflown)
        return EPSStoppingBasic(eps, restart, restarts, converged, count, reason, NULL);
    *reason = EPS_DIVERGED_ITS;
    return 0;
}

static sd_status set_up(inverse *inv, Vec start, Mat *matrix, EPS *eps)
{
    sd_status      st     = SD_OK;
    const PetscInt d      = (PetscInt)inv->d;
    const PetscInt wanted = d < WANTED ? d : WANTED, space = d < SPACE ? d : SPACE;
    BV             basis;

    SD_TRY(SD_PETSC(MatCreateShell(PETSC_COMM_SELF, d, d, d, d, inv, matrix)));
    SD_TRY(SD_PETSC(MatShellSetOperation(*matrix, MATOP_MULT, (void (*)(void))multiply)));
    SD_TRY(SD_PETSC(EPSCreate(PETSC_COMM_SELF, eps)));
    SD_TRY(SD_PETSC(EPSSetOperators(*eps, *matrix, NULL)));
    SD_TRY(SD_PETSC(EPSSetProblemType(*eps, EPS_NHEP)));
    SD_TRY(SD_PETSC(EPSSetType(*eps, EPSKRYLOVSCHUR)));
    SD_TRY(SD_PETSC(EPSSetWhichEigenpairs(*eps, EPS_LARGEST_MAGNITUDE)));
    SD_TRY(SD_PETSC(EPSSetDimensions(*eps, wanted, space, PETSC_DEFAULT)));
    SD_TRY(SD_PETSC(EPSSetTolerances(*eps, TOLERANCE, RESTARTS)));
    SD_TRY(SD_PETSC(EPSSetStoppingTestFunction(*eps, stop_on_failure, inv, NULL)));
    SD_TRY(SD_PETSC(EPSSetInitialSpace(*eps, 1, &start)));
    SD_TRY(SD_PETSC(EPSGetBV(*eps, &basis)));
    SD_TRY(sd_petsc_fix_random(basis));

done:
    return st;
}

/* The converged pair with the largest overlap, the first of equals; work: 4 d. */
static sd_status take_nearest(const sd_dense_map *map, EPS eps, const double *e, double *work,
                              double *overlap, sd_eigenpair *out)
{
    sd_status     st = SD_OK;
    const int64_t d  = map->d;
    double *const re = work, *const im = work + d, *const scratch = work + 2 * d;
    Vec      re_vec = NULL, im_vec = NULL;
    PetscInt converged = 0;

    SD_TRY(sd_petsc_vector(d, re, &re_vec));
    SD_TRY(sd_petsc_vector(d, im, &im_vec));
    SD_TRY(SD_PETSC(EPSGetConverged(eps, &converged)));
    for (PetscInt i = 0; i < converged; i++) {
        double theta_re = 0.0, theta_im = 0.0, value_re, value_im;
        SD_TRY(SD_PETSC(EPSGetEigenpair(eps, i, &theta_re, &theta_im, re_vec, im_vec)));
        const sd_complex_vector v         = {re, theta_im != 0.0 ? im : NULL};
        const double            candidate = sd_overlap(d, v, e);
        if (!(candidate > *overlap)) continue;
        *overlap = candidate;
        /* shift + 1/theta is as good only where (M - shift)^-1 was */
        sd_pair_value(map, v, scratch, &value_re, &value_im);
        *out = sd_pair_make(map, v, value_re, value_im, e, SD_EIGEN_ITERATIVE, scratch);
    }

done:
    (void)VecDestroy(&re_vec);
    (void)VecDestroy(&im_vec);
    return st;
}

static sd_status krylov(const sd_dense_map *map, inverse *inv, const double *e, double *overlap,
                        sd_eigenpair *out)
{
    sd_status     st     = SD_OK;
    const int64_t d      = map->d;
    double       *work   = NULL;
    Mat           matrix = NULL;
    Vec           start  = NULL;
    EPS           eps    = NULL;

    SD_TRY(sd_alloc(4 * d, sizeof *work, &work));
    memcpy(work, e, sizeof *e * (size_t)d);
    SD_TRY(sd_petsc_vector(d, work, &start));
    SD_TRY(set_up(inv, start, &matrix, &eps));
    const PetscErrorCode code = EPSSolve(eps);
    SD_TRY(inv->st);               /* the product's own reason, not SLEPc's echo of it */
    if (inv->overflown) goto done; /* nothing found, which is not an error */
    SD_TRY(SD_PETSC(code));
    SD_TRY(take_nearest(map, eps, e, work, overlap, out));

done:
    (void)EPSDestroy(&eps);
    (void)VecDestroy(&start);
    (void)MatDestroy(&matrix);
    sd_free(work);
    return st;
}

sd_status sd_eigen_iterative(int64_t d, const double *m, const double *e, const sd_poll *poll,
                             bool *accepted, sd_eigenpair *out)
{
    sd_status    st      = SD_OK;
    double       overlap = -1.0;
    inverse      inv     = {d, 0.0, NULL, NULL, poll, SD_OK, false};
    sd_dense_map map;

    *accepted = false;
    *out      = sd_pair_none();
    SD_TRY(sd_spectral_check_started());
    SD_TRY(sd_dense_map_create(d, m, &map));
    SD_TRY(sd_check_unit(d, e));
    SD_TRY(sd_alloc(d * d, sizeof *inv.lu, &inv.lu));
    SD_TRY(sd_alloc(d, sizeof *inv.pivot, &inv.pivot));
    SD_TRY(sd_poll_now(poll));
    SD_TRY(factorise_near(&map, sd_rayleigh(d, m, e), &inv));
    SD_TRY(krylov(&map, &inv, e, &overlap, out));
    *accepted = overlap >= OVERLAP_LIMIT && out->residual <= RESIDUAL_LIMIT;

done:
    sd_free(inv.lu);
    sd_free(inv.pivot);
    return st;
}
