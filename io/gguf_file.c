#include "io/gguf_file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "io/text.h"
#include "solvers/base/dtype.h"
#include "solvers/base/memory.h"

enum {
    FIRST_READ   = 1 << 16,
    MOST_HEADER  = 256 << 20, /* bytes: a vocabulary of a million tokens takes a tenth */
    MOST_KEY     = 65535,     /* bytes, by the specification */
    LEAST_PAIR   = 8 + 4 + 1, /* bytes of the shortest entries */
    LEAST_TENSOR = 8 + 4 + 4 + 8,
    ALIGNMENT    = 32
};

/*
 * The header as far as it was read, and the place in it. It is one array that grows, at most to
 * twice what is needed and never beyond the file; strings are kept as offsets until it is complete.
 */
typedef struct {
    sd_gguf *g;
    char    *bytes;
    int64_t  held, at;
} cursor;

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Sees to it that `count` more bytes are held. `what` and `name` say for whom. */
static sd_status need(cursor *c, uint64_t count, const char *what)
{
    sd_status     st   = SD_OK;
    const int64_t rest = c->g->file.bytes - c->at;
    char         *larger;
    int64_t       room;

    SD_REQUIRE(count <= (uint64_t)rest, SD_ERR_INPUT,
               "%s: is truncated or damaged: at byte %" PRId64 " %s takes %" PRIu64
               " bytes and the file has %" PRId64 " left; copy it again",
               c->g->shown, c->at, what, count, rest);
    SD_REQUIRE(count <= MOST_HEADER && c->at <= MOST_HEADER - (int64_t)count, SD_ERR_INPUT,
               "%s: its header is longer than %d bytes: the file is damaged", c->g->shown,
               MOST_HEADER);
    if (c->at + (int64_t)count <= c->held) return SD_OK;
    room = c->at + (int64_t)count;
    if (room < 2 * c->held) room = 2 * c->held;
    if (room < FIRST_READ) room = FIRST_READ;
    room = least(room, c->g->file.bytes);
    SD_TRY(sd_alloc(room, 1, &larger));
    if (c->held > 0) memcpy(larger, c->bytes, (size_t)c->held);
    sd_free(c->bytes);
    c->bytes = larger;
    SD_TRY(sd_file_read_at(&c->g->file, c->g->shown, c->held, room - c->held, larger + c->held));
    c->held = room;

done:
    return st;
}

/* A little-endian number of `size` bytes. */
static uint64_t number_at(const char *bytes, int size)
{
    uint64_t number = 0;

    for (int i = size - 1; i >= 0; i--) number = number << 8 | (unsigned char)bytes[i];
    return number;
}

/* An unsigned number of `size` bytes. */
static sd_status take(cursor *c, int size, const char *what, uint64_t *out)
{
    sd_status st = SD_OK;

    SD_TRY(need(c, (uint64_t)size, what));
    *out = number_at(c->bytes + c->at, size);
    c->at += size;

done:
    return st;
}

/*
 * A string of at most `most` bytes; `offset` is where it stands afterwards: moved over its own
 * length, which makes room for a zero behind it.
 */
static sd_status take_string(cursor *c, uint64_t most, const char *what, int64_t *offset)
{
    sd_status     st = SD_OK;
    const int64_t at = c->at;
    uint64_t      length;

    SD_TRY(take(c, 8, what, &length));
    SD_TRY(need(c, length, what));
    SD_REQUIRE(length <= most, SD_ERR_INPUT,
               "%s: at byte %" PRId64 " %s is %" PRIu64 " bytes long, want at most %" PRIu64
               ": the file is damaged",
               c->g->shown, at, what, length, most);

    char *text = c->bytes + at;
    memmove(text, text + 8, length);
    text[length] = '\0';
    SD_REQUIRE(sd_utf8_valid(text, (int64_t)length) == (int64_t)length &&
                   strlen(text) == (size_t)length,
               SD_ERR_INPUT, "%s: at byte %" PRId64 " %s is no UTF-8 text: the file is damaged",
               c->g->shown, at, what);
    c->at += (int64_t)length;
    *offset = at;

done:
    return st;
}

/* ---- metadata ---- */

