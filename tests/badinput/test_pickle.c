/* Pickles that call, name or make what weights have no use for, and damaged ones: one line each. */
#include <string.h>
#include <sys/resource.h>

#include "io/pickle.h"
#include "tests/support/shortage.h"

static const sd_pickle_global globals[] = {
    {"torch._utils._rebuild_tensor_v2", true}, {"torch.Size", true}, {"torch.FloatStorage", false}};
enum { N_GLOBALS = sizeof globals / sizeof globals[0] };

static sd_status read_bytes(const char *bytes, int64_t length, sd_pickle **out)
{
    return sd_pickle_read(bytes, length, "p", globals, N_GLOBALS, out);
}

static void refused(const char *bytes, int64_t length, const char *want)
{
    sd_pickle *pickle = NULL;

    sd_clear();
    CHECK(read_bytes(bytes, length, &pickle) == SD_ERR_INPUT);
    CHECK(pickle == NULL);
    if (strcmp(sd_message(), want) != 0) {
        check_failures++;
        fprintf(stderr, "  says '%s'\n  want '%s'\n", sd_message(), want);
    }
    sd_pickle_destroy(&pickle);
    sd_clear();
}

#define P2 "\x80\x02"
#define P4 "\x80\x04"
#define COULD_RUN                                                                                  \
    "', which weights have no use for and which could run code when torch loads it; nothing of "   \
    "it was run. Save the tensors alone (model.state_dict())"
#define DAMAGED(at, what) "p: is damaged: at byte " at " " what "; copy the file again"
#define SIZE "ctorch\nSize\n"
#define TENSOR "ctorch._utils\n_rebuild_tensor_v2\n"

typedef struct {
    const char *bytes;
    size_t      length;
    const char *want;
} bad;

#define BAD(bytes, want)                                                                           \
    {                                                                                              \
        bytes, sizeof(bytes) - 1, want                                                             \
    }

/* Each would run code of the file's choice in Python. */
static const bad hostile[] = {
    BAD(P2 "cos\nsystem\n(X\x02\0\0\0lstR.", "p: refers to 'os.system" COULD_RUN),
    BAD(P2 "cposix\nsystem\nX\x02\0\0\0ls\x85R.", "p: refers to 'posix.system" COULD_RUN),
    BAD(P2 "c__builtin__\neval\nX\x01\0\0\0"
           "1\x85R.",
        "p: refers to '__builtin__.eval" COULD_RUN),
    BAD(P4 "\x8c\x08"
           "builtins\x94\x8c\x04"
           "exec\x94\x93\x94\x8c\x01x\x85R.",
        "p: refers to 'builtins.exec" COULD_RUN),
    /* the name comes out of the memo, or has a dot in it */
    BAD(P4 "\x8c\x08"
           "builtins\x94\x8c\x04"
           "eval\x94"
           "00h\x00h\x01\x93.",
        "p: refers to 'builtins.eval" COULD_RUN),
    BAD(P4 "\x8c\x05torch\x8c\x0dhub.load_file\x93.",
        "p: refers to 'torch.hub.load_file" COULD_RUN),
    BAD(P2 "ctorch._utils\n_rebuild_tensor_v2.__globals__\n.",
        "p: refers to 'torch._utils._rebuild_tensor_v2.__globals__" COULD_RUN),
    BAD(P2 "c__builtin__\ngetattr\n.", "p: refers to '__builtin__.getattr" COULD_RUN),
    /* inside of the arguments of a call that is known */
    BAD(P2 TENSOR "cos\nsystem\n)R\x85R.", "p: refers to 'os.system" COULD_RUN),
    BAD(P2 "}X\x01\0\0\0aN}(X\x01\0\0\0bcsubprocess\nPopen\nu0s.",
        "p: refers to 'subprocess.Popen" COULD_RUN),
    /* what is known and no function is called */
    BAD(P2 "ctorch\nFloatStorage\n)R.", "p: calls 'torch.FloatStorage" COULD_RUN),
    /* objects by their class: protocols 0, 1, 2 and 4 */
    BAD(P2 "(X\x02\0\0\0lsios\nsystem\n.", "p: refers to 'os.system" COULD_RUN),
    BAD(P2 "(itorch\nSize\n.", "p: makes an object of 'torch.Size" COULD_RUN),
    BAD(P2 "(" SIZE "o.", "p: makes an object of 'torch.Size" COULD_RUN),
    BAD(P2 SIZE ")\x81.", "p: makes an object of 'torch.Size" COULD_RUN),
    BAD(P4 SIZE ")}\x92.", "p: makes an object of 'torch.Size" COULD_RUN),
    BAD(P2 SIZE ")R}b.", "p: sets the state of 'torch.Size" COULD_RUN),
    /* Python's registry of numbers for names; a persistent id as a line of text */
    BAD(P2 "\x82\x01.", "p: at byte 2 is the instruction 0x82, which torch.save does not write"),
    BAD(P2 "Pstorage\n.", "p: at byte 2 is the instruction 0x50, which torch.save does not write"),
};

