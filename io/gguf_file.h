/**
 * @file gguf_file.h
 * @brief A GGUF file's header: its metadata and the places of its tensors. Versions 2 and 3.
 *
 *     "GGUF" version n_tensors n_pairs { key type value } { name dims type offset } padding data
 *
 * Little-endian; lengths and counts of 64 bits; tensors begin at multiples of `general.alignment`
 * (32 when it is absent), in the header's order, without gaps but for that alignment.
 * Private to io/. Nothing is believed: what a field asks for is compared with the bytes that the
 * file still has before it is used. No memory is taken that the file's own length does not cover:
 * at most 8 bytes for each one of the file.
 * Source: the format's specification, and what llama.cpp and the Python package gguf accept;
 * stricter than both: strings are UTF-8, nothing follows the last tensor but its padding. Where it
 * differs from the Python package on purpose: tests/oracle/test_mutated_files.py.
 */
#ifndef SD_IO_GGUF_FILE_H
#define SD_IO_GGUF_FILE_H

#include "io/file.h"
#include "io/gguf_blocks.h"

enum { SD_GGUF_DIMS = 4, SD_GGUF_NAME = 64 }; /* dimensions and bytes of a name, at most */

typedef enum {
    SD_GGUF_UNSIGNED,
    SD_GGUF_SIGNED,
    SD_GGUF_REAL,
    SD_GGUF_BOOL,
    SD_GGUF_TEXT,
    SD_GGUF_ARRAY
} sd_gguf_kind;

/** One entry of the metadata. Of an array only the place is kept: a vocabulary takes megabytes. */
typedef struct {
    const char  *key; /* owned by the file                                          */
    sd_gguf_kind kind;
    int16_t      bits;    /* of a number, or of each in an array                        */
    int16_t      element; /* of an array: the sd_gguf_kind of its elements              */
    union {
        uint64_t    u;    /* SD_GGUF_UNSIGNED, SD_GGUF_BOOL; elements of SD_GGUF_ARRAY  */
        int64_t     i;    /* SD_GGUF_SIGNED                                             */
        double      real; /* SD_GGUF_REAL                                               */
        const char *text; /* SD_GGUF_TEXT; owned by the file                            */
    } is;
    int64_t begin, bytes; /* of an array: where its elements are in the file            */
} sd_gguf_pair;

/** An array of the metadata as the file has it. Starts as {0}; release with sd_free(bytes). */
typedef struct {
    const char *shown; /* the file's name in messages */
    const char *key;
    char       *bytes;
    int64_t     length, at; /* `at`: where the next string begins */
} sd_gguf_array;

/** One tensor. */
typedef struct {
    const char         *name; /* owned by the file                                   */
    const sd_gguf_type *type;
    int                 n_dims;
    int64_t             dim[SD_GGUF_DIMS]; /* innermost first; 1 beyond n_dims         */
    int64_t             elements, bytes;   /* bytes: as stored                         */
    int64_t             begin;             /* the byte of the file at which it begins  */
} sd_gguf_tensor;

/** An open file. A zero one may be closed. */
typedef struct {
    sd_file         file;
    const char     *shown; /* borrowed until sd_gguf_close()       */
    bool            is_open;
    char           *strings; /* owns the strings                     */
    sd_gguf_pair   *pair;    /* n_pairs, ascending by key            */
    sd_gguf_tensor *tensor;  /* n_tensors, in the order of the file  */
    int64_t         n_pairs, n_tensors;
} sd_gguf;

/**
 * @brief Opens a file and reads its header.
 *
 * @param[in]  shown  the file's name in messages; borrowed until sd_gguf_close()
 * @param[out] out    zero on entry; close it in any case
 *
 * Not collective. Cost: one read of the header.
 * Errors: SD_ERR_INPUT with one line: what, where, how to mend; SD_ERR_RESOURCE.
 */
sd_status sd_gguf_open(const char *path, const char *shown, sd_gguf *out);

/** @brief Closes the file and releases what was read; half-opened and zero ones are fine. */
void sd_gguf_close(sd_gguf *gguf);

/** @brief The metadata's entry of a key, or NULL; owned by the file. */
const sd_gguf_pair *sd_gguf_find(const sd_gguf *gguf, const char *key);

/**
 * @brief Reads the elements of an array, one behind the other.
 *
 * @param[in]  pair  of the kind SD_GGUF_ARRAY; borrowed, with the file's name, while `out` is used
 *
 * Errors: SD_ERR_INPUT when reading fails; SD_ERR_RESOURCE.
 */
sd_status sd_gguf_read_array(const sd_gguf *gguf, const sd_gguf_pair *pair, sd_gguf_array *out);

/**
 * @brief The next string of an array of strings, of any bytes and without a zero behind it.
 *
 * @param[out] text  owned by the array
 *
 * Call it as often as the array has elements. Errors: SD_ERR_INPUT when the file has changed.
 */
sd_status sd_gguf_next_string(sd_gguf_array *array, const char **text, int64_t *length);

/** @brief The i-th element of an array of numbers of 32 bits, as its bits. */
uint32_t sd_gguf_bits_at(const sd_gguf_array *array, int64_t i);

/** @brief The tensor of a name, or NULL; owned by the file. Cost: a walk over all of them. */
const sd_gguf_tensor *sd_gguf_tensor_of(const sd_gguf *gguf, const char *name);

#endif
