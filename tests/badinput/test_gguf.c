/* Damaged and hostile GGUF files: each is refused with one line that says what, and how to mend it.
 */
#include <string.h>
#include <sys/resource.h>

#include "io/checkpoint.h"
#include "tests/support/scratch.h"
#include "tests/support/shortage.h"

static const char *const file = "m.gguf";

/* ---- a file that is being put together ---- */

typedef struct {
    unsigned char bytes[1 << 17];
    int64_t       used;
} made;

static void put(made *m, uint64_t value, int size)
{
    for (int i = 0; i < size; i++) m->bytes[m->used++] = (unsigned char)(value >> (8 * i));
}

static void put_bytes(made *m, const void *bytes, size_t count)
{
    memcpy(m->bytes + m->used, bytes, count);
    m->used += (int64_t)count;
}

static void put_text(made *m, const char *text)
{
    put(m, strlen(text), 8);
    put_bytes(m, text, strlen(text));
}

static void put_u32(made *m, const char *key, uint64_t value)
{
    put_text(m, key);
    put(m, 4, 4);
    put(m, value, 4);
}

/* What a file of these tests may have besides the least that a llama needs. */
typedef struct {
    const char *want; /* said of it */
    const char *pair; /* one more entry of the metadata, after the others, or NULL */
    size_t      pair_bytes;
    const char *name; /* one more tensor, or NULL */
    uint64_t    n_dims, dim[5], type, begin;
    int64_t     data;               /* bytes of it */
    const char *skip;               /* a key to leave out */
    uint64_t    n_tensors, n_pairs; /* what the header claims more */
    const char *architecture;       /* NULL: llama */
    uint64_t    version;            /* 0: 3 */
    int64_t     alignment;          /* of the data, 0: 32 */
} wish;

enum { N_NUMBERS = 4, EMBEDDING = 4 * 2 * 4 };

static const struct {
    const char *key;
    unsigned    value;
} number[N_NUMBERS] = {{"llama.block_count", 1},
                       {"llama.embedding_length", 4},
                       {"llama.feed_forward_length", 4},
                       {"llama.attention.head_count", 2}};

static bool kept(const wish *w, const char *key)
{
    return w->skip == NULL || strcmp(w->skip, key) != 0;
}

static void put_metadata(made *m, const wish *w)
{
    static const char *const epsilon = "llama.attention.layer_norm_rms_epsilon";

    if (kept(w, "general.architecture")) {
        put_text(m, "general.architecture");
        put(m, 8, 4);
        put_text(m, w->architecture != NULL ? w->architecture : "llama");
    }
    for (int k = 0; k < N_NUMBERS; k++)
        if (kept(w, number[k].key)) put_u32(m, number[k].key, number[k].value);
    if (kept(w, epsilon)) {
        put_text(m, epsilon);
        put(m, 6, 4);
        put(m, 0x3727c5ac, 4); /* 1e-5 */
    }
    if (w->pair != NULL) put_bytes(m, w->pair, w->pair_bytes);
}

static void put_tensor(made *m, const wish *w)
{
    put_text(m, w->name);
    put(m, w->n_dims, 4);
    for (uint64_t k = 0; k < w->n_dims && k < 5; k++) put(m, w->dim[k], 8);
    put(m, w->type, 4);
    put(m, w->begin, 8);
}

static void make(made *m, const wish *w)
{
    const wish     embedding = {.name = "token_embd.weight", .n_dims = 2, .dim = {4, 2}};
    const uint64_t pairs = N_NUMBERS + (w->pair != NULL ? 2u : 1u) + (w->skip == NULL ? 1u : 0u);

    m->used = 0;
    put_bytes(m, "GGUF", 4);
    put(m, w->version != 0 ? w->version : 3, 4);
    put(m, (w->name != NULL ? 2u : 1u) + w->n_tensors, 8);
    put(m, pairs + w->n_pairs, 8);
    put_metadata(m, w);
    put_tensor(m, &embedding);
    if (w->name != NULL) put_tensor(m, w);
    while (m->used % (w->alignment != 0 ? w->alignment : 32) != 0) put(m, 0, 1);
    for (int64_t k = 0; k < EMBEDDING + w->data; k++) put(m, 0, 1);
}

/* ---- what is said ---- */

