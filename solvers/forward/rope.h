/**
 * @file rope.h
 * @brief Rotary position embedding: frequencies, tables of cosines and sines, the rotation.
 *
 * A head's entries i and i + d_head/2 are the coordinates of a point that position p turns by the
 * angle p * inv_freq[i]:
 *
 *     x_i'            = x_i cos - x_{i+d_head/2} sin
 *     x_{i+d_head/2}' = x_{i+d_head/2} cos + x_i sin
 *
 * Everything is rounded to float where the reference implementation (transformers' Llama) rounds,
 * because at position p an error of the frequency is multiplied by p.
 */
#ifndef SD_SOLVERS_FORWARD_ROPE_H
#define SD_SOLVERS_FORWARD_ROPE_H

#include <stdint.h>

/** How the frequencies are stretched for long contexts. */
typedef enum {
    SD_ROPE_DEFAULT, /* theta^(-2i / d_head)                                                  */
    SD_ROPE_LINEAR,  /* the same divided by `factor`                                          */
    SD_ROPE_LLAMA3,  /* long waves divided by `factor`, short ones kept, a ramp in between    */
} sd_rope_kind;

/** What a model's config says about its rotary embedding. */
typedef struct {
    sd_rope_kind kind;
    double       theta;                             /* base, > 0                              */
    double       factor;                            /* linear and llama3, > 0                 */
    double       low_freq_factor, high_freq_factor; /* llama3, high > low > 0                 */
    double       original_positions;                /* llama3: original_max_position_embeddings */
} sd_rope_options;

/**
 * @brief Fills the inverse frequencies as the reference computes them in float.
 *
 * @param[in]  options   as described at each field; not checked
 * @param[in]  d_head    size of a head, even
 * @param[out] inv_freq  d_head / 2 values
 *
 * Not collective. Accuracy: within 2 units in the last place of the reference's (its power function
 * is not correctly rounded), held by tests/oracle/test_llama_states.c.
 */
void sd_rope_inv_freq(const sd_rope_options *options, int64_t d_head, float *inv_freq);

/**
 * @brief Fills the cosines and sines of positions 0 .. length-1.
 *
 * @param[in]  length       number of positions
 * @param[in]  half         d_head / 2
 * @param[in]  inv_freq     half values
 * @param[out] cosine,sine  length x half each
 */
void sd_rope_table(int64_t length, int64_t half, const float *inv_freq, float *cosine, float *sine);

/**
 * @brief Turns the heads of consecutive tokens, the first of which is at position 0.
 *
 * @param[in]     length       tokens, at most the tables' positions
 * @param[in]     n_heads      heads of a token
 * @param[in]     half         d_head / 2
 * @param[in]     cosine,sine  from sd_rope_table()
 * @param[in,out] x            length x (n_heads * 2 half)
 */
void sd_rope_apply(int64_t length, int64_t n_heads, int64_t half, const float *cosine,
                   const float *sine, float *x);

#endif
