/* Merges by hand, by rules and by ranks: lowest rank first, leftmost of equals, unknown characters,
 * one huge word. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "io/tokenizer/bpe.h"
#include "solvers/base/memory.h"
#include "tests/support/check.h"

/* Tokens have ids in order; a merge is written "a b" and makes their join. */
static void make_model(sd_bpe *bpe, const char *const *tokens, const char *const *merges)
{
    int32_t n = 0;

    while (merges[n] != NULL) n++;
    CHECK(sd_bpe_init(bpe, n) == SD_OK);
    for (int32_t id = 0; tokens[id] != NULL; id++)
        CHECK(sd_vocabulary_add(&bpe->vocabulary, tokens[id], (int64_t)strlen(tokens[id]), id) ==
              SD_OK);
    for (int32_t rank = 0; rank < n; rank++) {
        char        left[8] = {0}, right[8] = {0}, joined[16];
        const char *space = strchr(merges[rank], ' ');
        memcpy(left, merges[rank], (size_t)(space - merges[rank]));
        strcpy(right, space + 1);
        snprintf(joined, sizeof joined, "%s%s", left, right);
        const sd_merge merge = {
            sd_vocabulary_find(&bpe->vocabulary, left, (int64_t)strlen(left)),
            sd_vocabulary_find(&bpe->vocabulary, right, (int64_t)strlen(right)),
            sd_vocabulary_find(&bpe->vocabulary, joined, (int64_t)strlen(joined)), rank};
        CHECK(merge.left >= 0 && merge.right >= 0 && merge.id >= 0);
        sd_bpe_add_merge(bpe, merge);
    }
}

/* Encodes and compares with ids written as digits. */
static void gives(const sd_bpe *bpe, const char *word, const char *want)
{
    sd_bpe_work work    = {0};
    char        got[64] = {0};

    CHECK(sd_bpe_encode(bpe, word, (int64_t)strlen(word), &work) == SD_OK);
    for (int64_t i = 0; i < work.count && i < 60; i++) got[i] = (char)('0' + work.id[i]);
    if (strcmp(got, want) != 0) fprintf(stderr, "%s gives %s, want %s\n", word, got, want);
    CHECK(strcmp(got, want) == 0);
    sd_bpe_work_clear(&work);
}

static void the_lowest_rank_is_merged_first(void)
{
    const char *const tokens[] = {"a", "b", "c", "ab", "bc", "abc", NULL};
    const char *const merges[] = {"b c", "a b", "ab c", "a bc", NULL};
    sd_bpe            bpe;

    make_model(&bpe, tokens, merges);
    gives(&bpe, "abc", "5"); /* bc, then a bc        */
    gives(&bpe, "ab", "3");
    gives(&bpe, "abcbca", "540");
    gives(&bpe, "ccab", "223");
    gives(&bpe, "c", "2");
    sd_bpe_clear(&bpe);
}

static void of_equal_pairs_the_leftmost_is_merged(void)
{
    const char *const tokens[] = {"a", "aa", "aaaa", NULL};
    const char *const merges[] = {"a a", "aa aa", NULL};
    sd_bpe            bpe;

    make_model(&bpe, tokens, merges);
    gives(&bpe, "aaa", "10");
    gives(&bpe, "aaaaaaa", "210");
    gives(&bpe, "aaaaaaaa", "22");
    sd_bpe_clear(&bpe);
}

static void of_two_rules_for_a_pair_the_later_one_holds(void)
{
    const char *const tokens[] = {"a", "b", "c", "ab", "bc", NULL};
    const char *const merges[] = {"a b", "b c", "a b", NULL};
    sd_bpe            bpe;

    make_model(&bpe, tokens, merges);
    gives(&bpe, "abc", "04");
    sd_bpe_clear(&bpe);
}

