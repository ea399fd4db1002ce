#include "solvers/spectral/triplet.h"

#include <cblas.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "solvers/angle.h"

bool sd_all_finite(int64_t n, const double *x)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(x[i])) return false;
    return true;
}

sd_status sd_triplets_check(const sd_operator *op, const sd_triplets *t)
{
    sd_status st = SD_OK;

    SD_REQUIRE(op->d >= 1 && op->d <= INT32_MAX, SD_ERR_INTERNAL, "a map of size %" PRId64, op->d);
    SD_REQUIRE(t->count >= 1 && t->count <= op->d, SD_ERR_INTERNAL,
               "%" PRId64 " triplets wanted of a map of size %" PRId64, t->count, op->d);
done:
    return st;
}

void sd_triplets_clear(int64_t d, sd_triplets *t)
{
    for (int64_t i = 0; i < t->count; i++) t->sigma[i] = t->residual[i] = NAN;
    for (int64_t i = 0; i < d; i++) t->u[i] = t->v[i] = NAN;
}

sd_status sd_operator_apply(const sd_operator *op, const sd_poll *poll, bool transposed,
                            const double *x, double *y)
{
    sd_status st = SD_OK;

    SD_TRY(sd_poll_now(poll));
    op->apply(op->context, transposed, x, y);
    SD_REQUIRE(sd_all_finite(op->d, y), SD_ERR_INPUT,
               "the linear map gives values that are not finite: damaged or enormous weights");
done:
    return st;
}

double sd_relative(double residual, double scale)
{
    return residual == 0.0 ? 0.0 : residual / scale;
}

sd_status sd_triplets_take(const sd_operator *op, const sd_poll *poll, int64_t i,
                           const sd_triplet *triplet, double *work, sd_triplets *out)
{
    sd_status     st = SD_OK;
    const int     d  = (int)op->d;
    const double *u = triplet->u, *v = triplet->v, sigma = triplet->sigma;

    SD_TRY(sd_operator_apply(op, poll, false, v, work));
    cblas_daxpy(d, -sigma, u, 1, work, 1);
    const double right = cblas_dnrm2(d, work, 1);
    SD_TRY(sd_operator_apply(op, poll, true, u, work));
    cblas_daxpy(d, -sigma, v, 1, work, 1);
    const double left = cblas_dnrm2(d, work, 1);

    out->sigma[i]    = sigma;
    out->residual[i] = sd_relative(fmax(left, right), out->sigma[0]);
    if (i == 0) {
        memcpy(out->u, u, sizeof(double) * (size_t)d);
        memcpy(out->v, v, sizeof(double) * (size_t)d);
        cblas_dscal(d, sd_orient(d, out->u), out->v, 1);
    }
done:
    return st;
}
