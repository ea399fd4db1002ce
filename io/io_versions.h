/**
 * @file io_versions.h
 * @brief Versions of the libraries behind io/.
 */
#ifndef SD_IO_IO_VERSIONS_H
#define SD_IO_IO_VERSIONS_H

#include <stddef.h>

/** @brief Fills `text` with one line "name version" per library. */
void sd_io_versions(char *text, size_t bytes);

#endif
