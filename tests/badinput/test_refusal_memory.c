/*
 * A file that is refused takes at most 8 times its size and 16 MiB: the peak of a process that
 * opens it, less that of one that opens an empty file. Files of some MB whose headers ask for all
 * that can be asked for. Under the address sanitizer, which needs more memory than the program, the
 * bytes that it was asked for are counted.
 */
#include <inttypes.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "io/checkpoint.h"
#include "tests/support/check.h"
#include "tests/support/tensors.h"

enum { MOST_TIMES = 8, SPARE = 16 << 20, WANTED = 2 << 20 /* bytes of a file, about */ };

#if defined(__SANITIZE_ADDRESS__)
#define COUNTS_BYTES
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define COUNTS_BYTES
#endif
#endif

/* ---- the most memory that this process had ---- */

#ifdef COUNTS_BYTES
/* As in clang's sanitizer/allocator_interface.h, which gcc does not install. */
int    __sanitizer_install_malloc_and_free_hooks(void (*note_alloc)(const volatile void *, size_t),
                                                 void (*note_free)(const volatile void *));
size_t __sanitizer_get_allocated_size(const volatile void *memory);

static int64_t live, most_live;

static void note_alloc(const volatile void *memory, size_t bytes)
{
    (void)memory;
    live += (int64_t)bytes;
    if (live > most_live) most_live = live;
}

static void note_free(const volatile void *memory)
{
    if (memory != NULL) live -= (int64_t)__sanitizer_get_allocated_size(memory);
}

static void watch(void)
{
    scratch_need(__sanitizer_install_malloc_and_free_hooks(note_alloc, note_free) != 0, "hooks");
}

static int64_t peak_bytes(void)
{
    return most_live;
}
#else
static void watch(void)
{
}

static int64_t peak_bytes(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (int64_t)usage.ru_maxrss * 1024;
}
#endif

/* ---- a process of its own per file ---- */

typedef struct {
    sd_status st;
    int64_t   peak;
} outcome;

static outcome open_in_a_process(const char *name)
{
    outcome out = {SD_OK, 0};
    int     ends[2];

    scratch_need(pipe(ends) == 0, "pipe");
    const pid_t child = fork();
    scratch_need(child >= 0, "fork");
    if (child == 0) {
        sd_checkpoint *c = NULL;

        watch();
        out.st   = sd_checkpoint_open(scratch_path(name), &c);
        out.peak = peak_bytes();
        _exit(write(ends[1], &out, sizeof out) == sizeof out ? 0 : 1);
    }
    scratch_need(read(ends[0], &out, sizeof out) == sizeof out, "a process that opens a file");
    scratch_need(waitpid(child, NULL, 0) == child, "waitpid");
    close(ends[0]);
    close(ends[1]);
    return out;
}

/* `opened` is the file itself, or the folder that it is in. */
static void is_refused_within_bounds(const char *name, const char *opened, const char *what)
{
    struct stat   info;
    const outcome empty = open_in_a_process("empty.gguf"), it = open_in_a_process(opened);
    const int64_t peak = it.peak - empty.peak;

    scratch_need(stat(scratch_path(name), &info) == 0, name);
    CHECK(it.st == SD_ERR_INPUT && empty.st == SD_ERR_INPUT);
    if (peak > MOST_TIMES * (int64_t)info.st_size + SPARE) {
        check_failures++;
        fprintf(stderr, "%s: %lld bytes, and %" PRId64 " MiB to refuse it\n", what,
                (long long)info.st_size, peak >> 20);
    }
    scratch_remove(name);
}

static void put(FILE *file, uint64_t value, int size)
{
    for (int i = 0; i < size; i++) fputc((int)(value >> (8 * i) & 255), file);
}

/* ---- safetensors ---- */

/* A header: `first`, then `each` again and again with a number in the place of its %, then `last`.
 */
