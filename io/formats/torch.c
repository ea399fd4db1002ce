/*
 * torch.save since torch 1.6: a zip archive with a pickle, PREFIX/data.pkl, that says which tensors
 * there are, and the bytes of each storage as they are in memory, PREFIX/data/KEY. A tensor is a
 * view of a storage: an offset, and a size and a stride for each dimension, all counted in
 * elements.
 * Source: torch/serialization.py, and the notes on serialization in torch's documentation.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <threads.h>

#include "io/archive.h"
#include "io/text.h"
#include "io/torch_view.h"
#include "solvers/base/memory.h"

enum {
    MOST_TENSORS = 1 << 15,
    MOST_REPEATS = 16,   /* bytes of all tensors for each one of the file */
    MOST_NAME    = 1024, /* bytes of a member's name */
    MOST_WORD    = 16    /* bytes of 'byteorder' and 'version' */
};

/* ---- an open file ---- */

/* A view and the member of the archive that is its storage. */
typedef struct {
    int64_t       member;
    sd_torch_view view;
} place;

typedef struct {
    sd_archive *archive;
    const char *shown;
    char        prefix[MOST_NAME]; /* of the members' names, "model/" */
    char       *pickle_bytes;
    sd_pickle  *pickle;
    char       *names;
    place      *places; /* one per tensor */
    mtx_t       lock;   /* for what is held */
    bool        has_lock;
    int64_t     held_member; /* a whole storage, of the tensor that was gathered last */
    char       *held;
} state;

static sd_status find_member(const state *s, const char *name, int64_t *out)
{
    sd_status st = SD_OK;
    char      path[2 * MOST_NAME];

    snprintf(path, sizeof path, "%s%s", s->prefix, name);
    *out = sd_archive_find(s->archive, path);
    SD_REQUIRE(*out >= 0, SD_ERR_INPUT,
               "%s: is a zip archive without '%s': torch.save did not write it, or it is damaged",
               s->shown, path);

done:
    return st;
}

/* A member of a few letters, without the line's end; "" when there is none. */
static sd_status read_word(const state *s, const char *name, char out[MOST_WORD])
{
    sd_status st = SD_OK;
    char      path[2 * MOST_NAME];

    snprintf(path, sizeof path, "%s%s", s->prefix, name);
    const int64_t member = sd_archive_find(s->archive, path);

    memset(out, 0, MOST_WORD);
    if (member < 0) return SD_OK;
    const int64_t bytes = sd_archive_bytes(s->archive, member);
    SD_REQUIRE(bytes < MOST_WORD, SD_ERR_INPUT,
               "%s: '%s' is %" PRId64 " bytes long: the file is damaged", s->shown, path, bytes);
    SD_TRY(sd_archive_read(s->archive, member, 0, bytes, out));
    SD_REQUIRE(sd_utf8_valid(out, bytes) == bytes, SD_ERR_INPUT,
               "%s: '%s' is not UTF-8: the file is damaged", s->shown, path);
    out[strcspn(out, "\n")] = '\0';

done:
    return st;
}

static sd_status check_kind(const state *s)
{
    sd_status st = SD_OK;
    char      word[MOST_WORD];

    SD_TRY(read_word(s, "byteorder", word));
    SD_REQUIRE(word[0] == '\0' || strcmp(word, "little") == 0, SD_ERR_INPUT,
               "%s: was written on a machine of the byte order '%s', want little; load it with "
               "torch on any machine of ours and save it again",
               s->shown, word);
    SD_TRY(read_word(s, "version", word));
    SD_REQUIRE(strspn(word, "0123456789") == strlen(word), SD_ERR_INPUT,
               "%s: is of the version '%s': the file is damaged", s->shown, word);

done:
    return st;
}

