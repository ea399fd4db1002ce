/* Damaged safetensors files: each is refused with one line that says what, and how to mend it. */
#include <string.h>

#include "io/checkpoint.h"
#include "io/json.h"
#include "tests/support/shortage.h"
#include "tests/support/tensors.h"

static const char *const file = "model.safetensors";

static void refused(const char *what, const char *want)
{
    sd_checkpoint *c = NULL;

    sd_clear();
    CHECK(sd_checkpoint_open(scratch, &c) == SD_ERR_INPUT);
    CHECK(c == NULL);
    if (strcmp(sd_message(), want) != 0) {
        check_failures++;
        fprintf(stderr, "%s:\n  says '%s'\n  want '%s'\n", what, sd_message(), want);
    }
    sd_checkpoint_close(&c);
}

#define TENSOR(dtype, shape, offsets)                                                              \
    "{\"dtype\":\"" dtype "\",\"shape\":[" shape "],\"data_offsets\":[" offsets "]}"

/* Ten tensors at the same place: a small file that seems to hold ten times its bytes. */
#define SAME(name) "\"weight_" name "\":" TENSOR("F32", "2,2", "0,16")

/*
 * A header, the number of zero bytes behind it, and what is said of them. In brackets: the kind's
 * name in the tests of the reference reader (the Rust crate safetensors), rebuilt from what they
 * do.
 */
