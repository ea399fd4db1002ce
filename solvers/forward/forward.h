/**
 * @file forward.h
 * @brief The exact block on sequences of tokens, in single precision on BLAS.
 */
#ifndef SD_SOLVERS_FORWARD_FORWARD_H
#define SD_SOLVERS_FORWARD_FORWARD_H

#include <stdint.h>

#include "solvers/block.h"

/** Sequences laid end to end: sequence s holds tokens first[s] .. first[s+1]-1, positions from 0. */
typedef struct {
    int64_t        n_sequences;
    const int64_t *first; /* n_sequences + 1 offsets, first[0] = 0; borrowed */
} sd_sequences;

/** Scratch for blocks of one shape. */
typedef struct sd_forward sd_forward;

/**
 * @brief Makes scratch for at most `max_tokens` tokens in sequences of at most `max_length`.
 * Only sizes of `block` are read. Errors: SD_ERR_RESOURCE.
 */
sd_status sd_forward_create(const sd_block *block, int64_t max_tokens, int64_t max_length,
                            sd_forward **out);
void      sd_forward_destroy(sd_forward **forward);

/**
 * @brief Takes states through one block.
 *
 * @param[in]     seq  the sequences of this call, at most max_tokens tokens in all
 * @param[in,out] x    tokens x d: state l-1 in, state l out
 * @param[out]    mid  tokens x d: the state the FFN's norm sees (after the attention branch, for
 *                     sequential wiring)
 *
 * The same input gives the same bits however the sequences were shared out, because a call's shape
 * decides the order of every sum: always call with the same chunks.
 * Accuracy: |error| / |x| <= 2e-5 per token against the reference implementation in float.
 * Not collective. Errors: SD_ERR_INTERNAL for shapes beyond the scratch.
 */
sd_status sd_forward_block(sd_forward *forward, const sd_block *block, const sd_sequences *seq,
                           float *x, float *mid);

/**
 * @brief y = FFN(norm2(x)) for n states (n x d each, n <= max_tokens): the branch alone, before it is added.
 */
sd_status sd_forward_ffn(sd_forward *forward, const sd_block *block, int64_t n, const float *x,
                         float *y);

/**
 * @brief Fills the inverse frequencies of a rotary embedding, as the reference computes them in float.
 */
typedef enum { SD_ROPE_DEFAULT, SD_ROPE_LINEAR, SD_ROPE_LLAMA3 } sd_rope_kind;
typedef struct {
    sd_rope_kind kind;
    double       theta;                             /* base                                   */
    double       factor;                            /* linear and llama3                      */
    double       low_freq_factor, high_freq_factor; /* llama3                                 */
    double       original_positions;                /* llama3: original_max_position_embeddings */
} sd_rope_options;
void sd_rope_inv_freq(const sd_rope_options *options, int64_t d_head, float *inv_freq);

#endif
