/**
 * @file gguf_blocks.h
 * @brief Storage types of GGUF tensors, and their blocks decoded to single precision.
 *
 * A tensor is a row of blocks: a few numbers of few bits each, behind or in front of the scales
 * that they share. Decoding is exact up to the order of the operations below, which is that of the
 * reference (the Python package gguf): products of floats, each rounded once.
 *
 *     Q4_0 Q5_0 Q8_0 IQ4_NL   d q             Q4_1 Q5_1   d q + m
 *     Q2_K Q4_K Q5_K          (d s) q - (m t) Q3_K Q6_K IQ4_XS   (d s) q
 *
 * d, m: halves, one per block; s, t: small integers, one per 16 or 32 numbers.
 */
#ifndef SD_IO_GGUF_BLOCKS_H
#define SD_IO_GGUF_BLOCKS_H

#include <stdint.h>

enum {
    SD_GGUF_BLOCK       = 256, /* the most numbers of a block */
    SD_GGUF_BLOCK_BYTES = 210  /* the most bytes of a block that is decoded */
};

/** A storage type. */
typedef struct {
    const char *name;     /* "Q4_1"                                                            */
    int         type;     /* the sd_dtype that it is read as, -1: no format of weights         */
    int64_t     elements; /* of a block                                                        */
    int64_t     bytes;    /* of a block; 0: a type that is known by name and not supported     */
    void (*decode)(const unsigned char *block, float *out); /* NULL: read as it is stored      */
} sd_gguf_type;

/**
 * @brief The type that a file gives by its number; NULL for a number without a type.
 *
 * Its decode() reads `bytes` bytes of any alignment and writes `elements` floats.
 * Accuracy: bit for bit the reference's; tests/oracle/test_gguf_blocks.py holds it.
 */
const sd_gguf_type *sd_gguf_type_of(uint32_t number);

#endif
