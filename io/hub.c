#include "io/hub.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "io/file.h"
#include "solvers/base/memory.h"

enum {
    REF_BYTES = 256,     /* of a ref file, more than any has */
    DEEPEST   = 3,       /* slashes in a revision's name     */
    MOST      = 1 << 20, /* revisions                        */
    SHOWN     = 256      /* bytes of a list in a message     */
};

static bool is_folder(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static bool is_link(const char *path)
{
    struct stat info;

    return lstat(path, &info) == 0 && S_ISLNK(info.st_mode);
}

static sd_status holds_folder(const char *path, const char *name, bool *out)
{
    sd_status st   = SD_OK;
    char     *full = NULL;

    *out = false;
    SD_TRY(sd_path_join(path, name, &full));
    *out = is_folder(full);

done:
    sd_free(full);
    return st;
}

/* The last component, whatever slashes end the path. */
static const char *last_of(const char *path)
{
    const char *end = path + strlen(path);

    while (end > path && end[-1] == '/') end--;
    while (end > path && end[-1] != '/') end--;
    return end;
}

sd_status sd_hub_is_model(const char *path, bool *out)
{
    sd_status st    = SD_OK;
    bool      named = strncmp(last_of(path), "models--", 8) == 0;

    SD_TRY(holds_folder(path, "snapshots", out));
    if (!*out || named) goto done;
    SD_TRY(holds_folder(path, "refs", out));
    if (!*out) SD_TRY(holds_folder(path, "blobs", out));

done:
    return st;
}

/* ---- paths into a model's folder ---- */

/* Where a component begins in the path, from `from` on and not as its last one; NULL: nowhere. */
static const char *find_component(const char *path, const char *from, const char *name)
{
    const size_t n = strlen(name);

    for (const char *at = from; (at = strstr(at, name)) != NULL; at++)
        if ((at == path || at[-1] == '/') && at[n] == '/' && at[n + strspn(at + n, "/")] != '\0')
            return at;
    return NULL;
}

/* The folder in front of a component: "." for nothing. Yours. */
static sd_status folder_before(const char *path, const char *component, char **out)
{
    sd_status st = SD_OK;

    if (component == path) return sd_copy_string(".", out);
    SD_TRY(sd_copy_string(path, out));
    while (component > path + 1 && component[-1] == '/') component--;
    (*out)[component - path] = '\0';

done:
    return st;
}

sd_status sd_hub_model_of(const char *path, char **out)
{
    static const char *const names[] = {"refs", "snapshots"};
    sd_status                st      = SD_OK;
    bool                     found;

    *out = NULL;
    for (int i = 0; i < 2; i++)
        for (const char *at = path; (at = find_component(path, at, names[i])) != NULL; at++) {
            SD_TRY(folder_before(path, at, out));
            SD_TRY(sd_hub_is_model(*out, &found));
            if (found) goto done;
            sd_free(*out);
            *out = NULL;
        }

done:
    return st;
}

/* ---- revisions ---- */

/* The commit in a ref file. It becomes a folder's name: anything but hex digits is refused. */
static sd_status read_commit(const char *path, const char *shown, char commit[SD_HUB_COMMIT])
{
    sd_status st              = SD_OK;
    sd_file   file            = {.fd = -1};
    char      text[REF_BYTES] = "";
    int       n               = 0;

    SD_TRY(sd_file_open(path, shown, &file));
    if (file.bytes < REF_BYTES) SD_TRY(sd_file_read_at(&file, shown, 0, file.bytes, text));
    while (n < SD_HUB_COMMIT - 1 && isxdigit((unsigned char)text[n])) n++;
    SD_REQUIRE(n >= 7 && strspn(text + n, " \t\r\n") == strlen(text + n), SD_ERR_INPUT,
               "%s: holds no commit; download the revision again", shown);
    memcpy(commit, text, (size_t)n);
    commit[n] = '\0';

done:
    sd_file_close(&file);
    return st;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const sd_hub_revision *)a)->name, ((const sd_hub_revision *)b)->name);
}

