#include "io/tokenizer/tokenizer_parts.h"

#include <inttypes.h>
#include <string.h>

bool sd_merge_split(const char *text, int64_t length, sd_merge_sides *out)
{
    const char *space = memchr(text, ' ', (size_t)length);

    if (space == NULL) return false;
    *out = (sd_merge_sides){{text, space + 1}, {space - text, text + length - space - 1}};
    return memchr(space + 1, ' ', (size_t)out->length[1]) == NULL;
}

sd_status sd_tokenizer_add_merge(sd_tokenizer *tokenizer, const sd_merge_sides *sides,
                                 int64_t number, int32_t rank, sd_bytes *joined)
{
    sd_status            st         = SD_OK;
    const sd_vocabulary *vocabulary = &tokenizer->bpe.vocabulary;
    sd_merge             rule       = {.rank = rank};
    int32_t             *id[2]      = {&rule.left, &rule.right};
    char                 quoted[64];

    joined->count = 0;
    SD_TRY(sd_bytes_append(joined, "", 0)); /* never NULL */
    for (int i = 0; i < 2; i++) {
        *id[i] = sd_vocabulary_find(vocabulary, sides->text[i], sides->length[i]);
        SD_REQUIRE(*id[i] >= 0, SD_ERR_INPUT,
                   "%s: merge %" PRId64 " names '%s', which is not in the vocabulary",
                   tokenizer->path, number,
                   sd_quote(sides->text[i], sides->length[i], quoted, sizeof quoted));
        SD_TRY(sd_bytes_append(joined, sides->text[i], sides->length[i]));
    }
    rule.id = sd_vocabulary_find(vocabulary, joined->at, joined->count);
    SD_REQUIRE(rule.id >= 0, SD_ERR_INPUT,
               "%s: merge %" PRId64 " makes '%s', which is not in the vocabulary", tokenizer->path,
               number, sd_quote(joined->at, joined->count, quoted, sizeof quoted));
    sd_bpe_add_merge(&tokenizer->bpe, rule);

done:
    return st;
}