enum { VALUE_TEXT = 8, VALUE_ARRAY = 9 };

static const struct {
    int          size; /* bytes; 0: not a plain number */
    sd_gguf_kind kind;
} values[] = {
    {1, SD_GGUF_UNSIGNED}, {1, SD_GGUF_SIGNED}, {2, SD_GGUF_UNSIGNED}, {2, SD_GGUF_SIGNED},
    {4, SD_GGUF_UNSIGNED}, {4, SD_GGUF_SIGNED}, {4, SD_GGUF_REAL},     {1, SD_GGUF_BOOL},
    {0, SD_GGUF_TEXT},     {0, SD_GGUF_ARRAY},  {8, SD_GGUF_UNSIGNED}, {8, SD_GGUF_SIGNED},
    {8, SD_GGUF_REAL},
};
enum { N_VALUES = sizeof values / sizeof values[0] };

/* The key of the pair that is read; good until the next bytes are. */
static const char *key_at(const cursor *c, int64_t offset)
{
    return c->bytes + offset;
}

static sd_status take_kind(cursor *c, int64_t key, const char *what, uint64_t *type)
{
    sd_status st = SD_OK;

    SD_TRY(take(c, 4, what, type));
    SD_REQUIRE(*type < N_VALUES, SD_ERR_INPUT,
               "%s: '%s' has values of the unknown type %" PRIu64 ": the file is damaged or newer",
               c->g->shown, key_at(c, key), *type);

done:
    return st;
}

static sd_status take_number(cursor *c, int64_t key, uint64_t type, sd_gguf_pair *out)
{
    sd_status st   = SD_OK;
    const int size = values[type].size;
    uint64_t  bits;

    SD_TRY(take(c, size, "a value", &bits));
    out->is.u = bits;
    if (values[type].kind == SD_GGUF_SIGNED && size < 8 && bits >> (8 * size - 1) != 0)
        out->is.u = bits | UINT64_MAX << (8 * size); /* the sign fills the upper bits */
    if (values[type].kind == SD_GGUF_REAL && size == 4)
        out->is.real = sd_float_of_bits((uint32_t)bits);
    SD_REQUIRE(values[type].kind != SD_GGUF_BOOL || bits <= 1, SD_ERR_INPUT,
               "%s: '%s' is neither true nor false but %" PRIu64 ": the file is damaged",
               c->g->shown, key_at(c, key), bits);
    out->bits = (int16_t)(8 * size);

done:
    return st;
}

/* Passes over an array. Its strings may hold any bytes: tokens are not always text. */
static sd_status take_array(cursor *c, int64_t key, sd_gguf_pair *out)
{
    sd_status st = SD_OK;
    uint64_t  type, count, length;

    SD_TRY(take_kind(c, key, "the type of an array", &type));
    SD_REQUIRE(type != VALUE_ARRAY, SD_ERR_INPUT,
               "%s: '%s' is an array of arrays, which no model has", c->g->shown, key_at(c, key));
    SD_TRY(take(c, 8, "the length of an array", &count));
    const int      size  = type == VALUE_TEXT ? 8 : values[type].size;
    const int64_t  begin = c->at;
    const uint64_t rest  = (uint64_t)(c->g->file.bytes - c->at);
    SD_REQUIRE(count <= rest / (uint64_t)size, SD_ERR_INPUT,
               "%s: is truncated or damaged: '%s' is an array of %" PRIu64
               " elements and the file has %" PRIu64 " bytes left; copy it again",
               c->g->shown, key_at(c, key), count, rest);
    if (type == VALUE_TEXT) {
        for (uint64_t k = 0; k < count; k++) {
            SD_TRY(take(c, 8, "the length of a string", &length));
            SD_TRY(need(c, length, "a string"));
            c->at += (int64_t)length;
        }
    } else {
        SD_TRY(need(c, count * (uint64_t)size, "an array"));
        c->at += (int64_t)count * size;
    }
    out->is.u    = count;
    out->element = (int16_t)values[type].kind;
    out->bits    = (int16_t)(8 * values[type].size);
    out->begin   = begin;
    out->bytes   = c->at - begin;

done:
    return st;
}

