/**
 * @file checkpoint.h
 * @brief One checkpoint on disk: its tensors by name, their bytes, and its config.
 *
 * A format is one file in io/formats/ that defines an sd_format; the build makes the table of all
 * of them. Nothing a file says is trusted: every size, offset and count is checked against the
 * file's own length before it is used. Weights are read with pread; files are never mapped.
 */
#ifndef SD_IO_CHECKPOINT_H
#define SD_IO_CHECKPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "io/model_config.h"
#include "solvers/base/dtype.h"
#include "solvers/base/status.h"

enum { SD_MAX_DIMS = 8 };

/** One tensor as the file describes it. */
typedef struct {
    const char *name;               /* owned by the checkpoint                                  */
    const char *format;             /* storage format as the file names it, "BF16"              */
    int         type;               /* the sd_dtype as read, -1: a format of no weights here    */
    int         n_dims;             /* 0 .. SD_MAX_DIMS                                         */
    int64_t     shape[SD_MAX_DIMS]; /* outermost first                                          */
    int64_t     elements, bytes;    /* of the whole tensor; bytes as read                       */
    int64_t     stored;             /* bytes in the file; fewer than `bytes` of packed formats  */
} sd_tensor_info;

typedef struct sd_checkpoint sd_checkpoint;

/**
 * @brief Opens a checkpoint: a folder with config.json and safetensors or else pytorch_model.bin
 * (single file, or shards behind their index.json), one .safetensors, .bin, .pt or .pth file with
 * config.json beside it, or one .gguf file, by its name or as the only one of a folder without the
 * others.
 *
 * A folder with a single file and shards takes the single file, as transformers does. Of shards,
 * the index decides which tensors there are and where; tensors that it does not name are not seen.
 * A GGUF file is seen as the checkpoint that it was made from: Hugging Face names, order of rows
 * and config keys. Of a file of torch.save, nothing that it names is run.
 *
 * @param[in]  path  as a person wrote it; borrowed until return
 * @param[out] out   yours, release with sd_checkpoint_close(); NULL on failure
 *
 * A path may lead into the hub's cache (io/hub.h). A folder with adapter_config.json is a LoRA
 * adapter: it gives its base's tensors, changed as PEFT's merge changes them (io/adapter.h).
 *
 * Not collective. Reads headers only; keeps the files open, one descriptor each.
 * Cost: memory of about ten times the headers, which are some hundred bytes per tensor.
 * Errors: SD_ERR_INPUT with one line: what, in which file (by its name within the checkpoint: the
 * caller adds `path` in front), how to mend; SD_ERR_RESOURCE without memory or descriptors.
 */
sd_status sd_checkpoint_open(const char *path, sd_checkpoint **out);

/**
 * @brief The same, with the base of an adapter given; a checkpoint that is none does not need it.
 * @param[in] base  a path, borrowed until return; NULL: where adapter_config.json says
 */
sd_status sd_checkpoint_open_adapted(const char *path, const char *base, sd_checkpoint **out);

/** @brief Closes the files and releases it; NULL is fine; sets NULL. */
void sd_checkpoint_close(sd_checkpoint **checkpoint);

/** @brief Number of tensors. */
int64_t sd_checkpoint_count(const sd_checkpoint *checkpoint);
/** @brief The i-th tensor, 0 <= i < count, ordered by name (strcmp); owned by the checkpoint. */
const sd_tensor_info *sd_checkpoint_tensor(const sd_checkpoint *checkpoint, int64_t i);
/** @brief Index of a tensor by name, or -1. Cost: a binary search. */
int64_t sd_checkpoint_find(const sd_checkpoint *checkpoint, const char *name);
/** @brief The file a tensor is in, by its name within the checkpoint; owned by the checkpoint. */
const char *sd_checkpoint_file_of(const sd_checkpoint *checkpoint, int64_t i);
/** @brief Number of files of weights; 0 of an adapter, whose tensors are made from several. */
int64_t sd_checkpoint_files(const sd_checkpoint *checkpoint);
/** @brief Number of the file that tensor i is in, or -1 for an adapter. */
int64_t sd_checkpoint_file_index(const sd_checkpoint *checkpoint, int64_t i);
/** @brief Name of the k-th, within the checkpoint; owned by the checkpoint. */
const char *sd_checkpoint_file(const sd_checkpoint *checkpoint, int64_t k);
/** @brief Path of the k-th, from the current folder; yours, release with sd_free(). */
sd_status sd_checkpoint_file_path(const sd_checkpoint *checkpoint, int64_t k, char **out);
/** @brief Total bytes of all tensors. */
int64_t sd_checkpoint_bytes(const sd_checkpoint *checkpoint);

/**
 * @brief Reads bytes [offset, offset + count) of a tensor in the type that its info names.
 *
 * That is as stored, but for formats of few bits in blocks: these are read as the floats that they
 * stand for, so that hashes are of those. A GGUF file in F32, F16 or BF16 has the hashes of the
 * safetensors file that it was made from.
 * Not collective. Several threads may read at once.
 * Errors: SD_ERR_INPUT for a short or failing read; SD_ERR_INTERNAL outside of the tensor.
 */
sd_status sd_checkpoint_read(const sd_checkpoint *checkpoint, int64_t i, int64_t offset,
                             int64_t count, void *out);

/**
 * @brief The path of the file that holds the checkpoint's own tokeniser within itself.
 *
 * @param[out] out  for sd_tokenizer_read(); yours, release with sd_free(); NULL when there is none
 *
 * Errors: SD_ERR_RESOURCE.
 */
sd_status sd_checkpoint_tokenizer(const sd_checkpoint *checkpoint, char **out);

/** @brief The folder that holds its files, "." for the current one; owned by the checkpoint. */
const char *sd_checkpoint_folder(const sd_checkpoint *checkpoint);

/** @brief The base that an adapter is on, or NULL; owned by the checkpoint. */
const sd_checkpoint *sd_checkpoint_base(const sd_checkpoint *checkpoint);

/** @brief Asks the system to fetch bytes that will be read soon; has no other effect. */
void sd_checkpoint_prefetch(const sd_checkpoint *checkpoint, int64_t i, int64_t offset,
                            int64_t count);

/** @brief The model's config, the base's for an adapter; owned by the checkpoint. */
const sd_config *sd_checkpoint_config(const sd_checkpoint *checkpoint);

#endif
