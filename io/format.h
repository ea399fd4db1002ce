/**
 * @file format.h
 * @brief What a checkpoint format gives: its own file in io/formats/, found by the build.
 *
 * Private to io/: callers use checkpoint.h.
 */
#ifndef SD_IO_FORMAT_H
#define SD_IO_FORMAT_H

#include <stdbool.h>

#include "io/checkpoint.h"

/** A file of tensors, opened by a format. */
typedef struct sd_tensor_file sd_tensor_file;

typedef struct {
    const char *name;      /* "safetensors"                        */
    const char *extension; /* ".safetensors"                       */
    /* Further entries are the format's functions; see safetensors.c. */
    sd_status (*open)(const char *path, const char *shown, sd_tensor_file **out);
} sd_format;

extern const sd_format *const sd_formats[];

#endif
