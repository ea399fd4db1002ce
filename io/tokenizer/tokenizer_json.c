#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "io/tokenizer/pretokenizer_names.h"
#include "io/tokenizer/tokenizer_parts.h"
#include "io/tokenizer/young_characters.h"
#include "solvers/base/memory.h"

enum { QUOTE_LEN = 64 };

/* The file being read: where messages point to, what is filled, and which ids are taken. */
typedef struct {
    const char   *path;
    sd_tokenizer *tokenizer;
    uint8_t      *taken; /* one bit per id, in taken_bytes bytes */
    int64_t       taken_bytes;
    char          quoted[QUOTE_LEN];
} reader;

static const char *quote(reader *r, const json_t *text)
{
    if (!json_is_string(text)) return "?";
    return sd_quote(json_string_value(text), (int64_t)json_string_length(text), r->quoted,
                    QUOTE_LEN);
}

/* ---- fields ---- */

/* A boolean; where `fallback` is not NULL it may be left out or null. */
static sd_status read_bool(const reader *r, const json_t *object, const char *where,
                           const char *key, const bool *fallback, bool *out)
{
    sd_status     st    = SD_OK;
    const json_t *value = json_object_get(object, key);

    if (fallback != NULL && (value == NULL || json_is_null(value))) {
        *out = *fallback;
        return SD_OK;
    }
    SD_REQUIRE(json_is_boolean(value), SD_ERR_INPUT, "%s: '%s' of %s is %s, want true or false",
               r->path, key, where, value == NULL ? "missing" : "something else");
    *out = json_is_true(value);

done:
    return st;
}

/* A field that must say nothing: left out, null, or "". */
static sd_status refuse_unless_empty(const reader *r, const json_t *object, const char *key,
                                     const char *why)
{
    sd_status     st       = SD_OK;
    const json_t *value    = json_object_get(object, key);
    const bool    is_empty = value == NULL || json_is_null(value) ||
                          (json_is_string(value) && json_string_length(value) == 0);

    SD_REQUIRE(is_empty, SD_ERR_INPUT, "%s: '%s' is set; %s", r->path, key, why);

done:
    return st;
}

static sd_status read_id(reader *r, const json_t *value, const char *token, int32_t *out)
{
    sd_status     st     = SD_OK;
    const int64_t length = (int64_t)strlen(token);

    SD_REQUIRE(json_is_integer(value), SD_ERR_INPUT, "%s: token '%s' has an id that is no integer",
               r->path, sd_quote(token, length, r->quoted, QUOTE_LEN));
    const json_int_t id = json_integer_value(value);
    SD_REQUIRE(id >= 0 && id < SD_TOKENIZER_IDS_MAX, SD_ERR_INPUT,
               "%s: token '%s' has id %" JSON_INTEGER_FORMAT ", want 0 to %" PRId64, r->path,
               sd_quote(token, length, r->quoted, QUOTE_LEN), id, SD_TOKENIZER_IDS_MAX - 1);
    *out = (int32_t)id;

done:
    return st;
}

/* Marks an id as used by a token that has none yet. */
static sd_status take_id(reader *r, int32_t id, const char *token)
{
    sd_status     st  = SD_OK;
    const uint8_t bit = (uint8_t)(1u << id % 8);

    SD_TRY(sd_list_reserve(&r->taken, r->taken_bytes, id / 8 + 1, 1, &r->taken_bytes));
    SD_REQUIRE((r->taken[id / 8] & bit) == 0, SD_ERR_INPUT,
               "%s: token '%s' has id %" PRId32 ", which another token has too", r->path,
               sd_quote(token, (int64_t)strlen(token), r->quoted, QUOTE_LEN), id);
    r->taken[id / 8] |= bit;
    if (id > r->tokenizer->largest_id) r->tokenizer->largest_id = id;

done:
    return st;
}

/* ---- model ---- */

