/* A checkpoint is the same in one file, in shards, and by its file's name; its hash says so. */
#include <string.h>

#include "io/checkpoint.h"
#include "io/fingerprint.h"
#include "tests/support/shortage.h"
#include "tests/support/tensors.h"

#define TENSOR(dtype, shape, offsets)                                                              \
    "{\"dtype\":\"" dtype "\",\"shape\":[" shape "],\"data_offsets\":[" offsets "]}"

static const char *const index_name = "model.safetensors.index.json";

static void one_file(void)
{
    static const char *const header =
        "{\"b\":" TENSOR("F32", "2", "0,8") ",\"a\":" TENSOR("BF16", "3", "8,14") "}  ";

    tensors_write_raw("model.safetensors", strlen(header), header, "ABCDEFGHabcdef", 14);
}

static void two_shards(void)
{
    static const char *const b = "{\"b\":" TENSOR("F32", "2", "0,8") "}";
    static const char *const a =
        "{\"a\":" TENSOR("BF16", "3", "1,7") ",\"extra\":" TENSOR("U8", "1", "0,1") "}";

    tensors_write_raw("one.safetensors", strlen(b), b, "ABCDEFGH", 8);
    tensors_write_raw("two.safetensors", strlen(a), a, "!abcdef", 7);
    scratch_text(index_name, "{\"metadata\": {\"total_size\": 14}, \"weight_map\": "
                             "{\"b\": \"one.safetensors\", \"a\": \"two.safetensors\"}}");
}

static void holds_a_and_b(const sd_checkpoint *c, const char *file_a, const char *file_b)
{
    char bytes[9] = {0};

    CHECK(sd_checkpoint_count(c) == 2 && sd_checkpoint_bytes(c) == 14);
    CHECK(strcmp(sd_checkpoint_tensor(c, 0)->name, "a") == 0);
    CHECK(sd_checkpoint_find(c, "a") == 0 && sd_checkpoint_find(c, "b") == 1);
    CHECK(sd_checkpoint_find(c, "c") == -1 && sd_checkpoint_find(c, "") == -1);
    CHECK(strcmp(sd_checkpoint_file_of(c, 0), file_a) == 0);
    CHECK(strcmp(sd_checkpoint_file_of(c, 1), file_b) == 0);
    CHECK(sd_checkpoint_read(c, 0, 0, 6, bytes) == SD_OK && strcmp(bytes, "abcdef") == 0);
    memset(bytes, 0, sizeof bytes);
    CHECK(sd_checkpoint_read(c, 1, 3, 4, bytes) == SD_OK && strcmp(bytes, "DEFG") == 0);
    CHECK(sd_checkpoint_read(c, 1, 8, 0, bytes) == SD_OK);
    CHECK(sd_checkpoint_read(c, 1, 5, 4, bytes) == SD_ERR_INTERNAL);
    CHECK(sd_checkpoint_read(c, 1, -1, 1, bytes) == SD_ERR_INTERNAL);
    CHECK(sd_checkpoint_read(c, 1, INT64_MAX, 1, bytes) == SD_ERR_INTERNAL);
    CHECK(sd_checkpoint_read(c, 2, 0, 1, bytes) == SD_ERR_INTERNAL);
    sd_clear();
}

static void fingerprint_of(const char *path, char out[SD_FINGERPRINT_LEN])
{
    sd_checkpoint *c = NULL;
    char           hex[8][SD_XXH128_HEX];

    out[0] = '\0';
    CHECK(sd_checkpoint_open(path, &c) == SD_OK);
    if (c == NULL) return;
    for (int64_t i = sd_checkpoint_count(c) - 1; i >= 0; i--)
        CHECK(sd_tensor_digest(c, i, false, NULL, hex[i]) == SD_OK);
    CHECK(sd_fingerprint(c, (const char(*)[SD_XXH128_HEX])hex, out) == SD_OK);
    sd_checkpoint_close(&c);
}

static void opened(const char *path, const char *file_a, const char *file_b)
{
    sd_checkpoint *c = NULL;

    CHECK(sd_checkpoint_open(path, &c) == SD_OK);
    if (c == NULL)
        fprintf(stderr, "%s: %s\n", path, sd_message());
    else
        holds_a_and_b(c, file_a, file_b);
    sd_checkpoint_close(&c);
    CHECK(c == NULL);
}

