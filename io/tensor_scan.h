/**
 * @file tensor_scan.h
 * @brief One reading of a tensor: its hash, and whether its numbers are numbers, and differ.
 */
#ifndef SD_IO_TENSOR_SCAN_H
#define SD_IO_TENSOR_SCAN_H

#include <stdbool.h>

#include "io/checkpoint.h"
#include "io/digest.h"
#include "solvers/base/poll.h"

typedef struct {
    char    hex[SD_XXH128_HEX];    /* as sd_tensor_digest() gives it                     */
    char    sha256[SD_SHA256_HEX]; /* of the same bytes, when asked for; else ""        */
    int64_t n_nan, n_infinite;     /* 0 of a format of no weights, as all below          */
    int64_t first;                 /* the first element that is either, or -1            */
    bool    constant;              /* two numbers or more, all of the same bits          */
    float   value;                 /* which, when constant                               */
} sd_tensor_scan;

/**
 * @brief Reads a tensor from end to end.
 *
 * @param[in]  sha256  hash it by SHA-256 too, which takes longer than reading
 * @param[in]  poll  called after each piece; NULL is fine; borrowed until return
 *
 * Not collective. Cost: one read, SD_PIECE_BYTES of memory; the checks cost less than the hash.
 * Errors: SD_ERR_INPUT for an unreadable file; SD_ERR_RESOURCE;
 * SD_INTERRUPTED from the poll.
 */
sd_status sd_tensor_scan_read(const sd_checkpoint *checkpoint, int64_t i, bool sha256,
                              const sd_poll *poll, sd_tensor_scan *out);

/**
 * @brief SHA-256 of the k-th file of weights, as sha256sum prints it.
 * Not collective. Errors: as sd_tensor_scan_read().
 */
sd_status sd_checkpoint_file_sha256(const sd_checkpoint *checkpoint, int64_t k,
                                    char hex[SD_SHA256_HEX]);

#endif
