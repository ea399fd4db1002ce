/**
 * @file pickle.h
 * @brief Python's pickle format, protocols 2 to 5, read as data: nothing that it names is run.
 *
 * A pickle is a program for a small stack machine whose instructions can call any Python function.
 * This reader follows the instructions that build data, and of the others those that name one of
 * the functions which the caller lists: such a call is noted, with its arguments, and left to the
 * caller to understand. Everything else is refused by its name.
 *
 * Private to io/. Kept is what files of weights need: whole numbers, text, tuples, dicts, noted
 * calls and persistent ids. Lists, sets, floats, bytes, True, False and None are read and
 * forgotten. Bounds: no recursion; values are numbers that refer to what was read, so that what is
 * used twice is kept once; memory is 8 bytes for each instruction and half a mebibyte for the
 * stack, and time is proportional to the length. Source: the comments of Python's pickletools,
 * which define the format.
 */
#ifndef SD_IO_PICKLE_H
#define SD_IO_PICKLE_H

#include <stdbool.h>
#include <stdint.h>

#include "solvers/base/status.h"

enum { SD_PICKLE_MOST = 1 << 24 }; /* bytes of a pickle: a tensor takes some 150 */

/** A Python name that a pickle may refer to. */
typedef struct {
    const char *name;        /* "torch.Size"                    */
    bool        is_function; /* it may be called, that is noted */
} sd_pickle_global;

typedef enum {
    SD_PICKLE_NOTHING,
    SD_PICKLE_OTHER, /* data that is not kept                                 */
    SD_PICKLE_INTEGER,
    SD_PICKLE_TEXT,
    SD_PICKLE_TUPLE,
    SD_PICKLE_DICT,      /* of any kind: also collections.OrderedDict             */
    SD_PICKLE_GLOBAL,    /* one of the caller's names                             */
    SD_PICKLE_CALL,      /* a noted call                                          */
    SD_PICKLE_PERSISTENT /* an object outside of the pickle                       */
} sd_pickle_kind;

/** A value, seen by the functions below. */
typedef struct {
    int64_t bits;
} sd_pickle_value;

typedef struct sd_pickle sd_pickle;

/**
 * @brief Reads a pickle.
 *
 * @param[in]  bytes    `length` of them; borrowed until sd_pickle_destroy()
 * @param[in]  shown    names the pickle in messages; borrowed until return
 * @param[in]  globals  names that it may refer to besides collections.OrderedDict, `n_globals` of
 *                      them; borrowed until return
 * @param[out] out      yours, release with sd_pickle_destroy(); NULL on failure
 *
 * Not collective. Errors: SD_ERR_INPUT with one line that names the byte, or the Python name that
 * the file has no use for; SD_ERR_RESOURCE.
 */
sd_status sd_pickle_read(const char *bytes, int64_t length, const char *shown,
                         const sd_pickle_global *globals, int n_globals, sd_pickle **out);

/** @brief Releases it; NULL is fine; sets NULL. */
void sd_pickle_destroy(sd_pickle **pickle);

/** @brief The value that the pickle stands for. */
sd_pickle_value sd_pickle_root(const sd_pickle *pickle);

/** @brief What a value is. */
sd_pickle_kind sd_pickle_kind_of(sd_pickle_value value);

/** @brief A whole number; of SD_PICKLE_GLOBAL, its place in the caller's names. */
int64_t sd_pickle_integer(sd_pickle_value value);

/** @brief The bytes of a text: UTF-8 without a zero behind; owned by the caller's `bytes`. */
const char *sd_pickle_text(const sd_pickle *pickle, sd_pickle_value value, int64_t *length);

/** @brief True of a text that equals `want`. */
bool sd_pickle_is_text(const sd_pickle *pickle, sd_pickle_value value, const char *want);

/**
 * @brief The parts of a tuple; of a call its function and its arguments, a tuple; of a persistent
 * id the one value that it is. Owned by the pickle.
 */
const sd_pickle_value *sd_pickle_parts(const sd_pickle *pickle, sd_pickle_value value,
                                       int64_t *count);

/** One entry of a dict: a text, and a dict or a call. */
typedef struct {
    sd_pickle_value dict, key, value;
} sd_pickle_entry;

/** How far a walk over entries has come; zero at first, then left alone. */
typedef struct {
    int64_t         passed, left;
    sd_pickle_value dict;
} sd_pickle_walk;

/**
 * @brief Walks over the entries of all dicts whose keys are text and whose values are dicts or
 * calls.
 *
 * Returns false behind the last one. Entries come in the order in which they were set; a key that
 * was set twice comes twice.
 */
bool sd_pickle_next(const sd_pickle *pickle, sd_pickle_walk *walk, sd_pickle_entry *out);

/** @brief True of the same dict, call or tuple, and of equal whole numbers. */
bool sd_pickle_same(sd_pickle_value a, sd_pickle_value b);

#endif
