/* All singular triplets of a formed matrix. */
#include <cblas.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "solvers/angle.h"
#include "solvers/base/memory.h"
#include "solvers/spectral/lapack.h"
#include "solvers/spectral/triplet.h"

enum {
    BY_OPERATOR = 16, /* triplets whose residual costs two products with the operator */
    PANEL       = 64, /* the others go through dgemm, this many at once               */
};

/* m = u diag(s) vt, each d x d and column-major; kept: a copy of m, where residuals need it. */
typedef struct {
    int64_t d;
    double *s, *u, *vt, *kept;
} factors;

static void release(factors *f)
{
    sd_free(f->s);
    sd_free(f->u);
    sd_free(f->vt);
    sd_free(f->kept);
}

static sd_status allocate(int64_t d, bool keep, factors *f)
{
    sd_status st = SD_OK;

    f->d = d;
    SD_TRY(sd_alloc(d, sizeof *f->s, &f->s));
    SD_TRY(sd_alloc(d * d, sizeof *f->u, &f->u));
    SD_TRY(sd_alloc(d * d, sizeof *f->vt, &f->vt));
    if (keep) SD_TRY(sd_alloc(d * d, sizeof *f->kept, &f->kept));
done:
    return st;
}

static sd_status decompose(double *m, factors *f, int *info)
{
    sd_status st = SD_OK;
    const int d = (int)f->d, query = -1;
    double   *work = NULL, wanted = 0.0;
    int      *iwork = NULL;

    dgesdd_("S", &d, &d, m, &d, f->s, f->u, &d, f->vt, &d, &wanted, &query, NULL, info, 1);
    SD_REQUIRE(*info == 0, SD_ERR_INTERNAL, "dgesdd's workspace query: argument %d", -*info);
    SD_REQUIRE(wanted <= INT32_MAX, SD_ERR_RESOURCE,
               "a %d x %d decomposition is too large for LAPACK's 32-bit workspace", d, d);
    /* the documented bound too: queries of other versions have been too small */
    const int64_t bound = 4 * f->d * f->d + 7 * f->d;
    const int     lwork = (int)((int64_t)wanted > bound ? (int64_t)wanted : bound);
    SD_TRY(sd_alloc(lwork, sizeof *work, &work));
    SD_TRY(sd_alloc(8 * f->d, sizeof *iwork, &iwork));
    dgesdd_("S", &d, &d, m, &d, f->s, f->u, &d, f->vt, &d, work, &lwork, iwork, info, 1);
    SD_REQUIRE(*info >= 0, SD_ERR_INTERNAL, "dgesdd refuses argument %d", -*info);

done:
    sd_free(work);
    sd_free(iwork);
    return st;
}

static sd_status take_by_operator(const sd_operator *op, const sd_poll *poll, const factors *f,
                                  sd_triplets *out)
{
    sd_status st   = SD_OK;
    const int d    = (int)f->d;
    double   *work = NULL;

    SD_TRY(sd_alloc(2 * f->d, sizeof *work, &work));
    for (int64_t i = 0; i < out->count && i < BY_OPERATOR; i++) {
        double *const v = work + f->d;
        cblas_dcopy(d, f->vt + i, d, v, 1);
        const sd_triplet one = {f->s[i], f->u + i * f->d, v};

        SD_TRY(sd_triplets_take(op, poll, i, &one, work, out));
    }

done:
    sd_free(work);
    return st;
}

/* M V - U S and M' U - V S of n triplets from `first` on; left and right: d x PANEL. */
static void panel_residuals(const factors *f, int64_t first, int n, double *left, double *right)
{
    const int           d  = (int)f->d;
    const double *const u  = f->u + first * f->d;
    const double *const vt = f->vt + first;

    cblas_dgemm(CblasColMajor, CblasNoTrans, CblasTrans, d, n, d, 1.0, f->kept, d, vt, d, 0.0,
                right, d);
    cblas_dgemm(CblasColMajor, CblasTrans, CblasNoTrans, d, n, d, 1.0, f->kept, d, u, d, 0.0, left,
                d);
    for (int k = 0; k < n; k++) {
        cblas_daxpy(d, -f->s[first + k], u + k * f->d, 1, right + k * f->d, 1);
        cblas_daxpy(d, -f->s[first + k], vt + k, d, left + k * f->d, 1);
    }
}

static sd_status take_by_matrix(const sd_poll *poll, const factors *f, sd_triplets *out)
{
    sd_status st   = SD_OK;
    const int d    = (int)f->d;
    double   *left = NULL, *right = NULL;

    SD_TRY(sd_alloc(f->d * PANEL, sizeof *left, &left));
    SD_TRY(sd_alloc(f->d * PANEL, sizeof *right, &right));
    for (int64_t first = BY_OPERATOR; first < out->count; first += PANEL) {
        const int n = (int)(out->count - first < PANEL ? out->count - first : PANEL);

        SD_TRY(sd_poll_now(poll));
        panel_residuals(f, first, n, left, right);
        for (int k = 0; k < n; k++) {
            const double residual =
                fmax(cblas_dnrm2(d, left + k * f->d, 1), cblas_dnrm2(d, right + k * f->d, 1));
            out->sigma[first + k]    = f->s[first + k];
            out->residual[first + k] = sd_relative(residual, f->s[0]);
        }
    }

done:
    sd_free(left);
    sd_free(right);
    return st;
}

/* Of each triplet u decides the sign and v follows; turns f->u. */
static void take_right_vectors(factors *f, int64_t count, double *right)
{
    const int d = (int)f->d;

    for (int64_t i = 0; i < count; i++) {
        cblas_dcopy(d, f->vt + i, d, right + i * f->d, 1);
        cblas_dscal(d, sd_orient(f->d, f->u + i * f->d), right + i * f->d, 1);
    }
}

sd_status sd_svd_right(const sd_operator *op, double *m, const sd_poll *poll, sd_triplets *out,
                       double *right)
{
    sd_status st   = SD_OK;
    factors   f    = {0};
    int       info = 0;

    SD_TRY(sd_triplets_check(op, out));
    const int64_t d = op->d;
    SD_REQUIRE(d <= (INT32_MAX / 4) / (d + 2), SD_ERR_RESOURCE,
               "a %" PRId64 " x %" PRId64 " decomposition is too large for LAPACK on one rank", d,
               d);
    SD_REQUIRE(sd_all_finite(d * d, m), SD_ERR_INPUT,
               "the linear map has values that are not finite: damaged or enormous weights");
    sd_triplets_clear(d, out);
    for (int64_t i = 0; right != NULL && i < out->count * d; i++) right[i] = NAN;
    SD_TRY(sd_poll_now(poll));

    const bool keep = out->count > BY_OPERATOR;
    SD_TRY(allocate(d, keep, &f));
    if (keep) memcpy(f.kept, m, sizeof *m * (size_t)(d * d));
    SD_TRY(decompose(m, &f, &info));
    if (info > 0) goto done; /* no convergence: NaN everywhere says so */

    SD_TRY(take_by_operator(op, poll, &f, out));
    if (keep) SD_TRY(take_by_matrix(poll, &f, out));
    if (right != NULL) take_right_vectors(&f, out->count, right);

done:
    release(&f);
    return st;
}

sd_status sd_svd_full(const sd_operator *op, double *m, const sd_poll *poll, sd_triplets *out)
{
    return sd_svd_right(op, m, poll, out, NULL);
}
