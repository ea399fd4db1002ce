/* Texts and ids: UTF-8 is strict, windows do not overlap, nothing is padded. */
#include <string.h>

#include "io/text.h"
#include "solvers/base/memory.h"
#include "tests/support/check.h"

static int64_t valid(const char *text)
{
    return sd_utf8_valid(text, (int64_t)strlen(text));
}

static void well_formed_text_is_valid_to_its_end(void)
{
    CHECK(valid("") == 0);
    CHECK(valid("a\x7F") == 2);
    CHECK(valid("\xC2\x80\xDF\xBF") == 4);
    CHECK(valid("\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF") == 12);
    CHECK(valid("\xF0\x90\x80\x80\xF4\x8F\xBF\xBF") == 8);
    CHECK(sd_utf8_valid("a\0b", 3) == 3);
}

static void ill_formed_text_is_valid_up_to_the_fault(void)
{
    CHECK(valid("ab\x80") == 2);             /* a continuation alone       */
    CHECK(valid("ab\xC0\x80") == 2);         /* zero, overlong             */
    CHECK(valid("ab\xC1\xBF") == 2);         /* overlong                   */
    CHECK(valid("ab\xE0\x9F\xBF") == 2);     /* overlong                   */
    CHECK(valid("ab\xF0\x8F\xBF\xBF") == 2); /* overlong                   */
    CHECK(valid("ab\xED\xA0\x80") == 2);     /* a surrogate                */
    CHECK(valid("ab\xF4\x90\x80\x80") == 2); /* above U+10FFFF             */
    CHECK(valid("ab\xF5\x80\x80\x80") == 2);
    CHECK(valid("ab\xFF") == 2);
    CHECK(valid("ab\xC2") == 2); /* cut short                  */
    CHECK(valid("ab\xE2\x82") == 2);
    CHECK(valid("ab\xF0\x9F\x98") == 2);
    CHECK(valid("ab\xE2\x28\xA1") == 2); /* a continuation is missing  */
    CHECK(valid("ab\xF0\x9F\x98z") == 2);
}

static void windows_follow_each_other(void)
{
    const int32_t stream[] = {0, 1, 2, 3, 4, 5, 6};
    sd_ids       *ids      = NULL;

    sd_clear();
    CHECK(sd_ids_cut(stream, 7, 2, 3, -1, &ids) == SD_OK);
    CHECK(ids->n_sequences == 2 && ids->n_tokens == 6);
    for (int i = 0; i < 6; i++) CHECK(ids->id[i] == i);
    CHECK(ids->first[0] == 0 && ids->first[1] == 3 && ids->first[2] == 6);
    sd_ids_destroy(&ids);
    CHECK(ids == NULL);
}

static void bos_stands_inside_the_length(void)
{
    const int32_t stream[] = {0, 1, 2, 3}, want[] = {9, 0, 1, 9, 2, 3};
    sd_ids       *ids = NULL;

    sd_clear();
    CHECK(sd_ids_cut(stream, 4, 2, 3, 9, &ids) == SD_OK);
    CHECK(ids->n_tokens == 6 && memcmp(ids->id, want, sizeof want) == 0);
    sd_ids_destroy(&ids);
    CHECK(sd_ids_cut(stream, 0, 2, 1, 9, &ids) == SD_OK);
    CHECK(ids->n_tokens == 2 && ids->id[0] == 9 && ids->id[1] == 9);
    sd_ids_destroy(&ids);
}

static void a_short_stream_says_how_many_windows_it_gives(void)
{
    const int32_t stream[] = {0, 1, 2, 3, 4};
    sd_ids       *ids      = NULL;

    sd_clear();
    CHECK(sd_ids_cut(stream, 5, 3, 2, -1, &ids) == SD_ERR_INPUT);
    CHECK(strstr(sd_message(), "5 tokens give 2 sequences of 2, want 3") != NULL);
    CHECK(ids == NULL);
    sd_clear();
    CHECK(sd_ids_cut(stream, 5, 2, 3, 7, &ids) == SD_OK); /* two of each, and 7 */
    sd_ids_destroy(&ids);
    CHECK(sd_ids_cut(stream, 5, INT64_MAX, 1, 7, &ids) == SD_ERR_RESOURCE);
    sd_clear();
    CHECK(sd_ids_cut(stream, 5, 0, 2, -1, &ids) == SD_ERR_USAGE);
    sd_clear();
}

static void trimming_cuts_and_never_pads(void)
{
    int64_t       first[] = {0, 1, 4, 8};
    int32_t       id[]    = {0, 1, 2, 3, 4, 5, 6, 7};
    const sd_ids  in      = {3, 8, first, id};
    const int32_t plain[] = {0, 1, 2}, with_bos[] = {9, 0, 9, 1, 9, 4};
    sd_ids       *ids = NULL;

    sd_clear();
    CHECK(sd_ids_trim(&in, 2, 2, -1, &ids) == SD_OK);
    CHECK(ids->n_sequences == 2 && ids->n_tokens == 3);
    CHECK(memcmp(ids->id, plain, sizeof plain) == 0 && ids->first[1] == 1 && ids->first[2] == 3);
    sd_ids_destroy(&ids);
    CHECK(sd_ids_trim(&in, 5, 2, 9, &ids) == SD_OK);
    CHECK(ids->n_sequences == 3 && ids->n_tokens == 6);
    CHECK(memcmp(ids->id, with_bos, sizeof with_bos) == 0 && ids->first[3] == 6);
    sd_ids_destroy(&ids);
    CHECK(sd_ids_trim(&in, 1, 1, 9, &ids) == SD_OK);
    CHECK(ids->n_tokens == 1 && ids->id[0] == 9);
    sd_ids_destroy(&ids);
}

int main(void)
{
    well_formed_text_is_valid_to_its_end();
    ill_formed_text_is_valid_up_to_the_fault();
    windows_follow_each_other();
    bos_stands_inside_the_length();
    a_short_stream_says_how_many_windows_it_gives();
    trimming_cuts_and_never_pads();
    return REPORT();
}
