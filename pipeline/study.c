#include "pipeline/study.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/yaml.h"
#include "pipeline/nearest.h"
#include "solvers/base/memory.h"

enum { MAX_KEYS = 24, LONGEST_NAME = 100, HINT = 256 };

/* ---- a map's keys, as a table ---- */

typedef enum {
    KIND_INT,
    KIND_BOOL,
    KIND_CHOICE,
    KIND_SECOND, /* a bool: whether the second of two words is chosen */
    KIND_PATH,
    KIND_STRING,
    KIND_CUSTOM
} kind;

typedef struct row row;
struct row {
    const char *key;
    kind        kind;
    size_t      offset;      /* of the field in the target                                     */
    int64_t     least, most; /* KIND_INT                                                       */
    /* KIND_CHOICE, KIND_SECOND: words in the enum's order, NULL-terminated. A leading '!' marks one
     * that this version knows and cannot do yet. KIND_BOOL: "!" when only false can be done. */
    const char *const *choices;
    sd_status (*custom)(sd_study *study, const sd_yaml *node, void *target);
};

#define FAIL(study, node, ...) fail_at((study), (node), __VA_ARGS__)

static sd_status fail_at(const sd_study *study, const sd_yaml *node, const char *format, ...)
    SD_PRINTF_LIKE(3, 4);

static sd_status fail_at(const sd_study *study, const sd_yaml *node, const char *format, ...)
{
    char    text[SD_MESSAGE_LEN];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return sd_fail(SD_ERR_USAGE, __FILE__, __LINE__, "%s:%" PRId64 ": %s", study->shown, node->line,
                   text);
}

static const char *shown_value(const sd_yaml *node)
{
    return node->kind == SD_YAML_SCALAR ? node->scalar
           : node->kind == SD_YAML_LIST ? "a list"
                                        : "a map";
}

/* The same where no quotes stand around it. */
static const char *bare_value(const sd_yaml *node)
{
    return node->kind == SD_YAML_SCALAR && node->scalar[0] == '\0' ? "empty" : shown_value(node);
}

static bool is_word(const sd_yaml *node, const char *word)
{
    return node->kind == SD_YAML_SCALAR && strcmp(node->scalar, word) == 0;
}

static sd_status read_int(const sd_study *study, const sd_yaml *node, int64_t least, int64_t most,
                          int64_t *out)
{
    char     *end   = NULL;
    long long value = 0;

    errno = 0;
    if (node->kind == SD_YAML_SCALAR && !node->quoted) value = strtoll(node->scalar, &end, 10);
    if (end == NULL || end == node->scalar || *end != '\0' || errno != 0 || value < least ||
        value > most)
        return FAIL(study, node, "'%s' is '%s', want a whole number in [%" PRId64 ", %" PRId64 "]",
                    node->key != NULL ? node->key : "entry", shown_value(node), least, most);
    *out = value;
    return SD_OK;
}

static sd_status read_bool(const sd_study *study, const sd_yaml *node, const row *r, bool *out)
{
    if (!is_word(node, "true") && !is_word(node, "false"))
        return FAIL(study, node, "'%s' is '%s', want true or false", node->key, shown_value(node));
    *out = is_word(node, "true");
    if (*out && r->choices != NULL)
        return FAIL(study, node, "'%s: true' is not supported by this version", node->key);
    return SD_OK;
}

static sd_status read_choice(const sd_study *study, const sd_yaml *node, const row *r, int *out)
{
    char        hint[HINT];
    const char *words[MAX_KEYS] = {0};

    for (int i = 0; r->choices[i] != NULL; i++) {
        const bool  later = r->choices[i][0] == '!';
        const char *word  = r->choices[i] + later;

        words[i] = word;
        if (!is_word(node, word)) continue;
        if (later)
            return FAIL(study, node, "'%s: %s' is not supported by this version", node->key, word);
        *out = i;
        return SD_OK;
    }
    return FAIL(study, node, "'%s' is '%s'%s", node->key, shown_value(node),
                sd_nearest_hint(shown_value(node), words, hint, HINT));
}

