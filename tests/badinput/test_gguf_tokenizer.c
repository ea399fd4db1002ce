/* Damaged, hostile and unsupported tokenisers in GGUF files: each refused in one line that names
 * the cause, nothing crashes. */
#include <math.h>

#include "io/text.h"
#include "io/tokenizer/pretokenizer_names.h"
#include "io/tokenizer/tokenizer.h"
#include "tests/support/scratch.h"
#include "tests/support/shortage.h"

/* ---- a file that is being put together ---- */

typedef struct {
    unsigned char bytes[1 << 14];
    size_t        used;
    uint64_t      n_pairs;
} made;

static void put(made *m, uint64_t value, int size)
{
    for (int i = 0; i < size; i++) m->bytes[m->used++] = (unsigned char)(value >> (8 * i));
}

static void put_text(made *m, const char *text)
{
    put(m, strlen(text), 8);
    memcpy(m->bytes + m->used, text, strlen(text));
    m->used += strlen(text);
}

enum { U8, I8, U16, I16, U32, I32, F32, BOOL, TEXT, ARRAY };

static void put_key(made *m, const char *key, uint64_t type)
{
    char whole[64];

    snprintf(whole, sizeof whole, "tokenizer.ggml.%s", key);
    put_text(m, whole);
    put(m, type, 4);
    m->n_pairs++;
}

enum { MOST = 24 };

/* What the file says; a member that is absent is left out. */
typedef struct {
    const char *model, *pre;
    const char *tokens[MOST], *merges[MOST];
    int         types[MOST], n_types;
    float       scores[MOST];
    int         n_scores;
    const char *key; /* one more pair: a number of 32 bits, or a truth value */
    unsigned    type, value;
    bool        all_bytes; /* tokens <0x00> to <0xFF> behind the others, with types and scores */
    unsigned    types_are, scores_are; /* other types of their numbers, 0: as they should be  */
} wish;

static int count_of(const char *const *texts)
{
    int n = 0;

    while (n < MOST && texts[n] != NULL) n++;
    return n;
}

static void put_texts(made *m, const char *key, const char *const *texts, int n_bytes)
{
    char byte[16];

    put_key(m, key, ARRAY);
    put(m, TEXT, 4);
    put(m, (uint64_t)(count_of(texts) + n_bytes), 8);
    for (int i = 0; i < count_of(texts); i++) put_text(m, texts[i]);
    for (int i = 0; i < n_bytes; i++) {
        snprintf(byte, sizeof byte, "<0x%02X>", (unsigned)i);
        put_text(m, byte);
    }
}

static void put_numbers(made *m, const wish *w, int n_bytes)
{
    uint32_t bits;

    if (w->n_types > 0) {
        put_key(m, "token_type", ARRAY);
        put(m, w->types_are != 0 ? w->types_are : I32, 4);
        put(m, (uint64_t)(w->n_types + n_bytes), 8);
        for (int i = 0; i < w->n_types; i++) put(m, (uint64_t)(uint32_t)w->types[i], 4);
        for (int i = 0; i < n_bytes; i++) put(m, 6, 4);
    }
    if (w->n_scores > 0) {
        put_key(m, "scores", ARRAY);
        put(m, w->scores_are != 0 ? w->scores_are : F32, 4);
        put(m, (uint64_t)(w->n_scores + n_bytes), 8);
        for (int i = 0; i < w->n_scores; i++) {
            memcpy(&bits, &w->scores[i], 4);
            put(m, bits, 4);
        }
        for (int i = 0; i < n_bytes; i++) put(m, 0, 4);
    }
}

static void make(made *m, const wish *w)
{
    const int n_bytes = w->all_bytes ? 256 : 0;

    m->used    = 24;
    m->n_pairs = 0;
    if (w->model != NULL) put_key(m, "model", TEXT), put_text(m, w->model);
    if (w->pre != NULL) put_key(m, "pre", TEXT), put_text(m, w->pre);
    if (w->tokens[0] != NULL || w->all_bytes) put_texts(m, "tokens", w->tokens, n_bytes);
    put_numbers(m, w, n_bytes);
    if (w->merges[0] != NULL) put_texts(m, "merges", w->merges, 0);
    if (w->key != NULL) put_key(m, w->key, w->type), put(m, w->value, w->type == BOOL ? 1 : 4);
    while (m->used % 32 != 0) put(m, 0, 1);

    const size_t end = m->used;
    m->used          = 0;
    put(m, 0x46554747, 4); /* GGUF */
    put(m, 3, 4);
    put(m, 0, 8);
    put(m, m->n_pairs, 8);
    m->used = end;
}

