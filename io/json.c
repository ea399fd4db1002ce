#include "io/json.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "io/file.h"
#include "solvers/base/memory.h"

/* What a file may take: so many times its bytes, and what a small one needs. */
enum { MOST_TIMES = 8, SPARE = 16 << 20 };

/*
 * At least the bytes that jansson 2.14 takes of the C library for a text: from its structures, and
 * measured. Every object and every array begins with a table for 8; tables double, and for a moment
 * the old one is there too. Of the text there are at most four copies: itself, its strings, and the
 * longest of these in a buffer that doubles. Numbers are counted once too often when in doubt.
 */
static int64_t memory_of(const char *text, int64_t length)
{
    enum { OBJECT = 256, MEMBER = 144, ARRAY = 144, ELEMENT = 24, NUMBER = 32, STRING = 80 };
    int64_t bytes       = 4 * length;
    bool    after_digit = false;

    for (int64_t i = 0; i < length; i++) {
        const bool is_digit = text[i] >= '0' && text[i] <= '9';

        if (is_digit && !after_digit) bytes += NUMBER;
        after_digit = is_digit;
        switch (text[i]) {
        case '{': bytes += OBJECT; break;
        case '[': bytes += ARRAY; break;
        case ':': bytes += MEMBER; break;
        case ',': bytes += ELEMENT; break;
        case '"':
            bytes += STRING;
            for (i++; i < length && text[i] != '"'; i++) i += text[i] == '\\';
            break;
        default: break;
        }
    }
    return bytes;
}

sd_status sd_json_parse(const char *text, int64_t length, int64_t file_bytes, const char *shown,
                        json_t **out)
{
    sd_status     st     = SD_OK;
    json_error_t  error  = {0};
    const int64_t memory = memory_of(text, length);
    const int64_t most   = file_bytes < (INT64_MAX - SPARE) / MOST_TIMES /* holes cost nothing */
                               ? MOST_TIMES * file_bytes + SPARE
                               : INT64_MAX;

    *out = NULL;
    SD_REQUIRE(memory <= most, SD_ERR_INPUT,
               "%s: would take %" PRId64 " MiB of memory as JSON, want at most %" PRId64
               " for a file of its length: the file is damaged",
               shown, memory >> 20, most >> 20);
    /* The parser passes over a zero byte behind a number. */
    SD_REQUIRE(length == 0 || memchr(text, '\0', (size_t)length) == NULL, SD_ERR_INPUT,
               "%s: not valid JSON: there is a zero byte in it", shown);
    *out = json_loadb(text, (size_t)length, JSON_REJECT_DUPLICATES, &error);
    if (*out == NULL) {
        const enum json_error_code code = json_error_code(&error);

        /* Some of the parser's paths out of memory leave the error untouched. */
        SD_REQUIRE(error.text[0] != '\0' && code != json_error_out_of_memory, SD_ERR_RESOURCE,
                   "%s: no memory to parse it", shown);
        SD_REQUIRE(false, SD_ERR_INPUT, "%s: line %d, column %d: not valid JSON: %s", shown,
                   error.line, error.column, error.text);
    }
    SD_REQUIRE(json_is_object(*out), SD_ERR_INPUT, "%s: is a JSON array, want an object {...}",
               shown);

done:
    if (st != SD_OK) {
        json_decref(*out);
        *out = NULL;
    }
    return st;
}

sd_status sd_json_read(const char *path, const char *shown, int64_t most, json_t **out)
{
    sd_status st   = SD_OK;
    sd_file   file = {.fd = -1};
    char     *text = NULL;

    *out = NULL;
    SD_TRY(sd_file_open(path, shown, &file));
    SD_REQUIRE(file.bytes > 0, SD_ERR_INPUT, "%s: is empty; copy it again", shown);
    SD_REQUIRE(file.bytes <= most, SD_ERR_INPUT,
               "%s: is %" PRId64 " bytes long, want at most %" PRId64, shown, file.bytes, most);
    SD_TRY(sd_alloc(file.bytes, 1, &text));
    SD_TRY(sd_file_read_at(&file, shown, 0, file.bytes, text));
    SD_TRY(sd_json_parse(text, file.bytes, file.bytes, shown, out));

done:
    sd_free(text);
    sd_file_close(&file);
    return st;
}

/* Appends what fits, and remembers by a full buffer that something did not. */
static int append(const char *bytes, size_t count, void *context)
{
    char        *out  = context;
    const size_t used = strlen(out), room = SD_JSON_SHOWN - 1 - used;

    strncat(out, bytes, count < room ? count : room);
    return 0;
}

void sd_json_show(const json_t *value, char out[SD_JSON_SHOWN])
{
    out[0] = '\0';
    if (json_is_object(value))
        strcpy(out, "an object");
    else if (json_is_array(value))
        strcpy(out, "an array");
    else
        json_dump_callback(value, append, out, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
    if (out[0] == '\0') strcpy(out, "a value"); /* the printer had no memory */
    if (strlen(out) == SD_JSON_SHOWN - 1) strcpy(out + SD_JSON_SHOWN - 4, "...");
}
