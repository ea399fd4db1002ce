/* The tokeniser in a GGUF file's metadata: byte-level BPE ("gpt2") or SentencePiece's ("llama"). */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "io/gguf_file.h"
#include "io/text.h"
#include "io/tokenizer/pretokenizer_names.h"
#include "io/tokenizer/tokenizer_parts.h"
#include "solvers/base/dtype.h"
#include "solvers/base/memory.h"

static const char model_key[]   = "tokenizer.ggml.model";
static const char pre_key[]     = "tokenizer.ggml.pre";
static const char tokens_key[]  = "tokenizer.ggml.tokens";
static const char types_key[]   = "tokenizer.ggml.token_type";
static const char scores_key[]  = "tokenizer.ggml.scores";
static const char merges_key[]  = "tokenizer.ggml.merges";
static const char unknown_key[] = "tokenizer.ggml.unknown_token_id";

#define OTHERWISE "; name a tokenizer.json with 'tokenizer' in the study, or give ready ids"

/* What tokenizer.ggml.token_type says of a token. */
enum { UNDEFINED, NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE };

/* The file being read. */
typedef struct {
    sd_gguf       gguf;
    const char   *path;
    sd_tokenizer *tokenizer;
    int64_t       n_tokens;
    int32_t       unknown; /* a token of that type, -1: none */
    int           n_bytes;
    sd_vocabulary seen;
    sd_bytes      escaped;
    char          quoted[64];
} reader;

static const char *quote(reader *r, const char *text, int64_t length)
{
    return sd_quote(text, length, r->quoted, sizeof r->quoted);
}

/* ---- metadata ---- */

static sd_status read_text(const reader *r, const char *key, const char **out)
{
    sd_status           st   = SD_OK;
    const sd_gguf_pair *pair = sd_gguf_find(&r->gguf, key);

    SD_REQUIRE(pair != NULL, SD_ERR_INPUT, "%s: has no '%s'" OTHERWISE, r->path, key);
    SD_REQUIRE(pair->kind == SD_GGUF_TEXT, SD_ERR_INPUT, "%s: '%s' is no text", r->path, key);
    *out = pair->is.text;

done:
    return st;
}

/* *out stays as it is without the key. */
static sd_status read_bool(const reader *r, const char *key, bool *out)
{
    sd_status           st   = SD_OK;
    const sd_gguf_pair *pair = sd_gguf_find(&r->gguf, key);

    if (pair == NULL) return SD_OK;
    SD_REQUIRE(pair->kind == SD_GGUF_BOOL, SD_ERR_INPUT, "%s: '%s' is neither true nor false",
               r->path, key);
    *out = pair->is.u != 0;

done:
    return st;
}

/* An array of `count` elements of a kind; numbers are of 32 bits. A count of -1: as many as are. */
static sd_status read_array(const reader *r, const char *key, sd_gguf_kind kind, int64_t count,
                            sd_gguf_array *out)
{
    sd_status           st   = SD_OK;
    const sd_gguf_pair *pair = sd_gguf_find(&r->gguf, key);

    SD_REQUIRE(pair != NULL, SD_ERR_INPUT, "%s: has no '%s'" OTHERWISE, r->path, key);
    SD_REQUIRE(pair->kind == SD_GGUF_ARRAY && pair->element == (int16_t)kind &&
                   (kind == SD_GGUF_TEXT || pair->bits == 32),
               SD_ERR_INPUT, "%s: '%s' is no list of %s", r->path, key,
               kind == SD_GGUF_TEXT ? "texts" : "numbers of 32 bits");
    SD_REQUIRE(count < 0 || pair->is.u == (uint64_t)count, SD_ERR_INPUT,
               "%s: '%s' has %" PRIu64 " elements, want one for each of %" PRId64 " tokens",
               r->path, key, pair->is.u, count);
    SD_TRY(sd_gguf_read_array(&r->gguf, pair, out));

done:
    return st;
}

static bool has(const reader *r, const char *key)
{
    return sd_gguf_find(&r->gguf, key) != NULL;
}

/* ---- tokens ---- */