static const struct {
    const char *first, *each, *last;
} headers[] = {
    {"{\"a\":[", "[],", "0]}"},
    {"{\"a\":[", "[0],", "0]}"},
    {"{\"a\":[", "{},", "0]}"},
    {"{\"a\":[", "{\"\":0},", "0]}"},
    {"{\"a\":[", "{\"a\":0,\"b\":0,\"c\":0,\"d\":0,\"e\":0,\"f\":0,\"g\":0,\"h\":0},", "0]}"},
    {"{\"a\":[", "[0,0,0,0,0,0,0,0,0],", "0]}"},
    {"{\"a\":[", "0,", "0]}"},
    {"{\"a\":[", "1e9,", "0]}"},
    {"{\"a\":[", "true,", "0]}"},
    {"{\"a\":[", "\"\",", "0]}"},
    {"{\"a\":[", "\"\\u00e9\",", "0]}"},
    {"{\"a\":\"", "b", "\"}"},
    {"{\"a\":\"", "\\u00e9", "\"}"},
    {"{", "\"%08lx\":0,", "\"a\":0}"},
    {"{", "\"%08lx\":null,", "\"a\":0}"},
    {"{", "\"%08lx\":[],", "\"a\":0}"},
    {"{", "\"%08lx\":{},", "\"a\":0}"},
    {"{\"__metadata__\":{", "\"%08lx\":\"\",", "\"a\":\"\"},\"a\":0}"},
    {"{", "\"%08lx\":{\"dtype\":\"F4\",\"shape\":[0],\"data_offsets\":[0,0]},", "\"a\":0}"},
    {"{", "\"%08lx\":{\"dtype\":\"F32\",\"shape\":[0,1],\"data_offsets\":[0,0]},",
     "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}"},
    {"", " ", "{"},
    {"{\"a\":0", "\n", "x"},
    {"", "[", ""},
    {"", "{\"a\":", ""},
    {"[", "0,", ""},
};

/* `each` takes one `share`th of it, spaces the rest. */
static void write_header(const char *first, const char *each, const char *last, int share)
{
    FILE *file = fopen(scratch_path("m.safetensors"), "wb");
    long  end, n = 0;

    scratch_need(file != NULL, "m.safetensors");
    put(file, 0, 8);
    fputs(first, file);
    while (ftell(file) < WANTED / share) {
        const char *number = strchr(each, '%');

        if (number == NULL)
            fputs(each, file);
        else
            fprintf(file, "%.*s%08lx%s", (int)(number - each), each, n++, number + strlen("%08lx"));
    }
    fputs(last, file);
    while (ftell(file) < WANTED) fputc(' ', file);
    end = ftell(file) - 8;
    rewind(file);
    put(file, (uint64_t)end, 8);
    scratch_need(fclose(file) == 0, "m.safetensors");
}

static void no_json_takes_more_than_its_file(void)
{
    for (size_t k = 0; k < sizeof headers / sizeof headers[0]; k++) {
        /* the whole header, and as much of it as the parser may be given */
        for (int share = 1; share <= 6; share += 5) {
            write_header(headers[k].first, headers[k].each, headers[k].last, share);
            is_refused_within_bounds("m.safetensors", "m.safetensors", headers[k].each);
        }
    }
}

/* ---- GGUF ---- */

static void put_text(FILE *file, const char *text)
{
    put(file, strlen(text), 8);
    fputs(text, file);
}

static void put_u32(FILE *file, const char *key, uint32_t value)
{
    put_text(file, key);
    put(file, 4, 4);
    put(file, value, 4);
}

/* The beginning of a llama, with so many more entries and tensors to come. */
static FILE *begin_gguf(uint64_t n_pairs, uint64_t n_tensors)
{
    FILE *file = fopen(scratch_path("m.gguf"), "wb");

    scratch_need(file != NULL, "m.gguf");
    fputs("GGUF", file);
    put(file, 3, 4);
    put(file, n_tensors, 8);
    put(file, n_pairs + 6, 8);
    put_text(file, "general.architecture");
    put(file, 8, 4);
    put_text(file, "llama");
    put_u32(file, "general.alignment", 4);
    put_u32(file, "llama.block_count", 1 << 20);
    put_u32(file, "llama.embedding_length", 4);
    put_u32(file, "llama.feed_forward_length", 4);
    put_u32(file, "llama.attention.head_count", 2);
    return file;
}

static void end_gguf(FILE *file, const char *what)
{
    scratch_need(fclose(file) == 0, "m.gguf");
    is_refused_within_bounds("m.gguf", "m.gguf", what);
}

