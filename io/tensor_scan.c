#include "io/tensor_scan.h"

#include <math.h>
#include <string.h>

#include "io/file.h"
#include "io/fingerprint.h"
#include "solvers/base/memory.h"

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Elements that are looked at together. A fixed number lets the compiler use vector instructions.
 */
enum {
    CHUNK = 2048,
    SLICE = 64 << 10 /* bytes */
};

/* Compiled for several instruction sets; the right one is taken when the program starts. */
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define CLONED __attribute__((target_clones("default", "avx2", "avx512f")))
#else
#define CLONED
#endif

/* Whether an element of a chunk is NaN or infinite: has an exponent of ones. Such an exponent plus
 * its last bit carries into the sign's place; nothing else does. */
#define ANY_ODD(bits_type, exponent)                                                               \
    const bits_type last = (bits_type)((exponent) & (0 - (exponent)));                             \
    const bits_type sign = (bits_type)((exponent) + last);                                         \
    bits_type       sums = 0;                                                                      \
    for (int i = 0; i < CHUNK; i++) {                                                              \
        bits_type bits;                                                                            \
        memcpy(&bits, chunk + (size_t)i * sizeof bits, sizeof bits);                               \
        sums = (bits_type)(sums | (bits_type)((bits & (exponent)) + last));                        \
    }                                                                                              \
    return (sums & sign) != 0

CLONED static bool any_odd_bf16(const unsigned char *chunk)
{
    ANY_ODD(uint16_t, UINT16_C(0x7f80));
}

CLONED static bool any_odd_f16(const unsigned char *chunk)
{
    ANY_ODD(uint16_t, UINT16_C(0x7c00));
}

CLONED static bool any_odd_f32(const unsigned char *chunk)
{
    ANY_ODD(uint32_t, UINT32_C(0x7f800000));
}

CLONED static bool any_odd_f64(const unsigned char *chunk)
{
    ANY_ODD(uint64_t, UINT64_C(0x7ff0000000000000));
}

static bool any_odd(sd_dtype type, const unsigned char *chunk)
{
    switch (type) {
    case SD_F32: return any_odd_f32(chunk);
    case SD_BF16: return any_odd_bf16(chunk);
    case SD_F16: return any_odd_f16(chunk);
    case SD_F64: return any_odd_f64(chunk);
    case SD_DTYPE_COUNT: break;
    }
    return true;
}

static bool all_are(const unsigned char *from, int64_t size, int64_t n,
                    const unsigned char *elements)
{
    for (int64_t i = 0; i < n; i++)
        if (memcmp(elements + i * size, from, (size_t)size) != 0) return false;
    return true;
}

/* A tensor while it is read. */
typedef struct {
    bool            weight; /* of a type of weights: the numbers are looked at */
    sd_dtype        type;
    int64_t         size, done;   /* bytes of an element, elements seen */
    unsigned char   from[8];      /* the first element                  */
    sd_digest      *digest, *sha; /* sha NULL: not asked for */
    sd_tensor_scan *out;
} scan;

static void count_odd(scan *s, int64_t n, const unsigned char *elements)
{
    float value;

    for (int64_t i = 0; i < n; i++) {
        sd_to_float(s->type, 1, elements + i * s->size, &value);
        if (s->type == SD_F64) { /* a double beyond single precision is a number */
            double wide;
            memcpy(&wide, elements + i * s->size, sizeof wide);
            value = isnan(wide) ? NAN : isinf(wide) ? INFINITY : 0;
        }
        if (isfinite(value)) continue;
        if (s->out->first < 0) s->out->first = s->done + i;
        s->out->n_nan += isnan(value);
        s->out->n_infinite += !isnan(value);
    }
}

