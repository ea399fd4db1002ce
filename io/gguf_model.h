/**
 * @file gguf_model.h
 * @brief The architectures of GGUF files that are read, each seen as the Hugging Face checkpoint
 * that it was: llama, gemma, gemma2, gemma3. Private to io/.
 *
 * Names and metadata become those of the original, and so do the numbers.
 *
 * llama: GGUF keeps the two channels of query and key that a rotary position turns beside each
 * other, row 2 j + s of a head, where the original has them half a head apart, row s d_head / 2 + j
 * (s = 0, 1). Value and output are alike.
 *
 * gemma, gemma2, gemma3: norms hold x = 1 + w rounded to single precision, w being the original's
 * weights. They read as x - 1, which is exact for x >= 1/2, as is adding 1 again: what the norm
 * multiplies by is then bit for bit that of the original. w itself comes back exactly where 1 + w
 * was exact (of weights in bfloat16 all with |w| >= 2^-16), else within 2^-24. Below 1/2 both are
 * within 2^-25. gemma2 and gemma3 leave the scale of the logits to the reader: 1 / sqrt(d_head), in
 * the models of 27 billion weights (46 and 62 layers) 1 / sqrt(d / n_heads), as llama.cpp has it.
 *
 * A tensor or a setting without a counterpart here would change the model's numbers: it is refused.
 */
#ifndef SD_IO_GGUF_MODEL_H
#define SD_IO_GGUF_MODEL_H

#include <stdbool.h>

#include "io/gguf_file.h"
#include "io/model_config.h"

enum { SD_GGUF_NEW_NAME = 96 }; /* bytes of an original name, with the terminating zero */

/** Fails unless the architecture is one of these. The other functions want it to be. Errors:
 * SD_ERR_INPUT. */
sd_status sd_gguf_is_known(const sd_gguf *gguf);

/** What a stored tensor was. */
typedef struct {
    char name[SD_GGUF_NEW_NAME]; /* "model.layers.3.self_attn.q_proj.weight" of
                                    "blk.3.attn_q.weight" */
    int64_t n_heads;   /* in how many heads its rows have to be put back in order; 0: they are */
    bool    one_added; /* its numbers, F32, are the original's and 1                          */
} sd_gguf_original;

/**
 * @brief The original of a tensor.
 * Errors: SD_ERR_INPUT when the architecture has no tensor of this name, its heads do not divide
 * the rows, or a norm with 1 added is not read as F32.
 */
sd_status sd_gguf_original_of(const sd_gguf *gguf, const sd_gguf_tensor *tensor,
                              sd_gguf_original *out);

/**
 * @brief The metadata as a config.json.
 *
 * A real of 32 bits stands for the shortest decimal that rounds to it: the 1e-05 that was written,
 * not 9.99999974737875e-06. The vocabulary is `vocab_size`, or the embedding's rows; the output is
 * tied to the input when there is no `output.weight`.
 *
 * @param[out] out  yours, release with sd_config_destroy()
 *
 * Errors: SD_ERR_INPUT naming the key of the metadata that is missing or does not fit.
 */
sd_status sd_gguf_config(const sd_gguf *gguf, sd_config **out);

#endif