/* The shortest entries there are: all keys empty, or of three bytes that differ. */
static void write_pairs(bool are_distinct)
{
    const uint64_t n    = WANTED / 16;
    FILE          *file = begin_gguf(n, 0);

    for (uint64_t k = 0; k < n; k++) {
        put(file, are_distinct ? 3 : 0, 8);
        for (int i = 0; are_distinct && i < 3; i++) fputc((int)('0' + (k >> (6 * i) & 63)), file);
        put(file, 0, 4);
        put(file, 0, 1);
    }
    if (!are_distinct) {
        end_gguf(file, "empty keys");
        return;
    }
    put(file, 0, 5); /* trailing bytes, seen last */
    end_gguf(file, "many keys");
}

static void write_tensors(const char *last)
{
    const uint64_t n    = WANTED / 52;
    FILE          *file = begin_gguf(0, n + 1);

    for (uint64_t k = 0; k <= n; k++) {
        char name[64];

        snprintf(name, sizeof name, "blk.%" PRIu64 ".ffn_up.bias", k);
        put_text(file, k < n ? name : last);
        put(file, 0, 4); /* a single number */
        put(file, 0, 4);
        put(file, 4 * k, 8);
    }
    while (ftell(file) % 4 != 0) fputc(0, file);
    for (uint64_t k = 0; k <= n; k++) put(file, 0, 4);
    end_gguf(file, last);
}

/* One array or text that takes the whole file, and does not end in it. */
static void write_long(uint64_t type, uint64_t claimed, uint64_t length)
{
    FILE *file = begin_gguf(1, 0);
    char  what[64];

    put_text(file, "k");
    put(file, type, 4);
    if (type == 9) put(file, claimed, 4);
    put(file, length, 8);
    while (ftell(file) < WANTED) put(file, 0, 8);
    snprintf(what, sizeof what, "type %" PRIu64 " of %" PRIu64 ", %" PRIu64, type, claimed, length);
    end_gguf(file, what);
}

static void no_gguf_takes_more_than_its_file(void)
{
    write_pairs(false);
    write_pairs(true);
    write_tensors("blk.0.ffn_up.bias");
    write_tensors("blk.0.attn_q_norm.weight");
    write_long(8, 0, WANTED - 400);
    write_long(9, 0, WANTED - 400);
    write_long(9, 8, (WANTED - 400) / 8);
    write_long(9, 9, (WANTED - 400) / 8);
    write_long(9, 12, UINT64_C(1) << 61);
}

/* ---- torch ---- */

/* What the two headers of a member have in common. */
static void put_member(FILE *file, int64_t bytes)
{
    put(file, 20, 2);
    put(file, 0, 8);
    put(file, 0, 4); /* stored; without a date and a checksum */
    put(file, (uint64_t)bytes, 4);
    put(file, (uint64_t)bytes, 4);
    put(file, strlen("m/data.pkl"), 2);
}

static void end_archive(FILE *file, int64_t bytes)
{
    const long table = ftell(file);

    fputs("PK\1\2", file);
    put(file, 20, 2);
    put_member(file, bytes);
    put(file, 0, 8);
    put(file, 0, 8);
    fputs("m/data.pkl", file);
    const long length = ftell(file) - table;
    fputs("PK\5\6", file);
    put(file, 0, 4);
    put(file, 1, 2);
    put(file, 1, 2);
    put(file, (uint64_t)length, 4);
    put(file, (uint64_t)table, 4);
    put(file, 0, 2);
    scratch_need(fclose(file) == 0, "m.bin");
}

/* Many a pickle's instruction: `first`, then `each` again and again with a number for its %,
 * `last`.
 */
static void refuse_pickle(const char *first, const char *each, long times, const char *last)
{
    FILE *file = fopen(scratch_path("m.bin"), "wb");

    scratch_need(file != NULL, "m.bin");
    fputs("PK\3\4", file);
    put_member(file, 0); /* the table counts */
    put(file, 0, 2);
    fputs("m/data.pkl\x80\2", file);
    const long begin = ftell(file) - 2;
    fputs(first, file);
    for (long n = 0; n < times; n++) {
        const char *number = strchr(each, '%');

        if (number == NULL)
            fputs(each, file);
        else
            fprintf(file, "%.*s%04lx%s", (int)(number - each), each, n, number + strlen("%04lx"));
    }
    fputs(last, file);
    end_archive(file, ftell(file) - begin);
    is_refused_within_bounds("m.bin", "m.bin", each);
}