static sd_status read_vocabulary(reader *r, json_t *vocabulary)
{
    sd_status   st = SD_OK;
    const char *token;
    json_t     *value;

    SD_REQUIRE(json_is_object(vocabulary), SD_ERR_INPUT,
               "%s: 'vocab' of the model is no object of tokens and ids", r->path);
    json_object_foreach(vocabulary, token, value)
    {
        int32_t id = 0;
        SD_TRY(read_id(r, value, token, &id));
        SD_TRY(take_id(r, id, token));
        SD_TRY(sd_vocabulary_add(&r->tokenizer->bpe.vocabulary, token, (int64_t)strlen(token), id));
    }

done:
    return st;
}

/* The two sides of ["a", "b"], or of "a b". */
static bool split_merge(const json_t *merge, sd_merge_sides *out)
{
    if (json_is_string(merge))
        return sd_merge_split(json_string_value(merge), (int64_t)json_string_length(merge), out);
    for (size_t i = 0; i < 2; i++) {
        const json_t *side = json_array_get(merge, i);
        if (!json_is_string(side)) return false;
        out->text[i]   = json_string_value(side);
        out->length[i] = (int64_t)json_string_length(side);
    }
    return json_array_size(merge) == 2;
}

static bool is_comment(const json_t *merge)
{
    return json_is_string(merge) && strncmp(json_string_value(merge), "#version", 8) == 0;
}

static sd_status read_merges(reader *r, const json_t *merges)
{
    sd_status      st     = SD_OK;
    sd_bytes       joined = {0};
    int32_t        rank   = 0;
    sd_merge_sides sides;

    for (size_t i = 0; i < json_array_size(merges); i++) {
        const json_t *merge = json_array_get(merges, i);
        SD_REQUIRE(json_is_array(merge) == json_is_array(json_array_get(merges, 0)), SD_ERR_INPUT,
                   "%s: merge %zu is written in another way than the first one", r->path, i + 1);
        if (is_comment(merge)) continue;
        SD_REQUIRE(split_merge(merge, &sides), SD_ERR_INPUT,
                   "%s: merge %zu is not a pair of tokens: want \"a b\" or [\"a\", \"b\"]", r->path,
                   i + 1);
        SD_TRY(sd_tokenizer_add_merge(r->tokenizer, &sides, (int64_t)i + 1, rank++, &joined));
    }

done:
    sd_bytes_clear(&joined);
    return st;
}

static sd_status read_unknown(reader *r, const json_t *model)
{
    sd_status     st    = SD_OK;
    sd_bpe       *bpe   = &r->tokenizer->bpe;
    const json_t *token = json_object_get(model, "unk_token");

    if (token == NULL || json_is_null(token)) return SD_OK;
    SD_REQUIRE(json_is_string(token), SD_ERR_INPUT, "%s: 'unk_token' is no string", r->path);
    bpe->unknown       = sd_vocabulary_find(&bpe->vocabulary, json_string_value(token),
                                            (int64_t)json_string_length(token));
    bpe->lacks_unknown = bpe->unknown < 0;

done:
    return st;
}

static sd_status refuse_model_options(reader *r, const json_t *model)
{
    sd_status     st         = SD_OK;
    const bool    no         = false;
    bool          falls_back = false;
    const json_t *type       = json_object_get(model, "type");
    const json_t *dropout    = json_object_get(model, "dropout");
    const bool    is_without = dropout == NULL || json_is_null(dropout) ||
                            (json_is_number(dropout) && json_number_value(dropout) == 0);

    SD_REQUIRE(json_is_object(model), SD_ERR_INPUT, "%s: there is no 'model'", r->path);
    SD_REQUIRE(
        type == NULL || (json_is_string(type) && strcmp(json_string_value(type), "BPE") == 0),
        SD_ERR_INPUT, "%s: model type '%s' is not supported, want BPE", r->path, quote(r, type));
    SD_REQUIRE(is_without, SD_ERR_INPUT,
               "%s: 'dropout' is set; it makes ids random: set it to null", r->path);
    SD_TRY(refuse_unless_empty(r, model, "continuing_subword_prefix", "this is not supported"));
    SD_TRY(refuse_unless_empty(r, model, "end_of_word_suffix", "this is not supported"));
    SD_TRY(read_bool(r, model, "the model", "byte_fallback", &no, &falls_back));
    SD_REQUIRE(!falls_back, SD_ERR_INPUT,
               "%s: 'byte_fallback' is true; only byte-level BPE is supported", r->path);

done:
    return st;
}

