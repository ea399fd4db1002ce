/**
 * @file blacs.h
 * @brief Private to this folder: the BLACS and ScaLAPACK routines in use; neither ships a header.
 *
 * The lengths of the character arguments of Fortran routines stand at the end, as a Fortran caller
 * passes them: compilers may rely on them.
 */
#ifndef SD_SOLVERS_DIST_BLACS_H
#define SD_SOLVERS_DIST_BLACS_H

#include <mpi.h>
#include <stddef.h>

int  Csys2blacs_handle(MPI_Comm comm);
void Cfree_blacs_system_handle(int handle);
void Cblacs_gridinit(int *context, const char *order, int n_rows, int n_cols);
void Cblacs_gridinfo(int context, int *n_rows, int *n_cols, int *row, int *col);
void Cblacs_gridexit(int context);

void descinit_(int *descriptor, const int *m, const int *n, const int *row_block,
               const int *col_block, const int *first_row, const int *first_col, const int *context,
               const int *leading, int *info);

/* Singular values, and on request vectors, of a distributed matrix; a is destroyed. */
void pdgesvd_(const char *job_u, const char *job_vt, const int *m, const int *n, double *a,
              const int *ia, const int *ja, const int *desc_a, double *s, double *u, const int *iu,
              const int *ju, const int *desc_u, double *vt, const int *ivt, const int *jvt,
              const int *desc_vt, double *work, const int *lwork, int *info, size_t job_u_length,
              size_t job_vt_length);

/* The status of a routine that left `info`: negative is an argument of ours. For use in SD_TRY. */
#define SD_INFO(routine, info)                                                                     \
    ((info) >= 0 ? SD_OK                                                                           \
                 : sd_fail(SD_ERR_INTERNAL, __FILE__, __LINE__, "%s refuses argument %d", routine, \
                           -(info)))

#endif