/* Keys and strings are offsets until the header is complete. */
typedef struct {
    int64_t key, text;
} place;

static sd_status take_pair(cursor *c, place *where, sd_gguf_pair *out)
{
    sd_status st = SD_OK;
    uint64_t  type;

    SD_TRY(take_string(c, MOST_KEY, "a key", &where->key));
    SD_REQUIRE(*key_at(c, where->key) != '\0', SD_ERR_INPUT,
               "%s: at byte %" PRId64 " a key is empty: the file is damaged", c->g->shown,
               where->key);
    SD_TRY(take_kind(c, where->key, "the type of a value", &type));
    out->kind = values[type].kind;
    if (type == VALUE_TEXT)
        SD_TRY(take_string(c, MOST_HEADER, "a value", &where->text));
    else if (type == VALUE_ARRAY)
        SD_TRY(take_array(c, where->key, out));
    else
        SD_TRY(take_number(c, where->key, type, out));

done:
    return st;
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const sd_gguf_pair *)a)->key, ((const sd_gguf_pair *)b)->key);
}

/* ---- tensors ---- */

static sd_status take_dims(cursor *c, const char *name, sd_gguf_tensor *t)
{
    sd_status st = SD_OK;
    uint64_t  n, extent;

    SD_TRY(take(c, 4, "a number of dimensions", &n));
    SD_REQUIRE(n <= SD_GGUF_DIMS, SD_ERR_INPUT,
               "%s: tensor '%s' has %" PRIu64 " dimensions, want at most %d", c->g->shown, name, n,
               SD_GGUF_DIMS);
    t->n_dims   = (int)n;
    t->elements = 1;
    for (int k = 0; k < SD_GGUF_DIMS; k++) {
        extent = 1;
        if (k < t->n_dims) SD_TRY(take(c, 8, "a dimension", &extent));
        SD_REQUIRE(extent <= INT64_MAX / 8, SD_ERR_INPUT,
                   "%s: tensor '%s': dimension %d is %" PRIu64 ", which is no count of elements",
                   c->g->shown, name, k + 1, extent);
        /* 8 is the most bytes that an element takes, stored or read. */
        SD_REQUIRE(extent == 0 || t->elements <= INT64_MAX / 8 / (int64_t)extent, SD_ERR_INPUT,
                   "%s: tensor '%s' is larger than any file: its shape is damaged", c->g->shown,
                   name);
        t->dim[k] = (int64_t)extent;
        t->elements *= t->dim[k];
    }

done:
    return st;
}

static sd_status take_type(cursor *c, const char *name, sd_gguf_tensor *t)
{
    sd_status st = SD_OK;
    uint64_t  number;

    SD_TRY(take(c, 4, "a type", &number));
    t->type = sd_gguf_type_of((uint32_t)number);
    SD_REQUIRE(t->type != NULL, SD_ERR_INPUT,
               "%s: tensor '%s' has the unknown type %" PRIu64 ": the file is damaged or newer",
               c->g->shown, name, number);
    SD_REQUIRE(t->type->bytes > 0, SD_ERR_INPUT,
               "%s: tensor '%s' is stored as %s, which is not supported; convert the model to F16, "
               "BF16 or Q8_0",
               c->g->shown, name, t->type->name);
    SD_REQUIRE(t->dim[0] % t->type->elements == 0, SD_ERR_INPUT,
               "%s: tensor '%s' has rows of %" PRId64 " numbers, want a multiple of %" PRId64
               " for %s: the header is damaged",
               c->g->shown, name, t->dim[0], t->type->elements, t->type->name);
    t->bytes = t->elements / t->type->elements * t->type->bytes;

done:
    return st;
}

static sd_status take_tensor(cursor *c, int64_t *where, sd_gguf_tensor *t)
{
    sd_status st = SD_OK;
    uint64_t  begin;
    char      name[SD_GGUF_NAME + 1];

    SD_TRY(take_string(c, SD_GGUF_NAME, "a tensor's name", where));
    strcpy(name, c->bytes + *where);
    SD_TRY(take_dims(c, name, t));
    SD_TRY(take_type(c, name, t));
    SD_TRY(take(c, 8, "an offset", &begin));
    SD_REQUIRE(begin <= INT64_MAX, SD_ERR_INPUT,
               "%s: tensor '%s' begins at byte %" PRIu64 " of the data: the header is damaged",
               c->g->shown, name, begin);
    t->begin = (int64_t)begin;

done:
    return st;
}