static void refused(const char *want)
{
    sd_checkpoint *c = NULL;

    sd_clear();
    CHECK(sd_checkpoint_open(scratch_path(file), &c) == SD_ERR_INPUT);
    CHECK(c == NULL);
    if (strcmp(sd_message(), want) != 0) {
        check_failures++;
        fprintf(stderr, "  says '%s'\n  want '%s'\n", sd_message(), want);
    }
    sd_checkpoint_close(&c);
}

static sd_status open_and_close(void)
{
    sd_checkpoint  *c  = NULL;
    const sd_status st = sd_checkpoint_open(scratch_path(file), &c);

    sd_checkpoint_close(&c);
    return st;
}

static made work;

#define PAIR(text) .pair = (text), .pair_bytes = sizeof(text) - 1
#define K "\1\0\0\0\0\0\0\0k" /* the key k */
#define HUGE_COUNT "\0\0\0\x40\0\0\0\0"

/* In brackets: the kind's name in the tests of the reference (llama.cpp's test-gguf), rebuilt from
 * what it does to a file. */
static const wish damaged[] = {
    /* [header bad version 1, future, 0] */
    {.version = UINT64_C(1) << 32, .want = "m.gguf: is of GGUF version 0, want 2 or 3"},
    {.version = 1, .want = "m.gguf: is of GGUF version 1, want 2 or 3"},
    {.version = 4, .want = "m.gguf: is of GGUF version 4, want 2 or 3"},
    {.version = 3u << 24,
     .want    = "m.gguf: is of GGUF version 50331648, want 2 or 3: it was written for a big-endian "
                "machine; convert it anew"},
    /* [header bad n_kv, n_tensors] */
    {.n_pairs = UINT64_MAX - 6,
     .want = "m.gguf: claims 18446744073709551615 entries of metadata, for which the file is too "
             "short: it is truncated or damaged; copy it again"},
    {.n_pairs = UINT64_C(1) << 62,
     .want    = "m.gguf: claims 4611686018427387910 entries of metadata, for which the file is too "
                "short: it is truncated or damaged; copy it again"},
    {.n_tensors = UINT64_MAX - 1,
     .want = "m.gguf: claims 18446744073709551615 tensors, for which the file is too short: it is "
             "truncated or damaged; copy it again"},
    {.n_tensors = 1,
     .want = "m.gguf: is truncated: tensor 'token_embd.weight' takes 32 bytes from byte 0 of 0 "
             "after the header; copy the file again"},
    {.n_pairs = 1,
     .want = "m.gguf: is truncated or damaged: at byte 316 a tensor's name takes 562949953421312 "
             "bytes and the file has 68 left; copy it again"},
    /* [kv bad key size, empty key, bad type, duplicate key, bad align, wrong type align] */
    {PAIR("\0\0\0\0\0\0\0\0\4\0\0\0\1\0\0\0"),
     .want = "m.gguf: at byte 277 a key is empty: the file is damaged"},
    {PAIR("\x11\0\0\0\0\0\0\0general.alignment\4\0\0\0\x0d\0\0\0"),
     .want = "m.gguf: 'general.alignment' is no power of two of 32 bits: the file is damaged"},
    {PAIR("\xff\xff\xff\xff\xff\xff\xff\xff"),
     .want = "m.gguf: is truncated or damaged: at byte 285 a key takes 18446744073709551615 bytes "
             "and the file has 99 left; copy it again"},
    {PAIR("\0\0\0\0\0\0\0\x80"),
     .want = "m.gguf: is truncated or damaged: at byte 285 a key takes 9223372036854775808 bytes "
             "and the file has 99 left; copy it again"},
    {PAIR("\2\0\0\0\0\0\0\0\xff\xfe\4\0\0\0\0\0\0\0"),
     .want = "m.gguf: at byte 277 a key is no UTF-8 text: the file is damaged"},
    {PAIR("\2\0\0\0\0\0\0\0k\0\4\0\0\0\0\0\0\0"),
     .want = "m.gguf: at byte 277 a key is no UTF-8 text: the file is damaged"},
    {PAIR(K "\x0d\0\0\0"),
     .want = "m.gguf: 'k' has values of the unknown type 13: the file is damaged or newer"},
    {PAIR(K "\xff\xff\xff\xff"),
     .want = "m.gguf: 'k' has values of the unknown type 4294967295: the file is damaged or newer"},
    {PAIR(K "\7\0\0\0\2"),
     .want = "m.gguf: 'k' is neither true nor false but 2: the file is damaged"},
    {PAIR(K "\x08\0\0\0\1\0\0\0\0\0\0\0\xc3"),
     .want = "m.gguf: at byte 290 a value is no UTF-8 text: the file is damaged"},
    {PAIR(K "\x08\0\0\0" HUGE_COUNT),
     .want = "m.gguf: is truncated or damaged: at byte 298 a value takes 1073741824 bytes and the "
             "file has 118 left; copy it again"},
    {PAIR(K "\x09\0\0\0\x09\0\0\0\1\0\0\0\0\0\0\0"),
     .want = "m.gguf: 'k' is an array of arrays, which no model has"},
    {PAIR(K "\x09\0\0\0\x0d\0\0\0\1\0\0\0\0\0\0\0"),
     .want = "m.gguf: 'k' has values of the unknown type 13: the file is damaged or newer"},
    {PAIR(K "\x09\0\0\0\0\0\0\0" HUGE_COUNT),
     .want = "m.gguf: is truncated or damaged: 'k' is an array of 1073741824 elements and the file "
             "has 114 bytes left; copy it again"},
    {PAIR(K "\x09\0\0\0\x0c\0\0\0\0\0\0\0\0\0\0\x20"),
     .want = "m.gguf: is truncated or damaged: 'k' is an array of 2305843009213693952 elements and "
             "the file has 114 bytes left; copy it again"},
    {PAIR(K "\x09\0\0\0\x08\0\0\0\1\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\x7f"),
     .want = "m.gguf: is truncated or damaged: at byte 310 a string takes 9223372036854775807 "
             "bytes and the file has 106 left; copy it again"},
    {PAIR("\x11\0\0\0\0\0\0\0llama.block_count\4\0\0\0\1\0\0\0"),
     .want = "m.gguf: the key 'llama.block_count' is there twice: the file is damaged"},
    {PAIR("\x11\0\0\0\0\0\0\0general.alignment\4\0\0\0\0\0\0\0"),
     .want = "m.gguf: 'general.alignment' is no power of two of 32 bits: the file is damaged"},
    {PAIR("\x11\0\0\0\0\0\0\0general.alignment\4\0\0\0\x18\0\0\0"),
     .want = "m.gguf: 'general.alignment' is no power of two of 32 bits: the file is damaged"},
    {PAIR("\x11\0\0\0\0\0\0\0general.alignment\5\0\0\0\x20\0\0\0"),
     .want = "m.gguf: 'general.alignment' is no power of two of 32 bits: the file is damaged"},
    {PAIR("\x11\0\0\0\0\0\0\0general.alignment\4\0\0\0\0\0\0\x80"),
     .want = "m.gguf: is truncated: tensor 'token_embd.weight' takes 32 bytes from byte 0 of 0 "
             "after the header; copy the file again"},

    /* [tensors bad n_dims, bad shape, ne too big, nbytes too big, bad type, bad offset, duplicate
     * name, bad align, inconsistent align, bad name size; data not enough, inconsistent align, mem
     * size overflow] */
    {.name   = "output.weight",
     .n_dims = 2,
     .dim    = {UINT64_C(4) * INT32_MAX, UINT64_C(4) * INT32_MAX},
     .begin  = 32,
     .want   = "m.gguf: tensor 'output.weight' is larger than any file: its shape is damaged"},
    {.name   = "output.weight",
     .n_dims = 2,
     .dim    = {1533916891, 1533916891}, /* of 8 bytes each, a little more than 2^64 */
     .type   = 27,
     .begin  = 32,
     .want   = "m.gguf: tensor 'output.weight' is larger than any file: its shape is damaged"},
    {.name   = "output.weight",
     .n_dims = 1,
     .dim    = {UINT64_C(0x7fffffffffffffc0)}, /* two of them, padded, come to less than nothing */
     .type   = 24,
     .begin  = 32,
     .data   = 32,
     .want   = "m.gguf: tensor 'output.weight': dimension 1 is 9223372036854775744, which is no "
               "count of elements"},
    {.name   = "output.weight",
     .n_dims = 1,
     .dim    = {(INT64_MAX / 8)},
     .type   = 27,
     .begin  = 32,
     .data   = 32,
     .want   = "m.gguf: is truncated: tensor 'output.weight' takes 9223372036854775800 bytes from "
               "byte 32 of 64 after the header; copy the file again"},
    {PAIR("\x11\0\0\0\0\0\0\0general.alignment\4\0\0\0\x40\0\0\0"), /* the offsets are for 32 */
     .alignment = 64, .name = "output.weight", .n_dims = 1, .dim = {4}, .begin = 32, .data = 16,
     .want = "m.gguf: tensor 'output.weight' begins at byte 32, want 64: tensors overlap; the "
             "header is damaged"},
    {.name   = "output.weight",
     .n_dims = 5,
     .dim    = {1, 1, 1, 1, 1},
     .begin  = 32,
     .want   = "m.gguf: tensor 'output.weight' has 5 dimensions, want at most 4"},
    {.name   = "output.weight",
     .n_dims = 2,
     .dim    = {4, UINT64_C(1) << 63},
     .begin  = 32,
     .want   = "m.gguf: tensor 'output.weight': dimension 2 is 9223372036854775808, which is no "
               "count of elements"},
    {.name   = "output.weight",
     .n_dims = 2,
     .dim    = {4, UINT64_MAX},
     .begin  = 32,
     .want   = "m.gguf: tensor 'output.weight': dimension 2 is 18446744073709551615, which is no "
               "count of elements"},
    {.name   = "output.weight",
     .n_dims = 1,
     .dim    = {UINT64_C(1) << 42},
     .begin  = 32,
     .want = "m.gguf: is truncated: tensor 'output.weight' takes 17592186044416 bytes from byte 32 "
             "of 32 after the header; copy the file again"},
    {.name   = "output.weight",
     .n_dims = 2,
     .dim    = {UINT64_C(1) << 42, UINT64_C(1) << 42},
     .begin  = 32,
     .want   = "m.gguf: tensor 'output.weight' is larger than any file: its shape is damaged"},
    {.name   = "output.weight",
     .n_dims = 4,
     .dim    = {1 << 16, 1 << 16, 1 << 16, 1 << 16},
     .begin  = 32,
     .want   = "m.gguf: tensor 'output.weight' is larger than any file: its shape is damaged"},
    {.name   = "output.weight",
     .n_dims = 1,
     .dim    = {4},
     .type   = 4,
     .begin  = 32,
     .want = "m.gguf: tensor 'output.weight' has the unknown type 4: the file is damaged or newer"},
    {.name   = "output.weight",
     .n_dims = 1,
     .dim    = {4},
     .type   = 77,
     .begin  = 32,
     .want =
         "m.gguf: tensor 'output.weight' has the unknown type 77: the file is damaged or newer"},
    {.name   = "output.weight",
     .n_dims = 1,
     .dim    = {4},
     .type   = UINT32_MAX,
     .begin  = 32,
     .want = "m.gguf: tensor 'output.weight' has the unknown type 4294967295: the file is damaged "
             "or newer"},
    {.name   = "output.weight",
     .n_dims = 1,
     .dim    = {256},
     .type   = 16,
     .begin  = 32,
     .want = "m.gguf: tensor 'output.weight' is stored as IQ2_XXS, which is not supported; convert "
             "the model to F16, BF16 or Q8_0"},
    {.name   = "output.weight",
     .n_dims = 1,
     .dim    = {48},
     .type   = 8,
     .begin  = 32,
     .want   = "m.gguf: tensor 'output.weight' has rows of 48 numbers, want a multiple of 32 for "
               "Q8_0: the header is damaged"},
    {.name   = "output.weight",
     .n_dims = 1,
     .dim    = {4},
     .data   = 16,
     .want   = "m.gguf: tensor 'output.weight' begins at byte 0, want 32: tensors overlap; the "
               "header is damaged"},
    {.name   = "output.weight",
     .n_dims = 1,
     .dim    = {4},
     .begin  = 64,
     .data   = 48,
     .want = "m.gguf: tensor 'output.weight' begins at byte 64, want 32: tensors leave a gap; the "
             "header is damaged"},
    {.name   = "output.weight",
     .n_dims = 1,
     .dim    = {4},
     .begin  = 33,
     .data   = 48,
     .want = "m.gguf: tensor 'output.weight' begins at byte 33, want 32: tensors leave a gap; the "
             "header is damaged"},
    {.name   = "output.weight",
     .n_dims = 1,
     .dim    = {4},
     .begin  = 32,
     .data   = 15,
     .want = "m.gguf: is truncated: tensor 'output.weight' takes 16 bytes from byte 32 of 47 after "
             "the header; copy the file again"},
    {.name   = "output.weight",
     .n_dims = 1,
     .dim    = {4},
     .begin  = 32,
     .data   = 33,
     .want   = "m.gguf: has 1 bytes after its last tensor; copy it again"},
    {.name   = "output.weight",
     .n_dims = 1,
     .dim    = {4},
     .begin  = UINT64_MAX,
     .want = "m.gguf: tensor 'output.weight' begins at byte 18446744073709551615 of the data: the "
             "header is damaged"},
    {.name   = "token_embd.weight",
     .n_dims = 1,
     .dim    = {4},
     .begin  = 32,
     .data   = 16,
     .want   = "m.gguf: tensor 'token_embd.weight' is there twice: the file is damaged"},
    {.name = "12345678901234567890123456789012345678901234567890123456789012345",
     .want = "m.gguf: at byte 334 a tensor's name is 65 bytes long, want at most 64: the file is "
             "damaged"},
    {.name   = "rope_freqs.weight",
     .n_dims = 1,
     .dim    = {1},
     .begin  = 32,
     .data   = 4,
     .want = "m.gguf: 'rope_freqs.weight' changes the rotary positions, which is not supported in "
             "a GGUF file; use the original model"},
    {.name   = "blk.0.attn_q_norm.weight",
     .n_dims = 1,
     .dim    = {4},
     .begin  = 32,
     .data   = 16,
     .want   = "m.gguf: the architecture llama has no tensor 'blk.0.attn_q_norm.weight' here: it "
               "would change the model's numbers and is not supported"},
    {.name   = "blk.00.attn_q.weight",
     .n_dims = 1,
     .dim    = {4},
     .begin  = 32,
     .data   = 16,
     .want   = "m.gguf: the architecture llama has no tensor 'blk.00.attn_q.weight' here: it would "
               "change the model's numbers and is not supported"},
    {.name   = "blk.0.attn_q.scale",
     .n_dims = 1,
     .dim    = {4},
     .begin  = 32,
     .data   = 16,
     .want   = "m.gguf: the architecture llama has no tensor 'blk.0.attn_q.scale' here: it would "
               "change the model's numbers and is not supported"},
    {.name   = "blk.0.attn_q.weight",
     .n_dims = 2,
     .dim    = {4, 2},
     .begin  = 32,
     .data   = 32,
     .want   = "m.gguf: tensor 'blk.0.attn_q.weight' has 2 rows, want an even number for each of 2 "
               "heads"},

    {.architecture = "falcon",
     .want = "m.gguf: the GGUF architecture \"falcon\" is not supported; known are: llama, gemma, "
             "gemma2, gemma3"},
    {.architecture = "gemma3",
     .name         = "blk.0.attn_q_norm.weight",
     .n_dims       = 1,
     .dim          = {4},
     .type         = 1,
     .begin        = 32,
     .data         = 8,
     .want = "m.gguf: tensor 'blk.0.attn_q_norm.weight' is stored as F16, want F32 for a norm"},
    {.architecture = "gemma3", .want = "m.gguf: the metadata has no 'gemma3.block_count'"},
    {.skip = "general.architecture",
     .want = "m.gguf: has no 'general.architecture': it is no model"},
    {.skip = "llama.block_count", .want = "m.gguf: the metadata has no 'llama.block_count'"},
    {.skip = "llama.attention.layer_norm_rms_epsilon",
     .want = "m.gguf: the metadata has no 'llama.attention.layer_norm_rms_epsilon'"},
    {PAIR("\x0b\0\0\0\0\0\0\0split.count\2\0\0\0\3\0"),
     .want = "m.gguf: is one of 3 parts; join them by llama-gguf-split --merge"},
    {PAIR("\x14\0\0\0\0\0\0\0llama.context_length\5\0\0\0\xff\xff\xff\xff"),
     .want = "m.gguf: 'llama.context_length' is no count, want one whole number"},
    {PAIR("\x14\0\0\0\0\0\0\0llama.context_length\x09\0\0\0\4\0\0\0\0\0\0\0\0\0\0\0"),
     .want = "m.gguf: 'llama.context_length' is no count, want one whole number"},
    {PAIR("\x14\0\0\0\0\0\0\0llama.rope.freq_base\6\0\0\0\0\0\xc0\x7f"),
     .want = "m.gguf: 'llama.rope.freq_base' is no finite real number"},
    {PAIR("\x14\0\0\0\0\0\0\0llama.rope.freq_base\4\0\0\0\0\0\0\0"),
     .want = "m.gguf: 'llama.rope.freq_base' is no finite real number"},
    {PAIR("\x1a\0\0\0\0\0\0\0llama.rope.dimension_count\4\0\0\0\1\0\0\0"),
     .want = "m.gguf: heads of 2 channels, values of 2 and 1 turned by positions are not "
             "supported, want one number"},
};

