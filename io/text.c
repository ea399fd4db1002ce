#include "io/text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "solvers/base/memory.h"

void sd_ids_destroy(sd_ids **ids)
{
    if (*ids == NULL) return;
    sd_free((*ids)->first);
    sd_free((*ids)->id);
    sd_free(*ids);
    *ids = NULL;
}

/* ---- whole files ---- */

static sd_status open_regular(const char *path, int *file)
{
    sd_status   st = SD_OK;
    struct stat is;

    *file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not make us wait */
    SD_REQUIRE(*file >= 0, SD_ERR_INPUT, "%s: %s", path, strerror(errno));
    SD_REQUIRE(fstat(*file, &is) == 0, SD_ERR_INPUT, "%s: %s", path, strerror(errno));
    SD_REQUIRE(S_ISREG(is.st_mode), SD_ERR_INPUT, "%s: is %s, want a file", path,
               S_ISDIR(is.st_mode) ? "a folder" : "a device or pipe");
    SD_REQUIRE(is.st_size <= SD_FILE_MAX, SD_ERR_INPUT,
               "%s: %" PRId64 " bytes, the most that can be read at once is %" PRId64, path,
               (int64_t)is.st_size, SD_FILE_MAX);

done:
    return st;
}

/* Reads to the end rather than to the size that the file had a moment ago. */
static sd_status read_all(const char *path, int file, char **text, int64_t *length)
{
    enum { FIRST = 1 << 16 };
    sd_status st       = SD_OK;
    int64_t   capacity = FIRST, used = 0;
    char     *buffer = NULL, *grown = NULL;

    SD_TRY(sd_alloc(capacity, 1, &buffer));
    for (;;) {
        if (used == capacity - 1) {
            SD_REQUIRE(capacity <= SD_FILE_MAX, SD_ERR_INPUT, "%s: grows while it is read", path);
            SD_TRY(sd_alloc(2 * capacity, 1, &grown));
            memcpy(grown, buffer, (size_t)used);
            sd_free(buffer);
            buffer = grown;
            capacity *= 2;
        }
        const ssize_t got = read(file, buffer + used, (size_t)(capacity - 1 - used));
        if (got < 0 && errno == EINTR) continue;
        SD_REQUIRE(got >= 0, SD_ERR_INPUT, "%s: %s", path, strerror(errno));
        if (got == 0) break;
        used += got;
    }
    buffer[used] = '\0';
    *text        = buffer;
    *length      = used;
    buffer       = NULL;

done:
    sd_free(buffer);
    return st;
}

sd_status sd_file_read(const char *path, char **text, int64_t *length)
{
    sd_status st   = SD_OK;
    int       file = -1;

    *text   = NULL;
    *length = 0;
    SD_TRY(open_regular(path, &file));
    SD_TRY(read_all(path, file, text, length));

done:
    if (file >= 0) close(file);
    return st;
}

/* ---- UTF-8 ---- */

static bool is_continuation(unsigned char byte)
{
    return (byte & 0xC0) == 0x80;
}

/* Bytes of the well-formed character at c, of which `left` bytes are there; 0 if it is not one.
 * Overlong forms, surrogates and code points above U+10FFFF all show in the second byte. */
static int64_t character(const unsigned char *c, int64_t left)
{
    if (c[0] < 0x80) return 1;
    if (c[0] < 0xC2 || c[0] > 0xF4) return 0;
    if (left < 2 || !is_continuation(c[1])) return 0;
    if (c[0] < 0xE0) return 2;
    if ((c[0] == 0xE0 && c[1] < 0xA0) || (c[0] == 0xED && c[1] > 0x9F)) return 0;
    if ((c[0] == 0xF0 && c[1] < 0x90) || (c[0] == 0xF4 && c[1] > 0x8F)) return 0;
    if (left < 3 || !is_continuation(c[2])) return 0;
    if (c[0] < 0xF0) return 3;
    return left < 4 || !is_continuation(c[3]) ? 0 : 4;
}

int64_t sd_utf8_valid(const char *text, int64_t length)
{
    int64_t at = 0;

    while (at < length) {
        const int64_t n = character((const unsigned char *)text + at, length - at);
        if (n == 0) break;
        at += n;
    }
    return at;
}

sd_status sd_text_read(const char *path, char **text, int64_t *length)
{
    sd_status st   = SD_OK;
    int64_t   line = 1;

    SD_TRY(sd_file_read(path, text, length));
    const int64_t valid = sd_utf8_valid(*text, *length);
    for (int64_t i = 0; i < valid; i++) line += (*text)[i] == '\n';
    SD_REQUIRE(valid == *length, SD_ERR_INPUT,
               "%s: byte %" PRId64 " (0x%02X, line %" PRId64 ") is not UTF-8; want a UTF-8 text",
               path, valid, (unsigned)(unsigned char)(*text)[valid], line);

done:
    if (st != SD_OK) {
        sd_free(*text);
        *text   = NULL;
        *length = 0;
    }
    return st;
}

/* ---- ids ---- */

static sd_status ids_create(int64_t n_sequences, int64_t n_tokens, sd_ids **out)
{
    sd_status st  = SD_OK;
    sd_ids   *ids = NULL;

    *out = NULL;
    SD_TRY(sd_alloc(1, sizeof *ids, &ids));
    SD_TRY(sd_alloc(n_sequences + 1, sizeof *ids->first, &ids->first));
    SD_TRY(sd_alloc(n_tokens, sizeof *ids->id, &ids->id));
    ids->n_sequences = n_sequences;
    ids->n_tokens    = n_tokens;
    *out             = ids;
    ids              = NULL;

done:
    sd_ids_destroy(&ids);
    return st;
}

