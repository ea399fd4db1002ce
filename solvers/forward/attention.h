/**
 * @file attention.h
 * @brief Causal attention of one sequence, on BLAS.
 */
#ifndef SD_SOLVERS_FORWARD_ATTENTION_H
#define SD_SOLVERS_FORWARD_ATTENTION_H

#include <stdint.h>

/** Rows of the score matrix that are in memory at a time. */
enum { SD_ATTENTION_ROWS = 128 };

/** Heads of one sequence; key/value head h / (n_heads / n_kv) serves head h. */
typedef struct {
    int64_t      n_heads, n_kv, d_head; /* n_heads a multiple of n_kv                          */
    const float *key, *value;           /* length x (n_kv d_head) each, positions in `key`     */
    float        scale;                 /* of the logits                                       */
    float        softcap;               /* c of c tanh(logit / c); 0: none                     */
    int64_t      window;                /* tokens seen, the own one included; 0: all before    */
} sd_attention_heads;

/**
 * @brief out = softmax(cap(scale query key'), causal) value, head by head.
 *
 * @param[in]     heads   sizes, keys and values
 * @param[in]     length  tokens of the sequence, >= 1
 * @param[in,out] query   length x (n_heads d_head): queries in, the heads' outputs out
 * @param[in]     scores  scratch, SD_ATTENTION_ROWS x length
 *
 * Not collective. Cost: 2 length^2 n_heads d_head flops for long sequences, twice that for length
 * <= SD_ATTENTION_ROWS; the part above the diagonal of a row block is computed and thrown away.
 * With a window 4 length (window + SD_ATTENTION_ROWS) n_heads d_head at most. A cap adds one
 * hyperbolic tangent of the C library for each logit.
 */
void sd_attention(const sd_attention_heads *heads, int64_t length, float *query, float *scores);

#endif