static sd_status read_second(const sd_study *study, const sd_yaml *node, const row *r, bool *out)
{
    sd_status st     = SD_OK;
    int       choice = 0;

    SD_TRY(read_choice(study, node, r, &choice));
    *out = choice == 1;

done:
    return st;
}

static sd_status read_string(const sd_study *study, const sd_yaml *node, char **out)
{
    if (node->kind != SD_YAML_SCALAR || node->scalar[0] == '\0')
        return FAIL(study, node, "'%s' is %s, want text", node->key != NULL ? node->key : "entry",
                    bare_value(node));
    sd_free(*out);
    return sd_copy_string(node->scalar, out);
}

static sd_status read_path(const sd_study *study, const sd_yaml *node, char **out)
{
    sd_status st   = SD_OK;
    char     *text = NULL;

    SD_TRY(read_string(study, node, &text));
    sd_free(*out);
    SD_TRY(sd_study_resolve(study, text, out));

done:
    sd_free(text);
    return st;
}

static sd_status read_value(sd_study *study, const sd_yaml *node, const row *r, void *target)
{
    void *field = (char *)target + r->offset;

    switch (r->kind) {
    case KIND_INT: return read_int(study, node, r->least, r->most, field);
    case KIND_BOOL: return read_bool(study, node, r, field);
    case KIND_CHOICE: return read_choice(study, node, r, field);
    case KIND_SECOND: return read_second(study, node, r, field);
    case KIND_PATH: return read_path(study, node, field);
    case KIND_STRING: return read_string(study, node, field);
    case KIND_CUSTOM: return r->custom(study, node, target);
    }
    return SD_OK;
}

/* Reads a map by its table; `name` is what it is called in messages, NULL for the whole study. */
static sd_status read_map(sd_study *study, const sd_yaml *node, const char *name, const row *rows,
                          void *target)
{
    sd_status   st              = SD_OK;
    const char *words[MAX_KEYS] = {0};
    char        hint[HINT];

    for (int i = 0; rows[i].key != NULL; i++) words[i] = rows[i].key;
    if (node->kind != SD_YAML_MAP)
        SD_TRY(FAIL(study, node, "%s is %s, want a map of keys", name != NULL ? name : "the study",
                    bare_value(node)));
    for (int64_t c = 0; c < node->count; c++) {
        const sd_yaml *child = &node->child[c];
        const row     *r     = rows;

        while (r->key != NULL && strcmp(r->key, child->key) != 0) r++;
        if (r->key == NULL)
            SD_TRY(FAIL(study, child, "'%s' is no key of %s%s%s%s", child->key,
                        name != NULL ? "'" : "", name != NULL ? name : "a study",
                        name != NULL ? "'" : "", sd_nearest_hint(child->key, words, hint, HINT)));
        SD_TRY(read_value(study, child, r, target));
    }

done:
    return st;
}

/* ---- the maps ---- */

static const char *const FALSE_ONLY[] = {"!", NULL};
static const char *const ESTIMATORS[] = {"stein", "sampled", "!tokens", NULL};
static const char *const INPUTS[]     = {"paper", "scaled", NULL};
static const char *const VALUES[]     = {"leading", "all", NULL};
static const char *const SOLVERS[]    = {"auto", "lapack", "scalapack", "slepc", NULL};
static const char *const EIGENPAIRS[] = {"auto", "iterative", "full", NULL};
static const char *const NONE_ONLY[]  = {"none", "!all", NULL};
static const char *const MATRICES[]   = {"layer", "attention", "ffn", NULL};
static const char *const FORMATS[]    = {"pdf", "svg", "png", NULL};

#define FIELD(type, field) offsetof(type, field)