static sd_status add(sd_hub_revisions *list, int64_t *room, const char *name, const char *path)
{
    sd_status st = SD_OK;

    SD_REQUIRE(list->n < MOST, SD_ERR_INPUT, "refs: has more than %d revisions", MOST);
    if (list->n == *room) {
        sd_hub_revision *larger;

        SD_TRY(sd_alloc(*room * 2 + 16, sizeof *larger, &larger));
        if (list->n > 0) memcpy(larger, list->item, (size_t)list->n * sizeof *larger);
        sd_free(list->item);
        list->item = larger;
        *room      = *room * 2 + 16;
    }
    SD_TRY(sd_copy_string(name, &list->item[list->n].name));
    st = read_commit(path, name, list->item[list->n++].commit);
    if (st == SD_ERR_INPUT) {
        sd_clear(); /* a damaged one does not hinder the others */
        st = SD_OK;
    }

done:
    return st;
}

/* Adds the files of a folder below refs/ and of those in it; `name` is its own name, "" at first.
 * Links to folders, which no tool makes there, are passed over: they may lead in circles. */
static sd_status add_folder(const char *refs, const char *name, int depth, sd_hub_revisions *list,
                            int64_t *room)
{
    sd_status            st   = SD_OK;
    char                *path = NULL, *inner = NULL, *full = NULL;
    DIR                 *folder = NULL;
    const struct dirent *item;

    SD_TRY(sd_path_join(refs, name[0] != '\0' ? name : ".", &path));
    folder = opendir(path);
    SD_REQUIRE(folder != NULL, SD_ERR_INPUT, "refs: cannot be read: %s", strerror(errno));
    while ((item = readdir(folder)) != NULL) {
        if (item->d_name[0] == '.') continue;
        SD_TRY(sd_path_join(name, item->d_name, &inner));
        SD_TRY(sd_path_join(refs, inner, &full));
        if (!is_folder(full))
            SD_TRY(add(list, room, inner, full));
        else if (depth < DEEPEST && !is_link(full))
            SD_TRY(add_folder(refs, inner, depth + 1, list, room));
        sd_free(inner);
        sd_free(full);
        inner = full = NULL;
    }

done:
    if (folder != NULL) closedir(folder);
    sd_free(path);
    sd_free(inner);
    sd_free(full);
    return st;
}

sd_status sd_hub_list(const char *model, sd_hub_revisions *out)
{
    sd_status st   = SD_OK;
    char     *refs = NULL;
    int64_t   room = 0;

    *out = (sd_hub_revisions){0};
    SD_TRY(sd_path_join(model, "refs", &refs));
    if (!is_folder(refs)) goto done;
    SD_TRY(add_folder(refs, "", 0, out, &room));
    qsort(out->item, (size_t)out->n, sizeof *out->item, by_name);

done:
    sd_free(refs);
    return st;
}

void sd_hub_release(sd_hub_revisions *list)
{
    for (int64_t i = 0; i < list->n; i++) sd_free(list->item[i].name);
    sd_free(list->item);
    *list = (sd_hub_revisions){0};
}

/* ---- snapshots ---- */

/* The snapshot of model/refs/name. */
static sd_status snapshot_of(const char *model, const char *name, char **out)
{
    sd_status st   = SD_OK;
    char     *path = NULL, *shown = NULL;
    char      inner[SD_HUB_COMMIT + sizeof "snapshots/"] = "snapshots/";

    SD_TRY(sd_path_join("refs", name, &shown));
    SD_TRY(sd_path_join(model, shown, &path));
    SD_TRY(read_commit(path, shown, inner + strlen(inner)));
    SD_TRY(sd_path_join(model, inner, out));
    SD_REQUIRE(is_folder(*out), SD_ERR_INPUT,
               "%s: its snapshot %.12s is not there; download the revision again", shown,
               inner + strlen("snapshots/"));

done:
    if (st != SD_OK) {
        sd_free(*out);
        *out = NULL;
    }
    sd_free(path);
    sd_free(shown);
    return st;
}

/* Counts the model's snapshots; keeps the last one's folder. */
static sd_status count_snapshots(const char *model, int64_t *n, char **last)
{
    sd_status            st   = SD_OK;
    char                *path = NULL;
    DIR                 *folder;
    const struct dirent *item;

    *n = 0;
    SD_TRY(sd_path_join(model, "snapshots", &path));
    folder = opendir(path);
    SD_REQUIRE(folder != NULL, SD_ERR_INPUT, "snapshots: cannot be read: %s", strerror(errno));
    while (st == SD_OK && (item = readdir(folder)) != NULL) {
        if (item->d_name[0] == '.') continue;
        (*n)++;
        sd_free(*last);
        *last = NULL;
        st    = sd_path_join(path, item->d_name, last);
    }
    closedir(folder);

done:
    sd_free(path);
    return st;
}

