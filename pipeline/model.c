#include "pipeline/model.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { NAME = 256, SHAPE = 22 * SD_MAX_DIMS + 2, LIST = 256 };

/* ---- families ---- */

static bool selects(const sd_family *family, const char *architecture)
{
    const int most = sizeof family->architectures / sizeof family->architectures[0];

    for (int k = 0; k < most && family->architectures[k] != NULL; k++)
        if (strcmp(family->architectures[k], architecture) == 0) return true;
    return false;
}

static void list_known(char out[LIST])
{
    size_t used = 0;

    out[0] = '\0';
    for (const sd_family *const *it = sd_families; *it != NULL && used < LIST; it++)
        used += (size_t)snprintf(out + used, LIST - used, "%s%s", used > 0 ? ", " : "",
                                 (*it)->architectures[0]);
}

sd_status sd_family_find(const sd_config *config, const sd_family **out)
{
    sd_status   st    = SD_OK;
    const char *found = NULL;
    char        known[LIST];

    list_known(known);
    SD_TRY(sd_config_string_at(config, "architectures", 0, &found));
    SD_REQUIRE(found != NULL, SD_ERR_INPUT, "%s: names no 'architectures'; known are: %s",
               sd_config_shown(config), known);
    for (const sd_family *const *it = sd_families; *it != NULL; it++) {
        if (!selects(*it, found)) continue;
        *out = *it;
        return SD_OK;
    }
    SD_REQUIRE(false, SD_ERR_INPUT, "%s: the architecture \"%s\" is not supported; known are: %s",
               sd_config_shown(config), found, known);

done:
    return st;
}

/* ---- roles ---- */

static bool is_bias(sd_tensor role)
{
    return role >= SD_T_BIAS_Q;
}

bool sd_model_has(const sd_family *family, const sd_model *model, sd_tensor role)
{
    if (family->tensor[role] == NULL) return false;
    if (!is_bias(role)) return true;
    return role <= SD_T_BIAS_O ? model->attention_bias : model->ffn_bias;
}

sd_role_shape sd_model_shape(const sd_model *model, sd_tensor role)
{
    const int64_t d = model->d, f = model->f;
    const int64_t heads = model->n_heads * model->d_head, kv = model->n_kv * model->d_head;

    switch (role) {
    case SD_T_EMBED: return (sd_role_shape){model->vocab, d};
    case SD_T_NORM1:
    case SD_T_NORM2:
    case SD_T_POST1:
    case SD_T_POST2: return (sd_role_shape){d, 0};
    case SD_T_NORM_Q:
    case SD_T_NORM_K: return (sd_role_shape){model->d_head, 0};
    case SD_T_WQ: return (sd_role_shape){heads, d};
    case SD_T_WK:
    case SD_T_WV: return (sd_role_shape){kv, d};
    case SD_T_WO: return (sd_role_shape){d, heads};
    case SD_T_GATE:
    case SD_T_UP: return (sd_role_shape){f, d};
    case SD_T_DOWN: return (sd_role_shape){d, f};
    case SD_T_BIAS_Q: return (sd_role_shape){heads, 0};
    case SD_T_BIAS_K:
    case SD_T_BIAS_V: return (sd_role_shape){kv, 0};
    case SD_T_BIAS_O:
    case SD_T_BIAS_DOWN: return (sd_role_shape){d, 0};
    case SD_T_BIAS_GATE:
    case SD_T_BIAS_UP: return (sd_role_shape){f, 0};
    case SD_T_COUNT: break;
    }
    return (sd_role_shape){0, 0};
}

/* Puts the layer in place of %d. */
static void name_of(const char *pattern, int64_t layer, char out[NAME])
{
    const char *mark = strstr(pattern, "%d");

    if (mark == NULL)
        snprintf(out, NAME, "%s", pattern);
    else
        snprintf(out, NAME, "%.*s%" PRId64 "%s", (int)(mark - pattern), pattern, layer, mark + 2);
}

/* Whether a name is what name_of() makes of the pattern for some layer. */
static bool is_of(const char *pattern, const char *name)
{
    const char  *mark  = strstr(pattern, "%d");
    const size_t front = mark != NULL ? (size_t)(mark - pattern) : 0;

    if (mark == NULL) return strcmp(pattern, name) == 0;
    if (strncmp(pattern, name, front) != 0) return false;
    const size_t digits = strspn(name + front, "0123456789");
    return digits > 0 && strcmp(name + front + digits, mark + 2) == 0;
}

bool sd_family_knows(const sd_family *family, const char *name)
{
    for (sd_tensor role = 0; role < SD_T_COUNT; role++)
        if (family->tensor[role] != NULL && is_of(family->tensor[role], name)) return true;
    return false;
}