/* A list of words; calls `take` with the index of each. */
static sd_status read_words(sd_study *study, const sd_yaml *node, const char *const *words,
                            void (*take)(sd_study *study, int index))
{
    sd_status st = SD_OK;
    char      hint[HINT];

    if (node->kind != SD_YAML_LIST)
        SD_TRY(FAIL(study, node, "'%s' is '%s', want a list", node->key, shown_value(node)));
    for (int64_t i = 0; i < node->count; i++) {
        int k = 0;

        while (words[k] != NULL && !is_word(&node->child[i], words[k])) k++;
        if (words[k] == NULL)
            SD_TRY(FAIL(study, &node->child[i], "'%s' is nothing for '%s'%s",
                        shown_value(&node->child[i]), node->key,
                        sd_nearest_hint(shown_value(&node->child[i]), words, hint, HINT)));
        take(study, k);
    }

done:
    return st;
}

static void take_matrix(sd_study *study, int index)
{
    study->spectrum.matrices |= 1u << index;
}

static sd_status read_matrices(sd_study *study, const sd_yaml *node, void *target)
{
    (void)target;
    study->spectrum.matrices = 0;
    return read_words(study, node, MATRICES, take_matrix);
}

static void take_format(sd_study *study, int index)
{
    int n = 0;

    while (study->figures[n] != NULL && study->figures[n] != FORMATS[index]) n++;
    study->figures[n] = FORMATS[index];
}

static sd_status read_figures(sd_study *study, const sd_yaml *node, void *target)
{
    (void)target;
    memset(study->figures, 0, sizeof study->figures);
    return is_word(node, "none") ? SD_OK : read_words(study, node, FORMATS, take_format);
}

static sd_status read_team_size(sd_study *study, const sd_yaml *node, void *target)
{
    (void)target;
    study->team_size = 0;
    return is_word(node, "auto") ? SD_OK : read_int(study, node, 1, 1 << 20, &study->team_size);
}

static sd_status read_measure(sd_study *study, const sd_yaml *node, void *target)
{
    static const row rows[] = {
        {"sequences", KIND_INT, FIELD(sd_study, measure.sequences), 1, 1 << 24, NULL, NULL},
        {"length", KIND_INT, FIELD(sd_study, measure.length), 1, 1 << 24, NULL, NULL},
        {"bos", KIND_BOOL, FIELD(sd_study, measure.bos), 0, 0, NULL, NULL},
        {0}};

    study->measure.written = true;
    return read_map(study, node, "measure", rows, target);
}

static sd_status read_linear(sd_study *study, const sd_yaml *node, void *target)
{
    static const row rows[] = {
        {"estimator", KIND_CHOICE, FIELD(sd_study, linear.estimator), 0, 0, ESTIMATORS, NULL},
        {"input", KIND_SECOND, FIELD(sd_study, linear.scaled_input), 0, 0, INPUTS, NULL},
        {"biases", KIND_BOOL, FIELD(sd_study, linear.biases), 0, 0, NULL, NULL},
        {"centring", KIND_BOOL, FIELD(sd_study, linear.centring), 0, 0, FALSE_ONLY, NULL},
        {"samples", KIND_INT, FIELD(sd_study, linear.samples), 1, 1 << 30, NULL, NULL},
        {"seed", KIND_INT, FIELD(sd_study, linear.seed), 0, INT64_MAX, NULL, NULL},
        {0}};

    return read_map(study, node, "linear", rows, target);
}

static sd_status read_spectrum(sd_study *study, const sd_yaml *node, void *target)
{
    static const row rows[] = {
        {"matrices", KIND_CUSTOM, 0, 0, 0, NULL, read_matrices},
        {"values", KIND_SECOND, FIELD(sd_study, spectrum.all_values), 0, 0, VALUES, NULL},
        {"count", KIND_INT, FIELD(sd_study, spectrum.count), 1, 1 << 20, NULL, NULL},
        {"solver", KIND_CHOICE, FIELD(sd_study, spectrum.solver), 0, 0, SOLVERS, NULL},
        {0}};

    return read_map(study, node, "spectrum", rows, target);
}