static void unknown_characters_vanish_or_become_the_unknown_token(void)
{
    const char *const tokens[] = {"a", "b", "ab", "?", "é", NULL};
    const char *const merges[] = {"a b", NULL};
    sd_bpe            bpe;

    make_model(&bpe, tokens, merges);
    gives(&bpe, "axb", "2"); /* what vanishes does not part its neighbours */
    gives(&bpe, "xx", "");
    gives(&bpe, "éa", "40");
    bpe.unknown = 3;
    gives(&bpe, "axyb", "0331");
    gives(&bpe, "xa", "30");
    bpe.fuses_unknown = true;
    gives(&bpe, "axybz", "0313");
    bpe.unknown       = -1;
    bpe.lacks_unknown = true;
    sd_bpe_work work  = {0};
    sd_clear();
    CHECK(sd_bpe_encode(&bpe, "ax", 2, &work) == SD_ERR_INPUT);
    CHECK(strstr(sd_message(), "unknown token") != NULL);
    sd_clear();
    sd_bpe_work_clear(&work);
    sd_bpe_clear(&bpe);
}

static void a_word_that_is_a_token_may_skip_the_merges(void)
{
    const char *const tokens[] = {"a", "b", "c", "ab", "abc", NULL};
    const char *const merges[] = {"a b", NULL};
    sd_bpe            bpe;

    make_model(&bpe, tokens, merges);
    gives(&bpe, "abc", "32");
    bpe.ignores_merges = true;
    gives(&bpe, "abc", "4");
    gives(&bpe, "abca", "320");
    sd_bpe_clear(&bpe);
}

/* A model of ranks: tokens have ids in order, and scores. */
static void make_ranked(sd_bpe *bpe, const char *const *tokens, const float *scores)
{
    int32_t n = 0;

    CHECK(sd_bpe_init(bpe, 0) == SD_OK);
    for (; tokens[n] != NULL; n++)
        CHECK(sd_vocabulary_add(&bpe->vocabulary, tokens[n], (int64_t)strlen(tokens[n]), n) ==
              SD_OK);
    CHECK(sd_bpe_rank(bpe, scores, n) == SD_OK);
}

static void the_highest_score_is_merged_first(void)
{
    const char *const tokens[] = {"a", "b", "c", "ab", "bc", "abc", "aa", "aaa", NULL};
    const float       scores[] = {0, 0, 0, -3, -1, -2, -4, -4};
    sd_bpe            bpe;

    make_ranked(&bpe, tokens, scores);
    CHECK(bpe.rank[0] == 0 && bpe.rank[4] == 1 && bpe.rank[5] == 2 && bpe.rank[3] == 3 &&
          bpe.rank[6] == 4 && bpe.rank[7] == 4);
    gives(&bpe, "abc", "5"); /* bc, and abc is a token whatever its parts                */
    gives(&bpe, "abbc", "34");
    gives(&bpe, "aaa", "7"); /* of equal scores the leftmost                              */
    gives(&bpe, "aaaab", "73");
    sd_bpe_clear(&bpe);
}

static void what_is_no_token_becomes_bytes_or_is_unknown_once(void)
{
    const char *const tokens[] = {"a", "?", "xy", NULL};
    const float       scores[] = {0, 0, 0};
    sd_bpe            bpe;

    make_ranked(&bpe, tokens, scores);
    bpe.unknown = 1;
    gives(&bpe, "zzaz", "101");
    gives(&bpe, "xy", "2"); /* a token of characters that are none */
    gives(&bpe, "yx", "1");
    bpe.has_bytes  = true;
    bpe.byte['z']  = 5;
    bpe.byte[0xC3] = 6;
    bpe.byte[0xA9] = 7;
    gives(&bpe, "zzaé", "55067");
    bpe.has_bytes    = false;
    bpe.unknown      = -1;
    sd_bpe_work work = {0};
    sd_clear();
    CHECK(sd_bpe_encode(&bpe, "az", 2, &work) == SD_ERR_INPUT);
    CHECK(strstr(sd_message(), "unknown token") != NULL);
    sd_clear();
    sd_bpe_work_clear(&work);
    sd_bpe_clear(&bpe);
}

