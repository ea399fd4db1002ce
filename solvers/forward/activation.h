/**
 * @file activation.h
 * @brief Activations of the feed-forward layer, in single precision on long arrays.
 */
#ifndef SD_SOLVERS_FORWARD_ACTIVATION_H
#define SD_SOLVERS_FORWARD_ACTIVATION_H

#include <stdint.h>

#include "solvers/stein.h"

/**
 * @brief hidden_i = phi(hidden_i) up_i, or phi(hidden_i) where `up` is NULL.
 *
 * @param[in]     act     activation, < SD_ACT_COUNT
 * @param[in]     n       elements
 * @param[in,out] hidden  n pre-activations in, hidden activations out
 * @param[in]     up      n values of the gated layer's other branch, or NULL
 *
 * NaN gives NaN; large values saturate as the formula does, without a trap.
 * Not collective. Cost: SiLU and the tanh GELU about 20 operations an element, vectorised; the
 * exact GELU is an error function of the C library each.
 * Accuracy: |error| <= 2^-22 |a| for pre-activation a and no `up`, 2^-24 a^2 for the squared ReLU,
 * held by tests/unit/test_activation.c.
 */
void sd_activate(sd_act act, int64_t n, float *hidden, const float *up);

#endif
