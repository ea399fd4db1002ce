/**
 * @file forward.h
 * @brief The exact block on sequences of tokens, in single precision on BLAS.
 *
 *     sequential   mid = x + attention(norm1(x)),   x' = mid + ffn(norm2(mid))
 *     parallel     mid = x,                         x' = x + attention(norm1(x)) + ffn(norm2(x))
 *
 * with attention causal within each sequence, a post-norm behind a branch where the block has one,
 * norms of query and key heads likewise, and
 *
 *     ffn(y) = down (phi(gate y) * (up y))     gated
 *     ffn(y) = down phi(up y)                  plain: gate.rows is 0
 *
 * Every matrix may have a bias. Rows of states are tokens, d floats each. Stored formats other than
 * float are converted a panel of rows at a time, so that a converted copy of a matrix never exists.
 */
#ifndef SD_SOLVERS_FORWARD_FORWARD_H
#define SD_SOLVERS_FORWARD_FORWARD_H

#include <stdint.h>

#include "solvers/block.h"
#include "solvers/forward/rope.h"

/** Sequences laid end to end: sequence s holds tokens first[s] .. first[s+1]-1, positions from 0.
 */
typedef struct {
    int64_t        n_sequences;
    const int64_t *first; /* n_sequences + 1 offsets, first[0] = 0, none falling; borrowed */
} sd_sequences;

/** Scratch for blocks of one shape. One thread at a time may use it. */
typedef struct sd_forward sd_forward;

/**
 * @brief Makes scratch for at most `max_tokens` tokens in sequences of at most `max_length`.
 *
 * Only sizes and formats of `block` are read, and nothing of it is kept.
 *
 * @param[in]  block       a block of the shape to come
 * @param[in]  max_tokens  most tokens of a call, >= 1
 * @param[in]  max_length  longest sequence, >= 1
 * @param[out] out         yours, release with sd_forward_destroy(); NULL on failure
 *
 * Not collective. Holds 4 bytes for each of: max_tokens (d + max(n_heads d_head + 2 n_kv d_head,
 * f or, gated, 2 f)), 128 max_length, max_length d_head, 4 max_tokens, and a panel of at most 2^20
 * weights or 64 rows. Errors: SD_ERR_RESOURCE; SD_ERR_INTERNAL for sizes that make no block or do
 * not fit BLAS.
 */
sd_status sd_forward_create(const sd_block *block, int64_t max_tokens, int64_t max_length,
                            sd_forward **out);

/** @brief Releases it; NULL is fine; sets NULL. */
void sd_forward_destroy(sd_forward **forward);

/**
 * @brief Takes states through one block.
 *
 * @param[in,out] forward  scratch made for this shape
 * @param[in]     block    the block; an `inv_freq` of NULL leaves positions out of attention
 * @param[in]     seq      the sequences of this call, at most max_tokens tokens in all
 * @param[in,out] x        tokens x d: state l-1 in, state l out
 * @param[out]    mid      tokens x d, apart from x: the state the FFN's norm sees (x itself as it
 *                         came in for parallel wiring)
 *
 * The same call gives the same bits: its shape decides the order of every sum. Sequences do not
 * touch each other, but the shape is that of the whole call: always call with the same chunks.
 * NaN and infinite input is carried along, not trapped; look for it in the result.
 *
 * Not collective. Cost: 2 flops per weight and token, and attention.h's; each weight is read once.
 * Accuracy: |error| / |x| <= 2e-5 per token against the reference implementation in float, held by
 * tests/oracle/test_llama_states.c.
 * Errors: SD_ERR_INTERNAL for shapes other than the scratch's or beyond it; x is then untouched.
 */
sd_status sd_forward_block(sd_forward *forward, const sd_block *block, const sd_sequences *seq,
                           float *x, float *mid);

/**
 * @brief What a branch's post-norm divided each token of the last sd_forward_block() call by.
 *
 * @param[in] branch  0 attention, 1 FFN
 * @return one number per token, owned by the scratch until its next call; NULL: no such norm
 */
const double *sd_forward_post_divisor(const sd_forward *forward, int branch);

/**
 * @brief y = post2(ffn(norm2(x))) for n states: the branch alone, before it is added.
 *
 * @param[in]  n  states, 0 .. max_tokens
 * @param[in]  x  n x d
 * @param[out] y  n x d; may be x
 *
 * Not collective. Errors: as sd_forward_block().
 */
sd_status sd_forward_ffn(sd_forward *forward, const sd_block *block, int64_t n, const float *x,
                         float *y);

#endif
