/* Added tokens in a text: the longest of those that start first, words of their own, swallowed
 * space. */
#include <string.h>

#include "io/tokenizer/added_tokens.h"
#include "solvers/base/memory.h"
#include "tests/support/check.h"

static void add(sd_added_tokens *added, const char *text, sd_added_token token)
{
    CHECK(sd_added_tokens_add(added, text, (int64_t)strlen(text), token) == SD_OK);
}

/* Compares the sections, written as <id:text> for tokens and (text) for the rest. */
static void gives(const sd_added_tokens *added, const char *text, const char *want)
{
    sd_sections sections = {0};
    char        got[128] = "";

    CHECK(sd_added_tokens_cut(added, false, text, (int64_t)strlen(text), &sections) == SD_OK);
    for (int64_t i = 0; i < sections.count; i++) {
        const sd_section s    = sections.at[i];
        const size_t     used = strlen(got);
        if (s.id >= 0)
            snprintf(got + used, sizeof got - used, "<%d:%.*s>", s.id, (int)(s.stop - s.start),
                     text + s.start);
        else
            snprintf(got + used, sizeof got - used, "(%.*s)", (int)(s.stop - s.start),
                     text + s.start);
    }
    if (strcmp(got, want) != 0) fprintf(stderr, "got %s, want %s\n", got, want);
    CHECK(strcmp(got, want) == 0);
    sd_free(sections.at);
}

static void the_longest_token_at_the_first_place_is_found(void)
{
    sd_added_tokens added;

    sd_added_tokens_init(&added);
    gives(&added, "abc", "(abc)");
    add(&added, "ab", (sd_added_token){.id = 1});
    add(&added, "abcd", (sd_added_token){.id = 2});
    add(&added, "bcx", (sd_added_token){.id = 3});
    add(&added, "zz", (sd_added_token){.id = 4, .is_normalized = true}); /* not in this round */
    gives(&added, "", "");
    gives(&added, "abcd", "<2:abcd>");
    gives(&added, "abcx", "<1:ab>(cx)"); /* bcx starts later */
    gives(&added, "-bcxababc", "(-)<3:bcx><1:ab><1:ab>(c)");
    gives(&added, "a zz", "(a zz)");
    sd_added_tokens_clear(&added);
}

static void a_single_word_touches_no_word(void)
{
    sd_added_tokens added;

    sd_added_tokens_init(&added);
    add(&added, "ab", (sd_added_token){.id = 1, .single_word = true});
    gives(&added, "ab", "<1:ab>");
    gives(&added, "(ab)", "(()<1:ab>())");
    gives(&added, "xab ab1 ab_ éab ab\u0301", "(xab ab1 ab_ éab ab\u0301)");
    gives(&added, "abab ab", "(abab )<1:ab>");
    sd_added_tokens_clear(&added);
}

static void white_space_beside_a_token_is_swallowed_on_request(void)
{
    sd_added_tokens added;

    sd_added_tokens_init(&added);
    add(&added, "<l>", (sd_added_token){.id = 1, .strips_left = true});
    add(&added, "<r>", (sd_added_token){.id = 2, .strips_right = true});
    gives(&added, "a \t<l> b", "(a)<1: \t<l>>( b)");
    gives(&added, "a <r>\u3000\xC2\x85 b", "(a )<2:<r>\u3000\xC2\x85 >(b)");
    gives(&added, "<r> <l>", "<2:<r> ><1:<l>>");                 /* the space is swallowed once */
    gives(&added, "\u200B<l>\u180E", "(\u200B)<1:<l>>(\u180E)"); /* no white space */
    sd_added_tokens_clear(&added);
}

static void tokens_that_would_end_before_they_start_are_refused(void)
{
    sd_added_tokens added;
    sd_sections     sections = {0};

    sd_added_tokens_init(&added);
    add(&added, "A", (sd_added_token){.id = 1, .strips_right = true});
    add(&added, " ", (sd_added_token){.id = 2, .strips_left = true});
    sd_clear();
    CHECK(sd_added_tokens_cut(&added, false, "A  b", 4, &sections) == SD_ERR_INPUT);
    CHECK(strstr(sd_message(), "added token 2 would end before it starts") != NULL);
    sd_clear();
    sd_free(sections.at);
    sd_added_tokens_clear(&added);
}

int main(void)
{
    the_longest_token_at_the_first_place_is_found();
    a_single_word_touches_no_word();
    white_space_beside_a_token_is_swallowed_on_request();
    tokens_that_would_end_before_they_start_are_refused();
    return REPORT();
}
