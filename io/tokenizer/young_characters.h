/**
 * @file young_characters.h
 * @brief Characters that joined Unicode after version 14, as the `tokenizers` package classes them.
 *
 * Debian's PCRE2 10.42 knows Unicode 14, the package's regex engine Unicode 16. Without these rows
 * a text in one of the newest scripts would be cut elsewhere. A category's row is disjoint from its
 * sisters'; a script's row repeats characters of the category rows. With a newer PCRE2 the rows say
 * what it knows already.
 */
#ifndef SD_IO_TOKENIZER_YOUNG_CHARACTERS_H
#define SD_IO_TOKENIZER_YOUNG_CHARACTERS_H

#include <stdint.h>

typedef struct {
    uint32_t first, last; /* code points, both included          */
    char     name[12];    /* two-letter category, or a script    */
} sd_young;

enum { SD_YOUNG_COUNT = 140 };

extern const sd_young sd_young_table[SD_YOUNG_COUNT];

#endif