static sd_status read_model(reader *r, const json_t *model)
{
    sd_status  st  = SD_OK;
    const bool no  = false;
    sd_bpe    *bpe = &r->tokenizer->bpe;

    SD_TRY(refuse_model_options(r, model));
    const json_t *merges = json_object_get(model, "merges");
    SD_REQUIRE(json_is_array(merges), SD_ERR_INPUT, "%s: 'merges' of the model is no list",
               r->path);
    SD_TRY(sd_bpe_init(bpe, (int64_t)json_array_size(merges)));
    SD_TRY(read_bool(r, model, "the model", "ignore_merges", &no, &bpe->ignores_merges));
    SD_TRY(read_bool(r, model, "the model", "fuse_unk", &no, &bpe->fuses_unknown));
    SD_TRY(read_vocabulary(r, json_object_get(model, "vocab")));
    SD_TRY(read_merges(r, merges));
    SD_TRY(read_unknown(r, model));

done:
    return st;
}

/* ---- added tokens ---- */

/* The package numbers by the vocabulary, and behind it in order, whatever the file says. */
static sd_status check_added_id(reader *r, const json_t *content, int32_t id, int32_t *next)
{
    sd_status st    = SD_OK;
    int32_t   given = sd_vocabulary_find(&r->tokenizer->bpe.vocabulary, json_string_value(content),
                                         (int64_t)json_string_length(content));

    if (given < 0) {
        given = (*next)++;
        SD_REQUIRE(id == given, SD_ERR_INPUT,
                   "%s: added token '%s' has id %" PRId32 ", but %" PRId32
                   " is the next one behind the vocabulary",
                   r->path, quote(r, content), id, given);
        SD_TRY(take_id(r, id, json_string_value(content)));
    }
    SD_REQUIRE(id == given, SD_ERR_INPUT,
               "%s: added token '%s' has id %" PRId32 ", but %" PRId32 " in 'vocab'", r->path,
               quote(r, content), id, given);

done:
    return st;
}

static sd_status read_added_token(reader *r, const json_t *object, int32_t *next)
{
    static const char where[] = "an added token";
    sd_status         st      = SD_OK;
    sd_added_token    token   = {0};
    const json_t     *content = json_object_get(object, "content");

    SD_REQUIRE(json_is_string(content), SD_ERR_INPUT, "%s: an added token has no 'content'",
               r->path);
    if (json_string_length(content) == 0) return SD_OK; /* the package passes over it */
    SD_TRY(read_id(r, json_object_get(object, "id"), json_string_value(content), &token.id));
    SD_TRY(read_bool(r, object, where, "single_word", NULL, &token.single_word));
    SD_TRY(read_bool(r, object, where, "lstrip", NULL, &token.strips_left));
    SD_TRY(read_bool(r, object, where, "rstrip", NULL, &token.strips_right));
    SD_TRY(read_bool(r, object, where, "normalized", NULL, &token.is_normalized));
    SD_TRY(check_added_id(r, content, token.id, next));
    SD_TRY(sd_added_tokens_add(&r->tokenizer->added, json_string_value(content),
                               (int64_t)json_string_length(content), token));

done:
    return st;
}

static sd_status read_added_tokens(reader *r, const json_t *tokens)
{
    sd_status     st   = SD_OK;
    sd_vocabulary seen = {0};
    int32_t       next = (int32_t)r->tokenizer->bpe.vocabulary.count;

    if (tokens == NULL) return SD_OK;
    SD_REQUIRE(json_is_array(tokens), SD_ERR_INPUT, "%s: 'added_tokens' is no list", r->path);
    SD_TRY(sd_vocabulary_init(&seen));
    for (size_t i = 0; i < json_array_size(tokens); i++) {
        const json_t *token   = json_array_get(tokens, i);
        const json_t *content = json_object_get(token, "content");
        SD_TRY(read_added_token(r, token, &next));
        const char   *text   = json_string_value(content);
        const int64_t length = (int64_t)json_string_length(content);
        SD_REQUIRE(sd_vocabulary_find(&seen, text, length) < 0, SD_ERR_INPUT,
                   "%s: added token '%s' is listed twice", r->path, quote(r, content));
        SD_TRY(sd_vocabulary_add(&seen, text, length, 0));
    }

done:
    sd_vocabulary_clear(&seen);
    return st;
}