/* A place in an id file; lines and columns count from 1. */
typedef struct {
    const char *path, *at, *stop;
    int64_t     line, column;
} cursor;

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void advance(cursor *c)
{
    const bool is_end = *c->at == '\n';

    c->line += is_end;
    c->column = is_end ? 1 : c->column + 1;
    c->at++;
}

/* Reads the digits of one id, which white space or the end must follow. */
static sd_status read_id(cursor *c, int32_t *id)
{
    sd_status    st    = SD_OK;
    const cursor start = *c;
    int64_t      value = 0;

    while (c->at < c->stop && is_digit(*c->at)) {
        value = value * 10 + (*c->at - '0');
        SD_REQUIRE(value <= INT32_MAX, SD_ERR_INPUT,
                   "%s:%" PRId64 ":%" PRId64 ": the id is too large; the largest is %d", c->path,
                   start.line, start.column, INT32_MAX);
        advance(c);
    }
    SD_REQUIRE(c->at > start.at && (c->at == c->stop || is_blank(*c->at) || *c->at == '\n'),
               SD_ERR_INPUT,
               "%s:%" PRId64 ":%" PRId64 ": not an id; want decimal numbers between white space",
               c->path, start.line, start.column);
    *id = (int32_t)value;

done:
    return st;
}

/* Walks the file. With ids == NULL it counts; then it fills what was counted. */
static sd_status walk_ids(cursor c, sd_ids *ids, int64_t *n_sequences, int64_t *n_tokens)
{
    sd_status st        = SD_OK;
    int64_t   sequences = 0, tokens = 0, last_line = 0;

    while (c.at < c.stop) {
        int32_t id = 0;
        if (is_blank(*c.at) || *c.at == '\n') {
            advance(&c);
            continue;
        }
        const int64_t line = c.line;
        SD_TRY(read_id(&c, &id));
        sequences += line != last_line;
        last_line = line;
        tokens++;
        if (ids != NULL) {
            ids->id[tokens - 1]   = id;
            ids->first[sequences] = tokens;
        }
    }
    *n_sequences = sequences;
    *n_tokens    = tokens;

done:
    return st;
}

sd_status sd_ids_read(const char *path, sd_ids **out)
{
    sd_status st        = SD_OK;
    char     *text      = NULL;
    sd_ids   *ids       = NULL;
    int64_t   sequences = 0, tokens = 0, length = 0;

    *out = NULL;
    SD_TRY(sd_file_read(path, &text, &length));
    const cursor start = {path, text, text + length, 1, 1};
    SD_TRY(walk_ids(start, NULL, &sequences, &tokens));
    SD_REQUIRE(tokens > 0, SD_ERR_INPUT, "%s: holds no ids; want one sequence of ids per line",
               path);
    SD_TRY(ids_create(sequences, tokens, &ids));
    SD_TRY(walk_ids(start, ids, &sequences, &tokens));
    *out = ids;
    ids  = NULL;

done:
    sd_ids_destroy(&ids);
    sd_free(text);
    return st;
}

sd_status sd_ids_cut(const int32_t *id, int64_t n, int64_t sequences, int64_t length, int32_t bos,
                     sd_ids **out)
{
    sd_status     st    = SD_OK;
    sd_ids       *ids   = NULL;
    const int64_t taken = length - (bos >= 0); /* ids of the stream in a window */

    *out = NULL;
    SD_REQUIRE(sequences >= 1 && length >= 1, SD_ERR_USAGE,
               "%" PRId64 " sequences of %" PRId64 " tokens: want at least 1 of 1", sequences,
               length);
    const int64_t windows = taken > 0 ? n / taken : sequences;
    SD_REQUIRE(windows >= sequences, SD_ERR_INPUT,
               "the text is too short: %" PRId64 " tokens give %" PRId64 " sequences of %" PRId64
               ", want %" PRId64,
               n, windows, length, sequences);
    SD_REQUIRE(sequences <= INT64_MAX / length, SD_ERR_RESOURCE,
               "%" PRId64 " sequences of %" PRId64 " tokens are too many", sequences, length);
    SD_TRY(ids_create(sequences, sequences * length, &ids));
    for (int64_t s = 0; s < sequences; s++) {
        int32_t *to = ids->id + s * length;
        if (bos >= 0) *to++ = bos;
        if (taken > 0) memcpy(to, id + s * taken, (size_t)taken * sizeof *id);
        ids->first[s + 1] = (s + 1) * length;
    }
    *out = ids;
    ids  = NULL;

done:
    sd_ids_destroy(&ids);
    return st;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

sd_status sd_ids_trim(const sd_ids *in, int64_t sequences, int64_t length, int32_t bos,
                      sd_ids **out)
{
    sd_status     st    = SD_OK;
    sd_ids       *ids   = NULL;
    const int64_t extra = bos >= 0, kept = smaller(sequences, in->n_sequences);
    int64_t       total = 0;

    *out = NULL;
    SD_REQUIRE(sequences >= 1 && length >= 1, SD_ERR_USAGE,
               "%" PRId64 " sequences of %" PRId64 " tokens: want at least 1 of 1", sequences,
               length);
    for (int64_t s = 0; s < kept; s++)
        total += extra + smaller(in->first[s + 1] - in->first[s], length - extra);
    SD_TRY(ids_create(kept, total, &ids));
    for (int64_t s = 0, at = 0; s < kept; s++) {
        const int64_t n = smaller(in->first[s + 1] - in->first[s], length - extra);
        if (extra) ids->id[at++] = bos;
        if (n > 0) memcpy(ids->id + at, in->id + in->first[s], (size_t)n * sizeof *ids->id);
        at += n;
        ids->first[s + 1] = at;
    }
    *out = ids;
    ids  = NULL;

done:
    sd_ids_destroy(&ids);
    return st;
}