/* ---- what is said ---- */

static made work;

static sd_status read_made(sd_tokenizer **out)
{
    sd_clear();
    return sd_tokenizer_read(scratch_file("t.gguf", work.bytes, work.used), out);
}

static void refused(const wish *w, const char *why)
{
    sd_tokenizer *tokenizer = NULL;

    make(&work, w);
    CHECK(read_made(&tokenizer) == SD_ERR_INPUT);
    CHECK(tokenizer == NULL);
    if (strstr(sd_message(), why) == NULL)
        fprintf(stderr, "  says '%s'\n  want '%s'\n", sd_message(), why);
    CHECK(strstr(sd_message(), why) != NULL && strstr(sd_message(), "t.gguf: ") != NULL);
    CHECK(strchr(sd_message(), '\n') == NULL);
    sd_tokenizer_destroy(&tokenizer);
}

/* The ids of a text, as their numbers with spaces between. */
static void gives(const wish *w, const char *text, const char *want)
{
    sd_tokenizer *tokenizer = NULL;
    int32_t      *id        = NULL;
    int64_t       count     = 0;
    char          got[256]  = {0};
    size_t        used      = 0;

    make(&work, w);
    CHECK(read_made(&tokenizer) == SD_OK);
    CHECK(tokenizer != NULL &&
          sd_tokenizer_encode(tokenizer, text, (int64_t)strlen(text), &id, &count) == SD_OK);
    for (int64_t i = 0; i < count && used < 240; i++)
        used += (size_t)snprintf(got + used, sizeof got - used, i > 0 ? " %d" : "%d", (int)id[i]);
    if (strcmp(got, want) != 0)
        fprintf(stderr, "  '%s' gives '%s', want '%s' (%s)\n", text, got, want, sd_message());
    CHECK(strcmp(got, want) == 0);
    sd_free(id);
    sd_tokenizer_destroy(&tokenizer);
}

/* ---- byte-level BPE ---- */

#define G "\xC4\xA0" /* a space as a printable character */

static const wish bytes = {
    .model   = "gpt2",
    .pre     = "smollm",
    .tokens  = {"<|end|>", "a", "b", "ab", G, G "ab", "1", "11", "[PAD8]", "  ", "", "", "c"},
    .types   = {3, 1, 1, 1, 1, 1, 1, 1, 5, 4, 1, 1, 1},
    .n_types = 13,
    .merges  = {"a b", G " ab", "1 1"},
};

static void a_good_file_of_bytes_is_read(void)
{
    wish w = bytes;

    gives(&w, "ab ab11<|end|>b", "3 5 6 6 0 2");
    gives(&w, "", "");
    gives(&w, "a  b", "1 9 2"); /* two spaces are a token that stands in the text */
    gives(&w, "[PAD8]b", "2");  /* no such characters, and no unknown token        */
    w.pre = "gpt-2";
    gives(&w, "ab 11", "3 4 7");
    w.n_types = 0; /* without types all are ordinary                  */
    gives(&w, "a<|end|>", "1");
}

/* And docs/config.md has it. */
static void every_known_name_has_steps_that_compile(void)
{
    wish    w    = bytes;
    char   *docs = NULL;
    int64_t length;
    char    path[1024], quoted[64];

    snprintf(path, sizeof path, "%s/docs/config.md", getenv("SD_SOURCE"));
    CHECK(sd_file_read(path, &docs, &length) == SD_OK);
    for (int i = 0; docs != NULL && sd_pretokenizer_name(i) != NULL; i++) {
        w.pre = sd_pretokenizer_name(i);
        gives(&w, "ab", "3");
        snprintf(quoted, sizeof quoted, "`%s`", w.pre);
        CHECK(strstr(docs, quoted) != NULL);
    }
    sd_free(docs);
}

