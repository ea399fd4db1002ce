#include "pipeline/glimpse.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "io/fingerprint.h"
#include "io/tensor_sample.h"
#include "pipeline/model.h"
#include "solvers/base/memory.h"

enum { MOST_BLOCKS = 512, LEAST_VALUES = 64, MOST_REMARKS = SD_TOLD + 2 };

const float *sd_glimpse_values(const sd_glimpse *glimpse)
{
    return (const float *)(const void *)(glimpse + 1);
}

const sd_glimpse_remark *sd_glimpse_remarks(const sd_glimpse *glimpse)
{
    return (const sd_glimpse_remark *)(const void *)(sd_glimpse_values(glimpse) +
                                                     glimpse->n_blocks * glimpse->n_values);
}

const sd_glimpse_file *sd_glimpse_files(const sd_glimpse *glimpse)
{
    return (const sd_glimpse_file *)(const void *)(sd_glimpse_remarks(glimpse) +
                                                   glimpse->n_remarks);
}

/* ---- taking ---- */

/* Two running hashes of a group of tensors. */
typedef struct {
    sd_digest *names, *bytes;
    bool       moves;
} group;

typedef struct {
    const sd_checkpoint *checkpoint;
    const sd_family     *family;
    const sd_poll       *poll;
    int64_t              n_files, n_blocks, n_values, n_remarks, n_constant;
    int64_t              matrices, stride; /* every stride-th matrix gives a block  */
    group                all, *file;
    float               *value;
    sd_glimpse_remark    remark[MOST_REMARKS];
} taking;

static sd_status group_start(group *g)
{
    sd_status st = SD_OK;

    SD_TRY(sd_digest_create(SD_DIGEST_XXH128, &g->names));
    SD_TRY(sd_digest_create(SD_DIGEST_XXH128, &g->bytes));

done:
    return st;
}

static void group_end(group *g)
{
    sd_digest_destroy(&g->names);
    sd_digest_destroy(&g->bytes);
}

static sd_status group_add(group *g, const sd_tensor_info *info, const sd_tensor_sample *sample)
{
    sd_status st = SD_OK;
    char      extent[24];

    SD_TRY(sd_digest_add(g->names, info->name, (int64_t)strlen(info->name) + 1));
    SD_TRY(sd_digest_add(g->names, info->format, (int64_t)strlen(info->format) + 1));
    for (int k = 0; k < info->n_dims; k++) {
        snprintf(extent, sizeof extent, "%" PRId64 ",", info->shape[k]);
        SD_TRY(sd_digest_add(g->names, extent, (int64_t)strlen(extent) + 1));
    }
    SD_TRY(sd_digest_add(g->bytes, sample->hex, sizeof sample->hex));
    g->moves |= info->type >= 0 && info->n_dims >= 2 && !sample->constant;

done:
    return st;
}

static sd_status group_write(const group *g, const char *shown, sd_glimpse_file *out)
{
    sd_status st = SD_OK;

    SD_TRY(sd_digest_hex(g->names, out->names));
    SD_TRY(sd_digest_hex(g->bytes, out->bytes));
    out->moves = g->moves;
    sd_hygiene_show(shown, out->shown);

done:
    return st;
}

static bool is_matrix(const taking *t, const sd_tensor_info *info, int64_t n_values)
{
    return info->type >= 0 && info->n_dims >= 2 && info->elements >= n_values &&
           sd_family_knows(t->family, info->name);
}

static int64_t count_matrices(const taking *t, int64_t n_values)
{
    int64_t n = 0;

    for (int64_t i = 0; i < sd_checkpoint_count(t->checkpoint); i++)
        n += is_matrix(t, sd_checkpoint_tensor(t->checkpoint, i), n_values);
    return n;
}