/* ---- pre-tokeniser ---- */

static const char *type_of(const json_t *object)
{
    const char *type = json_string_value(json_object_get(object, "type"));

    return type == NULL ? "" : type;
}

static sd_status add_step(reader *r, const char *pattern, sd_pretokenize_step step)
{
    sd_status st = SD_OK;

    if (pattern != NULL)
        SD_TRY(sd_pattern_create(r->path, pattern, (int64_t)strlen(pattern), false, &step.pattern));
    SD_TRY(sd_pretokenizer_add(&r->tokenizer->pretokenizer, step));

done:
    return st;
}

static sd_status read_byte_level(reader *r, const json_t *object)
{
    sd_status           st        = SD_OK;
    const bool          yes       = true;
    bool                has_words = true;
    sd_pretokenize_step step      = {.writes_bytes = true};

    SD_TRY(read_bool(r, object, "ByteLevel", "add_prefix_space", NULL, &step.adds_prefix_space));
    SD_TRY(read_bool(r, object, "ByteLevel", "use_regex", &yes, &has_words));
    SD_TRY(add_step(r, has_words ? sd_gpt2_words : NULL, step));

done:
    return st;
}

static sd_status read_digits(reader *r, const json_t *object)
{
    sd_status st            = SD_OK;
    bool      is_individual = false;

    SD_TRY(read_bool(r, object, "Digits", "individual_digits", NULL, &is_individual));
    SD_TRY(add_step(r, sd_digits_pattern,
                    (sd_pretokenize_step){.behaviour = is_individual ? SD_SPLIT_ISOLATED
                                                                     : SD_SPLIT_CONTIGUOUS}));

done:
    return st;
}

static sd_status read_behaviour(reader *r, const json_t *object, sd_split_behaviour *out)
{
    static const char *const names[] = {"Isolated", "Removed", "MergedWithPrevious",
                                        "MergedWithNext", "Contiguous"};
    sd_status                st      = SD_OK;
    const json_t            *name    = json_object_get(object, "behavior");
    int                      i       = 0;

    while (i < 5 && (!json_is_string(name) || strcmp(names[i], json_string_value(name)) != 0)) i++;
    SD_REQUIRE(i < 5, SD_ERR_INPUT, "%s: behavior '%s' of %s is not supported", r->path,
               quote(r, name), type_of(object));
    *out = (sd_split_behaviour)i;

done:
    return st;
}

static sd_status read_punctuation(reader *r, const json_t *object)
{
    sd_status           st   = SD_OK;
    sd_pretokenize_step step = {.behaviour = SD_SPLIT_ISOLATED};

    if (json_object_get(object, "behavior") != NULL)
        SD_TRY(read_behaviour(r, object, &step.behaviour));
    SD_TRY(add_step(r, sd_punctuation_pattern, step));

done:
    return st;
}

static sd_status read_split(reader *r, const json_t *object)
{
    sd_status           st         = SD_OK;
    sd_pretokenize_step step       = {0};
    const json_t       *pattern    = json_object_get(object, "pattern");
    const json_t       *regex      = json_object_get(pattern, "Regex");
    const bool          is_literal = regex == NULL;
    const json_t       *source     = is_literal ? json_object_get(pattern, "String") : regex;

    SD_TRY(read_behaviour(r, object, &step.behaviour));
    SD_TRY(read_bool(r, object, "Split", "invert", NULL, &step.is_inverted));
    SD_REQUIRE(json_is_string(source) && json_object_size(pattern) == 1, SD_ERR_INPUT,
               "%s: 'pattern' of Split is neither {\"Regex\": ...} nor {\"String\": ...}", r->path);
    SD_TRY(sd_pattern_create(r->path, json_string_value(source),
                             (int64_t)json_string_length(source), is_literal, &step.pattern));
    SD_TRY(sd_pretokenizer_add(&r->tokenizer->pretokenizer, step));

done:
    return st;
}