static void files_of_bytes_are_refused(void)
{
    wish w = bytes;

    w.model = NULL;
    refused(&w, "has no 'tokenizer.ggml.model'; name a tokenizer.json with 'tokenizer'");
    w.model = "bert";
    refused(&w, "its tokeniser is of the kind 'bert', want gpt2 or llama; name a tokenizer.json");
    w     = bytes;
    w.pre = NULL;
    refused(&w, "has no 'tokenizer.ggml.pre'; name a tokenizer.json");
    w.pre = "foo\nbar";
    refused(&w, "its pre-tokeniser 'foo?bar' is not known; name a tokenizer.json");
    w           = bytes;
    w.tokens[0] = NULL;
    refused(&w, "has no 'tokenizer.ggml.tokens'");
    w           = bytes;
    w.merges[0] = NULL;
    refused(&w, "has no 'tokenizer.ggml.merges'");
    w.merges[0] = "a x";
    refused(&w, "merge 1 names 'x', which is not in the vocabulary");
    w.merges[0] = "b a";
    refused(&w, "merge 1 makes 'ba', which is not in the vocabulary");
    w.merges[0] = "ab";
    refused(&w, "merge 1 is not a pair of tokens: want \"a b\"");
    w.merges[0] = "a b c";
    refused(&w, "merge 1 is not a pair of tokens");
    w           = bytes;
    w.tokens[2] = "a";
    refused(&w, "tokens 1 and 2 are both 'a': the file is damaged");
    w.tokens[2] = "\xC3";
    refused(&w, "token 2 is no UTF-8 text: the file is damaged");
    w         = bytes;
    w.n_types = 12;
    refused(&w, "'tokenizer.ggml.token_type' has 12 elements, want one for each of 13 tokens");
    w          = bytes;
    w.types[1] = 7;
    refused(&w, "token 1 is of the unknown type 7: the file is damaged or newer");
    w.types[1] = -1;
    refused(&w, "token 1 is of the unknown type -1");
    w           = bytes;
    w.types_are = F32;
    refused(&w, "'tokenizer.ggml.token_type' is no list of numbers of 32 bits");
}

/* ---- SentencePiece ---- */

#define U "\xE2\x96\x81"

static const wish pieces = {
    .model    = "llama",
    .tokens   = {"<unk>", "<s>", U, "a", "b", U "a", "ab", "  ", "[P]"},
    .types    = {2, 3, 1, 1, 1, 1, 1, 4, 5},
    .n_types  = 9,
    .scores   = {0, 0, -4, -5, -6, -2, -1, 0, -9},
    .n_scores = 9,
};

static void a_good_file_of_pieces_is_read(void)
{
    wish w = pieces;

    gives(&w, "a", "5");
    gives(&w, "ab", "2 6");
    gives(&w, "a  xyb<s>b<unk>", "5 7 0 4 1 2 4 0"); /* a space in front of each text */
    gives(&w, "[P]", "2 0");
    w.key  = "add_space_prefix";
    w.type = BOOL;
    gives(&w, "a b", "3 2 4");
    w.all_bytes = true;
    gives(&w, "a\nb", "3 19 4");
    w.key   = "remove_extra_whitespaces";
    w.value = 1;
    gives(&w, "  a   ab ", "5 2 6");
    gives(&w, "   ", "");
    w       = pieces;
    w.key   = "unknown_token_id";
    w.type  = U32;
    w.value = 1;
    gives(&w, "x", "2 1");
}

