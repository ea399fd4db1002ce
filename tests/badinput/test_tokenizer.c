/* Damaged and hostile tokenizer.json: each refused in one line that names the cause, nothing
 * crashes. */
#include <stdint.h>
#include <stdlib.h>

#include "io/tokenizer/tokenizer.h"
#include "solvers/base/memory.h"
#include "tests/support/check.h"
#include "tests/support/scratch.h"

/* A whole file by its parts; tests replace one of them. */
typedef struct {
    const char *top, *added, *pre, *options, *vocab, *merges;
} parts;

static const char BYTES[] =
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":true}";
static const char MASK[] = "{\"id\":4,\"content\":\"[M]\",\"single_word\":false,\"lstrip\":true,"
                           "\"rstrip\":false,\"normalized\":false,\"special\":true}";

static const parts GOOD = {.top     = "\"version\":\"1.0\",\"truncation\":null,\"normalizer\":null",
                           .added   = MASK,
                           .pre     = BYTES,
                           .options = "\"type\":\"BPE\",\"dropout\":null",
                           .vocab   = "\"a\":0,\"b\":1,\"ab\":2,\"\\u0120\":3",
                           .merges  = "\"a b\""};

static int print_file(parts p, char *out, size_t size)
{
    return snprintf(out, size,
                    "{%s,\"added_tokens\":[%s],\"pre_tokenizer\":%s,\"post_processor\":{},"
                    "\"model\":{%s,\"vocab\":{%s},\"merges\":[%s]}}",
                    p.top, p.added, p.pre, p.options, p.vocab, p.merges);
}

static sd_status read_bytes(const char *json, size_t length, sd_tokenizer **out)
{
    sd_clear();
    return sd_tokenizer_read(scratch_file("tokenizer.json", json, length), out);
}

static void bytes_are_refused(const char *json, size_t length, const char *why)
{
    sd_tokenizer *tokenizer = NULL;

    CHECK(read_bytes(json, length, &tokenizer) == SD_ERR_INPUT);
    CHECK(tokenizer == NULL);
    if (strstr(sd_message(), why) == NULL)
        fprintf(stderr, "got: %s\nwant: %s\n", sd_message(), why);
    CHECK(strstr(sd_message(), why) != NULL);
    CHECK(strstr(sd_message(), "tokenizer.json") != NULL);
    CHECK(strchr(sd_message(), '\n') == NULL);
    sd_tokenizer_destroy(&tokenizer);
}

static void refused(parts p, const char *why)
{
    char json[4096];

    bytes_are_refused(json, (size_t)print_file(p, json, sizeof json), why);
}

static void pattern_is_refused(const char *pattern, const char *why)
{
    parts p = GOOD;
    char  pre[512];

    snprintf(pre, sizeof pre,
             "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"%s\"},\"behavior\":\"Isolated\","
             "\"invert\":false}",
             pattern);
    p.pre = pre;
    refused(p, why);
}

/* The field's value replaced, the rest good. */
#define REFUSED(field, value, why)                                                                 \
    do {                                                                                           \
        parts p_ = GOOD;                                                                           \
        p_.field = (value);                                                                        \
        refused(p_, (why));                                                                        \
    } while (0)

static void the_good_file_is_read(void)
{
    static const int32_t want[]    = {2, 3, 4, 1};
    sd_tokenizer        *tokenizer = NULL;
    char                 json[4096];
    int32_t             *id    = NULL;
    int64_t              count = 0;
    const int            n     = print_file(GOOD, json, sizeof json);

    CHECK(read_bytes(json, (size_t)n, &tokenizer) == SD_OK);
    CHECK(sd_tokenizer_size(tokenizer) == 5);
    CHECK(sd_tokenizer_encode(tokenizer, "ab xz  [M]b", 11, &id, &count) == SD_OK);
    CHECK(count == 4 && memcmp(id, want, sizeof want) == 0);
    sd_free(id);
    CHECK(sd_tokenizer_encode(tokenizer, "", 0, &id, &count) == SD_OK);
    CHECK(count == 0);
    sd_free(id);
    CHECK(sd_tokenizer_encode(tokenizer, "a\xFF", 2, &id, &count) == SD_ERR_INPUT);
    CHECK(id == NULL && strstr(sd_message(), "not UTF-8 at byte 1") != NULL);
    sd_tokenizer_destroy(&tokenizer);

    sd_clear();
    CHECK(sd_tokenizer_read(scratch, &tokenizer) == SD_OK); /* by its folder */
    sd_tokenizer_destroy(&tokenizer);
    sd_clear();
    CHECK(sd_tokenizer_read(scratch_path("missing"), &tokenizer) == SD_ERR_INPUT);
    CHECK(strstr(sd_message(), "missing: No such file") != NULL);
}