static void one_file_and_shards_are_the_same_checkpoint(void)
{
    char single[SD_FINGERPRINT_LEN], sharded[SD_FINGERPRINT_LEN];

    two_shards();
    opened(scratch, "two.safetensors", "one.safetensors");
    fingerprint_of(scratch, sharded);

    one_file(); /* now both are there: the single file goes first */
    opened(scratch, "model.safetensors", "model.safetensors");
    opened(scratch_path("model.safetensors"), "model.safetensors", "model.safetensors");
    fingerprint_of(scratch, single);
    CHECK(strcmp(single, sharded) == 0);
    /* The one-shot XXH3-128 of the two lines that fingerprint.h describes, put together by hand. */
    CHECK(strcmp(single, "xxh3-128:265ed8a2ad6ffc7438a8d747f32a363b") == 0);
    scratch_remove("model.safetensors");
}

static void names_without_a_folder_are_in_the_current_one(void)
{
    char *here = getcwd(NULL, 0);

    one_file();
    scratch_need(chdir(scratch) == 0, "chdir");
    opened("model.safetensors", "model.safetensors", "model.safetensors");
    opened(".", "model.safetensors", "model.safetensors");
    opened("./", "model.safetensors", "model.safetensors");
    scratch_need(chdir(here) == 0, "chdir");
    free(here);
    scratch_remove("model.safetensors");
}

/* A changed value, name, dtype or shape changes the fingerprint. */
static void the_fingerprint_sees_every_change(void)
{
    static const struct {
        const char *header, *data;
    } changed[] = {
        {"{\"b\":" TENSOR("F32", "2", "0,8") ",\"a\":" TENSOR("BF16", "3", "8,14") "}",
         "ABCDEFGHabcdeF"},
        {"{\"b\":" TENSOR("F32", "2", "0,8") ",\"c\":" TENSOR("BF16", "3", "8,14") "}",
         "ABCDEFGHabcdef"},
        {"{\"b\":" TENSOR("F32", "2", "0,8") ",\"a\":" TENSOR("F16", "3", "8,14") "}",
         "ABCDEFGHabcdef"},
        {"{\"b\":" TENSOR("F32", "2", "0,8") ",\"a\":" TENSOR("BF16", "1,3", "8,14") "}",
         "ABCDEFGHabcdef"},
        {"{\"b\":" TENSOR("F32", "2", "0,8") ",\"a\":" TENSOR("BF16", "3,1", "8,14") "}",
         "ABCDEFGHabcdef"},
    };
    enum { N = sizeof changed / sizeof changed[0] };
    char all[N + 1][SD_FINGERPRINT_LEN];

    one_file();
    fingerprint_of(scratch, all[N]);
    for (int k = 0; k < N; k++) {
        tensors_write_raw("model.safetensors", strlen(changed[k].header), changed[k].header,
                          changed[k].data, 14);
        fingerprint_of(scratch, all[k]);
    }
    for (int i = 0; i <= N; i++)
        for (int j = 0; j < i; j++) CHECK(strcmp(all[i], all[j]) != 0);
    scratch_remove("model.safetensors");
}

static void refused(const char *path, const char *want)
{
    sd_checkpoint *c = NULL;

    sd_clear();
    CHECK(sd_checkpoint_open(path, &c) == SD_ERR_INPUT && c == NULL);
    if (strcmp(sd_message(), want) == 0) return;
    check_failures++;
    fprintf(stderr, "says '%s'\nwant '%s'\n", sd_message(), want);
}

static void refused_index(const char *text, const char *want)
{
    two_shards();
    scratch_text(index_name, text);
    refused(scratch, want);
}