static sd_status read_pickle(state *s)
{
    sd_status   st    = SD_OK;
    const char *first = sd_archive_first(s->archive);
    const char *slash = strchr(first, '/');
    int64_t     member, bytes;
    char        shown[SD_MESSAGE_LEN];

    SD_REQUIRE(slash == NULL || slash - first < MOST_NAME - 1, SD_ERR_INPUT,
               "%s: its members have names that are too long: the file is damaged", s->shown);
    if (slash != NULL) memcpy(s->prefix, first, (size_t)(slash - first) + 1);
    SD_TRY(find_member(s, "data.pkl", &member));
    SD_TRY(check_kind(s));
    bytes = sd_archive_bytes(s->archive, member);
    snprintf(shown, sizeof shown, "%s: data.pkl", s->shown);
    SD_REQUIRE(bytes <= SD_PICKLE_MOST, SD_ERR_INPUT,
               "%s: is %" PRId64 " bytes long, want at most %d: it holds other than weights", shown,
               bytes, SD_PICKLE_MOST);
    SD_TRY(sd_alloc(bytes, 1, &s->pickle_bytes));
    SD_TRY(sd_archive_read(s->archive, member, 0, bytes, s->pickle_bytes));
    SD_TRY(sd_torch_pickle_read(s->pickle_bytes, bytes, shown, &s->pickle));

done:
    return st;
}

/* ---- all tensors ---- */

/* A tensor that is found in the pickle, before it is looked at. */
typedef struct {
    const char     *name; /* no zero behind it before names are copied */
    int64_t         length;
    sd_pickle_value value;
} row;

static int64_t count_tensors(const state *s, sd_pickle_value dict)
{
    sd_pickle_walk  walk = {0};
    sd_pickle_entry entry;
    int64_t         count = 0;

    while (sd_pickle_next(s->pickle, &walk, &entry))
        count += sd_pickle_same(entry.dict, dict) && sd_torch_is_tensor(s->pickle, entry.value);
    return count;
}

/*
 * The dict whose tensors are meant: the file's own, or where that has none, the one in it under one
 * of the names that training programs use.
 */
static sd_status find_dict(const state *s, sd_pickle_value *out)
{
    static const char *const usual[] = {"state_dict", "model", "module", "model_state_dict"};
    sd_status                st      = SD_OK;
    const sd_pickle_value    root    = sd_pickle_root(s->pickle);
    sd_pickle_walk           walk    = {0};
    sd_pickle_entry          entry;
    int                      found = 0;

    *out = root;
    if (count_tensors(s, root) > 0) return SD_OK;
    while (sd_pickle_next(s->pickle, &walk, &entry)) {
        if (!sd_pickle_same(entry.dict, root) || sd_pickle_kind_of(entry.value) != SD_PICKLE_DICT)
            continue;
        for (size_t k = 0; k < sizeof usual / sizeof usual[0]; k++) {
            if (!sd_pickle_is_text(s->pickle, entry.key, usual[k])) continue;
            *out = entry.value;
            found++;
        }
    }
    SD_REQUIRE(found <= 1, SD_ERR_INPUT,
               "%s: holds more than one of 'state_dict', 'model', 'module' and 'model_state_dict'; "
               "save the one that is meant alone",
               s->shown);
    SD_REQUIRE(found == 1 && count_tensors(s, *out) > 0, SD_ERR_INPUT,
               "%s: has no tensors with names, neither by itself nor under 'state_dict', 'model', "
               "'module' or 'model_state_dict'",
               s->shown);

done:
    return st;
}

static int by_name(const void *a, const void *b)
{
    const row    *left = a, *right = b;
    const int64_t least = left->length < right->length ? left->length : right->length;
    const int     order = memcmp(left->name, right->name, (size_t)least);

    if (order != 0) return order;
    return (left->length > right->length) - (left->length < right->length);
}