static const struct {
    const char *header;
    int64_t     bytes;
    const char *want;
} damaged[] = {
    /* [metadata_incomplete_buffer: missing bytes] */
    {"{\"a\":" TENSOR("F32", "2", "0,8") "}", 4,
     "model.safetensors: is truncated: tensor 'a' ends at byte 8 of 4 after the header; copy the "
     "file again"},
    /* [metadata_incomplete_buffer: a second file behind it] */
    {"{\"a\":" TENSOR("F32", "2", "0,8") "}", 9,
     "model.safetensors: has 1 bytes after its last tensor; copy it again"},
    /* [invalid_info] */
    {"{\"a\":" TENSOR("F32", "2", "0,4") "}", 4,
     "model.safetensors: tensor 'a' takes 8 bytes by its shape and 4 by its offsets: the header is "
     "damaged"},
    /* [json_attack] */
    {"{" SAME("0") "," SAME("1") "," SAME("2") "," SAME("3") "," SAME("4") "," SAME("5") "," SAME(
         "6") "," SAME("7") "," SAME("8") "," SAME("9") "}",
     16,
     "model.safetensors: tensor 'weight_1' begins at byte 0, want 16: tensors overlap; the header "
     "is damaged"},
    {"{\"a\":" TENSOR("F32", "1", "0,4") ",\"b\":" TENSOR("F32", "1", "8,12") "}", 12,
     "model.safetensors: tensor 'b' begins at byte 8, want 4: tensors leave a gap; the header is "
     "damaged"},
    {"{\"b\":" TENSOR("F32", "2", "0,8") ",\"a\":" TENSOR("F32", "1", "4,8") "}", 8,
     "model.safetensors: tensor 'a' begins at byte 4, want 8: tensors overlap; the header is "
     "damaged"},
    {"{\"a\":" TENSOR("F32", "1", "4,8") "}", 8,
     "model.safetensors: tensor 'a' begins at byte 4, want 0: tensors leave a gap; the header is "
     "damaged"},
    {"{\"a\":" TENSOR("F32", "1", "4,0") "}", 4,
     "model.safetensors: tensor 'a': 'data_offsets' are not [begin, end]"},
    {"{\"a\":" TENSOR("F32", "1", "-4,0") "}", 4,
     "model.safetensors: tensor 'a': 'data_offsets' are not [begin, end]"},
    {"{\"a\":" TENSOR("F32", "1", "0,4,8") "}", 4,
     "model.safetensors: tensor 'a': 'data_offsets' are not [begin, end]"},
    {"{\"a\":" TENSOR("F32", "1", "0.0,4.0") "}", 4,
     "model.safetensors: tensor 'a': 'data_offsets' are not [begin, end]"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4,
     "model.safetensors: tensor 'a': 'data_offsets' are not [begin, end]"},
    {"{\"a\":" TENSOR("F32", "-1", "0,4") "}", 4,
     "model.safetensors: tensor 'a': dimension 1 is no count of elements"},
    {"{\"a\":" TENSOR("F32", "1,1.5", "0,4") "}", 4,
     "model.safetensors: tensor 'a': dimension 2 is no count of elements"},
    /* [validation_overflow: shape] and the same beyond 2^63; 2^42 elements, and 2^42 squared */
    {"{\"a\":" TENSOR("I32", "2,9223372036854775807", "0,16") "}", 16,
     "model.safetensors: tensor 'a' is larger than any file: its shape is damaged"},
    {"{\"a\":" TENSOR("I32", "2,18446744073709551614", "0,16") "}", 16,
     "model.safetensors: line 1, column 51: not valid JSON: too big integer near "
     "'18446744073709551614'"},
    {"{\"a\":" TENSOR("F32", "4398046511104", "0,4") "}", 4,
     "model.safetensors: tensor 'a' takes 17592186044416 bytes by its shape and 4 by its offsets: "
     "the header is damaged"},
    {"{\"a\":" TENSOR("F32", "4398046511104", "0,17592186044416") "}", 4,
     "model.safetensors: is truncated: tensor 'a' ends at byte 17592186044416 of 4 after the "
     "header; copy the file again"},
    {"{\"a\":" TENSOR("F32", "4398046511104,4398046511104", "0,4") "}", 4,
     "model.safetensors: tensor 'a' is larger than any file: its shape is damaged"},
    {"{\"a\":" TENSOR("F32", "9223372036854775807,3,0", "0,0") "}", 0,
     "model.safetensors: tensor 'a' is larger than any file: its shape is damaged"},
    {"{\"a\":" TENSOR("F32", "1", "9223372036854775804,9223372036854775807") "}", 4,
     "model.safetensors: tensor 'a' takes 4 bytes by its shape and 3 by its offsets: the header is "
     "damaged"},
    {"{\"a\":" TENSOR("F32", "1", "9223372036854775803,9223372036854775807") "}", 4,
     "model.safetensors: is truncated: tensor 'a' ends at byte 9223372036854775807 of 4 after the "
     "header; copy the file again"},
    {"{\"a\":" TENSOR("F32", "[1]", "0,4") "}", 4,
     "model.safetensors: tensor 'a': dimension 1 is no count of elements"},
    {"{\"a\":" TENSOR("F32", "1", "[0,4]") "}", 4,
     "model.safetensors: tensor 'a': 'data_offsets' are not [begin, end]"},
    /* [fp4_misaligned] and [fp4_invalid], and six bits */
    {"{\"a\":" TENSOR("F4", "1,3", "0,2") "}", 2,
     "model.safetensors: tensor 'a' of F4 ends within a byte: its shape is damaged"},
    {"{\"a\":" TENSOR("F6_E3M2", "3", "0,3") "}", 3,
     "model.safetensors: tensor 'a' of F6_E3M2 ends within a byte: its shape is damaged"},
    {"{\"a\":" TENSOR("F4", "1,2", "0,2") "}", 2,
     "model.safetensors: tensor 'a' takes 1 bytes by its shape and 2 by its offsets: the header is "
     "damaged"},
    {"{\"a\":" TENSOR("F8_E4M3", "4", "0,16") "}", 16,
     "model.safetensors: tensor 'a' takes 4 bytes by its shape and 16 by its offsets: the header "
     "is damaged"},
    {"{\"a\":" TENSOR("F32", "4294967296,4294967296", "0,0") "}", 0,
     "model.safetensors: tensor 'a' is larger than any file: its shape is damaged"},
    {"{\"a\":" TENSOR("F32", "2305843009213693952", "0,0") "}", 0,
     "model.safetensors: tensor 'a' is larger than any file: its shape is damaged"},
    {"{\"a\":" TENSOR("F32", "1,1,1,1,1,1,1,1,1", "0,4") "}", 4,
     "model.safetensors: tensor 'a' has 9 dimensions, want at most 8"},
    {"{\"a\":" TENSOR("F31", "1", "0,4") "}", 4,
     "model.safetensors: tensor 'a' has the unknown dtype \"F31\""},
    {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
     "model.safetensors: tensor 'a' has no 'dtype'"},
    {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4,
     "model.safetensors: tensor 'a' has no 'shape'"},
    {"{\"a\":{\"dtype\":{\"F32\":null},\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
     "model.safetensors: tensor 'a' has no 'dtype'"},
    {"{\"a\":[\"F32\",[1],[0,4]]}", 4, "model.safetensors: tensor 'a' is no object"},
    {"{\"a\":7}", 0, "model.safetensors: tensor 'a' is no object"},
    {"{\"__metadata__\":7}", 0, "model.safetensors: '__metadata__' is no object"},
    {"{\"__metadata__\":{\"k\":7}}", 0, "model.safetensors: '__metadata__' holds 'k' as no string"},
    {"{\"a\":" TENSOR("F32", "1", "0,4") ",\"a\":" TENSOR("F32", "1", "0,4") "}", 4,
     "model.safetensors: line 1, column 57: not valid JSON: duplicate object key near '\"a\"'"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
     "model.safetensors: line 1, column 39: not valid JSON: duplicate object key near '\"shape\"'"},
    {"{\"a\\u0000\":" TENSOR("F32", "1", "0,4") "}", 4,
     "model.safetensors: line 1, column 10: not valid JSON: NUL byte in object key not supported "
     "near '\"a\\u0000\"'"},
    {"[]", 0, "model.safetensors: is a JSON array, want an object {...}"},
    /* [invalid_header_non_utf8] */
    {"\xff", 0, "model.safetensors: line 1, column 0: not valid JSON: unable to decode byte 0xff"},
    {"{\"a\xff\":1}", 0,
     "model.safetensors: line 1, column 3: not valid JSON: unable to decode byte 0xff near '\"a'"},
    /* [invalid_header_not_json] */
    {"{", 0,
     "model.safetensors: line 1, column 1: not valid JSON: string or '}' expected near end of "
     "file"},
    {"{\"a\":1", 0,
     "model.safetensors: line 1, column 6: not valid JSON: '}' expected near end of file"},
    {"{} x", 0,
     "model.safetensors: line 1, column 4: not valid JSON: end of file expected near 'x'"},
    {"", 0,
     "model.safetensors: line 1, column 0: not valid JSON: '[' or '{' expected near end of file"},
};