static sd_status read_teams(sd_study *study, const sd_yaml *node, void *target)
{
    static const row rows[] = {{"size", KIND_CUSTOM, 0, 0, 0, NULL, read_team_size}, {0}};

    return read_map(study, node, "teams", rows, target);
}

static sd_status read_sweeps(sd_study *study, const sd_yaml *node, void *target)
{
    static const row rows[] = {{"initial", KIND_CHOICE, 0, 0, 0, NONE_ONLY, NULL},
                               {"noninitial", KIND_CHOICE, 0, 0, 0, NONE_ONLY, NULL},
                               {0}};
    int              none; /* the only choice there is */

    (void)target;
    return read_map(study, node, "tokens", rows, &none);
}

static sd_status read_quantization(sd_study *study, const sd_yaml *node, void *target)
{
    (void)target;
    return is_word(node, "none")
               ? SD_OK
               : FAIL(study, node, "'quantization' is not supported by this version");
}

static sd_status read_text(sd_study *study, const sd_yaml *node, void *target)
{
    static const row rows[] = {{"ids", KIND_PATH, FIELD(sd_study, text), 0, 0, NULL, NULL}, {0}};

    study->text_is_ids = node->kind == SD_YAML_MAP;
    if (!study->text_is_ids) return read_path(study, node, &study->text);
    return read_map(study, node, "text", rows, target);
}

/* ---- runs ---- */

/* Names become folders and HDF5 groups. */
static sd_status check_name(const sd_study *study, const sd_yaml *node, const char *name)
{
    for (const char *c = name; *c != '\0'; c++)
        if (*c == '/' || (unsigned char)*c < 0x20)
            return FAIL(study, node, "the name '%s' has a character that a folder cannot have",
                        name);
    if (name[0] == '.' || strlen(name) > LONGEST_NAME)
        return FAIL(study, node,
                    "the name '%s' starts with a dot or is longer than %d bytes; choose another",
                    name, LONGEST_NAME);
    return SD_OK;
}

static sd_status read_stepped_path(sd_study *study, const sd_yaml *node, void *target)
{
    static const row rows[] = {
        {"step", KIND_INT, FIELD(sd_study_checkpoint, step), 0, INT64_MAX, NULL, NULL},
        {"path", KIND_STRING, FIELD(sd_study_checkpoint, path), 0, 0, NULL, NULL},
        {0}};
    sd_study_checkpoint *out = target;
    sd_status            st  = SD_OK;

    out->step = -1;
    if (node->kind == SD_YAML_MAP)
        SD_TRY(read_map(study, node, "checkpoints", rows, out));
    else
        SD_TRY(read_string(study, node, &out->path));
    if (out->path == NULL) SD_TRY(FAIL(study, node, "a checkpoint has no 'path'"));
    SD_TRY(sd_study_resolve(study, out->path, &out->file));

done:
    return st;
}

static sd_status read_checkpoints(sd_study *study, const sd_yaml *node, void *target)
{
    sd_study_run  *run  = target;
    sd_status      st   = SD_OK;
    const bool     list = node->kind == SD_YAML_LIST;
    const int64_t  n    = list ? node->count : 1;
    const sd_yaml *item = list ? node->child : node;

    if (n == 0) SD_TRY(FAIL(study, node, "'checkpoints' is an empty list"));
    SD_TRY(sd_alloc(n, sizeof *run->pattern, &run->pattern));
    run->n_patterns = n;
    for (int64_t i = 0; i < n; i++) SD_TRY(read_stepped_path(study, &item[i], &run->pattern[i]));

done:
    return st;
}