/* How many blocks of how many numbers: follows from names and shapes alone. */
static sd_status plan_blocks(taking *t, int64_t budget)
{
    sd_status st = SD_OK;
    int64_t   n  = count_matrices(t, LEAST_VALUES);

    if (n > MOST_BLOCKS) n = MOST_BLOCKS;
    t->n_values = n > 0 ? budget / n : LEAST_VALUES;
    if (t->n_values < LEAST_VALUES) t->n_values = LEAST_VALUES;
    if (t->n_values > SD_SAMPLE_ELEMENTS) t->n_values = SD_SAMPLE_ELEMENTS;
    n           = count_matrices(t, t->n_values);
    t->stride   = n / MOST_BLOCKS + 1;
    t->n_blocks = (n + t->stride - 1) / t->stride;
    SD_TRY(sd_alloc(t->n_blocks * t->n_values, sizeof *t->value, &t->value));

done:
    return st;
}

static void remark(taking *t, sd_finding_kind kind, const char *message)
{
    t->remark[t->n_remarks].kind = (int32_t)kind;
    snprintf(t->remark[t->n_remarks++].message, SD_FINDING_LEN, "%s", message);
}

static sd_status take_tensor(taking *t, int64_t i, int64_t file)
{
    sd_status             st   = SD_OK;
    const sd_tensor_info *info = sd_checkpoint_tensor(t->checkpoint, i);
    sd_tensor_sample      sample;
    sd_tensor_scan        scan;
    char                  text[SD_FINDING_LEN];

    SD_TRY(sd_tensor_sample_read(t->checkpoint, i, &sample));
    SD_TRY(group_add(&t->all, info, &sample));
    if (file >= 0) SD_TRY(group_add(&t->file[file], info, &sample));
    if (is_matrix(t, info, t->n_values)) {
        const int64_t block = t->matrices / t->stride;

        if (t->matrices++ % t->stride == 0)
            memcpy(t->value + block * t->n_values, sample.value,
                   (size_t)t->n_values * sizeof *t->value);
    }
    if (sample.constant) {
        SD_TRY(sd_tensor_scan_read(t->checkpoint, i, false, t->poll, &scan));
        if (sd_hygiene_constant(info, &scan, text) && t->n_constant++ < SD_TOLD)
            remark(t, SD_KIND_CONSTANT, text);
    }
    SD_TRY(sd_poll_now(t->poll));

done:
    return st;
}

static sd_status write_glimpse(const taking *t, int64_t task, sd_glimpse **out)
{
    sd_status     st     = SD_OK;
    sd_glimpse   *g      = NULL;
    const int64_t floats = t->n_blocks * t->n_values;
    const int64_t size   = (int64_t)sizeof *g + floats * (int64_t)sizeof(float) +
                         t->n_remarks * (int64_t)sizeof(sd_glimpse_remark) +
                         t->n_files * (int64_t)sizeof(sd_glimpse_file);

    SD_TRY(sd_alloc(size, 1, &g));
    *g = (sd_glimpse){.size      = size,
                      .task      = task,
                      .n_blocks  = t->n_blocks,
                      .n_values  = t->n_values,
                      .n_files   = t->n_files,
                      .n_remarks = t->n_remarks};
    SD_TRY(group_write(&t->all, "", &g->all));
    char *to = (char *)(g + 1);
    memcpy(to, t->value, (size_t)floats * sizeof(float));
    to += floats * (int64_t)sizeof(float);
    memcpy(to, t->remark, (size_t)t->n_remarks * sizeof *t->remark);
    to += t->n_remarks * (int64_t)sizeof *t->remark;
    for (int64_t k = 0; k < t->n_files; k++) {
        sd_glimpse_file file = {0};

        SD_TRY(group_write(&t->file[k], sd_checkpoint_file(t->checkpoint, k), &file));
        memcpy(to + k * (int64_t)sizeof file, &file, sizeof file);
    }
    *out = g;
    g    = NULL;

done:
    sd_free(g);
    return st;
}