static const bad damaged[] = {
    BAD("", "p: is truncated: it ends at byte 0 without its last instruction; copy the file again"),
    BAD(P2, "p: is truncated: it ends at byte 2 without its last instruction; copy the file again"),
    BAD("\x80", DAMAGED("0", "it is cut off")),
    BAD(P2 "J\0\0", DAMAGED("2", "it is cut off")),
    BAD(P2 "N.N", "p: is damaged: 1 bytes follow its last instruction; copy the file again"),
    BAD(P2 "\0.", "p: at byte 2 is the instruction 0x00, which torch.save does not write"),
    BAD(P2 "\xff.", "p: at byte 2 is the instruction 0xff, which torch.save does not write"),
    BAD("\x80\x01N.", "p: is of pickle protocol 1, want 2 to 5"),
    BAD("\x80\x06N.", "p: is of pickle protocol 6, want 2 to 5"),
    BAD(P2 "X\x04\0\0\0abc", DAMAGED("2", "more bytes are announced than there are")),
    BAD(P2 "X\xff\xff\xff\xff.", DAMAGED("2", "more bytes are announced than there are")),
    BAD(P4 "\x8d\xff\xff\xff\xff\xff\xff\xff\xff.",
        DAMAGED("2", "more bytes are announced than there are")),
    BAD(P4 "\x8e\0\0\0\0\0\0\0\x80.", DAMAGED("2", "more bytes are announced than there are")),
    BAD(P2 "X\x02\0\0\0\xc3(.", DAMAGED("2", "a text is not UTF-8")),
    BAD(P2 "cos\nsystem", DAMAGED("2", "a name has no end")),
    BAD(P2 "cos", DAMAGED("2", "a name has no end")),
    BAD(P2 "c\xff\nx\n.", DAMAGED("2", "a name is no text, or too long")),
    BAD(P2
        "caaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\nx\n.",
        DAMAGED("2", "a name is no text, or too long")),
    BAD(P4 "K\x01K\x02\x93.", DAMAGED("6", "a name is no text")),
    BAD(P2 ".", DAMAGED("2", "it ends with other than one value")),
    BAD(P2 "NN.", DAMAGED("4", "it ends with other than one value")),
    BAD(P2 "(.", DAMAGED("3", "it ends with other than one value")),
    BAD(P2 "0N.", DAMAGED("2", "a value is missing")),
    BAD(P2 "(0N.", DAMAGED("3", "a value is missing")),
    BAD(P2 "N\x86.", DAMAGED("3", "a value is missing")),
    BAD(P2 "N(N\x86.", DAMAGED("5", "a value is missing")),
    BAD(P2 "}(NNs.", DAMAGED("6", "a value is missing")),
    BAD(P2 "t.", DAMAGED("2", "a mark is missing")),
    BAD(P2 "1.", DAMAGED("2", "a mark is missing")),
    BAD(P2 "}(Nu.", DAMAGED("5", "a key has no value")),
    BAD(P2 "(Nd.", DAMAGED("4", "a key has no value")),
    BAD(P2 "(u.", DAMAGED("3", "a value is missing")),
    BAD(P2 "](NNu.", DAMAGED("6", "what gets entries is no dict")),
    BAD(P2 "]NNs.", DAMAGED("5", "what gets entries is no dict")),
    BAD(P2 ")}b.", DAMAGED("4", "what gets a state is no dict")),
    BAD(P2 "h\0.", DAMAGED("2", "a value is recalled that was not remembered")),
    BAD(P2 "j\xff\xff\xff\xff.", DAMAGED("2", "a value is recalled that was not remembered")),
    BAD(P2 "Nq\x01.", DAMAGED("3", "a value is remembered in no place")),
    BAD(P2 "Nr\xff\xff\xff\xff.", DAMAGED("3", "a value is remembered in no place")),
    BAD(P2 "q\0N.", DAMAGED("2", "a value is missing")),
    BAD(P2 "(q\0N.", DAMAGED("3", "a value is missing")),
    BAD(P2 "N)R.", DAMAGED("4", "what is called is no function, or gets no arguments")),
    BAD(P2 SIZE "NR.", DAMAGED("15", "what is called is no function, or gets no arguments")),
    BAD(P2 "ccollections\nOrderedDict\n]\x85R.",
        DAMAGED("29", "an OrderedDict is made of something")),
    BAD(P2 "NN\x81.", DAMAGED("4", "a class is missing")),
    BAD(P2 "(o.", DAMAGED("3", "a class is missing")),
};

