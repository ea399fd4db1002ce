/**
 * @file libraries.h
 * @brief Versions of the libraries in use, and the instruction set, on one line each.
 */
#ifndef SD_PIPELINE_LIBRARIES_H
#define SD_PIPELINE_LIBRARIES_H

#include <stddef.h>

enum { SD_LIBRARIES_BYTES = 2048 };

/** @brief Fills `text` with lines "name version"; before or after MPI_Init. */
void sd_libraries(char *text, size_t bytes);

#endif