static void a_bad_index_is_refused(void)
{
    refused_index("{}", "model.safetensors.index.json: has no 'weight_map' that names tensors");
    refused_index("{\"weight_map\": 7}",
                  "model.safetensors.index.json: has no 'weight_map' that names tensors");
    refused_index("{\"weight_map\": {\"b\": \"../one.safetensors\"}}",
                  "model.safetensors.index.json: tensor 'b' is in no plain file name");
    refused_index("{\"weight_map\": {\"b\": \"..\"}}",
                  "model.safetensors.index.json: tensor 'b' is in no plain file name");
    refused_index("{\"weight_map\": {\"b\": \"\"}}",
                  "model.safetensors.index.json: tensor 'b' is in no plain file name");
    refused_index("{\"weight_map\": {\"b\": 1}}",
                  "model.safetensors.index.json: tensor 'b' is in no plain file name");
    refused_index("{\"weight_map\": {\"a\": \"one.safetensors\", \"b\": \"one.safetensors\"}}",
                  "model.safetensors.index.json: says that tensor 'a' is in one.safetensors, which "
                  "has none of that name");
    refused_index("{\"weight_map\": {\"b\": \"one.safetensors\", \"a\": \"three.safetensors\"}}",
                  "three.safetensors: is missing, and the index names it; copy it again");
    refused_index("{", "model.safetensors.index.json: line 1, column 1: not valid JSON: string or "
                       "'}' expected near end of file");
}

static void what_is_missing_is_named(void)
{
    scratch_folder("empty");
    refused(scratch_path("empty"), "the folder has neither model.safetensors nor "
                                   "pytorch_model.bin, whole or with their index.json, nor a .gguf "
                                   "file; name the file itself if it has another name");
    refused(scratch_path("gone"), "no such file or folder");
    scratch_text("empty/notes.txt", "x");
    refused(scratch_path("empty/notes.txt"), "notes.txt: is no file of weights that is known here, "
                                             "want a folder, a .safetensors, .gguf, .bin, .pt or "
                                             ".pth file");
    tensors_write("empty/model.safetensors", "{}", 0);
    refused(scratch_path("empty"), "config.json: is missing; it belongs beside the weights");
}

/* The file is cut after it was opened: the read says so, and nothing crashes. */
static void a_file_that_shrinks_is_refused(void)
{
    sd_checkpoint *c = NULL;
    char           hex[SD_XXH128_HEX];

    struct stat info;
    char        want[256];

    one_file();
    CHECK(sd_checkpoint_open(scratch, &c) == SD_OK);
    scratch_need(stat(scratch_path("model.safetensors"), &info) == 0, "stat");
    scratch_need(truncate(scratch_path("model.safetensors"), info.st_size - 10) == 0, "truncate");
    snprintf(
        want, sizeof want,
        "model.safetensors: ends at byte %d, was %d bytes long when it was opened; leave it in "
        "place until the run is over",
        (int)info.st_size - 10, (int)info.st_size);
    sd_clear();
    CHECK(c != NULL && sd_tensor_digest(c, 1, false, NULL, hex) == SD_ERR_INPUT);
    CHECK(strcmp(sd_message(), want) == 0);
    sd_checkpoint_close(&c);
    scratch_remove("model.safetensors");
}

static sd_status stop(void *context)
{
    ++*(int *)context;
    return SD_INTERRUPTED;
}

static void hashing_can_be_stopped(void)
{
    sd_checkpoint *c     = NULL;
    int            calls = 0;
    const sd_poll  poll  = {stop, &calls};
    char           hex[SD_XXH128_HEX];

    one_file();
    CHECK(sd_checkpoint_open(scratch, &c) == SD_OK);
    CHECK(c != NULL && sd_tensor_digest(c, 0, true, &poll, hex) == SD_INTERRUPTED && calls == 1);
    sd_checkpoint_close(&c);
    scratch_remove("model.safetensors");
}

static sd_status open_once(void)
{
    sd_status      st = SD_OK;
    sd_checkpoint *c  = NULL;
    char           hex[2][SD_XXH128_HEX], out[SD_FINGERPRINT_LEN];

    SD_TRY(sd_checkpoint_open(scratch, &c));
    for (int64_t i = 0; i < 2; i++) SD_TRY(sd_tensor_digest(c, i, true, NULL, hex[i]));
    SD_TRY(sd_fingerprint(c, (const char(*)[SD_XXH128_HEX])hex, out));

done:
    sd_checkpoint_close(&c);
    return st;
}

int main(void)
{
    scratch_open();
    scratch_text("config.json", "{}");
    one_file_and_shards_are_the_same_checkpoint();
    names_without_a_folder_are_in_the_current_one();
    the_fingerprint_sees_every_change();
    a_bad_index_is_refused();
    what_is_missing_is_named();
    a_file_that_shrinks_is_refused();
    hashing_can_be_stopped();
    two_shards();
    walk_shortages(open_once);
    one_file();
    walk_shortages(open_once);
    scratch_close();
    return REPORT();
}