static sd_status read_pretokenizer(reader *r, const json_t *object)
{
    sd_status     st       = SD_OK;
    const char   *type     = type_of(object);
    const json_t *sequence = json_object_get(object, "pretokenizers");

    if (object == NULL || json_is_null(object)) return SD_OK;
    if (strcmp(type, "ByteLevel") == 0) return read_byte_level(r, object);
    if (strcmp(type, "Split") == 0) return read_split(r, object);
    if (strcmp(type, "Digits") == 0) return read_digits(r, object);
    if (strcmp(type, "Punctuation") == 0) return read_punctuation(r, object);
    SD_REQUIRE(strcmp(type, "Sequence") == 0, SD_ERR_INPUT,
               "%s: pre-tokenizer type '%s' is not supported", r->path,
               quote(r, json_object_get(object, "type")));
    SD_REQUIRE(json_is_array(sequence), SD_ERR_INPUT, "%s: 'pretokenizers' of Sequence is no list",
               r->path);
    for (size_t i = 0; i < json_array_size(sequence); i++) {
        const json_t *part = json_array_get(sequence, i);
        SD_REQUIRE(json_is_object(part), SD_ERR_INPUT, "%s: a pre-tokenizer is no object", r->path);
        SD_TRY(read_pretokenizer(r, part));
    }

done:
    return st;
}

/* ---- the file ---- */

/* A normaliser that does nothing is fine. */
static sd_status read_normalizer(reader *r, const json_t *object)
{
    sd_status     st       = SD_OK;
    const json_t *sequence = json_object_get(object, "normalizers");

    if (object == NULL || json_is_null(object)) return SD_OK;
    SD_REQUIRE(strcmp(type_of(object), "Sequence") == 0 && json_is_array(sequence), SD_ERR_INPUT,
               "%s: normalizer type '%s' is not supported", r->path,
               quote(r, json_object_get(object, "type")));
    for (size_t i = 0; i < json_array_size(sequence); i++)
        SD_TRY(read_normalizer(r, json_array_get(sequence, i)));

done:
    return st;
}

static sd_status read_root(reader *r, const json_t *root)
{
    sd_status     st      = SD_OK;
    const json_t *version = json_object_get(root, "version");

    SD_REQUIRE(json_is_object(root), SD_ERR_INPUT, "%s: holds no object", r->path);
    SD_REQUIRE(version == NULL ||
                   (json_is_string(version) && strcmp(json_string_value(version), "1.0") == 0),
               SD_ERR_INPUT, "%s: version '%s' is not supported, want 1.0", r->path,
               quote(r, version));
    SD_TRY(refuse_unless_empty(r, root, "truncation", "it would cut the text: set it to null"));
    SD_TRY(refuse_unless_empty(r, root, "padding", "it would add ids: set it to null"));
    SD_TRY(read_normalizer(r, json_object_get(root, "normalizer")));
    SD_TRY(read_model(r, json_object_get(root, "model")));
    SD_TRY(read_added_tokens(r, json_object_get(root, "added_tokens")));
    SD_TRY(read_pretokenizer(r, json_object_get(root, "pre_tokenizer")));

done:
    return st;
}

sd_status sd_tokenizer_parse(const char *json, int64_t length, sd_tokenizer *tokenizer)
{
    sd_status    st = SD_OK;
    reader       r  = {.path = tokenizer->path, .tokenizer = tokenizer};
    json_error_t error;
    json_t      *root = NULL;

    tokenizer->largest_id = -1;
    /* The parser passes over a zero byte behind a number. */
    SD_REQUIRE(length == 0 || memchr(json, '\0', (size_t)length) == NULL, SD_ERR_INPUT,
               "%s: not JSON: there is a zero byte in it", r.path);
    root = json_loadb(json, (size_t)length, JSON_REJECT_DUPLICATES, &error);
    SD_REQUIRE(root != NULL, SD_ERR_INPUT, "%s:%d: not JSON: %s", r.path, error.line,
               sd_quote(error.text, (int64_t)strlen(error.text), r.quoted, QUOTE_LEN));
    SD_TRY(read_root(&r, root));

done:
    sd_free(r.taken);
    json_decref(root);
    return st;
}
