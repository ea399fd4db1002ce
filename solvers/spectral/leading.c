/* Leading singular triplets of a map that is known by its products only. */
#include <cblas.h>
#include <inttypes.h>
#include <math.h>

#include "solvers/base/memory.h"
#include "solvers/base/random.h"
#include "solvers/spectral/petsc.h"
#include "solvers/spectral/triplet.h"

enum {
    SPACE_MIN    = 32,   /* Lanczos vectors: 32 cost little and save restarts where no gap helps */
    RESTARTS     = 300,  /* bulk values 1e-3 apart take some 50; more than this is not converging */
    FORM_MAX     = 4096, /* beyond, forming and decomposing the matrix takes minutes            */
    START_STREAM = 1,    /* keeps these draws apart from other uses of the same key              */
};

static const double RESIDUAL_LIMIT = 5e-10; /* what every stored triplet must meet */

/* One attempt: the size of the Krylov space and the residual, relative to sigma_1, to stop at. */
typedef struct {
    int64_t space;
    double  tolerance;
} effort;

/* What SLEPc's callbacks see. */
typedef struct {
    const sd_operator *op;
    const sd_poll     *poll;
    sd_status          st;      /* why a product wants the solve to stop */
    double             largest; /* the largest Ritz value so far        */
} shell;

/* Entry i is a function of key and i alone; uniform in [-1, 1), exact in every step. */
static void fill_start(uint64_t key, int64_t d, double *x)
{
    const sd_random table = {key, START_STREAM};

    for (int64_t i = 0; i < d; i++)
        x[i] = (double)(sd_random_bits(&table, 0, i) >> 11) * 0x1p-52 - 1.0;
}

/* When a product fails the solve goes on with the identity until it asks stop_on_failure(): an
 * error code from here would come back at once, but SLEPc would lose its scratch memory. */
static PetscErrorCode multiply(Mat matrix, Vec x, Vec y, bool transposed)
{
    shell         *s    = NULL;
    const double  *from = NULL;
    double        *to   = NULL;
    PetscErrorCode code;

    if ((code = MatShellGetContext(matrix, &s)) != 0) return code;
    if (s->st != SD_OK) return VecCopy(x, y);
    if ((code = VecGetArrayRead(x, &from)) != 0) return code;
    if ((code = VecGetArrayWrite(y, &to)) != 0) return code;
    s->st = sd_operator_apply(s->op, s->poll, transposed, from, to);
    if ((code = VecRestoreArrayWrite(y, &to)) != 0) return code;
    if ((code = VecRestoreArrayRead(x, &from)) != 0) return code;
    return s->st != SD_OK ? VecCopy(x, y) : 0;
}

static PetscErrorCode multiply_plain(Mat matrix, Vec x, Vec y)
{
    return multiply(matrix, x, y, false);
}

static PetscErrorCode multiply_transposed(Mat matrix, Vec x, Vec y)
{
    return multiply(matrix, x, y, true);
}

/* Residuals count relative to sigma_1: relative to a tiny sigma of a map of low rank they could
 * never become small. */
static PetscErrorCode relative_to_largest(SVD svd, PetscReal sigma, PetscReal residual,
                                          PetscReal *estimate, void *context)
{
    shell *s = context;

    (void)svd;
    s->largest = fmax(s->largest, sigma);
    *estimate  = sd_relative(residual, s->largest);
    return 0;
}

static PetscErrorCode stop_on_failure(SVD svd, PetscInt restart, PetscInt restarts,
                                      PetscInt converged, PetscInt count,
                                      SVDConvergedReason *reason, void *context)
{
    const shell *s = context;

    if (s->st == SD_OK)
        return SVDStoppingBasic(svd, restart, restarts, converged, count, reason, NULL);
    *reason = SVD_DIVERGED_ITS;
    return 0;
}