static void a_damaged_header_is_refused_with_a_reason(void)
{
    for (size_t k = 0; k < sizeof damaged / sizeof damaged[0]; k++) {
        tensors_write(file, damaged[k].header, damaged[k].bytes);
        refused(damaged[k].header, damaged[k].want);
    }
}

static void a_length_that_the_file_does_not_have_is_refused(void)
{
    tensors_write_raw(file, UINT64_C(1) << 63, "{}", NULL, 0);
    refused("2^63", "model.safetensors: its header claims 9223372036854775808 bytes, want at most "
                    "100000000: the file is damaged or no safetensors file; copy it again");
    /* [header_too_large] */
    tensors_write_raw(file, UINT64_MAX, "{}", NULL, 0);
    refused("2^64-1", "model.safetensors: its header claims 18446744073709551615 bytes, want at "
                      "most 100000000: the file is damaged or no safetensors file; copy it again");
    tensors_write_raw(file, 100000001, "{}", NULL, 0);
    refused("1e8+1",
            "model.safetensors: its header claims 100000001 bytes, want at most 100000000: "
            "the file is damaged or no safetensors file; copy it again");
    /* [invalid_header_length] */
    tensors_write_raw(file, 100000000, "{}", NULL, 0);
    refused("1e8", "model.safetensors: is truncated: its header takes 100000000 bytes and the file "
                   "has 2 after its first 8; copy it again");
    tensors_write_raw(file, 3, "{}", NULL, 0);
    refused("3", "model.safetensors: is truncated: its header takes 3 bytes and the file has 2 "
                 "after its first 8; copy it again");
}

