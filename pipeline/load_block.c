#include "pipeline/load_block.h"

#include <inttypes.h>

#include "io/fingerprint.h"
#include "io/finite.h"
#include "pipeline/model.h"
#include "solvers/base/memory.h"
#include "solvers/forward/forward.h"

enum { ALIGNMENT = 64 }; /* as sd_alloc() */

/* ---- layout ---- */

static bool is_vector(const sd_model *model, sd_tensor role)
{
    return sd_model_shape(model, role).cols == 0;
}

sd_status sd_block_types_of(const sd_checkpoint *checkpoint, const sd_family *family,
                            const sd_model *model, int64_t layer, sd_block_types *out)
{
    sd_status st = SD_OK;
    int64_t   index;

    out->local = sd_model_is_local(model, layer);
    for (sd_tensor role = 0; role < SD_T_COUNT; role++) {
        out->type[role] = -1;
        if (role == SD_T_EMBED || !sd_model_has(family, model, role)) continue;
        SD_TRY(sd_model_tensor(checkpoint, family, model, role, layer, &index));
        const int stored = sd_checkpoint_tensor(checkpoint, index)->type;
        out->type[role]  = is_vector(model, role) || stored == SD_F64 ? SD_F32 : stored;
    }

done:
    return st;
}

/* Where each role's array begins; the inverse frequencies come last. */
typedef struct {
    int64_t offset[SD_T_COUNT], inv_freq, size;
} layout;

