/* The checkpoints of a study: globs and the steps in names. */
#include <ctype.h>
#include <errno.h>
#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "io/hub.h"
#include "pipeline/study.h"
#include "solvers/base/memory.h"

sd_status sd_study_resolve(const sd_study *study, const char *path, char **out)
{
    sd_status    st    = SD_OK;
    const size_t bytes = strlen(study->folder) + strlen(path) + 2;
    const bool   bare  = path[0] == '/' || study->folder[0] == '\0';

    SD_TRY(sd_alloc((int64_t)bytes, 1, out));
    snprintf(*out, bytes, "%s%s%s", bare ? "" : study->folder, bare ? "" : "/", path);

done:
    return st;
}

/* ---- steps in names ---- */

/* Digits after a word and at most one of "-_="; -1 when there are none or too many. A k behind them
 * is a thousand: step-50K-105b. */
static int64_t digits_after(const char *text)
{
    int64_t value = 0;

    if (*text == '-' || *text == '_' || *text == '=') text++;
    if (!isdigit((unsigned char)*text)) return -1;
    for (; isdigit((unsigned char)*text); text++) {
        if (value > (INT64_MAX - 9) / 10) return -1;
        value = value * 10 + (*text - '0');
    }
    if (tolower((unsigned char)*text) != 'k' || isalnum((unsigned char)text[1])) return value;
    return value > INT64_MAX / 1000 ? -1 : value * 1000;
}

/* What training programs and publishers put in front of a step. */
static const struct {
    const char *word;
    bool        inside; /* also at the end of a longer word: globalstep1000, but not writer5 */
    bool        weak;   /* counts only where no other does: epoch=3-step=1000                */
} step_words[] = {
    {"step", true, false},  {"checkpoint", true, false}, {"ckpt", false, false},
    {"iter", false, false}, {"iteration", false, false}, {"epoch", false, true},
};
enum { N_STEP_WORDS = sizeof step_words / sizeof *step_words };

/* The step behind word `w` at name[i]; -1: there is none. */
static int64_t step_at(const char *name, size_t length, size_t i, int w)
{
    const size_t n = strlen(step_words[w].word);

    if (i + n >= length || strncasecmp(name + i, step_words[w].word, n) != 0) return -1;
    if (i > 0 && isalpha((unsigned char)name[i - 1]) && !step_words[w].inside) return -1;
    return digits_after(name + i + n);
}

static int64_t step_of_component(const char *name, size_t length)
{
    int64_t strong = -1, weak = -1;

    for (size_t i = 0; i < length; i++)
        for (int w = 0; w < N_STEP_WORDS; w++) {
            const int64_t step = step_at(name, length, i, w);

            if (step < 0) continue;
            if (step_words[w].weak)
                weak = step;
            else
                strong = step; /* the last one counts: stage1-step-40000 */
        }
    return strong >= 0 ? strong : weak;
}

int64_t sd_step_of_name(const char *path)
{
    const char *end = path + strlen(path);

    /* The last component, and then the folder it is in: step_1000/model.safetensors. */
    for (int tries = 0; tries < 2 && end > path; tries++) {
        while (end > path && end[-1] == '/') end--;
        const char *begin = end;
        while (begin > path && begin[-1] != '/') begin--;
        const int64_t step = step_of_component(begin, (size_t)(end - begin));
        if (step >= 0) return step;
        end = begin;
    }
    return -1;
}

/* ---- listing ---- */

typedef struct {
    int64_t step;
    char   *path;
} entry;

/* A growing list of one run's checkpoints. */
typedef struct {
    entry  *item;
    int64_t n, room;
} entries;

static sd_status add(entries *list, int64_t step, const char *path)
{
    sd_status st = SD_OK;

    if (list->n == list->room) {
        entry        *larger;
        const int64_t room = list->room * 2 + 16;

        SD_TRY(sd_alloc(room, sizeof *larger, &larger));
        if (list->n > 0) memcpy(larger, list->item, (size_t)list->n * sizeof *larger);
        sd_free(list->item);
        list->item = larger;
        list->room = room;
    }
    SD_TRY(sd_copy_string(path, &list->item[list->n].path));
    list->item[list->n++].step = step;

done:
    return st;
}

static void release(entries *list)
{
    for (int64_t i = 0; i < list->n; i++) sd_free(list->item[i].path);
    sd_free(list->item);
}

static int by_step(const void *a, const void *b)
{
    const entry *x = a, *y = b;

    return x->step != y->step ? (x->step > y->step) - (x->step < y->step)
                              : strcmp(x->path, y->path);
}

/* The folder of the study stands in front of the pattern literally: its special characters are
 * escaped. */