static void a_damaged_file_is_refused_with_a_reason(void)
{
    for (size_t k = 0; k < sizeof damaged / sizeof damaged[0]; k++) {
        make(&work, &damaged[k]);
        scratch_write(file, work.bytes, work.used);
        refused(damaged[k].want);
    }
}

static void what_is_no_gguf_file_is_refused(void)
{
    scratch_text(file, "");
    refused("m.gguf: is empty; copy it again");
    scratch_text(file, "GGUF\3");
    refused("m.gguf: is 5 bytes long, too short for a GGUF file; copy it again");
    scratch_text(file, "version https://git-lfs.github.com/spec/v1\n");
    refused("m.gguf: does not begin with GGUF: this is a Git LFS pointer: fetch the file itself "
            "(git lfs pull)");
    scratch_text(file, "tjgg\1...........................");
    refused("m.gguf: does not begin with GGUF: this is GGUF's forerunner: convert it anew from the "
            "original model");
    scratch_text(file, "FUGG\3...................."); /* [header bad magic] */
    refused("m.gguf: does not begin with GGUF: the file is damaged or no GGUF file; copy it again");
    scratch_write(file, "GGUF\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
                  32); /* [header empty] */
    refused("m.gguf: has no 'general.architecture': it is no model");
    scratch_text(file, "something else of sufficient length");
    refused("m.gguf: does not begin with GGUF: the file is damaged or no GGUF file; copy it again");
}

