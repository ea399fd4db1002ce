/**
 * @file hygiene.h
 * @brief What is conspicuous about one checkpoint, in words: tensors that are constant, or not its
 * family's.
 */
#ifndef SD_PIPELINE_HYGIENE_H
#define SD_PIPELINE_HYGIENE_H

#include <stdbool.h>

#include "io/checkpoint.h"
#include "io/tensor_scan.h"
#include "pipeline/models/family.h"

enum {
    SD_FINDING_LEN = SD_MESSAGE_LEN,
    SD_SHOWN_LEN   = 97,
    SD_TOLD = 5 /* tensors of a checkpoint that a kind of finding names; the others are counted */
};

/**
 * @brief A name from a file as it is shown: control characters become '?', a long name is cut
 * between two characters.
 */
void sd_hygiene_show(const char *name, char out[SD_SHOWN_LEN]);

/**
 * @brief Says that a tensor holds one number only.
 *
 * A vector of ones, and a bias of zeros, is what training starts from: no finding.
 *
 * @param[out] text  when true: what is found
 */
bool sd_hygiene_constant(const sd_tensor_info *info, const sd_tensor_scan *scan,
                         char text[SD_FINDING_LEN]);

/** @brief Says that there are n more such tensors, n > 0. */
void sd_hygiene_more_constant(int64_t n, char text[SD_FINDING_LEN]);

/**
 * @brief Names tensors that have no role in the family.
 *
 * The final norm, the output embedding (also where it is a tied copy) and the buffers that training
 * frameworks save (rotary frequencies, masks, positions) are none.
 *
 * @param[out] text  when true: how many, and the names of the first
 */
bool sd_hygiene_extra(const sd_checkpoint *checkpoint, const sd_family *family,
                      char text[SD_FINDING_LEN]);

#endif