/* 2^20 letters merge in pairs, 2^19 + 2^18 + ... times. A quadratic way takes minutes; 20 s is far
 * from both, on any machine and under sanitizers. */
static void is_fast(const sd_bpe *bpe)
{
    enum { LETTERS = 1 << 20 };
    sd_bpe_work work = {0};
    char       *word = malloc(LETTERS + 1);

    memset(word, 'a', LETTERS + 1);
    const clock_t start = clock();
    CHECK(sd_bpe_encode(bpe, word, LETTERS + 1, &work) == SD_OK);
    CHECK((double)(clock() - start) / CLOCKS_PER_SEC < 20);
    CHECK(work.count == LETTERS / 8 + 1 && work.id[0] == 3 && work.id[LETTERS / 8] == 0);
    sd_bpe_work_clear(&work);
    free(word);
}

static void a_million_letters_do_not_take_quadratic_time(void)
{
    const char *const tokens[] = {"a", "aa", "aaaa", "aaaaaaaa", NULL};
    const char *const merges[] = {"a a", "aa aa", "aaaa aaaa", NULL};
    const float       scores[] = {0, -1, -2, -3};
    sd_bpe            bpe;

    make_model(&bpe, tokens, merges);
    is_fast(&bpe);
    sd_bpe_clear(&bpe);
    make_ranked(&bpe, tokens, scores);
    is_fast(&bpe);
    sd_bpe_clear(&bpe);
}

/* Pairs that a multiplication by an odd constant, without a secret, would put in one place: found
 * one by one they would take hours. */
static void rules_made_to_collide_are_found(void)
{
    enum { N = 1 << 20 };
    sd_bpe bpe;

    CHECK(sd_bpe_init(&bpe, N) == SD_OK);
    for (int32_t i = 0; i < N; i++) {
        const uint64_t hash = (uint64_t)(i + 1) << 24; /* backwards, from a hash to its pair */
        uint64_t       key  = hash ^ hash >> 29 ^ hash >> 58;

        key *= UINT64_C(0xF1DE83E19937733D); /* the inverse of 0x9E3779B97F4A7C15 */
        key ^= key >> 32;
        sd_bpe_add_merge(&bpe, (sd_merge){(int32_t)(key >> 32), (int32_t)(uint32_t)key, 7, i});
    }
    CHECK(bpe.n_slots == 2 * N);
    sd_bpe_clear(&bpe);
}

static void the_vocabulary_finds_what_was_added_and_nothing_else(void)
{
    sd_vocabulary vocabulary;
    char          token[16];

    CHECK(sd_vocabulary_init(&vocabulary) == SD_OK);
    for (int32_t id = 0; id < 5000; id++) {
        const int n = snprintf(token, sizeof token, "t%d", id * 7);
        CHECK(sd_vocabulary_add(&vocabulary, token, n, id) == SD_OK);
    }
    CHECK(sd_vocabulary_add(&vocabulary, "", 0, 5000) == SD_OK);
    for (int32_t i = 0; i < 35000; i++) {
        const int n = snprintf(token, sizeof token, "t%d", i);
        CHECK(sd_vocabulary_find(&vocabulary, token, n) == (i % 7 == 0 ? i / 7 : -1));
    }
    CHECK(sd_vocabulary_find(&vocabulary, "", 0) == 5000 && vocabulary.largest_id == 5000);
    sd_vocabulary_clear(&vocabulary);
}

int main(void)
{
    the_lowest_rank_is_merged_first();
    of_equal_pairs_the_leftmost_is_merged();
    of_two_rules_for_a_pair_the_later_one_holds();
    unknown_characters_vanish_or_become_the_unknown_token();
    a_word_that_is_a_token_may_skip_the_merges();
    a_million_letters_do_not_take_quadratic_time();
    the_highest_score_is_merged_first();
    what_is_no_token_becomes_bytes_or_is_unknown_once();
    rules_made_to_collide_are_found();
    the_vocabulary_finds_what_was_added_and_nothing_else();
    return REPORT();
}
