/**
 * @file atomic_file.h
 * @brief A file that appears complete or not at all.
 *
 * A writer makes the temporary name, writes that file, closes it, and commits. A kill at any
 * instant leaves the old file or the new one, and at most one temporary, which sd_results_clean()
 * removes:
 *
 *     SD_TRY(sd_atomic_name(file, &temporary));
 *     ... create, write and close `temporary` ...
 *     SD_TRY(sd_atomic_commit(temporary, file));
 * done:
 *     if (st != SD_OK) sd_atomic_discard(temporary);
 */
#ifndef SD_IO_ATOMIC_FILE_H
#define SD_IO_ATOMIC_FILE_H

#include <stdbool.h>

#include "solvers/base/status.h"

/**
 * @brief Makes the temporary name of a file: ".NAME.PID.tmp" beside it, so that a rename suffices.
 *
 * @param[in]  file  path of the file to be
 * @param[out] out   yours, release with sd_free()
 *
 * Not collective; touches no file. Errors: SD_ERR_RESOURCE without memory.
 */
sd_status sd_atomic_name(const char *file, char **out);

/** @brief Whether a file name (without folder) has the form that sd_atomic_name() makes. */
bool sd_atomic_is_temporary(const char *name);

/**
 * @brief Puts a complete temporary file in its place: fsync, rename, fsync of the folder.
 *
 * @param[in] temporary  written and closed
 * @param[in] file       replaced if it exists
 *
 * Not collective. Cost: two fsyncs. Errors: SD_ERR_RESOURCE, naming the file and the cause; the
 * temporary then still exists unless the rename had succeeded.
 */
sd_status sd_atomic_commit(const char *temporary, const char *file);

/** @brief Removes a temporary file after a failure; NULL and a missing file are fine. */
void sd_atomic_discard(const char *temporary);

#endif
