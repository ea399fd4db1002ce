/**
 * @file model.h
 * @brief A checkpoint as a model: its family, its sizes, and its tensors held against both.
 */
#ifndef SD_PIPELINE_MODEL_H
#define SD_PIPELINE_MODEL_H

#include <stdint.h>

#include "io/checkpoint.h"
#include "pipeline/models/family.h"

/**
 * @brief Reads a checkpoint's config and checks every tensor of the blocks and the embedding.
 *
 * Each must be there, have exactly the shape that the config gives it, and a type of weights. A
 * bias that the config denies, or a layer past its last one, is refused: config and weights then do
 * not belong together.
 *
 * @param[out] family  the family that the config's `architectures` select; static
 * @param[out] model   its sizes and options
 *
 * Not collective. Reads no weights.
 * Errors: SD_ERR_INPUT naming file, tensor, what it is and what it should be.
 */
sd_status sd_model_open(const sd_checkpoint *checkpoint, const sd_family **family, sd_model *model);

/** @brief Whether a tensor of this name has a role in the family, in whichever layer. */
bool sd_family_knows(const sd_family *family, const char *name);

/** What a role's tensor looks like: rows x cols, or a vector of `rows` where cols is 0. */
typedef struct {
    int64_t rows, cols;
} sd_role_shape;

/** @brief The shape that a model gives to a role. */
sd_role_shape sd_model_shape(const sd_model *model, sd_tensor role);

/** @brief True when blocks of this family and model have a tensor in this role. */
bool sd_model_has(const sd_family *family, const sd_model *model, sd_tensor role);

/**
 * @brief Finds the tensor of a role, and checks its shape and type.
 *
 * @param[in]  layer  from 0; without meaning for SD_T_EMBED
 * @param[out] index  for sd_checkpoint_tensor()
 *
 * Not collective. Errors: SD_ERR_INPUT as sd_model_open().
 */
sd_status sd_model_tensor(const sd_checkpoint *checkpoint, const sd_family *family,
                          const sd_model *model, sd_tensor role, int64_t layer, int64_t *index);

#endif
