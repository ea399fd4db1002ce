/**
 * @file foreign.h
 * @brief What live training and other programs write: known by name, and how it becomes readable.
 *
 * A table, one row per kind, in foreign.c. Private to io/. Looks at names only.
 */
#ifndef SD_IO_FOREIGN_H
#define SD_IO_FOREIGN_H

#include <stdbool.h>

#include "solvers/base/status.h"

/** A kind of checkpoint that is not read here. */
typedef struct {
    const char *kind;   /* "a training checkpoint of DeepSpeed ZeRO"                      */
    const char *remedy; /* what to do, the converter's own command where there is one     */
    /** Names within a folder of it, one of which is enough; as in a shell, NULL-terminated. */
    const char *marks[5];
} sd_foreign;

/**
 * @brief Finds the kind of a folder by what it holds.
 * @param[out] out  the row, or NULL for a folder of no known kind
 * Errors: SD_ERR_RESOURCE. A folder that cannot be read is of no known kind.
 */
sd_status sd_foreign_folder(const char *path, const sd_foreign **out);

/** @brief The kind that a file's own name belongs to, or NULL. */
const sd_foreign *sd_foreign_file(const char *name);

#endif
