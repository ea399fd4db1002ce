/**
 * @file tensor_sample.h
 * @brief A small sample of a tensor: enough to tell two checkpoints apart without reading them.
 *
 * Blocks of SD_SAMPLE_ELEMENTS neighbouring numbers, one and another per SD_SAMPLE_SPACING bytes;
 * where they lie follows from the tensor's name and size alone, so that samples of the same tensor
 * in several checkpoints compare.
 */
#ifndef SD_IO_TENSOR_SAMPLE_H
#define SD_IO_TENSOR_SAMPLE_H

#include <stdbool.h>

#include "io/checkpoint.h"
#include "io/digest.h"

enum { SD_SAMPLE_ELEMENTS = 1024, SD_SAMPLE_SPACING = 64 << 20 };

typedef struct {
    char    hex[SD_XXH128_HEX]; /* XXH3-128 of the sampled bytes                          */
    bool    constant;           /* all of them the same number, two or more               */
    int64_t n_values;           /* of the first block; 0 of a format of no weights        */
    float   value[SD_SAMPLE_ELEMENTS];
} sd_tensor_sample;

/** @brief Asks the system to fetch the i-th tensor's sample: call it for all, then read them. */
void sd_tensor_sample_prefetch(const sd_checkpoint *checkpoint, int64_t i);

/**
 * @brief Reads the sample of the i-th tensor.
 * Not collective. Cost: a read of some KiB per block.
 * Errors: SD_ERR_INPUT for an unreadable file; SD_ERR_RESOURCE.
 */
sd_status sd_tensor_sample_read(const sd_checkpoint *checkpoint, int64_t i, sd_tensor_sample *out);

#endif
