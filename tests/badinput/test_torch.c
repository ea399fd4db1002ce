/*
 * Damaged and hostile files of torch.save: each is refused with one line, and no byte of a damaged
 * storage is given out. tests/badinput/test_pickle.c has what the pickle in them may try.
 */
#include <string.h>
#include <sys/resource.h>

#include "io/checkpoint.h"
#include "tests/support/scratch.h"
#include "tests/support/shortage.h"

static const char *const file = "m.bin";

/* ---- a zip archive that is being put together ---- */

typedef struct {
    unsigned char bytes[1 << 14];
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

static uint32_t checksum_of(const void *bytes, size_t count)
{
    uint32_t sum = 0xffffffffu;

    for (size_t i = 0; i < count; i++) {
        sum ^= ((const unsigned char *)bytes)[i];
        for (int k = 0; k < 8; k++) sum = sum >> 1 ^ ((sum & 1) != 0 ? 0xedb88320u : 0);
    }
    return ~sum;
}

/* What a member may have besides its name and bytes. */
typedef struct {
    const char *name;
    const void *bytes;
    size_t      count;
    uint64_t    method, flags;
    uint64_t    claims;     /* bytes that it claims; 0: as many as it has      */
    uint32_t    sum_off;    /* what is wrong in its checksum                   */
    bool        has_no_sum; /* a checksum of 0                                 */
    int64_t     at;         /* where the table says that it is; 0: where it is */
} member;

enum { MOST_MEMBERS = 8 };

typedef struct {
    const char *want; /* said of it */
    member      members[MOST_MEMBERS];
    uint64_t    more; /* members that are announced and not there */
} archive;

/* What local header and table have in common. */
static void put_common(made *m, const member *e)
{
    const uint64_t claims = e->claims != 0 ? e->claims : e->count;

    put(m, 20, 2);
    put(m, e->flags, 2);
    put(m, e->method, 2);
    put(m, 0x00210000, 4);
    put(m, e->has_no_sum ? 0 : checksum_of(e->bytes, e->count) + e->sum_off, 4);
    put(m, claims, 4);
    put(m, claims, 4);
    put(m, strlen(e->name), 2);
    put(m, 0, 2);
}

static int put_locals(made *m, const archive *a, int64_t at[MOST_MEMBERS])
{
    int n = 0;

    for (; n < MOST_MEMBERS && a->members[n].name != NULL; n++) {
        const member *e = &a->members[n];

        at[n] = m->used;
        put_bytes(m, "PK\3\4", 4);
        put_common(m, e);
        put_bytes(m, e->name, strlen(e->name));
        put_bytes(m, e->bytes, e->count);
    }
    return n;
}

static void make(made *m, const archive *a)
{
    int64_t at[MOST_MEMBERS];

    m->used     = 0;
    const int n = put_locals(m, a, at);

    const int64_t table = m->used;
    for (int k = 0; k < n; k++) {
        const member *e = &a->members[k];

        put_bytes(m, "PK\1\2\x14\0", 6);
        put_common(m, e);
        put(m, 0, 10); /* no comment, first disk, no attributes */
        put(m, (uint64_t)(e->at != 0 ? e->at : at[k]), 4);
        put_bytes(m, e->name, strlen(e->name));
    }
    const int64_t length = m->used - table;
    put_bytes(m, "PK\5\6\0\0\0\0", 8);
    put(m, (uint64_t)n + a->more, 2);
    put(m, (uint64_t)n + a->more, 2);
    put(m, (uint64_t)length, 4);
    put(m, (uint64_t)table, 4);
    put(m, 0, 2);
}

/* ---- a pickle that is put together ---- */

#define TEXT(length, text) "X" length "\0\0\0" text
#define BEGIN "\x80\2}"
#define REBUILD "ctorch._utils\n_rebuild_tensor_v2\n"
#define STORAGE_OF(type, key, count) "(" TEXT("\7", "storage") type key TEXT("\3", "cpu") count "tQ"
#define FLOATS "ctorch\nFloatStorage\n"
#define KEY TEXT("\1", "0")
#define STORAGE STORAGE_OF(FLOATS, KEY, "K\6")
#define REST "\x89NtR"
#define SIZE_23 "K\2K\3\x86"
#define DENSE "K\3K\1\x86"
#define TENSOR(storage, offset, size, stride) REBUILD "(" storage offset size stride REST
#define GOOD TENSOR(STORAGE, "K\0", SIZE_23, DENSE)
#define NAME TEXT("\1", "a")
#define ONE(tensor) BEGIN NAME tensor "s."

#define PKL(text)                                                                                  \
    {                                                                                              \
        .name = "m/data.pkl", .bytes = text, .count = sizeof(text) - 1                             \
    }
#define DATA                                                                                       \
    {                                                                                              \
        .name = "m/data/0", .bytes = "AAAABBBBCCCCDDDDEEEEFFFF", .count = 24                       \
    }
#define MORE(other, text)                                                                          \
    {                                                                                              \
        .name = other, .bytes = text, .count = sizeof(text) - 1                                    \
    }

static made work;

static sd_status open_and_read(char *bytes, int64_t room)
{
    sd_status      st = SD_OK;
    sd_checkpoint *c  = NULL;

    SD_TRY(sd_checkpoint_open(scratch_path(file), &c));
    for (int64_t i = 0; i < sd_checkpoint_count(c); i++) {
        const int64_t count = sd_checkpoint_tensor(c, i)->bytes;

        SD_TRY(sd_checkpoint_read(c, i, 0, count < room ? count : room, bytes));
    }

done:
    sd_checkpoint_close(&c);
    return st;
}

static void refused(const char *want)
{
    char bytes[256];

    sd_clear();
    CHECK(open_and_read(bytes, sizeof bytes) == SD_ERR_INPUT);
    if (strcmp(sd_message(), want) != 0) {
        check_failures++;
        fprintf(stderr, "  says '%s'\n  want '%s'\n", sd_message(), want);
    }
}

static void refused_archive(const archive *a)
{
    make(&work, a);
    scratch_write(file, work.bytes, work.used);
    refused(a->want);
}

/* ---- what is no such file ---- */

static void other_files_are_told_apart(void)
{
#define NOT(text, want)                                                                            \
    {                                                                                              \
        text, sizeof(text) - 1, "m.bin: is no zip archive, as torch.save writes it: " want         \
    }
    static const struct {
        const char *bytes;
        size_t      count;
        const char *want;
    } other[] = {
        NOT("version https://git-lfs.github.com/spec/v1\n",
            "this is a Git LFS pointer: fetch the file itself (git lfs pull)"),
        NOT("\x80\x02\x8a\nl\xfc\x9c"
            "F\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.aaaa",
            "this is the format that torch wrote before 1.6: load it and save it again with a "
            "newer "
            "one"),
        NOT("GGUF\3\0\0\0aaaaaaaaaaaaaaaaaaaaaaaa",
            "this is a GGUF file: let its name end with .gguf"),
        NOT("\x02\0\0\0\0\0\0\0{}aaaaaaaaaaaaaaaaaa",
            "this may be a safetensors file: let its name end with .safetensors"),
        NOT("\x89HDF\r\n\x1a\naaaaaaaaaaaaaaaaaa", "this is an HDF5 file, as Keras writes it"),
        NOT("aaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "the file is damaged or was not written by torch.save; copy it again"),
        {"", 0, "m.bin: is empty; copy it again"},
        {"PK\3\4", 4, "m.bin: is 4 bytes long, too short for a file of torch.save; copy it again"},
    };

    for (size_t k = 0; k < sizeof other / sizeof other[0]; k++) {
        scratch_write(file, other[k].bytes, (int64_t)other[k].count);
        refused(other[k].want);
    }
}

/* ---- archives ---- */

static const archive damaged[] = {
    {.members = {PKL(ONE(GOOD)), {.name = "m/data/0", .bytes = "x", .count = 1, .method = 8}},
     .want = "m.bin: 'm/data/0' is compressed, as in a TorchScript archive and never in a file of "
             "torch.save; save the tensors alone (model.state_dict())"},
    {.members = {PKL(ONE(GOOD)), {.name = "m/data/0", .bytes = "x", .count = 1, .flags = 1}},
     .want    = "m.bin: 'm/data/0' is encrypted, which torch.save never does"},
    {.members = {PKL(ONE(GOOD)), DATA, DATA},
     .want    = "m.bin: 'm/data/0' is there twice: the zip archive is damaged"},
    {.members = {PKL(ONE(GOOD)),
                 {.name = "m/data/0", .bytes = "x", .count = 1, .claims = 0x7fffffff}},
     .want    = "m.bin: 'm/data/0' takes 2147483647 bytes, for which the file is too short: it is "
                "truncated or damaged; copy it again"},
    /* 0xffffffff means: see the 64 bits behind, and there are none */
    {.members = {PKL(ONE(GOOD)),
                 {.name = "m/data/0", .bytes = "x", .count = 1, .claims = 0xffffffff}},
     .want    = "m.bin: its zip archive is truncated or damaged; copy it again"},
    /* each within the file, and together not: they lie in one another */
    {.members = {PKL(ONE(GOOD)),
                 DATA,
                 {.name = "m/1", .bytes = "", .claims = 250, .has_no_sum = true},
                 {.name = "m/2", .bytes = "", .claims = 250, .has_no_sum = true}},
     .want    = "m.bin: 'm/2' takes 250 bytes, for which the file is too short: it is truncated or "
                "damaged; copy it again"},
    {.members = {PKL(ONE(GOOD)), DATA, {.name = "m/1", .bytes = "", .claims = 250}},
     .want = "m.bin: 'm/1' is not where the zip archive says that it is: the file is truncated or "
             "damaged; copy it again"},
    {.members = {PKL(ONE(GOOD)), DATA},
     .more    = 60000,
     .want    = "m.bin: its zip archive is truncated or damaged; copy it again"},
    {.members =
         {{.name = "m/data.pkl", .bytes = ONE(GOOD), .count = sizeof ONE(GOOD) - 1, .sum_off = 1},
          DATA},
     .want = "m.bin: 'm/data.pkl' has the checksum de3060d1, want de3060d2: the file is damaged; "
             "copy it again"},
    {.members =
         {PKL(ONE(GOOD)),
          {.name = "m/data/0", .bytes = "AAAABBBBCCCCDDDDEEEEFFFF", .count = 24, .sum_off = 1}},
     .want =
         "m.bin: 'm/data/0' has the checksum 373db2d9, want 373db2da: the file is damaged; copy "
         "it again"},
    {.members =
         {PKL(ONE(GOOD)),
          {.name = "m/data/0", .bytes = "AAAABBBBCCCCDDDDEEEEFFFF", .count = 24, .at = 5000}},
     .want = "m.bin: 'm/data/0' is not where the zip archive says that it is: the file is "
             "truncated or damaged; copy it again"},
    {.members = {DATA},
     .want = "m.bin: is a zip archive without 'm/data.pkl': torch.save did not write it, or it is "
             "damaged"},
    {.members = {MORE("readme", "x"), PKL(ONE(GOOD))},
     .want    = "m.bin: is a zip archive without 'data.pkl': torch.save did not write it, or it is "
                "damaged"},
    {.members = {{0}},
     .want    = "m.bin: is no zip archive, as torch.save writes it: the file is damaged or was not "
                "written by torch.save; copy it again"},
    {.members = {PKL(ONE(GOOD)), DATA, MORE("m/\xff", "x")},
     .want    = "m.bin: member 3 of its zip archive has a name that is not UTF-8"},
    {.members = {PKL(ONE(GOOD)), DATA, MORE("m/byteorder", "big")},
     .want = "m.bin: was written on a machine of the byte order 'big', want little; load it with "
             "torch on any machine of ours and save it again"},
    {.members = {PKL(ONE(GOOD)), DATA, MORE("m/byteorder", "0123456789012345")},
     .want    = "m.bin: 'm/byteorder' is 16 bytes long: the file is damaged"},
    {.members = {PKL(ONE(GOOD)), DATA, MORE("m/byteorder", "l\xffttle")},
     .want    = "m.bin: 'm/byteorder' is not UTF-8: the file is damaged"},
    {.members = {PKL(ONE(GOOD)), DATA, MORE("m/version", "x\n")},
     .want    = "m.bin: is of the version 'x': the file is damaged"},
    {.members = {PKL(BEGIN "."), DATA},
     .want = "m.bin: has no tensors with names, neither by itself nor under 'state_dict', 'model', "
             "'module' or 'model_state_dict'"},
    {.members = {PKL("\x80\2cos\nsystem\nX\2\0\0\0ls\x85R."), DATA},
     .want =
         "m.bin: data.pkl: refers to 'os.system', which weights have no use for and which could "
         "run code when torch loads it; nothing of it was run. Save the tensors alone "
         "(model.state_dict())"},
    {.members = {PKL("\x80\2}" TEXT("\5", "model") "}s" TEXT("\6", "module") "}s."), DATA},
     .want    = "m.bin: holds more than one of 'state_dict', 'model', 'module' and "
                "'model_state_dict'; save the one that is meant alone"},
    {.members = {PKL("\x80\2}" TEXT("\5", "model") "}" TEXT("\1", "x") "}sNs."), DATA},
     .want = "m.bin: data.pkl: is damaged: at byte 23 what gets entries is no dict; copy the file "
             "again"},
    {.members = {PKL(BEGIN NAME GOOD "s" NAME GOOD "s."), DATA},
     .want    = "m.bin: tensor 'a' is there twice: the file is damaged"},
    {.members = {PKL(BEGIN TEXT("\2", "a\0") GOOD "s."), DATA},
     .want    = "m.bin: a tensor's name has a zero in it: the file is damaged"},
};

/* ---- tensors ---- */

typedef struct {
    const char *bytes;
    size_t      count;
    const char *want; /* behind "m.bin: tensor 'a' " */
} bad;

#define BAD(tensor, want)                                                                          \
    {                                                                                              \
        ONE(tensor), sizeof ONE(tensor) - 1, want                                                  \
    }
#define BIG "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x07"         /* 2^59 - 1 */
#define HUGE_NUMBER "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f" /* 2^63 - 1 */
#define MINUS "J\xff\xff\xff\xff"
#define V3(dtype)                                                                                  \
    "ctorch._utils\n_rebuild_tensor_v3\n(" UNTYPED "K\0" SIZE_23 DENSE "\x89N" dtype "tR"
#define UNTYPED STORAGE_OF("ctorch.storage\nUntypedStorage\n", KEY, "K\x18")
#define PARAMETER "ctorch._utils\n_rebuild_parameter\n"
#define BROKEN(text) text ": the file is damaged"
#define NO_STRIDES BROKEN("has strides that do not fit its size")
#define NO_SIZE BROKEN("has a size of no numbers")
#define BEYOND BROKEN("reaches beyond its storage of 6 elements")
#define NO_PLACE BROKEN("has a storage without type, name or size")

static const bad tensors[] = {
    BAD(TENSOR(STORAGE, "K\1", SIZE_23, DENSE), BEYOND),
    BAD(TENSOR(STORAGE, "K\0", SIZE_23, "K\4K\1\x86"), BEYOND),
    BAD(TENSOR(STORAGE, "K\0", SIZE_23, BIG "K\1\x86"), BEYOND),
    BAD(TENSOR(STORAGE, "K\0", SIZE_23, "K\1" BIG "\x86"), BEYOND),
    BAD(TENSOR(STORAGE, BIG, SIZE_23, DENSE), BEYOND),
    BAD(TENSOR(STORAGE, "K\0", "K\x20\x85", BIG "\x85"), BEYOND), /* 31 times that wraps */
    BAD(TENSOR(STORAGE, "K\6", ")", ")"), BEYOND),
    BAD(TENSOR(STORAGE, MINUS, SIZE_23, DENSE), NO_STRIDES),
    BAD(TENSOR(STORAGE, HUGE_NUMBER, SIZE_23, DENSE), NO_STRIDES),
    BAD(TENSOR(STORAGE, "N", SIZE_23, DENSE), NO_STRIDES),
    BAD(TENSOR(STORAGE, "K\0", SIZE_23, "K\3" MINUS "\x86"), NO_STRIDES),
    BAD(TENSOR(STORAGE, "K\0", SIZE_23, "K\1\x85"), NO_STRIDES),
    BAD(TENSOR(STORAGE, "K\0", SIZE_23, "K\6K\3K\1\x87"), NO_STRIDES),
    BAD(TENSOR(STORAGE, "K\0", SIZE_23, "N"), NO_STRIDES),
    BAD(TENSOR(STORAGE, "K\0", MINUS "K\3\x86", DENSE), NO_SIZE),
    BAD(TENSOR(STORAGE, "K\0", "NK\3\x86", DENSE), NO_SIZE),
    BAD(TENSOR(STORAGE, "K\0", "]", DENSE), NO_SIZE),
    BAD(TENSOR(STORAGE, "K\0", "(K\1K\1K\1K\1K\1K\1K\1K\1K\1t", DENSE),
        "has 9 dimensions, want at most 8"),
    BAD(TENSOR(STORAGE, "K\0", BIG BIG "\x86", DENSE),
        "is larger than any file: its shape is damaged"),
    BAD(TENSOR(STORAGE, "K\0", BIG "K\x10\x86", "K\0K\0\x86"),
        "is larger than any file: its shape is damaged"),
    BAD(TENSOR("N", "K\0", SIZE_23, DENSE), BROKEN("has no storage")),
    BAD(TENSOR("NQ", "K\0", SIZE_23, DENSE), BROKEN("has no storage")),
    BAD(TENSOR(")Q", "K\0", SIZE_23, DENSE), NO_PLACE),
    BAD(TENSOR("(" TEXT("\7", "Storage") FLOATS KEY "NK\6tQ", "K\0", SIZE_23, DENSE), NO_PLACE),
    BAD(TENSOR("(NNNNNtQ", "K\0", SIZE_23, DENSE), NO_PLACE),
    BAD(TENSOR(STORAGE_OF("N", KEY, "K\6"), "K\0", SIZE_23, DENSE), NO_PLACE),
    BAD(TENSOR(STORAGE_OF(FLOATS, "K\0", "K\6"), "K\0", SIZE_23, DENSE), NO_PLACE),
    BAD(TENSOR(STORAGE_OF(FLOATS, KEY, "N"), "K\0", SIZE_23, DENSE), NO_PLACE),
    BAD(TENSOR(STORAGE_OF("ctorch\nfloat32\n", KEY, "K\6"), "K\0", SIZE_23, DENSE),
        BROKEN("has a storage without a type")),
    BAD(TENSOR(STORAGE_OF(FLOATS, TEXT("\3", "0\0x"), "K\6"), "K\0", SIZE_23, DENSE),
        BROKEN("has a storage with a name that is too long")),
    BAD(TENSOR(UNTYPED, "K\0", SIZE_23, DENSE), BROKEN("has no type")),
    BAD(V3("N"), BROKEN("has no type")),
    BAD(V3(FLOATS), BROKEN("has no type")),
    BAD(REBUILD "(" STORAGE "K\0" SIZE_23 "tR", BROKEN("is made of too little")),
    BAD("ctorch._utils\n_rebuild_tensor_v3\n(" UNTYPED "K\0" SIZE_23 DENSE "\x89NtR",
        BROKEN("is made of too little")),
    BAD(PARAMETER ")R", BROKEN("is made of nothing")),
    BAD(PARAMETER "N\x85R", BROKEN("is made of no tensor")),
    BAD(PARAMETER "}\x85R", BROKEN("is made of no tensor")),
    BAD(PARAMETER PARAMETER GOOD "\x85R\x85R", BROKEN("is a parameter of a parameter")),
};

static void a_tensor_outside_of_its_storage_is_refused(void)
{
    for (size_t k = 0; k < sizeof tensors / sizeof tensors[0]; k++) {
        char    want[512];
        archive a = {.want = want, .members = {{.name = "m/data.pkl"}, DATA}};

        a.members[0].bytes = tensors[k].bytes;
        a.members[0].count = tensors[k].count;
        snprintf(want, sizeof want, "m.bin: tensor 'a' %s", tensors[k].want);
        refused_archive(&a);
    }
}

static void a_storage_of_another_size_is_refused(void)
{
    static const archive others[] = {
        {.members = {PKL(ONE(TENSOR(STORAGE_OF(FLOATS, KEY, "K\7"), "K\0", SIZE_23, DENSE))), DATA},
         .want    = "m.bin: tensor 'a': its storage 'm/data/0' has 24 bytes, want 28: the file is "
                    "damaged; copy it again"},
        {.members = {PKL(ONE(TENSOR(STORAGE_OF(FLOATS, KEY, MINUS), "K\0", SIZE_23, DENSE))), DATA},
         .want = "m.bin: tensor 'a' has a storage without type, name or size: the file is damaged"},
        {.members = {PKL(ONE(TENSOR(STORAGE_OF(FLOATS, KEY, BIG), "K\0", SIZE_23, DENSE))), DATA},
         .want    = "m.bin: tensor 'a': its storage 'm/data/0' has 24 bytes, want "
                    "2305843009213693948: the file is damaged; copy it again"},
        {.members = {PKL(ONE(TENSOR(STORAGE_OF(FLOATS, TEXT("\1", "1"), "K\6"), "K\0", SIZE_23,
                                    DENSE))),
                     DATA},
         .want =
             "m.bin: is a zip archive without 'm/data/1': torch.save did not write it, or it is "
             "damaged"},
        /* one number that claims to be 2^40: nothing is taken for it, and nobody waits for it */
        {.members = {PKL(ONE(TENSOR(STORAGE, "K\0", "\x8a\6\0\0\0\0\0\1\x85", "K\0\x85"))), DATA},
         .want    = "m.bin: its tensors repeat what it stores more than 16 times, at 'a': expanded "
                    "tensors have to be saved without their copies"},
    };

    for (size_t k = 0; k < sizeof others / sizeof others[0]; k++) refused_archive(&others[k]);
}

/* ---- all of a file ---- */

static const archive good = {
    .members = {PKL(ONE(GOOD)), DATA, MORE("m/byteorder", "little"), MORE("m/version", "3\n")}};

static void an_archive_is_refused_with_a_reason(void)
{
    for (size_t k = 0; k < sizeof damaged / sizeof damaged[0]; k++) refused_archive(&damaged[k]);
}

static bool reads_well(void)
{
    char bytes[256] = "";

    return open_and_read(bytes, sizeof bytes) == SD_OK &&
           memcmp(bytes, "AAAABBBBCCCCDDDDEEEEFFFF", 24) == 0;
}

static void the_end_may_not_be_missing(void)
{
    make(&work, &good);
    scratch_write(file, work.bytes, work.used);
    CHECK(reads_well());
    for (int64_t length = work.used - 1; length >= 0; length--) {
        CHECK(truncate(scratch_path(file), length) == 0);
        sd_clear();
        CHECK(open_and_read((char[256]){0}, 256) == SD_ERR_INPUT);
    }
    scratch_write(file, work.bytes, 200);
    refused(
        "m.bin: is truncated: the table of contents at the end of a zip archive is missing; copy "
        "it again");
}

/* Three bits of every byte in turn: the file is refused, or it matters for nothing. */
static void a_changed_byte_is_seen_or_changes_nothing(void)
{
    int refusals = 0;

    make(&work, &good);
    for (int64_t at = 0; at < work.used; at++) {
        for (int k = 0; k < 3; k++) {
            const unsigned char change = (unsigned char)(k == 0 ? 1 : k == 1 ? 0x80 : 0xff);

            work.bytes[at] ^= change;
            scratch_write(file, work.bytes, work.used);
            work.bytes[at] ^= change;
            sd_clear();
            if (reads_well()) continue;
            CHECK(sd_message()[0] != '\0');
            refusals++;
        }
    }
    /* every change in the pickle, the data and their checksums in the table, at the least */
    CHECK(refusals >= 3 * (int)(sizeof ONE(GOOD) - 1 + 24 + 8));
}

/* A checksum that is wrong is seen by the first byte that is asked for, wherever; none is fine. */
static void no_byte_of_a_damaged_storage_is_given_out(void)
{
    archive        a = {.members = {PKL(ONE(GOOD)), DATA}};
    sd_checkpoint *c = NULL;
    char           byte;

    a.members[1].sum_off = 1;
    make(&work, &a);
    scratch_write(file, work.bytes, work.used);
    for (int64_t at = 0; at < 24; at++) {
        sd_clear();
        CHECK(sd_checkpoint_open(scratch_path(file), &c) == SD_OK);
        CHECK(sd_checkpoint_read(c, 0, at, 1, &byte) == SD_ERR_INPUT);
        sd_checkpoint_close(&c);
    }
    a.members[1].has_no_sum = true;
    make(&work, &a);
    scratch_write(file, work.bytes, work.used);
    sd_clear();
    CHECK(sd_checkpoint_open(scratch_path(file), &c) == SD_OK);
    CHECK(sd_checkpoint_read(c, 0, 23, 1, &byte) == SD_OK && byte == 'F');
    sd_checkpoint_close(&c);
}

/* Ends within an end: without a limit, a reader that tries each is busy for hours. */
static void many_ends_are_refused(void)
{
    made *m = &work;

    make(m, &good);
    for (int k = 0; k < 2; k++) put_bytes(m, "PK\5\6\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 22);
    scratch_write(file, m->bytes, m->used);
    refused("m.bin: has 3 ends of a zip archive, want 1: it is damaged; copy it again");
}

/* The end of an archive of 64 bits, with a count of members and the size of its table. */
static void make_wide(made *m, uint64_t count, uint64_t size)
{
    make(m, &good);
    m->used -= 22;
    const int64_t end = m->used;
    put_bytes(m, "PK\6\6", 4);
    put(m, 44, 8);
    put(m, 45, 2);
    put(m, 45, 2);
    put(m, 0, 8);
    put(m, count, 8);
    put(m, count, 8);
    put(m, size, 8);
    put(m, 0, 8);
    put_bytes(m, "PK\6\7\0\0\0\0", 8);
    put(m, (uint64_t)end, 8);
    put(m, 1, 4);
    put_bytes(m, "PK\5\6\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0", 22);
    scratch_write(file, m->bytes, m->used);
}

static void counts_of_64_bits_are_not_believed(void)
{
    struct rusage before, after;

    getrusage(RUSAGE_SELF, &before);
    make_wide(&work, UINT64_C(1) << 40, 100);
    refused("m.bin: its zip archive has 1099511627776 members, want at most 32768");
    make_wide(&work, 32768, 0x7fffffff);
    refused("m.bin: the table of contents of its zip archive is 2147483647 bytes long, want at "
            "most 2097152; save the tensors in several files");
    make_wide(&work, 32768, 1 << 21);
    refused("m.bin: its zip archive is truncated or damaged; copy it again");
    make_wide(&work, 32768, 100);
    refused("m.bin: its zip archive is truncated or damaged; copy it again");
    getrusage(RUSAGE_SELF, &after);
    CHECK(after.ru_maxrss - before.ru_maxrss < 16 << 10); /* KiB */
}

/* Names can be chosen that libzip keeps in one list: 32768 of them, 4.5 MB, took 14 s. */
static void a_long_table_is_refused(void)
{
    made *m = &work;

    make(m, &good);
    m->used -= 22;
    put_bytes(m, "PK\5\6\0\0\0\0\xff\xff\xff\xff\1\0\x20\0\0\0\0\0\0\0", 22);
    scratch_write(file, m->bytes, m->used);
    refused("m.bin: the table of contents of its zip archive is 2097153 bytes long, want at most "
            "2097152; save the tensors in several files");
}

static sd_status open_good(void)
{
    char bytes[256];

    return open_and_read(bytes, sizeof bytes);
}

int main(void)
{
    scratch_open();
    scratch_text("config.json", "{}");
    other_files_are_told_apart();
    an_archive_is_refused_with_a_reason();
    a_tensor_outside_of_its_storage_is_refused();
    a_storage_of_another_size_is_refused();
    the_end_may_not_be_missing();
    a_changed_byte_is_seen_or_changes_nothing();
    no_byte_of_a_damaged_storage_is_given_out();
    many_ends_are_refused();
    counts_of_64_bits_are_not_believed();
    a_long_table_is_refused();
    make(&work, &good);
    scratch_write(file, work.bytes, work.used);
    walk_shortages(open_good);
    scratch_close();
    return REPORT();
}
