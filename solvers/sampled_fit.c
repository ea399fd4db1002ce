#include "solvers/sampled_fit.h"

#include <cblas.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stddef.h>

#include "solvers/base/memory.h"
#include "solvers/base/random.h"

enum { INPUTS_AT_ONCE = 256, ROWS_AT_ONCE = 256 };

/* LAPACK as Fortran calls it; the trailing number is the length of the text. */
void dpotrf_(const char *uplo, const int *n, double *a, const int *lda, int *info, size_t);
void dpocon_(const char *uplo, const int *n, const double *a, const int *lda, const double *anorm,
             double *rcond, double *work, int *iwork, int *info, size_t);
void dpotrs_(const char *uplo, const int *n, const int *nrhs, const double *a, const int *lda,
             double *b, const int *ldb, int *info, size_t);

struct sd_sampled_fit {
    const sd_block          *block;
    const sd_linear_options *options;
    int64_t                  inputs;   /* added so far                               */
    double                  *s;        /* d x d: the upper triangle of sum x x'      */
    double                  *t;        /* f x d: sum y x'                            */
    double                  *up, *act; /* INPUTS_AT_ONCE x f each                    */
    double                  *panel;    /* ROWS_AT_ONCE x d: rows as doubles          */
    float                   *row;      /* d                                          */
};

static sd_status check_rows(const sd_matrix *w, const sd_block *b)
{
    sd_status st = SD_OK;

    SD_TRY(sd_matrix_check(w));
    SD_REQUIRE(w->rows == b->f && w->cols == b->d && b->f <= INT_MAX && b->d <= INT_MAX,
               SD_ERR_INTERNAL,
               "rows of the FFN are %" PRId64 " x %" PRId64 ", want %" PRId64 " x %" PRId64,
               w->rows, w->cols, b->f, b->d);
done:
    return st;
}

sd_status sd_sampled_fit_create(const sd_block *block, const sd_linear_options *options,
                                sd_sampled_fit **out)
{
    sd_status       st  = SD_OK;
    sd_sampled_fit *fit = NULL;

    SD_TRY(check_rows(&block->up, block));
    if (block->gate.rows > 0) SD_TRY(check_rows(&block->gate, block));
    SD_REQUIRE((unsigned)block->act < SD_ACT_COUNT, SD_ERR_INTERNAL, "unknown activation %d",
               (int)block->act);
    SD_TRY(sd_alloc(1, sizeof *fit, &fit));
    fit->block   = block;
    fit->options = options;
    SD_TRY(sd_alloc(block->d * block->d, sizeof *fit->s, &fit->s));
    SD_TRY(sd_alloc(block->f * block->d, sizeof *fit->t, &fit->t));
    SD_TRY(sd_alloc(INPUTS_AT_ONCE * block->f, sizeof *fit->up, &fit->up));
    SD_TRY(sd_alloc(INPUTS_AT_ONCE * block->f, sizeof *fit->act, &fit->act));
    SD_TRY(sd_alloc(ROWS_AT_ONCE * block->d, sizeof *fit->panel, &fit->panel));
    SD_TRY(sd_alloc(block->d, sizeof *fit->row, &fit->row));
    *out = fit;
    fit  = NULL;
done:
    sd_sampled_fit_destroy(&fit);
    return st;
}

void sd_sampled_fit_destroy(sd_sampled_fit **fit)
{
    if (*fit == NULL) return;
    sd_free((*fit)->s);
    sd_free((*fit)->t);
    sd_free((*fit)->up);
    sd_free((*fit)->act);
    sd_free((*fit)->panel);
    sd_free((*fit)->row);
    sd_free(*fit);
    *fit = NULL;
}

/* ---- sums ---- */

/* out = x W' + bias, n x f. */
static void pre_activations(sd_sampled_fit *fit, const sd_matrix *w, int64_t n, const double *x,
                            double *out)
{
    const int64_t d = fit->block->d, f = fit->block->f;
    const float  *scale = fit->options->scaled_input ? fit->block->norm2.gamma : NULL;

    for (int64_t first = 0; first < f; first += ROWS_AT_ONCE) {
        const int64_t count = first + ROWS_AT_ONCE <= f ? ROWS_AT_ONCE : f - first;

        for (int64_t i = 0; i < count; i++) {
            sd_matrix_rows(w, first + i, 1, fit->row);
            for (int64_t k = 0; k < d; k++)
                fit->panel[i * d + k] =
                    scale != NULL ? (double)fit->row[k] * scale[k] : fit->row[k];
        }
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)n, (int)count, (int)d, 1, x,
                    (int)d, fit->panel, (int)d, 0, out + first, (int)f);
    }
    for (int64_t i = 0; fit->options->keep_biases && w->bias != NULL && i < f; i++)
        for (int64_t k = 0; k < n; k++) out[k * f + i] += w->bias[i];
}

/* The hidden activations y of n inputs: n x f, in fit->act. */
static void hidden(sd_sampled_fit *fit, int64_t n, const double *x)
{
    const sd_block *b     = fit->block;
    const bool      gated = b->gate.rows > 0;

    pre_activations(fit, gated ? &b->gate : &b->up, n, x, fit->act);
    for (int64_t i = 0; i < n * b->f; i++) fit->act[i] = sd_act_value(b->act, fit->act[i]);
    if (!gated) return;
    pre_activations(fit, &b->up, n, x, fit->up);
    for (int64_t i = 0; i < n * b->f; i++) fit->act[i] *= fit->up[i];
}

