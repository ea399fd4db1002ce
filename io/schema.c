#include "io/schema.h"

#include <stddef.h>
#include <string.h>

const sd_variable sd_variables[SD_V_COUNT] = {
#define X(id, path, type, d1, d2, d3, derived, units, long_name)                                   \
    [SD_V_##id] = {path,    SD_TYPE_##type, {SD_DIM_##d1, SD_DIM_##d2, SD_DIM_##d3},               \
                   derived, units,          long_name},
    SD_VARIABLE_TABLE(X)
#undef X
};

const sd_column sd_columns[SD_C_COUNT] = {
#define X(id, group, name, type, rank, scale, units, long_name)                                    \
    [SD_C_##id] = {group, name, SD_COLUMN_##type, rank, scale, units, long_name},
    SD_COLUMN_TABLE(X)
#undef X
};

static const char *const parts[]       = {"re", "im"};
static const char *const token_kinds[] = {"initial", "other"};
static const char *const branches[]    = {"attention", "ffn"};
static const char *const inputs[]      = {"gaussian", "real"};
static const char *const signs[]       = {"+", "-"};

const sd_dim_info sd_dims[SD_DIM_COUNT] = {
    [SD_DIM_NONE]   = {"", "", false, 0, NULL},
    [SD_DIM_STEP]   = {"step", "training step", false, 0, NULL},
    [SD_DIM_LAYER]  = {"layer", "layer, from 1", false, 1, NULL},
    [SD_DIM_STATE]  = {"state", "state: 0 is the input of layer 1, l the output of layer l", false,
                       0, NULL},
    [SD_DIM_HIDDEN] = {"hidden", "channel of the residual stream, from 0", false, 0, NULL},
    [SD_DIM_PHASE]  = {"phase", "phase, 1 is the dominant one", true, 1, NULL},
    [SD_DIM_RANK]   = {"rank", "rank of the singular value, 1 is the largest", false, 1, NULL},
    [SD_DIM_PART]   = {"part", "part of a complex number", false, 0, parts},
    [SD_DIM_TOKEN_KIND] = {"token_kind", "kind of token", false, 0, token_kinds},
    [SD_DIM_BRANCH]     = {"branch", "branch of the block", false, 0, branches},
    [SD_DIM_INPUT]      = {"input", "input of the FFN", false, 0, inputs},
    [SD_DIM_VECTOR]     = {"vector", "right singular vector of F, 1 has the largest value", true, 1,
                           NULL},
    [SD_DIM_SIGN]       = {"sign", "sign of the singular vector", true, 0, signs},
};

int64_t sd_dim_length(sd_dim dim, const sd_shape *shape)
{
    switch (dim) {
    case SD_DIM_LAYER: return shape->n_layers;
    case SD_DIM_STATE: return shape->n_layers + 1;
    case SD_DIM_HIDDEN:
    case SD_DIM_VECTOR: return shape->d;
    case SD_DIM_PHASE: return SD_PHASES;
    case SD_DIM_RANK: return shape->n_triplets;
    case SD_DIM_PART:
    case SD_DIM_TOKEN_KIND:
    case SD_DIM_BRANCH:
    case SD_DIM_INPUT:
    case SD_DIM_SIGN: return 2;
    case SD_DIM_NONE:
    case SD_DIM_STEP:
    case SD_DIM_COUNT: break;
    }
    return 1;
}

int sd_variable_rank(sd_variable_id id)
{
    int rank = 0;
    while (rank < SD_VARIABLE_DIMS && sd_variables[id].dim[rank] != SD_DIM_NONE) rank++;
    return rank;
}

bool sd_variable_is_asked(sd_variable_id id, const sd_shape *shape)
{
    return shape->subspace || strncmp(sd_variables[id].path, "subspace/", 9) != 0;
}

int64_t sd_variable_elements(sd_variable_id id, const sd_shape *shape)
{
    int64_t elements = sd_variable_is_asked(id, shape) ? 1 : 0;
    for (int i = 0; i < SD_VARIABLE_DIMS; i++)
        elements *= sd_dim_length(sd_variables[id].dim[i], shape);
    return elements;
}

int64_t sd_type_size(sd_type type)
{
    return type == SD_TYPE_F64 ? 8 : 4;
}

bool sd_shape_is_sane(const sd_shape *shape)
{
    return shape->n_layers >= 1 && shape->n_layers <= SD_MAX_LAYERS && shape->d >= 1 &&
           shape->d <= SD_MAX_HIDDEN && shape->n_triplets >= 0 && shape->n_triplets <= shape->d;
}

sd_variable_id sd_variable_find(const char *path)
{
    int id = 0;
    while (id < SD_V_COUNT && strcmp(sd_variables[id].path, path) != 0) id++;
    return (sd_variable_id)id;
}