static sd_status set_up(shell *s, Mat *matrix, Vec start, int64_t count, effort how, SVD *svd)
{
    sd_status      st = SD_OK;
    const PetscInt d  = (PetscInt)s->op->d;
    BV             right, left;

    SD_TRY(SD_PETSC(MatCreateShell(PETSC_COMM_SELF, d, d, d, d, s, matrix)));
    SD_TRY(SD_PETSC(MatShellSetOperation(*matrix, MATOP_MULT, (void (*)(void))multiply_plain)));
    SD_TRY(SD_PETSC(
        MatShellSetOperation(*matrix, MATOP_MULT_TRANSPOSE, (void (*)(void))multiply_transposed)));
    SD_TRY(SD_PETSC(SVDCreate(PETSC_COMM_SELF, svd)));
    SD_TRY(SD_PETSC(SVDSetOperators(*svd, *matrix, NULL)));
    SD_TRY(SD_PETSC(SVDSetType(*svd, SVDTRLANCZOS)));
    SD_TRY(SD_PETSC(SVDSetWhichSingularTriplets(*svd, SVD_LARGEST)));
    SD_TRY(SD_PETSC(SVDSetDimensions(*svd, (PetscInt)count, (PetscInt)how.space, PETSC_DEFAULT)));
    SD_TRY(SD_PETSC(SVDSetTolerances(*svd, how.tolerance, RESTARTS)));
    SD_TRY(SD_PETSC(SVDSetConvergenceTestFunction(*svd, relative_to_largest, s, NULL)));
    SD_TRY(SD_PETSC(SVDSetStoppingTestFunction(*svd, stop_on_failure, s, NULL)));
    SD_TRY(SD_PETSC(SVDSetInitialSpaces(*svd, 1, &start, 0, NULL)));
    SD_TRY(SD_PETSC(SVDGetBV(*svd, &right, &left)));
    SD_TRY(sd_petsc_fix_random(right));
    SD_TRY(sd_petsc_fix_random(left));

done:
    return st;
}

static sd_status take_converged(const shell *s, SVD svd, double *work, sd_triplets *out)
{
    sd_status     st = SD_OK;
    const int64_t d  = s->op->d;
    double *const u = work, *const v = work + d, *const scratch = work + 2 * d;
    Vec      u_vec = NULL, v_vec = NULL;
    PetscInt converged = 0;

    SD_TRY(sd_petsc_vector(d, u, &u_vec));
    SD_TRY(sd_petsc_vector(d, v, &v_vec));
    SD_TRY(SD_PETSC(SVDGetConverged(svd, &converged)));
    for (PetscInt i = 0; i < converged && i < out->count; i++) {
        double sigma = 0.0;
        SD_TRY(SD_PETSC(SVDGetSingularTriplet(svd, i, &sigma, u_vec, v_vec)));
        SD_TRY(sd_triplets_take(s->op, s->poll, i, &(sd_triplet){sigma, u, v}, scratch, out));
    }

done:
    (void)VecDestroy(&u_vec);
    (void)VecDestroy(&v_vec);
    return st;
}

/* One attempt. SLEPc's failure is left to the caller in *code: after an exact breakdown it divides
 * by zero and gives up. */
static sd_status lanczos(const sd_operator *op, uint64_t key, const sd_poll *poll, effort how,
                         PetscErrorCode *code, sd_triplets *out)
{
    sd_status st     = SD_OK;
    shell     s      = {op, poll, SD_OK, 0.0};
    double   *work   = NULL;
    Mat       matrix = NULL;
    Vec       start  = NULL;
    SVD       svd    = NULL;

    sd_triplets_clear(op->d, out);
    SD_TRY(sd_alloc(3 * op->d, sizeof *work, &work));
    fill_start(key, op->d, work);
    SD_TRY(sd_petsc_vector(op->d, work, &start));
    SD_TRY(set_up(&s, &matrix, start, out->count, how, &svd));

    *code = SVDSolve(svd);
    SD_TRY(s.st); /* the product's own reason, not SLEPc's echo of it */
    if (*code == 0) SD_TRY(take_converged(&s, svd, work, out));

done:
    (void)SVDDestroy(&svd);
    (void)VecDestroy(&start);
    (void)MatDestroy(&matrix);
    sd_free(work);
    return st;
}

