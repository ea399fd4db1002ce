/**
 * @file bpe.h
 * @brief Byte-pair encoding of one word, by merge rules or by the ranks of tokens.
 *
 * The word starts as one symbol per character. Of all neighbours that can be joined, the pair with
 * the lowest rank is joined, the leftmost if several have it, until none can.
 *
 * By rules, as the `tokenizers` package: a pair is joined by its rule. Characters without a symbol
 * vanish, unless there is an unknown token.
 *
 * By ranks, as SentencePiece: a pair is joined when its text is a token, whose rank counts.
 * Characters that stay without a token become their bytes, or the unknown token, once for all that
 * touch.
 */
#ifndef SD_IO_TOKENIZER_BPE_H
#define SD_IO_TOKENIZER_BPE_H

#include "io/tokenizer/vocabulary.h"

/** A merge rule: left and right become `id`; the rule named first in the file has rank 0. */
typedef struct {
    int32_t left, right, id;
    int32_t rank; /* -1: an empty slot */
} sd_merge;

typedef struct {
    sd_vocabulary vocabulary;
    sd_merge     *merge; /* n_slots, a power of two, at most half of them used       */
    int64_t       n_slots, n_merges;
    int32_t      *rank;           /* by id; NULL: rules join, not ranks              */
    int32_t       byte[256];      /* with ranks: the tokens of bytes ...                      */
    bool          has_bytes;      /* ... if there are any                                     */
    int32_t       unknown;        /* id of the unknown token, -1: none                        */
    bool          lacks_unknown;  /* one is named that is not in the vocabulary        */
    bool          fuses_unknown;  /* neighbouring unknown characters become one        */
    bool          ignores_merges; /* a word that is a token is encoded as that token   */
} sd_bpe;

/** Work space for words, and the ids found so far; start as {0}, release with sd_bpe_work_clear().
 */
typedef struct {
    int32_t                 *id; /* `count` of `capacity`: the result */
    int64_t                  count, capacity;
    struct sd_bpe_symbol    *symbol;
    int64_t                  symbol_capacity;
    struct sd_bpe_candidate *candidate;
    int64_t                  candidate_capacity;
} sd_bpe_work;

/** @brief Makes an empty model with room for `n_merges` rules; release with sd_bpe_clear(). */
sd_status sd_bpe_init(sd_bpe *bpe, int64_t n_merges);
void      sd_bpe_clear(sd_bpe *bpe);

/**
 * @brief Gives ranks by score, the highest one first; equal scores have equal ranks.
 *
 * @param[in] score  n_tokens, by id, no NaN
 *
 * Errors: SD_ERR_RESOURCE.
 */
sd_status sd_bpe_rank(sd_bpe *bpe, const float *score, int64_t n_tokens);

/** @brief Adds a rule; of two for the same pair the later one holds, as in the package. */
void sd_bpe_add_merge(sd_bpe *bpe, sd_merge merge);

/**
 * @brief Appends a word's ids to work->id.
 *
 * @param[in] word  valid UTF-8, length >= 1
 *
 * Cost: O(n log n) for n characters. Errors: SD_ERR_INPUT when an unknown token is needed and
 * lacking; SD_ERR_RESOURCE.
 */
sd_status sd_bpe_encode(const sd_bpe *bpe, const char *word, int64_t length, sd_bpe_work *work);

/** @brief Appends one id to work->id. Errors: SD_ERR_RESOURCE. */
sd_status sd_bpe_push_id(sd_bpe_work *work, int32_t id);
void      sd_bpe_work_clear(sd_bpe_work *work);

#endif