static void add_elements(scan *s, int64_t n, const unsigned char *elements)
{
    if (s->done == 0) memcpy(s->from, elements, (size_t)s->size);
    s->out->constant = s->out->constant && all_are(s->from, s->size, n, elements);
    while (n > 0) {
        const int64_t count = least(n, CHUNK);

        if (count < CHUNK || any_odd(s->type, elements)) count_odd(s, count, elements);
        s->done += count;
        elements += count * s->size;
        n -= count;
    }
}

/* Hashes and checks a piece, slice by slice: the second look finds the slice in the cache. */
static sd_status look_at_piece(scan *s, int64_t count, const unsigned char *piece)
{
    sd_status st = SD_OK;

    for (int64_t at = 0; at < count; at += SLICE) {
        const int64_t n = least(count - at, SLICE);

        SD_TRY(sd_digest_add(s->digest, piece + at, n));
        if (s->sha != NULL) SD_TRY(sd_digest_add(s->sha, piece + at, n));
        if (s->weight) add_elements(s, n / s->size, piece + at);
    }

done:
    return st;
}

sd_status sd_tensor_scan_read(const sd_checkpoint *checkpoint, int64_t i, bool sha256,
                              const sd_poll *poll, sd_tensor_scan *out)
{
    sd_status             st     = SD_OK;
    const sd_tensor_info *info   = sd_checkpoint_tensor(checkpoint, i);
    const bool            weight = info->type >= 0;
    unsigned char        *piece  = NULL;
    scan s = {.weight = weight, .type = weight ? (sd_dtype)info->type : SD_F32, .out = out};

    s.size = sd_dtype_size(s.type);
    *out   = (sd_tensor_scan){.first = -1, .constant = weight && info->elements > 1};
    SD_TRY(sd_digest_create(SD_DIGEST_XXH128, &s.digest));
    if (sha256) SD_TRY(sd_digest_create(SD_DIGEST_SHA256, &s.sha));
    SD_TRY(sd_alloc(least(info->bytes, SD_PIECE_BYTES), 1, &piece));
    for (int64_t offset = 0; offset < info->bytes; offset += SD_PIECE_BYTES) {
        const int64_t count = least(info->bytes - offset, SD_PIECE_BYTES);

        SD_TRY(sd_checkpoint_read(checkpoint, i, offset, count, piece));
        SD_TRY(look_at_piece(&s, count, piece));
        SD_TRY(sd_poll_now(poll));
    }
    SD_TRY(sd_digest_hex(s.digest, out->hex));
    if (sha256) SD_TRY(sd_digest_hex(s.sha, out->sha256));
    if (out->constant) sd_to_float(s.type, 1, s.from, &out->value);

done:
    sd_free(piece);
    sd_digest_destroy(&s.digest);
    sd_digest_destroy(&s.sha);
    return st;
}

sd_status sd_checkpoint_file_sha256(const sd_checkpoint *checkpoint, int64_t k,
                                    char hex[SD_SHA256_HEX])
{
    sd_status   st    = SD_OK;
    const char *shown = sd_checkpoint_file(checkpoint, k);
    char       *path = NULL, *piece = NULL;
    sd_file     file   = {.fd = -1};
    sd_digest  *digest = NULL;

    SD_TRY(sd_checkpoint_file_path(checkpoint, k, &path));
    SD_TRY(sd_file_open(path, shown, &file));
    SD_TRY(sd_digest_create(SD_DIGEST_SHA256, &digest));
    SD_TRY(sd_alloc(SD_PIECE_BYTES, 1, &piece));
    for (int64_t offset = 0; offset < file.bytes; offset += SD_PIECE_BYTES) {
        const int64_t count = least(file.bytes - offset, SD_PIECE_BYTES);

        SD_TRY(sd_file_read_at(&file, shown, offset, count, piece));
        SD_TRY(sd_digest_add(digest, piece, count));
    }
    SD_TRY(sd_digest_hex(digest, hex));

done:
    sd_digest_destroy(&digest);
    sd_file_close(&file);
    sd_free(piece);
    sd_free(path);
    return st;
}
