#include "io/checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "io/adapter.h"
#include "io/file.h"
#include "io/foreign.h"
#include "io/format.h"
#include "io/hub.h"
#include "io/json.h"
#include "solvers/base/memory.h"

enum {
    MOST_INDEX  = 256 << 20, /* bytes of an index: about a hundred per tensor */
    MOST_SHARDS = 4096       /* all are open at once */
};

/* One file of tensors. */
typedef struct {
    char          *shown; /* its name within the folder */
    sd_tensor_file file;
} part;

/* Where a tensor is. */
typedef struct {
    const sd_tensor_info *info;
    int64_t               part, local;
} entry;

struct sd_checkpoint {
    const sd_format *format;
    char            *folder; /* that holds the files; "" is the current one */
    part            *parts;
    int64_t          n_parts;
    entry           *entries; /* ascending by name */
    int64_t          count, bytes;
    sd_config       *config;
    sd_adapter      *adapter; /* NULL: the files are the whole model                         */
    const char      *base;    /* while it is opened: where an adapter's is, NULL: as it says */
    bool             is_base; /* of an adapter, and so none itself                           */
};

/* ---- parts ---- */

/* Nothing is at the path of a file that should be there: says why, as far as it shows. */
static sd_status refuse_missing(const sd_checkpoint *c, const char *path, const char *name,
                                const char *why)
{
    sd_status   st         = SD_OK;
    bool        unfinished = false;
    struct stat info;

    SD_REQUIRE(lstat(path, &info) != 0, SD_ERR_INPUT,
               "%s: is a link to nothing: copy it with what it points to, or download it again",
               name);
    SD_TRY(sd_hub_is_unfinished(c->folder, &unfinished));
    SD_REQUIRE(!unfinished, SD_ERR_INPUT,
               "%s: is missing, and its download is not finished; download it again", name);
    SD_REQUIRE(false, SD_ERR_INPUT, "%s: %s", name, why);

done:
    return st;
}

static sd_status open_part(sd_checkpoint *c, int64_t k, const char *name)
{
    sd_status st   = SD_OK;
    char     *path = NULL;

    SD_TRY(sd_copy_string(name, &c->parts[k].shown));
    SD_TRY(sd_path_join(c->folder, name, &path));
    if (!sd_file_exists(path))
        SD_TRY(refuse_missing(c, path, name,
                              c->n_parts > 1 ? "is missing, and the index names it; copy it again"
                                             : "is missing; copy it again"));
    SD_TRY(c->format->open(path, c->parts[k].shown, &c->parts[k].file));

done:
    sd_free(path);
    return st;
}