/* Collects the tensors of a dict; sorts them by name. */
static sd_status collect(const state *s, sd_pickle_value dict, row *rows)
{
    sd_status       st   = SD_OK;
    sd_pickle_walk  walk = {0};
    sd_pickle_entry entry;
    int64_t         n = 0;

    while (sd_pickle_next(s->pickle, &walk, &entry)) {
        if (!sd_pickle_same(entry.dict, dict) || !sd_torch_is_tensor(s->pickle, entry.value))
            continue;
        rows[n].value = entry.value;
        rows[n].name  = sd_pickle_text(s->pickle, entry.key, &rows[n].length);
        SD_REQUIRE(memchr(rows[n].name, '\0', (size_t)rows[n].length) == NULL, SD_ERR_INPUT,
                   "%s: a tensor's name has a zero in it: the file is damaged", s->shown);
        n++;
    }
    qsort(rows, (size_t)n, sizeof *rows, by_name);
    for (int64_t i = 1; i < n; i++)
        SD_REQUIRE(by_name(&rows[i - 1], &rows[i]) != 0, SD_ERR_INPUT,
                   "%s: tensor '%.*s' is there twice: the file is damaged", s->shown,
                   (int)rows[i].length, rows[i].name);

done:
    return st;
}

/* Names without their double are no longer together than the pickle that they are from. */
static sd_status copy_names(state *s, row *rows, int64_t count)
{
    sd_status st    = SD_OK;
    int64_t   total = 0;

    for (int64_t i = 0; i < count; i++) total += rows[i].length + 1;
    SD_TRY(sd_alloc(total, 1, &s->names));
    total = 0;
    for (int64_t i = 0; i < count; i++) {
        memcpy(s->names + total, rows[i].name, (size_t)rows[i].length);
        rows[i].name = s->names + total;
        total += rows[i].length + 1;
    }

done:
    return st;
}

/* Reads a tensor's view and finds its storage, which has to be as long as the view believes. */
static sd_status read_tensor(const state *s, const row *r, sd_tensor_info *info, place *out)
{
    sd_status            st              = SD_OK;
    char                 name[MOST_NAME] = "data/";
    const size_t         used            = strlen(name);
    const sd_torch_view *v               = &out->view;

    SD_TRY(sd_torch_view_read(s->pickle, r->value, s->shown, r->name, info, &out->view));
    SD_REQUIRE(v->key_length < MOST_NAME - (int64_t)used &&
                   memchr(v->key, '\0', (size_t)v->key_length) == NULL,
               SD_ERR_INPUT,
               "%s: tensor '%s' has a storage with a name that is too long: the file is damaged",
               s->shown, r->name);
    memcpy(name + used, v->key, (size_t)v->key_length);
    SD_TRY(find_member(s, name, &out->member));

    const int64_t bytes = sd_archive_bytes(s->archive, out->member);
    SD_REQUIRE(bytes == v->storage_bytes, SD_ERR_INPUT,
               "%s: tensor '%s': its storage '%s%s' has %" PRId64 " bytes, want %" PRId64
               ": the file is damaged; copy it again",
               s->shown, r->name, s->prefix, name, bytes, v->storage_bytes);

done:
    return st;
}

static sd_status read_tensors(state *s, const row *rows, sd_tensor_file *out)
{
    sd_status     st   = SD_OK;
    const int64_t file = sd_archive_file_bytes(s->archive);
    int64_t       left = file > INT64_MAX / MOST_REPEATS ? INT64_MAX : file * MOST_REPEATS;

    for (int64_t i = 0; i < out->count; i++) {
        SD_TRY(read_tensor(s, &rows[i], &out->tensor[i], &s->places[i]));
        SD_REQUIRE(out->tensor[i].bytes <= left, SD_ERR_INPUT,
                   "%s: its tensors repeat what it stores more than %d times, at '%s': expanded "
                   "tensors have to be saved without their copies",
                   s->shown, MOST_REPEATS, rows[i].name);
        left -= out->tensor[i].bytes;
    }

done:
    return st;
}