static sd_status read_alignment(const sd_gguf *g, int64_t *out)
{
    sd_status           st   = SD_OK;
    const sd_gguf_pair *pair = sd_gguf_find(g, "general.alignment");

    *out = ALIGNMENT;
    if (pair == NULL) return SD_OK;
    SD_REQUIRE(pair->kind == SD_GGUF_UNSIGNED && pair->bits == 32 && pair->is.u != 0 &&
                   (pair->is.u & (pair->is.u - 1)) == 0,
               SD_ERR_INPUT,
               "%s: 'general.alignment' is no power of two of 32 bits: the file is damaged",
               g->shown);
    *out = (int64_t)pair->is.u;

done:
    return st;
}

static int64_t aligned(int64_t bytes, int64_t alignment)
{
    return bytes % alignment == 0 ? bytes : bytes + (alignment - bytes % alignment);
}

/* The tensors must fill the rest of the file, in order; makes their offsets places in the file. */
static sd_status check_coverage(sd_gguf *g, int64_t data, int64_t alignment)
{
    sd_status     st   = SD_OK;
    const int64_t rest = g->file.bytes - data;
    int64_t       end  = 0;

    for (int64_t i = 0; i < g->n_tensors; i++) {
        sd_gguf_tensor *t = &g->tensor[i];

        SD_REQUIRE(t->begin == end, SD_ERR_INPUT,
                   "%s: tensor '%s' begins at byte %" PRId64 ", want %" PRId64
                   ": tensors %s; the header is damaged",
                   g->shown, t->name, t->begin, end, t->begin < end ? "overlap" : "leave a gap");
        SD_REQUIRE(end <= rest && t->bytes <= rest - end, SD_ERR_INPUT,
                   "%s: is truncated: tensor '%s' takes %" PRId64 " bytes from byte %" PRId64
                   " of %" PRId64 " after the header; copy the file again",
                   g->shown, t->name, t->bytes, end, rest > 0 ? rest : 0);
        end = aligned(end + t->bytes, alignment);
        t->begin += data;
    }
    SD_REQUIRE(rest <= end, SD_ERR_INPUT,
               "%s: has %" PRId64 " bytes after its last tensor; copy it again", g->shown,
               rest - end);

done:
    return st;
}

/* ---- the whole header ---- */

/* What else such a file often is, for the hint. */
static const char *likely_cause(const char *first)
{
    if (memcmp(first, "vers", 4) == 0)
        return "this is a Git LFS pointer: fetch the file itself (git lfs pull)";
    if (memcmp(first, "ggml", 4) == 0 || memcmp(first, "tjgg", 4) == 0 ||
        memcmp(first, "lmgg", 4) == 0)
        return "this is GGUF's forerunner: convert it anew from the original model";
    return "the file is damaged or no GGUF file; copy it again";
}

static sd_status take_start(cursor *c, uint64_t *n_tensors, uint64_t *n_pairs)
{
    sd_status st = SD_OK;
    uint64_t  magic, version;

    SD_REQUIRE(c->g->file.bytes > 0, SD_ERR_INPUT, "%s: is empty; copy it again", c->g->shown);
    SD_REQUIRE(c->g->file.bytes >= 24, SD_ERR_INPUT,
               "%s: is %" PRId64 " bytes long, too short for a GGUF file; copy it again",
               c->g->shown, c->g->file.bytes);
    SD_TRY(take(c, 4, "the magic", &magic));
    SD_REQUIRE(memcmp(c->bytes, "GGUF", 4) == 0, SD_ERR_INPUT, "%s: does not begin with GGUF: %s",
               c->g->shown, likely_cause(c->bytes));
    SD_TRY(take(c, 4, "the version", &version));
    SD_REQUIRE(version == 2 || version == 3, SD_ERR_INPUT,
               "%s: is of GGUF version %" PRIu64 ", want 2 or 3%s", c->g->shown, version,
               version != 0 && (version & 65535) == 0
                   ? ": it was written for a big-endian machine; convert it anew"
                   : "");
    SD_TRY(take(c, 8, "the number of tensors", n_tensors));
    SD_TRY(take(c, 8, "the size of the metadata", n_pairs));

done:
    return st;
}

