/**
 * @file torch_view.h
 * @brief A tensor as torch's pickles describe it: a view of a storage.
 *
 * Element (i0, i1, ...) is element offset + i0 stride0 + i1 stride1 + ... of its storage. Offset,
 * sizes and strides are compared with the storage's own size before anything is read.
 * Private to io/. Source: torch/_utils.py and torch/_tensor.py (what is called, with what).
 */
#ifndef SD_IO_TORCH_VIEW_H
#define SD_IO_TORCH_VIEW_H

#include "io/format.h"
#include "io/pickle.h"

/** An 8-bit float as the float that it is. */
typedef float (*sd_torch_widening)(uint8_t bits);

/** A view; counts are in bytes where not said otherwise. */
typedef struct {
    const char       *key; /* of its storage, key_length bytes; the pickle's own      */
    int64_t           key_length;
    int64_t           storage_bytes;
    int64_t           begin, stride[SD_MAX_DIMS]; /* in the storage                     */
    int64_t           size, width;                /* of an element, as stored and read  */
    sd_torch_widening widen;    /* NULL: read as stored                               */
    bool              is_plain; /* as read, it is bytes of the storage from `begin` on */
} sd_torch_view;

/** @brief Reads a pickle of torch.save, as sd_pickle_read() with the names that tensors need. */
sd_status sd_torch_pickle_read(const char *bytes, int64_t length, const char *shown,
                               sd_pickle **out);

/** @brief True of a noted call that makes a tensor; others are data of no interest. */
bool sd_torch_is_tensor(const sd_pickle *pickle, sd_pickle_value value);

/**
 * @brief Understands such a call.
 *
 * @param[in]  shown  the file's name in messages
 * @param[in]  name   the tensor's; borrowed as long as `info` is used
 * @param[out] info   the tensor as it is read, contiguous; zero on entry
 * @param[out] view   where that is; zero on entry
 *
 * Errors: SD_ERR_INPUT for what is no view inside of a storage, or has more than SD_MAX_DIMS
 * dimensions.
 */
sd_status sd_torch_view_read(const sd_pickle *pickle, sd_pickle_value value, const char *shown,
                             const char *name, sd_tensor_info *info, sd_torch_view *view);

/**
 * @brief Copies bytes [offset, offset + count) of the tensor out of its storage, which is whole.
 * Cost: about 10 ns per element.
 */
void sd_torch_view_copy(const sd_tensor_info *info, const sd_torch_view *view, const char *storage,
                        int64_t offset, int64_t count, char *out);

#endif