static void what_could_run_code_is_named(void)
{
    for (size_t k = 0; k < sizeof hostile / sizeof hostile[0]; k++)
        refused(hostile[k].bytes, (int64_t)hostile[k].length, hostile[k].want);
}

static void damage_is_named_with_its_place(void)
{
    for (size_t k = 0; k < sizeof damaged / sizeof damaged[0]; k++)
        refused(damaged[k].bytes, (int64_t)damaged[k].length, damaged[k].want);
}

/* The dict {"a": tensor(1, -2), "b": {"a": {}}} of these tests. */
static const char sample[] = P4 "}\x94(\x8c\1a\x94" TENSOR "K\1J\xfe\xff\xff\xff\x86R"
                                "\x8c\1b}h\1}su\x8c\1zN\x86\x94"
                                "00h\0.";

static void data_is_read_as_python_reads_it(void)
{
    const int64_t          length = sizeof sample - 1;
    sd_pickle             *pickle = NULL;
    sd_pickle_walk         walk   = {0};
    sd_pickle_entry        entry[4];
    int64_t                n = 0, count = 0;
    const sd_pickle_value *part;

    CHECK(read_bytes(sample, length, &pickle) == SD_OK);
    if (pickle == NULL) return;
    while (n < 4 && sd_pickle_next(pickle, &walk, &entry[n])) n++;
    CHECK(n == 3);
    CHECK(sd_pickle_is_text(pickle, entry[0].key, "a") &&
          !sd_pickle_same(entry[0].dict, entry[1].dict));
    CHECK(sd_pickle_kind_of(entry[0].value) == SD_PICKLE_DICT); /* {"a": {}} was made first */
    CHECK(sd_pickle_same(entry[1].dict, sd_pickle_root(pickle)));
    CHECK(sd_pickle_is_text(pickle, entry[1].key, "a"));
    CHECK(sd_pickle_kind_of(entry[1].value) == SD_PICKLE_CALL);
    part = sd_pickle_parts(pickle, entry[1].value, &count);
    CHECK(count == 2 && sd_pickle_integer(part[0]) == 0);
    part = sd_pickle_parts(pickle, part[1], &count);
    CHECK(count == 2 && sd_pickle_integer(part[0]) == 1 && sd_pickle_integer(part[1]) == -2);
    CHECK(sd_pickle_is_text(pickle, entry[2].key, "b"));
    CHECK(!sd_pickle_is_text(pickle, entry[2].key, "bb") &&
          !sd_pickle_is_text(pickle, part[0], ""));
    CHECK(sd_pickle_same(entry[2].value, entry[0].dict));
    sd_pickle_destroy(&pickle);
}

