/**
 * @file vocabulary.h
 * @brief A dictionary from token to id: open addressing, keys kept end to end.
 *
 * Places depend on a number that each dictionary draws, so that no file can be made whose tokens
 * all fall together; what is found does not.
 */
#ifndef SD_IO_TOKENIZER_VOCABULARY_H
#define SD_IO_TOKENIZER_VOCABULARY_H

#include "io/tokenizer/lists.h"

/** A token's place among the keys, and its id. */
typedef struct {
    int64_t start, length;
    int32_t id;
} sd_vocabulary_entry;

typedef struct {
    sd_bytes             keys;
    sd_vocabulary_entry *entry; /* `count` of `capacity`                                  */
    int64_t              count, capacity;
    int64_t             *slot; /* n_slots, a power of two: number of an entry + 1, or 0   */
    int64_t              n_slots;
    uint64_t             seed;       /* of the hashes                                        */
    int32_t              largest_id; /* -1 when empty */
} sd_vocabulary;

/** @brief Makes an empty dictionary; release with sd_vocabulary_clear(). Errors: SD_ERR_RESOURCE.
 */
sd_status sd_vocabulary_init(sd_vocabulary *vocabulary);
void      sd_vocabulary_clear(sd_vocabulary *vocabulary);

/** @brief Adds a token that is not there yet. Errors: SD_ERR_RESOURCE. */
sd_status sd_vocabulary_add(sd_vocabulary *vocabulary, const char *token, int64_t length,
                            int32_t id);

/** @brief The token's id, or -1. */
int32_t sd_vocabulary_find(const sd_vocabulary *vocabulary, const char *token, int64_t length);

#endif