/* A count of entries of at least `size` bytes each has to fit into what is left of the file. */
static sd_status check_count(const cursor *c, uint64_t count, int size, const char *what)
{
    sd_status     st   = SD_OK;
    const int64_t rest = c->g->file.bytes - c->at;

    SD_REQUIRE(count <= (uint64_t)(rest / size), SD_ERR_INPUT,
               "%s: claims %" PRIu64 " %s, for which the file is too short: it is truncated or "
               "damaged; copy it again",
               c->g->shown, count, what);

done:
    return st;
}

static sd_status take_metadata(cursor *c, uint64_t count, place **where)
{
    sd_status st = SD_OK;
    sd_gguf  *g  = c->g;

    SD_TRY(check_count(c, count, LEAST_PAIR, "entries of metadata"));
    SD_TRY(sd_alloc((int64_t)count, sizeof *g->pair, &g->pair));
    SD_TRY(sd_alloc((int64_t)count, sizeof **where, where));
    for (uint64_t i = 0; i < count; i++) SD_TRY(take_pair(c, &(*where)[i], &g->pair[i]));
    g->n_pairs = (int64_t)count;

done:
    return st;
}

static sd_status take_tensors(cursor *c, uint64_t count, int64_t **where)
{
    sd_status st = SD_OK;
    sd_gguf  *g  = c->g;

    SD_TRY(check_count(c, count, LEAST_TENSOR, "tensors"));
    SD_TRY(sd_alloc((int64_t)count, sizeof *g->tensor, &g->tensor));
    SD_TRY(sd_alloc((int64_t)count, sizeof **where, where));
    for (uint64_t i = 0; i < count; i++) SD_TRY(take_tensor(c, &(*where)[i], &g->tensor[i]));
    g->n_tensors = (int64_t)count;

done:
    return st;
}

/* Copies a string behind those that are kept already. */
static const char *keep(sd_gguf *g, const char *text, int64_t *used)
{
    char *const to = g->strings + *used;

    strcpy(to, text);
    *used += (int64_t)strlen(text) + 1;
    return to;
}

/* The header is complete: its strings move into an array of their own, without what is in arrays,
 * and offsets become pointers. */
static sd_status settle(const cursor *c, const place *pairs, const int64_t *tensors)
{
    sd_status st   = SD_OK;
    sd_gguf  *g    = c->g;
    int64_t   used = 0;

    for (int64_t i = 0; i < g->n_pairs; i++) {
        used += (int64_t)strlen(c->bytes + pairs[i].key) + 1;
        if (g->pair[i].kind == SD_GGUF_TEXT) used += (int64_t)strlen(c->bytes + pairs[i].text) + 1;
    }
    for (int64_t i = 0; i < g->n_tensors; i++) used += (int64_t)strlen(c->bytes + tensors[i]) + 1;
    SD_TRY(sd_alloc(used, 1, &g->strings));

    used = 0;
    for (int64_t i = 0; i < g->n_pairs; i++) {
        g->pair[i].key = keep(g, c->bytes + pairs[i].key, &used);
        if (g->pair[i].kind == SD_GGUF_TEXT)
            g->pair[i].is.text = keep(g, c->bytes + pairs[i].text, &used);
    }
    for (int64_t i = 0; i < g->n_tensors; i++)
        g->tensor[i].name = keep(g, c->bytes + tensors[i], &used);

done:
    return st;
}

