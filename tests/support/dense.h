/**
 * @file dense.h
 * @brief Dense test matrices with a known decomposition, and the operator that a matrix is.
 *
 * All matrices are d x d and column-major. Numbers come from a small generator with a stated seed.
 */
#ifndef SD_TESTS_SUPPORT_DENSE_H
#define SD_TESTS_SUPPORT_DENSE_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "solvers/layer_op.h"

typedef struct {
    int64_t       d;
    const double *m;
} dense;

static inline double *dense_new(int64_t d)
{
    double *m = calloc((size_t)(d * d), sizeof *m);

    if (m == NULL) {
        fprintf(stderr, "no memory for a test matrix\n");
        exit(1);
    }
    return m;
}

static inline void dense_apply(const void *context, bool transposed, const double *x, double *y)
{
    const dense *a = context;

    memset(y, 0, sizeof *y * (size_t)a->d);
    for (int64_t k = 0; k < a->d; k++)
        for (int64_t i = 0; i < a->d; i++) {
            if (transposed)
                y[k] += a->m[k * a->d + i] * x[i];
            else
                y[i] += a->m[k * a->d + i] * x[k];
        }
}

static inline sd_operator dense_operator(const dense *a)
{
    return (sd_operator){a->d, dense_apply, a};
}

/* Uniform in (-1, 1): a 64-bit congruential generator, upper bits. */
static inline double dense_draw(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 11) * 0x1p-52 - 1.0;
}

static inline double *dense_random(int64_t d, uint64_t seed)
{
    double *m = dense_new(d);

    for (int64_t i = 0; i < d * d; i++) m[i] = dense_draw(&seed);
    return m;
}

static inline double dense_dot(int64_t d, const double *a, const double *b)
{
    double sum = 0.0;

    for (int64_t i = 0; i < d; i++) sum += a[i] * b[i];
    return sum;
}

static inline void dense_normalise(int64_t d, double *x)
{
    const double length = sqrt(dense_dot(d, x, x));

    for (int64_t i = 0; i < d; i++) x[i] /= length;
}

/* Orthonormal columns to rounding: Gram-Schmidt, twice. */
static inline double *dense_orthogonal(int64_t d, uint64_t seed)
{
    double *q = dense_random(d, seed);

    for (int64_t k = 0; k < d; k++) {
        for (int pass = 0; pass < 2; pass++)
            for (int64_t j = 0; j < k; j++) {
                const double c = dense_dot(d, q + j * d, q + k * d);
                for (int64_t i = 0; i < d; i++) q[k * d + i] -= c * q[j * d + i];
            }
        dense_normalise(d, q + k * d);
    }
    return q;
}

/* left diag(s) right' */
static inline double *dense_from_triplets(int64_t d, const double *left, const double *s,
                                          const double *right)
{
    double *m = dense_new(d);

    for (int64_t j = 0; j < d; j++)
        for (int64_t k = 0; k < d; k++)
            for (int64_t i = 0; i < d; i++)
                m[k * d + i] += left[j * d + i] * s[j] * right[j * d + k];
    return m;
}

/* q b q' */
static inline double *dense_similar(int64_t d, const double *q, const double *b)
{
    double *left = dense_new(d), *m = dense_new(d);

    for (int64_t k = 0; k < d; k++)
        for (int64_t j = 0; j < d; j++)
            for (int64_t i = 0; i < d; i++) left[k * d + i] += q[j * d + i] * b[k * d + j];
    for (int64_t j = 0; j < d; j++)
        for (int64_t k = 0; k < d; k++)
            for (int64_t i = 0; i < d; i++) m[k * d + i] += left[j * d + i] * q[j * d + k];
    free(left);
    return m;
}

#endif
