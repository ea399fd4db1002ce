#include "pipeline/model_keys.h"

#include <inttypes.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { PATH = 96 }; /* bytes of a dotted path */

/* ---- activation ---- */

static const struct {
    const char *name;
    sd_act      act;
} activations[] = {
    {"silu", SD_ACT_SILU},
    {"swish", SD_ACT_SILU},
    {"gelu", SD_ACT_GELU},
    {"gelu_new", SD_ACT_GELU_TANH},
    {"gelu_pytorch_tanh", SD_ACT_GELU_TANH},
    {"relu", SD_ACT_RELU},
    {"relu2", SD_ACT_RELU_SQUARED},
};
enum { N_ACTIVATIONS = sizeof activations / sizeof activations[0] };

sd_status sd_read_activation(const sd_config *config, const char *key, sd_act *out)
{
    sd_status   st   = SD_OK;
    const char *name = NULL;
    int         k    = 0;

    SD_TRY(sd_config_string(config, key, &name));
    if (name == NULL) return SD_OK;
    while (k < N_ACTIVATIONS && strcmp(activations[k].name, name) != 0) k++;
    SD_REQUIRE(k < N_ACTIVATIONS, SD_ERR_INPUT,
               "%s: '%s' is \"%s\", which is not supported; known are silu, gelu, gelu_new, "
               "gelu_pytorch_tanh, relu and relu2",
               sd_config_shown(config), key, name);
    *out = activations[k].act;

done:
    return st;
}

/* ---- what would change numbers ---- */

/*
 * Keys that change numbers in one family or another. A family's reference passes over those of its
 * relatives; whoever wrote one meant something by it, so only its neutral value is taken.
 */
typedef struct {
    const char *key;
    enum { ABSENT, FALSE_ONLY, ONE_ONLY } neutral;
} foreign_key;

static const foreign_key foreign_keys[] = {
    {"quantization_config", ABSENT},
    {"compression_config", ABSENT},
    {"sliding_window", ABSENT},
    {"use_sliding_window", FALSE_ONLY},
    {"partial_rotary_factor", ONE_ONLY},
    {"rope_parameters.partial_rotary_factor", ONE_ONLY},
    {"rotary_pct", ONE_ONLY},
    {"no_rope_layers", ABSENT},
    {"attn_logit_softcapping", ABSENT},
    {"query_pre_attn_scalar", ABSENT},
    {"attention_multiplier", ABSENT},
    {"embedding_multiplier", ONE_ONLY},
    {"residual_multiplier", ONE_ONLY},
    {"scale_emb", ONE_ONLY},
    {"scale_depth", ABSENT},
    {"clip_qkv", ABSENT},
    {"qk_layernorm", FALSE_ONLY},
    {"use_qk_norm", FALSE_ONLY},
    {"use_parallel_residual", FALSE_ONLY},
    {"use_bidirectional_attention", FALSE_ONLY},
    {"num_local_experts", ABSENT},
    {"num_experts", ABSENT},
    {"kv_lora_rank", ABSENT},
    {"rope_parameters.full_attention", ABSENT},
    {"rope_local_base_freq", ABSENT},
};
enum { N_FOREIGN = sizeof foreign_keys / sizeof foreign_keys[0] };

static sd_status refuse_foreign_key(const sd_config *config, const foreign_key *foreign)
{
    sd_status st   = SD_OK;
    bool      flag = false;
    double    one  = 1.0;

    if (!sd_config_has(config, foreign->key)) return SD_OK;
    if (foreign->neutral == FALSE_ONLY) SD_TRY(sd_config_bool(config, foreign->key, &flag));
    if (foreign->neutral == ONE_ONLY)
        SD_TRY(sd_config_real(config, foreign->key, -HUGE_VAL, HUGE_VAL, &one));
    SD_REQUIRE(foreign->neutral != ABSENT && !flag && one == 1.0, SD_ERR_INPUT,
               "%s: '%s' changes the model's numbers and is not supported", sd_config_shown(config),
               foreign->key);

done:
    return st;
}

static bool is_among(const char *const *keys, const char *key)
{
    while (keys != NULL && *keys != NULL && strcmp(*keys, key) != 0) keys++;
    return keys != NULL && *keys != NULL;
}

