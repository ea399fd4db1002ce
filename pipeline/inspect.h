/**
 * @file inspect.h
 * @brief `singdef inspect`: what one checkpoint is, on one screen.
 */
#ifndef SD_PIPELINE_INSPECT_H
#define SD_PIPELINE_INSPECT_H

#include "pipeline/command.h"

/**
 * @brief Prints family, sizes, storage formats, fingerprint and findings; or, with
 * --families, the model families that are known.
 *
 * Reads every tensor once. Errors: SD_ERR_INPUT for a checkpoint that cannot be measured.
 */
sd_status sd_inspect(const sd_arguments *arguments);

#endif
