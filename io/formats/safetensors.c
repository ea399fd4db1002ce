/*
 * safetensors: 8 bytes, little-endian, the length of a JSON header; the header; the tensors' bytes.
 * The header maps names to {dtype, shape, data_offsets}; the offsets count from the end of the
 * header, leave no gap, do not overlap and end with the file.
 * Source: the format's specification, and what its reference reader accepts.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "io/file.h"
#include "io/format.h"
#include "io/json.h"
#include "solvers/base/memory.h"

enum {
    LENGTH_BYTES = 8,
    MOST_HEADER  = 100000000, /* bytes, by the specification */
    MOST_BITS    = 64,        /* of an element, stored or read */
    MOST_RAW     = 1 << 12    /* bytes read at once of 8-bit floats */
};

/* 8-bit floats are read as the single-precision numbers that they are. */
typedef float (*widening)(uint8_t bits);

static const struct {
    const char *name;
    int64_t     bits;  /* of an element */
    int         type;  /* the sd_dtype as read, or -1: not a format of weights */
    widening    widen; /* NULL: read as stored */
} dtypes[] = {
    {"F64", 64, SD_F64, NULL},
    {"F32", 32, SD_F32, NULL},
    {"F16", 16, SD_F16, NULL},
    {"BF16", 16, SD_BF16, NULL},
    {"F8_E4M3", 8, SD_F32, sd_f8_e4m3_value},
    {"F8_E5M2", 8, SD_F32, sd_f8_e5m2_value},
    {"F8_E8M0", 8, -1, NULL},
    {"F8_E4M3FNUZ", 8, -1, NULL},
    {"F8_E5M2FNUZ", 8, -1, NULL},
    {"F6_E2M3", 6, -1, NULL},
    {"F6_E3M2", 6, -1, NULL},
    {"F4", 4, -1, NULL},
    {"C64", 64, -1, NULL},
    {"I64", 64, -1, NULL},
    {"U64", 64, -1, NULL},
    {"I32", 32, -1, NULL},
    {"U32", 32, -1, NULL},
    {"I16", 16, -1, NULL},
    {"U16", 16, -1, NULL},
    {"I8", 8, -1, NULL},
    {"U8", 8, -1, NULL},
    {"BOOL", 8, -1, NULL},
};
enum { N_DTYPES = sizeof dtypes / sizeof dtypes[0] };

/* Where a tensor's bytes are, and what they are. */
typedef struct {
    int64_t begin; /* from the end of the header */
    int     dtype; /* of the table above */
} place;

typedef struct {
    sd_file     file;
    const char *shown;
    json_t     *header; /* owns the tensors' names */
    int64_t     data;   /* the file's byte at which the tensors begin */
    place      *at;     /* of each tensor */
} state;

/* What else such a file often is, for the hint. */
static const char *likely_cause(const unsigned char *first)
{
    if (memcmp(first, "version ", LENGTH_BYTES) == 0)
        return "this is a Git LFS pointer: fetch the file itself (git lfs pull)";
    if (memcmp(first, "PK\x03\x04", 4) == 0)
        return "this is a zip archive, as torch.save writes it";
    return "the file is damaged or no safetensors file; copy it again";
}

static sd_status read_header_text(state *s, char **text, int64_t *length)
{
    sd_status     st = SD_OK;
    unsigned char first[LENGTH_BYTES];
    uint64_t      claimed = 0;

    SD_REQUIRE(s->file.bytes > 0, SD_ERR_INPUT, "%s: is empty; copy it again", s->shown);
    SD_REQUIRE(s->file.bytes >= LENGTH_BYTES, SD_ERR_INPUT,
               "%s: is %" PRId64 " bytes long, too short for a safetensors file; copy it again",
               s->shown, s->file.bytes);
    SD_TRY(sd_file_read_at(&s->file, s->shown, 0, LENGTH_BYTES, first));
    for (int i = LENGTH_BYTES - 1; i >= 0; i--) claimed = claimed << 8 | first[i];

    SD_REQUIRE(claimed <= MOST_HEADER, SD_ERR_INPUT,
               "%s: its header claims %" PRIu64 " bytes, want at most %d: %s", s->shown, claimed,
               MOST_HEADER, likely_cause(first));
    SD_REQUIRE((int64_t)claimed <= s->file.bytes - LENGTH_BYTES, SD_ERR_INPUT,
               "%s: is truncated: its header takes %" PRIu64 " bytes and the file has %" PRId64
               " after its first %d; copy it again",
               s->shown, claimed, s->file.bytes - LENGTH_BYTES, LENGTH_BYTES);

    *length = (int64_t)claimed;
    s->data = LENGTH_BYTES + *length;
    SD_TRY(sd_alloc(*length + 1, 1, text));
    SD_TRY(sd_file_read_at(&s->file, s->shown, LENGTH_BYTES, *length, *text));

done:
    return st;
}