/* [tensors zero dim, custom align] */
static void odd_shapes_and_alignments_are_taken(void)
{
    static const wish allowed[] = {
        {.name = "output.weight", .n_dims = 2, .dim = {4, 0}, .begin = 32},
        {.name = "output.weight", .n_dims = 2, .dim = {0, 4}, .begin = 32},
        {.name = "blk.0.attn_q.weight", .n_dims = 2, .dim = {4, 0}, .begin = 32},
        {.name = "output.weight", .n_dims = 0, .begin = 32, .data = 4},
        {PAIR("\x11\0\0\0\0\0\0\0general.alignment\4\0\0\0\1\0\0\0"), .alignment = 1,
         .name = "output.weight", .n_dims = 4, .dim = {1, 1, 1, 3}, .type = 24, .begin = 32,
         .data = 3},
        {.version = 2, .name = "output.weight", .n_dims = 1, .dim = {4}, .begin = 32, .data = 32},
    };
    char byte;

    for (size_t k = 0; k < sizeof allowed / sizeof allowed[0]; k++) {
        sd_checkpoint *c = NULL;

        make(&work, &allowed[k]);
        scratch_write(file, work.bytes, work.used);
        CHECK(sd_checkpoint_open(scratch_path(file), &c) == SD_OK);
        if (c == NULL) continue;
        CHECK(sd_checkpoint_count(c) == 2);
        for (int64_t i = 0; i < 2; i++) CHECK(sd_checkpoint_read(c, i, 0, 0, &byte) == SD_OK);
        sd_checkpoint_close(&c);
    }
}