sd_status sd_refuse_keys(const sd_config *config, const char *model_type,
                         const char *const *understood)
{
    sd_status   st    = SD_OK;
    const char *type  = model_type;
    const char *layer = NULL;

    SD_TRY(sd_config_string(config, "model_type", &type));
    SD_REQUIRE(strcmp(type, model_type) == 0, SD_ERR_INPUT,
               "%s: 'model_type' is \"%s\", which contradicts 'architectures', want \"%s\"",
               sd_config_shown(config), type, model_type);
    for (int k = 0; k < N_FOREIGN; k++)
        if (!is_among(understood, foreign_keys[k].key))
            SD_TRY(refuse_foreign_key(config, &foreign_keys[k]));
    for (int64_t i = 0; !is_among(understood, "layer_types"); i++) {
        SD_TRY(sd_config_string_at(config, "layer_types", i, &layer));
        if (layer == NULL) break;
        SD_REQUIRE(strcmp(layer, "full_attention") == 0, SD_ERR_INPUT,
                   "%s: 'layer_types' holds \"%s\", which is not supported, want full_attention",
                   sd_config_shown(config), layer);
    }

done:
    return st;
}

/* ---- sizes ---- */

static sd_status read_needed(const sd_config *config, const char *key, int64_t most, int64_t *value)
{
    sd_status st = SD_OK;

    SD_TRY(sd_config_need(config, key));
    SD_TRY(sd_config_int(config, key, 1, most, value));

done:
    return st;
}

/* The bounds keep every product of sizes below 2^63 and refuse a damaged config before its use. */
sd_status sd_read_sizes(const sd_config *config, sd_model *out)
{
    sd_status   st    = SD_OK;
    const char *shown = sd_config_shown(config);

    SD_TRY(read_needed(config, "num_hidden_layers", 100000, &out->n_layers));
    SD_TRY(read_needed(config, "hidden_size", 1 << 20, &out->d));
    SD_TRY(read_needed(config, "intermediate_size", 1 << 24, &out->f));
    SD_TRY(read_needed(config, "vocab_size", INT32_MAX, &out->vocab));
    SD_TRY(read_needed(config, "num_attention_heads", 1 << 16, &out->n_heads));
    if (out->n_kv == 0) out->n_kv = out->n_heads;
    SD_TRY(sd_config_int(config, "num_key_value_heads", 1, 1 << 16, &out->n_kv));
    SD_REQUIRE(out->n_heads % out->n_kv == 0, SD_ERR_INPUT,
               "%s: 'num_attention_heads' is %" PRId64 ", want a multiple of "
               "'num_key_value_heads', %" PRId64,
               shown, out->n_heads, out->n_kv);

    SD_REQUIRE(sd_config_has(config, "head_dim") || out->d_head > 0 || out->d % out->n_heads == 0,
               SD_ERR_INPUT,
               "%s: 'hidden_size' is %" PRId64
               ", want a multiple of 'num_attention_heads', %" PRId64 ", or a 'head_dim'",
               shown, out->d, out->n_heads);
    if (out->d_head == 0) out->d_head = out->d / out->n_heads;
    SD_TRY(sd_config_int(config, "head_dim", 2, 1 << 16, &out->d_head));
    SD_REQUIRE(out->d_head % 2 == 0, SD_ERR_INPUT,
               "%s: a head has %" PRId64
               " channels, want an even number: rotary positions turn them "
               "in pairs",
               shown, out->d_head);

done:
    return st;
}

/* ---- rotary positions ---- */

/* Where the options are: version 4 of transformers writes rope_scaling, version 5 rope_parameters.
 */
sd_status sd_find_rope_section(const sd_config *config, const char **section)
{
    sd_status  st  = SD_OK;
    const bool old = sd_config_has(config, "rope_scaling");

    SD_REQUIRE(
        !old || !sd_config_has(config, "rope_parameters"), SD_ERR_INPUT,
        "%s: has both 'rope_scaling' and 'rope_parameters'; keep the one that was trained with",
        sd_config_shown(config));
    *section = old ? "rope_scaling" : "rope_parameters";
    SD_TRY(sd_config_object(config, *section));

done:
    return st;
}

static const char *in_section(const char *section, const char *key, char path[PATH])
{
    snprintf(path, PATH, "%s.%s", section, key);
    return path;
}

static sd_status read_rope_kind(const sd_config *config, const char *section, sd_rope_kind *out)
{
    sd_status   st   = SD_OK;
    const char *name = "default";
    char        path[PATH];

    SD_TRY(sd_config_string(config, in_section(section, "type", path), &name));
    SD_TRY(sd_config_string(config, in_section(section, "rope_type", path), &name));
    if (strcmp(name, "default") == 0)
        *out = SD_ROPE_DEFAULT;
    else if (strcmp(name, "linear") == 0)
        *out = SD_ROPE_LINEAR;
    else if (strcmp(name, "llama3") == 0)
        *out = SD_ROPE_LLAMA3;
    else
        SD_REQUIRE(
            false, SD_ERR_INPUT,
            "%s: '%s' has the type \"%s\", which is not supported; known are default, linear "
            "and llama3",
            sd_config_shown(config), section, name);

done:
    return st;
}

