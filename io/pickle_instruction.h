/**
 * @file pickle_instruction.h
 * @brief The instructions of a pickle, one after the other: their codes, numbers and text.
 *
 * Private to io/pickle.c and its fuzzers. Every length is compared with the bytes that are left.
 */
#ifndef SD_IO_PICKLE_INSTRUCTION_H
#define SD_IO_PICKLE_INSTRUCTION_H

#include <stdint.h>

#include "solvers/base/status.h"

/** Codes beyond ASCII, by their names in Python's pickletools; others are written as letters. */
enum {
    SD_PICKLE_OP_PROTO            = 0x80,
    SD_PICKLE_OP_NEWOBJ           = 0x81,
    SD_PICKLE_OP_TUPLE1           = 0x85,
    SD_PICKLE_OP_TUPLE2           = 0x86,
    SD_PICKLE_OP_TUPLE3           = 0x87,
    SD_PICKLE_OP_NEWTRUE          = 0x88,
    SD_PICKLE_OP_NEWFALSE         = 0x89,
    SD_PICKLE_OP_LONG1            = 0x8a,
    SD_PICKLE_OP_LONG4            = 0x8b,
    SD_PICKLE_OP_SHORT_BINUNICODE = 0x8c,
    SD_PICKLE_OP_BINUNICODE8      = 0x8d,
    SD_PICKLE_OP_BINBYTES8        = 0x8e,
    SD_PICKLE_OP_EMPTY_SET        = 0x8f,
    SD_PICKLE_OP_ADDITEMS         = 0x90,
    SD_PICKLE_OP_FROZENSET        = 0x91,
    SD_PICKLE_OP_NEWOBJ_EX        = 0x92,
    SD_PICKLE_OP_STACK_GLOBAL     = 0x93,
    SD_PICKLE_OP_MEMOIZE          = 0x94,
    SD_PICKLE_OP_FRAME            = 0x95,
    SD_PICKLE_OP_BYTEARRAY8       = 0x96
};

/** One instruction. */
typedef struct {
    unsigned char code;
    uint64_t      number;       /* its argument, or the length of its text               */
    int64_t       at;           /* where it stands                                       */
    int64_t       text, length; /* where its text is; of a name, two lines with their ends */
} sd_pickle_instruction;

/** The bytes and the place in them. */
typedef struct {
    const unsigned char *bytes;
    int64_t              length, at;
    const char          *shown; /* names the pickle in messages */
} sd_pickle_cursor;

/** @brief Takes the next instruction. Errors: SD_ERR_INPUT for an unknown one, or one cut off. */
sd_status sd_pickle_take(sd_pickle_cursor *c, sd_pickle_instruction *out);

/**
 * @brief Walks over all instructions, without following them.
 *
 * @param[out] puts    how many of them remember a value
 * @param[out] others  how many do not
 *
 * Errors: as sd_pickle_take(); SD_ERR_INPUT when bytes follow the last one.
 */
sd_status sd_pickle_count(const sd_pickle_cursor *from, int64_t *puts, int64_t *others);

/** @brief Records that the pickle is damaged at byte `at`, where `what`. Returns SD_ERR_INPUT. */
sd_status sd_pickle_damaged(const sd_pickle_cursor *c, int64_t at, const char *what);

#endif