static void what_is_no_tokenizer_is_refused(void)
{
    static char deep[200001];

    memset(deep, '[', 200000);
    bytes_are_refused("", 0, "not JSON");
    bytes_are_refused("{", 1, "not JSON");
    bytes_are_refused("{} x", 4, "not JSON");
    bytes_are_refused("\xFF\xFE", 2, "not JSON");
    bytes_are_refused("{\"a\":1,\"a\":2}", 13, "not JSON: duplicate object key");
    bytes_are_refused(deep, 200000, "not JSON: maximum parsing depth");
    bytes_are_refused("{\"a\":0\0}", 8, "not JSON: there is a zero byte in it");
    bytes_are_refused("[]", 2, "holds no object");
    bytes_are_refused("{}", 2, "there is no 'model'");
    bytes_are_refused("{\"model\":{}}", 12, "'merges' of the model is no list");
    bytes_are_refused("{\"model\":{\"merges\":[]}}", 23, "'vocab' of the model is no object");
}

static void what_would_change_ids_is_refused_by_name(void)
{
    REFUSED(top, "\"version\":\"2.0\"", "version '2.0'");
    REFUSED(top, "\"truncation\":{\"max_length\":8}", "'truncation' is set");
    REFUSED(top, "\"padding\":{\"strategy\":\"BatchLongest\"}", "'padding' is set");
    REFUSED(top, "\"normalizer\":{\"type\":\"Lowercase\"}", "normalizer type 'Lowercase'");
    REFUSED(top, "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFKC\"}]}",
            "normalizer type 'NFKC'");
    REFUSED(top, "\"normalizer\":{\"type\":\"a\\nb\\u0007\"}", "normalizer type 'a?b?'");
    REFUSED(options, "\"type\":\"Unigram\"", "model type 'Unigram'");
    REFUSED(options, "\"dropout\":0.1", "'dropout' is set");
    REFUSED(options, "\"byte_fallback\":true", "'byte_fallback' is true");
    REFUSED(options, "\"end_of_word_suffix\":\"</w>\"", "'end_of_word_suffix' is set");
    REFUSED(options, "\"continuing_subword_prefix\":\"##\"", "'continuing_subword_prefix' is set");
    REFUSED(options, "\"ignore_merges\":1", "'ignore_merges' of the model is something else");
    REFUSED(options, "\"unk_token\":7", "'unk_token' is no string");
    REFUSED(pre, "{\"type\":\"Metaspace\"}", "pre-tokenizer type 'Metaspace'");
    REFUSED(pre, "{}", "pre-tokenizer type '?'");
    REFUSED(pre, "7", "pre-tokenizer type '?'");
    REFUSED(pre, "{\"type\":\"Sequence\"}", "'pretokenizers' of Sequence is no list");
    REFUSED(pre, "{\"type\":\"Sequence\",\"pretokenizers\":[null]}", "is no object");
    REFUSED(pre, "{\"type\":\"ByteLevel\"}", "'add_prefix_space' of ByteLevel is missing");
    REFUSED(pre, "{\"type\":\"Digits\"}", "'individual_digits' of Digits is missing");
    REFUSED(pre, "{\"type\":\"Split\",\"behavior\":\"Isolated\",\"invert\":false}", "'pattern'");
    REFUSED(pre, "{\"type\":\"Split\",\"behavior\":\"Other\"}", "behavior 'Other' of Split");
    REFUSED(pre,
            "{\"type\":\"Split\",\"pattern\":{\"String\":\"\"},\"behavior\":\"Removed\",\"invert\":"
            "false}",
            "pattern '' is empty");
}

static void damaged_vocabularies_and_merges_are_refused(void)
{
    REFUSED(vocab, "\"a\":-1", "token 'a' has id -1");
    REFUSED(vocab, "\"a\":2147483648", "token 'a' has id 2147483648");
    REFUSED(vocab, "\"a\":16777216", "want 0 to 16777215");
    REFUSED(vocab, "\"a\":99999999999999999999999", "not JSON");
    REFUSED(vocab, "\"a\":1.0", "no integer");
    REFUSED(vocab, "\"a\":\"1\"", "no integer");
    REFUSED(vocab, "\"a\":0,\"b\":0", "token 'b' has id 0, which another token has too");
    REFUSED(merges, "\"a c\"", "merge 1 names 'c'");
    REFUSED(merges, "\"a b\",\"b a\"", "merge 2 makes 'ba'");
    REFUSED(merges, "\"a b\",[\"a\",\"b\"]", "merge 2 is written in another way");
    REFUSED(merges, "\"ab\"", "merge 1 is not a pair");
    REFUSED(merges, "\"a b a\"", "merge 1 is not a pair");
    REFUSED(merges, "[\"a\"]", "merge 1 is not a pair");
    REFUSED(merges, "[\"a\",\"b\",\"a\"]", "merge 1 is not a pair");
    REFUSED(merges, "[\"a\",1]", "merge 1 is not a pair");
    REFUSED(merges, "null", "merge 1 is not a pair");
}

