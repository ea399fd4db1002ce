/**
 * @file lapack.h
 * @brief Private to this folder: the LAPACK routines in use, by their Fortran names.
 *
 * Matrices are column-major. The lengths of the character arguments stand at the end, as a Fortran
 * caller passes them: compilers may rely on them.
 */
#ifndef SD_SOLVERS_SPECTRAL_LAPACK_H
#define SD_SOLVERS_SPECTRAL_LAPACK_H

#include <stddef.h>

/* All singular triplets, by divide and conquer. */
void dgesdd_(const char *job, const int *m, const int *n, double *a, const int *lda, double *s,
             double *u, const int *ldu, double *vt, const int *ldvt, double *work, const int *lwork,
             int *iwork, int *info, size_t job_length);

/* All eigenvalues and right eigenvectors of a general matrix. */
void dgeev_(const char *job_left, const char *job_right, const int *n, double *a, const int *lda,
            double *re, double *im, double *left, const int *ld_left, double *right,
            const int *ld_right, double *work, const int *lwork, int *info, size_t left_length,
            size_t right_length);

/* LU factors with row exchanges, and the solves with them. */
void dgetrf_(const int *m, const int *n, double *a, const int *lda, int *pivot, int *info);
void dgetrs_(const char *transposed, const int *n, const int *nrhs, const double *a, const int *lda,
             const int *pivot, double *b, const int *ldb, int *info, size_t transposed_length);

#endif
