#include "io/tokenizer/tokenizer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "io/text.h"
#include "io/tokenizer/tokenizer_parts.h"
#include "solvers/base/memory.h"

/* ---- reading and releasing ---- */

static sd_status find_file(const char *path, char **out)
{
    static const char name[] = "/tokenizer.json";
    sd_status         st     = SD_OK;
    struct stat       is;
    const bool        is_folder = stat(path, &is) == 0 && S_ISDIR(is.st_mode);
    const size_t      length    = strlen(path);

    SD_TRY(sd_alloc((int64_t)(length + sizeof name), 1, out));
    memcpy(*out, path, length);
    if (is_folder) memcpy(*out + length, name, sizeof name);

done:
    return st;
}

static sd_status take_json(sd_tokenizer *tokenizer)
{
    sd_status st     = SD_OK;
    char     *json   = NULL;
    int64_t   length = 0;

    SD_TRY(sd_file_read(tokenizer->path, &json, &length));
    SD_TRY(sd_tokenizer_parse(json, length, tokenizer));

done:
    sd_free(json);
    return st;
}

static bool is_gguf(const char *path)
{
    static const char end[]  = ".gguf";
    const size_t      length = strlen(path), want = sizeof end - 1;

    return length > want && strcmp(path + length - want, end) == 0;
}

sd_status sd_tokenizer_read(const char *path, sd_tokenizer **out)
{
    sd_status     st        = SD_OK;
    sd_tokenizer *tokenizer = NULL;

    *out = NULL;
    SD_TRY(sd_alloc(1, sizeof *tokenizer, &tokenizer));
    sd_added_tokens_init(&tokenizer->added);
    SD_TRY(find_file(path, &tokenizer->path));
    SD_TRY(is_gguf(tokenizer->path) ? sd_tokenizer_take_gguf(tokenizer) : take_json(tokenizer));
    *out      = tokenizer;
    tokenizer = NULL;

done:
    sd_tokenizer_destroy(&tokenizer);
    return st;
}

void sd_tokenizer_destroy(sd_tokenizer **tokenizer)
{
    if (*tokenizer == NULL) return;
    sd_added_tokens_clear(&(*tokenizer)->added);
    sd_pretokenizer_clear(&(*tokenizer)->pretokenizer);
    sd_bpe_clear(&(*tokenizer)->bpe);
    sd_free((*tokenizer)->path);
    sd_free(*tokenizer);
    *tokenizer = NULL;
}

int64_t sd_tokenizer_size(const sd_tokenizer *tokenizer)
{
    return (int64_t)tokenizer->largest_id + 1;
}

/* ---- encoding ---- */

/* A word met before, and where its ids are in the result. Words repeat: looking one up costs less
 * than merging it again. A word that finds its place taken takes the place. */
typedef struct {
    int64_t start, length; /* in the pieces' text; length 0: empty */
    int64_t first, count;  /* in the ids                           */
} known_word;

enum { WORDS_MAX = 1 << 16, WORD_LENGTH_MAX = 256 };

static sd_status encode_word(const sd_tokenizer *tokenizer, const sd_pieces *pieces, sd_span piece,
                             known_word *known, sd_bpe_work *work)
{
    sd_status     st     = SD_OK;
    const char   *word   = pieces->text.at + piece.start;
    const int64_t length = piece.stop - piece.start;
    const int64_t first  = work->count;

    if (known != NULL && known->length == length &&
        memcmp(pieces->text.at + known->start, word, (size_t)length) == 0) {
        for (int64_t i = 0; i < known->count; i++)
            SD_TRY(sd_bpe_push_id(work, work->id[known->first + i]));
        return SD_OK;
    }
    SD_TRY(sd_bpe_encode(&tokenizer->bpe, word, length, work));
    if (known != NULL) *known = (known_word){piece.start, length, first, work->count - first};

done:
    return st;
}

static sd_status encode_pieces(const sd_tokenizer *tokenizer, const sd_pieces *pieces,
                               sd_bpe_work *work)
{
    sd_status   st      = SD_OK;
    known_word *known   = NULL;
    int64_t     n_known = 1;

    while (n_known < WORDS_MAX && n_known < pieces->piece.count) n_known *= 2;
    SD_TRY(sd_alloc(n_known, sizeof *known, &known));
    for (int64_t i = 0; i < pieces->piece.count; i++) {
        const sd_span  piece  = pieces->piece.at[i];
        const size_t   length = (size_t)(piece.stop - piece.start);
        const uint64_t place =
            XXH3_64bits(pieces->text.at + piece.start, length) & ((uint64_t)n_known - 1);
        SD_TRY(encode_word(tokenizer, pieces, piece,
                           length <= WORD_LENGTH_MAX ? &known[place] : NULL, work));
    }

done:
    sd_free(known);
    return st;
}

/* Text without added tokens. */
static sd_status encode_plain(const sd_tokenizer *tokenizer, const char *text, int64_t length,
                              sd_bpe_work *work)
{
    sd_status st     = SD_OK;
    sd_pieces pieces = {0};

    if (tokenizer->spaces.escapes)
        SD_TRY(sd_spaces_cut(&tokenizer->spaces, text, length, &pieces));
    else
        SD_TRY(sd_pretokenize(&tokenizer->pretokenizer, text, length, &pieces));
    SD_TRY(encode_pieces(tokenizer, &pieces, work));

done:
    sd_pieces_clear(&pieces);
    return st;
}

/* Text without the added tokens that are found before normalisation. */
static sd_status encode_normalized(const sd_tokenizer *tokenizer, const char *text, int64_t length,
                                   sd_bpe_work *work)
{
    sd_status   st       = SD_OK;
    sd_sections sections = {0};
    sd_bytes    escaped  = {0};

    if (tokenizer->spaces.escapes) {
        SD_TRY(sd_spaces_escape(&tokenizer->spaces, text, length, &escaped));
        text   = escaped.at;
        length = escaped.count;
    }
    SD_TRY(sd_added_tokens_cut(&tokenizer->added, true, text, length, &sections));
    for (int64_t i = 0; i < sections.count; i++) {
        const sd_section section = sections.at[i];
        if (section.id >= 0)
            SD_TRY(sd_bpe_push_id(work, section.id));
        else
            SD_TRY(
                encode_plain(tokenizer, text + section.start, section.stop - section.start, work));
    }

done:
    sd_bytes_clear(&escaped);
    sd_free(sections.at);
    return st;
}

sd_status sd_tokenizer_encode(const sd_tokenizer *tokenizer, const char *text, int64_t length,
                              int32_t **ids, int64_t *count)
{
    sd_status   st       = SD_OK;
    sd_sections sections = {0};
    sd_bpe_work work     = {0};

    *ids                = NULL;
    *count              = 0;
    const int64_t valid = sd_utf8_valid(text, length);
    SD_REQUIRE(valid == length, SD_ERR_INPUT, "the text is not UTF-8 at byte %" PRId64, valid);
    SD_TRY(sd_list_reserve(&work.id, 0, 1, sizeof *work.id, &work.capacity)); /* never NULL */

    SD_TRY(sd_added_tokens_cut(&tokenizer->added, false, text, length, &sections));
    for (int64_t i = 0; i < sections.count; i++) {
        const sd_section section = sections.at[i];
        if (section.id >= 0)
            SD_TRY(sd_bpe_push_id(&work, section.id));
        else
            SD_TRY(encode_normalized(tokenizer, text + section.start, section.stop - section.start,
                                     &work));
    }
    *ids    = work.id;
    *count  = work.count;
    work.id = NULL;

done:
    sd_free(sections.at);
    sd_bpe_work_clear(&work);
    return st;
}