static sd_status read_run(sd_study *study, const sd_yaml *node, sd_study_run *run)
{
    static const row rows[] = {
        {"name", KIND_STRING, FIELD(sd_study_run, name), 0, 0, NULL, NULL},
        {"checkpoints", KIND_CUSTOM, 0, 0, 0, NULL, read_checkpoints},
        {"parent", KIND_STRING, FIELD(sd_study_run, parent), 0, 0, NULL, NULL},
        {"parent_step", KIND_INT, FIELD(sd_study_run, parent_step), 0, INT64_MAX, NULL, NULL},
        {"tokenizer", KIND_PATH, FIELD(sd_study_run, tokenizer), 0, 0, NULL, NULL},
        {"base", KIND_PATH, FIELD(sd_study_run, base), 0, 0, NULL, NULL},
        {0}};
    sd_status st = SD_OK;

    run->parent_step = -1;
    run->line        = node->line;
    SD_TRY(read_map(study, node, "runs", rows, run));
    if (run->name == NULL) SD_TRY(FAIL(study, node, "a run has no 'name'"));
    SD_TRY(check_name(study, node, run->name));
    if (run->n_patterns == 0) SD_TRY(FAIL(study, node, "run '%s' has no 'checkpoints'", run->name));
    if (run->parent_step >= 0 && run->parent == NULL)
        SD_TRY(FAIL(study, node, "run '%s' has a 'parent_step' and no 'parent'", run->name));

done:
    return st;
}

static sd_status read_runs(sd_study *study, const sd_yaml *node, void *target)
{
    sd_status st = SD_OK;

    (void)target;
    if (node->kind != SD_YAML_LIST || node->count == 0)
        SD_TRY(FAIL(study, node, "'runs' is %s, want a list of {name, checkpoints}",
                    node->kind == SD_YAML_LIST ? "empty" : bare_value(node)));
    SD_TRY(sd_alloc(node->count, sizeof *study->run, &study->run));
    study->n_runs = node->count;
    for (int64_t i = 0; i < node->count; i++)
        SD_TRY(read_run(study, &node->child[i], &study->run[i]));
    for (int64_t i = 0; i < node->count; i++) {
        const sd_study_run *run = &study->run[i];
        const int64_t parent    = run->parent != NULL ? sd_study_find(study, run->parent) : i + 1;

        if (sd_study_find(study, run->name) != i)
            SD_TRY(FAIL(study, &node->child[i], "there are two runs '%s'", run->name));
        if (parent < 0 || parent == i)
            SD_TRY(FAIL(study, &node->child[i], "parent '%s' of run '%s' is no other run",
                        run->parent, run->name));
    }

done:
    return st;
}

static sd_status read_study(sd_study *study, const sd_yaml *root)
{
    static const row rows[] = {
        {"title", KIND_STRING, FIELD(sd_study, title), 0, 0, NULL, NULL},
        {"text", KIND_CUSTOM, 0, 0, 0, NULL, read_text},
        {"tokenizer", KIND_PATH, FIELD(sd_study, tokenizer), 0, 0, NULL, NULL},
        {"runs", KIND_CUSTOM, 0, 0, 0, NULL, read_runs},
        {"measure", KIND_CUSTOM, 0, 0, 0, NULL, read_measure},
        {"linear", KIND_CUSTOM, 0, 0, 0, NULL, read_linear},
        {"spectrum", KIND_CUSTOM, 0, 0, 0, NULL, read_spectrum},
        {"eigenpairs", KIND_CHOICE, FIELD(sd_study, eigenpairs), 0, 0, EIGENPAIRS, NULL},
        {"subspace", KIND_BOOL, FIELD(sd_study, subspace), 0, 0, NULL, NULL},
        {"tokens", KIND_CUSTOM, 0, 0, 0, NULL, read_sweeps},
        {"quantization", KIND_CUSTOM, 0, 0, 0, NULL, read_quantization},
        {"teams", KIND_CUSTOM, 0, 0, 0, NULL, read_teams},
        {"figures", KIND_CUSTOM, 0, 0, 0, NULL, read_figures},
        {0}};
    sd_status st = SD_OK;

    SD_TRY(read_map(study, root, NULL, rows, study));
    if (study->text == NULL) SD_TRY(FAIL(study, root, "the study has no 'text'"));
    if (study->n_runs == 0) SD_TRY(FAIL(study, root, "the study has no 'runs'"));
    if (study->measure.bos && study->measure.length < 2)
        SD_TRY(FAIL(study, root, "'measure.length' is 1, all of it the BOS token; want 2 or more"));

done:
    return st;
}

