/**
 * @file finite.h
 * @brief Finds the NaN or infinity that makes a checkpoint useless, and says where it is.
 */
#ifndef SD_IO_FINITE_H
#define SD_IO_FINITE_H

#include <stdint.h>

#include "io/checkpoint.h"

/** @brief "[i, j, ...]": where an element stands, counted from 0. */
enum { SD_PLACE_LEN = 21 * SD_MAX_DIMS + 3 };
void sd_element_place(const sd_tensor_info *info, int64_t element, char out[SD_PLACE_LEN]);

/** @brief Number of the first element of `n` that is NaN or infinite, or -1. Any alignment. */
int64_t sd_finite_find(sd_dtype type, int64_t n, const void *elements);

/**
 * @brief Checks a piece of a tensor.
 *
 * @param[in] i         the tensor; it has a type
 * @param[in] first     number of the piece's first element within the tensor
 * @param[in] type      type of `elements`; not necessarily the tensor's, after a conversion
 * @param[in] elements  n of them, borrowed until return
 *
 * Not collective. Errors: SD_ERR_INPUT naming file, tensor, kind and position, counted from 0.
 */
sd_status sd_finite_check(const sd_checkpoint *checkpoint, int64_t i, int64_t first, sd_dtype type,
                          int64_t n, const void *elements);

#endif
