#include "solvers/forward/activation.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "solvers/forward/fast_exp.h"

/* ---- one vector of SD_LANES elements each ---- */

static inline float silu(float a)
{
    return a / (1.0f + sd_fast_exp(-a));
}

/* (1 + tanh(u)) / 2 = 1 / (1 + exp(-2u)) */
static inline float gelu_tanh(float a)
{
    const float sqrt_8_over_pi = 1.59576912f;

    return a / (1.0f + sd_fast_exp(-sqrt_8_over_pi * (a + 0.044715f * a * a * a)));
}

static inline float relu(float a)
{
    return a < 0 ? 0.0f : a;
}

static inline float relu_squared(float a)
{
    return relu(a) * relu(a);
}

/* defines NAME_all: x_i = NAME(x_i) for n elements, n a multiple of SD_LANES */
#define VECTOR_LOOP(name)                                                                          \
    SD_CLONED static void name##_all(int64_t n, float *x)                                          \
    {                                                                                              \
        for (int64_t i = 0; i < n; i += SD_LANES)                                                  \
            for (int k = 0; k < SD_LANES; k++) x[i + k] = name(x[i + k]);                          \
    }

VECTOR_LOOP(silu)
VECTOR_LOOP(gelu_tanh)
VECTOR_LOOP(relu)
VECTOR_LOOP(relu_squared)

/* x Phi(x); the complement keeps the small values of negative x exact */
static void gelu_all(int64_t n, float *x)
{
    const float sqrt_half = 0.707106781f;

    for (int64_t i = 0; i < n; i++) x[i] = 0.5f * x[i] * erfcf(-x[i] * sqrt_half);
}

static void (*const activation[SD_ACT_COUNT])(int64_t, float *) = {
    [SD_ACT_SILU]         = silu_all,
    [SD_ACT_GELU]         = gelu_all,
    [SD_ACT_GELU_TANH]    = gelu_tanh_all,
    [SD_ACT_RELU]         = relu_all,
    [SD_ACT_RELU_SQUARED] = relu_squared_all,
};

void sd_activate(sd_act act, int64_t n, float *hidden, const float *up)
{
    enum { PIECE = 4096 }; /* stays in the first-level cache between the two passes */
    float tail[SD_LANES];

    for (int64_t first = 0; first < n; first += PIECE) {
        const int64_t count = n - first < PIECE ? n - first : PIECE;
        const int64_t whole = count / SD_LANES * SD_LANES, rest = count - whole;
        float        *x = hidden + first;

        activation[act](whole, x);
        if (rest > 0) {
            memset(tail, 0, sizeof tail);
            memcpy(tail, x + whole, (size_t)rest * sizeof *x);
            activation[act](SD_LANES, tail);
            memcpy(x + whole, tail, (size_t)rest * sizeof *x);
        }
        if (up != NULL)
            for (int64_t i = 0; i < count; i++) x[i] *= up[first + i];
    }
}
