/*
 * GGUF: one file with metadata and tensors, dims innermost first, weights in blocks of few bits.
 * Shown to the rest as the checkpoint that it was made from: its names, its order of rows, its
 * config; blocks read as the floats that they stand for.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "io/format.h"
#include "io/gguf_file.h"
#include "io/gguf_model.h"
#include "solvers/base/memory.h"

enum { MOST_RAW = 1 << 14 }; /* bytes read at once of a tensor in blocks */

/* Where a tensor is, and how its rows and numbers become the original's. */
typedef struct {
    const sd_gguf_tensor *stored;
    int64_t               n_heads; /* 0: the rows are in order */
    bool                  one_added;
} origin;

typedef struct {
    sd_gguf gguf;
    char   *names;
    origin *from; /* one per tensor, in the order of sd_tensor_file */
} state;

/* ---- opening ---- */

static void describe(const sd_gguf_tensor *t, const char *name, sd_tensor_info *out)
{
    const int64_t size =
        t->type->type >= 0 ? sd_dtype_size((sd_dtype)t->type->type) : t->type->bytes;

    *out = (sd_tensor_info){.name     = name,
                            .format   = t->type->name,
                            .type     = t->type->type,
                            .n_dims   = t->n_dims,
                            .elements = t->elements,
                            .bytes    = t->elements * size,
                            .stored   = t->bytes};
    for (int k = 0; k < t->n_dims; k++) out->shape[k] = t->dim[t->n_dims - 1 - k];
}

/* A tensor that is being sorted into its place. */
typedef struct {
    sd_tensor_info info;
    origin         from;
} row;

static int by_name(const void *a, const void *b)
{
    return strcmp(((const row *)a)->info.name, ((const row *)b)->info.name);
}

/* The original names, one behind the other; `rows` get theirs. */
static sd_status name_tensors(state *s, row *rows)
{
    sd_status st   = SD_OK;
    int64_t   used = 0;

    sd_gguf_original original;

    for (int64_t i = 0; i < s->gguf.n_tensors; i++) {
        SD_TRY(sd_gguf_original_of(&s->gguf, &s->gguf.tensor[i], &original));
        used += (int64_t)strlen(original.name) + 1;
    }
    SD_TRY(sd_alloc(used, 1, &s->names));
    used = 0;
    for (int64_t i = 0; i < s->gguf.n_tensors; i++) {
        const sd_gguf_tensor *t  = &s->gguf.tensor[i];
        char *const           to = s->names + used;

        SD_TRY(sd_gguf_original_of(&s->gguf, t, &original));
        strcpy(to, original.name);
        used += (int64_t)strlen(original.name) + 1;
        describe(t, to, &rows[i].info);
        rows[i].from = (origin){t, original.n_heads, original.one_added};
    }

done:
    return st;
}

static sd_status list_tensors(state *s, sd_tensor_file *out)
{
    sd_status     st    = SD_OK;
    const int64_t count = s->gguf.n_tensors;
    row          *rows  = NULL;

    SD_TRY(sd_alloc(count, sizeof *rows, &rows));
    SD_TRY(name_tensors(s, rows));
    qsort(rows, (size_t)count, sizeof *rows, by_name);
    SD_TRY(sd_alloc(count, sizeof *out->tensor, &out->tensor));
    SD_TRY(sd_alloc(count, sizeof *s->from, &s->from));
    for (int64_t i = 0; i < count; i++) {
        out->tensor[i] = rows[i].info;
        s->from[i]     = rows[i].from;
    }
    out->count = count;

done:
    sd_free(rows);
    return st;
}

static sd_status open_file(const char *path, const char *shown, sd_tensor_file *out)
{
    sd_status st = SD_OK;
    state    *s  = NULL;

    SD_TRY(sd_alloc(1, sizeof *s, &s));
    out->state = s;
    SD_TRY(sd_gguf_open(path, shown, &s->gguf));
    SD_TRY(sd_gguf_is_known(&s->gguf));
    SD_TRY(list_tensors(s, out));

done:
    return st;
}

/* ---- reading ---- */

/*
 * Bytes [offset, offset + count) of a tensor as read, its rows as stored. Blocks that the range
 * cuts are decoded whole and copied in part.
 */
static sd_status read_blocks(const state *s, const sd_gguf_tensor *t, int64_t offset, int64_t count,
                             char *out)
{
    sd_status           st   = SD_OK;
    const sd_gguf_type *type = t->type;
    const int64_t       size = type->elements * (int64_t)sizeof(float);
    unsigned char       raw[MOST_RAW];
    float               block[SD_GGUF_BLOCK];

    while (count > 0) {
        const int64_t first = offset / size, most = MOST_RAW / type->bytes;
        int64_t       n = (offset % size + count + size - 1) / size;

        if (n > most) n = most;
        SD_TRY(sd_file_read_at(&s->gguf.file, s->gguf.shown, t->begin + first * type->bytes,
                               n * type->bytes, raw));
        for (int64_t k = 0; k < n; k++) {
            const int64_t skip = offset % size;
            const int64_t rest = size - skip < count ? size - skip : count;

            type->decode(raw + k * type->bytes, block);
            memcpy(out, (const char *)block + skip, (size_t)rest);
            out += rest;
            offset += rest;
            count -= rest;
        }
    }

done:
    return st;
}