static void damaged_added_tokens_are_refused(void)
{
    REFUSED(added, "7", "an added token has no 'content'");
    REFUSED(added, "{\"id\":4,\"content\":\"x\"}", "'single_word' of an added token is missing");
    REFUSED(added, "{\"content\":\"x\"}", "token 'x' has an id that is no integer");
#define FLAGS                                                                                      \
    ",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":"   \
    "false}"
    REFUSED(added, "{\"id\":9,\"content\":\"x\"" FLAGS, "added token 'x' has id 9, but 4 is");
    REFUSED(added, "{\"id\":1,\"content\":\"a\"" FLAGS, "has id 1, but 0 in 'vocab'");
    REFUSED(added, "{\"id\":4,\"content\":\"x\"" FLAGS ",{\"id\":4,\"content\":\"x\"" FLAGS,
            "has id 4, but 5 is");
    REFUSED(added, "{\"id\":0,\"content\":\"a\"" FLAGS ",{\"id\":0,\"content\":\"a\"" FLAGS,
            "added token 'a' is listed twice");
}

static void patterns_that_differ_between_engines_are_refused(void)
{
    pattern_is_refused("", "is empty");
    pattern_is_refused("(", "does not compile");
    pattern_is_refused("a{2}+", "this repetition is not supported");
    pattern_is_refused("[a", "the bracket is not closed");
    pattern_is_refused("[a&&b]", "not supported inside brackets");
    pattern_is_refused("[[:alpha:]]", "not supported inside brackets");
    pattern_is_refused("[\\\\P{L}]", "not supported inside brackets");
    pattern_is_refused("\\\\w+", "'\\w' at byte 1 of a pattern: this escape is not supported");
    pattern_is_refused("a\\\\b", "'\\b' at byte 2");
    pattern_is_refused("\\\\p{Nonsense}", "'\\p{Nonsense}' at byte 1");
    pattern_is_refused("\\\\pL", "a { must follow");
    pattern_is_refused("\\\\p{L", "this property is not supported");
    pattern_is_refused("(a)\\\\1", "'\\1'");
    pattern_is_refused("\\\\xFF", "a raw byte");
    pattern_is_refused("\\\\x{110000}", "does not compile");
    pattern_is_refused("\\\\", "ends in a backslash");
    pattern_is_refused("(?m:a)", "this group is not supported");
    pattern_is_refused("a(?i)b", "this group is not supported");
    pattern_is_refused("(?", "this group is not supported");
    pattern_is_refused("(*UTF)a", "not supported");
    pattern_is_refused("(?i:st)", "ligature");
    pattern_is_refused("(?i:\\u00e9)", "where case is ignored");
    pattern_is_refused("(?R)", "this group is not supported");
}

static void an_exponential_pattern_is_stopped(void)
{
    sd_tokenizer *tokenizer = NULL;
    parts         p         = GOOD;
    char          json[4096], text[40];
    int32_t      *id    = NULL;
    int64_t       count = 0;

    p.pre = "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(a+)+$\"},\"behavior\":\"Isolated\","
            "\"invert\":false}";
    CHECK(read_bytes(json, (size_t)print_file(p, json, sizeof json), &tokenizer) == SD_OK);
    memset(text, 'a', sizeof text);
    text[39] = 'b';
    CHECK(sd_tokenizer_encode(tokenizer, text, 40, &id, &count) == SD_ERR_INPUT);
    CHECK(id == NULL && strstr(sd_message(), "'(a+)+$' fails on this text: match limit") != NULL);
    sd_tokenizer_destroy(&tokenizer);
}

static void a_million_spaces_are_one_word(void)
{
    enum { SPACES = 1 << 20 };
    sd_tokenizer *tokenizer = NULL;
    parts         p         = GOOD;
    char          json[4096];
    char         *text  = malloc(SPACES);
    int32_t      *id    = NULL;
    int64_t       count = 0;

    p.pre = "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":"
            "\"(?i:'s)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|"
            "\\\\s+\"},\"behavior\":\"Isolated\",\"invert\":false},{\"type\":\"ByteLevel\","
            "\"add_prefix_space\":false,\"use_regex\":false}]}";
    CHECK(read_bytes(json, (size_t)print_file(p, json, sizeof json), &tokenizer) == SD_OK);
    memset(text, ' ', SPACES);
    CHECK(sd_tokenizer_encode(tokenizer, text, SPACES, &id, &count) == SD_OK);
    CHECK(count == SPACES && id != NULL && id[0] == 3 && id[SPACES - 1] == 3);
    sd_free(id);
    sd_tokenizer_destroy(&tokenizer);
    free(text);
}