static int64_t find_in_part(const part *p, const char *name)
{
    int64_t low = 0, high = p->file.count;

    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        const int     order  = strcmp(p->file.tensor[middle].name, name);

        if (order == 0) return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

static sd_status open_single(sd_checkpoint *c, const char *name)
{
    sd_status st = SD_OK;

    SD_TRY(sd_alloc(1, sizeof *c->parts, &c->parts));
    c->n_parts = 1;
    SD_TRY(open_part(c, 0, name));
    c->count = c->parts[0].file.count;
    SD_TRY(sd_alloc(c->count, sizeof *c->entries, &c->entries));
    for (int64_t i = 0; i < c->count; i++)
        c->entries[i] = (entry){.info = &c->parts[0].file.tensor[i], .local = i};

done:
    return st;
}

/* ---- shards ---- */

/* One line of an index; strings are owned by the JSON. */
typedef struct {
    const char *tensor, *file;
    int64_t     part;
} line;

static int by_file(const void *a, const void *b)
{
    return strcmp(((const line *)a)->file, ((const line *)b)->file);
}

static int by_tensor(const void *a, const void *b)
{
    return strcmp(((const line *)a)->tensor, ((const line *)b)->tensor);
}

/* A file's plain name: an index must not lead out of its folder. */
static bool is_plain_name(const char *name)
{
    return name[0] != '\0' && strchr(name, '/') == NULL && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0;
}

static sd_status list_lines(const char *index, json_t *map, line *lines)
{
    sd_status     st = SD_OK;
    const char   *name;
    const json_t *value;
    int64_t       i = 0;

    json_object_foreach(map, name, value)
    {
        SD_REQUIRE(json_is_string(value) && is_plain_name(json_string_value(value)), SD_ERR_INPUT,
                   "%s: tensor '%s' is in no plain file name", index, name);
        lines[i++] = (line){.tensor = name, .file = json_string_value(value)};
    }

done:
    return st;
}

/* Numbers the files that the lines name, and opens them. Leaves the lines ordered by file. */
static sd_status open_shards(sd_checkpoint *c, const char *index, line *lines, int64_t count)
{
    sd_status st      = SD_OK;
    int64_t   n_parts = 0;

    qsort(lines, (size_t)count, sizeof *lines, by_file);
    for (int64_t i = 0; i < count; i++) {
        if (i > 0 && by_file(&lines[i - 1], &lines[i]) != 0) n_parts++;
        lines[i].part = n_parts;
    }
    n_parts++;
    SD_REQUIRE(n_parts <= MOST_SHARDS, SD_ERR_INPUT, "%s: names %" PRId64 " files, want at most %d",
               index, n_parts, MOST_SHARDS);
    SD_TRY(sd_alloc(n_parts, sizeof *c->parts, &c->parts));
    c->n_parts = n_parts;
    for (int64_t i = 0; i < count; i++)
        if (i == 0 || lines[i].part != lines[i - 1].part)
            SD_TRY(open_part(c, lines[i].part, lines[i].file));

done:
    return st;
}

/* Finds every tensor of the index in its shard: the index decides what the checkpoint holds. */
static sd_status place_tensors(sd_checkpoint *c, const char *index, line *lines, int64_t count)
{
    sd_status st = SD_OK;

    qsort(lines, (size_t)count, sizeof *lines, by_tensor);
    SD_TRY(sd_alloc(count, sizeof *c->entries, &c->entries));
    for (int64_t i = 0; i < count; i++) {
        const part   *p     = &c->parts[lines[i].part];
        const int64_t local = find_in_part(p, lines[i].tensor);

        SD_REQUIRE(local >= 0, SD_ERR_INPUT,
                   "%s: says that tensor '%s' is in %s, which has none of that name", index,
                   lines[i].tensor, lines[i].file);
        c->entries[i] =
            (entry){.info = &p->file.tensor[local], .part = lines[i].part, .local = local};
    }
    c->count = count;

done:
    return st;
}

static sd_status open_sharded(sd_checkpoint *c, const char *index)
{
    sd_status st    = SD_OK;
    char     *path  = NULL;
    json_t   *root  = NULL, *map;
    line     *lines = NULL;
    int64_t   count;

    SD_TRY(sd_path_join(c->folder, index, &path));
    if (!sd_file_exists(path)) SD_TRY(refuse_missing(c, path, index, "is missing; copy it again"));
    SD_TRY(sd_json_read(path, index, MOST_INDEX, &root));
    map   = json_object_get(root, "weight_map");
    count = (int64_t)json_object_size(map);
    SD_REQUIRE(count > 0, SD_ERR_INPUT, "%s: has no 'weight_map' that names tensors", index);
    SD_TRY(sd_alloc(count, sizeof *lines, &lines));
    SD_TRY(list_lines(index, map, lines));
    SD_TRY(open_shards(c, index, lines, count));
    SD_TRY(place_tensors(c, index, lines, count));

done:
    sd_free(lines);
    json_decref(root);
    sd_free(path);
    return st;
}

/* ---- what a path means ---- */

static sd_status open_adapted(sd_checkpoint *c);

/* Whether something of that name is in the folder, be it a link to nothing: it was meant. */
static sd_status holds(const sd_checkpoint *c, const char *name, bool *out)
{
    sd_status   st   = SD_OK;
    char       *path = NULL;
    struct stat info;

    *out = false;
    if (name == NULL) return SD_OK;
    SD_TRY(sd_path_join(c->folder, name, &path));
    *out = sd_file_exists(path) || lstat(path, &info) == 0;

done:
    sd_free(path);
    return st;
}

static bool ends_with(const char *text, const char *end)
{
    const size_t length = strlen(text), want = strlen(end);

    return length > want && strcmp(text + length - want, end) == 0;
}

/* Counts the folder's files of a format whose files have no fixed name; keeps one of the names. */
static sd_status find_files(const char *path, const char *extension, int64_t *count, char **name)
{
    sd_status            st = SD_OK;
    const struct dirent *item;
    DIR                 *folder = opendir(path);

    SD_REQUIRE(folder != NULL, SD_ERR_INPUT, "cannot be read: %s", strerror(errno));
    while ((item = readdir(folder)) != NULL) {
        if (item->d_name[0] == '.' || !ends_with(item->d_name, extension)) continue;
        if ((*count)++ == 0) SD_TRY(sd_copy_string(item->d_name, name));
    }

done:
    if (folder != NULL) closedir(folder);
    return st;
}

/* The only file of a format without fixed names, if there is one. */
static sd_status open_by_extension(sd_checkpoint *c, const char *path, bool *found)
{
    sd_status st    = SD_OK;
    int64_t   count = 0;
    char     *name  = NULL;

    *found = false;
    for (const sd_format *const *it = sd_formats; *it != NULL && !*found; it++) {
        if ((*it)->single != NULL || (*it)->index != NULL) continue;
        SD_TRY(find_files(path, (*it)->extensions[0], &count, &name));
        SD_REQUIRE(count <= 1, SD_ERR_INPUT,
                   "the folder has %" PRId64 " files '*%s'; name the one that is meant", count,
                   (*it)->extensions[0]);
        if (count == 0) continue;
        c->format = *it;
        *found    = true;
        SD_TRY(open_single(c, name));
    }

done:
    sd_free(name);
    return st;
}

/* A folder without weights that are known here. */
static sd_status refuse_folder(const sd_checkpoint *c)
{
    sd_status         st         = SD_OK;
    bool              unfinished = false;
    const sd_foreign *foreign    = NULL;

    SD_TRY(sd_foreign_folder(c->folder, &foreign));
    SD_REQUIRE(foreign == NULL, SD_ERR_INPUT, "the folder is %s; %s", foreign->kind,
               foreign->remedy);
    SD_TRY(sd_hub_is_unfinished(c->folder, &unfinished));
    SD_REQUIRE(!unfinished, SD_ERR_INPUT,
               "the folder has no weights, and their download is not finished; download it again");
    SD_REQUIRE(
        false, SD_ERR_INPUT,
        "the folder has neither model.safetensors nor pytorch_model.bin, whole or with their "
        "index.json, nor a .gguf file; name the file itself if it has another name");

done:
    return st;
}

/*
 * Takes the first format that is there; a single file goes before shards, as in transformers, and
 * both go before files that are known by their extension only. An adapter goes before all of them,
 * likewise.
 */
static sd_status open_folder(sd_checkpoint *c, const char *path)
{
    sd_status st = SD_OK;
    bool      found;

    SD_TRY(sd_copy_string(path, &c->folder));
    SD_TRY(holds(c, "adapter_config.json", &found));
    if (found) return open_adapted(c);
    for (const sd_format *const *it = sd_formats; *it != NULL; it++) {
        c->format = *it;
        SD_TRY(holds(c, c->format->single, &found));
        if (found) return open_single(c, c->format->single);
        SD_TRY(holds(c, c->format->index, &found));
        if (found) return open_sharded(c, c->format->index);
    }
    SD_TRY(open_by_extension(c, path, &found));
    if (!found) SD_TRY(refuse_folder(c));

done:
    return st;
}

/* The format of a file by the end of its name, or NULL. */
static const sd_format *format_of(const char *name)
{
    for (const sd_format *const *it = sd_formats; *it != NULL; it++)
        for (int k = 0; k < SD_MAX_EXTENSIONS && (*it)->extensions[k] != NULL; k++)
            if (ends_with(name, (*it)->extensions[k])) return *it;
    return NULL;
}

static sd_status open_file(sd_checkpoint *c, const char *path)
{
    sd_status   st    = SD_OK;
    const char *slash = strrchr(path, '/');
    const char *name  = slash != NULL ? slash + 1 : path;

    c->format = format_of(name);

    const sd_foreign *foreign = sd_foreign_file(name);
    SD_REQUIRE(foreign == NULL, SD_ERR_INPUT, "%s: belongs to %s; %s", name, foreign->kind,
               foreign->remedy);
    SD_REQUIRE(
        c->format != NULL, SD_ERR_INPUT,
        "%s: is no file of weights that is known here, want a folder, a .safetensors, .gguf, "
        ".bin, .pt or .pth file",
        name);
    SD_TRY(sd_path_join("", slash == path ? "/." : path, &c->folder));
    if (slash != path) c->folder[slash != NULL ? slash - path : 0] = '\0';
    SD_TRY(open_single(c, name));

done:
    return st;
}

static sd_status open_weights(sd_checkpoint *c, const char *path)
{
    sd_status   st       = SD_OK;
    char       *snapshot = NULL;
    struct stat info;

    SD_TRY(sd_hub_resolve(path, &snapshot));
    if (snapshot != NULL) path = snapshot;
    SD_REQUIRE(stat(path, &info) == 0, SD_ERR_INPUT, "%s",
               errno != ENOENT           ? strerror(errno)
               : lstat(path, &info) == 0 ? "a link to nothing: copy it with what it points to, or "
                                           "download it again"
                                         : "no such file or folder");
    SD_TRY(S_ISDIR(info.st_mode) ? open_folder(c, path) : open_file(c, path));
    for (int64_t i = 0; i < c->count; i++) c->bytes += c->entries[i].info->bytes;

done:
    sd_free(snapshot);
    return st;
}

static sd_status read_config(sd_checkpoint *c)
{
    sd_status st   = SD_OK;
    char     *path = NULL;

    if (c->format->config != NULL) return c->format->config(&c->parts[0].file, &c->config);
    SD_TRY(sd_path_join(c->folder, "config.json", &path));
    if (!sd_file_exists(path))
        SD_TRY(refuse_missing(c, path, "config.json", "is missing; it belongs beside the weights"));
    SD_TRY(sd_config_read(path, "config.json", &c->config));

done:
    sd_free(path);
    return st;
}

static sd_status open_checkpoint(const char *path, const char *base, bool is_base,
                                 sd_checkpoint **out)
{
    sd_status      st = SD_OK;
    sd_checkpoint *c  = NULL;

    *out = NULL;
    SD_TRY(sd_alloc(1, sizeof *c, &c));
    c->base    = base;
    c->is_base = is_base;
    SD_TRY(open_weights(c, path));
    if (c->adapter == NULL) SD_TRY(read_config(c));
    *out = c;
    c    = NULL;

done:
    sd_checkpoint_close(&c);
    return st;
}

sd_status sd_checkpoint_open(const char *path, sd_checkpoint **out)
{
    return open_checkpoint(path, NULL, false, out);
}

sd_status sd_checkpoint_open_adapted(const char *path, const char *base, sd_checkpoint **out)
{
    return open_checkpoint(path, base, false, out);
}

/* ---- adapters ---- */

/* The adapter's own tensors: adapter_model with the extension of a format. */
static sd_status open_factors(const char *folder, sd_checkpoint **out)
{
    sd_status      st       = SD_OK;
    sd_checkpoint *c        = NULL;
    bool           found    = false;
    char           name[64] = "";

    *out = NULL;
    SD_TRY(sd_alloc(1, sizeof *c, &c));
    SD_TRY(sd_copy_string(folder, &c->folder));
    for (const sd_format *const *it = sd_formats; *it != NULL && !found; it++) {
        c->format = *it;
        snprintf(name, sizeof name, "adapter_model%s", c->format->extensions[0]);
        SD_TRY(holds(c, name, &found));
    }
    SD_TRY(open_single(c, found ? name : "adapter_model.safetensors"));
    *out = c;
    c    = NULL;

done:
    sd_checkpoint_close(&c);
    return st;
}

static sd_status open_base(const char *path, sd_checkpoint **out)
{
    char            text[SD_MESSAGE_LEN];
    const sd_status st = open_checkpoint(path, NULL, true, out);

    if (st == SD_OK) return st;
    snprintf(text, sizeof text, "%s", sd_message());
    sd_clear();
    return sd_fail(st, __FILE__, __LINE__, "its base '%s': %s", path, text);
}

static sd_status list_adapted(sd_checkpoint *c)
{
    sd_status st = SD_OK;

    c->count = sd_checkpoint_count(sd_adapter_base(c->adapter));
    SD_TRY(sd_alloc(c->count, sizeof *c->entries, &c->entries));
    for (int64_t i = 0; i < c->count; i++)
        c->entries[i] = (entry){.info = sd_adapter_tensor(c->adapter, i), .local = i};

done:
    return st;
}

/* A folder that holds an adapter becomes its base with the adapter on it. */
static sd_status open_adapted(sd_checkpoint *c)
{
    sd_status          st     = SD_OK;
    sd_adapter_config *config = NULL;
    sd_checkpoint     *base = NULL, *factors = NULL;
    char              *path = NULL;

    SD_REQUIRE(!c->is_base, SD_ERR_INPUT,
               "is an adapter itself; merge it by PEFT: merge_and_unload()");
    SD_TRY(sd_adapter_config_read(c->folder, &config));
    if (c->base != NULL)
        SD_TRY(sd_copy_string(c->base, &path));
    else
        SD_TRY(sd_adapter_config_base(config, c->folder, &path));
    SD_TRY(open_factors(c->folder, &factors));
    SD_TRY(open_base(path, &base));
    st   = sd_adapter_create(config, base, factors, &c->adapter);
    base = factors = NULL; /* given */
    SD_TRY(st);
    SD_TRY(list_adapted(c));

done:
    sd_checkpoint_close(&base);
    sd_checkpoint_close(&factors);
    sd_adapter_config_destroy(&config);
    sd_free(path);
    return st;
}

/* ---- the end ---- */

void sd_checkpoint_close(sd_checkpoint **checkpoint)
{
    sd_checkpoint *c = *checkpoint;

    if (c == NULL) return;
    for (int64_t k = 0; k < c->n_parts; k++) {
        c->format->close(&c->parts[k].file);
        sd_free(c->parts[k].shown);
    }
    sd_config_destroy(&c->config);
    sd_adapter_destroy(&c->adapter);
    sd_free(c->entries);
    sd_free(c->parts);
    sd_free(c->folder);
    sd_free(c);
    *checkpoint = NULL;
}

/* ---- what is in it ---- */

int64_t sd_checkpoint_count(const sd_checkpoint *checkpoint)
{
    return checkpoint->count;
}

const sd_tensor_info *sd_checkpoint_tensor(const sd_checkpoint *checkpoint, int64_t i)
{
    return checkpoint->entries[i].info;
}

static int name_against_entry(const void *name, const void *element)
{
    return strcmp(name, ((const entry *)element)->info->name);
}

int64_t sd_checkpoint_find(const sd_checkpoint *checkpoint, const char *name)
{
    const entry *found = bsearch(name, checkpoint->entries, (size_t)checkpoint->count,
                                 sizeof *checkpoint->entries, name_against_entry);

    return found != NULL ? found - checkpoint->entries : -1;
}

const char *sd_checkpoint_file_of(const sd_checkpoint *checkpoint, int64_t i)
{
    if (checkpoint->adapter != NULL) return sd_adapter_file_of(checkpoint->adapter, i);
    return checkpoint->parts[checkpoint->entries[i].part].shown;
}

int64_t sd_checkpoint_files(const sd_checkpoint *checkpoint)
{
    return checkpoint->n_parts;
}

int64_t sd_checkpoint_file_index(const sd_checkpoint *checkpoint, int64_t i)
{
    return checkpoint->adapter != NULL ? -1 : checkpoint->entries[i].part;
}

const char *sd_checkpoint_file(const sd_checkpoint *checkpoint, int64_t k)
{
    return checkpoint->parts[k].shown;
}

sd_status sd_checkpoint_file_path(const sd_checkpoint *checkpoint, int64_t k, char **out)
{
    return sd_path_join(checkpoint->folder, checkpoint->parts[k].shown, out);
}

int64_t sd_checkpoint_bytes(const sd_checkpoint *checkpoint)
{
    return checkpoint->bytes;
}

sd_status sd_checkpoint_read(const sd_checkpoint *checkpoint, int64_t i, int64_t offset,
                             int64_t count, void *out)
{
    sd_status st = SD_OK;

    SD_REQUIRE(i >= 0 && i < checkpoint->count, SD_ERR_INTERNAL, "tensor %" PRId64 " of %" PRId64,
               i, checkpoint->count);

    const entry *e = &checkpoint->entries[i];
    SD_REQUIRE(offset >= 0 && count >= 0 && count <= e->info->bytes - offset, SD_ERR_INTERNAL,
               "bytes %" PRId64 " + %" PRId64 " of tensor '%s'", offset, count, e->info->name);
    if (checkpoint->adapter != NULL)
        return sd_adapter_read(checkpoint->adapter, i, offset, count, out);
    SD_TRY(
        checkpoint->format->read(&checkpoint->parts[e->part].file, e->local, offset, count, out));

done:
    return st;
}

const char *sd_checkpoint_folder(const sd_checkpoint *checkpoint)
{
    return checkpoint->folder[0] != '\0' ? checkpoint->folder : ".";
}

const sd_checkpoint *sd_checkpoint_base(const sd_checkpoint *checkpoint)
{
    return checkpoint->adapter != NULL ? sd_adapter_base(checkpoint->adapter) : NULL;
}

void sd_checkpoint_prefetch(const sd_checkpoint *checkpoint, int64_t i, int64_t offset,
                            int64_t count)
{
    const entry *e = &checkpoint->entries[i];

    if (checkpoint->adapter == NULL && checkpoint->format->prefetch != NULL)
        checkpoint->format->prefetch(&checkpoint->parts[e->part].file, e->local, offset, count);
}

const sd_config *sd_checkpoint_config(const sd_checkpoint *checkpoint)
{
    const sd_checkpoint *base = sd_checkpoint_base(checkpoint);

    return base != NULL ? base->config : checkpoint->config;
}

sd_status sd_checkpoint_tokenizer(const sd_checkpoint *checkpoint, char **out)
{
    const part *first = checkpoint->parts;

    *out = NULL;
    if (checkpoint->adapter != NULL || checkpoint->format->has_tokenizer == NULL ||
        !checkpoint->format->has_tokenizer(&first->file))
        return SD_OK;
    return sd_path_join(checkpoint->folder, first->shown, out);
}
