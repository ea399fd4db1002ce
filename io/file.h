/**
 * @file file.h
 * @brief An open regular file: its length, and bytes at a place, read whole or refused.
 *
 * Private to io/. Files are never mapped: a mapped file that shrinks kills the process, a read from
 * it only comes back short.
 */
#ifndef SD_IO_FILE_H
#define SD_IO_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "solvers/base/status.h"

/** An open file. A closed one has fd -1. */
typedef struct {
    int     fd;
    int64_t bytes; /* its length when it was opened */
} sd_file;

/**
 * @brief Opens a regular file for reading; a folder, a pipe or a device is refused.
 *
 * @param[in]  shown  the file's name in messages; borrowed until return
 * @param[out] out    release with sd_file_close(); fd is -1 on failure
 *
 * Not collective. Errors: SD_ERR_INPUT when it cannot be opened; SD_ERR_RESOURCE when the process
 * or the machine has no descriptor or memory left for it.
 */
sd_status sd_file_open(const char *path, const char *shown, sd_file *out);

/** @brief Closes it; sets fd to -1; a closed file is fine. */
void sd_file_close(sd_file *file);

/**
 * @brief Reads bytes [offset, offset + count).
 *
 * Interrupted and partial reads go on where they stopped. Not collective.
 * Errors: SD_ERR_INPUT when reading fails or the file ends before (it has shrunk).
 */
sd_status sd_file_read_at(const sd_file *file, const char *shown, int64_t offset, int64_t count,
                          void *out);

/** @brief Asks the system to fetch bytes soon, so that many small reads do not wait one by one. */
void sd_file_prefetch(const sd_file *file, int64_t offset, int64_t count);

/** @brief True unless nothing at all is at `path`; what is there but cannot be read exists. */
bool sd_file_exists(const char *path);

/**
 * @brief "a/b" of "a" and "b"; just "b" when `folder` is "". Yours, release with sd_free().
 * Errors: SD_ERR_RESOURCE.
 */
sd_status sd_path_join(const char *folder, const char *name, char **out);

#endif
