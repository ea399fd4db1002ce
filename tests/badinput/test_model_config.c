/* Configs: typed look-ups take what fits and name what does not. */
#include <string.h>

#include "io/model_config.h"
#include "tests/support/scratch.h"
#include "tests/support/shortage.h"

static const char *const text =
    "{\"n\": 12, \"text\": \"12\", \"real\": 0.5, \"flag\": true, \"none\": null, \"big\": "
    "9223372036854775807, \"list\": [3, \"b\"], \"names\": [\"a\", \"b\"], \"in\": {\"side\": "
    "{\"x\": "
    "2}}, \"long\": \"0123456789012345678901234567890123456789012345678901234567890\", \"whole\": "
    "4.0}";

static sd_config *parsed(void)
{
    sd_config *config = NULL;

    CHECK(sd_config_parse(text, (int64_t)strlen(text), "config.json", &config) == SD_OK);
    return config;
}

static void what_fits_is_taken(void)
{
    sd_config  *config = parsed();
    int64_t     n      = 7;
    double      real   = 7;
    bool        flag   = false;
    const char *string = NULL;

    CHECK(sd_config_int(config, "n", 1, 12, &n) == SD_OK && n == 12);
    CHECK(sd_config_int(config, "big", 0, INT64_MAX, &n) == SD_OK && n == INT64_MAX);
    CHECK(sd_config_int(config, "in.side.x", 0, 9, &n) == SD_OK && n == 2);
    CHECK(sd_config_int(config, "list.0", 0, 9, &n) == SD_OK && n == 3);
    CHECK(sd_config_real(config, "n", 0, 100, &real) == SD_OK && real == 12);
    CHECK(sd_config_real(config, "real", 0, 1, &real) == SD_OK && real == 0.5);
    CHECK(sd_config_bool(config, "flag", &flag) == SD_OK && flag);
    CHECK(sd_config_string(config, "text", &string) == SD_OK && strcmp(string, "12") == 0);
    CHECK(sd_config_string_at(config, "names", 1, &string) == SD_OK && strcmp(string, "b") == 0);
    CHECK(sd_config_string_at(config, "names", 2, &string) == SD_OK && string == NULL);
    sd_config_destroy(&config);
    CHECK(config == NULL);
}

static void what_is_absent_or_null_changes_nothing(void)
{
    static const char *const absent[] = {"gone",   "none",   "n.x", "in.side.y", "in.gone.x",
                                         "list.2", "list.x", "",    ".",         "in."};
    sd_config               *config   = parsed();
    int64_t                  n        = 7;

    for (size_t k = 0; k < sizeof absent / sizeof absent[0]; k++) {
        CHECK(!sd_config_has(config, absent[k]));
        CHECK(sd_config_int(config, absent[k], 0, 1, &n) == SD_OK && n == 7);
    }
    sd_config_destroy(&config);
}

static void keys_come_in_the_order_of_the_file(void)
{
    sd_config *config = parsed();

    CHECK(sd_config_count(config) == 11);
    CHECK(strcmp(sd_config_key(config, 0), "n") == 0);
    CHECK(strcmp(sd_config_key(config, 10), "whole") == 0);
    CHECK(sd_config_key(config, 11) == NULL);
    sd_config_destroy(&config);
}

static void says(sd_status st, const char *want)
{
    CHECK(st == SD_ERR_INPUT);
    if (strcmp(sd_message(), want) != 0) {
        check_failures++;
        fprintf(stderr, "says '%s'\nwant '%s'\n", sd_message(), want);
    }
    sd_clear();
}