static sd_status read_stored(const state *s, const sd_gguf_tensor *t, int64_t offset, int64_t count,
                             char *out)
{
    if (t->type->decode != NULL) return read_blocks(s, t, offset, count, out);
    return sd_file_read_at(&s->gguf.file, s->gguf.shown, t->begin + offset, count, out);
}

/* The stored row that is row `r` of the original, of heads of `size` rows; see gguf_model.h. */
static int64_t stored_row(int64_t r, int64_t size)
{
    const int64_t head = r / size, in_head = r % size;

    return head * size + in_head % (size / 2) * 2 + in_head / (size / 2);
}

/* What a range begins with of one row, `n` bytes from `stored` on: takes it off the range. */
static void take_row(const sd_tensor_info *info, const origin *from, int64_t *offset,
                     int64_t *count, int64_t *stored, int64_t *n)
{
    const int64_t size = info->shape[0] / from->n_heads, bytes = info->bytes / info->shape[0];
    const int64_t skip = *offset % bytes;

    *n      = bytes - skip < *count ? bytes - skip : *count;
    *stored = stored_row(*offset / bytes, size) * bytes + skip;
    *offset += *n;
    *count -= *n;
}

static sd_status read_rows(const state *s, const sd_tensor_info *info, const origin *from,
                           int64_t offset, int64_t count, char *out)
{
    sd_status st = SD_OK;
    int64_t   stored, n;

    while (count > 0) {
        take_row(info, from, &offset, &count, &stored, &n);
        SD_TRY(read_stored(s, from->stored, stored, n, out));
        out += n;
    }

done:
    return st;
}

/* A norm's floats less the 1 that was added to them. */
static sd_status read_less_one(const state *s, const sd_gguf_tensor *t, int64_t offset,
                               int64_t count, char *out)
{
    enum { FLOATS = 1024, SIZE = sizeof(float) };
    sd_status st = SD_OK;
    float     some[FLOATS];

    while (count > 0) {
        const int64_t skip = offset % SIZE;
        int64_t       n    = (skip + count + SIZE - 1) / SIZE;

        if (n > FLOATS) n = FLOATS;
        const int64_t rest = n * SIZE - skip < count ? n * SIZE - skip : count;
        SD_TRY(read_stored(s, t, offset - skip, n * SIZE, (char *)some));
        for (int64_t i = 0; i < n; i++) some[i] -= 1;
        memcpy(out, (const char *)some + skip, (size_t)rest);
        out += rest;
        offset += rest;
        count -= rest;
    }

done:
    return st;
}

static sd_status read_bytes(const sd_tensor_file *file, int64_t i, int64_t offset, int64_t count,
                            void *out)
{
    const state *s = file->state;

    if (s->from[i].n_heads > 0 && count > 0)
        return read_rows(s, &file->tensor[i], &s->from[i], offset, count, out);
    if (s->from[i].one_added) return read_less_one(s, s->from[i].stored, offset, count, out);
    return read_stored(s, s->from[i].stored, offset, count, out);
}

static void prefetch_stored(const state *s, const sd_gguf_tensor *t, int64_t offset, int64_t count)
{
    const sd_gguf_type *type   = t->type;
    const bool          blocks = type->decode != NULL;
    const int64_t       size   = blocks ? type->elements * (int64_t)sizeof(float) : 1;
    const int64_t       bytes  = blocks ? type->bytes : 1;
    const int64_t       first = offset / size, end = (offset + count + size - 1) / size;

    sd_file_prefetch(&s->gguf.file, t->begin + first * bytes, (end - first) * bytes);
}

static void prefetch(const sd_tensor_file *file, int64_t i, int64_t offset, int64_t count)
{
    const state  *s    = file->state;
    const origin *from = &s->from[i];
    int64_t       stored, n;

    if (from->n_heads == 0) prefetch_stored(s, from->stored, offset, count);
    while (from->n_heads > 0 && count > 0) {
        take_row(&file->tensor[i], from, &offset, &count, &stored, &n);
        prefetch_stored(s, from->stored, stored, n);
    }
}

static sd_status read_config(const sd_tensor_file *file, sd_config **out)
{
    return sd_gguf_config(&((const state *)file->state)->gguf, out);
}

/* Two words stand for none. */
static bool has_tokenizer(const sd_tensor_file *file)
{
    const sd_gguf_pair *model =
        sd_gguf_find(&((const state *)file->state)->gguf, "tokenizer.ggml.model");

    return model != NULL &&
           (model->kind != SD_GGUF_TEXT ||
            (strcmp(model->is.text, "none") != 0 && strcmp(model->is.text, "no_vocab") != 0));
}

static void close_file(sd_tensor_file *file)
{
    state *s = file->state;

    if (s != NULL) {
        sd_gguf_close(&s->gguf);
        sd_free(s->names);
        sd_free(s->from);
        sd_free(s);
    }
    sd_free(file->tensor);
    *file = (sd_tensor_file){0};
}

extern const sd_format sd_format_gguf;

const sd_format sd_format_gguf = {
    .name          = "gguf",
    .extensions    = {".gguf"},
    .open          = open_file,
    .read          = read_bytes,
    .prefetch      = prefetch,
    .config        = read_config,
    .has_tokenizer = has_tokenizer,
    .close         = close_file,
};