/* A token of the file; ids count from 0. */
typedef struct {
    const char *text;
    int64_t     length;
    int32_t     id, type;
} token;

typedef sd_status (*take_token)(reader *r, const token *t);

static sd_status check_token(reader *r, const token *t)
{
    sd_status st = SD_OK;

    SD_REQUIRE(t->type >= UNDEFINED && t->type <= BYTE, SD_ERR_INPUT,
               "%s: token %" PRId32 " is of the unknown type %" PRId32 ": the file is damaged or "
               "newer",
               r->path, t->id, t->type);
    SD_REQUIRE(sd_utf8_valid(t->text, t->length) == t->length, SD_ERR_INPUT,
               "%s: token %" PRId32 " is no UTF-8 text: the file is damaged", r->path, t->id);
    const int32_t other = sd_vocabulary_find(&r->seen, t->text, t->length);
    SD_REQUIRE(other < 0, SD_ERR_INPUT,
               "%s: tokens %" PRId32 " and %" PRId32 " are both '%s': the file is damaged", r->path,
               other, t->id, quote(r, t->text, t->length));
    SD_TRY(sd_vocabulary_add(&r->seen, t->text, t->length, t->id));

done:
    return st;
}

/* Walks over the tokens. Empty ones stand for nothing and may be many; unused ones are never made.
 */
static sd_status read_tokens(reader *r, take_token take)
{
    sd_status     st     = SD_OK;
    sd_gguf_array tokens = {0}, types = {0};
    const bool    typed = has(r, types_key);

    SD_TRY(read_array(r, tokens_key, SD_GGUF_TEXT, -1, &tokens));
    const uint64_t count = sd_gguf_find(&r->gguf, tokens_key)->is.u;
    SD_REQUIRE(count >= 1 && count <= SD_TOKENIZER_IDS_MAX, SD_ERR_INPUT,
               "%s: '%s' has %" PRIu64 " elements, want 1 to %" PRId64, r->path, tokens_key, count,
               SD_TOKENIZER_IDS_MAX);
    r->n_tokens = (int64_t)count;
    if (typed) SD_TRY(read_array(r, types_key, SD_GGUF_SIGNED, r->n_tokens, &types));
    SD_TRY(sd_vocabulary_init(&r->seen));
    for (int64_t i = 0; i < r->n_tokens; i++) {
        token t = {.id = (int32_t)i, .type = NORMAL};

        if (typed) t.type = (int32_t)sd_gguf_bits_at(&types, i);
        SD_TRY(sd_gguf_next_string(&tokens, &t.text, &t.length));
        if (t.length == 0) continue;
        SD_TRY(check_token(r, &t));
        if (t.type != UNUSED) SD_TRY(take(r, &t));
    }
    r->tokenizer->largest_id = (int32_t)(r->n_tokens - 1);

done:
    sd_free(tokens.bytes);
    sd_free(types.bytes);
    return st;
}

/* ---- byte-level BPE ---- */

/* Tokens that stand in the text as they are also have a place among the others. */
static sd_status take_of_bytes(reader *r, const token *t)
{
    sd_status      st    = SD_OK;
    sd_tokenizer  *to    = r->tokenizer;
    sd_added_token added = {.id = t->id};

    if (t->type == UNKNOWN || t->type == CONTROL || t->type == USER_DEFINED)
        SD_TRY(sd_added_tokens_add(&to->added, t->text, t->length, added));
    SD_TRY(sd_vocabulary_add(&to->bpe.vocabulary, t->text, t->length, t->id));

done:
    return st;
}