static void what_does_not_fit_is_named(void)
{
    sd_config  *config = parsed();
    int64_t     n      = 7;
    double      real   = 7;
    bool        flag   = false;
    const char *string = "as it was";

    says(sd_config_int(config, "text", 1, 100000, &n),
         "config.json: 'text' is \"12\", want an integer in [1, 100000]");
    says(sd_config_int(config, "n", 13, 20, &n),
         "config.json: 'n' is 12, want an integer in [13, 20]");
    says(sd_config_int(config, "n", 1, 11, &n),
         "config.json: 'n' is 12, want an integer in [1, 11]");
    says(sd_config_int(config, "whole", 1, 9, &n),
         "config.json: 'whole' is 4.0, want an integer in [1, 9]");
    says(sd_config_int(config, "list", 1, 9, &n),
         "config.json: 'list' is an array, want an integer in [1, 9]");
    says(sd_config_real(config, "flag", 0, 1, &real),
         "config.json: 'flag' is true, want a number in [0, 1]");
    says(sd_config_real(config, "real", 1, 2, &real),
         "config.json: 'real' is 0.5, want a number in [1, 2]");
    says(sd_config_bool(config, "n", &flag), "config.json: 'n' is 12, want true or false");
    says(sd_config_string(config, "in", &string), "config.json: 'in' is an object, want a string");
    says(sd_config_bool(config, "long", &flag),
         "config.json: 'long' is \"0123456789012345678901234567890123456789012..., want true or "
         "false");
    says(sd_config_string_at(config, "n", 0, &string),
         "config.json: 'n' is 12, want an array of strings");
    says(sd_config_string_at(config, "list", 0, &string),
         "config.json: entry 0 of 'list' is 3, want a string");
    says(sd_config_need(config, "none"), "config.json: has no 'none'");
    CHECK(n == 7 && real == 7 && !flag);
    sd_config_destroy(&config);
}

static void what_is_no_json_object_is_refused(void)
{
    static const struct {
        const char *text, *want;
    } bad[] = {
        {"{\"a\": 1,}",
         "config.json: line 1, column 9: not valid JSON: string or '}' expected near '}'"},
        {"{\n\"a\": NaN}",
         "config.json: line 2, column 8: not valid JSON: invalid token near 'NaN'"},
        {"{\"a\": -Infinity}",
         "config.json: line 1, column 7: not valid JSON: invalid token near '-'"},
        {"{\"a\": 1e999}",
         "config.json: line 1, column 11: not valid JSON: real number overflow near '1e999'"},
        {"{\"a\": 1, \"a\": 2}",
         "config.json: line 1, column 12: not valid JSON: duplicate object key near '\"a\"'"},
        {"[1]", "config.json: is a JSON array, want an object {...}"},
        {"{} x", "config.json: line 1, column 4: not valid JSON: end of file expected near 'x'"},
        {"", "config.json: line 1, column 0: not valid JSON: '[' or '{' expected near end of file"},
    };

    for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++) {
        sd_config *config = NULL;

        says(sd_config_parse(bad[k].text, (int64_t)strlen(bad[k].text), "config.json", &config),
             bad[k].want);
        CHECK(config == NULL);
    }
}

static void files_that_cannot_be_read_are_refused(void)
{
    sd_config *config = NULL;

    says(sd_config_read(scratch_path("config.json"), "config.json", &config),
         "config.json: cannot be opened: No such file or directory");
    scratch_text("config.json", "");
    says(sd_config_read(scratch_path("config.json"), "config.json", &config),
         "config.json: is empty; copy it again");
    says(sd_config_read(scratch_path(""), "config.json", &config),
         "config.json: is not a regular file");
    scratch_text("config.json", "");
    scratch_need(truncate(scratch_path("config.json"), (16 << 20) + 1) == 0, "truncate");
    says(sd_config_read(scratch_path("config.json"), "config.json", &config),
         "config.json: is 16777217 bytes long, want at most 16777216");
}

/* A parser deeper than its limit would leave the stack. */
static void deep_nesting_is_refused(void)
{
    enum { DEEP = 3000 };
    char      *deep   = NULL;
    sd_config *config = NULL;

    CHECK(sd_alloc(DEEP, 1, &deep) == SD_OK);
    memset(deep, '[', DEEP);
    says(
        sd_config_parse(deep, DEEP, "config.json", &config),
        "config.json: line 1, column 2049: not valid JSON: maximum parsing depth reached near '['");
    sd_free(deep);
}

static sd_status read_once(void)
{
    sd_status  st     = SD_OK;
    sd_config *config = NULL;

    SD_TRY(sd_config_read(scratch_path("config.json"), "config.json", &config));

done:
    sd_config_destroy(&config);
    return st;
}

int main(void)
{
    scratch_open();
    what_fits_is_taken();
    what_is_absent_or_null_changes_nothing();
    keys_come_in_the_order_of_the_file();
    what_does_not_fit_is_named();
    what_is_no_json_object_is_refused();
    files_that_cannot_be_read_are_refused();
    deep_nesting_is_refused();
    scratch_text("config.json", text);
    walk_shortages(read_once);
    scratch_close();
    return REPORT();
}
