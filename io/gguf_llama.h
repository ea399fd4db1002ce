/**
 * @file gguf_llama.h
 * @brief The architecture `llama` of GGUF files, seen as the Hugging Face checkpoint that it was.
 *
 * Names and metadata become those of the original, and so do the rows of query and key: GGUF keeps
 * the two channels that a rotary position turns beside each other, row 2 j + s of a head, where the
 * original has them half a head apart, row s d_head / 2 + j (s = 0, 1). Value and output are alike.
 * A tensor or a setting without a counterpart here would change the model's numbers: it is refused.
 * Private to io/.
 */
#ifndef SD_IO_GGUF_LLAMA_H
#define SD_IO_GGUF_LLAMA_H

#include "io/gguf_file.h"
#include "io/model_config.h"

enum { SD_GGUF_NEW_NAME = 96 }; /* bytes of an original name, with the terminating zero */

/** Fails for any other architecture. Errors: SD_ERR_INPUT. */
sd_status sd_gguf_llama_is(const sd_gguf *gguf);

/**
 * @brief The original name of a tensor.
 *
 * @param[out] out      "model.layers.3.self_attn.q_proj.weight" of "blk.3.attn_q.weight"
 * @param[out] n_heads  in how many heads its rows have to be put back in order; 0: they are
 *
 * Errors: SD_ERR_INPUT when a llama has no tensor of this name, or its heads do not divide the
 * rows.
 */
sd_status sd_gguf_llama_tensor(const sd_gguf *gguf, const sd_gguf_tensor *tensor,
                               char out[SD_GGUF_NEW_NAME], int64_t *n_heads);

/**
 * @brief The metadata as a config.json.
 *
 * A real of 32 bits stands for the shortest decimal that rounds to it: the 1e-05 that was written,
 * not 9.99999974737875e-06. The vocabulary is `llama.vocab_size`, or the embedding's rows; the
 * output is tied to the input when there is no `output.weight`.
 *
 * @param[out] out  yours, release with sd_config_destroy()
 *
 * Errors: SD_ERR_INPUT naming the key of the metadata that is missing or does not fit.
 */
sd_status sd_gguf_llama_config(const sd_gguf *gguf, sd_config **out);

#endif