/*
 * Parses the header. The specification wants it to begin with a brace and to end with spaces; white
 * space on either side is taken too, as the reference reader does: there are writers of it.
 */
static sd_status read_header(state *s)
{
    sd_status st     = SD_OK;
    char     *text   = NULL;
    int64_t   length = 0;

    SD_TRY(read_header_text(s, &text, &length));
    SD_TRY(sd_json_parse(text, length, s->file.bytes, s->shown, &s->header));

done:
    sd_free(text);
    return st;
}

static sd_status check_metadata(const state *s)
{
    sd_status     st       = SD_OK;
    json_t       *metadata = json_object_get(s->header, "__metadata__");
    const char   *key;
    const json_t *value;

    if (metadata == NULL || json_is_null(metadata)) return SD_OK;
    SD_REQUIRE(json_is_object(metadata), SD_ERR_INPUT, "%s: '__metadata__' is no object", s->shown);
    json_object_foreach(metadata, key, value)
    {
        SD_REQUIRE(json_is_string(value), SD_ERR_INPUT,
                   "%s: '__metadata__' holds '%s' as no string", s->shown, key);
    }

done:
    return st;
}

/* A JSON integer >= 0, or -1. */
static int64_t count_of(const json_t *value)
{
    return json_is_integer(value) && json_integer_value(value) >= 0
               ? (int64_t)json_integer_value(value)
               : -1;
}

static sd_status read_dtype(const state *s, const json_t *entry, sd_tensor_info *info, int *dtype)
{
    sd_status     st   = SD_OK;
    const json_t *node = json_object_get(entry, "dtype");
    char          is[SD_JSON_SHOWN];
    int           k = 0;

    SD_REQUIRE(json_is_string(node), SD_ERR_INPUT, "%s: tensor '%s' has no 'dtype'", s->shown,
               info->name);
    while (k < N_DTYPES && strcmp(dtypes[k].name, json_string_value(node)) != 0) k++;
    sd_json_show(node, is);
    SD_REQUIRE(k < N_DTYPES, SD_ERR_INPUT, "%s: tensor '%s' has the unknown dtype %s", s->shown,
               info->name, is);
    info->format = dtypes[k].name;
    info->type   = dtypes[k].type;
    *dtype       = k;

done:
    return st;
}

/* A product that wraps is refused also where a later dimension is 0, as the reference does. */
static sd_status read_shape(const state *s, const json_t *entry, sd_tensor_info *info)
{
    sd_status     st       = SD_OK;
    const json_t *shape    = json_object_get(entry, "shape");
    uint64_t      elements = 1;

    SD_REQUIRE(json_is_array(shape), SD_ERR_INPUT, "%s: tensor '%s' has no 'shape'", s->shown,
               info->name);
    SD_REQUIRE(json_array_size(shape) <= SD_MAX_DIMS, SD_ERR_INPUT,
               "%s: tensor '%s' has %zu dimensions, want at most %d", s->shown, info->name,
               json_array_size(shape), SD_MAX_DIMS);
    info->n_dims = (int)json_array_size(shape);
    for (int k = 0; k < info->n_dims; k++) {
        info->shape[k] = count_of(json_array_get(shape, (size_t)k));
        SD_REQUIRE(info->shape[k] >= 0, SD_ERR_INPUT,
                   "%s: tensor '%s': dimension %d is no count of elements", s->shown, info->name,
                   k + 1);
        SD_REQUIRE(info->shape[k] == 0 || elements <= UINT64_MAX / (uint64_t)info->shape[k],
                   SD_ERR_INPUT, "%s: tensor '%s' is larger than any file: its shape is damaged",
                   s->shown, info->name);
        elements *= (uint64_t)info->shape[k];
    }
    SD_REQUIRE(elements <= INT64_MAX / MOST_BITS, SD_ERR_INPUT,
               "%s: tensor '%s' is larger than any file: its shape is damaged", s->shown,
               info->name);
    info->elements = (int64_t)elements;

done:
    return st;
}

