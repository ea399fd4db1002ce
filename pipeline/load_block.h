/**
 * @file load_block.h
 * @brief Weights from a checkpoint: one layer as the solvers' block, and rows of the embedding.
 *
 * A loaded block lies in one run of bytes whose layout follows from the model and the tensors'
 * types alone, so that one rank reads it and sends it on: the others make an empty one of the same
 * layout with sd_loaded_block_create() and receive `size` bytes at `bytes`.
 */
#ifndef SD_PIPELINE_LOAD_BLOCK_H
#define SD_PIPELINE_LOAD_BLOCK_H

#include <stdint.h>

#include "io/checkpoint.h"
#include "io/digest.h"
#include "pipeline/models/family.h"
#include "solvers/base/poll.h"
#include "solvers/block.h"

/** What the layout of a layer follows from, and how it attends; plain integers, to be sent as they
 * are. */
typedef struct {
    int32_t type[SD_T_COUNT]; /* the sd_dtype by role, never SD_F64; -1: the layer has none */
    int32_t local;            /* 1: its attention has the model's window                    */
} sd_block_types;

/** One layer's weights. */
typedef struct {
    sd_block block; /* its arrays lie in `bytes` */
    int64_t  size;  /* of `bytes` */
    void    *bytes; /* owned */
} sd_loaded_block;

/**
 * @brief The types of a layer: matrices as stored, F64 as F32; norms and biases F32.
 *
 * @param[in] layer  from 0
 * Not collective. Reads no weights. Errors: SD_ERR_INPUT as sd_model_tensor().
 */
sd_status sd_block_types_of(const sd_checkpoint *checkpoint, const sd_family *family,
                            const sd_model *model, int64_t layer, sd_block_types *out);

/** @brief Bytes of a block of this layout. */
int64_t sd_loaded_block_size(const sd_model *model, const sd_block_types *types);

/**
 * @brief Makes a block whose arrays lie in given bytes of this layout.
 *
 * @param[in]  bytes  aligned to 64; borrowed for the block's life
 * @param[in]  size   of them
 *
 * Not collective. Errors: SD_ERR_INTERNAL when `size` is not that of the layout.
 */
sd_status sd_loaded_block_bind(const sd_model *model, const sd_block_types *types, void *bytes,
                               int64_t size, sd_block *out);

/**
 * @brief Makes an empty block of a layout, to be filled at `bytes`.
 * @param[out] out  yours, release with sd_loaded_block_destroy(); NULL on failure
 * Not collective. Errors: SD_ERR_RESOURCE.
 */
sd_status sd_loaded_block_create(const sd_model *model, const sd_block_types *types,
                                 sd_loaded_block **out);

/** @brief Releases it; NULL is fine; sets NULL. */
void sd_loaded_block_destroy(sd_loaded_block **block);

/**
 * @brief Reads one layer, and refuses NaN and infinities in it.
 *
 * The model's offset is added to the norms' weights, in single precision as the reference does: a
 * block's gamma is what its norm multiplies by.
 *
 * @param[in]     layer   from 0
 * @param[in]     poll    called after every few MiB; NULL is fine; borrowed until return
 * @param[in,out] digest  NULL, or one hash per tensor of the checkpoint, of which the layer's are
 *                        written, as sd_tensor_digest() would
 * @param[out]    out     yours, release with sd_loaded_block_destroy(); NULL on failure
 *
 * Not collective. Cost: one read of the layer; its size in memory, and a few MiB.
 * Errors: SD_ERR_INPUT naming file, tensor and place; SD_ERR_RESOURCE; SD_INTERRUPTED from the
 * poll.
 */
sd_status sd_block_load(const sd_checkpoint *checkpoint, const sd_family *family,
                        const sd_model *model, int64_t layer, const sd_poll *poll,
                        char (*digest)[SD_XXH128_HEX], sd_loaded_block **out);

/**
 * @brief Reads the embedding's rows of some tokens as floats, times the model's scale: states 0.
 *
 * @param[in]  id   n ids
 * @param[out] out  n x d, row k of id[k]; partly written on failure
 *
 * Not collective. Cost: n reads of one row.
 * Errors: SD_ERR_INPUT for an id outside of the vocabulary, and for NaN and infinities.
 */
sd_status sd_embedding_rows(const sd_checkpoint *checkpoint, const sd_family *family,
                            const sd_model *model, int64_t n, const int32_t *id, float *out);

#endif
