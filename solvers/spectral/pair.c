#include "solvers/spectral/pair.h"

#include <cblas.h>
#include <inttypes.h>
#include <math.h>

#include "solvers/base/memory.h"
#include "solvers/spectral/triplet.h"

enum { POWER_STEPS = 3 };

static double column_norm(const sd_dense_map *map, int64_t k)
{
    return cblas_dnrm2((int)map->d, map->m + k * map->d, 1);
}

static int64_t largest_column(const sd_dense_map *map)
{
    int64_t best = 0;
    double  most = column_norm(map, 0);

    for (int64_t k = 1; k < map->d; k++) {
        const double norm = column_norm(map, k);
        if (norm > most) {
            best = k;
            most = norm;
        }
    }
    return best;
}

/* y = M x or M' x */
static void product(const sd_dense_map *map, CBLAS_TRANSPOSE transposed, const double *x, double *y)
{
    const int d = (int)map->d;

    cblas_dgemv(CblasColMajor, transposed, d, d, 1.0, map->m, d, x, 1, 0.0, y, 1);
}

/* |M x| after the power steps; x holds an axis, y is scratch. */
static double norm_from_below(const sd_dense_map *map, double *x, double *y)
{
    const int d = (int)map->d;

    product(map, CblasNoTrans, x, y);
    for (int step = 0; step < POWER_STEPS; step++) {
        product(map, CblasTrans, y, x);
        const double length = cblas_dnrm2(d, x, 1);
        if (length == 0.0) return 0.0;
        cblas_dscal(d, 1.0 / length, x, 1);
        product(map, CblasNoTrans, x, y);
    }
    return cblas_dnrm2(d, y, 1);
}

sd_status sd_dense_map_create(int64_t d, const double *m, sd_dense_map *out)
{
    sd_status    st   = SD_OK;
    sd_dense_map map  = {d, m, 0.0};
    double      *work = NULL;

    SD_REQUIRE(d >= 1, SD_ERR_INTERNAL, "a map of size %" PRId64, d);
    SD_REQUIRE(d <= INT32_MAX / d, SD_ERR_RESOURCE,
               "a %" PRId64 " x %" PRId64 " matrix is too large for LAPACK on one rank", d, d);
    SD_REQUIRE(sd_all_finite(d * d, m), SD_ERR_INPUT,
               "the linear map has values that are not finite: damaged or enormous weights");
    SD_TRY(sd_alloc(2 * d, sizeof *work, &work));
    work[largest_column(&map)] = 1.0;
    map.norm                   = norm_from_below(&map, work, work + d);
    *out                       = map;

done:
    sd_free(work);
    return st;
}

sd_status sd_check_unit(int64_t d, const double *e)
{
    sd_status    st     = SD_OK;
    const double length = cblas_dnrm2((int)d, e, 1);

    SD_REQUIRE(fabs(length - 1.0) <= 1e-6, SD_ERR_INTERNAL, "a direction of length %g", length);
done:
    return st;
}

static double squared_norm(int64_t d, sd_complex_vector v)
{
    const double re = cblas_dnrm2((int)d, v.re, 1);
    const double im = v.im != NULL ? cblas_dnrm2((int)d, v.im, 1) : 0.0;

    return re * re + im * im;
}

/* v^T e = v^H e conjugated: e is real. */
static void project(int64_t d, sd_complex_vector v, const double *e, double *re, double *im)
{
    *re = cblas_ddot((int)d, v.re, 1, e, 1);
    *im = v.im != NULL ? cblas_ddot((int)d, v.im, 1, e, 1) : 0.0;
}

double sd_overlap(int64_t d, sd_complex_vector v, const double *e)
{
    double re, im;

    project(d, v, e, &re, &im);
    return hypot(re, im) / sqrt(squared_norm(d, v));
}

/* From sine and cosine: the arc cosine alone loses half of the digits near 0. */
static double angle_deg(int64_t d, sd_complex_vector v, const double *e)
{
    const double square = squared_norm(d, v);
    double       re, im, sine = 0.0;

    project(d, v, e, &re, &im);
    re /= square;
    im /= -square;
    for (int64_t i = 0; i < d; i++) {
        const double b       = v.im != NULL ? v.im[i] : 0.0;
        const double rest_re = e[i] - (v.re[i] * re - b * im);
        const double rest_im = v.re[i] * im + b * re;
        sine += rest_re * rest_re + rest_im * rest_im;
    }
    return atan2(sqrt(sine), hypot(re, im) * sqrt(square)) * (180.0 / 3.14159265358979323846);
}

void sd_pair_value(const sd_dense_map *map, sd_complex_vector v, double *work, double *re,
                   double *im)
{
    const int     d      = (int)map->d;
    const double  square = squared_norm(map->d, v);
    double *const w = work, *const z = work + d;

    product(map, CblasNoTrans, v.re, w);
    *re = cblas_ddot(d, v.re, 1, w, 1) / square;
    *im = 0.0;
    if (v.im == NULL) return;
    product(map, CblasNoTrans, v.im, z);
    *re += cblas_ddot(d, v.im, 1, z, 1) / square;
    *im = (cblas_ddot(d, v.re, 1, z, 1) - cblas_ddot(d, v.im, 1, w, 1)) / square;
}

/* |M v - lambda v| / |v| */
static double residual(const sd_dense_map *map, sd_complex_vector v, double re, double im,
                       double *work)
{
    const int     d = (int)map->d;
    double *const w = work, *const z = work + d;

    product(map, CblasNoTrans, v.re, w);
    cblas_daxpy(d, -re, v.re, 1, w, 1);
    if (v.im == NULL) return cblas_dnrm2(d, w, 1) / sqrt(squared_norm(map->d, v));
    cblas_daxpy(d, im, v.im, 1, w, 1);
    product(map, CblasNoTrans, v.im, z);
    cblas_daxpy(d, -re, v.im, 1, z, 1);
    cblas_daxpy(d, -im, v.re, 1, z, 1);
    return hypot(cblas_dnrm2(d, w, 1), cblas_dnrm2(d, z, 1)) / sqrt(squared_norm(map->d, v));
}

sd_eigenpair sd_pair_make(const sd_dense_map *map, sd_complex_vector v, double re, double im,
                          const double *e, sd_eigen_method method, double *work)
{
    sd_eigenpair pair = {re, fabs(im), NAN, NAN, method}; /* the conjugate has the same angle */

    pair.angle_deg = angle_deg(map->d, v, e);
    pair.residual  = sd_relative(residual(map, v, re, im, work), map->norm);
    return pair;
}

sd_eigenpair sd_pair_none(void)
{
    return (sd_eigenpair){NAN, NAN, NAN, NAN, SD_EIGEN_NONE};
}