static sd_status read_offsets(const state *s, const json_t *entry, const sd_tensor_info *info,
                              int64_t *begin)
{
    sd_status     st      = SD_OK;
    const json_t *offsets = json_object_get(entry, "data_offsets");
    const int64_t first   = count_of(json_array_get(offsets, 0));
    const int64_t last    = count_of(json_array_get(offsets, 1));

    SD_REQUIRE(json_array_size(offsets) == 2 && first >= 0 && last >= first, SD_ERR_INPUT,
               "%s: tensor '%s': 'data_offsets' are not [begin, end]", s->shown, info->name);
    SD_REQUIRE(last - first == info->stored, SD_ERR_INPUT,
               "%s: tensor '%s' takes %" PRId64 " bytes by its shape and %" PRId64
               " by its offsets: the header is damaged",
               s->shown, info->name, info->stored, last - first);
    SD_REQUIRE(last <= s->file.bytes - s->data, SD_ERR_INPUT,
               "%s: is truncated: tensor '%s' ends at byte %" PRId64 " of %" PRId64
               " after the header; copy the file again",
               s->shown, info->name, last, s->file.bytes - s->data);
    *begin = first;

done:
    return st;
}

static sd_status read_entry(const state *s, const char *name, const json_t *entry,
                            sd_tensor_info *info, place *at)
{
    sd_status st = SD_OK;
    int64_t   bits;

    info->name = name;
    SD_REQUIRE(json_is_object(entry), SD_ERR_INPUT, "%s: tensor '%s' is no object", s->shown, name);
    SD_TRY(read_dtype(s, entry, info, &at->dtype));
    SD_TRY(read_shape(s, entry, info));
    bits = info->elements * dtypes[at->dtype].bits;
    SD_REQUIRE(bits % 8 == 0, SD_ERR_INPUT,
               "%s: tensor '%s' of %s ends within a byte: its shape is damaged", s->shown, name,
               info->format);
    info->stored = bits / 8;
    info->bytes  = dtypes[at->dtype].widen == NULL
                       ? info->stored
                       : info->elements * sd_dtype_size((sd_dtype)info->type);
    SD_TRY(read_offsets(s, entry, info, &at->begin));

done:
    return st;
}

typedef struct {
    sd_tensor_info info;
    place          at;
} row;

static int by_name(const void *a, const void *b)
{
    return strcmp(((const row *)a)->info.name, ((const row *)b)->info.name);
}

static int by_place(const void *a, const void *b)
{
    const row *left = a, *right = b;

    if (left->at.begin != right->at.begin) return left->at.begin < right->at.begin ? -1 : 1;
    if (left->info.stored != right->info.stored)
        return left->info.stored < right->info.stored ? -1 : 1;
    return by_name(a, b);
}

/* The tensors must fill the rest of the file, one after the other. Sorts rows by place. */
static sd_status check_coverage(const state *s, row *rows, int64_t count)
{
    sd_status     st   = SD_OK;
    const int64_t rest = s->file.bytes - s->data;
    int64_t       end  = 0;

    qsort(rows, (size_t)count, sizeof *rows, by_place);
    for (int64_t i = 0; i < count; i++) {
        SD_REQUIRE(rows[i].at.begin == end, SD_ERR_INPUT,
                   "%s: tensor '%s' begins at byte %" PRId64 ", want %" PRId64
                   ": tensors %s; the header is damaged",
                   s->shown, rows[i].info.name, rows[i].at.begin, end,
                   rows[i].at.begin < end ? "overlap" : "leave a gap");
        end += rows[i].info.stored;
    }
    SD_REQUIRE(end == rest, SD_ERR_INPUT,
               "%s: has %" PRId64 " bytes after its last tensor; copy it again", s->shown,
               rest - end);

done:
    return st;
}

