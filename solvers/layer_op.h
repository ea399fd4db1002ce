/**
 * @file layer_op.h
 * @brief The linear maps of one block, matrix-free: A, F and everything made of them.
 *
 *     A = Wo repeat_kv(Wv) diag(gamma1)    of a single token: softmax of one logit is 1
 *     F = Wd A2 diag(gamma2)               A2: the least-squares fit of the hidden activations
 *     M = i I + a A + f F + [composed] a f F A        the family of maps below
 *
 * Where a branch ends in a post-norm, its map is diag(post gamma) / r times what stands here, with
 * r^2 = eps + E mean((A x)^2) for x ~ N(0, I): the norm taken at its value on the population of the
 * fit. Without the post-norm's gamma the prediction fails, and without r the two branches and I
 * have no common scale. For one token exact attention is then A norm1(x) up to a factor of that
 * token. Norms of query and key heads, scale, cap and window do not act on a single token.
 *
 * Columns of Wo whose heads share a key/value head are summed once. One product with M or its
 * transpose reads the weights once: 2 (d kv + d kv + 3 d f) flops.
 *
 * Source: the paper's section 3; `scaled` and `sum` are ours (docs/notation.md).
 */
#ifndef SD_SOLVERS_LAYER_OP_H
#define SD_SOLVERS_LAYER_OP_H

#include <stdbool.h>
#include <stdint.h>

#include "solvers/block.h"

/** A d x d linear map by its products; what the spectral solvers work on. */
typedef struct {
    int64_t d;
    /* y = M x, or y = M' x when transposed; x and y: d doubles that do not overlap. Cannot fail. */
    void (*apply)(const void *context, bool transposed, const double *x, double *y);
    const void *context;
} sd_operator;

/** Which map: coefficients of M = identity I + attention A + ffn F + [composed] attention ffn F A.
 */
typedef struct {
    double identity, attention, ffn;
    bool   composed;
} sd_layer_map;

/** How the FFN is linearised. */
typedef struct {
    bool scaled_input; /* fold gamma2 into the rows before the fit, instead of after (`input`)    */
    bool keep_biases;  /* the rows' own biases enter the fit (`biases`); else they count as zero  */
} sd_linear_options;

typedef struct sd_layer_op sd_layer_op;

/**
 * @brief Linearises a block by the closed form of stein.h.
 *
 * Closed form:  A2 = diag(alpha) G + diag(beta) U  of the rows G, U, or of G diag(gamma2) and
 * U diag(gamma2) when the input is scaled; either way F = Wd (alpha G + beta U) diag(gamma2).
 *
 * @param[in]  block    borrowed for the object's life, with all its arrays
 * @param[in]  options  borrowed until return
 * @param[out] out      written only on success; release with sd_layer_op_destroy()
 *
 * Holds 8 (4 f + 4 d + n_kv d_head) bytes, and 8 d n_kv d_head more where heads share a key/value
 * head. Not collective. Cost: reads gate, up and, where heads share, out once; a post-norm forms
 * its branch's map once, 256 columns at a time. Errors: SD_ERR_RESOURCE; SD_ERR_INPUT for damaged
 * weights, as stein.h; SD_ERR_INTERNAL for shapes that do not fit together.
 */
sd_status sd_layer_op_create(const sd_block *block, const sd_linear_options *options,
                             sd_layer_op **out);

/**
 * @brief As sd_layer_op_create(), with a fitted A2 in place of the closed form.
 *
 * F = Wd A2 diag(gamma2), or F = Wd A2 when the input is scaled: gamma2 is then in the fitted rows
 * already (sampled_fit.h makes A2 by the same options).
 *
 * @param[in] a2  f x d, row-major, from sd_alloc(); given: released with the object, and also on
 *                failure
 */
sd_status sd_layer_op_create_fitted(const sd_block *block, const sd_linear_options *options,
                                    double *a2, sd_layer_op **out);

/** @brief Releases it; NULL is fine; sets NULL. */
void sd_layer_op_destroy(sd_layer_op **op);

/** @brief The layer L: (I + F)(I + A), or I + A + F for parallel wiring. */
sd_layer_map sd_map_layer(const sd_layer_op *op);
/** @brief R = L - I (decay map `paper`). */
sd_layer_map sd_map_paper(const sd_layer_op *op);
/** @brief A + F (decay map `sum`). */
sd_layer_map sd_map_sum(void);
/**
 * @brief (I + F/s2)(I + A/s1) - I, or A/s1 + F/s2 for parallel wiring (decay map `scaled`).
 *
 * s1 and s2, not 0, are what each branch's norms really divide by: of a branch with a post-norm the
 * product of the divisor in front and that behind, whose assumed value r is taken out of A or F.
 */
sd_layer_map sd_map_scaled(const sd_layer_op *op, double s1, double s2);
/** @brief I + A. */
sd_layer_map sd_map_attention(void);
/** @brief F. */
sd_layer_map sd_map_ffn(void);

/** A map bound to a layer: pass &bound as the context of the operator that sd_layer_operator()
 * makes. */
typedef struct {
    sd_layer_op *op; /* its scratch is used: one thread at a time */
    sd_layer_map map;
} sd_bound_map;

/**
 * @brief The operator of a bound map; `bound` is borrowed for the operator's life.
 *
 * Weights are read as stored, once per product, and not at all where the map's coefficient is 0.
 * The same input gives the same bits on the same machine.
 */
sd_operator sd_layer_operator(const sd_bound_map *bound);

/**
 * @brief Applies a map to n vectors at once, through dgemm.
 *
 * @param[in]  x  n x d, row-major: one vector per row
 * @param[out] y  n x d: row k is M x_k. With x the identity, y is M column by column.
 * Cost: 2 n (2 d kv + 2 d f) flops; weights are decoded once per 256 vectors, in panels of 8 MiB;
 * holds 256 (2 d + kv + f) doubles beside the panel.
 * Accuracy: equal to the operator's within the rounding of sums of f terms; bits may differ.
 * Errors: SD_ERR_RESOURCE.
 */
sd_status sd_layer_op_apply_block(const sd_layer_op *op, sd_layer_map map, int64_t n,
                                  const double *x, double *y);

/**
 * @brief Forms columns of a map: out[k * d + i] = M(i, column[k]), which is column-major.
 * @param[in] column  n column numbers in [0, d); NULL for 0 .. n-1
 */
sd_status sd_layer_op_columns(const sd_layer_op *op, sd_layer_map map, int64_t n,
                              const int64_t *column, double *out);

/** @brief A alone. */
sd_layer_map sd_map_attention_part(void);

/**
 * @brief Makes a map of A and F that are formed: i I + a A + f F + [composed] a f F A.
 *
 * For several maps of one layer: sd_layer_op_columns() reads and multiplies all weights for each.
 *
 * @param[in]  a, f  d x d, column-major, as sd_layer_op_columns() makes them
 * @param[out] out   d x d, column-major; overlaps neither
 *
 * Cost: 2 d^3 flops where the map is composed, 3 d^2 else. Accuracy: equal to the formed map within
 * the rounding of sums of d terms; bits may differ.
 */
void sd_layer_map_form(sd_layer_map map, int64_t d, const double *a, const double *f, double *out);

#endif
