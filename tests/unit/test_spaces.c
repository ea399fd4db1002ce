/* Spaces as SentencePiece has them: what is written, what is dropped, where words are cut. */
#include <string.h>

#include "io/tokenizer/spaces.h"
#include "tests/support/check.h"

#define U SD_SPACE

static void escapes_to(const sd_spaces *spaces, const char *text, const char *want)
{
    sd_bytes out = {0};

    CHECK(sd_spaces_escape(spaces, text, (int64_t)strlen(text), &out) == SD_OK);
    CHECK(out.count == (int64_t)strlen(want) &&
          (out.count == 0 || memcmp(out.at, want, strlen(want)) == 0));
    sd_bytes_clear(&out);
}

static void spaces_are_written_and_nothing_else(void)
{
    const sd_spaces spaces = {.escapes = true};

    escapes_to(&spaces, "a b", "a" U "b");
    escapes_to(&spaces, "  a\t\n b ", U U "a\t\n" U "b" U);
    escapes_to(&spaces, " ", U);
    escapes_to(&spaces, U " é", U U "é");
}

static void a_space_may_stand_in_front(void)
{
    const sd_spaces spaces = {.escapes = true, .adds_prefix = true};

    escapes_to(&spaces, "a", U "a");
    escapes_to(&spaces, " a", U U "a");
}

static void extra_spaces_may_be_dropped(void)
{
    const sd_spaces spaces = {.escapes = true, .drops_extra = true};
    const sd_spaces both   = {.escapes = true, .drops_extra = true, .adds_prefix = true};

    escapes_to(&spaces, "  a   b \n  c  ", "a" U "b" U "\n" U "c");
    escapes_to(&spaces, "   ", "");
    escapes_to(&both, "  a  b", U "a" U "b");
    escapes_to(&both, "   ", "");
    escapes_to(&both, "a" U U, U "a"); /* as SentencePiece, which does not ask who wrote it */
}

static void is_cut_into(const sd_spaces *spaces, const char *text, const char *want)
{
    sd_pieces out      = {0};
    char      got[128] = {0};
    int64_t   covered  = 0;
    bool      in_order = true;

    CHECK(sd_spaces_cut(spaces, text, (int64_t)strlen(text), &out) == SD_OK);
    for (int64_t i = 0; i < out.piece.count; i++) {
        const sd_span piece = out.piece.at[i];
        if (i > 0) strcat(got, "|");
        strncat(got, text + piece.start, (size_t)(piece.stop - piece.start));
        in_order = in_order && piece.start == covered && piece.stop > piece.start;
        covered  = piece.stop;
    }
    CHECK(in_order && covered == (int64_t)strlen(text));
    if (strcmp(got, want) != 0) fprintf(stderr, "cut into %s, want %s\n", got, want);
    CHECK(strcmp(got, want) == 0);
    sd_pieces_clear(&out);
}

static void words_are_cut_where_no_token_crosses(void)
{
    sd_spaces spaces = {.escapes = true};

    is_cut_into(&spaces, U "a" U U "bc" U "d", U "a|" U "|" U "bc|" U "d");
    sd_spaces_learn(&spaces, U "bc", 5); /* a space at the front crosses nothing */
    is_cut_into(&spaces, "a" U U "b", "a|" U "|" U "b");
    sd_spaces_learn(&spaces, U U, 6);
    is_cut_into(&spaces, "a" U U "b" U "c", "a|" U U "b|" U "c");
    sd_spaces_learn(&spaces, "xé" U "y", 7);
    is_cut_into(&spaces, "é" U "b" U "é", "é" U "b|" U "é");
    is_cut_into(&spaces,
                "b\xE2\x96"
                "c",
                "b\xE2\x96"
                "c"); /* the start of a space is none */
    is_cut_into(&spaces, U, U);
}

int main(void)
{
    spaces_are_written_and_nothing_else();
    a_space_may_stand_in_front();
    extra_spaces_may_be_dropped();
    words_are_cut_where_no_token_crosses();
    return REPORT();
}