static sd_status escaped_pattern(const sd_study *study, const char *pattern, char **out)
{
    sd_status   st       = SD_OK;
    const bool  absolute = pattern[0] == '/' || study->folder[0] == '\0';
    const char *folder   = absolute ? "" : study->folder;
    char       *to;

    SD_TRY(sd_alloc((int64_t)(2 * strlen(folder) + strlen(pattern) + 2), 1, out));
    to = *out;
    for (; *folder != '\0'; folder++) {
        if (strchr("*?[]\\", *folder) != NULL) *to++ = '\\';
        *to++ = *folder;
    }
    if (!absolute) *to++ = '/';
    memcpy(to, pattern, strlen(pattern) + 1);

done:
    return st;
}

/* ---- models in the hub's cache ---- */

static size_t length_without_slashes(const char *path)
{
    size_t n = strlen(path);

    while (n > 1 && path[n - 1] == '/') n--;
    return n;
}

/* Adds every revision of a model whose name holds a step, as MODEL/refs/REVISION. */
static sd_status add_revisions(const char *file, const char *path, entries *list)
{
    sd_status        st    = SD_OK;
    const int        model = (int)length_without_slashes(path);
    sd_hub_revisions revisions;
    char            *full = NULL;

    SD_TRY(sd_hub_list(file, &revisions));
    for (int64_t i = 0; i < revisions.n; i++) {
        const int64_t step  = sd_step_of_name(revisions.item[i].name);
        const size_t  bytes = strlen(path) + strlen(revisions.item[i].name) + sizeof "/refs/";

        if (step < 0) continue;
        SD_TRY(sd_alloc((int64_t)bytes, 1, &full));
        snprintf(full, bytes, "%.*s/refs/%s", model, path, revisions.item[i].name);
        SD_TRY(add(list, step, full));
        sd_free(full);
        full = NULL;
    }

done:
    sd_free(full);
    sd_hub_release(&revisions);
    return st;
}

static const char *last_component(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? slash + 1 : path;
}

/* A snapshot's own name is a hash: it has the step of each revision that is at it, or else the
 * model's. */
static sd_status add_snapshot(const char *file, const char *path, entries *list)
{
    sd_status        st        = SD_OK;
    sd_hub_revisions revisions = {0};
    char            *model     = NULL;
    const int64_t    before    = list->n;

    SD_TRY(sd_hub_model_of(file, &model));
    if (model != NULL) SD_TRY(sd_hub_list(model, &revisions));
    for (int64_t i = 0; i < revisions.n; i++) {
        const int64_t step = sd_step_of_name(revisions.item[i].name);

        if (step >= 0 && strcmp(revisions.item[i].commit, last_component(file)) == 0)
            SD_TRY(add(list, step, path));
    }
    if (list->n == before) SD_TRY(add(list, model != NULL ? sd_step_of_name(model) : -1, path));

done:
    sd_free(model);
    sd_hub_release(&revisions);
    return st;
}

/* ---- paths and globs ---- */

/* Adds what a path means: one checkpoint, or the series that a model in the hub's cache is. */
static sd_status add_path(const sd_study *study, const char *path, entries *list)
{
    sd_status     st       = SD_OK;
    char         *file     = NULL;
    const int64_t before   = list->n;
    bool          is_model = false;

    SD_TRY(sd_study_resolve(study, path, &file));
    file[length_without_slashes(file)] = '\0';
    SD_TRY(sd_hub_is_model(file, &is_model));
    if (is_model) SD_TRY(add_revisions(file, path, list));
    if (list->n > before) goto done;
    const int64_t step = sd_step_of_name(path);
    if (step >= 0)
        SD_TRY(add(list, step, path));
    else
        SD_TRY(add_snapshot(file, path, list));

done:
    sd_free(file);
    return st;
}

static sd_status add_pattern(const sd_study *study, const sd_study_run *run,
                             const sd_study_checkpoint *pattern, entries *list)
{
    sd_status    st      = SD_OK;
    int          failed  = 0;
    char        *escaped = NULL;
    glob_t       found   = {0};
    const size_t skip    = strlen(pattern->file) - strlen(pattern->path);

    /* A path with a step of its own, or without wildcards, is taken as it stands: what is wrong
     * with it is found when it is opened, and fails that checkpoint alone. */
    if (pattern->step >= 0) return add(list, pattern->step, pattern->path);
    if (strpbrk(pattern->path, "*?[") == NULL) return add_path(study, pattern->path, list);
    SD_TRY(escaped_pattern(study, pattern->path, &escaped));
    failed = glob(escaped, 0, NULL, &found);
    SD_REQUIRE(failed != GLOB_NOSPACE, SD_ERR_RESOURCE, "no memory to look for '%s'",
               pattern->path);
    SD_REQUIRE(failed == 0, SD_ERR_USAGE,
               "%s:%" PRId64 ": no file or folder matches '%s' of run '%s'", study->shown,
               run->line, pattern->path, run->name);
    for (size_t i = 0; i < found.gl_pathc; i++)
        SD_TRY(add_path(study, found.gl_pathv[i] + skip, list));

done:
    globfree(&found);
    sd_free(escaped);
    return st;
}