/* The matrix, column by column: when the Krylov space would be the whole space. */
static sd_status by_forming(const sd_operator *op, const sd_poll *poll, sd_triplets *out)
{
    sd_status     st = SD_OK;
    const int64_t d  = op->d;
    double       *m = NULL, *axis = NULL;

    SD_TRY(sd_alloc(d * d, sizeof *m, &m));
    SD_TRY(sd_alloc(d, sizeof *axis, &axis));
    for (int64_t k = 0; k < d; k++) {
        axis[k] = 1.0;
        SD_TRY(sd_operator_apply(op, poll, false, axis, m + k * d));
        axis[k] = 0.0;
    }
    SD_TRY(sd_svd_full(op, m, poll, out));

done:
    sd_free(m);
    sd_free(axis);
    return st;
}

static bool all_hold(const sd_triplets *t)
{
    for (int64_t i = 0; i < t->count; i++)
        if (!(t->residual[i] <= RESIDUAL_LIMIT)) return false;
    return true;
}

static int64_t at_most(int64_t value, int64_t limit)
{
    return value < limit ? value : limit;
}

/* Two attempts; then, where it fits, the certain way. */
static sd_status by_lanczos(const sd_operator *op, uint64_t key, const sd_poll *poll, int64_t space,
                            sd_triplets *out)
{
    sd_status      st   = SD_OK;
    PetscErrorCode code = 0;

    SD_TRY(lanczos(op, key, poll, (effort){space, 1e-12}, &code, out));
    if (!all_hold(out))
        SD_TRY(lanczos(op, key, poll, (effort){at_most(2 * space, op->d), 1e-13}, &code, out));
    if (all_hold(out)) goto done;
    if (op->d <= FORM_MAX)
        SD_TRY(by_forming(op, poll, out));
    else
        SD_TRY(SD_PETSC(code));

done:
    return st;
}

/* Every vector is singular: the axes are as good as any, and exact. */
static sd_status take_zero(const sd_operator *op, const sd_poll *poll, double *work,
                           sd_triplets *out)
{
    sd_status     st   = SD_OK;
    double *const axis = work + op->d;

    for (int64_t i = 0; i < op->d; i++) axis[i] = 0.0;
    for (int64_t i = 0; i < out->count; i++) {
        axis[i] = 1.0;
        SD_TRY(sd_triplets_take(op, poll, i, &(sd_triplet){0.0, axis, axis}, work, out));
        axis[i] = 0.0;
    }
done:
    return st;
}

sd_status sd_svd_leading(const sd_operator *op, uint64_t key, const sd_poll *poll, sd_triplets *out)
{
    sd_status st   = SD_OK;
    double   *work = NULL;

    SD_TRY(sd_spectral_check_started());
    SD_TRY(sd_triplets_check(op, out));
    sd_triplets_clear(op->d, out);
    const int64_t space = 2 * out->count + 16 > SPACE_MIN ? 2 * out->count + 16 : SPACE_MIN;
    if (space >= op->d) return by_forming(op, poll, out);
    SD_REQUIRE(2 * space <= INT32_MAX / op->d, SD_ERR_RESOURCE,
               "%" PRId64 " Krylov vectors of %" PRId64 " entries are too many", space, op->d);

    /* A map that sends a random vector to exactly zero is zero. */
    SD_TRY(sd_alloc(2 * op->d, sizeof *work, &work));
    fill_start(key, op->d, work);
    SD_TRY(sd_operator_apply(op, poll, false, work, work + op->d));
    if (cblas_dasum((int)op->d, work + op->d, 1) == 0.0)
        SD_TRY(take_zero(op, poll, work, out));
    else
        SD_TRY(by_lanczos(op, key, poll, space, out));

done:
    sd_free(work);
    return st;
}