/* ---- the whole ---- */

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? slash + 1 : path;
}

static sd_status set_defaults(sd_study *study, const char *path)
{
    sd_status   st   = SD_OK;
    const char *name = name_of(path);
    char       *dot;

    SD_TRY(sd_copy_string(path, &study->shown));
    SD_TRY(sd_copy_string(path, &study->folder));
    study->folder[name > path ? name - path - 1 : 0] = '\0';
    if (name == path + 1) SD_TRY((sd_free(study->folder), sd_copy_string("/", &study->folder)));
    SD_TRY(sd_copy_string(name, &study->title));
    if ((dot = strrchr(study->title, '.')) != NULL && dot != study->title) *dot = '\0';
    study->measure.sequences = 128;
    study->measure.length    = 128;
    study->linear.samples    = 100000;
    study->linear.seed       = 1;
    study->spectrum.matrices = SD_MAP_LAYER | SD_MAP_ATTENTION | SD_MAP_FFN;
    study->spectrum.count    = 8;
    for (int i = 0; i < 3; i++) study->figures[i] = FORMATS[i];

done:
    return st;
}

sd_status sd_study_parse(const char *text, int64_t length, const char *path, sd_study **out)
{
    sd_status         st       = SD_OK;
    sd_study         *study    = NULL;
    sd_yaml_document *document = NULL;

    *out = NULL;
    SD_TRY(sd_alloc(1, sizeof *study, &study));
    SD_TRY(set_defaults(study, path));
    SD_TRY(sd_alloc(length + 1, 1, &study->yaml));
    memcpy(study->yaml, text, (size_t)length);
    SD_TRY(sd_yaml_parse(text, length, path, &document));
    SD_TRY(read_study(study, sd_yaml_root(document)));
    *out  = study;
    study = NULL;

done:
    sd_yaml_destroy(&document);
    sd_study_destroy(&study);
    return st;
}

static void destroy_checkpoints(sd_study_checkpoint *list, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        sd_free(list[i].path);
        sd_free(list[i].file);
    }
    sd_free(list);
}

void sd_study_destroy(sd_study **study)
{
    sd_study *s = *study;

    if (s == NULL) return;
    for (int64_t i = 0; i < s->n_runs; i++) {
        sd_study_run *run = &s->run[i];

        sd_free(run->name);
        sd_free(run->parent);
        sd_free(run->tokenizer);
        sd_free(run->base);
        destroy_checkpoints(run->pattern, run->n_patterns);
        destroy_checkpoints(run->checkpoint, run->n_checkpoints);
    }
    sd_free(s->run);
    sd_free(s->yaml);
    sd_free(s->shown);
    sd_free(s->folder);
    sd_free(s->title);
    sd_free(s->text);
    sd_free(s->tokenizer);
    sd_free(s);
    *study = NULL;
}

int64_t sd_study_find(const sd_study *study, const char *name)
{
    for (int64_t i = 0; i < study->n_runs; i++)
        if (study->run[i].name != NULL && strcmp(study->run[i].name, name) == 0) return i;
    return -1;
}

sd_status sd_study_settings(const sd_study *study, char **out)
{
    enum { BYTES = 1024 };
    sd_status st = SD_OK;

    SD_TRY(sd_alloc(BYTES, 1, out));
    snprintf(*out, BYTES,
             "estimator=%d scaled=%d biases=%d samples=%" PRId64 " seed=%" PRId64
             " matrices=%u all=%d count=%" PRId64 " solver=%d eigenpairs=%d%s",
             (int)study->linear.estimator, study->linear.scaled_input, study->linear.biases,
             study->linear.samples, study->linear.seed, study->spectrum.matrices,
             study->spectrum.all_values, study->spectrum.count, (int)study->spectrum.solver,
             (int)study->eigenpairs, study->subspace ? " subspace=1" : "");

done:
    return st;
}
