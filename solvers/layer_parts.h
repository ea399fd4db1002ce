/**
 * @file layer_parts.h
 * @brief What a linearised layer is made of; for layer_op.c and layer_columns.c alone.
 *
 * A block is four matrices in a row:  A = OUT VALUE diag(gamma1),  F = DOWN HIDDEN diag(gamma2),
 * with diag(post1) and diag(post2) in front where the block has post-norms.
 * OUT is d x kv with the columns of a shared head summed; HIDDEN is A2, f x d, which is never
 * formed when it has a closed form.
 */
#ifndef SD_SOLVERS_LAYER_PARTS_H
#define SD_SOLVERS_LAYER_PARTS_H

#include "solvers/layer_op.h"

struct sd_layer_op {
    const sd_block *block;   /* borrowed                                        */
    bool            gated;   /* whether there are gate rows                     */
    double         *gamma1;  /* d                                               */
    double         *gamma2;  /* d; ones where a fitted A2 holds the factors     */
    double         *post1;   /* d: gamma of the post-norm over unit1; NULL: none */
    double         *post2;   /* d: likewise of the FFN                          */
    double          unit1;   /* what the post-norm divides A x by, x ~ N(0, I); 1 without one  */
    double          unit2;   /* likewise F x                                    */
    double         *alpha;   /* f: A2 = diag(alpha) gate + diag(beta) up;       */
    double         *beta;    /* f: both NULL for a fitted A2                    */
    double         *a2;      /* f x d; NULL for the closed form                 */
    double         *out_sum; /* d x kv; NULL where no heads share               */
    double         *in;      /* d, as the others below: scratch of one product  */
    double         *branch;  /* d                                               */
    double         *kv;      /* n_kv d_head                                     */
    double         *h;       /* f                                               */
    double         *half;    /* f                                               */
};

/** @brief Rows of Wv: key/value heads times the size of one. */
static inline int64_t kv_size(const sd_block *block)
{
    return block->n_kv * block->d_head;
}

#endif
