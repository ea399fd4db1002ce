/**
 * @file matrix.h
 * @brief A weight matrix as it is stored, and its products with vectors in double precision.
 *
 * Weights stay in memory in the format of the checkpoint, at any alignment. Products convert on the
 * fly and sum in double; each reads the matrix once and is bound by memory (3 to 5 10^9 weights per
 * second and core). The instruction set is chosen at run time; all of them, and all compilers that
 * neither fuse nor reorder, give the same bits, wherever the arrays lie.
 */
#ifndef SD_SOLVERS_MATRIX_H
#define SD_SOLVERS_MATRIX_H

#include <stdint.h>

#include "solvers/base/dtype.h"
#include "solvers/base/status.h"

/** W, rows x cols, acting on column vectors: y = W x. Memory is borrowed. */
typedef struct {
    sd_dtype     type;   /* SD_F32, SD_BF16 or SD_F16                        */
    int64_t      rows;   /* outputs, >= 0                                    */
    int64_t      cols;   /* inputs, >= 1                                     */
    int64_t      stride; /* elements from one row to the next, >= cols       */
    const void  *weight; /* rows x cols, row-major                           */
    const float *bias;   /* rows, or NULL for none; products leave it out    */
} sd_matrix;

/** @brief Checks shape and format; the products below do not. Errors: SD_ERR_INTERNAL. */
sd_status sd_matrix_check(const sd_matrix *w);

/**
 * @brief y = W x.
 *
 * @param[in]  x  cols doubles
 * @param[out] y  rows doubles, not overlapping x; entry i depends on row i alone
 *
 * Cost: 2 rows cols flops. Accuracy: |error| <= (cols / 16 + 5) eps sum |w||x| per entry.
 */
void sd_matrix_mul(const sd_matrix *w, const double *x, double *y);

/**
 * @brief y += W' x.
 *
 * @param[in]     x  rows doubles
 * @param[in,out] y  cols doubles, not overlapping x; rows are added in order, so that a matrix
 * taken in several calls gives the same bits
 *
 * Cost: 2 rows cols flops. Accuracy: |error| <= (rows + 1) eps sum |w||x| per entry.
 */
void sd_matrix_mul_transposed(const sd_matrix *w, const double *x, double *y);

/** @brief out = rows [first, first + count) as floats, count x cols, dense; exact. */
void sd_matrix_rows(const sd_matrix *w, int64_t first, int64_t count, float *out);

/** @brief Bias of a row; 0 where there is none. */
double sd_matrix_bias(const sd_matrix *w, int64_t row);

#endif