/* "refs/a, refs/b, ..." as far as it fits. */
static void show_revisions(const sd_hub_revisions *list, char out[SHOWN])
{
    size_t used = 0;

    for (int64_t i = 0; i < list->n && used < SHOWN - 1; i++) {
        const bool fits = used + strlen(list->item[i].name) + 16 < SHOWN;

        used += (size_t)snprintf(out + used, SHOWN - used, "%s%s%s", used > 0 ? ", " : "",
                                 fits ? "refs/" : "...", fits ? list->item[i].name : "");
        if (!fits) break;
    }
    if (used == 0) snprintf(out, SHOWN, "snapshots/COMMIT");
}

static sd_status main_snapshot(const char *model, char **out)
{
    sd_status        st   = SD_OK;
    sd_hub_revisions list = {0};
    char             names[SHOWN];
    int64_t          n;

    SD_TRY(sd_hub_list(model, &list));
    for (int64_t i = 0; i < list.n; i++)
        if (strcmp(list.item[i].name, "main") == 0) {
            SD_TRY(snapshot_of(model, "main", out));
            goto done;
        }
    SD_TRY(count_snapshots(model, &n, out));
    show_revisions(&list, names);
    SD_REQUIRE(n > 0, SD_ERR_INPUT, "the folder of the model holds no snapshot; download it again");
    SD_REQUIRE(n == 1, SD_ERR_INPUT,
               "the folder of the model holds %" PRId64
               " snapshots and no revision 'main'; name the one that is meant: %s",
               n, names);

done:
    if (st != SD_OK) {
        sd_free(*out);
        *out = NULL;
    }
    sd_hub_release(&list);
    return st;
}

/* The name of the revision in MODEL/refs/NAME; NULL when the path is another one. */
static const char *revision_of(const char *path, const char *model)
{
    const size_t n  = strlen(model); /* "." may stand for nothing */
    const char  *at = strncmp(path, model, n) == 0 ? path + n : path;

    at += strspn(at, "/");
    if (strncmp(at, "refs/", 5) != 0) return NULL;
    return at + 5 + strspn(at + 5, "/");
}

sd_status sd_hub_resolve(const char *path, char **out)
{
    sd_status   st    = SD_OK;
    char       *model = NULL;
    const char *revision;
    bool        is_model = false;

    *out = NULL;
    if (is_folder(path)) {
        SD_TRY(sd_hub_is_model(path, &is_model));
        if (is_model) SD_TRY(main_snapshot(path, out));
        goto done;
    }
    SD_TRY(sd_hub_model_of(path, &model));
    if (model == NULL || !sd_file_exists(path)) goto done;
    revision = revision_of(path, model);
    if (revision != NULL) SD_TRY(snapshot_of(model, revision, out));

done:
    sd_free(model);
    return st;
}

/* ---- downloads ---- */

static sd_status has_incomplete(const char *folder, const char *inner, bool *out)
{
    static const char    end[] = ".incomplete";
    sd_status            st    = SD_OK;
    char                *path  = NULL;
    DIR                 *dir   = NULL;
    const struct dirent *item;

    *out = false;
    SD_TRY(sd_path_join(folder, inner, &path));
    dir = opendir(path);
    while (dir != NULL && !*out && (item = readdir(dir)) != NULL) {
        const size_t n = strlen(item->d_name);

        *out = n >= sizeof end && strcmp(item->d_name + n - (sizeof end - 1), end) == 0;
    }

done:
    if (dir != NULL) closedir(dir);
    sd_free(path);
    return st;
}

sd_status sd_hub_is_unfinished(const char *folder, bool *out)
{
    sd_status st = SD_OK;

    SD_TRY(has_incomplete(folder, "../../blobs", out));
    if (!*out) SD_TRY(has_incomplete(folder, ".cache/huggingface/download", out));

done:
    return st;
}
