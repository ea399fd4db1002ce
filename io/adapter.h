/**
 * @file adapter.h
 * @brief A LoRA adapter on its base: the tensors of the base, changed as PEFT's merge changes them.
 *
 *     W' = W + scale · B A          lora_A r x in, lora_B out x r, W out x in
 *     W' = W + scale · (B A)^T      where the base stores [in, out] (`fan_in_fan_out`)
 *     E' = E + scale · (B A)^T      lora_embedding_A r x vocabulary, lora_embedding_B d x r
 *     b' = b + scale · c            c the bias of lora_B (`lora_bias`)
 *
 * A tensor that the adapter saves whole (`modules_to_save`, trained biases) takes the place of the
 * base's, in the type it is stored in. What has a product is F32: products and sums in double, the
 * base's number added last, rounded once. Nothing is kept but the factors of embeddings, so that
 * any range can be read at any time.
 *
 * Private to io/. Source: the documentation of PEFT, "LoRA"; Hu et al., arXiv 2106.09685;
 * Kalajdzievski, arXiv 2312.03732 (rank-stabilised).
 */
#ifndef SD_IO_ADAPTER_H
#define SD_IO_ADAPTER_H

#include "io/adapter_config.h"
#include "io/checkpoint.h"

typedef struct sd_adapter sd_adapter;

/**
 * @brief Puts an adapter on its base.
 *
 * @param[in] config   borrowed until return
 * @param[in] base     the model, open; given: closed by sd_adapter_destroy(), or here on failure
 * @param[in] weights  the adapter's tensors, open; given likewise
 * @param[out] out     yours, release with sd_adapter_destroy(); NULL on failure
 *
 * Cost: the factors of embeddings are held, r · (d + vocabulary) doubles.
 * Errors: SD_ERR_INPUT for a factor without its other half, a shape that does not fit, and a
 * tensor that changes nothing in the base; SD_ERR_RESOURCE.
 */
sd_status sd_adapter_create(const sd_adapter_config *config, sd_checkpoint *base,
                            sd_checkpoint *weights, sd_adapter **out);

/** @brief Releases it with base and weights; NULL is fine; sets NULL. */
void sd_adapter_destroy(sd_adapter **adapter);

/** @brief The base; owned by the adapter. */
const sd_checkpoint *sd_adapter_base(const sd_adapter *adapter);

/** @brief Tensor i of the base as it is after the change; owned by the adapter. */
const sd_tensor_info *sd_adapter_tensor(const sd_adapter *adapter, int64_t i);

/** @brief The file that tensor i, or its change, is in; owned by the adapter. */
const char *sd_adapter_file_of(const sd_adapter *adapter, int64_t i);

/**
 * @brief Reads bytes [offset, offset + count) of tensor i as it is after the change.
 *
 * The range lies inside of the tensor. Not collective. Several threads may read at once.
 * Cost: of a product 2 r flops per number, 0.15 s for 4096 x 4096 at r = 64; a factor is read, and
 * held in double, for each call.
 * Errors: SD_ERR_INPUT for a short or failing read; SD_ERR_RESOURCE.
 */
sd_status sd_adapter_read(const sd_adapter *adapter, int64_t i, int64_t offset, int64_t count,
                          void *out);

#endif