/* The JSON parser would pass over it. */
static void a_zero_byte_in_the_header_is_refused(void)
{
    static const char bytes[] = "\x37\0\0\0\0\0\0\0{\"a\":{\"dtype\":\"U8\",\"shape\":[1\0],"
                                "\"data_offsets\":[0,1]}}\x07";

    scratch_write(file, bytes, (int64_t)sizeof bytes - 1);
    refused("zero byte", "model.safetensors: not valid JSON: there is a zero byte in it");
}

static void what_is_no_safetensors_file_is_refused(void)
{
    scratch_text(file, ""); /* [header_too_small] */
    refused("empty", "model.safetensors: is empty; copy it again");
    scratch_text(file, "1234567");
    refused("short", "model.safetensors: is 7 bytes long, too short for a safetensors file; copy "
                     "it again");
    scratch_text(file, "version https://git-lfs.github.com/spec/v1\n");
    refused("lfs", "model.safetensors: its header claims 2336927755350992246 bytes, want at most "
                   "100000000: this is a Git LFS pointer: fetch the file itself (git lfs pull)");
    scratch_text(file, "PK\x03\x04\x14\x08\x08\x08");
    refused("zip", "model.safetensors: its header claims 578721434176801616 bytes, want at most "
                   "100000000: this is a zip archive, as torch.save writes it");
    scratch_remove(file);
    scratch_folder(file);
    refused("folder", "model.safetensors: is not a regular file");
    scratch_remove(file);
}

static void what_the_format_allows_is_taken(void)
{
    sd_checkpoint *c = NULL;

    /* Padding, metadata, a scalar, no elements, an unknown key, dtypes that hold no weights.
     * [whitespace_padded_header] [whitespace_leading_padded_header] [empty_shapes_allowed]
     * [zero_sized_tensor] */
    tensors_write(
        file,
        "\t\n{\"__metadata__\":{\"format\":\"pt\"},\"z\":" TENSOR(
            "BOOL", "3",
            "8,11") ",\"a\":" TENSOR("F64", "",
                                     "0,8") ",\"m\":{\"dtype\":\"F16\",\"shape\":[0,7],"
                                            "\"data_offsets\":[8,8],\"more\":1}}\r \t\n  ",
        11);
    CHECK(sd_checkpoint_open(scratch, &c) == SD_OK);
    CHECK(c != NULL && sd_checkpoint_count(c) == 3 && sd_checkpoint_bytes(c) == 11);
    if (c != NULL) {
        const sd_tensor_info *a = sd_checkpoint_tensor(c, 0), *m = sd_checkpoint_tensor(c, 1);

        CHECK(strcmp(a->name, "a") == 0 && a->n_dims == 0 && a->elements == 1 && a->bytes == 8);
        CHECK(a->type == SD_F64 && strcmp(a->format, "F64") == 0);
        CHECK(strcmp(m->name, "m") == 0 && m->n_dims == 2 && m->elements == 0 && m->shape[1] == 7);
        CHECK(strcmp(sd_checkpoint_tensor(c, 2)->name, "z") == 0);
        CHECK(sd_checkpoint_tensor(c, 2)->type == -1);
    }
    sd_checkpoint_close(&c);
    tensors_write(file, "{}", 0);
    CHECK(sd_checkpoint_open(scratch, &c) == SD_OK && sd_checkpoint_count(c) == 0);
    sd_checkpoint_close(&c);
    tensors_write(file, "{\"__metadata__\":null}", 0);
    CHECK(sd_checkpoint_open(scratch, &c) == SD_OK && sd_checkpoint_count(c) == 0);
    sd_checkpoint_close(&c);
}