static sd_status read_merges(reader *r)
{
    sd_status     st     = SD_OK;
    sd_gguf_array merges = {0};
    sd_bytes      joined = {0};

    SD_TRY(read_array(r, merges_key, SD_GGUF_TEXT, -1, &merges));
    const uint64_t count = sd_gguf_find(&r->gguf, merges_key)->is.u;
    SD_REQUIRE(count <= INT32_MAX, SD_ERR_INPUT, "%s: %" PRIu64 " merges are too many", r->path,
               count);
    SD_TRY(sd_bpe_init(&r->tokenizer->bpe, (int64_t)count));
    SD_TRY(read_tokens(r, take_of_bytes));
    for (int64_t i = 0; i < (int64_t)count; i++) {
        sd_merge_sides sides;
        const char    *text;
        int64_t        length;

        SD_TRY(sd_gguf_next_string(&merges, &text, &length));
        SD_REQUIRE(sd_merge_split(text, length, &sides), SD_ERR_INPUT,
                   "%s: merge %" PRId64 " is not a pair of tokens: want \"a b\"", r->path, i + 1);
        SD_TRY(sd_tokenizer_add_merge(r->tokenizer, &sides, i + 1, (int32_t)i, &joined));
    }

done:
    sd_free(merges.bytes);
    sd_bytes_clear(&joined);
    return st;
}

static sd_status read_bytes_model(reader *r)
{
    sd_status     st   = SD_OK;
    sd_tokenizer *to   = r->tokenizer;
    const char   *name = "";
    bool          ignores_merges;

    SD_TRY(read_text(r, pre_key, &name));
    SD_TRY(sd_pretokenizer_by_name(r->path, name, &to->pretokenizer, &ignores_merges));
    SD_TRY(read_merges(r));
    to->bpe.ignores_merges = ignores_merges;

done:
    return st;
}

/* ---- SentencePiece ---- */

static int of_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The token "<0x0A>" stands for the byte 10. */
static sd_status take_byte(reader *r, const token *t)
{
    sd_status  st   = SD_OK;
    const bool fits = t->length == 6 && memcmp(t->text, "<0x", 3) == 0 && t->text[5] == '>';
    const int  high = fits ? of_digit(t->text[3]) : -1, low = fits ? of_digit(t->text[4]) : -1;

    SD_REQUIRE(high >= 0 && low >= 0, SD_ERR_INPUT,
               "%s: token %" PRId32 " is said to be a byte and is '%s': want <0x00> to <0xFF>",
               r->path, t->id, quote(r, t->text, t->length));
    r->tokenizer->bpe.byte[16 * high + low] = t->id;
    r->n_bytes++;

done:
    return st;
}

/* A user-defined token is found in the escaped text, whichever way its own spaces are written. */
static sd_status take_user_defined(reader *r, const token *t)
{
    sd_status       st    = SD_OK;
    const sd_spaces plain = {0};

    r->escaped.count = 0;
    SD_TRY(sd_spaces_escape(&plain, t->text, t->length, &r->escaped));
    SD_TRY(sd_added_tokens_add(&r->tokenizer->added, r->escaped.at, r->escaped.count,
                               (sd_added_token){.id = t->id, .is_normalized = true}));

done:
    return st;
}

static sd_status take_of_pieces(reader *r, const token *t)
{
    sd_status     st = SD_OK;
    sd_tokenizer *to = r->tokenizer;

    if (t->type == BYTE) return take_byte(r, t);
    if (t->type == USER_DEFINED) return take_user_defined(r, t);
    if (t->type == UNKNOWN) r->unknown = t->id;
    if (t->type == UNKNOWN || t->type == CONTROL)
        return sd_added_tokens_add(&to->added, t->text, t->length, (sd_added_token){.id = t->id});
    SD_TRY(sd_vocabulary_add(&to->bpe.vocabulary, t->text, t->length, t->id));
    sd_spaces_learn(&to->spaces, t->text, t->length);

done:
    return st;
}

static sd_status read_scores(reader *r)
{
    sd_status     st     = SD_OK;
    sd_gguf_array scores = {0};
    float        *score  = NULL;

    SD_TRY(read_array(r, scores_key, SD_GGUF_REAL, r->n_tokens, &scores));
    SD_TRY(sd_alloc(r->n_tokens, sizeof *score, &score));
    for (int64_t i = 0; i < r->n_tokens; i++) {
        score[i] = sd_float_of_bits(sd_gguf_bits_at(&scores, i));
        SD_REQUIRE(isfinite(score[i]), SD_ERR_INPUT,
                   "%s: the score of token %" PRId64 " is no finite number: the file is damaged",
                   r->path, i);
    }
    SD_TRY(sd_bpe_rank(&r->tokenizer->bpe, score, r->n_tokens));

done:
    sd_free(scores.bytes);
    sd_free(score);
    return st;
}

