/* The nearest known word: typing errors are found, strangers are not, ties and long words end well.
 */
#include "pipeline/nearest.h"

#include <string.h>

#include "tests/support/check.h"

static const char *const KEYS[] = {"sequences", "length", "bos", NULL};

static void nearest_is(const char *word, const char *want)
{
    const char *got = sd_nearest(word, KEYS);

    CHECK(want == NULL ? got == NULL : got != NULL && strcmp(got, want) == 0);
}

static void typing_errors_are_found(void)
{
    nearest_is("sequences", "sequences");
    nearest_is("sequnces", "sequences");   /* one left out      */
    nearest_is("seequences", "sequences"); /* one too many      */
    nearest_is("sequenxes", "sequences");  /* one wrong         */
    nearest_is("esquences", "sequences");  /* two swapped       */
    nearest_is("lenght", "length");
}

/* Half of the word's length, rounded down, is the farthest: "bxx" and "bos" are 2 > 1 apart. */
static void a_word_may_be_half_wrong_and_no_more(void)
{
    nearest_is("box", "bos");
    nearest_is("bso", "bos"); /* a swap is one error */
    nearest_is("bxx", NULL);
    nearest_is("lengxxxx", "length"); /* 2 wrong and 2 too many, of 8 */
    nearest_is("lengxxxxx", NULL);    /* 5 of 9                       */
    nearest_is("b", NULL);
    nearest_is("", NULL);
}

static void the_first_of_equals_is_taken(void)
{
    static const char *const twins[] = {"cart", "card", NULL};

    CHECK(strcmp(sd_nearest("carx", twins), "cart") == 0);
}

static void long_words_are_nobodys_errors(void)
{
    char                     word[66];
    const char *const        known[] = {word, NULL};
    static const char *const none[1] = {NULL};

    memset(word, 'a', sizeof word);
    word[64] = '\0';
    CHECK(sd_nearest(word, known) == word); /* 64 letters still count */
    memset(word, 'a', 65);
    word[65] = '\0';
    CHECK(sd_nearest(word, known) == NULL);
    CHECK(sd_nearest("aaaa", known) == NULL); /* nor is a known word that long */
    CHECK(sd_nearest("aaaa", none) == NULL);
}

static void the_hint_asks_or_lists(void)
{
    char buffer[64], small[12];

    CHECK(strcmp(sd_nearest_hint("lenght", KEYS, buffer, sizeof buffer),
                 "; did you mean 'length'?") == 0);
    CHECK(strcmp(sd_nearest_hint("what", KEYS, buffer, sizeof buffer),
                 "; known: sequences length bos") == 0);
    memset(small, 'x', sizeof small);
    sd_nearest_hint("what", KEYS, small, 10);
    CHECK(strcmp(small, "; known: ") == 0 && small[10] == 'x' && small[11] == 'x');
}

int main(void)
{
    typing_errors_are_found();
    a_word_may_be_half_wrong_and_no_more();
    the_first_of_equals_is_taken();
    long_words_are_nobodys_errors();
    the_hint_asks_or_lists();
    return REPORT();
}