static void a_file_cut_anywhere_is_refused(void)
{
    const wish whole = {.name   = "output.weight",
                        .n_dims = 2,
                        .dim    = {4, 2},
                        .begin  = 32,
                        .data   = 32,
                        PAIR(K "\x09\0\0\0\x08\0\0\0\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0a")};

    make(&work, &whole);
    for (int64_t n = 0; n < work.used; n++) {
        scratch_write(file, work.bytes, n);
        sd_clear();
        CHECK(open_and_close() == SD_ERR_INPUT && strchr(sd_message(), '\n') == NULL);
    }
    scratch_write(file, work.bytes, work.used);
    CHECK(open_and_close() == SD_OK);
}

/* A byte changed anywhere in the header is taken or refused, and nothing else happens. */
static void a_changed_byte_does_no_harm(void)
{
    static const unsigned char changes[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
    const wish                 plain     = {.want = NULL};

    make(&work, &plain);
    for (int64_t n = 0; n < work.used; n++)
        for (size_t k = 0; k < sizeof changes; k++) {
            const unsigned char before = work.bytes[n];

            work.bytes[n] = changes[k];
            scratch_write(file, work.bytes, work.used);
            sd_clear();
            const sd_status st = open_and_close();
            CHECK(st == SD_OK || st == SD_ERR_INPUT);
            work.bytes[n] = before;
        }
    sd_clear();
}

/* The counts of a short file ask for a GiB each; memory stays as it was, give or take a buffer. */
static void a_short_file_takes_no_more_memory_than_it_is_long(void)
{
    struct rusage before, after;

    getrusage(RUSAGE_SELF, &before);
    for (int at = 8; at <= 24; at += 8) { /* of the tensors, of the metadata, of the first key */
        const wish plain = {.want = NULL};

        make(&work, &plain);
        work.used = 160;
        memcpy(work.bytes + at, HUGE_COUNT, 8);
        scratch_write(file, work.bytes, work.used);
        sd_clear();
        CHECK(open_and_close() == SD_ERR_INPUT);
    }
    getrusage(RUSAGE_SELF, &after);
    CHECK(after.ru_maxrss - before.ru_maxrss < 16 << 10); /* KiB */
}

/* A sparse file of 300 MB whose metadata is one array. */
static void a_header_beyond_all_measure_is_refused(void)
{
    static const wish long_array = {PAIR(K "\x09\0\0\0\0\0\0\0\0\0\0\x11\0\0\0\0")};

    make(&work, &long_array);
    scratch_write(file, work.bytes, work.used);
    CHECK(truncate(scratch_path(file), 300000000) == 0);
    refused("m.gguf: its header is longer than 268435456 bytes: the file is damaged");
}

static void what_the_format_allows_is_taken(void)
{
    static const wish good[] = {
        {.version = 2},
        /* bytes after the last tensor up to the alignment; a string of no UTF-8 within an array */
        {.name = "output.weight", .n_dims = 2, .dim = {4, 1}, .begin = 32, .data = 32},
        {PAIR(K "\x09\0\0\0\x08\0\0\0\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\xff")},
        {.alignment = 8, PAIR("\x11\0\0\0\0\0\0\0general.alignment\4\0\0\0\x08\0\0\0")},
    };

    for (size_t k = 0; k < sizeof good / sizeof good[0]; k++) {
        make(&work, &good[k]);
        scratch_write(file, work.bytes, work.used);
        sd_clear();
        if (open_and_close() == SD_OK) continue;
        check_failures++;
        fprintf(stderr, "%zu: %s\n", k, sd_message());
    }
    walk_shortages(open_and_close);
}

static void a_folder_with_one_file_is_that_file(void)
{
    const wish     plain = {.want = NULL};
    sd_checkpoint *c     = NULL;

    make(&work, &plain);
    scratch_write(file, work.bytes, work.used);
    CHECK(sd_checkpoint_open(scratch, &c) == SD_OK && c != NULL);
    CHECK(strcmp(sd_checkpoint_file_of(c, 0), file) == 0);
    CHECK(strcmp(sd_checkpoint_tensor(c, 0)->name, "model.embed_tokens.weight") == 0);
    sd_checkpoint_close(&c);
    scratch_write("n.gguf", work.bytes, work.used);
    CHECK(sd_checkpoint_open(scratch, &c) == SD_ERR_INPUT);
    CHECK(strcmp(sd_message(), "the folder has 2 files '*.gguf'; name the one that is meant") == 0);
    sd_clear();
    scratch_remove("n.gguf");
}

int main(void)
{
    scratch_open();
    a_damaged_file_is_refused_with_a_reason();
    what_is_no_gguf_file_is_refused();
    odd_shapes_and_alignments_are_taken();
    a_file_cut_anywhere_is_refused();
    a_changed_byte_does_no_harm();
    a_short_file_takes_no_more_memory_than_it_is_long();
    a_header_beyond_all_measure_is_refused();
    what_the_format_allows_is_taken();
    a_folder_with_one_file_is_that_file();
    scratch_close();
    return REPORT();
}
