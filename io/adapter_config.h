/**
 * @file adapter_config.h
 * @brief adapter_config.json of a LoRA adapter: its base, and the rank and scale of each module.
 *
 *     scale = alpha / r, or alpha / sqrt(r) with `use_rslora`
 *
 * r and alpha are the config's, or those of the first pattern of `rank_pattern` and `alpha_pattern`
 * that matches the module's name to its end, at a dot or as a whole. What an adapter is for, and
 * how it was trained, is passed over; any other key that is set is refused by name: it would change
 * the numbers.
 *
 * Private to io/. Source: the documentation of PEFT's LoraConfig.
 */
#ifndef SD_IO_ADAPTER_CONFIG_H
#define SD_IO_ADAPTER_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "solvers/base/status.h"

typedef struct sd_adapter_config sd_adapter_config;

/**
 * @brief Reads and checks folder/adapter_config.json, of at most 16 MiB.
 *
 * @param[out] out  yours, release with sd_adapter_config_destroy(); NULL on failure
 * Errors: SD_ERR_INPUT for anything but a LoRA whose effect is known here, with the key;
 * SD_ERR_RESOURCE.
 */
sd_status sd_adapter_config_read(const char *folder, sd_adapter_config **out);

/** @brief Releases it; NULL is fine; sets NULL. */
void sd_adapter_config_destroy(sd_adapter_config **config);

/** @brief Whether the base stores its matrices transposed, [in, out] (`fan_in_fan_out`). */
bool sd_adapter_config_transposed(const sd_adapter_config *config);

/**
 * @brief Rank and scale of a module.
 *
 * @param[in] module  its name of `length` >= 1 bytes, "model.layers.0.mlp.up_proj"
 * Uses work space inside the config: one thread at a time.
 * Errors: SD_ERR_INPUT for a pattern that takes too long; SD_ERR_RESOURCE.
 */
sd_status sd_adapter_config_scale(const sd_adapter_config *config, const char *module,
                                  int64_t length, int64_t *rank, double *scale);

/**
 * @brief Finds the base that the config names.
 *
 * `base_model_name_or_path` as a path from the adapter's folder, then from the current one; then
 * as ORG/NAME, whose folder models--ORG--NAME of the hub's cache lies beside the adapter's folder,
 * or beside its model's in the cache; there `revision` counts. The environment is not asked.
 *
 * @param[in]  folder  the adapter's
 * @param[out] out     a path, yours, release with sd_free()
 * Errors: SD_ERR_INPUT when it names none, or nothing is found; SD_ERR_RESOURCE.
 */
sd_status sd_adapter_config_base(const sd_adapter_config *config, const char *folder, char **out);

#endif