static sd_status read_rows(const state *s, row *rows)
{
    sd_status     st = SD_OK;
    const char   *name;
    const json_t *entry;
    int64_t       i = 0;

    json_object_foreach(s->header, name, entry)
    {
        if (strcmp(name, "__metadata__") == 0) continue;
        SD_TRY(read_entry(s, name, entry, &rows[i].info, &rows[i].at));
        i++;
    }

done:
    return st;
}

static sd_status list_tensors(state *s, sd_tensor_file *out)
{
    sd_status st   = SD_OK;
    row      *rows = NULL;

    out->count = (int64_t)json_object_size(s->header) -
                 (json_object_get(s->header, "__metadata__") != NULL ? 1 : 0);
    SD_TRY(sd_alloc(out->count, sizeof *rows, &rows));
    SD_TRY(sd_alloc(out->count, sizeof *out->tensor, &out->tensor));
    SD_TRY(sd_alloc(out->count, sizeof *s->at, &s->at));
    SD_TRY(read_rows(s, rows));
    SD_TRY(check_coverage(s, rows, out->count));
    qsort(rows, (size_t)out->count, sizeof *rows, by_name);
    for (int64_t i = 0; i < out->count; i++) {
        out->tensor[i] = rows[i].info;
        s->at[i]       = rows[i].at;
    }

done:
    sd_free(rows);
    return st;
}

static sd_status open_file(const char *path, const char *shown, sd_tensor_file *out)
{
    sd_status st = SD_OK;
    state    *s  = NULL;

    SD_TRY(sd_alloc(1, sizeof *s, &s));
    s->file.fd = -1;
    s->shown   = shown;
    out->state = s;
    SD_TRY(sd_file_open(path, shown, &s->file));
    SD_TRY(read_header(s));
    SD_TRY(check_metadata(s));
    SD_TRY(list_tensors(s, out));

done:
    return st;
}

/* Bytes [offset, offset + count) of a tensor of 8-bit floats as read: four for each that it has. */
static sd_status read_widened(const state *s, const place *at, int64_t offset, int64_t count,
                              char *out)
{
    enum { SIZE = sizeof(float) };
    sd_status st = SD_OK;
    uint8_t   raw[MOST_RAW];
    float     value[MOST_RAW];

    while (count > 0) {
        const int64_t first = offset / SIZE, skip = offset % SIZE;
        int64_t       n = (skip + count + SIZE - 1) / SIZE, rest;

        if (n > MOST_RAW) n = MOST_RAW;
        rest = n * SIZE - skip < count ? n * SIZE - skip : count;
        SD_TRY(sd_file_read_at(&s->file, s->shown, s->data + at->begin + first, n, raw));
        for (int64_t k = 0; k < n; k++) value[k] = dtypes[at->dtype].widen(raw[k]);
        memcpy(out, (const char *)value + skip, (size_t)rest);
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
    const state *s  = file->state;
    const place *at = &s->at[i];

    if (dtypes[at->dtype].widen != NULL) return read_widened(s, at, offset, count, out);
    return sd_file_read_at(&s->file, s->shown, s->data + at->begin + offset, count, out);
}

static void prefetch(const sd_tensor_file *file, int64_t i, int64_t offset, int64_t count)
{
    const state  *s    = file->state;
    const place  *at   = &s->at[i];
    const int64_t wide = dtypes[at->dtype].widen != NULL ? (int64_t)sizeof(float) : 1;

    sd_file_prefetch(&s->file, s->data + at->begin + offset / wide, count / wide);
}

static void close_file(sd_tensor_file *file)
{
    state *s = file->state;

    if (s != NULL) {
        sd_file_close(&s->file);
        json_decref(s->header);
        sd_free(s->at);
        sd_free(s);
    }
    sd_free(file->tensor);
    *file = (sd_tensor_file){0};
}

extern const sd_format sd_format_safetensors;

const sd_format sd_format_safetensors = {
    .name       = "safetensors",
    .extensions = {".safetensors"},
    .single     = "model.safetensors",
    .index      = "model.safetensors.index.json",
    .open       = open_file,
    .read       = read_bytes,
    .prefetch   = prefetch,
    .close      = close_file,
};
