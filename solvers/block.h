/**
 * @file block.h
 * @brief What a transformer block is to the solvers: sizes, wiring and weights, without any names.
 *
 * Weights act on column vectors: y = W x with W stored row-major, one row per output.
 */
#ifndef SD_SOLVERS_BLOCK_H
#define SD_SOLVERS_BLOCK_H

#include <stdint.h>

#include "solvers/matrix.h"
#include "solvers/stein.h"

typedef enum {
    SD_WIRING_SEQUENTIAL, /* x += attention(x); x += ffn(x)    L = (I + F)(I + A) */
    SD_WIRING_PARALLEL,   /* x += attention(x) + ffn(x)        L = I + A + F      */
} sd_wiring;

/** Root-mean-square norm: x gamma / sqrt(mean(x^2) + eps). A gamma of NULL: no such norm. */
typedef struct {
    const float *gamma; /* one per channel: d, or d_head */
    double       eps;   /* added to the mean square */
} sd_norm;

/** Rotary position embedding; pairs are (i, i + d_head / 2), as in the reference implementation. */
typedef struct {
    const float *inv_freq; /* d_head / 2, rounded to float as the reference does */
} sd_rope;

/**
 * One block. All arrays are borrowed and must outlive every operator made from it. What not every
 * block has is right when zero.
 */
typedef struct {
    int64_t   d, f;                  /* hidden size, FFN width                                */
    int64_t   n_heads, n_kv, d_head; /* attention: heads, key/value heads, size of one        */
    sd_wiring wiring;
    sd_act    act;
    sd_norm   norm1, norm2; /* before attention, before the FFN                           */
    sd_norm   post1, post2; /* of a branch's output, before it is added; or none          */
    sd_norm   norm_q;       /* of each query head, before its rotation; or none           */
    sd_norm   norm_k;       /* of each key head, likewise                                 */
    sd_rope   rope;         /* the positions' part of attention                           */
    double    scale;        /* of the logits; 0: 1 / sqrt(d_head)                         */
    double    softcap;      /* c of c tanh(logit / c); 0: none                            */
    int64_t   window;       /* tokens that attention sees, itself included; 0: all before */
    sd_matrix query, key;   /* n_heads d_head x d,  n_kv d_head x d                       */
    sd_matrix value, out;   /* n_kv d_head x d,  d x n_heads d_head                       */
    sd_matrix gate, up;     /* f x d each; gate.rows is 0 for a plain FFN                 */
    sd_matrix down;         /* d x f                                                      */
} sd_block;

#endif
