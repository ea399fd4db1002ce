/* io/tensor_scan.h and io/tensor_sample.h: every place of a NaN is found, in all formats; hashes,
 * constants, samples. */
#include "io/tensor_scan.h"

#include <math.h>

#include "io/fingerprint.h"
#include "io/tensor_sample.h"
#include "solvers/base/random.h"
#include "tests/support/check.h"
#include "tests/support/tensors.h"

enum { MOST = 40000 };

static unsigned char data[MOST * 8];

/* Writes model.safetensors with one vector of n elements, and opens it. */
static sd_checkpoint *make(sd_dtype type, int64_t n)
{
    sd_checkpoint *checkpoint = NULL;
    char           header[256];
    const int64_t  bytes = n * sd_dtype_size(type);

    snprintf(header, sizeof header,
             "{\"a.weight\":{\"dtype\":\"%s\",\"shape\":[%" PRId64 "],\"data_offsets\":[0,%" PRId64
             "]}}",
             sd_dtype_name(type), n, bytes);
    tensors_write_raw("model.safetensors", strlen(header), header, data, bytes);
    CHECK(sd_checkpoint_open(scratch_path("."), &checkpoint) == SD_OK);
    return checkpoint;
}

/* Random bits with exponents below those of NaN and infinity. */
static void fill(sd_dtype type, int64_t n)
{
    const sd_random table = {5, 6};
    const int64_t   size  = sd_dtype_size(type);

    for (int64_t i = 0; i < n; i++) {
        const uint64_t bits = sd_random_bits(&table, (uint64_t)i, 0);

        memcpy(data + i * size, &bits, (size_t)size);
        data[i * size + size - 1] &= 0xbf; /* the exponent's first bit */
    }
}

static void put(sd_dtype type, int64_t i, bool nan)
{
    static const unsigned char infinity[SD_DTYPE_COUNT][8] = {
        [SD_F32]  = {0, 0, 0x80, 0xff},
        [SD_BF16] = {0x80, 0xff},
        [SD_F16]  = {0, 0xfc},
        [SD_F64]  = {0, 0, 0, 0, 0, 0, 0xf0, 0xff}};
    const int64_t size = sd_dtype_size(type);

    memcpy(data + i * size, infinity[type], (size_t)size);
    data[i * size] |= nan; /* one bit of the fraction */
}

static sd_tensor_scan scanned(sd_dtype type, int64_t n)
{
    sd_checkpoint *checkpoint = make(type, n);
    sd_tensor_scan scan       = {.first = -2};
    char           hex[SD_XXH128_HEX];

    if (checkpoint == NULL) return scan;
    CHECK(sd_tensor_scan_read(checkpoint, 0, false, NULL, &scan) == SD_OK);
    CHECK(sd_tensor_digest(checkpoint, 0, false, NULL, hex) == SD_OK);
    CHECK(strcmp(hex, scan.hex) == 0 && scan.sha256[0] == '\0');
    sd_checkpoint_close(&checkpoint);
    return scan;
}

/* Around the ends of the pieces in which elements are looked at. */
static void odd_numbers_are_found_everywhere(sd_dtype type)
{
    static const int64_t place[] = {0,     1,     2047,  2048,  4097, 8191,
                                    16383, 16384, 32767, 32768, 39998};
    enum { PLACES = sizeof place / sizeof *place };

    fill(type, MOST);
    const sd_tensor_scan clean = scanned(type, MOST - 1);
    CHECK(clean.n_nan == 0 && clean.n_infinite == 0 && clean.first == -1 && !clean.constant);
    for (int k = 0; k < PLACES; k++) {
        for (int nan = 0; nan < 2; nan++) {
            fill(type, MOST);
            put(type, place[k], nan != 0);
            const sd_tensor_scan one = scanned(type, MOST - 1);
            CHECK(one.first == place[k] && one.n_nan == nan && one.n_infinite == 1 - nan);
        }
    }
    for (int k = 0; k < PLACES; k++) put(type, place[k], k % 3 == 0);
    const sd_tensor_scan all = scanned(type, MOST - 1);
    CHECK(all.first == 0 && all.n_nan == 4 && all.n_infinite == PLACES - 4);
}

static void constants_are_seen(sd_dtype type)
{
    sd_tensor_sample sample;
    const int64_t    size = sd_dtype_size(type);

    memset(data, 0, sizeof data);
    for (int64_t n = 1; n < 40; n += 19) { /* a single number is no constant */
        const sd_tensor_scan few = scanned(type, n);
        CHECK(few.constant == (n > 1));
    }
    fill(type, 1);
    for (int64_t i = 1; i < MOST; i++) memcpy(data + i * size, data, (size_t)size);
    const sd_tensor_scan all = scanned(type, MOST);
    float                value;
    sd_to_float(type, 1, data, &value);
    CHECK(all.constant && all.value == value && all.first == -1);
    sd_checkpoint *checkpoint = make(type, MOST);
    CHECK(checkpoint != NULL && sd_tensor_sample_read(checkpoint, 0, &sample) == SD_OK);
    CHECK(sample.constant && sample.n_values == SD_SAMPLE_ELEMENTS && sample.value[7] == value);
    sd_checkpoint_close(&checkpoint);
    data[(MOST - 1) * size] ^= 1;
    CHECK(!scanned(type, MOST).constant);
}

/* The same bytes give the same sample; a change of its block is seen; it stays in the tensor. */
static void samples_compare(void)
{
    sd_tensor_sample first, second;
    sd_checkpoint   *checkpoint;

    fill(SD_F32, MOST);
    for (int64_t n = 1; n <= MOST; n = n * 3 + 1) {
        checkpoint = make(SD_F32, n);
        sd_tensor_sample_prefetch(checkpoint, 0);
        CHECK(sd_tensor_sample_read(checkpoint, 0, &first) == SD_OK);
        CHECK(sd_tensor_sample_read(checkpoint, 0, &second) == SD_OK);
        CHECK(strcmp(first.hex, second.hex) == 0 && !first.constant);
        CHECK(first.n_values == (n < SD_SAMPLE_ELEMENTS ? n : SD_SAMPLE_ELEMENTS));
        sd_checkpoint_close(&checkpoint);
    }
    for (int64_t i = 0; i < MOST; i += 512) data[4 * i] ^= 1; /* each block of 1024 has some */
    checkpoint = make(SD_F32, MOST);
    CHECK(sd_tensor_sample_read(checkpoint, 0, &first) == SD_OK);
    data[4 * 511] ^= 1;
    for (int64_t i = 0; i < MOST; i += 512) data[4 * i] ^= 1;
    sd_checkpoint_close(&checkpoint);
    checkpoint = make(SD_F32, MOST);
    CHECK(sd_tensor_sample_read(checkpoint, 0, &second) == SD_OK);
    CHECK(strcmp(first.hex, second.hex) != 0);
    sd_checkpoint_close(&checkpoint);
}

int main(void)
{
    scratch_open();
    tensors_config("config.json", 1, "");
    for (int type = 0; type < SD_DTYPE_COUNT; type++) {
        odd_numbers_are_found_everywhere((sd_dtype)type);
        constants_are_seen((sd_dtype)type);
    }
    samples_compare();
    scratch_close();
    return REPORT();
}