static void show_shape(int n_dims, const int64_t *shape, char out[SHAPE])
{
    size_t used = 0;

    snprintf(out, SHAPE, "a single number");
    for (int k = 0; k < n_dims; k++)
        used +=
            (size_t)snprintf(out + used, SHAPE - used, "%s%" PRId64, k > 0 ? " x " : "", shape[k]);
}

static sd_status check_shape(const sd_checkpoint *checkpoint, int64_t i, sd_role_shape want)
{
    sd_status             st       = SD_OK;
    const sd_tensor_info *info     = sd_checkpoint_tensor(checkpoint, i);
    const int64_t         shape[2] = {want.rows, want.cols};
    const int             n_dims   = want.cols > 0 ? 2 : 1;
    char                  is[SHAPE], wanted[SHAPE];

    show_shape(info->n_dims, info->shape, is);
    show_shape(n_dims, shape, wanted);
    SD_REQUIRE(info->n_dims == n_dims && info->shape[0] == shape[0] &&
                   (n_dims == 1 || info->shape[1] == shape[1]),
               SD_ERR_INPUT, "%s: tensor '%s' is %s, want %s", sd_checkpoint_file_of(checkpoint, i),
               info->name, is, wanted);
    SD_REQUIRE(info->type >= 0, SD_ERR_INPUT,
               "%s: tensor '%s' is stored as %s, want F32, F16, BF16, F64, F8_E4M3 or F8_E5M2",
               sd_checkpoint_file_of(checkpoint, i), info->name, info->format);

done:
    return st;
}

sd_status sd_model_tensor(const sd_checkpoint *checkpoint, const sd_family *family,
                          const sd_model *model, sd_tensor role, int64_t layer, int64_t *index)
{
    sd_status st = SD_OK;
    char      name[NAME];

    name_of(family->tensor[role], layer, name);
    *index = sd_checkpoint_find(checkpoint, name);
    SD_REQUIRE(*index >= 0, SD_ERR_INPUT,
               "the weights have no tensor '%s', which config.json asks for: config and weights do "
               "not belong together",
               name);
    SD_TRY(check_shape(checkpoint, *index, sd_model_shape(model, role)));

done:
    return st;
}

/* ---- the whole checkpoint ---- */

static sd_status refuse_tensor(const sd_checkpoint *checkpoint, const sd_family *family,
                               sd_tensor role, int64_t layer, const char *says)
{
    sd_status st = SD_OK;
    char      name[NAME];

    name_of(family->tensor[role], layer, name);
    const int64_t i = sd_checkpoint_find(checkpoint, name);
    SD_REQUIRE(i < 0, SD_ERR_INPUT,
               "%s: tensor '%s' is there, but config.json %s: config and weights do not belong "
               "together",
               sd_checkpoint_file_of(checkpoint, i), name, says);

done:
    return st;
}

static sd_status check_layer(const sd_checkpoint *checkpoint, const sd_family *family,
                             const sd_model *model, int64_t layer)
{
    sd_status st = SD_OK;
    int64_t   index;

    for (sd_tensor role = SD_T_NORM1; role < SD_T_COUNT; role++) {
        if (sd_model_has(family, model, role))
            SD_TRY(sd_model_tensor(checkpoint, family, model, role, layer, &index));
        else if (family->tensor[role] != NULL)
            SD_TRY(refuse_tensor(checkpoint, family, role, layer, "denies this bias"));
    }

done:
    return st;
}

static sd_status check_past_the_end(const sd_checkpoint *checkpoint, const sd_family *family,
                                    const sd_model *model)
{
    sd_status st = SD_OK;
    char      says[64];

    snprintf(says, sizeof says, "has 'num_hidden_layers' %" PRId64, model->n_layers);
    for (sd_tensor role = SD_T_NORM1; role < SD_T_COUNT; role++)
        if (family->tensor[role] != NULL)
            SD_TRY(refuse_tensor(checkpoint, family, role, model->n_layers, says));

done:
    return st;
}

sd_status sd_model_open(const sd_checkpoint *checkpoint, const sd_family **family, sd_model *model)
{
    sd_status        st     = SD_OK;
    const sd_config *config = sd_checkpoint_config(checkpoint);
    int64_t          index;

    SD_TRY(sd_family_find(config, family));
    SD_TRY((*family)->read_config(config, model));
    SD_TRY(sd_model_tensor(checkpoint, *family, model, SD_T_EMBED, 0, &index));
    for (int64_t layer = 0; layer < model->n_layers; layer++)
        SD_TRY(check_layer(checkpoint, *family, model, layer));
    SD_TRY(check_past_the_end(checkpoint, *family, model));

done:
    return st;
}