/* Tuples, calls, dicts and what is remembered of them; the most tensors, the last of them bad. */
static void no_pickle_takes_more_than_its_file(void)
{
    refuse_pickle("N", "\x85", WANTED, "0.");
    refuse_pickle("", ")0", WANTED / 2, "cos\nsystem\n.");
    refuse_pickle("", "}0", WANTED / 2, "cos\nsystem\n.");
    refuse_pickle("N", "\x94", WANTED, "cos\nsystem\n.");
    refuse_pickle("", "N0", WANTED / 2, "cos\nsystem\n.");
    refuse_pickle("", "NQ0", WANTED / 3, "cos\nsystem\n.");
    refuse_pickle("",
                  ")\x94"
                  "0",
                  WANTED / 3, "cos\nsystem\n.");
    refuse_pickle("}\x94\x8c\1a\x94"
                  "0",
                  "h\1}s", WANTED / 4, "cos\nsystem\n.");
    refuse_pickle("}\x94"
                  "ctorch._utils\n_rebuild_tensor_v2\n)R\x94"
                  "0",
                  "\x8c\4%04lxh\1s", 32768, ".");
    refuse_pickle("}\x94"
                  "ctorch._utils\n_rebuild_tensor_v2\n)R\x94"
                  "0",
                  "\x8c\4%04lxh\1s", 65536, ".");
}

/* ---- adapters ---- */

#define CONFIG                                                                                     \
    "{\"peft_type\":\"LORA\",\"r\":2,\"lora_alpha\":4,\"base_model_name_or_path\":\"../base\""

static void make_base(void)
{
    tensors t = {0};

    scratch_folder("base");
    tensors_llama(&t, "base/model.safetensors", 1, true);
    tensors_config("base/config.json", 1, "");
    scratch_folder("a");
}

/* As many patterns as are compiled, or as fit into the file; the last one is bad. */
static void write_patterns(long most)
{
    FILE *file = fopen(scratch_path("a/adapter_config.json"), "wb");

    scratch_need(file != NULL, "adapter_config.json");
    fputs(CONFIG ",\"rank_pattern\":{", file);
    for (long n = 1; n < most && ftell(file) < WANTED / 6; n++) fprintf(file, "\"%lx\":1,", n);
    fputs("\"(\":1}}", file);
    while (ftell(file) < WANTED) fputc(' ', file);
    scratch_need(fclose(file) == 0, "adapter_config.json");
    is_refused_within_bounds("a/adapter_config.json", "a", "patterns");
}

/* Tensors of which the last one, or all, change nothing in the base. */
static void write_factors(const char *last)
{
    FILE *file = fopen(scratch_path("a/adapter_model.safetensors"), "wb");

    scratch_text("a/adapter_config.json", CONFIG "}");
    scratch_need(file != NULL, "adapter_model.safetensors");
    put(file, 0, 8);
    fputc('{', file);
    for (long n = 0; ftell(file) < WANTED / 6; n++)
        fprintf(file, "\"%s%lx\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]},", last,
                n);
    fprintf(file, "\"%s\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}", last);
    while (ftell(file) < WANTED) fputc(' ', file);
    const long end = ftell(file) - 8;
    rewind(file);
    put(file, (uint64_t)end, 8);
    scratch_need(fclose(file) == 0, "adapter_model.safetensors");
    is_refused_within_bounds("a/adapter_model.safetensors", "a", last);
}

static void no_adapter_takes_more_than_its_file(void)
{
    make_base();
    write_patterns(4096);
    write_patterns(WANTED);
    write_factors("base_model.model.model.norm.weight");
    write_factors("z");
}

int main(void)
{
    scratch_open();
    scratch_text("config.json", "{}");
    scratch_text("empty.gguf", "");
    no_json_takes_more_than_its_file();
    no_gguf_takes_more_than_its_file();
    no_pickle_takes_more_than_its_file();
    no_adapter_takes_more_than_its_file();
    scratch_close();
    return REPORT();
}