static int64_t padded(int64_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static layout lay_out(const sd_model *model, const sd_block_types *types)
{
    layout out = {.size = 0};

    for (sd_tensor role = 0; role < SD_T_COUNT; role++) {
        const sd_role_shape shape    = sd_model_shape(model, role);
        const int64_t       elements = shape.rows * (shape.cols > 0 ? shape.cols : 1);

        if (types->type[role] < 0) continue;
        out.offset[role] = out.size;
        out.size += padded(elements * sd_dtype_size((sd_dtype)types->type[role]));
    }
    out.inv_freq = out.size;
    out.size += padded(model->d_head / 2 * (int64_t)sizeof(float));
    return out;
}

int64_t sd_loaded_block_size(const sd_model *model, const sd_block_types *types)
{
    return lay_out(model, types).size;
}

/* ---- binding ---- */

typedef struct {
    const sd_model       *model;
    const sd_block_types *types;
    layout                place;
    char                 *bytes;
} binding;

static const float *vector_of(const binding *b, sd_tensor role)
{
    return b->types->type[role] < 0 ? NULL : (const void *)(b->bytes + b->place.offset[role]);
}

static sd_norm norm_of(const binding *b, sd_tensor role)
{
    return (sd_norm){vector_of(b, role), b->model->norm_eps};
}

static sd_matrix matrix_of(const binding *b, sd_tensor role, sd_tensor bias)
{
    const sd_role_shape shape = sd_model_shape(b->model, role);

    if (b->types->type[role] < 0) return (sd_matrix){.cols = shape.cols, .stride = shape.cols};
    return (sd_matrix){
        .type   = (sd_dtype)b->types->type[role],
        .rows   = shape.rows,
        .cols   = shape.cols,
        .stride = shape.cols,
        .weight = b->bytes + b->place.offset[role],
        .bias   = vector_of(b, bias),
    };
}

sd_status sd_loaded_block_bind(const sd_model *model, const sd_block_types *types, void *bytes,
                               int64_t size, sd_block *out)
{
    sd_status     st = SD_OK;
    const binding b  = {model, types, lay_out(model, types), bytes};

    SD_REQUIRE(size == b.place.size, SD_ERR_INTERNAL, "a block of %" PRId64 " bytes, want %" PRId64,
               size, b.place.size);
    *out = (sd_block){
        .d       = model->d,
        .f       = model->f,
        .n_heads = model->n_heads,
        .n_kv    = model->n_kv,
        .d_head  = model->d_head,
        .wiring  = model->wiring,
        .act     = model->act,
        .norm1   = norm_of(&b, SD_T_NORM1),
        .norm2   = norm_of(&b, SD_T_NORM2),
        .post1   = norm_of(&b, SD_T_POST1),
        .post2   = norm_of(&b, SD_T_POST2),
        .norm_q  = norm_of(&b, SD_T_NORM_Q),
        .norm_k  = norm_of(&b, SD_T_NORM_K),
        .scale   = model->attention_scale,
        .softcap = model->softcap,
        .window  = types->local != 0 ? model->window : 0,
        .rope    = {(const void *)(b.bytes + b.place.inv_freq)},
        .query   = matrix_of(&b, SD_T_WQ, SD_T_BIAS_Q),
        .key     = matrix_of(&b, SD_T_WK, SD_T_BIAS_K),
        .value   = matrix_of(&b, SD_T_WV, SD_T_BIAS_V),
        .out     = matrix_of(&b, SD_T_WO, SD_T_BIAS_O),
        .gate    = matrix_of(&b, SD_T_GATE, SD_T_BIAS_GATE),
        .up      = matrix_of(&b, SD_T_UP, SD_T_BIAS_UP),
        .down    = matrix_of(&b, SD_T_DOWN, SD_T_BIAS_DOWN),
    };

done:
    return st;
}

sd_status sd_loaded_block_create(const sd_model *model, const sd_block_types *types,
                                 sd_loaded_block **out)
{
    sd_status        st    = SD_OK;
    sd_loaded_block *block = NULL;

    *out = NULL;
    SD_TRY(sd_alloc(1, sizeof *block, &block));
    block->size = sd_loaded_block_size(model, types);
    SD_TRY(sd_alloc(block->size, 1, &block->bytes));
    SD_TRY(sd_loaded_block_bind(model, types, block->bytes, block->size, &block->block));
    *out  = block;
    block = NULL;

done:
    sd_loaded_block_destroy(&block);
    return st;
}

void sd_loaded_block_destroy(sd_loaded_block **block)
{
    if (*block == NULL) return;
    sd_free((*block)->bytes);
    sd_free(*block);
    *block = NULL;
}

/* ---- reading ---- */

/* What it takes to read tensors one after the other. */
typedef struct {
    const sd_checkpoint *checkpoint;
    const sd_poll       *poll;
    char                *piece;    /* SD_PIECE_BYTES, for what has to be converted */
    char (*digest)[SD_XXH128_HEX]; /* or NULL */
} reader;

/* Reads one piece and leaves it at `out` in `type`. */
static sd_status read_piece(const reader *r, int64_t i, int64_t offset, int64_t count,
                            sd_dtype type, char *out, sd_digest *digest)
{
    sd_status             st     = SD_OK;
    const sd_tensor_info *info   = sd_checkpoint_tensor(r->checkpoint, i);
    const sd_dtype        stored = (sd_dtype)info->type;
    const int64_t         first  = offset / sd_dtype_size(stored);
    const int64_t         n      = count / sd_dtype_size(stored);
    char *const           to     = out + first * sd_dtype_size(type);
    char *const           raw    = stored == type ? to : r->piece;

    SD_TRY(sd_checkpoint_read(r->checkpoint, i, offset, count, raw));
    if (digest != NULL) SD_TRY(sd_digest_add(digest, raw, count));
    if (stored != type) sd_to_float(stored, n, raw, (void *)to);
    SD_TRY(sd_finite_check(r->checkpoint, i, first, type, n, to));
    SD_TRY(sd_poll_now(r->poll));

done:
    return st;
}

static sd_status read_tensor(const reader *r, int64_t i, sd_dtype type, char *out)
{
    sd_status     st     = SD_OK;
    const int64_t bytes  = sd_checkpoint_tensor(r->checkpoint, i)->bytes;
    sd_digest    *digest = NULL;

    if (r->digest != NULL) SD_TRY(sd_digest_create(SD_DIGEST_XXH128, &digest));
    for (int64_t offset = 0; offset < bytes; offset += SD_PIECE_BYTES) {
        const int64_t rest = bytes - offset;

        SD_TRY(read_piece(r, i, offset, rest < SD_PIECE_BYTES ? rest : SD_PIECE_BYTES, type, out,
                          digest));
    }
    if (digest != NULL) SD_TRY(sd_digest_hex(digest, r->digest[i]));

done:
    sd_digest_destroy(&digest);
    return st;
}

static bool is_norm(sd_tensor role)
{
    return role == SD_T_NORM1 || role == SD_T_NORM2 || (role >= SD_T_POST1 && role <= SD_T_NORM_K);
}

/* What follows from the model alone: effective gammas, and frequencies. */
static void complete(const sd_model *model, const sd_block_types *types, const layout *place,
                     char *bytes)
{
    for (sd_tensor role = 0; role < SD_T_COUNT; role++) {
        float *gamma = (void *)(bytes + place->offset[role]);

        if (!is_norm(role) || types->type[role] < 0 || model->norm_offset == 0) continue;
        for (int64_t i = 0; i < sd_model_shape(model, role).rows; i++)
            gamma[i] = (float)model->norm_offset + gamma[i];
    }
    sd_rope_inv_freq(types->local != 0 ? &model->local_rope : &model->rope, model->d_head,
                     (void *)(bytes + place->inv_freq));
}

sd_status sd_block_load(const sd_checkpoint *checkpoint, const sd_family *family,
                        const sd_model *model, int64_t layer, const sd_poll *poll,
                        char (*digest)[SD_XXH128_HEX], sd_loaded_block **out)
{
    sd_status        st    = SD_OK;
    sd_loaded_block *block = NULL;
    reader           r     = {checkpoint, poll, NULL, digest};
    sd_block_types   types;
    int64_t          index;

    *out = NULL;
    SD_TRY(sd_block_types_of(checkpoint, family, model, layer, &types));
    SD_TRY(sd_loaded_block_create(model, &types, &block));
    SD_TRY(sd_alloc(SD_PIECE_BYTES, 1, &r.piece));

    const layout place = lay_out(model, &types);
    for (sd_tensor role = 0; role < SD_T_COUNT; role++) {
        if (types.type[role] < 0) continue;
        SD_TRY(sd_model_tensor(checkpoint, family, model, role, layer, &index));
        SD_TRY(read_tensor(&r, index, (sd_dtype)types.type[role],
                           (char *)block->bytes + place.offset[role]));
    }
    complete(model, &types, &place, block->bytes);
    *out  = block;
    block = NULL;

done:
    sd_free(r.piece);
    sd_loaded_block_destroy(&block);
    return st;
}

sd_status sd_embedding_rows(const sd_checkpoint *checkpoint, const sd_family *family,
                            const sd_model *model, int64_t n, const int32_t *id, float *out)
{
    sd_status st  = SD_OK;
    char     *row = NULL;
    int64_t   index;

    SD_TRY(sd_model_tensor(checkpoint, family, model, SD_T_EMBED, 0, &index));
    const sd_dtype type  = (sd_dtype)sd_checkpoint_tensor(checkpoint, index)->type;
    const int64_t  bytes = model->d * sd_dtype_size(type);
    const float    scale = model->embedding_scale != 0 ? (float)model->embedding_scale : 1;
    SD_TRY(sd_alloc(bytes, 1, &row));
    for (int64_t k = 0; k < n; k++) {
        float *to = out + k * model->d;

        SD_REQUIRE(id[k] >= 0 && id[k] < model->vocab, SD_ERR_INPUT,
                   "token id %" PRId32 " is outside of the vocabulary of %" PRId64
                   ": text and model do not belong together",
                   id[k], model->vocab);
        SD_TRY(sd_checkpoint_read(checkpoint, index, id[k] * bytes, bytes, row));
        sd_to_float(type, model->d, row, to);
        SD_TRY(sd_finite_check(checkpoint, index, id[k] * model->d, SD_F32, model->d, to));
        for (int64_t i = 0; i < model->d; i++) to[i] *= scale;
    }

done:
    sd_free(row);
    return st;
}
