/* Eigenpairs nearest to given directions, by the full decomposition. */
#include <cblas.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "solvers/base/memory.h"
#include "solvers/spectral/lapack.h"
#include "solvers/spectral/pair.h"

/* As dgeev leaves it: a conjugate pair's vector is column j + i column j+1, im[j] > 0. */
typedef struct {
    double *re, *im; /* d each         */
    double *vectors; /* d x d, columns */
} eigensystem;

static void release(eigensystem *s)
{
    sd_free(s->re);
    sd_free(s->im);
    sd_free(s->vectors);
}

/* a: a copy of the map, destroyed. */
static sd_status decompose(int64_t d_, double *a, eigensystem *s, int *info)
{
    sd_status    st = SD_OK;
    const int    d = (int)d_, query = -1;
    const double none = 0.0;
    double      *work = NULL, wanted = 0.0;
    double       unused = none;

    dgeev_("N", "V", &d, a, &d, s->re, s->im, &unused, &d, s->vectors, &d, &wanted, &query, info, 1,
           1);
    SD_REQUIRE(*info == 0 && wanted <= INT32_MAX, SD_ERR_INTERNAL,
               "dgeev's workspace query: argument %d", -*info);
    const int lwork = wanted > 4.0 * d ? (int)wanted : 4 * d;
    SD_TRY(sd_alloc(lwork, sizeof *work, &work));
    dgeev_("N", "V", &d, a, &d, s->re, s->im, &unused, &d, s->vectors, &d, work, &lwork, info, 1,
           1);
    SD_REQUIRE(*info >= 0, SD_ERR_INTERNAL, "dgeev refuses argument %d", -*info);

done:
    sd_free(work);
    return st;
}

static sd_complex_vector vector_of(const eigensystem *s, int64_t d, int64_t j)
{
    return (sd_complex_vector){s->vectors + j * d,
                               s->im[j] != 0.0 ? s->vectors + (j + 1) * d : NULL};
}

/* Index of the vector with the largest overlap, the lowest of equals; a conjugate pair counts once,
 * by its first member. -1 when there is none. */
static int64_t nearest(const eigensystem *s, int64_t d, const double *e)
{
    int64_t best = -1;
    double  most = -1.0;

    for (int64_t j = 0; j < d; j++) {
        const double overlap = sd_overlap(d, vector_of(s, d, j), e);
        if (overlap > most) {
            best = j;
            most = overlap;
        }
        if (s->im[j] != 0.0) j++;
    }
    return best;
}

sd_status sd_eigen_full(int64_t d, const double *m, int64_t n, const double *e, sd_eigenpair *out)
{
    sd_status    st   = SD_OK;
    int          info = 0;
    sd_dense_map map;
    eigensystem  s    = {0};
    double      *copy = NULL, *work = NULL;

    for (int64_t k = 0; k < n; k++) out[k] = sd_pair_none();
    SD_TRY(sd_dense_map_create(d, m, &map));
    for (int64_t k = 0; k < n; k++) SD_TRY(sd_check_unit(d, e + k * d));
    SD_TRY(sd_alloc(d * d, sizeof *copy, &copy));
    SD_TRY(sd_alloc(d * d, sizeof *s.vectors, &s.vectors));
    SD_TRY(sd_alloc(d, sizeof *s.re, &s.re));
    SD_TRY(sd_alloc(d, sizeof *s.im, &s.im));
    SD_TRY(sd_alloc(2 * d, sizeof *work, &work));
    memcpy(copy, m, sizeof *m * (size_t)(d * d));
    SD_TRY(decompose(d, copy, &s, &info));
    if (info > 0) goto done; /* no convergence: missing pairs say so */

    for (int64_t k = 0; k < n; k++) {
        const int64_t j = nearest(&s, d, e + k * d);
        if (j >= 0)
            out[k] = sd_pair_make(&map, vector_of(&s, d, j), s.re[j], s.im[j], e + k * d,
                                  SD_EIGEN_FULL, work);
    }

done:
    release(&s);
    sd_free(copy);
    sd_free(work);
    return st;
}

double sd_rayleigh(int64_t d, const double *m, const double *e)
{
    double sum = 0.0;

    for (int64_t k = 0; k < d; k++) sum += e[k] * cblas_ddot((int)d, m + k * d, 1, e, 1);
    return sum;
}
