/**
 * @file model_keys.h
 * @brief What model families read alike from a config: sizes, activation, positions, windows; and
 * the keys that would change numbers.
 *
 * Names, layouts and defaults are those of transformers, old and new. Where a default is a family's
 * own it stands in `out` before the call. Nothing here is collective.
 * Errors of all: SD_ERR_INPUT naming file and key.
 */
#ifndef SD_PIPELINE_MODEL_KEYS_H
#define SD_PIPELINE_MODEL_KEYS_H

#include "io/model_config.h"
#include "pipeline/models/family.h"

/**
 * @brief Refuses another `model_type`, and every known key that changes numbers.
 *
 * @param[in] understood  those of them that the family reads itself, NULL-terminated; or NULL.
 *                        Without "layer_types" among them every layer has to be full_attention
 */
sd_status sd_refuse_keys(const sd_config *config, const char *model_type,
                         const char *const *understood);

/**
 * @brief Reads layers, widths, vocabulary and heads, within bounds that keep products below 2^63.
 * @param[in,out] out  n_kv and d_head: what they are when absent; 0: n_heads, and d / n_heads
 */
sd_status sd_read_sizes(const sd_config *config, sd_model *out);

/** @brief Reads an activation's name; *out stays as it is when the key is absent. */
sd_status sd_read_activation(const sd_config *config, const char *key, sd_act *out);

/** @brief Finds which one holds the rotary options: rope_scaling (older) or rope_parameters. */
sd_status sd_find_rope_section(const sd_config *config, const char **section);

/**
 * @brief Reads rotary positions: default, linear or llama3.
 *
 * @param[in]     section    an object's dotted path; need not exist
 * @param[in]     theta_key  where theta stands in configs that keep it outside of the section
 * @param[in,out] out        theta: what it is when absent
 */
sd_status sd_read_rope(const sd_config *config, const char *section, const char *theta_key,
                       sd_rope_options *out);

/**
 * @brief Reads which layers see a window, and how long it is.
 *
 * @param[in]     period  without `layer_types`: every layer is local whose number, from 1, is no
 *                        multiple of it (`sliding_window_pattern`)
 * @param[in,out] out     n_layers as read; window: what it is when absent
 */
sd_status sd_read_windows(const sd_config *config, int64_t period, sd_model *out);

/** @brief Reads the id of the token in front: the first of a list, -1 when there is none. */
sd_status sd_read_bos(const sd_config *config, int64_t *bos);

#endif