static sd_status check_keys(sd_gguf *g)
{
    sd_status st = SD_OK;

    qsort(g->pair, (size_t)g->n_pairs, sizeof *g->pair, by_key);
    for (int64_t i = 1; i < g->n_pairs; i++)
        SD_REQUIRE(by_key(&g->pair[i - 1], &g->pair[i]) != 0, SD_ERR_INPUT,
                   "%s: the key '%s' is there twice: the file is damaged", g->shown,
                   g->pair[i].key);

done:
    return st;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names are compared in an order of their own: the tensors stay in that of the file. */
static sd_status check_names(const sd_gguf *g)
{
    sd_status    st   = SD_OK;
    const char **name = NULL;

    SD_TRY(sd_alloc(g->n_tensors, sizeof *name, &name));
    for (int64_t i = 0; i < g->n_tensors; i++) name[i] = g->tensor[i].name;
    qsort(name, (size_t)g->n_tensors, sizeof *name, by_name);
    for (int64_t i = 1; i < g->n_tensors; i++)
        SD_REQUIRE(strcmp(name[i - 1], name[i]) != 0, SD_ERR_INPUT,
                   "%s: tensor '%s' is there twice: the file is damaged", g->shown, name[i]);

done:
    sd_free(name);
    return st;
}

static sd_status read_header(sd_gguf *g)
{
    sd_status st        = SD_OK;
    cursor    c         = {.g = g};
    place    *pairs     = NULL;
    int64_t  *tensors   = NULL;
    uint64_t  n_tensors = 0, n_pairs = 0;
    int64_t   alignment;

    SD_TRY(take_start(&c, &n_tensors, &n_pairs));
    SD_TRY(take_metadata(&c, n_pairs, &pairs));
    SD_TRY(take_tensors(&c, n_tensors, &tensors));
    SD_TRY(settle(&c, pairs, tensors));
    SD_TRY(check_keys(g));
    SD_TRY(check_names(g));
    SD_TRY(read_alignment(g, &alignment));
    SD_TRY(check_coverage(g, aligned(c.at, alignment), alignment));

done:
    sd_free(c.bytes);
    sd_free(pairs);
    sd_free(tensors);
    return st;
}

sd_status sd_gguf_open(const char *path, const char *shown, sd_gguf *out)
{
    sd_status st = SD_OK;

    out->shown = shown;
    SD_TRY(sd_file_open(path, shown, &out->file));
    out->is_open = true;
    SD_TRY(read_header(out));

done:
    return st;
}

void sd_gguf_close(sd_gguf *gguf)
{
    if (gguf->is_open) sd_file_close(&gguf->file);
    sd_free(gguf->strings);
    sd_free(gguf->pair);
    sd_free(gguf->tensor);
    *gguf = (sd_gguf){0};
}

const sd_gguf_pair *sd_gguf_find(const sd_gguf *gguf, const char *key)
{
    const sd_gguf_pair wanted = {.key = key};

    return bsearch(&wanted, gguf->pair, (size_t)gguf->n_pairs, sizeof *gguf->pair, by_key);
}

sd_status sd_gguf_read_array(const sd_gguf *gguf, const sd_gguf_pair *pair, sd_gguf_array *out)
{
    sd_status st = SD_OK;

    *out = (sd_gguf_array){.shown = gguf->shown, .key = pair->key, .length = pair->bytes};
    SD_TRY(sd_alloc(out->length, 1, &out->bytes));
    SD_TRY(sd_file_read_at(&gguf->file, gguf->shown, pair->begin, out->length, out->bytes));

done:
    return st;
}

sd_status sd_gguf_next_string(sd_gguf_array *array, const char **text, int64_t *length)
{
    sd_status     st   = SD_OK;
    const int64_t rest = array->length - array->at - 8;

    SD_REQUIRE(rest >= 0 && number_at(array->bytes + array->at, 8) <= (uint64_t)rest, SD_ERR_INPUT,
               "%s: '%s' has changed while it was read", array->shown, array->key);
    *length = (int64_t)number_at(array->bytes + array->at, 8);
    *text   = array->bytes + array->at + 8;
    array->at += 8 + *length;

done:
    return st;
}

uint32_t sd_gguf_bits_at(const sd_gguf_array *array, int64_t i)
{
    return (uint32_t)number_at(array->bytes + 4 * i, 4);
}

const sd_gguf_tensor *sd_gguf_tensor_of(const sd_gguf *gguf, const char *name)
{
    for (int64_t i = 0; i < gguf->n_tensors; i++)
        if (strcmp(gguf->tensor[i].name, name) == 0) return &gguf->tensor[i];
    return NULL;
}
