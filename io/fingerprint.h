/**
 * @file fingerprint.h
 * @brief A checkpoint's identity: one hash over all of its tensors, however they lie in files.
 *
 *     fingerprint = "xxh3-128:" + H( for each tensor in the order of names: its line )
 *     line        = name NUL format NUL shape NUL H(bytes) "\n"      shape: "4096,14336"; H in hex
 *
 * Two levels, so that tensors can be hashed in any order and on any rank, as they stream by.
 */
#ifndef SD_IO_FINGERPRINT_H
#define SD_IO_FINGERPRINT_H

#include <stdbool.h>

#include "io/checkpoint.h"
#include "io/digest.h"
#include "solvers/base/poll.h"

enum { SD_FINGERPRINT_LEN = 9 + SD_XXH128_HEX }; /* characters, with the terminating zero */

/** Bytes in which tensors are read: a poll comes after each piece. A multiple of every element. */
enum { SD_PIECE_BYTES = 4 << 20 };

/**
 * @brief Hashes a tensor's bytes as sd_checkpoint_read() gives them.
 *
 * @param[in]  check_finite  refuse NaN and infinity too, where the tensor has a type of weights
 * @param[in]  poll          called after each piece; NULL is fine; borrowed until return
 * @param[out] hex           SD_XXH128_HEX characters, written only on success
 *
 * Not collective. Cost: one read of the tensor, SD_PIECE_BYTES of memory.
 * Errors: SD_ERR_INPUT for an unreadable file or a number that is not finite, with its place;
 * SD_ERR_RESOURCE; SD_INTERRUPTED from the poll.
 */
sd_status sd_tensor_digest(const sd_checkpoint *checkpoint, int64_t i, bool check_finite,
                           const sd_poll *poll, char hex[SD_XXH128_HEX]);

/**
 * @brief Puts the tensors' hashes together.
 *
 * @param[in]  hex  one hash per tensor, in the order of sd_checkpoint_tensor()
 * @param[out] out  "xxh3-128:" and 32 hex digits
 *
 * Not collective. Errors: SD_ERR_INTERNAL for a hash that is missing (""); SD_ERR_RESOURCE.
 */
sd_status sd_fingerprint(const sd_checkpoint *checkpoint, const char (*hex)[SD_XXH128_HEX],
                         char                 out[SD_FINGERPRINT_LEN]);

#endif