/* Every dtype of the reference reader, with the bytes of eight elements; the type is read as. */
static void every_dtype_is_known(void)
{
    static const struct {
        const char *name;
        int         bytes, type;
    } known[] = {
        {"F64", 64, SD_F64},    {"F32", 32, SD_F32},    {"F16", 16, SD_F16}, {"BF16", 16, SD_BF16},
        {"F8_E4M3", 8, SD_F32}, {"F8_E5M2", 8, SD_F32}, {"F8_E8M0", 8, -1},  {"F8_E4M3FNUZ", 8, -1},
        {"F8_E5M2FNUZ", 8, -1}, {"F6_E2M3", 6, -1},     {"F6_E3M2", 6, -1},  {"F4", 4, -1},
        {"C64", 64, -1},        {"I64", 64, -1},        {"U64", 64, -1},     {"I32", 32, -1},
        {"U32", 32, -1},        {"I16", 16, -1},        {"U16", 16, -1},     {"I8", 8, -1},
        {"U8", 8, -1},          {"BOOL", 8, -1},
    };

    for (size_t k = 0; k < sizeof known / sizeof known[0]; k++) {
        sd_checkpoint *c = NULL;
        char           header[256];

        snprintf(header, sizeof header, "{\"a\":" TENSOR("%s", "2,4", "0,%d") "}", known[k].name,
                 known[k].bytes);
        tensors_write(file, header, known[k].bytes);
        CHECK(sd_checkpoint_open(scratch, &c) == SD_OK);
        if (c == NULL) continue;
        CHECK(sd_checkpoint_tensor(c, 0)->type == known[k].type);
        CHECK(sd_checkpoint_tensor(c, 0)->stored == known[k].bytes);
        CHECK(strcmp(sd_checkpoint_tensor(c, 0)->format, known[k].name) == 0);
        sd_checkpoint_close(&c);
    }
}

/* Opens what is there and reads every byte that the header promises. */
static sd_status read_everything(void)
{
    sd_status      st     = SD_OK;
    sd_checkpoint *c      = NULL;
    char          *buffer = NULL;

    SD_TRY(sd_checkpoint_open(scratch, &c));
    for (int64_t i = 0; i < sd_checkpoint_count(c); i++) {
        const int64_t bytes = sd_checkpoint_tensor(c, i)->bytes;

        SD_TRY(sd_alloc(bytes, 1, &buffer));
        SD_TRY(sd_checkpoint_read(c, i, 0, bytes, buffer));
        sd_free(buffer);
        buffer = NULL;
    }

done:
    sd_free(buffer);
    sd_checkpoint_close(&c);
    return st;
}

/* One byte of a good file is changed, every byte of the header in turn: read, or refused. */
static void no_changed_byte_does_harm(void)
{
    static const char *const header =
        "{\"a\":" TENSOR("F32", "2,1", "0,8") ",\"b\":" TENSOR("BF16", "3", "8,14") "}";
    static const char values[] = "9}\"-e\xff";
    char              changed[256];
    int               refusals = 0;

    for (size_t at = 0; at < strlen(header); at++)
        for (size_t v = 0; v < sizeof values - 1; v++) {
            strcpy(changed, header);
            changed[at] = values[v];
            tensors_write(file, changed, 14);
            sd_clear();
            const sd_status st = read_everything();
            CHECK(st == SD_OK || (st == SD_ERR_INPUT && sd_message()[0] != '\0'));
            refusals += st != SD_OK;
        }
    CHECK(refusals > 400);
}

static void every_shortage_of_memory_is_survived(void)
{
    tensors_write(
        file, "{\"a\":" TENSOR("F32", "2", "0,8") ",\"b\":" TENSOR("BF16", "3", "8,14") "}", 14);
    walk_shortages(read_everything);
}

/* A file with a hole may say that it is as long as a number can be. */
static void a_length_of_any_size_is_no_trouble(void)
{
    static const int64_t bytes[] = {2, INT64_C(1) << 60, INT64_MAX - 1, INT64_MAX};

    for (int k = 0; k < 4; k++) {
        json_t *root = NULL;

        sd_clear();
        CHECK(sd_json_parse("{}", 2, bytes[k], "m", &root) == SD_OK);
        json_decref(root);
    }
}

int main(void)
{
    scratch_open();
    scratch_text("config.json", "{}");
    a_damaged_header_is_refused_with_a_reason();
    a_length_that_the_file_does_not_have_is_refused();
    a_zero_byte_in_the_header_is_refused();
    what_is_no_safetensors_file_is_refused();
    what_the_format_allows_is_taken();
    every_dtype_is_known();
    a_length_of_any_size_is_no_trouble();
    no_changed_byte_does_harm();
    every_shortage_of_memory_is_survived();
    scratch_close();
    return REPORT();
}