static sd_status check_steps(const sd_study *study, const sd_study_run *run, entries *list)
{
    sd_status st = SD_OK;

    if (list->n == 1 && list->item[0].step < 0) list->item[0].step = 0;
    for (int64_t i = 0; i < list->n; i++) {
        SD_REQUIRE(list->item[i].step >= 0, SD_ERR_USAGE,
                   "%s:%" PRId64 ": the name of '%s' holds no step; write {step: N, path: %s}",
                   study->shown, run->line, list->item[i].path, list->item[i].path);
        SD_REQUIRE(i == 0 || list->item[i].step != list->item[i - 1].step, SD_ERR_USAGE,
                   "%s:%" PRId64 ": run '%s' has step %" PRId64 " twice: '%s' and '%s'",
                   study->shown, run->line, run->name, list->item[i].step, list->item[i - 1].path,
                   list->item[i].path);
    }

done:
    return st;
}

/* The step that fine-tunes of this run say they started from must be one of its own. */
static sd_status check_children(const sd_study *study, const sd_study_run *run, const entries *list)
{
    sd_status st = SD_OK;

    for (int64_t c = 0; c < study->n_runs; c++) {
        const sd_study_run *child = &study->run[c];
        bool                found = child->parent_step < 0;

        if (child->parent == NULL || strcmp(child->parent, run->name) != 0) continue;
        for (int64_t i = 0; i < list->n; i++) found |= list->item[i].step == child->parent_step;
        SD_REQUIRE(found, SD_ERR_USAGE,
                   "%s:%" PRId64 ": 'parent_step' %" PRId64 " is no step of run '%s'", study->shown,
                   child->line, child->parent_step, run->name);
    }

done:
    return st;
}

static sd_status list_run(const sd_study *study, const sd_study_run *run, entries *list)
{
    sd_status st = SD_OK;

    for (int64_t i = 0; i < run->n_patterns; i++)
        SD_TRY(add_pattern(study, run, &run->pattern[i], list));
    qsort(list->item, (size_t)list->n, sizeof *list->item, by_step);
    SD_TRY(check_steps(study, run, list));
    SD_TRY(check_children(study, run, list));

done:
    return st;
}

sd_status sd_study_list(const sd_study *study, char **list, int64_t *bytes)
{
    sd_status st   = SD_OK;
    FILE     *to   = NULL;
    char     *text = NULL;
    size_t    size = 0;
    entries   run  = {0};

    *list = NULL;
    to    = open_memstream(&text, &size);
    SD_REQUIRE(to != NULL, SD_ERR_RESOURCE, "no memory for the list of checkpoints");
    for (int64_t r = 0; r < study->n_runs; r++) {
        SD_TRY(list_run(study, &study->run[r], &run));
        for (int64_t i = 0; i < run.n; i++)
            fprintf(to, "%" PRId64 "%c%" PRId64 "%c%s%c", r, 0, run.item[i].step, 0,
                    run.item[i].path, 0);
        release(&run);
        run = (entries){0};
    }
    SD_REQUIRE(fflush(to) == 0 && !ferror(to), SD_ERR_RESOURCE,
               "no memory for the list of checkpoints");
    SD_TRY(sd_alloc((int64_t)size + 1, 1, list));
    memcpy(*list, text, size);
    *bytes = (int64_t)size;

done:
    release(&run);
    if (to != NULL) fclose(to);
    free(text);
    return st;
}

/* ---- filling ---- */

/* One record of the list: run, step, path. Returns the first byte after it. */
static const char *read_record(const char *at, int64_t *run, int64_t *step, const char **path)
{
    *run = strtoll(at, NULL, 10);
    at += strlen(at) + 1;
    *step = strtoll(at, NULL, 10);
    at += strlen(at) + 1;
    *path = at;
    return at + strlen(at) + 1;
}

sd_status sd_study_fill(sd_study *study, const char *list, int64_t bytes)
{
    sd_status st    = SD_OK;
    int64_t  *count = NULL, r,
            step; /* a run's own count says what is filled: the cleanup needs it */
    const char *path;

    SD_TRY(sd_alloc(study->n_runs, sizeof *count, &count));
    for (const char *at = list; at < list + bytes;) {
        at = read_record(at, &r, &step, &path);
        count[r]++;
    }
    for (r = 0; r < study->n_runs; r++) {
        sd_study_run *run = &study->run[r];

        SD_TRY(sd_alloc(count[r], sizeof *run->checkpoint, &run->checkpoint));
    }
    for (const char *at = list; at < list + bytes;) {
        at                        = read_record(at, &r, &step, &path);
        sd_study_checkpoint *item = &study->run[r].checkpoint[study->run[r].n_checkpoints++];

        item->step = step;
        SD_TRY(sd_copy_string(path, &item->path));
        SD_TRY(sd_study_resolve(study, path, &item->file));
    }

done:
    sd_free(count);
    return st;
}