/* What becomes of a character that is no token: its bytes, else the unknown token. */
static sd_status read_unknown(reader *r)
{
    sd_status           st   = SD_OK;
    sd_bpe             *bpe  = &r->tokenizer->bpe;
    const sd_gguf_pair *pair = sd_gguf_find(&r->gguf, unknown_key);

    SD_REQUIRE(r->n_bytes == 0 || r->n_bytes == 256, SD_ERR_INPUT,
               "%s: has tokens for %d bytes, want all 256 or none: the file is damaged", r->path,
               r->n_bytes);
    bpe->has_bytes = r->n_bytes > 0;
    bpe->unknown   = r->unknown;
    if (pair == NULL) return SD_OK;
    SD_REQUIRE(pair->kind == SD_GGUF_UNSIGNED && pair->is.u < (uint64_t)r->n_tokens, SD_ERR_INPUT,
               "%s: '%s' is no id of %" PRId64 " tokens", r->path, unknown_key, r->n_tokens);
    bpe->unknown = (int32_t)pair->is.u;

done:
    return st;
}

/* Text is changed by spaces alone: a map of characters is refused. */
static sd_status read_spaces(reader *r)
{
    static const char   map_key[] = "tokenizer.ggml.precompiled_charsmap";
    sd_status           st        = SD_OK;
    sd_spaces          *spaces    = &r->tokenizer->spaces;
    const sd_gguf_pair *map       = sd_gguf_find(&r->gguf, map_key);

    SD_REQUIRE(map == NULL || (map->kind == SD_GGUF_ARRAY && map->is.u == 0), SD_ERR_INPUT,
               "%s: '%s' changes the text's characters, which is not supported" OTHERWISE, r->path,
               map_key);
    spaces->escapes     = true;
    spaces->adds_prefix = true;
    SD_TRY(read_bool(r, "tokenizer.ggml.add_space_prefix", &spaces->adds_prefix));
    SD_TRY(read_bool(r, "tokenizer.ggml.remove_extra_whitespaces", &spaces->drops_extra));

done:
    return st;
}

static sd_status read_pieces_model(reader *r)
{
    sd_status     st = SD_OK;
    sd_tokenizer *to = r->tokenizer;

    SD_REQUIRE(has(r, types_key), SD_ERR_INPUT, "%s: has no '%s'" OTHERWISE, r->path, types_key);
    SD_TRY(read_spaces(r));
    SD_TRY(sd_bpe_init(&to->bpe, 0));
    SD_TRY(read_tokens(r, take_of_pieces));
    SD_TRY(read_scores(r));
    SD_TRY(read_unknown(r));
    /* Unknown characters on both sides of a space that is unknown too are one. */
    if (sd_vocabulary_find(&to->bpe.vocabulary, SD_SPACE, sizeof SD_SPACE - 1) < 0)
        memset(to->spaces.joins, true, sizeof to->spaces.joins);

done:
    return st;
}

/* ---- the file ---- */

sd_status sd_tokenizer_take_gguf(sd_tokenizer *tokenizer)
{
    sd_status   st    = SD_OK;
    reader      r     = {.path = tokenizer->path, .tokenizer = tokenizer, .unknown = -1};
    const char *model = "";

    tokenizer->largest_id = -1;
    SD_TRY(sd_gguf_open(tokenizer->path, tokenizer->path, &r.gguf));
    SD_TRY(read_text(&r, model_key, &model));
    if (strcmp(model, "gpt2") == 0)
        SD_TRY(read_bytes_model(&r));
    else if (strcmp(model, "llama") == 0)
        SD_TRY(read_pieces_model(&r));
    else
        SD_TRY(sd_fail(SD_ERR_INPUT, __FILE__, __LINE__,
                       "%s: its tokeniser is of the kind '%s', want gpt2 or llama" OTHERWISE,
                       r.path, quote(&r, model, (int64_t)strlen(model))));

done:
    sd_vocabulary_clear(&r.seen);
    sd_bytes_clear(&r.escaped);
    sd_gguf_close(&r.gguf);
    return st;
}
