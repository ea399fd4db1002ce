/*
 * print_containers safetensors|gguf < INPUTS: what the readers say of many files, each given as its
 * length (8 bytes, little-endian) and its bytes. For each a line "refused MESSAGE", or "accepted N"
 * and N lines "NAME FORMAT SHAPE BYTES": name and bytes in hexadecimal, the shape outermost first,
 * the bytes as stored of a GGUF file and as read of another. Of a GGUF file it is the container
 * alone, whatever the model. For tests/oracle/test_mutated_files.py.
 */
#include <inttypes.h>

#include "io/gguf_file.h"
#include "solvers/base/memory.h"
#include "tests/fuzz/fuzz.h"

static void print_hex(const void *bytes, int64_t count)
{
    const unsigned char *at = bytes;

    for (int64_t i = 0; i < count; i++) printf("%02x", at[i]);
}

static void print_start(const char *name, const char *format)
{
    print_hex(name, (int64_t)strlen(name));
    printf(" %s ", format);
}

static sd_status print_safetensors(const char *path)
{
    extern const sd_format sd_format_safetensors;

    sd_status      st    = SD_OK;
    sd_tensor_file file  = {0};
    char          *bytes = NULL;

    SD_TRY(sd_format_safetensors.open(path, "f", &file));
    printf("accepted %" PRId64 "\n", file.count);
    for (int64_t i = 0; i < file.count; i++) {
        const sd_tensor_info *info = &file.tensor[i];

        SD_TRY(sd_alloc(info->bytes, 1, &bytes));
        SD_TRY(sd_format_safetensors.read(&file, i, 0, info->bytes, bytes));
        print_start(info->name, info->format);
        for (int k = 0; k < info->n_dims; k++)
            printf("%s%" PRId64, k > 0 ? "," : "", info->shape[k]);
        printf(" ");
        print_hex(bytes, info->bytes);
        printf("\n");
        sd_free(bytes);
        bytes = NULL;
    }

done:
    sd_free(bytes);
    sd_format_safetensors.close(&file);
    return st;
}

static sd_status print_gguf(const char *path)
{
    sd_status st    = SD_OK;
    sd_gguf   gguf  = {0};
    char     *bytes = NULL;

    SD_TRY(sd_gguf_open(path, "f", &gguf));
    printf("accepted %" PRId64 "\n", gguf.n_tensors);
    for (int64_t i = 0; i < gguf.n_tensors; i++) {
        const sd_gguf_tensor *t = &gguf.tensor[i];

        SD_TRY(sd_alloc(t->bytes, 1, &bytes));
        SD_TRY(sd_file_read_at(&gguf.file, "f", t->begin, t->bytes, bytes));
        print_start(t->name, t->type->name);
        for (int k = t->n_dims - 1; k >= 0; k--)
            printf("%" PRId64 "%s", t->dim[k], k > 0 ? "," : "");
        printf(" ");
        print_hex(bytes, t->bytes);
        printf("\n");
        sd_free(bytes);
        bytes = NULL;
    }

done:
    sd_free(bytes);
    sd_gguf_close(&gguf);
    return st;
}

static void print_file(const char *kind, const uint8_t *data, size_t size)
{
    const char     *path = fuzz_file(data, size);
    const sd_status st   = strcmp(kind, "gguf") == 0 ? print_gguf(path) : print_safetensors(path);

    if (st != SD_OK) printf("refused %s\n", sd_message());
    FUZZ_REQUIRE(st == SD_OK || st == SD_ERR_INPUT);
    sd_clear();
}

int main(int argc, char **argv)
{
    unsigned char first[8];

    FUZZ_REQUIRE(argc == 2);
    while (fread(first, sizeof first, 1, stdin) == 1) {
        size_t   size = 0;
        uint8_t *data;

        for (int i = 7; i >= 0; i--) size = size << 8 | first[i];
        data = malloc(size);
        FUZZ_REQUIRE(fread(data, 1, size, stdin) == size);
        print_file(argv[1], data, size);
        free(data);
    }
    return 0;
}
