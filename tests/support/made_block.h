/**
 * @file made_block.h
 * @brief A block with random weights for tests: any shape, format of storage, wiring, gated or not.
 */
#ifndef SD_TESTS_SUPPORT_MADE_BLOCK_H
#define SD_TESTS_SUPPORT_MADE_BLOCK_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "solvers/block.h"

typedef struct {
    int64_t   d, f, n_heads, n_kv, d_head;
    sd_wiring wiring;
    sd_act    act;
    sd_dtype  type;
    bool      gated, biased;
} made_shape;

/** What a made block owns: at most 20 arrays. */
typedef struct {
    sd_block block;
    void    *owned[20];
    int      n_owned;
} made_block;

/* A linear congruential generator, in (-1, 1): good enough for weights of a test. */
static inline double made_number(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(int64_t)(*state >> 11) / (double)(INT64_C(1) << 52) - 1;
}

static inline void *made_array(made_block *made, size_t bytes)
{
    return made->owned[made->n_owned++] = calloc(bytes + 1, 1);
}

static inline float *made_floats(made_block *made, uint64_t *state, int64_t n, double mean,
                                 double spread)
{
    float *x = made_array(made, (size_t)n * sizeof *x);

    for (int64_t i = 0; i < n; i++) x[i] = (float)(mean + spread * made_number(state));
    return x;
}

/* Random bit patterns of moderate exponent stand for 16-bit weights; stride leaves 3 unread. */
static inline sd_matrix made_matrix(made_block *made, uint64_t *state, const made_shape *shape,
                                    int64_t rows, int64_t cols, bool biased)
{
    const int64_t stride = cols + 3;
    const double  spread = 2 / sqrt((double)cols);
    sd_matrix     w      = {shape->type, rows, cols, stride, NULL, NULL};
    float        *value  = made_floats(made, state, rows * stride, 0, spread);

    for (int64_t i = 0; i < rows; i++)
        for (int64_t k = cols; k < stride; k++)
            value[i * stride + k] = NAN; /* nobody may read it */
    w.weight = value;
    if (biased) w.bias = made_floats(made, state, rows, 0, 1);
    if (shape->type == SD_BF16) {
        uint16_t *half = made_array(made, (size_t)(rows * stride) * sizeof *half);

        for (int64_t i = 0; i < rows * stride; i++)
            memcpy(&half[i], (const char *)&value[i] + 2, 2); /* cut off: any bits will do */
        w.weight = half;
    }
    return w;
}

static inline void make_block(const made_shape *s, uint64_t seed, made_block *made)
{
    uint64_t      state = seed * 2 + 1;
    const int64_t q = s->n_heads * s->d_head, kv = s->n_kv * s->d_head;
    sd_block     *b = &made->block;

    memset(made, 0, sizeof *made);
    b->d       = s->d;
    b->f       = s->f;
    b->n_heads = s->n_heads;
    b->n_kv    = s->n_kv;
    b->d_head  = s->d_head;
    b->wiring  = s->wiring;
    b->act     = s->act;

    b->norm1 = (sd_norm){made_floats(made, &state, s->d, 1, 0.5), 1e-5};
    b->norm2 = (sd_norm){made_floats(made, &state, s->d, 1.5, 1), 1e-5};
    b->value = made_matrix(made, &state, s, kv, s->d, false);
    b->out   = made_matrix(made, &state, s, s->d, q, false);
    if (s->gated) b->gate = made_matrix(made, &state, s, s->f, s->d, s->biased);
    b->up   = made_matrix(made, &state, s, s->f, s->d, s->biased);
    b->down = made_matrix(made, &state, s, s->d, s->f, false);
}

static inline void free_block(made_block *made)
{
    while (made->n_owned > 0) free(made->owned[--made->n_owned]);
}

#endif
