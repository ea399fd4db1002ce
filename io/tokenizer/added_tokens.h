/**
 * @file added_tokens.h
 * @brief Tokens that stand in the text as they are, and are cut out before anything else happens.
 *
 * Of the tokens that start at the same place the longest one is found; the search goes on behind
 * it. A token may ask to stand alone as a word, and to swallow the white space on its sides.
 */
#ifndef SD_IO_TOKENIZER_ADDED_TOKENS_H
#define SD_IO_TOKENIZER_ADDED_TOKENS_H

#include "io/tokenizer/pattern.h"

typedef struct {
    int32_t id;
    bool    single_word;   /* not where a letter, mark, digit or connector touches it         */
    bool    strips_left;   /* swallows white space before it ...                              */
    bool    strips_right;  /* ... and behind it                                               */
    bool    is_normalized; /* looked for after the others, in what they leave                 */
} sd_added_token;

/** A node of a trie over bytes; its children are the nodes from `child` on, linked by `sibling`. */
typedef struct {
    int32_t child, sibling; /* -1: none                    */
    int32_t token;          /* number of a token, -1: none */
    uint8_t byte;
} sd_trie_node;

typedef struct {
    sd_trie_node *node;
    int64_t       count, capacity;
    int32_t       root[256]; /* the first nodes by byte, -1: none */
} sd_trie;

typedef struct {
    sd_added_token *token;
    int64_t         count, capacity;
    sd_trie         trie[2]; /* of tokens that are not normalized, and of those that are */
    sd_pattern     *word;    /* what makes a word; NULL while no token asks for it       */
} sd_added_tokens;

/** A stretch of text: an added token's id, or -1 and the text start .. stop - 1. */
typedef struct {
    int64_t start, stop;
    int32_t id;
} sd_section;

typedef struct {
    sd_section *at;
    int64_t     count, capacity;
} sd_sections;

void sd_added_tokens_init(sd_added_tokens *added);
void sd_added_tokens_clear(sd_added_tokens *added);

/** @brief Adds a token with a text of length >= 1 that no other has. Errors: SD_ERR_RESOURCE. */
sd_status sd_added_tokens_add(sd_added_tokens *added, const char *text, int64_t length,
                              sd_added_token token);

/**
 * @brief Cuts a text at the added tokens in it: at those that are normalized, or at the others.
 *
 * @param[in]     text    valid UTF-8; borders look no further than its ends
 * @param[in,out] out     a list to append to; release with sd_free(out->at), also on failure
 *
 * Cost: length times the length of the longest token at worst. Errors: SD_ERR_RESOURCE;
 * SD_ERR_INPUT when tokens that strip white space overlap in a way that has no meaning.
 */
sd_status sd_added_tokens_cut(const sd_added_tokens *added, bool is_normalized, const char *text,
                              int64_t length, sd_sections *out);

#endif
