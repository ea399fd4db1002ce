/* Texts and id files that are missing, damaged or no files: each refused with its reason. */
#include <sys/stat.h>

#include "io/text.h"
#include "solvers/base/memory.h"
#include "tests/support/check.h"
#include "tests/support/scratch.h"

static void text_is_refused(const char *bytes, size_t length, const char *why)
{
    char   *text = NULL;
    int64_t n    = 0;

    sd_clear();
    CHECK(sd_text_read(scratch_file("a", bytes, length), &text, &n) == SD_ERR_INPUT);
    CHECK(text == NULL && n == 0);
    if (strstr(sd_message(), why) == NULL) fprintf(stderr, "got: %s\n", sd_message());
    CHECK(strstr(sd_message(), why) != NULL);
}

static void a_byte_that_is_not_utf8_is_named(void)
{
    text_is_refused("ab\ncd\xFF", 6, "byte 5 (0xFF, line 2) is not UTF-8");
    text_is_refused("\xED\xA0\x80", 3, "byte 0 (0xED, line 1)");
    text_is_refused("\0\xC2", 2, "byte 1 (0xC2, line 1)");
}

static void what_is_no_file_is_refused(void)
{
    char   *text = NULL;
    int64_t n    = 0;

    sd_clear();
    CHECK(sd_text_read(scratch_path("missing"), &text, &n) == SD_ERR_INPUT);
    CHECK(strstr(sd_message(), "missing: No such file") != NULL);
    sd_clear();
    CHECK(sd_text_read(scratch, &text, &n) == SD_ERR_INPUT);
    CHECK(strstr(sd_message(), "is a folder, want a file") != NULL);
    sd_clear();
    CHECK(mkfifo(scratch_path("pipe"), 0600) == 0);
    CHECK(sd_text_read(scratch_path("pipe"), &text, &n) == SD_ERR_INPUT);
    CHECK(strstr(sd_message(), "is a device or pipe") != NULL);
    sd_clear();
    FILE *file = fopen(scratch_path("sparse"), "wb");
    CHECK(file != NULL && ftruncate(fileno(file), SD_FILE_MAX + 1) == 0 && fclose(file) == 0);
    CHECK(sd_text_read(scratch_path("sparse"), &text, &n) == SD_ERR_INPUT);
    CHECK(strstr(sd_message(), "the most that can be read at once") != NULL);
}

static void an_empty_text_and_a_large_one_are_read_whole(void)
{
    enum { LARGE = 300000 };
    static char bytes[LARGE];
    char       *text = NULL;
    int64_t     n    = 1;

    sd_clear();
    CHECK(sd_text_read(scratch_file("a", "", 0), &text, &n) == SD_OK);
    CHECK(n == 0 && text != NULL && text[0] == '\0');
    sd_free(text);
    for (int i = 0; i < LARGE; i++) bytes[i] = (char)('a' + i % 23);
    CHECK(sd_text_read(scratch_file("a", bytes, LARGE), &text, &n) == SD_OK);
    CHECK(n == LARGE && memcmp(text, bytes, LARGE) == 0 && text[LARGE] == '\0');
    sd_free(text);
}

static void ids_are_read_line_by_line(void)
{
    static const char file[] = "\n 1 2\t3\r\n\r\n2147483647\n  \n0 00\v7";
    sd_ids           *ids    = NULL;

    sd_clear();
    CHECK(sd_ids_read(scratch_file("a", file, sizeof file - 1), &ids) == SD_OK);
    CHECK(ids->n_sequences == 3 && ids->n_tokens == 7);
    CHECK(ids->first[0] == 0 && ids->first[1] == 3 && ids->first[2] == 4 && ids->first[3] == 7);
    CHECK(ids->id[0] == 1 && ids->id[2] == 3 && ids->id[3] == INT32_MAX && ids->id[6] == 7);
    sd_ids_destroy(&ids);
}

static void ids_are_refused(const char *file, size_t length, const char *why)
{
    sd_ids *ids = NULL;

    sd_clear();
    CHECK(sd_ids_read(scratch_file("a", file, length), &ids) == SD_ERR_INPUT);
    CHECK(ids == NULL);
    if (strstr(sd_message(), why) == NULL) fprintf(stderr, "got: %s\n", sd_message());
    CHECK(strstr(sd_message(), why) != NULL);
}

static void what_is_no_id_is_named_with_its_place(void)
{
    ids_are_refused("", 0, "holds no ids");
    ids_are_refused("\n \r\n", 4, "holds no ids");
    ids_are_refused("1 2\n3 -4", 8, "a:2:3: not an id");
    ids_are_refused("1 2\n 3x", 7, "a:2:2: not an id");
    ids_are_refused("1,2", 3, "a:1:1: not an id");
    ids_are_refused("1 2\0 3", 6, "a:1:3: not an id");
    ids_are_refused("1\n2147483648", 12, "a:2:1: the id is too large");
    ids_are_refused("99999999999999999999999999", 26, "a:1:1: the id is too large");
}

static void every_failing_allocation_is_survived(void)
{
    static const char file[] = "1 2\n3";
    sd_ids           *ids = NULL, *trimmed = NULL, *cut = NULL;
    const char       *path = scratch_file("a", file, sizeof file - 1);
    sd_status         st   = SD_ERR_RESOURCE;
    int               k    = 0;

    while (st != SD_OK && ++k < 100) {
        sd_clear();
        sd_alloc_fail_at(k);
        st = sd_ids_read(path, &ids);
        if (st == SD_OK) st = sd_ids_trim(ids, 2, 1, -1, &trimmed);
        if (st == SD_OK) st = sd_ids_cut(ids->id, 3, 1, 2, -1, &cut);
        CHECK(st == SD_OK || st == SD_ERR_RESOURCE);
        sd_ids_destroy(&ids);
        sd_ids_destroy(&trimmed);
        sd_ids_destroy(&cut);
    }
    sd_alloc_fail_at(0);
    CHECK(k == 11); /* one for the file, three for each of the others, and the one that succeeds */
}

int main(void)
{
    scratch_open();

    a_byte_that_is_not_utf8_is_named();
    what_is_no_file_is_refused();
    an_empty_text_and_a_large_one_are_read_whole();
    ids_are_read_line_by_line();
    what_is_no_id_is_named_with_its_place();
    every_failing_allocation_is_survived();
    scratch_close();
    return REPORT();
}
