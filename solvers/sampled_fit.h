/**
 * @file sampled_fit.h
 * @brief Linearises a feed-forward layer by least squares on sampled inputs: the paper's protocol.
 *
 * For inputs x_1 .. x_n and hidden activations y(x) (plain: phi(w_i.x + b_i); gated:
 * phi(g_i.x + b_i) (u_i.x + e_i)) the fit is
 *
 *     A2 = argmin sum_k |y(x_k) - A2 x_k|^2 = T S^-1,   T = sum y(x_k) x_k',  S = sum x_k x_k'
 *
 * by normal equations and a Cholesky factorisation, without intercept. On x ~ N(0, I) its limit for
 * many samples is the closed form of stein.h, approached like 1 / sqrt(n)
 * (tests/oracle/test_stein_lstsq.c); at n = 100 000 and d = 576 it is still 10 to 12 % away.
 *
 * The options are those of layer_op.h: `scaled_input` multiplies the columns of the rows by gamma2,
 * so that the inputs are what stands before gamma2; `keep_biases` lets the rows' biases act. A2
 * goes to sd_layer_op_create_fitted() with the same options.
 *
 * Source: the paper's section 3.
 */
#ifndef SD_SOLVERS_SAMPLED_FIT_H
#define SD_SOLVERS_SAMPLED_FIT_H

#include <stdint.h>

#include "solvers/base/poll.h"
#include "solvers/layer_op.h"

/** Sums of a fit that is under way. */
typedef struct sd_sampled_fit sd_sampled_fit;

/**
 * @brief Starts a fit without any inputs.
 *
 * Holds 8 (f d + d^2) bytes for the sums and 2048 (2 f + d) for a block of inputs; f d of them
 * become the result. `block` and `options` are borrowed for the object's life. Errors:
 * SD_ERR_RESOURCE; SD_ERR_INTERNAL for shapes that do not fit together.
 */
sd_status sd_sampled_fit_create(const sd_block *block, const sd_linear_options *options,
                                sd_sampled_fit **out);

/** @brief Releases it; NULL is fine; sets NULL. */
void sd_sampled_fit_destroy(sd_sampled_fit **fit);

/**
 * @brief Adds n inputs, in blocks of 256 from the first.
 *
 * The blocks decide the order of the sums: the same calls give the same bits.
 *
 * @param[in] x     n x d, row-major: what the rows act on. gamma2 (x) norm(h) of a state h, or
 *                  norm(h) when the input is scaled
 * @param[in] poll  called after every block; NULL for none
 *
 * Cost: (4 f d + 2 f d + d^2) flops per input for a gated layer, 2 f d less for a plain one.
 * Errors: SD_INTERRUPTED by the poll: the sums are then of some inputs only.
 */
sd_status sd_sampled_fit_add(sd_sampled_fit *fit, int64_t n, const double *x, const sd_poll *poll);

/**
 * @brief Solves for A2; the sums are used up.
 *
 * @param[out] a2  f x d, row-major; yours, release with sd_free(); written only on success
 *
 * Cost: d^3 / 3 + 2 f d^2 flops. Accuracy: relative error of eps times the condition of S.
 * Errors: SD_ERR_INPUT when the inputs span too little: fewer than d of them, or a reciprocal
 * condition of S below 1e-12, or sums that are not finite.
 */
sd_status sd_sampled_fit_solve(sd_sampled_fit *fit, double **a2);

/** Gaussian inputs: entry (k, j) of the inputs is a function of seed, stream, k and j. */
typedef struct {
    int64_t  samples; /* the paper: 100 000                       */
    uint64_t seed;
    uint32_t stream; /* the layer's number: layers draw apart     */
} sd_fit_draws;

/**
 * @brief The paper's fit: create, add `samples` inputs x ~ N(0, I_d), solve.
 *
 * Holds 2048 d bytes beside the fit: inputs are drawn block by block.
 * Errors: as the three; SD_ERR_USAGE for fewer samples than d.
 */
sd_status sd_sampled_fit_gaussian(const sd_block *block, const sd_linear_options *options,
                                  const sd_fit_draws *draws, const sd_poll *poll, double **a2);

#endif
