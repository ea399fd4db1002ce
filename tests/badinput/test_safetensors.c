/* Damaged safetensors files: each is refused with one line that says what, and how to mend it. */
#include <string.h>

#include "io/checkpoint.h"
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

/* A header, the number of zero bytes behind it, and what is said of them. */
static const struct {
    const char *header;
    int64_t     bytes;
    const char *want;
} damaged[] = {
    {"{\"a\":" TENSOR("F32", "2", "0,8") "}", 4,
     "model.safetensors: is truncated: tensor 'a' ends at byte 8 of 4 after the header; copy the "
     "file again"},
    {"{\"a\":" TENSOR("F32", "2", "0,8") "}", 9,
     "model.safetensors: has 1 bytes after its last tensor; copy it again"},
    {"{\"a\":" TENSOR("F32", "2", "0,4") "}", 4,
     "model.safetensors: tensor 'a' takes 8 bytes by its shape and 4 by its offsets: the header is "
     "damaged"},
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
    {"{\"a\":7}", 0, "model.safetensors: tensor 'a' is no object"},
    {"{\"__metadata__\":7}", 0, "model.safetensors: '__metadata__' is no object"},
    {"{\"__metadata__\":{\"k\":7}}", 0, "model.safetensors: '__metadata__' holds 'k' as no string"},
    {"{\"a\":" TENSOR("F32", "1", "0,4") ",\"a\":" TENSOR("F32", "1", "0,4") "}", 4,
     "model.safetensors: line 1, column 57: not valid JSON: duplicate object key near '\"a\"'"},
    {"{\"a\xff\":1}", 0,
     "model.safetensors: line 1, column 3: not valid JSON: unable to decode byte 0xff near '\"a'"},
    {"{\"a\":1", 0,
     "model.safetensors: its header is not {...} followed by spaces: the file is damaged; copy it "
     "again"},
    {"{}\n", 0,
     "model.safetensors: its header is not {...} followed by spaces: the file is damaged; copy it "
     "again"},
    {" {}", 0,
     "model.safetensors: its header is not {...} followed by spaces: the file is damaged; copy it "
     "again"},
    {"", 0,
     "model.safetensors: its header is not {...} followed by spaces: the file is damaged; copy it "
     "again"},
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
    tensors_write_raw(file, UINT64_MAX, "{}", NULL, 0);
    refused("2^64-1", "model.safetensors: its header claims 18446744073709551615 bytes, want at "
                      "most 100000000: the file is damaged or no safetensors file; copy it again");
    tensors_write_raw(file, 100000000, "{}", NULL, 0);
    refused("1e8", "model.safetensors: is truncated: its header takes 100000000 bytes and the file "
                   "has 2 after its first 8; copy it again");
    tensors_write_raw(file, 3, "{}", NULL, 0);
    refused("3", "model.safetensors: is truncated: its header takes 3 bytes and the file has 2 "
                 "after its first 8; copy it again");
}

static void what_is_no_safetensors_file_is_refused(void)
{
    scratch_text(file, "");
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

    /* Padding, metadata, a scalar, no elements, an unknown key, dtypes that hold no weights. */
    tensors_write(
        file,
        "{\"__metadata__\":{\"format\":\"pt\"},\"z\":" TENSOR("BOOL", "3", "8,11") ",\"a\":" TENSOR(
            "F64", "", "0,8") ",\"m\":{\"dtype\":\"F16\",\"shape\":[0,7],\"data_offsets\":"
                              "[8,8],\"more\":1}}     ",
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

int main(void)
{
    scratch_open();
    scratch_text("config.json", "{}");
    a_damaged_header_is_refused_with_a_reason();
    a_length_that_the_file_does_not_have_is_refused();
    what_is_no_safetensors_file_is_refused();
    what_the_format_allows_is_taken();
    no_changed_byte_does_harm();
    every_shortage_of_memory_is_survived();
    scratch_close();
    return REPORT();
}