/* Whole numbers as Python writes them, and what a size can never be. */
static void numbers_keep_their_value(void)
{
    static const struct {
        const char    *bytes;
        size_t         length;
        sd_pickle_kind kind;
        int64_t        want;
    } number[] = {
#define NUMBER(bytes, kind, want) {P2 bytes ".", sizeof(P2 bytes), kind, want}
        NUMBER("K\xff", SD_PICKLE_INTEGER, 255),
        NUMBER("M\xff\xff", SD_PICKLE_INTEGER, 65535),
        NUMBER("J\0\0\0\x80", SD_PICKLE_INTEGER, INT32_MIN),
        NUMBER("J\xff\xff\xff\x7f", SD_PICKLE_INTEGER, INT32_MAX),
        NUMBER("\x8a\0", SD_PICKLE_INTEGER, 0),
        NUMBER("\x8a\x01\xff", SD_PICKLE_INTEGER, -1),
        NUMBER("\x8a\x05\0\0\0\0\x01", SD_PICKLE_INTEGER, INT64_C(1) << 32),
        NUMBER("\x8b\x02\0\0\0\x80\0", SD_PICKLE_INTEGER, 128),
        NUMBER("\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x07", SD_PICKLE_INTEGER, INT64_MAX / 16),
        NUMBER("\x8a\x08\0\0\0\0\0\0\0\x08", SD_PICKLE_OTHER, 0),
        NUMBER("\x8a\x08\0\0\0\0\0\0\0\x80", SD_PICKLE_OTHER, 0),
        NUMBER("\x8a\x09\0\0\0\0\0\0\0\0\x01", SD_PICKLE_OTHER, 0),
    };

    for (size_t k = 0; k < sizeof number / sizeof number[0]; k++) {
        sd_pickle *pickle = NULL;

        CHECK(read_bytes(number[k].bytes, (int64_t)number[k].length, &pickle) == SD_OK);
        if (pickle == NULL) continue;
        CHECK(sd_pickle_kind_of(sd_pickle_root(pickle)) == number[k].kind);
        CHECK(number[k].kind == SD_PICKLE_OTHER ||
              sd_pickle_integer(sd_pickle_root(pickle)) == number[k].want);
        sd_pickle_destroy(&pickle);
    }
}

static void every_truncation_is_refused(void)
{
    sd_pickle *pickle = NULL;

    for (int64_t length = 0; length < (int64_t)sizeof sample - 1; length++) {
        char *copy = malloc((size_t)length + 1); /* exactly so long: a byte too far is seen */

        memcpy(copy, sample, (size_t)length);
        sd_clear();
        CHECK(read_bytes(copy, length, &pickle) == SD_ERR_INPUT && pickle == NULL);
        free(copy);
    }
}

static long peak_kib(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

/* Many times an instruction, between a beginning and an end. */
static void refused_many(const char *begin, const char *many, int64_t times, const char *end,
                         size_t end_bytes, const char *want)
{
    const size_t first = strlen(begin), one = strlen(many);
    char        *bytes = malloc(first + one * (size_t)times + end_bytes), *at = bytes;

    memcpy(at, begin, first);
    at += first;
    for (int64_t k = 0; k < times; k++, at += one) memcpy(at, many, one);
    memcpy(at, end, end_bytes);
    refused(bytes, at + (int64_t)end_bytes - bytes, want);
    free(bytes);
}

/*
 * Nesting without end, and the doubling that makes 2^n of n: neither takes a stack of ours, nor
 * more than 8 bytes of memory for each one of the pickle.
 */
static void bombs_do_not_grow(void)
{
    const long    before = peak_kib();
    const int64_t most   = 4000000;

    refused_many(P2 "N", "\x85", most, "0.", 2,
                 DAMAGED("4000004", "it ends with other than one value"));
    CHECK((peak_kib() - before) / 1024 <= 9 * most / (1 << 20) + 16);
    refused_many(
        P2, "(", most, ".", 1,
        "p: at byte 65538 more than 65536 values are unfinished, which torch.save does not "
        "write");
    refused_many(P2 "N", "\x85", most, "", 0,
                 "p: is truncated: it ends at byte 4000003 without its last instruction; copy the "
                 "file again");
    /* t = (t, t), 20 000 times over: each level is two values, not twice the one below */
    refused_many(P4 ")q\x01", "h\x01h\x01\x86q\x01", 20000, "(.", 2,
                 DAMAGED("140006", "it ends with other than one value"));
}

static sd_status read_and_release(void)
{
    sd_pickle      *pickle = NULL;
    const sd_status st     = read_bytes(sample, sizeof sample - 1, &pickle);

    sd_pickle_destroy(&pickle);
    return st;
}

int main(void)
{
    what_could_run_code_is_named();
    damage_is_named_with_its_place();
    data_is_read_as_python_reads_it();
    numbers_keep_their_value();
    every_truncation_is_refused();
    bombs_do_not_grow();
    walk_shortages(read_and_release);
    return REPORT();
}
