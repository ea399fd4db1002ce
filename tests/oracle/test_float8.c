/* 8-bit floats of safetensors files equal torch's, all 256 of both formats, in pieces of any size.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "io/checkpoint.h"
#include "tests/support/check.h"
#include "tests/support/tensors.h"

enum { ALL = 256, KINDS = 2 };

static const char *const dtype[KINDS] = {"F8_E4M3", "F8_E5M2"};
static uint32_t          wanted[KINDS][ALL];

static void read_wanted(void)
{
    char  path[1024], line[256];
    FILE *file;
    int   n = 0;

    snprintf(path, sizeof path, "%s/float8.txt", getenv("SD_TEST_DATA"));
    scratch_need((file = fopen(path, "r")) != NULL, path);
    while (fgets(line, sizeof line, file) != NULL) {
        unsigned byte = 0;

        if (line[0] == '#') continue;
        scratch_need(n < ALL, "float8.txt: too many lines");
        CHECK(sscanf(line, "%x %" SCNx32 " %" SCNx32, &byte, &wanted[0][n], &wanted[1][n]) == 3);
        CHECK(byte == (unsigned)n++);
    }
    fclose(file);
    CHECK(n == ALL);
}

static float float_of(uint32_t bits)
{
    float value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

/* A file of all bytes, `repeat` times, behind another tensor, so that nothing is aligned. */
static void write_all(int kind, int repeat)
{
    static unsigned char data[1 + 64 * ALL];
    char                 header[512];

    for (int k = 0; k < repeat * ALL; k++) data[1 + k] = (unsigned char)k;
    snprintf(header, sizeof header,
             "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
             "\"b\":{\"dtype\":\"%s\",\"shape\":[%d,256],\"data_offsets\":[1,%d]}}",
             dtype[kind], repeat, 1 + repeat * ALL);
    tensors_write_raw("model.safetensors", strlen(header), header, data, 1 + repeat * ALL);
}

/* Every byte of the floats, read in pieces of `piece` bytes. */
static void all_values_are_those_of_torch(int kind, int repeat, int64_t piece)
{
    static float          got[64 * ALL];
    sd_checkpoint        *c     = NULL;
    const int64_t         bytes = (int64_t)sizeof(float) * repeat * ALL;
    const sd_tensor_info *b;

    CHECK(sd_checkpoint_open(scratch, &c) == SD_OK);
    if (c == NULL) return;
    b = sd_checkpoint_tensor(c, 1);
    CHECK(strcmp(b->format, dtype[kind]) == 0 && b->type == SD_F32);
    CHECK(b->elements == repeat * ALL && b->bytes == bytes && b->stored == repeat * ALL);
    memset(got, 0x55, sizeof got);
    for (int64_t at = 0; at < bytes; at += piece)
        CHECK(sd_checkpoint_read(c, 1, at, bytes - at < piece ? bytes - at : piece,
                                 (char *)got + at) == SD_OK);
    for (int k = 0; k < repeat * ALL; k++) {
        const float want = float_of(wanted[kind][k % ALL]);

        if (isnan(want)) /* which NaN has no agreed bits */
            CHECK(isnan(got[k]));
        else
            CHECK(memcmp(&got[k], &want, sizeof want) == 0);
    }
    sd_checkpoint_close(&c);
}

int main(void)
{
    scratch_open();
    scratch_text("config.json", "{}");
    read_wanted();
    for (int kind = 0; kind < KINDS; kind++) {
        write_all(kind, 64); /* four times what is read at once */
        for (int64_t piece = 1; piece < 9; piece++) all_values_are_those_of_torch(kind, 64, piece);
        all_values_are_those_of_torch(kind, 64, 4099);
        all_values_are_those_of_torch(kind, 64, 1 << 20);
    }
    scratch_close();
    return REPORT();
}