static sd_status list_tensors(state *s, sd_tensor_file *out)
{
    sd_status       st   = SD_OK;
    row            *rows = NULL;
    sd_pickle_value dict;

    SD_TRY(find_dict(s, &dict));
    out->count = count_tensors(s, dict);
    SD_REQUIRE(out->count <= MOST_TENSORS, SD_ERR_INPUT,
               "%s: has %" PRId64 " tensors, want at most %d", s->shown, out->count, MOST_TENSORS);
    SD_TRY(sd_alloc(out->count, sizeof *rows, &rows));
    SD_TRY(collect(s, dict, rows));
    SD_TRY(copy_names(s, rows, out->count));
    SD_TRY(sd_alloc(out->count, sizeof *out->tensor, &out->tensor));
    SD_TRY(sd_alloc(out->count, sizeof *s->places, &s->places));
    SD_TRY(read_tensors(s, rows, out));

done:
    sd_free(rows);
    return st;
}

static sd_status open_file(const char *path, const char *shown, sd_tensor_file *out)
{
    sd_status st = SD_OK;
    state    *s  = NULL;

    SD_TRY(sd_alloc(1, sizeof *s, &s));
    out->state     = s;
    s->shown       = shown;
    s->held_member = -1;
    s->has_lock    = mtx_init(&s->lock, mtx_plain) == thrd_success;
    SD_REQUIRE(s->has_lock, SD_ERR_RESOURCE, "%s: no lock can be made", shown);
    SD_TRY(sd_archive_open(path, shown, &s->archive));
    SD_TRY(read_pickle(s));
    SD_TRY(list_tensors(s, out));

done:
    if (s != NULL) {
        sd_pickle_destroy(&s->pickle);
        sd_free(s->pickle_bytes);
        s->pickle_bytes = NULL;
    }
    return st;
}

/* ---- reading ---- */

/* Holds a whole storage in memory: its elements are wanted in another order than they have. */
static sd_status hold(state *s, int64_t member)
{
    sd_status     st    = SD_OK;
    const int64_t bytes = sd_archive_bytes(s->archive, member);

    if (s->held_member == member) return SD_OK;
    sd_free(s->held);
    s->held        = NULL;
    s->held_member = -1;
    SD_TRY(sd_alloc(bytes, 1, &s->held));
    SD_TRY(sd_archive_read(s->archive, member, 0, bytes, s->held));
    s->held_member = member;

done:
    return st;
}

static sd_status read_gathered(state *s, const sd_tensor_info *info, const place *p, int64_t offset,
                               int64_t count, void *out)
{
    sd_status st = SD_OK;

    mtx_lock(&s->lock);
    SD_TRY(hold(s, p->member));
    sd_torch_view_copy(info, &p->view, s->held, offset, count, out);

done:
    mtx_unlock(&s->lock);
    return st;
}

static sd_status read_bytes(const sd_tensor_file *file, int64_t i, int64_t offset, int64_t count,
                            void *out)
{
    state       *s = file->state;
    const place *p = &s->places[i];

    if (count == 0) return SD_OK;
    if (!p->view.is_plain) return read_gathered(s, &file->tensor[i], p, offset, count, out);
    return sd_archive_read(s->archive, p->member, p->view.begin + offset, count, out);
}

static void close_file(sd_tensor_file *file)
{
    state *s = file->state;

    if (s != NULL) {
        sd_archive_close(&s->archive);
        if (s->has_lock) mtx_destroy(&s->lock);
        sd_free(s->names);
        sd_free(s->places);
        sd_free(s->held);
        sd_free(s);
    }
    sd_free(file->tensor);
    *file = (sd_tensor_file){0};
}

extern const sd_format sd_format_torch;

const sd_format sd_format_torch = {
    .name       = "torch",
    .extensions = {".bin", ".pt", ".pth"},
    .single     = "pytorch_model.bin",
    .index      = "pytorch_model.bin.index.json",
    .open       = open_file,
    .read       = read_bytes,
    .close      = close_file,
};