static void every_failing_allocation_is_survived(void)
{
    sd_tokenizer *tokenizer = NULL;
    char          json[4096];
    int32_t      *id    = NULL;
    int64_t       count = 0;
    sd_status     st    = SD_ERR_RESOURCE;
    int           k     = 0;
    const char   *path =
        scratch_file("tokenizer.json", json, (size_t)print_file(GOOD, json, sizeof json));

    while (st != SD_OK && ++k < 1000) {
        sd_clear();
        sd_alloc_fail_at(k);
        st = sd_tokenizer_read(path, &tokenizer);
        CHECK((st == SD_OK) == (tokenizer != NULL));
        if (st == SD_OK) st = sd_tokenizer_encode(tokenizer, "ab [M]ab", 8, &id, &count);
        CHECK((st == SD_OK) == (id != NULL));
        CHECK(st == SD_OK || st == SD_ERR_RESOURCE);
        sd_tokenizer_destroy(&tokenizer);
        sd_free(id);
    }
    sd_alloc_fail_at(0);
    CHECK(st == SD_OK && k > 20);
}

static uint32_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*state >> 33);
}

/* Overwrites, doubles or drops pieces of the file: it is read or refused, and what is read encodes.
 */
static size_t mutate(char *json, size_t length, uint64_t *state)
{
    static const char alphabet[] = "{}[]\",:0179-.eE\\ pLsu|+*?(){}$^&#truefalsnl\x80\xFF\xC3";

    for (uint32_t edits = 1 + next_random(state) % 2; edits > 0 && length > 40; edits--) {
        const size_t at = next_random(state) % (length - 20), n = 1 + next_random(state) % 3;
        switch (next_random(state) % 4) {
        case 0: json[at] = alphabet[next_random(state) % (sizeof alphabet - 1)]; break;
        case 1: json[at] = (char)next_random(state); break;
        case 2:
            memmove(json + at, json + at + n, length - at - n);
            length -= n;
            break;
        default: memmove(json + at + n, json + at, length - at); length += n;
        }
    }
    return length;
}

static void mutated_files_are_read_or_refused(void)
{
    static const char text[] = "ab'S aba\xC3\xA9 [M]ab 12\n\n  b";
    uint64_t          state  = 3;
    parts             p      = GOOD;
    char              good[4096], json[8192];
    int               n_read = 0;

    p.pre = "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":"
            "\"(?i:'s)|\\\\p{L}+|[^\\\\s\\\\p{N}]{1,3}|\\\\s+(?!\\\\S)|\\\\s+\"},\"behavior\":"
            "\"MergedWithNext\",\"invert\":false},{\"type\":\"Digits\",\"individual_digits\":true},"
            "{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"use_regex\":false}]}";
    const size_t length = (size_t)print_file(p, good, sizeof good);
    for (int i = 0; i < 3000; i++) {
        sd_tokenizer *tokenizer = NULL;
        int32_t      *id        = NULL;
        int64_t       count     = 0;
        memcpy(json, good, length);
        const size_t    n  = mutate(json, length, &state);
        const sd_status st = read_bytes(json, n, &tokenizer);
        CHECK(st == SD_OK || st == SD_ERR_INPUT);
        CHECK((st == SD_OK) == (tokenizer != NULL));
        CHECK(strchr(sd_message(), '\n') == NULL);
        if (st != SD_OK) continue;
        n_read++;
        sd_clear();
        const sd_status encoded =
            sd_tokenizer_encode(tokenizer, text, sizeof text - 1, &id, &count);
        CHECK(encoded == SD_OK || encoded == SD_ERR_INPUT);
        for (int64_t k = 0; k < count; k++)
            CHECK(id[k] >= 0 && id[k] < sd_tokenizer_size(tokenizer));
        sd_free(id);
        sd_tokenizer_destroy(&tokenizer);
    }
    CHECK(n_read > 100); /* or the mutations are too coarse to get past the parser */
}

int main(void)
{
    scratch_open();

    the_good_file_is_read();
    what_is_no_tokenizer_is_refused();
    what_would_change_ids_is_refused_by_name();
    damaged_vocabularies_and_merges_are_refused();
    damaged_added_tokens_are_refused();
    patterns_that_differ_between_engines_are_refused();
    an_exponential_pattern_is_stopped();
    a_million_spaces_are_one_word();
    every_failing_allocation_is_survived();
    mutated_files_are_read_or_refused();
    scratch_close();
    return REPORT();
}