static void files_of_pieces_are_refused(void)
{
    wish w = pieces;

    w.n_types = 0;
    refused(&w, "has no 'tokenizer.ggml.token_type'");
    w          = pieces;
    w.n_scores = 0;
    refused(&w, "has no 'tokenizer.ggml.scores'");
    w.n_scores = 8;
    refused(&w, "'tokenizer.ggml.scores' has 8 elements, want one for each of 9 tokens");
    w            = pieces;
    w.scores_are = I32;
    refused(&w, "'tokenizer.ggml.scores' is no list of numbers of 32 bits");
    w           = pieces;
    w.scores[3] = NAN;
    refused(&w, "the score of token 3 is no finite number: the file is damaged");
    w.scores[3] = -INFINITY;
    refused(&w, "the score of token 3 is no finite number");
    w          = pieces;
    w.types[3] = 6;
    refused(&w, "token 3 is said to be a byte and is 'a': want <0x00> to <0xFF>");
    w.tokens[3] = "<0x4g>";
    refused(&w, "token 3 is said to be a byte and is '<0x4g>'");
    w.tokens[3] = "<0x41>";
    refused(&w, "has tokens for 1 bytes, want all 256 or none: the file is damaged");
    w.all_bytes = true;
    refused(&w, "tokens 3 and 74 are both '<0x41>'");
    w       = pieces;
    w.key   = "unknown_token_id";
    w.type  = U32;
    w.value = 9;
    refused(&w, "'tokenizer.ggml.unknown_token_id' is no id of 9 tokens");
    w.key = "precompiled_charsmap";
    refused(&w, "'tokenizer.ggml.precompiled_charsmap' changes the text's characters");
    w.key = "add_space_prefix";
    refused(&w, "'tokenizer.ggml.add_space_prefix' is neither true nor false");
}

static void a_text_that_needs_a_missing_token_is_refused(void)
{
    wish          w         = pieces;
    sd_tokenizer *tokenizer = NULL;
    int32_t      *id        = NULL;
    int64_t       count     = 0;

    w.types[0] = 1;
    make(&work, &w);
    CHECK(read_made(&tokenizer) == SD_OK && sd_tokenizer_size(tokenizer) == 9);
    CHECK(sd_tokenizer_encode(tokenizer, "ax", 2, &id, &count) == SD_ERR_INPUT && id == NULL);
    CHECK(strstr(sd_message(), "needs the tokeniser's unknown token") != NULL);
    sd_tokenizer_destroy(&tokenizer);
}

/* ---- everything else ---- */

static sd_status read_and_encode(void)
{
    sd_status     st        = SD_OK;
    sd_tokenizer *tokenizer = NULL;
    int32_t      *id        = NULL;
    int64_t       count     = 0;

    SD_TRY(sd_tokenizer_read(scratch_path("t.gguf"), &tokenizer));
    SD_TRY(sd_tokenizer_encode(tokenizer, "ab  a<s>x1", 10, &id, &count));

done:
    sd_tokenizer_destroy(&tokenizer);
    sd_free(id);
    return st;
}

static void every_failing_allocation_is_survived(const wish *w)
{
    make(&work, w);
    scratch_write("t.gguf", work.bytes, (int64_t)work.used);
    walk_shortages(read_and_encode);
}

/* Each byte of the file in turn becomes others: it is read or refused. */
static void changed_bytes_are_read_or_refused(const wish *w)
{
    static const unsigned char changes[] = {0x00, 0x01, 0x7F, 0x80, 0xFF};

    make(&work, w);
    for (size_t at = 24; at < work.used; at++)
        for (size_t k = 0; k < sizeof changes; k++) {
            const unsigned char before = work.bytes[at];

            work.bytes[at] = changes[k];
            scratch_write("t.gguf", work.bytes, (int64_t)work.used);
            sd_clear();
            const sd_status st = read_and_encode();
            CHECK(st == SD_OK || st == SD_ERR_INPUT);
            work.bytes[at] = before;
        }
    sd_clear();
}

int main(void)
{
    scratch_open();
    a_good_file_of_bytes_is_read();
    every_known_name_has_steps_that_compile();
    files_of_bytes_are_refused();
    a_good_file_of_pieces_is_read();
    files_of_pieces_are_refused();
    a_text_that_needs_a_missing_token_is_refused();
    every_failing_allocation_is_survived(&bytes);
    every_failing_allocation_is_survived(&pieces);
    changed_bytes_are_read_or_refused(&bytes);
    changed_bytes_are_read_or_refused(&pieces);
    scratch_close();
    return REPORT();
}