static sd_status read_theta(const sd_config *config, const char *section, const char *key,
                            double *theta)
{
    sd_status st = SD_OK;
    char      path[PATH];

    SD_TRY(sd_config_real(config, key, 1.0, 1e15, theta));
    SD_TRY(sd_config_real(config, in_section(section, "rope_theta", path), 1.0, 1e15, theta));

done:
    return st;
}

static sd_status read_scale(const sd_config *config, const char *section, const char *key,
                            double least, double *value)
{
    sd_status st = SD_OK;
    char      path[PATH];

    in_section(section, key, path);
    SD_TRY(sd_config_need(config, path));
    SD_TRY(sd_config_real(config, path, least, 1e9, value));

done:
    return st;
}

/* The reference takes the key outside of the section first, and the model's own length last. */
static sd_status read_original_positions(const sd_config *config, const char *section,
                                         double *positions)
{
    sd_status   st  = SD_OK;
    const char *key = "original_max_position_embeddings";
    char        path[PATH];

    if (!sd_config_has(config, key)) key = in_section(section, key, path);
    if (!sd_config_has(config, key)) key = "max_position_embeddings";
    SD_TRY(sd_config_need(config, key));
    SD_TRY(sd_config_real(config, key, 1.0, 1e12, positions));

done:
    return st;
}

sd_status sd_read_rope(const sd_config *config, const char *section, const char *theta_key,
                       sd_rope_options *out)
{
    sd_status st = SD_OK;

    SD_TRY(sd_config_object(config, section));
    SD_TRY(read_rope_kind(config, section, &out->kind));
    SD_TRY(read_theta(config, section, theta_key, &out->theta));
    if (out->kind == SD_ROPE_DEFAULT) return SD_OK;
    SD_TRY(read_scale(config, section, "factor", 1.0, &out->factor));
    if (out->kind == SD_ROPE_LINEAR) return SD_OK;
    SD_TRY(read_scale(config, section, "low_freq_factor", 1e-9, &out->low_freq_factor));
    SD_TRY(read_scale(config, section, "high_freq_factor", 1e-9, &out->high_freq_factor));
    SD_REQUIRE(out->low_freq_factor < out->high_freq_factor, SD_ERR_INPUT,
               "%s: '%s.low_freq_factor' is %g, want less than 'high_freq_factor', %g",
               sd_config_shown(config), section, out->low_freq_factor, out->high_freq_factor);
    SD_TRY(read_original_positions(config, section, &out->original_positions));

done:
    return st;
}

/* ---- windows ---- */

static sd_status read_layer_types(const sd_config *config, sd_model *out)
{
    sd_status   st    = SD_OK;
    const char *shown = sd_config_shown(config), *type = NULL;

    for (int64_t i = 0; i <= out->n_layers; i++) {
        SD_TRY(sd_config_string_at(config, "layer_types", i, &type));
        SD_REQUIRE((type != NULL) == (i < out->n_layers), SD_ERR_INPUT,
                   "%s: 'layer_types' has %s entries than 'num_hidden_layers', %" PRId64, shown,
                   type != NULL ? "more" : "fewer", out->n_layers);
        if (type == NULL) break;
        out->local[i] = strcmp(type, "sliding_attention") == 0;
        SD_REQUIRE(out->local[i] || strcmp(type, "full_attention") == 0, SD_ERR_INPUT,
                   "%s: 'layer_types' holds \"%s\", which is not supported, want full_attention or "
                   "sliding_attention",
                   shown, type);
    }

done:
    return st;
}

sd_status sd_read_windows(const sd_config *config, int64_t period, sd_model *out)
{
    sd_status st = SD_OK;

    SD_REQUIRE(out->n_layers <= SD_MOST_LOCAL, SD_ERR_INPUT,
               "%s: %" PRId64 " layers with windows are too many, want at most %d",
               sd_config_shown(config), out->n_layers, SD_MOST_LOCAL);
    SD_TRY(sd_config_int(config, "sliding_window", 1, INT32_MAX, &out->window));
    SD_TRY(sd_config_int(config, "sliding_window_pattern", 1, SD_MOST_LOCAL, &period));
    for (int64_t i = 0; i < out->n_layers; i++) out->local[i] = (i + 1) % period != 0;
    if (sd_config_has(config, "layer_types")) SD_TRY(read_layer_types(config, out));

done:
    return st;
}

/* ---- the token in front ---- */

sd_status sd_read_bos(const sd_config *config, int64_t *bos)
{
    sd_status st = SD_OK;

    *bos = -1;
    /* A list holds alternatives: the first one is put in front. */
    if (sd_config_has(config, "bos_token_id.0"))
        SD_TRY(sd_config_int(config, "bos_token_id.0", 0, INT32_MAX, bos));
    else
        SD_TRY(sd_config_int(config, "bos_token_id", -1, INT32_MAX, bos));

done:
    return st;
}