static sd_status take(taking *t, int64_t task, int64_t budget, sd_glimpse **out)
{
    sd_status st = SD_OK;
    char      text[SD_FINDING_LEN];

    t->n_files = sd_checkpoint_files(t->checkpoint);
    SD_TRY(sd_alloc(t->n_files, sizeof *t->file, &t->file));
    SD_TRY(group_start(&t->all));
    for (int64_t k = 0; k < t->n_files; k++) SD_TRY(group_start(&t->file[k]));
    SD_TRY(plan_blocks(t, budget));
    for (int64_t i = 0; i < sd_checkpoint_count(t->checkpoint); i++)
        sd_tensor_sample_prefetch(t->checkpoint, i);
    for (int64_t i = 0; i < sd_checkpoint_count(t->checkpoint); i++)
        SD_TRY(take_tensor(t, i, sd_checkpoint_file_index(t->checkpoint, i)));
    if (t->n_constant > SD_TOLD) {
        sd_hygiene_more_constant(t->n_constant - SD_TOLD, text);
        remark(t, SD_KIND_CONSTANT, text);
    }
    if (sd_hygiene_extra(t->checkpoint, t->family, text)) remark(t, SD_KIND_EXTRA, text);
    SD_TRY(write_glimpse(t, task, out));

done:
    return st;
}

sd_status sd_glimpse_take(const char *path, const char *base, int64_t task, int64_t budget,
                          const sd_poll *poll, sd_glimpse **out)
{
    sd_status      st         = SD_OK;
    sd_checkpoint *checkpoint = NULL;
    taking        *t          = NULL;
    sd_model       model;

    *out = NULL;
    SD_TRY(sd_alloc(1, sizeof *t, &t));
    SD_TRY(sd_checkpoint_open_adapted(path, base, &checkpoint));
    t->checkpoint = checkpoint;
    t->poll       = poll;
    SD_TRY(sd_model_open(checkpoint, &t->family, &model));
    SD_TRY(take(t, task, budget, out));

done:
    if (t != NULL) {
        group_end(&t->all);
        for (int64_t k = 0; t->file != NULL && k < t->n_files; k++) group_end(&t->file[k]);
        sd_free(t->file);
        sd_free(t->value);
    }
    sd_free(t);
    sd_checkpoint_close(&checkpoint);
    if (st == SD_ERR_INPUT) {
        sd_clear();
        st = SD_OK;
    }
    return st;
}

sd_status sd_glimpse_without_values(const sd_glimpse *glimpse, sd_glimpse **out)
{
    sd_status     st     = SD_OK;
    const int64_t floats = glimpse->n_blocks * glimpse->n_values * (int64_t)sizeof(float);
    const int64_t head   = (int64_t)sizeof *glimpse;

    SD_TRY(sd_alloc(glimpse->size - floats, 1, out));
    memcpy(*out, glimpse, (size_t)head);
    memcpy((char *)*out + head, (const char *)glimpse + head + floats,
           (size_t)(glimpse->size - head - floats));
    (*out)->size -= floats;
    (*out)->n_blocks = (*out)->n_values = 0;

done:
    return st;
}

/* ---- confirming ---- */

sd_status sd_glimpse_confirm(const char *path, const char *base, int64_t file, const sd_poll *poll,
                             char hex[SD_XXH128_HEX])
{
    sd_status      st         = SD_OK;
    sd_checkpoint *checkpoint = NULL;
    sd_digest     *digest     = NULL;
    char           one[SD_XXH128_HEX];

    hex[0] = '\0';
    SD_TRY(sd_digest_create(SD_DIGEST_XXH128, &digest));
    SD_TRY(sd_checkpoint_open_adapted(path, base, &checkpoint));
    for (int64_t i = 0; i < sd_checkpoint_count(checkpoint); i++) {
        const char *name = sd_checkpoint_tensor(checkpoint, i)->name;

        if (file >= 0 && sd_checkpoint_file_index(checkpoint, i) != file) continue;
        SD_TRY(sd_tensor_digest(checkpoint, i, false, poll, one));
        SD_TRY(sd_digest_add(digest, name, (int64_t)strlen(name) + 1));
        SD_TRY(sd_digest_add(digest, one, sizeof one));
    }
    SD_TRY(sd_digest_hex(digest, hex));

done:
    sd_digest_destroy(&digest);
    sd_checkpoint_close(&checkpoint);
    if (st == SD_ERR_INPUT) {
        sd_clear();
        st = SD_OK;
    }
    return st;
}