sd_status sd_sampled_fit_add(sd_sampled_fit *fit, int64_t n, const double *x, const sd_poll *poll)
{
    const int d = (int)fit->block->d, f = (int)fit->block->f;
    sd_status st = SD_OK;

    for (int64_t k = 0; k < n; k += INPUTS_AT_ONCE) {
        const int     count = n - k < INPUTS_AT_ONCE ? (int)(n - k) : INPUTS_AT_ONCE;
        const double *some  = x + k * d;

        hidden(fit, count, some);
        cblas_dsyrk(CblasRowMajor, CblasUpper, CblasTrans, d, count, 1, some, d, 1, fit->s, d);
        cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, f, d, count, 1, fit->act, f, some, d,
                    1, fit->t, d);
        fit->inputs += count;
        SD_TRY(sd_poll_now(poll));
    }
done:
    return st;
}

/* ---- solution ---- */

/* The largest column sum of |S|, from its upper triangle; not finite if an entry is not. */
static double norm_of_sums(const sd_sampled_fit *fit, double *column)
{
    const int64_t d   = fit->block->d;
    double        top = 0;

    for (int64_t i = 0; i < d; i++)
        for (int64_t k = i; k < d; k++) {
            column[i] += fabs(fit->s[i * d + k]);
            if (k != i) column[k] += fabs(fit->s[i * d + k]);
        }
    for (int64_t i = 0; i < d; i++)
        if (!(column[i] <= top)) top = column[i];
    return top;
}

/* Replaces S by its Cholesky factor; the upper triangle by rows is Fortran's lower one. */
static sd_status factorise(sd_sampled_fit *fit)
{
    const double least = 1e-12;
    const int    d     = (int)fit->block->d;
    sd_status    st    = SD_OK;
    double      *work = NULL, rcond = 0;
    int         *iwork = NULL, info = 0;

    SD_TRY(sd_alloc(3 * (int64_t)d, sizeof *work, &work));
    SD_TRY(sd_alloc(d, sizeof *iwork, &iwork));
    const double norm = norm_of_sums(fit, work);

    SD_REQUIRE(isfinite(norm), SD_ERR_INPUT, "the inputs of the fit are not finite");
    dpotrf_("L", &d, fit->s, &d, &info, 1);
    SD_REQUIRE(info >= 0, SD_ERR_INTERNAL, "dpotrf: argument %d", -info);
    if (info == 0) {
        dpocon_("L", &d, fit->s, &d, &norm, &rcond, work, iwork, &info, 1);
        SD_REQUIRE(info == 0, SD_ERR_INTERNAL, "dpocon: argument %d", -info);
    }
    SD_REQUIRE(rcond >= least, SD_ERR_INPUT,
               "%" PRId64
               " inputs span too little of %d dimensions for a fit (reciprocal condition "
               "%.1e, want %.0e)",
               fit->inputs, d, rcond, least);
done:
    sd_free(work);
    sd_free(iwork);
    return st;
}

sd_status sd_sampled_fit_solve(sd_sampled_fit *fit, double **a2)
{
    const int     d = (int)fit->block->d, f = (int)fit->block->f;
    const int64_t entries = (int64_t)d * f;
    sd_status     st      = SD_OK;
    int           info    = 0;

    SD_REQUIRE(fit->inputs >= d, SD_ERR_INPUT,
               "%" PRId64 " inputs span too little of %d dimensions for a fit", fit->inputs, d);
    SD_TRY(factorise(fit));
    dpotrs_("L", &d, &f, fit->s, &d, fit->t, &d, &info, 1); /* column i of T' is row i of T */
    SD_REQUIRE(info == 0, SD_ERR_INTERNAL, "dpotrs: argument %d", -info);
    for (int64_t i = 0; i < entries; i++)
        SD_REQUIRE(isfinite(fit->t[i]), SD_ERR_INPUT,
                   "row %" PRId64 " of the fit is not finite: damaged weights", i / d);
    *a2    = fit->t;
    fit->t = NULL;
done:
    return st;
}

sd_status sd_sampled_fit_gaussian(const sd_block *block, const sd_linear_options *options,
                                  const sd_fit_draws *draws, const sd_poll *poll, double **a2)
{
    const sd_random table = {draws->seed, draws->stream};
    const int64_t   d = block->d, n = draws->samples;
    sd_status       st  = SD_OK;
    sd_sampled_fit *fit = NULL;
    double         *x   = NULL;

    SD_REQUIRE(n >= d, SD_ERR_USAGE, "%" PRId64 " samples cannot fit %" PRId64 " dimensions", n, d);
    SD_TRY(sd_sampled_fit_create(block, options, &fit));
    SD_TRY(sd_alloc(INPUTS_AT_ONCE * d, sizeof *x, &x));
    for (int64_t first = 0; first < n; first += INPUTS_AT_ONCE) {
        const int64_t count = n - first < INPUTS_AT_ONCE ? n - first : INPUTS_AT_ONCE;

        for (int64_t k = 0; k < count; k++)
            sd_random_normal(&table, (uint64_t)(first + k), 0, d, x + k * d);
        SD_TRY(sd_sampled_fit_add(fit, count, x, poll));
    }
    SD_TRY(sd_sampled_fit_solve(fit, a2));
done:
    sd_sampled_fit_destroy(&fit);
    sd_free(x);
    return st;
}
